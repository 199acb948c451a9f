//! Transposed convolution: learned enlargement.

use graph::ops::{Conv2d, Conv2dTransposed, Fit, Padding as Sides, Window};
use graph::{GraphError, Scope, Symbol};

use super::{Extent, Padding, add_bias, axes, named, weighted};
use crate::{Activation, Fans, Initialiser};

/// The transpose of a convolution in its image (curriculum row L29): x `[N, H, W, C]`, weight
/// `[KH, KW, filters/groups, C]`, bias `[filters]`,
/// y `[N, (H − 1)·stride + dilation·(KH − 1) + 1 − padding, …, filters]`.
///
/// ```
/// use graticule_nn::prelude::*;
/// let small = Symbol::input("small", [7, 7, 16]);
/// let y = ConvTranspose2d::new(8, 3).stride(2).padding(Same).on(&small)?;
/// assert_eq!(y.shape()[..], [1, 14, 14, 8]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ConvTranspose2d {
    filters: usize,
    size: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
    padding: Padding,
    output_padding: [usize; 2],
    activation: Activation,
    bias: bool,
    init: Option<Initialiser>,
    name: Option<String>,
}

named!(ConvTranspose2d);
weighted!(ConvTranspose2d);

impl ConvTranspose2d {
    /// `filters` kernels of `size` (rows and columns, or one number for both).
    pub fn new(filters: usize, size: impl Into<Extent>) -> Self {
        Self {
            filters,
            size: size.into().0,
            stride: [1; 2],
            dilation: [1; 2],
            groups: 1,
            padding: Padding::Valid,
            output_padding: [0; 2],
            activation: Activation::Linear,
            bias: true,
            init: None,
            name: None,
        }
    }

    /// Rows and columns of the result from one pixel of `x` to the next.
    pub fn stride(mut self, stride: impl Into<Extent>) -> Self {
        self.stride = stride.into().0;
        self
    }

    /// Distance of neighbouring taps; 1 unless given.
    pub fn dilation(mut self, dilation: impl Into<Extent>) -> Self {
        self.dilation = dilation.into().0;
        self
    }

    /// Channels and filters in this many independent groups.
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// What is cut off the result: `Same` makes it `stride` times as large as `x`, `Full` cuts
    /// k − 1 on every side.
    pub fn padding(mut self, padding: impl Into<Padding>) -> Self {
        self.padding = padding.into();
        self
    }

    /// Rows added below and columns added right of the result.
    pub fn output_padding(mut self, rows_columns: impl Into<Extent>) -> Self {
        self.output_padding = rows_columns.into().0;
        self
    }

    /// The layer's output for the image `x`.
    ///
    /// # Errors
    /// When `x` is no image, channels do not divide into the groups, or padding leaves nothing.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let kind = "conv_transpose2d";
        let _scope = Scope::enter(kind, self.name.as_deref());
        let [_, _, _, channels] = axes(kind, x, "an image [N, H, W, C]")?;
        let [rows, columns] = self.size;
        let groups = self.groups;
        let divides = groups > 0 && self.filters.is_multiple_of(groups) && channels.is_multiple_of(groups);
        if !divides || self.filters * rows * columns == 0 || self.stride.contains(&0) {
            let message = format!(
                "{channels} channels to {} filters of {rows}×{columns} in {groups} groups with stride {:?}: \
                 all must be at least 1 and the groups must divide the channels and the filters",
                self.filters, self.stride
            );
            return Err(GraphError::shape(kind, message));
        }
        let fans = Fans {
            fan_in: rows * columns * channels / groups,
            fan_out: rows * columns * self.filters / groups,
        };
        let init = self.init.unwrap_or(Initialiser::before(self.activation));
        let shape = [rows, columns, self.filters / groups, channels];
        let w = Symbol::parameter("weight", shape, init.resolve(fans));
        let mut y = Symbol::apply(self.op(), &[x, &w])?;
        if self.bias {
            y = add_bias(&y, &[self.filters])?;
        }
        self.activation.on(&y)
    }

    fn op(&self) -> Conv2dTransposed {
        let mut output_padding = self.output_padding;
        let padding = match self.padding.of_window(self.size, self.dilation) {
            explicit @ Sides::Explicit(_) => explicit,
            Sides::Same => {
                let mut sides = [0; 4];
                for axis in 0..2 {
                    let reach = self.dilation[axis] * (self.size[axis] - 1) + 1;
                    let surplus = reach.saturating_sub(self.stride[axis]);
                    output_padding[axis] += self.stride[axis].saturating_sub(reach);
                    sides[2 * axis] = surplus / 2;
                    sides[2 * axis + 1] = surplus - surplus / 2;
                }
                Sides::Explicit(sides)
            }
        };
        Conv2dTransposed {
            conv: Conv2d {
                window: Window {
                    stride: self.stride,
                    dilation: self.dilation,
                    padding,
                    fit: Fit::Floor,
                },
                groups: self.groups,
            },
            output_padding,
        }
    }
}
