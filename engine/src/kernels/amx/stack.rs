//! Small images with many samples: a tile's rows are samples. Each pixel of the result is a sum over those pixels and
//! taps that are there, so no tile is spent on a frame, nor on filling between the rows of a small image.

use graph::ops::Conv2dSizes;

use super::super::{BuildContext, Kernel, Task, Work};
use super::pairs::{pairs, turned};
use super::split::{Floor, Run, clear, lay, splits};
use super::tile::{BLOCK, Left, Right, SIDE, Tiles, words, words_mut};

/// Samples that fill a tile well enough.
const SAMPLES: usize = 24;
/// Pixels at most: all of a batch's pixels of a few channels must stay in a core's second cache.
const PIXELS: usize = 64;

/// f32 elements in front of a pixel; the first says whether its numbers could be split.
const HEAD: usize = 16;

/// A pixel of the result, a pixel of the image and the tap between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meeting {
    pub output: usize,
    pub image: usize,
    pub tap: usize,
}

/// All that meet in a convolution.
pub(super) fn meetings(s: &Conv2dSizes) -> Vec<Meeting> {
    let w = &s.window;
    let along = |axis: usize| {
        let padding = w.padding[2 * axis];
        let all = (0..w.output[axis]).flat_map(move |o| (0..w.kernel[axis]).map(move |u| (o, u)));
        all.filter_map(move |(o, u)| {
            let at = (o * w.stride[axis] + u * w.dilation[axis]).wrapping_sub(padding);
            (at < w.image[axis]).then_some([o, at, u])
        })
    };
    let both = along(0).flat_map(|down| along(1).map(move |right| (down, right)));
    both.map(|(down, right)| Meeting {
        output: down[0] * w.output[1] + right[0],
        image: down[1] * w.image[1] + right[1],
        tap: down[2] * w.kernel[1] + right[2],
    })
    .collect()
}

/// Whether samples are to be the rows: there are enough of them, images are small, and rows of pixels would take more
/// steps of the sum.
pub(super) fn suits(context: &BuildContext, s: &Conv2dSizes) -> bool {
    let w = &s.window;
    let pixels = (w.image[0] * w.image[1]).max(w.output[0] * w.output[1]);
    // Several chunks: only a whole batch's op may have a step before it.
    if context.chunks < 2 || s.batch < SAMPLES || pixels > PIXELS {
        return false;
    }
    let framed = |axis: usize| w.output[axis] + w.dilation[axis] * (w.kernel[axis] - 1) / w.stride[axis];
    let strips = framed(0) * framed(1) * s.batch * w.kernel[0] * w.kernel[1];
    meetings(s).len() * s.batch.next_multiple_of(SIDE) < strips
}

/// What the blocks of a stack are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A, samples as rows: `[32 samples][32 channels]`.
    Samples,
    /// A, channels as rows, in the order of `pairs`: `[32 channels][32 samples]`.
    Channels,
    /// B, channels as columns, in the same order: `[16 pairs of samples][32 channels][2]`.
    Pairs,
}

/// A batch of images `[samples, pixels, channels]` as blocks `[pixel][part][channels/32][samples/32]`: a plan step of its
/// own, shared by all who want it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    pub(super) tiles: Tiles,
    pub(super) form: Form,
    pub(super) samples: usize,
    pub(super) pixels: usize,
    pub(super) channels: usize,
}

impl Stack {
    /// Blocks of samples, of channels.
    pub(super) fn high(&self) -> usize {
        self.samples.div_ceil(SIDE)
    }

    pub(super) fn blocks(&self) -> usize {
        self.channels.div_ceil(SIDE)
    }

    /// Words of a part of a pixel.
    pub(super) fn plane(&self) -> usize {
        self.blocks() * self.high() * BLOCK
    }

    /// f32 elements of a pixel.
    fn each(&self) -> usize {
        HEAD + (self.plane() * self.tiles.parts) / 2
    }

    /// Elements of the whole.
    pub(crate) fn elements(&self) -> usize {
        self.pixels * self.each()
    }

