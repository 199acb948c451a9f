//! Against PyTorch and Captum, whose numbers `tests/golden/explain.py` wrote: each within 1e-4 of the largest number.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use engine::{Engine, Parameters};
use graph::ndarray::ArrayD;
use graticule_explain::*;
use nn::Model;
use nn::prelude::*;
use serde_json::Value;

fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/explain.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn tensor(value: &Value) -> ArrayD<f32> {
    let numbers = |name: &str| {
        value[name]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap())
    };
    let shape: Vec<usize> = numbers("shape").map(|v| v as usize).collect();
    ArrayD::from_shape_vec(shape, numbers("data").map(|v| v as f32).collect()).unwrap()
}

/// The network of the script, layer by layer.
fn network() -> Model {
    let image = Symbol::input("image", [12, 12, 2]);
    let x = Conv2d::new(6, 3).padding(Same).name("conv1").on(&image).unwrap();
    let x = Relu.on(&BatchNorm::new().name("norm").on(&x).unwrap()).unwrap();
    let x = MaxPool2d::new(2).on(&x).unwrap();
    let x = Conv2d::new(8, 3)
        .padding(Same)
        .activation(Relu)
        .name("conv2")
        .on(&x)
        .unwrap();
    let scores = Dense::new(3).name("dense").on(&Flatten.on(&x).unwrap()).unwrap();
    Model::new("golden", &image, &scores).unwrap()
}

fn subject(golden: &Value) -> Subject {
    let model = network();
    let named: Vec<(String, Symbol)> = model
        .parameters()
        .iter()
        .map(|p| (p.name.clone(), p.symbol.clone()))
        .collect();
    let mut parameters = Parameters::new(&named);
    for (name, values) in golden["parameters"].as_object().unwrap() {
        parameters.set(name, tensor(values).as_slice().unwrap()).unwrap();
    }
    Subject::new(&Engine::new(2), &model, &parameters, Reading::Classes).unwrap()
}

fn same(what: &str, found: &ArrayD<f32>, golden: &Value) {
    let expected = tensor(&golden[what]);
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let most = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let apart = found
        .iter()
        .zip(&expected)
        .fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(
        most > 0.0 && apart <= 1e-4 * most,
        "{what}: {apart} apart, of numbers up to {most}"
    );
}

#[test]
fn every_method_agrees_with_captum() {
    let golden = golden();
    let (inputs, mut subject) = (tensor(&golden["inputs"]), subject(&golden));
    let target = Target::each(vec![2, 0]);
    let mut told = |method: Method| explain(&mut subject, &inputs, &target, &method).unwrap();

    let gradient = told(Method::Gradient);
    same("gradient", &gradient.map, &golden);
    let scores = tensor(&golden["scores"]);
    for (k, class) in [(0, 2), (1, 0)] {
        assert!((gradient.scores[k] - scores[[k, class]]).abs() < 1e-5);
    }
    for name in ["gradient-x-input", "integrated", "guided", "deconvnet"] {
        same(
            name,
            &told(Method::named(name).unwrap()).attributions.unwrap(),
            &golden,
        );
    }
    let from_colour = Method::IntegratedGradients(IntegratedGradients {
        steps: 20,
        baseline: Fill(vec![-0.5, 0.25]),
    });
    same(
        "integrated from a colour",
        &told(from_colour).attributions.unwrap(),
        &golden,
    );
    let layer = |name: &str| {
        Method::GradCam(GradCam {
            layer: Some(name.into()),
        })
    };
    same("grad-cam", &told(layer("conv2")).map, &golden);
    // The layer's own features, although inference moves the batch norm's scale into its weights.
    same("grad-cam before batch norm", &told(layer("conv1")).map, &golden);
    let occlusion = Method::Occlusion(Occlusion {
        size: Some([4, 5]),
        stride: Some([3, 2]),
        fill: Fill(vec![0.25]),
    });
    same("occlusion", &told(occlusion).map, &golden);
}
