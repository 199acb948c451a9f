//! Sums over pixels: what strips of an image and of its convolution's gradient give to the gradient of the weights.
//!
//! Channels of the gradient are rows, channels of the image are columns, and a tap is a shift of the image's pixels
//! along the sum (`strips`). Results are blocks `[channels/32][tap][outputs/32]`, each `[32 outputs][32 channels]` in
//! the order of [`place`].

use std::ops::Range;

use super::pairs::place;
use super::store::{Store, store};
use super::strips::{Strip, Strips, of_sample};
use super::tile::{BLOCK, Block, Left, Right, SIDE, Session, Starts};
use crate::kernels::short::{Numbers, NumbersMut};
use crate::per_isa;

/// Strips, and what is multiplied.
pub(super) struct Sums {
    pub strips: Strips,
    /// Pixels that each tap is away.
    taps: Vec<usize>,
    /// Taps whose pairs begin with even pixels, then the others: both forms together fill the first cache.
    order: Vec<usize>,
    /// Where each step of a band begins, by their number less one.
    bands: Vec<Starts>,
}

/// Of a batch's images, gradients.
pub(super) type Operands<'a> = (Numbers<'a>, Numbers<'a>);

/// Blocks of channels and of outputs whose sums are made.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub channels: Range<usize>,
    pub outputs: Range<usize>,
    /// Blocks of outputs from row to row of the result.
    pub row: usize,
}

impl Part {
    /// Which block of the result it is, of `taps` in all.
    fn number(&self, channel: usize, tap: usize, output: usize, taps: usize) -> usize {
        ((channel - self.channels.start) * taps + tap) * self.row + output - self.outputs.start
    }
}

/// The laid operands of a strip: the gradient as A, the image not yet as B.
pub(super) struct Laid<'a> {
    pub strip: &'a Strip,
    pub a: &'a [u16],
    pub image: &'a [u16],
}

/// Parts from which on sums are exact enough for a long chain of them to show: bands are summed apart then, and added.
const EXACT: usize = 3;

/// Steps whose operands go through all taps before the next ones, by the number of parts. What they read, 16 KiB of A and
/// one of the two forms of B, stays in the first cache, and what it costs to read and write the sums is less than that
/// saves; sums of bands that are added are longer.
fn band(parts: usize) -> usize {
    match parts {
        EXACT.. => 28,
        _ => 8 / parts,
    }
}

impl Sums {
    pub(super) fn new(strips: Strips) -> Self {
        let apart = strips.tiles.parts * BLOCK;
        let starts = |steps: usize| Starts::new((0..steps).map(|step| step * apart).collect());
        let taps = strips.taps();
        let mut order: Vec<usize> = (0..taps.len()).collect();
        order.sort_by_key(|&tap| taps[tap] % 2);
        Self {
            order,
            taps,
            bands: (1..=band(strips.tiles.parts)).map(starts).collect(),
            strips,
        }
    }

    pub(super) fn taps(&self) -> usize {
        self.taps.len()
    }

    /// All blocks.
    pub(super) fn all(&self) -> Part {
        let [outputs, channels] = self.strips.blocks();
        Part {
            channels: 0..channels,
            outputs: 0..outputs,
            row: outputs,
        }
    }

    /// Adds the products of a laid strip to the result, which is empty as yet if `fresh`.
    pub(super) fn add(
        &self,
        session: &Session,
        laid: &Laid,
        part: &Part,
        (scratch, blocks): (&mut [u16], &mut [f32]),
        fresh: bool,
    ) {
        let steps = self.strips.steps_of(laid.strip);
        let b = &mut scratch[..self.strips.paired()];
        let (blocks, _) = blocks.as_chunks_mut::<BLOCK>();
        if fresh {
            blocks.as_flattened_mut().fill(0.0);
        }
        let mut apart = Block::ZERO;
        for channel in part.channels.clone() {
            self.strips.pair(laid.image, laid.strip, channel, b);
            for begin in (0..steps).step_by(self.bands.len()) {
                let starts = &self.bands[(steps - begin).min(self.bands.len()) - 1];
                for output in part.outputs.clone() {
                    let left = self.left(laid.a, output, begin);
                    for number in 0..self.taps() {
                        // What the last output's last taps read is read first.
                        let tap = match output % 2 {
                            0 => self.order[number],
                            _ => self.order[self.taps() - 1 - number],
                        };
                        let right = self.right(b, tap, begin);
                        let block = &mut blocks[part.number(channel, tap, output, self.taps())];
                        if self.strips.tiles.parts < EXACT {
                            session.add(&left, starts, &right, block);
                            continue;
                        }
                        session.product(&left, starts, &right, &mut apart);
                        store(self.strips.tiles.isa, &apart, NumbersMut::F32(block), &ADDED);
                    }
                }
            }
        }
    }

