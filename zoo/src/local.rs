//! Locally connected layers (row L24): the windows of a convolution, but each place has weights of its
//! own, for images in which everything has its place, such as aligned faces (after Taigman, Yang,
//! Ranzato & Wolf, *DeepFace*, 2014).
//!
//! For 28×28×1 and ten classes:
//!
//! | layer | output | parameters |
//! |---|---|---|
//! | conv 16 5×5, ReLU | 24×24×16 | 416 |
//! | max pool 2 | 12×12×16 | 0 |
//! | locally connected 16 3×3, ReLU | 10×10×16 | 232,000 |
//! | locally connected 16 3×3 /2, ReLU | 4×4×16 | 37,120 |
//! | flatten, dense | 10 | 2,570 |
//!
//! As convolutions, the two would have 2,320 parameters each.

use nn::prelude::*;

use crate::{Problem, image_of};

pub(crate) fn outputs(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    image_of(x, 14)?;
    let x = Conv2d::new(16, 5).activation(Relu).on(x)?;
    let x = MaxPool2d::new(2).round_down().on(&x)?;
    let own = || LocallyConnected2d::new(16, 3).activation(Relu).round_down();
    let x = own().on(&x)?;
    let x = own().stride(2).on(&x)?;
    Ok(Dense::new(outputs).on(&Flatten.on(&x)?)?)
}
