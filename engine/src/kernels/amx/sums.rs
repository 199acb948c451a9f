//! Sums over pixels: what strips of an image and of its convolution's gradient give to the gradient of the weights.
//!
//! Channels of the gradient are rows, channels of the image are columns, and a tap is a shift of the image's pixels
//! along the sum. A step of the sum begins with any pixel, and B holds pairs of pixels; so the image's pairs are there
//! twice, from even pixels on and from odd ones. Results are blocks `[channels/32][tap][outputs/32]`, each
//! `[32 outputs][32 channels]` in the order of [`place`].

use std::ops::Range;

use graph::ops::Conv2dSizes;

use super::conv::forward_frame;
use super::frame::Frame;
use super::pairs::{pairs, place, turned};
use super::split::splits;
use super::store::{Store, store};
use super::tile::{BLOCK, Block, Left, Right, SIDE, Session, Starts, Tiles, Turns};
use crate::per_isa;

/// Bytes of both operands of a strip, in their three forms.
const STRIP: usize = 768 * 1024;
/// Bytes of A and of B that go through all taps before the next: they stay in a core's first cache.
const BAND: usize = 16 * 1024;

/// How strips of image and gradient are laid, and what is multiplied.
pub(super) struct Sums {
    pub tiles: Tiles,
    pub sizes: Conv2dSizes,
    /// The image, framed, and the gradient in the same flat order of pixels.
    image: Frame,
    gradient: Frame,
    /// Rows of the image's phases beyond those of the gradient.
    reach: usize,
    /// Rows of the gradient in a strip of one sample; samples in a strip.
    pub fit: usize,
    pub together: usize,
    /// Pixels that each tap is away.
    taps: Vec<usize>,
    /// Where each step of a band begins, by their number less one.
    bands: Vec<Starts>,
}

/// Of a batch's images, gradients.
pub(super) type Operands<'a> = (&'a [f32], &'a [f32]);

/// What is summed: all of some samples or rows of one, for blocks of 32 of the image's channels.
#[derive(Debug, Clone)]
pub(super) struct Strip {
    pub samples: Range<usize>,
    pub rows: Range<usize>,
    pub channels: Range<usize>,
}

/// The laid operands of a strip.
struct Laid<'a> {
    /// The frame of the strip's channels.
    image: Frame,
    /// `[outputs/32][32][pixels]`
    a: &'a [u16],
    /// `[even, odd][channels/32][pairs][32][2]`
    b: &'a [u16],
    /// Steps of the sum.
    steps: usize,
}

impl Sums {
    /// Strips of at most so many blocks of the image's channels at a time, and so many samples.
    pub(super) fn new(tiles: Tiles, s: Conv2dSizes, blocks: usize, samples: usize) -> Self {
        let whole = forward_frame(&s).with_blocks(0..blocks);
        let [high, wide] = s.window.output;
        let reach = whole.size[0] - high;
        let blocks = whole.phases() * 3 * blocks + 2 * s.outputs.div_ceil(SIDE);
        let row = blocks * SIDE * whole.size[1] * tiles.parts * 2;
        let wished = (STRIP / row.max(1)).saturating_sub(reach).max(1);
        let together = ((wished + reach) / whole.size[0]).clamp(1, samples.max(1));
        let (fit, rows, room) = match together {
            1 => (wished.min(high), wished.min(high), wished.min(high) + reach),
            _ => (high, together * whole.size[0], together * whole.size[0]),
        };
        let image = whole.with_room(room);
        let size = image.size;
        let [kh, kw] = s.window.kernel;
        let tap = |u, v| image.pixel([u * s.window.dilation[0], v * s.window.dilation[1]]);
        let taps = (0..kh * kw).map(|t| tap(t / kw, t % kw)).collect();
        let band = (BAND / (BLOCK * 2 * tiles.parts)).max(1);
        let starts = |steps: usize| Starts::new((0..steps).map(|step| step * SIDE).collect());
        Self {
            tiles,
            taps,
            gradient: Frame::new([high, wide], s.outputs, [1, 1], [0, 0], size).with_room(rows),
            bands: (1..=band).map(starts).collect(),
            image,
            reach,
            fit,
            together,
            sizes: s,
        }
    }

    pub(super) fn taps(&self) -> usize {
        self.taps.len()
    }

    /// Blocks of 32 outputs.
    pub(super) fn outputs(&self) -> usize {
        self.gradient.channel_blocks()
    }

    /// Blocks of 32 of the image's channels, all of them.
    pub(super) fn channels(&self) -> usize {
        self.sizes.channels.div_ceil(SIDE)
    }

    /// Elements of the result for one block of the image's channels.
    pub(super) fn each(&self) -> usize {
        self.taps() * self.outputs() * BLOCK
    }

