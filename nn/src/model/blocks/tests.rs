#![allow(clippy::unwrap_used)]

use super::{blocks, with_new_head};
use crate::prelude::*;
use graph::Scope;
use graph::ops::Op;

fn names(model: &Model) -> Vec<String> {
    blocks(model).into_iter().map(|block| block.name).collect()
}

/// A convolution with batch norm, a residual block, pooling, dropout, a dense layer.
fn residual() -> Model {
    let image = Symbol::input("image", [8, 8, 3]);
    let x = Conv2d::new(4, 3).padding(Same).name("stem").on(&image).unwrap();
    let x = Relu.on(&BatchNorm::new().name("norm").on(&x).unwrap()).unwrap();
    let inside = {
        let _block = Scope::enter("block", Some("layer1"));
        let y = Conv2d::new(4, 3).padding(Same).on(&x).unwrap();
        let y = Relu.on(&BatchNorm::new().on(&y).unwrap()).unwrap();
        Conv2d::new(4, 3).padding(Same).on(&y).unwrap()
    };
    let y = Relu.on(&Add.on(&[&inside, &x]).unwrap()).unwrap();
    let y = Dropout::new(0.3).on(&GlobalAvgPool2d.on(&y).unwrap()).unwrap();
    let logits = Dense::new(5).name("head").on(&y).unwrap();
    Model::new("residual", &image, &logits).unwrap()
}

#[test]
fn a_block_is_what_lies_between_two_nodes_that_everything_passes() {
    let model = residual();
    assert_eq!(names(&model), ["stem", "layer1", "head"]);
    let blocks = blocks(&model);
    // The pooled features, before dropout.
    assert_eq!(blocks[2].input.shape()[..], [1, 4]);
    assert!(!matches!(blocks[2].input.op(), Op::Dropout(_)));
    assert_eq!(&blocks[0].input, model.input());
    let all: usize = blocks.iter().map(|b| b.parameters.len()).sum();
    assert_eq!(all, model.parameters().len());
    assert!(blocks[0].parameters.iter().any(|p| p.name == "norm.running_mean"));
}

#[test]
fn o19_a_new_head_keeps_the_trunk_and_its_names() {
    let model = residual();
    let other = with_new_head(&model, 2).unwrap();
    assert_eq!(other.output().shape()[..], [1, 2]);
    assert_eq!(names(&other), names(&model));
    let listed = |m: &Model| -> Vec<String> { m.parameters().iter().map(|p| p.name.clone()).collect() };
    assert_eq!(listed(&other), listed(&model));
    assert!(
        other
            .nodes()
            .iter()
            .any(|n| matches!(n.op(), Op::Dropout(d) if d.rate == 0.3))
    );
    let image = Symbol::input("x", [4]);
    let lone = Model::new("lone", &image, &Dense::new(1).on(&image).unwrap()).unwrap();
    let message = with_new_head(&lone, 2).err().unwrap().to_string();
    assert!(message.contains("1 blocks"), "{message}");
}
