//! Element-wise functions of one tensor: activations (curriculum rows A1–A7) and arithmetic.

use ndarray::{ArrayD, Zip};
use serde::{Deserialize, Serialize};

use super::{Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// The function applied to each element x; y is its value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnaryKind {
    /// max(0, x)
    Relu,
    /// x for x > 0, else slope·x
    LeakyRelu(f32),
    /// x for x > 0, else α·(eˣ − 1)
    Elu(f32),
    /// min(max(0, x), 6)
    Relu6,
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// tanh x
    Tanh,
    /// x·Φ(x), Φ the Gaussian distribution function (exact, by erf)
    Gelu,
    /// x·sigmoid(x)
    Silu,
    /// ln(1 + eˣ)
    Softplus,
    /// eˣ
    Exp,
    /// ln x
    Log,
    /// √x
    Sqrt,
    /// x²
    Square,
    /// |x|; the derivative at 0 is 0
    Abs,
    /// xᵖ
    Power(f32),
}

use UnaryKind as K;

impl UnaryKind {
    /// The function itself.
    pub fn value(self, x: f64) -> f64 {
        match self {
            K::Relu => x.max(0.0),
            K::LeakyRelu(slope) => {
                if x > 0.0 {
                    x
                } else {
                    f64::from(slope) * x
                }
            }
            K::Elu(alpha) => {
                if x > 0.0 {
                    x
                } else {
                    f64::from(alpha) * x.exp_m1()
                }
            }
            K::Relu6 => x.clamp(0.0, 6.0),
            K::Sigmoid => sigmoid(x),
            K::Tanh => x.tanh(),
            K::Gelu => x * phi(x),
            K::Silu => x * sigmoid(x),
            K::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            K::Exp => x.exp(),
            K::Log => x.ln(),
            K::Sqrt => x.sqrt(),
            K::Square => x * x,
            K::Abs => x.abs(),
            K::Power(p) => x.powf(f64::from(p)),
        }
    }

    /// Whether the derivative is computed from the result y (true) or from x (false). Where both
    /// would do the result is taken: then x need not be kept.
    pub fn slope_from_result(self) -> bool {
        matches!(self, K::Relu | K::Relu6 | K::Sigmoid | K::Tanh | K::Exp | K::Sqrt)
    }

    /// The derivative at `v`, which is y or x as [`Self::slope_from_result`] says.
    pub fn slope(self, v: f64) -> f64 {
        match self {
            K::Relu => f64::from(v > 0.0),
            K::LeakyRelu(slope) => {
                if v > 0.0 {
                    1.0
                } else {
                    slope.into()
                }
            }
            K::Elu(alpha) => {
                if v > 0.0 {
                    1.0
                } else {
                    f64::from(alpha) * v.exp()
                }
            }
            K::Relu6 => f64::from(v > 0.0 && v < 6.0),
            K::Sigmoid => v * (1.0 - v),
            K::Tanh => 1.0 - v * v,
            K::Gelu => phi(v) + v * (-0.5 * v * v).exp() / (2.0 * std::f64::consts::PI).sqrt(),
            K::Silu => sigmoid(v) * (1.0 + v * (1.0 - sigmoid(v))),
            K::Softplus => sigmoid(v),
            K::Exp => v,
            K::Log => v.recip(),
            K::Sqrt => 0.5 / v,
            K::Square => 2.0 * v,
            K::Abs => {
                if v == 0.0 {
                    0.0
                } else {
                    v.signum()
                }
            }
            K::Power(p) => f64::from(p) * v.powf(f64::from(p) - 1.0),
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The distribution function of the standard Gaussian.
fn phi(x: f64) -> f64 {
    0.5 * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

/// `kind` applied to each element.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Unary {
    /// The function.
    pub kind: UnaryKind,
}

/// `g · kind'`: operand 0 is the gradient g, operand 1 the result or argument of the function, as
/// [`UnaryKind::slope_from_result`] says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UnaryGradient {
    /// The function whose derivative is taken.
    pub kind: UnaryKind,
}

/// `scale · x + shift` with two fixed numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Affine {
    /// The factor.
    pub scale: f32,
    /// The summand.
    pub shift: f32,
}

impl Operation for Unary {
    fn name(&self) -> &'static str {
        match self.kind {
            K::Relu => "relu",
            K::LeakyRelu(_) => "leaky_relu",
            K::Elu(_) => "elu",
            K::Relu6 => "relu6",
            K::Sigmoid => "sigmoid",
            K::Tanh => "tanh",
            K::Gelu => "gelu",
            K::Silu => "silu",
            K::Softplus => "softplus",
            K::Exp => "exp",
            K::Log => "log",
            K::Sqrt => "sqrt",
            K::Square => "square",
            K::Abs => "abs",
            K::Power(_) => "power",
        }
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x] = operands(self.name(), inputs)?;
        Ok(x.clone())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        let from = if self.kind.slope_from_result() {
            node
        } else {
            &node.inputs()[0]
        };
        Ok(Some(Symbol::apply(
            UnaryGradient { kind: self.kind },
            &[g, from],
        )?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], _: &Shape) -> ArrayD<f64> {
        inputs[0].mapv(|x| self.kind.value(x))
    }
}

impl Operation for UnaryGradient {
    fn name(&self) -> &'static str {
        "unary_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [g, v] = operands(self.name(), inputs)?;
        if g != v {
            return Err(GraphError::shape(
                self.name(),
                format!("gradient {g} and operand {v} differ in shape"),
            ));
        }
        Ok(g.clone())
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], _: &Shape) -> ArrayD<f64> {
        let mut result = inputs[0].clone();
        Zip::from(&mut result)
            .and(inputs[1])
            .for_each(|r, &v| *r *= self.kind.slope(v));
        result
    }
}

impl Operation for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x] = operands(self.name(), inputs)?;
        Ok(x.clone())
    }
    fn gradient(&self, _: &Symbol, g: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        Ok(Some(g.affine(self.scale, 0.0)?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], _: &Shape) -> ArrayD<f64> {
        inputs[0].mapv(|x| f64::from(self.scale) * x + f64::from(self.shift))
    }
}
