//! Pooling, padding, resizing and locally connected layers on every instruction set against their references.

#![allow(clippy::unwrap_used)]

mod common;

use common::{check, check_with, numbers};
use graph::interpret::evaluate;
use graph::ndarray::{ArrayD, IxDyn};
use graph::ops::{
    Fit, LocallyConnected2d, Pad2d, PadMode, Padding, Pool2d, PoolKind, Resize2d, ResizeMode, ResizeTo,
    Window,
};
use graph::{Binding, Symbol};
use graticule_engine::{Engine, Isa, Parameters, Program, Request};
use proptest::prelude::*;

const KINDS: [PoolKind; 5] = [
    PoolKind::Max,
    PoolKind::Min,
    PoolKind::Average { count_padding: true },
    PoolKind::Average { count_padding: false },
    PoolKind::L2,
];

fn window(stride: (usize, usize), dilation: (usize, usize), pad: [usize; 4], same: bool) -> Window {
    Window {
        stride: stride.into(),
        dilation: dilation.into(),
        padding: if same {
            Padding::Same
        } else {
            Padding::Explicit(pad)
        },
        fit: Fit::Floor,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pooling(
        batch in 1usize..10, h in 2usize..9, w in 2usize..10, c in 1usize..40, kind in 0usize..5,
        size in (1usize..4, 1usize..4), stride in (1usize..4, 1usize..4), dilation in (1usize..3, 1usize..3),
        pad in prop::array::uniform4(0usize..2), same: bool,
    ) {
        let pool = Pool2d { kind: KINDS[kind], size: size.into(), window: window(stride, dilation, pad, same) };
        if let Ok(y) = Symbol::apply(pool, &[&Symbol::input("x", [h, w, c])]) {
            check(&y, batch);
        }
    }

    /// Without a way back maxima have a kernel of their own; NaN shows in every window that it is in.
    #[test]
    fn maxima_alone(
        batch in 1usize..4, h in 2usize..9, w in 2usize..10, c in 1usize..40,
        size in (1usize..4, 1usize..4), stride in (1usize..4, 1usize..4), dilation in (1usize..3, 1usize..3),
        pad in prop::array::uniform4(0usize..3), bad in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let x = Symbol::input("x", [h, w, c]);
        let pool = Pool2d { kind: PoolKind::Max, size: size.into(), window: window(stride, dilation, pad, false) };
        if let Ok(y) = Symbol::apply(pool, &[&x]) {
            let mut values = numbers(batch * h * w * c, 3);
            let mut nan = vec![0.0; values.len()];
            for at in bad {
                let at = at.index(values.len());
                (values[at], nan[at]) = (f32::NAN, 1.0);
            }
            let finite: Vec<f32> = values.iter().map(|v| if v.is_nan() { -9.0 } else { *v }).collect();
            let exact = |values: &[f32]| {
                let wide = values.iter().map(|&v| f64::from(v)).collect();
                let array = ArrayD::from_shape_vec(IxDyn(&[batch, h, w, c]), wide).unwrap();
                evaluate(std::slice::from_ref(&y), &[(&x, array)], batch).unwrap().remove(0)
            };
            let (want, hidden) = (exact(&finite), exact(&nan));
            for isa in Isa::available() {
                let mut parameters = Parameters::new(&[]);
                let request = Request::outputs(std::slice::from_ref(&y));
                let engine = Engine::with_isa(2, isa).without_lanes();
                let layout = parameters.layout().clone();
                let mut program = Program::compile(&engine, &request, &layout, &Binding::batch(batch)).unwrap();
                program.set_input("x", &values).unwrap();
                program.run(&mut parameters, 0).unwrap();
                for ((got, want), hidden) in program.output(0).iter().zip(&want).zip(&hidden) {
                    // A window that sees padding alone is 0 in both.
                    let alike = if *hidden > 0.5 { got.is_nan() } else { f64::from(*got) == *want };
                    prop_assert!(alike, "{}: {} for {}, NaN {}", isa, got, want, hidden);
                }
            }
        }
    }

    #[test]
    fn padding(
        batch in 1usize..6, h in 2usize..6, w in 2usize..6, c in 1usize..20, pad in prop::array::uniform4(0usize..4),
        mode in 0usize..4,
    ) {
        let mode = [PadMode::Constant(-0.5), PadMode::Symmetric, PadMode::Reflect, PadMode::Edge][mode];
        if let Ok(y) = Symbol::apply(Pad2d { padding: pad, mode }, &[&Symbol::input("x", [h, w, c])]) {
            check(&y, batch);
        }
    }

    #[test]
    fn resizing(
        batch in 1usize..6, h in 1usize..7, w in 1usize..7, c in 1usize..20, to in (1usize..9, 1usize..9), mode in 0usize..3,
        scale: bool,
    ) {
        let mode = [
            ResizeMode::Nearest,
            ResizeMode::Bilinear { align_corners: false },
            ResizeMode::Bilinear { align_corners: true },
        ][mode];
        let to = if scale { ResizeTo::Scale([to.0.min(3), to.1.min(3)]) } else { ResizeTo::Size(to.into()) };
        check(&Symbol::apply(Resize2d { mode, to }, &[&Symbol::input("x", [h, w, c])]).unwrap(), batch);
    }

    #[test]
    fn locally_connected(
        batch in 1usize..10, h in 3usize..7, w in 3usize..8, c in 1usize..5, o in 1usize..20,
        size in (1usize..4, 1usize..4), stride in (1usize..3, 1usize..3), dilation in (1usize..3, 1usize..3),
        pad in prop::array::uniform4(0usize..2), same: bool,
    ) {
        let window = window(stride, dilation, pad, same);
        let size: [usize; 2] = size.into();
        if let Ok(bound) = window.bind("test", [h, w], size) {
            let [oh, ow] = bound.output;
            let weights = Symbol::parameter("w", [oh, ow, size[0] * size[1] * c, o], Default::default());
            let layer = LocallyConnected2d { window, size };
            check(&Symbol::apply(layer, &[&Symbol::input("x", [h, w, c]), &weights]).unwrap(), batch);
        }
    }
}

#[test]
fn equal_values_give_the_gradient_to_the_first() {
    for kind in [PoolKind::Max, PoolKind::Min] {
        for stride in [1, 2] {
            let pool = Pool2d {
                kind,
                size: [2, 2],
                window: window((stride, stride), (1, 1), [0; 4], false),
            };
            let y = Symbol::apply(pool, &[&Symbol::input("x", [6, 6, 19])]).unwrap();
            check_with(&y, 3, 2e-5, |s, n| {
                numbers(n, s.id()).iter().map(|v| (v * 1.5).round()).collect()
            });
        }
    }
}

#[test]
fn the_norm_of_a_window_of_zeros_has_gradient_zero() {
    let pool = Pool2d {
        kind: PoolKind::L2,
        size: [2, 2],
        window: window((2, 2), (1, 1), [0; 4], false),
    };
    let y = Symbol::apply(pool, &[&Symbol::input("x", [4, 4, 3])]).unwrap();
    check_with(&y, 2, 2e-5, |_, n| vec![0.0; n]);
}
