//! Values between layers as bf16 numbers, at medium precision: every kernel that makes or reads them, against f64.

#![allow(clippy::unwrap_used)]

mod common;

use common::numbers;
use graph::interpret::evaluate;
use graph::ndarray::{ArrayD, IxDyn};
use graph::ops::{
    BatchNorm, Concat, Conv2d, Conv2dTransposed, Fit, Op, Padding, Pool2d, PoolKind, UnaryKind, Window,
};
use graph::{Binding, Mode, Shape, Symbol, differentiate, lower};
use graticule_engine::{Engine, Level, Parameters, Precision, Program, Request};
use proptest::prelude::*;

/// Each factor of a product has 8 bits, and so has each value. A ReLU that shuts for a number near 0, where f64 leaves
/// it open, costs more: one number in some hundreds, which is a twentieth of a gradient's norm.
const SMOOTH: f64 = 0.02;
const KINKED: f64 = 0.1;

fn parameter(shape: &[usize]) -> Symbol {
    Symbol::parameter("p", Shape::new(shape), Default::default())
}

fn window(stride: usize, padding: usize) -> Window {
    Window {
        stride: [stride; 2],
        dilation: [1; 2],
        padding: Padding::Explicit([padding; 4]),
        fit: Fit::Floor,
    }
}

fn conv(x: &Symbol, outputs: usize, kernel: usize, stride: usize) -> Symbol {
    let weights = parameter(&[kernel, kernel, x.shape().last_axis(), outputs]);
    let conv = Conv2d {
        window: window(stride, kernel / 2),
        groups: 1,
    };
    Symbol::apply(conv, &[x, &weights]).unwrap()
}

fn relu(x: &Symbol) -> Symbol {
    x.unary(UnaryKind::Relu).unwrap()
}

fn pool(x: &Symbol, kind: PoolKind, size: usize, stride: usize) -> Symbol {
    let pool = Pool2d {
        kind,
        size: [size; 2],
        window: window(stride, 0),
    };
    Symbol::apply(pool, &[x]).unwrap()
}

fn concat(a: &Symbol, b: &Symbol) -> Symbol {
    Symbol::apply(Concat { axis: 3 }, &[a, b]).unwrap()
}

fn batch_norm(x: &Symbol) -> Symbol {
    let norm = BatchNorm {
        epsilon: 1e-3,
        momentum: 0.25,
        frozen: false,
    };
    let own: Vec<Symbol> = (0..4).map(|_| parameter(&[x.shape().last_axis()])).collect();
    Symbol::apply(norm, &[x, &own[0], &own[1], &own[2], &own[3]]).unwrap()
}

fn image(rows: usize, columns: usize, channels: usize) -> Symbol {
    Symbol::input("x", [rows, columns, channels])
}

/// A network whose loss is a weighted sum of its output, with numbers for its leaves.
struct Case {
    batch: usize,
    leaves: Vec<(Symbol, Vec<f32>)>,
    forward: Request,
    training: Request,
}

impl Case {
    fn new(y: &Symbol, batch: usize) -> Self {
        let nodes = graph::topological(std::slice::from_ref(y));
        let shapes = Binding::batch(batch).shapes(&nodes).unwrap();
        let leaves = nodes
            .iter()
            .filter(|s| s.as_parameter().is_some() || s.as_input().is_some());
        let leaves: Vec<(Symbol, Vec<f32>)> = leaves
            .enumerate()
            .map(|(seed, leaf)| {
                // Sums stay near 1, as a network's do.
                let scale = match &leaf.shape()[..] {
                    [rows, columns, channels, _] if leaf.as_parameter().is_some() => {
                        2.0 / ((rows * columns * channels) as f32).sqrt()
                    }
                    _ => 1.0,
                };
                let values = numbers(shapes[&leaf.id()].elements(), seed as u64 + 1);
                (leaf.clone(), values.iter().map(|x| x * scale).collect())
            })
            .collect();
        let weights = numbers(y.shape().elements(), 77);
        let weights = Symbol::constants(weights, y.shape().clone());
        let loss = y.mul(&weights).unwrap().sum().unwrap();
        let trainable: Vec<Symbol> = leaves
            .iter()
            .map(|(s, _)| s.clone())
            .filter(|s| s.as_parameter().is_some_and(|p| p.trainable))
            .collect();
        let gradients = differentiate(&loss, &trainable).unwrap();
        Self {
            batch,
            leaves,
            forward: Request::outputs(std::slice::from_ref(y)),
            training: Request {
                outputs: vec![loss],
                gradients: trainable.into_iter().zip(gradients).collect(),
                ..Request::default()
            },
        }
    }