    fn left<'a>(&self, words: &'a [u16], output: usize, step: usize) -> Left<'a> {
        let (parts, [pixels, _]) = (self.strips.tiles.parts, self.strips.pixels());
        Left {
            words,
            plain: false,
            plane: BLOCK,
            row: SIDE,
            at: (output * pixels * SIDE + step * BLOCK) * parts,
        }
    }

    fn right<'a>(&self, words: &'a [u16], tap: usize, step: usize) -> Right<'a> {
        let (shift, each) = (self.taps[tap], self.strips.pixels()[1] * SIDE);
        Right {
            words,
            plain: false,
            plane: 2 * each,
            step: BLOCK,
            at: shift % 2 * each + (shift / 2 * 2 + step * SIDE) * SIDE,
        }
    }

    /// The same straight from numbers that cannot be split.
    pub(super) fn add_plainly(&self, (x, g): Operands<'_>, strip: &Strip, part: &Part, result: &mut [f32]) {
        let (s, w) = (&self.strips.sizes, &self.strips.sizes.window);
        for n in strip.samples.clone() {
            let image = of_sample(x, w.image, s.channels, n);
            let gradient = of_sample(g, w.output, s.outputs, n);
            let columns = |row| (0..w.output[1]).map(move |column| (row, column));
            for (row, column) in strip.rows.clone().flat_map(columns) {
                let moved = gradient.from((row * w.output[1] + column) * s.outputs);
                for tap in 0..self.taps() {
                    let (u, v) = (tap / w.kernel[1], tap % w.kernel[1]);
                    let y = (row * w.stride[0] + u * w.dilation[0]).wrapping_sub(w.padding[0]);
                    let x = (column * w.stride[1] + v * w.dilation[1]).wrapping_sub(w.padding[2]);
                    if y >= w.image[0] || x >= w.image[1] {
                        continue;
                    }
                    let pixel = image.from((y * w.image[1] + x) * s.channels);
                    for (channel, output) in part
                        .channels
                        .clone()
                        .flat_map(|channel| part.outputs.clone().map(move |output| (channel, output)))
                    {
                        let number = part.number(channel, tap, output, self.taps());
                        let block = &mut result[number * BLOCK..][..BLOCK];
                        let rows = block_of(moved, output, s.outputs);
                        let columns = block_of(pixel, channel, s.channels);
                        outer(self.strips.tiles.isa, &rows, &columns, block);
                    }
                }
            }
        }
    }
}

/// Block `number` of a pixel's channels in the order of [`place`], zeros behind the last.
fn block_of(pixel: Numbers<'_>, number: usize, channels: usize) -> [f32; SIDE] {
    std::array::from_fn(|at| match number * SIDE + place(at) {
        channel if channel < channels => pixel.get(channel),
        _ => 0.0,
    })
}

/// A block added to what is there.
const ADDED: Store = Store {
    skip: 0,
    rows: SIDE,
    columns: SIDE,
    stride: SIDE,
    accumulate: true,
    bias: None,
    residual: None,
    relu: false,
};

per_isa!(
    /// Adds the product of each number of `rows` with each of `columns` to a block.
    fn outer(rows: &[f32; SIDE], columns: &[f32; SIDE], block: &mut [f32]) {
        for (&x, to) in rows.iter().zip(block.chunks_exact_mut(SIDE)) {
            for (to, y) in to.iter_mut().zip(columns) {
                *to = x.mul_add(*y, *to);
            }
        }
    }
);
