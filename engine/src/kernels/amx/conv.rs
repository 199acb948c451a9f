//! Convolution, and its way back to the image, on tiles.
//!
//! Both are passes over a framed sample: 32 pixels in flat order are the rows of a block, and each step of
//! the sum is one tap of 32 channels, a constant distance away. The way back with a stride is one pass for each phase
//! of the image, with the taps that reach it.

use graph::Shape;
use graph::ops::{Conv2d, Conv2dSizes, Conv2dTransposed};

use super::super::conv::equal_macs;
use super::super::registry::Built;
use super::super::{Kernel, Task, Work};
use super::frame::{Frame, lay_rows};
use super::planes::{Planes, Side};
use super::rule;
use super::split::{PLAIN, in_range};
use super::store::{Store, store};
use super::tile::{Block, Left, SIDE, Session, Tiles, words_mut};
use crate::plan::Epilogue;

/// The outputs of one phase, all in the frame's flat order.
struct Pass {
    /// Where each step of the sum starts for the first pixel.
    starts: Vec<usize>,
    /// The first of its steps in the packed weights.
    first_step: usize,
    /// Rows and columns of the outputs.
    size: [usize; 2],
    /// Where its first output goes, and how far apart they lie.
    origin: [usize; 2],
    spread: [usize; 2],
}

/// A pass from image to image.
struct Sweep {
    tiles: Tiles,
    frame: Frame,
    /// Pixels of a sample.
    image: usize,
    weights: Planes,
    passes: Vec<Pass>,
    output: [usize; 2],
    epilogue: Epilogue,
}

/// What the epilogue adds to one sample.
#[derive(Clone, Copy)]
struct Added<'a> {
    bias: Option<&'a [f32]>,
    residual: Option<&'a [f32]>,
}

fn build(sweep: Sweep, macs: usize) -> Option<Built> {
    let columns = sweep.frame.size[1];
    let rows = |p: &Pass| (p.size[0].max(1) - 1) * columns + p.size[1];
    let blocks = |p: &Pass| rows(p).div_ceil(SIDE) * p.starts.len();
    let cost = rule::Cost {
        macs,
        blocks: sweep.passes.iter().map(blocks).sum::<usize>() * sweep.weights.panels(),
        splits: sweep.frame.elements(),
        narrowest: sweep.frame.channels.min(sweep.weights.lines),
    };
    if !rule::worth(sweep.tiles, &cost) {
        return None;
    }
    let (weights, [_, residual]) = (sweep.weights.clone(), sweep.epilogue.operands(2));
    let by_sample = |k: usize| k == 0 || Some(k) == residual;
    let operands = 2 + sweep.epilogue.count();
    Some(Built::new(sweep, (0..operands).map(by_sample).collect()).packing(1, weights))
}

/// The convolution on tiles, if it is worth it.
pub(super) fn forward(tiles: Tiles, op: Conv2d, epilogue: Epilogue, shapes: &[&Shape]) -> Option<Built> {
    let s = op.sizes(shapes[0], shapes[1]).ok()?;
    if s.groups != 1 || s.batch == 0 {
        return None;
    }
    let frame = forward_frame(&s);
    let [kh, kw] = s.window.kernel;
    let (mut starts, mut steps) = (Vec::new(), Vec::new());
    for block in 0..frame.channel_blocks() {
        for (u, v) in (0..kh).flat_map(|u| (0..kw).map(move |v| (u, v))) {
            let tap = frame.pixel([u * s.window.dilation[0], v * s.window.dilation[1]]);
            starts.push((block * frame.pixels() + tap) * SIDE);
            let start = ((u * kw + v) * s.channels + block * SIDE) * s.outputs;
            steps.push((start, SIDE.min(s.channels - block * SIDE)));
        }
    }
    let pass = Pass {
        starts,
        first_step: 0,
        size: s.window.output,
        origin: [0, 0],
        spread: [1, 1],
    };
    let weights = Planes {
        tiles,
        side: Side::Right,
        steps,
        along: s.outputs,
        across: 1,
        lines: s.outputs,
    };
    let sweep = Sweep {
        tiles,
        frame,
        image: s.window.image[0] * s.window.image[1],
        weights,
        passes: vec![pass],
        output: s.window.output,
        epilogue,
    };
    build(sweep, equal_macs(&s) / s.batch)
}

