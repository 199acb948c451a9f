//! [`Vector`] in AVX2's two registers and AVX-512's one.

use std::arch::x86_64::*;

use super::vector::Vector;

/// Two registers of eight lanes; the processor must have AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256, __m256);

/// One register of sixteen lanes; the processor must have AVX-512 F and DQ.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

/// A method that is one intrinsic on each register.
macro_rules! both {
    ($($name:ident($($arg:ident),*) = $intrinsic:ident;)*) => {$(
        #[inline(always)]
        fn $name(self $(, $arg: Self)*) -> Self {
            // SAFETY: `self` is proof of the instruction set.
            unsafe { Self($intrinsic(self.0 $(, $arg.0)*), $intrinsic(self.1 $(, $arg.1)*)) }
        }
    )*};
}

macro_rules! one {
    ($($name:ident($($arg:ident),*) = $intrinsic:ident;)*) => {$(
        #[inline(always)]
        fn $name(self $(, $arg: Self)*) -> Self {
            // SAFETY: `self` is proof of the instruction set.
            unsafe { Self($intrinsic(self.0 $(, $arg.0)*)) }
        }
    )*};
}

/// 2ⁿ for whole n in −126…127.
#[inline(always)]
fn power_of_two(n: __m256) -> __m256 {
    // SAFETY: only called on the registers of an `Avx2`, which is proof of the instruction set.
    unsafe {
        let biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
    }
}

// SAFETY: `splat` and `load` alone make values, under the trait's contract.
unsafe impl Vector for Avx2 {
    type Mask = (__m256, __m256);
    const WIDE: usize = 4;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self(_mm256_set1_ps(x), _mm256_set1_ps(x)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        }
    }
    both! {
        add(other) = _mm256_add_ps;
        sub(other) = _mm256_sub_ps;
        mul(other) = _mm256_mul_ps;
        div(other) = _mm256_div_ps;
        fma(a, b) = _mm256_fmadd_ps;
        max(other) = _mm256_max_ps;
        min(other) = _mm256_min_ps;
        sqrt() = _mm256_sqrt_ps;
    }
    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: `self` is proof of the instruction set.
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            Self(_mm256_andnot_ps(sign, self.0), _mm256_andnot_ps(sign, self.1))
        }
    }
    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: `self` is proof of the instruction set.
        unsafe { Self(_mm256_round_ps::<8>(self.0), _mm256_round_ps::<8>(self.1)) }
    }
    #[inline(always)]
    fn times_power_of_two(self, n: Self) -> Self {
        let half = n.mul(n.all(0.5)).round();
        let rest = n.sub(half);
        let first = Self(power_of_two(half.0), power_of_two(half.1));
        self.mul(first)
            .mul(Self(power_of_two(rest.0), power_of_two(rest.1)))
    }
    #[inline(always)]
    fn less(self, other: Self) -> Self::Mask {
        // SAFETY: `self` is proof of the instruction set.
        unsafe {
            (
                _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, other.0),
                _mm256_cmp_ps::<_CMP_LT_OQ>(self.1, other.1),
            )
        }
    }
    #[inline(always)]
    fn equal(self, other: Self) -> Self::Mask {
        // SAFETY: `self` is proof of the instruction set.
        unsafe {
            (
                _mm256_cmp_ps::<_CMP_EQ_OQ>(self.0, other.0),
                _mm256_cmp_ps::<_CMP_EQ_OQ>(self.1, other.1),
            )
        }
    }
    #[inline(always)]
    fn select(mask: Self::Mask, then: Self, otherwise: Self) -> Self {
        // SAFETY: `then` is proof of the instruction set.
        unsafe {
            Self(
                _mm256_blendv_ps(otherwise.0, then.0, mask.0),
                _mm256_blendv_ps(otherwise.1, then.1, mask.1),
            )
        }
    }
    #[inline(always)]
    fn first(self, count: usize) -> Self::Mask {
        // SAFETY: `self` is proof of the instruction set.
        unsafe {
            let count = _mm256_set1_epi32(count as i32);
            let low = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let high = _mm256_add_epi32(low, _mm256_set1_epi32(8));
            (
                _mm256_castsi256_ps(_mm256_cmpgt_epi32(count, low)),
                _mm256_castsi256_ps(_mm256_cmpgt_epi32(count, high)),
            )
        }
    }
    #[inline(always)]
    fn sums(four: [Self; 4]) -> [f32; 4] {
        // SAFETY: the values are proof of the instruction set; the array has room for four floats.
        unsafe {
            let [a, b, c, d] = four.map(|v| _mm256_add_ps(v.0, v.1));
            let both = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
            let sums = _mm_add_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps::<1>(both));
            let mut result = [0.0; 4];
            _mm_storeu_ps(result.as_mut_ptr(), sums);
            result
        }
    }
    #[inline(always)]
    fn array(self) -> [f32; 16] {
        let mut result = [0.0; 16];
        // SAFETY: the array has room for 16 floats.
        unsafe { self.store(result.as_mut_ptr()) };
        result
    }
}

