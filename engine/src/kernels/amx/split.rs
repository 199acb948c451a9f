//! f32 numbers as sums of bf16 numbers: x = hi + mid + lo, each part the rest of what came before,
//! rounded to nearest even. Two parts keep 16 to 17 bits of x, three keep all 24.
//!
//! Parts of a number below 2⁻¹⁰³ may be denormal, which the tile unit takes for 0, and a number near the
//! largest rounds to infinity. So the numbers that are split together are looked at first ([`in_range`]).
//! Those out of range are kept as they are, in the same place: `parts` is then [`PLAIN`].

use super::super::Isa;
use super::tile::{BLOCK, Block, SIDE};
use crate::per_isa;

/// In place of a number of parts: the numbers are not split, each takes two words.
pub(crate) const PLAIN: usize = 0;

/// From here on a block is too large to be split: products stay below 2¹⁰⁰, so that sums of any length
/// that fits into memory stay finite. Infinities and NaN are larger still.
const TOO_LARGE: u32 = (127 + 50) << 23;
/// Below this a block as a whole is too small. With both operands above it, what the tile unit drops as
/// denormal is less than 2⁻⁴⁶ of the product of the largest numbers.
const TOO_SMALL: u32 = (127 - 40) << 23;

per_isa!(
    /// The bits of the largest absolute value, where NaN is the largest.
    fn largest(values: &[f32], result: &mut u32) {
        *result = values.iter().fold(0, |m, x| m.max(x.to_bits() & 0x7fff_ffff));
    }
);

/// Whether numbers whose largest absolute value has these bits can be split.
#[inline(always)]
pub(crate) fn splits(largest: u32) -> bool {
    largest == 0 || (TOO_SMALL..TOO_LARGE).contains(&largest)
}

/// Whether all of these numbers can be split: they are finite, none is huge, and they are not all tiny.
pub(crate) fn in_range(isa: Isa, values: &[f32]) -> bool {
    let mut bits = 0;
    largest(isa, values, &mut bits);
    splits(bits)
}

/// The nearest bf16 number, and what is left.
#[inline(always)]
fn part(x: f32) -> (u16, f32) {
    let bits = x.to_bits();
    let word = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    (word as u16, x - f32::from_bits(word << 16))
}

/// All parts of a number; those beyond `P` are not needed and cost nothing.
#[inline(always)]
pub(crate) fn split<const P: usize>(x: f32) -> [u16; P] {
    let mut rest = x;
    std::array::from_fn(|_| {
        let (word, left) = part(rest);
        rest = left;
        word
    })
}

/// A number as it is, in two words.
#[inline(always)]
fn plain(x: f32) -> [u16; 2] {
    [x.to_bits() as u16, (x.to_bits() >> 16) as u16]
}

/// Writes numbers into words from element `at` on: the same element of each part.
#[inline(always)]
pub(crate) fn write_left(parts: usize, from: &[f32], to: &mut [u16], at: usize, plane: usize) {
    match parts {
        PLAIN => {
            for (x, to) in from.iter().zip(to[2 * at..].as_chunks_mut::<2>().0) {
                *to = plain(*x);
            }
        }
        1 => write_parts::<1>(from, to, at, plane),
        2 => write_parts::<2>(from, to, at, plane),
        _ => write_parts::<3>(from, to, at, plane),
    }
}

#[inline(always)]
fn write_parts<const P: usize>(from: &[f32], to: &mut [u16], at: usize, plane: usize) {
    let mut planes = to[at..].chunks_mut(plane);
    let mut planes: [&mut [u16]; P] =
        std::array::from_fn(|_| planes.next().map_or(&mut [][..], |p| &mut p[..from.len()]));
    for (index, &x) in from.iter().enumerate() {
        let words = split::<P>(x);
        for (plane, word) in planes.iter_mut().zip(words) {
            plane[index] = word;
        }
    }
}

