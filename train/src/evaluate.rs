//! Predictions over a role of a data set, and the two numbers that training steers by.

use data::{Batch, Loader, TargetKind, Task};
use serde::{Deserialize, Serialize};

use crate::{Network, TrainError};

/// What a network says of many samples, beside the truth.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Predictions {
    /// Index of each sample in the data set.
    pub indices: Vec<usize>,
    /// Numbers per sample.
    pub width: usize,
    /// Class probabilities, or values in the units of the data: `[samples, width]`.
    pub values: Vec<f32>,
    /// Class index per sample `[samples]`; 0 or 1 per label, or true values: `[samples, width]`.
    pub truth: Vec<f32>,
    /// Mean cross-entropy for classes (binary for labels); mean squared error of scaled values.
    pub loss: f64,
}

impl Predictions {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The numbers of sample `k`.
    pub fn of(&self, k: usize) -> &[f32] {
        &self.values[k * self.width..(k + 1) * self.width]
    }

    /// The most probable class of sample `k` (row S8).
    pub fn class(&self, k: usize) -> usize {
        argmax(self.of(k))
    }
}

/// Index of the largest number, the first one on a tie; 0 for none. NaN is never largest.
pub fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, v) in values.iter().enumerate() {
        if *v > values[best] || values[best].is_nan() {
            best = i;
        }
    }
    best
}

/// Runs the network over everything that `loader` gives, in its order.
///
/// # Errors
/// When a sample cannot be read or the network does not take it.
pub fn predict(network: &mut Network, loader: &Loader) -> Result<Predictions, TrainError> {
    predict_changed(network, loader, |_, _| Ok(()))
}

/// As [`predict`], after `change` did something to each batch.
///
/// # Errors
/// As [`predict`], and what `change` answers.
pub fn predict_changed(
    network: &mut Network,
    loader: &Loader,
    mut change: impl FnMut(&mut Network, &mut Batch) -> Result<(), TrainError>,
) -> Result<Predictions, TrainError> {
    let mut result = Predictions {
        width: network.task().outputs(),
        ..Predictions::default()
    };
    let mut loss = 0.0;
    for batch in loader.epoch(0) {
        let mut batch = batch?;
        change(network, &mut batch)?;
        let inference = network.infer(&batch.inputs, batch.size)?;
        let (kind, width) = (loader.target_kind(), loader.target_width());
        loss += summed_loss(
            kind,
            &inference.predictions,
            &inference.scores,
            &batch.targets,
            result.width,
        );
        match kind {
            TargetKind::ClassProbabilities => {
                result
                    .truth
                    .extend(batch.targets.chunks(width).map(|row| argmax(row) as f32));
            }
            TargetKind::Values => result
                .truth
                .extend(network.preprocess().decode_target(&batch.targets)),
            TargetKind::ClassIndex | TargetKind::MultiLabel => result.truth.extend_from_slice(&batch.targets),
        }
        result.values.extend(inference.predictions);
        result.indices.extend_from_slice(&batch.indices);
    }
    result.loss = loss / result.indices.len().max(1) as f64;
    Ok(result)
}

/// The loss of a batch, summed over samples.
fn summed_loss(kind: TargetKind, predictions: &[f32], scores: &[f32], targets: &[f32], width: usize) -> f64 {
    let log = |p: f32| f64::from(p.max(1e-12)).ln();
    match kind {
        TargetKind::ClassIndex => {
            let rows = predictions.chunks(width).zip(targets);
            rows.map(|(row, &class)| -log(row.get(class as usize).copied().unwrap_or(0.0)))
                .sum()
        }
        TargetKind::ClassProbabilities => -predictions
            .iter()
            .zip(targets)
            .map(|(&p, &t)| f64::from(t) * log(p))
            .sum::<f64>(),
        TargetKind::MultiLabel => {
            let of = |(&p, &t): (&f32, &f32)| f64::from(t) * log(p) + f64::from(1.0 - t) * log(1.0 - p);
            -predictions.iter().zip(targets).map(of).sum::<f64>() / width as f64
        }
        TargetKind::Values => {
            scores
                .iter()
                .zip(targets)
                .map(|(&s, &t)| f64::from(s - t).powi(2))
                .sum::<f64>()
                / width as f64
        }
    }
}

/// The number that says how good a network is: higher is better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Accuracy for classes (all labels right, for several), mean R² for numbers.
    pub score: f64,
    /// See [`Predictions::loss`].
    pub loss: f64,
}

/// The score of predictions.
pub fn score(predictions: &Predictions, task: &Task) -> Score {
    let (n, width) = (predictions.len().max(1), predictions.width.max(1));
    let score = match task {
        Task::Classification { .. } => {
            let right = |k: &usize| predictions.class(*k) == predictions.truth[*k] as usize;
            (0..predictions.len()).filter(right).count() as f64 / n as f64
        }
        Task::MultiLabel { .. } => {
            let pairs = predictions
                .values
                .chunks(width)
                .zip(predictions.truth.chunks(width));
            let right = |(p, t): &(&[f32], &[f32])| p.iter().zip(*t).all(|(p, t)| (*p >= 0.5) == (*t >= 0.5));
            pairs.filter(right).count() as f64 / n as f64
        }
        Task::Regression { .. } => (0..width).map(|k| r_squared(predictions, k)).sum::<f64>() / width as f64,
    };
    Score {
        score,
        loss: predictions.loss,
    }
}

/// 1 − Σ(y − ŷ)²/Σ(y − ȳ)² of output `k`.
fn r_squared(p: &Predictions, k: usize) -> f64 {
    let pairs = || {
        p.truth
            .iter()
            .zip(&p.values)
            .skip(k)
            .step_by(p.width)
            .map(|(&y, &f)| (f64::from(y), f64::from(f)))
    };
    let mean = pairs().map(|(y, _)| y).sum::<f64>() / p.len().max(1) as f64;
    let (residual, total) = pairs().fold((0.0, 0.0), |(r, t), (y, f)| {
        (r + (y - f).powi(2), t + (y - mean).powi(2))
    });
    if total > 0.0 { 1.0 - residual / total } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s8_argmax_takes_the_most_probable_class() {
        assert_eq!(argmax(&[0.1, 0.7, 0.2]), 1);
        assert_eq!(argmax(&[f32::NAN, 0.2]), 1);
    }

    #[test]
    fn r_squared_of_the_mean_is_zero() {
        let p = Predictions {
            indices: vec![0, 1, 2],
            width: 1,
            values: vec![2.0; 3],
            truth: vec![1.0, 2.0, 3.0],
            loss: 0.0,
        };
        let task = Task::Regression {
            targets: vec!["y".into()],
        };
        assert_eq!(score(&p, &task).score, 0.0);
        let exact = Predictions {
            values: p.truth.clone(),
            ..p
        };
        assert_eq!(score(&exact, &task).score, 1.0);
    }
}
