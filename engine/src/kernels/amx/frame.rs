//! One sample of an image, laid as parts so that each tap of a convolution is a constant shift.
//!
//! Pixels have one flat index that runs over a zero-framed image, row after row, and tiles run across
//! row ends: the outputs that fall on the frame are computed and dropped. A stride parts the framed image into
//! phases, each of which is an image of its own: rows (and columns) that are a stride apart become
//! neighbours.

use super::fallback::ABSENT;
use super::split::{PLAIN, transpose, write_left, write_right};
use super::tile::{BLOCK, Block, SIDE};
use crate::Isa;

/// A pixel of the frame that the sample does not have.
const NONE: u32 = u32::MAX;

/// Where each pixel of the framed image comes from.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Pixel of the sample for each pixel of the frame, a multiple of 32.
    map: Vec<u32>,
    pub channels: usize,
    /// Rows and columns of each phase.
    pub size: [usize; 2],
    phases: [usize; 2],
}

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
        // The last tile reads up to 31 pixels on. An odd number of blocks keeps channels, which lie one
        // frame apart in the transposed form, out of each other's cache sets.
        let pixels = (phases[0] * phases[1] * size[0] * size[1] + SIDE).div_ceil(SIDE) | 1;
        let mut frame = Self {
            map: vec![NONE; pixels * SIDE],
            channels,
            size,
            phases,
        };
        for row in 0..image[0] {
            for column in 0..image[1] {
                let at = [row + origin[0], column + origin[1]];
                if (0..2).all(|axis| at[axis] / phases[axis] < size[axis]) {
                    let to = frame.pixel(at);
                    frame.map[to] = (row * image[1] + column) as u32;
                }
            }
        }
        frame
    }

    /// The flat index of a place in the framed image.
    pub(super) fn pixel(&self, at: [usize; 2]) -> usize {
        let phase = at[0] % self.phases[0] * self.phases[1] + at[1] % self.phases[1];
        (phase * self.size[0] + at[0] / self.phases[0]) * self.size[1] + at[1] / self.phases[1]
    }

    pub(super) fn pixels(&self) -> usize {
        self.map.len()
    }

    pub(super) fn channel_blocks(&self) -> usize {
        self.channels.div_ceil(SIDE)
    }

    /// Numbers of the laid sample, which is also the distance of its parts in words.
    pub(super) fn elements(&self) -> usize {
        self.channel_blocks() * SIDE * self.pixels()
    }

    /// 32 pixels of 32 channels, `[pixel][channel]`, zeros where there are none; but in numbers that
    /// stay as they are, absent pixels are marked.
    #[inline(always)]
    fn gather(
        &self,
        sample: &[f32],
        (first, channel_block): (usize, usize),
        parts: usize,
        block: &mut Block,
    ) {
        let missing = if parts == PLAIN {
            f32::from_bits(ABSENT)
        } else {
            0.0
        };
        let channel = channel_block * SIDE;
        let count = SIDE.min(self.channels - channel);
        let rows = block.0.as_chunks_mut::<SIDE>().0;
        for (row, &pixel) in rows.iter_mut().zip(&self.map[first..]) {
            if pixel == NONE {
                *row = [missing; SIDE];
            } else {
                let from = &sample[pixel as usize * self.channels + channel..];
                match from.first_chunk::<SIDE>() {
                    Some(whole) if count == SIDE => *row = *whole,
                    _ => {
                        row[..count].copy_from_slice(&from[..count]);
                        row[count..].fill(0.0);
                    }
                }
            }
        }
    }
}

/// `[channel block][pixel][32]`: pixels are rows of A.
pub(super) fn lay_rows(isa: Isa, frame: &Frame, sample: &[f32], parts: usize, to: &mut [u16]) {
    let mut block = Block::ZERO;
    for channels in 0..frame.channel_blocks() {
        for first in (0..frame.pixels()).step_by(SIDE) {
            frame.gather(sample, (first, channels), parts, &mut block);
            let at = (channels * frame.pixels() + first) * SIDE;
            write_left(isa, parts, &block, to, (at, SIDE), frame.elements());
        }
    }
}

/// `[channel][pixel]`: channels are rows of A, pixels run along the sum.
pub(super) fn lay_columns(isa: Isa, frame: &Frame, sample: &[f32], parts: usize, to: &mut [u16]) {
    let (mut block, mut turned) = (Block::ZERO, Block::ZERO);
    for channels in 0..frame.channel_blocks() {
        for first in (0..frame.pixels()).step_by(SIDE) {
            frame.gather(sample, (first, channels), parts, &mut block);
            transpose(isa, &block, &mut turned);
            let at = channels * SIDE * frame.pixels() + first;
            write_left(isa, parts, &turned, to, (at, frame.pixels()), frame.elements());
        }
    }
}

/// `[channel block][step of 32 pixels]`, each a step of B: pixels run along the sum.
pub(super) fn lay_pairs(isa: Isa, frame: &Frame, sample: &[f32], steps: usize, parts: usize, to: &mut [u16]) {
    let mut block = Block::ZERO;
    let each = if parts == PLAIN { 2 } else { parts } * BLOCK;
    for channels in 0..frame.channel_blocks() {
        for step in 0..steps {
            frame.gather(sample, (step * SIDE, channels), parts, &mut block);
            let to = &mut to[(channels * steps + step) * each..];
            write_right(isa, parts, &block, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stride_parts_the_image_into_phases() {
        // 4 × 4 pixels, one row and column of zeros before them, stride 2.
        let frame = Frame::new([4, 4], 1, [2, 2], [1, 1], [3, 3]);
        assert_eq!(frame.map[frame.pixel([0, 0])], NONE);
        assert_eq!(frame.map[frame.pixel([1, 1])], 0);
        assert_eq!(frame.map[frame.pixel([4, 3])], 14);
        // A stride down is one row of the phase down.
        assert_eq!(frame.pixel([3, 1]), frame.pixel([1, 1]) + 3);
        assert_eq!(frame.pixels() % 64, 32);
        assert_eq!(frame.map.iter().filter(|p| **p != NONE).count(), 16);
    }
}
