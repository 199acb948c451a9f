//! Element-wise operations on two tensors, with NumPy's broadcasting.

use ndarray::{ArrayD, IxDyn, Zip};
use serde::{Deserialize, Serialize};

use super::{Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// What is done with each pair of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BinaryKind {
    /// a + b
    Add,
    /// a − b
    Subtract,
    /// a · b
    Multiply,
    /// a / b
    Divide,
    /// The larger; on a tie the gradient goes to a.
    Maximum,
    /// The smaller; on a tie the gradient goes to a.
    Minimum,
    /// 1 where a ≥ b, else 0; no gradient flows.
    AtLeast,
}

impl BinaryKind {
    /// The operation on one pair.
    pub fn value(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Maximum => {
                if a >= b {
                    a
                } else {
                    b
                }
            }
            Self::Minimum => {
                if a <= b {
                    a
                } else {
                    b
                }
            }
            Self::AtLeast => f64::from(a >= b),
        }
    }
}

/// `kind` applied element-wise to operands `[..]` and `[..]` that broadcast together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Binary {
    /// What is done.
    pub kind: BinaryKind,
}

impl Operation for Binary {
    fn name(&self) -> &'static str {
        match self.kind {
            BinaryKind::Add => "add",
            BinaryKind::Subtract => "subtract",
            BinaryKind::Multiply => "multiply",
            BinaryKind::Divide => "divide",
            BinaryKind::Maximum => "maximum",
            BinaryKind::Minimum => "minimum",
            BinaryKind::AtLeast => "at_least",
        }
    }

    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [a, b] = operands(self.name(), inputs)?;
        a.broadcast(b).ok_or_else(|| {
            GraphError::shape(
                self.name(),
                format!("shapes {a} and {b} do not broadcast: each axis must be equal, or 1 in one of them"),
            )
        })
    }

    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let (a, b) = (&node.inputs()[0], &node.inputs()[1]);
        let left = input == 0;
        let part = match self.kind {
            BinaryKind::Add => g.clone(),
            BinaryKind::Subtract if left => g.clone(),
            BinaryKind::Subtract => g.neg()?,
            BinaryKind::Multiply => g.mul(if left { b } else { a })?,
            BinaryKind::Divide if left => g.div(b)?,
            BinaryKind::Divide => g.mul(node)?.div(b)?.neg()?,
            BinaryKind::Maximum | BinaryKind::Minimum => {
                let a_wins = if self.kind == BinaryKind::Maximum {
                    a.at_least(b)?
                } else {
                    b.at_least(a)?
                };
                let wins = if left { a_wins } else { a_wins.affine(-1.0, 1.0)? };
                g.mul(&wins)?
            }
            BinaryKind::AtLeast => return Ok(None),
        };
        Ok(Some(part.sum_like(&node.inputs()[input])?))
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let mut result = ArrayD::zeros(IxDyn(output));
        if let (Some(a), Some(b)) = (
            inputs[0].broadcast(IxDyn(output)),
            inputs[1].broadcast(IxDyn(output)),
        ) {
            Zip::from(&mut result)
                .and(&a)
                .and(&b)
                .for_each(|r, &a, &b| *r = self.kind.value(a, b));
        }
        result
    }
}
