//! Pooling to a given number of rows and columns, whatever the image's size.

use graph::ops::{Axis, ReduceKind};
use graph::{GraphError, Scope, Symbol};

use super::{AvgPool2d, Extent, Slice, axes};

/// The mean of windows that divide an image of H×W into `rows`×`columns` parts: part i of n covers
/// ⌊i·H/n⌋ … ⌈(i + 1)·H/n⌉ − 1, so that windows overlap where n does not divide H, and repeat
/// where the image is the smaller one (PyTorch's `AdaptiveAvgPool2d`).
///
/// The windows suit the image for which the layer is made; a graph that has one is for that size alone.
///
/// ```
/// use graticule_nn::prelude::*;
/// let image = Symbol::input("image", [13, 9, 32]);
/// assert_eq!(AdaptiveAvgPool2d::new(6).on(&image)?.shape()[..], [1, 6, 6, 32]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveAvgPool2d {
    size: [usize; 2],
}

impl AdaptiveAvgPool2d {
    /// To this many rows and columns.
    pub fn new(size: impl Into<Extent>) -> Self {
        Self { size: size.into().0 }
    }

    /// The pooled image `[N, rows, columns, C]` of `x` `[N, H, W, C]`.
    ///
    /// # Errors
    /// When `x` is no image, or has or is to have no rows or columns.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let kind = "adaptive_avg_pool2d";
        let _scope = Scope::enter(kind, None);
        let [_, height, width, channels] = axes(kind, x, "an image [N, H, W, C]")?;
        if self.size.contains(&0) || height * width == 0 {
            let [rows, columns] = self.size;
            let message = format!("cannot pool {height}×{width} pixels to {rows}×{columns}");
            return Err(GraphError::shape(kind, message));
        }
        let image = [height, width];
        // Says the size outright, so that the graph refuses to be bound to another.
        let y = x.reshape(&[
            Axis::Keep(0),
            Axis::Length(height),
            Axis::Length(width),
            Axis::Length(channels),
        ])?;
        if image == self.size {
            return Ok(y);
        }
        if (0..2).all(|axis| image[axis].is_multiple_of(self.size[axis])) {
            return AvgPool2d::new([height / self.size[0], width / self.size[1]]).on(&y);
        }
        (0..2).try_fold(y, |y, axis| along(&y, axis + 1, image[axis], self.size[axis]))
    }
}

/// The means of `parts` windows along one axis, `length` long.
fn along(x: &Symbol, axis: usize, length: usize, parts: usize) -> Result<Symbol, GraphError> {
    if length == parts {
        return Ok(x.clone());
    }
    let mean = |part: usize| {
        let window = part * length / parts..((part + 1) * length).div_ceil(parts);
        Slice::new(axis, window).on(x)?.reduce(ReduceKind::Mean, &[axis])
    };
    let means = (0..parts).map(mean).collect::<Result<Vec<_>, _>>()?;
    Symbol::concat(&means.iter().collect::<Vec<_>>(), axis)
}