/// The framed image that all windows of a convolution lie in.
pub(super) fn forward_frame(s: &Conv2dSizes) -> Frame {
    let w = &s.window;
    let reach = |axis: usize| w.output[axis] + w.dilation[axis] * (w.kernel[axis] - 1) / w.stride[axis];
    Frame::new(
        w.image,
        s.channels,
        w.stride,
        [w.padding[0], w.padding[2]],
        [reach(0), reach(1)],
    )
}

/// The way back along one axis, for the image's rows r with (r + padding) mod stride = phase: output
/// row m − shift of the gradient meets tap u, where r + padding = stride·m + phase.
struct Way {
    /// The first m, how many, and the image row of the first.
    first: usize,
    count: usize,
    origin: usize,
    /// (tap, shift)
    taps: Vec<(usize, usize)>,
}

fn way(s: &Conv2dSizes, axis: usize, phase: usize) -> Way {
    let w = &s.window;
    let (stride, padding) = (w.stride[axis], w.padding[2 * axis]);
    let first = padding.saturating_sub(phase).div_ceil(stride);
    // m counts from 0 to end − 1 over the padded image.
    let end = (w.image[axis] + padding).saturating_sub(phase).div_ceil(stride);
    let reaching = |u: usize| {
        let offset = u * w.dilation[axis];
        (offset % stride == phase).then(|| (u, offset / stride))
    };
    Way {
        first,
        count: end.saturating_sub(first),
        origin: (stride * first + phase).saturating_sub(padding),
        taps: (0..w.kernel[axis]).filter_map(reaching).collect(),
    }
}

/// The way back on tiles, if it is worth it.
pub(super) fn transposed(
    tiles: Tiles,
    op: Conv2dTransposed,
    epilogue: Epilogue,
    shapes: &[&Shape],
) -> Option<Built> {
    let s = op.sizes(shapes).ok()?;
    if s.groups != 1 || s.batch == 0 || epilogue != Epilogue::default() {
        return None;
    }
    let w = &s.window;
    // Zeros before the gradient for the largest shift, and room for the last m behind it.
    let before = |axis: usize| w.dilation[axis] * (w.kernel[axis] - 1) / w.stride[axis];
    let size = |axis: usize| {
        let end = (w.image[axis] + w.padding[2 * axis]).div_ceil(w.stride[axis]);
        before(axis) + end.max(w.output[axis])
    };
    let origin = [before(0), before(1)];
    let frame = Frame::new(w.output, s.outputs, [1, 1], origin, [size(0), size(1)]);
    let (mut passes, mut steps) = (Vec::new(), Vec::new());
    for (i, j) in (0..w.stride[0]).flat_map(|i| (0..w.stride[1]).map(move |j| (i, j))) {
        let (down, right) = (way(&s, 0, i), way(&s, 1, j));
        let first_step = steps.len();
        let mut starts = Vec::new();
        for block in 0..frame.channel_blocks() {
            for &(u, up) in &down.taps {
                for &(v, left) in &right.taps {
                    let at = [origin[0] + down.first - up, origin[1] + right.first - left];
                    starts.push((block * frame.pixels() + frame.pixel(at)) * SIDE);
                    let start = (u * w.kernel[1] + v) * s.channels * s.outputs + block * SIDE;
                    steps.push((start, SIDE.min(s.outputs - block * SIDE)));
                }
            }
        }
        passes.push(Pass {
            starts,
            first_step,
            size: [down.count, right.count],
            origin: [down.origin, right.origin],
            spread: w.stride,
        });
    }
    let weights = Planes {
        tiles,
        side: Side::Right,
        steps,
        along: 1,
        across: s.outputs,
        lines: s.channels,
    };
    let sweep = Sweep {
        tiles,
        frame,
        image: w.output[0] * w.output[1],
        weights,
        passes,
        output: w.image,
        epilogue,
    };
    build(sweep, equal_macs(&s) / s.batch)
}

