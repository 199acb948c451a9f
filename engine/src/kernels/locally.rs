//! Locally connected layers: at each position a small matrix product with its own weights.
//!
//! A *strip* is a row of a window as far as it lies inside the image: with dilation 1 its pixels are
//! neighbours and make one long row of A; else each tap is a strip of its own.

use graph::Shape;
use graph::ops::{LocallyConnected2d, LocallyConnected2dSizes};

use super::brgemm::{Finish, Operands, Start, brgemm};
use super::columns::by_rows;
use super::registry::Built;
use super::{BuildContext, Isa, Kernel, Task, Work};
use crate::{EngineError, per_isa};

/// A part of a window: where it begins in one image and among the window's weights (in rows of O),
/// and its length in pixels times channels.
#[derive(Clone, Copy)]
struct Strip {
    image: usize,
    weight: usize,
    length: usize,
}

struct Geometry {
    sizes: LocallyConnected2dSizes,
    /// Strips of each position, one position after another.
    strips: Vec<Strip>,
    starts: Vec<usize>,
}

impl Geometry {
    fn new(layer: LocallyConnected2d, x: &Shape, w: &Shape) -> Result<Self, EngineError> {
        let sizes = layer.sizes(x, w)?;
        let mut geometry = Self {
            sizes,
            strips: Vec::new(),
            starts: vec![0],
        };
        for i in 0..sizes.window.output[0] {
            for j in 0..sizes.window.output[1] {
                (0..sizes.window.kernel[0]).for_each(|u| geometry.add_row(i, j, u));
                geometry.starts.push(geometry.strips.len());
            }
        }
        Ok(geometry)
    }

    fn add_row(&mut self, i: usize, j: usize, u: usize) {
        let (w, c) = (self.sizes.window, self.sizes.channels);
        let Some(r) = w.source(0, i, u) else { return };
        let mut after = None;
        for v in 0..w.kernel[1] {
            let Some(s) = w.source(1, j, v) else { continue };
            let image = (r * w.image[1] + s) * c;
            match self.strips.last_mut() {
                Some(last) if after == Some(image) => last.length += c,
                _ => self.strips.push(Strip {
                    image,
                    weight: (u * w.kernel[1] + v) * c,
                    length: c,
                }),
            }
            after = Some(image + c);
        }
    }

    fn positions(&self) -> impl Iterator<Item = (usize, &[Strip])> {
        let strips = |p: usize| &self.strips[self.starts[p]..self.starts[p + 1]];
        (0..self.starts.len() - 1).map(move |p| (p, strips(p)))
    }

    /// Elements of an image, of a result, and of a position's weights.
    fn elements(&self) -> [usize; 3] {
        let (w, s) = (&self.sizes.window, &self.sizes);
        [
            w.image[0] * w.image[1] * s.channels,
            w.output[0] * w.output[1] * s.outputs,
            w.kernel[0] * w.kernel[1] * s.channels * s.outputs,
        ]
    }
}

struct Forward {
    isa: Isa,
    work: Work,
    geometry: Geometry,
}

/// Operands x, w.
pub(crate) fn forward(
    context: &BuildContext,
    layer: LocallyConnected2d,
    shapes: &[&Shape],
    output: &Shape,
) -> Result<Built, EngineError> {
    let work = by_rows(context, output);
    let kernel = Forward {
        isa: context.isa,
        work,
        geometry: Geometry::new(layer, shapes[0], shapes[1])?,
    };
    Ok(Built::new(kernel, vec![work == Work::Samples]))
}

