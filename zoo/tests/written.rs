//! Every named network as TOML, and back.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::HashMap;

use graph::Symbol;
use graph::interpret::evaluate;
use graph::ops::Op;
use graticule_zoo::{NAMES, build};
use ndarray::{ArrayD, IxDyn};
use nn::Model;
use nn::model::text::{MAX_LAYERS, from_toml, to_toml};

/// The nodes but the input: what they compute, of which shape, from which others.
fn nodes(model: &Model) -> Vec<(Op, Vec<usize>, Vec<usize>)> {
    let nodes: Vec<&Symbol> = model.nodes().iter().filter(|n| n.as_input().is_none()).collect();
    let place: HashMap<u64, usize> = nodes.iter().enumerate().map(|(i, n)| (n.id(), i + 1)).collect();
    let reads = |n: &Symbol| {
        n.inputs()
            .iter()
            .map(|i| place.get(&i.id()).copied().unwrap_or(0))
            .collect()
    };
    nodes
        .iter()
        .map(|n| (n.op().clone(), n.shape().to_vec(), reads(n)))
        .collect()
}

fn assert_same(model: &Model, again: &Model) {
    let name = model.name();
    assert_eq!(again.name(), name);
    assert_eq!(again.input().shape(), model.input().shape(), "{name}");
    assert_eq!(again.output().shape(), model.output().shape(), "{name}");
    let parameters = |m: &Model| {
        let all = m.parameters().iter();
        all.map(|p| (p.name.clone(), p.symbol.as_parameter().cloned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(parameters(again), parameters(model), "{name}");
    let (found, expected) = (nodes(again), nodes(model));
    assert_eq!(found.len(), expected.len(), "{name}");
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found, expected, "{name}: node {at}");
    }
}

#[test]
fn every_network_comes_back_from_its_toml() {
    let small: [&[usize]; 4] = [&[13], &[28, 28, 1], &[64, 64, 3], &[61, 65, 13]];
    for network in NAMES {
        for shape in small.into_iter().chain([network.input]) {
            let Ok(model) = build(network.name, shape, 3) else {
                continue;
            };
            let text = to_toml(&model).unwrap();
            let again = from_toml(&text, None, Some(3)).unwrap_or_else(|e| panic!("{}: {e}", network.name));
            assert_same(&model, &again);
            assert!(text.matches("[[layer]]").count() <= MAX_LAYERS);
        }
    }
}

/// Whatever a person would call a layer is one in the text.
#[test]
fn layers_are_written_as_layers() {
    let plain = [
        "lenet5",
        "lenet5-classic",
        "cnn-small",
        "mlp",
        "maxout",
        "local",
        "alexnet-2012",
    ];
    let families = [
        "vgg16-bn",
        "resnet50",
        "resnext50",
        "googlenet",
        "inception-v3",
        "densenet121",
    ];
    let others = [
        "squeezenet",
        "mobilenetv2",
        "xception",
        "efficientnet-lite0",
        "unet",
    ];
    for name in plain.iter().chain(&families).chain(&others) {
        let network = NAMES.iter().find(|n| n.name == *name).unwrap();
        let text = to_toml(&build(name, network.input, network.outputs).unwrap()).unwrap();
        for plain in ["\"op\"", "\"parameter\""] {
            assert!(
                !text.contains(&format!("type = {plain}")),
                "{name}: {}",
                around(&text, plain)
            );
        }
    }
    let of = |name: &str, kind: &str| {
        let network = NAMES.iter().find(|n| n.name == name).unwrap();
        let text = to_toml(&build(name, network.input, network.outputs).unwrap()).unwrap();
        text.matches(&format!("type = \"{kind}\"")).count()
    };
    assert_eq!(
        (of("se-resnet50", "conv"), of("se-resnet50", "batchnorm")),
        (53 + 32, 53)
    );
    assert_eq!((of("vit-b16", "attention"), of("vit-b16", "layernorm")), (12, 25));
    assert_eq!((of("vit-b16", "dense"), of("vit-b16", "conv")), (25, 1));
}

fn around(text: &str, word: &str) -> String {
    let at = text.find(&format!("type = {word}")).unwrap_or(0);
    text[at..].lines().take(8).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_same_numbers_come_out() {
    for (name, input) in [("lenet5", [28, 28, 1]), ("resnet20-b", [8, 8, 3])] {
        let model = build(name, &input, 4).unwrap();
        let again = from_toml(&to_toml(&model).unwrap(), None, None).unwrap();
        let value = |seed: usize, shape: &[usize]| {
            let number = |i: usize| (((i * 7919 + seed * 104_729) % 1009) as f64 / 1009.0).mul_add(0.2, 0.01);
            let count: usize = shape.iter().product();
            ArrayD::from_shape_vec(IxDyn(shape), (0..count).map(number).collect()).unwrap()
        };
        let run = |m: &Model| {
            let parameters = m.parameters().iter().enumerate();
            let mut given: Vec<_> = parameters
                .map(|(i, p)| (&p.symbol, value(i + 1, p.shape())))
                .collect();
            given.push((m.input(), value(0, &[&[2], &input[..]].concat())));
            evaluate(m.outputs(), &given, 2).unwrap()
        };
        assert_eq!(run(&model), run(&again), "{name}");
    }
}
