//! From image to image: passes over strips of a framed image.
//!
//! 32 pixels in flat order are the rows of a block, and each step of the sum is one tap of 32 channels, a constant
//! distance away. A block is stored while the tile unit works on the next one.

use std::ops::Range;

use graph::ops::BoundWindow;

use super::super::short::{Numbers, NumbersMut};
use super::super::{Kernel, Reading, Rows, Shorts, Task, Work};
use super::frame::Frame;
use super::planes::Planes;
use super::split::{Floor, PLAIN, splits};
use super::store::{Store, store};
use super::tile::{Block, Left, SIDE, Session, Starts, Tiles, Turns, words_mut};
use crate::plan::Epilogue;

/// The outputs of one phase, all in the frame's flat order.
pub(super) struct Pass {
    /// Where each step of the sum starts for the first pixel, counted from row `low` of the frame's phases.
    pub starts: Starts,
    pub low: usize,
    /// Rows beyond `low` that the steps reach.
    pub reach: usize,
    /// The first of its steps in the packed weights.
    pub first_step: usize,
    /// Rows and columns of the outputs.
    pub size: [usize; 2],
    /// Where its first output goes, and how far apart they lie.
    pub origin: [usize; 2],
    pub spread: [usize; 2],
}

impl Pass {
    /// Rows of the pass that are some rows of the result.
    fn rows_of(&self, rows: &Range<usize>) -> Range<usize> {
        let within = |row: usize| {
            let ahead = row.saturating_sub(self.origin[0]).div_ceil(self.spread[0]);
            ahead.min(self.size[0])
        };
        within(rows.start)..within(rows.end)
    }
}

/// A pass from image to image.
pub(super) struct Sweep {
    pub tiles: Tiles,
    pub frame: Frame,
    /// Pixels of a sample.
    pub image: usize,
    pub weights: Planes,
    pub passes: Vec<Pass>,
    pub output: [usize; 2],
    pub epilogue: Epilogue,
    pub work: Work,
    /// Rows of the result in a strip, or whole samples where there are several.
    pub fit: usize,
    pub together: usize,
    pub reading: Reading,
    /// The window, where pixels of few channels are laid without filling.
    pub few: Option<BoundWindow>,
    /// Whether the pieces are panels of output channels, `[panel][pixel][32]`, which are put together afterwards (`joined`).
    pub by_panel: bool,
    pub shorts: Shorts,
}

/// What the epilogue adds, and what lies before the result's first element.
#[derive(Clone, Copy)]
struct Added<'a> {
    bias: Option<&'a [f32]>,
    residual: Option<Numbers<'a>>,
    skipped: usize,
    /// The window and the weights as they are, of few channels.
    few: Option<(BoundWindow, &'a [f32])>,
}

/// Some rows of one sample's result, or all of several samples.
#[derive(Clone)]
struct Strip {
    samples: Range<usize>,
    rows: Range<usize>,
    /// Of output channels.
    panels: Range<usize>,
}

/// A block that is not stored yet.
#[derive(Clone, Copy)]
struct Pending {
    pass: usize,
    panel: usize,
    first: usize,
}

impl Kernel for Sweep {
    fn work(&self) -> Work {
        self.work
    }

    fn rows(&self) -> Option<Rows> {
        let [_, residual] = self.epilogue.operands(2);
        let same = |k: usize| (Some(k) == residual).then_some(Reading::same(self.output[0]));
        let mut reads: Vec<_> = (0..4).map(same).collect();
        reads[0] = Some(self.reading);
        (self.work == Work::Samples).then_some(Rows {
            count: self.output[0],
            reads,
        })
    }

    fn scratch(&self) -> usize {
        self.tiles.words(self.frame.elements()).div_ceil(2)
    }

    fn shorts(&self) -> Shorts {
        let [_, residual] = self.epilogue.operands(2);
        let even = match self.work {
            Work::Pieces { elements, .. } => elements.is_multiple_of(2) && !self.by_panel,
            _ => true,
        };
        Shorts::of(residual.into_iter().chain([0]), even && self.tiles.parts == 1)
    }

    fn shorten(&mut self, shorts: Shorts) {
        self.shorts = shorts;
        if let (true, Work::Pieces { elements, .. }) = (shorts.output, &mut self.work) {
            *elements /= 2;
        }
    }

