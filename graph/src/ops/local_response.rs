//! Local response normalisation over channels (Krizhevsky et al. 2012), as `torch.nn.LocalResponseNorm`.
//!
//! d_c = k + α/n · Σ x_i² over i in c − ⌊n/2⌋ ..= c + ⌊(n − 1)/2⌋ (inside the channels), y_c = x_c·d_c^−β;
//! ∂loss/∂x_j = g_j·d_j^−β − 2αβ/n · x_j · Σ g_i·y_i/d_i over the i whose window has j in it.

use std::ops::Range;

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::plain::{channels, expect, filled, plain};
use super::{Cost, Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// Operand: x `[.., C]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LocalResponseNorm {
    /// Channels in a window, n.
    pub size: usize,
    /// Weight of the squares, divided by n.
    pub alpha: f32,
    /// Exponent.
    pub beta: f32,
    /// Summand.
    pub k: f32,
}

/// ∂loss/∂x of [`LocalResponseNorm`]. Operands: g, x and y `[.., C]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LocalResponseNormGradient {
    /// The normalisation.
    pub norm: LocalResponseNorm,
}

impl LocalResponseNorm {
    /// The channels that channel `c` of `channels` looks at.
    pub fn window(&self, c: usize, channels: usize) -> Range<usize> {
        c.saturating_sub(self.size / 2)..(c + self.size.div_ceil(2)).min(channels)
    }

    /// The channels that look at channel `c` of `channels`.
    pub fn readers(&self, c: usize, channels: usize) -> Range<usize> {
        (c + 1).saturating_sub(self.size.div_ceil(2))..(c + self.size / 2 + 1).min(channels)
    }

    /// d for each channel of one row.
    fn denominators(&self, x: &[f64]) -> Vec<f64> {
        let scale = f64::from(self.alpha) / self.size as f64;
        let sum = |c| self.window(c, x.len()).map(|i| x[i] * x[i]).sum::<f64>();
        (0..x.len()).map(|c| f64::from(self.k) + scale * sum(c)).collect()
    }
}

impl Operation for LocalResponseNorm {
    fn name(&self) -> &'static str {
        "local_response_norm"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x] = operands(self.name(), inputs)?;
        channels(self.name(), x)?;
        if self.size == 0 {
            return Err(GraphError::shape(self.name(), "size must be at least 1"));
        }
        Ok(x.clone())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        let gradient = LocalResponseNormGradient { norm: *self };
        Ok(Some(Symbol::apply(gradient, &[g, &node.inputs()[0], node])?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let (x, c) = (plain(inputs[0]), output.last_axis());
        filled(output, |y| {
            for (y, x) in y.chunks_mut(c).zip(x.chunks(c)) {
                for (k, d) in self.denominators(x).into_iter().enumerate() {
                    y[k] = x[k] * d.powf(-f64::from(self.beta));
                }
            }
        })
    }
    fn cost(&self, _: &[&Shape], output: &Shape) -> Cost {
        Cost::flops((2 * self.size + 4) * output.elements())
    }
}

impl Operation for LocalResponseNormGradient {
    fn name(&self) -> &'static str {
        "local_response_norm_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [g, x, y] = operands(self.name(), inputs)?;
        expect(self.name(), "the gradient", g, x)?;
        expect(self.name(), "the result", y, x)?;
        Ok(x.clone())
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let [g, x, y] = [0, 1, 2].map(|i| plain(inputs[i]));
        let (c, beta) = (output.last_axis(), f64::from(self.norm.beta));
        let factor = 2.0 * f64::from(self.norm.alpha) * beta / self.norm.size as f64;
        filled(output, |dx| {
            for start in (0..dx.len()).step_by(c) {
                let d = self.norm.denominators(&x[start..start + c]);
                for k in 0..c {
                    let through: f64 = (self.norm.readers(k, c))
                        .map(|i| g[start + i] * y[start + i] / d[i])
                        .sum();
                    dx[start + k] = g[start + k] * d[k].powf(-beta) - factor * x[start + k] * through;
                }
            }
        })
    }
    fn cost(&self, _: &[&Shape], output: &Shape) -> Cost {
        Cost::flops((4 * self.norm.size + 8) * output.elements())
    }
}
