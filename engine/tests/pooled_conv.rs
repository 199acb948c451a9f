//! Convolution with max-pooling behind it, which the planner fuses, against the references of the ops.

#![allow(clippy::unwrap_used)]

mod common;

use common::{check, check_on, check_with, numbers, random};
use graph::ops::{Axis, Conv2d, Fit, Padding, Pool2d, PoolKind, UnaryKind, Window};
use graph::{Binding, Symbol, differentiate};
use graticule_engine::{Engine, Isa, Level, Parameters, Precision, Program, Request};
use proptest::prelude::*;

fn parameter(shape: &[usize]) -> Symbol {
    Symbol::parameter("p", graph::Shape::new(shape), Default::default())
}

fn window(stride: (usize, usize), dilation: (usize, usize), padding: Padding) -> Window {
    Window {
        stride: stride.into(),
        dilation: dilation.into(),
        padding,
        fit: Fit::Floor,
    }
}

fn convolve(x: &Symbol, weights: &Symbol, window: Window) -> Option<Symbol> {
    Symbol::apply(Conv2d { window, groups: 1 }, &[x, weights]).ok()
}

fn max_pool(x: &Symbol, size: (usize, usize), window: Window) -> Option<Symbol> {
    let pool = Pool2d {
        kind: PoolKind::Max,
        size: size.into(),
        window,
    };
    Symbol::apply(pool, &[x]).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pooled_convolution(
        batch in 1usize..10, image in (3usize..12, 3usize..13), c in 1usize..9, o in 1usize..40,
        kernel in (1usize..6, 1usize..6), stride in (1usize..3, 1usize..3), dilation in (1usize..3, 1usize..3),
        pad in prop::array::uniform4(0usize..3), same: bool, relu: bool, bias: bool,
        pool in (1usize..4, 1usize..4), pool_stride in (1usize..4, 1usize..4), pool_dilation in (1usize..3, 1usize..3),
    ) {
        let padding = if same { Padding::Same } else { Padding::Explicit(pad) };
        let x = Symbol::input("x", [image.0, image.1, c]);
        let weights = parameter(&[kernel.0, kernel.1, c, o]);
        let Some(mut y) = convolve(&x, &weights, window(stride, dilation, padding)) else { return Ok(()) };
        if bias {
            y = y.add(&parameter(&[o])).unwrap();
        }
        if relu {
            y = y.unary(UnaryKind::Relu).unwrap();
        }
        if let Some(y) = max_pool(&y, pool, window(pool_stride, pool_dilation, Padding::Explicit([0; 4]))) {
            check(&y, batch);
        }
    }

    /// Whole numbers: sums are the same at every precision, and so is the choice among equal ones.
    #[test]
    fn pooled_convolution_on_tiles(
        batch in 1usize..6, image in (3usize..12, 3usize..14), c in 1usize..9, o in 1usize..17,
        kernel in (1usize..6, 1usize..6), dilation in 1usize..3, pad in prop::array::uniform4(0usize..4),
        relu: bool, bias: bool,
    ) {
        let x = Symbol::input("x", [image.0, image.1, c]);
        let weights = parameter(&[kernel.0, kernel.1, c, o]);
        let all = window((1, 1), (dilation, 1), Padding::Explicit(pad));
        let Some(mut y) = convolve(&x, &weights, all) else { return Ok(()) };
        if bias {
            y = y.add(&parameter(&[o])).unwrap();
        }
        if relu {
            y = y.unary(UnaryKind::Relu).unwrap();
        }
        if let Some(y) = max_pool(&y, (2, 2), window((2, 2), (1, 1), Padding::Explicit([0; 4]))) {
            let units = Level::available().into_iter().filter(|&level| level == Level::Amx);
            let subjects = units.chain([Level::AmxEmulated]).flat_map(|unit| {
                Precision::ALL.map(|precision| (unit, precision, 2e-5))
            });
            let given = random(&y);
            let whole = |s: &Symbol, count: usize| given(s, count).iter().map(|x| (4.0 * x).round()).collect();
            check_on(&subjects.collect::<Vec<_>>(), &y, batch, whole);
        }
    }

    #[test]
    fn pooled_activation(
        batch in 1usize..10, image in (2usize..9, 2usize..10), c in 1usize..40, relu: bool, twice: bool,
        size in (1usize..4, 1usize..4), stride in (1usize..4, 1usize..4), dilation in (1usize..3, 1usize..3),
        pad in prop::array::uniform4(0usize..2),
    ) {
        let x = Symbol::input("x", [image.0, image.1, c]).mul(&parameter(&[c])).unwrap();
        let kind = if relu { UnaryKind::Relu } else { UnaryKind::Tanh };
        let y = x.unary(kind).unwrap();
        if let Some(pooled) = max_pool(&y, size, window(stride, dilation, Padding::Explicit(pad))) {
            check(&pooled, batch);
            if twice {
                // The image is read elsewhere, too.
                check(&pooled.sum().unwrap().add(&y.sum().unwrap()).unwrap(), batch);
            }
        }
    }

    #[test]
    fn two_blocks_and_a_dense_layer(batch in 1usize..20, first in 1usize..9, second in 1usize..20, wide: bool) {
        let conv = |x: &Symbol, o: usize, k: usize| {
            let weights = parameter(&[k, k, x.shape()[3], o]);
            let y = convolve(x, &weights, window((1, 1), (1, 1), Padding::Same)).unwrap();
            let y = y.add(&parameter(&[o])).unwrap();
            let pool = window((2, 2), (1, 1), Padding::Explicit([0; 4]));
            max_pool(&y.unary(UnaryKind::Relu).unwrap(), (2, 2), pool).unwrap()
        };
        let k = if wide { 5 } else { 3 };
        let x = conv(&Symbol::input("x", [18, 17, 1]), first, k);
        let x = conv(&x, second, 3);
        let inputs = x.shape().elements();
        let x = x.reshape(&[Axis::Keep(0), Axis::Rest]).unwrap();
        check(&x.matmul(&parameter(&[inputs, 5])).unwrap(), batch);
    }
}

