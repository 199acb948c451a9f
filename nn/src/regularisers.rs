//! Penalties on the size of parameters (curriculum rows M4, R1, R6).

use graph::ops::UnaryKind;
use graph::{GraphError, Symbol};
use serde::{Deserialize, Serialize};

/// λ₁·Σ|w| + λ₂·Σw² over parameters, added to a loss.
///
/// An optimizer's weight decay does the work of λ₂ without nodes in the graph: decay `d` has the
/// gradient of λ₂ = d/2. Use a penalty where the loss that is reported must contain it.
///
/// ```
/// use graticule_nn::Penalty;
/// use graph::Symbol;
/// let w = Symbol::parameter("weight", [2], Default::default());
/// let loss = Penalty::l2(0.1).on(&Symbol::constant(1.0, []), &[w.clone()])?;
/// let w_is = ndarray::arr1(&[3.0, 4.0]).into_dyn();
/// let value = graph::interpret::evaluate(&[loss], &[(&w, w_is)], 1)?[0][[]];
/// assert!((value - (1.0 + 0.1 * 25.0)).abs() < 1e-6);
/// # Ok::<(), graph::GraphError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Penalty {
    /// λ₁, the weight of Σ|w|.
    pub l1: f32,
    /// λ₂, the weight of Σw².
    pub l2: f32,
}

impl Penalty {
    /// λ·Σ|w|
    pub fn l1(l1: f32) -> Self {
        Self { l1, l2: 0.0 }
    }

    /// λ·Σw²
    pub fn l2(l2: f32) -> Self {
        Self { l1: 0.0, l2 }
    }

    /// `loss` plus the penalty over `parameters`.
    ///
    /// # Errors
    /// None for a loss of shape `[]`.
    pub fn on(&self, loss: &Symbol, parameters: &[Symbol]) -> Result<Symbol, GraphError> {
        let mut total = loss.clone();
        for w in parameters {
            for (weight, kind) in [(self.l1, UnaryKind::Abs), (self.l2, UnaryKind::Square)] {
                if weight != 0.0 {
                    total = total.add(&w.unary(kind)?.sum()?.affine(weight, 0.0)?)?;
                }
            }
        }
        Ok(total)
    }
}