/// Writes 32 × 32 numbers `[k][column]` as one step of B: see [`super::tile::Right`].
#[inline(always)]
pub(crate) fn write_right(parts: usize, from: &Block, to: &mut [u16]) {
    match parts {
        PLAIN => write_left(PLAIN, &from.0, to, 0, 0),
        1 => write_pairs::<1>(from, to),
        2 => write_pairs::<2>(from, to),
        _ => write_pairs::<3>(from, to),
    }
}

#[inline(always)]
fn write_pairs<const P: usize>(from: &Block, to: &mut [u16]) {
    for pair in 0..SIDE / 2 {
        let (even, odd) = (from.row(2 * pair), from.row(2 * pair + 1));
        for tile in 0..2 {
            for n in 0..16 {
                let column = tile * 16 + n;
                let (a, b) = (split::<P>(even[column]), split::<P>(odd[column]));
                for p in 0..P {
                    let at = p * BLOCK + tile * 512 + pair * 32 + n * 2;
                    (to[at], to[at + 1]) = (a[p], b[p]);
                }
            }
        }
    }
}

/// Rows become columns.
#[inline(always)]
pub(crate) fn transpose(from: &Block, to: &mut Block) {
    // Small squares, so that neither side leaves the registers and lines it is in.
    for (i, j) in (0..16).map(|square| (square / 4 * 8, square % 4 * 8)) {
        let rows: [[f32; 8]; 8] = std::array::from_fn(|r| {
            let row = &from.0[(i + r) * SIDE + j..][..8];
            std::array::from_fn(|c| row[c])
        });
        let columns: [[f32; 8]; 8] = std::array::from_fn(|c| std::array::from_fn(|r| rows[r][c]));
        for (c, column) in columns.iter().enumerate() {
            to.0[(j + c) * SIDE + i..][..8].copy_from_slice(column);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(word: u16) -> f32 {
        f32::from_bits(u32::from(word) << 16)
    }

    proptest! {
        #[test]
        fn three_parts_keep_every_bit_and_two_keep_sixteen(bits in any::<u32>()) {
            let x = f32::from_bits(bits);
            prop_assume!(x.is_finite() && x.abs() < 1e15 && x.abs() > 1e-12);
            let [hi, mid, lo] = split::<3>(x).map(value);
            prop_assert_eq!(lo + mid + hi, x);
            prop_assert!((hi - x).abs() <= x.abs() / 256.0);
            prop_assert!((f64::from(hi) + f64::from(mid) - f64::from(x)).abs() <= f64::from(x.abs()) / 65536.0);
            prop_assert_eq!(split::<1>(x)[0], split::<3>(x)[0]);
        }
    }

    #[test]
    fn a_tie_goes_to_the_even_neighbour() {
        // 1 + 2⁻⁸ lies between the bf16 numbers 1 and 1 + 2⁻⁷.
        assert_eq!(value(split::<1>(1.0 + 1.0 / 256.0)[0]), 1.0);
        assert_eq!(value(split::<1>(1.0 + 3.0 / 256.0)[0]), 1.0 + 1.0 / 64.0);
    }

    #[test]
    fn what_cannot_be_split_is_seen() {
        let isa = Isa::detect();
        for bad in [
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            f32::MAX,
            -1e20,
            1e-41,
            -1e-30,
        ] {
            let mut values = vec![0.0; 100];
            values[37] = bad;
            assert!(!in_range(isa, &values), "{bad}");
        }
        // Small numbers among larger ones do no harm.
        assert!(in_range(isa, &[1.0, 1e-41, -1e-30, 0.0]) && in_range(isa, &[0.0; 9]) && in_range(isa, &[]));
    }

    #[test]
    fn a_block_turned_twice_is_itself() {
        let from = Block(std::array::from_fn(|i| i as f32));
        let (mut turned, mut back) = (Block::ZERO, Block::ZERO);
        transpose(&from, &mut turned);
        assert_eq!(turned.row(3)[17], from.row(17)[3]);
        transpose(&turned, &mut back);
        assert_eq!(back.0, from.0);
    }
}
