//! Wrong labels on purpose (row S21): what training on bad labels costs can only be measured where they were right before.

use std::sync::Arc;

use crate::random::{Purpose, below, rng, shuffle};
use crate::{DataError, Dataset, ErrorKind, InputLayout, Raw, Role, Source, Target, Task};

/// A source some of whose classes were replaced.
struct Poisoned {
    source: Arc<dyn Source>,
    /// The class of each sample whose label is wrong, by its index.
    wrong: Vec<Option<usize>>,
}

/// The same data with wrong classes for `share` of the training samples, chosen by `seed`; each gets one of the other
/// classes, all equally likely. Validation and test samples keep their labels. A larger share makes those samples wrong that
/// a smaller one does, and more.
///
/// ```
/// use graticule_data::{open, poison::poison, OpenOptions};
/// let clean = open("digits", &OpenOptions::default())?;
/// let poisoned = poison(&clean, 0.2, 1)?;
/// let (before, after) = (clean.labels()?.unwrap_or_default(), poisoned.labels()?.unwrap_or_default());
/// let wrong = before.iter().zip(&after).filter(|(a, b)| a != b).count();
/// assert_eq!(wrong, (0.2 * clean.splits.train.len() as f64).round() as usize);
/// # Ok::<(), graticule_data::DataError>(())
/// ```
///
/// # Errors
/// When samples have no single class of at least two, or the share is not from 0 to 1.
pub fn poison(dataset: &Dataset, share: f64, seed: u64) -> Result<Dataset, DataError> {
    let error = |found: String, expected: &str, remedy: &str| {
        Err(DataError::new(ErrorKind::Option, "wrong labels")
            .found(found)
            .expected(expected)
            .remedy(remedy))
    };
    if !(0.0..=1.0).contains(&share) {
        return error(
            format!("the share {share}"),
            "a number from 0 to 1",
            "For example 0.2.",
        );
    }
    let classes = match &dataset.task {
        Task::Classification { classes } if classes.len() > 1 => classes.len(),
        _ => {
            let found = "samples without a single class of several".to_string();
            return error(
                found,
                "a classification",
                "Poison data whose samples have one class each.",
            );
        }
    };
    let mut order = dataset.splits.of(Role::Train).to_vec();
    shuffle(&mut order, &mut rng(seed, 0, 0, Purpose::Poison));
    let count = (share * order.len() as f64).round() as usize;
    let mut wrong = vec![None; dataset.len()];
    for &index in &order[..count] {
        if let Target::Class(right) = dataset.source.target(index)? {
            let other = below(classes - 1, &mut rng(seed, 1, index as u64, Purpose::Poison));
            wrong[index] = Some(other + usize::from(other >= right));
        }
    }
    let mut poisoned = dataset.clone();
    poisoned.notes.push(format!(
        "{count} of {} training labels were made wrong on purpose",
        order.len()
    ));
    poisoned.source = Arc::new(Poisoned {
        source: Arc::clone(&dataset.source),
        wrong,
    });
    Ok(poisoned)
}

impl Source for Poisoned {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn raw(&self, index: usize) -> Result<Raw, DataError> {
        self.source.raw(index)
    }

    fn target(&self, index: usize) -> Result<Target, DataError> {
        match self.wrong.get(index) {
            Some(Some(class)) => Ok(Target::Class(*class)),
            _ => self.source.target(index),
        }
    }

    fn name_of(&self, index: usize) -> String {
        self.source.name_of(index)
    }

    fn layout(&self) -> InputLayout {
        self.source.layout()
    }

    fn pixel_max(&self) -> u8 {
        self.source.pixel_max()
    }

    fn resizes(&self) -> bool {
        self.source.resizes()
    }

    fn with_pixels(&self, index: usize, visit: &mut dyn FnMut(&[u8])) -> Result<(), DataError> {
        self.source.with_pixels(index, visit)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::{OpenOptions, open};

    #[test]
    fn s21_only_training_labels_are_wrong_and_more_includes_less() {
        let clean = open("digits", &OpenOptions::default()).unwrap();
        let before = clean.labels().unwrap().unwrap();
        let of = |share| poison(&clean, share, 3).unwrap().labels().unwrap().unwrap();
        let changed = |after: &[usize]| -> Vec<usize> {
            (0..before.len()).filter(|&k| before[k] != after[k]).collect()
        };
        let (few, many) = (changed(&of(0.1)), changed(&of(0.5)));
        assert!(few.iter().all(|k| many.contains(k)));
        assert!(many.iter().all(|k| clean.splits.train.contains(k)));
        assert_eq!(
            many.len(),
            (0.5 * clean.splits.train.len() as f64).round() as usize
        );
        assert_eq!(changed(&of(0.0)), Vec::<usize>::new());
        // Wrong labels are spread over the other classes.
        let labels = of(0.5);
        let counts = many.iter().fold([0usize; 10], |mut counts, &k| {
            counts[labels[k]] += 1;
            counts
        });
        assert!(counts.iter().all(|&n| n > 30), "{counts:?}");
        assert!(poison(&clean, 1.5, 1).is_err());
        let numbers = open("plane", &OpenOptions::default()).unwrap();
        assert!(poison(&numbers, 0.1, 1).is_err());
    }
}
