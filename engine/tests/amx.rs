//! Matrix products and convolutions on tiles against their references: on the emulated unit, and on the
//! processor's own where it has one.

#![allow(clippy::unwrap_used)]

mod common;

use common::{check_precisions, numbers};
use graph::ops::{Conv2d, Conv2dTransposed, Fit, MatMul, Padding, Pool2d, PoolKind, UnaryKind, Window};
use graph::{Binding, Symbol, differentiate};
use graticule_engine::{Engine, Isa, Level, Parameters, Precision, Program, Request};
use proptest::prelude::*;

fn parameter(shape: &[usize]) -> Symbol {
    Symbol::parameter("p", graph::Shape::new(shape), Default::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn convolution_of_any_shape(
        batch in 1usize..4, h in 3usize..9, w in 3usize..10, c in 1usize..40, o in 1usize..40,
        kernel in (1usize..4, 1usize..4), stride in (1usize..4, 1usize..4), dilation in (1usize..3, 1usize..3),
        pad in prop::array::uniform4(0usize..3), same: bool,
    ) {
        let padding = if same { Padding::Same } else { Padding::Explicit(pad) };
        let window = Window { stride: [stride.0, stride.1], dilation: [dilation.0, dilation.1], padding, fit: Fit::Floor };
        let x = Symbol::input("x", [h, w, c]);
        let weights = parameter(&[kernel.0, kernel.1, c, o]);
        if let Ok(y) = Symbol::apply(Conv2d { window, groups: 1 }, &[&x, &weights]) {
            check_precisions(&y, batch);
        }
    }

    #[test]
    fn transposed_convolution_of_any_shape(
        batch in 1usize..3, h in 1usize..6, w in 1usize..6, c in 1usize..36, o in 1usize..36, k in 1usize..4,
        stride in 1usize..4, pad in 0usize..2, extra in 0usize..2,
    ) {
        let window = Window { stride: [stride; 2], padding: Padding::Explicit([pad; 4]), ..Window::default() };
        let op = Conv2dTransposed { conv: Conv2d { window, groups: 1 }, output_padding: [extra.min(stride - 1); 2] };
        let y = Symbol::input("y", [h, w, o]);
        if let Ok(x) = Symbol::apply(op, &[&y, &parameter(&[k, k, c, o])]) {
            check_precisions(&x, batch);
            check_precisions(&x.add(&parameter(&[c])).unwrap(), batch);
        }
    }

    #[test]
    fn dense_layer_of_any_shape(batch in 1usize..70, inputs in 1usize..90, outputs in 1usize..70) {
        let x = Symbol::input("x", [inputs]);
        let y = x.matmul(&parameter(&[inputs, outputs])).unwrap().add(&parameter(&[outputs])).unwrap();
        check_precisions(&y.unary(UnaryKind::Tanh).unwrap(), batch);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Samples are the rows of tiles there; with their gradients.
    #[test]
    fn small_images_of_many_samples(
        batch in 24usize..70, h in 1usize..5, w in 1usize..5, c in 1usize..3, o in 1usize..40, whole: bool,
        kernel in (1usize..4, 1usize..4), stride in (1usize..3, 1usize..3), pad in prop::array::uniform4(0usize..2),
    ) {
        let window = Window { stride: [stride.0, stride.1], padding: Padding::Explicit(pad), fit: Fit::Floor, ..Window::default() };
        let c = if whole { 32 * c } else { 21 * c };
        let x = Symbol::input("x", [h, w, c]);
        let weights = parameter(&[kernel.0, kernel.1, c, o]);
        if let Ok(y) = Symbol::apply(Conv2d { window, groups: 1 }, &[&x, &weights]) {
            check_precisions(&y.add(&parameter(&[o])).unwrap(), batch);
        }
    }
}

/// A bias and a ReLU end in the kernel's own epilogue. The ReLU is looked at where sums are far from 0,
/// so that rounding switches none on or off.
#[test]
fn bias_residual_and_relu_ride_along() {
    let shifted = |y: Symbol, channels: usize| {
        let bias: Vec<f32> = (0..channels)
            .map(|k| if k % 2 == 0 { 99.0 } else { -99.0 })
            .collect();
        let bias = Symbol::constants(bias, [channels]);
        let bias = bias.add(&parameter(&[channels])).unwrap();
        y.add(&bias).unwrap().unary(UnaryKind::Relu).unwrap()
    };
    let x = Symbol::input("x", [9, 7, 33]);
    let window = Window {
        padding: Padding::Same,
        ..Window::default()
    };
    let y = Symbol::apply(Conv2d { window, groups: 1 }, &[&x, &parameter(&[3, 3, 33, 35])]).unwrap();
    check_precisions(&shifted(y, 35), 3);
    let y = Symbol::apply(Conv2d { window, groups: 1 }, &[&x, &parameter(&[3, 3, 33, 33])]).unwrap();
    let biased = y
        .add(&parameter(&[33]))
        .unwrap()
        .add(&x.affine(9.0, 0.0).unwrap())
        .unwrap();
    check_precisions(&biased, 3);
    check_precisions(&shifted(biased, 33), 3);
    let x = Symbol::input("x", [70]);
    check_precisions(&shifted(x.matmul(&parameter(&[70, 41])).unwrap(), 41), 40);
}

/// Taps side by side are one step of the sum there, and neighbouring pixels' steps overlap.
#[test]
fn images_of_few_channels() {
    for (channels, kernel, stride, dilation, pad) in [
        (3, [7, 7], [2, 2], 1, 3),
        (3, [11, 11], [4, 4], 1, 2),
        (1, [5, 4], [1, 3], 2, 0),
        (4, [3, 3], [1, 1], 1, 1),
    ] {
        let window = Window {
            stride,
            dilation: [dilation, 1],
            padding: Padding::Explicit([pad; 4]),
            fit: Fit::Floor,
        };
        let x = Symbol::input("x", [19, 22, channels]);
        let weights = parameter(&[kernel[0], kernel[1], channels, 37]);
        let y = Symbol::apply(Conv2d { window, groups: 1 }, &[&x, &weights]).unwrap();
        for batch in [1, 5] {
            check_precisions(&y.add(&parameter(&[37])).unwrap(), batch);
        }
    }
}

/// A small image alone is split by its output channels, whose panels are then put together.
#[test]
fn a_small_image_alone() {
    let x = Symbol::input("x", [5, 6, 40]);
    for (window, size) in [([1, 1], [5, 6]), ([2, 2], [3, 3])] {
        let window = Window {
            padding: Padding::Same,
            stride: window,
            ..Window::default()
        };
        let y = Symbol::apply(Conv2d { window, groups: 1 }, &[&x, &parameter(&[3, 3, 40, 70])]).unwrap();
        let y = y.add(&parameter(&[70])).unwrap();
        let z = Symbol::input("z", [size[0], size[1], 70]);
        check_precisions(&y.add(&z).unwrap(), 1);
    }
}

/// So many weights that they are split instead of the samples, by channels.
#[test]
fn the_gradient_of_many_weights() {
    for (size, stride) in [([4, 3], 1), ([5, 7], 2)] {
        let window = Window {
            padding: Padding::Same,
            stride: [stride; 2],
            ..Window::default()
        };
        let conv = Conv2d { window, groups: 1 };
        let image = Symbol::input("x", [size[0], size[1], 120]);
        let weights = parameter(&[3, 3, 120, 130]);
        let y = Symbol::apply(conv, &[&image, &weights]).unwrap();
        let gradient = Symbol::input("g", y.shape()[1..].to_vec());
        let of = graph::ops::Conv2dWeightGradient { conv };
        check_precisions(&Symbol::apply(of, &[&image, &gradient, &weights]).unwrap(), 9);
    }
}

/// A sum so long that its operands go through in several parts.
#[test]
fn a_long_dense_layer() {
    let x = Symbol::input("x", [2100]);
    let y = x
        .matmul(&parameter(&[2100, 34]))
        .unwrap()
        .add(&parameter(&[34]))
        .unwrap();
    check_precisions(&y, 33);
}

/// In training weights of a few hundred inputs are packed in two parts, each of which may be unable to split.
#[test]
fn a_dense_layer_packed_in_two_parts() {
    let (x, w) = (Symbol::input("x", [570]), parameter(&[570, 70]));
    let y = x.matmul(&w).unwrap();
    check_precisions(&y, 33);
    let loss = y.sum().unwrap();
    let gradients = differentiate(&loss, std::slice::from_ref(&w)).unwrap();
    let request = Request {
        outputs: vec![y],
        gradients: vec![(w.clone(), gradients[0].clone())],
        ..Request::default()
    };
    for (places, bad) in [
        (vec![], 0.0),
        (vec![100 * 70 + 3], f32::INFINITY),
        (vec![400 * 70 + 41], f32::NAN),
        (vec![7, 500 * 70], 1e20),
    ] {
        let mut weights = numbers(570 * 70, 2);
        places.iter().for_each(|&at| weights[at] = bad);
        let run = |level: Level, precision: Precision| {
            let engine = Engine::with_isa(1, level)
                .without_lanes()
                .with_precision(precision);
            let mut parameters = Parameters::new(&[("w".into(), w.clone())]);
            parameters.set("w", &weights).unwrap();
            let layout = parameters.layout().clone();
            let mut program = Program::compile(&engine, &request, &layout, &Binding::batch(33)).unwrap();
            program.set_input("x", &numbers(33 * 570, 1)).unwrap();
            program.run(&mut parameters, 0).unwrap();
            program.output(0).to_vec()
        };
        let plain = run(Level::Vectors(Isa::detect()), Precision::Highest);
        for (precision, tolerance) in Precision::ALL.into_iter().zip(USUAL) {
            let what = format!("{places:?} {bad} at {precision}");
            alike(&run(Level::AmxEmulated, precision), &plain, tolerance, &what);
        }
    }
}

/// y = f(x, w) on one engine.
fn run(engine: &Engine, y: &Symbol, x: &[f32], w: &[f32], batch: usize) -> Vec<f32> {
    let named: Vec<(String, Symbol)> = graph::topological(std::slice::from_ref(y))
        .into_iter()
        .filter(|s| s.as_parameter().is_some())
        .map(|s| ("w".to_string(), s))
        .collect();
    let mut parameters = Parameters::new(&named);
    parameters.set("w", w).unwrap();
    let request = Request::outputs(std::slice::from_ref(y));
    let mut program =
        Program::compile(engine, &request, parameters.layout(), &Binding::batch(batch)).unwrap();
    program.set_input("x", x).unwrap();
    program.run(&mut parameters, 0).unwrap();
    program.output(0).to_vec()
}

/// The three products of a layer as functions of two operands "x" and "w", the larger one first.
fn layers() -> Vec<(&'static str, Symbol, usize, usize)> {
    let product = |transpose_a, transpose_b, x: [usize; 1], w: [usize; 2]| {
        let op = MatMul {
            transpose_a,
            transpose_b,
        };
        Symbol::apply(op, &[&Symbol::input("x", x), &parameter(&w)]).unwrap()
    };
    let window = Window {
        padding: Padding::Same,
        ..Window::default()
    };
    let conv = Conv2d { window, groups: 1 };
    let image = Symbol::input("x", [6, 6, 16]);
    let forward = Symbol::apply(conv, &[&image, &parameter(&[3, 3, 16, 16])]).unwrap();
    let grey = Symbol::input("x", [6, 6, 2]);
    let few = Symbol::apply(conv, &[&grey, &parameter(&[3, 3, 2, 16])]).unwrap();
    let pool = Pool2d {
        kind: PoolKind::Max,
        size: [2, 2],
        window: Window {
            stride: [2, 2],
            ..Window::default()
        },
    };
    let pooled = Symbol::apply(pool, &[&few]).unwrap();
    let back = Conv2dTransposed {
        conv,
        output_padding: [0, 0],
    };
    let back = Symbol::apply(back, &[&image, &parameter(&[3, 3, 16, 16]), &image]).unwrap();
    vec![
        ("dense", product(false, false, [40], [40, 33]), 40, 40 * 33),
        ("dense back", product(false, true, [40], [33, 40]), 40, 33 * 40),
        ("convolution", forward, 6 * 6 * 16, 9 * 256),
        ("convolution of few channels", few, 6 * 6 * 2, 9 * 32),
        ("pooled convolution", pooled, 6 * 6 * 2, 9 * 32),
        ("convolution back", back, 6 * 6 * 16, 9 * 256),
    ]
}

/// The dense weight gradient xᵀ·g, with the gradient as parameter.
fn outer() -> (Symbol, usize, usize) {
    let x = Symbol::input("x", [40]);
    let g = Symbol::input("g", [33]);
    let op = MatMul {
        transpose_a: true,
        transpose_b: false,
    };
    (Symbol::apply(op, &[&x, &g]).unwrap(), 40, 33)
}

const BATCH: usize = 33;

/// Every product, at every precision, with `x` and `w` changed by `change`, against f32 on vectors:
/// the same infinities and NaN, and finite numbers within `tolerance` of the largest. Of many samples and of a few.
fn same_as_f32(change: impl Fn(&mut [f32], &mut [f32]), tolerances: [f64; 3]) {
    let plain = Engine::with_isa(1, Isa::detect()).without_lanes();
    for batch in [BATCH, 5] {
        for (what, y, each, weights) in layers() {
            let (mut x, mut w) = (numbers(batch * each, 1), numbers(weights, 2));
            change(&mut x, &mut w);
            let plain = run(&plain, &y, &x, &w, batch);
            for (precision, tolerance) in Precision::ALL.into_iter().zip(tolerances) {
                let engine = Engine::with_isa(1, Level::AmxEmulated)
                    .without_lanes()
                    .with_precision(precision);
                let got = run(&engine, &y, &x, &w, batch);
                alike(&got, &plain, tolerance, &format!("{what} at {precision}"));
            }
        }
    }
}

fn alike(got: &[f32], want: &[f32], tolerance: f64, what: &str) {
    let finite = want.iter().filter(|x| x.is_finite());
    let scale = finite.fold(0.0f64, |m, x| m.max(f64::from(x.abs())));
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        let same = if w.is_finite() {
            // Among denormal numbers every product is rounded to a step.
            (f64::from(g) - f64::from(w)).abs() <= tolerance * scale + 32.0 * f64::from(f32::from_bits(1))
        } else {
            g.to_bits() == w.to_bits() || (g.is_nan() && w.is_nan())
        };
        assert!(same, "{what}: element {i} is {g}, should be {w}");
    }
}

const USUAL: [f64; 3] = [2e-6, 4e-5, 2e-2];

#[test]
fn infinities_and_nan_go_where_f32_takes_them() {
    for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        same_as_f32(|x, _| x[17] = bad, USUAL);
        same_as_f32(|_, w| w[100] = bad, USUAL);
        same_as_f32(|x, w| (x[17], x[18], w[3]) = (bad, 0.0, 0.0), USUAL);
    }
}

