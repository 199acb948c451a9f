//! Fitting the preprocessing on the training samples.

use super::table::level_text;
use super::{ColumnEncoding, ImageEncoding, InputEncoding, Preprocess, TableEncoding, TargetEncoding};
use crate::statistics::{self, Moments};
use crate::{Cell, Column, ColumnKind, DataError, Dataset, ErrorKind, InputLayout, Raw, Target, Task};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How numeric columns are scaled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// Mean 0 and standard deviation 1.
    #[default]
    Standard,
    /// Median 0 and 1.4826 median absolute deviations 1, clipped at ±8: outliers do not squeeze the rest.
    Robust,
    /// As they are.
    None,
}

/// Choices for [`Preprocess::fit_with`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PreprocessOptions {
    /// How numeric columns are scaled.
    pub scaling: Scaling,
    /// Keeps regression targets in their own units.
    pub keep_target_units: bool,
}

const ROBUST_CLIP: f64 = 8.0;

pub(super) fn fit(dataset: &Dataset, options: PreprocessOptions) -> Result<Preprocess, DataError> {
    if dataset.splits.train.is_empty() {
        return Err(DataError::new(ErrorKind::Empty, &dataset.name)
            .found("no training sample")
            .expected("at least one, to fit the normalisation on")
            .remedy("Give the split a training share."));
    }
    let input = match dataset.layout() {
        InputLayout::Image {
            height,
            width,
            channels,
        } => InputEncoding::Image(fit_images(dataset, (height, width, channels))?),
        InputLayout::Table { columns } => {
            InputEncoding::Table(fit_table(dataset, &columns, options.scaling)?)
        }
        InputLayout::Vector { names } => {
            let column = |name| Column {
                name,
                kind: ColumnKind::Numeric,
            };
            let columns: Vec<Column> = names.into_iter().map(column).collect();
            InputEncoding::Table(fit_table(dataset, &columns, options.scaling)?)
        }
    };
    let target = fit_target(dataset, options.keep_target_units)?;
    Ok(Preprocess {
        task: dataset.task.clone(),
        input,
        target,
    })
}

fn fit_images(dataset: &Dataset, shape: (usize, usize, usize)) -> Result<ImageEncoding, DataError> {
    let (height, width, channels) = shape;
    // Counting bytes makes the sums exact, so they do not depend on the order of the samples.
    let mut counts = vec![[0u64; 256]; channels];
    for &index in &dataset.splits.train {
        dataset.source.with_pixels(index, &mut |pixels| {
            for pixel in pixels.chunks_exact(channels) {
                for (count, &byte) in counts.iter_mut().zip(pixel) {
                    count[usize::from(byte)] += 1;
                }
            }
        })?;
    }
    let pixel_max = dataset.source.pixel_max();
    let moments = counts.iter().map(|c| byte_moments(c, f64::from(pixel_max)));
    let (mean, std) = moments.unzip();
    let resize = dataset.source.resizes();
    Ok(ImageEncoding {
        height,
        width,
        channels,
        pixel_max,
        mean,
        std,
        resize,
    })
}

fn byte_moments(counts: &[u64; 256], max: f64) -> (f32, f32) {
    let mut moments = Moments::default();
    for (byte, &count) in counts.iter().enumerate() {
        moments.add(byte as f64 / max, count as f64);
    }
    (moments.mean() as f32, moments.scale() as f32)
}

fn fit_table(dataset: &Dataset, columns: &[Column], scaling: Scaling) -> Result<TableEncoding, DataError> {
    let mut cells: Vec<Vec<Cell>> = vec![Vec::with_capacity(dataset.splits.train.len()); columns.len()];
    for &index in &dataset.splits.train {
        if let Raw::Row(row) = dataset.source.raw(index)? {
            cells
                .iter_mut()
                .zip(row)
                .for_each(|(column, cell)| column.push(cell));
        }
    }
    let fitted = columns
        .iter()
        .zip(&cells)
        .map(|(column, cells)| match column.kind {
            ColumnKind::Numeric => fit_numeric(&column.name, cells, scaling),
            ColumnKind::Categorical => fit_categorical(&column.name, cells),
        });
    Ok(TableEncoding {
        columns: fitted.collect(),
    })
}

fn fit_numeric(name: &str, cells: &[Cell], scaling: Scaling) -> ColumnEncoding {
    let number = |cell: &Cell| {
        if let Cell::Number(n) = cell {
            Some(*n)
        } else {
            None
        }
    };
    let mut numbers: Vec<f64> = cells.iter().filter_map(number).collect();
    let indicator = numbers.len() < cells.len();
    let median = statistics::median(&mut numbers).unwrap_or(0.0);
    let moments = || {
        // Imputed cells count, so that the feature itself has mean 0.
        let mut moments = Moments::default();
        cells
            .iter()
            .for_each(|cell| moments.add(number(cell).unwrap_or(median), 1.0));
        moments
    };
    let (centre, scale, clip) = match scaling {
        Scaling::Standard => (moments().mean(), moments().scale(), None),
        Scaling::Robust => {
            let mad = statistics::mad(&mut numbers, median);
            (
                median,
                if mad > 0.0 { mad } else { moments().scale() },
                Some(ROBUST_CLIP),
            )
        }
        Scaling::None => (0.0, 1.0, None),
    };
    ColumnEncoding::Numeric {
        name: name.into(),
        median,
        centre,
        scale,
        clip,
        indicator,
    }
}

fn fit_categorical(name: &str, cells: &[Cell]) -> ColumnEncoding {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for cell in cells.iter().filter(|cell| **cell != Cell::Missing) {
        *counts.entry(level_text(cell)).or_default() += 1;
    }
    // A level with its own feature needs enough rows to learn from.
    let enough = (cells.len() / 2000).max(2);
    let levels: Vec<String> = counts
        .iter()
        .filter(|c| *c.1 >= enough)
        .map(|c| c.0.clone())
        .collect();
    let other = levels.len() < counts.len();
    let missing = cells.contains(&Cell::Missing);
    ColumnEncoding::Categorical {
        name: name.into(),
        levels,
        other,
        missing,
    }
}

fn fit_target(dataset: &Dataset, keep_units: bool) -> Result<TargetEncoding, DataError> {
    let Task::Regression { targets } = &dataset.task else {
        return Ok(TargetEncoding::default());
    };
    if keep_units {
        return Ok(TargetEncoding {
            mean: vec![0.0; targets.len()],
            std: vec![1.0; targets.len()],
        });
    }
    let mut moments = vec![Moments::default(); targets.len()];
    for &index in &dataset.splits.train {
        if let Target::Values(values) = dataset.source.target(index)? {
            moments
                .iter_mut()
                .zip(values)
                .for_each(|(m, v)| m.add(f64::from(v), 1.0));
        }
    }
    let (mean, std) = moments
        .iter()
        .map(|m| (m.mean() as f32, m.scale() as f32))
        .unzip();
    Ok(TargetEncoding { mean, std })
}
