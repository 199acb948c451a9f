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
    fn largest(values: &[f32], result: &mut u32) {
        *result = values.iter().fold(0, |m, x| m.max(x.to_bits() & 0x7fff_ffff));
    }
);

/// Whether numbers whose largest absolute value has these bits can be split.
#[inline(always)]
pub(crate) fn splits(largest: u32) -> bool {
    largest == 0 || (TOO_SMALL..TOO_LARGE).contains(&largest)
}

/// The bits of the largest absolute value, where NaN is the largest.
pub(crate) fn largest_of(isa: Isa, values: &[f32]) -> u32 {
    let mut bits = 0;
    largest(isa, values, &mut bits);
    bits
}

/// Whether all of these numbers can be split: they are finite, none is huge, and they are not all tiny.
pub(crate) fn in_range(isa: Isa, values: &[f32]) -> bool {
    splits(largest_of(isa, values))
}

/// The bits of the nearest bf16 number as f32, ties to even.
#[inline(always)]
fn nearest(x: f32) -> u32 {
    let bits = x.to_bits();
    // NaN may run over; it is seen before its parts are used.
    bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000
}

/// A line of numbers, of which one part after the other is taken away.
struct Rest([f32; SIDE]);

impl Rest {
    /// The bits of the next part, which is what remains loses.
    #[inline(always)]
    fn take(&mut self) -> [u32; SIDE] {
        let mut part = [0; SIDE];
        for (x, part) in self.0.iter_mut().zip(&mut part) {
            *part = nearest(*x);
            *x -= f32::from_bits(*part);
        }
        part
    }
}

/// A line of 32 numbers.
#[inline(always)]
fn line(from: &[f32]) -> Rest {
    let mut rest = [0.0; SIDE];
    rest.copy_from_slice(&from[..SIDE]);
    Rest(rest)
}

/// Writes 32 lines of 32 numbers into words, `stride` elements apart from element `at` on: the same
/// elements of each part.
pub(crate) fn write_left(
    isa: Isa,
    parts: usize,
    from: &Block,
    to: &mut [u16],
    (at, stride): (usize, usize),
    plane: usize,
) {
    let reach = at + (SIDE - 1) * stride + SIDE;
    match (isa, parts) {
        (_, PLAIN) => write_plain(from, to, (at, stride)),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, _) => {
            assert!(
                reach + (parts - 1) * plane <= to.len(),
                "split: the words end early"
            );
            // SAFETY: the processor has the set; all lines end before the words do.
            unsafe { super::vectors::write_left(parts, from, &mut to[at..], stride, plane) }
        }
        _ => {
            for (index, from) in from.0.chunks_exact(SIDE).enumerate() {
                let mut rest = line(from);
                for p in 0..parts {
                    let to = &mut to[p * plane + at + index * stride..][..SIDE];
                    for (to, part) in to.iter_mut().zip(rest.take()) {
                        *to = (part >> 16) as u16;
                    }
                }
            }
        }
    }
}

fn write_plain(from: &Block, to: &mut [u16], (at, stride): (usize, usize)) {
    for (index, from) in from.0.chunks_exact(SIDE).enumerate() {
        let to = &mut to[2 * (at + index * stride)..];
        for (x, to) in from.iter().zip(to.as_chunks_mut::<2>().0) {
            *to = [x.to_bits() as u16, (x.to_bits() >> 16) as u16];
        }
    }
}

/// Writes 32 × 32 numbers `[k][column]` as one step of B: see [`super::tile::Right`].
pub(crate) fn write_right(isa: Isa, parts: usize, from: &Block, to: &mut [u16]) {
    match (isa, parts) {
        (_, PLAIN) => write_plain(from, to, (0, SIDE)),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, _) => {
            assert!(parts * BLOCK <= to.len(), "split: the words end early");
            // SAFETY: the processor has the set; the words hold all parts.
            unsafe { super::vectors::write_right(parts, from, to) }
        }
        _ => write_pairs(parts, from, to),
    }
}