impl Kernel for Forward {
    fn work(&self) -> Work {
        self.work
    }
    fn run(&self, task: Task<'_>) {
        let (x, w) = (task.input(0), task.input(1));
        let [image, result, weights] = self.geometry.elements();
        let outputs = self.geometry.sizes.outputs;
        let samples = task.output.len() / result;
        for (p, strips) in self.geometry.positions() {
            for (k, strip) in strips.iter().enumerate() {
                let operands = Operands {
                    a: x,
                    a_row: image,
                    a_column: 1,
                    starts: &[Start { a: strip.image, b: 0 }],
                    depth: strip.length,
                    b: &w[p * weights + strip.weight * outputs..],
                    b_row: outputs,
                    bias: None,
                    residual: None,
                };
                let finish = Finish {
                    accumulate: k > 0,
                    relu: false,
                };
                let y = &mut task.output[p * outputs..];
                brgemm(self.isa, samples, outputs, &operands, y, result, finish);
            }
        }
    }
}

struct InputGradient {
    isa: Isa,
    work: Work,
    geometry: Geometry,
}

/// Operands g, w, like x.
pub(crate) fn input_gradient(
    context: &BuildContext,
    layer: LocallyConnected2d,
    shapes: &[&Shape],
) -> Result<Built, EngineError> {
    let work = by_rows(context, shapes[2]);
    let kernel = InputGradient {
        isa: context.isa,
        work,
        geometry: Geometry::new(layer, shapes[2], shapes[1])?,
    };
    Ok(Built::new(kernel, vec![work == Work::Samples]))
}

impl Kernel for InputGradient {
    fn work(&self) -> Work {
        self.work
    }
    fn run(&self, task: Task<'_>) {
        let (g, w) = (task.input(0), task.input(1));
        let [image, result, weights] = self.geometry.elements();
        let outputs = self.geometry.sizes.outputs;
        task.output.fill(0.0);
        // Positions outside, so that a position's weights are read once for all samples.
        for (p, strips) in self.geometry.positions() {
            let samples = task.output.chunks_exact_mut(image).zip(g.chunks_exact(result));
            for (dx, g) in samples {
                let g = &g[p * outputs..(p + 1) * outputs];
                for strip in strips {
                    let w = &w[p * weights + strip.weight * outputs..][..strip.length * outputs];
                    add_products(self.isa, g, w, &mut dx[strip.image..strip.image + strip.length]);
                }
            }
        }
    }
}

per_isa!(
    fn add_products(g: &[f32], w: &[f32], dx: &mut [f32]) {
        for (dx, w) in dx.iter_mut().zip(w.chunks_exact(g.len())) {
            *dx += super::softmax::sum(g.len(), |k| g[k] * w[k]);
        }
    }
);

struct WeightGradient {
    isa: Isa,
    geometry: Geometry,
}

/// Operands x, g, like w. Each position is a piece.
pub(crate) fn weight_gradient(
    context: &BuildContext,
    layer: LocallyConnected2d,
    shapes: &[&Shape],
) -> Result<Built, EngineError> {
    let kernel = WeightGradient {
        isa: context.isa,
        geometry: Geometry::new(layer, shapes[0], shapes[2])?,
    };
    Ok(Built::new(kernel, vec![]))
}

impl Kernel for WeightGradient {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.geometry.starts.len() - 1,
            elements: self.geometry.elements()[2],
        }
    }
    fn run(&self, task: Task<'_>) {
        let (x, g) = (task.input(0), task.input(1));
        let [image, result, weights] = self.geometry.elements();
        let (outputs, samples) = (self.geometry.sizes.outputs, self.geometry.sizes.batch);
        task.output.fill(0.0);
        let first = task.range.start;
        for (p, strips) in self.geometry.positions().skip(first).take(task.range.len()) {
            for strip in strips {
                let operands = Operands {
                    a: x,
                    a_row: 1,
                    a_column: image,
                    starts: &[Start { a: strip.image, b: 0 }],
                    depth: samples,
                    b: &g[p * outputs..],
                    b_row: result,
                    bias: None,
                    residual: None,
                };
                let dw = &mut task.output[(p - first) * weights + strip.weight * outputs..];
                let finish = Finish::default();
                brgemm(self.isa, strip.length, outputs, &operands, dw, outputs, finish);
            }
        }
    }
}
