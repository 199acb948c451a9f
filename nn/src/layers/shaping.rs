//! Layers that move numbers without weighing them: flatten, reshape, concatenate, add, slice.

use graph::ops::{Axis, Slice as SliceOp};
use graph::{GraphError, Scope, Symbol};

/// All axes of a sample in one: `[N, …]` to `[N, features]`.
///
/// ```
/// use graticule_nn::prelude::*;
/// let image = Symbol::input("image", [4, 4, 3]);
/// assert_eq!(Flatten.on(&image)?.shape()[..], [1, 48]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flatten;

impl Flatten {
    /// `x` with one row per sample.
    ///
    /// # Errors
    /// When `x` has no batch axis.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("flatten", None);
        x.reshape(&[Axis::Keep(0), Axis::Rest])
    }
}

/// The numbers of a sample under another shape: `[N, …]` to `[N, shape…]`.
///
/// ```
/// use graticule_nn::prelude::*;
/// let row = Symbol::input("row", [48]);
/// assert_eq!(Reshape::new([4, 4, 3]).on(&row)?.shape()[..], [1, 4, 4, 3]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reshape {
    sample: Vec<usize>,
}

impl Reshape {
    /// To samples of this shape.
    pub fn new(sample: impl Into<Vec<usize>>) -> Self {
        Self {
            sample: sample.into(),
        }
    }

    /// `x` with samples of the new shape.
    ///
    /// # Errors
    /// When a sample of `x` has another number of elements.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("reshape", None);
        let mut to = vec![Axis::Keep(0)];
        to.extend(self.sample.iter().map(|&length| Axis::Length(length)));
        x.reshape(&to)
    }
}

/// Tensors side by side along one axis, the last (channels) unless given (rows L33, N6).
///
/// ```
/// use graticule_nn::prelude::*;
/// let (a, b) = (Symbol::input("a", [8, 8, 3]), Symbol::input("b", [8, 8, 5]));
/// assert_eq!(Concat::new().on(&[&a, &b])?.shape()[..], [1, 8, 8, 8]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Concat {
    axis: Option<usize>,
}

impl Concat {
    /// Along the last axis.
    pub fn new() -> Self {
        Self::default()
    }

    /// Along this axis; axis 0 is the batch.
    pub fn axis(mut self, axis: usize) -> Self {
        self.axis = Some(axis);
        self
    }

    /// `parts`, one after another.
    ///
    /// # Errors
    /// When their other axes differ, or there are none.
    pub fn on(&self, parts: &[&Symbol]) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("concat", None);
        let last = parts.first().map_or(0, |x| x.shape().rank().saturating_sub(1));
        Symbol::concat(parts, self.axis.unwrap_or(last))
    }
}

/// The sum of tensors of one shape: residual and skip connections (row L31).
///
/// ```
/// use graticule_nn::prelude::*;
/// let x = Symbol::input("x", [8]);
/// let y = Add.on(&[&x, &Dense::new(8).on(&x)?])?;
/// assert_eq!(y.shape()[..], [1, 8]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Add;

impl Add {
    /// The element-wise sum of `parts`, added from left to right.
    ///
    /// # Errors
    /// When shapes do not broadcast together, or there are no parts.
    pub fn on(&self, parts: &[&Symbol]) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("add", None);
        let Some((first, rest)) = parts.split_first() else {
            return Err(GraphError::shape("add", "needs at least one tensor, found none"));
        };
        rest.iter().try_fold((*first).clone(), |sum, part| sum.add(part))
    }
}

/// Elements `start, start + step, …` along an axis (axis 0 is the batch).
///
/// ```
/// use graticule_nn::prelude::*;
/// let x = Symbol::input("x", [10, 3]);
/// assert_eq!(Slice::new(1, 2..9).step(3).on(&x)?.shape()[..], [1, 3, 3]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    axis: usize,
    range: std::ops::Range<usize>,
    step: usize,
}

impl Slice {
    /// The elements of `range` along `axis`.
    pub fn new(axis: usize, range: std::ops::Range<usize>) -> Self {
        Self { axis, range, step: 1 }
    }

    /// Every `step`-th of them.
    pub fn step(mut self, step: usize) -> Self {
        self.step = step;
        self
    }

    /// The part of `x`.
    ///
    /// # Errors
    /// When the range is empty or leaves the axis.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("slice", None);
        let op = SliceOp {
            axis: self.axis,
            start: self.range.start,
            length: self.range.len().div_ceil(self.step.max(1)),
            step: self.step,
        };
        Symbol::apply(op, &[x])
    }
}