// SAFETY: `splat` and `load` alone make values, under the trait's contract.
unsafe impl Vector for Avx512 {
    type Mask = __mmask16;
    const WIDE: usize = 8;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self(_mm512_set1_ps(x)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self(_mm512_loadu_ps(from)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }
    one! {
        add(other) = _mm512_add_ps;
        sub(other) = _mm512_sub_ps;
        mul(other) = _mm512_mul_ps;
        div(other) = _mm512_div_ps;
        fma(a, b) = _mm512_fmadd_ps;
        max(other) = _mm512_max_ps;
        min(other) = _mm512_min_ps;
        sqrt() = _mm512_sqrt_ps;
        abs() = _mm512_abs_ps;
        times_power_of_two(n) = _mm512_scalef_ps;
    }
    #[inline(always)]
    fn over(self, d: Self) -> Self {
        // A division of sixteen lanes keeps its unit busy five times as long as all of this: 1/d to 14
        // bits, to 28 by Newton's method, and the quotient's own error taken out once.
        // SAFETY: `self` is proof of the instruction set.
        unsafe {
            let r = _mm512_rcp14_ps(d.0);
            let r = _mm512_fmadd_ps(_mm512_fnmadd_ps(d.0, r, _mm512_set1_ps(1.0)), r, r);
            let quotient = _mm512_mul_ps(self.0, r);
            let rest = _mm512_fnmadd_ps(d.0, quotient, self.0);
            Self(_mm512_fmadd_ps(rest, r, quotient))
        }
    }
    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: `self` is proof of the instruction set.
        unsafe { Self(_mm512_roundscale_ps::<8>(self.0)) }
    }
    #[inline(always)]
    fn less(self, other: Self) -> __mmask16 {
        // SAFETY: `self` is proof of the instruction set.
        unsafe { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, other.0) }
    }
    #[inline(always)]
    fn equal(self, other: Self) -> __mmask16 {
        // SAFETY: `self` is proof of the instruction set.
        unsafe { _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(self.0, other.0) }
    }
    #[inline(always)]
    fn select(mask: __mmask16, then: Self, otherwise: Self) -> Self {
        // SAFETY: `then` is proof of the instruction set.
        unsafe { Self(_mm512_mask_blend_ps(mask, otherwise.0, then.0)) }
    }
    #[inline(always)]
    fn first(self, count: usize) -> __mmask16 {
        if count >= 16 { !0 } else { (1u16 << count) - 1 }
    }
    #[inline(always)]
    fn sums(four: [Self; 4]) -> [f32; 4] {
        // SAFETY: the values are proof of the instruction set; the array has room for four floats.
        unsafe {
            let [a, b, c, d] = four.map(|v| v.0);
            let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            // Each quarter holds a partial sum of a, b, c and d.
            let low = _mm512_shuffle_ps::<0b01_00_01_00>(ab, cd);
            let high = _mm512_shuffle_ps::<0b11_10_11_10>(ab, cd);
            let quarters = _mm512_add_ps(low, high);
            let halves = _mm256_add_ps(
                _mm512_castps512_ps256(quarters),
                _mm512_extractf32x8_ps::<1>(quarters),
            );
            let sums = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves));
            let mut result = [0.0; 4];
            _mm_storeu_ps(result.as_mut_ptr(), sums);
            result
        }
    }
    #[inline(always)]
    fn array(self) -> [f32; 16] {
        let mut result = [0.0; 16];
        // SAFETY: the array has room for 16 floats.
        unsafe { self.store(result.as_mut_ptr()) };
        result
    }
}
