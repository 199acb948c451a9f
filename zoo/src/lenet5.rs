//! LeNet-5 (LeCun, Bottou, Bengio & Haffner, *Gradient-based learning applied to document
//! recognition*, 1998).
//!
//! For 28×28×1 and ten classes:
//!
//! | layer | output | parameters |
//! |---|---|---|
//! | conv 6 5×5, same | 28×28×6 | 156 |
//! | pool 2 | 14×14×6 | 0 |
//! | conv 16 5×5 | 10×10×16 | 2,416 |
//! | pool 2 | 5×5×16 | 0 |
//! | flatten | 400 | 0 |
//! | dense | 120 | 48,120 |
//! | dense | 84 | 10,164 |
//! | dense | 10 | 850 |
//!
//! Images of 32×32 and more are not padded in the first layer, as in the paper, where digits stand in
//! the middle of 32×32. `lenet5` has ReLU and max-pooling, `lenet5-classic` the paper's tanh and
//! average pooling. Simplified as everywhere today: pooling without weights, all maps connected, linear
//! outputs in place of radial basis functions.

use graph::Symbol;
use nn::prelude::*;

use crate::{Problem, image_of};

pub(crate) fn modern(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    let pool = |x: &Symbol| MaxPool2d::new(2).round_down().on(x);
    layers(x, outputs, Relu, pool)
}

pub(crate) fn classic(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    let pool = |x: &Symbol| AvgPool2d::new(2).round_down().on(x);
    layers(x, outputs, Tanh, pool)
}

fn layers(
    x: &Symbol,
    outputs: usize,
    activation: Activation,
    pool: impl Fn(&Symbol) -> Result<Symbol, GraphError>,
) -> Result<Symbol, Problem> {
    let [rows, columns] = image_of(x, 20)?;
    let padding = if rows.min(columns) < 32 { Same } else { Valid };
    let x = Conv2d::new(6, 5).padding(padding).activation(activation).on(x)?;
    let x = pool(&x)?;
    let x = Conv2d::new(16, 5).activation(activation).on(&x)?;
    let x = Flatten.on(&pool(&x)?)?;
    let x = Dense::new(120).activation(activation).on(&x)?;
    let x = Dense::new(84).activation(activation).on(&x)?;
    Ok(Dense::new(outputs).on(&x)?)
}
