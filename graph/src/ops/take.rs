//! Slices of a tensor by their places along an axis.
//!
//! y[.., k, ..] = x[.., places[k], ..]; the gradient adds each slice of g to the place it came from.

use ndarray::{ArrayD, Axis, IxDyn};
use serde::{Deserialize, Serialize};

use super::plain::expect;
use super::{Cost, Gather, Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// Operands: x `[.., L, ..]`, places `[K]`; the result is `[.., K, ..]`.
///
/// A place that is no whole number in 0..L gives zeros and no gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Take {
    /// The axis along which slices are taken.
    pub axis: usize,
}

/// ∂loss/∂x of [`Take`]. Operands: g `[.., K, ..]`, places `[K]`, and a symbol of the shape of x (not read).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TakeGradient {
    /// The axis along which slices were taken.
    pub axis: usize,
}

impl Operation for Take {
    fn name(&self) -> &'static str {
        "take"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x, places] = operands(self.name(), inputs)?;
        let mut axes = x.to_vec();
        match (axes.get_mut(self.axis), &places[..]) {
            (Some(length), &[count]) => *length = count,
            _ => {
                let message = format!(
                    "axis {} of {x} at places {places}: needs an axis of x and a list",
                    self.axis
                );
                return Err(GraphError::shape(self.name(), message));
            }
        }
        Ok(axes.into())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let (x, places) = (&node.inputs()[0], &node.inputs()[1]);
        match input {
            0 => Ok(Some(Symbol::apply(
                TakeGradient { axis: self.axis },
                &[g, places, x],
            )?)),
            _ => Ok(None),
        }
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let (x, axis) = (inputs[0], Axis(self.axis));
        let mut y = ArrayD::zeros(IxDyn(output));
        for (mut to, &place) in y.axis_iter_mut(axis).zip(inputs[1]) {
            if let Some(place) = Gather::row(place, x.len_of(axis)) {
                to.assign(&x.index_axis(axis, place));
            }
        }
        y
    }
    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::default()
    }
}

impl Operation for TakeGradient {
    fn name(&self) -> &'static str {
        "take_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [g, places, like] = operands(self.name(), inputs)?;
        let forward = Take { axis: self.axis }.shape(&[like, places])?;
        expect(self.name(), "the gradient", g, &forward)?;
        Ok(like.clone())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        match input {
            0 => Ok(Some(Symbol::apply(
                Take { axis: self.axis },
                &[g, &node.inputs()[1]],
            )?)),
            _ => Ok(None),
        }
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let axis = Axis(self.axis);
        let mut x = ArrayD::zeros(IxDyn(output));
        for (g, &place) in inputs[0].axis_iter(axis).zip(inputs[1]) {
            if let Some(place) = Gather::row(place, output[self.axis]) {
                let mut to = x.index_axis_mut(axis, place);
                to += &g;
            }
        }
        x
    }
    fn cost(&self, inputs: &[&Shape], _: &Shape) -> Cost {
        Cost::flops(inputs[0].elements())
    }
    fn reads(&self, input: usize) -> bool {
        input < 2
    }
}
