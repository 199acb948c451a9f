//! Padding as a layer of its own.

use graph::ops::{Pad2d as Op, PadMode};
use graph::{GraphError, Scope, Symbol};

/// Rows and columns around an image `[N, H, W, C]` (curriculum row I12).
///
/// ```
/// use graticule_nn::prelude::*;
/// use graph::ops::PadMode;
/// let image = Symbol::input("image", [6, 6, 3]);
/// let y = Pad2d::new([1, 1, 2, 2], PadMode::Symmetric).on(&image)?;
/// assert_eq!(y.shape()[..], [1, 8, 10, 3]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pad2d {
    op: Op,
}

impl Pad2d {
    /// `[top, bottom, left, right]` filled as `mode` says.
    pub fn new(sides: [usize; 4], mode: PadMode) -> Self {
        let op = Op { padding: sides, mode };
        Self { op }
    }

    /// The padded image.
    ///
    /// # Errors
    /// When `x` is no image, or smaller than what is mirrored.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("pad2d", None);
        Symbol::apply(self.op, &[x])
    }
}

/// Zeros around an image `[N, H, W, C]`.
///
/// ```
/// use graticule_nn::prelude::*;
/// let image = Symbol::input("image", [6, 6, 3]);
/// assert_eq!(ZeroPad2d::new([0, 1, 0, 1]).on(&image)?.shape()[..], [1, 7, 7, 3]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZeroPad2d {
    sides: [usize; 4],
}

impl ZeroPad2d {
    /// `[top, bottom, left, right]` rows and columns of zeros.
    pub fn new(sides: [usize; 4]) -> Self {
        Self { sides }
    }

    /// The padded image.
    ///
    /// # Errors
    /// When `x` is no image.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        Pad2d::new(self.sides, PadMode::Constant(0.0)).on(x)
    }
}