#[test]
fn huge_and_tiny_numbers_give_what_f32_gives() {
    // In f32 as a whole: the largest numbers whose sums are finite, denormal ones, and both with each other.
    same_as_f32(|x, _| x.iter_mut().for_each(|x| *x *= 1e37), USUAL);
    same_as_f32(|x, _| x.iter_mut().for_each(|x| *x *= 1e-40), USUAL);
    same_as_f32(
        |x, w| {
            x.iter_mut().for_each(|x| *x *= 1e30);
            w.iter_mut().for_each(|w| *w *= 1e-30);
        },
        USUAL,
    );
    // Denormal and tiny numbers among usual ones are dropped or not, and nobody can tell.
    same_as_f32(|x, w| (x[5], x[6], w[7]) = (1e-40, -1e-33, 2e-39), USUAL);
    // At the border of what is split.
    same_as_f32(
        |x, w| {
            x.iter_mut().for_each(|x| *x *= 1e15);
            w.iter_mut().for_each(|w| *w *= 1e-12);
        },
        USUAL,
    );
}

/// A convolution's weight gradient, of images and gradients that are inputs.
fn weight_gradient(size: [usize; 2], channels: usize, outputs: usize) -> (Symbol, Symbol) {
    let image = Symbol::input("x", [size[0], size[1], channels]);
    let gradient = Symbol::input("g", [size[0], size[1], outputs]);
    let window = Window {
        padding: Padding::Same,
        ..Window::default()
    };
    let conv = graph::ops::Conv2dWeightGradient {
        conv: Conv2d { window, groups: 1 },
    };
    let weights = parameter(&[3, 3, channels, outputs]);
    let y = Symbol::apply(conv, &[&image, &gradient, &weights]).unwrap();
    (y, weights)
}

