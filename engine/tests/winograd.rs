//! Convolutions of 3×3 taps by Winograd's products: every shape against the reference, as exact as multiply-adds
//! in a row, and what is not finite goes where the plain sum takes it.
#![allow(clippy::unwrap_used)]

mod common;

use common::{check, check_precisions, numbers};
use graph::ops::{Conv2d, Fit, Padding, UnaryKind, Window};
use graph::{Binding, Symbol, interpret::evaluate};
use graticule_engine::{Engine, Isa, Parameters, Program, Request};
use proptest::prelude::*;

fn conv(padding: usize) -> Conv2d {
    let window = Window {
        padding: Padding::Explicit([padding; 4]),
        fit: Fit::Floor,
        ..Window::default()
    };
    Conv2d { window, groups: 1 }
}

fn parameter(shape: &[usize]) -> Symbol {
    Symbol::parameter("p", shape.to_vec(), Default::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Odd sizes, any padding, channels that fill no vector, one sample (by rows) and several; bias, residual, ReLU.
    #[test]
    fn every_shape(
        h in 4usize..15, w in 4usize..19, c in 16usize..70, o in 16usize..70, padding in 0usize..4, batch in 1usize..6,
        residual: bool, relu: bool,
    ) {
        let x = Symbol::input("x", [h, w, c]);
        let y = Symbol::apply(conv(padding), &[&x, &parameter(&[3, 3, c, o])]).unwrap();
        let mut y = y.add(&parameter(&[o])).unwrap();
        if residual && padding == 1 && c == o {
            y = y.add(&x).unwrap();
        }
        if relu {
            y = y.unary(UnaryKind::Relu).unwrap();
        }
        check(&y, batch);
    }
}

/// Wide layers, whose products go to the tile unit: odd images, channels that fill no block, bias, residual.
#[test]
fn products_on_tiles() {
    for (h, w, c, o, padding, batch) in [
        (5, 7, 64, 64, 1, 3),
        (9, 4, 70, 97, 0, 2),
        (14, 13, 100, 66, 2, 1),
    ] {
        let x = Symbol::input("x", [h, w, c]);
        let y = Symbol::apply(conv(padding), &[&x, &parameter(&[3, 3, c, o])]).unwrap();
        let mut y = y.add(&parameter(&[o])).unwrap();
        if c == o {
            y = y.add(&x).unwrap();
        }
        check_precisions(&y, batch);
    }
}

/// Many weights: their gradient's sums are split between the threads, by frequency.
#[test]
fn many_weights_on_odd_images() {
    for (h, w, c, o, padding, batch) in [
        (5, 7, 130, 120, 1, 4),
        (8, 6, 96, 176, 0, 3),
        (4, 9, 40, 400, 2, 5),
    ] {
        let x = Symbol::input("x", [h, w, c]);
        let y = Symbol::apply(conv(padding), &[&x, &parameter(&[3, 3, c, o])]).unwrap();
        check(&y, batch);
    }
}

/// A convolution, its result and its gradients, on one engine.
struct Layer {
    result: Vec<f32>,
    /// Of the image.
    image: Vec<f32>,
    weights: Vec<f32>,
}

const SIDE: usize = 9;
const BATCH: usize = 4;

/// y = x ⋆ w, and the gradients of Σ y·g.
fn graph(c: usize, o: usize) -> [Symbol; 6] {
    let x = Symbol::input("x", [SIDE, SIDE, c]);
    let g = Symbol::input("g", [SIDE, SIDE, o]);
    let w = parameter(&[3, 3, c, o]);
    let y = Symbol::apply(conv(1), &[&x, &w]).unwrap();
    let loss = y.mul(&g).unwrap().sum().unwrap();
    let [dx, dw] = [&x, &w].map(|of| {
        graph::differentiate(&loss, std::slice::from_ref(of))
            .unwrap()
            .remove(0)
    });
    [x, g, w, y, dx, dw]
}

fn run(isa: Isa, [_, _, w, y, dx, dw]: &[Symbol; 6], x: &[f32], g: &[f32], weights: &[f32]) -> Layer {
    let mut parameters = Parameters::new(&[("w".to_string(), w.clone())]);
    parameters.set("w", weights).unwrap();
    let request = Request {
        outputs: vec![y.clone(), dx.clone()],
        gradients: vec![(w.clone(), dw.clone())],
        ..Request::default()
    };
    let engine = Engine::with_isa(2, isa);
    let mut program =
        Program::compile(&engine, &request, parameters.layout(), &Binding::batch(BATCH)).unwrap();
    program.set_input("x", x).unwrap();
    program.set_input("g", g).unwrap();
    program.run(&mut parameters, 0).unwrap();
    Layer {
        result: program.output(0).to_vec(),
        image: program.output(1).to_vec(),
        weights: program.gradients()[..weights.len()].to_vec(),
    }
}

/// Root of the mean squared distance from `exact`, relative to its own root mean square.
fn rms(got: &[f32], exact: &[f64]) -> f64 {
    let squares: f64 = got
        .iter()
        .zip(exact)
        .map(|(g, e)| (f64::from(*g) - e).powi(2))
        .sum();
    (squares / exact.iter().map(|e| e * e).sum::<f64>()).sqrt()
}

/// Multiply-adds in a row: what a plain f32 kernel does, tap by tap and channel by channel.
fn in_a_row(x: &[f32], w: &[f32], c: usize, o: usize) -> Vec<f32> {
    let mut y = vec![0.0f32; BATCH * SIDE * SIDE * o];
    for (pixel, sums) in y.chunks_exact_mut(o).enumerate() {
        let (n, i, j) = (pixel / SIDE / SIDE, pixel / SIDE % SIDE, pixel % SIDE);
        for tap in 0..9 {
            let (r, q) = ((i + tap / 3).wrapping_sub(1), (j + tap % 3).wrapping_sub(1));
            if r >= SIDE || q >= SIDE {
                continue;
            }
            for k in 0..c {
                let value = x[((n * SIDE + r) * SIDE + q) * c + k];
                let row = &w[(tap * c + k) * o..][..o];
                sums.iter_mut()
                    .zip(row)
                    .for_each(|(sum, w)| *sum = value.mul_add(*w, *sum));
            }
        }
    }
    y
}

/// The promise of the precision `highest`: no less exact than f32 multiply-adds. Images as a ReLU leaves them, and
/// images far from zero, whose differences are small.
#[test]
fn as_exact_as_multiply_adds_in_a_row() {
    for (c, o, shift) in [(32, 32, 0.0), (64, 48, 0.0), (128, 32, 0.0), (64, 64, 5.0)] {
        let symbols = graph(c, o);
        let positive = |v: f32| if shift > 0.0 { v + shift } else { v.max(0.0) };
        let x: Vec<f32> = numbers(BATCH * SIDE * SIDE * c, 1)
            .into_iter()
            .map(positive)
            .collect();
        let (g, w) = (numbers(BATCH * SIDE * SIDE * o, 2), numbers(9 * c * o, 3));
        let leaves: Vec<_> = symbols[..3]
            .iter()
            .zip([&x, &g, &w])
            .map(|(symbol, values)| {
                let mut shape = symbol.shape().to_vec();
                if symbol.as_input().is_some() {
                    shape[0] = BATCH;
                }
                let values = values.iter().map(|v| f64::from(*v)).collect();
                (
                    symbol,
                    graph::ndarray::ArrayD::from_shape_vec(shape, values).unwrap(),
                )
            })
            .collect();
        let exact = evaluate(&symbols[3..], &leaves, BATCH).unwrap();
        let exact: Vec<Vec<f64>> = exact.iter().map(|e| e.iter().copied().collect()).collect();
        let plain = rms(&in_a_row(&x, &w, c, o), &exact[0]);
        for isa in Isa::available() {
            let layer = run(isa, &symbols, &x, &g, &w);
            let got = [
                rms(&layer.result, &exact[0]),
                rms(&layer.image, &exact[1]),
                rms(&layer.weights, &exact[2]),
            ];
            println!(
                "{c}→{o} {isa}: forward {:.2e} (in a row {plain:.2e}), image {:.2e}, weights {:.2e}",
                got[0], got[1], got[2]
            );
            assert!(got[0] <= plain, "{isa}: {} is less exact than {plain}", got[0]);
            assert!(got.iter().all(|e| *e < 1e-6), "{isa}: {got:?}");
        }
    }
}

/// Infinities, NaN and numbers whose sums overflow: the results that do not see them keep their bits' worth, those
/// that do are what the plain sum gives.
#[test]
fn what_is_not_finite_goes_where_the_plain_sum_takes_it() {
    let (c, o) = (32, 32);
    let symbols = graph(c, o);
    let (x, g, w) = (
        numbers(BATCH * SIDE * SIDE * c, 1),
        numbers(BATCH * SIDE * SIDE * o, 2),
        numbers(9 * c * o, 3),
    );
    let at = ((SIDE + 4) * SIDE + 5) * c + 7;
    for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 3e38, 1e38, 1e-42] {
        let mut x = x.clone();
        // Neighbours, so that differences and sums of two are made.
        (x[at], x[at + c]) = (bad, bad);
        let plain = in_a_row(&x, &w, c, o);
        for isa in Isa::available() {
            let layer = run(isa, &symbols, &x, &g, &w);
            for (k, (got, want)) in layer.result.iter().zip(&plain).enumerate() {
                let (n, i, j) = (k / o / SIDE / SIDE, k / o / SIDE % SIDE, k / o % SIDE);
                let sees = n == 1 && (3..=5).contains(&i) && (4..=7).contains(&j);
                // Exact to the digits of the largest number that a result is made of.
                let largest = if sees { bad.abs().max(20.0) } else { 20.0 };
                let same = match want.is_finite() {
                    true => (got - want).abs() <= 1e-6 * largest,
                    false => got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()),
                };
                assert!(same, "{isa}, {bad}: result {k} is {got}, in a row {want}");
            }
            // A weight's gradient sees all pixels of its channel and no other's.
            for (k, got) in layer.weights.iter().enumerate() {
                let sees = k / o % c == 7 && bad != 1e-42;
                let infinite = sees && !bad.is_finite();
                // The plain sum of two of the largest may overflow as well.
                assert!(
                    infinite != got.is_finite() || (sees && bad == 3e38),
                    "{isa}, {bad}: weight {k} is {got}"
                );
            }
        }
    }
}
