//! Images at another size.

use graph::ops::{Resize2d as Op, ResizeMode, ResizeTo};
use graph::{GraphError, Scope, Symbol};
use serde::{Deserialize, Serialize};

use super::Extent;

/// How values between pixels are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The nearest pixel.
    #[default]
    Nearest,
    /// Linear along both axes, the images' outer edges falling together.
    Bilinear,
    /// Linear along both axes, the centres of the corner pixels falling together.
    BilinearAlignCorners,
}

impl From<Interpolation> for ResizeMode {
    fn from(interpolation: Interpolation) -> Self {
        match interpolation {
            Interpolation::Nearest => Self::Nearest,
            Interpolation::Bilinear => Self::Bilinear { align_corners: false },
            Interpolation::BilinearAlignCorners => Self::Bilinear { align_corners: true },
        }
    }
}

/// `[N, H, W, C]` to `[N, rows, columns, C]`.
///
/// ```
/// use graticule_nn::prelude::*;
/// let image = Symbol::input("image", [7, 5, 3]);
/// let y = Resize2d::new([20, 9]).interpolation(Interpolation::Bilinear).on(&image)?;
/// assert_eq!(y.shape()[..], [1, 20, 9, 3]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resize2d {
    size: [usize; 2],
    interpolation: Interpolation,
}

/// `[N, H, W, C]` to `[N, H·factor, W·factor, C]`, whatever H and W are.
///
/// ```
/// use graticule_nn::prelude::*;
/// let image = Symbol::input("image", [7, 5, 3]);
/// assert_eq!(Upsample::new(2).on(&image)?.shape()[..], [1, 14, 10, 3]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upsample {
    factor: [usize; 2],
    interpolation: Interpolation,
}

impl Resize2d {
    /// To this size, by the nearest pixel.
    pub fn new(size: impl Into<Extent>) -> Self {
        Self {
            size: size.into().0,
            interpolation: Interpolation::Nearest,
        }
    }

    /// How values between pixels are found.
    pub fn interpolation(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }

    /// The image at its new size.
    ///
    /// # Errors
    /// When `x` is no image or the size is 0.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        resized(x, self.interpolation, ResizeTo::Size(self.size))
    }
}

impl Upsample {
    /// This many times as large, by the nearest pixel.
    pub fn new(factor: impl Into<Extent>) -> Self {
        Self {
            factor: factor.into().0,
            interpolation: Interpolation::Nearest,
        }
    }

    /// How values between pixels are found.
    pub fn interpolation(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }

    /// The enlarged image.
    ///
    /// # Errors
    /// When `x` is no image or the factor is 0.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        resized(x, self.interpolation, ResizeTo::Scale(self.factor))
    }
}

fn resized(x: &Symbol, interpolation: Interpolation, to: ResizeTo) -> Result<Symbol, GraphError> {
    let _scope = Scope::enter("resize2d", None);
    let mode = interpolation.into();
    Symbol::apply(Op { mode, to }, &[x])
}
