//! Global pooling: each channel becomes one number, whatever the image's size (curriculum row L28).

use graph::ops::{Axis, ReduceKind};
use graph::{GraphError, Scope, Symbol};

use super::axes;

/// The mean of each channel: `[N, H, W, C]` to `[N, C]`.
///
/// ```
/// use graticule_nn::prelude::*;
/// let image = Symbol::input("image", [8, 8, 32]);
/// assert_eq!(GlobalAvgPool2d.on(&image)?.shape()[..], [1, 32]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalAvgPool2d;

/// The largest number of each channel: `[N, H, W, C]` to `[N, C]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalMaxPool2d;

/// The mean of each column over all steps: `[N, T, C]` to `[N, C]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalAvgPool1d;

impl GlobalAvgPool1d {
    /// One row of means per sequence.
    ///
    /// # Errors
    /// When `x` is no sequence `[N, T, C]`.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("global_avg_pool1d", None);
        axes::<3>("global_avg_pool1d", x, "a sequence [N, T, C]")?;
        x.reduce(ReduceKind::Mean, &[1])?
            .reshape(&[Axis::Keep(0), Axis::Keep(2)])
    }
}

impl GlobalAvgPool2d {
    /// One row of channel means per image.
    ///
    /// # Errors
    /// When `x` is no image `[N, H, W, C]`.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        pooled("global_avg_pool2d", ReduceKind::Mean, x)
    }
}

impl GlobalMaxPool2d {
    /// One row of channel maxima per image.
    ///
    /// # Errors
    /// When `x` is no image `[N, H, W, C]`.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        pooled("global_max_pool2d", ReduceKind::Max, x)
    }
}

fn pooled(layer: &str, kind: ReduceKind, x: &Symbol) -> Result<Symbol, GraphError> {
    let _scope = Scope::enter(layer, None);
    axes::<4>(layer, x, "an image [N, H, W, C]")?;
    x.reduce(kind, &[1, 2])?.reshape(&[Axis::Keep(0), Axis::Keep(3)])
}
