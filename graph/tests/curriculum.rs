//! Worked numbers of the curriculum at the level of ops, each test named after its row.

#![allow(clippy::unwrap_used)]

use graticule_graph::interpret::evaluate;
use graticule_graph::ndarray::{ArrayD, IxDyn};
use graticule_graph::ops::{
    CrossEntropy, CrossEntropyTargets, LogSoftmax, Pool2d, PoolKind, Slice, Softmax, UnaryKind, Window,
};
use graticule_graph::{GraphError, Symbol, differentiate};

fn array(shape: &[usize], values: &[f64]) -> ArrayD<f64> {
    ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap()
}

fn assert_close(found: &ArrayD<f64>, expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{found}");
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() <= tolerance, "found {found}, expected {expected:?}");
    }
}

/// Pools the 4×4 image of row X12 with 2×2 windows.
fn pooled(kind: PoolKind, stride: usize) -> ArrayD<f64> {
    let image = [1., 1., 2., 4., 5., 6., 7., 8., 3., 2., 1., 0., 1., 2., 3., 4.];
    let window = Window {
        stride: [stride; 2],
        ..Window::default()
    };
    let x = Symbol::input("image", [4, 4, 1]);
    let pool = Pool2d {
        kind,
        size: [2, 2],
        window,
    };
    let y = Symbol::apply(pool, &[&x]).unwrap();
    evaluate(&[y], &[(&x, array(&[1, 4, 4, 1], &image))], 1)
        .unwrap()
        .remove(0)
}

#[test]
fn x12_max_pooling() {
    assert_close(&pooled(PoolKind::Max, 2), &[6., 8., 3., 4.], 0.0);
}

#[test]
fn x12_min_pooling() {
    assert_close(&pooled(PoolKind::Min, 2), &[1., 2., 1., 0.], 0.0);
}

#[test]
fn x12_average_pooling() {
    let average = PoolKind::Average { count_padding: false };
    assert_close(&pooled(average, 2), &[3.25, 5.25, 2., 2.], 0.0);
}

#[test]
fn x12_l2_pooling() {
    assert_close(&pooled(PoolKind::L2, 2), &[7.937, 11.533, 4.243, 5.099], 5e-4);
}

#[test]
fn x12_overlapping_pooling() {
    let expected = [6., 7., 8., 6., 7., 8., 3., 3., 4.];
    assert_close(&pooled(PoolKind::Max, 1), &expected, 0.0);
}

#[test]
fn x17_pooling_halves() {
    let window = Window {
        stride: [2, 2],
        ..Window::default()
    };
    for kind in [PoolKind::Max, PoolKind::Average { count_padding: true }] {
        let pool = Pool2d {
            kind,
            size: [2, 2],
            window,
        };
        let y = Symbol::apply(pool, &[&Symbol::input("image", [224, 224, 64])]).unwrap();
        assert_eq!(y.shape()[..], [1, 112, 112, 64]);
    }
}

#[test]
fn x27_chain_rule() {
    let t = Symbol::parameter("t", [], Default::default());
    let (x, y) = (t.mul(&t).unwrap(), t.affine(2.0, 0.0).unwrap());
    let z = (x.mul(&x).unwrap().mul(&y).unwrap())
        .sub(&y.mul(&y).unwrap())
        .unwrap();
    let slope = differentiate(&z, std::slice::from_ref(&t)).unwrap();
    for at in [-2.0, -0.5, 0.0, 1.0, 3.0_f64] {
        let found = evaluate(&slope, &[(&t, array(&[], &[at]))], 1).unwrap();
        assert_close(&found[0], &[10.0 * at.powi(4) - 8.0 * at], 1e-9);
    }
}

/// Values of `y` for the parameter `p` at `at`.
fn of(y: &Symbol, p: &Symbol, at: &[f64]) -> ArrayD<f64> {
    let shape = p.shape().to_vec();
    evaluate(std::slice::from_ref(y), &[(p, array(&shape, at))], 1)
        .unwrap()
        .remove(0)
}

/// First number of a cross-entropy's result divided by the second.
fn mean(sums: &Symbol) -> Result<Symbol, GraphError> {
    let part = |start| {
        let cut = Slice {
            axis: 0,
            start,
            length: 1,
            step: 1,
        };
        Symbol::apply(cut, &[sums])?.sum()
    };
    part(0)?.div(&part(1)?)
}

fn cross_entropy(logits: &Symbol, class: f32) -> Symbol {
    let loss = CrossEntropy {
        label_smoothing: 0.0,
        ignore_index: None,
        targets: CrossEntropyTargets::Indices,
    };
    let label = Symbol::constant(class, [1]);
    let weights = Symbol::constant(1.0, [logits.shape().last_axis()]);
    mean(&Symbol::apply(loss, &[logits, &label, &weights]).unwrap()).unwrap()
}

#[test]
fn x4_softmax() {
    let z = Symbol::parameter("z", [1, 3], Default::default());
    let y = Symbol::apply(Softmax {}, &[&z]).unwrap();
    let deck = [0.09003057, 0.66524096, 0.24472847];
    assert_close(&of(&y, &z, &[1., 3., 2.]), &deck, 1e-8);
    assert_close(&of(&y, &z, &[1., 2., 3.]), &[deck[0], deck[2], deck[1]], 1e-8);
    assert_close(&of(&y, &z, &[1001., 1003., 1002.]), &deck, 1e-8);
    assert_close(&of(&cross_entropy(&z, 0.0), &z, &[1., 3., 2.]), &[2.407606], 1e-6);
    assert_close(&of(&cross_entropy(&z, 1.0), &z, &[1., 3., 2.]), &[0.407606], 1e-6);
}