fn write_pairs(parts: usize, from: &Block, to: &mut [u16]) {
    for pair in 0..SIDE / 2 {
        let mut even = line(from.row(2 * pair));
        let mut odd = line(from.row(2 * pair + 1));
        for p in 0..parts {
            let (even, odd) = (even.take(), odd.take());
            for tile in 0..2 {
                let to = &mut to[p * BLOCK + tile * 512 + pair * 32..][..32];
                let (even, odd) = (&even[tile * 16..][..16], &odd[tile * 16..][..16]);
                for ((to, even), odd) in to.as_chunks_mut::<2>().0.iter_mut().zip(even).zip(odd) {
                    *to = [(even >> 16) as u16, (odd >> 16) as u16];
                }
            }
        }
    }
}

/// Rows become columns.
pub(crate) fn transpose(isa: Isa, from: &Block, to: &mut Block) {
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx512 {
        // SAFETY: the processor has the set.
        return unsafe { super::vectors::transpose(from, to) };
    }
    for (index, to) in to.0.iter_mut().enumerate() {
        *to = from.0[index % SIDE * SIDE + index / SIDE];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The first three parts of a number.
    fn split(x: f32) -> [f32; 3] {
        let of = |isa| {
            let mut words = vec![0; 3 * BLOCK];
            write_left(isa, 3, &Block([x; BLOCK]), &mut words, (0, SIDE), BLOCK);
            words
        };
        let words = of(Isa::detect());
        assert!(words == of(Isa::Scalar));
        [0, 1, 2].map(|p| f32::from_bits(u32::from(words[p * BLOCK + 5]) << 16))
    }

    proptest! {
        #[test]
        fn three_parts_keep_every_bit_and_two_keep_sixteen(bits in any::<u32>()) {
            let x = f32::from_bits(bits);
            prop_assume!(x.is_finite() && x.abs() < 1e15 && x.abs() > 1e-12);
            let [hi, mid, lo] = split(x);
            prop_assert_eq!(lo + mid + hi, x);
            prop_assert!((hi - x).abs() <= x.abs() / 256.0);
            prop_assert!((f64::from(hi) + f64::from(mid) - f64::from(x)).abs() <= f64::from(x.abs()) / 65536.0);
        }
    }

    #[test]
    fn a_tie_goes_to_the_even_neighbour() {
        // 1 + 2⁻⁸ lies between the bf16 numbers 1 and 1 + 2⁻⁷.
        assert_eq!(split(1.0 + 1.0 / 256.0)[0], 1.0);
        assert_eq!(split(1.0 + 3.0 / 256.0)[0], 1.0 + 1.0 / 64.0);
    }

    #[test]
    fn a_step_of_b_holds_pairs_of_k() {
        let from = Block(std::array::from_fn(|i| {
            (i / SIDE * 2) as f32 + (i % SIDE) as f32 / 64.0
        }));
        let of = |isa| {
            let mut words = vec![0; 2 * BLOCK];
            write_right(isa, 2, &from, &mut words);
            words
        };
        let words = of(Isa::detect());
        assert!(words == of(Isa::Scalar));
        let value = |at: usize| f32::from_bits(u32::from(words[at]) << 16);
        for (k, column) in [(0, 0), (5, 3), (8, 17), (31, 31)] {
            let at = column / 16 * 512 + k / 2 * 32 + column % 16 * 2 + k % 2;
            assert_eq!(value(at) + value(BLOCK + at), from.row(k)[column]);
        }
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
        for isa in Isa::available() {
            let (mut turned, mut back) = (Block::ZERO, Block::ZERO);
            transpose(isa, &from, &mut turned);
            assert_eq!(turned.row(3)[17], from.row(17)[3]);
            transpose(isa, &turned, &mut back);
            assert_eq!(back.0, from.0);
        }
    }
}
