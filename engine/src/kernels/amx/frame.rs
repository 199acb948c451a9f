//! A strip of an image, laid as parts so that each tap of a convolution is a constant shift.
//!
//! Pixels have one flat index that runs over rows of a zero-framed image, row after row, and tiles run across
//! row ends: the outputs that fall on the frame are computed and dropped. A stride parts the framed image into
//! phases, each of which is an image of its own: rows (and columns) that are a stride apart become
//! neighbours. A strip is some rows of each phase of one sample, or several whole samples one below the other.
//!
//! Pixels of few channels are laid without filling ([`Frame::few`]): the taps of a kernel's row are neighbours in memory
//! then, one step of the sum takes them all, and the steps of neighbouring pixels overlap.

use std::ops::Range;

use super::split::{Run, clear, lay_numbers as lay};
use super::tile::SIDE;
use crate::Isa;
use crate::kernels::short::Numbers;

/// Pixels behind the rows of a phase that a last, partly filled tile reads too; one more for pairs of pixels.
const BEHIND: usize = SIDE + 2;

/// Elements that the steps of a pixel of few channels read from its first on, at most.
pub(super) const FARTHEST: usize = 8 * SIDE;

/// How strips of an image `[rows, columns, channels]` are laid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    image: [usize; 2],
    pub channels: usize,
    /// Rows and columns of each phase of a whole sample.
    pub size: [usize; 2],
    phases: [usize; 2],
    origin: [usize; 2],
    /// Rows of a phase that a strip has room for.
    pub room: usize,
    /// Blocks of 32 channels that are laid.
    pub blocks: Range<usize>,
    /// Of few channels: elements from pixel to pixel.
    few: Option<usize>,
}

/// Some rows of each phase, and the first row of the strip that they go to.
pub(super) type Rows = (Range<usize>, usize);

impl Frame {
    /// A frame for images `[rows, columns]`, whose pixel (0, 0) goes to `origin`. Pixels beyond the
    /// phases' `size` are dropped.
    pub(super) fn new(
        image: [usize; 2],
        channels: usize,
        phases: [usize; 2],
        origin: [usize; 2],
        size: [usize; 2],
    ) -> Self {
        Self {
            image,
            channels,
            size,
            phases,
            origin,
            room: size[0],
            blocks: 0..channels.div_ceil(SIDE),
            few: None,
        }
    }

    /// A frame without filling for what reads `reach` pixels of each of `size` rows and columns; only rows have phases.
    pub(super) fn few(
        image: [usize; 2],
        channels: usize,
        stride: [usize; 2],
        origin: [usize; 2],
        size: [usize; 2],
    ) -> Self {
        Self {
            few: Some(stride[1] * channels),
            ..Self::new(image, channels, [stride[0], 1], origin, size)
        }
    }

    /// Elements from one pixel to the next.
    pub(super) fn step(&self) -> usize {
        self.few.unwrap_or(SIDE)
    }

    /// Numbers of a row of all phases, filling included.
    pub(super) fn row(&self) -> usize {
        let blocks = if self.few.is_some() {
            1
        } else {
            self.channel_blocks()
        };
        self.phases() * self.size[1] * blocks * self.step()
    }

    /// The same for some blocks of 32 channels.
    pub(super) fn with_blocks(&self, blocks: Range<usize>) -> Self {
        Self {
            blocks,
            ..self.clone()
        }
    }

    /// The same with room for so many rows.
    pub(super) fn with_room(self, room: usize) -> Self {
        Self { room, ..self }
    }

    /// The flat index of a place in the framed image, of which the strip holds the first rows.
    pub(super) fn pixel(&self, at: [usize; 2]) -> usize {
        let phase = at[0] % self.phases[0] * self.phases[1] + at[1] % self.phases[1];
        phase * self.each() + at[0] / self.phases[0] * self.size[1] + at[1] / self.phases[1]
    }

    /// Phases in all.
    pub(super) fn phases(&self) -> usize {
        self.phases[0] * self.phases[1]
    }

    /// Pixels of one phase.
    fn each(&self) -> usize {
        let behind = self
            .few
            .map_or(BEHIND, |step| BEHIND.max(FARTHEST.div_ceil(step)));
        self.room * self.size[1] + behind
    }

    /// Pixels of the strip. An odd number of blocks of 32 keeps channels, which lie so many pixels apart in the
    /// transposed form, out of each other's cache sets.
    pub(super) fn pixels(&self) -> usize {
        let pixels = self.phases() * self.each();
        (pixels.div_ceil(SIDE) | 1) * SIDE
    }

    pub(super) fn channel_blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Numbers of the laid strip, which is also the distance of its parts in words.
    pub(super) fn elements(&self) -> usize {
        match self.few {
            // The last pixel's steps read on.
            Some(step) => (step * self.pixels() + FARTHEST).next_multiple_of(SIDE),
            None => self.channel_blocks() * SIDE * self.pixels(),
        }
    }

