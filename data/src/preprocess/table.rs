//! Rows: numbers imputed and scaled, categories as one-hot groups (S2, S3, S9).

use crate::{Cell, Column, ColumnKind, DataError, ErrorKind};
use serde::{Deserialize, Serialize};

/// How one column becomes features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnEncoding {
    /// `(value − centre) / scale`, clipped where `clip` says so; missing cells take the median, and a second
    /// feature says so where the training set had missing cells.
    Numeric {
        /// The name in the header.
        name: String,
        /// Takes the place of missing cells.
        median: f64,
        /// Mean, or median for robust scaling.
        centre: f64,
        /// Standard deviation, or 1.4826 times the median absolute deviation; 1 where the column is constant.
        scale: f64,
        /// Largest magnitude after scaling.
        clip: Option<f64>,
        /// Whether a feature says which cells were missing.
        indicator: bool,
    },
    /// One feature for each level, 1 for the level of the cell, all others 0.
    Categorical {
        /// The name in the header.
        name: String,
        /// Levels seen in the training set, in order.
        levels: Vec<String>,
        /// Whether a feature stands for rare and unseen levels; without it they are all zeros.
        other: bool,
        /// Whether a feature stands for missing cells.
        missing: bool,
    },
}

impl ColumnEncoding {
    /// The name in the header.
    pub fn name(&self) -> &str {
        match self {
            ColumnEncoding::Numeric { name, .. } | ColumnEncoding::Categorical { name, .. } => name,
        }
    }

    /// How many features the column becomes.
    pub fn width(&self) -> usize {
        match self {
            ColumnEncoding::Numeric { indicator, .. } => 1 + usize::from(*indicator),
            ColumnEncoding::Categorical {
                levels,
                other,
                missing,
                ..
            } => levels.len() + usize::from(*other) + usize::from(*missing),
        }
    }

    fn feature_names(&self) -> Vec<String> {
        match self {
            ColumnEncoding::Numeric { name, indicator, .. } => {
                let missing = indicator.then(|| format!("{name} missing"));
                std::iter::once(name.clone()).chain(missing).collect()
            }
            ColumnEncoding::Categorical {
                name,
                levels,
                other,
                missing,
            } => {
                let extra = [other.then_some("other"), missing.then_some("missing")];
                let levels = levels
                    .iter()
                    .map(String::as_str)
                    .chain(extra.into_iter().flatten());
                levels.map(|level| format!("{name} = {level}")).collect()
            }
        }
    }

    fn encode(&self, cell: &Cell, out: &mut [f32]) -> Result<(), DataError> {
        out.fill(0.0);
        match (self, cell) {
            (
                ColumnEncoding::Numeric {
                    median,
                    centre,
                    scale,
                    clip,
                    indicator,
                    ..
                },
                cell,
            ) => {
                let value = match cell {
                    Cell::Number(value) => *value,
                    Cell::Missing => *median,
                    Cell::Text(text) => return Err(self.wrong_cell(text)),
                };
                let scaled = (value - centre) / scale;
                // A far value of a column that was almost constant in training may be beyond what an f32 can hold.
                let limit = clip.unwrap_or(f64::from(f32::MAX));
                out[0] = scaled.clamp(-limit, limit) as f32;
                if *indicator && *cell == Cell::Missing {
                    out[1] = 1.0;
                }
            }
            (
                ColumnEncoding::Categorical {
                    levels,
                    other,
                    missing,
                    ..
                },
                Cell::Missing,
            ) => {
                if *missing {
                    out[levels.len() + usize::from(*other)] = 1.0;
                }
            }
            (ColumnEncoding::Categorical { levels, other, .. }, cell) => {
                let text = level_text(cell);
                match levels.binary_search(&text) {
                    Ok(level) => out[level] = 1.0,
                    Err(_) if *other => out[levels.len()] = 1.0,
                    Err(_) => {}
                }
            }
        }
        Ok(())
    }

    fn wrong_cell(&self, text: &str) -> DataError {
        DataError::new(ErrorKind::Cell, format!("column `{}`", self.name()))
            .found(format!("the text `{text}`"))
            .expected("a number, or an empty cell for a missing one")
            .remedy("Correct the cell.")
    }
}

/// The level a cell of a categorical column stands for; a number is written as its shortest form.
pub(super) fn level_text(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Number(number) => number.to_string(),
        Cell::Missing => String::new(),
    }
}

/// How the columns of a table become one vector of features, column after column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableEncoding {
    /// One entry for each column, in order.
    pub columns: Vec<ColumnEncoding>,
}

impl TableEncoding {
    /// Number of features.
    pub fn width(&self) -> usize {
        self.columns.iter().map(ColumnEncoding::width).sum()
    }

    /// Name of every feature.
    pub fn feature_names(&self) -> Vec<String> {
        self.columns
            .iter()
            .flat_map(ColumnEncoding::feature_names)
            .collect()
    }

    /// The columns a new table must have.
    pub fn columns(&self) -> Vec<Column> {
        let kind = |c: &ColumnEncoding| match c {
            ColumnEncoding::Numeric { .. } => ColumnKind::Numeric,
            ColumnEncoding::Categorical { .. } => ColumnKind::Categorical,
        };
        self.columns
            .iter()
            .map(|c| Column {
                name: c.name().into(),
                kind: kind(c),
            })
            .collect()
    }

    pub(super) fn check(&self, names: &[&str], place: &str) -> Result<(), DataError> {
        let wanted: Vec<&str> = self.columns.iter().map(ColumnEncoding::name).collect();
        if wanted == names {
            return Ok(());
        }
        Err(DataError::new(ErrorKind::MissingColumn, place)
            .found(format!("the feature columns {}", names.join(", ")))
            .expected(format!("{}, as the model was trained on", wanted.join(", ")))
            .remedy("Rename, add or leave out columns."))
    }

    pub(super) fn encode(&self, cells: &[Cell], out: &mut [f32]) -> Result<(), DataError> {
        if cells.len() != self.columns.len() {
            return Err(DataError::new(ErrorKind::MissingColumn, "row")
                .found(format!("{} cells", cells.len()))
                .expected(format!("{}, one for each column", self.columns.len()))
                .remedy("Use rows with the columns the model was trained on."));
        }
        let mut rest = out;
        for (column, cell) in self.columns.iter().zip(cells) {
            let (features, tail) = rest.split_at_mut(column.width());
            column.encode(cell, features)?;
            rest = tail;
        }
        Ok(())
    }
}
