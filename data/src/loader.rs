//! Batches: samples in a seeded order, encoded and augmented by threads that keep order and bits.
//!
//! `assemble.rs` makes one batch, `epoch.rs` runs the threads.

use crate::{Augment, DataError, Dataset, ErrorKind, Preprocess, Task};
use std::sync::{Arc, Mutex};

mod assemble;
mod epoch;

use assemble::Assembler;
pub use epoch::Epoch;

/// What the numbers of [`Batch::targets`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// One class index for each sample.
    ClassIndex,
    /// One probability for each class, adding up to 1.
    ClassProbabilities,
    /// 0 or 1 for each class (between them after mixup).
    MultiLabel,
    /// Scaled regression values.
    Values,
}

/// Choices for a [`Loader`].
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    /// Samples in a batch.
    pub batch: usize,
    /// Whether each epoch has its own order; the order depends on seed and epoch only.
    pub shuffle: bool,
    /// Seed of order and augmentation.
    pub seed: u64,
    /// Whether a last batch that is not full is left out.
    pub drop_last: bool,
    /// Threads that prepare batches ahead; with 0 the calling thread prepares them. The bits are the same.
    pub threads: usize,
    /// Class targets as probabilities instead of indices.
    pub soft_targets: bool,
    /// Random changes, for training only.
    pub augment: Option<Augment>,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        Self {
            batch: 32,
            shuffle: false,
            seed: 0,
            drop_last: false,
            threads: 0,
            soft_targets: false,
            augment: None,
        }
    }
}

/// One batch. Its buffers go back to the loader when it is dropped.
#[derive(Debug, Default)]
pub struct Batch {
    /// Encoded inputs, `[size, …input shape]`.
    pub inputs: Vec<f32>,
    /// Encoded targets, `[size, target width]`.
    pub targets: Vec<f32>,
    /// Index of each sample in the data set.
    pub indices: Vec<usize>,
    /// Number of samples.
    pub size: usize,
    pool: Option<Arc<Mutex<Vec<Buffers>>>>,
}

type Buffers = (Vec<f32>, Vec<f32>, Vec<usize>);

impl Drop for Batch {
    fn drop(&mut self) {
        let Some(pool) = self.pool.take() else { return };
        let buffers = (
            std::mem::take(&mut self.inputs),
            std::mem::take(&mut self.targets),
            std::mem::take(&mut self.indices),
        );
        if let Ok(mut pool) = pool.lock() {
            pool.push(buffers);
        }
    }
}

/// Makes batches of some samples of a data set, epoch after epoch.
///
/// ```
/// use graticule_data::{open, Loader, LoaderOptions, OpenOptions, Preprocess};
/// let digits = open("digits", &OpenOptions::default())?;
/// let preprocess = Preprocess::fit(&digits)?;
/// let options = LoaderOptions { batch: 64, shuffle: true, ..LoaderOptions::default() };
/// let loader = Loader::new(&digits, &digits.splits.train, &preprocess, options)?;
/// for batch in loader.epoch(0) {
///     let batch = batch?;
///     assert_eq!(batch.inputs.len(), batch.size * 64);
///     assert_eq!(batch.targets.len(), batch.size);
/// }
/// # Ok::<(), graticule_data::DataError>(())
/// ```
#[derive(Clone)]
pub struct Loader {
    inner: Arc<Assembler>,
}

impl Loader {
    /// A loader of the samples `indices`.
    ///
    /// # Errors
    /// When an option makes no sense, `preprocess` was fitted on other data, or a table row cannot be encoded.
    pub fn new(
        dataset: &Dataset,
        indices: &[usize],
        preprocess: &Preprocess,
        options: LoaderOptions,
    ) -> Result<Self, DataError> {
        Self::with(dataset, indices, preprocess, options, None)
    }

    /// A loader of the same samples with `rows` in place of their encoded inputs: for each index as many numbers,
    /// such as the features that a network made of the sample (row O18). Targets are the data set's.
    ///
    /// # Errors
    /// As [`Loader::new`]; also when the rows cannot be of one length, or are to be augmented.
    pub fn of_rows(
        dataset: &Dataset,
        indices: &[usize],
        preprocess: &Preprocess,
        options: LoaderOptions,
        rows: Vec<f32>,
    ) -> Result<Self, DataError> {
        let count = indices.len().max(1);
        if rows.is_empty() || !rows.len().is_multiple_of(count) {
            return Err(DataError::new(ErrorKind::Option, &dataset.name)
                .found(format!("{} numbers for {} samples", rows.len(), indices.len()))
                .expected("as many numbers for each sample")
                .remedy("Give the rows of exactly these samples."));
        }
        if options.augment.as_ref().is_some_and(Augment::is_active) {
            return Err(DataError::new(ErrorKind::Option, &dataset.name)
                .found("random changes for rows that are given")
                .expected("none: what they were made of is no longer there")
                .remedy("Leave the augmentation out."));
        }
        Self::with(dataset, indices, preprocess, options, Some(rows))
    }

    fn with(
        dataset: &Dataset,
        indices: &[usize],
        preprocess: &Preprocess,
        options: LoaderOptions,
        rows: Option<Vec<f32>>,
    ) -> Result<Self, DataError> {
        preprocess.check(dataset)?;
        if options.batch == 0 {
            return Err(DataError::new(ErrorKind::Option, "batch size")
                .found(0)
                .expected("at least 1")
                .remedy("For example 32."));
        }
        if let Some(&index) = indices.iter().find(|&&i| i >= dataset.len()) {
            return Err(DataError::new(ErrorKind::Split, &dataset.name)
                .found(format!("the index {index}"))
                .expected(format!("one below {}", dataset.len()))
                .remedy("Use a split made for this data set."));
        }
        Ok(Self {
            inner: Arc::new(Assembler::new(dataset, indices, preprocess, options, rows)?),
        })
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.inner.indices.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of batches in an epoch.
    pub fn batches(&self) -> usize {
        let batch = self.inner.options.batch;
        if self.inner.options.drop_last {
            self.len() / batch
        } else {
            self.len().div_ceil(batch)
        }
    }

    /// Values of one encoded input.
    pub fn input_len(&self) -> usize {
        self.inner.input_len
    }

    /// Values of one encoded target: 1 for class indices, else the number of outputs.
    pub fn target_width(&self) -> usize {
        self.inner.target_width
    }

    /// What the target values are.
    pub fn target_kind(&self) -> TargetKind {
        match self.inner.preprocess.task {
            Task::Classification { .. } if self.inner.soft => TargetKind::ClassProbabilities,
            Task::Classification { .. } => TargetKind::ClassIndex,
            Task::MultiLabel { .. } => TargetKind::MultiLabel,
            Task::Regression { .. } => TargetKind::Values,
        }
    }

    /// The order of the samples in `epoch`.
    pub fn order(&self, epoch: u64) -> Vec<usize> {
        self.inner.order(epoch)
    }

    /// The batches of `epoch`, counted from 0.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        Epoch::new(Arc::clone(&self.inner), epoch, self.batches())
    }
}

#[cfg(test)]
mod tests;
