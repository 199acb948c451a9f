//! The few vector operations that the matrix kernel needs, per instruction set.

/// A vector of `LANES` f32 numbers.
///
/// # Safety
/// All methods of an implementation need the processor to have its instruction set; pointers must be
/// valid for the lanes read or written, and need no alignment.
pub(crate) unsafe trait Simd: Copy {
    const LANES: usize;
    unsafe fn zero() -> Self;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    /// The first `count` lanes; the others are 0.
    unsafe fn load_first(from: *const f32, count: usize) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn store_first(self, to: *mut f32, count: usize);
    /// self + a·b
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// The larger; `other` where one of them is NaN.
    unsafe fn max(self, other: Self) -> Self;
}

/// Portable vector: eight floats that the compiler keeps in whatever registers there are.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 8]);

// SAFETY: plain Rust; pointers are valid by the trait's contract.
unsafe impl Simd for Portable {
    const LANES: usize = 8;
    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; 8])
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; 8])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: valid for 8 floats by contract.
        Self(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; 8];
        // SAFETY: valid for `count` floats by contract.
        unsafe { std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count.min(8)) };
        Self(lanes)
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: valid for 8 floats by contract.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) };
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // SAFETY: valid for `count` floats by contract.
        unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), to, count.min(8)) };
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + a.0[i] * b.0[i]))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| {
            if self.0[i] > other.0[i] {
                self.0[i]
            } else {
                other.0[i]
            }
        }))
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    use super::Simd;
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(__m256);

    #[inline(always)]
    unsafe fn first8(count: usize) -> __m256i {
        // SAFETY: AVX2 by the trait's contract.
        unsafe {
            _mm256_cmpgt_epi32(
                _mm256_set1_epi32(count as i32),
                _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
            )
        }
    }

    // SAFETY: each method is one or two intrinsics under the trait's contract.
    unsafe impl Simd for Avx2 {
        const LANES: usize = 8;
        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm256_setzero_ps() })
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm256_set1_ps(x) })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm256_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn load_first(from: *const f32, count: usize) -> Self {
            // SAFETY: masked lanes are not read.
            Self(unsafe { _mm256_maskload_ps(from, first8(count)) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: contract of the trait.
            unsafe { _mm256_storeu_ps(to, self.0) };
        }
        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, count: usize) {
            // SAFETY: masked lanes are not written.
            unsafe { _mm256_maskstore_ps(to, first8(count), self.0) };
        }
        #[inline(always)]
        unsafe fn fma(self, a: Self, b: Self) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm256_fmadd_ps(a.0, b.0, self.0) })
        }
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm256_max_ps(self.0, other.0) })
        }
    }

    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(__m512);

    #[inline(always)]
    fn first16(count: usize) -> __mmask16 {
        if count >= 16 { !0 } else { (1u16 << count) - 1 }
    }

    // SAFETY: each method is one intrinsic under the trait's contract.
    unsafe impl Simd for Avx512 {
        const LANES: usize = 16;
        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm512_setzero_ps() })
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm512_set1_ps(x) })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm512_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn load_first(from: *const f32, count: usize) -> Self {
            // SAFETY: masked lanes are not read.
            Self(unsafe { _mm512_maskz_loadu_ps(first16(count), from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: contract of the trait.
            unsafe { _mm512_storeu_ps(to, self.0) };
        }
        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, count: usize) {
            // SAFETY: masked lanes are not written.
            unsafe { _mm512_mask_storeu_ps(to, first16(count), self.0) };
        }
        #[inline(always)]
        unsafe fn fma(self, a: Self, b: Self) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
        }
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm512_max_ps(self.0, other.0) })
        }
    }
}
