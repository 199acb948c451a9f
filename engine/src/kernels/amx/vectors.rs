//! The work of `split` on AVX-512 vectors, which every processor with AMX has. The compiler makes
//! vectors of the plain loops only now and then, and splitting is what the tile unit waits for.

use std::arch::x86_64::*;

use super::split::Run;
use super::tile::{BLOCK, Block, SIDE};
use crate::kernels::simd::x86::{first16, upper_halves};

/// The bits of numbers so that the upper half of each is the nearest bf16 number, ties away from zero.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn rounded(x: __m512) -> __m512i {
    _mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000))
}

/// What remains of numbers without their next part, whose bits `rounded` has.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn rest(x: __m512, rounded: __m512i) -> __m512 {
    let part = _mm512_and_si512(rounded, _mm512_set1_epi32(0xffff_0000_u32 as i32));
    _mm512_sub_ps(x, _mm512_castsi512_ps(part))
}

/// The upper halves of 16 numbers, then of 16 more.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn halves(first: __m512i, second: __m512i) -> __m512i {
    // SAFETY: the function's own features.
    unsafe { upper_halves(first, second) }
}

/// 16 numbers of a block.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(from: &Block, at: usize) -> __m512 {
    let numbers = &from.0[at..][..16];
    // SAFETY: 16 numbers were sliced.
    unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
}

/// `split::lay`.
///
/// # Safety
/// `from` has all pixels of the run, `to` all lines of all parts, `plane` words apart.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn lay(parts: usize, from: *const f32, run: Run, to: *mut u16, plane: usize) -> u32 {
    // SAFETY: handed on.
    unsafe {
        match parts {
            1 => lay_parts::<1>(from, run, to, plane),
            2 => lay_parts::<2>(from, run, to, plane),
            _ => lay_parts::<3>(from, run, to, plane),
        }
    }
}

/// # Safety
/// As [`lay`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn lay_parts<const PARTS: usize>(from: *const f32, run: Run, to: *mut u16, plane: usize) -> u32 {
    let masks = [first16(run.channels), first16(run.channels.saturating_sub(16))];
    let magnitude = _mm512_set1_epi32(0x7fff_ffff);
    let mut largest = _mm512_setzero_si512();
    for pixel in 0..run.count {
        // SAFETY: by the contract; masked lanes are not read.
        let mut numbers = unsafe {
            let from = from.add(pixel * run.stride);
            [
                _mm512_maskz_loadu_ps(masks[0], from),
                _mm512_maskz_loadu_ps(masks[1], from.wrapping_add(16)),
            ]
        };
        for x in numbers {
            largest = _mm512_max_epu32(largest, _mm512_and_si512(_mm512_castps_si512(x), magnitude));
        }
        for part in 0..PARTS {
            let [a, b] = [rounded(numbers[0]), rounded(numbers[1])];
            // SAFETY: by the contract.
            unsafe { _mm512_storeu_si512(to.add(part * plane + pixel * SIDE).cast(), halves(a, b)) };
            if part + 1 < PARTS {
                numbers = [rest(numbers[0], a), rest(numbers[1], b)];
            }
        }
    }
    _mm512_reduce_max_epu32(largest)
}

/// `split::lay_numbers` of bf16 numbers.
///
/// # Safety
/// `from` has all pixels of the run, `to` all lines.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn lay_words(from: *const u16, run: Run, to: *mut u16) -> u32 {
    let mask = match run.channels {
        SIDE.. => !0,
        few => (1 << few) - 1,
    };
    let magnitude = _mm512_set1_epi16(0x7fff);
    let mut largest = _mm512_setzero_si512();
    for pixel in 0..run.count {
        // SAFETY: by the contract; masked lanes are not read.
        let words = unsafe { _mm512_maskz_loadu_epi16(mask, from.add(pixel * run.stride).cast()) };
        largest = _mm512_max_epu16(largest, _mm512_and_si512(words, magnitude));
        // SAFETY: by the contract.
        unsafe { _mm512_storeu_si512(to.add(pixel * SIDE).cast(), words) };
    }
    let upper = _mm512_and_si512(largest, _mm512_set1_epi32(0xffff_0000_u32 as i32));
    let lower = _mm512_slli_epi32::<16>(largest);
    _mm512_reduce_max_epu32(_mm512_max_epu32(upper, lower))
}

/// `split::pair`.
///
/// # Safety
/// `from` has `rows` rows of `columns` numbers, at most 32 of each, `stride` apart; `to` 1024 words for each part.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn pair(
    parts: usize,
    from: *const f32,
    size: (usize, usize, usize),
    to: *mut u16,
    plane: usize,
) -> u32 {
    // SAFETY: handed on.
    unsafe {
        match (parts, size.0 == SIDE && size.1 == SIDE) {
            (1, true) => pair_parts::<1, true>(from, size, to, plane),
            (2, true) => pair_parts::<2, true>(from, size, to, plane),
            (_, true) => pair_parts::<3, true>(from, size, to, plane),
            (1, false) => pair_parts::<1, false>(from, size, to, plane),
            (2, false) => pair_parts::<2, false>(from, size, to, plane),
            (_, false) => pair_parts::<3, false>(from, size, to, plane),
        }
    }
}

