//! Vector operations that make lists: strided loads, small tables, and keeping some of the lanes.

use crate::kernels::simd::{Portable, Simd};

/// What a list of terms is made with.
///
/// # Safety
/// As for [`Simd`].
pub(in crate::kernels) unsafe trait Listing: Simd {
    /// Lane k is the number at `from + k·step`, for the first `count` lanes; the others are 0.
    unsafe fn gather(from: *const f32, step: usize, count: usize) -> Self;
    /// The first `count` bytes, each as the bits of a whole number; the others are 0.
    unsafe fn load_bytes(from: *const u8, count: usize) -> Self;
    /// The same of bytes that are `step` apart; three more bytes than the last may be read.
    unsafe fn gather_bytes(from: *const u8, step: usize, count: usize) -> Self;
    /// For each lane's bits, a whole number below 16, the number that stands there in a table of 16.
    unsafe fn lookup(self, table: *const u32) -> Self;
    /// Lane k is lane `index[k]` of self, or lane `index[k]` − lanes of `other`, or 0 where there is none.
    unsafe fn pick(self, other: Self, index: *const u32) -> Self;
    /// Both lanes' bits together.
    unsafe fn or_bits(self, other: Self) -> Self;
    /// The sum of both lanes' bits as whole numbers.
    unsafe fn add_bits(self, other: Self) -> Self;
    /// One bit for each lane: whether its bits are this number.
    unsafe fn equals_bits(self, bits: u32) -> u32;
    /// `yes` in the lanes whose bits are this number, else 0.
    unsafe fn where_bits(self, bits: u32, yes: Self) -> Self;
    /// Stores the lanes whose bit is set in `keep` one after another; the rest of a vector behind them
    /// may be overwritten.
    unsafe fn store_kept(self, keep: u32, to: *mut f32);
}

/// [`Listing::gather`] without an instruction for it.
#[inline(always)]
unsafe fn gather8(from: *const f32, step: usize, count: usize) -> [f32; 8] {
    let mut lanes = [0.0; 8];
    for (k, lane) in lanes.iter_mut().enumerate().take(count) {
        // SAFETY: contract of `Listing::gather`.
        *lane = unsafe { *from.add(k * step) };
    }
    lanes
}

/// [`Listing::gather_bytes`] without an instruction for it.
#[inline(always)]
unsafe fn gather_bytes8(from: *const u8, step: usize, count: usize) -> [f32; 8] {
    let mut lanes = [0.0; 8];
    for (k, lane) in lanes.iter_mut().enumerate().take(count) {
        // SAFETY: contract of `Listing::gather_bytes`.
        *lane = f32::from_bits(u32::from(unsafe { *from.add(k * step) }));
    }
    lanes
}

/// [`Listing::lookup`] without an instruction for it.
#[inline(always)]
unsafe fn lookup8(lanes: [f32; 8], table: *const u32) -> [f32; 8] {
    // SAFETY: contract of `Listing::lookup`.
    std::array::from_fn(|i| f32::from_bits(unsafe { *table.add(lanes[i].to_bits() as usize) }))
}

/// [`Listing::pick`] without an instruction for it.
#[inline(always)]
unsafe fn pick8(first: [f32; 8], second: [f32; 8], index: *const u32) -> [f32; 8] {
    std::array::from_fn(|i| {
        // SAFETY: contract of `Listing::pick`.
        let at = unsafe { *index.add(i) } as usize;
        let lane = first.get(at).or(second.get(at.wrapping_sub(8)));
        lane.copied().unwrap_or(0.0)
    })
}

/// [`Listing::store_kept`] without an instruction for it.
#[inline(always)]
unsafe fn store_kept8(lanes: [f32; 8], keep: u32, to: *mut f32) {
    let mut at = 0;
    for (i, lane) in lanes.into_iter().enumerate() {
        // SAFETY: at most 8 numbers are written, which is a vector.
        unsafe { *to.add(at) = lane };
        at += (keep >> i & 1) as usize;
    }
}

