//! The few vector operations that the matrix kernel needs, per instruction set.

use super::short::{of_bf16, to_bf16};

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
    /// Asks for the cache line of an element, wherever it lies; where the processor cannot be asked, nothing.
    #[inline(always)]
    unsafe fn ask(_: *const f32) {}
    unsafe fn store(self, to: *mut f32);
    unsafe fn store_first(self, to: *mut f32, count: usize);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    /// self + a·b
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// The larger; `other` where one of them is NaN.
    unsafe fn max(self, other: Self) -> Self;
    /// `yes` where self > other, else `no`; `no` where one of them is NaN.
    unsafe fn if_greater(self, other: Self, yes: Self, no: Self) -> Self;
    /// `yes` where self is NaN, else `no`.
    unsafe fn if_nan(self, yes: Self, no: Self) -> Self;
    /// The even lanes of self, then those of `next`.
    unsafe fn evens(self, next: Self) -> Self;
    /// The odd lanes of self, then those of `next`.
    unsafe fn odds(self, next: Self) -> Self;
    /// The first `count` lanes, which hold whole numbers from 0 to 255, as bytes.
    unsafe fn store_bytes(self, to: *mut u8, count: usize);
    /// The first `count` lanes from bf16 numbers; the others are 0.
    unsafe fn load_bf16(from: *const u16, count: usize) -> Self;
    /// The first `count` lanes as bf16 numbers: the nearest, ties away from zero, and NaN where it is NaN.
    unsafe fn store_bf16(self, to: *mut u16, count: usize);
    /// All lanes, then those of `next`, in the same way.
    #[inline(always)]
    unsafe fn store_both_bf16(self, next: Self, to: *mut u16) {
        // SAFETY: handed on; there are words for both.
        unsafe {
            self.store_bf16(to, Self::LANES);
            next.store_bf16(to.add(Self::LANES), Self::LANES);
        }
    }
}

