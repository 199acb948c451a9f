//! GoogLeNet (Szegedy et al., *Going deeper with convolutions*, 2014; rows N4, X21) and the naive
//! inception module that it improves on.
//!
//! For 224×224×3; the numbers of a module are the filters 1×1, 3×3 (after so many 1×1), 5×5 (after so
//! many 1×1), and 1×1 after a pooling, which stand side by side in its output:
//!
//! | layer | output | 1×1 | 3×3 | 5×5 | pool |
//! |---|---|---|---|---|---|
//! | conv 64 7×7 /2, pool 3 /2 | 56×56×64 | | | | |
//! | conv 64 1×1, conv 192 3×3, pool 3 /2 | 28×28×192 | | | | |
//! | 3a | 28×28×256 | 64 | 128 (96) | 32 (16) | 32 |
//! | 3b, pool 3 /2 | 14×14×480 | 128 | 192 (128) | 96 (32) | 64 |
//! | 4a | 14×14×512 | 192 | 208 (96) | 48 (16) | 64 |
//! | 4b | 14×14×512 | 160 | 224 (112) | 64 (24) | 64 |
//! | 4c | 14×14×512 | 128 | 256 (128) | 64 (24) | 64 |
//! | 4d | 14×14×528 | 112 | 288 (144) | 64 (32) | 64 |
//! | 4e, pool | 7×7×832 | 256 | 320 (160) | 128 (32) | 128 |
//! | 5a | 7×7×832 | 256 | 320 (160) | 128 (32) | 128 |
//! | 5b | 7×7×1024 | 384 | 384 (192) | 128 (48) | 128 |
//! | global average pool, dropout, dense | 1,000 | | | | |
//!
//! `googlenet` is torchvision's: batch norm behind each convolution, 3×3 where the paper has 5×5, and
//! its names of parameters. `googlenet-2014` is the paper's: biases, local response norm, 5×5, dropout 0.4.
//! Images may have any size from 15×15. In training both have two more heads ([`crate::build_for_training`]):
//! 1×1 convolution with 128 filters on pooled 4×4 pixels, dense 1,024, dropout 0.7, dense.

use nn::prelude::*;

use crate::blocks::{conv_norm_of, relu, within};
use crate::{Problem, image_of};

/// The filters of a module, in the table's order: 1×1, before 3×3, 3×3, before 5×5, 5×5, pool.
const MODULES: [(&str, [usize; 6]); 9] = [
    ("3a", [64, 96, 128, 16, 32, 32]),
    ("3b", [128, 128, 192, 32, 96, 64]),
    ("4a", [192, 96, 208, 16, 48, 64]),
    ("4b", [160, 112, 224, 24, 64, 64]),
    ("4c", [128, 128, 256, 24, 64, 64]),
    ("4d", [112, 144, 288, 32, 64, 64]),
    ("4e", [256, 160, 320, 32, 128, 128]),
    ("5a", [256, 160, 320, 32, 128, 128]),
    ("5b", [384, 192, 384, 48, 128, 128]),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Paper,
    Torchvision,
}

use Form::{Paper, Torchvision};

impl Form {
    fn conv(self, x: &Symbol, conv: Conv2d, name: &str) -> Result<Symbol, GraphError> {
        match self {
            Paper => conv.activation(Relu).round_down().name(name).on(x),
            Torchvision => within(name, || {
                let norm = BatchNorm::new().epsilon(1e-3);
                relu(&conv_norm_of(x, conv, norm, ["conv", "bn"])?)
            }),
        }
    }

    fn respond(self, x: &Symbol) -> Result<Symbol, GraphError> {
        match self {
            Paper => LocalResponseNorm::new(5).on(x),
            Torchvision => Ok(x.clone()),
        }
    }

    /// Up to the last module, and what 4a and 4d made on the way.
    fn trunk(self, x: &Symbol) -> Result<[Symbol; 3], GraphError> {
        let pool = || MaxPool2d::new(3).stride(2).round_up();
        let y = self.conv(x, Conv2d::new(64, 7).stride(2).padding(3), "conv1")?;
        let y = self.respond(&pool().on(&y)?)?;
        let y = self.conv(&y, Conv2d::new(64, 1), "conv2")?;
        let y = self.conv(&y, Conv2d::new(192, 3).padding(1), "conv3")?;
        let mut y = pool().on(&self.respond(&y)?)?;
        let mut on_the_way = [y.clone(), y.clone()];
        for (name, filters) in MODULES {
            y = within(&format!("inception{name}"), || self.module(&y, filters))?;
            match name {
                "3b" => y = pool().on(&y)?,
                "4a" => on_the_way[0] = y.clone(),
                "4d" => on_the_way[1] = y.clone(),
                "4e" if self == Torchvision => y = MaxPool2d::new(2).round_up().on(&y)?,
                "4e" => y = pool().on(&y)?,
                _ => {}
            }
        }
        let [first, second] = on_the_way;
        Ok([y, first, second])
    }