    /// Steps of the sum of one sample.
    pub(super) fn steps(&self) -> usize {
        let pixels = match self.together {
            1 => (self.sizes.window.output[0] - 1) * self.image.size[1] + self.sizes.window.output[1],
            _ => self.image.size[0] * self.image.size[1],
        };
        pixels.div_ceil(SIDE)
    }

    /// Numbers of a sample that are laid, once each.
    pub(super) fn laid(&self) -> usize {
        let w = &self.sizes.window;
        let image = w.image[0] * w.image[1] * self.channels();
        (image + w.output[0] * w.output[1] * self.outputs()) * SIDE
    }

    /// Words of: both frames as they are laid (one after the other in the same place), A, B.
    fn lengths(&self) -> [usize; 3] {
        let parts = self.tiles.parts;
        let [image, gradient] = [self.image.elements(), self.gradient.elements()];
        [image.max(gradient) * parts, gradient * parts, 2 * image * parts]
    }

    /// Words of scratch memory.
    pub(super) fn words(&self) -> usize {
        self.lengths().iter().sum()
    }

    /// Adds what a strip gives to the result, which is empty as yet if `fresh`.
    pub(super) fn add(
        &self,
        session: &Session,
        operands: Operands<'_>,
        strip: &Strip,
        (scratch, result): (&mut [u16], &mut [f32]),
        fresh: bool,
    ) {
        match self.lay(operands, strip, scratch) {
            Some(laid) => self.products(session, &laid, result, fresh),
            None => {
                if fresh {
                    result.fill(0.0);
                }
                self.plainly(operands, strip, result);
            }
        }
    }

    /// Lays a strip. `None` where numbers cannot be split.
    fn lay<'a>(&self, (x, g): Operands<'_>, strip: &Strip, scratch: &'a mut [u16]) -> Option<Laid<'a>> {
        let image = self.image.with_blocks(strip.channels.clone());
        let w = &self.sizes.window;
        let [laid, a, b] = self.lengths();
        let (laid, rest) = scratch.split_at_mut(laid);
        let (a, b) = rest[..a + b].split_at_mut(a);
        // Samples one below the other are whole.
        let (gradients, sources) = match strip.samples.len() {
            1 => (
                strip.rows.clone(),
                strip.rows.start..(strip.rows.end + self.reach).min(image.size[0]),
            ),
            _ => (0..image.size[0], 0..image.size[0]),
        };
        let below = (strip.samples.len() - 1) * image.size[0];
        let flat = (below + strip.rows.len() - 1) * image.size[1] + w.output[1];
        let steps = flat.div_ceil(SIDE);
        let moved = (g, w.output, self.sizes.outputs);
        if !self.lay_samples(&self.gradient, moved, strip, &gradients, laid) {
            return None;
        }
        self.turn(laid, a, steps);
        let seen = (x, w.image, self.sizes.channels);
        if !self.lay_samples(&image, seen, strip, &sources, laid) {
            return None;
        }
        self.pair(&image, laid, b, flat);
        Some(Laid { image, a, b, steps })
    }

    /// Some rows of each sample of a strip, one below the other. Whether all numbers can be split.
    fn lay_samples(
        &self,
        frame: &Frame,
        (all, size, channels): (&[f32], [usize; 2], usize),
        strip: &Strip,
        rows: &Range<usize>,
        to: &mut [u16],
    ) -> bool {
        let Tiles { isa, parts, .. } = self.tiles;
        let mut largest = 0;
        for (k, n) in strip.samples.clone().enumerate() {
            let sample = of_sample(all, size, channels, n);
            let place = (rows.clone(), k * rows.len());
            largest = largest.max(frame.lay(isa, parts, sample, &place, to));
        }
        frame.clear_behind(parts, strip.samples.len() * rows.len(), to);
        splits(largest)
    }

    /// The laid gradient as A.
    fn turn(&self, laid: &[u16], a: &mut [u16], steps: usize) {
        let (pixels, each) = (self.gradient.pixels(), self.gradient.elements());
        for part in 0..self.tiles.parts {
            for block in 0..self.outputs() {
                let at = part * each + block * SIDE * pixels;
                turned(self.tiles.isa, &laid[at..], &mut a[at..], pixels, steps);
            }
        }
    }

    /// The laid image as B, as far as the steps and taps read it.
    fn pair(&self, image: &Frame, laid: &[u16], b: &mut [u16], flat: usize) {
        let (pixels, each) = (image.pixels(), image.elements());
        let farthest = self.taps.iter().copied().max().unwrap_or(0);
        let count = (farthest + flat.next_multiple_of(SIDE)) / 2 + 1;
        for part in 0..self.tiles.parts {
            for block in 0..image.channel_blocks() {
                let at = block * pixels * SIDE;
                let from = &laid[part * each + at..][..pixels * SIDE];
                for odd in 0..2 {
                    let to = &mut b[(part * 2 + odd) * each + at..];
                    let count = count.min((pixels - odd) / 2);
                    pairs(self.tiles.isa, &from[odd * SIDE..], to, count);
                }
            }
        }
    }