/// `WHOLE`: of 32 rows and columns.
///
/// # Safety
/// As [`pair`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn pair_parts<const PARTS: usize, const WHOLE: bool>(
    from: *const f32,
    (rows, columns, stride): (usize, usize, usize),
    to: *mut u16,
    plane: usize,
) -> u32 {
    let upper = _mm512_set1_epi32(0xffff_0000_u32 as i32);
    let magnitude = _mm512_set1_epi32(0x7fff_ffff);
    let mut largest = _mm512_setzero_si512();
    for pair in 0..SIDE / 2 {
        for half in 0..2 {
            // SAFETY: by the contract; masked lanes are not read, and rows beyond the last not at all.
            let row = |row: usize| unsafe {
                let from = from.wrapping_add(row * stride + half * 16);
                match WHOLE {
                    true => _mm512_loadu_ps(from),
                    false if row < rows => {
                        _mm512_maskz_loadu_ps(first16(columns.saturating_sub(half * 16)), from)
                    }
                    false => _mm512_setzero_ps(),
                }
            };
            let (mut even, mut odd) = (row(2 * pair), row(2 * pair + 1));
            for x in [even, odd] {
                largest = _mm512_max_epu32(largest, _mm512_and_si512(_mm512_castps_si512(x), magnitude));
            }
            for p in 0..PARTS {
                let (a, b) = (rounded(even), rounded(odd));
                let words = _mm512_or_si512(_mm512_srli_epi32::<16>(a), _mm512_and_si512(b, upper));
                // SAFETY: by the contract.
                unsafe {
                    let to = to.add(p * plane + (2 * pair + half) * SIDE);
                    _mm512_storeu_si512(to.cast(), words);
                }
                if p + 1 < PARTS {
                    (even, odd) = (rest(even, a), rest(odd, b));
                }
            }
        }
    }
    _mm512_reduce_max_epu32(largest)
}

/// 32 rows of 16 pairs of words as 16 rows of 32 pairs.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn widen(from: &[u16; BLOCK], to: &mut [u16; BLOCK]) {
    for half in 0..2 {
        // SAFETY: 32 rows of 32 words each.
        let row = |r: usize| unsafe { _mm512_loadu_ps(from.as_ptr().add((half * 16 + r) * SIDE).cast()) };
        for (r, words) in square(std::array::from_fn(row)).into_iter().enumerate() {
            // SAFETY: 16 rows of 64 words each.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr().add(r * 2 * SIDE + half * SIDE).cast(), words) };
        }
    }
}

/// 16 rows of 32 pairs of words as 32 rows of 16 pairs.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn narrow(from: &[u16; BLOCK], to: &mut [u16; BLOCK]) {
    for half in 0..2 {
        // SAFETY: 16 rows of 64 words each.
        let row = |r: usize| unsafe { _mm512_loadu_ps(from.as_ptr().add(r * 2 * SIDE + half * SIDE).cast()) };
        for (r, words) in square(std::array::from_fn(row)).into_iter().enumerate() {
            // SAFETY: 32 rows of 32 words each.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr().add((half * 16 + r) * SIDE).cast(), words) };
        }
    }
}

/// Pairs of neighbouring pixels, channel by channel, in the order of [`super::pairs`]: from `from` `[pixel][32]` to
/// `to` `[pair][32][2]`.
///
/// # Safety
/// `from` has two pixels for each pair, `to` 64 words.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn pairs(from: *const u16, to: *mut u16, count: usize) {
    for pair in 0..count {
        // SAFETY: by the contract.
        unsafe {
            let [low, high] = pair_of(from.add(pair * 2 * SIDE));
            _mm512_storeu_si512(to.add(pair * 2 * SIDE).cast(), low);
            _mm512_storeu_si512(to.add(pair * 2 * SIDE + SIDE).cast(), high);
        }
    }
}

/// # Safety
/// `from` has 64 words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn pair_of(from: *const u16) -> [__m512i; 2] {
    // SAFETY: by the contract.
    let (a, b) = unsafe {
        (
            _mm512_loadu_si512(from.cast()),
            _mm512_loadu_si512(from.add(SIDE).cast()),
        )
    };
    [_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b)]
}

/// 32 pixels `[pixel][32]` as 32 rows of channels, in the order of [`super::pairs`].
///
/// # Safety
/// Both have 1024 words.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn turned(from: *const u16, to: *mut u16) {
    let mut halves = [[_mm512_setzero_ps(); 16]; 2];
    let [lows, highs] = &mut halves;
    for (pair, (to_low, to_high)) in lows.iter_mut().zip(highs).enumerate() {
        // SAFETY: by the contract.
        let [low, high] = unsafe { pair_of(from.add(pair * 2 * SIDE)) };
        *to_low = _mm512_castsi512_ps(low);
        *to_high = _mm512_castsi512_ps(high);
    }
    for (half, rows) in halves.into_iter().enumerate() {
        for (channel, words) in square(rows).into_iter().enumerate() {
            // SAFETY: by the contract.
            unsafe {
                let to = to.add((half * 16 + channel) * SIDE);
                _mm512_storeu_si512(to.cast(), _mm512_castps_si512(words));
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