#[test]
fn a_weight_gradient_sees_infinities_too() {
    let (dense, inputs, outputs) = outer();
    let none = parameter(&[1]);
    // Few weights, samples as rows, many weights.
    let sizes = [
        (16, 20, [6, 6], BATCH),
        (32, 20, [3, 3], BATCH),
        (120, 130, [4, 3], 9),
    ];
    let mut cases = vec![(dense, none, [inputs, outputs], BATCH)];
    for (channels, outputs, size, batch) in sizes {
        let (y, weights) = weight_gradient(size, channels, outputs);
        let pixels = size[0] * size[1];
        cases.push((y, weights, [pixels * channels, pixels * outputs], batch));
    }
    for (y, weights, each, batch) in cases {
        for bad in [f32::INFINITY, f32::NAN, 3e38, 1e-40] {
            let (mut x, mut g) = (numbers(batch * each[0], 1), numbers(batch * each[1], 2));
            (x[40], g[70]) = (bad, bad);
            let run = |engine: &Engine| {
                let mut parameters = Parameters::new(&[("w".into(), weights.clone())]);
                let layout = parameters.layout().clone();
                let request = Request::outputs(std::slice::from_ref(&y));
                let mut program =
                    Program::compile(engine, &request, &layout, &Binding::batch(batch)).unwrap();
                program.set_input("x", &x).unwrap();
                program.set_input("g", &g).unwrap();
                program.run(&mut parameters, 0).unwrap();
                program.output(0).to_vec()
            };
            let plain = run(&Engine::with_isa(1, Isa::detect()).without_lanes());
            let engine = Engine::with_isa(1, Level::AmxEmulated).without_lanes();
            alike(&run(&engine), &plain, 1e-5, &format!("{y:?} with {bad}"));
        }
    }
}

#[test]
fn without_a_tile_unit_every_precision_is_highest() {
    let (_, y, each, weights) = layers().remove(0);
    let (x, w) = (numbers(BATCH * each, 1), numbers(weights, 2));
    let engine = |precision| {
        Engine::with_isa(1, Isa::detect())
            .without_lanes()
            .with_precision(precision)
    };
    let highest = run(&engine(Precision::Highest), &y, &x, &w, BATCH);
    for precision in [Precision::High, Precision::Medium] {
        assert_eq!(engine(precision).precision_used(), Precision::Highest);
        assert!(run(&engine(precision), &y, &x, &w, BATCH) == highest);
    }
}
