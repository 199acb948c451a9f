//! Matrices rearranged into panels: `[columns/width][rows][width]`, the last panel filled up with
//! zeros, so that the matrix kernel reads them from front to back.

use std::ops::Range;

use super::{Kernel, Task, Work};

/// Where element (row, column) of the packed matrix comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A row-major matrix `[rows, columns]`.
    Plain,
    /// A row-major matrix `[columns, rows]`.
    Transposed,
    /// Columns `group·columns…` of `[taps, channels, groups·columns]` weights, one block per group.
    Grouped {
        /// Number of groups.
        groups: usize,
    },
    /// Convolution weights `[taps, channels, groups·outputs]` for the way back: row (tap, output of
    /// the group), column channel, taps in reverse order; one block per group.
    Backward {
        /// KH·KW
        taps: usize,
        /// Number of groups.
        groups: usize,
    },
    /// Convolution weights `[KH, KW·C, outputs]` as one matrix for each output and shift: its row is a row
    /// of the kernel for this output, `shift · step` columns to the right.
    Patches {
        /// O
        outputs: usize,
        /// Number of shifts.
        shifts: usize,
        /// Columns from one shift to the next.
        step: usize,
        /// C
        channels: usize,
        /// Columns from one tap to the next, C or more.
        pitch: usize,
    },
}

/// A packing of one operand; itself a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// Rows of each packed matrix.
    pub rows: usize,
    /// Columns of each packed matrix.
    pub columns: usize,
    /// Columns of a panel.
    pub width: usize,
    /// Where the elements come from.
    pub source: Source,
}

impl Pack {
    /// Panels of one matrix.
    pub fn panels(&self) -> usize {
        self.columns.div_ceil(self.width)
    }

    fn matrices(&self) -> usize {
        match self.source {
            Source::Plain | Source::Transposed => 1,
            Source::Grouped { groups } | Source::Backward { groups, .. } => groups,
            Source::Patches { outputs, shifts, .. } => outputs * shifts,
        }
    }

    /// Elements of the packed form.
    pub fn elements(&self) -> usize {
        self.matrices() * self.panels() * self.rows * self.width
    }

    /// Panel `panel` of matrix `group` inside the packed form.
    pub fn panel<'a>(&self, packed: &'a [f32], group: usize, panel: usize) -> &'a [f32] {
        let size = self.rows * self.width;
        &packed[(group * self.panels() + panel) * size..][..size]
    }

    /// Columns of the panel that are not filling.
    pub fn columns_of(&self, panel: usize) -> usize {
        self.width.min(self.columns - panel * self.width)
    }

    /// Fills panel `number` of the first matrix.
    pub(super) fn fill_panel(&self, from: &[f32], number: usize, panel: &mut [f32]) {
        self.fill(from, 0, number * self.width, self.columns_of(number), panel);
    }

    /// Fills some rows of tap `tap` of panel `number`, of weights that are one group.
    pub(super) fn fill_tap(
        &self,
        from: &[f32],
        (number, taps, tap): (usize, usize, usize),
        rows: Range<usize>,
        to: &mut [f32],
    ) {
        let (column, live) = (number * self.width, self.columns_of(number));
        let each = self.rows / taps;
        match self.source {
            Source::Backward { .. } => {
                let start = ((taps - 1 - tap) * self.columns + column) * each + rows.start;
                transpose(&from[start..], each, live, self.width, to);
            }
            _ => {
                for (row, to) in rows.zip(to.chunks_exact_mut(self.width)) {
                    self.fill_row(from, 0, tap * each + row, column, &mut to[..live]);
                    to[live..].fill(0.0);
                }
            }
        }
    }

    fn fill_row(&self, from: &[f32], group: usize, row: usize, column: usize, to: &mut [f32]) {
        let outputs = self.columns * self.matrices();
        match self.source {
            Source::Plain => to.copy_from_slice(&from[row * self.columns + column..][..to.len()]),
            Source::Grouped { .. } => {
                to.copy_from_slice(&from[row * outputs + group * self.columns + column..][..to.len()]);
            }
            Source::Patches {
                outputs,
                shifts,
                step,
                channels,
                pitch,
            } => {
                let (output, first) = (group / shifts, group % shifts * step);
                let taps = (self.columns - (shifts - 1) * step) / pitch;
                to.fill(0.0);
                for (tap, c) in (0..taps).flat_map(|tap| (0..channels).map(move |c| (tap, c))) {
                    let at = (row * taps + tap) * channels + c;
                    to[first + tap * pitch + c] = from[at * outputs + output];
                }
            }
            // Their columns are rows of the source, so `fill` transposes.
            Source::Transposed | Source::Backward { .. } => {}
        }
    }

    /// Fills a panel that begins with `column`; `live` of its columns are not filling.
    fn fill(&self, from: &[f32], group: usize, column: usize, live: usize, panel: &mut [f32]) {
        match self.source {
            Source::Transposed => {
                transpose(&from[column * self.rows..], self.rows, live, self.width, panel);
            }
            Source::Backward { taps, groups } => {
                let each = self.rows / taps;
                let stride = each * groups;
                for (tap, block) in panel.chunks_exact_mut(each * self.width).rev().enumerate() {
                    let start = (tap * self.columns + column) * stride + group * each;
                    transpose(&from[start..], stride, live, self.width, block);
                }
            }
            _ => {
                for (row, to) in panel.chunks_exact_mut(self.width).enumerate() {
                    self.fill_row(from, group, row, column, &mut to[..live]);
                    to[live..].fill(0.0);
                }
            }
        }
    }
}

/// Rows of one block of a transposition.
const BLOCK: usize = 16;
/// Columns of the widest panel.
const WIDEST: usize = 32;

/// to[r·width + j] = from[j·stride + r] for j below `live`, zeros behind; in blocks, so that each line of the
/// source is read once.
fn transpose(from: &[f32], stride: usize, live: usize, width: usize, to: &mut [f32]) {
    let mut lines = [[0.0f32; BLOCK]; WIDEST];
    for (block, to) in to.chunks_mut(BLOCK * width).enumerate() {
        let count = to.len() / width;
        for (j, line) in lines.iter_mut().enumerate().take(live) {
            line[..count].copy_from_slice(&from[j * stride + block * BLOCK..][..count]);
        }
        for (r, to) in to.chunks_exact_mut(width).enumerate() {
            to.iter_mut().zip(&lines).for_each(|(to, line)| *to = line[r]);
        }
    }
}

impl Kernel for Pack {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.matrices() * self.panels(),
            elements: self.rows * self.width,
        }
    }

    fn run(&self, task: Task<'_>) {
        let from = task.input(0);
        for (index, panel) in task
            .range
            .clone()
            .zip(task.output.chunks_exact_mut(self.rows * self.width))
        {
            let (group, number) = (index / self.panels(), index % self.panels());
            let live = self.columns_of(number);
            self.fill(from, group, number * self.width, live, panel);
        }
    }
}
