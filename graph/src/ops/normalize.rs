//! What batch normalisation becomes in training.
//!
//! x is `[.., C]` with M = product of all axes but the last; per channel x̂ = (x − μ)/√(σ² + ε) with
//! the batch's mean μ and biased variance σ². Then y = γ·x̂ + β, and
//! ∂loss/∂x = γ/√(σ² + ε) · (g − Σg/M − x̂·Σ(g·x̂)/M), μ and σ² being functions of x.

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::plain::{channels, expect, filled, plain, row};
use super::{Cost, Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// Mean and biased variance over all axes but the last. Operand: x `[.., C]`; the result is `[2, C]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BatchMoments {}

/// σ²·M/(M − 1). Operands: σ² `[C]` and a symbol of the shape of x `[.., C]` (not read). One row has
/// no unbiased variance: with M = 1 the operand stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UnbiasedVariance {}

/// y = γ·x̂ + β. Operands: x `[.., C]`, moments `[2, C]` of x ([`BatchMoments`]), gamma `[C]`,
/// beta `[C]`. Its gradient with respect to x counts the way through the moments in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Normalize {
    /// Added to the variance.
    pub epsilon: f32,
}

/// (Σ g, Σ g·x̂) per channel, `[2, C]`: ∂loss/∂β and ∂loss/∂γ. Operands: g and x `[.., C]`, moments `[2, C]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NormalizeSums {
    /// Added to the variance.
    pub epsilon: f32,
}

/// ∂loss/∂x of [`Normalize`]. Operands: g and x `[.., C]`, moments `[2, C]`, gamma `[C]`, and the
/// sums `[2, C]` of [`NormalizeSums`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NormalizeInputGradient {
    /// Added to the variance.
    pub epsilon: f32,
}

/// 1/√(σ² + ε) per channel.
fn inverse_deviations(moments: &[f64], epsilon: f32) -> Vec<f64> {
    let (_, variances) = moments.split_at(moments.len() / 2);
    variances
        .iter()
        .map(|v| (v + f64::from(epsilon)).sqrt().recip())
        .collect()
}

impl Operation for BatchMoments {
    fn name(&self) -> &'static str {
        "batch_moments"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x] = operands(self.name(), inputs)?;
        Ok([2, channels(self.name(), x)?].into())
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let (x, c) = (plain(inputs[0]), output.last_axis());
        let count = (x.len() / c).max(1) as f64;
        filled(output, |moments| {
            let (means, variances) = moments.split_at_mut(c);
            x.iter().enumerate().for_each(|(i, v)| means[i % c] += v / count);
            for (i, v) in x.iter().enumerate() {
                variances[i % c] += (v - means[i % c]).powi(2) / count;
            }
        })
    }
    fn cost(&self, inputs: &[&Shape], _: &Shape) -> Cost {
        Cost::flops(4 * inputs[0].elements())
    }
}

impl Operation for UnbiasedVariance {
    fn name(&self) -> &'static str {
        "unbiased_variance"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [variance, x] = operands(self.name(), inputs)?;
        expect(
            self.name(),
            "the variance",
            variance,
            &[channels(self.name(), x)?],
        )?;
        Ok(variance.clone())
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], _: &Shape) -> ArrayD<f64> {
        let count = inputs[1].len() / inputs[0].len().max(1);
        inputs[0] * Self::factor(count)
    }
    fn reads(&self, input: usize) -> bool {
        input == 0
    }
}

impl UnbiasedVariance {
    /// M/(M − 1), or 1 for M = 1.
    pub fn factor(count: usize) -> f64 {
        if count > 1 {
            count as f64 / (count - 1) as f64
        } else {
            1.0
        }
    }
}

impl Operation for Normalize {
    fn name(&self) -> &'static str {
        "normalize"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x, moments, gamma, beta] = operands(self.name(), inputs)?;
        let c = channels(self.name(), x)?;
        expect(self.name(), "moments", moments, &[2, c])?;
        expect(self.name(), "gamma", gamma, &[c])?;
        expect(self.name(), "beta", beta, &[c])?;
        Ok(x.clone())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let (x, moments, gamma) = (&node.inputs()[0], &node.inputs()[1], &node.inputs()[2]);
        let epsilon = self.epsilon;
        let sums = || Symbol::apply(NormalizeSums { epsilon }, &[g, x, moments]);
        Ok(match input {
            0 => Some(Symbol::apply(
                NormalizeInputGradient { epsilon },
                &[g, x, moments, gamma, &sums()?],
            )?),
            2 => Some(row(&sums()?, 1)?),
            3 => Some(row(&sums()?, 0)?),
            _ => None,
        })
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let [x, moments, gamma, beta] = [0, 1, 2, 3].map(|i| plain(inputs[i]));
        let (c, inverse) = (output.last_axis(), inverse_deviations(&moments, self.epsilon));
        filled(output, |y| {
            for (i, y) in y.iter_mut().enumerate() {
                let k = i % c;
                *y = gamma[k] * (x[i] - moments[k]) * inverse[k] + beta[k];
            }
        })
    }
    fn cost(&self, _: &[&Shape], output: &Shape) -> Cost {
        Cost::flops(2 * output.elements())
    }
}

impl Operation for NormalizeSums {
    fn name(&self) -> &'static str {
        "normalize_sums"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [g, x, moments] = operands(self.name(), inputs)?;
        let c = channels(self.name(), x)?;
        expect(self.name(), "the gradient", g, x)?;
        expect(self.name(), "moments", moments, &[2, c])?;
        Ok([2, c].into())
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let [g, x, moments] = [0, 1, 2].map(|i| plain(inputs[i]));
        let (c, inverse) = (output.last_axis(), inverse_deviations(&moments, self.epsilon));
        filled(output, |sums| {
            for (i, g) in g.iter().enumerate() {
                let k = i % c;
                sums[k] += g;
                sums[c + k] += g * (x[i] - moments[k]) * inverse[k];
            }
        })
    }
    fn cost(&self, inputs: &[&Shape], _: &Shape) -> Cost {
        Cost::flops(5 * inputs[0].elements())
    }
}

impl Operation for NormalizeInputGradient {
    fn name(&self) -> &'static str {
        "normalize_input_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [g, x, moments, gamma, sums] = operands(self.name(), inputs)?;
        let c = channels(self.name(), x)?;
        expect(self.name(), "the gradient", g, x)?;
        expect(self.name(), "moments", moments, &[2, c])?;
        expect(self.name(), "gamma", gamma, &[c])?;
        expect(self.name(), "the sums", sums, &[2, c])?;
        Ok(x.clone())
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let [g, x, moments, gamma, sums] = [0, 1, 2, 3, 4].map(|i| plain(inputs[i]));
        let (c, inverse) = (output.last_axis(), inverse_deviations(&moments, self.epsilon));
        let count = (x.len() / c).max(1) as f64;
        filled(output, |dx| {
            for (i, dx) in dx.iter_mut().enumerate() {
                let k = i % c;
                let normalized = (x[i] - moments[k]) * inverse[k];
                *dx = gamma[k] * inverse[k] * (g[i] - (sums[k] + normalized * sums[c + k]) / count);
            }
        })
    }
    fn cost(&self, _: &[&Shape], output: &Shape) -> Cost {
        Cost::flops(5 * output.elements())
    }
}
