//! The gradient of many weights on few pixels: the weights are split between the threads, and each piece sees
//! all samples, so that no thread needs a partial result of all weights.

use std::ops::Range;

use graph::ops::Conv2dSizes;

use super::geometry::Axis;
use crate::kernels::brgemm::{Finish, Operands, Start, brgemm};
use crate::kernels::{BuildContext, Built, Isa, Kernel, Task, Work};

/// Pixels of the gradient that are taken for all pieces before the next.
const PIXELS: usize = 768;
/// Above this many bytes of partial results weights are split.
const PARTIALS: usize = 4 << 20;
/// Below this many samples there are too few parts for the threads.
const FEW: usize = 4;
/// Elements of a piece, about.
const PIECE: usize = 32 * 1024;
/// Images with more pixels, or batches with fewer samples, are gathered. The same pixel of all samples lies a whole image apart,
/// often a power of two, so that many samples meet in few cache sets: 8×8 pixels of 256 channels run twice as fast gathered.
/// Images of 4×4 are worth it still, since a third of their taps lie outside and cost nothing.
const MOST_ACROSS: usize = 16;
const LEAST_ACROSS: usize = 8;
/// Filling between gathered rows, so that they do not share cache sets.
const GAP: usize = 16;

pub(super) struct SplitWeights {
    isa: Isa,
    sizes: Conv2dSizes,
    down: Axis,
    along: Axis,
    /// Channels of one tap that are a piece.
    channels: usize,
}

fn elements(s: &Conv2dSizes) -> usize {
    s.window.kernel[0] * s.window.kernel[1] * s.channels * s.outputs
}

/// Whether partial results of all weights would cost more than they are worth.
pub(super) fn suits(context: &BuildContext, s: &Conv2dSizes) -> bool {
    s.groups == 1 && s.channels >= 16 && (elements(s) * 4 * context.chunks > PARTIALS || context.batch < FEW)
}

pub(super) fn build(context: &BuildContext, sizes: Conv2dSizes) -> Built {
    Built::new(SplitWeights::new(context, sizes), vec![false; 2])
}

impl SplitWeights {
    pub(super) fn new(context: &BuildContext, sizes: Conv2dSizes) -> Self {
        let divides = |c: &usize| sizes.channels.is_multiple_of(*c) && c * sizes.outputs <= PIECE;
        Self {
            isa: context.isa,
            down: Axis::forward(&sizes.window, 0),
            along: Axis::forward(&sizes.window, 1),
            channels: (1..=sizes.channels).filter(divides).max().unwrap_or(1),
            sizes,
        }
    }
}

impl Kernel for SplitWeights {
    fn work(&self) -> Work {
        let piece = self.channels * self.sizes.outputs;
        Work::Pieces {
            count: elements(&self.sizes) / piece,
            elements: piece,
        }
    }

    fn scratch(&self) -> usize {
        PIXELS * (self.channels + GAP)
    }

    fn run(&self, task: Task<'_>) {
        let s = &self.sizes;
        let (x, g) = (task.input(0), task.input(1));
        if s.window.output[0] * s.window.output[1] <= MOST_ACROSS && s.batch >= LEAST_ACROSS {
            let pieces = task.output.chunks_exact_mut(self.channels * s.outputs);
            return task
                .range
                .zip(pieces)
                .for_each(|(piece, dw)| self.across(x, g, piece, dw));
        }
        let pixels = s.batch * s.window.output[0] * s.window.output[1];
        for first in (0..pixels).step_by(PIXELS) {
            let block = first..(first + PIXELS).min(pixels);
            let g = &g[block.start * s.outputs..block.end * s.outputs];
            let pieces = task.output.chunks_exact_mut(self.channels * s.outputs);
            for (piece, dw) in task.range.clone().zip(pieces) {
                self.gather(x, &block, piece, task.scratch);
                let operands = Operands {
                    a: task.scratch,
                    a_row: 1,
                    a_column: self.channels + GAP,
                    starts: &Start::ONE,
                    depth: block.len(),
                    b: g,
                    b_row: s.outputs,
                    bias: None,
                    residual: None,
                };
                let finish = Finish {
                    accumulate: first > 0,
                    relu: false,
                };
                brgemm(
                    self.isa,
                    self.channels,
                    s.outputs,
                    &operands,
                    dw,
                    s.outputs,
                    finish,
                );
            }
        }
    }
}

impl SplitWeights {
    /// The tap of a piece as its distance in the source, and its first channel.
    fn tap(&self, piece: usize) -> ([isize; 2], usize) {
        let blocks = self.sizes.channels / self.channels;
        let (tap, channel) = (piece / blocks, piece % blocks * self.channels);
        let columns = self.sizes.window.kernel[1];
        (
            [self.down.taps[tap / columns].1, self.along.taps[tap % columns].1],
            channel,
        )
    }

    /// A piece of few pixels and many samples: each pixel that its tap meets inside the image is one product,
    /// whose sum runs over samples.
    fn across(&self, x: &[f32], g: &[f32], piece: usize, dw: &mut [f32]) {
        let s = &self.sizes;
        let ([h, width], [high, wide]) = (s.window.image, s.window.output);
        let ([dy, dx], channel) = self.tap(piece);
        let mut starts = [Start::default(); MOST_ACROSS];
        let mut count = 0;
        for (i, j) in (0..high).flat_map(|i| (0..wide).map(move |j| (i, j))) {
            let r = (i * self.down.step) as isize + dy;
            let c = (j * self.along.step) as isize + dx;
            if (0..h as isize).contains(&r) && (0..width as isize).contains(&c) {
                starts[count] = Start {
                    a: (r as usize * width + c as usize) * s.channels,
                    b: (i * wide + j) * s.outputs,
                };
                count += 1;
            }
        }
        let operands = Operands {
            a: &x[channel..],
            a_row: 1,
            a_column: h * width * s.channels,
            starts: &starts[..count],
            depth: s.batch,
            b: g,
            b_row: high * wide * s.outputs,
            bias: None,
            residual: None,
        };
        brgemm(
            self.isa,
            self.channels,
            s.outputs,
            &operands,
            dw,
            s.outputs,
            Finish::default(),
        );
    }

    /// Lays the channels of a piece that each pixel of the block meets, one pixel a row; zeros outside the image.
    fn gather(&self, x: &[f32], block: &Range<usize>, piece: usize, matrix: &mut [f32]) {
        let s = &self.sizes;
        let ([h, width], [high, wide]) = (s.window.image, s.window.output);
        let ([dy, dx], channel) = self.tap(piece);
        for (pixel, row) in block.clone().zip(matrix.chunks_exact_mut(self.channels + GAP)) {
            let (n, i, j) = (pixel / wide / high, pixel / wide % high, pixel % wide);
            let r = (i * self.down.step) as isize + dy;
            let c = (j * self.along.step) as isize + dx;
            let to = &mut row[..self.channels];
            if (0..h as isize).contains(&r) && (0..width as isize).contains(&c) {
                let at = ((n * h + r as usize) * width + c as usize) * s.channels + channel;
                to.copy_from_slice(&x[at..at + self.channels]);
            } else {
                to.fill(0.0);
            }
        }
    }
}
