//! What gradients do not show: running statistics, ignored labels, mirrored borders, masks and messages.

#![allow(clippy::unwrap_used)]

use graticule_graph::interpret::evaluate;
use graticule_graph::ndarray::{ArrayD, IxDyn};
use graticule_graph::ops::{
    BatchNorm, CrossEntropy, CrossEntropyTargets, Dropout, Fit, Gather, Keeps, Op, Pad2d, PadMode, Padding,
    Pool2d, PoolKind, Resize2d, ResizeMode, ResizeTo, Window, keeps,
};
use graticule_graph::{Mode, Symbol, lower};

fn array(shape: &[usize], values: &[f64]) -> ArrayD<f64> {
    ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap()
}

/// `op` on one given operand.
fn apply(op: impl Into<Op>, shape: &[usize], values: &[f64]) -> Vec<f64> {
    let x = Symbol::parameter("x", shape.to_vec(), Default::default());
    let y = Symbol::apply(op, &[&x]).unwrap();
    let result = evaluate(&[y], &[(&x, array(shape, values))], 1).unwrap();
    result[0].iter().copied().collect()
}

fn assert_close(found: &[f64], expected: &[f64]) {
    let near = |(f, e): (&f64, &f64)| (f - e).abs() < 1e-6;
    let equal = found.len() == expected.len() && found.iter().zip(expected).all(near);
    assert!(equal, "found {found:?}, expected {expected:?}");
}

#[test]
fn l35_running_statistics_move_towards_the_batch_as_in_pytorch() {
    let names = ["gamma", "beta", "running_mean", "running_var"];
    let leaves = names.map(|n| Symbol::state(n, [1], Default::default()));
    let x = Symbol::input("x", [1]);
    let norm = BatchNorm {
        epsilon: 0.0,
        momentum: 0.25,
        frozen: false,
    };
    let y = Symbol::apply(norm, &[&x, &leaves[0], &leaves[1], &leaves[2], &leaves[3]]).unwrap();
    let lowered = lower(std::slice::from_ref(&y), Mode::Train).unwrap();
    assert_eq!(lowered.updates.len(), 2);
    assert_eq!(lowered.updates[0].0, leaves[2]);
    let mut outputs = lowered.outputs;
    outputs.extend(lowered.updates.into_iter().map(|(_, new)| new));
    let run = |outputs: &[Symbol], x_values: &[f64]| -> Vec<Vec<f64>> {
        let mut given = vec![(&x, array(&[x_values.len(), 1], x_values))];
        for (leaf, value) in leaves.iter().zip([2.0, 1.0, 8.0, 4.0]) {
            given.push((leaf, array(&[1], &[value])));
        }
        let values = evaluate(outputs, &given, x_values.len()).unwrap();
        values.iter().map(|v| v.iter().copied().collect()).collect()
    };
    // Mean 4, biased variance 4, unbiased 16/3.
    let trained = run(&outputs, &[2.0, 2.0, 6.0, 6.0]);
    assert_close(&trained[0], &[-1.0, -1.0, 3.0, 3.0]);
    assert_close(&trained[1], &[0.75 * 8.0 + 0.25 * 4.0]);
    assert_close(&trained[2], &[0.75 * 4.0 + 0.25 * 16.0 / 3.0]);
    // A single row has no unbiased variance; the biased one (0) is taken.
    let single = run(&outputs[1..], &[2.0]);
    assert_close(&single[1], &[0.75 * 4.0]);
    let inferred = run(&lower(&[y], Mode::Infer).unwrap().outputs, &[8.0, 10.0]);
    assert_close(&inferred[0], &[1.0, 3.0]);
}

#[test]
fn a_frozen_batch_norm_updates_nothing() {
    let x = Symbol::input("x", [2]);
    let s = Symbol::state("s", [2], Default::default());
    let norm = BatchNorm {
        epsilon: 1e-5,
        momentum: 0.1,
        frozen: true,
    };
    let y = Symbol::apply(norm, &[&x, &s, &s, &s, &s]).unwrap();
    assert!(lower(&[y], Mode::Train).unwrap().updates.is_empty());
}

