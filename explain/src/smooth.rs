//! SmoothGrad (Smilkov et al. 2017): the gradient, averaged over noisy copies of the input.

use ndarray::ArrayD;
use rand::RngExt;
use rand_distr::StandardNormal;

use crate::explanation::largest;
use crate::gradient::{Slope, plain};
use crate::method::Question;
use crate::random::{Purpose, rng};
use crate::{ExplainError, Explanation, Subject};

/// (1/n) Σᵢ ∂score/∂x at x + εᵢ, ε Gaussian with a deviation of `noise` times the range of the sample's numbers.
/// The map is the largest magnitude of the bands.
#[derive(Debug, Clone, PartialEq)]
pub struct SmoothGrad {
    /// How many noisy copies.
    pub samples: usize,
    /// The noise's deviation, as a share of largest minus smallest number of the sample.
    pub noise: f32,
}

impl Default for SmoothGrad {
    /// 50 copies and 15 % noise; the paper advises 10 to 20 %.
    fn default() -> Self {
        Self {
            samples: 50,
            noise: 0.15,
        }
    }
}

pub(crate) fn explain(
    subject: &mut Subject,
    question: &Question,
    settings: &SmoothGrad,
) -> Result<Explanation, ExplainError> {
    let SmoothGrad { samples, noise } = *settings;
    if samples == 0 {
        return Err(ExplainError::setting("noisy copies", samples, "at least 1"));
    }
    if !(noise >= 0.0 && noise.is_finite()) {
        return Err(ExplainError::setting(
            "noise",
            noise,
            "a share of the range, 0 or more",
        ));
    }
    let slope = Slope::new(
        subject.scores(),
        &subject.model().input().clone(),
        "smoothgrad",
        &plain,
    )?;
    let seed = subject.key();
    let len = question.len();
    let deviations: Vec<f32> = (0..question.count())
        .map(|k| noise * range(question.sample(k)))
        .collect();
    let mut mean = ArrayD::zeros(question.inputs.raw_dim());
    let sums: &mut [f32] = mean.as_slice_mut().unwrap_or_default();
    subject.each(
        &[slope.gradient],
        &[slope.weights],
        question.count() * samples,
        |row, parts| {
            let (k, draw) = (row / samples, row % samples);
            let mut random = rng(seed, k as u64, draw as u64, Purpose::Noise);
            for (x, &value) in parts[0].iter_mut().zip(question.sample(k)) {
                *x = value + deviations[k] * random.sample::<f32, _>(StandardNormal);
            }
            question.resolved.weights(k, parts[1]);
        },
        |row, found| {
            let k = row / samples;
            let sums = &mut sums[k * len..(k + 1) * len];
            sums.iter_mut()
                .zip(found[0])
                .for_each(|(sum, g)| *sum += g / samples as f32);
        },
    )?;
    Ok(Explanation {
        map: largest(&mean),
        attributions: Some(mean),
        ..Explanation::of(Default::default())
    })
}

fn range(values: &[f32]) -> f32 {
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    most - least
}
