//! The maxout layer.

use graph::ops::{Axis, ReduceKind};
use graph::{GraphError, Scope, Symbol};

use super::{Dense, axes, named};
use crate::Initialiser;

/// yᵤ = max over k of (wᵤₖᵀx + bᵤₖ) (curriculum row A8; Goodfellow et al. 2013): x `[N, in]`,
/// y `[N, units]`. The weight is `[in, pieces·units]`, piece after piece.
///
/// ```
/// use graticule_nn::prelude::*;
/// let x = Symbol::input("x", [10]);
/// assert_eq!(Maxout::new(4, 2).on(&x)?.shape()[..], [1, 4]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Maxout {
    units: usize,
    pieces: usize,
    init: Initialiser,
    name: Option<String>,
}

named!(Maxout);

impl Maxout {
    /// `units` outputs, each the largest of `pieces` linear functions.
    pub fn new(units: usize, pieces: usize) -> Self {
        Self {
            units,
            pieces,
            init: Initialiser::He(crate::Distribution::Normal),
            name: None,
        }
    }

    /// How the weights are filled; He unless given.
    pub fn init(mut self, init: Initialiser) -> Self {
        self.init = init;
        self
    }

    /// The layer's output for `x`.
    ///
    /// # Errors
    /// When `x` is not `[N, in]`, or units or pieces are 0.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("maxout", self.name.as_deref());
        axes::<2>("maxout", x, "[N, features]")?;
        let pieces = Dense::new(self.pieces * self.units)
            .init(self.init)
            .name("pieces")
            .on(x)?;
        pieces
            .reshape(&[Axis::Keep(0), Axis::Length(self.pieces), Axis::Rest])?
            .reduce(ReduceKind::Max, &[1])?
            .reshape(&[Axis::Keep(0), Axis::Keep(2)])
    }
}
