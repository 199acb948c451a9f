//! Permutation importance (Breiman 2001; Fisher, Rudin & Dominici 2019): columns of a table, shuffled one at a time.

use std::ops::Range;

use ndarray::ArrayD;

use crate::random::{Purpose, permutation, rng};
use crate::{ExplainError, Subject, Target};

/// How columns are shuffled.
#[derive(Debug, Clone, PartialEq)]
pub struct Permutation {
    /// How often each column is shuffled anew.
    pub repeats: usize,
}

impl Default for Permutation {
    fn default() -> Self {
        Self { repeats: 5 }
    }
}

/// How much one column matters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Importance {
    /// Mean of |what the network says − what it says with the column shuffled| over rows and repeats.
    pub change: f64,
    /// Standard deviation of that mean from one repeat to another.
    pub deviation: f64,
}

/// How much what the network says of `target` changes when a column's values change rows, for each of `columns`: ranges of
/// encoded features, since one column of a table may become several.
///
/// It tells what the network uses, not what is true: no labels are needed. Of two columns that say the same, each alone
/// may seem to matter little.
///
/// # Errors
/// As [`crate::explain`]; [`ExplainError::Setting`] for ranges beyond the features, or fewer than two rows.
pub fn permutation_importance(
    subject: &mut Subject,
    inputs: &ArrayD<f32>,
    target: &Target,
    columns: &[Range<usize>],
    settings: &Permutation,
) -> Result<Vec<Importance>, ExplainError> {
    let rows = subject.count(inputs)?;
    let width = inputs.len() / rows;
    if inputs.ndim() != 2 {
        let found = format!("samples of shape {:?}", subject.sample_shape());
        return Err(ExplainError::unsuited(
            "permutation",
            found,
            "rows of a table; use occlusion for pictures",
        ));
    }
    if rows < 2 {
        return Err(ExplainError::setting(
            "rows",
            rows,
            "at least 2, whose values can change places",
        ));
    }
    if settings.repeats == 0 {
        return Err(ExplainError::setting("repeats", 0, "at least 1"));
    }
    if let Some(wrong) = columns.iter().find(|c| c.end > width || c.is_empty()) {
        return Err(ExplainError::setting(
            "columns",
            format!("{wrong:?}"),
            format!("ranges within 0..{width}"),
        ));
    }
    let (resolved, answers) = subject.resolve(inputs, target)?;
    let flat = inputs.as_standard_layout().into_owned();
    let flat = flat.as_slice().unwrap_or_default();
    let seed = subject.key();
    let each = settings.repeats * rows;
    let mut changes = vec![0.0f64; columns.len() * settings.repeats];
    let outputs = [subject.prediction().clone()];
    let mut order = (usize::MAX, Vec::new());
    subject.each(
        &outputs,
        &[],
        columns.len() * each,
        |k, parts| {
            let (round, row) = (k / rows, k % rows);
            if order.0 != round {
                let (column, repeat) = (
                    (round / settings.repeats) as u64,
                    (round % settings.repeats) as u64,
                );
                order = (
                    round,
                    permutation(rows, &mut rng(seed, column, repeat, Purpose::Permutation)),
                );
            }
            parts[0].copy_from_slice(&flat[row * width..(row + 1) * width]);
            let (column, other) = (columns[round / settings.repeats].clone(), order.1[row]);
            parts[0][column.clone()].copy_from_slice(&flat[other * width..(other + 1) * width][column]);
        },
        |k, found| {
            let row = k % rows;
            let said = resolved.prediction(row, found[0]);
            changes[k / rows] += f64::from((answers.predictions[row] - said).abs()) / rows as f64;
        },
    )?;
    Ok(changes.chunks(settings.repeats).map(importance).collect())
}

fn importance(repeats: &[f64]) -> Importance {
    let n = repeats.len() as f64;
    let change = repeats.iter().sum::<f64>() / n;
    let variance = repeats.iter().map(|c| (c - change).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    Importance {
        change,
        deviation: variance.sqrt(),
    }
}
