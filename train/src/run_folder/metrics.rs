//! `metrics.csv`: one row for each epoch, columns by name.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::RunFolderError;

/// The numbers of one epoch, in the order they were given.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsRow {
    /// The epoch, counted as the caller counts.
    pub epoch: u64,
    /// Name and value. A number that is not finite is kept as `NaN`, `inf` or `-inf`.
    pub values: Vec<(String, f64)>,
}

impl MetricsRow {
    /// The value of one name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values
            .iter()
            .find(|(n, _)| n == name)
            .map(|&(_, value)| value)
    }
}

/// The table of a run's numbers. The header is `epoch` and every name ever given, in the order of first use;
/// a cell is empty where an epoch has no such number.
///
/// A run that is cut back to an epoch and goes on from there has the same bytes in this file as a run that was
/// never interrupted.
///
/// ```
/// use graticule_train::run_folder::MetricsCsv;
/// # let folder = tempfile::tempdir()?;
/// let metrics = MetricsCsv::at(folder.path().join("metrics.csv"));
/// metrics.append(1, &[("train_loss", 0.9)])?;
/// metrics.append(2, &[("train_loss", 0.5), ("validation_loss", 0.6)])?;
/// assert_eq!(std::fs::read_to_string(metrics.path())?,
///     "epoch,train_loss,validation_loss\n1,0.9,\n2,0.5,0.6\n");
/// metrics.truncate_after(1)?;
/// assert_eq!(std::fs::read_to_string(metrics.path())?, "epoch,train_loss\n1,0.9\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MetricsCsv {
    path: PathBuf,
}

impl MetricsCsv {
    /// The table at `path`, which need not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the numbers of `epoch`. A name that is new widens the header; the file is then written anew under
    /// a temporary name and renamed.
    ///
    /// # Errors
    /// [`RunFolderError`] when the file cannot be written, or what is there is not such a table.
    pub fn append(&self, epoch: u64, values: &[(&str, f64)]) -> Result<(), RunFolderError> {
        let row = MetricsRow {
            epoch,
            values: values
                .iter()
                .map(|&(name, value)| (name.to_string(), value))
                .collect(),
        };
        let header = self.header()?;
        if header.is_empty() || row.values.iter().any(|(name, _)| !header.contains(name)) {
            let mut rows = self.read()?;
            rows.push(row);
            return self.write_all(&rows);
        }
        let line = csv_line(&cells(&row, &header));
        OpenOptions::new()
            .append(true)
            .open(&self.path)
            .and_then(|mut file| file.write_all(&line))
            .map_err(RunFolderError::io("write", &self.path))
    }

    /// Every row; nothing where there is no file. A last line that was cut off in the middle of its writing is
    /// left out.
    ///
    /// # Errors
    /// [`RunFolderError`] when the file cannot be read or a cell is not a number.
    pub fn read(&self) -> Result<Vec<MetricsRow>, RunFolderError> {
        let text = self.whole_lines()?;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().map_err(|e| self.damaged(&e))?.clone();
        let names: Vec<&str> = header.iter().skip(1).collect();
        reader
            .records()
            .map(|record| self.row(&record.map_err(|e| self.damaged(&e))?, &names))
            .collect()
    }

    /// Drops every row after `epoch`, the names that only those had, and a last line that was cut off.
    ///
    /// # Errors
    /// [`RunFolderError`] when the file cannot be read or written.
    pub fn truncate_after(&self, epoch: u64) -> Result<(), RunFolderError> {
        if !self.path.exists() {
            return Ok(());
        }
        let mut rows = self.read()?;
        rows.retain(|row| row.epoch <= epoch);
        if rows.is_empty() {
            return fs::remove_file(&self.path).map_err(RunFolderError::io("remove", &self.path));
        }
        self.write_all(&rows)
    }

    /// The text up to its last line break.
    fn whole_lines(&self) -> Result<String, RunFolderError> {
        let mut text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(RunFolderError::io("read", &self.path))?,
        };
        text.truncate(text.rfind('\n').map_or(0, |at| at + 1));
        Ok(text)
    }

    /// The names in the header without `epoch`, or nothing where the last line is not whole.
    fn header(&self) -> Result<Vec<String>, RunFolderError> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let whole = self.whole_lines()?;
        let length = fs::metadata(&self.path)
            .map_err(RunFolderError::io("read", &self.path))?
            .len();
        if length != whole.len() as u64 {
            return Ok(Vec::new());
        }
        let mut reader = csv::Reader::from_reader(whole.as_bytes());
        let header = reader.headers().map_err(|e| self.damaged(&e))?;
        Ok(header.iter().skip(1).map(str::to_string).collect())
    }

    fn row(&self, record: &csv::StringRecord, names: &[&str]) -> Result<MetricsRow, RunFolderError> {
        let wrong = |found: &str, expected| RunFolderError::Metrics {
            path: self.path.clone(),
            line: record.position().map_or(0, csv::Position::line),
            found: format!("`{found}`"),
            expected,
        };
        let epoch = record.get(0).unwrap_or_default();
        let epoch = epoch
            .parse()
            .map_err(|_| wrong(epoch, "the number of an epoch"))?;
        let given = names
            .iter()
            .zip(record.iter().skip(1))
            .filter(|(_, cell)| !cell.is_empty());
        let values = given.map(|(name, cell)| {
            let value = cell.parse().map_err(|_| wrong(cell, "a number"))?;
            Ok((name.to_string(), value))
        });
        Ok(MetricsRow {
            epoch,
            values: values.collect::<Result<_, RunFolderError>>()?,
        })
    }

    fn write_all(&self, rows: &[MetricsRow]) -> Result<(), RunFolderError> {
        let mut header: Vec<String> = Vec::new();
        for (name, _) in rows.iter().flat_map(|row| &row.values) {
            if !header.contains(name) {
                header.push(name.clone());
            }
        }
        let names = std::iter::once("epoch".to_string()).chain(header.iter().cloned());
        let mut bytes = csv_line(&names.collect::<Vec<_>>());
        for row in rows {
            bytes.extend(csv_line(&cells(row, &header)));
        }
        interchange::write_atomically(&self.path, &bytes).map_err(RunFolderError::io("write", &self.path))
    }

    fn damaged(&self, error: &csv::Error) -> RunFolderError {
        RunFolderError::Metrics {
            path: self.path.clone(),
            line: error.position().map_or(1, csv::Position::line),
            found: format!("`{error}`"),
            expected: "a row with as many cells as the header",
        }
    }
}

fn cells(row: &MetricsRow, header: &[String]) -> Vec<String> {
    // `{:?}` of an f64 is the shortest text that reads back as the same bits.
    let value = |name: &String| row.get(name).map_or(String::new(), |value| format!("{value:?}"));
    std::iter::once(row.epoch.to_string())
        .chain(header.iter().map(value))
        .collect()
}

/// One line of CSV with its line break, cells quoted where they need it.
fn csv_line(cells: &[String]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    // Writing to memory cannot fail, and a single record has no other to disagree with.
    let _ = writer.write_record(cells);
    writer.into_inner().unwrap_or_default()
}
