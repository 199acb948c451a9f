//! Residual networks for small images (He, Zhang, Ren & Sun 2015, section 4.2): 6n + 2 layers, from
//! `resnet20` to `resnet1202`, the one with more than a thousand (row N5).
//!
//! For 32×32×3 and ten classes:
//!
//! | layer | output | blocks |
//! |---|---|---|
//! | conv 16 3×3 | 32×32×16 | |
//! | layer1 | 32×32×16 | n × (16, 16) |
//! | layer2 /2 | 16×16×32 | n × (32, 32) |
//! | layer3 /2 | 8×8×64 | n × (64, 64) |
//! | global average pool, dense | 10 | |
//!
//! With shortcut A, the paper's for these networks, a shortcut to more channels takes every other row
//! and column and fills up with zeros: it has no parameters. With shortcut B (`resnet20-b`, …) it is a
//! 1×1 convolution. Images may have any size. Where the zeros stand and what the parameters are called
//! is as in the trained weights that are passed around for these networks.

use nn::prelude::*;

use crate::blocks::{conv_norm, relu, within};
use crate::{Problem, image_of};

/// How a shortcut reaches another shape.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortcut {
    /// Zeros for the new channels.
    A,
    /// A convolution.
    B,
}

const WIDTHS: [usize; 3] = [16, 32, 64];

/// The network of 6·`n` + 2 layers.
pub(crate) fn outputs(x: &Symbol, outputs: usize, n: usize, shortcut: Shortcut) -> Result<Symbol, Problem> {
    image_of(x, 1)?;
    let mut y = relu(&conv_norm(x, Conv2d::new(16, 3).padding(1), ["conv1", "bn1"])?)?;
    for (layer, width) in WIDTHS.into_iter().enumerate() {
        for block in 0..n {
            let stride = if block == 0 && layer > 0 { 2 } else { 1 };
            y = within(&format!("layer{}.{block}", layer + 1), || {
                residual(&y, width, stride, shortcut)
            })?;
        }
    }
    Ok(Dense::new(outputs).name("linear").on(&GlobalAvgPool2d.on(&y)?)?)
}

fn residual(x: &Symbol, width: usize, stride: usize, shortcut: Shortcut) -> Result<Symbol, GraphError> {
    let first = Conv2d::new(width, 3).stride(stride).padding(1);
    let y = relu(&conv_norm(x, first, ["conv1", "bn1"])?)?;
    let y = conv_norm(&y, Conv2d::new(width, 3).padding(1), ["conv2", "bn2"])?;
    let across = match (stride, shortcut) {
        (1, _) => x.clone(),
        (_, Shortcut::A) => with_zeros(x)?,
        (_, Shortcut::B) => {
            let project = Conv2d::new(width, 1).stride(stride);
            conv_norm(x, project, ["downsample.0", "downsample.1"])?
        }
    };
    relu(&Add.on(&[&y, &across])?)
}

/// Every other row and column, and half as many channels of zeros before the channels and behind them.
fn with_zeros(x: &Symbol) -> Result<Symbol, GraphError> {
    let x = MaxPool2d::new(1).stride(2).round_down().on(x)?;
    let half = x.shape().last_axis() / 2;
    let zeros = Slice::new(3, 0..half).on(&x)?.affine(0.0, 0.0)?;
    Concat::new().on(&[&zeros, &x, &zeros])
}