// SAFETY: plain Rust; pointers are valid by the trait's contract.
unsafe impl Listing for Portable {
    #[inline(always)]
    unsafe fn gather(from: *const f32, step: usize, count: usize) -> Self {
        // SAFETY: valid for `count` numbers by contract.
        Self(unsafe { gather8(from, step, count) })
    }
    #[inline(always)]
    unsafe fn load_bytes(from: *const u8, count: usize) -> Self {
        // SAFETY: valid for `count` bytes by contract.
        Self(unsafe { gather_bytes8(from, 1, count) })
    }
    #[inline(always)]
    unsafe fn gather_bytes(from: *const u8, step: usize, count: usize) -> Self {
        // SAFETY: valid for `count` bytes by contract.
        Self(unsafe { gather_bytes8(from, step, count) })
    }
    #[inline(always)]
    unsafe fn lookup(self, table: *const u32) -> Self {
        // SAFETY: the table has 16 numbers and each lane is below 16 by contract.
        Self(unsafe { lookup8(self.0, table) })
    }
    #[inline(always)]
    unsafe fn pick(self, other: Self, index: *const u32) -> Self {
        // SAFETY: contract of the trait.
        Self(unsafe { pick8(self.0, other.0, index) })
    }
    #[inline(always)]
    unsafe fn or_bits(self, other: Self) -> Self {
        let both = |i: usize| f32::from_bits(self.0[i].to_bits() | other.0[i].to_bits());
        Self(std::array::from_fn(both))
    }
    #[inline(always)]
    unsafe fn add_bits(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| {
            f32::from_bits(self.0[i].to_bits().wrapping_add(other.0[i].to_bits()))
        }))
    }
    #[inline(always)]
    unsafe fn equals_bits(self, bits: u32) -> u32 {
        let set = |i: usize| u32::from(self.0[i].to_bits() == bits) << i;
        (0..8).map(set).sum()
    }
    #[inline(always)]
    unsafe fn where_bits(self, bits: u32, yes: Self) -> Self {
        let pick = |i: usize| {
            if self.0[i].to_bits() == bits {
                yes.0[i]
            } else {
                0.0
            }
        };
        Self(std::array::from_fn(pick))
    }
    #[inline(always)]
    unsafe fn store_kept(self, keep: u32, to: *mut f32) {
        // SAFETY: valid for a vector by contract.
        unsafe { store_kept8(self.0, keep, to) };
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Listing, Simd, gather_bytes8, gather8, lookup8, pick8, store_kept8};
    use crate::kernels::simd::x86::{Avx2, Avx512, first16};

    // SAFETY: each method is a few intrinsics, or plain Rust, under the trait's contract.
    unsafe impl Listing for Avx2 {
        #[inline(always)]
        unsafe fn gather(from: *const f32, step: usize, count: usize) -> Self {
            // SAFETY: contract of the trait.
            unsafe { Self::load(gather8(from, step, count).as_ptr()) }
        }
        #[inline(always)]
        unsafe fn load_bytes(from: *const u8, count: usize) -> Self {
            // SAFETY: contract of the trait.
            unsafe { Self::load(gather_bytes8(from, 1, count).as_ptr()) }
        }
        #[inline(always)]
        unsafe fn gather_bytes(from: *const u8, step: usize, count: usize) -> Self {
            // SAFETY: contract of the trait.
            unsafe { Self::load(gather_bytes8(from, step, count).as_ptr()) }
        }
        #[inline(always)]
        unsafe fn lookup(self, table: *const u32) -> Self {
            let mut lanes = [0.0; 8];
            // SAFETY: contract of the trait.
            unsafe {
                self.store(lanes.as_mut_ptr());
                Self::load(lookup8(lanes, table).as_ptr())
            }
        }
        #[inline(always)]
        unsafe fn pick(self, other: Self, index: *const u32) -> Self {
            let mut lanes = [[0.0; 8]; 2];
            // SAFETY: contract of the trait.
            unsafe {
                self.store(lanes[0].as_mut_ptr());
                other.store(lanes[1].as_mut_ptr());
                Self::load(pick8(lanes[0], lanes[1], index).as_ptr())
            }
        }
        #[inline(always)]
        unsafe fn or_bits(self, other: Self) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm256_or_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn add_bits(self, other: Self) -> Self {
            // SAFETY: contract of the trait.
            unsafe {
                let sum = _mm256_add_epi32(_mm256_castps_si256(self.0), _mm256_castps_si256(other.0));
                Self(_mm256_castsi256_ps(sum))
            }
        }
        #[inline(always)]
        unsafe fn equals_bits(self, bits: u32) -> u32 {
            // SAFETY: contract of the trait.
            unsafe {
                let same = _mm256_cmpeq_epi32(_mm256_castps_si256(self.0), _mm256_set1_epi32(bits as i32));
                _mm256_movemask_ps(_mm256_castsi256_ps(same)) as u32
            }
        }
        #[inline(always)]
        unsafe fn where_bits(self, bits: u32, yes: Self) -> Self {
            // SAFETY: contract of the trait.
            unsafe {
                let same = _mm256_cmpeq_epi32(_mm256_castps_si256(self.0), _mm256_set1_epi32(bits as i32));
                Self(_mm256_and_ps(_mm256_castsi256_ps(same), yes.0))
            }
        }
        #[inline(always)]
        unsafe fn store_kept(self, keep: u32, to: *mut f32) {
            let mut lanes = [0.0; 8];
            // SAFETY: contract of the trait.
            unsafe {
                self.store(lanes.as_mut_ptr());
                store_kept8(lanes, keep, to);
            }
        }
    }

    /// 0, 1, … 15
    #[inline(always)]
    unsafe fn places() -> __m512i {
        // SAFETY: AVX-512 by the trait's contract.
        unsafe { _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) }
    }

    // SAFETY: each method is a few intrinsics under the trait's contract.
    unsafe impl Listing for Avx512 {
        #[inline(always)]
        unsafe fn gather(from: *const f32, step: usize, count: usize) -> Self {
            // SAFETY: contract of the trait; masked lanes are not read.
            unsafe {
                let at = _mm512_mullo_epi32(places(), _mm512_set1_epi32(step as i32));
                let none = _mm512_setzero_ps();
                Self(_mm512_mask_i32gather_ps::<4>(none, first16(count), at, from))
            }
        }
        #[inline(always)]
        unsafe fn load_bytes(from: *const u8, count: usize) -> Self {
            // SAFETY: contract of the trait; masked lanes are not read.
            unsafe {
                let bytes = _mm_maskz_loadu_epi8(first16(count), from.cast());
                Self(_mm512_castsi512_ps(_mm512_cvtepu8_epi32(bytes)))
            }
        }
        #[inline(always)]
        unsafe fn gather_bytes(from: *const u8, step: usize, count: usize) -> Self {
            // SAFETY: contract of the trait; masked lanes are not read.
            unsafe {
                let at = _mm512_mullo_epi32(places(), _mm512_set1_epi32(step as i32));
                let none = _mm512_setzero_si512();
                let words = _mm512_mask_i32gather_epi32::<1>(none, first16(count), at, from.cast());
                Self(_mm512_castsi512_ps(_mm512_and_si512(
                    words,
                    _mm512_set1_epi32(255),
                )))
            }
        }
        #[inline(always)]
        unsafe fn lookup(self, table: *const u32) -> Self {
            // SAFETY: contract of the trait.
            unsafe {
                let table = _mm512_loadu_ps(table.cast());
                Self(_mm512_permutexvar_ps(_mm512_castps_si512(self.0), table))
            }
        }
        #[inline(always)]
        unsafe fn pick(self, other: Self, index: *const u32) -> Self {
            // SAFETY: contract of the trait.
            unsafe {
                let index = _mm512_loadu_si512(index.cast());
                let there = _mm512_cmplt_epu32_mask(index, _mm512_set1_epi32(32));
                Self(_mm512_maskz_permutex2var_ps(there, self.0, index, other.0))
            }
        }
        #[inline(always)]
        unsafe fn or_bits(self, other: Self) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm512_or_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn add_bits(self, other: Self) -> Self {
            // SAFETY: contract of the trait.
            unsafe {
                let sum = _mm512_add_epi32(_mm512_castps_si512(self.0), _mm512_castps_si512(other.0));
                Self(_mm512_castsi512_ps(sum))
            }
        }
        #[inline(always)]
        unsafe fn equals_bits(self, bits: u32) -> u32 {
            // SAFETY: contract of the trait.
            unsafe {
                let bits = _mm512_set1_epi32(bits as i32);
                u32::from(_mm512_cmpeq_epi32_mask(_mm512_castps_si512(self.0), bits))
            }
        }
        #[inline(always)]
        unsafe fn where_bits(self, bits: u32, yes: Self) -> Self {
            // SAFETY: contract of the trait.
            unsafe {
                let bits = _mm512_set1_epi32(bits as i32);
                let same = _mm512_cmpeq_epi32_mask(_mm512_castps_si512(self.0), bits);
                Self(_mm512_maskz_mov_ps(same, yes.0))
            }
        }
        #[inline(always)]
        unsafe fn store_kept(self, keep: u32, to: *mut f32) {
            // SAFETY: contract of the trait.
            unsafe { _mm512_storeu_ps(to, _mm512_maskz_compress_ps(keep as __mmask16, self.0)) };
        }
    }
}