    /// Adds the products of a laid strip. A block is stored while the tile unit works on the next one.
    fn products(&self, session: &Session, laid: &Laid, blocks: &mut [f32], fresh: bool) {
        let mut turns = Turns::new();
        for begin in (0..laid.steps).step_by(self.bands.len()) {
            let starts = &self.bands[(laid.steps - begin).min(self.bands.len()) - 1];
            for output in 0..self.outputs() {
                let left = self.left(laid, output, begin);
                for channel in 0..laid.image.channel_blocks() {
                    for tap in 0..self.taps() {
                        let right = self.right(laid, channel, tap, begin);
                        let number = (channel * self.taps() + tap) * self.outputs() + output;
                        let place = (number, !fresh || begin > 0);
                        if let Some((done, block)) = turns.next(session, (&left, starts, &right), place) {
                            self.put(done, block, blocks);
                        }
                    }
                }
            }
        }
        if let Some((done, block)) = turns.last() {
            self.put(done, block, blocks);
        }
    }

    fn put(&self, (number, accumulate): (usize, bool), block: &Block, blocks: &mut [f32]) {
        let how = Store {
            skip: 0,
            rows: SIDE,
            columns: SIDE,
            stride: SIDE,
            accumulate,
            bias: None,
            residual: None,
            relu: false,
        };
        store(
            self.tiles.isa,
            block,
            &mut blocks[number * BLOCK..][..BLOCK],
            &how,
        );
    }

    fn left<'a>(&self, laid: &Laid<'a>, output: usize, step: usize) -> Left<'a> {
        let row = self.gradient.pixels();
        Left {
            words: laid.a,
            plain: false,
            plane: self.gradient.elements(),
            row,
            at: output * SIDE * row + step * SIDE,
        }
    }

    fn right<'a>(&self, laid: &Laid<'a>, channel: usize, tap: usize, step: usize) -> Right<'a> {
        let (shift, each) = (self.taps[tap], laid.image.elements());
        let pixel = shift / 2 * 2 + step * SIDE;
        Right {
            words: laid.b,
            plain: false,
            plane: 2 * each,
            step: BLOCK,
            at: shift % 2 * each + (channel * laid.image.pixels() + pixel) * SIDE,
        }
    }

    /// The same straight from numbers that cannot be split.
    fn plainly(&self, (x, g): Operands<'_>, strip: &Strip, result: &mut [f32]) {
        let (s, w) = (&self.sizes, &self.sizes.window);
        for n in strip.samples.clone() {
            let image = of_sample(x, w.image, s.channels, n);
            let gradient = of_sample(g, w.output, s.outputs, n);
            let pixels = strip
                .rows
                .clone()
                .flat_map(|r| (0..w.output[1]).map(move |c| (r, c)));
            for (row, column) in pixels {
                let moved = &gradient[(row * w.output[1] + column) * s.outputs..][..s.outputs];
                for (tap, at) in (0..self.taps()).zip((0..).step_by(self.outputs() * BLOCK)) {
                    let (u, v) = (tap / w.kernel[1], tap % w.kernel[1]);
                    let y = (row * w.stride[0] + u * w.dilation[0]).wrapping_sub(w.padding[0]);
                    let x = (column * w.stride[1] + v * w.dilation[1]).wrapping_sub(w.padding[2]);
                    if y >= w.image[0] || x >= w.image[1] {
                        continue;
                    }
                    let pixel = &image[(y * w.image[1] + x) * s.channels..][..s.channels];
                    for (number, channel) in strip.channels.clone().enumerate() {
                        let pixel = &pixel[channel * SIDE..s.channels.min((channel + 1) * SIDE)];
                        let blocks = &mut result[number * self.each() + at..][..self.outputs() * BLOCK];
                        outer(self.tiles.isa, moved, pixel, blocks);
                    }
                }
            }
        }
    }
}

/// Sample `n` of images `[rows, columns, channels]`.
fn of_sample(all: &[f32], size: [usize; 2], channels: usize, n: usize) -> &[f32] {
    let each = size[0] * size[1] * channels;
    &all[n * each..][..each]
}

per_isa!(
    /// Adds the product of each number of `rows` with each of at most 32 `columns` to blocks in the order of [`place`].
    fn outer(rows: &[f32], columns: &[f32], blocks: &mut [f32]) {
        let columns: [f32; SIDE] = std::array::from_fn(|at| columns.get(place(at)).copied().unwrap_or(0.0));
        for (number, block) in blocks.chunks_exact_mut(BLOCK).enumerate() {
            for (at, to) in block.chunks_exact_mut(SIDE).enumerate() {
                if let Some(&x) = rows.get(number * SIDE + place(at)) {
                    for (to, y) in to.iter_mut().zip(&columns) {
                        *to = x.mul_add(*y, *to);
                    }
                }
            }
        }
    }
);