    /// Output, or gradients one after the other, and how many values were bf16 numbers.
    fn run(&self, engine: &Engine, request: &Request) -> (Vec<f32>, usize) {
        let parameters = self.leaves.iter().filter(|(s, _)| s.as_parameter().is_some());
        let name = |symbol: &Symbol| format!("p{}", symbol.id());
        let named: Vec<(String, Symbol)> = parameters.clone().map(|(s, _)| (name(s), s.clone())).collect();
        let mut store = Parameters::new(&named);
        for (symbol, values) in parameters {
            store.set(&name(symbol), values).unwrap();
        }
        let mut program =
            Program::compile(engine, request, store.layout(), &Binding::batch(self.batch)).unwrap();
        for (symbol, values) in &self.leaves {
            if let Some(input) = symbol.as_input() {
                drop(program.set_input(&input.name, values));
            }
        }
        // Twice, so that anything left over from the first run would show.
        program.run(&mut store, 0).unwrap();
        program.run(&mut store, 0).unwrap();
        let numbers = match request.gradients.is_empty() {
            true => program.output(0).to_vec(),
            false => {
                let places = request
                    .gradients
                    .iter()
                    .map(|(p, _)| store.layout().entry(p).unwrap());
                places
                    .flat_map(|e| program.gradients()[e.offset..e.offset + e.elements()].to_vec())
                    .collect()
            }
        };
        (numbers, program.short_values())
    }

    /// The same in f64.
    fn exact(&self, request: &Request) -> Vec<f64> {
        let results: Vec<Symbol> = match request.gradients.is_empty() {
            true => request.outputs.clone(),
            false => request.gradients.iter().map(|(_, g)| g.clone()).collect(),
        };
        let array = |symbol: &Symbol, values: &[f32]| {
            let mut shape = symbol.shape().to_vec();
            if symbol.as_input().is_some() {
                shape[0] = self.batch;
            }
            let wide = values.iter().map(|&x| f64::from(x)).collect();
            ArrayD::from_shape_vec(IxDyn(&shape), wide).unwrap()
        };
        let given: Vec<_> = self.leaves.iter().map(|(s, v)| (s, array(s, v))).collect();
        let results = evaluate(&results, &given, self.batch).unwrap();
        results.iter().flat_map(|r| r.iter().copied()).collect()
    }
}

/// The error's norm as a share of the result's: a ReLU may shut for a sample where f64 leaves it open.
fn error(got: &[f32], want: &[f64]) -> f64 {
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let errors = &mut got.iter().zip(want).map(|(&g, w)| f64::from(g) - w);
    norm(errors) / norm(&mut want.iter().copied())
}

/// Checks `y` and its parameters' gradients for 1, 2 and 3 threads, and that at least so many values were bf16 numbers,
/// forward and in training.
fn check(y: &Symbol, batch: usize, least: [usize; 2]) {
    let y = &lower(std::slice::from_ref(y), Mode::Train).unwrap().outputs[0];
    let case = Case::new(y, batch);
    let nodes = graph::topological(std::slice::from_ref(y));
    let kinked = nodes
        .iter()
        .any(|s| matches!(s.op(), Op::Unary(u) if u.kind == UnaryKind::Relu));
    let tolerance = if kinked { KINKED } else { SMOOTH };
    let real = Level::available()
        .into_iter()
        .filter(|level| *level == Level::Amx);
    for level in real.chain([Level::AmxEmulated]) {
        let engine = |threads| Engine::with_isa(threads, level);
        for (request, least) in [&case.forward, &case.training].into_iter().zip(least) {
            let medium = |threads| case.run(&engine(threads).with_precision(Precision::Medium), request);
            let (first, short) = medium(1);
            // The real unit leaves small products to f32.
            assert!(short >= least || level == Level::Amx, "{short} values are short");
            for threads in [2, 3] {
                assert!(
                    medium(threads).0 == first,
                    "{level}: {threads} threads give other bits"
                );
            }
            let want = case.exact(request);
            assert_eq!(first.len(), want.len());
            let error = error(&first, &want);
            assert!(error < tolerance, "{level}: an error of {error} in {y:?}");
            assert_eq!(case.run(&engine(1).with_precision(Precision::High), request).1, 0);
        }
    }
}

