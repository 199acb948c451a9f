//! What a data set is made of: a [`Source`] gives the raw sample and the target of each index.

use crate::DataError;
use ndarray::Array3;
use serde::{Deserialize, Serialize};

/// What is to be learnt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// One class of several for each sample.
    Classification {
        /// Class names; the index of a name is the class index.
        classes: Vec<String>,
    },
    /// Any number of classes for each sample.
    MultiLabel {
        /// Class names; the index of a name is the class index.
        classes: Vec<String>,
    },
    /// One or more numbers for each sample.
    Regression {
        /// Names of the numbers.
        targets: Vec<String>,
    },
}

impl Task {
    /// Names of the outputs: classes, or regression targets.
    pub fn output_names(&self) -> &[String] {
        match self {
            Task::Classification { classes } | Task::MultiLabel { classes } => classes,
            Task::Regression { targets } => targets,
        }
    }

    /// How many numbers a model has to give for one sample.
    pub fn outputs(&self) -> usize {
        self.output_names().len()
    }

    /// Class names, if the task has classes.
    pub fn classes(&self) -> Option<&[String]> {
        match self {
            Task::Classification { classes } | Task::MultiLabel { classes } => Some(classes),
            Task::Regression { .. } => None,
        }
    }
}

/// One cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A finite number.
    Number(f64),
    /// A category.
    Text(String),
    /// An empty cell, or one of the words for missing.
    Missing,
}

/// One sample as it was read, before any normalisation.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// Pixels `[H, W, C]`: rows from the top, 0 = black (S15, S16).
    Image(Array3<u8>),
    /// The cells of a table row, in the order of [`InputLayout`]'s columns.
    Row(Vec<Cell>),
}

impl Raw {
    /// A row of plain numbers; what is not finite counts as missing.
    pub fn from_numbers(numbers: &[f64]) -> Self {
        let cell = |&n: &f64| {
            if n.is_finite() {
                Cell::Number(n)
            } else {
                Cell::Missing
            }
        };
        Raw::Row(numbers.iter().map(cell).collect())
    }
}

/// The target of one sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Class index.
    Class(usize),
    /// Indices of the classes that apply.
    Classes(Vec<usize>),
    /// Numbers, in their own units.
    Values(Vec<f32>),
}

/// What a column of a table holds (S2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Numbers.
    Numeric,
    /// Names of categories.
    Categorical,
}

/// One feature column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The name in the header.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

/// The shape of the raw input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputLayout {
    /// Images of one size.
    Image {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Bands, for example 3 for red, green, blue.
        channels: usize,
    },
    /// Table rows with these feature columns.
    Table {
        /// The feature columns in order.
        columns: Vec<Column>,
    },
    /// Plain numbers with these names.
    Vector {
        /// Names of the numbers in order.
        names: Vec<String>,
    },
}

/// Where samples come from. An implementation is shared by the loader's threads.
///
/// To add a data source: implement this, build a [`crate::Dataset`] from it, and name it in `open.rs`.
pub trait Source: Send + Sync {
    /// Number of samples.
    fn len(&self) -> usize;

    /// Whether there is no sample.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The raw sample `index`.
    ///
    /// # Errors
    /// When its file cannot be read; the error names the file.
    fn raw(&self, index: usize) -> Result<Raw, DataError>;

    /// The target of sample `index`.
    ///
    /// # Errors
    /// When it is missing.
    fn target(&self, index: usize) -> Result<Target, DataError>;

    /// A name a person recognises: the file, or the row.
    fn name_of(&self, index: usize) -> String;

    /// The shape of every raw sample.
    fn layout(&self) -> InputLayout;

    /// The pixel value that stands for full white.
    fn pixel_max(&self) -> u8 {
        255
    }

    /// Whether images were resized to the layout's size.
    fn resizes(&self) -> bool {
        false
    }

    /// Lends the pixels of image `index`, `[H, W, C]` row by row, without a copy where they are in memory.
    ///
    /// # Errors
    /// As [`Source::raw`]; also when the sample is not an image.
    fn with_pixels(&self, index: usize, visit: &mut dyn FnMut(&[u8])) -> Result<(), DataError> {
        match self.raw(index)? {
            Raw::Image(image) => {
                let rows = image.as_standard_layout();
                visit(rows.as_slice().unwrap_or_default());
                Ok(())
            }
            Raw::Row(_) => Err(DataError::new(crate::ErrorKind::Option, self.name_of(index))
                .found("a table row")
                .expected("an image")
                .remedy("Use a data set of images here.")),
        }
    }
}
