//! CSV tables as a source: numeric and categorical columns, missing cells, a target column (S2, S3).
//!
//! `table/read.rs` reads cells, `table/columns.rs` decides what a column holds, `table/target.rs` what is to be
//! learnt; [`TableReader`] (`table/reader.rs`) reads new rows for a prediction.

use crate::{
    Cell, Column, ColumnKind, DataError, Dataset, ErrorKind, InputLayout, OpenOptions, Raw, Source, Splits,
    Target,
};
use std::path::Path;
use std::sync::Arc;

mod columns;
mod read;
mod reader;
mod target;
mod write;

use columns::{ColumnData, TableColumn};
pub use reader::{TableReader, TableRow};
use target::Targets;
pub use write::write_csv;

/// Robust z-score from which a value is reported as an outlier.
pub const OUTLIER_SCORE: f64 = 6.0;
/// Outliers that a note lists.
const LISTED: usize = 5;

/// A table held in memory, column by column.
pub struct Table {
    name: String,
    features: Vec<TableColumn>,
    targets: Targets,
    /// Line of each row in the file.
    lines: Vec<u64>,
}

impl Table {
    fn no_such(&self, index: usize) -> DataError {
        DataError::new(ErrorKind::Option, &self.name)
            .found(format!("the row {index}"))
            .expected(format!("one below {}", self.lines.len()))
            .remedy("Use a split made for this table.")
    }
}

impl Source for Table {
    fn len(&self) -> usize {
        self.lines.len()
    }

    fn raw(&self, index: usize) -> Result<Raw, DataError> {
        if index >= self.len() {
            return Err(self.no_such(index));
        }
        Ok(Raw::Row(
            self.features.iter().map(|column| column.cell(index)).collect(),
        ))
    }

    fn target(&self, index: usize) -> Result<Target, DataError> {
        self.targets.of(index).ok_or_else(|| self.no_such(index))
    }

    fn name_of(&self, index: usize) -> String {
        format!("row {index}")
    }

    fn layout(&self) -> InputLayout {
        let column = |c: &TableColumn| Column {
            name: c.name.clone(),
            kind: c.kind(),
        };
        InputLayout::Table {
            columns: self.features.iter().map(column).collect(),
        }
    }
}

/// Opens a CSV file, packed with gzip or not.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Dataset, DataError> {
    let place = path.display().to_string();
    let raw = read::read(path, options)?;
    let target_names = target::names(options, &raw, &place)?;
    for name in options.exclude.iter().chain(&options.categorical) {
        read::find_column(&raw.headers, name, &place)?;
    }
    let mut notes = Vec::new();
    let mut features = Vec::new();
    let mut target_columns = Vec::new();
    for (name, cells) in raw.headers.iter().zip(raw.columns) {
        let categorical = options.categorical.contains(name);
        if target_names.contains(name) {
            target_columns.push(columns::decide(name, cells, categorical, &raw.lines, &place)?);
        } else if !options.exclude.contains(name) {
            match columns::usable(
                columns::decide(name, cells, categorical, &raw.lines, &place)?,
                &raw.lines,
            ) {
                Ok(column) => features.push(column),
                Err(reason) => notes.push(format!("Column `{name}` is left out: {reason}.")),
            }
        }
    }
    if features.is_empty() {
        return Err(DataError::new(ErrorKind::Empty, place)
            .found("no feature column besides the target")
            .expected("at least one")
            .remedy("Add columns, or exclude fewer."));
    }
    let mut lines = raw.lines;
    drop_rows_without_target(
        &mut target_columns,
        &mut features,
        &mut lines,
        options,
        &place,
        &mut notes,
    )?;
    let (task, targets) = target::decide(target_columns, &lines, options, &place, &mut notes)?;
    notes.extend(outlier_notes(&features, &targets, &lines));
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let name = name.split('.').next().unwrap_or("table").to_owned();
    let splits = Splits::by_fraction(lines.len(), targets.classes(), options.fractions, options.seed)?;
    let source = Arc::new(Table {
        name: name.clone(),
        features,
        targets,
        lines,
    });
    Ok(Dataset {
        name,
        task,
        source,
        splits,
        notes,
        citation: None,
    })
}

fn drop_rows_without_target(
    targets: &mut [TableColumn],
    features: &mut [TableColumn],
    lines: &mut Vec<u64>,
    options: &OpenOptions,
    place: &str,
    notes: &mut Vec<String>,
) -> Result<(), DataError> {
    let missing = |row: usize| targets.iter().any(|t| t.cell(row) == Cell::Missing);
    let keep: Vec<bool> = (0..lines.len()).map(|row| !missing(row)).collect();
    let bad: Vec<u64> = lines
        .iter()
        .zip(&keep)
        .filter(|(_, keep)| !**keep)
        .map(|(line, _)| *line)
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    let shown = bad
        .iter()
        .take(LISTED)
        .map(u64::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let more = if bad.len() > LISTED {
        format!(" and {} more", bad.len() - LISTED)
    } else {
        String::new()
    };
    if !options.skip_bad || bad.len() == lines.len() {
        let names = targets
            .iter()
            .map(|t| t.name.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        return Err(
            DataError::new(ErrorKind::Target, format!("{place}, column `{names}`"))
                .found(format!(
                    "no target (empty, NaN or a word for missing) in {} rows: line {shown}{more}",
                    bad.len()
                ))
                .expected("a target in every row")
                .remedy("Fill the cells in, or leave these rows out with --skip-bad."),
        );
    }
    notes.push(format!(
        "{} rows without a target were left out: line {shown}{more}.",
        bad.len()
    ));
    targets
        .iter_mut()
        .chain(features)
        .for_each(|column| column.keep_rows(&keep));
    let mut keep = keep.iter();
    lines.retain(|_| keep.next().is_none_or(|&k| k));
    Ok(())
}

/// Values far from the rest, as notes: the target first, then the columns (S3).
fn outlier_notes(features: &[TableColumn], targets: &Targets, lines: &[u64]) -> Vec<String> {
    let of_targets = targets
        .numeric()
        .into_iter()
        .map(|(name, values)| (format!("Target `{name}`"), values));
    let of_features = features.iter().filter_map(|column| match &column.data {
        ColumnData::Numeric(values) => Some((format!("Column `{}`", column.name), values.clone())),
        ColumnData::Categorical { .. } => None,
    });
    of_targets
        .chain(of_features)
        .filter_map(|(what, values)| outlier_note(&what, &values, lines))
        .collect()
}

fn outlier_note(what: &str, values: &[f64], lines: &[u64]) -> Option<String> {
    let found = crate::statistics::outliers_by_nature(values, OUTLIER_SCORE);
    // Many far values are a long tail, not mistakes.
    if found.is_empty() || found.len() > values.len() / 100 + 1 {
        return None;
    }
    let one = |o: &crate::statistics::Outlier| {
        format!("{} in line {} (score {:.1})", o.value, lines[o.index], o.score)
    };
    let listed = found.iter().take(LISTED).map(one).collect::<Vec<_>>().join(", ");
    let plural = if found.len() == 1 {
        "value lies"
    } else {
        "values lie"
    };
    Some(format!(
        "{what}: {} {plural} far from the rest: {listed}. Check them before trusting a fit.",
        found.len()
    ))
}

/// Whether a column is numeric.
fn is_numeric(kind: ColumnKind) -> bool {
    kind == ColumnKind::Numeric
}

#[cfg(test)]
mod tests;
