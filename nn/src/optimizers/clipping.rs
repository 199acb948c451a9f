//! Gradient clipping: limits on how far one step may go.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::{ParseError, Parts, name_of};

/// How gradients are limited before a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GradientClipping {
    /// All gradients are scaled down together when their Euclidean norm exceeds this.
    Norm(f64),
    /// Each number is cut to ± this.
    Value(f64),
}

impl GradientClipping {
    /// Clips `gradients`, all of the network's, in place. The norm they had is returned.
    ///
    /// ```
    /// use graticule_nn::GradientClipping;
    /// let mut gradients = [3.0, 4.0];
    /// assert_eq!(GradientClipping::Norm(1.0).apply(&mut gradients), 5.0);
    /// assert!((gradients[0] - 0.6).abs() < 1e-6);
    /// ```
    pub fn apply(&self, gradients: &mut [f32]) -> f64 {
        let norm = global_norm(gradients);
        match *self {
            Self::Norm(most) => {
                let scale = clip_scale(norm, most);
                gradients.iter_mut().for_each(|g| *g *= scale);
            }
            Self::Value(most) => clip_by_value(gradients, most as f32),
        }
        norm
    }
}

impl FromStr for GradientClipping {
    type Err = ParseError;

    /// Reads `norm:1` or `value:0.5`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        const NAMES: &str = "norm:1, value:0.5";
        let mut parts = Parts::new(text, NAMES);
        let mut limit = || parts.number_that(None, |l: f64| l > 0.0, "greater than 0");
        let clipping = match name_of(text).as_str() {
            "norm" => Self::Norm(limit()?),
            "value" => Self::Value(limit()?),
            _ => {
                return Err(ParseError::Unknown {
                    what: "a gradient clipping",
                    found: text.into(),
                    expected: NAMES,
                });
            }
        };
        parts.end().map(|()| clipping)
    }
}

/// Elements whose squares are summed on their own; sums of such chunks may come from any threads
/// and are added in their order.
const CHUNK: usize = 1 << 14;

/// √Σg² in f64, in an order that depends on nothing but the length.
pub fn global_norm(gradients: &[f32]) -> f64 {
    gradients.chunks(CHUNK).map(square_sum).sum::<f64>().sqrt()
}

/// Σg² of one chunk in f64, in eight partial sums that the compiler keeps in vector registers.
pub fn square_sum(chunk: &[f32]) -> f64 {
    let mut sums = [0.0f64; 8];
    let eights = chunk.chunks_exact(8);
    for (sum, &g) in sums.iter_mut().zip(eights.remainder()) {
        *sum = f64::from(g) * f64::from(g);
    }
    for eight in eights {
        for (sum, &g) in sums.iter_mut().zip(eight) {
            *sum += f64::from(g) * f64::from(g);
        }
    }
    sums.iter().sum()
}

/// The factor that brings a norm down to `most`, 1 if it is below (PyTorch's
/// `clip_grad_norm_`: most/(norm + 1e-6)).
pub fn clip_scale(norm: f64, most: f64) -> f32 {
    (most / (norm + 1e-6)).min(1.0) as f32
}

/// Cuts each number to ±`most`.
pub fn clip_by_value(gradients: &mut [f32], most: f32) {
    gradients
        .iter_mut()
        .for_each(|g| *g = g.clamp(-most.abs(), most.abs()));
}
