//! At most 16 outputs on the tile unit, with a 2×2 max-pooling before anything is stored.
//!
//! A tile has 32 columns, twice as many as there are outputs: the lower half is the outputs of a row of pixels, the
//! upper half those of the row below, whose taps lie one row further down. So each step of the sum is a row of the
//! frame, kernel rows + 1 of them, and the four sums of a window stand in two neighbouring rows of a block. Rows of the
//! frame that are even, and those that are odd, are neighbours: all pixels of a step are then a constant shift apart.

use std::sync::Arc;

use super::geometry::{bytes_mut, parts_mut};
use super::planar::first_maximum;
use super::wide::Wide;
use crate::kernels::amx::{
    BLOCK, Block, Floor, Left, Right, Rows, Run, SIDE, Session, Starts, Tiles, Turns, lay, pair, rule,
    splits, words_mut,
};
use crate::kernels::simd::{Simd, on_vectors};
use crate::kernels::{BuildContext, Isa, Kernel, Task, Work};
use crate::plan::PooledConv;

/// Outputs of a half of the columns.
const HALF: usize = SIDE / 2;
/// Windows of a block.
const WINDOWS: usize = SIDE / 2;
/// Bytes of a laid sample, which stays in the second cache beside all else.
const MOST_LAID: usize = 256 * 1024;
/// In place of a window that lies on the frame.
const NOWHERE: u32 = u32::MAX;

/// A row of the frame, counted from a window's first, as one step of the sum.
struct Step {
    row: usize,
    /// The first of the taps and channels of a kernel's row, and how many.
    first: usize,
    depth: usize,
    /// The kernel's row for the upper and for the lower row of pixels.
    taps: [Option<usize>; 2],
}

/// The kernel.
pub(super) struct Tiled {
    tiles: Tiles,
    what: Arc<PooledConv>,
    bias: bool,
    /// For samples whose numbers cannot be split.
    wide: Wide,
    steps: Vec<Step>,
    starts: Starts,
    /// Rows of the frame, and elements of each.
    rows: usize,
    row: usize,
    /// Of each window of each block: its pixel of the result.
    places: Vec<u32>,
}

impl Tiled {
    /// The kernel, if there is a tile unit and it is worth it.
    pub(super) fn new(context: &BuildContext, what: &Arc<PooledConv>, bias: bool) -> Option<Self> {
        let tiles = context.tiles?;
        let (s, w, pool) = (&what.sizes, &what.sizes.window, &what.pool);
        let pooling = pool.kernel == [2, 2] && pool.stride == [2, 2] && pool.dilation == [1, 1];
        if !pooling || w.stride != [1, 1] || s.outputs > HALF {
            return None;
        }
        let run = w.kernel[1] * s.channels;
        let below = w.dilation[0] * (w.kernel[0] - 1) + 1;
        let steps = steps(w.kernel[0], w.dilation[0], run);
        let rows = (2 * pool.output[0] + below - 1).next_multiple_of(2);
        // Pairs of pixels stay pairs from row to row.
        let pixels = (2 * pool.output[1] + w.kernel[1] - 1).next_multiple_of(2);
        let row = pixels * s.channels;
        let place = |r: usize| (r % 2 * (rows / 2) + r / 2) * row;
        let kernel = Self {
            tiles,
            what: what.clone(),
            bias,
            wide: Wide::new(context.isa, what, bias),
            starts: Starts::new(steps.iter().map(|s| place(s.row) + s.first).collect()),
            steps,
            rows,
            row,
            places: places(pool.output, pixels),
        };
        let cost = rule::Cost {
            macs: w.output[0] * w.output[1] * w.kernel[0] * run * s.outputs,
            blocks: kernel.blocks() * kernel.steps.len(),
            splits: kernel.elements(),
            weights: 0,
            packing: false,
            narrowest: (2 * s.outputs).min(w.kernel[0] * run),
        };
        let fits = 2 * tiles.parts * kernel.elements() <= MOST_LAID;
        (fits && rule::worth(tiles, &cost)).then_some(kernel)
    }

    fn blocks(&self) -> usize {
        self.places.len() / WINDOWS
    }

    /// Elements of the frame, what the last block reads behind it included.
    fn elements(&self) -> usize {
        let farthest = self.starts.list().iter().map(|&[start, _]| start).max();
        let reach = farthest.unwrap_or(0) + self.blocks() * SIDE * self.what.sizes.channels + SIDE;
        reach.max(self.rows * self.row).next_multiple_of(SIDE)
    }

