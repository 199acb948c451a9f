//! The gradient of many weights: a thread makes the sums of some frequencies over all samples, and what they give
//! for each tap is made behind.

use std::ops::Range;

use graph::ops::Conv2dSizes;

use super::spread::{TileRow, Which, spread, spread_gradient};
use super::weights::add_products;
use super::{FREQUENCIES, Planes, sums};
use crate::kernels::conv::geometry::Axis;
use crate::kernels::conv::weights_split::SplitWeights;
use crate::kernels::{BuildContext, Built, Isa, Kernel, Task, Work};

/// Tiles that are worked on together.
const TILES: usize = 256;
/// Frequencies that are transformed together: those of a row.
const ROW: usize = 4;
/// Elements of a piece, about.
const PIECE: usize = 32 * 1024;

pub(in super::super) fn build(context: &BuildContext, sizes: Conv2dSizes) -> Built {
    let [high, wide] = sizes.window.output;
    let tiles = wide.div_ceil(2);
    let together = (TILES / tiles).max(1).min(sizes.batch * high.div_ceil(2));
    let divides = |c: &usize| sizes.channels.is_multiple_of(*c) && c * sizes.outputs <= PIECE;
    let products = Products {
        isa: context.isa,
        first: [0, 1].map(|axis| Axis::forward(&sizes.window, axis).taps[0].1),
        channels: (1..=sizes.channels).filter(divides).max().unwrap_or(1),
        together,
        source: Planes::new(together * tiles, sizes.channels),
        gradient: Planes::new(together * tiles, sizes.outputs),
        zeros: vec![0.0; sizes.channels.max(sizes.outputs)],
        sizes,
    };
    let taps = Taps {
        isa: context.isa,
        weights: sizes.channels * sizes.outputs,
        direct: SplitWeights::new(context, sizes),
    };
    Built::new(taps, vec![false; 2]).after(products, FREQUENCIES * sizes.channels * sizes.outputs)
}

/// The sums, `[16][channels][outputs]`. A piece is some channels of one frequency.
struct Products {
    isa: Isa,
    sizes: Conv2dSizes,
    /// A tile's first pixel, from its first result.
    first: [isize; 2],
    /// Channels of a piece.
    channels: usize,
    /// Tile rows that are worked on together.
    together: usize,
    source: Planes,
    gradient: Planes,
    zeros: Vec<f32>,
}

impl Kernel for Products {
    fn work(&self) -> Work {
        Work::Pieces {
            count: FREQUENCIES * self.blocks(),
            elements: self.channels * self.sizes.outputs,
        }
    }

    fn scratch(&self) -> usize {
        ROW * (self.source.plane + self.gradient.plane)
    }

    fn run(&self, task: Task<'_>) {
        let (x, g) = (task.input(0), task.input(1));
        let high = self.sizes.window.output[0].div_ceil(2);
        let all = self.sizes.batch * high;
        let each = ROW * self.blocks();
        for begin in (0..all).step_by(self.together) {
            let block = begin..(begin + self.together).min(all);
            let tiles = block.len() * self.sizes.window.output[1].div_ceil(2);
            for row in task.range.start / each..task.range.end.div_ceil(each) {
                self.spread((x, g), block.clone(), row, task.scratch);
                let own = task.range.start.max(row * each)..task.range.end.min((row + 1) * each);
                for piece in own {
                    let at = (piece - task.range.start) * self.channels * self.sizes.outputs;
                    let to = &mut task.output[at..at + self.channels * self.sizes.outputs];
                    self.product(piece % each, tiles, task.scratch, (to, begin > 0));
                }
            }
        }
    }
}

impl Products {
    /// Pieces of a frequency.
    fn blocks(&self) -> usize {
        self.sizes.channels / self.channels
    }

    /// Lays four frequencies of the tiles of some rows into scratch.
    fn spread(&self, (x, g): (&[f32], &[f32]), block: Range<usize>, which: usize, scratch: &mut [f32]) {
        let s = &self.sizes;
        let ([h, width], [high, wide]) = (s.window.image, s.window.output);
        let (sources, gradients) = scratch.split_at_mut(ROW * self.source.plane);
        let tiles = wide.div_ceil(2);
        for (k, place) in block.enumerate() {
            let (n, i) = (place / high.div_ceil(2), place % high.div_ceil(2));
            let row = TileRow {
                image: &x[n * h * width * s.channels..][..h * width * s.channels],
                width,
                channels: s.channels,
                live: [0, h as isize],
                first: [self.first[0] + 2 * i as isize, self.first[1]],
                count: tiles,
                zeros: &self.zeros,
            };
            let of_gradient = TileRow {
                image: &g[n * high * wide * s.outputs..][..high * wide * s.outputs],
                width: wide,
                channels: s.outputs,
                live: [0, high as isize],
                first: [2 * i as isize, 0],
                ..row
            };
            let which = Which::Row(which);
            let to = &mut sources[k * tiles * self.source.row..];
            spread(self.isa, row, which, to, self.source);
            let to = &mut gradients[k * tiles * self.gradient.row..];
            spread_gradient(self.isa, of_gradient, which, to, self.gradient);
        }
    }

    /// The product of a piece of the row of frequencies in scratch.
    fn product(&self, piece: usize, tiles: usize, scratch: &[f32], (to, accumulate): (&mut [f32], bool)) {
        let (frequency, channel) = (piece / self.blocks(), piece % self.blocks() * self.channels);
        let (sources, gradients) = scratch.split_at(ROW * self.source.plane);
        let sources = &sources[frequency * self.source.plane + channel..];
        let gradients = &gradients[frequency * self.gradient.plane..];
        let pair = [(sources, self.source), (gradients, self.gradient)];
        let sizes = [self.channels, self.sizes.outputs];
        add_products(self.isa, pair, tiles, sizes, (to, accumulate));
    }
}

/// From the sums to the gradient. Operands: sums, image, gradient. A piece is some channels of one tap.
struct Taps {
    isa: Isa,
    /// Weights of a tap.
    weights: usize,
    /// What is not finite is summed tap by tap.
    direct: SplitWeights,
}

impl Kernel for Taps {
    fn work(&self) -> Work {
        self.direct.work()
    }

    fn scratch(&self) -> usize {
        self.direct.scratch()
    }

    fn run(&self, task: Task<'_>) {
        let products = task.input(0);
        let Work::Pieces { elements, .. } = self.direct.work() else {
            return;
        };
        let mut finite = true;
        for (piece, to) in task.range.clone().zip(task.output.chunks_exact_mut(elements)) {
            let (tap, at) = (piece * elements / self.weights, piece * elements % self.weights);
            finite &= sums::of_tap(self.isa, (products, self.weights), tap, at, to);
        }
        if !finite {
            self.direct.run(Task {
                operands: &task.operands[1..],
                ..task
            });
        }
    }
}
