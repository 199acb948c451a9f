//! How easily a network is fooled (row E6): small changes of a picture, and patches that work in any picture.
//!
//! All sizes are in units of pixels between 0 (black) and 1 (white), whatever numbers the network reads, and what comes
//! out are pictures again: no pixel leaves 0 to 1.

mod adversary;
mod moves;
mod patch;

use crate::ExplainError;

pub use adversary::{Adversary, Pixels};
pub use patch::{Patch, PatchPlan, Placement, learn_patch};

/// How the size of a change δ is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Norm {
    /// max |δ|: no value of a pixel changes by more.
    #[default]
    Max,
    /// √Σ δ²: over all values of the picture together.
    Euclidean,
}

impl Norm {
    /// How it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::Euclidean => "l2",
        }
    }
}

/// What the change is to bring about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Goal {
    /// Any other answer than the label: the loss of the label rises.
    #[default]
    Away,
    /// The answer that is given in place of the label: its loss falls.
    Towards,
}

/// How a change of bounded size is found.
///
/// From x₀ (or a random place within ε of it) go `steps` times along the gradient g of the cross-entropy with respect
/// to the pixels, and come back into the ball and to valid pixels after each:
/// x ← clip(x₀ + project_ε(x + α·d − x₀), 0, 1), with d = sign g in the norm `max` and d = g/‖g‖₂ in `l2`.
///
/// One step of ε without a random start is FGSM (Goodfellow, Shlens & Szegedy 2014); more are PGD (Madry et al. 2017);
/// none at all, with a random start, is noise of the same size, which any attack must beat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attack {
    /// What `epsilon` measures.
    pub norm: Norm,
    /// The largest change ε.
    pub epsilon: f32,
    /// Steps along the gradient.
    pub steps: usize,
    /// α as a share of ε.
    pub stride: f32,
    /// Whether to begin at a random place of the ball.
    pub random_start: bool,
}

impl Attack {
    /// One step of the whole size.
    pub fn fgsm(norm: Norm, epsilon: f32) -> Self {
        Self {
            norm,
            epsilon,
            steps: 1,
            stride: 1.0,
            random_start: false,
        }
    }

    /// Several steps, together 2.5 times as long as the way from the middle to the edge, from a random start.
    pub fn pgd(norm: Norm, epsilon: f32, steps: usize) -> Self {
        Self {
            norm,
            epsilon,
            steps,
            stride: (2.5 / steps.max(1) as f32).min(1.0),
            random_start: true,
        }
    }

    /// Noise of that size: every value moves by ±ε (`max`), or in a random direction by ε (`l2`).
    pub fn noise(norm: Norm, epsilon: f32) -> Self {
        Self {
            norm,
            epsilon,
            steps: 0,
            stride: 0.0,
            random_start: true,
        }
    }

    /// Whether the numbers make sense.
    ///
    /// # Errors
    /// [`ExplainError::Setting`] for a size that is negative or no number.
    pub fn check(&self) -> Result<(), ExplainError> {
        let bad = |v: f32| !(v.is_finite() && v >= 0.0);
        if bad(self.epsilon) || (self.norm == Norm::Max && self.epsilon > 1.0) {
            let expected =
                "a number from 0 to 1 (pixels lie between 0 and 1; in the norm l2 it may be larger)";
            return Err(ExplainError::setting("epsilon", self.epsilon, expected));
        }
        match bad(self.stride) {
            true => Err(ExplainError::setting("stride", self.stride, "a number from 0 on")),
            false => Ok(()),
        }
    }
}
