//! A chain of element-wise ops, and perhaps a sum at its end, in one pass: a tile at a time goes
//! through all links while it lies in the first cache.

mod spread;

use std::ops::Range;

use graph::Shape;

use super::columns::{LANES, repeat_first, run_length};
use super::elementwise::{map, scale_shift, slope, zip};
use super::norm::{fold, gradient_rows, open_rows, products, relu_rows, scale_rows, sum_runs};
use super::reduce::total_of;
use super::registry::Built;
use super::short::{Numbers, NumbersMut};
use super::{BuildContext, Isa, Kernel, Rows, Shorts, Task, Work};
use crate::plan::chain::{Chain, ChainOperand, End, Form, Link, Source, Then};
use spread::Spread;

/// Elements of all tiles together: what lies in the first cache beside what streams through it.
const TILES: usize = 7 * 1024;
/// Elements of one tile, at least and at most (but for what a run of whole rows needs).
const TILE: std::ops::Range<usize> = 256..1024;

struct ChainKernel {
    isa: Isa,
    chain: Chain,
    work: Work,
    channels: usize,
    /// Elements of a tile: whole rows and whole vectors.
    tile: usize,
    /// Vectors by channel, each repeated over a tile.
    spreads: Vec<Spread>,
    /// The spread with which an operand by channel or a link begins.
    operand_spreads: Vec<usize>,
    link_spreads: Vec<Vec<usize>>,
    end_spreads: Vec<usize>,
    /// The tile in which each link's result lies; the last link of a chain that is stored has none.
    places: Vec<usize>,
    places_used: usize,
    /// Per operand: elements a sample.
    by_sample: bool,
    shorts: Shorts,
}

pub(crate) fn build(context: &BuildContext, chain: &Chain, output: &Shape) -> Built {
    let domain = &chain.domain;
    let moved = chain
        .operands
        .iter()
        .any(|o| o.form == Form::Full && o.offset > 0);
    let by_sample = !moved && domain.first() == Some(&context.batch);
    let elements = output.elements();
    let pieces = Work::Pieces { count: 1, elements };
    let work = match chain.end {
        _ if !by_sample => pieces,
        End::Store(_) => Work::Samples,
        End::Sum { .. } | End::NormalizeSums { .. } => Work::Reduction { partial: elements },
    };
    let mut kernel = ChainKernel {
        isa: context.isa,
        chain: chain.joined(),
        work,
        channels: domain.last_axis().max(1),
        tile: 0,
        spreads: Vec::new(),
        operand_spreads: Vec::new(),
        link_spreads: Vec::new(),
        end_spreads: Vec::new(),
        places: Vec::new(),
        places_used: 0,
        by_sample,
        shorts: Shorts::default(),
    };
    kernel.find_spreads();
    kernel.find_places();
    kernel.find_tile(domain.elements());
    let taken = |form: Form| by_sample && matches!(form, Form::Full | Form::After);
    Built::new(kernel, chain.operands.iter().map(|o| taken(o.form)).collect())
}

impl ChainKernel {
    fn spread(&mut self, spread: Spread) -> usize {
        let known = self.spreads.iter().position(|s| *s == spread);
        known.unwrap_or_else(|| {
            self.spreads.push(spread);
            self.spreads.len() - 1
        })
    }

    fn find_spreads(&mut self) {
        for (k, operand) in self.chain.operands.clone().into_iter().enumerate() {
            let at = match operand.form {
                Form::Channels => self.spread(Spread::Operand {
                    k,
                    offset: operand.offset,
                }),
                _ => usize::MAX,
            };
            self.operand_spreads.push(at);
        }
        for link in self.chain.links.clone() {
            let needed = Spread::of(link);
            let at = needed.into_iter().map(|s| self.spread(s)).collect();
            self.link_spreads.push(at);
        }
        if let End::NormalizeSums { epsilon, moments, .. } = self.chain.end {
            let means = self.spread(Spread::Means { moments });
            let scales = self.spread(Spread::Scales {
                moments,
                gamma: None,
                epsilon,
            });
            self.end_spreads = vec![means, scales];
        }
    }

