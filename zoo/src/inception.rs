//! Inception-v3 (Szegedy, Vanhoucke, Ioffe, Shlens & Wojna, *Rethinking the inception architecture for
//! computer vision*, 2015; row N7): modules whose large filters are made of small and of flat ones.
//!
//! For 299×299×3:
//!
//! | layer | output |
//! |---|---|
//! | conv 32 3×3 /2, conv 32 3×3, conv 64 3×3, pool 3 /2 | 73×73×64 |
//! | conv 80 1×1, conv 192 3×3, pool 3 /2 | 35×35×192 |
//! | 5b, 5c, 5d: 5×5, and 3×3 twice | 35×35×288 |
//! | 6a, halving | 17×17×768 |
//! | 6b to 6e: 1×7 and 7×1, once and twice | 17×17×768 |
//! | 7a, halving | 8×8×1280 |
//! | 7b, 7c: 1×3 beside 3×1 | 8×8×2048 |
//! | global average pool, dropout 0.5, dense | 1,000 |
//!
//! Batch norm and ReLU behind each convolution. Parameters carry torchvision's names; images from
//! 75×75. In training of images from 299×299 on, a second head reads 6e ([`crate::build_for_training`]): 5×5 means in
//! steps of three, a 1×1 convolution with 128 filters, a 5×5 one with 768, a mean over what is left, dense.

use nn::prelude::*;

use crate::blocks::{conv_norm_of, relu, within};
use crate::{Problem, image_of};

type Made = Result<Symbol, GraphError>;

/// The share of the auxiliary head's loss that torchvision's training takes.
pub(crate) const AUXILIARY: f64 = 0.4;

pub(crate) fn v3(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    head(&trunk(x)?[0], outputs)
}

/// The network's outputs, then those of the auxiliary head, unless the image is too small for it.
pub(crate) fn v3_in_training(x: &Symbol, outputs: usize) -> Result<Vec<Symbol>, Problem> {
    let [y, on_the_way] = trunk(x)?;
    let [_, rows, columns, _] = on_the_way.shape()[..] else {
        return Ok(vec![head(&y, outputs)?]);
    };
    let mut heads = Vec::new();
    if rows.min(columns) >= 17 {
        heads.push(within("AuxLogits", || auxiliary(&on_the_way, outputs))?);
    }
    // The head is made last: its parameters are the last ones, as without the other.
    heads.insert(0, head(&y, outputs)?);
    Ok(heads)
}