fn cross_entropy(smoothing: f32, ignore: Option<i32>, labels: &[f64], weights: &[f64]) -> Vec<f64> {
    let loss = CrossEntropy {
        label_smoothing: smoothing,
        ignore_index: ignore,
        targets: CrossEntropyTargets::Indices,
    };
    let z = Symbol::input("z", [3]);
    let t = Symbol::input("t", []);
    let w = Symbol::state("w", [3], Default::default());
    let sums = Symbol::apply(loss, &[&z, &t, &w]).unwrap();
    let logits = [1.0, 3.0, 2.0].repeat(labels.len());
    let given = [
        (&z, array(&[labels.len(), 3], &logits)),
        (&t, array(&[labels.len()], labels)),
        (&w, array(&[3], weights)),
    ];
    let result = evaluate(&[sums], &given, labels.len()).unwrap();
    result[0].iter().copied().collect()
}

#[test]
fn m2_cross_entropy_counts_weights_smoothing_and_ignored_rows() {
    // Losses of the classes for logits 1, 3, 2 (row X4).
    let [a, b, c] = [2.407606, 0.407606, 1.407606];
    assert_close(
        &cross_entropy(0.0, None, &[0.0, 1.0, 2.0], &[1.0; 3]),
        &[a + b + c, 3.0],
    );
    assert_close(
        &cross_entropy(0.0, None, &[0.0, 1.0], &[2.0, 0.5, 9.0]),
        &[2.0 * a + 0.5 * b, 2.5],
    );
    assert_close(
        &cross_entropy(0.0, Some(1), &[0.0, 1.0], &[2.0, 0.5, 9.0]),
        &[2.0 * a, 2.0],
    );
    let smooth = 0.7 * 2.0 * a + 0.1 * (2.0 * a + 0.5 * b + 9.0 * c);
    assert_close(
        &cross_entropy(0.3, None, &[0.0], &[2.0, 0.5, 9.0]),
        &[smooth, 2.0],
    );
}

#[test]
fn a_batch_of_ignored_labels_has_loss_zero() {
    let sums = cross_entropy(0.1, Some(-100), &[-100.0, -100.0], &[1.0; 3]);
    assert_eq!(sums, [0.0, 1.0]);
}

#[test]
fn i12_borders_are_filled_as_the_mode_says() {
    let row = [1.0, 2.0, 3.0, 4.0];
    let pad = |mode| {
        let padding = [0, 0, 2, 2];
        apply(Pad2d { padding, mode }, &[1, 1, 4, 1], &row)
    };
    assert_close(
        &pad(PadMode::Constant(-1.0)),
        &[-1., -1., 1., 2., 3., 4., -1., -1.],
    );
    assert_close(&pad(PadMode::Symmetric), &[2., 1., 1., 2., 3., 4., 4., 3.]);
    assert_close(&pad(PadMode::Reflect), &[3., 2., 1., 2., 3., 4., 3., 2.]);
    assert_close(&pad(PadMode::Edge), &[1., 1., 1., 2., 3., 4., 4., 4.]);
}

#[test]
fn too_wide_a_mirror_is_refused_with_its_limit() {
    let x = Symbol::input("x", [3, 4, 1]);
    let pad = |mode, n| {
        let padding = [n, 0, 0, 0];
        Symbol::apply(Pad2d { padding, mode }, &[&x])
    };
    assert!(pad(PadMode::Reflect, 2).is_ok() && pad(PadMode::Symmetric, 3).is_ok());
    let message = pad(PadMode::Reflect, 3).unwrap_err().to_string();
    assert!(
        message.contains("height of 3") && message.contains("at most 2"),
        "{message}"
    );
    assert!(pad(PadMode::Symmetric, 4).is_err());
}

#[test]
fn resizing_follows_the_conventions_of_interpolate() {
    let row = [1.0, 2.0, 4.0];
    let resize = |mode, width| {
        let to = ResizeTo::Size([1, width]);
        apply(Resize2d { mode, to }, &[1, 1, 3, 1], &row)
    };
    assert_close(&resize(ResizeMode::Nearest, 5), &[1., 1., 2., 2., 4.]);
    let halves = ResizeMode::Bilinear { align_corners: false };
    assert_close(&resize(halves, 6), &[1., 1.25, 1.75, 2.5, 3.5, 4.]);
    let corners = ResizeMode::Bilinear { align_corners: true };
    assert_close(&resize(corners, 5), &[1., 1.5, 2., 3., 4.]);
    assert_close(&resize(corners, 1), &[1.]);
}

#[test]
fn a_window_that_sees_padding_alone_is_refused() {
    let window = Window {
        padding: Padding::Explicit([2, 0, 0, 0]),
        fit: Fit::Floor,
        ..Window::default()
    };
    let pool = Pool2d {
        kind: PoolKind::Max,
        size: [2, 2],
        window,
    };
    let error = Symbol::apply(pool, &[&Symbol::input("x", [4, 4, 1])]).unwrap_err();
    assert!(error.to_string().contains("padding alone"), "{error}");
}

