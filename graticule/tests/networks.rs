//! The famous networks answer on the engine as PyTorch's do, with the same numbers in parameters of
//! the same names.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use graticule::graph::{Mode, lower};
use graticule::prelude::*;
use graticule::zoo;
use serde_json::Value;

/// `count` numbers in [−0.5, 0.5) that depend on the name alone, as `tests/golden/networks.py` has them.
fn mixed(name: &str, count: usize) -> impl Iterator<Item = f64> {
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

/// What the network answers to one image.
fn answer(name: &str, input: &[usize]) -> Vec<f32> {
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
    let outputs = lower(model.outputs(), Mode::Infer).unwrap().outputs;
    let request = Request::outputs(&outputs);
    let binding = Binding::batch(1);
    let mut program = Program::compile(&Engine::new(2), &request, parameters.layout(), &binding).unwrap();
    let image: Vec<f32> = mixed("input", input.iter().product())
        .map(|v| (2.0 * v) as f32)
        .collect();
    program.set_input("input", &image).unwrap();
    program.run(&mut parameters, 0).unwrap();
    program.output(0).to_vec()
}

#[test]
fn famous_networks_answer_as_pytorch_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/networks.json");
    let golden: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut checked = 0;
    for network in &golden {
        let (name, expected) = (network["name"].as_str().unwrap(), &network["answer"]);
        let Some(values) = expected["values"].as_array() else {
            continue;
        };
        let input: Vec<usize> = serde_json::from_value(expected["input"].clone()).unwrap();
        let found = answer(name, &input);
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
    assert!(checked >= 8, "{checked} networks were compared");
}
