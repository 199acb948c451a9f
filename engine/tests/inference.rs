//! What inference leaves out: work on parameters that have not changed, passes that ride in a convolution.
#![allow(clippy::unwrap_used)]

mod common;

use common::{check, numbers};
use graph::ops::{Conv2d, Fit, Padding, Pool2d, PoolKind, UnaryKind, Window};
use graph::{Binding, Symbol};
use graticule_engine::{Engine, Parameters, Program, Request};
use proptest::prelude::*;

fn parameter(shape: &[usize]) -> Symbol {
    Symbol::parameter("p", shape.to_vec(), Default::default())
}

fn conv(x: &Symbol, w: &Symbol) -> Symbol {
    let window = Window {
        padding: Padding::Same,
        fit: Fit::Floor,
        ..Window::default()
    };
    Symbol::apply(Conv2d { window, groups: 1 }, &[x, w]).unwrap()
}

/// y = relu(x ⋆ (w·s) + b), whose weights are made by ops on parameters.
fn scaled() -> (Symbol, Vec<(String, Symbol)>) {
    let x = Symbol::input("x", [6, 5, 3]);
    let (w, s, b) = (parameter(&[3, 3, 3, 8]), parameter(&[8]), parameter(&[8]));
    let y = conv(&x, &w.mul(&s).unwrap())
        .add(&b)
        .unwrap()
        .unary(UnaryKind::Relu)
        .unwrap();
    (y, vec![("w".into(), w), ("s".into(), s), ("b".into(), b)])
}

#[test]
fn what_is_kept_between_runs_follows_the_parameters() {
    let (y, named) = scaled();
    let mut store = Parameters::new(&named);
    for (k, (name, symbol)) in named.iter().enumerate() {
        store
            .set(name, &numbers(symbol.shape().elements(), k as u64))
            .unwrap();
    }
    let request = Request::outputs(&[y]);
    let compile = || Program::compile(&Engine::new(2), &request, store.layout(), &Binding::batch(3)).unwrap();
    let input = numbers(3 * 6 * 5 * 3, 9);
    let fresh = |store: &mut Parameters| {
        let mut program = compile();
        program.set_input("x", &input).unwrap();
        program.run(store, 0).unwrap();
        program.output(0).to_vec()
    };
    let mut kept = compile();
    kept.set_input("x", &input).unwrap();
    let mut first = store.clone();
    let mut second = store.clone();
    second.set("s", &numbers(8, 77)).unwrap();
    let mut third = second.clone();
    third.values_mut().iter_mut().for_each(|v| *v *= 0.5);
    let mut results = Vec::new();
    let mut again = first.clone();
    for store in [&mut first, &mut second, &mut again, &mut third] {
        for _ in 0..2 {
            kept.run(store, 0).unwrap();
            assert_eq!(kept.output(0), fresh(store));
        }
        results.push(kept.output(0).to_vec());
    }
    assert_ne!(results[0], results[1]);
    assert_eq!(results[0], results[2]);
    assert_ne!(results[1], results[3]);
}

#[test]
fn bias_residual_and_relu_ride_in_the_convolution() {
    let x = Symbol::input("x", [6, 5, 3]);
    let y = conv(&x, &parameter(&[3, 3, 3, 8])).add(&parameter(&[8])).unwrap();
    let z = conv(&x, &parameter(&[1, 1, 3, 8]));
    let sum = y.add(&z).unwrap().unary(UnaryKind::Relu).unwrap();
    let named: Vec<(String, Symbol)> = graph::topological(std::slice::from_ref(&sum))
        .into_iter()
        .filter(|s| s.as_parameter().is_some())
        .map(|s| (format!("p{}", s.id()), s))
        .collect();
    let store = Parameters::new(&named);
    let request = Request::outputs(&[sum]);
    let program = Program::compile(&Engine::new(1), &request, store.layout(), &Binding::batch(4)).unwrap();
    // Two packings and two convolutions.
    assert_eq!(program.size().0, 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn residuals(
        h in 1usize..9, w in 1usize..12, c in 1usize..40, o in 1usize..70, kernel in 1usize..4, batch in 1usize..6,
        bias: bool, relu: bool, depthwise: bool,
    ) {
        let x = Symbol::input("x", [h, w, c]);
        let o = if depthwise { c } else { o };
        let other = Symbol::input("z", [h, w, o]);
        let window = Window { padding: Padding::Same, ..Window::default() };
        let groups = if depthwise { c } else { 1 };
        let op = Conv2d { window, groups };
        let mut y = Symbol::apply(op, &[&x, &parameter(&[kernel, kernel, c / groups, o])]).unwrap();
        if bias {
            y = y.add(&parameter(&[o])).unwrap();
        }
        y = other.add(&y).unwrap();
        if relu {
            y = y.unary(UnaryKind::Relu).unwrap();
        }
        check(&y, batch);
    }
}

/// One large sample: element-wise ops, pooling and joining channels are split by rows.
#[test]
fn one_sample_alone() {
    let x = Symbol::input("x", [61, 40, 9]);
    let z = Symbol::input("z", [61, 40, 9]);
    let y = x
        .mul(&z)
        .unwrap()
        .add(&parameter(&[9]))
        .unwrap()
        .unary(UnaryKind::Tanh)
        .unwrap();
    check(&y, 1);
    check(&Symbol::concat(&[&x, &z, &x], 3).unwrap(), 1);
    check(&Symbol::concat(&[&x, &z], 2).unwrap(), 1);
    for (kind, size, stride) in [(PoolKind::Max, 3, 2), (PoolKind::Max, 2, 2), (PoolKind::L2, 3, 1)] {
        let window = Window {
            stride: [stride; 2],
            fit: Fit::Floor,
            ..Window::default()
        };
        let pool = Pool2d {
            kind,
            size: [size; 2],
            window,
        };
        check(&Symbol::apply(pool, &[&x]).unwrap(), 1);
    }
}
