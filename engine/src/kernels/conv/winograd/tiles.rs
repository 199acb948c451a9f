//! Winograd's products on the tile unit, three parts of each number.

use super::{FREQUENCIES, LEAST_TILES, Planes};
use crate::kernels::amx::{
    BLOCK, Block, Floor, Left, Right, Rows, Run, SIDE, Session, Starts, Store, Turns, lay, pair, splits,
    store, words, words_mut,
};
use crate::kernels::conv::pass::Pass;
use crate::kernels::short::NumbersMut;
use crate::kernels::{BuildContext, Tiles};

/// Parts into which numbers are split: fewer are not as exact as f32, and the transforms would make it worse.
const PARTS: usize = 3;
/// Channels, before and after, from which on the unit outweighs the splitting.
const NARROWEST: usize = 64;
/// f32 elements in front of a panel of filters, which say whether its numbers could be split.
pub(super) const HEAD: usize = 16;

/// The unit, if it multiplies the transformed tiles of this pass.
pub(in super::super) fn tiles(context: &BuildContext, pass: &Pass) -> Option<Tiles> {
    let wide = pass.source[2].min(pass.result[2]) >= NARROWEST && pass.pack.width == SIDE;
    context.tiles.filter(|tiles| wide && tiles.parts == PARTS)
}

/// Tiles that are worked on together at least: more where the filters fit no cache, since the unit multiplies faster
/// than they are read. Still more of them are read and written more slowly themselves.
pub(super) fn least_tiles(channels: usize, outputs: usize) -> usize {
    match channels * outputs <= NARROWEST * NARROWEST {
        true => LEAST_TILES,
        false => 2 * LEAST_TILES,
    }
}

/// Elements of a panel of filters of so many channels.
pub(super) fn panel(channels: usize) -> usize {
    HEAD + FREQUENCIES * channels.div_ceil(SIDE) * PARTS * BLOCK / 2
}

/// Writes transformed filters of a block of channels, `[16][32][32]`, of which `live` channels count, into a panel.
/// The bits of the largest absolute value.
pub(super) fn write_filters(
    tiles: Tiles,
    from: &[f32],
    (live, block, blocks): (usize, usize, usize),
    panel: &mut [f32],
) -> u32 {
    let words = words_mut(&mut panel[HEAD..]);
    let rows = Rows {
        count: live,
        columns: SIDE,
        stride: SIDE,
    };
    let frequencies = from.chunks_exact(BLOCK).enumerate();
    let written = frequencies.map(|(frequency, from)| {
        let at = (frequency * blocks + block) * PARTS * BLOCK;
        pair(tiles.isa, PARTS, from, rows, words, (at, BLOCK))
    });
    written.max().unwrap_or(0)
}

/// Says of a panel whether its numbers could be split, by the bits of the largest.
pub(super) fn mark(panel: &mut [f32], largest: u32) {
    panel[0] = if splits(largest, Floor::High) { 0.0 } else { 1.0 };
}

/// The products of transformed tiles and filters.
pub(super) struct Products {
    pub tiles: Tiles,
    pub channels: usize,
    pub outputs: usize,
    /// Tiles there is room for.
    room: usize,
    starts: Starts,
}

impl Products {
    pub(super) fn new(tiles: Tiles, [channels, outputs]: [usize; 2], count: usize) -> Self {
        // An odd number of blocks: channels do not share cache sets.
        let room = (count.div_ceil(SIDE) | 1) * SIDE;
        let blocks = channels.div_ceil(SIDE);
        Self {
            tiles,
            channels,
            outputs,
            room,
            starts: Starts::new((0..blocks).map(|block| block * room * SIDE).collect()),
        }
    }

    /// f32 elements of scratch memory.
    pub(super) fn scratch(&self) -> usize {
        PARTS * self.plane() / 2
    }

    /// Words of one part.
    fn plane(&self) -> usize {
        self.channels.div_ceil(SIDE) * self.room * SIDE
    }

    /// All frequencies of `count` tiles. Whether all numbers could be split.
    pub(super) fn run(
        &self,
        count: usize,
        (spreads, source): (&[f32], Planes),
        packed: &[f32],
        (products, result): (&mut [f32], Planes),
        scratch: &mut [f32],
    ) -> bool {
        let each = panel(self.channels);
        if packed.chunks_exact(each).any(|panel| panel[0] != 0.0) {
            return false;
        }
        let scratch = words_mut(&mut scratch[..self.scratch()]);
        let session = Session::open(self.tiles);
        let mut turns = Turns::new();
        let mut largest = 0;
        for frequency in 0..FREQUENCIES {
            let spreads = &spreads[frequency * source.plane..];
            largest = largest.max(self.lay(count, spreads, source.row, scratch));
            let blocks = (count.div_ceil(SIDE), packed.len() / each);
            for [tile, number] in order(blocks) {
                let left = Left {
                    words: scratch,
                    plain: false,
                    plane: self.plane(),
                    row: SIDE,
                    at: tile * SIDE * SIDE,
                };
                let right = Right {
                    words: words(&packed[number * each + HEAD..(number + 1) * each]),
                    plain: false,
                    plane: BLOCK,
                    step: PARTS * BLOCK,
                    at: frequency * self.starts.len() * PARTS * BLOCK,
                };
                let operands = (&left, &self.starts, &right);
                if let Some((done, block)) = turns.next(&session, operands, [frequency, tile * SIDE, number])
                {
                    self.put(block, count, done, (products, result));
                }
            }
        }
        if let Some((done, block)) = turns.last() {
            self.put(block, count, done, (products, result));
        }
        splits(largest, Floor::Low)
    }

    fn put(
        &self,
        block: &Block,
        count: usize,
        [frequency, tile, panel]: [usize; 3],
        (products, planes): (&mut [f32], Planes),
    ) {
        let how = Store {
            skip: 0,
            rows: SIDE.min(count - tile),
            columns: SIDE.min(self.outputs - panel * SIDE),
            stride: planes.row,
            accumulate: false,
            bias: None,
            residual: None,
            relu: false,
        };
        let at = frequency * planes.plane + tile * planes.row + panel * SIDE;
        store(self.tiles.isa, block, NumbersMut::F32(&mut products[at..]), &how);
    }

    /// One frequency of the tiles as rows of A. The bits of the largest absolute value.
    fn lay(&self, count: usize, spreads: &[f32], row: usize, to: &mut [u16]) -> u32 {
        let blocks = (0..self.channels).step_by(SIDE).zip(self.starts.list());
        let laid = blocks.map(|(channel, &[at, _])| {
            let run = Run {
                count,
                stride: row,
                channels: SIDE.min(self.channels - channel),
            };
            lay(
                self.tiles.isa,
                PARTS,
                &spreads[channel..],
                run,
                to,
                (at, self.plane()),
            )
        });
        laid.max().unwrap_or(0)
    }
}

/// Blocks of tiles and panels of filters in the order in which they meet: the fewer are gone through again for each of
/// the more, so that what is read again is small enough for a cache.
fn order((tiles, panels): (usize, usize)) -> impl Iterator<Item = [usize; 2]> {
    (0..tiles * panels).map(move |k| match tiles < panels {
        true => [k % tiles, k / tiles],
        false => [k / panels, k % panels],
    })
}
