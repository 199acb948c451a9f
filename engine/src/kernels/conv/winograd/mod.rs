//! 3×3 convolution at stride 1 by Winograd's minimal filtering F(2×2, 3×3): sixteen products for four pixels where
//! the plain sum takes thirty-six.
//!
//! Y = Aᵀ [ (G w Gᵀ) ⊙ (Bᵀ d B) ] A for a tile of 4×4 pixels d, a filter w, and 2×2 results Y, with
//!
//! ```text
//!      ⎡1  0 −1  0⎤       ⎡ 1   0   0⎤
//! Bᵀ = ⎢0  1  1  0⎥   G = ⎢ ½   ½   ½⎥   Aᵀ = ⎡1  1  1  0⎤
//!      ⎢0 −1  1  0⎥       ⎢ ½  −½   ½⎥        ⎣0  1 −1  1⎦
//!      ⎣0 −1  0  1⎦       ⎣ 0   0   1⎦
//! ```
//!
//! ⊙ becomes sixteen matrix products over the channels, one for each of the tile's *frequencies*. After Lavin and Gray,
//! "Fast Algorithms for Convolutional Neural Networks" (2015). A sum runs over the channels alone instead of channels
//! and taps, so that the result is, if anything, closer to the exact one than f32 multiply-adds in a row
//! (`engine/tests/winograd.rs`); larger tiles would save more and lose digits.
//!
//! At the precision `highest` the products of wide layers go to the tile unit, if there is one: transformed tiles and
//! filters are split into three parts then (`tiles`).
//!
//! Numbers that the transforms cannot take (infinities, NaN, sums beyond the largest f32) show as results that are
//! not finite; those rows are computed again straight from the image.

// Rows and columns of small matrices are numbered as in the formulas.
#![allow(clippy::needless_range_loop)]

mod filters;
mod gather;
mod image;
mod split;
mod spread;
mod sums;
mod tiles;
mod weights;

use super::geometry::Axis;
use super::pass::Pass;
use crate::kernels::Isa;

pub use filters::Filters;
pub(super) use image::{build, suits};
pub(super) use split::build as build_split;
pub(super) use tiles::tiles;
pub(super) use weights::{build as build_weights, suits as suits_weights};

/// Channels, before and after, that make the products outweigh the transforms.
const NARROWEST: usize = 16;
/// Rows and columns of a result below which tiles are mostly edge.
const SMALLEST: usize = 4;
/// Products for a tile: its frequencies.
const FREQUENCIES: usize = 16;
/// Bytes of transformed tiles that are worked on together, where the filters fit a core's cache beside them.
const NEAR: usize = 1 << 19;
/// Tiles that are worked on together at least, so that filters which fit no cache are read seldom.
const LEAST_TILES: usize = 112;
/// Filling between rows and between frequencies, so that they do not share cache sets.
const GAP: usize = 16;
/// Rows of multiples of so many elements share cache sets.
const SHARED: usize = 128;
/// Elements of the stretch of memory whose parts share cache sets.
const ALIAS: usize = 1024;

/// How the transformed tiles of an image lie: `[frequency][tile][channels]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Planes {
    /// From one tile to the next.
    row: usize,
    /// From one frequency to the next.
    plane: usize,
}

impl Planes {
    fn new(tiles: usize, channels: usize) -> Self {
        let whole = channels.next_multiple_of(GAP);
        let row = if whole.is_multiple_of(SHARED) {
            whole + GAP
        } else {
            whole
        };
        let full = tiles * row;
        let apart = (5 * GAP + ALIAS - full % ALIAS) % ALIAS;
        Self {
            row,
            plane: full + apart,
        }
    }

    fn elements(&self) -> usize {
        FREQUENCIES * self.plane
    }
}

/// Tile rows that are worked on together, of `wide` tiles each, where a tile has so many channels before and after: at
/// least so many tiles.
fn together(wide: usize, channels: usize, least: usize) -> usize {
    let tiles = (NEAR / (FREQUENCIES * 4 * channels)).max(least);
    (tiles / wide).max(1)
}

/// The distance of the first of three taps side by side.
fn side_by_side(axis: &Axis) -> Option<isize> {
    let first = axis.taps.first()?.1;
    let distances = axis.taps.iter().map(|tap| tap.1);
    (axis.step == 1 && axis.taps.len() == 3 && distances.eq(first..first + 3)).then_some(first)
}

/// The distance of a tile's first pixel from its first result where `pass` is one of 3×3 taps side by side.
fn first_tap(pass: &Pass) -> Option<[isize; 2]> {
    let [phase] = &pass.phases[..] else {
        return None;
    };
    let plain = pass.kernel == [3, 3] && pass.groups == 1 && pass.step == [1, 1];
    let first = [side_by_side(&phase.rows)?, side_by_side(&phase.columns)?];
    plain.then_some(first)
}
