//! VGG (Simonyan & Zisserman, *Very deep convolutional networks for large-scale image recognition*,
//! 2014): nothing but 3×3 convolutions (rows N3, X21), with or without batch normalisation.
//!
//! For 224×224×3:
//!
//! | layer | output | 11 | 13 | 16 | 19 |
//! |---|---|---|---|---|---|
//! | conv 64, pool 2 | 112×112×64 | 1 × | 2 × | 2 × | 2 × |
//! | conv 128, pool 2 | 56×56×128 | 1 × | 2 × | 2 × | 2 × |
//! | conv 256, pool 2 | 28×28×256 | 2 × | 2 × | 3 × | 4 × |
//! | conv 512, pool 2 | 14×14×512 | 2 × | 2 × | 3 × | 4 × |
//! | conv 512, pool 2 | 7×7×512 | 2 × | 2 × | 3 × | 4 × |
//! | dense 4096, dense 4096, dense | 1,000 | | | | |
//! | parameters | | 132,863,336 | 133,047,848 | 138,357,544 | 143,667,240 |
//!
//! As in torchvision, whose names the parameters carry, an adaptive pooling to 7×7 before the dense
//! layers lets images of any size in from 32×32; at 224×224 it does nothing.

use nn::prelude::*;

use crate::blocks::relu;
use crate::{Problem, image_of};

const WIDTHS: [usize; 5] = [64, 128, 256, 512, 512];

/// A member of the family: how many convolutions stand before each pooling.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    convolutions: [usize; 5],
    norm: bool,
}

pub(crate) const VGG11: [usize; 5] = [1, 1, 2, 2, 2];
pub(crate) const VGG13: [usize; 5] = [2, 2, 2, 2, 2];
pub(crate) const VGG16: [usize; 5] = [2, 2, 3, 3, 3];
pub(crate) const VGG19: [usize; 5] = [2, 2, 4, 4, 4];

pub(crate) const fn plain(convolutions: [usize; 5]) -> Form {
    Form {
        convolutions,
        norm: false,
    }
}

pub(crate) const fn normalised(convolutions: [usize; 5]) -> Form {
    Form {
        convolutions,
        norm: true,
    }
}

pub(crate) fn outputs(x: &Symbol, outputs: usize, form: Form) -> Result<Symbol, Problem> {
    image_of(x, 32)?;
    let mut x = x.clone();
    // torchvision counts convolutions, norms, activations and poolings in one row.
    let mut number = 0;
    for (width, convolutions) in WIDTHS.into_iter().zip(form.convolutions) {
        for _ in 0..convolutions {
            x = convolution(&x, width, number, form.norm)?;
            number += if form.norm { 3 } else { 2 };
        }
        x = MaxPool2d::new(2).round_down().on(&x)?;
        number += 1;
    }
    x = Flatten.on(&AdaptiveAvgPool2d::new(7).on(&x)?)?;
    for name in ["classifier.0", "classifier.3"] {
        x = Dense::new(4096).activation(Relu).name(name).on(&x)?;
        x = Dropout::new(0.5).on(&x)?;
    }
    Ok(Dense::new(outputs).name("classifier.6").on(&x)?)
}

/// Layer `number` with its bias, which VGG keeps before a norm too.
fn convolution(x: &Symbol, width: usize, number: usize, norm: bool) -> Result<Symbol, GraphError> {
    let conv = Conv2d::new(width, 3)
        .padding(1)
        .name(&format!("features.{number}"));
    if !norm {
        return conv.activation(Relu).on(x);
    }
    let y = conv.init(Initialiser::before(Relu)).on(x)?;
    let norm = BatchNorm::new().name(&format!("features.{}", number + 1));
    relu(&norm.on(&y)?)
}