/// Calls `$function::<S>($arguments)` with the vectors of `$isa`.
macro_rules! on_vectors {
    ($isa:expr, $function:ident($($argument:ident: $type:ty),* $(,)?)) => {{
        use crate::kernels::Isa;
        use crate::kernels::simd::Portable;
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        #[allow(clippy::too_many_arguments)]
        unsafe fn avx2($($argument: $type),*) {
            // SAFETY: handed on from the caller.
            unsafe { $function::<crate::kernels::simd::x86::Avx2>($($argument),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
        #[allow(clippy::too_many_arguments)]
        unsafe fn avx512($($argument: $type),*) {
            // SAFETY: handed on from the caller.
            unsafe { $function::<crate::kernels::simd::x86::Avx512>($($argument),*) }
        }
        // SAFETY: an `Isa` above `Scalar` is only made after the processor was asked for it; the caller vouches
        // for the pointers.
        unsafe {
            match $isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => avx512($($argument),*),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => avx2($($argument),*),
                _ => $function::<Portable>($($argument),*),
            }
        }
    }};
}
pub(crate) use on_vectors;

/// Portable vector: eight floats that the compiler keeps in whatever registers there are.
#[derive(Clone, Copy)]
pub(crate) struct Portable(pub(super) [f32; 8]);

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
    unsafe fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
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
    #[inline(always)]
    unsafe fn if_greater(self, other: Self, yes: Self, no: Self) -> Self {
        let pick = |i: usize| if self.0[i] > other.0[i] { yes.0[i] } else { no.0[i] };
        Self(std::array::from_fn(pick))
    }
    #[inline(always)]
    unsafe fn if_nan(self, yes: Self, no: Self) -> Self {
        let pick = |i: usize| if self.0[i].is_nan() { yes.0[i] } else { no.0[i] };
        Self(std::array::from_fn(pick))
    }
    #[inline(always)]
    unsafe fn evens(self, next: Self) -> Self {
        let [a, b] = [self.0, next.0];
        Self([a[0], a[2], a[4], a[6], b[0], b[2], b[4], b[6]])
    }
    #[inline(always)]
    unsafe fn odds(self, next: Self) -> Self {
        let [a, b] = [self.0, next.0];
        Self([a[1], a[3], a[5], a[7], b[1], b[3], b[5], b[7]])
    }
    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, count: usize) {
        for (i, &x) in self.0.iter().take(count).enumerate() {
            // SAFETY: valid for `count` bytes by contract.
            unsafe { to.add(i).write(x as u8) };
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16, count: usize) -> Self {
        let mut lanes = [0.0; 8];
        for (i, lane) in lanes.iter_mut().take(count).enumerate() {
            // SAFETY: valid for `count` words by contract.
            *lane = of_bf16(unsafe { from.add(i).read() });
        }
        Self(lanes)
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16, count: usize) {
        for (i, &x) in self.0.iter().take(count).enumerate() {
            // SAFETY: valid for `count` words by contract.
            unsafe { to.add(i).write(to_bf16(x)) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    use super::Simd;
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(pub(crate) __m256);

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
        unsafe fn ask(at: *const f32) {
            // SAFETY: nothing is read.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
        }
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
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm256_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm256_sub_ps(self.0, other.0) })
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
        #[inline(always)]
        unsafe fn if_greater(self, other: Self, yes: Self, no: Self) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, other.0)) })
        }
        #[inline(always)]
        unsafe fn if_nan(self, yes: Self, no: Self) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_UNORD_Q>(self.0, self.0)) })
        }
        #[inline(always)]
        unsafe fn evens(self, next: Self) -> Self {
            // SAFETY: contract of the trait. The shuffle works in halves, whose middle parts then change places.
            unsafe {
                let mixed = _mm256_castps_pd(_mm256_shuffle_ps::<0b10_00_10_00>(self.0, next.0));
                Self(_mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(mixed)))
            }
        }
        #[inline(always)]
        unsafe fn odds(self, next: Self) -> Self {
            // SAFETY: as in `evens`.
            unsafe {
                let mixed = _mm256_castps_pd(_mm256_shuffle_ps::<0b11_01_11_01>(self.0, next.0));
                Self(_mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(mixed)))
            }
        }
        #[inline(always)]
        unsafe fn store_bytes(self, to: *mut u8, count: usize) {
            let mut lanes = [0i32; 8];
            // SAFETY: contract of the trait; `to` is valid for `count` bytes.
            unsafe {
                _mm256_storeu_si256(lanes.as_mut_ptr().cast(), _mm256_cvttps_epi32(self.0));
                for (i, &x) in lanes.iter().take(count).enumerate() {
                    to.add(i).write(x as u8);
                }
            }
        }
        #[inline(always)]
        unsafe fn load_bf16(from: *const u16, count: usize) -> Self {
            let mut few = [0; 8];
            // SAFETY: contract of the trait; `from` is valid for `count` words.
            unsafe {
                let from = match count >= 8 {
                    true => from,
                    false => {
                        std::ptr::copy_nonoverlapping(from, few.as_mut_ptr(), count);
                        few.as_ptr()
                    }
                };
                let words = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
                Self(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(words)))
            }
        }
        #[inline(always)]
        unsafe fn store_bf16(self, to: *mut u16, count: usize) {
            let mut few = [0u16; 8];
            // SAFETY: contract of the trait; `to` is valid for `count` words.
            unsafe {
                let bits = _mm256_castps_si256(self.0);
                let near = _mm256_add_epi32(bits, _mm256_set1_epi32(0x8000));
                let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x40_0000));
                let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(self.0, self.0));
                let upper = _mm256_srli_epi32::<16>(_mm256_blendv_epi8(near, quiet, nan));
                let packed = _mm256_packus_epi32(upper, upper);
                let packed = _mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b11_01_10_00>(packed));
                match count >= 8 {
                    true => _mm_storeu_si128(to.cast(), packed),
                    false => {
                        _mm_storeu_si128(few.as_mut_ptr().cast(), packed);
                        std::ptr::copy_nonoverlapping(few.as_ptr(), to, count);
                    }
                }
            }
        }
    }

    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(pub(crate) __m512);

    #[inline(always)]
    pub(crate) fn first16(count: usize) -> __mmask16 {
        if count >= 16 { !0 } else { (1u16 << count) - 1 }
    }

    /// The bits of numbers whose upper halves are the nearest bf16 numbers.
    #[inline(always)]
    unsafe fn near_bf16(x: __m512) -> __m512i {
        // SAFETY: AVX-512 by the trait's contract.
        unsafe {
            let bits = _mm512_castps_si512(x);
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x);
            let near = _mm512_add_epi32(bits, _mm512_set1_epi32(0x8000));
            _mm512_mask_or_epi32(near, nan, bits, _mm512_set1_epi32(0x40_0000))
        }
    }

    /// The upper halves of 16 numbers, then of 16 more; AVX-512 as of the trait's contract.
    #[inline(always)]
    pub(crate) unsafe fn upper_halves(first: __m512i, second: __m512i) -> __m512i {
        // SAFETY: by the contract.
        unsafe {
            // Words 1, 3, 5 …, two in each lane; the compiler makes a constant of it.
            let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let steps = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(0x4_0004));
            let odd = _mm512_add_epi32(steps, _mm512_set1_epi32(0x3_0001));
            _mm512_permutex2var_epi16(first, odd, second)
        }
    }

    // SAFETY: each method is one intrinsic under the trait's contract.
    unsafe impl Simd for Avx512 {
        const LANES: usize = 16;
        #[inline(always)]
        unsafe fn ask(at: *const f32) {
            // SAFETY: nothing is read.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
        }
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
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe { _mm512_sub_ps(self.0, other.0) })
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
        #[inline(always)]
        unsafe fn if_greater(self, other: Self, yes: Self, no: Self) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe {
                _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, other.0), no.0, yes.0)
            })
        }
        #[inline(always)]
        unsafe fn if_nan(self, yes: Self, no: Self) -> Self {
            // SAFETY: contract of the trait.
            Self(unsafe {
                _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0), no.0, yes.0)
            })
        }
        #[inline(always)]
        unsafe fn evens(self, next: Self) -> Self {
            // SAFETY: contract of the trait.
            unsafe {
                let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
                Self(_mm512_permutex2var_ps(self.0, even, next.0))
            }
        }
        #[inline(always)]
        unsafe fn odds(self, next: Self) -> Self {
            // SAFETY: contract of the trait.
            unsafe {
                let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
                Self(_mm512_permutex2var_ps(self.0, odd, next.0))
            }
        }
        #[inline(always)]
        unsafe fn store_bytes(self, to: *mut u8, count: usize) {
            // SAFETY: contract of the trait; masked lanes are not written.
            unsafe {
                _mm512_mask_cvtepi32_storeu_epi8(to.cast(), first16(count), _mm512_cvttps_epi32(self.0));
            }
        }
        #[inline(always)]
        unsafe fn load_bf16(from: *const u16, count: usize) -> Self {
            // SAFETY: contract of the trait; masked lanes are not read.
            unsafe {
                let words = _mm256_maskz_loadu_epi16(first16(count), from.cast());
                Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(
                    _mm512_cvtepu16_epi32(words),
                )))
            }
        }
        #[inline(always)]
        unsafe fn store_bf16(self, to: *mut u16, count: usize) {
            // SAFETY: contract of the trait; masked lanes are not written.
            unsafe {
                let words = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(near_bf16(self.0)));
                _mm256_mask_storeu_epi16(to.cast(), first16(count), words);
            }
        }
        #[inline(always)]
        unsafe fn store_both_bf16(self, next: Self, to: *mut u16) {
            // SAFETY: contract of the trait.
            unsafe {
                let words = upper_halves(near_bf16(self.0), near_bf16(next.0));
                _mm512_storeu_si512(to.cast(), words);
            }
        }
    }
}
