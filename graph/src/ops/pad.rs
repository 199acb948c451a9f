//! Padding of images (curriculum row I12).
//!
//! y[n,i,j,c] = x[n, source(i − top), source(j − left), c], where `source` brings a position outside
//! back inside as [`PadMode`] says, or the constant.

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::plain::{expect, filled, image, plain};
use super::{Cost, Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// What stands around the image; for a row `a b c d`, two to the left:
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PadMode {
    /// This number: `v v | a b c d`.
    Constant(f32),
    /// The mirror image with the edge: `b a | a b c d`. Not more than the image's size.
    Symmetric,
    /// The mirror image without the edge: `c b | a b c d`. Less than the image's size.
    Reflect,
    /// The edge repeated: `a a | a b c d`.
    Edge,
}

/// y = x with rows and columns around it. Operand: x `[N, H, W, C]`; y is
/// `[N, H + top + bottom, W + left + right, C]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pad2d {
    /// `[top, bottom, left, right]`.
    pub padding: [usize; 4],
    /// What stands there.
    pub mode: PadMode,
}

/// The transpose of [`Pad2d`]. Operands: g `[N, H + …, W + …, C]` and a symbol of x's shape (not read).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pad2dGradient {
    /// The padding.
    pub pad: Pad2d,
}

impl Pad2d {
    /// The row (axis 0) or column (axis 1) of an image of `size` whose value stands at position `at`
    /// of the result; `None` where the constant stands.
    pub fn source(&self, axis: usize, at: usize, size: usize) -> Option<usize> {
        let before = self.padding[2 * axis];
        if at >= before && at - before < size {
            return Some(at - before);
        }
        let start = at < before;
        let distance = if start {
            before - at
        } else {
            at - before - (size - 1)
        };
        let steps = match self.mode {
            PadMode::Constant(_) => return None,
            PadMode::Symmetric => distance - 1,
            PadMode::Reflect => distance,
            PadMode::Edge => 0,
        };
        Some(if start { steps } else { size - 1 - steps })
    }

    fn check(&self, axis: usize, size: usize) -> Result<(), GraphError> {
        let most = self.padding[2 * axis].max(self.padding[2 * axis + 1]);
        let limit = match self.mode {
            PadMode::Constant(_) => usize::MAX,
            PadMode::Symmetric => size,
            PadMode::Reflect => size.saturating_sub(1),
            PadMode::Edge if size == 0 => 0,
            PadMode::Edge => usize::MAX,
        };
        if most <= limit {
            return Ok(());
        }
        let message = format!(
            "a {} of {size} can be mirrored into at most {limit} on a side, found padding {:?} (top, bottom, left, right)",
            ["height", "width"][axis],
            self.padding
        );
        Err(GraphError::shape(self.name(), message))
    }

    /// Calls `visit(y index of channel 0, x index of channel 0 if any)` for every pixel of y.
    fn pixels(&self, x: [usize; 4], mut visit: impl FnMut(usize, Option<usize>)) {
        let [batch, h, width, channels] = x;
        let [top, bottom, left, right] = self.padding;
        let (oh, ow) = (h + top + bottom, width + left + right);
        for n in 0..batch {
            for (i, j) in (0..oh).flat_map(|i| (0..ow).map(move |j| (i, j))) {
                let from = match (self.source(0, i, h), self.source(1, j, width)) {
                    (Some(r), Some(s)) => Some(((n * h + r) * width + s) * channels),
                    _ => None,
                };
                visit(((n * oh + i) * ow + j) * channels, from);
            }
        }
    }
}

fn axes(x: &[usize]) -> [usize; 4] {
    x.try_into().unwrap_or_default()
}

impl Operation for Pad2d {
    fn name(&self) -> &'static str {
        "pad2d"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x] = operands(self.name(), inputs)?;
        let [n, h, width, c] = image(self.name(), x)?;
        self.check(0, h)?;
        self.check(1, width)?;
        let [top, bottom, left, right] = self.padding;
        Ok([n, h + top + bottom, width + left + right, c].into())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        let gradient = Pad2dGradient { pad: *self };
        Ok(Some(Symbol::apply(gradient, &[g, &node.inputs()[0]])?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let constant = match self.mode {
            PadMode::Constant(value) => value.into(),
            _ => 0.0,
        };
        let (x, shape) = (plain(inputs[0]), axes(inputs[0].shape()));
        filled(output, |y| {
            self.pixels(shape, |o, from| {
                for c in 0..shape[3] {
                    y[o + c] = from.map_or(constant, |i| x[i + c]);
                }
            });
        })
    }
    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::default()
    }
}

impl Operation for Pad2dGradient {
    fn name(&self) -> &'static str {
        "pad2d_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [g, like] = operands(self.name(), inputs)?;
        expect(self.name(), "the gradient", g, &self.pad.shape(&[like])?)?;
        Ok(like.clone())
    }
    fn gradient(&self, _: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        if input == 1 {
            return Ok(None);
        }
        let mode = match self.pad.mode {
            PadMode::Constant(_) => PadMode::Constant(0.0),
            mode => mode,
        };
        Ok(Some(Symbol::apply(Pad2d { mode, ..self.pad }, &[g])?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let (g, shape) = (plain(inputs[0]), axes(output));
        filled(output, |dx| {
            self.pad.pixels(shape, |o, from| {
                if let Some(i) = from {
                    (0..shape[3]).for_each(|c| dx[i + c] += g[o + c]);
                }
            });
        })
    }
    fn cost(&self, inputs: &[&Shape], _: &Shape) -> Cost {
        Cost::flops(inputs[0].elements())
    }
    fn reads(&self, input: usize) -> bool {
        input == 0
    }
}
