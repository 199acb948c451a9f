//! Small networks with numbers, and pictures to ask them about.

#![allow(dead_code)]

use engine::{Engine, Parameters};
use graph::ndarray::ArrayD;
use graticule_explain::{Reading, Subject};
use nn::Model;
use nn::prelude::*;

/// Filled by its initialisers.
pub fn parameters(model: &Model, seed: u64) -> Parameters {
    let named: Vec<(String, Symbol)> = model
        .parameters()
        .iter()
        .map(|p| (p.name.clone(), p.symbol.clone()))
        .collect();
    let mut parameters = Parameters::new(&named);
    for (ordinal, (name, symbol)) in named.iter().enumerate() {
        let parameter = symbol.as_parameter().unwrap();
        parameters
            .set(
                name,
                &nn::fill(parameter.init, &parameter.shape, seed, ordinal as u64),
            )
            .unwrap();
    }
    parameters
}

/// Convolution, ReLU, max-pooling, convolution, ReLU, global mean, dense: 12×12×2 to 3 classes.
pub fn network() -> Model {
    let image = Symbol::input("image", [12, 12, 2]);
    let x = Conv2d::new(6, 3)
        .padding(Same)
        .activation(Relu)
        .on(&image)
        .unwrap();
    let x = MaxPool2d::new(2).on(&x).unwrap();
    let x = Conv2d::new(8, 3).padding(Same).activation(Relu).on(&x).unwrap();
    let x = GlobalAvgPool2d.on(&x).unwrap();
    let logits = Dense::new(3).on(&x).unwrap();
    Model::new("small", &image, &logits).unwrap()
}

pub fn subject(model: &Model, threads: usize) -> Subject {
    Subject::new(
        &Engine::new(threads),
        model,
        &parameters(model, 3),
        Reading::Classes,
    )
    .unwrap()
}

/// Numbers between −1 and 1 that look like nothing.
pub fn wave(shape: &[usize]) -> ArrayD<f32> {
    let mut i = 0.0f32;
    ArrayD::from_shape_simple_fn(shape, || {
        i += 1.0;
        (i * 1.7).sin() * (i * 0.31).cos()
    })
}