    /// f32 elements of the choices of a sample, 16 bytes for each pixel.
    fn chosen(&self) -> usize {
        self.what.pixels() * HALF / size_of::<f32>()
    }

    /// f32 elements of the packed weights.
    fn packed(&self) -> usize {
        self.steps.len() * self.tiles.parts * BLOCK / 2
    }

    /// Packs the weights as both halves of the columns. Whether they could be split.
    fn pack(&self, weights: &[f32], to: &mut [u16]) -> bool {
        let Tiles { isa, parts, .. } = self.tiles;
        let (outputs, s) = (self.what.sizes.outputs, &self.what.sizes);
        let run = s.window.kernel[1] * s.channels;
        let mut largest = 0;
        for (number, step) in self.steps.iter().enumerate() {
            let mut block = Block::ZERO;
            for (half, u) in step.taps.iter().enumerate() {
                let Some(u) = u else { continue };
                let lines = weights[(u * run + step.first) * outputs..].chunks(outputs);
                for (to, from) in block.0.chunks_mut(SIDE).zip(lines.take(step.depth)) {
                    to[half * HALF..][..outputs].copy_from_slice(from);
                }
            }
            let at = (number * parts * BLOCK, BLOCK);
            largest = largest.max(pair(isa, parts, &block.0, Rows::BLOCK, to, at));
        }
        splits(largest, Floor::High)
    }

    /// Lays a sample, through a frame whose borders are zeros. Whether its numbers could be split.
    fn lay(&self, x: &[f32], frame: &mut [f32], to: &mut [u16]) -> bool {
        let (w, channels) = (&self.what.sizes.window, self.what.sizes.channels);
        let [top, _, left, _] = w.padding;
        let live = (w.image[1] * channels).min(self.row.saturating_sub(left * channels));
        for (r, from) in (top..self.rows).zip(x.chunks_exact(w.image[1] * channels)) {
            let at = (r % 2 * (self.rows / 2) + r / 2) * self.row + left * channels;
            frame[at..at + live].copy_from_slice(&from[..live]);
        }
        let run = Run {
            count: self.elements() / SIDE,
            stride: SIDE,
            channels: SIDE,
        };
        let Tiles { isa, parts, .. } = self.tiles;
        splits(lay(isa, parts, frame, run, to, (0, self.elements())), Floor::Low)
    }

    fn sample(&self, session: &Session, laid: &[u16], packed: &[u16], pooled: &mut Pooling<'_>) {
        let (channels, isa) = (self.what.sizes.channels, self.tiles.isa);
        let right = Right {
            words: packed,
            plain: false,
            plane: BLOCK,
            step: self.tiles.parts * BLOCK,
            at: 0,
        };
        let mut turns = Turns::new();
        for (number, places) in self.places.chunks_exact(WINDOWS).enumerate() {
            let left = Left {
                words: laid,
                plain: false,
                plane: self.elements(),
                row: channels,
                at: number * SIDE * channels,
            };
            if let Some((places, block)) = turns.next(session, (&left, &self.starts, &right), places) {
                pooled.pool(isa, block, places);
            }
        }
        if let Some((places, block)) = turns.last() {
            pooled.pool(isa, block, places);
        }
    }
}

/// The rows of the frame that a window's two rows of pixels meet.
fn steps(kernel: usize, dilation: usize, run: usize) -> Vec<Step> {
    let tap =
        |row: usize| (row.is_multiple_of(dilation) && row / dilation < kernel).then_some(row / dilation);
    let mut steps = Vec::new();
    for row in 0..dilation * (kernel - 1) + 2 {
        let taps = [tap(row), row.checked_sub(1).and_then(tap)];
        if taps != [None, None] {
            let firsts = (0..run).step_by(SIDE);
            steps.extend(firsts.map(|first| Step {
                row,
                first,
                depth: SIDE.min(run - first),
                taps,
            }));
        }
    }
    steps
}

/// Which pixel of the result each window of each block is, in rows of `pixels` pixels.
fn places([rows, columns]: [usize; 2], pixels: usize) -> Vec<u32> {
    let count = (rows * pixels / 2).next_multiple_of(WINDOWS);
    let place = |window: usize| {
        let (i, j) = (window / (pixels / 2), window % (pixels / 2));
        if i < rows && j < columns {
            (i * columns + j) as u32
        } else {
            NOWHERE
        }
    };
    (0..count).map(place).collect()
}

