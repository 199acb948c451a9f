//! Turning raw samples into the numbers a network sees, fitted on the training samples only and stored with
//! the model, so that a new input alone is enough for a prediction (S14).
//!
//! `image.rs` has images, `table.rs` rows, `target.rs` targets, `fit.rs` the fitting.

use crate::{DataError, Dataset, ErrorKind, InputLayout, Raw, Target, Task};
use serde::{Deserialize, Serialize};

mod fit;
mod image;
mod table;
mod target;

pub use fit::{PreprocessOptions, Scaling};
pub use image::ImageEncoding;
pub use table::{ColumnEncoding, TableEncoding};
pub use target::TargetEncoding;

/// How inputs become numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputEncoding {
    /// Images `[H, W, C]`.
    Image(ImageEncoding),
    /// Table rows, and plain vectors.
    Table(TableEncoding),
}

/// The whole way from a raw sample to input and target numbers, and from outputs back to targets.
///
/// ```
/// use graticule_data::{open, OpenOptions, Preprocess};
/// let digits = open("digits", &OpenOptions::default())?;
/// let preprocess = Preprocess::fit(&digits)?;
/// assert_eq!(preprocess.input_shape(), [8, 8, 1]);
/// let input = preprocess.encode(&digits.source.raw(0)?)?;
/// assert_eq!(input.len(), 64);
/// # Ok::<(), graticule_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preprocess {
    /// What the outputs mean.
    pub task: Task,
    /// How inputs become numbers.
    pub input: InputEncoding,
    /// How regression targets are scaled.
    pub target: TargetEncoding,
}

impl Preprocess {
    /// Fits on the training samples with the default options.
    ///
    /// # Errors
    /// When a training sample cannot be read, or there is none.
    pub fn fit(dataset: &Dataset) -> Result<Self, DataError> {
        Self::fit_with(dataset, PreprocessOptions::default())
    }

    /// Fits on the training samples.
    ///
    /// # Errors
    /// As [`Preprocess::fit`].
    pub fn fit_with(dataset: &Dataset, options: PreprocessOptions) -> Result<Self, DataError> {
        fit::fit(dataset, options)
    }

    /// Shape of one encoded input: `[H, W, C]` or `[features]`.
    pub fn input_shape(&self) -> Vec<usize> {
        match &self.input {
            InputEncoding::Image(image) => vec![image.height, image.width, image.channels],
            InputEncoding::Table(table) => vec![table.width()],
        }
    }

    /// Number of values of one encoded input.
    pub fn input_len(&self) -> usize {
        self.input_shape().iter().product()
    }

    /// Names of the encoded features of a table; empty for images.
    pub fn feature_names(&self) -> Vec<String> {
        match &self.input {
            InputEncoding::Image(_) => Vec::new(),
            InputEncoding::Table(table) => table.feature_names(),
        }
    }

    /// Encodes one raw sample.
    ///
    /// # Errors
    /// When it has another shape, or a cell of the wrong kind.
    pub fn encode(&self, raw: &Raw) -> Result<Vec<f32>, DataError> {
        let mut out = vec![0.0; self.input_len()];
        self.encode_into(raw, &mut out)?;
        Ok(out)
    }

    /// Encodes one raw sample into `out`, which has [`Preprocess::input_len`] places.
    ///
    /// # Errors
    /// As [`Preprocess::encode`].
    pub fn encode_into(&self, raw: &Raw, out: &mut [f32]) -> Result<(), DataError> {
        match (&self.input, raw) {
            (InputEncoding::Image(encoding), Raw::Image(image)) => encoding.encode(image, out),
            (InputEncoding::Table(encoding), Raw::Row(cells)) => encoding.encode(cells, out),
            (encoding, _) => {
                let (found, expected) = match encoding {
                    InputEncoding::Image(_) => ("a table row", "an image"),
                    InputEncoding::Table(_) => ("an image", "a table row"),
                };
                Err(DataError::new(ErrorKind::Option, "input")
                    .found(found)
                    .expected(expected)
                    .remedy("Use the kind of data the model was trained on."))
            }
        }
    }

    /// Values one target takes: 1 for a class index, the number of classes for multi-label, the number of
    /// targets for regression.
    pub fn target_len(&self) -> usize {
        match &self.task {
            Task::Classification { .. } => 1,
            other => other.outputs(),
        }
    }

    /// Writes a target as numbers: a class index as one number, multi-label as zeros and ones, regression
    /// values scaled to mean 0 and standard deviation 1 over the training set.
    ///
    /// # Errors
    /// When the target does not fit the task.
    pub fn encode_target(&self, target: &Target, out: &mut [f32]) -> Result<(), DataError> {
        self.target.encode(&self.task, target, out)
    }

    /// Takes scaled regression outputs back to the units of the data; other tasks come back as they are.
    pub fn decode_target(&self, output: &[f32]) -> Vec<f32> {
        self.target.decode(output)
    }

    /// Checks that `dataset` has inputs and targets of the kind this was fitted on.
    ///
    /// # Errors
    /// With the first difference.
    pub fn check(&self, dataset: &Dataset) -> Result<(), DataError> {
        let error = |kind, found: String, expected: String| {
            Err(DataError::new(kind, &dataset.name)
                .found(found)
                .expected(expected)
                .remedy("Use data of the kind the model was trained on."))
        };
        if self.task.outputs() != dataset.task.outputs() {
            let (found, expected) = (dataset.task.output_names(), self.task.output_names());
            return error(
                ErrorKind::Target,
                format!("the outputs {found:?}"),
                format!("{expected:?}"),
            );
        }
        match (&self.input, dataset.layout()) {
            (
                InputEncoding::Image(image),
                InputLayout::Image {
                    height,
                    width,
                    channels,
                },
            ) => image.check((height, width, channels), &dataset.name),
            (InputEncoding::Table(table), InputLayout::Table { columns }) => table.check(
                &columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
                &dataset.name,
            ),
            (InputEncoding::Table(table), InputLayout::Vector { names }) => table.check(
                &names.iter().map(String::as_str).collect::<Vec<_>>(),
                &dataset.name,
            ),
            (InputEncoding::Image(_), _) => error(ErrorKind::Option, "a table".into(), "images".into()),
            (InputEncoding::Table(_), _) => error(ErrorKind::Option, "images".into(), "a table".into()),
        }
    }
}

#[cfg(test)]
mod tests;
