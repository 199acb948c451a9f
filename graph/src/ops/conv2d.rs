//! Two-dimensional convolution (cross-correlation, curriculum rows L20, I1) and its two transposes.
//!
//! y[n,i,j,o] = Σ_{u,v,c} x[n, i·s + u·d − p, j·s + v·d − p, c] · w[u,v,c,o]
//!
//! `x` is `[N, H, W, C]`, `w` is `[KH, KW, C/groups, O]`, `y` is `[N, OH, OW, O]`. The three ops of
//! this file are each other's gradients, so convolutions can be differentiated any number of times.

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::plain::{filled, plain, rank4, shape_of};
use super::window::{BoundWindow, Window};
use super::{Cost, Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// y = x ⋆ w. Operands: x `[N, H, W, C]`, w `[KH, KW, C/groups, O]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Conv2d {
    /// Stride, dilation, padding.
    pub window: Window,
    /// Channels are split into this many independent groups; `groups = C` is depthwise.
    pub groups: usize,
}

/// The transpose of [`Conv2d`] in its image: from y back to x. Operands: y `[N, OH, OW, O]`,
/// w `[KH, KW, C/groups, O]`, and optionally a symbol of the image's shape `[N, H, W, C]` (not read).
/// Without it the image is the smallest that the convolution maps to y's size, plus `output_padding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Conv2dTransposed {
    /// The convolution that this one undoes in shape.
    pub conv: Conv2d,
    /// Rows and columns added below and right.
    pub output_padding: [usize; 2],
}

/// The transpose of [`Conv2d`] in its weights. Operands: x `[N, H, W, C]`, y `[N, OH, OW, O]`, and a
/// symbol of the weights' shape (not read).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Conv2dWeightGradient {
    /// The convolution.
    pub conv: Conv2d,
}

/// A convolution with all its sizes known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dSizes {
    /// Samples.
    pub batch: usize,
    /// Image channels C.
    pub channels: usize,
    /// Output channels O.
    pub outputs: usize,
    /// Groups.
    pub groups: usize,
    /// Image, kernel and output sizes.
    pub window: BoundWindow,
}

impl Conv2dSizes {
    /// Multiply-accumulates of one pass; all three passes have the same number.
    pub fn macs(&self) -> usize {
        let [oh, ow] = self.window.output;
        let [kh, kw] = self.window.kernel;
        self.batch * oh * ow * kh * kw * (self.channels / self.groups) * self.outputs
    }

    /// Calls `visit(x index, w index, y index)` for every product.
    fn products(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let w = &self.window;
        let ([h, width], [oh, ow], [kh, kw]) = (w.image, w.output, w.kernel);
        let (cg, og) = (self.channels / self.groups, self.outputs / self.groups);
        for n in 0..self.batch {
            for (i, j) in (0..oh).flat_map(|i| (0..ow).map(move |j| (i, j))) {
                for (u, v) in (0..kh).flat_map(|u| (0..kw).map(move |v| (u, v))) {
                    let (Some(r), Some(s)) = (w.source(0, i, u), w.source(1, j, v)) else {
                        continue;
                    };
                    for (c, o) in (0..cg).flat_map(|c| (0..self.outputs).map(move |o| (c, o))) {
                        let channel = o / og * cg + c;
                        visit(
                            ((n * h + r) * width + s) * self.channels + channel,
                            ((u * kw + v) * cg + c) * self.outputs + o,
                            ((n * oh + i) * ow + j) * self.outputs + o,
                        );
                    }
                }
            }
        }
    }
}

impl Conv2d {
    /// All sizes for an image `[N, H, W, C]` and weights `[KH, KW, C/groups, O]`.
    ///
    /// # Errors
    /// When channels, groups or window do not fit.
    pub fn sizes(&self, x: &Shape, w: &Shape) -> Result<Conv2dSizes, GraphError> {
        let [batch, h, width, channels] = rank4("conv2d", "the image", x, "[N, H, W, C]")?;
        let [kh, kw, cg, outputs] = rank4("conv2d", "the weights", w, "[KH, KW, C/groups, O]")?;
        let groups = self.groups;
        if groups == 0 || cg * groups != channels || outputs % groups != 0 {
            let message = format!(
                "{channels} channels and {outputs} filters in {groups} groups need weights [KH, KW, {}, O] with O a multiple of {groups}, found {w}",
                channels as f64 / groups as f64
            );
            return Err(GraphError::shape("conv2d", message));
        }
        let window = self.window.bind("conv2d", [h, width], [kh, kw])?;
        Ok(Conv2dSizes {
            batch,
            channels,
            outputs,
            groups,
            window,
        })
    }
}

impl Operation for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x, w] = operands(self.name(), inputs)?;
        let sizes = self.sizes(x, w)?;
        let [oh, ow] = sizes.window.output;
        Ok([sizes.batch, oh, ow, sizes.outputs].into())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let (x, w) = (&node.inputs()[0], &node.inputs()[1]);
        Ok(Some(if input == 0 {
            Symbol::apply(
                Conv2dTransposed {
                    conv: *self,
                    output_padding: [0, 0],
                },
                &[g, w, x],
            )?
        } else {
            Symbol::apply(Conv2dWeightGradient { conv: *self }, &[x, g, w])?
        }))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let (x, w) = (plain(inputs[0]), plain(inputs[1]));
        filled(output, |y| {
            if let Ok(sizes) = self.sizes(&shape_of(inputs[0]), &shape_of(inputs[1])) {
                sizes.products(|i, k, o| y[o] += x[i] * w[k]);
            }
        })
    }
    fn cost(&self, inputs: &[&Shape], _: &Shape) -> Cost {
        self.sizes(inputs[0], inputs[1])
            .map(|s| Cost::macs(s.macs()))
            .unwrap_or_default()
    }
}

