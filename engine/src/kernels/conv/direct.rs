//! Convolution straight from the image: each tap, or run of neighbouring taps, is one matrix of a
//! batch-reduce product whose A rows are pixels. Nothing is copied or padded.

use std::ops::Range;

use super::geometry::Region;
use super::pass::{Pass, Phase};
use crate::kernels::brgemm::{Finish, Operands, brgemm};
use crate::kernels::{BuildContext, Built, Isa, Kernel, Reading, Rows, Task, Work};
use crate::plan::Epilogue;

/// Bytes of the source that are read for all panels of outputs before the next.
const BLOCK: usize = 256 * 1024;
/// The same for small images.
const SMALL_BLOCK: usize = 1024 * 1024;
/// Lines shorter than this are taken down the columns, or across samples, where that makes longer ones.
const SHORT: usize = 9;
/// Samples in a line across them: their distance may be a power of two, and more lines would share cache sets.
const ACROSS: usize = 16;

pub(super) struct Direct {
    isa: Isa,
    pub pass: Pass,
    pub epilogue: Epilogue,
    work: Work,
}

pub(super) fn build(context: &BuildContext, pass: Pass, epilogue: Epilogue) -> Built {
    let work = super::image_work(context, &pass);
    let pack = pass.pack.clone();
    let kernel = Direct::new(context, pass, epilogue, work);
    Built::new(kernel, super::by_sample(epilogue, work)).packing(1, pack)
}

/// The operands of one call, and where its results go.
pub(super) struct Call<'a> {
    pub x: &'a [f32],
    pub packed: &'a [f32],
    /// Panels that are missing before the first that is there.
    pub panels_before: usize,
    pub bias: Option<&'a [f32]>,
    pub residual: Option<&'a [f32]>,
    pub output: &'a mut [f32],
    /// Elements of the first sample's result that lie before `output`.
    pub skipped: usize,
}

impl Kernel for Direct {
    fn work(&self) -> Work {
        self.work
    }

    fn rows(&self) -> Option<Rows> {
        let [_, residual] = self.epilogue.operands(2);
        let same = |k: usize| (Some(k) == residual).then_some(Reading::same(self.pass.result[0]));
        let mut reads: Vec<_> = (0..4).map(same).collect();
        reads[0] = Some(self.pass.reading());
        (self.work == Work::Samples).then_some(Rows {
            count: self.pass.result[0],
            reads,
        })
    }

    fn run(&self, task: Task<'_>) {
        let [sample, _] = self.pass.elements();
        let rows = self.pass.result[0];
        let line = self.pass.source[1] * self.pass.source[2] * self.pass.phases[0].rows.step;
        let fit = (BLOCK / (line * 4).max(1)).max(1) * self.pass.step[0];
        let (range, band) = (task.range.clone(), task.rows.clone());
        let (mut call, skipped) = (
            self.call(task),
            range.start * self.pass.result[1] * self.pass.result[2],
        );
        match self.work {
            Work::Pieces { .. } => {
                call.skipped = skipped;
                for first in range.clone().step_by(fit) {
                    self.block(&mut call, 0..1, first..(first + fit).min(range.end));
                }
            }
            // Large images in blocks of rows, small ones together.
            _ if fit < rows || band.is_some() => {
                let rows = band.unwrap_or(0..rows);
                for n in 0..range.len() {
                    for first in rows.clone().step_by(fit) {
                        self.block(&mut call, n..n + 1, first..(first + fit).min(rows.end));
                    }
                }
            }
            _ => {
                let together = (SMALL_BLOCK / (sample * 4).max(1)).max(1);
                for first in (0..range.len()).step_by(together) {
                    self.block(&mut call, first..(first + together).min(range.len()), 0..rows);
                }
            }
        }
    }
}

impl Direct {
    pub(super) fn new(context: &BuildContext, pass: Pass, epilogue: Epilogue, work: Work) -> Self {
        Self {
            isa: context.isa,
            pass,
            epilogue,
            work,
        }
    }