    /// Gives each link a tile; one whose last reader is past is used again.
    fn find_places(&mut self) {
        let links = &self.chain.links;
        let mut last: Vec<usize> = (0..links.len()).collect();
        let reads = |sources: [Option<Source>; 2], at: usize, last: &mut Vec<usize>| {
            for source in sources.into_iter().flatten() {
                if let Source::Link(k) = source {
                    last[k] = at;
                }
            }
        };
        for (at, link) in links.iter().enumerate() {
            reads(link.sources(), at, &mut last);
        }
        reads(self.chain.end.sources(), links.len(), &mut last);
        let mut busy: Vec<usize> = Vec::new();
        for (at, &until_own) in last.iter().enumerate().take(links.len()) {
            // A tile is free once the last link that reads it is past, not while that one runs.
            let free = busy.iter().position(|&until| until < at);
            let place = free.unwrap_or(busy.len());
            if place == busy.len() {
                busy.push(0);
            }
            busy[place] = until_own;
            self.places.push(place);
        }
        self.places_used = busy.len();
    }

    fn find_tile(&mut self, elements: usize) {
        let full = self
            .chain
            .operands
            .iter()
            .filter(|o| o.form == Form::Full)
            .count();
        let arrays = self.spreads.len() + self.places_used + full + 1;
        let run = if self.spreads.is_empty() && self.end_run().is_none() {
            LANES
        } else {
            run_length(self.channels)
        };
        let wished = (TILES / arrays).clamp(TILE.start, TILE.end);
        let rounds = (wished / run).max(1);
        self.tile = run * rounds.min(elements.div_ceil(run).max(1));
    }

    /// Elements of a run of whole rows and vectors, where sums by channel are wanted.
    fn end_run(&self) -> Option<usize> {
        let by_channel = match self.chain.end {
            End::Store(_) => false,
            End::Sum { channels, .. } => channels,
            End::NormalizeSums { .. } => true,
        };
        by_channel.then(|| run_length(self.channels))
    }

    /// The elements that a task is to do.
    fn elements(&self, task: &Task<'_>) -> Range<usize> {
        let domain = &self.chain.domain;
        if !self.by_sample {
            return 0..domain.elements();
        }
        let sample: usize = domain[1..].iter().product();
        match &task.rows {
            Some(rows) => {
                let row = sample / domain[1].max(1);
                rows.start * row..rows.end * row
            }
            None => 0..sample * task.count(),
        }
    }

    /// Operands that are bf16 numbers, each of which has a tile of f32 numbers.
    fn wide(&self) -> usize {
        self.shorts.operands.count_ones() as usize
    }

    /// The tile of operand `k` among those.
    fn wide_of(&self, k: usize) -> Option<usize> {
        let before = self.shorts.operands & ((1 << k) - 1);
        self.shorts.has(k).then_some(before.count_ones() as usize)
    }

    fn totals(&self) -> usize {
        2 * self.end_run().unwrap_or(0)
    }

    /// Writes every vector by channel over a tile.
    fn prepare(&self, task: &Task<'_>, rows: usize, tiles: &mut [f32]) {
        let c = self.channels;
        let share = 1.0 / rows.max(1) as f32;
        for (spread, tile) in self.spreads.iter().zip(tiles.chunks_exact_mut(self.tile)) {
            spread.write(task, share, &mut tile[..c]);
            repeat_first(tile, c);
        }
    }
}

/// What the links of one tile read.
struct Tile<'a> {
    kernel: &'a ChainKernel,
    task: &'a Task<'a>,
    spreads: &'a [f32],
    /// Of operands that are bf16 numbers, the f32 numbers.
    wide: &'a [f32],
    start: usize,
    length: usize,
}

