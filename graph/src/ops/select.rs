//! One of two numbers, as a third says; and the place of the largest number along an axis.

use ndarray::{ArrayD, Axis, IxDyn, Zip};
use serde::{Deserialize, Serialize};

use super::{Cost, Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// a where the condition is not 0, else b, element-wise with broadcasting. Operands: condition, a, b.
///
/// The number that is not taken has no influence, whatever it is: masks may stand beside infinities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Select {}

/// The index along `axis`, which stays with length 1, of the largest element. No gradient flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArgMax {
    /// The axis.
    pub axis: usize,
    /// Of several equal ones the last, else the first.
    pub last: bool,
}

impl Operation for Select {
    fn name(&self) -> &'static str {
        "select"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [condition, a, b] = operands(self.name(), inputs)?;
        let shape = a.broadcast(b).and_then(|ab| ab.broadcast(condition));
        shape.ok_or_else(|| {
            let message =
                format!("shapes {condition}, {a} and {b} do not broadcast: each axis must be equal, or 1");
            GraphError::shape(self.name(), message)
        })
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let (condition, zero) = (&node.inputs()[0], Symbol::constant(0.0, []));
        let part = match input {
            0 => return Ok(None),
            1 => Symbol::apply(*self, &[condition, g, &zero])?,
            _ => Symbol::apply(*self, &[condition, &zero, g])?,
        };
        Ok(Some(part.sum_like(&node.inputs()[input])?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let mut result = ArrayD::zeros(IxDyn(output));
        let [condition, a, b] = [0, 1, 2].map(|k| inputs[k].broadcast(IxDyn(output)));
        if let (Some(condition), Some(a), Some(b)) = (condition, a, b) {
            Zip::from(&mut result)
                .and(&condition)
                .and(&a)
                .and(&b)
                .for_each(|r, &c, &a, &b| *r = if c != 0.0 { a } else { b });
        }
        result
    }
}

impl Operation for ArgMax {
    fn name(&self) -> &'static str {
        "arg_max"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x] = operands(self.name(), inputs)?;
        let mut axes = x.to_vec();
        match axes.get_mut(self.axis) {
            Some(length) => *length = 1,
            None => {
                let message = format!("axis {} is not an axis of {x}", self.axis);
                return Err(GraphError::shape(self.name(), message));
            }
        }
        Ok(axes.into())
    }
    fn gradient(&self, _: &Symbol, _: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        Ok(None)
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let largest = |lane: ndarray::ArrayView1<f64>| {
            let mut best = 0;
            for (i, &x) in lane.iter().enumerate() {
                if x > lane[best] || (self.last && x == lane[best]) {
                    best = i;
                }
            }
            best as f64
        };
        let places = inputs[0].map_axis(Axis(self.axis), largest);
        places.into_shape_with_order(IxDyn(output)).unwrap_or_default()
    }
    fn cost(&self, inputs: &[&Shape], _: &Shape) -> Cost {
        Cost::flops(inputs[0].elements())
    }
}
