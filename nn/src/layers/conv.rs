//! Two-dimensional convolution layers.

use graph::ops::{Conv2d as Op, Fit, Pad2d, PadMode, Window};
use graph::{GraphError, Scope, Symbol};

use super::{Extent, PadValue, Padding, add_bias, axes, named, weighted};
use crate::{Activation, Fans, Initialiser};

/// y = g(x ⋆ W + b) (curriculum rows L20, L22): x `[N, H, W, C]`, weight `[KH, KW, C/groups, filters]`,
/// bias `[filters]`, y `[N, OH, OW, filters]` with OH = (H − KH + padding)/stride + 1.
///
/// ```
/// use graticule_nn::prelude::*;
/// // Row X15: six 5×5×3 filters on 32×32×3, no padding, stride 1.
/// let image = Symbol::input("image", [32, 32, 3]);
/// let y = Conv2d::new(6, 5).activation(Relu).on(&image)?;
/// assert_eq!(y.shape()[..], [1, 28, 28, 6]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Conv2d {
    filters: usize,
    size: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
    padding: Padding,
    pad_value: PadValue,
    fit: Fit,
    activation: Activation,
    bias: bool,
    init: Option<Initialiser>,
    name: Option<String>,
}

named!(Conv2d, DepthwiseConv2d);
weighted!(Conv2d);
weighted!(DepthwiseConv2d, conv);

/// The builder methods that convolution layers share; `$at` leads to the [`Conv2d`] inside.
macro_rules! conv_builders {
    ($layer:ident $(, $at:ident)?) => {
        impl $layer {
            /// Rows and columns from one window to the next; 1 unless given.
            pub fn stride(mut self, stride: impl Into<Extent>) -> Self {
                self$(.$at)?.stride = stride.into().0;
                self
            }

            /// Distance of neighbouring taps inside the window; 1 unless given.
            pub fn dilation(mut self, dilation: impl Into<Extent>) -> Self {
                self$(.$at)?.dilation = dilation.into().0;
                self
            }

            /// `Valid` (unless given), `Same`, `Full`, a number for all sides, or `[top, bottom, left, right]`.
            pub fn padding(mut self, padding: impl Into<Padding>) -> Self {
                self$(.$at)?.padding = padding.into();
                self
            }

            /// What stands in the padding; zeros unless given.
            pub fn pad_value(mut self, value: PadValue) -> Self {
                self$(.$at)?.pad_value = value;
                self
            }

            /// Leaves rows and columns unread that the last window does not reach, instead of refusing.
            pub fn round_down(mut self) -> Self {
                self$(.$at)?.fit = Fit::Floor;
                self
            }
        }
    };
}

conv_builders!(Conv2d);
conv_builders!(DepthwiseConv2d, conv);

impl Conv2d {
    /// `filters` kernels of `size` (rows and columns, or one number for both).
    pub fn new(filters: usize, size: impl Into<Extent>) -> Self {
        Self {
            filters,
            size: size.into().0,
            stride: [1; 2],
            dilation: [1; 2],
            groups: 1,
            padding: Padding::Valid,
            pad_value: PadValue::Zero,
            fit: Fit::Exact,
            activation: Activation::Linear,
            bias: true,
            init: None,
            name: None,
        }
    }

    /// Channels and filters in this many independent groups.
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// The layer's output for the image `x`.
    ///
    /// # Errors
    /// [`GraphError::DoesNotFit`] with the formula when the windows do not tile the padded image;
    /// [`GraphError::Shape`] when `x` is no image or its channels do not divide into the groups.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        self.in_scope("conv2d", x)
    }

    pub(super) fn in_scope(&self, kind: &str, x: &Symbol) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter(kind, self.name.as_deref());
        let [_, height, width, channels] = axes(kind, x, "an image [N, H, W, C]")?;
        let groups = self.groups;
        if groups == 0
            || self.filters == 0
            || !channels.is_multiple_of(groups)
            || !self.filters.is_multiple_of(groups)
        {
            let message = format!(
                "{channels} channels and {} filters do not divide into {groups} groups of at least one each",
                self.filters
            );
            return Err(GraphError::shape(kind, message));
        }
        let [rows, columns] = self.size;
        let (taps, per_group) = (rows * columns, channels / groups);
        let fans = Fans {
            fan_in: taps * per_group,
            fan_out: taps * self.filters / groups,
        };
        let init = self.init.unwrap_or(Initialiser::before(self.activation));
        let shape = [rows, columns, per_group, self.filters];
        let w = Symbol::parameter("weight", shape, init.resolve(fans));
        let (x, window) = self.padded(kind, x, [height, width])?;
        let mut y = Symbol::apply(Op { window, groups }, &[&x, &w])?;
        if self.bias {
            y = add_bias(&y, &[self.filters])?;
        }
        self.activation.on(&y)
    }

    /// The image as the op reads it, and the op's window: zeros are the op's own business, other
    /// pad values are put around the image before.
    fn padded(&self, kind: &str, x: &Symbol, image: [usize; 2]) -> Result<(Symbol, Window), GraphError> {
        let mut window = Window {
            stride: self.stride,
            dilation: self.dilation,
            padding: self.padding.of_window(self.size, self.dilation),
            fit: self.fit,
        };
        let mode = match self.pad_value {
            PadValue::Zero => return Ok((x.clone(), window)),
            PadValue::Constant(value) => PadMode::Constant(value),
            PadValue::Symmetric => PadMode::Symmetric,
        };
        let padding = window.bind(kind, image, self.size)?.padding;
        if padding == [0; 4] {
            return Ok((x.clone(), window));
        }
        if window.padding == graph::ops::Padding::Same {
            window.fit = Fit::Floor;
        }
        window.padding = graph::ops::Padding::Explicit([0; 4]);
        Ok((Symbol::apply(Pad2d { padding, mode }, &[x])?, window))
    }
}

/// A convolution of each channel by itself (depthwise): weight `[KH, KW, 1, C·multiplier]`.
///
/// ```
/// use graticule_nn::prelude::*;
/// let image = Symbol::input("image", [32, 32, 8]);
/// let y = DepthwiseConv2d::new(3).padding(Same).on(&image)?;
/// assert_eq!(y.shape()[..], [1, 32, 32, 8]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DepthwiseConv2d {
    conv: Conv2d,
    multiplier: usize,
    name: Option<String>,
}

impl DepthwiseConv2d {
    /// One kernel of `size` for each channel.
    pub fn new(size: impl Into<Extent>) -> Self {
        Self {
            conv: Conv2d::new(1, size),
            multiplier: 1,
            name: None,
        }
    }

    /// This many kernels for each channel.
    pub fn multiplier(mut self, multiplier: usize) -> Self {
        self.multiplier = multiplier;
        self
    }

    /// The layer's output for the image `x`.
    ///
    /// # Errors
    /// As [`Conv2d::on`].
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let [_, _, _, channels] = axes("depthwise_conv2d", x, "an image [N, H, W, C]")?;
        let mut conv = self.conv.clone();
        conv.groups = channels;
        conv.filters = channels * self.multiplier;
        conv.name = self.name.clone();
        conv.in_scope("depthwise_conv2d", x)
    }
}
