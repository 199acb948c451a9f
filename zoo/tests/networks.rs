//! Exact sizes of the named networks, and what they say to inputs that they cannot read.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use graph::{Binding, Mode, differentiate, lower, topological};
use graticule_zoo::{NAMES, ZooError, build};
use nn::model::summary;
use nn::prelude::*;

const SHAPES: &[&[usize]] = &[
    &[1],
    &[2],
    &[13],
    &[8, 8, 1],
    &[20, 24, 1],
    &[28, 28, 1],
    &[32, 32, 3],
    &[64, 64, 3],
    &[61, 65, 13],
    &[64, 80, 4],
    &[67, 67, 3],
    &[99, 131, 3],
    &[224, 112, 3],
    &[227, 227, 3],
    &[256, 80, 1],
];

fn trainable(name: &str, input: &[usize], outputs: usize) -> usize {
    build(name, input, outputs).unwrap().trainable_count()
}

fn shapes(name: &str, input: &[usize], outputs: usize) -> Vec<Vec<usize>> {
    let model = build(name, input, outputs).unwrap();
    let rows = summary(&model, &Binding::batch(1)).unwrap().layers;
    rows.iter().map(|r| r.output_shape[1..].to_vec()).collect()
}

#[test]
fn one_layer_networks_have_d_plus_one_parameters_per_unit() {
    assert_eq!(trainable("linear", &[8], 1), 9);
    assert_eq!(trainable("logistic", &[2], 2), 6);
    assert_eq!(trainable("perceptron", &[28, 28, 1], 10), 7_850);
}

#[test]
fn mlp_sizes_follow_the_input() {
    assert_eq!(
        trainable("mlp", &[28, 28, 1], 10),
        784 * 256 + 256 + 256 * 128 + 128 + 1_290
    );
    assert_eq!(trainable("mlp", &[28, 28, 1], 10), 235_146);
    assert_eq!(trainable("mlp", &[8], 1), 8 * 64 + 64 + 64 * 64 + 64 + 65);
    assert_eq!(trainable("mlp", &[2], 2), 2 * 64 + 64 + 64 * 64 + 64 + 130);
}

#[test]
fn lenets_have_the_papers_sizes() {
    for name in ["lenet5", "lenet5-classic"] {
        assert_eq!(trainable(name, &[28, 28, 1], 10), 61_706);
        assert_eq!(trainable(name, &[32, 32, 1], 10), 61_706);
    }
    assert_eq!(trainable("lenet1", &[28, 28, 1], 10), 3_246);
    let maps = shapes("lenet5", &[28, 28, 1], 10);
    let expected: [&[usize]; 9] = [
        &[28, 28, 1],
        &[28, 28, 6],
        &[14, 14, 6],
        &[10, 10, 16],
        &[5, 5, 16],
        &[400],
        &[120],
        &[84],
        &[10],
    ];
    assert_eq!(maps, expected);
}

#[test]
fn cnn_small_has_seven_convolutions_for_eurosat() {
    let model = build("cnn-small", &[64, 64, 3], 10).unwrap();
    assert_eq!(model.trainable_count(), 928 + 55_552 + 221_696 + 885_760 + 2_570);
    assert_eq!(
        model.parameter_count() - model.trainable_count(),
        64 + 256 + 512 + 1_024
    );
    let table = summary(&model, &Binding::batch(1)).unwrap();
    let convolutions: Vec<usize> = table
        .layers
        .iter()
        .filter(|r| r.kind == "conv2d")
        .map(|r| r.output_shape[3])
        .collect();
    assert_eq!(convolutions, [32, 64, 64, 128, 128, 256, 256]);
    assert_eq!(table.macs, macs_of_eurosat());
}

