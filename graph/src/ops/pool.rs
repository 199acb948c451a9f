//! Pooling over sliding windows, channel by channel (curriculum rows I16–I19).
//!
//! x is `[N, H, W, C]`, y is `[N, OH, OW, C]`. With W(i, j) the positions of the window at (i, j)
//! that lie inside the image (padding holds nothing to choose from):
//!
//! - max: y = max over W; min: y = min over W; a tie's gradient goes to its first position, row by row;
//! - average: y = Σ over W / n, with n = |W|, or all taps of the window if padding counts;
//! - L2: y = √(Σ over W of x²), with gradient g·x/y, and 0 where y = 0.
//!
//! Global pooling is [`super::Reduce`] over axes 1 and 2.

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::plain::{filled, image, plain, shape_of};
use super::window::{BoundWindow, Window};
use super::{Cost, Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// What a window is pooled to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKind {
    /// The largest value.
    Max,
    /// The smallest value.
    Min,
    /// The mean.
    Average {
        /// Divide by the number of the window's taps, not by that of the taps inside the image.
        count_padding: bool,
    },
    /// The square root of the sum of squares.
    L2,
}

/// y = pooled x. Operand: x `[N, H, W, C]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pool2d {
    /// What a window is pooled to.
    pub kind: PoolKind,
    /// Rows and columns of the window.
    pub size: [usize; 2],
    /// Stride, dilation, padding.
    pub window: Window,
}

/// ∂loss/∂x of a [`Pool2d`]. Operands: g and y `[N, OH, OW, C]` with x `[N, H, W, C]` between them.
/// An average reads neither x nor y.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pool2dGradient {
    /// The pooling.
    pub pool: Pool2d,
}

/// A pooling with all its sizes known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool2dSizes {
    /// Samples.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Image, window and output sizes.
    pub window: BoundWindow,
}

impl Pool2dSizes {
    /// Calls `visit(y index of channel 0, x indices of channel 0 of the taps inside)` per window.
    fn windows(&self, mut visit: impl FnMut(usize, &[usize])) {
        let w = &self.window;
        let ([h, width], [oh, ow], [kh, kw]) = (w.image, w.output, w.kernel);
        let mut taps = Vec::with_capacity(kh * kw);
        for n in 0..self.batch {
            for (i, j) in (0..oh).flat_map(|i| (0..ow).map(move |j| (i, j))) {
                taps.clear();
                for r in (0..kh).filter_map(|u| w.source(0, i, u)) {
                    for s in (0..kw).filter_map(|v| w.source(1, j, v)) {
                        taps.push(((n * h + r) * width + s) * self.channels);
                    }
                }
                visit(((n * oh + i) * ow + j) * self.channels, &taps);
            }
        }
    }
}

impl Pool2d {
    /// All sizes for an image `[N, H, W, C]`.
    ///
    /// # Errors
    /// When the window does not fit, or lies in the padding alone somewhere.
    pub fn sizes(&self, x: &Shape) -> Result<Pool2dSizes, GraphError> {
        let [batch, h, width, channels] = image(self.name(), x)?;
        let window = self.window.bind(self.name(), [h, width], self.size)?;
        for axis in 0..2 {
            let sees = |at| (0..window.kernel[axis]).any(|tap| window.source(axis, at, tap).is_some());
            if let Some(at) = (0..window.output[axis]).find(|&at| !sees(at)) {
                let message = format!(
                    "window {at} along the {} lies in the padding alone; use less padding than the window's {}",
                    ["height", "width"][axis],
                    window.kernel[axis]
                );
                return Err(GraphError::shape(self.name(), message));
            }
        }
        Ok(Pool2dSizes {
            batch,
            channels,
            window,
        })
    }

    /// What an average over a window with `inside` taps in the image divides by.
    pub fn divisor(&self, inside: usize) -> usize {
        match self.kind {
            PoolKind::Average { count_padding: true } => self.size[0] * self.size[1],
            _ => inside,
        }
    }

