//! Sums, means and maxima over axes.

use ndarray::{ArrayD, Axis, IxDyn};
use serde::{Deserialize, Serialize};

use super::{Cost, Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// What the elements are reduced to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReduceKind {
    /// Σ x
    Sum,
    /// Σ x / count
    Mean,
    /// max x; the gradient goes to every element that equals it.
    Max,
}

/// Reduces over `axes`, which stay as axes of length 1; with no axes named, over everything to a
/// single number of shape `[]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reduce {
    /// Sum, mean or maximum.
    pub kind: ReduceKind,
    /// The axes reduced over; empty means all.
    pub axes: Vec<usize>,
}

impl Operation for Reduce {
    fn name(&self) -> &'static str {
        match self.kind {
            ReduceKind::Sum => "reduce_sum",
            ReduceKind::Mean => "reduce_mean",
            ReduceKind::Max => "reduce_max",
        }
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x] = operands(self.name(), inputs)?;
        if self.axes.is_empty() {
            return Ok(Shape::scalar());
        }
        let mut axes = x.to_vec();
        for &axis in &self.axes {
            match axes.get_mut(axis) {
                Some(length) => *length = 1,
                None => {
                    return Err(GraphError::shape(
                        self.name(),
                        format!("axis {axis} is not an axis of {x}"),
                    ));
                }
            }
        }
        Ok(axes.into())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        let x = &node.inputs()[0];
        Ok(Some(match self.kind {
            ReduceKind::Sum => g.broadcast_like(x)?,
            ReduceKind::Mean => Symbol::apply(super::BroadcastLike { divided: true }, &[g, x])?,
            ReduceKind::Max => x.at_least(node)?.mul(g)?,
        }))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let mut x = inputs[0].clone();
        let count = x.len() as f64 / output.elements().max(1) as f64;
        let all: Vec<usize> = (0..x.ndim()).collect();
        for &axis in if self.axes.is_empty() { &all } else { &self.axes } {
            let folded = match self.kind {
                ReduceKind::Max => x.fold_axis(Axis(axis), f64::NEG_INFINITY, |a, b| a.max(*b)),
                _ => x.sum_axis(Axis(axis)),
            };
            x = folded.insert_axis(Axis(axis));
        }
        if self.kind == ReduceKind::Mean {
            x /= count;
        }
        x.into_shape_with_order(IxDyn(output)).unwrap_or_default()
    }
    fn cost(&self, inputs: &[&Shape], _: &Shape) -> Cost {
        Cost::flops(inputs[0].elements())
    }
}
