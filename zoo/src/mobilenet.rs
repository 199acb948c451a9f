//! MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov & Chen, *MobileNetV2: inverted residuals and linear
//! bottlenecks*, 2018): blocks that widen by a 1×1 convolution, filter each channel by itself, and
//! narrow again without an activation.
//!
//! For 224×224×3:
//!
//! | layer | output | widened |
//! |---|---|---|
//! | conv 32 3×3 /2 | 112×112×32 | |
//! | block | 112×112×16 | 1 × |
//! | 2 blocks /2 | 56×56×24 | 6 × |
//! | 3 blocks /2 | 28×28×32 | 6 × |
//! | 4 blocks /2 | 14×14×64 | 6 × |
//! | 3 blocks | 14×14×96 | 6 × |
//! | 3 blocks /2 | 7×7×160 | 6 × |
//! | block | 7×7×320 | 6 × |
//! | conv 1280 1×1, global average pool, dropout 0.2 | 1,280 | |
//! | dense | 1,000 | |
//!
//! Batch norm behind each convolution, ReLU6 behind all but the narrowing ones. Parameters carry
//! torchvision's names; images may have any size.

use nn::prelude::*;

use crate::blocks::{active, conv_norm, within};
use crate::{Problem, image_of};

/// How often wider inside, channels, blocks, stride of the first.
const STAGES: [[usize; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];

pub(crate) fn v2(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    image_of(x, 1)?;
    let mut y = step(x, Conv2d::new(32, 3).stride(2).padding(1), "features.0")?;
    let mut number = 1;
    for [wider, channels, blocks, stride] in STAGES {
        for block in 0..blocks {
            let stride = if block == 0 { stride } else { 1 };
            y = within(&format!("features.{number}.conv"), || {
                inverted(&y, wider, channels, stride)
            })?;
            number += 1;
        }
    }
    let y = step(&y, Conv2d::new(1280, 1), &format!("features.{number}"))?;
    let y = Dropout::new(0.2).on(&GlobalAvgPool2d.on(&y)?)?;
    Ok(Dense::new(outputs).name("classifier.1").on(&y)?)
}

fn step(x: &Symbol, conv: Conv2d, name: &str) -> Result<Symbol, GraphError> {
    within(name, || active(Relu6, &conv_norm(x, conv, ["0", "1"])?))
}

fn inverted(x: &Symbol, wider: usize, channels: usize, stride: usize) -> Result<Symbol, GraphError> {
    let narrow = x.shape().last_axis();
    let wide = wider * narrow;
    let depthwise = Conv2d::new(wide, 3).stride(stride).padding(1).groups(wide);
    let project = Conv2d::new(channels, 1);
    let y = if wider == 1 {
        conv_norm(&step(x, depthwise, "0")?, project, ["1", "2"])?
    } else {
        let y = step(x, Conv2d::new(wide, 1), "0")?;
        conv_norm(&step(&y, depthwise, "1")?, project, ["2", "3"])?
    };
    if stride == 1 && channels == narrow {
        Add.on(&[x, &y])
    } else {
        Ok(y)
    }
}