    fn value(&self, taps: impl ExactSizeIterator<Item = f64>) -> f64 {
        let count = self.divisor(taps.len()) as f64;
        match self.kind {
            PoolKind::Max => taps.fold(f64::NEG_INFINITY, |a, b| if b > a || b.is_nan() { b } else { a }),
            PoolKind::Min => taps.fold(f64::INFINITY, |a, b| if b < a || b.is_nan() { b } else { a }),
            PoolKind::Average { .. } => taps.sum::<f64>() / count,
            PoolKind::L2 => taps.map(|v| v * v).sum::<f64>().sqrt(),
        }
    }
}

impl Operation for Pool2d {
    fn name(&self) -> &'static str {
        match self.kind {
            PoolKind::Max => "max_pool2d",
            PoolKind::Min => "min_pool2d",
            PoolKind::Average { .. } => "average_pool2d",
            PoolKind::L2 => "l2_pool2d",
        }
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x] = operands(self.name(), inputs)?;
        let sizes = self.sizes(x)?;
        let [oh, ow] = sizes.window.output;
        Ok([sizes.batch, oh, ow, sizes.channels].into())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        let gradient = Pool2dGradient { pool: *self };
        Ok(Some(Symbol::apply(gradient, &[g, &node.inputs()[0], node])?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let x = plain(inputs[0]);
        filled(output, |y| {
            if let Ok(sizes) = self.sizes(&shape_of(inputs[0])) {
                sizes.windows(|o, taps| {
                    for c in 0..sizes.channels {
                        y[o + c] = self.value(taps.iter().map(|t| x[t + c]));
                    }
                });
            }
        })
    }
    fn cost(&self, _: &[&Shape], output: &Shape) -> Cost {
        Cost::flops(output.elements() * self.size[0] * self.size[1])
    }
}

impl Pool2dGradient {
    /// Adds ∂loss/∂x of one window and channel; `taps` index `x` and `dx`.
    fn spread(&self, g: f64, y: f64, taps: impl ExactSizeIterator<Item = usize>, x: &[f64], dx: &mut [f64]) {
        let share = g / self.pool.divisor(taps.len()) as f64;
        match self.pool.kind {
            PoolKind::Max | PoolKind::Min => {
                let mut taps = taps;
                if let Some(t) = taps.find(|&t| x[t] == y) {
                    dx[t] += g;
                }
            }
            PoolKind::Average { .. } => taps.for_each(|t| dx[t] += share),
            PoolKind::L2 if y == 0.0 => {}
            PoolKind::L2 => taps.for_each(|t| dx[t] += g * x[t] / y),
        }
    }
}

impl Operation for Pool2dGradient {
    fn name(&self) -> &'static str {
        "pool2d_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [g, x, y] = operands(self.name(), inputs)?;
        let expected = self.pool.shape(&[x])?;
        super::plain::expect(self.name(), "the gradient", g, &expected)?;
        super::plain::expect(self.name(), "the pooled image", y, &expected)?;
        Ok(x.clone())
    }
    /// An average is linear, so its gradient's gradient is the average again.
    fn gradient(&self, _: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        match (self.pool.kind, input) {
            (PoolKind::Average { .. }, 0) => Ok(Some(Symbol::apply(self.pool, &[g])?)),
            (PoolKind::Average { .. }, _) => Ok(None),
            _ => Err(GraphError::NoGradient {
                op: self.name().into(),
                input,
            }),
        }
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let (g, x, y) = (plain(inputs[0]), plain(inputs[1]), plain(inputs[2]));
        filled(output, |dx| {
            if let Ok(sizes) = self.pool.sizes(output) {
                sizes.windows(|o, taps| {
                    for c in 0..sizes.channels {
                        self.spread(g[o + c], y[o + c], taps.iter().map(|t| t + c), &x, dx);
                    }
                });
            }
        })
    }
    fn cost(&self, inputs: &[&Shape], _: &Shape) -> Cost {
        Cost::flops(inputs[0].elements() * self.pool.size[0] * self.pool.size[1])
    }
    fn reads(&self, input: usize) -> bool {
        input == 0 || !matches!(self.pool.kind, PoolKind::Average { .. })
    }
}