/// Where a sample's blocks go.
struct Pooling<'a> {
    bias: Option<&'a [f32]>,
    outputs: usize,
    relu: bool,
    maxima: &'a mut [f32],
    /// 16 bytes for each pixel.
    chosen: &'a mut [u8],
}

impl Pooling<'_> {
    fn pool(&mut self, isa: Isa, block: &Block, places: &[u32]) {
        let pixels = self.maxima.len() / self.outputs;
        assert!(places.len() == WINDOWS && self.outputs <= HALF && self.chosen.len() >= pixels * HALF);
        assert!(places.iter().all(|&p| p == NOWHERE || (p as usize) < pixels));
        assert!(self.bias.is_none_or(|bias| bias.len() >= self.outputs));
        let pooling = self;
        on_vectors!(isa, windows(block: &Block, places: &[u32], pooling: &mut Pooling<'_>));
    }

    /// The choices in planes, one for each output.
    fn planes(&self, choices: &mut [u8]) {
        let pixels = self.maxima.len() / self.outputs;
        for (output, plane) in choices.chunks_exact_mut(pixels).take(self.outputs).enumerate() {
            let chosen = self.chosen[output..].iter().step_by(HALF);
            plane.iter_mut().zip(chosen).for_each(|(to, &from)| *to = from);
        }
    }
}

/// # Safety
/// As [`Pooling::pool`] asserts.
#[inline(always)]
unsafe fn windows<S: Simd>(block: &Block, places: &[u32], pooling: &mut Pooling<'_>) {
    for first in (0..pooling.outputs).step_by(S::LANES) {
        let lanes = S::LANES.min(pooling.outputs - first);
        // SAFETY: a block has 32 rows of two halves of 16; places are pixels of the result, or none.
        unsafe {
            let bias = match pooling.bias {
                Some(bias) => S::load_first(bias[first..].as_ptr(), lanes),
                None => S::zero(),
            };
            for (window, &place) in places.iter().enumerate() {
                if place == NOWHERE {
                    continue;
                }
                let row = block.0.as_ptr().add(2 * window * SIDE + first);
                let taps = [0, SIDE, HALF, SIDE + HALF].map(|tap| S::load(row.add(tap)).add(bias));
                let (most, choice) = first_maximum(taps, pooling.relu);
                let place = place as usize;
                most.store_first(
                    pooling.maxima.as_mut_ptr().add(place * pooling.outputs + first),
                    lanes,
                );
                choice.store_bytes(pooling.chosen.as_mut_ptr().add(place * HALF + first), lanes);
            }
        }
    }
}

impl Kernel for Tiled {
    fn work(&self) -> Work {
        Work::Samples
    }

    fn scratch(&self) -> usize {
        let laid = self.tiles.parts * self.elements() / 2;
        self.packed() + self.elements() + laid + self.chosen() + self.wide.scratch()
    }

    fn run(&self, task: Task<'_>) {
        let (x, weights) = (task.input(0), task.input(1));
        let bias = self.bias.then(|| task.input(2));
        let (packed, rest) = task.scratch.split_at_mut(self.packed());
        let (frame, rest) = rest.split_at_mut(self.elements());
        let (laid, rest) = rest.split_at_mut(self.tiles.parts * self.elements() / 2);
        let (chosen, rest) = rest.split_at_mut(self.chosen());
        let (packed, laid) = (words_mut(packed), words_mut(laid));
        let can_split = self.pack(weights, packed);
        frame.fill(0.0);
        let session = Session::open(self.tiles);
        let each = task.output.len() / task.range.len().max(1);
        let samples = x.chunks_exact(self.wide.each());
        for (x, output) in samples.zip(task.output.chunks_exact_mut(each)) {
            let (maxima, choices) = if self.what.choices {
                parts_mut(&self.what, output)
            } else {
                (output, &mut [][..])
            };
            if !(can_split && self.lay(x, frame, laid)) {
                self.wide.one((x, weights, bias), rest, (maxima, choices));
                continue;
            }
            let mut pooling = Pooling {
                bias,
                outputs: self.what.sizes.outputs,
                relu: self.what.relu,
                maxima,
                chosen: bytes_mut(chosen),
            };
            self.sample(&session, laid, packed, &mut pooling);
            if self.what.choices {
                pooling.planes(choices);
            }
        }
    }
}
