//! What a column holds: numbers or categories.

use super::read::{NO_TEXT, RawColumn};
use crate::{Cell, ColumnKind, DataError, ErrorKind};

/// Share of text cells up to which a column is meant to be numeric.
const STRAY_TEXT: f64 = 0.05;
/// Most categories of a feature column.
const MAX_LEVELS: usize = 200;

/// The cells of a column.
pub(super) enum ColumnData {
    /// Numbers, NaN where missing.
    Numeric(Vec<f64>),
    /// Codes into the levels, [`NO_TEXT`] where missing.
    Categorical { codes: Vec<u32>, levels: Vec<String> },
}

/// A column with its name.
pub(super) struct TableColumn {
    pub(super) name: String,
    pub(super) data: ColumnData,
}

impl TableColumn {
    pub(super) fn kind(&self) -> ColumnKind {
        match self.data {
            ColumnData::Numeric(_) => ColumnKind::Numeric,
            ColumnData::Categorical { .. } => ColumnKind::Categorical,
        }
    }

    pub(super) fn cell(&self, row: usize) -> Cell {
        match &self.data {
            ColumnData::Numeric(values) if values[row].is_nan() => Cell::Missing,
            ColumnData::Numeric(values) => Cell::Number(values[row]),
            ColumnData::Categorical { codes, levels } => levels
                .get(codes[row] as usize)
                .map_or(Cell::Missing, |level| Cell::Text(level.clone())),
        }
    }

    pub(super) fn keep_rows(&mut self, keep: &[bool]) {
        let mut keep = keep.iter();
        let mut kept = || keep.next().is_none_or(|&k| k);
        match &mut self.data {
            ColumnData::Numeric(values) => values.retain(|_| kept()),
            ColumnData::Categorical { codes, .. } => codes.retain(|_| kept()),
        }
    }
}

/// Decides what a column holds. A column of numbers with a few stray texts is an error that names the first.
pub(super) fn decide(
    name: &str,
    mut cells: RawColumn,
    categorical: bool,
    lines: &[u64],
    place: &str,
) -> Result<TableColumn, DataError> {
    let numbers = cells.numbers.iter().filter(|n| !n.is_nan()).count();
    let texts = cells.codes.iter().filter(|&&c| c != NO_TEXT).count();
    let name = name.to_owned();
    if texts == 0 && !categorical {
        return Ok(TableColumn {
            name,
            data: ColumnData::Numeric(cells.numbers),
        });
    }
    let stray = texts as f64 <= STRAY_TEXT * (numbers + texts) as f64 || (texts == 1 && numbers >= 3);
    if stray && !categorical && numbers > 0 {
        let row = cells.codes.iter().position(|&c| c != NO_TEXT).unwrap_or(0);
        let text = &cells.texts[cells.codes[row] as usize];
        let more = if texts > 1 {
            format!(" (the first of {texts} texts)")
        } else {
            String::new()
        };
        return Err(DataError::new(ErrorKind::Cell, format!("{place}, line {}, column `{name}`", lines[row]))
            .found(format!("the text `{text}`{more}"))
            .expected(format!("a number, as in {numbers} other rows"))
            .remedy(
                "Correct the cell, name the text as a word for missing, or declare the column categorical or exclude it.",
            ));
    }
    for row in 0..cells.numbers.len() {
        if !cells.numbers[row].is_nan() {
            let text = cells.numbers[row].to_string();
            cells.codes[row] = cells.intern(&text);
        }
    }
    Ok(TableColumn {
        name,
        data: ColumnData::Categorical {
            codes: cells.codes,
            levels: cells.texts,
        },
    })
}

/// Gives the column back if something can be learnt from it, else the reason why not.
pub(super) fn usable(column: TableColumn, lines: &[u64]) -> Result<TableColumn, String> {
    match &column.data {
        ColumnData::Numeric(values) if values.iter().all(|v| v.is_nan()) => {
            Err("all its cells are missing".into())
        }
        ColumnData::Categorical { levels, .. } if levels.len() > MAX_LEVELS => Err(format!(
            "it has {} different texts in {} rows and looks like a name or an identifier",
            levels.len(),
            lines.len()
        )),
        ColumnData::Categorical { levels, .. } if lines.len() > 20 && levels.len() * 2 > lines.len() => {
            Err(format!(
                "its {} texts are nearly all different and look like identifiers",
                levels.len()
            ))
        }
        _ => Ok(column),
    }
}
