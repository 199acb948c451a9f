//! Residual networks (He, Zhang, Ren & Sun, *Deep residual learning for image recognition*, 2015) for
//! large images, and two of their kin: ResNeXt (Xie et al., *Aggregated residual transformations*,
//! 2016: 3×3 convolutions in groups) and SE-ResNet (Hu, Shen & Sun, *Squeeze-and-excitation networks*,
//! 2017: channels weighed by what the whole image shows).
//!
//! For 224×224×3:
//!
//! | layer | output | 18 | 34 | 50, 101, 152 |
//! |---|---|---|---|---|
//! | conv 64 7×7 /2, max pool 3 /2 | 56×56×64 | | | |
//! | layer1 | 56×56 | 2 × (64, 64) | 3 × | 3 × (64, 64, 256) |
//! | layer2 /2 | 28×28 | 2 × (128, 128) | 4 × | 4, 4, 8 × (128, 128, 512) |
//! | layer3 /2 | 14×14 | 2 × (256, 256) | 6 × | 6, 23, 36 × (256, 256, 1024) |
//! | layer4 /2 | 7×7 | 2 × (512, 512) | 3 × | 3 × (512, 512, 2048) |
//! | global average pool, dense | 1000 | | | |
//!
//! A block of two has 3×3 convolutions; a block of three (the bottleneck) 1×1, 3×3, 1×1, its stride in
//! the 3×3 one, as everybody has it since 2017. Shortcuts are identities, but 1×1 convolutions where
//! the shape changes. Parameters carry torchvision's names; images may have any size.

use nn::prelude::*;

use crate::blocks::{conv_norm, relu, squeeze, within};
use crate::{Problem, image_of};

/// What tells the members of the family apart.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    /// Blocks in each of the four layers.
    blocks: [usize; 4],
    /// Blocks of three convolutions instead of two.
    bottleneck: bool,
    /// Groups of the 3×3 convolutions.
    groups: usize,
    /// Channels of a group in the first layer.
    group_width: usize,
    /// Squeeze and excitation.
    squeezed: bool,
}

const fn plain(blocks: [usize; 4], bottleneck: bool) -> Form {
    Form {
        blocks,
        bottleneck,
        groups: 1,
        group_width: 64,
        squeezed: false,
    }
}

const fn grouped(blocks: [usize; 4], groups: usize, group_width: usize) -> Form {
    Form {
        groups,
        group_width,
        ..plain(blocks, true)
    }
}

pub(crate) const RESNET18: Form = plain([2, 2, 2, 2], false);
pub(crate) const RESNET34: Form = plain([3, 4, 6, 3], false);
pub(crate) const RESNET50: Form = plain([3, 4, 6, 3], true);
pub(crate) const RESNET101: Form = plain([3, 4, 23, 3], true);
pub(crate) const RESNET152: Form = plain([3, 8, 36, 3], true);
pub(crate) const RESNEXT50: Form = grouped([3, 4, 6, 3], 32, 4);
pub(crate) const RESNEXT101: Form = grouped([3, 4, 23, 3], 32, 8);
pub(crate) const RESNEXT101_64: Form = grouped([3, 4, 23, 3], 64, 4);
pub(crate) const SE_RESNET50: Form = Form {
    squeezed: true,
    ..RESNET50
};

/// The bottleneck's last convolution has this many times the channels of the others.
const EXPANSION: usize = 4;
/// Squeeze and excitation has this many times fewer units than channels.
const REDUCTION: usize = 16;

pub(crate) fn outputs(x: &Symbol, outputs: usize, form: &Form) -> Result<Symbol, Problem> {
    image_of(x, 1)?;
    let y = conv_norm(x, Conv2d::new(64, 7).stride(2).padding(3), ["conv1", "bn1"])?;
    let mut y = MaxPool2d::new(3)
        .stride(2)
        .padding(1)
        .round_down()
        .on(&relu(&y)?)?;
    for (layer, &blocks) in form.blocks.iter().enumerate() {
        for block in 0..blocks {
            let stride = if block == 0 && layer > 0 { 2 } else { 1 };
            let width = 64 << layer;
            y = within(&format!("layer{}.{block}", layer + 1), || {
                residual(&y, width, stride, form)
            })?;
        }
    }
    Ok(Dense::new(outputs).name("fc").on(&GlobalAvgPool2d.on(&y)?)?)
}

/// relu(F(x) + shortcut(x)).
fn residual(x: &Symbol, width: usize, stride: usize, form: &Form) -> Result<Symbol, GraphError> {
    let (mut y, channels) = match form.bottleneck {
        true => (bottleneck(x, width, stride, form)?, EXPANSION * width),
        false => (two_convolutions(x, width, stride)?, width),
    };
    if form.squeezed {
        y = squeeze(&y, "se", channels / REDUCTION, Relu)?;
    }
    let shortcut = if stride == 1 && x.shape().last_axis() == channels {
        x.clone()
    } else {
        let project = Conv2d::new(channels, 1).stride(stride);
        conv_norm(x, project, ["downsample.0", "downsample.1"])?
    };
    relu(&Add.on(&[&y, &shortcut])?)
}

fn two_convolutions(x: &Symbol, width: usize, stride: usize) -> Result<Symbol, GraphError> {
    let first = Conv2d::new(width, 3).stride(stride).padding(1);
    let y = relu(&conv_norm(x, first, ["conv1", "bn1"])?)?;
    conv_norm(&y, Conv2d::new(width, 3).padding(1), ["conv2", "bn2"])
}

fn bottleneck(x: &Symbol, width: usize, stride: usize, form: &Form) -> Result<Symbol, GraphError> {
    let inner = width * form.group_width / 64 * form.groups;
    let y = relu(&conv_norm(x, Conv2d::new(inner, 1), ["conv1", "bn1"])?)?;
    let across = Conv2d::new(inner, 3)
        .stride(stride)
        .padding(1)
        .groups(form.groups);
    let y = relu(&conv_norm(&y, across, ["conv2", "bn2"])?)?;
    conv_norm(&y, Conv2d::new(EXPANSION * width, 1), ["conv3", "bn3"])
}
