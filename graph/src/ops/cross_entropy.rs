//! Cross-entropy of logits (curriculum rows M2, O16), as `torch.nn.functional.cross_entropy`.
//!
//! Row r of the logits z `[.., K]` has log-probabilities ℓ_k = z_k − ln Σ eᶻ and weighted targets
//! q_k = w_k·((1 − s)·t_k + s/K), with class weights w, label smoothing s, and t the one-hot or given
//! probabilities. Its loss is −Σ q_k·ℓ_k, and ∂/∂z_k = p_k·Σq − q_k, which is p − t for plain one-hot rows.
//!
//! The result is `[2]`: (Σ over rows of the loss, Σ of the weight), to be divided one by the other for
//! the mean. The weight of a row is w of its class, or 1 for given probabilities. Rows of the ignored
//! class count in neither; **if none is left the second number is 1**, so that the mean is 0 and not NaN.

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::plain::{channels, expect, filled, plain};
use super::softmax::log_sum_exp;
use super::{Cost, Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// What the targets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrossEntropyTargets {
    /// Class indices `[..]` or `[.., 1]`.
    Indices,
    /// Probabilities `[.., K]`.
    Probabilities,
}

/// Operands: logits `[.., K]`, targets, class weights `[K]`. The result is `[2]`.
///
/// A class that is not a whole number in 0..K counts as ignored; whoever reads the labels checks them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CrossEntropy {
    /// The share s of each target that is spread over all classes, in [0, 1].
    pub label_smoothing: f32,
    /// The class whose rows do not count (for indices).
    pub ignore_index: Option<i32>,
    /// What the targets are.
    pub targets: CrossEntropyTargets,
}

/// ∂loss/∂logits of [`CrossEntropy`]. Operands: g `[2]` (the second number is not used: weights do not
/// depend on logits), logits `[.., K]`, targets, class weights `[K]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CrossEntropyGradient {
    /// The loss.
    pub cross_entropy: CrossEntropy,
}

impl CrossEntropy {
    /// The class of an index target; `None` if its row does not count.
    pub fn class(&self, target: f64, classes: usize) -> Option<usize> {
        let whole = target >= 0.0 && target < classes as f64 && target.fract() == 0.0;
        let ignored = self.ignore_index.is_some_and(|i| target == f64::from(i));
        (whole && !ignored).then_some(target as usize)
    }

    fn check(&self, op: &str, logits: &Shape, targets: &Shape, weights: &Shape) -> Result<(), GraphError> {
        let k = channels(op, logits)?;
        expect(op, "the class weights", weights, &[k])?;
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            let message = format!(
                "label smoothing must lie in 0..=1, found {}",
                self.label_smoothing
            );
            return Err(GraphError::shape(op, message));
        }
        let rows = &logits[..logits.rank() - 1];
        match self.targets {
            CrossEntropyTargets::Probabilities => expect(op, "the targets", targets, logits),
            CrossEntropyTargets::Indices if targets[..] == *rows => Ok(()),
            CrossEntropyTargets::Indices => expect(op, "the targets", targets, &[rows, &[1]].concat()),
        }
    }

    /// Weighted targets q of each row and the row's weight; `None` for rows that do not count.
    fn rows<'a>(
        &'a self,
        targets: &'a [f64],
        weights: &'a [f64],
    ) -> impl Iterator<Item = Option<(Vec<f64>, f64)>> + 'a {
        let (k, s) = (weights.len(), f64::from(self.label_smoothing));
        let smooth = move |c: usize, t: f64| weights[c] * ((1.0 - s) * t + s / k as f64);
        let width = match self.targets {
            CrossEntropyTargets::Indices => 1,
            CrossEntropyTargets::Probabilities => k,
        };
        targets.chunks(width).map(move |t| match self.targets {
            CrossEntropyTargets::Indices => self.class(t[0], k).map(|class| {
                let q = (0..k).map(|c| smooth(c, f64::from(c == class))).collect();
                (q, weights[class])
            }),
            CrossEntropyTargets::Probabilities => {
                Some((t.iter().enumerate().map(|(c, &t)| smooth(c, t)).collect(), 1.0))
            }
        })
    }
}

impl Operation for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [logits, targets, weights] = operands(self.name(), inputs)?;
        self.check(self.name(), logits, targets, weights)?;
        Ok([2].into())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let [logits, targets, weights] = [0, 1, 2].map(|i| &node.inputs()[i]);
        let gradient = CrossEntropyGradient { cross_entropy: *self };
        match (input, self.targets) {
            (0, _) => Ok(Some(Symbol::apply(gradient, &[g, logits, targets, weights])?)),
            (1, CrossEntropyTargets::Indices) => Ok(None),
            _ => Err(GraphError::NoGradient {
                op: self.name().into(),
                input,
            }),
        }
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let [logits, targets, weights] = [0, 1, 2].map(|i| plain(inputs[i]));
        filled(output, |sums| {
            let rows = self.rows(&targets, &weights);
            for (z, row) in logits.chunks(weights.len()).zip(rows) {
                let Some((q, weight)) = row else { continue };
                let total = log_sum_exp(z);
                sums[0] += q.iter().zip(z).map(|(q, z)| q * (total - z)).sum::<f64>();
                sums[1] += weight;
            }
            if sums[1] == 0.0 {
                sums[1] = 1.0;
            }
        })
    }
    fn cost(&self, inputs: &[&Shape], _: &Shape) -> Cost {
        Cost::flops(6 * inputs[0].elements())
    }
}

impl Operation for CrossEntropyGradient {
    fn name(&self) -> &'static str {
        "cross_entropy_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [g, logits, targets, weights] = operands(self.name(), inputs)?;
        expect(self.name(), "the gradient", g, &[2])?;
        self.cross_entropy.check(self.name(), logits, targets, weights)?;
        Ok(logits.clone())
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let [g, logits, targets, weights] = [0, 1, 2, 3].map(|i| plain(inputs[i]));
        let k = weights.len();
        filled(output, |dz| {
            let rows = self.cross_entropy.rows(&targets, &weights);
            for ((dz, z), row) in dz.chunks_mut(k).zip(logits.chunks(k)).zip(rows) {
                let Some((q, _)) = row else { continue };
                let (total, mass) = (log_sum_exp(z), q.iter().sum::<f64>());
                (0..k).for_each(|c| dz[c] = g[0] * ((z[c] - total).exp() * mass - q[c]));
            }
        })
    }
    fn cost(&self, _: &[&Shape], output: &Shape) -> Cost {
        Cost::flops(8 * output.elements())
    }
}
