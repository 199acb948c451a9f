//! What of a picture a unit answered to, by the deconvnet (row E4).

use ndarray::ArrayD;

use super::activations::{check_units, watched};
use crate::gradient::Slope;
use crate::guided::Rule;
use crate::{ExplainError, Subject};

/// The deconvnet's picture of a unit's answer (Zeiler & Fergus 2013), in the shape of the inputs: the layer's map with 1 at the
/// unit's position and 0 elsewhere, sent back through transposed filters and the switches of max-pooling, with a ReLU of
/// what comes back at each ReLU. Row k of `inputs` `[N, H, W, C]` belongs to `answers[k]`: a unit of `layer`, and the row and
/// column of its map.
///
/// Without a ReLU between layer and input this is the plain gradient of the unit.
///
/// # Errors
/// [`ExplainError::Layer`], [`ExplainError::Inputs`], [`ExplainError::Setting`] for a unit or a position that does not exist;
/// [`ExplainError::Unsuited`] where no gradient gets back to the input.
pub fn unit_signals(
    subject: &mut Subject,
    layer: &str,
    inputs: &ArrayD<f32>,
    answers: &[(usize, [usize; 2])],
) -> Result<ArrayD<f32>, ExplainError> {
    let count = subject.count(inputs)?;
    let layers = watched(subject, &[layer], "patches")?;
    let [rows, columns, depth] = layers[0].shape;
    let units: Vec<usize> = answers.iter().map(|(unit, _)| *unit).collect();
    check_units(&units, [(layer, depth)])?;
    if answers.len() != count {
        let expected = format!("{count}, one for each input");
        return Err(ExplainError::setting("answers", answers.len(), expected));
    }
    if let Some((_, at)) = answers.iter().find(|(_, at)| at[0] >= rows || at[1] >= columns) {
        let expected = format!("a row below {rows} and a column below {columns}");
        return Err(ExplainError::setting("position", format!("{at:?}"), expected));
    }
    let of = subject.model().input().clone();
    let rule = |node: &graph::Symbol, g: &graph::Symbol, _: usize| Rule::Deconvnet.gradient(node, g);
    let slope = Slope::new(&layers[0].node, &of, "deconvnet", &rule)?;
    let mut signals = ArrayD::zeros(inputs.raw_dim());
    let all = signals.as_slice_mut().unwrap_or_default();
    let flat = inputs.as_standard_layout();
    let flat = flat.as_slice().unwrap_or_default();
    let len = flat.len() / count;
    subject.each(
        &[slope.gradient],
        &[slope.weights],
        count,
        |k, parts| {
            parts[0].copy_from_slice(&flat[k * len..(k + 1) * len]);
            let (unit, [row, column]) = answers[k];
            parts[1].fill(0.0);
            parts[1][(row * columns + column) * depth + unit] = 1.0;
        },
        |k, row| all[k * len..(k + 1) * len].copy_from_slice(row[0]),
    )?;
    Ok(signals)
}
