//! Integrated gradients (Sundararajan, Taly & Yan 2017).

use ndarray::ArrayD;

use crate::explanation::summed;
use crate::gradient::{Slope, plain};
use crate::method::Question;
use crate::{Completeness, ExplainError, Explanation, Fill, Subject};

/// (x − x′) · ∫₀¹ ∂score/∂x at x′ + α(x − x′) dα, the integral by Gauss and Legendre's rule; the map is the sum of the bands.
///
/// The attributions sum to score(x) − score(x′); how nearly they do is in [`Explanation::completeness`]. A network of
/// ReLUs has gradients with steps, for which more points help slowly.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegratedGradients {
    /// Points of the integral.
    pub steps: usize,
    /// x′.
    pub baseline: Fill,
}

impl Default for IntegratedGradients {
    /// 50 points from the mean of the training samples.
    fn default() -> Self {
        Self {
            steps: 50,
            baseline: Fill::default(),
        }
    }
}

pub(crate) fn explain(
    subject: &mut Subject,
    question: &Question,
    settings: &IntegratedGradients,
) -> Result<Explanation, ExplainError> {
    let steps = settings.steps;
    if !(1..=10_000).contains(&steps) {
        return Err(ExplainError::setting(
            "steps",
            steps,
            "1 to 10000 points of the integral",
        ));
    }
    let bands = question.inputs.shape().last().copied().unwrap_or(1);
    let baseline = settings.baseline.bands(bands)?;
    let points = gauss_legendre(steps);
    let slope = Slope::new(
        subject.scores(),
        &subject.model().input().clone(),
        "integrated",
        &plain,
    )?;
    let len = question.len();
    let mut mean = vec![0.0f64; question.inputs.len()];
    subject.each(
        &[slope.gradient],
        &[slope.weights],
        question.count() * steps,
        |row, parts| {
            let (k, alpha) = (row / steps, points[row % steps].0 as f32);
            let values = question.sample(k).iter().zip(baseline.iter().cycle());
            for (x, (value, base)) in parts[0].iter_mut().zip(values) {
                *x = base + alpha * (value - base);
            }
            question.resolved.weights(k, parts[1]);
        },
        |row, found| {
            let (k, weight) = (row / steps, points[row % steps].1);
            let sums = &mut mean[k * len..(k + 1) * len];
            sums.iter_mut()
                .zip(found[0])
                .for_each(|(sum, &g)| *sum += weight * f64::from(g));
        },
    )?;
    let at_baseline = scores_at(subject, question, &baseline)?;
    let mut attributions = ArrayD::zeros(question.inputs.raw_dim());
    let numbers = attributions.iter_mut().zip(question.inputs).zip(&mean);
    let mut sums = vec![0.0; question.count()];
    for (place, ((to, &x), slope)) in numbers.enumerate() {
        let share = f64::from(x - baseline[place % bands]) * slope;
        sums[place / len] += share;
        *to = share as f32;
    }
    let difference = |k: usize| f64::from(question.answers.scores[k]) - f64::from(at_baseline[k]);
    let completeness = sums.iter().enumerate().map(|(k, &sum)| Completeness {
        sum,
        difference: difference(k),
    });
    Ok(Explanation {
        completeness: Some(completeness.collect()),
        map: summed(&attributions),
        attributions: Some(attributions),
        ..Explanation::of(Default::default())
    })
}

/// The target's score of the baseline, for each sample's target.
fn scores_at(subject: &mut Subject, question: &Question, baseline: &[f32]) -> Result<Vec<f32>, ExplainError> {
    let mut scores = Vec::new();
    let outputs = [subject.scores().clone()];
    subject.each(
        &outputs,
        &[],
        1,
        |_, parts| {
            parts[0]
                .iter_mut()
                .zip(baseline.iter().cycle())
                .for_each(|(x, &base)| *x = base);
        },
        |_, found| scores = found[0].to_vec(),
    )?;
    Ok((0..question.count())
        .map(|k| question.resolved.score(k, &scores))
        .collect())
}

/// Points in (0, 1) and weights, which sum to 1, of the rule that is exact for polynomials of degree 2n − 1.
fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let point = |i: usize| {
        // Newton's method from Tricomi's estimate of the i-th root.
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..100 {
            let (value, below) = legendre(n, x);
            slope = n as f64 * (x * value - below) / (x * x - 1.0);
            let step = value / slope;
            x -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        (0.5 * (1.0 - x), 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(point).collect()
}

/// Pₙ(x) and Pₙ₋₁(x).
fn legendre(n: usize, x: f64) -> (f64, f64) {
    (2..=n).fold(if n == 0 { (1.0, 0.0) } else { (x, 1.0) }, |(p, below), k| {
        let k = k as f64;
        (((2.0 * k - 1.0) * x * p - (k - 1.0) * below) / k, p)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_exact_for_polynomials() {
        for n in [1, 2, 5, 50] {
            let rule = gauss_legendre(n);
            for power in 0..2 * n as i32 {
                let integral: f64 = rule.iter().map(|(x, w)| w * x.powi(power)).sum();
                assert!(
                    (integral - 1.0 / f64::from(power + 1)).abs() < 1e-12,
                    "{n} points, x^{power}: {integral}"
                );
            }
        }
    }
}
