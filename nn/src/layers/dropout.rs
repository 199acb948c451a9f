//! Dropout.

use graph::ops::Dropout as Op;
use graph::{GraphError, Scope, Symbol};

/// In training each number is zero with probability `rate`, and 1/(1 − rate) times itself
/// otherwise; at test time nothing happens (curriculum rows L36, R2; Srivastava et al. 2014).
///
/// ```
/// use graticule_nn::prelude::*;
/// let x = Symbol::input("x", [256]);
/// assert_eq!(Dropout::new(0.5).on(&x)?.shape(), x.shape());
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    rate: f32,
}

impl Dropout {
    /// Drops with probability `rate`, in [0, 1].
    pub fn new(rate: f32) -> Self {
        Self { rate }
    }

    /// `x` with holes in training, `x` otherwise.
    ///
    /// # Errors
    /// When the rate is no probability.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("dropout", None);
        Symbol::apply(Op { rate: self.rate }, &[x])
    }
}
