//! Pooling layers (curriculum rows I16–I18, L26): each window of each channel becomes one number.

use graph::ops::{Axis, Fit, Padding as Sides, Pool2d, PoolKind, Window};
use graph::{GraphError, Scope, Symbol};

use super::{Extent, Padding, axes, named};

/// What all pooling layers have: a window that slides.
#[derive(Debug, Clone, PartialEq)]
struct Pooling {
    size: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
    fit: Fit,
    round_up: bool,
    count_padding: bool,
}

impl Pooling {
    fn new(size: [usize; 2]) -> Self {
        Self {
            size,
            stride: size,
            padding: Padding::Valid,
            fit: Fit::Exact,
            round_up: false,
            count_padding: false,
        }
    }

    fn op(&self, kind: PoolKind) -> Pool2d {
        let mut window = Window {
            stride: self.stride,
            dilation: [1; 2],
            padding: self.padding.of_window(self.size, [1; 2]),
            fit: self.fit,
        };
        if let (true, Sides::Explicit([_, below, _, right])) = (self.round_up, &mut window.padding) {
            // ⌈room/s⌉ = ⌊(room + s − 1)/s⌋, for images of any size.
            *below += self.stride[0].saturating_sub(1);
            *right += self.stride[1].saturating_sub(1);
            window.fit = Fit::Floor;
        }
        let kind = match kind {
            PoolKind::Average { .. } => PoolKind::Average {
                count_padding: self.count_padding,
            },
            other => other,
        };
        Pool2d {
            kind,
            size: self.size,
            window,
        }
    }
}

macro_rules! pools {
    ($($(#[$doc:meta])* $plane:ident, $(#[$doc1:meta])* $line:ident, $kind:literal => $pool:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $plane {
            pooling: Pooling,
            name: Option<String>,
        }

        $(#[$doc1])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $line {
            pooling: Pooling,
            name: Option<String>,
        }

        named!($plane, $line);
        common!($plane);
        common!($line);

        impl $plane {
            /// Windows of `size` (rows and columns, or one number for both), one beside the other.
            pub fn new(size: impl Into<Extent>) -> Self {
                Self { pooling: Pooling::new(size.into().0), name: None }
            }

            /// Rows and columns from one window to the next; the window's size unless given.
            pub fn stride(mut self, stride: impl Into<Extent>) -> Self {
                self.pooling.stride = stride.into().0;
                self
            }

            /// `Valid` (unless given), `Same`, a number for all sides, or `[top, bottom, left, right]`.
            /// What is padded takes no part in the pooling.
            pub fn padding(mut self, padding: impl Into<Padding>) -> Self {
                self.pooling.padding = padding.into();
                self
            }

            /// The pooled image `[N, OH, OW, C]` of `x` `[N, H, W, C]`.
            ///
            /// # Errors
            /// [`GraphError::DoesNotFit`] with the formula when the windows do not tile the image;
            /// [`GraphError::Shape`] when `x` is no image.
            pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
                let _scope = Scope::enter(concat!($kind, "2d"), self.name.as_deref());
                Symbol::apply(self.pooling.op($pool), &[x])
            }
        }

        impl $line {
            /// Windows of `size` positions, one beside the other.
            pub fn new(size: usize) -> Self {
                Self { pooling: Pooling::new([1, size]), name: None }
            }

            /// Positions from one window to the next; the window's size unless given.
            pub fn stride(mut self, stride: usize) -> Self {
                self.pooling.stride = [1, stride];
                self
            }

            /// `Valid` (unless given), `Same`, or a number for both ends.
            /// What is padded takes no part in the pooling.
            pub fn padding(mut self, padding: impl Into<Padding>) -> Self {
                self.pooling.padding = padding.into().of_sequence();
                self
            }

            /// The pooled sequence `[N, OL, C]` of `x` `[N, L, C]`.
            ///
            /// # Errors
            /// As its two-dimensional kin.
            pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
                let _scope = Scope::enter(concat!($kind, "1d"), self.name.as_deref());
                axes::<3>(concat!($kind, "1d"), x, "a sequence [N, L, C]")?;
                let row = x.reshape(&[Axis::Keep(0), Axis::Length(1), Axis::Keep(1), Axis::Keep(2)])?;
                let y = Symbol::apply(self.pooling.op($pool), &[&row])?;
                y.reshape(&[Axis::Keep(0), Axis::Keep(2), Axis::Keep(3)])
            }
        }
    )*};
}

macro_rules! common {
    ($layer:ident) => {
        impl $layer {
            /// Windows that overlap, each one step from the last: stride 1 (row I18).
            pub fn overlapping(mut self) -> Self {
                self.pooling.stride = [1; 2];
                self
            }

            /// Leaves unread what the last window does not reach, instead of refusing.
            pub fn round_down(mut self) -> Self {
                self.pooling.fit = Fit::Floor;
                self
            }

            /// Lets the last window reach over the edge, where there is nothing, instead of refusing
            /// (PyTorch's `ceil_mode`).
            pub fn round_up(mut self) -> Self {
                self.pooling.round_up = true;
                self
            }
        }
    };
}

pools! {
    /// The largest number of each window.
    ///
    /// ```
    /// use graticule_nn::prelude::*;
    /// // Row X17.
    /// let image = Symbol::input("image", [224, 224, 64]);
    /// assert_eq!(MaxPool2d::new(2).on(&image)?.shape()[..], [1, 112, 112, 64]);
    /// assert_eq!(MaxPool2d::new(2).overlapping().on(&image)?.shape()[..], [1, 223, 223, 64]);
    /// # Ok::<(), GraphError>(())
    /// ```
    MaxPool2d,
    /// The largest number of each window of a sequence.
    MaxPool1d, "max_pool" => PoolKind::Max;
    /// The smallest number of each window.
    MinPool2d,
    /// The smallest number of each window of a sequence.
    MinPool1d, "min_pool" => PoolKind::Min;
    /// The mean of each window, over the taps inside the image unless [`AvgPool2d::count_padding`].
    AvgPool2d,
    /// The mean of each window of a sequence.
    AvgPool1d, "avg_pool" => PoolKind::Average { count_padding: false };
    /// The square root of each window's sum of squares (row I17).
    L2Pool2d,
    /// The square root of the sum of squares of each window of a sequence.
    L2Pool1d, "l2_pool" => PoolKind::L2;
}

impl AvgPool2d {
    /// Divides by the window's size even where the window hangs over the edge, as PyTorch does
    /// unless told otherwise.
    pub fn count_padding(mut self) -> Self {
        self.pooling.count_padding = true;
        self
    }
}
