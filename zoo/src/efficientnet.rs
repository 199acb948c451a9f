//! EfficientNet (Tan & Le, *EfficientNet: rethinking model scaling for convolutional neural
//! networks*, 2019; row N10): the blocks of MobileNetV2 with squeeze and excitation, and one number
//! that scales depth, width and resolution together.
//!
//! B0, for 224×224×3:
//!
//! | layer | output | kernel | widened |
//! |---|---|---|---|
//! | conv 32 3×3 /2 | 112×112×32 | | |
//! | block | 112×112×16 | 3×3 | 1 × |
//! | 2 blocks /2 | 56×56×24 | 3×3 | 6 × |
//! | 2 blocks /2 | 28×28×40 | 5×5 | 6 × |
//! | 3 blocks /2 | 14×14×80 | 3×3 | 6 × |
//! | 3 blocks | 14×14×112 | 5×5 | 6 × |
//! | 4 blocks /2 | 7×7×192 | 5×5 | 6 × |
//! | block | 7×7×320 | 3×3 | 6 × |
//! | conv 1×1, global average pool, dropout | 1,280 | | |
//! | dense | 1,000 | | |
//!
//! Lite0 has neither squeeze and excitation nor SiLU, but ReLU6, and pads as TensorFlow does. Parameters of B0 to B7 carry
//! torchvision's names; images may have any size. Stochastic depth, with which they were trained, is missing.

use nn::prelude::*;

use crate::blocks::{active, conv_norm_of, squeeze, within};
use crate::{Problem, image_of};

/// How often wider inside, kernel, stride of the first block, channels, blocks; of B0.
const STAGES: [[usize; 5]; 7] = [
    [1, 3, 1, 16, 1],
    [6, 3, 2, 24, 2],
    [6, 5, 2, 40, 2],
    [6, 3, 2, 80, 3],
    [6, 5, 1, 112, 3],
    [6, 5, 2, 192, 4],
    [6, 3, 1, 320, 1],
];

/// What tells the members of the family apart.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    /// Channels are this many tenths of B0's.
    width: usize,
    /// Blocks are this many tenths of B0's.
    depth: usize,
    dropout: f32,
    /// ε of the batch norms.
    epsilon: f32,
    /// Without squeeze and excitation, with ReLU6 and TensorFlow's padding.
    lite: bool,
}

const fn scaled(width: usize, depth: usize, dropout: f32, epsilon: f32) -> Form {
    Form {
        width,
        depth,
        dropout,
        epsilon,
        lite: false,
    }
}

pub(crate) const B0: Form = scaled(10, 10, 0.2, 1e-5);
pub(crate) const B1: Form = scaled(10, 11, 0.2, 1e-5);
pub(crate) const B2: Form = scaled(11, 12, 0.3, 1e-5);
pub(crate) const B3: Form = scaled(12, 14, 0.3, 1e-5);
pub(crate) const B4: Form = scaled(14, 18, 0.4, 1e-5);
pub(crate) const B5: Form = scaled(16, 22, 0.4, 1e-3);
pub(crate) const B6: Form = scaled(18, 26, 0.5, 1e-3);
pub(crate) const B7: Form = scaled(20, 31, 0.5, 1e-3);
pub(crate) const LITE0: Form = Form {
    epsilon: 1e-3,
    lite: true,
    ..B0
};

impl Form {
    /// `channels` scaled, to a multiple of eight that is not more than a tenth too small.
    fn channels(&self, channels: usize) -> usize {
        let exact = channels * self.width;
        let near = ((exact + 40) / 80 * 8).max(8);
        if 100 * near < 9 * exact { near + 8 } else { near }
    }

    fn blocks(&self, blocks: usize) -> usize {
        (blocks * self.depth).div_ceil(10)
    }

    fn activation(&self) -> Activation {
        if self.lite { Relu6 } else { Silu }
    }

    /// For a kernel of this size: as much on all sides, or the odd row below and right.
    fn padding(&self, kernel: usize) -> Padding {
        if self.lite { Same } else { (kernel / 2).into() }
    }

    fn norm(&self, x: &Symbol, conv: Conv2d) -> Result<Symbol, GraphError> {
        conv_norm_of(x, conv, BatchNorm::new().epsilon(self.epsilon), ["0", "1"])
    }

    fn step(&self, x: &Symbol, conv: Conv2d, name: &str) -> Result<Symbol, GraphError> {
        within(name, || active(self.activation(), &self.norm(x, conv)?))
    }
}

pub(crate) fn outputs(x: &Symbol, outputs: usize, form: &Form) -> Result<Symbol, Problem> {
    image_of(x, 1)?;
    let first = Conv2d::new(form.channels(32), 3)
        .stride(2)
        .padding(form.padding(3));
    let mut y = form.step(x, first, "features.0")?;
    for (stage, [wider, kernel, stride, channels, blocks]) in (1..).zip(STAGES) {
        for block in 0..form.blocks(blocks) {
            let stride = if block == 0 { stride } else { 1 };
            let inside = || inverted(&y, wider, [kernel, stride], form.channels(channels), form);
            y = within(&format!("features.{stage}.{block}.block"), inside)?;
        }
    }
    let last = 4 * y.shape().last_axis();
    y = form.step(&y, Conv2d::new(last, 1), "features.8")?;
    let y = Dropout::new(form.dropout).on(&GlobalAvgPool2d.on(&y)?)?;
    Ok(Dense::new(outputs).name("classifier.1").on(&y)?)
}

/// Widen, filter each channel, weigh the channels, narrow; and the input on top where shapes agree.
fn inverted(
    x: &Symbol,
    wider: usize,
    [kernel, stride]: [usize; 2],
    channels: usize,
    form: &Form,
) -> Result<Symbol, GraphError> {
    let narrow = x.shape().last_axis();
    let wide = wider * narrow;
    let mut number = 0..;
    let mut name = || number.next().unwrap_or(0).to_string();
    let mut y = x.clone();
    if wider > 1 {
        y = form.step(&y, Conv2d::new(wide, 1), &name())?;
    }
    let depthwise = Conv2d::new(wide, kernel).stride(stride).groups(wide);
    y = form.step(&y, depthwise.padding(form.padding(kernel)), &name())?;
    if !form.lite {
        y = squeeze(&y, &name(), (narrow / 4).max(1), Silu)?;
    }
    y = within(&name(), || form.norm(&y, Conv2d::new(channels, 1)))?;
    if stride == 1 && channels == narrow {
        Add.on(&[&y, x])
    } else {
        Ok(y)
    }
}
