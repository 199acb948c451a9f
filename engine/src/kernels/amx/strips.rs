//! An image and its convolution's gradient cut into strips, for sums over pixels: both in the same flat order of
//! pixels (`frame`). The gradient is turned into A; pairs of the image's pixels are B.
//!
//! A step of the sum begins with any pixel of the image, and B holds pairs; so the pairs are there twice, from even
//! pixels on and from odd ones, and no step begins in the middle of a pair.

use std::ops::Range;

use graph::ops::Conv2dSizes;

use super::conv::forward_frame;
use super::frame::Frame;
use super::pairs::{pairs, turned};
use super::split::{Floor, splits};
use super::tile::{BLOCK, SIDE, Tiles};
use crate::kernels::short::Numbers;

/// Bytes of the pixels that are laid before they are turned or paired.
const LAID: usize = 128 * 1024;

/// How strips are cut and laid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Strips {
    pub tiles: Tiles,
    pub sizes: Conv2dSizes,
    /// The image, framed, and the gradient in the same flat order of pixels.
    image: Frame,
    gradient: Frame,
    /// Rows of the image's phases beyond those of the gradient.
    reach: usize,
    /// Pixels that the farthest tap is away.
    farthest: usize,
    /// Rows of the gradient in a strip of one sample; samples in a strip.
    pub fit: usize,
    pub together: usize,
}

/// What a strip covers: all of some samples or rows of one.
#[derive(Debug, Clone)]
pub(super) struct Strip {
    pub samples: Range<usize>,
    pub rows: Range<usize>,
}

impl Strips {
    /// Strips of at most so many samples, and of about so many pixels in all of the image's phases.
    pub(super) fn new(tiles: Tiles, s: Conv2dSizes, samples: usize, pixels: usize) -> Self {
        let whole = forward_frame(&s);
        let [high, wide] = s.window.output;
        let reach = whole.size[0] - high;
        let row = whole.phases() * whole.size[1];
        let wished = (pixels / row.max(1)).saturating_sub(reach).max(1);
        let together = ((wished + reach) / whole.size[0]).clamp(1, samples.max(1));
        let (fit, rows, room) = match together {
            1 => (wished.min(high), wished.min(high), wished.min(high) + reach),
            _ => (high, together * whole.size[0], together * whole.size[0]),
        };
        let image = whole.with_room(room);
        let size = image.size;
        let mut strips = Self {
            tiles,
            gradient: Frame::new([high, wide], s.outputs, [1, 1], [0, 0], size).with_room(rows),
            image,
            reach,
            fit,
            together,
            farthest: 0,
            sizes: s,
        };
        strips.farthest = strips.taps().into_iter().max().unwrap_or(0);
        strips
    }

    /// Pixels of the image that each tap is away.
    pub(super) fn taps(&self) -> Vec<usize> {
        let w = &self.sizes.window;
        let [kh, kw] = w.kernel;
        let tap = |u, v| self.image.pixel([u * w.dilation[0], v * w.dilation[1]]);
        (0..kh * kw).map(|t| tap(t / kw, t % kw)).collect()
    }

    /// Blocks of 32 outputs, and of 32 channels of the image.
    pub(super) fn blocks(&self) -> [usize; 2] {
        [self.gradient.channel_blocks(), self.image.channel_blocks()]
    }

    /// Pixels of a laid strip of the gradient, and of the image.
    pub(super) fn pixels(&self) -> [usize; 2] {
        [self.gradient.pixels(), self.image.pixels()]
    }

    /// Words of a part of A, and of a part of the laid image.
    pub(super) fn planes(&self) -> [usize; 2] {
        [self.gradient.elements(), self.image.elements()]
    }

    /// Words of A, and of the laid image.
    pub(super) fn words(&self) -> [usize; 2] {
        self.planes().map(|plane| plane * self.tiles.parts)
    }

    /// Words of B, which is one block of the image's channels.
    pub(super) fn paired(&self) -> usize {
        2 * self.tiles.parts * self.image.pixels() * SIDE
    }

    /// Words in which the gradient is laid at first, some blocks of channels at a time.
    pub(super) fn scratch(&self) -> usize {
        let blocks = 0..self.at_once();
        self.gradient.with_blocks(blocks).elements() * self.tiles.parts
    }

    fn at_once(&self) -> usize {
        let block = self.gradient.pixels() * SIDE * 2 * self.tiles.parts;
        (LAID / block.max(1)).clamp(1, self.gradient.channel_blocks().max(1))
    }

    /// Steps of the sum over all of one sample, filling included.
    pub(super) fn steps(&self) -> usize {
        let size = self.image.size;
        match self.together {
            1 => {
                let [high, wide] = self.sizes.window.output;
                ((high - 1) * size[1] + wide).div_ceil(SIDE)
            }
            _ => (size[0] * size[1]).div_ceil(SIDE),
        }
    }

