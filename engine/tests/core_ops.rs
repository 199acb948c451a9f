//! The core ops on every instruction set against their references.

#![allow(clippy::unwrap_used)]

mod common;

use common::{check, check_with, numbers};
use graph::Symbol;
use graph::ops::{
    Binary, BinaryKind, Concat, Conv2d, Conv2dTransposed, Fit, MatMul, Padding, ReduceKind, Slice, Transpose,
    UnaryKind, Window,
};
use proptest::prelude::*;

fn parameter(shape: &[usize]) -> Symbol {
    Symbol::parameter("p", graph::Shape::new(shape), Default::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn convolution(
        batch in 1usize..10, h in 3usize..9, w in 3usize..10, groups in 1usize..3, cg in 1usize..5, og in 1usize..20,
        kernel in (1usize..4, 1usize..4), stride in (1usize..3, 1usize..3), dilation in (1usize..3, 1usize..3),
        pad in prop::array::uniform4(0usize..3), same: bool,
    ) {
        let padding = if same { Padding::Same } else { Padding::Explicit(pad) };
        let window = Window { stride: [stride.0, stride.1], dilation: [dilation.0, dilation.1], padding, fit: Fit::Floor };
        let x = Symbol::input("x", [h, w, cg * groups]);
        let weights = parameter(&[kernel.0, kernel.1, cg, og * groups]);
        if let Ok(y) = Symbol::apply(Conv2d { window, groups }, &[&x, &weights]) {
            check(&y, batch);
        }
    }

    #[test]
    fn transposed_convolution(
        batch in 1usize..4, h in 1usize..6, w in 1usize..6, c in 1usize..6, o in 1usize..20, k in 1usize..4,
        stride in 1usize..4, pad in 0usize..2, extra in 0usize..2,
    ) {
        let window = Window { stride: [stride; 2], padding: Padding::Explicit([pad; 4]), ..Window::default() };
        let op = Conv2dTransposed { conv: Conv2d { window, groups: 1 }, output_padding: [extra.min(stride - 1); 2] };
        let y = Symbol::input("y", [h, w, o]);
        if let Ok(x) = Symbol::apply(op, &[&y, &parameter(&[k, k, c, o])]) {
            check(&x, batch);
            let biased = x.add(&parameter(&[c])).unwrap();
            check(&biased, batch);
            check(&biased.unary(UnaryKind::Relu).unwrap(), batch);
        }
    }

    #[test]
    fn dense_layer(batch in 1usize..70, inputs in 1usize..40, outputs in 1usize..50) {
        let x = Symbol::input("x", [inputs]);
        let y = x.matmul(&parameter(&[inputs, outputs])).unwrap().add(&parameter(&[outputs])).unwrap();
        check(&y.unary(UnaryKind::Relu).unwrap(), batch);
        check(&y.unary(UnaryKind::Tanh).unwrap(), batch);
    }

    #[test]
    fn products_of_matrix_batches(batch in 1usize..5, groups in 1usize..3, m in 1usize..9, k in 1usize..9, n in 1usize..9, ta: bool, tb: bool) {
        let shape = |r, c, t| if t { [groups, c, r] } else { [groups, r, c] };
        let a = Symbol::input("a", shape(m, k, ta));
        let b = Symbol::input("b", shape(k, n, tb));
        check(&Symbol::apply(MatMul { transpose_a: ta, transpose_b: tb }, &[&a, &b]).unwrap(), batch);
    }

    #[test]
    fn broadcasting(batch in 1usize..6, h in 1usize..4, w in 1usize..4, c in 1usize..5, mask in 0usize..8, swap: bool) {
        let x = Symbol::input("x", [h, w, c]);
        let keep = |bit, length| if mask & bit > 0 { length } else { 1 };
        for other in [
            parameter(&[keep(1, h), keep(2, w), keep(4, c)]),
            parameter(&[c]),
            parameter(&[]),
            Symbol::input("z", [keep(1, h), keep(2, w), keep(4, c)]),
        ] {
            for kind in [BinaryKind::Add, BinaryKind::Subtract, BinaryKind::Multiply, BinaryKind::Maximum, BinaryKind::Minimum] {
                let (a, b) = if swap { (&other, &x) } else { (&x, &other) };
                check(&Symbol::apply(Binary { kind }, &[a, b]).unwrap(), batch);
            }
        }
    }

    #[test]
    fn sums_and_means(batch in 1usize..10, h in 1usize..5, w in 1usize..40, c in 1usize..5, which in 0usize..16) {
        let x = Symbol::input("x", [h, w, c]);
        let axes: Vec<usize> = (0..4).filter(|a| which & (1 << a) > 0).collect();
        for kind in [ReduceKind::Sum, ReduceKind::Mean, ReduceKind::Max] {
            check(&x.reduce(kind, &axes).unwrap(), batch);
        }
    }

    #[test]
    fn moving_numbers(batch in 1usize..5, h in 2usize..5, w in 2usize..5, c in 2usize..5, axis in 1usize..4) {
        let x = Symbol::input("x", [h, w, c]);
        let y = Symbol::input("y", [h, w, c]);
        check(&Symbol::apply(Transpose { order: vec![0, 2, 3, 1] }, &[&x]).unwrap(), batch);
        check(&Symbol::apply(Transpose { order: vec![3, 1, 0, 2] }, &[&x]).unwrap(), 1);
        let joined = Symbol::apply(Concat { axis }, &[&x, &y, &x]).unwrap();
        check(&joined, batch);
        let length = joined.shape()[axis];
        let slice = Slice { axis, start: 1, length: length / 2, step: 2 };
        check(&Symbol::apply(slice, &[&joined]).unwrap(), batch);
    }
}

#[test]
fn activations() {
    use UnaryKind as K;
    let x = Symbol::input("x", [7, 11]);
    let kinds = [
        K::Relu,
        K::LeakyRelu(0.1),
        K::Elu(0.7),
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
        check_with(&x.unary(kind).unwrap(), 5, 2e-6, |s, n| {
            numbers(n, s.id()).iter().map(|v| v * 8.0).collect()
        });
    }
    for kind in [K::Log, K::Sqrt, K::Power(0.75)] {
        check_with(&x.unary(kind).unwrap(), 5, 2e-6, |s, n| {
            numbers(n, s.id()).iter().map(|v| v.abs() + 0.05).collect()
        });
    }
    check(&x.affine(2.5, -1.0).unwrap(), 3);
}

#[test]
fn x15_conv_output_and_parameters() {
    let x = Symbol::input("x", [32, 32, 3]);
    let w = parameter(&[5, 5, 3, 6]);
    let y = Symbol::apply(
        Conv2d {
            window: Window::default(),
            groups: 1,
        },
        &[&x, &w],
    )
    .unwrap();
    assert_eq!(y.shape()[..], [1, 28, 28, 6]);
    assert_eq!(w.shape().elements(), 450);
    check(&y, 2);
}

#[test]
fn a_step_of_a_small_network_has_one_stage_per_barrier() {
    let x = Symbol::input("x", [8, 8, 3]);
    let h = Symbol::apply(
        Conv2d {
            window: Window::default(),
            groups: 1,
        },
        &[&x, &parameter(&[3, 3, 3, 8])],
    )
    .unwrap();
    let h = h.add(&parameter(&[8])).unwrap().unary(UnaryKind::Relu).unwrap();
    check(&h.unary(UnaryKind::Square).unwrap(), 9);
}

#[test]
fn a_stage_in_several_micro_batches_gives_what_one_gives() {
    // Too large for a core's cache, so that each chunk of the batch goes through in several parts.
    let x = Symbol::input("x", [40, 40, 16]);
    let scale = parameter(&[16]);
    let y = x
        .unary(UnaryKind::Tanh)
        .unwrap()
        .mul(&scale)
        .unwrap()
        .unary(UnaryKind::Sigmoid)
        .unwrap()
        .mul(&x)
        .unwrap();
    check(&y.reduce(ReduceKind::Mean, &[1, 2]).unwrap(), 21);
}

#[test]
fn dense_layers_with_many_weights_and_few_samples() {
    for (inputs, outputs, batch) in [(1100, 1030, 1), (1037, 1101, 6), (1030, 1100, 33)] {
        let x = Symbol::input("x", [inputs]);
        let y = x.matmul(&parameter(&[inputs, outputs])).unwrap();
        let y = y
            .add(&parameter(&[outputs]))
            .unwrap()
            .unary(UnaryKind::Relu)
            .unwrap();
        check_with(&y, batch, 5e-5, |s, n| {
            let scale = if s.shape().rank() == 2 { 0.05 } else { 1.0 };
            numbers(n, s.id()).iter().map(|v| v * scale).collect()
        });
    }
}
