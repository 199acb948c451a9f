//! SqueezeNet (Iandola et al., *SqueezeNet: AlexNet-level accuracy with 50x fewer parameters*, 2016):
//! fire modules, in which few 1×1 filters (s) feed many 1×1 and 3×3 ones (e each).
//!
//! For 224×224×3:
//!
//! | layer | 1.0 | output | 1.1 | output |
//! |---|---|---|---|---|
//! | conv | 96 7×7 /2 | 109×109×96 | 64 3×3 /2 | 111×111×64 |
//! | pool 3 /2 | | 54×54 | | 55×55 |
//! | fire s16 e64, twice | | 54×54×128 | pool 3 /2 behind it | 27×27×128 |
//! | fire s32 e128 | pool 3 /2 behind it | 27×27×256 | twice, pool 3 /2 behind it | 13×13×256 |
//! | fire s32 e128 | | 27×27×256 | | |
//! | fire s48 e192, twice | | 27×27×384 | | 13×13×384 |
//! | fire s64 e256 | pool 3 /2 behind it | 13×13×512 | twice | 13×13×512 |
//! | fire s64 e256 | | 13×13×512 | | |
//! | dropout, conv 1×1, global average pool | | 1,000 | | 1,000 |
//! | parameters | | 1,248,424 | | 1,235,496 |
//!
//! The poolings count a last, cut window, and parameters carry torchvision's names.

use nn::prelude::*;

use crate::blocks::within;
use crate::{Problem, image_of};

/// What stands in the row of layers.
#[derive(Clone, Copy)]
enum Layer {
    Pool,
    /// Filters of the squeeze, and of each of the two expansions.
    Fire(usize, usize),
}

use Layer::{Fire, Pool};

const OLD: [Layer; 11] = [
    Pool,
    Fire(16, 64),
    Fire(16, 64),
    Fire(32, 128),
    Pool,
    Fire(32, 128),
    Fire(48, 192),
    Fire(48, 192),
    Fire(64, 256),
    Pool,
    Fire(64, 256),
];

const NEW: [Layer; 11] = [
    Pool,
    Fire(16, 64),
    Fire(16, 64),
    Pool,
    Fire(32, 128),
    Fire(32, 128),
    Pool,
    Fire(48, 192),
    Fire(48, 192),
    Fire(64, 256),
    Fire(64, 256),
];

/// Version 1.0, the paper's.
pub(crate) fn version_1_0(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    image_of(x, 21)?;
    layers(x, outputs, Conv2d::new(96, 7), &OLD)
}

/// Version 1.1, with 2.4 times less computation.
pub(crate) fn version_1_1(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    image_of(x, 17)?;
    layers(x, outputs, Conv2d::new(64, 3), &NEW)
}

fn layers(x: &Symbol, outputs: usize, first: Conv2d, layers: &[Layer]) -> Result<Symbol, Problem> {
    let first = first.stride(2).activation(Relu).round_down();
    let mut y = first.name("features.0").on(x)?;
    // torchvision's numbers: the first convolution and its activation are 0 and 1.
    for (number, layer) in (2..).zip(layers) {
        y = match *layer {
            Pool => MaxPool2d::new(3).stride(2).round_up().on(&y)?,
            Fire(few, many) => within(&format!("features.{number}"), || fire(&y, few, many))?,
        };
    }
    let y = Dropout::new(0.5).on(&y)?;
    let y = Conv2d::new(outputs, 1)
        .activation(Relu)
        .name("classifier.1")
        .on(&y)?;
    Ok(GlobalAvgPool2d.on(&y)?)
}

fn fire(x: &Symbol, few: usize, many: usize) -> Result<Symbol, GraphError> {
    let x = Conv2d::new(few, 1).activation(Relu).name("squeeze").on(x)?;
    let narrow = Conv2d::new(many, 1).activation(Relu).name("expand1x1").on(&x)?;
    let wide = Conv2d::new(many, 3)
        .padding(1)
        .activation(Relu)
        .name("expand3x3")
        .on(&x)?;
    Concat::new().on(&[&narrow, &wide])
}
