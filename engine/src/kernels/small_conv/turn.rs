//! Planes of a few outputs, a vector each, turned into pixels of neighbouring outputs.

use super::listing::Listing;
use crate::kernels::Isa;
use crate::kernels::simd::Portable;

/// How a tile `[outputs, lanes]` becomes `[lanes, outputs]`: for each vector of the result and each two
/// planes, which lanes of theirs go where.
pub(super) struct Turn {
    isa: Isa,
    outputs: usize,
    /// `[outputs vectors, pairs of planes, lanes]`
    index: Vec<u32>,
}

impl Turn {
    pub(super) fn new(isa: Isa, outputs: usize) -> Self {
        let lanes = isa.lanes();
        let mut index = Vec::new();
        for (vector, pair) in (0..outputs).flat_map(|v| (0..outputs.div_ceil(2)).map(move |p| (v, p))) {
            for element in (0..lanes).map(|lane| vector * lanes + lane) {
                let (pixel, output) = (element / outputs, element % outputs);
                let plane = output.wrapping_sub(2 * pair);
                let from = if plane < 2 {
                    plane * lanes + pixel
                } else {
                    usize::MAX
                };
                index.push(u32::try_from(from).unwrap_or(u32::MAX));
            }
        }
        Self { isa, outputs, index }
    }

    /// Elements of a tile: an even number of planes.
    pub(super) fn tile(&self) -> usize {
        self.outputs.next_multiple_of(2) * self.isa.lanes()
    }

    /// A vector of neighbouring pixels, of planes that are at hand.
    ///
    /// # Safety
    /// The instruction set of `S` is there, and the turn was made for it and for `P` planes.
    #[inline(always)]
    pub(super) unsafe fn vector<S: Listing, const P: usize>(&self, number: usize, planes: &[S; P]) -> S {
        debug_assert!(P == self.outputs && S::LANES == self.isa.lanes());
        // SAFETY: by the contract the index has a vector for each two planes.
        unsafe {
            let index = self.index.as_ptr().add(number * P.div_ceil(2) * S::LANES);
            let mut sum = S::zero();
            for pair in 0..P.div_ceil(2) {
                let second = planes[(2 * pair + 1).min(P - 1)];
                let picked = planes[2 * pair].pick(second, index.add(pair * S::LANES));
                sum = sum.or_bits(picked);
            }
            sum
        }
    }

    /// Writes as many pixels as `to` holds, a vector's lanes at most.
    pub(super) fn write(&self, tile: &[f32], to: &mut [f32]) {
        assert!(tile.len() >= self.tile() && to.len() <= self.outputs * self.isa.lanes());
        // SAFETY: the sizes were asserted and the index was made for them; `isa` was detected.
        unsafe {
            match self.isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => avx512(self, tile, to),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => avx2(self, tile, to),
                _ => write_with::<Portable>(self, tile, to),
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
unsafe fn avx512(turn: &Turn, tile: &[f32], to: &mut [f32]) {
    // SAFETY: handed on from `Turn::write`.
    unsafe { write_with::<crate::kernels::simd::x86::Avx512>(turn, tile, to) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(turn: &Turn, tile: &[f32], to: &mut [f32]) {
    // SAFETY: handed on from `Turn::write`.
    unsafe { write_with::<crate::kernels::simd::x86::Avx2>(turn, tile, to) }
}

#[inline(always)]
unsafe fn write_with<S: Listing>(turn: &Turn, tile: &[f32], to: &mut [f32]) {
    let pairs = turn.outputs.div_ceil(2);
    let vectors = to
        .chunks_mut(S::LANES)
        .zip(turn.index.chunks_exact(pairs * S::LANES));
    for (to, index) in vectors {
        // SAFETY: the tile holds two planes for each pair, as `Turn::write` asserted.
        unsafe {
            let mut sum = S::zero();
            for pair in 0..pairs {
                let planes = tile.as_ptr().add(2 * pair * S::LANES);
                let picked =
                    S::load(planes).pick(S::load(planes.add(S::LANES)), index.as_ptr().add(pair * S::LANES));
                sum = sum.or_bits(picked);
            }
            sum.store_first(to.as_mut_ptr(), to.len());
        }
    }
}
