//! What becomes one pass over memory, what must not, and that neither changes a number.

#![allow(clippy::unwrap_used)]

mod common;

use common::{check, check_with, numbers};
use graph::interpret::evaluate;
use graph::ndarray::{ArrayD, IxDyn};
use graph::ops::{
    Axis, BatchNorm, Conv2d, CrossEntropy, CrossEntropyTargets, ReduceKind, Slice, UnaryKind, Window,
};
use graph::{Binding, Mode, Shape, Symbol, differentiate, lower};
use graticule_engine::{Engine, Parameters, Program, Request};
use proptest::prelude::*;

fn parameter(shape: &[usize]) -> Symbol {
    Symbol::parameter("p", Shape::new(shape), Default::default())
}

fn batch_norm(x: &Symbol) -> Symbol {
    let c = x.shape().last_axis();
    let norm = BatchNorm {
        epsilon: 1e-3,
        momentum: 0.25,
        frozen: false,
    };
    let own: Vec<Symbol> = (0..4).map(|_| parameter(&[c])).collect();
    let y = Symbol::apply(norm, &[x, &own[0], &own[1], &own[2], &own[3]]).unwrap();
    lower(&[y], Mode::Train).unwrap().outputs.remove(0)
}

fn conv(x: &Symbol, outputs: usize) -> Symbol {
    let op = Conv2d {
        window: Window::default(),
        groups: 1,
    };
    Symbol::apply(op, &[x, &parameter(&[1, 1, x.shape().last_axis(), outputs])]).unwrap()
}

fn relu(x: &Symbol) -> Symbol {
    x.unary(UnaryKind::Relu).unwrap()
}

/// Number of steps of a program that computes these values.
fn steps(outputs: &[Symbol], batch: usize) -> usize {
    step_names(outputs, batch).len()
}

/// Names of the steps of a program that computes these values.
fn step_names(outputs: &[Symbol], batch: usize) -> Vec<&'static str> {
    let nodes = graph::topological(outputs);
    let is_parameter = |s: &&Symbol| s.as_parameter().is_some();
    let named: Vec<(String, Symbol)> = nodes
        .iter()
        .filter(is_parameter)
        .map(|s| (format!("p{}", s.id()), s.clone()))
        .collect();
    let mut parameters = Parameters::new(&named);
    let (engine, request) = (Engine::new(1).without_lanes(), Request::outputs(outputs));
    let program = Program::compile(&engine, &request, parameters.layout(), &Binding::batch(batch));
    let steps = program.unwrap().profile(&mut parameters, 0).unwrap();
    steps.iter().map(|step| step.op).collect()
}

/// Steps of a value and of the gradients of its sum, with respect to `x`.
fn training_steps(y: &Symbol, x: &Symbol, batch: usize) -> usize {
    let weighted = y.mul(&Symbol::constants(
        numbers(y.shape().elements(), 3),
        y.shape().clone(),
    ));
    let gradients = differentiate(&weighted.unwrap().sum().unwrap(), std::slice::from_ref(x)).unwrap();
    steps(&[vec![y.clone()], gradients].concat(), batch)
}

/// Positive variances and not too small ones, so that f32 keeps its digits.
fn fill(symbol: &Symbol, count: usize) -> Vec<f32> {
    numbers(count, symbol.id())
}

#[test]
fn a_chain_of_element_wise_ops_is_one_step() {
    let x = Symbol::input("x", [5, 7]);
    let y = x.mul(&parameter(&[7])).unwrap().add(&x).unwrap();
    let y = y.unary(UnaryKind::Tanh).unwrap().affine(2.0, 1.0).unwrap();
    assert_eq!(steps(std::slice::from_ref(&y), 3), 1);
    check(&y, 3);
}

