//! Metrics (curriculum rows M5–M7): accumulators that take a run's outputs batch after batch as
//! they lie in memory, and results as plain data.

mod binary;
mod classification;
mod regression;

pub use binary::{BinaryMetrics, BinaryScores};
pub use classification::{ClassScores, Classification, Confusion, TopK};
pub use regression::{Regression, RegressionMetrics};

/// The position of the largest number, the first of equals (row S8); 0 if there is none.
///
/// ```
/// assert_eq!(graticule_nn::metrics::argmax(&[0.2, 0.7, 0.1]), 1);
/// ```
pub fn argmax(scores: &[f32]) -> usize {
    let mut best = 0;
    for (i, &score) in scores.iter().enumerate() {
        // A NaN at the front must not stay the best because nothing compares to it.
        if score > scores[best] || scores[best].is_nan() {
            best = i;
        }
    }
    best
}

/// The class that a target means, as the graph's cross-entropy reads it: a whole number in
/// `0..classes`. Anything else is an element without a label.
fn class_of(target: f32, classes: usize) -> Option<usize> {
    (target >= 0.0 && target < classes as f32 && target.fract() == 0.0).then_some(target as usize)
}

/// a/b, 0 where nothing was counted.
fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}
