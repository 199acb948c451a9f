//! Broadcasting to another symbol's shape, and its transpose: summing back to it.

use ndarray::{ArrayD, Axis, IxDyn};
use serde::{Deserialize, Serialize};

use super::{Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// Operand 0 repeated to the shape of operand 1 (whose numbers are not read).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BroadcastLike {
    /// Divide by the number of repetitions, which makes it the gradient of a mean.
    pub divided: bool,
}

/// Operand 0 summed over its broadcast axes down to the shape of operand 1 (whose numbers are not read).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SumLike {}

impl Operation for BroadcastLike {
    fn name(&self) -> &'static str {
        "broadcast_like"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x, like] = operands(self.name(), inputs)?;
        if x.broadcast(like).as_ref() != Some(like) {
            return Err(GraphError::shape(
                self.name(),
                format!("shape {x} does not broadcast to {like}"),
            ));
        }
        Ok(like.clone())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        if input == 1 {
            return Ok(None);
        }
        if self.divided {
            return Err(GraphError::NoGradient {
                op: self.name().into(),
                input,
            });
        }
        Ok(Some(g.sum_like(&node.inputs()[0])?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let repeats = output.elements() as f64 / inputs[0].len().max(1) as f64;
        let scale = if self.divided { repeats.recip() } else { 1.0 };
        inputs[0]
            .broadcast(IxDyn(output))
            .map(|v| v.mapv(|x| x * scale))
            .unwrap_or_default()
    }
    fn reads(&self, input: usize) -> bool {
        input == 0
    }
}

impl Operation for SumLike {
    fn name(&self) -> &'static str {
        "sum_like"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x, like] = operands(self.name(), inputs)?;
        if like.broadcast(x).as_ref() != Some(x) {
            return Err(GraphError::shape(
                self.name(),
                format!("shape {x} does not sum down to {like}"),
            ));
        }
        Ok(like.clone())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        if input == 1 {
            Ok(None)
        } else {
            Ok(Some(g.broadcast_like(&node.inputs()[0])?))
        }
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let mut x = inputs[0].clone();
        while x.ndim() > output.rank() {
            x = x.sum_axis(Axis(0));
        }
        for (axis, &length) in output.iter().enumerate() {
            if length == 1 && x.shape()[axis] != 1 {
                x = x.sum_axis(Axis(axis)).insert_axis(Axis(axis));
            }
        }
        x
    }
    fn reads(&self, input: usize) -> bool {
        input == 0
    }
}
