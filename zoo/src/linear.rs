//! One linear layer: linear, softmax and logistic regression, and the perceptron (rows L1–L4).
//!
//! | layer | output | parameters |
//! |---|---|---|
//! | flatten | d | 0 |
//! | dense | K | (d + 1)·K |
//!
//! What makes it one or the other is the loss: squared error, cross-entropy, or the perceptron's.

use graph::Symbol;
use nn::prelude::*;

use crate::Problem;

pub(crate) fn outputs(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    Ok(Dense::new(outputs).on(&flat(x)?)?)
}

/// One row of features per sample.
pub(crate) fn flat(x: &Symbol) -> Result<Symbol, Problem> {
    match x.shape().rank() {
        2 => Ok(x.clone()),
        _ => Ok(Flatten.on(x)?),
    }
}