impl Kernel for Sweep {
    fn work(&self) -> Work {
        Work::Samples
    }

    fn scratch(&self) -> usize {
        self.tiles.words(self.frame.elements()).div_ceil(2)
    }

    fn run(&self, task: Task<'_>) {
        let (x, weights) = (task.input(0), task.input(1));
        let [bias, residual] = self.epilogue.operands(2);
        let bias = bias.map(|k| task.input(k));
        let residual = residual.map(|k| task.input(k));
        let result = self.output[0] * self.output[1] * self.weights.lines;
        let scratch = words_mut(&mut task.scratch[..self.scratch()]);
        let weights_split = self.weights.is_split(weights);
        let session = Session::open(self.tiles);
        let samples = x.chunks_exact(self.image * self.frame.channels);
        let outputs = task.output.chunks_exact_mut(result);
        for (index, (sample, output)) in samples.zip(outputs).enumerate() {
            let added = Added {
                bias,
                residual: residual.map(|r| &r[index * result..]),
            };
            // Infinite weights must not meet the frame's zeros, so the frame then is marked.
            let parts = match weights_split && in_range(self.tiles.isa, sample) {
                true => self.tiles.parts,
                false => PLAIN,
            };
            lay_rows(self.tiles.isa, &self.frame, sample, parts, scratch);
            let left = Left {
                words: scratch,
                plain: parts == PLAIN,
                plane: self.frame.elements(),
                row: SIDE,
                at: 0,
            };
            // Output channels outside: a panel of weights stays in the caches for all pixels.
            for panel in 0..self.weights.panels() {
                for pass in &self.passes {
                    self.pass(&session, pass, left, (weights, panel), added, output);
                }
            }
        }
    }
}

impl Sweep {
    /// All pixels of one pass and one panel of output channels.
    fn pass(
        &self,
        session: &Session,
        pass: &Pass,
        left: Left,
        (weights, panel): (&[f32], usize),
        added: Added,
        output: &mut [f32],
    ) {
        let [rows, columns] = pass.size;
        if rows == 0 || columns == 0 {
            return;
        }
        let right = self.weights.right(weights, panel, pass.first_step);
        let flat = (rows - 1) * self.frame.size[1] + columns;
        let mut block = Block::ZERO;
        for first in (0..flat).step_by(SIDE) {
            let at = first * SIDE;
            session.product(&Left { at, ..left }, &pass.starts, &right, &mut block);
            self.scatter(pass, first, panel, added, &block, output);
        }
    }

    /// The pixels of a block that belong to the result, to their places.
    fn scatter(
        &self,
        pass: &Pass,
        first: usize,
        panel: usize,
        added: Added,
        block: &Block,
        output: &mut [f32],
    ) {
        let outputs = self.weights.lines;
        let mut how = Store {
            skip: 0,
            rows: 0,
            columns: self.weights.lines_of(panel),
            stride: outputs * pass.spread[1],
            accumulate: false,
            bias: added.bias.map(|b| &b[panel * SIDE..]),
            residual: None,
            relu: self.epilogue.relu,
        };
        let mut pixel = first;
        while pixel < first + SIDE {
            // A run of pixels of one row, then the frame between it and the next row.
            let (row, column) = (pixel / self.frame.size[1], pixel % self.frame.size[1]);
            how.skip = pixel - first;
            how.rows = pass.size[1].saturating_sub(column).min(SIDE - how.skip);
            if row >= pass.size[0] {
                return;
            }
            if how.rows > 0 {
                let to_row = pass.origin[0] + row * pass.spread[0];
                let to_column = pass.origin[1] + column * pass.spread[1];
                let at = (to_row * self.output[1] + to_column) * outputs + panel * SIDE;
                how.residual = added.residual.map(|r| &r[at..]);
                store(self.tiles.isa, block, &mut output[at..], &how);
            }
            pixel += self.frame.size[1] - column;
        }
    }
}
