//! Writing a data set of rows as CSV.

use crate::{Cell, DataError, Dataset, ErrorKind, InputLayout, Raw, Target};
use std::path::Path;

/// Writes inputs and targets of `dataset` as a CSV that [`crate::open()`] reads: a toy set, for example. Classes
/// stand in the column `class` by name; names that are numbers become `class 0`, so that reading infers classes.
///
/// # Errors
/// When the data set holds images, or the file cannot be written.
pub fn write_csv(dataset: &Dataset, path: &Path) -> Result<(), DataError> {
    let failed = |e: csv::Error| DataError::io(path, &e.into());
    let mut headers: Vec<String> = match dataset.layout() {
        InputLayout::Table { columns } => columns.into_iter().map(|c| c.name).collect(),
        InputLayout::Vector { names } => names,
        InputLayout::Image { .. } => {
            return Err(DataError::new(ErrorKind::Option, &dataset.name)
                .found("images")
                .expected("rows of numbers and categories")
                .remedy("Only tables and toys can be written as CSV."));
        }
    };
    match dataset.task.classes() {
        Some(_) => headers.push("class".into()),
        None => headers.extend_from_slice(dataset.task.output_names()),
    }
    let mut writer = csv::Writer::from_path(path).map_err(failed)?;
    writer.write_record(&headers).map_err(failed)?;
    for index in 0..dataset.len() {
        let mut cells: Vec<String> = match dataset.source.raw(index)? {
            Raw::Row(cells) => cells.iter().map(cell_text).collect(),
            Raw::Image(_) => Vec::new(),
        };
        cells.extend(target_text(dataset, &dataset.source.target(index)?));
        writer.write_record(&cells).map_err(failed)?;
    }
    writer.flush().map_err(|e| DataError::io(path, &e))
}

fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Number(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Missing => String::new(),
    }
}

fn target_text(dataset: &Dataset, target: &Target) -> Vec<String> {
    let name = |class: &usize| {
        let name = dataset
            .task
            .output_names()
            .get(*class)
            .cloned()
            .unwrap_or_default();
        if name.parse::<f64>().is_ok() {
            format!("class {name}")
        } else {
            name
        }
    };
    match target {
        Target::Class(class) => vec![name(class)],
        Target::Classes(classes) => vec![classes.iter().map(name).collect::<Vec<_>>().join(";")],
        Target::Values(values) => values.iter().map(f32::to_string).collect(),
    }
}