    fn call<'a>(&self, task: Task<'a>) -> Call<'a> {
        let [bias, residual] = self.epilogue.operands(2);
        Call {
            x: task.input(0),
            packed: task.input(1),
            bias: bias.map(|k| task.input(k)),
            residual: residual.map(|k| task.input(k)),
            output: task.output,
            skipped: 0,
            panels_before: 0,
        }
    }

    /// All outputs of some rows of the result of some samples, panel after panel.
    fn block(&self, call: &mut Call, samples: Range<usize>, rows: Range<usize>) {
        for group in 0..self.pass.groups {
            for panel in 0..self.pass.pack.panels() {
                self.panel(call, (group, panel), samples.clone(), rows.clone());
            }
        }
    }

    /// One panel of outputs of some rows of the result of some samples.
    pub(super) fn panel(
        &self,
        call: &mut Call,
        which: (usize, usize),
        samples: Range<usize>,
        rows: Range<usize>,
    ) {
        for phase in &self.pass.phases {
            let rows = self.pass.rows_of(phase, &rows);
            for region in &phase.regions {
                let within = region.rows.start.max(rows.start)..region.rows.end.min(rows.end);
                if !within.is_empty() {
                    self.region(call, which, (phase, region), samples.clone(), within);
                }
            }
        }
    }

    /// One panel of outputs of the pixels of a region, line by line: along rows, down columns, or across
    /// samples, whichever makes the longest lines.
    fn region(
        &self,
        call: &mut Call,
        (group, panel): (usize, usize),
        (phase, region): (&Phase, &Region),
        samples: Range<usize>,
        rows: Range<usize>,
    ) {
        let pass = &self.pass;
        let ([_, width, channels], across) = (pass.source, pass.elements());
        let down = [
            phase.rows.step * width * channels,
            pass.step[0] * pass.result[1] * pass.result[2],
        ];
        let along = [phase.columns.step * channels, pass.step[1] * pass.result[2]];
        let (high, wide) = (rows.len(), region.columns.len());
        let from = (rows.start * down[0] + region.columns.start * along[0]) as isize + region.origin;
        let from = (from + (group * pass.depth()) as isize) as usize;
        let column = pass.column(group, panel);
        let to = pass.place(phase, rows.start, region.columns.start) + column - call.skipped;
        let place = |n: usize, i: usize, j: usize| {
            let at = |k: usize| n * across[k] + i * down[k] + j * along[k];
            [from + at(0), to + at(1)]
        };
        let mut line = |[from, to]: [usize; 2], length: usize, next: [usize; 2]| {
            self.line(call, (group, panel), region, ([from, to], length, next));
        };
        if samples.len() > wide.max(high) && wide < SHORT {
            for n in samples.clone().step_by(ACROSS) {
                let length = ACROSS.min(samples.end - n);
                let pixels = (0..high).flat_map(|i| (0..wide).map(move |j| (i, j)));
                pixels.for_each(|(i, j)| line(place(n, i, j), length, across));
            }
            return;
        }
        for n in samples {
            // Lines that follow one another without a gap are one line.
            if down == along.map(|step| step * wide) {
                line(place(n, 0, 0), high * wide, along);
            } else if wide < SHORT && high > wide {
                (0..wide).for_each(|j| line(place(n, 0, j), high, down));
            } else {
                (0..high).for_each(|i| line(place(n, i, 0), wide, along));
            }
        }
    }

    /// One panel of outputs of a line of pixels: where it begins in source and result, how many, and from one
    /// to the next.
    fn line(
        &self,
        call: &mut Call,
        (group, panel): (usize, usize),
        region: &Region,
        ([from, to], length, next): ([usize; 2], usize, [usize; 2]),
    ) {
        let pass = &self.pass;
        let column = pass.column(group, panel);
        let x = Operands {
            // A region without taps may lie behind the source.
            a: call.x.get(from..).unwrap_or_default(),
            a_row: next[0],
            a_column: 1,
            starts: &region.starts,
            depth: region.depth,
            b: pass.pack.panel(call.packed, group, panel - call.panels_before),
            b_row: pass.pack.width,
            bias: call.bias.map(|b| &b[column..]),
            residual: call.residual.map(|r| &r[to + call.skipped..]),
        };
        let finish = Finish {
            accumulate: false,
            relu: self.epilogue.relu,
        };
        let columns = pass.pack.columns_of(panel);
        brgemm(
            self.isa,
            length,
            columns,
            &x,
            &mut call.output[to..],
            next[1],
            finish,
        );
    }
}
