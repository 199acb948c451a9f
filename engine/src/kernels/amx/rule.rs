//! Which products go to the tile unit: the one place where that is decided.
//!
//! Estimated from what was measured on one core of a processor with AMX (Emerald Rapids; its unit runs at 2.8 GHz on
//! numbers that are not all 0, so that 1, 2 and 3 parts have ceilings of 2,820, 950 and 475 GFLOP/s):
//!
//! | GFLOP/s of whole layers, 3×3 | 1 part | 2 parts | 3 parts | f32 FMA, Winograd |
//! |---|---|---|---|---|
//! | 64² pixels, 32 to 32 channels: forward / weights | 1,146 / 543 | 474 / 274 | 262 / 155 | 218 / 215 |
//! | 16², 128 to 128 | 1,039 / 629 | 521 / 283 | 263 / 199 | 256 / 258 |
//! | 14², 256 to 256 | 1,121 / 696 | 527 / 338 | 270 / 184 | 258 / 237 |
//! | 8², 256 to 256, 32 samples as rows | 1,114 / 1,053 | 531 / 392 | 298 / 209 | 250 / 229 |
//! | 4², 512 to 512, 32 samples as rows | 986 / 832 | 455 / 441 | 221 / 278 | 165 / 191 |
//!
//! Sums for weights of one and two parts have become a tenth to a fifth faster since; the steps below are later than the
//! table. Blocks that are only partly filled cost as much as full ones. Three parts are never less exact than FMA
//! (`engine/tests/amx_accuracy.rs`), so `highest` may take either, and takes the faster one.

use super::tile::{Tiles, Unit};

/// What a product costs on tiles, per sample or as a whole.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Cost {
    /// Multiply-adds of the op, or as many as take the time of its f32 kernels.
    pub macs: usize,
    /// Steps of 32 × 32 × 32 that the tiles make, filling included.
    pub blocks: usize,
    /// Numbers that are split.
    pub splits: usize,
    /// Weights that are read, each sample's share, and whether they are packed first.
    pub weights: usize,
    pub packing: bool,
    /// The smallest of rows, depth (in channels) and columns.
    pub narrowest: usize,
}

/// Narrower operands leave most of a tile empty.
const NARROWEST: usize = 16;
/// Multiply-adds per nanosecond of the FMA kernels.
const FMA: f64 = 90.0;
/// Nanoseconds for each part of a number that is split, the way of results into memory included.
const SPLIT: f64 = 0.2;
/// Nanoseconds in which two bytes of a weight come from memory.
const READ: f64 = 0.17;

/// Nanoseconds of a step of 32 × 32 × 32 on the tile unit, operands from the second cache.
fn step(parts: usize) -> f64 {
    match parts {
        1 => 36.0,
        2 => 80.0,
        _ => 175.0,
    }
}

/// Nanoseconds of so many steps of 32 × 32 × 32, numbers that are split, and packed weights that come from memory.
pub(super) fn time(parts: usize, blocks: usize, splits: usize, weights: usize) -> f64 {
    blocks as f64 * step(parts) + parts as f64 * (splits as f64 * SPLIT + weights as f64 * READ)
}

/// Whether the tile unit is expected to be faster. The emulated unit takes all that it can, to be tested.
pub(in super::super) fn worth(tiles: Tiles, cost: &Cost) -> bool {
    if tiles.unit == Unit::Emulated {
        return true;
    }
    let packed = if cost.packing { cost.weights } else { 0 };
    let tile_time = time(tiles.parts, cost.blocks, cost.splits + packed, cost.weights);
    let fma_time = cost.macs as f64 / FMA + cost.weights as f64 * 2.0 * READ;
    cost.narrowest >= NARROWEST && tile_time < fma_time
}

#[cfg(test)]
mod tests {
    use super::super::tile::SIDE;
    use super::*;
    use crate::Isa;

    fn real(parts: usize, channels: usize, pixels: usize) -> bool {
        let blocks = channels.div_ceil(SIDE);
        let cost = Cost {
            macs: 9 * channels * channels * pixels,
            blocks: 9 * blocks * blocks * pixels.div_ceil(SIDE),
            splits: blocks * SIDE * pixels,
            weights: 0,
            packing: true,
            narrowest: channels,
        };
        let isa = Isa::detect();
        let unit = Unit::Real;
        worth(Tiles { unit, parts, isa }, &cost)
    }

    #[test]
    fn wide_layers_go_to_the_tiles_and_narrow_ones_do_not() {
        for parts in 1..=3 {
            assert!(real(parts, 64, 1024) && real(parts, 32, 4096) && !real(parts, 8, 1024));
        }
        // Half-filled tiles pay with few products only.
        assert!(!real(3, 16, 1024) && real(1, 16, 1024));
    }
}