#[test]
fn convolutions_relu_and_pooling() {
    let a = relu(&conv(&image(16, 14, 3), 32, 3, 1));
    let b = relu(&conv(&a, 34, 3, 1));
    let c = relu(&conv(&pool(&b, PoolKind::Max, 2, 2), 32, 3, 1));
    check(&pool(&conv(&c, 18, 3, 2), PoolKind::Max, 2, 2), 3, [5, 12]);
}

#[test]
fn overlapping_and_other_pooling() {
    let a = relu(&conv(&image(15, 15, 16), 32, 3, 1));
    let b = conv(&pool(&a, PoolKind::Max, 3, 2), 16, 3, 1);
    let kind = PoolKind::Average { count_padding: false };
    check(&conv(&pool(&b, kind, 2, 2), 16, 1, 1), 2, [2, 1]);
}

#[test]
fn batch_norm_and_residuals() {
    let a = relu(&batch_norm(&conv(&image(12, 12, 16), 32, 3, 1)));
    let b = relu(&batch_norm(&conv(&a, 32, 3, 1)));
    let c = batch_norm(&conv(&b, 32, 3, 1)).add(&a).unwrap();
    check(&conv(&relu(&c), 16, 3, 2), 4, [6, 15]);
}

#[test]
fn concat_and_back() {
    let a = relu(&conv(&image(12, 10, 16), 32, 3, 1));
    let b = relu(&conv(&a, 16, 1, 1));
    check(&conv(&concat(&a, &b), 20, 3, 1), 2, [3, 9]);
    // Odd channels: all of a concatenation are f32 then.
    let odd = relu(&conv(&a, 17, 1, 1));
    check(&conv(&concat(&a, &odd), 20, 3, 1), 2, [0, 3]);
}

#[test]
fn transposed_convolution() {
    let a = relu(&conv(&image(8, 9, 16), 32, 3, 1));
    let weights = parameter(&[2, 2, 16, 32]);
    let up = Conv2dTransposed {
        conv: Conv2d {
            window: window(2, 0),
            groups: 1,
        },
        output_padding: [0, 0],
    };
    let like = Symbol::input("like", [16, 18, 16]);
    let up = Symbol::apply(up, &[&a, &weights, &like]).unwrap();
    check(&conv(&relu(&up), 16, 3, 1), 2, [3, 7]);
}

#[test]
fn functions_between_convolutions() {
    let a = conv(&image(9, 9, 16), 32, 3, 1).unary(UnaryKind::Tanh).unwrap();
    let b = conv(&a, 32, 3, 1).unary(UnaryKind::Sigmoid).unwrap();
    let c = b.mul(&a).unwrap().unary(UnaryKind::Gelu).unwrap();
    check(&conv(&c, 16, 3, 1), 3, [4, 11]);
}

/// One sample alone goes by rows of its image, in pieces.
#[test]
fn one_sample() {
    let a = relu(&conv(&image(40, 36, 3), 32, 3, 1));
    let b = relu(&conv(&pool(&a, PoolKind::Max, 2, 2), 32, 3, 1));
    let c = conv(&concat(&b, &relu(&conv(&b, 32, 3, 1))), 32, 3, 1);
    check(&conv(&c.add(&b).unwrap(), 16, 1, 1), 1, [6, 13]);
}

/// A loss is computed in f32: neither what is compared with a target, nor their difference, nor what is made of it.
#[test]
fn differences_from_a_target() {
    let a = relu(&conv(&image(12, 10, 16), 32, 3, 1));
    let b = conv(&a, 16, 3, 1);
    let difference = b.sub(&Symbol::input("target", b.shape().clone())).unwrap();
    let bent = difference.unary(UnaryKind::Tanh).unwrap();
    for of in [difference, bent] {
        let loss = of.mul(&of).unwrap().mean().unwrap();
        let case = Case::new(&loss, 2);
        let engine = Engine::with_isa(1, Level::AmxEmulated).with_precision(Precision::Medium);
        assert_eq!(case.run(&engine, &case.forward).1, 1);
        // What the first layer gave, its gradient, and that behind the ReLU's slope; not that of the second layer.
        assert_eq!(case.run(&engine, &case.training).1, 3);
    }
}

