//! The famous networks have exactly the parameters and multiply-accumulates of PyTorch's.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use graph::Binding;
use graticule_zoo::{NAMES, build, build_for_training};
use nn::model::{Summary, summary};
use nn::prelude::*;
use serde_json::Value;

fn golden() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/networks.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn table(name: &str) -> Summary {
    let network = NAMES.iter().find(|n| n.name == name).unwrap();
    let model = build(name, network.input, network.outputs).unwrap();
    summary(&model, &Binding::batch(1)).unwrap()
}

#[test]
fn parameters_and_macs_are_those_of_pytorch() {
    let golden = golden();
    assert!(golden.len() >= 20);
    for expected in golden {
        let name = expected["name"].as_str().unwrap();
        let network = NAMES.iter().find(|n| n.name == name).unwrap();
        assert_eq!(serde_json::json!(network.input), expected["input"], "{name}");
        assert_eq!(network.outputs, expected["outputs"], "{name}");
        let found = table(name);
        assert_eq!(found.trainable, expected["trainable"], "{name}");
        assert_eq!(found.parameters - found.trainable, expected["states"], "{name}");
        assert_eq!(found.macs, expected["macs"], "{name}");
    }
}

/// Output shapes without the batch, and parameters, of the rows that are no response norm or dropout.
fn rows(name: &str) -> Vec<(Vec<usize>, usize)> {
    let rows = table(name).layers.into_iter();
    let moving = ["local_response_norm", "dropout"];
    rows.filter(|r| !moving.contains(&r.kind.as_str()))
        .map(|r| (r.output_shape[1..].to_vec(), r.parameters))
        .collect()
}

#[test]
fn x18_alexnets_shapes() {
    let shapes: Vec<Vec<usize>> = rows("alexnet").into_iter().map(|(shape, _)| shape).collect();
    let expected: [&[usize]; 13] = [
        &[227, 227, 3],
        &[55, 55, 96],
        &[27, 27, 96],
        &[27, 27, 256],
        &[13, 13, 256],
        &[13, 13, 384],
        &[13, 13, 384],
        &[13, 13, 256],
        &[6, 6, 256],
        &[9216],
        &[4096],
        &[4096],
        &[1000],
    ];
    assert_eq!(shapes, expected);
}

#[test]
fn x19_alexnets_parameters() {
    let counts: Vec<usize> = rows("alexnet").into_iter().map(|(_, count)| count).collect();
    let weighted: Vec<usize> = counts.into_iter().filter(|&count| count > 0).collect();
    let expected = [
        34_944, 614_656, 885_120, 1_327_488, 884_992, 37_752_832, 16_781_312, 4_097_000,
    ];
    assert_eq!(weighted, expected);
    assert_eq!(table("alexnet").trainable, 62_378_344);
    assert_eq!(table("alexnet-2012").trainable, 62_378_344);
    assert_eq!(table("alexnet-grouped").trainable, 60_965_224);
    assert_eq!(table("alexnet-torchvision").trainable, 61_100_840);
    let any_size = build("alexnet", &[224, 224, 3], 1000).unwrap();
    assert_eq!(any_size.trainable_count(), 61_100_840);
}

/// With the table's 227 rows and columns, and with the 224 of the paper, padded by three.
#[test]
fn x20_alexnets_first_layer_as_a_dense_one() {
    let first = |model: &Model| summary(model, &Binding::batch(2)).unwrap().layers[1].as_dense;
    let model = build("alexnet", &[227, 227, 3], 1000).unwrap();
    assert_eq!(first(&model), Some(44_892_064_800));
    let image = Symbol::input("image", [224, 224, 3]);
    let y = Conv2d::new(96, 11)
        .stride(4)
        .padding([1, 2, 1, 2])
        .on(&image)
        .unwrap();
    let model = Model::new("first", &image, &y).unwrap();
    assert_eq!(model.output().shape()[..], [1, 55, 55, 96]);
    assert_eq!(first(&model), Some(43_713_331_200));
    assert_eq!(55 * 55 * 96 * 224 * 224 * 3, 43_713_331_200u64);
}