#[test]
fn a_value_with_two_readers_or_that_is_wanted_is_made_once() {
    let x = Symbol::input("x", [5, 7]);
    let middle = x.unary(UnaryKind::Exp).unwrap();
    let sum = middle.reduce(ReduceKind::Max, &[1, 2]).unwrap();
    let y = middle.affine(2.0, 1.0).unwrap();
    assert_eq!(steps(&[sum, y.clone()], 3), 3);
    assert_eq!(steps(&[middle.clone(), y.clone()], 3), 2);
    assert_eq!(steps(&[y], 3), 1);
}

#[test]
fn a_value_that_is_both_operands_goes_in_once() {
    let x = Symbol::input("x", [4, 3]).unary(UnaryKind::Sigmoid).unwrap();
    let y = x.mul(&x).unwrap();
    assert_eq!(steps(std::slice::from_ref(&y), 5), 1);
    check(&y, 5);
}

#[test]
fn a_reshape_between_keeps_ops_apart() {
    let x = Symbol::input("x", [4, 6]).unary(UnaryKind::Exp).unwrap();
    let y = x
        .reshape(&[Axis::Keep(0), Axis::Length(6), Axis::Length(4)])
        .unwrap();
    let y = y.mul(&parameter(&[4])).unwrap();
    check(&y, 5);
}

#[test]
fn sums_take_in_what_they_add_up() {
    let x = Symbol::input("x", [9, 5]);
    let y = x.mul(&parameter(&[5])).unwrap().unary(UnaryKind::Square).unwrap();
    assert_eq!(steps(&[y.mean().unwrap()], 4), 1);
    check(&y.mean().unwrap(), 4);
    check(&y.reduce(ReduceKind::Sum, &[0, 1]).unwrap(), 4);
    // One number a sample is no sum over samples.
    check(&y.reduce(ReduceKind::Mean, &[1, 2]).unwrap(), 4);
    check(&y.reduce(ReduceKind::Sum, &[1]).unwrap(), 1);
}

#[test]
fn batch_norm_and_relu_are_one_step_forward_and_two_back() {
    let x = Symbol::input("x", [6, 6, 5]);
    let y = relu(&batch_norm(&x));
    // Moments, normalised and cut.
    assert_eq!(steps(std::slice::from_ref(&y), 4), 2);
    // The sums and the input gradient, each through the slope; the broadcast weights are made once more.
    let z = batch_norm(&x);
    assert_eq!(training_steps(&y, &x, 4), training_steps(&z, &x, 4));
    check_with(&y, 4, 4e-5, fill);
}

#[test]
fn a_residual_block_ends_in_one_step() {
    let x = Symbol::input("x", [5, 5, 6]);
    let y = relu(&batch_norm(&conv(&x, 6)).add(&x).unwrap());
    // Packed weights, convolution, moments, and the rest.
    assert_eq!(steps(std::slice::from_ref(&y), 4), 4);
    check_with(&y, 4, 1e-4, fill);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn blocks_of_any_size(batch in 2usize..19, h in 1usize..8, c in 1usize..50, kind in 0usize..5) {
        let kind = [UnaryKind::Relu, UnaryKind::LeakyRelu(0.1), UnaryKind::Relu6, UnaryKind::Tanh, UnaryKind::Silu][kind];
        let x = Symbol::input("x", [h, h, c]);
        let first = batch_norm(&conv(&x, c)).unary(kind).unwrap();
        let shortcut = batch_norm(&conv(&x, c));
        let second = batch_norm(&conv(&first, c)).add(&shortcut).unwrap().unary(kind).unwrap();
        check_with(&second, batch, 4e-4, fill);
    }

    #[test]
    fn chains_of_any_size(batch in 1usize..20, h in 1usize..9, c in 1usize..300) {
        let x = Symbol::input("x", [h, c]);
        let (scale, shift) = (parameter(&[c]), parameter(&[1]));
        let y = x.mul(&scale).unwrap().sub(&shift).unwrap().unary(UnaryKind::LeakyRelu(0.2)).unwrap();
        let y = y.maximum(&x.affine(0.5, 0.1).unwrap()).unwrap().unary(UnaryKind::Sigmoid).unwrap();
        check(&y, batch);
    }
}

