//! Convolution of small images with many channels: the pixels of all samples at hand become the rows of one
//! matrix, a part of the taps at a time, so that weights which fit no cache are read once for many pixels.

use std::ops::Range;

use super::pass::{Pass, Phase};
use crate::kernels::brgemm::{Finish, Operands, Start, brgemm};
use crate::kernels::{BuildContext, Built, Isa, Kernel, Task, Work};
use crate::plan::Epilogue;

/// Rows of the gathered matrix.
const ROWS: usize = 112;
/// Columns of the gathered matrix: whole taps, about so many.
const COLUMNS: usize = 2048;
/// Images with more columns than this have lines that are long enough as they are.
const NARROW: usize = 8;
/// With so many samples a line can run across them, and taps outside the image cost nothing.
const MANY: usize = 12;
/// Filling between its rows, so that they do not share cache sets.
const GAP: usize = 16;

struct Gathered {
    isa: Isa,
    pass: Pass,
    epilogue: Epilogue,
    work: Work,
    /// Taps of each phase, and where they begin in the gathered matrix and in the weights.
    taps: Vec<Vec<Tap>>,
    starts: Vec<Vec<Start>>,
    /// Taps of a part, and elements from one row of the matrix to the next.
    part: usize,
    row: usize,
}

/// Distance of a tap from its pixel in the source.
type Tap = [isize; 2];

/// Whether gathering pays: short lines would leave registers empty, and the copies are small beside the
/// products.
pub(super) fn suits(context: &BuildContext, pass: &Pass) -> bool {
    // The rows of phases are not neighbours, and one sample is split by rows. Many samples make long lines.
    if (context.batch == 1 && pass.phases.len() > 1) || context.batch >= MANY {
        return false;
    }
    let narrow = pass.phases.iter().all(|p| p.columns.count <= NARROW);
    let taps = pass.kernel[0] * pass.kernel[1];
    narrow && taps > 1 && pass.groups == 1 && pass.depth() >= 16 && pass.result[2] >= 48
}

pub(super) fn build(context: &BuildContext, pass: Pass, epilogue: Epilogue) -> Built {
    let work = super::image_work(context, &pass);
    let pack = pass.pack.clone();
    let part = (COLUMNS / pass.depth()).clamp(1, pass.kernel[0] * pass.kernel[1]);
    let kernel = Gathered {
        isa: context.isa,
        taps: pass.phases.iter().map(distances).collect(),
        starts: pass
            .phases
            .iter()
            .map(|phase| starts(&pass, phase, part))
            .collect(),
        row: part * pass.depth() + GAP,
        part,
        pass,
        epilogue,
        work,
    };
    Built::new(kernel, super::by_sample(epilogue, work)).packing(1, pack)
}

fn distances(phase: &Phase) -> Vec<Tap> {
    let rows = phase.rows.taps.iter();
    rows.flat_map(|&(_, dy)| phase.columns.taps.iter().map(move |&(_, dx)| [dy, dx]))
        .collect()
}

fn starts(pass: &Pass, phase: &Phase, part: usize) -> Vec<Start> {
    let rows = phase.rows.taps.iter();
    let taps = rows.flat_map(|&(u, _)| {
        phase
            .columns
            .taps
            .iter()
            .map(move |&(v, _)| u * pass.kernel[1] + v)
    });
    taps.enumerate()
        .map(|(place, tap)| Start {
            a: place % part * pass.depth(),
            b: tap * pass.depth() * pass.pack.width,
        })
        .collect()
}

impl Kernel for Gathered {
    fn work(&self) -> Work {
        self.work
    }

    fn scratch(&self) -> usize {
        // The gathered matrix, and results that are not neighbours in the image.
        ROWS * (self.row
            + if self.pass.phases.len() > 1 {
                self.pass.result[2]
            } else {
                0
            })
    }

