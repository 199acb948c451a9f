//! Choices, slices at places, rare functions, and images that are not the samples of the batch.

#![allow(clippy::unwrap_used)]

mod common;

use common::{check, check_with, numbers};
use graph::ops::{
    ArgMax, Axis, Conv2d, Conv2dTransposed, Function, FunctionKind as F, Padding, Pool2d, PoolKind, Select,
    Take, UnaryKind, Window,
};
use graph::{Init, Symbol};
use proptest::prelude::*;

fn parameter(shape: &[usize]) -> Symbol {
    Symbol::parameter("p", shape.to_vec(), Init::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn select_broadcasts(batch in 1usize..9, h in 1usize..5, w in 1usize..7, form in 0usize..4) {
        let x = Symbol::input("x", [h, w]);
        let other = parameter([&[h, w][..], &[w], &[1, h, 1], &[]][form]);
        let condition = x.at_least(&Symbol::constant(0.0, []))?;
        let y = Symbol::apply(Select {}, &[&condition, &x.mul(&x)?, &other])?;
        check(&y, batch);
    }

    #[test]
    fn take_and_its_gradient(batch in 1usize..9, a in 1usize..5, b in 1usize..7, axis in 0usize..3) {
        let x = Symbol::input("x", [a, b]);
        let x = if axis == 0 { x.reshape(&[Axis::Rest, Axis::Keep(2)])? } else { x };
        let places = Symbol::constants(vec![0.0, 2.0, -1.0, 0.0, 1.0], [5]);
        check(&Symbol::apply(Take { axis }, &[&x.mul(&x)?, &places])?, batch);
    }

    /// The frames of a film as images, and volumes without a batch.
    #[test]
    fn images_that_are_not_the_samples(
        batch in 1usize..6, frames in 1usize..4, h in 4usize..12, w in 4usize..9, c in 1usize..18, o in 1usize..20,
        groups in 1usize..3, pooled: bool,
    ) {
        let x = Symbol::input("x", [frames, h, w, c * groups]);
        let images = x.reshape(&[Axis::Rest, Axis::Keep(2), Axis::Keep(3), Axis::Keep(4)])?;
        let window = Window { padding: Padding::Explicit([1; 4]), ..Window::default() };
        let conv = Conv2d { window, groups };
        let y = Symbol::apply(conv, &[&images, &parameter(&[3, 3, c, o * groups])])?;
        let y = y.add(&parameter(&[o * groups]))?.unary(UnaryKind::Relu)?;
        let y = if pooled {
            let window = Window { stride: [2; 2], fit: graph::ops::Fit::Floor, ..Window::default() };
            Symbol::apply(Pool2d { kind: PoolKind::Max, size: [2; 2], window }, &[&y])?
        } else {
            let conv = Conv2d { window: Window::default(), groups };
            let back = Conv2dTransposed { conv, output_padding: [0, 0] };
            Symbol::apply(back, &[&y, &parameter(&[2, 2, c, o * groups])])?
        };
        let each = [frames, y.shape()[1], y.shape()[2], y.shape()[3]].map(Axis::Length);
        check(&y.reshape(&[&[Axis::Rest], &each[..]].concat())?, batch);
    }
}

#[test]
fn rare_functions() {
    for kind in [
        F::Sin,
        F::Cos,
        F::Tan,
        F::Asin,
        F::Acos,
        F::Atan,
        F::Sinh,
        F::Cosh,
        F::Asinh,
        F::Atanh,
        F::Erf,
    ] {
        let y = Symbol::apply(Function { kind }, &[&Symbol::input("x", [5, 7])]).unwrap();
        check_with(&y, 3, 1e-5, |s, count| {
            numbers(count, s.id()).iter().map(|x| 0.9 * x).collect()
        });
    }
    for kind in [F::Floor, F::Ceil, F::Round, F::Truncate, F::Sign, F::IsNan] {
        let y = Symbol::apply(Function { kind }, &[&Symbol::input("x", [5, 7])]).unwrap();
        check_with(&y, 3, 1e-6, |s, count| {
            numbers(count, s.id()).iter().map(|x| 3.0 * x).collect()
        });
    }
}

#[test]
fn the_largest_along_an_axis() {
    for axis in 0..3 {
        let x = Symbol::input("x", [5, 7]);
        check(
            &Symbol::apply(ArgMax { axis, last: false }, &[&x])
                .unwrap()
                .mul(&x)
                .unwrap(),
            3,
        );
    }
}

#[test]
fn a_quotient_of_sums_under_another_shape() {
    let x = Symbol::input("x", [5]);
    let (above, below) = (
        x.mul(&x).unwrap().sum().unwrap(),
        x.affine(0.0, 2.0).unwrap().sum().unwrap(),
    );
    check(
        &above
            .div(&below)
            .unwrap()
            .reshape(&[Axis::Length(1), Axis::Length(1)])
            .unwrap(),
        3,
    );
}
