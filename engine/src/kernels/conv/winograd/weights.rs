//! The gradient of the weights, samples by samples: the sums of products of transformed tiles, turned into the
//! gradient when all samples are in.

use graph::ops::Conv2dSizes;

use super::spread::{TileRow, Which, spread, spread_gradient};
use super::{FREQUENCIES, LEAST_TILES, Planes, sums, together};
use crate::kernels::brgemm::{Finish, Operands, Start, brgemm};
use crate::kernels::conv::geometry::Axis;
use crate::kernels::conv::weights::Weights;
use crate::kernels::{BuildContext, Built, Isa, Kernel, Rows, Task, Work};

struct WinogradWeights {
    isa: Isa,
    sizes: Conv2dSizes,
    /// What is not finite is summed tap by tap.
    direct: Weights,
    /// A tile's first pixel, from its first result.
    first: [isize; 2],
    /// Tile rows that are worked on together.
    together: usize,
    source: Planes,
    gradient: Planes,
    zeros: Vec<f32>,
}

/// The distance of a tile's first pixel from its first result, where the gradient can be made so.
pub(in super::super) fn suits(s: &Conv2dSizes) -> bool {
    let [high, wide] = s.window.output;
    let axes = [0, 1].map(|axis| Axis::forward(&s.window, axis));
    s.window.kernel == [3, 3]
        && s.groups == 1
        && axes.iter().all(|axis| super::side_by_side(axis).is_some())
        && s.channels.min(s.outputs) >= super::NARROWEST
        && high.min(wide) >= super::SMALLEST
}

pub(in super::super) fn build(context: &BuildContext, sizes: Conv2dSizes) -> Built {
    let [high, wide] = sizes.window.output;
    let tiles = wide.div_ceil(2);
    let samples = context.batch.div_ceil(context.chunks.max(1)).max(1);
    let together =
        together(tiles, sizes.channels + sizes.outputs, LEAST_TILES).min(samples * high.div_ceil(2));
    let first = [0, 1].map(|axis| Axis::forward(&sizes.window, axis).taps[0].1);
    let kernel = WinogradWeights {
        isa: context.isa,
        direct: Weights::new(context, sizes),
        first,
        together,
        source: Planes::new(together * tiles, sizes.channels),
        gradient: Planes::new(together * tiles, sizes.outputs),
        zeros: vec![0.0; sizes.channels.max(sizes.outputs)],
        sizes,
    };
    Built::new(kernel, vec![true; 2])
}

impl WinogradWeights {
    /// Weights of one tap.
    fn each(&self) -> usize {
        self.sizes.channels * self.sizes.outputs
    }

    /// Sums by frequency and by tap in a partial result, and whether there are any by tap.
    fn parts<'a>(&self, partial: &'a mut [f32]) -> (&'a mut [f32], &'a mut [f32], &'a mut f32) {
        let (products, rest) = partial.split_at_mut(FREQUENCIES * self.each());
        let (taps, flag) = rest.split_at_mut(sums::TAPS * self.each());
        (products, taps, &mut flag[0])
    }
}

impl Kernel for WinogradWeights {
    fn work(&self) -> Work {
        Work::Reduction {
            partial: (FREQUENCIES + sums::TAPS) * self.each() + 1,
        }
    }

    fn rows(&self) -> Option<Rows> {
        self.direct.rows()
    }

    fn scratch(&self) -> usize {
        self.source.elements() + self.gradient.elements()
    }

    fn run(&self, task: Task<'_>) {
        let high = self.sizes.window.output[0];
        let (x, g) = (task.input(0), task.input(1));
        let rows = task.rows.clone().unwrap_or(0..high);
        let (products, taps, by_tap) = self.parts(task.output);
        if task.fresh {
            products.fill(0.0);
            *by_tap = 0.0;
        }
        let (top, each) = (rows.start / 2, rows.end.div_ceil(2) - rows.start / 2);
        let place = |k: usize| (k / each, top + k % each);
        for begin in (0..task.range.len() * each).step_by(self.together) {
            let block = begin..(begin + self.together).min(task.range.len() * each);
            let live = [rows.start, rows.end];
            if let Some(tiles) = self.spread((x, g), block.clone().map(place), live, task.scratch) {
                self.products(tiles, task.scratch, products);
                continue;
            }
            if *by_tap == 0.0 {
                taps.fill(0.0);
                *by_tap = 1.0;
            }
            for (n, i) in block.map(place) {
                let lines = rows.start.max(2 * i)..rows.end.min(2 * i + 2);
                let lines = n * high + lines.start..n * high + lines.end;
                let line = self.sizes.window.output[1] * self.sizes.outputs;
                self.direct.all(x, &g[lines.start * line..], &lines, taps);
            }
        }
    }