    fn run(&self, task: Task<'_>) {
        let [bias, residual] = self.epilogue.operands(2);
        let (bias, residual) = (bias.map(|k| task.input(k)), residual.map(|k| task.input(k)));
        let (x, packed) = (task.input(0), task.input(1));
        let (matrix, results) = task.scratch.split_at_mut(ROWS * self.row);
        let channels = self.pass.result[2];
        for (number, phase) in self.pass.phases.iter().enumerate() {
            let (high, wide) = (phase.rows.count, phase.columns.count);
            // The pixels of the phase are counted over all samples.
            let (first, end) = match self.work {
                Work::Pieces { .. } => (task.range.start * wide, task.range.end * wide),
                _ => (0, task.range.len() * high * wide),
            };
            for start in (first..end).step_by(ROWS) {
                let pixels = start..(start + ROWS).min(end);
                let sources = Sources {
                    number,
                    phase,
                    pixels: pixels.clone(),
                    x,
                    packed,
                    bias,
                };
                if self.pass.phases.len() == 1 {
                    let to = &mut task.output[(start - first) * channels..][..pixels.len() * channels];
                    self.products(&sources, residual.map(|r| &r[start * channels..]), matrix, to);
                    continue;
                }
                let sums = &mut results[..pixels.len() * channels];
                self.products(&sources, None, matrix, sums);
                for (pixel, sums) in pixels.zip(sums.chunks_exact(channels)) {
                    let [n, i, j] = [pixel / (high * wide), pixel / wide % high, pixel % wide];
                    let to = n * self.pass.elements()[1] + self.pass.place(phase, i, j);
                    task.output[to..to + channels].copy_from_slice(sums);
                }
            }
        }
    }
}

/// Some pixels of a phase, and what their results are made from.
struct Sources<'a> {
    number: usize,
    phase: &'a Phase,
    pixels: Range<usize>,
    x: &'a [f32],
    packed: &'a [f32],
    bias: Option<&'a [f32]>,
}

impl Gathered {
    /// The sums over all taps, one part of the taps at a time.
    fn products(&self, from: &Sources, residual: Option<&[f32]>, matrix: &mut [f32], sums: &mut [f32]) {
        let (pack, channels) = (&self.pass.pack, self.pass.result[2]);
        let starts = &self.starts[from.number];
        // A phase without taps is still written: zeros.
        let parts = starts.len().div_ceil(self.part).max(1);
        for part in 0..parts {
            let taps = part * self.part..((part + 1) * self.part).min(starts.len());
            self.gather(from, taps.clone(), matrix);
            let last = part + 1 == parts;
            for panel in 0..pack.panels() {
                let column = panel * pack.width;
                let x = Operands {
                    a: matrix,
                    a_row: self.row,
                    a_column: 1,
                    starts: &starts[taps.clone()],
                    depth: self.pass.depth(),
                    b: pack.panel(from.packed, 0, panel),
                    b_row: pack.width,
                    bias: from.bias.filter(|_| part == 0).map(|b| &b[column..]),
                    residual: residual.filter(|_| last).map(|r| &r[column..]),
                };
                let finish = Finish {
                    accumulate: part > 0,
                    relu: last && self.epilogue.relu,
                };
                let (rows, columns) = (from.pixels.len(), pack.columns_of(panel));
                brgemm(self.isa, rows, columns, &x, &mut sums[column..], channels, finish);
            }
        }
    }

    /// Lays the channels that some taps of each pixel read into its row; zeros outside the image.
    fn gather(&self, from: &Sources, taps: Range<usize>, matrix: &mut [f32]) {
        let (depth, [high, wide, _]) = (self.pass.depth(), self.pass.source);
        let phase = from.phase;
        let steps = [phase.rows.step, phase.columns.step];
        for (pixel, row) in from.pixels.clone().zip(matrix.chunks_exact_mut(self.row)) {
            let j = pixel % phase.columns.count;
            let i = pixel / phase.columns.count % phase.rows.count;
            let n = pixel / (phase.columns.count * phase.rows.count);
            let image = &from.x[n * high * wide * depth..];
            let at = [(i * steps[0]) as isize, (j * steps[1]) as isize];
            for (tap, to) in self.taps[from.number][taps.clone()]
                .iter()
                .zip(row.chunks_exact_mut(depth))
            {
                let (r, c) = (at[0] + tap[0], at[1] + tap[1]);
                if (0..high as isize).contains(&r) && (0..wide as isize).contains(&c) {
                    let start = (r as usize * wide + c as usize) * depth;
                    to.copy_from_slice(&image[start..start + depth]);
                } else {
                    to.fill(0.0);
                }
            }
        }
    }
}
