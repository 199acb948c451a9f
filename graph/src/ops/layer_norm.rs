//! Layer normalisation (Ba, Kiros & Hinton 2016).
//!
//! Each row of x `[.., C]` by itself: x̂ = (x − μ)/√(σ² + ε) with mean μ and biased variance σ² over
//! its C elements; y = γ·x̂ + β. With h = g·γ: ∂loss/∂x = (h − Σh/C − x̂·Σ(h·x̂)/C)/√(σ² + ε).

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::plain::{channels, expect, filled, plain, row};
use super::{Cost, Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// Operands: x `[.., C]`, gamma `[C]`, beta `[C]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LayerNorm {
    /// Added to the variance.
    pub epsilon: f32,
}

/// ∂loss/∂x of [`LayerNorm`]. Operands: g and x `[.., C]`, gamma `[C]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LayerNormInputGradient {
    /// Added to the variance.
    pub epsilon: f32,
}

/// (Σ g, Σ g·x̂) over the rows, `[2, C]`: ∂loss/∂β and ∂loss/∂γ. Operands: g and x `[.., C]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LayerNormSums {
    /// Added to the variance.
    pub epsilon: f32,
}

/// x̂ of one row, and 1/√(σ² + ε).
fn normalized(x: &[f64], epsilon: f32) -> (Vec<f64>, f64) {
    let count = x.len() as f64;
    let mean = x.iter().sum::<f64>() / count;
    let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    let inverse = (variance + f64::from(epsilon)).sqrt().recip();
    (x.iter().map(|v| (v - mean) * inverse).collect(), inverse)
}

impl Operation for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x, gamma, beta] = operands(self.name(), inputs)?;
        let c = channels(self.name(), x)?;
        expect(self.name(), "gamma", gamma, &[c])?;
        expect(self.name(), "beta", beta, &[c])?;
        Ok(x.clone())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let (x, gamma, epsilon) = (&node.inputs()[0], &node.inputs()[1], self.epsilon);
        let sums = || Symbol::apply(LayerNormSums { epsilon }, &[g, x]);
        Ok(Some(match input {
            0 => Symbol::apply(LayerNormInputGradient { epsilon }, &[g, x, gamma])?,
            1 => row(&sums()?, 1)?,
            _ => row(&sums()?, 0)?,
        }))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let [x, gamma, beta] = [0, 1, 2].map(|i| plain(inputs[i]));
        let c = output.last_axis();
        filled(output, |y| {
            for (y, x) in y.chunks_mut(c).zip(x.chunks(c)) {
                let (hat, _) = normalized(x, self.epsilon);
                (0..c).for_each(|k| y[k] = gamma[k] * hat[k] + beta[k]);
            }
        })
    }
    fn cost(&self, _: &[&Shape], output: &Shape) -> Cost {
        Cost::flops(7 * output.elements())
    }
}

impl Operation for LayerNormInputGradient {
    fn name(&self) -> &'static str {
        "layer_norm_input_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [g, x, gamma] = operands(self.name(), inputs)?;
        expect(self.name(), "the gradient", g, x)?;
        expect(self.name(), "gamma", gamma, &[channels(self.name(), x)?])?;
        Ok(x.clone())
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let [g, x, gamma] = [0, 1, 2].map(|i| plain(inputs[i]));
        let c = output.last_axis();
        filled(output, |dx| {
            for ((dx, x), g) in dx.chunks_mut(c).zip(x.chunks(c)).zip(g.chunks(c)) {
                let (hat, inverse) = normalized(x, self.epsilon);
                let h: Vec<f64> = g.iter().zip(&gamma).map(|(g, w)| g * w).collect();
                let mean = h.iter().sum::<f64>() / c as f64;
                let along = h.iter().zip(&hat).map(|(h, x)| h * x).sum::<f64>() / c as f64;
                (0..c).for_each(|k| dx[k] = inverse * (h[k] - mean - hat[k] * along));
            }
        })
    }
    fn cost(&self, _: &[&Shape], output: &Shape) -> Cost {
        Cost::flops(14 * output.elements())
    }
}

impl Operation for LayerNormSums {
    fn name(&self) -> &'static str {
        "layer_norm_sums"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [g, x] = operands(self.name(), inputs)?;
        expect(self.name(), "the gradient", g, x)?;
        Ok([2, channels(self.name(), x)?].into())
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let [g, x] = [0, 1].map(|i| plain(inputs[i]));
        let c = output.last_axis();
        filled(output, |sums| {
            for (x, g) in x.chunks(c).zip(g.chunks(c)) {
                let (hat, _) = normalized(x, self.epsilon);
                for k in 0..c {
                    sums[k] += g[k];
                    sums[c + k] += g[k] * hat[k];
                }
            }
        })
    }
    fn cost(&self, inputs: &[&Shape], _: &Shape) -> Cost {
        Cost::flops(8 * inputs[0].elements())
    }
}
