//! Mixup: each sample becomes a weighted mean of itself and a partner of its batch, and so do the targets.

use crate::random::{Purpose, rng};
use rand::RngExt;
use rand_distr::{Beta, Distribution};

/// Mixes the samples of a batch (Zhang et al. 2018): `x = λ xᵢ + (1 − λ) xⱼ` with λ from Beta(alpha, alpha).
/// Weight and partner are keyed by (seed, epoch, sample), and the partner is one of the batch.
pub(crate) fn mix_batch(
    alpha: f32,
    (seed, epoch): (u64, u64),
    indices: &[usize],
    inputs: &mut [f32],
    targets: &mut [f32],
) {
    let Ok(beta) = Beta::new(alpha, alpha) else { return };
    if indices.is_empty() {
        return;
    }
    let draws: Vec<(usize, f32)> = indices
        .iter()
        .map(|&sample| {
            let mut rng = rng(seed, epoch, sample as u64, Purpose::Mixup);
            let partner = ((rng.random::<f64>() * indices.len() as f64) as usize).min(indices.len() - 1);
            (partner, beta.sample(&mut rng))
        })
        .collect();
    mix(&draws, inputs);
    mix(&draws, targets);
}

fn mix(draws: &[(usize, f32)], values: &mut [f32]) {
    let width = values.len() / draws.len();
    let before = values.to_vec();
    for (row, &(partner, weight)) in values.chunks_exact_mut(width.max(1)).zip(draws) {
        let other = &before[partner * width..(partner + 1) * width];
        for (value, &other) in row.iter_mut().zip(other) {
            *value = weight * *value + (1.0 - weight) * other;
        }
    }
}
