//! Activations (curriculum rows A1–A7, A9): what stands behind a layer's linear part.

use std::fmt;
use std::str::FromStr;

use graph::ops::{Softmax, UnaryKind};
use graph::{GraphError, Init, Scope, Symbol};
use serde::{Deserialize, Serialize};

use crate::text::{ParseError, Parts, name_of};

/// A function applied to each number of a tensor (softmax: to each row of its last axis).
///
/// ```
/// use graticule_nn::Activation;
/// use graph::Symbol;
/// let a = Symbol::input("a", [3]);
/// let y = Activation::LeakyRelu(0.1).on(&a)?;
/// let x = ndarray::arr2(&[[-2.0, 0.0, 5.0]]).into_dyn();
/// let y = &graph::interpret::evaluate(&[y], &[(&a, x)], 1)?[0];
/// assert!((y[[0, 0]] + 0.2).abs() < 1e-7 && y[[0, 2]] == 5.0);
/// # Ok::<(), graph::GraphError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x
    #[default]
    Linear,
    /// max(0, x)
    Relu,
    /// x for x > 0, else slope·x; the decks use 0.1 and 0.01 (row A5)
    LeakyRelu(f32),
    /// x for x > 0, else α·(eˣ − 1)
    Elu(f32),
    /// x for x > 0, else aₖ·x with one learned aₖ per channel, 0.25 at first (He et al. 2015)
    PRelu,
    /// min(max(0, x), 6)
    Relu6,
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// tanh x
    Tanh,
    /// tanh(x)/2 + 1/2, a probability (row A3)
    ScaledTanh,
    /// eˣ / Σ eˣ over the last axis
    Softmax,
    /// x·Φ(x), Φ the Gaussian distribution function
    Gelu,
    /// x·sigmoid(x)
    Silu,
    /// ln(1 + eˣ)
    Softplus,
}

const NAMES: &str = "linear, relu, leaky_relu:0.01, elu:1, prelu, relu6, sigmoid, tanh, scaled_tanh, softmax, gelu, silu, softplus";

impl Activation {
    /// The activation of `x`, in the shape of `x`.
    ///
    /// # Errors
    /// When a softmax or a PReLU finds no last axis.
    pub fn on(self, x: &Symbol) -> Result<Symbol, GraphError> {
        let kind = match self {
            Self::Linear => return Ok(x.clone()),
            Self::PRelu => return learned_slope(x, None),
            Self::ScaledTanh => return x.unary(UnaryKind::Tanh)?.affine(0.5, 0.5),
            Self::Softmax => return Symbol::apply(Softmax {}, &[x]),
            Self::Relu => UnaryKind::Relu,
            Self::LeakyRelu(slope) => UnaryKind::LeakyRelu(slope),
            Self::Elu(alpha) => UnaryKind::Elu(alpha),
            Self::Relu6 => UnaryKind::Relu6,
            Self::Sigmoid => UnaryKind::Sigmoid,
            Self::Tanh => UnaryKind::Tanh,
            Self::Gelu => UnaryKind::Gelu,
            Self::Silu => UnaryKind::Silu,
            Self::Softplus => UnaryKind::Softplus,
        };
        x.unary(kind)
    }

    /// Whether it lets one half of its inputs (nearly) vanish, which He initialisation makes up for.
    pub fn is_rectifier(self) -> bool {
        use Activation::*;
        matches!(
            self,
            Relu | LeakyRelu(_) | Elu(_) | PRelu | Relu6 | Gelu | Silu | Softplus
        )
    }
}

pub(crate) fn learned_slope(x: &Symbol, name: Option<&str>) -> Result<Symbol, GraphError> {
    let _scope = Scope::enter("prelu", name);
    let slope = Symbol::parameter("weight", [x.shape().last_axis()], Init::Constant(0.25));
    let positive = x.unary(UnaryKind::Relu)?;
    positive.add(&x.sub(&positive)?.mul(&slope)?)
}

/// As [`FromStr`] reads it.
impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::LeakyRelu(slope) => return write!(f, "leaky_relu:{slope:?}"),
            Self::Elu(alpha) => return write!(f, "elu:{alpha:?}"),
            Self::Linear => "linear",
            Self::Relu => "relu",
            Self::PRelu => "prelu",
            Self::Relu6 => "relu6",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::ScaledTanh => "scaled_tanh",
            Self::Softmax => "softmax",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::Softplus => "softplus",
        };
        f.write_str(name)
    }
}

impl FromStr for Activation {
    type Err = ParseError;

    /// Reads `relu`, `leaky_relu:0.1`, `elu`, `tanh`, …
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut parts = Parts::new(text, NAMES);
        let activation = match name_of(text).as_str() {
            "linear" | "none" | "identity" => Self::Linear,
            "relu" => Self::Relu,
            "leakyrelu" => Self::LeakyRelu(parts.number(Some(0.01))?),
            "elu" => Self::Elu(parts.number(Some(1.0))?),
            "prelu" => Self::PRelu,
            "relu6" => Self::Relu6,
            "sigmoid" => Self::Sigmoid,
            "tanh" => Self::Tanh,
            "scaledtanh" => Self::ScaledTanh,
            "softmax" => Self::Softmax,
            "gelu" => Self::Gelu,
            "silu" | "swish" => Self::Silu,
            "softplus" => Self::Softplus,
            _ => {
                return Err(ParseError::Unknown {
                    what: "an activation",
                    found: text.into(),
                    expected: NAMES,
                });
            }
        };
        parts.end().map(|()| activation)
    }
}
