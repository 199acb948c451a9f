//! Samples larger than a cache go through a network in bands of rows, and no number changes by it.

#![allow(clippy::unwrap_used)]

mod common;

use std::cell::Cell;

use common::{check, check_precisions, check_with, numbers};
use graph::ops::{BatchNorm, Conv2d, Fit, Padding, UnaryKind, Window};
use graph::{Binding, Mode, Shape, Symbol, differentiate, lower};
use graticule_engine::{Engine, Level, Parameters, Program, Request};
use proptest::prelude::*;

fn parameter(shape: &[usize]) -> Symbol {
    Symbol::parameter("p", Shape::new(shape), Default::default())
}

/// A kernel's size, stride, dilation, padding.
type Geometry = (usize, usize, usize, usize);

fn conv(x: &Symbol, outputs: usize, (kernel, stride, dilation, padding): Geometry) -> Symbol {
    let window = Window {
        stride: [stride; 2],
        dilation: [dilation; 2],
        padding: Padding::Explicit([padding; 4]),
        fit: Fit::Floor,
    };
    let weights = parameter(&[kernel, kernel, x.shape().last_axis(), outputs]);
    Symbol::apply(Conv2d { window, groups: 1 }, &[x, &weights]).unwrap()
}

fn batch_norm(x: &Symbol) -> Symbol {
    let c = x.shape().last_axis();
    let norm = BatchNorm {
        epsilon: 1e-3,
        momentum: 0.25,
        frozen: false,
    };
    let own: Vec<Symbol> = (0..4).map(|_| parameter(&[c])).collect();
    Symbol::apply(norm, &[x, &own[0], &own[1], &own[2], &own[3]]).unwrap()
}

fn relu(x: &Symbol) -> Symbol {
    x.unary(UnaryKind::Relu).unwrap()
}

fn trained(y: &Symbol) -> Symbol {
    lower(std::slice::from_ref(y), Mode::Train)
        .unwrap()
        .outputs
        .remove(0)
}

/// Whether training a network that ends in `y` takes samples in bands.
fn in_bands(engine: &Engine, y: &Symbol, batch: usize) -> bool {
    let nodes = graph::topological(std::slice::from_ref(y));
    let trainable: Vec<Symbol> = nodes.into_iter().filter(|s| s.as_parameter().is_some()).collect();
    let named: Vec<(String, Symbol)> = trainable
        .iter()
        .map(|s| (format!("p{}", s.id()), s.clone()))
        .collect();
    let loss = y.sum().unwrap();
    let gradients = differentiate(&loss, &trainable).unwrap();
    let request = Request {
        outputs: vec![loss],
        gradients: trainable.into_iter().zip(gradients).collect(),
        ..Request::default()
    };
    let layout = Parameters::new(&named);
    let program = Program::compile(engine, &request, layout.layout(), &Binding::batch(batch));
    program.unwrap().in_bands()
}

#[test]
fn convolution_batch_norm_and_relu_of_large_images() {
    let x = Symbol::input("x", [112, 80, 8]);
    let y = relu(&batch_norm(&conv(&x, 8, (3, 1, 1, 1))));
    let y = relu(&batch_norm(&conv(&y, 12, (3, 1, 1, 1))));
    let y = trained(&y);
    assert!(in_bands(&Engine::new(1), &y, 2));
    // Always the same numbers: none of them so near to a ReLU's corner that f32 and f64 take different sides.
    let seed = Cell::new(0);
    check_with(&y, 2, 2e-5, |_, count| {
        seed.set(seed.get() + 1);
        numbers(count, seed.get())
    });
}

#[test]
fn small_images_go_whole() {
    let x = Symbol::input("x", [16, 16, 8]);
    let y = relu(&batch_norm(&conv(&x, 8, (3, 1, 1, 1))));
    assert!(!in_bands(
        &Engine::new(1),
        &trained(&conv(&y, 8, (3, 1, 1, 1))),
        2
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    /// Strides and dilations make some rows wait for others far below; sums and pooling wait for all.
    #[test]
    fn any_geometry_in_bands(
        rows in 90usize..110, columns in 70usize..80,
        first in (1usize..4, 1usize..3, 1usize..3, 0usize..3),
        second in (1usize..4, 1usize..4, 1usize..3, 0usize..2),
        residual in any::<bool>(),
    ) {
        let x = Symbol::input("x", [rows, columns, 8]);
        let a = batch_norm(&conv(&x, 12, (3, 1, 1, 1)));
        let b = conv(&a, 12, (3, 1, 1, 1)).unary(UnaryKind::Tanh).unwrap();
        let b = if residual { b.add(&a).unwrap() } else { b };
        let y = conv(&conv(&b, 6, first), 5, second).unary(UnaryKind::Sigmoid).unwrap();
        let y = trained(&y);
        prop_assert!(in_bands(&Engine::new(1), &y, 2));
        check(&y, 2);
    }
}

/// The kernels of the tile unit go by strips of their own inside a band, with a stride too.
#[test]
fn large_images_on_tiles() {
    let x = Symbol::input("x", [120, 72, 17]);
    let y = conv(&x, 18, (3, 1, 1, 1));
    let y = conv(&conv(&y, 17, (3, 1, 1, 1)), 16, (3, 2, 1, 1));
    assert!(in_bands(&Engine::with_isa(1, Level::AmxEmulated), &y, 2));
    check_precisions(&y, 2);
}
