//! LeNet-1 (LeCun et al., *Handwritten digit recognition with a back-propagation network*, 1990).
//!
//! For 28×28×1 and ten classes:
//!
//! | layer | output | parameters |
//! |---|---|---|
//! | conv 4 5×5, tanh | 24×24×4 | 104 |
//! | average pool 2 | 12×12×4 | 0 |
//! | conv 12 5×5, tanh | 8×8×12 | 1,212 |
//! | average pool 2 | 4×4×12 | 0 |
//! | flatten | 192 | 0 |
//! | dense | 10 | 1,930 |
//!
//! The paper connects each of the twelve maps to one or two of the four below; here each sees all.

use graph::Symbol;
use nn::prelude::*;

use crate::{Problem, image_of};

pub(crate) fn outputs(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    image_of(x, 16)?;
    let x = Conv2d::new(4, 5).activation(Tanh).on(x)?;
    let x = AvgPool2d::new(2).round_down().on(&x)?;
    let x = Conv2d::new(12, 5).activation(Tanh).on(&x)?;
    let x = AvgPool2d::new(2).round_down().on(&x)?;
    Ok(Dense::new(outputs).on(&Flatten.on(&x)?)?)
}
