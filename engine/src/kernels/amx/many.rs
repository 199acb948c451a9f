//! The gradient of many weights: the blocks of all samples' sums, split by channels and outputs, so that no thread
//! needs a partial result of them all. [`Ordered`] puts the blocks where they belong.

use super::super::short::Numbers;
use super::super::{Kernel, Shorts, Task, Work};
use super::laid::Laid;
use super::pairs::place;
use super::split::transpose;
use super::sums::{self, Part, Sums};
use super::tile::{BLOCK, Block, SIDE, Session, words_mut};
use crate::Isa;

/// Bytes of blocks that are summed together: with the operands they stay in a core's second cache.
pub(super) const NEAR: usize = 640 * 1024;
/// Pieces at least, where there are as many blocks of channels and outputs, so that all threads have some.
const PIECES: usize = 4;

/// How blocks are grouped into pieces: `[group of channels][group of outputs]`, in each
/// `[channels/32][tap][outputs/32]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Groups {
    pub taps: usize,
    /// Blocks of channels, of outputs.
    blocks: [usize; 2],
    /// The same of one piece.
    each: [usize; 2],
}

impl Groups {
    pub(super) fn new(taps: usize, [channels, outputs]: [usize; 2]) -> Self {
        let side = (NEAR / (taps * BLOCK * 4)).isqrt().max(1);
        let mut each = [channels.min(side), outputs.min(side)];
        let pieces = |each: [usize; 2]| channels.div_ceil(each[0]) * outputs.div_ceil(each[1]);
        while pieces(each) < PIECES && each != [1, 1] {
            let wider = usize::from(each[1] > each[0]);
            each[wider] = each[wider].div_ceil(2);
        }
        Self {
            taps,
            blocks: [channels, outputs],
            each,
        }
    }

    fn count(&self, which: usize) -> usize {
        self.blocks[which].div_ceil(self.each[which])
    }

    pub(super) fn pieces(&self) -> usize {
        self.count(0) * self.count(1)
    }

    /// Elements of a piece.
    pub(super) fn elements(&self) -> usize {
        self.each[0] * self.each[1] * self.taps * BLOCK
    }

    fn part(&self, piece: usize) -> Part {
        let of = |which: usize, group: usize| {
            let first = group * self.each[which];
            first..(first + self.each[which]).min(self.blocks[which])
        };
        Part {
            channels: of(0, piece / self.count(1)),
            outputs: of(1, piece % self.count(1)),
            row: self.each[1],
        }
    }

    /// Which block of all pieces it is.
    fn block(&self, channel: usize, tap: usize, output: usize) -> usize {
        let [c, o] = self.each;
        let piece = channel / c * self.count(1) + output / o;
        ((piece * c + channel % c) * self.taps + tap) * o + output % o
    }
}

/// The blocks of all samples.
pub(super) struct Many {
    pub sums: Sums,
    pub groups: Groups,
    pub gradient: Laid,
    pub image: Laid,
    pub shorts: Shorts,
}

impl Kernel for Many {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.groups.pieces(),
            elements: self.groups.elements(),
        }
    }

    fn scratch(&self) -> usize {
        self.sums.strips.paired().div_ceil(2)
    }

    /// The operands as they are, behind the laid ones, are read where they could not be split.
    fn shorts(&self) -> Shorts {
        Shorts::of(2..6, false)
    }

    fn shorten(&mut self, shorts: Shorts) {
        self.shorts = shorts;
    }

    fn run(&self, task: Task<'_>) {
        let (image, gradient) = (task.input(0), task.input(1));
        let last = task.operands.len() - 1;
        let plain = |k: usize| Numbers::new(task.input(k), self.shorts.has(k));
        let plain = (plain(last - 1), plain(last));
        let strips = &self.sums.strips;
        let scratch = words_mut(&mut task.scratch[..self.scratch()]);
        let session = Session::open(strips.tiles);
        let results = task.output.chunks_mut(self.groups.elements());
        for (piece, result) in task.range.clone().zip(results) {
            let part = self.groups.part(piece);
            let all = strips.of(0..strips.sizes.batch, 0..strips.sizes.window.output[0]);
            for (number, strip) in all.enumerate() {
                let laid = (
                    self.gradient.strip(gradient, number),
                    self.image.strip(image, number),
                );
                let (Some(a), Some(image)) = laid else {
                    if number == 0 {
                        result.fill(0.0);
                    }
                    self.sums.add_plainly(plain, &strip, &part, result);
                    continue;
                };
                let strip = &strip;
                let laid = sums::Laid { strip, a, image };
                self.sums
                    .add(&session, &laid, &part, (scratch, result), number == 0);
            }
        }
    }
}

/// Blocks in the order of the weights, `[tap][channels][outputs]`.
pub(super) struct Ordered {
    pub isa: Isa,
    pub groups: Groups,
    pub channels: usize,
    pub outputs: usize,
}

impl Ordered {
    /// Channels of a piece.
    fn rows(&self) -> usize {
        if self.channels.is_multiple_of(SIDE) {
            SIDE
        } else {
            self.channels
        }
    }
}

impl Kernel for Ordered {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.groups.taps * self.channels / self.rows(),
            elements: self.rows() * self.outputs,
        }
    }

    /// It reads the first operand alone.
    fn shorts(&self) -> Shorts {
        Shorts::of(1..6, false)
    }

    fn run(&self, task: Task<'_>) {
        let blocks = task.input(0).as_chunks::<BLOCK>().0;
        let each = self.channels / self.rows();
        let mut block = Block::ZERO;
        let pieces = task.output.chunks_exact_mut(self.rows() * self.outputs);
        for (piece, to) in task.range.clone().zip(pieces) {
            let (tap, first) = (piece / each, piece % each * self.rows());
            for row in (0..self.rows()).step_by(SIDE) {
                for column in (0..self.outputs).step_by(SIDE) {
                    block.0 = blocks[self.groups.block((first + row) / SIDE, tap, column / SIDE)];
                    let left = (SIDE.min(self.rows() - row), SIDE.min(self.outputs - column));
                    let to = &mut to[row * self.outputs + column..];
                    ordered(self.isa, &block, to, left, self.outputs);
                }
            }
        }
    }
}

/// A block of the result, `[32 outputs][32 channels]`, as rows of channels, `stride` apart.
pub(super) fn ordered(
    isa: Isa,
    block: &Block,
    to: &mut [f32],
    (channels, outputs): (usize, usize),
    stride: usize,
) {
    let mut turned = Block::ZERO;
    transpose(isa, block, &mut turned);
    for at in (0..SIDE).filter(|&at| place(at) < channels) {
        let mut line = [[0.0; 4]; SIDE / 4];
        // Four neighbours stay neighbours.
        let (from, _) = turned.row(at).as_chunks::<4>();
        for (run, to) in line.iter_mut().enumerate() {
            *to = from[run / 2 + run % 2 * 4];
        }
        let to = &mut to[place(at) * stride..][..outputs];
        match <&mut [f32; SIDE]>::try_from(&mut *to) {
            Ok(to) => to.copy_from_slice(line.as_flattened()),
            Err(_) => to.copy_from_slice(&line.as_flattened()[..outputs]),
        }
    }
}
