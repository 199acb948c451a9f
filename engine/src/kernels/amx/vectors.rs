//! The work of `split` on AVX-512 vectors, which every processor with AMX has. The compiler makes
//! vectors of the plain loops only now and then, and splitting is what the tile unit waits for.

use std::arch::x86_64::*;

use super::tile::{BLOCK, Block, SIDE};

/// The bits of the nearest bf16 numbers as f32, ties to even.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn nearest(x: __m512) -> __m512i {
    let bits = _mm512_castps_si512(x);
    let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
    let half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
    _mm512_and_si512(
        _mm512_add_epi32(bits, half),
        _mm512_set1_epi32(0xffff_0000_u32 as i32),
    )
}

/// The next part of each number, which is what remains loses.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn take(rest: &mut __m512) -> __m512i {
    let part = nearest(*rest);
    *rest = _mm512_sub_ps(*rest, _mm512_castsi512_ps(part));
    part
}

/// 16 numbers of a block.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(from: &Block, at: usize) -> __m512 {
    let numbers = &from.0[at..][..16];
    // SAFETY: 16 numbers were sliced.
    unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
}

/// `split::write_left`, from the first word on.
///
/// # Safety
/// `to` holds all lines of all parts.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn write_left(parts: usize, from: &Block, to: &mut [u16], stride: usize, plane: usize) {
    for row in 0..SIDE {
        let mut rest = [load(from, row * SIDE), load(from, row * SIDE + 16)];
        for p in 0..parts {
            for (half, rest) in rest.iter_mut().enumerate() {
                let words = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(take(rest)));
                // SAFETY: by the contract.
                unsafe {
                    let to = to.as_mut_ptr().add(p * plane + row * stride + half * 16);
                    _mm256_storeu_si256(to.cast(), words);
                }
            }
        }
    }
}

/// `split::write_right`.
///
/// # Safety
/// `to` holds all parts.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn write_right(parts: usize, from: &Block, to: &mut [u16]) {
    for pair in 0..SIDE / 2 {
        for tile in 0..2 {
            let mut even = load(from, 2 * pair * SIDE + tile * 16);
            let mut odd = load(from, (2 * pair + 1) * SIDE + tile * 16);
            for p in 0..parts {
                let low = _mm512_srli_epi32::<16>(take(&mut even));
                let words = _mm512_or_si512(low, take(&mut odd));
                // SAFETY: by the contract.
                unsafe {
                    let to = to.as_mut_ptr().add(p * BLOCK + tile * 512 + pair * 32);
                    _mm512_storeu_si512(to.cast(), words);
                }
            }
        }
    }
}

/// `split::transpose`: four squares of 16 × 16.
#[target_feature(enable = "avx512f")]
pub(super) fn transpose(from: &Block, to: &mut Block) {
    for (i, j) in [(0, 0), (0, 16), (16, 0), (16, 16)] {
        let columns = square(std::array::from_fn(|r| load(from, (i + r) * SIDE + j)));
        for (c, column) in columns.into_iter().enumerate() {
            let to = &mut to.0[(j + c) * SIDE + i..][..16];
            // SAFETY: 16 numbers were sliced.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), column) };
        }
    }
}

/// Pairs, then fours, of neighbouring rows are interleaved inside the vectors' quarters; then quarters
/// change places.
#[inline]
#[target_feature(enable = "avx512f")]
fn square(rows: [__m512; 16]) -> [__m512; 16] {
    let (mut pairs, mut fours, mut eights, mut result) = (rows, rows, rows, rows);
    for k in (0..16).step_by(2) {
        pairs[k] = _mm512_unpacklo_ps(rows[k], rows[k + 1]);
        pairs[k + 1] = _mm512_unpackhi_ps(rows[k], rows[k + 1]);
    }
    for k in (0..16).step_by(4) {
        let pair = |n: usize| _mm512_castps_pd(pairs[k + n]);
        fours[k] = _mm512_castpd_ps(_mm512_unpacklo_pd(pair(0), pair(2)));
        fours[k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(pair(0), pair(2)));
        fours[k + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(pair(1), pair(3)));
        fours[k + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(pair(1), pair(3)));
    }
    for k in [0, 1, 2, 3, 8, 9, 10, 11] {
        eights[k] = _mm512_shuffle_f32x4::<0x88>(fours[k], fours[k + 4]);
        eights[k + 4] = _mm512_shuffle_f32x4::<0xdd>(fours[k], fours[k + 4]);
    }
    for k in 0..8 {
        result[k] = _mm512_shuffle_f32x4::<0x88>(eights[k], eights[k + 8]);
        result[k + 8] = _mm512_shuffle_f32x4::<0xdd>(eights[k], eights[k + 8]);
    }
    result
}
