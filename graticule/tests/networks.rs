//! The famous networks answer on the engine as PyTorch's do, with the same numbers in parameters of
//! the same names.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use graticule::graph::{Mode, differentiate, lower};
use graticule::nn::{Loss, NamedParameter};
use graticule::prelude::*;
use graticule::zoo;
use serde_json::Value;

/// What a gradient's projection may be off, as a share of the gradient's length. It has room for a few
/// numbers that 32 bits put on the other side of 0, or of their neighbour in a pooling, than 64 bits.
const GRADIENT: f64 = 2e-3;
/// The same for the layer that such a number belongs to, of which a network of a hundred layers may have one.
const SWITCHED: f64 = 4e-3;

/// `count` numbers in [−0.5, 0.5) that depend on the name alone, as `tests/golden/networks.py` has them.
fn mixed(name: &str, count: usize) -> impl Iterator<Item = f64> + use<> {
    let seed = name.bytes().fold(2_166_136_261u32, |seed, byte| {
        (seed ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    (0..count as u32).map(move |i| {
        let mut x = i.wrapping_mul(2_654_435_761).wrapping_add(seed);
        x = (x ^ (x >> 16)).wrapping_mul(0x045d_9f3b);
        x ^= x >> 16;
        f64::from(x) / 2f64.powi(32) - 0.5
    })
}

fn value(name: &str, shape: &[usize]) -> Vec<f32> {
    let count: usize = shape.iter().product();
    let (scale, shift) = match (shape, name.rsplit('.').next()) {
        ([before @ .., _], _) if !before.is_empty() => {
            ((24.0 / before.iter().product::<usize>() as f64).sqrt(), 0.0)
        }
        (_, Some("running_var")) => (0.5, 1.0),
        (_, Some("weight")) => (0.2, 1.0),
        _ => (0.2, 0.0),
    };
    mixed(name, count).map(|v| (v * scale + shift) as f32).collect()
}

/// What the network answers to one image, and the gradients of Σ answer·upstream by the parameters.
fn answer(name: &str, input: &[usize], with_gradients: bool) -> (Vec<f32>, Vec<(String, Vec<f32>)>) {
    let model = zoo::build(name, input, 3).unwrap();
    let named: Vec<_> = model
        .parameters()
        .iter()
        .map(|p| (p.name.clone(), p.symbol.clone()))
        .collect();
    let mut parameters = Parameters::new(&named);
    for (name, symbol) in &named {
        parameters.set(name, &value(name, symbol.shape())).unwrap();
    }
    let mut outputs = lower(model.outputs(), Mode::Infer).unwrap().outputs;
    let mut trained = model.parameters().to_vec();
    trained.retain(|p| with_gradients && p.trainable());
    let upstream: Vec<f32> = mixed("upstream", outputs[0].shape().elements())
        .map(|v| v as f32)
        .collect();
    let upstream = Symbol::constants(upstream, outputs[0].shape().clone());
    let loss = outputs[0].mul(&upstream).unwrap().sum().unwrap();
    let by: Vec<Symbol> = trained.iter().map(|p| p.symbol.clone()).collect();
    outputs.extend(differentiate(&loss, &by).unwrap());
    let request = Request::outputs(&outputs);
    let binding = Binding::batch(1);
    let mut program = Program::compile(&Engine::new(2), &request, parameters.layout(), &binding).unwrap();
    let image: Vec<f32> = mixed("input", input.iter().product())
        .map(|v| (2.0 * v) as f32)
        .collect();
    program.set_input("input", &image).unwrap();
    program.run(&mut parameters, 0).unwrap();
    let gradients = trained.iter().enumerate();
    let gradients = gradients.map(|(k, p)| (p.name.clone(), program.output(k + 1).to_vec()));
    (program.output(0).to_vec(), gradients.collect())
}

/// Each gradient's projection on numbers made of its name is PyTorch's, but for a part of its length.
fn compare_gradients(network: &str, found: &[(String, Vec<f32>)], expected: &[Value]) {
    assert_eq!(found.len(), expected.len(), "{network}");
    let mut switched = 0;
    let lengths = found
        .iter()
        .map(|(_, g)| g.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt());
    for (((name, gradient), length), expected) in found.iter().zip(lengths).zip(expected) {
        let along = mixed(&format!("{name} gradient"), gradient.len());
        let projection: f64 = gradient.iter().zip(along).map(|(g, v)| f64::from(*g) * v).sum();
        let error = (projection - expected.as_f64().unwrap()).abs();
        let scale = length.max(1e-12);
        assert!(
            error <= SWITCHED * scale,
            "{network}, {name}: {projection} for {expected}, length {length}"
        );
        switched += usize::from(error > GRADIENT * scale);
    }
    assert!(
        switched <= found.len() / 100,
        "{network}: {switched} gradients are off"
    );
}

#[test]
fn famous_networks_answer_as_pytorch_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/networks.json");
    let golden: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (mut checked, mut with_gradients) = (0, 0);
    for network in &golden {
        let (name, expected) = (network["name"].as_str().unwrap(), &network["answer"]);
        let Some(values) = expected["values"].as_array() else {
            continue;
        };
        let input: Vec<usize> = serde_json::from_value(expected["input"].clone()).unwrap();
        let projections = expected["gradients"].as_array();
        let (found, gradients) = answer(name, &input, projections.is_some());
        if let Some(projections) = projections {
            compare_gradients(name, &gradients, projections);
            with_gradients += 1;
        }
        assert_eq!(found.len(), values.len(), "{name}");
        let largest = values
            .iter()
            .map(|v| v.as_f64().unwrap().abs())
            .fold(0.0, f64::max);
        for (found, expected) in found.iter().zip(values) {
            let error = (f64::from(*found) - expected.as_f64().unwrap()).abs();
            assert!(
                error <= 2e-5 * largest,
                "{name}: {found} for {expected}, the largest being {largest}"
            );
        }
        checked += 1;
    }
    assert!(
        checked >= 20 && with_gradients >= 10,
        "{checked} networks were compared, {with_gradients} with gradients"
    );
}

/// A network's parameters filled by their names, one image, and a program for these outputs.
fn run(model: &Model, input: &[usize], outputs: &[Symbol]) -> Vec<Vec<f32>> {
    let name = |p: &NamedParameter| (p.name.clone(), p.symbol.clone());
    let named: Vec<_> = model.parameters().iter().map(name).collect();
    let mut parameters = Parameters::new(&named);
    for (name, symbol) in &named {
        parameters.set(name, &value(name, symbol.shape())).unwrap();
    }
    let (request, binding) = (Request::outputs(outputs), Binding::batch(1));
    let mut program = Program::compile(&Engine::new(2), &request, parameters.layout(), &binding).unwrap();
    let image: Vec<f32> = mixed("input", input.iter().product())
        .map(|v| (2.0 * v) as f32)
        .collect();
    program.set_input("input", &image).unwrap();
    program.run(&mut parameters, 0).unwrap();
    (0..outputs.len()).map(|k| program.output(k).to_vec()).collect()
}

#[test]
fn n4_n7_auxiliary_heads_and_the_weighted_loss_are_pytorchs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/auxiliary.json");
    let golden: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for case in &golden {
        let name = case["name"].as_str().unwrap();
        let input: Vec<usize> = serde_json::from_value(case["input"].clone()).unwrap();
        let (model, shares) = zoo::build_for_training(name, &input, 3).unwrap();
        assert_eq!(serde_json::to_value(&shares).unwrap(), case["shares"]);
        let mut outputs = lower(model.outputs(), Mode::Infer).unwrap().outputs;
        let target = Symbol::constants(vec![case["target"].as_f64().unwrap() as f32], [1]);
        let losses = outputs
            .iter()
            .map(|y| Loss::cross_entropy().on(y, &target).unwrap());
        let mut losses = losses.collect::<Vec<_>>().into_iter();
        let mut loss = losses.next().unwrap();
        for (head, share) in losses.zip(&shares) {
            loss = loss.add(&head.affine(*share as f32, 0.0).unwrap()).unwrap();
        }
        let projections = case["gradients"].as_object().unwrap();
        let by = |name: &String| model.parameter(name).unwrap().symbol.clone();
        let by: Vec<Symbol> = projections.keys().map(by).collect();
        let gradients = differentiate(&loss, &by).unwrap();
        let heads = outputs.len();
        outputs.push(loss);
        outputs.extend(gradients);
        let found = run(&model, &input, &outputs);
        let answers = case["answers"].as_array().unwrap();
        assert_eq!(answers.len(), heads);
        for (found, expected) in found.iter().zip(answers) {
            let expected: Vec<f32> = serde_json::from_value(expected.clone()).unwrap();
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-4, "{name}: {found} for {expected}");
            }
        }
        let (loss, expected) = (f64::from(found[heads][0]), case["loss"].as_f64().unwrap());
        assert!((loss - expected).abs() < 1e-4, "{name}: {loss} for {expected}");
        let named = projections.keys().cloned().zip(found[heads + 1..].to_vec());
        let expected: Vec<Value> = projections.values().cloned().collect();
        compare_gradients(name, &named.collect::<Vec<_>>(), &expected);
    }
}