/// Up to the last module, and what 6e made on the way.
fn trunk(x: &Symbol) -> Result<[Symbol; 2], Problem> {
    image_of(x, 75)?;
    let halve = || MaxPool2d::new(3).stride(2).round_down();
    let y = conv(x, "Conv2d_1a_3x3", Conv2d::new(32, 3).stride(2))?;
    let y = conv(&y, "Conv2d_2a_3x3", Conv2d::new(32, 3))?;
    let y = conv(&y, "Conv2d_2b_3x3", Conv2d::new(64, 3).padding(1))?;
    let y = conv(&halve().on(&y)?, "Conv2d_3b_1x1", Conv2d::new(80, 1))?;
    let y = conv(&y, "Conv2d_4a_3x3", Conv2d::new(192, 3))?;
    let mut y = halve().on(&y)?;
    for (name, pooled) in [("5b", 32), ("5c", 64), ("5d", 64)] {
        y = module(name, || small_filters(&y, pooled))?;
    }
    y = module("6a", || first_halving(&y))?;
    for (name, narrow) in [("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)] {
        y = module(name, || flat_filters(&y, narrow))?;
    }
    let on_the_way = y.clone();
    y = module("7a", || second_halving(&y))?;
    for name in ["7b", "7c"] {
        y = module(name, || forked_filters(&y))?;
    }
    Ok([y, on_the_way])
}

fn head(y: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    let y = Dropout::new(0.5).on(&GlobalAvgPool2d.on(y)?)?;
    Ok(Dense::new(outputs).name("fc").on(&y)?)
}

fn auxiliary(x: &Symbol, outputs: usize) -> Made {
    let y = AvgPool2d::new(5).stride(3).round_down().on(x)?;
    let y = conv(&y, "conv0", Conv2d::new(128, 1))?;
    let y = conv(&y, "conv1", Conv2d::new(768, 5))?;
    Dense::new(outputs).name("fc").on(&GlobalAvgPool2d.on(&y)?)
}

fn module(name: &str, inside: impl FnOnce() -> Made) -> Made {
    within(&format!("Mixed_{name}"), inside)
}

fn conv(x: &Symbol, name: &str, conv: Conv2d) -> Made {
    within(name, || {
        let norm = BatchNorm::new().epsilon(1e-3);
        relu(&conv_norm_of(x, conv, norm, ["conv", "bn"])?)
    })
}

/// A filter of one row or one column, padded along it.
fn flat(filters: usize, size: [usize; 2]) -> Conv2d {
    let [rows, columns] = size.map(|side| side / 2);
    Conv2d::new(filters, size).padding([rows, rows, columns, columns])
}

/// A 1×1 convolution of the 3×3 means, which count zeros around the image.
fn pooled(x: &Symbol, filters: usize) -> Made {
    let means = AvgPool2d::new(3).stride(1).padding(1).count_padding().on(x)?;
    conv(&means, "branch_pool", Conv2d::new(filters, 1))
}

fn small_filters(x: &Symbol, pool_filters: usize) -> Made {
    let one = conv(x, "branch1x1", Conv2d::new(64, 1))?;
    let y = conv(x, "branch5x5_1", Conv2d::new(48, 1))?;
    let five = conv(&y, "branch5x5_2", Conv2d::new(64, 5).padding(2))?;
    let y = conv(x, "branch3x3dbl_1", Conv2d::new(64, 1))?;
    let y = conv(&y, "branch3x3dbl_2", Conv2d::new(96, 3).padding(1))?;
    let three = conv(&y, "branch3x3dbl_3", Conv2d::new(96, 3).padding(1))?;
    Concat::new().on(&[&one, &five, &three, &pooled(x, pool_filters)?])
}

fn first_halving(x: &Symbol) -> Made {
    let three = conv(x, "branch3x3", Conv2d::new(384, 3).stride(2))?;
    let y = conv(x, "branch3x3dbl_1", Conv2d::new(64, 1))?;
    let y = conv(&y, "branch3x3dbl_2", Conv2d::new(96, 3).padding(1))?;
    let twice = conv(&y, "branch3x3dbl_3", Conv2d::new(96, 3).stride(2))?;
    let largest = MaxPool2d::new(3).stride(2).round_down().on(x)?;
    Concat::new().on(&[&three, &twice, &largest])
}

fn flat_filters(x: &Symbol, narrow: usize) -> Made {
    let (row, column) = ([1, 7], [7, 1]);
    let one = conv(x, "branch1x1", Conv2d::new(192, 1))?;
    let y = conv(x, "branch7x7_1", Conv2d::new(narrow, 1))?;
    let y = conv(&y, "branch7x7_2", flat(narrow, row))?;
    let once = conv(&y, "branch7x7_3", flat(192, column))?;
    let y = conv(x, "branch7x7dbl_1", Conv2d::new(narrow, 1))?;
    let y = conv(&y, "branch7x7dbl_2", flat(narrow, column))?;
    let y = conv(&y, "branch7x7dbl_3", flat(narrow, row))?;
    let y = conv(&y, "branch7x7dbl_4", flat(narrow, column))?;
    let twice = conv(&y, "branch7x7dbl_5", flat(192, row))?;
    Concat::new().on(&[&one, &once, &twice, &pooled(x, 192)?])
}

fn second_halving(x: &Symbol) -> Made {
    let y = conv(x, "branch3x3_1", Conv2d::new(192, 1))?;
    let three = conv(&y, "branch3x3_2", Conv2d::new(320, 3).stride(2))?;
    let y = conv(x, "branch7x7x3_1", Conv2d::new(192, 1))?;
    let y = conv(&y, "branch7x7x3_2", flat(192, [1, 7]))?;
    let y = conv(&y, "branch7x7x3_3", flat(192, [7, 1]))?;
    let seven = conv(&y, "branch7x7x3_4", Conv2d::new(192, 3).stride(2))?;
    let largest = MaxPool2d::new(3).stride(2).round_down().on(x)?;
    Concat::new().on(&[&three, &seven, &largest])
}

fn forked_filters(x: &Symbol) -> Made {
    let one = conv(x, "branch1x1", Conv2d::new(320, 1))?;
    let fork = |y: &Symbol, branch: &str| {
        let row = conv(y, &format!("{branch}a"), flat(384, [1, 3]))?;
        let column = conv(y, &format!("{branch}b"), flat(384, [3, 1]))?;
        Concat::new().on(&[&row, &column])
    };
    let y = conv(x, "branch3x3_1", Conv2d::new(384, 1))?;
    let once = fork(&y, "branch3x3_2")?;
    let y = conv(x, "branch3x3dbl_1", Conv2d::new(448, 1))?;
    let y = conv(&y, "branch3x3dbl_2", Conv2d::new(384, 3).padding(1))?;
    let twice = fork(&y, "branch3x3dbl_3")?;
    Concat::new().on(&[&one, &once, &twice, &pooled(x, 192)?])
}
