//! A small convolutional network for images of any size from 8×8: stages of 3×3 convolutions
//! (Simonyan & Zisserman 2015), each with batch normalisation (Ioffe & Szegedy 2015) and ReLU, halved
//! by max-pooling in between; then global average pooling (Lin, Chen & Yan 2014), dropout, dense.
//!
//! For 64×64×3 and ten classes (EuroSAT), seven convolutions:
//!
//! | stage | output | parameters | running statistics |
//! |---|---|---|---|
//! | conv 32 | 64×64×32 | 928 | 64 |
//! | pool, conv 64, conv 64 | 32×32×64 | 55,552 | 256 |
//! | pool, conv 128, conv 128 | 16×16×128 | 221,696 | 512 |
//! | pool, conv 256, conv 256 | 8×8×256 | 885,760 | 1,024 |
//! | global average pool, dropout 0.2, dense | 10 | 2,570 | 0 |
//!
//! There are as many stages as leave at least seven rows and columns (but two at least): 8×8 and 16×16
//! images get two, 28×28 and 32×32 three, 64×64 four; larger ones get more stages of 256.

use graph::Symbol;
use nn::prelude::*;

use crate::{Problem, image_of};

const WIDTHS: [usize; 4] = [32, 64, 128, 256];
const FEWEST_STAGES: usize = 2;
const MOST_STAGES: usize = 7;
const LAST_MAP: usize = 7;

pub(crate) fn outputs(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    let [rows, columns] = image_of(x, 8)?;
    let mut y = x.clone();
    for stage in 0..stages(rows.min(columns)) {
        let width = WIDTHS[stage.min(WIDTHS.len() - 1)];
        if stage > 0 {
            y = MaxPool2d::new(2).round_down().on(&y)?;
            y = convolution(&y, width)?;
        }
        y = convolution(&y, width)?;
    }
    let y = Dropout::new(0.2).on(&GlobalAvgPool2d.on(&y)?)?;
    Ok(Dense::new(outputs).on(&y)?)
}

fn stages(side: usize) -> usize {
    let halvings = (1..MOST_STAGES).take_while(|&k| side >> k >= LAST_MAP).count();
    (halvings + 1).max(FEWEST_STAGES)
}

/// 3×3, same padding; without a bias, which batch normalisation would take off again.
fn convolution(x: &Symbol, width: usize) -> Result<Symbol, GraphError> {
    let x = Conv2d::new(width, 3)
        .padding(Same)
        .no_bias()
        .init(Initialiser::before(Relu))
        .on(x)?;
    Relu.on(&BatchNorm::new().on(&x)?)
}
