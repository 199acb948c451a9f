//! Softmax and its logarithm over the last axis (curriculum row A9).
//!
//! Per row: y_i = eˣⁱ / Σ eˣᵏ, "all for one"; ∂loss/∂x_i = y_i·(g_i − Σ g_k·y_k), "one from all".
//! With y = log softmax: ∂loss/∂x_i = g_i − eʸⁱ·Σ g_k. Both subtract the row's maximum first.

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::plain::{channels, expect, filled, plain};
use super::{Cost, Operation, ReduceKind, UnaryKind, operands};
use crate::{GraphError, Shape, Symbol};

/// Operand: x `[.., K]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Softmax {}

/// ∂loss/∂x of [`Softmax`]. Operands: g and y `[.., K]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SoftmaxGradient {}

/// Operand: x `[.., K]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogSoftmax {}

/// ∂loss/∂x of [`LogSoftmax`]. Operands: g and y `[.., K]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogSoftmaxGradient {}

/// ln Σ eˣ of one row.
pub(super) fn log_sum_exp(x: &[f64]) -> f64 {
    let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + x.iter().map(|v| (v - most).exp()).sum::<f64>().ln()
}

fn same_shape(op: &str, inputs: &[&Shape]) -> Result<Shape, GraphError> {
    let [g, y] = operands(op, inputs)?;
    channels(op, y)?;
    expect(op, "the gradient", g, y)?;
    Ok(y.clone())
}

/// Σ over the last axis, which stays with length 1.
fn row_sum(x: &Symbol) -> Result<Symbol, GraphError> {
    x.reduce(ReduceKind::Sum, &[x.shape().rank() - 1])
}

/// Row by row: `rule(x, y)` for two operands of the same shape.
fn rows(
    a: &ArrayD<f64>,
    b: &ArrayD<f64>,
    output: &Shape,
    rule: impl Fn(&[f64], &[f64], &mut [f64]),
) -> ArrayD<f64> {
    let (a, b, k) = (plain(a), plain(b), output.last_axis());
    filled(output, |out| {
        for ((out, a), b) in out.chunks_mut(k).zip(a.chunks(k)).zip(b.chunks(k)) {
            rule(a, b, out);
        }
    })
}

impl Operation for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x] = operands(self.name(), inputs)?;
        channels(self.name(), x)?;
        Ok(x.clone())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        Ok(Some(Symbol::apply(SoftmaxGradient {}, &[g, node])?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        rows(inputs[0], inputs[0], output, |x, _, y| {
            let total = log_sum_exp(x);
            y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - total).exp());
        })
    }
    fn cost(&self, _: &[&Shape], output: &Shape) -> Cost {
        Cost::flops(5 * output.elements())
    }
}

impl Operation for SoftmaxGradient {
    fn name(&self) -> &'static str {
        "softmax_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        same_shape(self.name(), inputs)
    }
    /// With u the gradient of y∘(g − ⟨g, y⟩): to g it is y∘(u − ⟨u, y⟩), to y it is u∘(g − ⟨g, y⟩) − g·⟨u, y⟩.
    fn gradient(&self, node: &Symbol, u: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let (g, y) = (&node.inputs()[0], &node.inputs()[1]);
        if input == 0 {
            return Ok(Some(Symbol::apply(*self, &[u, y])?));
        }
        let centred = g.sub(&row_sum(&g.mul(y)?)?)?;
        let cross = g.mul(&row_sum(&u.mul(y)?)?)?;
        Ok(Some(u.mul(&centred)?.sub(&cross)?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        rows(inputs[0], inputs[1], output, |g, y, dx| {
            let along: f64 = g.iter().zip(y).map(|(g, y)| g * y).sum();
            (0..y.len()).for_each(|i| dx[i] = y[i] * (g[i] - along));
        })
    }
    fn cost(&self, _: &[&Shape], output: &Shape) -> Cost {
        Cost::flops(4 * output.elements())
    }
}

impl Operation for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x] = operands(self.name(), inputs)?;
        channels(self.name(), x)?;
        Ok(x.clone())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        Ok(Some(Symbol::apply(LogSoftmaxGradient {}, &[g, node])?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        rows(inputs[0], inputs[0], output, |x, _, y| {
            let total = log_sum_exp(x);
            y.iter_mut().zip(x).for_each(|(y, x)| *y = x - total);
        })
    }
    fn cost(&self, _: &[&Shape], output: &Shape) -> Cost {
        Cost::flops(5 * output.elements())
    }
}

impl Operation for LogSoftmaxGradient {
    fn name(&self) -> &'static str {
        "log_softmax_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        same_shape(self.name(), inputs)
    }
    /// With u the gradient of g − eʸ·Σg: to g it is u − Σ(u·eʸ), to y it is −u·eʸ·Σg.
    fn gradient(&self, node: &Symbol, u: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let (g, y) = (&node.inputs()[0], &node.inputs()[1]);
        let weighted = u.mul(&y.unary(UnaryKind::Exp)?)?;
        Ok(Some(if input == 0 {
            u.sub(&row_sum(&weighted)?)?
        } else {
            weighted.mul(&row_sum(g)?)?.neg()?
        }))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        rows(inputs[0], inputs[1], output, |g, y, dx| {
            let total: f64 = g.iter().sum();
            (0..y.len()).for_each(|i| dx[i] = g[i] - y[i].exp() * total);
        })
    }
    fn cost(&self, _: &[&Shape], output: &Shape) -> Cost {
        Cost::flops(4 * output.elements())
    }
}
