//! Learned vectors for words and other categories.

use graph::ops::Gather;
use graph::{GraphError, Init, Scope, Symbol};

use super::named;
use crate::{Fans, Initialiser};

/// A row of a learned table `[entries, width]` for each index: `[N, L]` to `[N, L, width]`.
///
/// An index that is no row of the table gives zeros.
///
/// ```
/// use graticule_nn::prelude::*;
/// let words = Symbol::input("words", [20]);
/// assert_eq!(Embedding::new(5000, 16).on(&words)?.shape()[..], [1, 20, 16]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    entries: usize,
    width: usize,
    init: Option<Initialiser>,
    name: Option<String>,
}

named!(Embedding);

impl Embedding {
    /// A table of `entries` vectors of `width` numbers.
    pub fn new(entries: usize, width: usize) -> Self {
        Self {
            entries,
            width,
            init: None,
            name: None,
        }
    }

    /// How the table is filled; a standard Gaussian unless given.
    pub fn init(mut self, init: Initialiser) -> Self {
        self.init = Some(init);
        self
    }

    /// The vectors of `indices`.
    ///
    /// # Errors
    /// When the table has no entries.
    pub fn on(&self, indices: &Symbol) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("embedding", self.name.as_deref());
        if self.entries * self.width == 0 {
            let message = format!("a table of {} × {} holds nothing", self.entries, self.width);
            return Err(GraphError::shape("embedding", message));
        }
        let fans = Fans {
            fan_in: self.entries,
            fan_out: self.width,
        };
        let init = self.init.map_or(Init::Normal(1.0), |rule| rule.resolve(fans));
        let table = Symbol::parameter("weight", [self.entries, self.width], init);
        Symbol::apply(Gather {}, &[indices, &table])
    }
}