fn macs_of_eurosat() -> u64 {
    let layer = |side: u64, from: u64, to: u64| side * side * 9 * from * to;
    layer(64, 3, 32)
        + layer(32, 32, 64)
        + layer(32, 64, 64)
        + layer(16, 64, 128)
        + layer(16, 128, 128)
        + layer(8, 128, 256)
        + layer(8, 256, 256)
        + 2_560
}

#[test]
fn cnn_small_gets_deeper_with_the_image() {
    let convolutions = |side: usize| {
        let model = build("cnn-small", &[side, side, 3], 4).unwrap();
        let parameters = model.parameters().iter();
        parameters
            .filter(|p| p.name.starts_with("conv2d") && p.name.ends_with("weight"))
            .count()
    };
    let found: Vec<usize> = [8, 16, 27, 28, 32, 64, 128, 256].map(convolutions).to_vec();
    assert_eq!(found, [3, 3, 3, 5, 5, 7, 9, 11]);
}

#[test]
fn every_network_comes_back_from_its_architecture() {
    for network in NAMES {
        let mut built = 0;
        for shape in SHAPES.iter().chain([&network.input]) {
            let Ok(model) = build(network.name, shape, 3) else {
                continue;
            };
            let described = model.architecture();
            let text = nn_json(&described);
            let again = Model::from_architecture(&text).unwrap();
            assert_eq!(again.architecture(), described, "{} {shape:?}", network.name);
            assert_eq!(again.output().shape().last_axis(), 3);
            let names = |m: &Model| m.parameters().iter().map(|p| p.name.clone()).collect::<Vec<_>>();
            assert_eq!(names(&again), names(&model));
            built += 1;
        }
        assert!(built >= 3, "{} was built {built} times only", network.name);
    }
}

/// In training, for a batch of two: each trained parameter has a gradient of its shape.
#[test]
fn every_network_can_be_trained() {
    for network in NAMES {
        let model = build(network.name, network.input, network.outputs).unwrap();
        let target = Symbol::input("target", model.output().shape()[1..].to_vec());
        let loss = Loss::SquaredError.on(model.output(), &target).unwrap();
        let lowered = lower(&[loss], Mode::Train).unwrap();
        let parameters = model.parameters().iter().filter(|p| p.trainable());
        let parameters: Vec<Symbol> = parameters.map(|p| p.symbol.clone()).collect();
        let gradients = differentiate(&lowered.outputs[0], &parameters).unwrap();
        let shapes = Binding::batch(2).shapes(&topological(&gradients)).unwrap();
        for (parameter, gradient) in parameters.iter().zip(&gradients) {
            assert_eq!(&shapes[&gradient.id()], parameter.shape(), "{}", network.name);
        }
    }
}

fn nn_json(architecture: &nn::Architecture) -> nn::Architecture {
    serde_json::from_str(&serde_json::to_string(architecture).unwrap()).unwrap()
}

#[test]
fn unknown_names_get_the_nearest() {
    let text = build("lenet-5", &[28, 28, 1], 10).err().unwrap().to_string();
    assert!(
        text.starts_with("no network is called `lenet-5`; did you mean `lenet5`"),
        "{text}"
    );
    assert!(text.contains("(known: linear, logistic"), "{text}");
}

#[test]
fn inputs_that_do_not_fit_are_told_with_a_remedy() {
    let text = |name, shape: &[usize]| build(name, shape, 10).err().unwrap().to_string();
    let small = text("lenet5", &[8, 8, 1]);
    let expected =
        "lenet5 needs images of at least 20×20 pixels, found samples of shape [8, 8, 1]; take `cnn-small`";
    assert!(small.starts_with(expected), "{small}");
    assert!(text("cnn-small", &[13]).contains("take `mlp` for tables"));
    assert!(text("cnn-small", &[4, 9, 1]).contains("at least 8×8"));
    assert!(text("mlp", &[]).contains("at least one number per sample"));
    assert!(matches!(
        build("mlp", &[3], 0),
        Err(ZooError::NoOutputs { network: "mlp" })
    ));
}
