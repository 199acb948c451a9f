//! Batch normalisation (Ioffe & Szegedy 2015, curriculum row L35): what a network says, and what it
//! becomes in each mode. The ops of training stand in `normalize.rs`.
//!
//! Training: y = γ·(x − μ)/√(σ² + ε) + β with mean μ and biased variance σ² of the batch over all
//! axes but the last; running = (1 − momentum)·running + momentum·(μ | unbiased σ²), as PyTorch.
//! Inference, or frozen: the same with the running statistics, as x·scale + shift.

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::plain::{channels, expect, filled, lower_first, plain, row};
use super::{BatchMoments, Cost, Normalize, Operation, StateUpdate, UnaryKind, UnbiasedVariance, operands};
use crate::{GraphError, Mode, Shape, Symbol};

/// Operands: x `[.., C]`, gamma `[C]`, beta `[C]`, running_mean `[C]`, running_var `[C]`.
/// Depends on the mode, so a graph is lowered before it is differentiated; the plain reference is
/// that of inference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BatchNorm {
    /// Added to the variance.
    pub epsilon: f32,
    /// Share of the batch in the running statistics.
    pub momentum: f32,
    /// Use the running statistics, and leave them, in training too.
    pub frozen: bool,
}

impl BatchNorm {
    /// x·scale + shift with scale = γ/√(σ² + ε) and shift = β − μ·scale from small ops on `[C]`.
    fn inference(&self, inputs: [&Symbol; 5]) -> Result<Symbol, GraphError> {
        let [x, gamma, beta, mean, variance] = inputs;
        let deviation = variance.affine(1.0, self.epsilon)?.unary(UnaryKind::Sqrt)?;
        let scale = gamma.div(&deviation)?;
        let shift = beta.sub(&mean.mul(&scale)?)?;
        x.mul(&scale)?.add(&shift)
    }

    fn training(&self, inputs: [&Symbol; 5]) -> Result<(Symbol, Vec<StateUpdate>), GraphError> {
        let [x, gamma, beta, running_mean, running_variance] = inputs;
        let moments = Symbol::apply(BatchMoments {}, &[x])?;
        let normalize = Normalize {
            epsilon: self.epsilon,
        };
        let y = Symbol::apply(normalize, &[x, &moments, gamma, beta])?;
        let unbiased = Symbol::apply(UnbiasedVariance {}, &[&row(&moments, 1)?, x])?;
        let mean = self.moved(running_mean, &row(&moments, 0)?)?;
        let variance = self.moved(running_variance, &unbiased)?;
        let updates = vec![(running_mean.clone(), mean), (running_variance.clone(), variance)];
        Ok((y, updates))
    }

    fn moved(&self, running: &Symbol, batch: &Symbol) -> Result<Symbol, GraphError> {
        running
            .affine(1.0 - self.momentum, 0.0)?
            .add(&batch.affine(self.momentum, 0.0)?)
    }
}

impl Operation for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x, rest @ ..] = operands::<5>(self.name(), inputs)?;
        let c = channels(self.name(), x)?;
        for (what, found) in ["gamma", "beta", "running_mean", "running_var"].iter().zip(rest) {
            expect(self.name(), what, found, &[c])?;
        }
        Ok(x.clone())
    }
    fn gradient(&self, _: &Symbol, _: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        Err(lower_first(self.name()))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let [x, gamma, beta, mean, variance] = [0, 1, 2, 3, 4].map(|i| plain(inputs[i]));
        let c = output.last_axis();
        filled(output, |y| {
            for (i, y) in y.iter_mut().enumerate() {
                let k = i % c;
                let deviation = (variance[k] + f64::from(self.epsilon)).sqrt();
                *y = gamma[k] * (x[i] - mean[k]) / deviation + beta[k];
            }
        })
    }
    fn cost(&self, _: &[&Shape], output: &Shape) -> Cost {
        Cost::flops(2 * output.elements())
    }
    fn lower(
        &self,
        inputs: &[&Symbol],
        mode: Mode,
        _: u64,
    ) -> Result<Option<(Symbol, Vec<StateUpdate>)>, GraphError> {
        let Ok(inputs) = <[&Symbol; 5]>::try_from(inputs) else {
            return Ok(None);
        };
        Ok(Some(match mode {
            Mode::Train if !self.frozen => self.training(inputs)?,
            _ => (self.inference(inputs)?, Vec::new()),
        }))
    }
}