#[test]
fn x2_binary_cross_entropy() {
    let f = Symbol::parameter("f", [5], Default::default());
    let y = Symbol::constants(vec![1., 1., 0., 1., 0.], [5]);
    let likelihood = (y.mul(&f).unwrap())
        .add(
            &y.affine(-1.0, 1.0)
                .unwrap()
                .mul(&f.affine(-1.0, 1.0).unwrap())
                .unwrap(),
        )
        .unwrap();
    let each = likelihood.unary(UnaryKind::Log).unwrap().neg().unwrap();
    let at = [0.7, 0.3, 0.3, 1.0, 0.8];
    let expected = [0.7_f64, 0.3, 0.7, 1.0, 0.2].map(|p| -p.ln());
    assert_close(&of(&each, &f, &at), &expected, 1e-9);
    assert_close(&of(&each.sum().unwrap(), &f, &at), &[3.526761], 1e-6);
}

#[test]
fn x5_sigmoid_is_softmax_of_two() {
    let z = Symbol::parameter("z", [1, 2], Default::default());
    let d = Symbol::parameter("d", [1], Default::default());
    let (softmax, sigmoid) = (
        Symbol::apply(Softmax {}, &[&z]).unwrap(),
        d.unary(UnaryKind::Sigmoid).unwrap(),
    );
    for (a, b) in [(0.0, 0.0), (1.0, -2.0), (-30.0, 4.0)] {
        let p = of(&softmax, &z, &[a, b]);
        assert!((p.sum() - 1.0).abs() < 1e-12);
        assert_close(&p, &[1.0 - p[[0, 1]], 1.0 - p[[0, 0]]], 1e-12);
        assert_close(&of(&sigmoid, &d, &[a - b]), &[p[[0, 0]]], 1e-12);
    }
}

#[test]
fn x39_backprop_is_yhat_minus_y() {
    let x = Symbol::input("x", [3]);
    let shapes = [[3, 4], [4, 2]];
    let weights = shapes.map(|s| Symbol::parameter("weight", s, Default::default()));
    let hidden = x.matmul(&weights[0]).unwrap().unary(UnaryKind::Sigmoid).unwrap();
    let z = hidden.matmul(&weights[1]).unwrap();
    let yhat = Symbol::apply(Softmax {}, &[&z]).unwrap();
    let truth = Symbol::input("y", [2]);
    let logs = Symbol::apply(LogSoftmax {}, &[&z]).unwrap();
    let loss = truth.mul(&logs).unwrap().sum().unwrap().neg().unwrap();
    let wave = |n: usize, s: f64| (0..n).map(|i| (s * (i as f64 + 1.0)).sin()).collect::<Vec<_>>();
    let given = [
        (&x, array(&[2, 3], &wave(6, 0.9))),
        (&truth, array(&[2, 2], &[0., 1., 1., 0.])),
        (&weights[0], array(&[3, 4], &wave(12, 1.7))),
        (&weights[1], array(&[4, 2], &wave(8, 2.3))),
    ];
    let mut outputs = differentiate(&loss, std::slice::from_ref(&z)).unwrap();
    outputs.push(yhat.sub(&truth).unwrap());
    let values = evaluate(&outputs, &given, 2).unwrap();
    assert_close(&values[0], values[1].as_slice().unwrap(), 1e-12);

    let slopes = evaluate(&differentiate(&loss, &weights).unwrap(), &given, 2).unwrap();
    for (k, slope) in slopes.iter().enumerate() {
        for element in 0..slope.len() {
            let at = |by: f64| {
                let mut given = given.clone();
                given[2 + k].1.as_slice_mut().unwrap()[element] += by;
                evaluate(std::slice::from_ref(&loss), &given, 2).unwrap()[0][[]]
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((slope.as_slice().unwrap()[element] - expected).abs() < 1e-8);
        }
    }
}

#[test]
fn x40_unrolled_residual() {
    let x0 = Symbol::parameter("x0", [2, 3], Default::default());
    let maps: Vec<Symbol> = (0..3)
        .map(|k| {
            let values = (0..9).map(|i| ((i * 5 + k * 3 + 1) as f32).cos()).collect();
            Symbol::constants(values, [3, 3])
        })
        .collect();
    let block = |k: usize, x: &Symbol| x.matmul(&maps[k]).unwrap().unary(UnaryKind::Tanh).unwrap();
    let mut step_by_step = x0.clone();
    for k in 0..3 {
        step_by_step = block(k, &step_by_step).add(&step_by_step).unwrap();
    }
    let first = || block(0, &x0).add(&x0).unwrap();
    let second = || block(1, &first()).add(&first()).unwrap();
    let unrolled = block(2, &second())
        .add(&block(1, &first()))
        .unwrap()
        .add(&block(0, &x0))
        .unwrap()
        .add(&x0)
        .unwrap();
    let at = [0.3, -0.7, 0.2, 1.1, 0.5, -0.4];
    let both = [&step_by_step, &unrolled].map(|x3| {
        let slope = differentiate(&x3.sum().unwrap(), std::slice::from_ref(&x0)).unwrap();
        (of(x3, &x0, &at), of(&slope[0], &x0, &at))
    });
    assert_close(&both[0].0, both[1].0.as_slice().unwrap(), 1e-12);
    assert_close(&both[0].1, both[1].1.as_slice().unwrap(), 1e-12);
}