#[test]
fn x21_alexnets_macs_with_and_without_groups() {
    assert_eq!(table("alexnet").macs, 1_135_256_096);
    assert_eq!(table("alexnet-grouped").macs, 724_406_816);
}

#[test]
fn the_others_have_the_sizes_of_their_papers() {
    assert_eq!(table("googlenet-2014").trainable, 6_998_552);
    assert_eq!(table("googlenet-2014").macs, 1_582_671_872);
    let convolutions = 28 * 28 * 256 * (128 + 9 * 192 + 25 * 96);
    assert_eq!(table("inception-naive").macs, convolutions + 672_000);
    assert_eq!(convolutions, 854_196_224);
    assert_eq!(table("maxout").trainable, 942_000 + 289_200 + 2_410);
    assert_eq!(table("local").trainable, 416 + 232_000 + 37_120 + 2_570);
    assert_eq!(table("capsnet").trainable, 20_992 + 5_308_672 + 1_474_560);
    assert_eq!(table("capsnet-small").trainable, 5_248 + 331_840 + 368_640);
}

#[test]
fn n4_n7_inceptions_have_more_heads_in_training() {
    let more = |name: &str, side: usize| {
        let (model, shares) = build_for_training(name, &[side, side, 3], 7).unwrap();
        let without = build(name, &[side, side, 3], 7).unwrap();
        assert_eq!(model.outputs().len(), 1 + shares.len());
        assert!(model.outputs().iter().all(|y| y.shape()[..] == [1, 7]));
        // The network itself is the same, and its own head is last.
        let own: Vec<_> = without.parameters().iter().map(|p| p.name.clone()).collect();
        let in_training = model.parameters().iter().map(|p| p.name.clone());
        let kept: Vec<_> = in_training.filter(|name| own.contains(name)).collect();
        assert_eq!(kept, own);
        assert_eq!(model.parameters().last().unwrap().name, own[own.len() - 1]);
        (model.trainable_count() - without.trainable_count(), shares)
    };
    let head = |channels: usize, norm: usize| 128 * channels + norm + (2_048 + 1) * 1_024 + (1_024 + 1) * 7;
    assert_eq!(
        more("googlenet", 64),
        (head(512, 256) + head(528, 256), vec![0.3; 2])
    );
    assert_eq!(
        more("googlenet-2014", 224),
        (head(512, 128) + head(528, 128), vec![0.3; 2])
    );
    let head = 768 * 128 + 256 + 25 * 128 * 768 + 2 * 768 + (768 + 1) * 7;
    assert_eq!(more("inception-v3", 299), (head, vec![0.4]));
    for (name, side) in [("googlenet-2014", 64), ("inception-v3", 96), ("resnet20", 32)] {
        assert_eq!(more(name, side), (0, vec![]), "too small, or none");
    }
    assert!(build_for_training("googlenet", &[13], 7).is_err());
}

#[test]
fn sizes_that_do_not_fit_are_told_with_a_remedy() {
    let told = |name, shape: &[usize]| build(name, shape, 10).err().unwrap().to_string();
    let alexnet = told("alexnet-2012", &[224, 224, 3]);
    assert!(alexnet.contains("take `alexnet-torchvision`"), "{alexnet}");
    assert!(told("unet", &[100, 96, 3]).contains("multiples of 16"));
    for (name, smallest) in [
        ("alexnet", 63),
        ("vgg16", 32),
        ("squeezenet", 17),
        ("squeezenet1.0", 21),
    ] {
        let shape = [smallest - 1, 90, 3];
        let text = told(name, &shape);
        assert!(
            text.contains(&format!("at least {smallest}×{smallest}")),
            "{text}"
        );
        build(name, &[smallest, smallest, 1], 10).unwrap();
    }
}
