//! DenseNet (Huang, Liu, van der Maaten & Weinberger, *Densely connected convolutional networks*,
//! 2016; row N6): each layer reads what all layers of its block before it have made.
//!
//! For 224×224×3, with 32 new channels a layer:
//!
//! | layer | output | 121 | 169 | 201 | 264 |
//! |---|---|---|---|---|---|
//! | conv 64 7×7 /2, max pool 3 /2 | 56×56×64 | | | | |
//! | dense block 1 | 56×56×256 | 6 layers | 6 | 6 | 6 |
//! | conv 1×1 to half, average pool 2 | 28×28×128 | | | | |
//! | dense block 2 | 28×28×512 | 12 | 12 | 12 | 12 |
//! | conv 1×1 to half, average pool 2 | 14×14×256 | | | | |
//! | dense block 3 | 14×14 | 24 | 32 | 48 | 64 |
//! | conv 1×1 to half, average pool 2 | 7×7 | | | | |
//! | dense block 4 | 7×7 | 16 | 32 | 32 | 48 |
//! | batch norm, ReLU, global average pool, dense | 1,000 | | | | |
//!
//! A layer is batch norm, ReLU, conv 128 1×1, batch norm, ReLU, conv 32 3×3. Parameters carry
//! torchvision's names; images from 29×29.

use nn::prelude::*;

use crate::blocks::{relu, within};
use crate::{Problem, image_of};

pub(crate) const DENSENET121: [usize; 4] = [6, 12, 24, 16];
pub(crate) const DENSENET169: [usize; 4] = [6, 12, 32, 32];
pub(crate) const DENSENET201: [usize; 4] = [6, 12, 48, 32];
pub(crate) const DENSENET264: [usize; 4] = [6, 12, 64, 48];

/// New channels of a layer.
const GROWTH: usize = 32;
/// The 1×1 convolution of a layer makes this many times the new channels.
const NARROW: usize = 4;

pub(crate) fn outputs(x: &Symbol, outputs: usize, blocks: [usize; 4]) -> Result<Symbol, Problem> {
    image_of(x, 29)?;
    let y = convolution(x, Conv2d::new(64, 7).stride(2).padding(3), "features.conv0")?;
    let y = norm_relu(&y, "features.norm0")?;
    let mut y = MaxPool2d::new(3).stride(2).padding(1).round_down().on(&y)?;
    for (block, layers) in (1..).zip(blocks) {
        for layer in 1..=layers {
            let name = format!("features.denseblock{block}.denselayer{layer}");
            let new = within(&name, || dense_layer(&y))?;
            y = Concat::new().on(&[&y, &new])?;
        }
        if block < blocks.len() {
            y = within(&format!("features.transition{block}"), || transition(&y))?;
        }
    }
    let y = norm_relu(&y, "features.norm5")?;
    Ok(Dense::new(outputs)
        .name("classifier")
        .on(&GlobalAvgPool2d.on(&y)?)?)
}

fn dense_layer(x: &Symbol) -> Result<Symbol, GraphError> {
    let y = norm_relu(x, "norm1")?;
    let y = convolution(&y, Conv2d::new(NARROW * GROWTH, 1), "conv1")?;
    let y = norm_relu(&y, "norm2")?;
    convolution(&y, Conv2d::new(GROWTH, 3).padding(1), "conv2")
}

fn transition(x: &Symbol) -> Result<Symbol, GraphError> {
    let y = norm_relu(x, "norm")?;
    let y = convolution(&y, Conv2d::new(x.shape().last_axis() / 2, 1), "conv")?;
    AvgPool2d::new(2).round_down().on(&y)
}

fn convolution(x: &Symbol, conv: Conv2d, name: &str) -> Result<Symbol, GraphError> {
    let conv = conv.no_bias().round_down().init(Initialiser::before(Relu));
    conv.name(name).on(x)
}

fn norm_relu(x: &Symbol, name: &str) -> Result<Symbol, GraphError> {
    relu(&BatchNorm::new().name(name).on(x)?)
}
