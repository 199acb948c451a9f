//! Whether a map names what the network uses: deletion and insertion curves (Petsiuk, Das & Saenko 2018).

use ndarray::ArrayD;

use crate::random::{Purpose, permutation, rng};
use crate::{ExplainError, Fill, Subject, Target};

/// How the curves are measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Faithfulness {
    /// Steps from the whole picture to none of it.
    pub steps: usize,
    /// What stands where pixels are missing.
    pub fill: Fill,
}

impl Default for Faithfulness {
    fn default() -> Self {
        Self {
            steps: 20,
            fill: Fill::default(),
        }
    }
}

/// What the network says while pixels go, or come, in the order of a map, the most important first.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// With the share k/steps of the pixels missing, k = 0 … steps. A good map makes it fall at once.
    pub deletion: Vec<f32>,
    /// With only the share k/steps of the pixels there. A good map makes it rise at once.
    pub insertion: Vec<f32>,
}

impl Curves {
    /// The area under the deletion curve, by trapezoids over shares from 0 to 1; small is good.
    pub fn deletion_area(&self) -> f64 {
        area(&self.deletion)
    }

    /// The area under the insertion curve; large is good.
    pub fn insertion_area(&self) -> f64 {
        area(&self.insertion)
    }
}

fn area(curve: &[f32]) -> f64 {
    let parts = curve.windows(2).map(|pair| f64::from(pair[0] + pair[1]) / 2.0);
    parts.sum::<f64>() / (curve.len() - 1).max(1) as f64
}

/// The curves of each sample for its map in `maps`, `[N, H, W]` (or `[N, features]`).
///
/// # Errors
/// As [`crate::explain`]; [`ExplainError::Inputs`] for maps that are not of these inputs.
pub fn faithfulness(
    subject: &mut Subject,
    inputs: &ArrayD<f32>,
    target: &Target,
    maps: &ArrayD<f32>,
    settings: &Faithfulness,
) -> Result<Vec<Curves>, ExplainError> {
    let count = subject.count(inputs)?;
    let places = maps.len() / count.max(1);
    let bands = inputs.len() / maps.len().max(1);
    if maps.shape() != &inputs.shape()[..maps.ndim().min(inputs.ndim())] || places == 0 {
        return Err(ExplainError::Inputs {
            found: format!("{:?} for the maps", maps.shape()),
            expected: format!("maps of inputs {:?}", inputs.shape()),
        });
    }
    if !(1..=10_000).contains(&settings.steps) {
        return Err(ExplainError::setting("steps", settings.steps, "1 to 10000"));
    }
    let (resolved, _) = subject.resolve(inputs, target)?;
    let fill = settings.fill.bands(bands)?;
    let (inputs, maps) = (inputs.as_standard_layout(), maps.as_standard_layout());
    let (flat, maps) = (
        inputs.as_slice().unwrap_or_default(),
        maps.as_slice().unwrap_or_default(),
    );
    let orders: Vec<Vec<usize>> = maps.chunks(places).map(ranked).collect();
    let points = settings.steps + 1;
    let outputs = [subject.prediction().clone()];
    let mut said = vec![0.0f32; count * 2 * points];
    let len = places * bands;
    subject.each(
        &outputs,
        &[],
        said.len(),
        |row, parts| {
            let (k, inserted, step) = (row / (2 * points), row / points % 2 == 1, row % points);
            let (first, rest) = orders[k].split_at(step * places / settings.steps);
            parts[0].copy_from_slice(&flat[k * len..(k + 1) * len]);
            for &place in if inserted { rest } else { first } {
                parts[0][place * bands..(place + 1) * bands].copy_from_slice(&fill);
            }
        },
        |row, found| said[row] = resolved.prediction(row / (2 * points), found[0]),
    )?;
    let curves = said.chunks(2 * points).map(|both| Curves {
        deletion: both[..points].to_vec(),
        insertion: both[points..].to_vec(),
    });
    Ok(curves.collect())
}

/// Places in falling order of importance; equal ones in their order.
fn ranked(map: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..map.len()).collect();
    order.sort_by(|&a, &b| map[b].total_cmp(&map[a]).then(a.cmp(&b)));
    order
}

/// A map `[N, …]` in the shape of `like` that says nothing: ranks in random order, to compare others with.
pub fn random_map(like: &ArrayD<f32>, seed: u64) -> ArrayD<f32> {
    let count = like.shape().first().copied().unwrap_or(1).max(1);
    let places = like.len() / count;
    let ranks = (0..count).flat_map(|k| permutation(places, &mut rng(seed, k as u64, 0, Purpose::Order)));
    let ranks: Vec<f32> = ranks.map(|rank| rank as f32).collect();
    ArrayD::from_shape_vec(like.raw_dim(), ranks).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_means_over_shares() {
        assert_eq!(area(&[1.0, 1.0, 1.0]), 1.0);
        assert_eq!(area(&[1.0, 0.0, 0.0, 0.0, 0.0]), 0.125);
    }
}
