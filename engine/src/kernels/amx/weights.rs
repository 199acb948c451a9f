//! The gradient of a convolution's weights on tiles.
//!
//! Few weights are a sum over samples, as of any kernel ([`Few`]). Many weights are split by channels of the image, so
//! that each piece sees all samples and no thread needs a partial result of them all ([`Many`]). Both make blocks
//! (`sums`), which [`ordered`] puts where they belong.

use graph::Shape;
use graph::ops::Conv2dWeightGradient;

use super::super::conv::{equal_macs, reading};
use super::super::registry::Built;
use super::super::{BuildContext, Kernel, Reading, Rows, Task, Work};
use super::pairs::place;
use super::rule;
use super::split::transpose;
use super::sums::{Strip, Sums};
use super::tile::{BLOCK, Block, SIDE, Session, Tiles, words_mut};
use crate::Isa;

/// Above this many bytes of partial results weights are split.
const PARTIALS: usize = 4 << 20;
/// Bytes of blocks that are summed together: with what they are sums of they stay in a core's second cache.
const NEAR: usize = 1 << 20;

/// The gradient on tiles, if it is worth it.
pub(super) fn build(
    context: &BuildContext,
    tiles: Tiles,
    op: Conv2dWeightGradient,
    shapes: &[&Shape],
) -> Option<Built> {
    let s = op.sizes(shapes).ok()?;
    if s.groups != 1 || s.batch == 0 || s.batch != context.batch {
        return None;
    }
    let all = s.channels.div_ceil(SIDE);
    let partial = s.window.kernel[0] * s.window.kernel[1] * all * s.outputs.div_ceil(SIDE) * BLOCK;
    // Several chunks: only a whole batch's op may have a step before it.
    let many = context.chunks > 1 && partial * 4 * context.chunks > PARTIALS;
    let group = if many {
        (NEAR * all / (partial * 4)).clamp(1, all)
    } else {
        all
    };
    let samples = if many {
        s.batch
    } else {
        s.batch.div_ceil(context.chunks)
    };
    let reading = reading(context, &s, false);
    let cost = rule::Cost {
        macs: equal_macs(&s) / s.batch,
        blocks: 0,
        splits: 0,
        weights: 0,
        packing: true,
        narrowest: s.channels.min(s.outputs),
    };
    let batch = s.batch;
    let sums = Sums::new(tiles, s, group, samples);
    // Each number of the gradient is laid for each group, and each of both twice.
    let cost = rule::Cost {
        blocks: sums.steps() * partial / BLOCK,
        splits: 2 * sums.laid() * all.div_ceil(group),
        weights: if many { partial / batch } else { 0 },
        ..cost
    };
    if !rule::worth(tiles, &cost) {
        return None;
    }
    Some(match many {
        true => {
            let order = Ordered {
                isa: tiles.isa,
                taps: sums.taps(),
                channels: sums.sizes.channels,
                outputs: sums.sizes.outputs,
            };
            let many = Many { sums, group };
            Built::new(order, vec![]).after(many, partial)
        }
        false => Built::new(Few { sums, reading }, vec![true, true]),
    })
}

/// A sum over samples.
struct Few {
    sums: Sums,
    reading: Reading,
}

impl Kernel for Few {
    fn work(&self) -> Work {
        Work::Reduction {
            partial: self.sums.channels() * self.sums.each(),
        }
    }

    fn rows(&self) -> Option<Rows> {
        let high = self.sums.sizes.window.output[0];
        Some(Rows {
            count: high,
            reads: vec![Some(self.reading), Some(Reading::same(high))],
        })
    }

    fn scratch(&self) -> usize {
        self.sums.words().div_ceil(2)
    }

    fn run(&self, task: Task<'_>) {
        let operands = (task.input(0), task.input(1));
        let high = self.sums.sizes.window.output[0];
        let rows = task.rows.clone().unwrap_or(0..high);
        let each = if rows == (0..high) { self.sums.together } else { 1 };
        let scratch = words_mut(&mut task.scratch[..self.scratch()]);
        let session = Session::open(self.sums.tiles);
        let mut fresh = task.fresh;
        for first in (0..task.range.len()).step_by(each) {
            let samples = first..(first + each).min(task.range.len());
            for first in rows.clone().step_by(self.sums.fit) {
                let strip = Strip {
                    samples: samples.clone(),
                    rows: first..(first + self.sums.fit).min(rows.end),
                    channels: 0..self.sums.channels(),
                };
                self.sums
                    .add(&session, operands, &strip, (scratch, task.output), fresh);
                fresh = false;
            }
        }
    }

