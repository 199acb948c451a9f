//! New rows for a prediction, read with the columns a model was trained on.

use super::read::{self, Reader};
use crate::{Cell, Column, ColumnKind, DataError, ErrorKind, Raw};
use std::path::{Path, PathBuf};

/// Reads the rows of a CSV file with given feature columns; further columns are passed on as they are.
///
/// ```
/// use graticule_data::{Cell, Column, ColumnKind, Raw, TableReader};
/// let path = std::env::temp_dir().join(format!("graticule-rows-{}.csv", std::process::id()));
/// std::fs::write(&path, "id,rooms\na,3\nb,\n").map_err(|e| graticule_data::DataError::io(&path, &e))?;
/// let columns = [Column { name: "rooms".into(), kind: ColumnKind::Numeric }];
/// let rows = TableReader::open(&path, &columns)?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(rows[1].raw, Raw::Row(vec![Cell::Missing]));
/// assert_eq!(rows[1].cells, ["b", ""]);
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), graticule_data::DataError>(())
/// ```
pub struct TableReader {
    path: PathBuf,
    reader: Reader,
    headers: Vec<String>,
    columns: Vec<(usize, Column)>,
    missing: Vec<String>,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRow {
    /// The feature cells, in the order of the columns asked for.
    pub raw: Raw,
    /// All cells of the row as they stand in the file.
    pub cells: Vec<String>,
    /// Line in the file.
    pub line: u64,
}

impl TableReader {
    /// Opens `path` (CSV, packed with gzip or not) and finds `columns` in its header.
    ///
    /// # Errors
    /// When the file cannot be read, or columns are missing: all of them are listed.
    pub fn open(path: &Path, columns: &[Column]) -> Result<Self, DataError> {
        let (reader, headers) = read::open(path, None)?;
        let place = |c: &Column| headers.iter().position(|h| *h == c.name);
        let missing: Vec<&str> = columns
            .iter()
            .filter(|c| place(c).is_none())
            .map(|c| c.name.as_str())
            .collect();
        if !missing.is_empty() {
            return Err(DataError::new(ErrorKind::MissingColumn, path.display())
                .found(format!("no column {}", missing.join(", ")))
                .expected(format!(
                    "the columns the model was trained on: {}",
                    columns
                        .iter()
                        .map(|c| c.name.as_str())
                        .collect::<Vec<_>>()
                        .join(", ")
                ))
                .remedy("Add the columns or correct their names; empty cells are allowed."));
        }
        let columns = columns
            .iter()
            .filter_map(|c| Some((place(c)?, c.clone())))
            .collect();
        Ok(Self {
            path: path.to_owned(),
            reader,
            headers,
            columns,
            missing: Vec::new(),
        })
    }

    /// Adds words for missing cells.
    pub fn with_missing(mut self, words: &[String]) -> Self {
        self.missing.extend_from_slice(words);
        self
    }

    /// All column names of the file.
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    fn row(&self, record: &csv::StringRecord) -> Result<TableRow, DataError> {
        let line = record.position().map_or(0, csv::Position::line);
        let cells = self
            .columns
            .iter()
            .map(|(place, column)| self.cell(record.get(*place), column, line));
        let raw = Raw::Row(cells.collect::<Result<_, _>>()?);
        Ok(TableRow {
            raw,
            cells: record.iter().map(str::to_owned).collect(),
            line,
        })
    }

    fn cell(&self, text: Option<&str>, column: &Column, line: u64) -> Result<Cell, DataError> {
        let text = text.unwrap_or_default();
        if read::is_missing(text, &self.missing) {
            return Ok(Cell::Missing);
        }
        match (read::number(text), column.kind) {
            (Some(number), ColumnKind::Numeric) => Ok(Cell::Number(number)),
            // Written as training wrote it, so that `1.0` and `1` are one level.
            (Some(number), ColumnKind::Categorical) => Ok(Cell::Text(number.to_string())),
            (None, ColumnKind::Categorical) => Ok(Cell::Text(text.to_owned())),
            (None, ColumnKind::Numeric) => Err(DataError::new(
                ErrorKind::Cell,
                format!("{}, line {line}, column `{}`", self.path.display(), column.name),
            )
            .found(format!("the text `{text}`"))
            .expected("a number, or an empty cell for a missing one")
            .remedy("Correct the cell.")),
        }
    }
}

impl Iterator for TableReader {
    type Item = Result<TableRow, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut record = csv::StringRecord::new();
        match self.reader.read_record(&mut record) {
            Ok(false) => None,
            Ok(true) => Some(self.row(&record)),
            Err(error) => Some(Err(read::damaged(&self.path, &error))),
        }
    }
}
