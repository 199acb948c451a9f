//! Normalisations, softmax, cross-entropy, embedding and dropout on every instruction set against their references.

#![allow(clippy::unwrap_used)]

mod common;

use common::{check, check_with, numbers};
use graph::ops::{
    BatchNorm, CrossEntropy, CrossEntropyTargets, Dropout, Gather, LayerNorm, LocalResponseNorm, LogSoftmax,
    Softmax, UnaryKind,
};
use graph::{Binding, Mode, Shape, Symbol, differentiate, lower};
use graticule_engine::{Engine, Parameters, Program, Request};
use proptest::prelude::*;

fn parameter(shape: &[usize]) -> Symbol {
    Symbol::parameter("p", Shape::new(shape), Default::default())
}

/// A batch norm with its parameters.
fn batch_norm(x: &Symbol, frozen: bool) -> Symbol {
    let c = x.shape().last_axis();
    let norm = BatchNorm {
        epsilon: 1e-3,
        momentum: 0.25,
        frozen,
    };
    let (gamma, beta) = (parameter(&[c]), parameter(&[c]));
    let [mean, variance] = ["running_mean", "running_var"].map(|n| Symbol::state(n, [c], Default::default()));
    Symbol::apply(norm, &[x, &gamma, &beta, &mean, &variance]).unwrap()
}

/// Numbers for a leaf: variances are positive.
fn fill(s: &Symbol, count: usize) -> Vec<f32> {
    let values = numbers(count, s.id());
    match s.as_parameter() {
        Some(p) if p.role == "running_var" => values.iter().map(|v| v.abs() + 0.1).collect(),
        _ => values,
    }
}

