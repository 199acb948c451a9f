//! Tiny requests run as lane programs: which ones, and that they are right.

#![allow(clippy::unwrap_used)]

mod common;

use common::{check, check_with, numbers};
use graph::ops::{
    BinaryKind, Conv2d, CrossEntropy, CrossEntropyTargets, LogSoftmax, Slice, Softmax, UnaryKind, Window,
};
use graph::{Binding, Symbol, differentiate};
use graticule_engine::{Engine, Layout, Program, Request};
use proptest::prelude::*;

fn parameter(shape: &[usize]) -> Symbol {
    Symbol::parameter("weight", graph::Shape::new(shape), Default::default())
}

/// A multi-layer perceptron with these layers' widths.
fn mlp(widths: &[usize], activation: UnaryKind) -> Symbol {
    let mut x = Symbol::input("x", [widths[0]]);
    for (k, pair) in widths.windows(2).enumerate() {
        if k > 0 {
            x = x.unary(activation).unwrap();
        }
        x = x.matmul(&parameter(pair)).unwrap();
        x = x.add(&parameter(&pair[1..])).unwrap();
    }
    x
}

fn program(engine: &Engine, request: &Request, batch: usize) -> Program {
    let parameters: Vec<(String, Symbol)> = request
        .gradients
        .iter()
        .enumerate()
        .map(|(k, (p, _))| (format!("p{k}"), p.clone()))
        .collect();
    Program::compile(engine, request, &Layout::new(&parameters), &Binding::batch(batch)).unwrap()
}

/// Loss and gradients of all parameters.
fn training(loss: Symbol) -> Request {
    let nodes = graph::topological(std::slice::from_ref(&loss));
    let trainable: Vec<Symbol> = nodes.into_iter().filter(|s| s.as_parameter().is_some()).collect();
    let gradients = differentiate(&loss, &trainable).unwrap();
    Request {
        outputs: vec![loss],
        gradients: trainable.into_iter().zip(gradients).collect(),
        ..Request::default()
    }
}

fn squared_error(y: &Symbol) -> Symbol {
    let t = Symbol::input("t", graph::Shape::new(&y.shape()[1..]));
    let d = y.sub(&t).unwrap();
    d.unary(UnaryKind::Square).unwrap().mean().unwrap()
}

/// −Σ ln softmax of the target's class over Σ weights, as losses write it.
fn class_loss(z: &Symbol, op: CrossEntropy, target: &Symbol) -> Symbol {
    let classes = z.shape().last_axis();
    let weights = Symbol::constants(
        numbers(classes, 5).iter().map(|w| w.abs() + 0.5).collect(),
        [classes],
    );
    let sums = Symbol::apply(op, &[z, target, &weights]).unwrap();
    let part = |start| {
        let slice = Slice {
            axis: 0,
            start,
            length: 1,
            step: 1,
        };
        Symbol::apply(slice, &[&sums]).unwrap().reshape(&[]).unwrap()
    };
    part(0).div(&part(1)).unwrap()
}

#[test]
fn tiny_training_takes_lanes_and_all_else_the_plan() {
    let engine = Engine::new(1);
    let in_lanes = |loss: Symbol, batch| program(&engine, &training(loss), batch).in_lanes();
    let tiny = || squared_error(&mlp(&[2, 4, 4, 1], UnaryKind::Tanh));
    assert!(in_lanes(tiny(), 10));
    assert!(in_lanes(tiny(), 1));
    assert!(in_lanes(tiny(), 64));
    assert!(!in_lanes(tiny(), 65), "more samples than lane programs take");
    let wide = squared_error(&mlp(&[784, 256, 10], UnaryKind::Relu));
    assert!(!in_lanes(wide, 32), "too much work");
    let image = Symbol::input("x", [4, 4, 1]);
    let window = Window::default();
    let convolved =
        Symbol::apply(Conv2d { window, groups: 1 }, &[&image, &parameter(&[3, 3, 1, 2])]).unwrap();
    assert!(!in_lanes(squared_error(&convolved), 2), "a convolution");
    let request = training(tiny());
    assert!(!program(&engine.clone().without_lanes(), &request, 10).in_lanes());
    let inference = Request::outputs(&[Symbol::input("x", [3]).unary(UnaryKind::Exp).unwrap()]);
    assert!(program(&engine, &inference, 3).in_lanes());
}

