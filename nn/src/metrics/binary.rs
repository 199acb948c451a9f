//! Yes-or-no predictions: one label or many at once.

use serde::{Deserialize, Serialize};

use super::ratio;

/// Accumulates yes-or-no predictions of `labels` labels per sample. A score of at least `threshold`
/// is a yes; a target of at least 0.5 is one, a NaN target is unknown and does not count.
///
/// ```
/// use graticule_nn::metrics::BinaryMetrics;
/// // Two samples with three labels each, probabilities at threshold 0.5.
/// let mut metrics = BinaryMetrics::new(3);
/// metrics.observe(&[0.9, 0.2, 0.6, 0.1, 0.8, 0.4], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
/// let result = metrics.result();
/// assert!((result.accuracy - 5.0 / 6.0).abs() < 1e-12);
/// assert_eq!(result.exact_matches, 0.5);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinaryMetrics {
    labels: usize,
    threshold: f32,
    right: u64,
    wrong: u64,
    samples: u64,
    exact: u64,
    true_positives: Vec<u64>,
    predicted_positives: Vec<u64>,
    positives: Vec<u64>,
}

/// What yes-or-no predictions were worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinaryScores {
    /// Share of right answers over all samples and labels.
    pub accuracy: f64,
    /// Share of samples with all labels right.
    pub exact_matches: f64,
    /// True among predicted, per label.
    pub precision: Vec<f64>,
    /// Predicted among true, per label.
    pub recall: Vec<f64>,
    /// Harmonic mean of precision and recall, per label.
    pub f1: Vec<f64>,
    /// Mean of `f1` over the labels.
    pub macro_f1: f64,
}

impl BinaryMetrics {
    /// For probabilities: a yes from 0.5 on.
    pub fn new(labels: usize) -> Self {
        Self::with_threshold(labels, 0.5)
    }

    /// For logits: a yes from 0 on, where the probability is 0.5.
    pub fn of_logits(labels: usize) -> Self {
        Self::with_threshold(labels, 0.0)
    }

    /// A yes from `threshold` on.
    pub fn with_threshold(labels: usize, threshold: f32) -> Self {
        Self {
            labels,
            threshold,
            right: 0,
            wrong: 0,
            samples: 0,
            exact: 0,
            true_positives: vec![0; labels],
            predicted_positives: vec![0; labels],
            positives: vec![0; labels],
        }
    }

    /// Adds rows of one score and one target per label.
    pub fn observe(&mut self, scores: &[f32], targets: &[f32]) {
        let labels = self.labels.max(1);
        for (scores, targets) in scores.chunks_exact(labels).zip(targets.chunks_exact(labels)) {
            let wrong_before = self.wrong;
            for (label, (&score, &target)) in scores.iter().zip(targets).enumerate() {
                if !target.is_nan() {
                    self.answer(label, score >= self.threshold, target >= 0.5);
                }
            }
            self.samples += 1;
            self.exact += u64::from(self.wrong == wrong_before);
        }
    }

    fn answer(&mut self, label: usize, predicted: bool, truth: bool) {
        self.right += u64::from(predicted == truth);
        self.wrong += u64::from(predicted != truth);
        self.true_positives[label] += u64::from(predicted && truth);
        self.predicted_positives[label] += u64::from(predicted);
        self.positives[label] += u64::from(truth);
    }

    /// The scores so far.
    pub fn result(&self) -> BinaryScores {
        let each = |score: &dyn Fn(u64, u64, u64) -> f64| -> Vec<f64> {
            (0..self.labels)
                .map(|l| {
                    score(
                        self.true_positives[l],
                        self.predicted_positives[l],
                        self.positives[l],
                    )
                })
                .collect()
        };
        let f1 = each(&|hits, predicted, positives| ratio(2 * hits, predicted + positives));
        BinaryScores {
            accuracy: ratio(self.right, self.right + self.wrong),
            exact_matches: ratio(self.exact, self.samples),
            precision: each(&|hits, predicted, _| ratio(hits, predicted)),
            recall: each(&|hits, _, positives| ratio(hits, positives)),
            macro_f1: f1.iter().sum::<f64>() / self.labels.max(1) as f64,
            f1,
        }
    }
}
