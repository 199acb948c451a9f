//! From an image to an image: forward, and back to the input.

use std::ops::Range;

use super::gather::{Results, gather};
use super::spread::{TileRow, Which, spread};
use super::tiles::{Products, least_tiles, tiles};
use super::{FREQUENCIES, Filters, LEAST_TILES, NARROWEST, Planes, SMALLEST, first_tap, together};
use crate::kernels::brgemm::{Finish, Operands, Start, brgemm};
use crate::kernels::conv::direct::{Call, Direct};
use crate::kernels::conv::pass::Pass;
use crate::kernels::conv::{by_sample, image_work};
use crate::kernels::{BuildContext, Built, Isa, Kernel, Rows, Task, Work};
use crate::plan::Epilogue;

/// Bytes of transformed filters that do not stay in a core's cache.
const HEAVY: usize = 1 << 20;
/// Tiles that are worth reading such filters, which are larger than plain ones, from memory.
const FEWEST_TILES: usize = 48;

struct Winograd {
    isa: Isa,
    /// What is not finite goes straight from the image.
    direct: Direct,
    filters: Filters,
    /// A tile's first pixel, from its first result.
    first: [isize; 2],
    work: Work,
    /// Tile rows that are worked on together.
    together: usize,
    source: Planes,
    result: Planes,
    zeros: Vec<f32>,
    /// Who multiplies, if it is the tile unit.
    tiles: Option<Products>,
}

/// Whether it is faster than the plain sum.
pub(in super::super) fn suits(context: &BuildContext, pass: &Pass) -> bool {
    let [high, wide, outputs] = pass.result;
    let channels = pass.source[2];
    let tiles = context.batch.max(1) * high.div_ceil(2) * wide.div_ceil(2);
    let heavy = FREQUENCIES * channels * outputs * 4 > HEAVY;
    first_tap(pass).is_some()
        && channels.min(outputs) >= NARROWEST
        && high.min(wide) >= SMALLEST
        && (!heavy || tiles >= FEWEST_TILES)
}

pub(in super::super) fn build(context: &BuildContext, pass: Pass, epilogue: Epilogue) -> Built {
    let filters = Filters {
        pack: pass.pack.clone(),
        isa: context.isa,
        tiles: tiles(context, &pass),
    };
    let [high, wide, outputs] = pass.result;
    let channels = pass.source[2];
    let across = wide.div_ceil(2);
    let samples = context.batch.max(1);
    let least = match filters.tiles {
        Some(_) => least_tiles(channels, outputs),
        None => LEAST_TILES,
    };
    let together = together(across, channels + outputs, least).min(samples * high.div_ceil(2));
    // One sample is split by pairs of rows.
    let work = match image_work(context, &pass) {
        Work::Pieces { .. } => Work::Pieces {
            count: high.div_ceil(2),
            elements: 2 * wide * outputs,
        },
        work => work,
    };
    let kernel = Winograd {
        isa: context.isa,
        first: first_tap(&pass).unwrap_or_default(),
        work,
        together,
        source: Planes::new(together * across, channels),
        result: Planes::new(together * across, outputs),
        tiles: filters
            .tiles
            .map(|tiles| Products::new(tiles, [channels, outputs], together * across)),
        zeros: vec![0.0; channels],
        direct: Direct::new(context, pass, epilogue, work),
        filters: filters.clone(),
    };
    Built::new(kernel, by_sample(epilogue, work))
        .packing(1, filters)
        .with(1)
}

/// A row of tiles: its sample, and its number among the sample's.
type Place = (usize, usize);

impl Kernel for Winograd {
    fn work(&self) -> Work {
        self.work
    }

    fn rows(&self) -> Option<Rows> {
        self.direct.rows()
    }

    fn scratch(&self) -> usize {
        let pack = &self.filters.pack;
        let products = self.tiles.as_ref().map_or(0, Products::scratch);
        (self.source.elements() + self.result.elements() + products).max(pack.rows * pack.width)
    }

    fn run(&self, mut task: Task<'_>) {
        let [high, wide, outputs] = self.direct.pass.result;
        let (samples, rows, skipped) = match self.work {
            Work::Pieces { .. } => {
                let rows = 2 * task.range.start..(2 * task.range.end).min(high);
                (1, rows.clone(), rows.start * wide * outputs)
            }
            _ => (task.range.len(), task.rows.clone().unwrap_or(0..high), 0),
        };
        // Tiles stand where they do in the whole image, whatever part of it is asked for.
        let (top, each) = (rows.start / 2, rows.end.div_ceil(2) - rows.start / 2);
        let place = |k: usize| -> Place { (k / each, top + k % each) };
        let mut again: Vec<Place> = Vec::new();
        for begin in (0..samples * each).step_by(self.together) {
            let block = begin..(begin + self.together).min(samples * each);
            let whole = self.products(&mut task, block.clone().map(place));
            for (k, place) in block.map(place).enumerate() {
                if !whole || !self.results(&mut task, k, place, (&rows, skipped)) {
                    again.push(place);
                }
            }
        }
        if !again.is_empty() {
            self.directly(task, &again, &rows, skipped);
        }
    }
}