#[test]
fn a_lane_program_reports_its_parts() {
    let engine = Engine::new(1);
    let request = training(squared_error(&mlp(&[2, 4, 4, 1], UnaryKind::Tanh)));
    let tiny = program(&engine, &request, 10);
    let plan = program(&engine.without_lanes(), &request, 10);
    assert_eq!(tiny.cost().macs, plan.cost().macs);
    assert_eq!(tiny.cost().macs, 10 * (3 * (8 + 16 + 4) - 8));
    assert_eq!(tiny.size().1, 1);
    assert_eq!(tiny.batch(), 10);
    assert_eq!(tiny.output_shape(0), plan.output_shape(0));
}

#[test]
fn bias_activation_and_their_gradients_join_the_dense_layers() {
    let request = training(squared_error(&mlp(&[2, 4, 4, 1], UnaryKind::Tanh)));
    let instructions = program(&Engine::new(1), &request, 10).size().0;
    // Three layers forward, difference, mean square and its slope, three gradients of weights and two of
    // inputs.
    assert_eq!(instructions, 3 + 3 + 5);
    for kind in [
        UnaryKind::Tanh,
        UnaryKind::Relu,
        UnaryKind::Sigmoid,
        UnaryKind::LeakyRelu(0.2),
    ] {
        for (widths, batch) in [([3, 9, 5, 1], 10), ([1, 6, 1, 2], 16), ([2, 1, 13, 4], 33)] {
            assert!(check(&squared_error(&mlp(&widths, kind)), batch));
        }
    }
}

/// Values between joined instructions can be asked for, and a bias may be any row of numbers.
#[test]
fn values_in_between_are_kept_where_somebody_reads_them() {
    let x = Symbol::input("x", [3]);
    let (w, b) = (parameter(&[3, 4]), parameter(&[4]));
    let product = x.matmul(&w).unwrap();
    let sum = b.add(&product).unwrap();
    let y = sum.unary(UnaryKind::Tanh).unwrap();
    let loss = squared_error(&y.mul(&product).unwrap());
    let mut request = training(loss);
    request.outputs.extend([product, sum, y.clone()]);
    let bias = request
        .gradients
        .iter()
        .position(|(p, _)| *p.shape() == *b.shape())
        .unwrap();
    let repeated = request.gradients[bias].1.clone();
    request.outputs.push(repeated.unary(UnaryKind::Square).unwrap());
    let run = |engine: Engine| {
        let named = [("w".to_string(), w.clone()), ("b".to_string(), b.clone())];
        let mut parameters = graticule_engine::Parameters::new(&named);
        parameters.set("w", &numbers(12, 1)).unwrap();
        parameters.set("b", &numbers(4, 2)).unwrap();
        let mut program =
            Program::compile(&engine, &request, parameters.layout(), &Binding::batch(6)).unwrap();
        program.set_input("x", &numbers(18, 3)).unwrap();
        program.set_input("t", &numbers(24, 4)).unwrap();
        program.run(&mut parameters, 0).unwrap();
        let outputs = (0..request.outputs.len()).flat_map(|k| program.output(k).to_vec());
        let all: Vec<f32> = outputs.chain(program.gradients().to_vec()).collect();
        (program.in_lanes(), all)
    };
    let (lanes, found) = run(Engine::new(1));
    let (planned, expected) = run(Engine::new(1).without_lanes());
    assert!(lanes && !planned && found.len() == expected.len());
    for (k, (f, e)) in found.iter().zip(&expected).enumerate() {
        assert!(
            (f - e).abs() <= 1e-5 * e.abs().max(1.0),
            "number {k}: {f}, without lanes {e}"
        );
    }
}

#[test]
fn gradients_leave_the_padding_zero() {
    let request = training(squared_error(&mlp(&[3, 5, 2], UnaryKind::Sigmoid)));
    let layout = {
        let named = request.gradients.iter().enumerate();
        let named: Vec<_> = named.map(|(k, (p, _))| (format!("p{k}"), p.clone())).collect();
        Layout::new(&named)
    };
    let named: Vec<_> = layout.entries().to_vec();
    let mut parameters = {
        let pairs = request.gradients.iter().enumerate();
        let pairs: Vec<_> = pairs.map(|(k, (p, _))| (format!("p{k}"), p.clone())).collect();
        graticule_engine::Parameters::new(&pairs)
    };
    for (k, entry) in named.iter().enumerate() {
        parameters
            .set(&entry.name, &numbers(entry.elements(), k as u64 + 1))
            .unwrap();
    }
    let mut program =
        Program::compile(&Engine::new(1), &request, parameters.layout(), &Binding::batch(7)).unwrap();
    program.set_input("x", &numbers(21, 8)).unwrap();
    program.set_input("t", &numbers(14, 9)).unwrap();
    program.run(&mut parameters, 0).unwrap();
    let mut padding = program.gradients().to_vec();
    for entry in &named {
        padding[entry.offset..entry.offset + entry.elements()].fill(0.0);
    }
    assert!(program.in_lanes() && padding.iter().all(|&g| g == 0.0));
}