impl Tile<'_> {
    fn spread(&self, at: usize) -> &[f32] {
        &self.spreads[at * self.kernel.tile..][..self.length]
    }

    /// A source's numbers and their stride: 1, or 0 for one number that stands for all.
    fn source<'s>(&'s self, source: Source, made: &impl Fn(usize) -> &'s [f32]) -> (&'s [f32], usize) {
        match source {
            Source::Link(k) => (&made(k)[..self.length], 1),
            Source::Operand(k) => {
                let operand = self.kernel.chain.operands[k];
                if let Some(at) = self.kernel.wide_of(k) {
                    return (&self.wide[at * self.kernel.tile..][..self.length], 1);
                }
                match operand.form {
                    Form::Full => (
                        &self.task.input(k)[operand.offset + self.start..][..self.length],
                        1,
                    ),
                    Form::Channels => (self.spread(self.kernel.operand_spreads[k]), 1),
                    _ => (&self.task.input(k)[operand.offset..], 0),
                }
            }
        }
    }

    /// Runs one link on sources found by `made`.
    fn link<'s>(&'s self, at: usize, made: &impl Fn(usize) -> &'s [f32], out: &mut [f32]) {
        let isa = self.kernel.isa;
        let out = &mut out[..self.length];
        let of = |source: Source| self.source(source, made);
        let spreads = &self.kernel.link_spreads[at];
        match self.kernel.chain.links[at] {
            Link::Binary(kind, a, b) => {
                let ((a, sa), (b, sb)) = (of(a), of(b));
                zip(isa, kind, out, a, sa, b, sb);
            }
            Link::Unary(kind, x) => map(isa, kind, of(x).0, out),
            Link::Slope(kind, g, v) => slope(isa, kind, of(g).0, of(v).0, out),
            Link::Affine(affine, x) => match of(x) {
                (x, 0) => {
                    let value = affine.scale * x[0] + affine.shift;
                    out.fill(value);
                }
                (x, _) => scale_shift(isa, affine.scale, affine.shift, x, out),
            },
            Link::Normalize { x, then, .. } => {
                let [means, scales, shifts] = [0, 1, 2].map(|k| self.spread(spreads[k]));
                let x = of(x).0;
                match then {
                    Then::Nothing => scale_rows(isa, x, means, scales, shifts, out),
                    Then::Relu => relu_rows(isa, x, means, scales, shifts, out),
                    Then::Slope(g) => open_rows(isa, of(g).0, x, means, scales, shifts, out),
                }
            }
            Link::InputGradient { g, x, .. } => {
                let coefficients = [0, 1, 2, 3].map(|k| self.spread(spreads[k]));
                gradient_rows(isa, of(g).0, of(x).0, coefficients, out);
            }
        }
    }
}

impl Kernel for ChainKernel {
    fn work(&self) -> Work {
        self.work
    }

    fn scratch(&self) -> usize {
        (self.spreads.len() + self.places_used + self.wide()) * self.tile + self.totals() + LANES
    }

    fn shorts(&self) -> Shorts {
        let operands = self.chain.operands.iter().enumerate();
        // One that is moved, or that it only waits for, is not read as a tile.
        let can = |o: &ChainOperand| match o.form {
            Form::Full => o.offset == 0,
            form => form == Form::After,
        };
        let can = operands.filter(|(_, o)| can(o)).map(|(k, _)| k);
        let stored = matches!(self.chain.end, End::Store(_));
        Shorts::of(can, stored && self.work == Work::Samples)
    }

    fn shorten(&mut self, shorts: Shorts) {
        self.shorts = shorts;
        let operands = self.chain.operands.iter().enumerate();
        for (k, _) in operands.filter(|(_, o)| o.form == Form::After) {
            self.shorts.operands &= !(1 << k);
        }
    }

    fn run(&self, task: Task<'_>) {
        let Task {
            operands,
            output,
            scratch,
            range,
            rows,
            fresh,
            key,
        } = task;
        // The operands alone, so that the output can be written while they are read.
        let task = Task {
            operands,
            output: &mut [],
            scratch: &mut [],
            range,
            rows,
            fresh,
            key,
        };
        let elements = self.elements(&task);
        let (spreads, rest) = scratch.split_at_mut(self.spreads.len() * self.tile);
        let (tiles, rest) = rest.split_at_mut(self.places_used * self.tile);
        let (wide, totals) = rest.split_at_mut(self.wide() * self.tile);
        let totals = &mut totals[..self.totals()];
        totals.fill(0.0);
        self.prepare(&task, self.chain.domain.rows(), spreads);
        if fresh && !matches!(self.chain.end, End::Store(_)) {
            output.fill(0.0);
        }
        let mut total = 0.0;
        for start in elements.clone().step_by(self.tile) {
            let length = self.tile.min(elements.end - start);
            self.widen(&task, start..start + length, wide);
            let tile = Tile {
                kernel: self,
                task: &task,
                spreads,
                wide,
                start,
                length,
            };
            self.tile(&tile, tiles, output, totals, &mut total);
        }
        self.end(totals, total, output);
    }

