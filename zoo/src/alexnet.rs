//! AlexNet (Krizhevsky, Sutskever & Hinton, *ImageNet classification with deep convolutional neural
//! networks*, 2012) in three forms.
//!
//! `alexnet-2012`, the table that courses show, for 227×227×3 (rows N2, X18, X19):
//!
//! | layer | output | parameters |
//! |---|---|---|
//! | conv 96 11×11 /4 | 55×55×96 | 34,944 |
//! | max pool 3 /2, response norm | 27×27×96 | 0 |
//! | conv 256 5×5, padding 2 | 27×27×256 | 614,656 |
//! | max pool 3 /2, response norm | 13×13×256 | 0 |
//! | conv 384 3×3, padding 1 | 13×13×384 | 885,120 |
//! | conv 384 3×3, padding 1 | 13×13×384 | 1,327,488 |
//! | conv 256 3×3, padding 1 | 13×13×256 | 884,992 |
//! | max pool 3 /2, flatten | 9,216 | 0 |
//! | dense 4096, dropout | 4,096 | 37,752,832 |
//! | dense 4096, dropout | 4,096 | 16,781,312 |
//! | dense | 1,000 | 4,097,000 |
//!
//! `alexnet-grouped` is what the paper ran on its two graphics cards: the second, fourth and fifth
//! convolutions in two groups, 60,965,224 parameters. `alexnet-torchvision` is the one of
//! *One weird trick for parallelizing convolutional neural networks* (2014) as torchvision has it,
//! with 64, 192, 384, 256, 256 filters and an adaptive pooling: 61,100,840 parameters, images from 63×63.
//!
//! The paper says 224×224, but (224 − 11)/4 + 1 is no whole number; with 227 all sizes of the table
//! come out. So `alexnet` is the table's network at 227×227 and torchvision's at any other size.

use nn::prelude::*;

use crate::{Problem, image_of};

/// The side for which the table's sizes come out.
const TABLE_SIDE: usize = 227;

pub(crate) fn by_size(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    match image_of(x, 63)? {
        [TABLE_SIDE, TABLE_SIDE] => table(x, outputs),
        _ => torchvision(x, outputs),
    }
}

/// The table of the courses: every filter sees all maps.
pub(crate) fn table(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    paper(x, outputs, 1)
}

/// The paper's own: half of the filters see half of the maps.
pub(crate) fn grouped(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    paper(x, outputs, 2)
}

fn paper(x: &Symbol, outputs: usize, groups: usize) -> Result<Symbol, Problem> {
    let sides = image_of(x, 67)?;
    if sides.iter().any(|side| side % 32 != TABLE_SIDE % 32) {
        return Err(Problem::Input {
            expected: "images of 227×227 (or of other sides with remainder 3 by 32)".into(),
            remedy: "resize them, or take `alexnet-torchvision`, which reads any size from 63×63".into(),
        });
    }
    let norm = LocalResponseNorm::new(5).k(2.0);
    let pool = MaxPool2d::new(3).stride(2);
    let x = Conv2d::new(96, 11).stride(4).activation(Relu).on(x)?;
    let x = norm.on(&pool.on(&x)?)?;
    let x = Conv2d::new(256, 5)
        .padding(2)
        .groups(groups)
        .activation(Relu)
        .on(&x)?;
    let x = norm.on(&pool.on(&x)?)?;
    let x = Conv2d::new(384, 3).padding(1).activation(Relu).on(&x)?;
    let x = Conv2d::new(384, 3)
        .padding(1)
        .groups(groups)
        .activation(Relu)
        .on(&x)?;
    let x = Conv2d::new(256, 3)
        .padding(1)
        .groups(groups)
        .activation(Relu)
        .on(&x)?;
    let mut x = Flatten.on(&pool.on(&x)?)?;
    for _ in 0..2 {
        x = Dense::new(4096).activation(Relu).on(&x)?;
        x = Dropout::new(0.5).on(&x)?;
    }
    Ok(Dense::new(outputs).on(&x)?)
}

/// Filters, kernel, stride, padding, whether a pooling follows, and torchvision's number.
const CONVOLUTIONS: [(usize, usize, usize, usize, bool, usize); 5] = [
    (64, 11, 4, 2, true, 0),
    (192, 5, 1, 2, true, 3),
    (384, 3, 1, 1, false, 6),
    (256, 3, 1, 1, false, 8),
    (256, 3, 1, 1, true, 10),
];

pub(crate) fn torchvision(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    image_of(x, 63)?;
    let mut x = x.clone();
    for (filters, size, stride, padding, pooled, number) in CONVOLUTIONS {
        let conv = Conv2d::new(filters, size).stride(stride).padding(padding);
        let conv = conv.activation(Relu).round_down();
        x = conv.name(&format!("features.{number}")).on(&x)?;
        if pooled {
            x = MaxPool2d::new(3).stride(2).round_down().on(&x)?;
        }
    }
    x = Flatten.on(&AdaptiveAvgPool2d::new(6).on(&x)?)?;
    for name in ["classifier.1", "classifier.4"] {
        x = Dropout::new(0.5).on(&x)?;
        x = Dense::new(4096).activation(Relu).name(name).on(&x)?;
    }
    Ok(Dense::new(outputs).name("classifier.6").on(&x)?)
}