/// Class indices that fit, and one that does not count.
fn classes(count: usize, of: usize) -> Vec<f32> {
    (0..count)
        .map(|k| {
            if k % 7 == 5 {
                -1.0
            } else {
                ((k * 5 + 1) % of) as f32
            }
        })
        .collect()
}

#[test]
fn cross_entropy_of_indices() {
    for (batch, of, label_smoothing, ignore_index) in
        [(10, 3, 0.0, None), (17, 4, 0.1, Some(2)), (1, 2, 0.3, None)]
    {
        let targets = CrossEntropyTargets::Indices;
        let op = CrossEntropy {
            label_smoothing,
            ignore_index,
            targets,
        };
        let t = Symbol::input("t", []);
        let loss = class_loss(&mlp(&[2, 6, of], UnaryKind::Relu), op, &t);
        let tiny = check_with(&loss, batch, 2e-5, |s, count| match s.as_input() {
            Some(input) if input.name == "t" => classes(count, of),
            _ => numbers(count, s.id()),
        });
        assert!(tiny);
    }
}

#[test]
fn softmax_and_its_kin() {
    for batch in [3, 16, 20] {
        let z = mlp(&[3, 5], UnaryKind::Tanh);
        assert!(check(&Symbol::apply(Softmax {}, &[&z]).unwrap(), batch));
        assert!(check(&Symbol::apply(LogSoftmax {}, &[&z]).unwrap(), batch));
    }
}

#[test]
fn every_function_and_pair_in_lanes() {
    use UnaryKind as K;
    let kinds = [
        K::Relu,
        K::LeakyRelu(0.1),
        K::Elu(1.0),
        K::Relu6,
        K::Sigmoid,
        K::Tanh,
        K::Gelu,
        K::Silu,
        K::Softplus,
        K::Exp,
        K::Square,
        K::Abs,
    ];
    for kind in kinds {
        assert!(check(&mlp(&[2, 3], K::Relu).unary(kind).unwrap(), 18));
    }
    use BinaryKind as B;
    for kind in [B::Add, B::Subtract, B::Multiply, B::Maximum, B::Minimum] {
        let (a, b) = (mlp(&[2, 3], K::Relu), Symbol::input("b", [3]));
        let pair = graph::ops::Binary { kind };
        assert!(check(&Symbol::apply(pair, &[&a, &b]).unwrap(), 5));
        // A number per feature, and one for all.
        assert!(check(&Symbol::apply(pair, &[&a, &parameter(&[3])]).unwrap(), 5));
        assert!(check(&Symbol::apply(pair, &[&a, &parameter(&[])]).unwrap(), 5));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn small_perceptrons(
        widths in prop::collection::vec(1usize..20, 2..5),
        batch in 1usize..40,
        activation in 0usize..4,
    ) {
        let kind = [UnaryKind::Tanh, UnaryKind::Relu, UnaryKind::Sigmoid, UnaryKind::Softplus][activation];
        let y = mlp(&widths, kind);
        // The widest of them are too much work for lanes.
        let small = widths.iter().all(|&w| w < 12);
        prop_assert!(check(&y, batch) || !small);
        prop_assert!(check(&squared_error(&y), batch) || !small);
    }

    #[test]
    fn small_classifiers(inner in 1usize..12, of in 2usize..9, batch in 1usize..40, smooth in 0f32..0.5) {
        let targets = CrossEntropyTargets::Probabilities;
        let op = CrossEntropy { label_smoothing: smooth, ignore_index: None, targets };
        let z = mlp(&[4, inner, of], UnaryKind::Tanh);
        // Probabilities have no gradient, so they are a constant row here.
        let t = Symbol::constants(vec![1.0 / of as f32; of], [1, of]);
        let t = t.broadcast_like(&z).unwrap();
        prop_assert!(check(&class_loss(&z, op, &t), batch));
    }
}
