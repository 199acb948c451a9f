//! Resizing of images, with the conventions of `torch.nn.functional.interpolate`.
//!
//! y[n,i,j,c] = Σ over two rows and two columns of x, weighted by distance. With I the input and O
//! the output size along an axis, output position o looks at
//!
//! - nearest: ⌊o·I/O⌋;
//! - bilinear: max(0, (o + ½)·I/O − ½); with aligned corners o·(I − 1)/(O − 1).

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::plain::{expect, filled, image, plain};
use super::{Cost, Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// How values between pixels are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeMode {
    /// The pixel that covers the position.
    Nearest,
    /// Linear between neighbours along both axes.
    Bilinear {
        /// The centres of the corner pixels fall together (else the images' outer edges do).
        align_corners: bool,
    },
}

/// The size to go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeTo {
    /// These rows and columns.
    Size([usize; 2]),
    /// This many times the rows and columns there are.
    Scale([usize; 2]),
}

/// y = x at another size. Operand: x `[N, H, W, C]`; y is `[N, OH, OW, C]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resize2d {
    /// Nearest or bilinear.
    pub mode: ResizeMode,
    /// The size to go to.
    pub to: ResizeTo,
}

/// The transpose of [`Resize2d`]. Operands: g `[N, OH, OW, C]` and a symbol of x's shape (not read).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resize2dGradient {
    /// The resizing.
    pub resize: Resize2d,
}

/// Where one output row or column comes from: `(1 − weight)·x[low] + weight·x[high]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResizeTap {
    /// The nearer to the start.
    pub low: usize,
    /// Its neighbour, or itself at the end.
    pub high: usize,
    /// The share of `high`, in [0, 1).
    pub weight: f64,
}

impl Resize2d {
    /// Rows and columns of the result for an image of `[height, width]`.
    pub fn size(&self, image: [usize; 2]) -> [usize; 2] {
        match self.to {
            ResizeTo::Size(size) => size,
            ResizeTo::Scale([v, h]) => [image[0] * v, image[1] * h],
        }
    }

    /// Where each of `output` positions along an axis of length `input` comes from.
    pub fn taps(&self, input: usize, output: usize) -> Vec<ResizeTap> {
        (0..output).map(|o| self.tap(o, input, output)).collect()
    }

    fn tap(&self, o: usize, input: usize, output: usize) -> ResizeTap {
        let at = match self.mode {
            ResizeMode::Nearest => {
                let low = o * input / output;
                return ResizeTap {
                    low,
                    high: low,
                    weight: 0.0,
                };
            }
            ResizeMode::Bilinear { align_corners: true } if output == 1 => 0.0,
            ResizeMode::Bilinear { align_corners: true } => {
                o as f64 * (input - 1) as f64 / (output - 1) as f64
            }
            ResizeMode::Bilinear { .. } => ((o as f64 + 0.5) * input as f64 / output as f64 - 0.5).max(0.0),
        };
        let low = (at as usize).min(input - 1);
        ResizeTap {
            low,
            high: (low + 1).min(input - 1),
            weight: at - low as f64,
        }
    }

    /// Calls `visit(y index, x index, weight)` for channel 0 of every pair that takes part.
    fn pairs(&self, x: &[usize], mut visit: impl FnMut(usize, usize, f64)) {
        let &[batch, h, width, channels] = x else {
            return;
        };
        let [oh, ow] = self.size([h, width]);
        let (rows, columns) = (self.taps(h, oh), self.taps(width, ow));
        for n in 0..batch {
            for (i, r) in rows.iter().enumerate() {
                for (j, s) in columns.iter().enumerate() {
                    let y = ((n * oh + i) * ow + j) * channels;
                    for (row, a) in [(r.low, 1.0 - r.weight), (r.high, r.weight)] {
                        for (column, b) in [(s.low, 1.0 - s.weight), (s.high, s.weight)] {
                            visit(y, ((n * h + row) * width + column) * channels, a * b);
                        }
                    }
                }
            }
        }
    }
}

impl Operation for Resize2d {
    fn name(&self) -> &'static str {
        "resize2d"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x] = operands(self.name(), inputs)?;
        let [n, h, width, c] = image(self.name(), x)?;
        let [oh, ow] = self.size([h, width]);
        if h * width * oh * ow == 0 {
            return Err(GraphError::shape(
                self.name(),
                format!("sizes must be at least 1, found {h}×{width} to {oh}×{ow}"),
            ));
        }
        Ok([n, oh, ow, c].into())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        let gradient = Resize2dGradient { resize: *self };
        Ok(Some(Symbol::apply(gradient, &[g, &node.inputs()[0]])?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let x = plain(inputs[0]);
        filled(output, |y| {
            self.pairs(inputs[0].shape(), |o, i, weight| {
                (0..output.last_axis()).for_each(|c| y[o + c] += weight * x[i + c]);
            });
        })
    }
    fn cost(&self, _: &[&Shape], output: &Shape) -> Cost {
        Cost::flops(match self.mode {
            ResizeMode::Nearest => 0,
            ResizeMode::Bilinear { .. } => 7 * output.elements(),
        })
    }
}

impl Operation for Resize2dGradient {
    fn name(&self) -> &'static str {
        "resize2d_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [g, like] = operands(self.name(), inputs)?;
        expect(self.name(), "the gradient", g, &self.resize.shape(&[like])?)?;
        Ok(like.clone())
    }
    fn gradient(&self, _: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        match input {
            0 => Ok(Some(Symbol::apply(self.resize, &[g])?)),
            _ => Ok(None),
        }
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let g = plain(inputs[0]);
        filled(output, |dx| {
            self.resize.pairs(output, |o, i, weight| {
                (0..output.last_axis()).for_each(|c| dx[i + c] += weight * g[o + c]);
            });
        })
    }
    fn cost(&self, inputs: &[&Shape], _: &Shape) -> Cost {
        Cost::flops(8 * inputs[0].elements())
    }
    fn reads(&self, input: usize) -> bool {
        input == 0
    }
}