/// A first layer's bias meets no input: it rides in the convolution.
#[test]
fn a_bias_behind_the_first_layer() {
    let a = conv(&image(12, 10, 16), 32, 3, 1).add(&parameter(&[32])).unwrap();
    check(&conv(&a, 16, 3, 1), 2, [1, 1]);
}

/// More weights than partial results are kept of: both operands are laid for all samples first.
#[test]
fn many_weights() {
    let a = relu(&conv(&image(5, 5, 32), 160, 3, 1));
    check(&conv(&relu(&conv(&a, 160, 3, 1)), 16, 1, 1), 9, [2, 6]);
}

/// A first layer's gradient is summed in f32, from lines of its own.
#[test]
fn large_images_in_bands() {
    let a = relu(&batch_norm(&conv(&image(120, 72, 3), 32, 3, 1)));
    let b = relu(&batch_norm(&conv(&a, 32, 3, 1)));
    check(&conv(&b, 16, 3, 2), 2, [4, 8]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn any_geometry(
        rows in 5usize..14, columns in 5usize..14, batch in 1usize..5,
        channels in prop::collection::vec(16usize..40, 3),
        first in (1usize..4, 1usize..3), second in (1usize..4, 1usize..3),
    ) {
        let a = conv(&image(rows, columns, channels[0]), channels[1], 3, 1).unary(UnaryKind::Tanh).unwrap();
        let b = conv(&a, channels[2], first.0, first.1).unary(UnaryKind::Sigmoid).unwrap();
        check(&conv(&b, 16, second.0, second.1), batch, [0, 0]);
    }
}

/// Infinities and NaN go where they go in f32, numbers that are large or tiny as a whole are multiplied.
#[test]
fn numbers_that_do_not_split() {
    let y = conv(
        &relu(&conv(&conv(&image(9, 9, 16), 32, 3, 1), 32, 3, 1)),
        16,
        3,
        1,
    );
    let nodes = graph::topological(std::slice::from_ref(&y));
    let weights: Vec<Symbol> = nodes.into_iter().filter(|s| s.as_parameter().is_some()).collect();
    let named: Vec<(String, Symbol)> = weights
        .iter()
        .map(|s| (format!("p{}", s.id()), s.clone()))
        .collect();
    let mut parameters = Parameters::new(&named);
    for (symbol, (name, _)) in weights.iter().zip(&named) {
        let positive: Vec<f32> = numbers(symbol.shape().elements(), 5)
            .iter()
            .map(|x| x.abs() + 0.1)
            .collect();
        parameters.set(name, &positive).unwrap();
    }
    let mut run = |level: Level, precision: Precision, x: &[f32]| {
        let engine = Engine::with_isa(1, level).with_precision(precision);
        let request = Request::outputs(std::slice::from_ref(&y));
        let binding = Binding::batch(2);
        let mut program = Program::compile(&engine, &request, parameters.layout(), &binding).unwrap();
        program.set_input("x", x).unwrap();
        program.run(&mut parameters, 0).unwrap();
        (program.output(0).to_vec(), program.short_values())
    };
    let real = Level::available()
        .into_iter()
        .filter(|level| *level == Level::Amx);
    for level in real.chain([Level::AmxEmulated]) {
        for (at, x, scale) in [
            (40, f32::INFINITY, 1.0),
            (40, f32::NAN, 1.0),
            (700, f32::NEG_INFINITY, 1.0),
            (0, 1.0, 1e20),
            (0, 1.0, 1e-30),
        ] {
            let mut image: Vec<f32> = numbers(2 * 9 * 9 * 16, 9).iter().map(|v| v * scale).collect();
            image[at] = x * scale;
            let (want, none) = run(level, Precision::Highest, &image);
            let (got, short) = run(level, Precision::Medium, &image);
            assert!(none == 0 && short >= 2);
            let largest = want
                .iter()
                .filter(|v| v.is_finite())
                .fold(0.0f32, |m, v| m.max(v.abs()));
            for (want, got) in want.iter().zip(&got) {
                let alike = match want.is_finite() {
                    true => (want - got).abs() <= 0.05 * largest,
                    false => want.is_nan() == got.is_nan() && (want.is_nan() || want == got),
                };
                assert!(alike, "{level}: {x} at {at}, scale {scale}: {got} for {want}");
            }
        }
    }
}
