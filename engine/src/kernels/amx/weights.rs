//! The gradient of a convolution's weights on tiles.
//!
//! Few weights are a sum over samples, as of any kernel ([`Few`]). Many weights are split by channels and outputs
//! (`many`). Both make blocks (`sums`), which [`ordered`] puts where they belong.

use graph::Shape;
use graph::ops::{Conv2dSizes, Conv2dWeightGradient};

use super::super::conv::{equal_macs, reading};
use super::super::registry::Built;
use super::super::short::Numbers;
use super::super::{BuildContext, Kernel, Reading, Rows, Shorts, Task, Work};
use super::laid::{Laid, Whose};
use super::many::{Groups, Many, NEAR, Ordered, ordered};
use super::rule;
use super::stacked_weights;
use super::strips::Strips;
use super::sums::{self, Sums};
use super::tile::{BLOCK, Block, SIDE, Session, Tiles, words_mut};

/// Above this many bytes of partial results weights are split, if not even one of them stays in a cache.
const PARTIALS: usize = 4 << 20;
/// Bytes of both operands of a strip, where the same thread lays and multiplies them.
const STRIP: usize = 512 * 1024;
/// Pixels of a strip that is laid for all.
const PIXELS: usize = 1024;

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
    if let Some(built) = stacked_weights::build(context, tiles, &s) {
        return Some(built);
    }
    let [channels, outputs] = [s.channels, s.outputs].map(|n| n.div_ceil(SIDE));
    let taps = s.window.kernel[0] * s.window.kernel[1];
    let partial = taps * channels * outputs * BLOCK;
    // Several chunks: only a whole batch's op may have a step before it.
    let many = context.chunks > 1 && partial * 4 > NEAR && partial * 4 * context.chunks > PARTIALS;
    let (samples, pixels) = match many {
        true => (s.batch, PIXELS),
        false => {
            // Of each pixel: the image, in all of its phases, a block of it twice, and the gradient.
            let phases = s.window.stride[0] * s.window.stride[1];
            let pixel = (phases * (channels + 2) + outputs) * SIDE * 2 * tiles.parts;
            (s.batch.div_ceil(context.chunks), STRIP * phases / pixel)
        }
    };
    let strips = Strips::new(tiles, s, samples, pixels);
    if !rule::worth(tiles, &cost(&s, &strips, partial, many)) {
        return None;
    }
    let sums = Sums::new(strips);
    let reading = reading(context, &s, false);
    Some(match many {
        true => split(sums, Groups::new(taps, [channels, outputs])),
        false => Built::new(
            Few {
                sums,
                reading,
                shorts: Shorts::default(),
            },
            vec![true, true],
        ),
    })
}

fn cost(s: &Conv2dSizes, strips: &Strips, partial: usize, many: bool) -> rule::Cost {
    let w = &s.window;
    let [outputs, channels] = strips.blocks();
    let laid = (w.image[0] * w.image[1] * channels + w.output[0] * w.output[1] * outputs) * SIDE;
    rule::Cost {
        macs: equal_macs(s) / s.batch,
        blocks: strips.steps() * partial / BLOCK,
        // Each number is laid, then turned or paired.
        splits: 2 * laid,
        weights: if many { partial / s.batch } else { 0 },
        packing: true,
        narrowest: s.channels.min(s.outputs),
    }
}

/// Many weights: both operands laid for all, blocks of pieces, and their order.
fn split(sums: Sums, groups: Groups) -> Built {
    let sizes = sums.strips.sizes;
    let order = Ordered {
        isa: sums.strips.tiles.isa,
        groups,
        channels: sizes.channels,
        outputs: sizes.outputs,
    };
    let (image, gradient) = (
        Laid::new(&sums.strips, Whose::Image),
        Laid::new(&sums.strips, Whose::Gradient),
    );
    let elements = groups.pieces() * groups.elements();
    let many = Many {
        sums,
        groups,
        image: image.clone(),
        gradient: gradient.clone(),
        shorts: Shorts::default(),
    };
    Built::new(order, vec![])
        .packing(0, image)
        .packing(1, gradient)
        .with(0)
        .with(1)
        .after(many, elements)
}

/// A sum over samples.
struct Few {
    sums: Sums,
    reading: Reading,
    shorts: Shorts,
}

impl Few {
    fn blocks(&self) -> usize {
        let [outputs, channels] = self.sums.strips.blocks();
        self.sums.taps() * channels * outputs
    }
}

impl Kernel for Few {
    fn work(&self) -> Work {
        Work::Reduction {
            partial: self.blocks() * BLOCK,
        }
    }

    fn rows(&self) -> Option<Rows> {
        let high = self.sums.strips.sizes.window.output[0];
        Some(Rows {
            count: high,
            reads: vec![Some(self.reading), Some(Reading::same(high))],
        })
    }

    fn scratch(&self) -> usize {
        let strips = &self.sums.strips;
        let [a, image] = strips.words();
        (a + image + strips.scratch().max(strips.paired())).div_ceil(2)
    }

    fn shorts(&self) -> Shorts {
        Shorts::of([0, 1], false)
    }

    fn shorten(&mut self, shorts: Shorts) {
        self.shorts = shorts;
    }

    fn run(&self, task: Task<'_>) {
        let [x, g] = [0, 1].map(|k| Numbers::new(task.input(k), self.shorts.has(k)));
        let strips = &self.sums.strips;
        let rows = task.rows.clone().unwrap_or(0..strips.sizes.window.output[0]);
        let scratch = words_mut(&mut task.scratch[..self.scratch()]);
        let (a, rest) = scratch.split_at_mut(strips.words()[0]);
        let (image, scratch) = rest.split_at_mut(strips.words()[1]);
        let session = Session::open(strips.tiles);
        let (mut fresh, all) = (task.fresh, self.sums.all());
        for strip in strips.of(0..task.range.len(), rows) {
            let split = strips.lay_gradient(g, &strip, scratch, a) && strips.lay_image(x, &strip, image);
            if split {
                let strip = &strip;
                let laid = sums::Laid { strip, a, image };
                self.sums
                    .add(&session, &laid, &all, (scratch, task.output), fresh);
            } else {
                if fresh {
                    task.output.fill(0.0);
                }
                self.sums.add_plainly((x, g), &strip, &all, task.output);
            }
            fresh = false;
        }
    }

    fn finish(&self, partials: &[f32], output: &mut [f32]) {
        let s = &self.sums.strips.sizes;
        let [outputs, _] = self.sums.strips.blocks();
        let (all, taps) = (self.blocks() * BLOCK, self.sums.taps());
        let mut block = Block::ZERO;
        for number in 0..all / BLOCK {
            block.0.copy_from_slice(&partials[number * BLOCK..][..BLOCK]);
            for partial in partials.chunks_exact(all).skip(1) {
                let more = &partial[number * BLOCK..][..BLOCK];
                block.0.iter_mut().zip(more).for_each(|(sum, x)| *sum += x);
            }
            let (row, column) = (number / outputs, number % outputs * SIDE);
            let (tap, row) = (row % taps, row / taps * SIDE);
            let left = (SIDE.min(s.channels - row), SIDE.min(s.outputs - column));
            let to = &mut output[(tap * s.channels + row) * s.outputs + column..];
            ordered(self.sums.strips.tiles.isa, &block, to, left, s.outputs);
        }
    }
}
