//! A multi-layer perceptron with two hidden layers (rows L9, L12, L13).
//!
//! | input | hidden layers |
//! |---|---|
//! | a table, a point in the plane | 64, 64, ReLU |
//! | an image | flatten, 256, 128, ReLU |
//!
//! On the playground's spiral, 64 rectifiers a layer separate the arms in a few dozen passes, where as
//! many tanh units need hundreds.
//!
//! A dense layer of u units on d features has (d + 1)·u parameters; 784-256-128-10 has 235,146.

use graph::Symbol;
use nn::prelude::*;

use crate::Problem;
use crate::linear::flat;

pub(crate) fn outputs(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    let flat = flat(x)?;
    let hidden = if x.shape().rank() == 2 {
        [64, 64]
    } else {
        [256, 128]
    };
    let mut y = flat;
    for units in hidden {
        y = Dense::new(units).activation(Relu).on(&y)?;
    }
    Ok(Dense::new(outputs).on(&y)?)
}