impl Winograd {
    /// The products of some rows of tiles, frequency by frequency, in scratch. Whether there are any: the tile unit
    /// takes no numbers that cannot be split.
    fn products(&self, task: &mut Task<'_>, places: impl Iterator<Item = Place>) -> bool {
        let pass = &self.direct.pass;
        let ([height, width, channels], outputs) = (pass.source, pass.result[2]);
        let tiles = pass.result[1].div_ceil(2);
        let (x, packed) = (task.input(0), task.input(1));
        let (spreads, products) = task.scratch.split_at_mut(self.source.elements());
        let mut count = 0;
        for (n, i) in places {
            let row = TileRow {
                image: &x[n * pass.elements()[0]..][..pass.elements()[0]],
                width,
                channels,
                live: [0, height as isize],
                first: [self.first[0] + 2 * i as isize, self.first[1]],
                count: tiles,
                zeros: &self.zeros,
            };
            let to = &mut spreads[count * self.source.row..];
            spread(self.isa, row, Which::All, to, self.source);
            count += tiles;
        }
        if let Some(tiles) = &self.tiles {
            let (products, scratch) = products.split_at_mut(self.result.elements());
            let spreads = (&*spreads, self.source);
            return tiles.run(count, spreads, packed, (products, self.result), scratch);
        }
        for frequency in 0..FREQUENCIES {
            for panel in 0..self.filters.pack.panels() {
                let column = panel * self.filters.pack.width;
                let operands = Operands {
                    a: &spreads[frequency * self.source.plane..],
                    a_row: self.source.row,
                    a_column: 1,
                    starts: &Start::ONE,
                    depth: channels,
                    b: self.filters.frequency(packed, panel, frequency),
                    b_row: self.filters.pack.width,
                    bias: None,
                    residual: None,
                };
                let columns = self.filters.pack.width.min(outputs - column);
                let to = &mut products[frequency * self.result.plane + column..];
                brgemm(
                    self.isa,
                    count,
                    columns,
                    &operands,
                    to,
                    self.result.row,
                    Finish::default(),
                );
            }
        }
        true
    }

    /// Some rows of tiles straight from the image, as far as they lie in `rows`.
    fn directly(&self, task: Task<'_>, places: &[Place], rows: &Range<usize>, skipped: usize) {
        let [bias, residual] = self.direct.epilogue.operands(2);
        let (bias, residual) = (bias.map(|k| task.input(k)), residual.map(|k| task.input(k)));
        let (x, weights) = (task.input(0), task.input(task.operands.len() - 1));
        let pack = &self.filters.pack;
        let panel = &mut task.scratch[..pack.rows * pack.width];
        for number in 0..pack.panels() {
            pack.fill_panel(weights, number, panel);
            let mut call = Call {
                x,
                packed: panel,
                panels_before: number,
                bias,
                residual,
                output: task.output,
                skipped,
            };
            for &(n, i) in places {
                let pair = rows.start.max(2 * i)..rows.end.min(2 * i + 2);
                self.direct.panel(&mut call, (0, number), n..n + 1, pair);
            }
        }
    }

    /// The results of row `k` of the tiles in scratch. Whether all were finite.
    fn results(
        &self,
        task: &mut Task<'_>,
        k: usize,
        (n, i): Place,
        (rows, skipped): (&Range<usize>, usize),
    ) -> bool {
        let pass = &self.direct.pass;
        let [_, wide, outputs] = pass.result;
        let [bias, residual] = self.direct.epilogue.operands(2);
        let (bias, residual) = (bias.map(|k| task.input(k)), residual.map(|k| task.input(k)));
        let from = self.source.elements() + k * wide.div_ceil(2) * self.result.row;
        let to = Results {
            at: (n * pass.elements()[1] + 2 * i * wide * outputs) as isize - skipped as isize,
            line: wide * outputs,
            channels: outputs,
            rows: [2 * i, 2 * i + 1].map(|row| rows.contains(&row)),
            columns: wide,
            bias,
            residual: residual.map(|r| (r, skipped)),
            relu: self.direct.epilogue.relu,
            output: task.output,
        };
        gather(self.isa, &task.scratch[from..], self.result, to)
    }
}
