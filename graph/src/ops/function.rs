//! Functions of one number that networks seldom use: trigonometry, rounding, tests.

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::{Operation, UnaryKind, operands};
use crate::{GraphError, Shape, Symbol};

/// The function applied to each element x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FunctionKind {
    /// sin x
    Sin,
    /// cos x
    Cos,
    /// tan x
    Tan,
    /// arcsin x
    Asin,
    /// arccos x
    Acos,
    /// arctan x
    Atan,
    /// sinh x
    Sinh,
    /// cosh x
    Cosh,
    /// arsinh x
    Asinh,
    /// arcosh x
    Acosh,
    /// artanh x
    Atanh,
    /// erf x = 2/√π · ∫₀ˣ e^(−t²) dt
    Erf,
    /// ⌊x⌋
    Floor,
    /// ⌈x⌉
    Ceil,
    /// The nearest whole number, of two the even one.
    Round,
    /// x without what stands behind the point.
    Truncate,
    /// −1, 0 or 1
    Sign,
    /// 1 where x is no number
    IsNan,
    /// 1 where x is +∞
    IsPlusInfinity,
    /// 1 where x is −∞
    IsMinusInfinity,
}

use FunctionKind as K;

impl FunctionKind {
    /// The function itself.
    pub fn value(self, x: f64) -> f64 {
        match self {
            K::Sin => x.sin(),
            K::Cos => x.cos(),
            K::Tan => x.tan(),
            K::Asin => x.asin(),
            K::Acos => x.acos(),
            K::Atan => x.atan(),
            K::Sinh => x.sinh(),
            K::Cosh => x.cosh(),
            K::Asinh => x.asinh(),
            K::Acosh => x.acosh(),
            K::Atanh => x.atanh(),
            K::Erf => libm::erf(x),
            K::Floor => x.floor(),
            K::Ceil => x.ceil(),
            K::Round => x.round_ties_even(),
            K::Truncate => x.trunc(),
            K::Sign if x == 0.0 || x.is_nan() => x,
            K::Sign => x.signum(),
            K::IsNan => f64::from(x.is_nan()),
            K::IsPlusInfinity => f64::from(x == f64::INFINITY),
            K::IsMinusInfinity => f64::from(x == f64::NEG_INFINITY),
        }
    }

    fn name(self) -> &'static str {
        match self {
            K::Sin => "sin",
            K::Cos => "cos",
            K::Tan => "tan",
            K::Asin => "asin",
            K::Acos => "acos",
            K::Atan => "atan",
            K::Sinh => "sinh",
            K::Cosh => "cosh",
            K::Asinh => "asinh",
            K::Acosh => "acosh",
            K::Atanh => "atanh",
            K::Erf => "erf",
            K::Floor => "floor",
            K::Ceil => "ceil",
            K::Round => "round",
            K::Truncate => "truncate",
            K::Sign => "sign",
            K::IsNan => "is_nan",
            K::IsPlusInfinity => "is_plus_infinity",
            K::IsMinusInfinity => "is_minus_infinity",
        }
    }

    /// What the derivative is multiplied or divided by; `None` where it is 0 wherever it exists.
    fn slope(self, x: &Symbol, y: &Symbol) -> Result<Option<Slope>, GraphError> {
        let of = |kind| Symbol::apply(Function { kind }, &[x]);
        let squares = |sign: f32, shift: f32| x.unary(UnaryKind::Square)?.affine(sign, shift);
        Ok(Some(match self {
            K::Sin => Slope::Times(of(K::Cos)?),
            K::Cos => Slope::Times(of(K::Sin)?.neg()?),
            K::Tan => Slope::Times(y.unary(UnaryKind::Square)?.affine(1.0, 1.0)?),
            K::Asin => Slope::Over(squares(-1.0, 1.0)?.unary(UnaryKind::Sqrt)?),
            K::Acos => Slope::Over(squares(-1.0, 1.0)?.unary(UnaryKind::Sqrt)?.neg()?),
            K::Atan => Slope::Over(squares(1.0, 1.0)?),
            K::Sinh => Slope::Times(of(K::Cosh)?),
            K::Cosh => Slope::Times(of(K::Sinh)?),
            K::Asinh => Slope::Over(squares(1.0, 1.0)?.unary(UnaryKind::Sqrt)?),
            K::Acosh => Slope::Over(squares(1.0, -1.0)?.unary(UnaryKind::Sqrt)?),
            K::Atanh => Slope::Over(squares(-1.0, 1.0)?),
            K::Erf => {
                let bell = squares(-1.0, 0.0)?.unary(UnaryKind::Exp)?;
                Slope::Times(bell.affine(std::f32::consts::FRAC_2_SQRT_PI, 0.0)?)
            }
            _ => return Ok(None),
        }))
    }
}

enum Slope {
    Times(Symbol),
    Over(Symbol),
}

/// `kind` applied to each element. Steps and tests pass no gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Function {
    /// The function.
    pub kind: FunctionKind,
}

impl Operation for Function {
    fn name(&self) -> &'static str {
        self.kind.name()
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x] = operands(self.name(), inputs)?;
        Ok(x.clone())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        Ok(match self.kind.slope(&node.inputs()[0], node)? {
            Some(Slope::Times(slope)) => Some(g.mul(&slope)?),
            Some(Slope::Over(slope)) => Some(g.div(&slope)?),
            None => None,
        })
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], _: &Shape) -> ArrayD<f64> {
        inputs[0].mapv(|x| self.kind.value(x))
    }
}