    fn finish(&self, partials: &[f32], output: &mut [f32]) {
        let size = (FREQUENCIES + sums::TAPS) * self.each() + 1;
        sums::gradient(self.isa, partials, size, output);
        for part in partials.chunks_exact(size).filter(|part| part[size - 1] != 0.0) {
            let taps = &part[FREQUENCIES * self.each()..size - 1];
            output.iter_mut().zip(taps).for_each(|(sum, tap)| *sum += tap);
        }
    }
}

/// The sum over tiles of the products of `channels` transformed pixels and `outputs` transformed gradients at one
/// frequency, `[channels, outputs]`, added to what is there if so told.
pub(super) fn add_products(
    isa: Isa,
    [(sources, source), (gradients, gradient)]: [(&[f32], Planes); 2],
    tiles: usize,
    [channels, outputs]: [usize; 2],
    (to, accumulate): (&mut [f32], bool),
) {
    let operands = Operands {
        a: sources,
        a_row: 1,
        a_column: source.row,
        starts: &Start::ONE,
        depth: tiles,
        b: gradients,
        b_row: gradient.row,
        bias: None,
        residual: None,
    };
    let finish = Finish {
        accumulate,
        relu: false,
    };
    brgemm(isa, channels, outputs, &operands, to, outputs, finish);
}

impl WinogradWeights {
    /// Lays the tiles of some rows into scratch; `live` are the rows of the gradient that count. How many tiles,
    /// if all are finite.
    fn spread(
        &self,
        (x, g): (&[f32], &[f32]),
        places: impl Iterator<Item = (usize, usize)>,
        live: [usize; 2],
        scratch: &mut [f32],
    ) -> Option<usize> {
        let s = &self.sizes;
        let ([h, width], [high, wide]) = (s.window.image, s.window.output);
        let (sources, gradients) = scratch.split_at_mut(self.source.elements());
        // Rows of the image behind those that live rows meet may not be there yet.
        let seen = (live[1] as isize + self.first[0] + 2).clamp(0, h as isize);
        let mut count = 0;
        for (n, i) in places {
            let row = TileRow {
                image: &x[n * h * width * s.channels..][..h * width * s.channels],
                width,
                channels: s.channels,
                live: [0, seen],
                first: [self.first[0] + 2 * i as isize, self.first[1]],
                count: wide.div_ceil(2),
                zeros: &self.zeros,
            };
            let of_gradient = TileRow {
                image: &g[n * high * wide * s.outputs..][..high * wide * s.outputs],
                width: wide,
                channels: s.outputs,
                live: live.map(|row| row as isize),
                first: [2 * i as isize, 0],
                ..row
            };
            let to = &mut sources[count * self.source.row..];
            let finite = spread(self.isa, row, Which::Checked, to, self.source);
            let to = &mut gradients[count * self.gradient.row..];
            if !spread_gradient(self.isa, of_gradient, Which::Checked, to, self.gradient) || !finite {
                return None;
            }
            count += row.count;
        }
        Some(count)
    }

    /// Adds the products of `tiles` tiles, frequency by frequency.
    fn products(&self, tiles: usize, scratch: &[f32], to: &mut [f32]) {
        let (sources, gradients) = scratch.split_at(self.source.elements());
        let (channels, outputs) = (self.sizes.channels, self.sizes.outputs);
        for (frequency, to) in to.chunks_exact_mut(self.each()).enumerate() {
            let sources = &sources[frequency * self.source.plane..];
            let gradients = &gradients[frequency * self.gradient.plane..];
            let pair = [(sources, self.source), (gradients, self.gradient)];
            add_products(self.isa, pair, tiles, [channels, outputs], (to, true));
        }
    }
}
