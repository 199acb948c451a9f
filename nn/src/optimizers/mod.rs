//! Optimizers (curriculum rows O1–O7): how gradients move parameters.

mod clipping;
mod rules;

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use clipping::{GradientClipping, clip_by_value, clip_scale, global_norm, square_sum};

pub use graph::Movement;

use crate::text::{ParseError, Parts, name_of};

/// A rule of descent, with PyTorch's meanings and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule {
    /// p ← p − η·g, or with momentum p ← p − η·b, b ← μ·b + (1 − dampening)·g. The batch decides
    /// whether it is batch (O1) or stochastic (O2) gradient descent.
    Sgd {
        /// μ (O3); 0 is plain descent.
        momentum: f64,
        /// What is taken off the gradient's share in b.
        dampening: f64,
        /// Steps along g + μ·b instead of b (Nesterov).
        nesterov: bool,
    },
    /// s ← s + g²; p ← p − η/(1 + (t − 1)·decay) · g/(√s + ε) (O4; Duchi et al. 2011).
    Adagrad {
        /// How the learning rate falls with the steps.
        learning_rate_decay: f64,
        /// ε
        epsilon: f64,
    },
    /// s ← ρ·s + (1 − ρ)·g²; Δ = g·√(u + ε)/√(s + ε); u ← ρ·u + (1 − ρ)·Δ²; p ← p − η·Δ (O6; Zeiler 2012).
    Adadelta {
        /// ρ
        rho: f64,
        /// ε
        epsilon: f64,
    },
    /// s ← α·s + (1 − α)·g²; p ← p − η·g/(√s + ε), with optional momentum and centring (O5).
    #[serde(rename = "rmsprop")]
    RmsProp {
        /// α
        alpha: f64,
        /// ε
        epsilon: f64,
        /// Momentum of the scaled gradient; 0 for none.
        momentum: f64,
        /// Takes the variance instead of the mean square.
        centered: bool,
    },
    /// m ← β₁·m + (1 − β₁)·g; v ← β₂·v + (1 − β₂)·g²; p ← p − η·m̂/(√v̂ + ε) with
    /// m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ) (O7; Kingma & Ba 2015). Weight decay joins the gradient.
    Adam {
        /// β₁
        beta1: f64,
        /// β₂
        beta2: f64,
        /// ε
        epsilon: f64,
    },
    /// Adam with decay apart from the gradient: p ← (1 − η·λ)·p first (Loshchilov & Hutter 2019).
    #[serde(rename = "adamw")]
    AdamW {
        /// β₁
        beta1: f64,
        /// β₂
        beta2: f64,
        /// ε
        epsilon: f64,
    },
}

/// Which parameters decay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecayScope {
    /// Parameters of two axes and more: weights, but no biases and no normalisation scales.
    #[default]
    Matrices,
    /// All, as PyTorch does unless told otherwise.
    All,
}

/// A rule and its weight decay: all that an optimizer is, as plain data. What it remembers of each
/// parameter is the caller's, so that it lies where the caller wants it and is saved with a run.
///
/// ```
/// use graticule_nn::Optimizer;
/// let optimizer = Optimizer::sgd().momentum(0.9);
/// let (mut weights, mut velocity) = ([1.0, -2.0], [0.0; 2]);
/// for step in 1..=2 {
///     optimizer.update(step, 0.1, &mut weights, &[0.5, 0.5], &mut [&mut velocity])?;
/// }
/// assert!((weights[0] - (1.0 - 0.05 - 0.095_f32)).abs() < 1e-6);
/// # Ok::<(), graticule_nn::OptimizerError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Optimizer {
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// λ: added to the gradient as λ·p, or for AdamW taken off the parameter as η·λ·p.
    #[serde(default)]
    pub weight_decay: f64,
    /// Which parameters decay.
    #[serde(default)]
    pub decay_scope: DecayScope,
}

/// Slices that an optimizer cannot work on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OptimizerError {
    /// Another number of state slots than the rule keeps.
    #[error(
        "{rule} keeps {expected} numbers for each parameter, found room for {found}; ask `state_slots()`"
    )]
    Slots {
        /// The rule's name.
        rule: &'static str,
        /// What it keeps.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// Slices of different lengths.
    #[error("{parameters} parameters, {other} numbers of {what}; the lengths must be equal")]
    Lengths {
        /// Number of parameters.
        parameters: usize,
        /// Number of the others.
        other: usize,
        /// Which others.
        what: &'static str,
    },
}

impl Optimizer {
    fn new(rule: Rule, weight_decay: f64) -> Self {
        Self {
            rule,
            weight_decay,
            decay_scope: DecayScope::default(),
        }
    }

    /// Plain gradient descent.
    pub fn sgd() -> Self {
        let rule = Rule::Sgd {
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
        };
        Self::new(rule, 0.0)
    }

    /// Adagrad with ε = 1e-10.
    pub fn adagrad() -> Self {
        let rule = Rule::Adagrad {
            learning_rate_decay: 0.0,
            epsilon: 1e-10,
        };
        Self::new(rule, 0.0)
    }

    /// Adadelta with ρ = 0.9, ε = 1e-6.
    pub fn adadelta() -> Self {
        let rule = Rule::Adadelta {
            rho: 0.9,
            epsilon: 1e-6,
        };
        Self::new(rule, 0.0)
    }

    /// RMSprop with α = 0.99, ε = 1e-8.
    pub fn rms_prop() -> Self {
        let rule = Rule::RmsProp {
            alpha: 0.99,
            epsilon: 1e-8,
            momentum: 0.0,
            centered: false,
        };
        Self::new(rule, 0.0)
    }

