//! A convolution that does not share its weights.

use graph::ops::{Fit, LocallyConnected2d as Op, Window};
use graph::{GraphError, Init, Scope, Symbol};

use super::{Extent, Padding, axes, named, weighted};
use crate::{Activation, Fans, Initialiser};

/// Windows as a convolution's, each with weights of its own (curriculum row L24): x `[N, H, W, C]`,
/// weight `[OH, OW, KH·KW·C, filters]`, bias `[OH, OW, filters]`, y `[N, OH, OW, filters]`.
///
/// Its parameters depend on the image's size, which is therefore fixed.
///
/// ```
/// use graticule_nn::prelude::*;
/// let image = Symbol::input("image", [16, 16, 3]);
/// let y = LocallyConnected2d::new(4, 5).activation(Relu).on(&image)?;
/// assert_eq!(y.shape()[..], [1, 12, 12, 4]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LocallyConnected2d {
    filters: usize,
    size: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
    fit: Fit,
    activation: Activation,
    bias: bool,
    init: Option<Initialiser>,
    name: Option<String>,
}

named!(LocallyConnected2d);
weighted!(LocallyConnected2d);

impl LocallyConnected2d {
    /// `filters` units at each position, each seeing a window of `size`.
    pub fn new(filters: usize, size: impl Into<Extent>) -> Self {
        Self {
            filters,
            size: size.into().0,
            stride: [1; 2],
            padding: Padding::Valid,
            fit: Fit::Exact,
            activation: Activation::Linear,
            bias: true,
            init: None,
            name: None,
        }
    }

    /// Rows and columns from one window to the next; 1 unless given.
    pub fn stride(mut self, stride: impl Into<Extent>) -> Self {
        self.stride = stride.into().0;
        self
    }

    /// `Valid` (unless given), `Same`, `Full`, a number for all sides, or `[top, bottom, left, right]`.
    pub fn padding(mut self, padding: impl Into<Padding>) -> Self {
        self.padding = padding.into();
        self
    }

    /// Leaves rows and columns unread that the last window does not reach, instead of refusing.
    pub fn round_down(mut self) -> Self {
        self.fit = Fit::Floor;
        self
    }

    /// The layer's output for the image `x`.
    ///
    /// # Errors
    /// [`GraphError::DoesNotFit`] with the formula when the windows do not tile the padded image;
    /// [`GraphError::Shape`] when `x` is no image.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let kind = "locally_connected2d";
        let _scope = Scope::enter(kind, self.name.as_deref());
        let [_, height, width, channels] = axes(kind, x, "an image [N, H, W, C]")?;
        let window = Window {
            stride: self.stride,
            dilation: [1; 2],
            padding: self.padding.of_window(self.size, [1; 2]),
            fit: self.fit,
        };
        let [rows, columns] = window.bind(kind, [height, width], self.size)?.output;
        let taps = self.size[0] * self.size[1];
        let fans = Fans {
            fan_in: taps * channels,
            fan_out: taps * self.filters,
        };
        let init = self.init.unwrap_or(Initialiser::before(self.activation));
        let shape = [rows, columns, taps * channels, self.filters];
        let w = Symbol::parameter("weight", shape, init.resolve(fans));
        let size = self.size;
        let mut y = Symbol::apply(Op { window, size }, &[x, &w])?;
        if self.bias {
            let at_each = [rows, columns, self.filters];
            y = y.add(&Symbol::parameter("bias", at_each, Init::Constant(0.0)))?;
        }
        self.activation.on(&y)
    }
}