/// Numbers on a coarse grid, so that maxima are often shared and often 0.
fn coarse(s: &Symbol, n: usize) -> Vec<f32> {
    numbers(n, s.id()).iter().map(|v| (v * 1.5).round()).collect()
}

#[test]
fn equal_values_give_the_gradient_to_the_first() {
    for (relu, stride) in [(false, 1), (true, 1), (false, 2), (true, 2)] {
        let x = Symbol::input("x", [9, 9, 2]);
        let mut y = convolve(&x, &parameter(&[2, 2, 2, 5]), Window::default()).unwrap();
        if relu {
            y = y.unary(UnaryKind::Relu).unwrap();
        }
        let pool = window((stride, stride), (1, 1), Padding::Explicit([0; 4]));
        check_with(&max_pool(&y, (2, 2), pool).unwrap(), 3, 2e-5, coarse);
    }
}

/// What a program with parameter `p`, whose gradient of the sum of `output` is wanted, gives: the output, and
/// the gradient.
fn run(isa: Isa, output: &Symbol, p: &Symbol, values: &[f32], x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let gradient = differentiate(&output.sum().unwrap(), std::slice::from_ref(p)).unwrap();
    let mut store = Parameters::new(&[("p".into(), p.clone())]);
    store.set("p", values).unwrap();
    let request = Request {
        outputs: vec![output.clone()],
        gradients: vec![(p.clone(), gradient[0].clone())],
        ..Request::default()
    };
    let engine = Engine::with_isa(1, isa);
    let mut program = Program::compile(&engine, &request, store.layout(), &Binding::batch(1)).unwrap();
    program.set_input("x", x).unwrap();
    program.run(&mut store, 0).unwrap();
    (
        program.output(0).to_vec(),
        program.gradients()[..values.len()].to_vec(),
    )
}

#[test]
fn not_a_number_stays_visible_and_gives_no_gradient() {
    let mut x = numbers(8 * 8, 3);
    x[9] = f32::NAN;
    x[30] = f32::INFINITY;
    x[33] = f32::NEG_INFINITY;
    for isa in Isa::available() {
        let p = parameter(&[1]);
        let image = Symbol::input("x", [8, 8, 1]);
        let y = image.add(&p).unwrap().unary(UnaryKind::Relu).unwrap();
        let pool = window((2, 2), (1, 1), Padding::Explicit([0; 4]));
        let (y, gradient) = run(isa, &max_pool(&y, (2, 2), pool).unwrap(), &p, &[0.0], &x);
        assert!(y[0].is_nan() && y[7].is_infinite(), "{isa}: {y:?}");
        let live = y.iter().filter(|v| **v > 0.0).count();
        assert_eq!(gradient, [live as f32], "{isa}");
        // The same through a convolution with weight 1, whose pooling is fused with it.
        let w = parameter(&[1, 1, 1, 1]);
        let y = convolve(&image, &w, Window::default())
            .unwrap()
            .unary(UnaryKind::Relu)
            .unwrap();
        let (pooled, _) = run(isa, &max_pool(&y, (2, 2), pool).unwrap(), &w, &[1.0], &x);
        assert!(pooled[0].is_nan() && pooled[7].is_infinite(), "{isa}: {pooled:?}");
        assert!(pooled[1..].iter().all(|v| !v.is_nan()), "{isa}: {pooled:?}");
    }
}

/// The ops of a program that computes `outputs` and the gradients of their sum by `parameters`.
fn ops(output: &Symbol, parameters: &[Symbol]) -> Vec<&'static str> {
    let gradients = differentiate(&output.sum().unwrap(), parameters).unwrap();
    let named: Vec<(String, Symbol)> = parameters
        .iter()
        .map(|p| (p.id().to_string(), p.clone()))
        .collect();
    let mut store = Parameters::new(&named);
    let request = Request {
        outputs: vec![output.sum().unwrap()],
        gradients: parameters.iter().cloned().zip(gradients).collect(),
        ..Request::default()
    };
    let engine = Engine::new(1);
    let mut program = Program::compile(&engine, &request, store.layout(), &Binding::batch(4)).unwrap();
    let steps = program.profile(&mut store, 0).unwrap();
    steps.iter().map(|s| s.op).collect()
}

#[test]
fn pooling_is_fused_where_nobody_else_needs_the_image() {
    let weights = [parameter(&[3, 3, 1, 6]), parameter(&[6])];
    let x = Symbol::input("x", [9, 9, 1]);
    let y = convolve(&x, &weights[0], Window::default()).unwrap();
    let y = y.add(&weights[1]).unwrap().unary(UnaryKind::Relu).unwrap();
    let pool = window((2, 2), (1, 1), Padding::Explicit([0; 4]));
    let pooled = max_pool(&y, (2, 2), pool).unwrap();
    let fused = ops(&pooled, &weights);
    let expected = ["conv2d_max_pool2d", "pooled_conv2d_weights", "pooled_conv2d_bias"];
    assert!(expected.iter().all(|op| fused.contains(op)), "{fused:?}");
    assert!(!fused.iter().any(|op| op.contains("gradient")), "{fused:?}");
    // Here the image is read once more.
    let both = pooled.sum().unwrap().add(&y.sum().unwrap()).unwrap();
    let apart = ops(&both, &weights);
    assert!(!apart.contains(&"conv2d_max_pool2d"), "{apart:?}");
}