    /// Adam with β = (0.9, 0.999), ε = 1e-8.
    pub fn adam() -> Self {
        let rule = Rule::Adam {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        };
        Self::new(rule, 0.0)
    }

    /// AdamW with β = (0.9, 0.999), ε = 1e-8, weight decay 0.01.
    pub fn adamw() -> Self {
        let rule = Rule::AdamW {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        };
        Self::new(rule, 0.01)
    }

    /// With momentum, where the rule has one (SGD, RMSprop).
    pub fn momentum(mut self, value: f64) -> Self {
        if let Rule::Sgd { momentum, .. } | Rule::RmsProp { momentum, .. } = &mut self.rule {
            *momentum = value;
        }
        self
    }

    /// With Nesterov's look ahead (SGD).
    pub fn nesterov(mut self) -> Self {
        if let Rule::Sgd { nesterov, .. } = &mut self.rule {
            *nesterov = true;
        }
        self
    }

    /// With this weight decay.
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// On these parameters.
    pub fn decay_scope(mut self, scope: DecayScope) -> Self {
        self.decay_scope = scope;
        self
    }

    /// The weight decay of a parameter with `rank` axes.
    pub fn decay_of(&self, rank: usize) -> f64 {
        match self.decay_scope {
            DecayScope::Matrices if rank < 2 => 0.0,
            _ => self.weight_decay,
        }
    }

    /// The learning rate that PyTorch's optimizer of this name starts with (SGD: 0.01, the
    /// customary one).
    pub fn default_learning_rate(&self) -> f64 {
        match self.rule {
            Rule::Sgd { .. } | Rule::Adagrad { .. } | Rule::RmsProp { .. } => 0.01,
            Rule::Adadelta { .. } => 1.0,
            Rule::Adam { .. } | Rule::AdamW { .. } => 0.001,
        }
    }

    /// The rule's name, as it is read.
    pub fn name(&self) -> &'static str {
        match self.rule {
            Rule::Sgd { .. } => "sgd",
            Rule::Adagrad { .. } => "adagrad",
            Rule::Adadelta { .. } => "adadelta",
            Rule::RmsProp { .. } => "rmsprop",
            Rule::Adam { .. } => "adam",
            Rule::AdamW { .. } => "adamw",
        }
    }

    /// How many numbers it keeps for each parameter; all are 0 before the first step.
    pub fn state_slots(&self) -> usize {
        match self.rule {
            Rule::Sgd { momentum, .. } => usize::from(momentum != 0.0),
            Rule::Adagrad { .. } => 1,
            Rule::Adadelta { .. } | Rule::Adam { .. } | Rule::AdamW { .. } => 2,
            Rule::RmsProp {
                momentum, centered, ..
            } => 1 + usize::from(momentum != 0.0) + usize::from(centered),
        }
    }

    /// One step for some of the parameters, in place: `step` counts from 1.
    ///
    /// The elements do not know of each other: any cut into chunks, on any threads, gives the same
    /// bits. All of them decay; for parameters that shall not, use [`Optimizer::without_decay`].
    ///
    /// # Errors
    /// When the slices do not belong together; nothing has changed then.
    pub fn update(
        &self,
        step: u64,
        learning_rate: f64,
        parameters: &mut [f32],
        gradients: &[f32],
        state: &mut [&mut [f32]],
    ) -> Result<(), OptimizerError> {
        self.check(parameters.len(), gradients.len(), state)?;
        self.at(step, learning_rate).apply(parameters, gradients, state);
        Ok(())
    }

    /// The same without weight decay, for biases and normalisation scales (see [`Optimizer::decay_of`]).
    pub fn without_decay(&self) -> Self {
        self.weight_decay(0.0)
    }

    fn check(&self, parameters: usize, gradients: usize, state: &[&mut [f32]]) -> Result<(), OptimizerError> {
        if state.len() != self.state_slots() {
            return Err(OptimizerError::Slots {
                rule: self.name(),
                expected: self.state_slots(),
                found: state.len(),
            });
        }
        let others = state.iter().map(|slot| (slot.len(), "state"));
        for (other, what) in others.chain([(gradients, "gradient")]) {
            if other != parameters {
                return Err(OptimizerError::Lengths {
                    parameters,
                    other,
                    what,
                });
            }
        }
        Ok(())
    }
}

const NAMES: &str =
    "sgd, momentum:0.9, nesterov:0.9, adagrad, adadelta, rmsprop, adam, adamw:0.01 (weight decay)";

impl FromStr for Optimizer {
    type Err = ParseError;

    /// Reads `sgd`, `sgd:0.9` (momentum), `nesterov`, `adam`, `adamw:0.05` (weight decay), …
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut parts = Parts::new(text, NAMES);
        let mut share =
            |default: f64| parts.number_that(Some(default), |m| (0.0..1.0).contains(&m), "in 0..1");
        let optimizer = match name_of(text).as_str() {
            "sgd" | "gd" | "gradientdescent" => Self::sgd().momentum(share(0.0)?),
            "momentum" => Self::sgd().momentum(share(0.9)?),
            "nesterov" => Self::sgd().momentum(share(0.9)?).nesterov(),
            "adagrad" => Self::adagrad(),
            "adadelta" => Self::adadelta(),
            "rmsprop" => Self::rms_prop().momentum(share(0.0)?),
            "adam" => Self::adam().weight_decay(share(0.0)?),
            "adamw" => Self::adamw().weight_decay(share(0.01)?),
            _ => {
                return Err(ParseError::Unknown {
                    what: "an optimizer",
                    found: text.into(),
                    expected: NAMES,
                });
            }
        };
        parts.end().map(|()| optimizer)
    }
}