    fn run(&self, task: Task<'_>) {
        let numbers = |k: usize| Numbers::new(task.input(k), self.shorts.has(k));
        let (x, weights) = (numbers(0), task.input(1));
        let [bias, residual] = self.epilogue.operands(2);
        let high = self.output[0];
        let panels = if self.by_panel {
            task.range.clone()
        } else {
            0..self.weights.panels()
        };
        let (samples, rows) = match self.work {
            Work::Pieces { .. } if self.by_panel => (0..1, 0..high),
            Work::Pieces { .. } => {
                let rows = task.range.start * self.fit..(task.range.end * self.fit).min(high);
                (0..1, rows)
            }
            _ => (0..task.range.len(), task.rows.clone().unwrap_or(0..high)),
        };
        let skipped = match self.work {
            Work::Pieces { .. } => rows.start * self.output[1] * self.weights.lines,
            _ => 0,
        };
        let added = Added {
            bias: bias.map(|k| task.input(k)),
            residual: residual.map(numbers),
            skipped,
            few: self
                .few
                .map(|window| (window, task.input(task.operands.len() - 1))),
        };
        let scratch = words_mut(&mut task.scratch[..self.scratch()]);
        let whole = self.together > 1 && rows == (0..high);
        let weights = (weights, self.weights.is_split(weights));
        let mut output = NumbersMut::new(task.output, self.shorts.output);
        let session = Session::open(self.tiles);
        let each = if whole { self.together } else { 1 };
        for first in samples.clone().step_by(each) {
            let samples = first..(first + each).min(samples.end);
            let fit = if whole { high } else { self.fit };
            for first in rows.clone().step_by(fit) {
                let strip = Strip {
                    samples: samples.clone(),
                    rows: first..(first + fit).min(rows.end),
                    panels: panels.clone(),
                };
                self.strip(&session, &strip, (x, scratch), weights, added, &mut output);
            }
        }
    }
}