    /// Lays rows of a sample, `[channel block][pixel][32]` for each part. The bits of the largest absolute value.
    pub(super) fn lay(
        &self,
        isa: Isa,
        parts: usize,
        sample: Numbers<'_>,
        rows: &Rows,
        to: &mut [u16],
    ) -> u32 {
        let (rows, first) = rows;
        let mut largest = 0;
        if let Some(step) = self.few {
            for phase in 0..self.phases() {
                let place =
                    |row: usize| (phase * self.each() + (first + row - rows.start) * self.size[1]) * step;
                for row in rows.clone() {
                    let from = (row * self.phases[0] + phase).wrapping_sub(self.origin[0]);
                    largest = largest.max(self.lay_row(isa, parts, sample, from, to, place(row)));
                }
                // The last pixels' steps read on, and what they read must be a number.
                clear(parts, to, (place(rows.end), FARTHEST), self.elements());
            }
            return largest;
        }
        for phase in 0..self.phases() {
            let (down, along) = (phase / self.phases[1], phase % self.phases[1]);
            let columns = self.columns(along);
            for row in rows.clone() {
                let pixel = phase * self.each() + (first + row - rows.start) * self.size[1];
                let from = (row * self.phases[0] + down).wrapping_sub(self.origin[0]);
                let live = if from < self.image[0] {
                    columns.clone()
                } else {
                    0..0
                };
                self.clear(parts, pixel..pixel + live.start, to);
                self.clear(parts, pixel + live.end..pixel + self.size[1], to);
                if !live.is_empty() {
                    let column = live.start * self.phases[1] + along - self.origin[1];
                    let at = (from * self.image[1] + column) * self.channels;
                    let place = (pixel + live.start, live.len());
                    largest = largest.max(self.lay_run(isa, parts, sample.from(at), place, to));
                }
            }
        }
        largest
    }

    /// Lays row `from` of an image of few channels, or zeros where there is none, from element `at` on.
    fn lay_row(
        &self,
        isa: Isa,
        parts: usize,
        sample: Numbers<'_>,
        from: usize,
        to: &mut [u16],
        at: usize,
    ) -> u32 {
        let (length, plane) = (self.size[1] * self.step(), self.elements());
        if from >= self.image[0] {
            clear(parts, to, (at, length), plane);
            return 0;
        }
        let left = (self.origin[1] * self.channels).min(length);
        let live = (self.image[1] * self.channels).min(length - left);
        let numbers = sample.part(from * self.image[1] * self.channels, live);
        let run = |count: usize, channels: usize| Run {
            count,
            stride: SIDE,
            channels,
        };
        clear(parts, to, (at, left), plane);
        let (lines, rest) = (live / SIDE, live % SIDE);
        let mut largest = lay(isa, parts, numbers, run(lines, SIDE), to, (at + left, plane));
        if rest > 0 {
            let (numbers, at) = (numbers.from(lines * SIDE), at + left + lines * SIDE);
            largest = largest.max(lay(isa, parts, numbers, run(1, rest), to, (at, plane)));
        }
        clear(parts, to, (at + left + live, length - left - live), plane);
        largest
    }

    /// Zeros behind `rows` rows of each phase, as many as a last step and a pair of pixels read.
    pub(super) fn clear_behind(&self, parts: usize, rows: usize, to: &mut [u16]) {
        for phase in 0..self.phases() {
            let pixel = phase * self.each() + rows * self.size[1];
            self.clear(parts, pixel..(pixel + BEHIND).min(self.pixels()), to);
        }
    }

    /// Columns of a phase that the image has.
    fn columns(&self, along: usize) -> Range<usize> {
        let [_, step] = self.phases;
        let first = self.origin[1].saturating_sub(along).div_ceil(step);
        let end = (self.image[1] + self.origin[1])
            .saturating_sub(along)
            .div_ceil(step);
        first.min(self.size[1])..end.clamp(first.min(self.size[1]), self.size[1])
    }

    fn clear(&self, parts: usize, pixels: Range<usize>, to: &mut [u16]) {
        for block in 0..self.channel_blocks() {
            let at = (block * self.pixels() + pixels.start) * SIDE;
            clear(parts, to, (at, pixels.len() * SIDE), self.elements());
        }
    }

    /// `count` pixels, a phase's step apart in the image, `from` the first on.
    fn lay_run(
        &self,
        isa: Isa,
        parts: usize,
        from: Numbers<'_>,
        (pixel, count): (usize, usize),
        to: &mut [u16],
    ) -> u32 {
        let mut largest = 0;
        for (number, block) in self.blocks.clone().enumerate() {
            let run = Run {
                count,
                stride: self.phases[1] * self.channels,
                channels: SIDE.min(self.channels - block * SIDE),
            };
            let at = (number * self.pixels() + pixel) * SIDE;
            let from = from.from(block * SIDE);
            largest = largest.max(lay(isa, parts, from, run, to, (at, self.elements())));
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stride_parts_the_image_into_phases() {
        // 4 × 4 pixels, one row and column of zeros before them, stride 2.
        let frame = Frame::new([4, 4], 1, [2, 2], [1, 1], [3, 3]);
        let image: Vec<f32> = (1..17).map(|x| x as f32).collect();
        let mut words = vec![7; frame.elements()];
        let largest = frame.lay(Isa::detect(), 1, Numbers::F32(&image), &(0..3, 0), &mut words);
        assert_eq!(f32::from_bits(largest), 16.0);
        let at = |place| f32::from_bits(u32::from(words[frame.pixel(place) * SIDE]) << 16);
        assert_eq!(at([0, 0]), 0.0);
        assert_eq!(at([1, 1]), 1.0);
        assert_eq!(at([4, 3]), 15.0);
        // A stride down is one row of the phase down.
        assert_eq!(frame.pixel([3, 1]), frame.pixel([1, 1]) + 3);
        assert_eq!(frame.pixels() % 64, 32);
        let places = (0..6).flat_map(|i| (0..6).map(move |j| [i, j]));
        assert_eq!(places.filter(|&place| at(place) != 0.0).count(), 16);
    }
}
