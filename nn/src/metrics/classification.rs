//! Predicted classes against true ones.

use serde::{Deserialize, Serialize};

use super::{argmax, class_of, ratio};

/// The confusion matrix: how often each true class was taken for each class.
///
/// ```
/// use graticule_nn::metrics::Confusion;
/// let mut confusion = Confusion::new(2);
/// // Scores of three samples, classes 0, 1 and 1.
/// confusion.observe(&[0.9, 0.1, 0.2, 0.8, 0.6, 0.4], &[0.0, 1.0, 1.0]);
/// assert_eq!(confusion.counts(), [[1, 0], [1, 1]].concat());
/// assert!((confusion.result().accuracy - 2.0 / 3.0).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
    unlabelled: u64,
}

/// How well one class was found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Samples of the class.
    pub support: u64,
    /// True ones among those predicted to be of the class; 0 if none were.
    pub precision: f64,
    /// Predicted ones among those of the class; 0 if there are none.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
}

/// What a confusion matrix says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Classification {
    /// Labelled samples.
    pub count: u64,
    /// Samples without a label, which count nowhere else.
    pub unlabelled: u64,
    /// Share of right predictions.
    pub accuracy: f64,
    /// Share of wrong predictions (row M6).
    pub error: f64,
    /// Scores of each class.
    pub classes: Vec<ClassScores>,
    /// Mean precision over the classes that occur as target or prediction.
    pub macro_precision: f64,
    /// Mean recall over the same classes.
    pub macro_recall: f64,
    /// Mean F1 over the same classes.
    pub macro_f1: f64,
}

impl Confusion {
    /// An empty matrix for this many classes.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * classes],
            unlabelled: 0,
        }
    }

    /// Adds rows of `classes` scores and one target class each; the largest score is the prediction.
    /// A target that is no class (NaN, an ignore index) counts as unlabelled.
    pub fn observe(&mut self, scores: &[f32], targets: &[f32]) {
        for (row, &target) in scores.chunks_exact(self.classes.max(1)).zip(targets) {
            self.observe_class(argmax(row), class_of(target, self.classes));
        }
    }

    /// Adds one prediction; `None` is a sample without a label.
    pub fn observe_class(&mut self, predicted: usize, target: Option<usize>) {
        match target.filter(|&t| t < self.classes && predicted < self.classes) {
            Some(target) => self.counts[target * self.classes + predicted] += 1,
            None => self.unlabelled += 1,
        }
    }

    /// Adds another matrix of the same classes, as gathered elsewhere; one of other classes is not added.
    pub fn merge(&mut self, other: &Self) {
        if self.classes == other.classes {
            for (a, b) in self.counts.iter_mut().zip(&other.counts) {
                *a += b;
            }
            self.unlabelled += other.unlabelled;
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Counts `[true class, predicted class]`, row-major.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    fn class(&self, c: usize) -> (ClassScores, bool) {
        let k = self.classes;
        let hits = self.counts[c * k + c];
        let support: u64 = self.counts[c * k..(c + 1) * k].iter().sum();
        let predicted: u64 = (0..k).map(|t| self.counts[t * k + c]).sum();
        let scores = ClassScores {
            support,
            precision: ratio(hits, predicted),
            recall: ratio(hits, support),
            f1: ratio(2 * hits, support + predicted),
        };
        (scores, support + predicted > 0)
    }

    /// Accuracy and the scores of each class.
    pub fn result(&self) -> Classification {
        let all: Vec<(ClassScores, bool)> = (0..self.classes).map(|c| self.class(c)).collect();
        let count = self.counts.iter().sum();
        let hits = (0..self.classes).map(|c| self.counts[c * self.classes + c]).sum();
        let occurring = all.iter().filter(|(_, occurs)| *occurs).count().max(1) as f64;
        let mean =
            |score: fn(&ClassScores) -> f64| all.iter().map(|(s, _)| score(s)).sum::<f64>() / occurring;
        Classification {
            count,
            unlabelled: self.unlabelled,
            accuracy: ratio(hits, count),
            error: ratio(count - hits, count),
            macro_precision: mean(|s| s.precision),
            macro_recall: mean(|s| s.recall),
            macro_f1: mean(|s| s.f1),
            classes: all.into_iter().map(|(scores, _)| scores).collect(),
        }
    }
}

/// How often the true class is among the `k` largest scores (row M7).
///
/// ```
/// use graticule_nn::metrics::TopK;
/// let mut top = TopK::new(2, 3);
/// top.observe(&[0.5, 0.3, 0.2, 0.5, 0.3, 0.2], &[1.0, 2.0]);
/// assert_eq!(top.accuracy(), 0.5);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopK {
    k: usize,
    classes: usize,
    hits: u64,
    count: u64,
}

impl TopK {
    /// The `k` largest of `classes` scores.
    pub fn new(k: usize, classes: usize) -> Self {
        Self {
            k,
            classes,
            hits: 0,
            count: 0,
        }
    }

    /// Adds rows of scores and one target class each; of equal scores the first class stands first.
    pub fn observe(&mut self, scores: &[f32], targets: &[f32]) {
        for (row, &target) in scores.chunks_exact(self.classes.max(1)).zip(targets) {
            let Some(target) = class_of(target, self.classes) else {
                continue;
            };
            let own = row[target];
            let before = |(c, &score): (usize, &f32)| score > own || (score == own && c < target);
            let rank = row.iter().enumerate().filter(|&entry| before(entry)).count();
            self.count += 1;
            self.hits += u64::from(rank < self.k && !own.is_nan());
        }
    }

    /// Share of samples whose class is among the `k`.
    pub fn accuracy(&self) -> f64 {
        ratio(self.hits, self.count)
    }

    /// Share of samples whose class is not.
    pub fn error(&self) -> f64 {
        ratio(self.count - self.hits, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m6_scores_of_each_class() {
        let mut confusion = Confusion::new(3);
        for (predicted, target) in [(0, 0), (0, 0), (1, 0), (1, 1), (0, 1), (1, 1), (1, 1)] {
            confusion.observe_class(predicted, Some(target));
        }
        confusion.observe_class(2, None);
        let result = confusion.result();
        assert_eq!((result.count, result.unlabelled), (7, 1));
        assert!((result.accuracy - 5.0 / 7.0).abs() < 1e-12 && (result.error - 2.0 / 7.0).abs() < 1e-12);
        assert!((result.classes[0].precision - 2.0 / 3.0).abs() < 1e-12);
        assert!((result.classes[1].recall - 0.75).abs() < 1e-12);
        // The class that never occurs has no part in the means.
        assert!((result.macro_f1 - (2.0 / 3.0 + 0.75) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn m7_top_k_contains_top_1() {
        let scores = [0.1, 0.4, 0.3, 0.2, 0.4, 0.1, 0.2, 0.3];
        let targets = [1.0, 3.0];
        let accuracy = |k| {
            let mut top = TopK::new(k, 4);
            top.observe(&scores, &targets);
            top.accuracy()
        };
        assert_eq!([accuracy(1), accuracy(2), accuracy(4)], [0.5, 1.0, 1.0]);
    }
}
