//! Rows of a table by their indices: an embedding.
//!
//! y[.., :] = table[indices[..], :]; the gradient adds each row of g to its row of the table.

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::plain::{expect, filled, plain};
use super::{Cost, Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// Operands: indices `[..]` (whole numbers in 0..V), table `[V, D]`. The result is `[.., D]`.
///
/// An index outside the table, or not whole, gives a row of zeros and no gradient; whoever reads the
/// indices checks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Gather {}

/// ∂loss/∂table of [`Gather`]. Operands: g `[.., D]`, indices `[..]`, and a symbol of the table's shape
/// (not read).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GatherGradient {}

impl Gather {
    /// The row that an index means, if it is one.
    pub fn row(index: f64, rows: usize) -> Option<usize> {
        (index >= 0.0 && index < rows as f64 && index.fract() == 0.0).then_some(index as usize)
    }
}

impl Operation for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [indices, table] = operands(self.name(), inputs)?;
        let [_, width] = table[..] else {
            return Err(GraphError::shape(
                self.name(),
                format!("the table must be [V, D], found {table}"),
            ));
        };
        let mut axes = indices.to_vec();
        axes.push(width);
        Ok(axes.into())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let (indices, table) = (&node.inputs()[0], &node.inputs()[1]);
        match input {
            1 => Ok(Some(Symbol::apply(GatherGradient {}, &[g, indices, table])?)),
            _ => Ok(None),
        }
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let (indices, table) = (plain(inputs[0]), plain(inputs[1]));
        let (width, rows) = (output.last_axis(), inputs[1].shape()[0]);
        filled(output, |y| {
            for (n, &index) in indices.iter().enumerate() {
                if let Some(row) = Self::row(index, rows) {
                    y[n * width..][..width].copy_from_slice(&table[row * width..][..width]);
                }
            }
        })
    }
    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::default()
    }
}

impl Operation for GatherGradient {
    fn name(&self) -> &'static str {
        "gather_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [g, indices, like] = operands(self.name(), inputs)?;
        expect(
            self.name(),
            "the gradient",
            g,
            &(Gather {}).shape(&[indices, like])?,
        )?;
        Ok(like.clone())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        match input {
            0 => Ok(Some(Symbol::apply(Gather {}, &[&node.inputs()[1], g])?)),
            _ => Ok(None),
        }
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let (g, indices, width) = (plain(inputs[0]), plain(inputs[1]), output.last_axis());
        filled(output, |table| {
            for (n, &index) in indices.iter().enumerate() {
                if let Some(row) = Gather::row(index, output[0]) {
                    (0..width).for_each(|d| table[row * width + d] += g[n * width + d]);
                }
            }
        })
    }
    fn cost(&self, inputs: &[&Shape], _: &Shape) -> Cost {
        Cost::flops(inputs[0].elements())
    }
    fn reads(&self, input: usize) -> bool {
        input < 2
    }
}