#[test]
fn a_channel_count_equal_to_the_batch_confuses_nothing() {
    for c in [2, 4] {
        let x = Symbol::input("x", [3, c]);
        check_with(&relu(&batch_norm(&x)), c, 1e-4, fill);
        let rows = x.mul(&parameter(&[c])).unwrap().add(&parameter(&[1, c])).unwrap();
        check(&rows, c);
    }
}

#[test]
fn numbers_that_are_none_stay_visible() {
    let x = Symbol::input("x", [3]);
    let y = relu(&x.mul(&parameter(&[3])).unwrap().add(&x).unwrap());
    let parameters_of = graph::topological(std::slice::from_ref(&y));
    let p = parameters_of.iter().find(|s| s.as_parameter().is_some()).unwrap();
    let mut parameters = Parameters::new(&[("p".into(), p.clone())]);
    parameters.set("p", &[1.0, 1.0, 1.0]).unwrap();
    let request = Request::outputs(std::slice::from_ref(&y));
    let mut program = Program::compile(
        &Engine::new(1).without_lanes(),
        &request,
        parameters.layout(),
        &Binding::batch(1),
    )
    .unwrap();
    program
        .set_input("x", &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY])
        .unwrap();
    program.run(&mut parameters, 0).unwrap();
    let got = program.output(0);
    assert!(
        got[0].is_nan() && got[1] == f32::INFINITY && got[2] == 0.0,
        "{got:?}"
    );
}

#[test]
fn an_activation_is_made_again_from_what_the_way_back_reads_anyway() {
    let x = Symbol::input("x", [6, 6, 16]);
    let first = conv(&x, 16);
    let through = |y: &Symbol| {
        let w = parameter(&[1, 1, 16, 16]);
        let op = Conv2d {
            window: Window::default(),
            groups: 1,
        };
        let z = Symbol::apply(op, &[y, &w]).unwrap();
        (batch_norm(&z), w)
    };
    let y = relu(&batch_norm(&first));
    let (z, w) = through(&y);
    let loss = z.unary(UnaryKind::Square).unwrap().sum().unwrap();
    let leaf = first.inputs()[1].clone();
    // With the gradient of the first weights the way back reads the first batch norm's x.
    let only_second = differentiate(&loss, std::slice::from_ref(&w)).unwrap();
    let both = differentiate(&loss, &[leaf, w.clone()]).unwrap();
    let (short, long) = (step_names(&only_second, 4), step_names(&both, 4));
    let count = |names: &[&str], name: &str| names.iter().filter(|n| **n == name).count();
    assert_eq!(count(&long, "normalize"), count(&short, "normalize") + 1);
    // An activation that is wanted is kept.
    let kept = step_names(&[both, vec![y.clone()]].concat(), 4);
    assert_eq!(count(&kept, "normalize"), count(&short, "normalize"));
    check_with(&through(&y).0, 4, 1e-4, fill);
}

