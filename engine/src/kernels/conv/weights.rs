//! The gradient of a convolution's weights: for each tap, pixels of the image against pixels of the gradient.

use std::ops::Range;

use graph::ops::Conv2dSizes;

use super::geometry::Axis;
use crate::kernels::brgemm::{Finish, Operands, Start, brgemm};
use crate::kernels::short::Numbers;
use crate::kernels::{BuildContext, Built, Isa, Kernel, Reading, Rows, Shorts, Task, Work};

/// Pixels of the gradient that are taken for all weights before the next.
const PIXELS: usize = 256;
/// Lines of pixels in one product.
const LINES: usize = 128;

/// Taps of a kernel row that meet the image in the same columns of the result.
#[derive(Debug, Clone)]
struct Unit {
    taps: Range<usize>,
    columns: Range<usize>,
}

pub(super) struct Weights {
    isa: Isa,
    sizes: Conv2dSizes,
    /// Rows of the result that each kernel row meets inside the image.
    rows: Vec<Range<usize>>,
    units: Vec<Unit>,
    down: Axis,
    along: Axis,
    /// Whether the gradient is bf16 numbers.
    short: bool,
}

/// Positions of the result that a tap meets inside the source.
pub(super) fn met(axis: &Axis, tap: usize) -> Range<usize> {
    let (_, distance) = axis.taps[tap];
    let inside = |i: &usize| (0..axis.source as isize).contains(&((i * axis.step) as isize + distance));
    let first = (0..axis.count).find(inside).unwrap_or(0);
    first..first + (0..axis.count).filter(inside).count()
}

pub(super) fn build(context: &BuildContext, sizes: Conv2dSizes) -> Built {
    Built::new(Weights::new(context, sizes), vec![true; 2])
}

impl Weights {
    pub(super) fn new(context: &BuildContext, sizes: Conv2dSizes) -> Self {
        let w = &sizes.window;
        let (down, along) = (Axis::forward(w, 0), Axis::forward(w, 1));
        let each = sizes.channels / sizes.groups;
        // A run of taps reads neighbours in memory; with many channels single taps leave fewer edges.
        let neighbours = sizes.groups == 1 && w.dilation[1] == 1 && each < 16;
        let unit = |(taps, columns)| Unit { taps, columns };
        let units: Vec<Unit> = match neighbours {
            true => along
                .intervals()
                .into_iter()
                .map(|i| unit((i.taps, i.at)))
                .collect(),
            false => (0..w.kernel[1])
                .map(|v| unit((v..v + 1, met(&along, v))))
                .collect(),
        };
        Self {
            isa: context.isa,
            rows: (0..w.kernel[0]).map(|u| met(&down, u)).collect(),
            units: units
                .into_iter()
                .filter(|u| !u.taps.is_empty() && !u.columns.is_empty())
                .collect(),
            down,
            along,
            short: false,
            sizes,
        }
    }
}

impl Kernel for Weights {
    fn work(&self) -> Work {
        let s = &self.sizes;
        Work::Reduction {
            partial: s.window.kernel[0] * s.window.kernel[1] * s.channels / s.groups * s.outputs,
        }
    }

    fn rows(&self) -> Option<Rows> {
        let high = self.sizes.window.output[0];
        Some(Rows {
            count: high,
            reads: vec![Some(self.down.reading()), Some(Reading::same(high))],
        })
    }

    fn scratch(&self) -> usize {
        let [_, wide] = self.sizes.window.output;
        match self.short {
            true => (PIXELS / wide).clamp(1, LINES) * wide * self.sizes.outputs,
            false => 0,
        }
    }

    fn shorts(&self) -> Shorts {
        Shorts::of([1], false)
    }

    fn shorten(&mut self, shorts: Shorts) {
        self.short = shorts.has(1);
    }

    fn run(&self, task: Task<'_>) {
        if task.fresh {
            task.output.fill(0.0);
        }
        let [high, wide] = self.sizes.window.output;
        let each = (PIXELS / wide).clamp(1, LINES);
        // Lines of the result, counted over all samples.
        let lines = task.rows.clone().unwrap_or(0..task.range.len() * high);
        let line = wide * self.sizes.outputs;
        let (x, g) = (task.input(0), Numbers::new(task.input(1), self.short));
        for first in lines.clone().step_by(each) {
            let block = first..(first + each).min(lines.end);
            let g = g
                .part(first * line, block.len() * line)
                .wide(self.isa, task.scratch);
            self.all(x, g, &block, task.output);
        }
    }
}

impl Weights {
    /// Adds what a block of lines, of which `g` begins with the first, gives to all weights.
    pub(super) fn all(&self, x: &[f32], g: &[f32], block: &Range<usize>, dw: &mut [f32]) {
        let s = &self.sizes;
        let each = s.channels / s.groups;
        for group in 0..s.groups {
            for row in 0..s.window.kernel[0] {
                for unit in &self.units {
                    let at = (row * s.window.kernel[1] + unit.taps.start) * each * s.outputs;
                    self.product((x, g), block, (group, row, unit), &mut dw[at..]);
                }
            }
        }
    }

    /// Adds the product of a unit: K runs over the pixels of the lines that lie inside the image.
    fn product(
        &self,
        (x, g): (&[f32], &[f32]),
        block: &Range<usize>,
        (group, row, unit): (usize, usize, &Unit),
        dw: &mut [f32],
    ) {
        let s = &self.sizes;
        let mut starts = [Start::default(); LINES];
        let count = self.starts(block, row, unit, &mut starts);
        if count == 0 {
            return;
        }
        let (each, outputs) = (s.channels / s.groups, s.outputs / s.groups);
        let operands = Operands {
            a: &x[group * each..],
            a_row: 1,
            a_column: self.along.step * s.channels,
            starts: &starts[..count],
            depth: unit.columns.len(),
            b: &g[group * outputs..],
            b_row: s.outputs,
            bias: None,
            residual: None,
        };
        let finish = Finish {
            accumulate: true,
            relu: false,
        };
        let (dw, rows) = (&mut dw[group * outputs..], each * unit.taps.len());
        brgemm(self.isa, rows, outputs, &operands, dw, s.outputs, finish);
    }

    /// Where the lines of a block that a kernel row meets begin in image and gradient.
    fn starts(&self, block: &Range<usize>, row: usize, unit: &Unit, starts: &mut [Start; LINES]) -> usize {
        let s = &self.sizes;
        let ([h, width], [high, wide]) = (s.window.image, s.window.output);
        let (dy, dx) = (self.down.taps[row].1, self.along.taps[unit.taps.start].1);
        let left = ((unit.columns.start * self.along.step) as isize + dx) as usize;
        let inside = block
            .clone()
            .filter(|line| self.rows[row].contains(&(line % high)));
        let mut count = 0;
        for (line, start) in inside.zip(starts) {
            let above = ((line % high * self.down.step) as isize + dy) as usize;
            *start = Start {
                a: ((line / high * h + above) * width + left) * s.channels,
                b: ((line - block.start) * wide + unit.columns.start) * s.outputs,
            };
            count += 1;
        }
        count
    }
}
