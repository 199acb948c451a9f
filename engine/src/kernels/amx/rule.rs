//! Which products go to the tile unit: the one place where that is decided.
//!
//! Estimated from what a prototype measured on one core of a processor with AMX at about 2.8 GHz:
//!
//! | | 1 part | 2 parts | 3 parts | f32 FMA |
//! |---|---|---|---|---|
//! | operands in the first cache, GFLOP/s | 3,780 | 1,290 | 610 | 235 (peak) |
//! | B from the second cache | 2,350 | 940–1,060 | – | 190–215 |
//! | whole convolution layers, splitting and bias included | 1,000–1,700 | 450–780 | 245–417 | 180–212 |
//!
//! Splitting takes 0.10–0.15 ns for each part of a number, 0.15–0.2 where it is transposed as well (this
//! code, on AVX-512). Blocks that are only partly filled cost as
//! much as full ones. Three parts are never less exact than FMA (`engine/tests/amx_accuracy.rs`), so
//! `highest` may take either, and takes the faster one.

use super::tile::{BLOCK, SIDE, Tiles, Unit};

/// What a product costs on tiles, per sample or as a whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// Multiply-adds of the op, or as many as take the time of its f32 kernels.
    pub macs: usize,
    /// Steps of 32 × 32 × 32 that the tiles make, filling included.
    pub blocks: usize,
    /// Numbers that are split.
    pub splits: usize,
    /// The smallest of rows, depth (in channels) and columns.
    pub narrowest: usize,
}

/// Narrower operands leave most of a tile empty.
const NARROWEST: usize = 16;
/// Multiply-adds per nanosecond of the FMA kernels.
const FMA: f64 = 100.0;
/// Nanoseconds for each part of a number that is split.
const SPLIT: f64 = 0.15;

/// Multiply-adds per nanosecond of the tile unit, operands from the second cache.
fn rate(parts: usize) -> f64 {
    match parts {
        1 => 1150.0,
        2 => 500.0,
        _ => 270.0,
    }
}

/// Whether the tile unit is expected to be faster. The emulated unit takes all that it can, to be tested.
pub(super) fn worth(tiles: Tiles, cost: &Cost) -> bool {
    if tiles.unit == Unit::Emulated {
        return true;
    }
    let tile_time =
        (cost.blocks * BLOCK * SIDE) as f64 / rate(tiles.parts) + (cost.splits * tiles.parts) as f64 * SPLIT;
    cost.narrowest >= NARROWEST && tile_time < cost.macs as f64 / FMA
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    fn real(parts: usize, channels: usize, pixels: usize) -> bool {
        let blocks = channels.div_ceil(SIDE);
        let cost = Cost {
            macs: 9 * channels * channels * pixels,
            blocks: 9 * blocks * blocks * pixels.div_ceil(SIDE),
            splits: blocks * SIDE * pixels,
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
