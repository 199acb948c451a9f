//! U-Net (Ronneberger, Fischer & Brox, *U-Net: convolutional networks for biomedical image
//! segmentation*, 2015) with outputs for each pixel, on images whose sides are multiples of 16.
//!
//! For 256×256×3 and one output:
//!
//! | layer | output | parameters | running statistics |
//! |---|---|---|---|
//! | enc.0: twice conv 32 | 256×256×32 | 10,208 | 128 |
//! | pool 2, enc.1: twice conv 64 | 128×128×64 | 55,552 | 256 |
//! | pool 2, enc.2: twice conv 128 | 64×64×128 | 221,696 | 512 |
//! | pool 2, enc.3: twice conv 256 | 32×32×256 | 885,760 | 1,024 |
//! | pool 2, mid: twice conv 512 | 16×16×512 | 3,540,992 | 2,048 |
//! | up.0, dec.0: twice conv 256 | 32×32×256 | 2,294,784 | 1,024 |
//! | up.1, dec.1: twice conv 128 | 64×64×128 | 573,952 | 512 |
//! | up.2, dec.2: twice conv 64 | 128×128×64 | 143,616 | 256 |
//! | up.3, dec.3: twice conv 32 | 256×256×32 | 35,968 | 128 |
//! | conv 1×1 | 256×256×1 | 33 | 0 |
//!
//! Every 3×3 convolution is padded, where the paper's shrinks the image, and has batch normalisation
//! and ReLU behind it; there are half as many filters as in the paper. `up` doubles the sides by a
//! transposed convolution 2×2 /2, and what the same level of `enc` made is put behind its channels.

use nn::prelude::*;

use crate::blocks::{conv_norm, relu, within};
use crate::{Problem, image_of};

const WIDTHS: [usize; 4] = [32, 64, 128, 256];
const MULTIPLE: usize = 1 << WIDTHS.len();

pub(crate) fn outputs(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    let sides = image_of(x, MULTIPLE)?;
    if !sides.iter().all(|side| side.is_multiple_of(MULTIPLE)) {
        return Err(Problem::Input {
            expected: format!("images whose sides are multiples of {MULTIPLE}"),
            remedy: "crop, pad or resize them".into(),
        });
    }
    let mut y = x.clone();
    let mut levels = Vec::new();
    for (level, width) in WIDTHS.into_iter().enumerate() {
        y = twice(&y, width, &format!("enc.{level}"))?;
        levels.push((width, y.clone()));
        y = MaxPool2d::new(2).on(&y)?;
    }
    y = twice(&y, 2 * WIDTHS[WIDTHS.len() - 1], "mid")?;
    for (step, (width, across)) in levels.iter().rev().enumerate() {
        let up = ConvTranspose2d::new(*width, 2).stride(2);
        let up = up.name(&format!("up.{step}")).on(&y)?;
        y = twice(&Concat::new().on(&[&up, across])?, *width, &format!("dec.{step}"))?;
    }
    Ok(Conv2d::new(outputs, 1).name("out").on(&y)?)
}

fn twice(x: &Symbol, width: usize, name: &str) -> Result<Symbol, GraphError> {
    within(name, || {
        let conv = || Conv2d::new(width, 3).padding(1);
        let y = relu(&conv_norm(x, conv(), ["0", "1"])?)?;
        relu(&conv_norm(&y, conv(), ["3", "4"])?)
    })
}
