//! The registry test: every op's gradient rule against finite differences of its plain reference,
//! and every op through serde.

#![allow(clippy::unwrap_used)]

mod cases;

use std::collections::BTreeSet;

use cases::{BATCH, Case, table};
use graticule_graph::interpret::evaluate;
use graticule_graph::ndarray::ArrayD;
use graticule_graph::{GraphError, Op, Symbol, differentiate, topological};

/// Ops that are never differentiated: leaves, comparisons, and gradients without a second derivative.
/// Each must occur in what some case is differentiated or lowered to.
const NOT_DIFFERENTIATED: [&str; 14] = [
    "Input",
    "Parameter",
    "Constant",
    "UnaryGradient",
    "BatchMoments",
    "UnbiasedVariance",
    "NormalizeSums",
    "NormalizeInputGradient",
    "LayerNormInputGradient",
    "LayerNormSums",
    "LocalResponseNormGradient",
    "CrossEntropyGradient",
    "RecurrentGradient",
    "Dropout",
];

fn variant(op: &Op) -> String {
    format!("{op:?}").split('(').next().unwrap_or_default().into()
}

fn names<'a>(nodes: impl IntoIterator<Item = &'a Symbol>) -> BTreeSet<String> {
    nodes.into_iter().map(|n| variant(n.op())).collect()
}

fn value(loss: &Symbol, given: &[(Symbol, ArrayD<f64>)]) -> f64 {
    let given: Vec<_> = given.iter().map(|(s, v)| (s, v.clone())).collect();
    evaluate(std::slice::from_ref(loss), &given, BATCH).unwrap()[0][[]]
}

/// (loss(x + h) − loss(x − h)) / 2h for element `element` of leaf `leaf`.
fn wiggled(loss: &Symbol, given: &[(Symbol, ArrayD<f64>)], leaf: &Symbol, element: usize) -> f64 {
    let step = 1e-5;
    let at = |by: f64| {
        let mut given = given.to_vec();
        let (_, value_of_leaf) = given.iter_mut().find(|(s, _)| s == leaf).unwrap();
        value_of_leaf.as_slice_mut().unwrap()[element] += by;
        value(loss, &given)
    };
    (at(step) - at(-step)) / (2.0 * step)
}

fn check(case: &Case) {
    let (loss, given) = case.loss();
    let gradients = differentiate(&loss, &case.varied).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let pairs: Vec<_> = given.iter().map(|(s, v)| (s, v.clone())).collect();
    let values = evaluate(&gradients, &pairs, BATCH).unwrap();
    for (leaf, gradient) in case.varied.iter().zip(&values) {
        let scale = gradient.iter().fold(1.0_f64, |a, b| a.max(b.abs()));
        // About twenty elements, spread over the leaf.
        for element in (0..gradient.len()).step_by(gradient.len().div_ceil(20)) {
            let (found, expected) = (
                gradient.iter().nth(element).copied().unwrap(),
                wiggled(&loss, &given, leaf, element),
            );
            assert!(
                (found - expected).abs() <= 1e-6 * scale,
                "{} ({:?}), element {element}: gradient {found}, finite difference {expected}",
                case.name,
                case.written.op(),
            );
        }
    }
}

#[test]
fn o13_every_gradient_is_what_a_wiggle_of_each_element_says() {
    table().iter().for_each(check);
}

#[test]
fn every_op_has_a_case() {
    let table = table();
    let mut differentiated = BTreeSet::new();
    let mut occurring = BTreeSet::new();
    for case in &table {
        let forward = topological(&[case.output.clone(), case.written.clone()]);
        differentiated.extend(names(&forward));
        let (loss, _) = case.loss();
        let mut outputs = differentiate(&loss, &case.varied).unwrap();
        outputs.extend(case.updates.iter().map(|(_, new)| new.clone()));
        occurring.extend(names(&topological(&outputs)));
        occurring.extend(names(&forward));
    }
    for name in Op::NAMES {
        if NOT_DIFFERENTIATED.contains(name) {
            assert!(occurring.contains(*name), "{name} occurs in no case");
        } else {
            assert!(
                differentiated.contains(*name),
                "{name} has no case in tests/cases"
            );
        }
    }
}

#[test]
fn ops_without_a_second_derivative_say_so() {
    let table = table();
    let mut refused = BTreeSet::new();
    for case in &table {
        let (loss, _) = case.loss();
        for node in topological(&differentiate(&loss, &case.varied).unwrap()) {
            let name = variant(node.op());
            if NOT_DIFFERENTIATED.contains(&name.as_str()) && !node.inputs().is_empty() {
                let rule = node.op().gradient(&node, &node, 0);
                assert!(matches!(rule, Err(GraphError::NoGradient { .. })), "{name}");
                refused.insert(name);
            }
        }
    }
    assert!(refused.contains("CrossEntropyGradient") && refused.contains("UnaryGradient"));
}

#[test]
fn every_op_comes_back_from_json() {
    let mut seen = BTreeSet::new();
    for case in table() {
        let (loss, _) = case.loss();
        let mut outputs = differentiate(&loss, &case.varied).unwrap();
        outputs.push(case.written.clone());
        outputs.extend(case.updates.iter().map(|(_, new)| new.clone()));
        for node in topological(&outputs) {
            let text = serde_json::to_string(node.op()).unwrap();
            let back: Op = serde_json::from_str(&text).unwrap();
            assert_eq!(&back, node.op(), "{text}");
            seen.insert(variant(node.op()));
        }
    }
    let all: BTreeSet<String> = Op::NAMES.iter().map(|n| n.to_string()).collect();
    assert_eq!(seen, all);
}

#[test]
fn constants_come_back_from_json_with_their_bits() {
    let values = vec![
        f32::NEG_INFINITY,
        0.1,
        -0.0,
        f32::INFINITY,
        1e-40,
        16_777_217.0,
        f32::MIN,
        3.0,
    ];
    let constant = Symbol::constants(values.clone(), [values.len()]);
    let back: Op = serde_json::from_str(&serde_json::to_string(constant.op()).unwrap()).unwrap();
    let Op::Constant(back) = back else {
        panic!("{back:?}")
    };
    assert_eq!(
        back.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
        values.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    );
}

#[test]
fn a_graph_that_depends_on_the_mode_is_not_differentiated() {
    let x = Symbol::input("x", [3]);
    let y = Symbol::apply(graticule_graph::ops::Dropout { rate: 0.5 }, &[&x]).unwrap();
    let message = differentiate(&y.sum().unwrap(), &[x]).unwrap_err().to_string();
    assert!(message.contains("lower the graph"), "{message}");
}