    fn module(self, x: &Symbol, filters: [usize; 6]) -> Result<Symbol, GraphError> {
        let [one, before_three, three, before_five, five, pooled] = filters;
        let side = if self == Paper { 5 } else { 3 };
        let narrow = self.conv(x, Conv2d::new(one, 1), "branch1")?;
        let y = self.conv(x, Conv2d::new(before_three, 1), "branch2.0")?;
        let wide = self.conv(&y, Conv2d::new(three, 3).padding(1), "branch2.1")?;
        let y = self.conv(x, Conv2d::new(before_five, 1), "branch3.0")?;
        let wider = self.conv(&y, Conv2d::new(five, side).padding(side / 2), "branch3.1")?;
        let y = MaxPool2d::new(3).stride(1).padding(1).on(x)?;
        let pooled = self.conv(&y, Conv2d::new(pooled, 1), "branch4.1")?;
        Concat::new().on(&[&narrow, &wide, &wider, &pooled])
    }

    fn head(self, y: &Symbol, outputs: usize) -> Result<Symbol, GraphError> {
        let rate = if self == Paper { 0.4 } else { 0.2 };
        let y = Dropout::new(rate).on(&GlobalAvgPool2d.on(y)?)?;
        Dense::new(outputs).name("fc").on(&y)
    }

    fn auxiliary(self, x: &Symbol, outputs: usize) -> Result<Symbol, GraphError> {
        let y = match self {
            Paper => AvgPool2d::new(5).stride(3).round_down().on(x)?,
            Torchvision => AdaptiveAvgPool2d::new(4).on(x)?,
        };
        let y = Flatten.on(&self.conv(&y, Conv2d::new(128, 1), "conv")?)?;
        let y = Dense::new(1024).activation(Relu).name("fc1").on(&y)?;
        Dense::new(outputs).name("fc2").on(&Dropout::new(0.7).on(&y)?)
    }
}

pub(crate) fn paper(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    image_of(x, 15)?;
    Ok(Paper.head(&Paper.trunk(x)?[0], outputs)?)
}

pub(crate) fn torchvision(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    image_of(x, 15)?;
    Ok(Torchvision.head(&Torchvision.trunk(x)?[0], outputs)?)
}

/// The paper's share of each auxiliary head's loss.
pub(crate) const AUXILIARY: f64 = 0.3;

/// The network's outputs, then those of the two auxiliary heads, which read what the modules 4a and 4d make.
fn with_auxiliaries(form: Form, x: &Symbol, outputs: usize) -> Result<Vec<Symbol>, Problem> {
    image_of(x, 15)?;
    let [y, first, second] = form.trunk(x)?;
    let mut heads = Vec::new();
    // The paper's heads pool five by five; what is smaller has none.
    if form == Torchvision || first.shape()[1].min(first.shape()[2]) >= 5 {
        heads.push(within("aux1", || form.auxiliary(&first, outputs))?);
        heads.push(within("aux2", || form.auxiliary(&second, outputs))?);
    }
    // The head is made last: its parameters are the last ones, as without the others.
    heads.insert(0, form.head(&y, outputs)?);
    Ok(heads)
}

pub(crate) fn paper_in_training(x: &Symbol, outputs: usize) -> Result<Vec<Symbol>, Problem> {
    with_auxiliaries(Paper, x, outputs)
}

pub(crate) fn torchvision_in_training(x: &Symbol, outputs: usize) -> Result<Vec<Symbol>, Problem> {
    with_auxiliaries(Torchvision, x, outputs)
}

/// One naive module: 128 filters 1×1, 192 of 3×3, 96 of 5×5 and a pooling side by side, as many
/// channels more than came in. On 28×28×256 it makes 28×28×672 with 854 million multiply-accumulates.
pub(crate) fn naive(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    image_of(x, 1)?;
    let y = within("inception", || {
        let conv = |filters, size: usize| Conv2d::new(filters, size).padding(size / 2).activation(Relu);
        let pooled = MaxPool2d::new(3).stride(1).padding(1).on(x)?;
        let [one, three, five] = [conv(128, 1).on(x)?, conv(192, 3).on(x)?, conv(96, 5).on(x)?];
        Concat::new().on(&[&one, &three, &five, &pooled])
    })?;
    Ok(Dense::new(outputs).name("fc").on(&GlobalAvgPool2d.on(&y)?)?)
}
