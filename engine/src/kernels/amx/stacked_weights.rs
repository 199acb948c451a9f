//! The gradient of the weights of convolutions of small images: sums over samples (`stack`). A piece is a tap's weights
//! of 32 channels, whole, so that nothing is summed outside of tiles.

use std::ops::Range;

use graph::ops::Conv2dSizes;

use super::super::conv::equal_macs;
use super::super::registry::Built;
use super::super::{BuildContext, Kernel, Task, Work};
use super::many::ordered;
use super::rule;
use super::stack::{Form, Meeting, Stack, meetings, suits};
use super::tile::{BLOCK, SIDE, Session, Starts, Tiles, Turns};

/// Bytes of the blocks of both operands that all taps read before the next ones: they stay in a core's second cache.
const NEAR: usize = 1 << 20;

struct StackedSums {
    image: Stack,
    gradient: Stack,
    /// What meets by each tap, and the same as steps of the sum.
    taps: Vec<Vec<Meeting>>,
    starts: Vec<Starts>,
}

/// The gradient as sums over samples, if it suits and is worth it.
pub(super) fn build(context: &BuildContext, tiles: Tiles, s: &Conv2dSizes) -> Option<Built> {
    if !suits(context, s) || !s.channels.is_multiple_of(SIDE) {
        return None;
    }
    let w = &s.window;
    let stack = |form, [rows, columns]: [usize; 2], channels| Stack {
        tiles,
        form,
        samples: s.batch,
        pixels: rows * columns,
        channels,
    };
    let image = stack(Form::Pairs, w.image, s.channels);
    let gradient = stack(Form::Channels, w.output, s.outputs);
    let mut taps = vec![Vec::new(); w.kernel[0] * w.kernel[1]];
    let all = meetings(s);
    let steps = all.len() * image.high();
    for meeting in all {
        taps[meeting.tap].push(meeting);
    }
    let blocks = image.blocks() * gradient.blocks();
    let cost = rule::Cost {
        macs: equal_macs(s),
        blocks: steps * blocks,
        // Each number is laid, then turned or paired.
        splits: 2 * s.batch * (image.pixels * s.channels + gradient.pixels * s.outputs),
        weights: taps.len() * s.channels * s.outputs,
        packing: false,
        narrowest: s.channels.min(s.outputs),
    };
    if !rule::worth(tiles, &cost) {
        return None;
    }
    let starts = |tap: &Vec<Meeting>| {
        let samples = (0..image.high()).flat_map(|n| tap.iter().map(move |meeting| (n, meeting)));
        let start = |(n, m): (usize, &Meeting)| [gradient.at(m.output, 0, n), image.at(m.image, 0, n)];
        Starts::paired(samples.map(start).collect())
    };
    let sums = StackedSums {
        starts: taps.iter().map(starts).collect(),
        image: image.clone(),
        gradient: gradient.clone(),
        taps,
    };
    Some(
        Built::new(sums, vec![])
            .packing(0, image)
            .packing(1, gradient)
            .with(0)
            .with(1),
    )
}

impl StackedSums {
    /// A piece straight from numbers that cannot be split: weights `[32][outputs]` of a tap.
    fn plainly(&self, (x, g): (&[f32], &[f32]), tap: usize, block: usize, result: &mut [f32]) {
        result.fill(0.0);
        let (channels, outputs) = (self.image.channels, self.gradient.channels);
        for meeting in &self.taps[tap] {
            for n in 0..self.image.samples {
                let moved = &g[(n * self.gradient.pixels + meeting.output) * outputs..][..outputs];
                let pixel = &x[(n * self.image.pixels + meeting.image) * channels..][..channels];
                let rows = result.chunks_exact_mut(outputs);
                for (x, sums) in pixel[block * SIDE..].iter().zip(rows) {
                    sums.iter_mut()
                        .zip(moved)
                        .for_each(|(sum, g)| *sum = x.mul_add(*g, *sum));
                }
            }
        }
    }

    /// Visits the blocks of a range of pieces, `(piece, output)`: what a few channels and outputs read stays near for all
    /// taps.
    fn visit(&self, range: &Range<usize>, mut each: impl FnMut(usize, usize)) {
        let (channels, outputs) = (self.image.blocks(), self.gradient.blocks());
        let block = self.image.high() * BLOCK * 2 * self.image.tiles.parts;
        let side = (NEAR / ((self.image.pixels + self.gradient.pixels) * block)).max(1);
        for channel in (0..channels).step_by(side) {
            for output in (0..outputs).step_by(side) {
                let near = channel..(channel + side).min(channels);
                for piece in range.clone().filter(|piece| near.contains(&(piece % channels))) {
                    (output..(output + side).min(outputs)).for_each(|output| each(piece, output));
                }
            }
        }
    }

    /// All pieces of a range.
    fn pieces(&self, session: &Session, (x, g): (&[f32], &[f32]), range: Range<usize>, to: &mut [f32]) {
        let outputs = self.gradient.channels;
        let each = SIDE * outputs;
        let mut put = |(piece, output): (usize, usize), block: &_| {
            let to = &mut to[(piece - range.start) * each..][..each];
            let columns = SIDE.min(outputs - output * SIDE);
            let isa = self.gradient.tiles.isa;
            ordered(isa, block, &mut to[output * SIDE..], (SIDE, columns), outputs);
        };
        let mut turns = Turns::new();
        self.visit(&range, |piece, output| {
            let (tap, channel) = (piece / self.image.blocks(), piece % self.image.blocks());
            let operands = (
                &self.gradient.left(g, output, 0),
                &self.starts[tap],
                &self.image.right(x, channel),
            );
            if let Some((done, block)) = turns.next(session, operands, (piece, output)) {
                put(done, block);
            }
        });
        if let Some((done, block)) = turns.last() {
            put(done, block);
        }
    }
}

impl Kernel for StackedSums {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.taps.len() * self.image.blocks(),
            elements: SIDE * self.gradient.channels,
        }
    }

    fn run(&self, task: Task<'_>) {
        let stacks = (task.input(0), task.input(1));
        let last = task.operands.len() - 1;
        let plain = (task.input(last - 1), task.input(last));
        if self.image.is_split(stacks.0) && self.gradient.is_split(stacks.1) {
            let session = Session::open(self.gradient.tiles);
            return self.pieces(&session, stacks, task.range.clone(), task.output);
        }
        let pieces = task.output.chunks_exact_mut(SIDE * self.gradient.channels);
        for (piece, to) in task.range.clone().zip(pieces) {
            let (tap, channel) = (piece / self.image.blocks(), piece % self.image.blocks());
            self.plainly(plain, tap, channel, to);
        }
    }
}