    /// Steps of the sum over a strip.
    pub(super) fn steps_of(&self, strip: &Strip) -> usize {
        self.flat(strip).div_ceil(SIDE)
    }

    /// Pixels from a strip's first to its last.
    fn flat(&self, strip: &Strip) -> usize {
        let size = self.image.size;
        let below = (strip.samples.len() - 1) * size[0];
        (below + strip.rows.len() - 1) * size[1] + self.sizes.window.output[1]
    }

    /// The strips of some samples, all of their rows or some.
    pub(super) fn of(&self, samples: Range<usize>, rows: Range<usize>) -> impl Iterator<Item = Strip> {
        let (high, fit) = (self.sizes.window.output[0], self.fit);
        let each = if rows == (0..high) { self.together } else { 1 };
        let firsts = samples.clone().step_by(each);
        firsts.flat_map(move |first| {
            let samples = first..(first + each).min(samples.end);
            let end = rows.end;
            rows.clone().step_by(fit).map(move |first| Strip {
                samples: samples.clone(),
                rows: first..(first + fit).min(end),
            })
        })
    }

    /// Lays a strip of the gradient as A, `[outputs/32][pixels/32][part][32][32]`. Whether all numbers can be split.
    pub(super) fn lay_gradient(
        &self,
        g: Numbers<'_>,
        strip: &Strip,
        scratch: &mut [u16],
        a: &mut [u16],
    ) -> bool {
        let Tiles { isa, parts, .. } = self.tiles;
        let rows = match strip.samples.len() {
            1 => strip.rows.clone(),
            _ => 0..self.image.size[0],
        };
        let (all, steps) = (self.gradient.channel_blocks(), self.steps_of(strip));
        let mut largest = 0;
        for first in (0..all).step_by(self.at_once()) {
            let blocks = first..(first + self.at_once()).min(all);
            let frame = self.gradient.with_blocks(blocks.clone());
            largest = largest.max(lay(
                &frame,
                self.tiles,
                (g, self.sizes.window.output),
                (strip, &rows),
                scratch,
            ));
            let (pixels, each) = (frame.pixels(), frame.elements());
            for (number, block) in blocks.enumerate() {
                for part in 0..parts {
                    let from = &scratch[part * each + number * SIDE * pixels..];
                    let at = block * SIDE * pixels * parts + part * BLOCK;
                    turned(isa, from, &mut a[at..], parts * BLOCK, steps);
                }
            }
        }
        splits(largest, Floor::Low)
    }

    /// Lays a strip of the image, `[channels/32][pixel][32]` for each part. Whether all numbers can be split.
    pub(super) fn lay_image(&self, x: Numbers<'_>, strip: &Strip, to: &mut [u16]) -> bool {
        let rows = match strip.samples.len() {
            1 => strip.rows.start..(strip.rows.end + self.reach).min(self.image.size[0]),
            _ => 0..self.image.size[0],
        };
        let numbers = (x, self.sizes.window.image);
        let largest = lay(&self.image, self.tiles, numbers, (strip, &rows), to);
        splits(largest, Floor::High)
    }

    /// A block of channels of a laid strip as B, `[even, odd][pair][32][2]` for each part, as far as the steps and taps
    /// read it.
    pub(super) fn pair(&self, laid: &[u16], strip: &Strip, block: usize, b: &mut [u16]) {
        let (pixels, each) = (self.image.pixels(), self.image.elements());
        let count = (self.farthest + self.flat(strip).next_multiple_of(SIDE)) / 2 + 1;
        for part in 0..self.tiles.parts {
            let from = &laid[part * each + block * pixels * SIDE..][..pixels * SIDE];
            for odd in 0..2 {
                let to = &mut b[(part * 2 + odd) * pixels * SIDE..];
                let count = count.min((pixels - odd) / 2);
                pairs(self.tiles.isa, &from[odd * SIDE..], to, count);
            }
        }
    }
}

/// Lays rows of each sample of a strip, one below the other. The bits of the largest absolute value.
fn lay(
    frame: &Frame,
    Tiles { isa, parts, .. }: Tiles,
    (numbers, size): (Numbers<'_>, [usize; 2]),
    (strip, rows): (&Strip, &Range<usize>),
    to: &mut [u16],
) -> u32 {
    let mut largest = 0;
    for (k, n) in strip.samples.clone().enumerate() {
        let sample = of_sample(numbers, size, frame.channels, n);
        let place = (rows.clone(), k * rows.len());
        largest = largest.max(frame.lay(isa, parts, sample, &place, to));
    }
    frame.clear_behind(parts, strip.samples.len() * rows.len(), to);
    largest
}

/// Sample `n` of images `[rows, columns, channels]`.
pub(super) fn of_sample(all: Numbers<'_>, size: [usize; 2], channels: usize, n: usize) -> Numbers<'_> {
    let each = size[0] * size[1] * channels;
    all.part(n * each, each)
}