impl Conv2dTransposed {
    /// The image's shape without a symbol to take it from.
    fn smallest_image(&self, y: &Shape, w: &Shape) -> Result<Shape, GraphError> {
        let [n, oh, ow, outputs] = rank4(self.name(), "the operand", y, "[N, H, W, C]")?;
        let [kh, kw, cg, o] = rank4(self.name(), "the weights", w, "[KH, KW, out/groups, in]")?;
        let window = &self.conv.window;
        let super::Padding::Explicit(p) = window.padding else {
            return Err(GraphError::shape(
                self.name(),
                "same padding needs the image's shape; give explicit padding",
            ));
        };
        if o != outputs {
            return Err(GraphError::shape(
                self.name(),
                format!("weights {w} end in {o} channels, the operand {y} in {outputs}"),
            ));
        }
        let along = |axis: usize, size: usize, kernel: usize| {
            let full = (size.max(1) - 1) * window.stride[axis] + window.dilation[axis] * (kernel - 1) + 1;
            (full + self.output_padding[axis])
                .checked_sub(p[2 * axis] + p[2 * axis + 1])
                .filter(|&s| s > 0)
        };
        match (along(0, oh, kh), along(1, ow, kw)) {
            (Some(h), Some(width)) => Ok([n, h, width, cg * self.conv.groups].into()),
            _ => Err(GraphError::shape(
                self.name(),
                format!("padding {p:?} leaves nothing of the result for {y}"),
            )),
        }
    }

    /// All sizes of the underlying convolution.
    ///
    /// # Errors
    /// When the operands are not such a convolution's.
    pub fn sizes(&self, inputs: &[&Shape]) -> Result<Conv2dSizes, GraphError> {
        let (y, w) = match inputs {
            [y, w] | [y, w, _] => (*y, *w),
            _ => {
                return Err(GraphError::shape(self.name(), "takes two or three operands"));
            }
        };
        let image = match inputs.get(2) {
            Some(image) => (*image).clone(),
            None => self.smallest_image(y, w)?,
        };
        let mut conv = self.conv;
        conv.window.fit = super::Fit::Floor;
        let sizes = conv.sizes(&image, w)?;
        let [oh, ow] = sizes.window.output;
        if y[..] != [sizes.batch, oh, ow, sizes.outputs] {
            let message = format!(
                "a convolution of {image} with weights {w} gives {:?}, not {y}",
                [sizes.batch, oh, ow, sizes.outputs]
            );
            return Err(GraphError::shape(self.name(), message));
        }
        Ok(sizes)
    }
}

impl Operation for Conv2dTransposed {
    fn name(&self) -> &'static str {
        "conv2d_transposed"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let sizes = self.sizes(inputs)?;
        let [h, w] = sizes.window.image;
        Ok([sizes.batch, h, w, sizes.channels].into())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let mut conv = self.conv;
        conv.window.fit = super::Fit::Floor;
        Ok(match input {
            0 => Some(Symbol::apply(conv, &[g, &node.inputs()[1]])?),
            1 => Some(Symbol::apply(
                Conv2dWeightGradient { conv },
                &[g, &node.inputs()[0], &node.inputs()[1]],
            )?),
            _ => None,
        })
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let (y, w) = (plain(inputs[0]), plain(inputs[1]));
        filled(output, |x| {
            if let Ok(sizes) = self.sizes(&[&shape_of(inputs[0]), &shape_of(inputs[1]), output]) {
                sizes.products(|i, k, o| x[i] += y[o] * w[k]);
            }
        })
    }
    fn cost(&self, inputs: &[&Shape], _: &Shape) -> Cost {
        self.sizes(inputs)
            .map(|s| Cost::macs(s.macs()))
            .unwrap_or_default()
    }
    fn reads(&self, input: usize) -> bool {
        input < 2
    }
}

impl Conv2dWeightGradient {
    /// All sizes of the underlying convolution.
    ///
    /// # Errors
    /// When the operands are not such a convolution's.
    pub fn sizes(&self, inputs: &[&Shape]) -> Result<Conv2dSizes, GraphError> {
        let [x, y, w] = operands(self.name(), inputs)?;
        let sizes = self.conv.sizes(x, w)?;
        let [oh, ow] = sizes.window.output;
        if y[..] != [sizes.batch, oh, ow, sizes.outputs] {
            return Err(GraphError::shape(
                self.name(),
                format!("{x} and {w} do not convolve to {y}"),
            ));
        }
        Ok(sizes)
    }
}

impl Operation for Conv2dWeightGradient {
    fn name(&self) -> &'static str {
        "conv2d_weight_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        self.sizes(inputs)?;
        Ok(inputs[2].clone())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let (x, y) = (&node.inputs()[0], &node.inputs()[1]);
        Ok(match input {
            0 => Some(Symbol::apply(
                Conv2dTransposed {
                    conv: self.conv,
                    output_padding: [0, 0],
                },
                &[y, g, x],
            )?),
            1 => Some(Symbol::apply(self.conv, &[x, g])?),
            _ => None,
        })
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let (x, y) = (plain(inputs[0]), plain(inputs[1]));
        filled(output, |w| {
            if let Ok(sizes) = self.sizes(&[&shape_of(inputs[0]), &shape_of(inputs[1]), output]) {
                sizes.products(|i, k, o| w[k] += x[i] * y[o]);
            }
        })
    }
    fn cost(&self, inputs: &[&Shape], _: &Shape) -> Cost {
        self.sizes(inputs)
            .map(|s| Cost::macs(s.macs()))
            .unwrap_or_default()
    }
    fn reads(&self, input: usize) -> bool {
        input < 2
    }
}
