//! Both operands of a sum over pixels: a laid strip (`frame`) turned, so that pixels run along the sum.
//!
//! Channels come out in an order of their own inside each block of 32, [`place`], which is that of the vectors'
//! interleaving; whoever uses the products puts them back.

use super::tile::{BLOCK, SIDE};
use crate::Isa;

/// The channel at position `at` of a block of 32.
pub(super) const fn place(at: usize) -> usize {
    at % 16 / 4 * 8 + at / 16 * 4 + at % 4
}

/// Pairs of neighbouring pixels, as B reads them: `count` pairs `[pair][32 positions][2]` from pixels `[pixel][32]`.
///
/// # Panics
/// When either ends early, which is an error of the caller.
pub(super) fn pairs(isa: Isa, from: &[u16], to: &mut [u16], count: usize) {
    assert!(count * 2 * SIDE <= from.len() && count * 2 * SIDE <= to.len());
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => {
            // SAFETY: the processor has the set, and the words were counted.
            unsafe { super::vectors::pairs(from.as_ptr(), to.as_mut_ptr(), count) }
        }
        _ => {
            let pairs = from.chunks_exact(2 * SIDE).zip(to.chunks_exact_mut(2 * SIDE));
            for (from, to) in pairs.take(count) {
                for (at, to) in to.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                    *to = [from[place(at)], from[SIDE + place(at)]];
                }
            }
        }
    }
}

/// Channels as rows of A: `steps` blocks of 32 rows of 32 pixels, `apart` words from one to the next, from pixels
/// `[pixel][32]`.
///
/// # Panics
/// When either ends early, which is an error of the caller.
pub(super) fn turned(isa: Isa, from: &[u16], to: &mut [u16], apart: usize, steps: usize) {
    let blocks = from.as_chunks::<BLOCK>().0[..steps].iter();
    for (from, to) in blocks.zip(to.chunks_mut(apart)) {
        let to = &mut to[..BLOCK];
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                // SAFETY: the processor has the set, and both are blocks.
                unsafe { super::vectors::turned(from.as_ptr(), to.as_mut_ptr()) }
            }
            _ => {
                for (at, pixel) in (0..SIDE).flat_map(|at| (0..SIDE).map(move |pixel| (at, pixel))) {
                    to[at * SIDE + pixel] = from[pixel * SIDE + place(at)];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_and_plain_code_agree_and_lose_nothing() {
        let from: Vec<u16> = (0..64 * 32).map(|x| x as u16).collect();
        let of = |isa| {
            let (mut paired, mut rows) = (vec![0; 31 * 64], vec![0; 2 * BLOCK]);
            pairs(isa, &from[32..], &mut paired, 31);
            turned(isa, &from, &mut rows, BLOCK, 2);
            (paired, rows)
        };
        let (paired, rows) = of(Isa::Scalar);
        assert!(of(Isa::detect()) == (paired.clone(), rows.clone()));
        // Pixels 1 and 2 of channel 5, wherever it stands.
        let at = (0..32).find(|&at| place(at) == 5).unwrap_or(99);
        assert_eq!(paired[2 * at..2 * at + 2], [32 + 5, 64 + 5]);
        assert_eq!(rows[BLOCK + at * 32 + 8], 40 * 32 + 5);
        let mut places: Vec<usize> = (0..32).map(place).collect();
        places.sort_unstable();
        assert!(places.into_iter().eq(0..32));
    }
}