#[test]
fn an_average_counts_padding_only_if_asked_to() {
    let average = |count_padding| {
        let window = Window {
            stride: [2, 2],
            padding: Padding::Explicit([1; 4]),
            ..Window::default()
        };
        let kind = PoolKind::Average { count_padding };
        let size = [2, 2];
        apply(Pool2d { kind, size, window }, &[1, 2, 2, 1], &[4., 8., 12., 16.])
    };
    assert_close(&average(true), &[1., 2., 3., 4.]);
    assert_close(&average(false), &[4., 8., 12., 16.]);
}

#[test]
fn indices_outside_the_table_give_zeros() {
    let table = Symbol::parameter("table", [2, 2], Default::default());
    let indices = Symbol::constants(vec![1.0, 2.0, -1.0, 0.5], [4]);
    let y = Symbol::apply(Gather {}, &[&indices, &table]).unwrap();
    let found = evaluate(&[y], &[(&table, array(&[2, 2], &[1., 2., 3., 4.]))], 1).unwrap();
    assert_eq!(found[0].as_slice().unwrap(), [3., 4., 0., 0., 0., 0., 0., 0.]);
}

#[test]
fn l36_dropouts_of_a_network_have_masks_of_their_own_and_inference_has_none() {
    let x = Symbol::input("x", [64]);
    let drop = |x: &Symbol| Symbol::apply(Dropout { rate: 0.5 }, &[x]).unwrap();
    let outputs = [drop(&x), drop(&x)];
    let given = [(&x, ArrayD::ones(IxDyn(&[8, 64])))];
    let trained = lower(&outputs, Mode::Train).unwrap();
    let masks = evaluate(&trained.outputs, &given, 8).unwrap();
    assert!(masks[0] != masks[1]);
    assert!(masks[0].iter().all(|&v| v == 0.0 || v == 2.0));
    let inferred = lower(&outputs, Mode::Infer).unwrap();
    assert!(inferred.outputs.iter().all(|y| *y == x));
}

/// Share of kept elements among `count` from `start`.
fn share(mask: Keeps, start: u64, count: u64) -> f64 {
    (start..start + count).filter(|&i| mask.at(i)).count() as f64 / count as f64
}

#[test]
fn r2_masks_are_uniform_for_every_rate_key_salt_and_place() {
    let count = 1 << 16;
    for rate in [0.0, 0.1, 0.25, 0.5, 0.9, 1.0_f32] {
        let (expected, spread) = (
            1.0 - f64::from(rate),
            (f64::from(rate * (1.0 - rate)) / count as f64).sqrt(),
        );
        for (key, salt) in [(0, 0), (0, 1), (1, 0), (u64::MAX, 7), (1 << 40, 3)] {
            for start in [0, 1 << 20, (1 << 32) - 1000, 5 << 33] {
                let found = share(Keeps::new(key, salt, rate), start, count);
                let limit = 5.0 * spread + 1e-9;
                assert!(
                    (found - expected).abs() <= limit,
                    "rate {rate}, key {key}: {found}"
                );
            }
        }
    }
}

#[test]
fn r2_a_change_of_one_bit_changes_half_of_the_mask() {
    let count = 1 << 14;
    let agreement = |a: &dyn Fn(u64) -> bool, b: &dyn Fn(u64) -> bool| {
        (0..count).filter(|&i| a(i) == b(i)).count() as f64 / count as f64
    };
    let base = |i| keeps(12, 3, i, 0.5);
    for bit in 0..64 {
        let flips = [
            agreement(&base, &|i| keeps(12 ^ (1 << bit), 3, i, 0.5)),
            agreement(&base, &|i| keeps(12, 3 ^ (1 << bit), i, 0.5)),
            agreement(&base, &|i| keeps(12, 3, i ^ (1 << bit), 0.5)),
        ];
        for (what, share) in ["key", "salt", "index"].iter().zip(flips) {
            assert!(
                (share - 0.5).abs() < 0.025,
                "bit {bit} of the {what}: {share} agree"
            );
        }
    }
    // Neighbours, and rows of usual widths, are independent.
    for lag in [1, 2, 3, 10, 64, 120, 128, 256, 512, 784] {
        let share = agreement(&base, &|i| base(i + lag));
        assert!((share - 0.5).abs() < 0.025, "lag {lag}: {share} agree");
    }
}