    /// Whether all pixels could be split.
    pub(super) fn is_split(&self, stacked: &[f32]) -> bool {
        (0..self.pixels).all(|pixel| stacked[pixel * self.each()] == 0.0)
    }

    /// The word where a block begins.
    pub(super) fn at(&self, pixel: usize, block: usize, samples: usize) -> usize {
        (pixel * self.each() + HEAD) * 2 + (block * self.high() + samples) * BLOCK
    }

    /// Steps of the sum over channels of some samples, which begin at [`Stack::at`] of the first samples.
    pub(super) fn left<'a>(&self, stacked: &'a [f32], block: usize, samples: usize) -> Left<'a> {
        Left {
            words: words(stacked),
            plain: false,
            plane: self.plane(),
            row: SIDE,
            at: self.at(0, block, samples) - self.at(0, 0, 0),
        }
    }

    /// B for a block of channels, whose steps are the words of [`Stack::at`] of the first block.
    pub(super) fn right<'a>(&self, stacked: &'a [f32], block: usize) -> Right<'a> {
        Right {
            words: words(stacked),
            plain: false,
            plane: self.plane(),
            step: 1,
            at: self.at(0, block, 0) - self.at(0, 0, 0),
        }
    }

    /// A block of 32 samples and channels into its place, by way of `laid`. The bits of the largest absolute value.
    fn write(
        &self,
        from: &[f32],
        (samples, channels): (usize, usize),
        laid: &mut [u16],
        to: &mut [u16],
    ) -> u32 {
        let Tiles { isa, parts, .. } = self.tiles;
        let run = Run {
            count: samples,
            stride: self.pixels * self.channels,
            channels,
        };
        let largest = lay(isa, parts, from, run, laid, (0, BLOCK));
        clear(parts, laid, (samples * SIDE, (SIDE - samples) * SIDE), BLOCK);
        for (part, laid) in laid.chunks_exact(BLOCK).take(parts).enumerate() {
            let to = &mut to[part * self.plane()..][..BLOCK];
            match self.form {
                Form::Samples => to.copy_from_slice(laid),
                Form::Channels => turned(isa, laid, to, BLOCK, 1),
                Form::Pairs => pairs(isa, laid, to, SIDE / 2),
            }
        }
        largest
    }
}

impl Kernel for Stack {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.pixels,
            elements: self.each(),
        }
    }

    fn run(&self, task: Task<'_>) {
        let from = task.input(0);
        let mut laid = [[0; BLOCK]; 3];
        let floor = match self.form {
            Form::Pairs => Floor::High,
            _ => Floor::Low,
        };
        let pieces = task.output.chunks_exact_mut(self.each());
        for (pixel, to) in task.range.clone().zip(pieces) {
            let (head, to) = to.split_at_mut(HEAD);
            let to = words_mut(to);
            let mut largest = 0;
            for sample in (0..self.samples).step_by(SIDE) {
                for channel in (0..self.channels).step_by(SIDE) {
                    let from = &from[(sample * self.pixels + pixel) * self.channels + channel..];
                    let size = (SIDE.min(self.samples - sample), SIDE.min(self.channels - channel));
                    let at = (channel / SIDE * self.high() + sample / SIDE) * BLOCK;
                    let bits = self.write(from, size, laid.as_flattened_mut(), &mut to[at..]);
                    largest = largest.max(bits);
                }
            }
            head.fill(if splits(largest, floor) { 0.0 } else { 1.0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::ops::BoundWindow;

    #[test]
    fn only_what_is_there_meets() {
        let window = BoundWindow {
            image: [2, 2],
            kernel: [3, 3],
            output: [2, 2],
            padding: [1; 4],
            stride: [1, 1],
            dilation: [1, 1],
        };
        let sizes = Conv2dSizes {
            batch: 32,
            channels: 64,
            outputs: 64,
            groups: 1,
            window,
        };
        let all = meetings(&sizes);
        // Each pixel meets each, once, and the middle tap joins a pixel with itself.
        assert_eq!(all.len(), 16);
        assert!(all.iter().all(|m| (m.tap == 4) == (m.image == m.output)));
    }
}