/// Class indices that depend on a leaf, though no gradient comes back from them.
fn classes(leaf: &Symbol, k: usize) -> Symbol {
    let above = |threshold: f32| leaf.at_least(&Symbol::constant(threshold, [])).unwrap();
    [-0.3, 0.3, 0.7][..(k - 1).min(3)]
        .iter()
        .fold(above(-0.7).affine(0.0, 0.0).unwrap(), |sum, &t| {
            sum.add(&above(t)).unwrap()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn l35_batch_normalisation(batch in 2usize..20, h in 1usize..9, w in 1usize..9, c in 1usize..70, which in 0usize..3) {
        let (mode, frozen) = [(Mode::Train, false), (Mode::Train, true), (Mode::Infer, false)][which];
        let y = batch_norm(&Symbol::input("x", [h, w, c]), frozen);
        check_with(&lower(&[y], mode).unwrap().outputs[0], batch, 4e-5, fill);
    }

    #[test]
    fn batch_normalisation_of_a_dense_layer(batch in 2usize..40, c in 1usize..40) {
        let y = batch_norm(&Symbol::input("x", [c]), false);
        check_with(&lower(&[y], Mode::Train).unwrap().outputs[0], batch, 1e-4, fill);
    }

    #[test]
    fn layer_normalisation(batch in 1usize..10, t in 1usize..6, c in 2usize..70) {
        let norm = LayerNorm { epsilon: 1e-3 };
        for x in [Symbol::input("x", [t, c]), Symbol::input("x", [c])] {
            check_with(&Symbol::apply(norm, &[&x, &parameter(&[c]), &parameter(&[c])]).unwrap(), batch, 4e-5, fill);
        }
    }

    #[test]
    fn local_response_normalisation(batch in 1usize..5, w in 1usize..5, c in 1usize..40, size in 1usize..8, beta in 0usize..3) {
        let norm = LocalResponseNorm { size, alpha: 0.7, beta: [0.75, 0.5, 1.1][beta], k: 1.5 };
        check(&Symbol::apply(norm, &[&Symbol::input("x", [w, c])]).unwrap(), batch);
    }

    #[test]
    fn a9_softmax_and_its_logarithm(batch in 1usize..10, t in 1usize..4, k in 1usize..70) {
        for x in [Symbol::input("x", [t, k]), Symbol::input("x", [k])] {
            let large = |s: &Symbol, n| numbers(n, s.id()).iter().map(|v| v * 40.0).collect();
            check_with(&Symbol::apply(Softmax {}, &[&x]).unwrap(), batch, 1e-5, large);
            check_with(&Symbol::apply(LogSoftmax {}, &[&x]).unwrap(), batch, 1e-5, large);
        }
    }

    #[test]
    fn m2_cross_entropy(
        batch in 1usize..20, t in 1usize..4, k in 2usize..40, smooth: bool, ignore: bool, flat: bool, probabilities: bool,
    ) {
        let rows: &[usize] = if flat { &[] } else { &[t] };
        let logits = Symbol::input("x", [rows, &[k]].concat());
        let weights = Symbol::state("class_weights", [k], Default::default());
        let loss = CrossEntropy {
            label_smoothing: if smooth { 0.1 } else { 0.0 },
            ignore_index: ignore.then_some(1),
            targets: if probabilities { CrossEntropyTargets::Probabilities } else { CrossEntropyTargets::Indices },
        };
        let targets = if probabilities {
            Symbol::state("probabilities", [&[1], rows, &[k]].concat(), Default::default()).broadcast_like(&logits).unwrap()
        } else {
            classes(&Symbol::input("labels", rows.to_vec()), k)
        };
        check_with(&Symbol::apply(loss, &[&logits, &targets, &weights]).unwrap(), batch, 2e-5, |s, n| {
            let values = numbers(n, s.id());
            match s.as_parameter() {
                Some(_) => values.iter().map(|v| v.abs() + 0.1).collect(),
                None if s.as_input().is_some_and(|i| i.name == "x") => values.iter().map(|v| v * 8.0).collect(),
                None => values,
            }
        });
    }

    #[test]
    fn embedding(batch in 1usize..20, t in 1usize..5, v in 1usize..40, d in 1usize..20) {
        let spread = (v / 4).max(1) as f32;
        let indices = classes(&Symbol::input("x", [t]), v).affine(spread, 0.0).unwrap();
        check(&Symbol::apply(Gather {}, &[&indices, &parameter(&[v, d])]).unwrap(), batch);
    }

    #[test]
    fn l36_dropout(batch in 1usize..20, t in 1usize..6, c in 1usize..40, rate in 0.0f32..0.9) {
        for x in [Symbol::input("x", [t, c]), Symbol::input("x", [c])] {
            let y = Symbol::apply(Dropout { rate }, &[&x]).unwrap().unary(UnaryKind::Tanh).unwrap();
            let z = Symbol::apply(Dropout { rate }, &[&y]).unwrap();
            check(&lower(&[z], Mode::Train).unwrap().outputs[0], batch);
        }
    }
}

#[test]
fn a_large_mean_does_not_drown_the_variance() {
    let y = batch_norm(&Symbol::input("x", [7, 9, 5]), false);
    let y = lower(&[y], Mode::Train).unwrap().outputs.remove(0);
    // Mean 1000, deviation about 0.6: f32 itself leaves four digits of x − μ.
    check_with(&y, 16, 2e-3, |s, n| match s.as_input() {
        Some(_) => numbers(n, 5).iter().map(|v| v + 1000.0).collect(),
        None => fill(s, n),
    });
}

/// Runs `outputs` and `updates` of `lowered` once on `x`, given the states' numbers.
fn run(
    threads: usize,
    x: &[f32],
    batch: usize,
    key: u64,
    leaves: &[(&str, Symbol, Vec<f32>)],
    lowered: graph::Lowered,
) -> (Vec<f32>, Parameters) {
    let named: Vec<_> = leaves
        .iter()
        .map(|(n, s, _)| (n.to_string(), s.clone()))
        .collect();
    let mut parameters = Parameters::new(&named);
    for (name, _, values) in leaves {
        parameters.set(name, values).unwrap();
    }
    let request = Request {
        outputs: lowered.outputs,
        gradients: vec![],
        updates: lowered.updates,
        ..Request::default()
    };
    let engine = Engine::new(threads).without_lanes();
    let mut program =
        Program::compile(&engine, &request, parameters.layout(), &Binding::batch(batch)).unwrap();
    program.set_input("x", x).unwrap();
    program.run(&mut parameters, key).unwrap();
    (program.output(0).to_vec(), parameters)
}

#[test]
fn running_statistics_move_towards_the_batch() {
    let x = Symbol::input("x", [1]);
    let leaf = |name| Symbol::state(name, [1], Default::default());
    let leaves = [
        ("gamma", leaf("gamma"), vec![2.0]),
        ("beta", leaf("beta"), vec![1.0]),
        ("mean", leaf("running_mean"), vec![8.0]),
        ("variance", leaf("running_var"), vec![4.0]),
    ];
    let norm = BatchNorm {
        epsilon: 0.0,
        momentum: 0.25,
        frozen: false,
    };
    let operands: Vec<&Symbol> = std::iter::once(&x).chain(leaves.iter().map(|l| &l.1)).collect();
    let y = Symbol::apply(norm, &operands).unwrap();
    let (y, parameters) = run(
        2,
        &[2.0, 2.0, 6.0, 6.0],
        4,
        0,
        &leaves,
        lower(&[y], Mode::Train).unwrap(),
    );
    assert_eq!(y, [-1.0, -1.0, 3.0, 3.0]);
    assert_eq!(parameters.get("mean").unwrap(), [7.0]);
    let variance = parameters.get("variance").unwrap()[0];
    assert!((variance - (3.0 + 0.25 * 16.0 / 3.0)).abs() < 1e-6, "{variance}");
}

#[test]
fn a_key_chooses_the_mask_and_threads_do_not() {
    let x = Symbol::input("x", [300]);
    let y = Symbol::apply(Dropout { rate: 0.3 }, &[&x]).unwrap();
    let masked = |threads, key| {
        let lowered = lower(std::slice::from_ref(&y), Mode::Train).unwrap();
        run(threads, &vec![1.0; 64 * 300], 64, key, &[], lowered).0
    };
    let first = masked(1, 5);
    assert_eq!(first, masked(3, 5));
    let other = masked(1, 6);
    let kept = first.iter().filter(|v| **v > 0.0).count() as f64 / first.len() as f64;
    let both = first
        .iter()
        .zip(&other)
        .filter(|(a, b)| **a > 0.0 && **b > 0.0)
        .count() as f64
        / first.len() as f64;
    assert!(
        (kept - 0.7).abs() < 0.015 && (both - 0.49).abs() < 0.015,
        "{kept} {both}"
    );
    assert!(first.iter().all(|v| *v == 0.0 || *v == 1.0 / 0.7));
}

#[test]
fn the_gradient_of_dropout_has_the_mask_of_the_value() {
    let x = Symbol::input("x", [40]);
    let y = lower(
        &[Symbol::apply(Dropout { rate: 0.5 }, &[&x]).unwrap()],
        Mode::Train,
    )
    .unwrap()
    .outputs
    .remove(0);
    let slope = differentiate(&y.sum().unwrap(), &[x]).unwrap().remove(0);
    let lowered = |outputs| graph::Lowered {
        outputs,
        updates: vec![],
    };
    let ones = vec![1.0; 8 * 40];
    assert_eq!(
        run(1, &ones, 8, 9, &[], lowered(vec![y])).0,
        run(2, &ones, 8, 9, &[], lowered(vec![slope])).0
    );
}

#[test]
fn a_batch_of_ignored_labels_has_loss_zero() {
    let x = Symbol::input("x", [3]);
    let loss = CrossEntropy {
        label_smoothing: 0.1,
        ignore_index: Some(0),
        targets: CrossEntropyTargets::Indices,
    };
    let labels = x
        .reduce(graph::ops::ReduceKind::Sum, &[1])
        .unwrap()
        .affine(0.0, 0.0)
        .unwrap();
    let sums = Symbol::apply(loss, &[&x, &labels, &Symbol::constant(1.0, [3])]).unwrap();
    let lowered = graph::Lowered {
        outputs: vec![sums],
        updates: vec![],
    };
    assert_eq!(run(1, &[0.5; 15], 5, 0, &[], lowered).0, [0.0, 1.0]);
}