impl Sweep {
    /// Lays the rows that a strip reads. The first of them, and whether all numbers could be split.
    fn lay(&self, strip: &Strip, x: Numbers<'_>, splits_weights: bool, scratch: &mut [u16]) -> (usize, bool) {
        let reaching = self.passes.iter().filter_map(|pass| {
            let rows = pass.rows_of(&strip.rows);
            (!rows.is_empty()).then(|| pass.low + rows.start..pass.low + pass.reach + rows.end)
        });
        let rows = reaching
            .reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))
            .unwrap_or(0..0);
        // Samples one below the other are whole.
        let rows = match strip.samples.len() {
            1 => rows.start..rows.end.min(self.frame.size[0]),
            _ => 0..self.frame.size[0],
        };
        assert!(
            strip.samples.len() * rows.len() <= self.frame.room,
            "a strip is larger than planned"
        );
        let each = self.image * self.frame.channels;
        let mut lay = |parts: usize| {
            let samples = strip.samples.clone().enumerate();
            let laid = samples.map(|(k, n)| {
                let sample = x.part(n * each, each);
                let rows = (rows.clone(), k * rows.len());
                self.frame.lay(self.tiles.isa, parts, sample, &rows, scratch)
            });
            laid.max().unwrap_or(0)
        };
        // Infinite weights must not meet the frame's zeros, so the frame then is marked.
        let can_split = splits_weights && splits(lay(self.tiles.parts), Floor::Low);
        if !can_split && self.few.is_none() {
            lay(PLAIN);
        }
        (rows.start, can_split)
    }

    fn strip(
        &self,
        session: &Session,
        strip: &Strip,
        (x, scratch): (Numbers<'_>, &mut [u16]),
        (weights, splits_weights): (&[f32], bool),
        added: Added,
        output: &mut NumbersMut<'_>,
    ) {
        let (top, can_split) = self.lay(strip, x, splits_weights, scratch);
        if let (Some((window, raw)), false) = (added.few, can_split) {
            return self.plainly(strip, x, (window, raw), added, output);
        }
        let left = Left {
            words: scratch,
            plain: !can_split,
            plane: self.frame.elements(),
            row: self.frame.step(),
            at: 0,
        };
        let mut turns = Turns::new();
        // Output channels outside: a panel of weights stays in the caches for all pixels.
        for panel in strip.panels.clone() {
            for (number, pass) in self.passes.iter().enumerate() {
                let rows = pass.rows_of(&strip.rows);
                if rows.is_empty() || pass.size[1] == 0 {
                    continue;
                }
                let right = self.weights.right(weights, panel, pass.first_step);
                let above = (pass.low + rows.start - top) * self.frame.size[1];
                for first in self.firsts(strip.samples.len(), rows.len(), pass.size[1]) {
                    let at = (above + first) * self.frame.step();
                    let place = Pending {
                        pass: number,
                        panel,
                        first,
                    };
                    let operands = (&Left { at, ..left }, &pass.starts, &right);
                    if let Some((done, block)) = turns.next(session, operands, place) {
                        self.scatter(strip, done, added, block, output);
                    }
                }
            }
        }
        if let Some((done, block)) = turns.last() {
            self.scatter(strip, done, added, block, output);
        }
    }

    /// The first pixels of the blocks of a strip: across the frames between samples, or each sample's apart, whichever
    /// is fewer.
    fn firsts(&self, samples: usize, rows: usize, columns: usize) -> impl Iterator<Item = usize> {
        let each = self.frame.size[0] * self.frame.size[1];
        let one = (rows - 1) * self.frame.size[1] + columns;
        let across = (samples - 1) * each + one;
        let (runs, length) = match samples * one.div_ceil(SIDE) <= across.div_ceil(SIDE) {
            true => (samples, one),
            false => (1, across),
        };
        (0..runs).flat_map(move |run| (0..length).step_by(SIDE).map(move |first| run * each + first))
    }

    /// A strip of an image of few channels straight from numbers that cannot be split.
    fn plainly(
        &self,
        strip: &Strip,
        x: Numbers<'_>,
        (w, weights): (BoundWindow, &[f32]),
        added: Added,
        output: &mut NumbersMut<'_>,
    ) {
        let outputs = self.weights.lines;
        let places = strip
            .rows
            .clone()
            .flat_map(|row| (0..w.output[1]).map(move |column| (row, column)));
        for (n, (row, column)) in strip
            .samples
            .clone()
            .flat_map(|n| places.clone().map(move |at| (n, at)))
        {
            let at = ((n * self.output[0] + row) * self.output[1] + column) * outputs;
            for first in (0..outputs).step_by(SIDE) {
                let mut sums = [0.0; SIDE];
                let sums = &mut sums[..SIDE.min(outputs - first)];
                self.add_taps((n, row, column), x, (&w, &weights[first..]), sums);
                for (channel, to) in (first..).zip(sums.iter_mut()) {
                    *to += added.bias.map_or(0.0, |bias| bias[channel]);
                    *to += added.residual.map_or(0.0, |residual| residual.get(at + channel));
                    // NaN stays NaN.
                    *to = if self.epilogue.relu && *to < 0.0 { 0.0 } else { *to };
                }
                output
                    .from(at + first - added.skipped)
                    .write(self.tiles.isa, sums);
            }
        }
    }

    /// Adds the products of the taps of one pixel of the result to some of its channels.
    fn add_taps(
        &self,
        (n, row, column): (usize, usize, usize),
        x: Numbers<'_>,
        (w, weights): (&BoundWindow, &[f32]),
        sums: &mut [f32],
    ) {
        let (channels, outputs) = (self.frame.channels, self.weights.lines);
        for (u, v) in (0..w.kernel[0]).flat_map(|u| (0..w.kernel[1]).map(move |v| (u, v))) {
            let y = (row * w.stride[0] + u * w.dilation[0]).wrapping_sub(w.padding[0]);
            let across = (column * w.stride[1] + v).wrapping_sub(w.padding[2]);
            if y >= w.image[0] || across >= w.image[1] {
                continue;
            }
            let pixel = x.from((n * self.image + y * w.image[1] + across) * channels);
            let tap = &weights[(u * w.kernel[1] + v) * channels * outputs..];
            for (channel, weights) in tap.chunks(outputs).take(channels).enumerate() {
                let x = pixel.get(channel);
                sums.iter_mut()
                    .zip(weights)
                    .for_each(|(sum, weight)| *sum = x.mul_add(*weight, *sum));
            }
        }
    }

    /// The pixels of a block that belong to the result, to their places.
    fn scatter(
        &self,
        strip: &Strip,
        done: Pending,
        added: Added,
        block: &Block,
        output: &mut NumbersMut<'_>,
    ) {
        let Pending { pass, panel, first } = done;
        let pass = &self.passes[pass];
        let rows = pass.rows_of(&strip.rows);
        let (outputs, columns, before) = match self.by_panel {
            true => (
                SIDE,
                SIDE,
                (panel - strip.panels.start) * self.output[0] * self.output[1] * SIDE,
            ),
            false => (self.weights.lines, self.weights.lines_of(panel), panel * SIDE),
        };
        let mut how = Store {
            skip: 0,
            rows: 0,
            columns,
            stride: outputs * pass.spread[1],
            accumulate: false,
            bias: added.bias.map(|b| &b[panel * SIDE..]),
            residual: None,
            relu: self.epilogue.relu,
        };
        let mut pixel = first;
        while pixel < first + SIDE {
            // A run of pixels of one row, then the frame between it and the next row.
            let (line, column) = (pixel / self.frame.size[1], pixel % self.frame.size[1]);
            let (sample, row) = match strip.samples.len() {
                1 => (0, line),
                _ => (line / self.frame.size[0], line % self.frame.size[0]),
            };
            how.skip = pixel - first;
            how.rows = pass.size[1].saturating_sub(column).min(SIDE - how.skip);
            if sample >= strip.samples.len() {
                return;
            }
            if how.rows > 0 && row < rows.len() {
                let to_row = pass.origin[0] + (rows.start + row) * pass.spread[0];
                let to_row = (strip.samples.start + sample) * self.output[0] + to_row;
                let to_column = pass.origin[1] + column * pass.spread[1];
                let at = (to_row * self.output[1] + to_column) * outputs + before;
                how.residual = added.residual.map(|r| r.from(at));
                store(self.tiles.isa, block, output.from(at - added.skipped), &how);
            }
            pixel += self.frame.size[1] - column;
        }
    }
}
