//! Reading the cells of a CSV file, with limits.

use crate::{DataError, ErrorKind, OpenOptions};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Largest table, in bytes after unpacking.
const MAX_BYTES: u64 = 4 << 30;
/// Most cells.
const MAX_CELLS: usize = 200_000_000;
/// Words for a missing cell, in lower case.
const MISSING: [&str; 8] = ["", "na", "n/a", "nan", "null", "unknown", "?", "<na>"];
/// The code of a cell that is no text.
pub(super) const NO_TEXT: u32 = u32::MAX;

/// The cells of a column before it is known what it holds: a number, a text code, or missing (NaN and no code).
#[derive(Default)]
pub(super) struct RawColumn {
    pub(super) numbers: Vec<f64>,
    pub(super) codes: Vec<u32>,
    pub(super) texts: Vec<String>,
    by_text: HashMap<String, u32>,
}

impl RawColumn {
    fn push(&mut self, cell: &str, missing: &[String]) {
        let (number, code) = if is_missing(cell, missing) {
            (f64::NAN, NO_TEXT)
        } else if let Some(number) = number(cell) {
            (number, NO_TEXT)
        } else {
            (f64::NAN, self.intern(cell))
        };
        self.numbers.push(number);
        self.codes.push(code);
    }

    pub(super) fn intern(&mut self, text: &str) -> u32 {
        if let Some(&code) = self.by_text.get(text) {
            return code;
        }
        let code = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.by_text.insert(text.to_owned(), code);
        code
    }
}

/// Whether the cell says that its value is missing.
pub(super) fn is_missing(cell: &str, more: &[String]) -> bool {
    MISSING.iter().any(|word| cell.eq_ignore_ascii_case(word)) || more.iter().any(|word| word == cell)
}

/// The finite number a cell holds.
pub(super) fn number(cell: &str) -> Option<f64> {
    cell.parse::<f64>().ok().filter(|n| n.is_finite())
}

/// A whole table.
pub(super) struct RawTable {
    pub(super) headers: Vec<String>,
    pub(super) columns: Vec<RawColumn>,
    /// Line of each row in the file.
    pub(super) lines: Vec<u64>,
}

pub(super) type Reader = csv::Reader<Box<dyn Read + Send>>;

/// Opens the file and reads its header.
pub(super) fn open(path: &Path, delimiter: Option<u8>) -> Result<(Reader, Vec<String>), DataError> {
    let io = |e: std::io::Error| DataError::io(path, &e);
    let mut file = BufReader::new(File::open(path).map_err(io)?);
    let packed = file.fill_buf().map_err(io)?.starts_with(&[0x1f, 0x8b]);
    let unpacked: Box<dyn Read + Send> = if packed {
        Box::new(flate2::bufread::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut unpacked = BufReader::with_capacity(1 << 16, unpacked.take(MAX_BYTES));
    let start = unpacked.fill_buf().map_err(|e| unreadable(path, &e))?;
    let delimiter = delimiter.unwrap_or_else(|| guess_delimiter(start));
    let all: Box<dyn Read + Send> = Box::new(unpacked);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(all);
    let headers: Vec<String> = reader
        .headers()
        .map_err(|e| damaged(path, &e))?
        .iter()
        .map(str::to_owned)
        .collect();
    check_headers(&headers, path)?;
    Ok((reader, headers))
}

/// The candidate that stands most often in the first line.
fn guess_delimiter(start: &[u8]) -> u8 {
    let line = start.split(|&b| b == b'\n').next().unwrap_or_default();
    let count = |d: u8| line.iter().filter(|&&b| b == d).count();
    // The last of equals wins, so the comma stands last.
    [b'|', b'\t', b';', b',']
        .into_iter()
        .max_by_key(|&d| count(d))
        .unwrap_or(b',')
}

fn check_headers(headers: &[String], path: &Path) -> Result<(), DataError> {
    let error = |kind, found: String| {
        Err(DataError::new(kind, path.display())
            .found(found)
            .expected("a first line with the names of the columns, all different")
            .remedy("Correct the first line of the file."))
    };
    if headers.is_empty() || headers.iter().all(String::is_empty) {
        return error(ErrorKind::Empty, "an empty file".into());
    }
    if headers.iter().all(|h| number(h).is_some()) {
        return error(
            ErrorKind::Cell,
            format!("only numbers in the first line ({}, …)", headers[0]),
        );
    }
    let mut seen = std::collections::HashSet::new();
    match headers.iter().find(|h| !seen.insert(h.as_str())) {
        Some(twice) => error(ErrorKind::Cell, format!("the column name `{twice}` twice")),
        None => Ok(()),
    }
}

/// Reads all rows.
pub(super) fn read(path: &Path, options: &OpenOptions) -> Result<RawTable, DataError> {
    let (mut reader, headers) = open(path, options.delimiter)?;
    let mut columns: Vec<RawColumn> = headers.iter().map(|_| RawColumn::default()).collect();
    let mut lines = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|e| damaged(path, &e))? {
        if lines.len() >= MAX_CELLS / columns.len() {
            return Err(DataError::new(ErrorKind::Limit, path.display())
                .found(format!("more than {} rows", lines.len()))
                .expected(format!("at most {MAX_CELLS} cells"))
                .remedy("Train on a part of the table."));
        }
        lines.push(record.position().map_or(0, csv::Position::line));
        columns
            .iter_mut()
            .zip(&record)
            .for_each(|(column, cell)| column.push(cell, &options.missing));
    }
    if lines.is_empty() {
        return Err(DataError::new(ErrorKind::Empty, path.display())
            .found("a header without rows")
            .expected("at least one row")
            .remedy("Check the file."));
    }
    Ok(RawTable {
        headers,
        columns,
        lines,
    })
}

/// The place of a column.
pub(super) fn find_column(headers: &[String], name: &str, place: &str) -> Result<usize, DataError> {
    headers.iter().position(|h| h == name).ok_or_else(|| {
        DataError::new(ErrorKind::MissingColumn, place)
            .found(format!("no column `{name}`"))
            .expected(format!("one of: {}", headers.join(", ")))
            .remedy("Check the spelling; names are case sensitive.")
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> DataError {
    DataError::new(ErrorKind::Unreadable, path.display())
        .found(format!("the error `{error}` while reading"))
        .expected("a whole CSV file, packed with gzip or not")
        .remedy("Get the file again.")
}

/// A CSV error with its place.
pub(super) fn damaged(path: &Path, error: &csv::Error) -> DataError {
    let line = error
        .position()
        .map(|p| format!(", line {}", p.line()))
        .unwrap_or_default();
    let base = DataError::new(ErrorKind::Unreadable, format!("{}{line}", path.display()));
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => base
            .found(format!("{len} cells"))
            .expected(format!("{expected_len}, one for each column of the first line"))
            .remedy("Correct the line; a cell that holds the delimiter must be in quotes."),
        csv::ErrorKind::Utf8 { .. } => base
            .found("bytes that are not UTF-8")
            .expected("text in UTF-8")
            .remedy("Save the table as UTF-8."),
        csv::ErrorKind::Io(error) => unreadable(path, error),
        _ => base
            .found(format!("`{error}`"))
            .expected("a CSV table")
            .remedy("Check the file."),
    }
}