    fn rows(&self) -> Option<Rows> {
        let rows = *self
            .chain
            .domain
            .get(1)
            .filter(|_| self.chain.domain.rank() > 2)?;
        let full = self.chain.operands.iter().map(|o| o.form == Form::Full);
        self.by_sample.then(|| Rows::alike(rows, full))
    }

    fn finish(&self, partials: &[f32], output: &mut [f32]) {
        output.fill(0.0);
        for partial in partials.chunks_exact(output.len()) {
            output.iter_mut().zip(partial).for_each(|(sum, x)| *sum += x);
        }
        self.scale(output);
    }
}

impl ChainKernel {
    /// Makes the f32 numbers of the operands that are bf16.
    fn widen(&self, task: &Task<'_>, elements: Range<usize>, wide: &mut [f32]) {
        for k in (0..self.chain.operands.len()).filter(|&k| self.shorts.has(k)) {
            let numbers = Numbers::new(task.input(k), true).part(elements.start, elements.len());
            let at = self.wide_of(k).unwrap_or(0) * self.tile;
            numbers.wide(self.isa, &mut wide[at..]);
        }
    }

    /// One tile through all links and into the end.
    fn tile(
        &self,
        tile: &Tile<'_>,
        tiles: &mut [f32],
        output: &mut [f32],
        totals: &mut [f32],
        total: &mut f32,
    ) {
        let links = self.chain.links.len();
        let stored = match self.chain.end {
            End::Store(Source::Link(k)) if k + 1 == links && !self.shorts.output => Some(k),
            _ => None,
        };
        for at in 0..links {
            let (before, own) = tiles.split_at_mut(self.places[at] * self.tile);
            let (own, after) = own.split_at_mut(self.tile);
            let made = |k: usize| match self.places[k] * self.tile {
                at if at < before.len() => &before[at..],
                at => &after[at - before.len() - self.tile..],
            };
            match stored {
                Some(last) if last == at => {
                    tile.link(at, &made, &mut output[tile.start..tile.start + tile.length]);
                }
                _ => tile.link(at, &made, own),
            }
        }
        let made = |k: usize| &tiles[self.places[k] * self.tile..];
        let of = |source: Source| tile.source(source, &made).0;
        match self.chain.end {
            End::Store(source) if stored.is_none() => {
                let mut output = NumbersMut::new(output, self.shorts.output);
                output.from(tile.start).write(self.isa, of(source));
            }
            End::Store(_) => {}
            End::Sum {
                of: source,
                channels: false,
                ..
            } => {
                let mut sum = 0.0;
                total_of(self.isa, of(source), &mut sum);
                *total += sum;
            }
            End::Sum { of: source, .. } => {
                let run = totals.len() / 2;
                sum_runs(self.isa, of(source), &mut totals[..run]);
            }
            End::NormalizeSums { g, x, .. } => {
                let run = totals.len() / 2;
                let [means, scales] = [0, 1].map(|k| &tile.spreads[self.end_spreads[k] * self.tile..][..run]);
                products(self.isa, of(g), of(x), means, scales, totals);
            }
        }
    }

    /// Adds what was summed to the (partial) result.
    fn end(&self, totals: &[f32], total: f32, output: &mut [f32]) {
        match self.chain.end {
            End::Store(_) => return,
            End::Sum { channels: false, .. } => output[0] += total,
            End::Sum { .. } => {
                for row in totals[..totals.len() / 2].chunks_exact(self.channels) {
                    output.iter_mut().zip(row).for_each(|(s, v)| *s += v);
                }
            }
            End::NormalizeSums { .. } => fold(totals, output),
        }
        if !matches!(self.work, Work::Reduction { .. }) {
            self.scale(output);
        }
    }

    fn scale(&self, output: &mut [f32]) {
        if let End::Sum { scale, .. } = self.chain.end
            && scale != 1.0
        {
            output.iter_mut().for_each(|v| *v *= scale);
        }
    }
}
