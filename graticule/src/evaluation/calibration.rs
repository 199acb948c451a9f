//! Whether probabilities mean what they say, and which labels are in doubt.

use serde::Serialize;
use train::Predictions;

/// Bins of confidence.
const BINS: usize = 15;

/// How often the network is right among samples of which it is equally sure (Guo et al. 2017).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// Expected calibration error: Σ |accuracy − confidence| of the bins, weighted by their samples.
    pub expected_error: f64,
    /// Bins of equal width of the probability of the class that is said; those without samples are left out.
    pub bins: Vec<Bin>,
}

/// One bin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bin {
    /// Samples in it.
    pub samples: usize,
    /// Mean probability of the class that is said.
    pub confidence: f64,
    /// Share of right answers.
    pub accuracy: f64,
}

impl Calibration {
    /// Of a classifier's predictions.
    pub fn of(predictions: &Predictions) -> Self {
        let mut sums = [(0usize, 0.0f64, 0usize); BINS];
        for k in 0..predictions.len() {
            let class = predictions.class(k);
            let sure = f64::from(predictions.of(k)[class]);
            let bin = &mut sums[((sure * BINS as f64) as usize).min(BINS - 1)];
            bin.0 += 1;
            bin.1 += sure;
            bin.2 += usize::from(class == predictions.truth[k] as usize);
        }
        let bins: Vec<Bin> = sums
            .iter()
            .filter(|sum| sum.0 > 0)
            .map(|&(samples, sure, right)| Bin {
                samples,
                confidence: sure / samples as f64,
                accuracy: right as f64 / samples as f64,
            })
            .collect();
        let off = |bin: &Bin| bin.samples as f64 * (bin.accuracy - bin.confidence).abs();
        Self {
            expected_error: bins.iter().map(off).sum::<f64>() / predictions.len().max(1) as f64,
            bins,
        }
    }
}

/// Samples by the loss of their true class, the largest first.
pub fn largest_losses(predictions: &Predictions) -> Vec<(usize, f64)> {
    let loss = |k: usize| -f64::from(of_truth(predictions, k).max(1e-12)).ln();
    let mut ranked: Vec<(usize, f64)> = (0..predictions.len()).map(|k| (k, loss(k))).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked
}

/// The probability of a sample's true class.
fn of_truth(predictions: &Predictions, k: usize) -> f32 {
    predictions
        .of(k)
        .get(predictions.truth[k] as usize)
        .copied()
        .unwrap_or(0.0)
}

/// A label that is probably wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Doubt {
    /// Place among the predictions.
    pub place: usize,
    /// The label given.
    pub given: usize,
    /// The label that the network is sure enough of.
    pub suggested: usize,
    /// Its probability less that of the label given.
    pub margin: f64,
}

/// Labels in doubt by confident learning (Northcutt, Jiang & Chuang 2021), the surest first: a sample labelled j is taken
/// for a k ≠ j when the network is at least as sure of k as it is on the average of samples labelled k, and of no other
/// such class surer. The predictions must be of samples that the network did not learn from.
pub fn doubts(predictions: &Predictions) -> Vec<Doubt> {
    let width = predictions.width;
    let (mut sums, mut counts) = (vec![0.0f64; width], vec![0usize; width]);
    for k in 0..predictions.len() {
        let given = predictions.truth[k] as usize;
        if given < width {
            sums[given] += f64::from(of_truth(predictions, k));
            counts[given] += 1;
        }
    }
    let sure_enough =
        |class: usize, p: f32| counts[class] > 0 && f64::from(p) >= sums[class] / counts[class] as f64;
    let mut found: Vec<Doubt> = (0..predictions.len())
        .filter_map(|k| {
            let (row, given) = (predictions.of(k), predictions.truth[k] as usize);
            let likely = (0..width).filter(|&class| sure_enough(class, row[class]));
            let suggested = likely.max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a)))?;
            (suggested != given).then(|| Doubt {
                place: k,
                given,
                suggested,
                margin: f64::from(row[suggested] - of_truth(predictions, k)),
            })
        })
        .collect();
    found.sort_by(|a, b| b.margin.total_cmp(&a.margin).then(a.place.cmp(&b.place)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(rows: &[([f32; 2], f32)]) -> Predictions {
        Predictions {
            indices: (0..rows.len()).collect(),
            width: 2,
            values: rows.iter().flat_map(|(row, _)| *row).collect(),
            truth: rows.iter().map(|(_, truth)| *truth).collect(),
            loss: 0.0,
        }
    }

    #[test]
    fn a_network_that_is_as_right_as_it_is_sure_is_calibrated() {
        let sure = |right: usize| (0..10).map(move |k| ([0.8, 0.2], if k < right { 0.0 } else { 1.0 }));
        let calibrated = Calibration::of(&predictions(&sure(8).collect::<Vec<_>>()));
        assert!(
            calibrated.expected_error < 1e-6 && calibrated.bins.len() == 1,
            "{calibrated:?}"
        );
        let boasting = Calibration::of(&predictions(&sure(5).collect::<Vec<_>>()));
        assert!((boasting.expected_error - 0.3).abs() < 1e-6, "{boasting:?}");
        // Two bins of different weight: (3·|1 − 0.9| + 1·|0 − 0.6|)/4.
        let two = [
            ([0.9, 0.1], 0.0),
            ([0.9, 0.1], 0.0),
            ([0.9, 0.1], 0.0),
            ([0.4, 0.6], 0.0),
        ];
        assert!((Calibration::of(&predictions(&two)).expected_error - 0.225).abs() < 1e-6);
    }

    #[test]
    fn a_wrong_label_among_right_ones_is_found() {
        let mut rows: Vec<([f32; 2], f32)> = (0..10).map(|_| ([0.9, 0.1], 0.0)).collect();
        rows.extend((0..10).map(|_| ([0.2, 0.8], 1.0)));
        rows.push(([0.97, 0.03], 1.0));
        // Wrong, but not sure enough to doubt the label.
        rows.push(([0.6, 0.4], 1.0));
        let found = doubts(&predictions(&rows));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].place, found[0].given, found[0].suggested), (20, 1, 0));
        assert!((found[0].margin - 0.94).abs() < 1e-6);
        let ranked = largest_losses(&predictions(&rows));
        assert_eq!((ranked[0].0, ranked[1].0), (20, 21));
        assert!((ranked[0].1 + 0.03f64.ln()).abs() < 1e-5);
    }
}