/// Σ loss / Σ weight, as a loss says it.
fn mean_cross_entropy(logits: &Symbol, targets: &Symbol, op: CrossEntropy, weights: &Symbol) -> Symbol {
    let sums = Symbol::apply(op, &[logits, targets, weights]).unwrap();
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

/// A softmax regression's loss and gradient, and the number of its steps, for `threads`.
fn regression(
    op: CrossEntropy,
    weights: &[f32],
    labels: &[f32],
    threads: usize,
) -> (f32, Vec<f32>, usize, f64, Vec<f64>) {
    let (x, w) = (Symbol::input("x", [4]), parameter(&[4, weights.len()]));
    let targets = Symbol::input("y", []);
    let logits = x.matmul(&w).unwrap();
    let constants = Symbol::constants(weights.to_vec(), [weights.len()]);
    let loss = mean_cross_entropy(&logits, &targets, op, &constants);
    let gradient = differentiate(&loss, std::slice::from_ref(&w)).unwrap().remove(0);
    let mut parameters = Parameters::new(&[("w".into(), w.clone())]);
    let (ws, xs) = (numbers(4 * weights.len(), 1), numbers(4 * labels.len(), 2));
    parameters.set("w", &ws).unwrap();
    let request = Request {
        outputs: vec![loss.clone()],
        gradients: vec![(w.clone(), gradient.clone())],
        ..Request::default()
    };
    let (engine, batch) = (Engine::new(threads).without_lanes(), labels.len());
    let mut program =
        Program::compile(&engine, &request, parameters.layout(), &Binding::batch(batch)).unwrap();
    program.set_input("x", &xs).unwrap();
    program.set_input("y", labels).unwrap();
    program.run(&mut parameters, 0).unwrap();
    let array = |values: &[f32], shape: &[usize]| {
        let values = values.iter().map(|&v| f64::from(v)).collect();
        ArrayD::from_shape_vec(IxDyn(shape), values).unwrap()
    };
    let leaves = [
        (&x, array(&xs, &[batch, 4])),
        (&w, array(&ws, &[4, weights.len()])),
        (&targets, array(labels, &[batch])),
    ];
    let exact = evaluate(&[loss, gradient], &leaves, batch).unwrap();
    (
        program.output(0)[0],
        program.gradients()[..4 * weights.len()].to_vec(),
        program.size().0,
        exact[0][[]],
        exact[1].iter().copied().collect(),
    )
}

#[test]
fn a_cross_entropy_is_one_step_each_way_whatever_counts() {
    let plain = CrossEntropy {
        label_smoothing: 0.0,
        ignore_index: None,
        targets: CrossEntropyTargets::Indices,
    };
    let smooth = CrossEntropy {
        label_smoothing: 0.1,
        ignore_index: Some(2),
        ..plain
    };
    let labels: Vec<f32> = (0..37).map(|i| (i * i % 3) as f32).collect();
    // More labels than are counted in one piece, and labels that are none.
    let many: Vec<f32> = (0..5000).map(|i| (i * i % 5) as f32 - 1.0).collect();
    for (op, weights) in [(plain, [1.0; 3]), (smooth, [0.5, 2.0, 3.0])] {
        for labels in [&labels, &many] {
            let (loss, gradient, steps, exact, slopes) = regression(op, &weights, labels, 1);
            // Scores, weight of the labels, loss, gradient of the scores, gradient of the weights; packing.
            assert_eq!(steps, 6);
            assert!((f64::from(loss) - exact).abs() < 1e-5, "{loss} {exact}");
            for (got, want) in gradient.iter().zip(&slopes) {
                assert!((f64::from(*got) - want).abs() < 1e-5, "{got} {want}");
            }
            for threads in [2, 3] {
                let other = regression(op, &weights, labels, threads);
                assert!(loss == other.0 && gradient == other.1);
            }
        }
    }
    // Where nothing counts the loss is 0 and so is its gradient.
    let (loss, gradient, ..) = regression(smooth, &[1.0; 3], &[2.0; 9], 1);
    assert!(loss == 0.0 && gradient.iter().all(|g| *g == 0.0));
}

#[test]
fn a_cross_entropy_that_is_read_otherwise_keeps_its_two_numbers() {
    let op = CrossEntropy {
        label_smoothing: 0.0,
        ignore_index: None,
        targets: CrossEntropyTargets::Probabilities,
    };
    let logits = Symbol::input("x", [4]);
    let weights = Symbol::constant(1.0, [4]);
    let sums = Symbol::apply(
        op,
        &[&logits, &logits.unary(UnaryKind::Square).unwrap(), &weights],
    )
    .unwrap();
    assert_eq!(steps(&[sums.sum().unwrap()], 5), 3);
}
