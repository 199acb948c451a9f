//! Xception (Chollet, *Xception: deep learning with depthwise separable convolutions*, 2016; row N7):
//! each convolution split into one along rows and columns and one across channels.
//!
//! For 299×299×3:
//!
//! | layer | output |
//! |---|---|
//! | conv 32 3×3 /2, conv 64 3×3 | 147×147×64 |
//! | block1: twice separable 128, max pool 3 /2 | 74×74×128 |
//! | block2: twice separable 256, max pool 3 /2 | 37×37×256 |
//! | block3: twice separable 728, max pool 3 /2 | 19×19×728 |
//! | block4 to block11: three times separable 728 | 19×19×728 |
//! | block12: separable 728, separable 1024, max pool 3 /2 | 10×10×1024 |
//! | separable 1536, separable 2048 | 10×10×2048 |
//! | global average pool, dense | 1,000 |
//!
//! Around each block leads a shortcut, a 1×1 convolution where the shape changes. Parameters carry the
//! names of PyTorch's best-known version; images from 7×7.

use nn::prelude::*;

use crate::blocks::{conv_norm, relu, within};
use crate::{Problem, image_of};

/// A block: channels of its convolutions, and whether it halves the image.
struct Block {
    channels: &'static [usize],
    halves: bool,
}

const MIDDLE: usize = 8;
const ENTRY: [Block; 3] = [halving(&[128, 128]), halving(&[256, 256]), halving(&[728, 728])];

const fn halving(channels: &'static [usize]) -> Block {
    Block {
        channels,
        halves: true,
    }
}

const fn keeping(channels: &'static [usize]) -> Block {
    Block {
        channels,
        halves: false,
    }
}

pub(crate) fn outputs(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    image_of(x, 7)?;
    let y = relu(&conv_norm(x, Conv2d::new(32, 3).stride(2), ["conv1", "bn1"])?)?;
    let mut y = relu(&conv_norm(&y, Conv2d::new(64, 3), ["conv2", "bn2"])?)?;
    let middle = [const { keeping(&[728, 728, 728]) }; MIDDLE];
    let blocks = ENTRY.into_iter().chain(middle).chain([halving(&[728, 1024])]);
    for (number, block) in (1..).zip(blocks) {
        // What enters the first block has gone through a ReLU already.
        y = within(&format!("block{number}"), || residual(&y, &block, number > 1))?;
    }
    let y = relu(&separable(&y, 1536, ["conv3", "bn3"])?)?;
    let y = relu(&separable(&y, 2048, ["conv4", "bn4"])?)?;
    Ok(Dense::new(outputs).name("fc").on(&GlobalAvgPool2d.on(&y)?)?)
}

fn residual(x: &Symbol, block: &Block, starts_with_relu: bool) -> Result<Symbol, GraphError> {
    let last = block.channels.last().copied().unwrap_or(0);
    let across = match block.halves {
        true => conv_norm(x, Conv2d::new(last, 1).stride(2), ["skip", "skipbn"])?,
        false => x.clone(),
    };
    let mut y = x.clone();
    for (step, &channels) in block.channels.iter().enumerate() {
        if starts_with_relu || step > 0 {
            y = relu(&y)?;
        }
        // Activation, convolution and norm are counted in one row.
        let number = 3 * step + usize::from(starts_with_relu);
        let names = [number, number + 1].map(|n| format!("rep.{n}"));
        y = separable(&y, channels, [&names[0], &names[1]])?;
    }
    if block.halves {
        y = MaxPool2d::new(3).stride(2).padding(1).round_down().on(&y)?;
    }
    Add.on(&[&y, &across])
}

/// 3×3 for each channel, 1×1 across the channels, batch norm.
fn separable(x: &Symbol, channels: usize, [name, norm]: [&str; 2]) -> Result<Symbol, GraphError> {
    let y = within(name, || {
        let depthwise = DepthwiseConv2d::new(3).padding(1).no_bias().name("conv1");
        let pointwise = Conv2d::new(channels, 1).no_bias().name("pointwise");
        pointwise.init(Initialiser::before(Relu)).on(&depthwise.on(x)?)
    })?;
    BatchNorm::new().name(norm).on(&y)
}