    fn finish(&self, partials: &[f32], output: &mut [f32]) {
        let s = &self.sums.sizes;
        let all = self.sums.channels() * self.sums.each();
        let mut block = Block::ZERO;
        for number in 0..all / BLOCK {
            block.0.copy_from_slice(&partials[number * BLOCK..][..BLOCK]);
            for partial in partials.chunks_exact(all).skip(1) {
                let more = &partial[number * BLOCK..][..BLOCK];
                block.0.iter_mut().zip(more).for_each(|(sum, x)| *sum += x);
            }
            let (row, column) = (number / self.sums.outputs(), number % self.sums.outputs() * SIDE);
            let (tap, row) = (row % self.sums.taps(), row / self.sums.taps() * SIDE);
            let left = (SIDE.min(s.channels - row), SIDE.min(s.outputs - column));
            let to = &mut output[(tap * s.channels + row) * s.outputs + column..];
            ordered(self.sums.tiles.isa, &block, to, left, s.outputs);
        }
    }
}

/// The blocks of all samples, split by channels of the image.
struct Many {
    sums: Sums,
    /// Blocks of channels whose results stay in a cache.
    group: usize,
}

impl Kernel for Many {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.sums.channels(),
            elements: self.sums.each(),
        }
    }

    fn scratch(&self) -> usize {
        self.sums.words().div_ceil(2)
    }

    fn run(&self, task: Task<'_>) {
        let operands = (task.input(0), task.input(1));
        let s = &self.sums.sizes;
        let scratch = words_mut(&mut task.scratch[..self.scratch()]);
        let session = Session::open(self.sums.tiles);
        let groups = task.output.chunks_mut(self.group * self.sums.each());
        for (first, result) in task.range.clone().step_by(self.group).zip(groups) {
            let channels = first..(first + self.group).min(task.range.end);
            for sample in (0..s.batch).step_by(self.sums.together) {
                let samples = sample..(sample + self.sums.together).min(s.batch);
                for row in (0..s.window.output[0]).step_by(self.sums.fit) {
                    let strip = Strip {
                        samples: samples.clone(),
                        rows: row..(row + self.sums.fit).min(s.window.output[0]),
                        channels: channels.clone(),
                    };
                    let fresh = sample + row == 0;
                    self.sums
                        .add(&session, operands, &strip, (scratch, result), fresh);
                }
            }
        }
    }
}

/// Blocks in the order of the weights, `[tap][channels][outputs]`.
struct Ordered {
    isa: Isa,
    taps: usize,
    channels: usize,
    outputs: usize,
}

impl Kernel for Ordered {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.taps,
            elements: self.channels * self.outputs,
        }
    }

    fn run(&self, task: Task<'_>) {
        let blocks = task.input(0).as_chunks::<BLOCK>().0;
        let columns = self.outputs.div_ceil(SIDE);
        let mut block = Block::ZERO;
        let taps = task.output.chunks_exact_mut(self.channels * self.outputs);
        for (tap, to) in task.range.clone().zip(taps) {
            for row in (0..self.channels).step_by(SIDE) {
                for column in 0..columns {
                    block.0 = blocks[(row / SIDE * self.taps + tap) * columns + column];
                    let column = column * SIDE;
                    let left = (SIDE.min(self.channels - row), SIDE.min(self.outputs - column));
                    let to = &mut to[row * self.outputs + column..];
                    ordered(self.isa, &block, to, left, self.outputs);
                }
            }
        }
    }
}

/// A block of the result, `[32 outputs][32 channels]`, as rows of channels, `stride` apart.
fn ordered(isa: Isa, block: &Block, to: &mut [f32], (channels, outputs): (usize, usize), stride: usize) {
    let mut turned = Block::ZERO;
    transpose(isa, block, &mut turned);
    for at in (0..SIDE).filter(|&at| place(at) < channels) {
        let (from, to) = (turned.row(at), &mut to[place(at) * stride..][..outputs]);
        for (run, to) in to.chunks_mut(4).enumerate() {
            // Four neighbours stay neighbours.
            let at = run / 2 * 4 + run % 2 * 16;
            to.copy_from_slice(&from[at..at + to.len()]);
        }
    }
}
