//! Locally connected layer: a convolution whose weights differ from place to place (curriculum row L24).
//!
//! y[n,i,j,o] = Σ_{u,v,c} x[n, i·s + u·d − p, j·s + v·d − p, c] · w[i, j, (u·KW + v)·C + c, o]
//!
//! x is `[N, H, W, C]`, w is `[OH, OW, KH·KW·C, O]`, y is `[N, OH, OW, O]`. The three ops of this file
//! are each other's gradients.

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::plain::{expect, filled, image, plain, rank4, shape_of};
use super::window::{BoundWindow, Window};
use super::{Cost, Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// Operands: x `[N, H, W, C]`, w `[OH, OW, KH·KW·C, O]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LocallyConnected2d {
    /// Stride, dilation, padding.
    pub window: Window,
    /// Rows and columns of the window.
    pub size: [usize; 2],
}

/// ∂loss/∂x. Operands: g `[N, OH, OW, O]`, w `[OH, OW, KH·KW·C, O]`, and a symbol of x's shape (not read).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LocallyConnected2dInputGradient {
    /// The layer.
    pub layer: LocallyConnected2d,
}

/// ∂loss/∂w. Operands: x `[N, H, W, C]`, g `[N, OH, OW, O]`, and a symbol of w's shape (not read).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LocallyConnected2dWeightGradient {
    /// The layer.
    pub layer: LocallyConnected2d,
}

/// A locally connected layer with all its sizes known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocallyConnected2dSizes {
    /// Samples.
    pub batch: usize,
    /// Image channels C.
    pub channels: usize,
    /// Output channels O.
    pub outputs: usize,
    /// Image, window and output sizes.
    pub window: BoundWindow,
}

impl LocallyConnected2dSizes {
    /// Multiply-accumulates of one pass; all three passes have the same number.
    pub fn macs(&self) -> usize {
        let ([oh, ow], [kh, kw]) = (self.window.output, self.window.kernel);
        self.batch * oh * ow * kh * kw * self.channels * self.outputs
    }

    /// Calls `visit(x index, w index, y index)` for every product.
    fn products(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let w = &self.window;
        let ([h, width], [oh, ow], [kh, kw]) = (w.image, w.output, w.kernel);
        let (channels, outputs) = (self.channels, self.outputs);
        for n in 0..self.batch {
            for (i, j) in (0..oh).flat_map(|i| (0..ow).map(move |j| (i, j))) {
                for (u, v) in (0..kh).flat_map(|u| (0..kw).map(move |v| (u, v))) {
                    let (Some(r), Some(s)) = (w.source(0, i, u), w.source(1, j, v)) else {
                        continue;
                    };
                    for (c, o) in (0..channels).flat_map(|c| (0..outputs).map(move |o| (c, o))) {
                        visit(
                            ((n * h + r) * width + s) * channels + c,
                            (((i * ow + j) * kh + u) * kw + v) * channels * outputs + c * outputs + o,
                            ((n * oh + i) * ow + j) * outputs + o,
                        );
                    }
                }
            }
        }
    }
}

impl LocallyConnected2d {
    /// All sizes for an image `[N, H, W, C]` and weights `[OH, OW, KH·KW·C, O]`.
    ///
    /// # Errors
    /// When the window does not fit, or the weights are not those of this image.
    pub fn sizes(&self, x: &Shape, w: &Shape) -> Result<LocallyConnected2dSizes, GraphError> {
        let [batch, h, width, channels] = image(self.name(), x)?;
        let [.., outputs] = rank4(self.name(), "the weights", w, "[OH, OW, KH·KW·C, O]")?;
        let window = self.window.bind(self.name(), [h, width], self.size)?;
        let [oh, ow] = window.output;
        let taps = self.size[0] * self.size[1] * channels;
        expect(self.name(), "the weights", w, &[oh, ow, taps, outputs])?;
        Ok(LocallyConnected2dSizes {
            batch,
            channels,
            outputs,
            window,
        })
    }

    fn cost(&self, x: &Shape, w: &Shape) -> Cost {
        self.sizes(x, w).map(|s| Cost::macs(s.macs())).unwrap_or_default()
    }
}

impl Operation for LocallyConnected2d {
    fn name(&self) -> &'static str {
        "locally_connected2d"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x, w] = operands(self.name(), inputs)?;
        let sizes = self.sizes(x, w)?;
        let [oh, ow] = sizes.window.output;
        Ok([sizes.batch, oh, ow, sizes.outputs].into())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let (x, w, layer) = (&node.inputs()[0], &node.inputs()[1], *self);
        Ok(Some(match input {
            0 => Symbol::apply(LocallyConnected2dInputGradient { layer }, &[g, w, x])?,
            _ => Symbol::apply(LocallyConnected2dWeightGradient { layer }, &[x, g, w])?,
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
        self.cost(inputs[0], inputs[1])
    }
}

impl Operation for LocallyConnected2dInputGradient {
    fn name(&self) -> &'static str {
        "locally_connected2d_input_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [g, w, like] = operands(self.name(), inputs)?;
        expect(self.name(), "the gradient", g, &self.layer.shape(&[like, w])?)?;
        Ok(like.clone())
    }
    fn gradient(&self, node: &Symbol, u: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let (g, w, layer) = (&node.inputs()[0], &node.inputs()[1], self.layer);
        Ok(match input {
            0 => Some(Symbol::apply(layer, &[u, w])?),
            1 => Some(Symbol::apply(
                LocallyConnected2dWeightGradient { layer },
                &[u, g, w],
            )?),
            _ => None,
        })
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let (g, w) = (plain(inputs[0]), plain(inputs[1]));
        filled(output, |x| {
            if let Ok(sizes) = self.layer.sizes(output, &shape_of(inputs[1])) {
                sizes.products(|i, k, o| x[i] += g[o] * w[k]);
            }
        })
    }
    fn cost(&self, inputs: &[&Shape], output: &Shape) -> Cost {
        self.layer.cost(output, inputs[1])
    }
    fn reads(&self, input: usize) -> bool {
        input < 2
    }
}

impl Operation for LocallyConnected2dWeightGradient {
    fn name(&self) -> &'static str {
        "locally_connected2d_weight_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x, g, like] = operands(self.name(), inputs)?;
        expect(self.name(), "the gradient", g, &self.layer.shape(&[x, like])?)?;
        Ok(like.clone())
    }
    fn gradient(&self, node: &Symbol, u: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let (x, g, layer) = (&node.inputs()[0], &node.inputs()[1], self.layer);
        Ok(match input {
            0 => Some(Symbol::apply(
                LocallyConnected2dInputGradient { layer },
                &[g, u, x],
            )?),
            1 => Some(Symbol::apply(layer, &[x, u])?),
            _ => None,
        })
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let (x, g) = (plain(inputs[0]), plain(inputs[1]));
        filled(output, |w| {
            if let Ok(sizes) = self.layer.sizes(&shape_of(inputs[0]), output) {
                sizes.products(|i, k, o| w[k] += x[i] * g[o]);
            }
        })
    }
    fn cost(&self, inputs: &[&Shape], output: &Shape) -> Cost {
        self.layer.cost(inputs[0], output)
    }
    fn reads(&self, input: usize) -> bool {
        input < 2
    }
}
