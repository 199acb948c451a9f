//! Losses (curriculum rows M1–M3): one number that says how wrong an output is.

use std::str::FromStr;

use graph::ops::{CrossEntropy, CrossEntropyTargets, Slice, UnaryKind};
use graph::{GraphError, Scope, Symbol};
use serde::{Deserialize, Serialize};

use crate::text::{ParseError, Parts, name_of};

/// What is minimised, always a mean over the batch.
///
/// ```
/// use graticule_nn::prelude::*;
/// use ndarray::arr2;
/// let (y, t) = (Symbol::input("y", [1]), Symbol::input("t", [1]));
/// let loss = Loss::SquaredError.on(&y, &t)?;
/// // Row X1: five predictions, their squared errors 0.09, 1.69 three times, 5.29.
/// let given = [
///     (&y, arr2(&[[2.7], [1.7], [-1.7], [4.3], [1.7]]).into_dyn()),
///     (&t, arr2(&[[3.0], [3.0], [-3.0], [3.0], [4.0]]).into_dyn()),
/// ];
/// let mean = graph::interpret::evaluate(&[loss], &given, 5)?[0][[]];
/// assert!((mean - 2.09).abs() < 1e-12);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Loss {
    /// Mean of (y − t)² over all elements.
    SquaredError,
    /// Mean of |y − t| over all elements.
    AbsoluteError,
    /// Mean of d²/2 where |d| = |y − t| ≤ δ, of δ·(|d| − δ/2) beyond.
    Huber {
        /// Where the parabola becomes a line.
        delta: f32,
    },
    /// Mean of −Σ q ln softmax(y) over the rows of logits `[.., K]`, weighted by the target's class.
    CrossEntropy(ClassLoss),
    /// Mean of −t ln σ(y) − (1 − t) ln(1 − σ(y)) over all logits y: binary and multi-label targets
    /// in `[0, 1]`.
    BinaryCrossEntropy,
    /// Mean of max(0, −s·y) with s = 2t − 1, targets t in {0, 1} (row M3).
    Perceptron,
}

/// The details of [`Loss::CrossEntropy`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassLoss {
    /// The share of each target that is spread evenly over all classes.
    pub label_smoothing: f32,
    /// One weight per class; all 1 if `None`.
    pub class_weights: Option<Vec<f32>>,
    /// The index that marks an element without a label.
    pub ignore_index: Option<i32>,
    /// Targets are probabilities `[.., K]` instead of indices `[..]` or `[.., 1]`.
    pub soft_targets: bool,
}

impl Loss {
    /// Cross-entropy of class indices, unweighted.
    pub fn cross_entropy() -> Self {
        Self::CrossEntropy(ClassLoss::default())
    }

    /// The loss of `output` against `target`: a scalar.
    ///
    /// Targets have the shape of the output, but for class indices (see [`ClassLoss::soft_targets`]).
    ///
    /// # Errors
    /// When the shapes do not belong together, with both.
    pub fn on(&self, output: &Symbol, target: &Symbol) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("loss", None);
        if let Self::CrossEntropy(details) = self {
            return details.on(output, target);
        }
        if output.shape() != target.shape() {
            let message = format!(
                "the network gives {}, the target has {}; they must be equal",
                output.shape(),
                target.shape()
            );
            return Err(GraphError::shape("loss", message));
        }
        self.of_elements(output, target)?.mean()
    }

    fn of_elements(&self, y: &Symbol, t: &Symbol) -> Result<Symbol, GraphError> {
        match self {
            Self::SquaredError => y.sub(t)?.unary(UnaryKind::Square),
            Self::AbsoluteError => y.sub(t)?.unary(UnaryKind::Abs),
            Self::Huber { delta } => huber(&y.sub(t)?, *delta),
            // ln(1 + eʸ) − t·y is the same sum, and finite for any logit.
            Self::BinaryCrossEntropy => y.unary(UnaryKind::Softplus)?.sub(&y.mul(t)?),
            Self::Perceptron => t.affine(-2.0, 1.0)?.mul(y)?.unary(UnaryKind::Relu),
            Self::CrossEntropy(details) => details.on(y, t),
        }
    }
}

/// With q = min(|d|, δ): q²/2 + δ·(|d| − q).
fn huber(d: &Symbol, delta: f32) -> Result<Symbol, GraphError> {
    let size = d.unary(UnaryKind::Abs)?;
    let near = size.minimum(&Symbol::constant(delta, []))?;
    let beyond = size.sub(&near)?.affine(delta, 0.0)?;
    near.unary(UnaryKind::Square)?.affine(0.5, 0.0)?.add(&beyond)
}

impl ClassLoss {
    fn on(&self, logits: &Symbol, target: &Symbol) -> Result<Symbol, GraphError> {
        let classes = logits.shape().last_axis();
        let weights = self.class_weights.clone().unwrap_or_else(|| vec![1.0; classes]);
        if weights.len() != classes {
            let message = format!("{} class weights for {classes} classes", weights.len());
            return Err(GraphError::shape("loss", message));
        }
        let op = CrossEntropy {
            label_smoothing: self.label_smoothing,
            ignore_index: self.ignore_index,
            targets: if self.soft_targets {
                CrossEntropyTargets::Probabilities
            } else {
                CrossEntropyTargets::Indices
            },
        };
        let sums = Symbol::apply(op, &[logits, target, &Symbol::constants(weights, [classes])])?;
        let part = |start| {
            let slice = Slice {
                axis: 0,
                start,
                length: 1,
                step: 1,
            };
            Symbol::apply(slice, &[&sums])?.reshape(&[])
        };
        part(0)?.div(&part(1)?)
    }
}

const NAMES: &str = "squared_error, absolute_error, huber:1, cross_entropy, cross_entropy:0.1 (label smoothing), binary_cross_entropy, perceptron";

impl FromStr for Loss {
    type Err = ParseError;

    /// Reads `squared_error` (or `mse`), `huber:0.5`, `cross_entropy:0.1`, …
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut parts = Parts::new(text, NAMES);
        let loss = match name_of(text).as_str() {
            "squarederror" | "mse" => Self::SquaredError,
            "absoluteerror" | "mae" => Self::AbsoluteError,
            "huber" => Self::Huber {
                delta: parts.number_that(Some(1.0), |d: f32| d > 0.0, "greater than 0")?,
            },
            "crossentropy" => Self::CrossEntropy(ClassLoss {
                label_smoothing: parts.number_that(Some(0.0), |s| (0.0..1.0).contains(&s), "in 0..1")?,
                ..ClassLoss::default()
            }),
            "binarycrossentropy" | "bce" => Self::BinaryCrossEntropy,
            "perceptron" => Self::Perceptron,
            _ => {
                return Err(ParseError::Unknown {
                    what: "a loss",
                    found: text.into(),
                    expected: NAMES,
                });
            }
        };
        parts.end().map(|()| loss)
    }
}
