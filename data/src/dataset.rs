//! A data set: a source with a task, split into train, validation and test.

use crate::{DataError, ErrorKind, InputLayout, Source, Splits, Target, Task};
use std::sync::Arc;

/// Everything training needs to know about its data. Cloning shares the samples.
///
/// ```
/// use graticule_data::{open, OpenOptions, Role};
/// let digits = open("digits", &OpenOptions::default())?;
/// assert_eq!(digits.len(), 1797);
/// assert_eq!(digits.task.outputs(), 10);
/// assert!(digits.splits.of(Role::Train).len() > 1000);
/// # Ok::<(), graticule_data::DataError>(())
/// ```
#[derive(Clone)]
pub struct Dataset {
    /// A short name, usable in a file name.
    pub name: String,
    /// What is to be learnt.
    pub task: Task,
    /// The samples.
    pub source: Arc<dyn Source>,
    /// Which sample plays which role (S6).
    pub splits: Splits,
    /// What a person should know: samples skipped, columns left out, outliers.
    pub notes: Vec<String>,
    /// Where the data come from and under which licence, where known.
    pub citation: Option<String>,
}

impl Dataset {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.source.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.source.is_empty()
    }

    /// The shape of every raw sample.
    pub fn layout(&self) -> InputLayout {
        self.source.layout()
    }

    /// The class index of every sample, or `None` where samples have no single class.
    ///
    /// # Errors
    /// When a target cannot be read.
    pub fn labels(&self) -> Result<Option<Vec<usize>>, DataError> {
        if !matches!(self.task, Task::Classification { .. }) {
            return Ok(None);
        }
        (0..self.len())
            .map(|index| match self.source.target(index)? {
                Target::Class(class) => Ok(class),
                _ => Err(DataError::new(ErrorKind::Target, self.source.name_of(index))
                    .found("a target that is no class")
                    .expected("one class index")
                    .remedy("Give every sample of a classification one class.")),
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The same data with another assignment of roles.
    pub fn with_splits(mut self, splits: Splits) -> Self {
        self.splits = splits;
        self
    }
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataset")
            .field("name", &self.name)
            .field("samples", &self.len())
            .field("layout", &self.layout())
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}
