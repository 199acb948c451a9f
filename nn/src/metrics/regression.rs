//! Errors of predicted numbers.

use serde::{Deserialize, Serialize};

/// Accumulates the errors of predictions; a target that is NaN is unknown and does not count.
///
/// ```
/// use graticule_nn::metrics::RegressionMetrics;
/// // Row X1.
/// let mut metrics = RegressionMetrics::default();
/// metrics.observe(&[2.7, 1.7, -1.7, 4.3, 1.7], &[3.0, 3.0, -3.0, 3.0, 4.0]);
/// let result = metrics.result();
/// assert!((result.mean_squared_error - 2.09).abs() < 1e-6);
/// assert!((result.mean_absolute_error - 1.3).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RegressionMetrics {
    count: u64,
    unknown: u64,
    squared: f64,
    absolute: f64,
    mean: f64,
    spread: f64,
}

/// Errors over all observed pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    /// Pairs with a known target.
    pub count: u64,
    /// Pairs whose target was NaN.
    pub unknown: u64,
    /// Mean of (y − t)².
    pub mean_squared_error: f64,
    /// Its square root, in the target's unit.
    pub root_mean_squared_error: f64,
    /// Mean of |y − t|, in the target's unit.
    pub mean_absolute_error: f64,
    /// R² = 1 − Σ(y − t)²/Σ(t − t̄)²: 1 is perfect, 0 as good as the mean. 0 if all targets are equal.
    pub r_squared: f64,
}

impl RegressionMetrics {
    /// Adds pairs of prediction and target; what one slice has more than the other is not read.
    pub fn observe(&mut self, predictions: &[f32], targets: &[f32]) {
        for (&y, &t) in predictions.iter().zip(targets) {
            if t.is_nan() {
                self.unknown += 1;
                continue;
            }
            let (y, t) = (f64::from(y), f64::from(t));
            self.count += 1;
            self.squared += (y - t) * (y - t);
            self.absolute += (y - t).abs();
            // Welford: a difference of two large sums would lose the variance of large targets.
            let off = t - self.mean;
            self.mean += off / self.count as f64;
            self.spread += off * (t - self.mean);
        }
    }

    /// The errors so far.
    pub fn result(&self) -> Regression {
        let n = self.count.max(1) as f64;
        Regression {
            count: self.count,
            unknown: self.unknown,
            mean_squared_error: self.squared / n,
            root_mean_squared_error: (self.squared / n).sqrt(),
            mean_absolute_error: self.absolute / n,
            r_squared: if self.spread > 0.0 {
                1.0 - self.squared / self.spread
            } else {
                0.0
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m5_r_squared_compares_with_the_mean() {
        let mut at_mean = RegressionMetrics::default();
        at_mean.observe(&[2.0; 3], &[1.0, 2.0, 3.0]);
        assert_eq!(at_mean.result().r_squared, 0.0);
        let mut perfect = RegressionMetrics::default();
        perfect.observe(&[1.0, 2.0], &[1.0, 2.0]);
        assert_eq!(perfect.result().r_squared, 1.0);
        // scikit-learn: r2_score([3, -0.5, 2, 7], [2.5, 0.0, 2, 8]) = 0.948608…
        let mut usual = RegressionMetrics::default();
        usual.observe(&[2.5, 0.0], &[3.0, -0.5]);
        usual.observe(&[2.0, 8.0, 1.0], &[2.0, 7.0, f32::NAN]);
        assert!((usual.result().r_squared - 0.948_608_137).abs() < 1e-9);
        assert_eq!(usual.result().unknown, 1);
    }
}
