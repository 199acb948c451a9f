//! Sixteen numbers at a time, per instruction set.

/// Sixteen f32 lanes.
///
/// # Safety
/// Values are made by [`Vector::splat`] and [`Vector::load`] alone, whose callers promise that the
/// processor has the instruction set; a value is thus proof of it, and what takes one is safe.
pub(crate) unsafe trait Vector: Copy {
    /// A yes or no per lane.
    type Mask: Copy;
    /// Accumulators of the matrix loops that fit the registers.
    const WIDE: usize;

    /// # Safety
    /// The processor must have the set.
    unsafe fn splat(x: f32) -> Self;
    /// # Safety
    /// As above; 16 floats must be readable.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// 16 floats must be writable.
    unsafe fn store(self, to: *mut f32);

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// self·a + b
    fn fma(self, a: Self, b: Self) -> Self;
    /// self / d for |d| in 2⁻¹⁰⁰…2¹⁰⁰, to a unit in the last place or so.
    #[inline(always)]
    fn over(self, d: Self) -> Self {
        self.div(d)
    }
    /// The larger; `other` where one of them is NaN.
    fn max(self, other: Self) -> Self;
    /// The smaller; `other` where one of them is NaN.
    fn min(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
    /// The nearest whole number, for |x| < 2²².
    fn round(self) -> Self;
    /// self · 2ⁿ for whole n in −250…250.
    fn times_power_of_two(self, n: Self) -> Self;
    /// self < other; false for NaN.
    fn less(self, other: Self) -> Self::Mask;
    /// self == other; false for NaN.
    fn equal(self, other: Self) -> Self::Mask;
    fn select(mask: Self::Mask, then: Self, otherwise: Self) -> Self;
    /// The first `count` lanes.
    fn first(self, count: usize) -> Self::Mask;
    /// Four sums over all lanes.
    fn sums(four: [Self; 4]) -> [f32; 4];
    fn array(self) -> [f32; 16];

    /// One number in all lanes.
    #[inline(always)]
    fn all(self, x: f32) -> Self {
        // SAFETY: `self` is proof of the instruction set.
        unsafe { Self::splat(x) }
    }

    /// Zero where the mask says no.
    #[inline(always)]
    fn keep(self, mask: Self::Mask) -> Self {
        Self::select(mask, self, self.all(0.0))
    }

    /// These numbers.
    #[inline(always)]
    fn of(self, lanes: &[f32; 16]) -> Self {
        // SAFETY: the array has 16 floats, and `self` is proof of the instruction set.
        unsafe { Self::load(lanes.as_ptr()) }
    }

    /// The sum over all lanes.
    #[inline(always)]
    fn sum(self) -> f32 {
        let zero = self.all(0.0);
        Self::sums([self, zero, zero, zero])[0]
    }
}

/// Sixteen floats that the compiler keeps in whatever registers there are.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Portable([f32; 16]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
    #[inline(always)]
    fn each(self, f: impl Fn(f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i])))
    }
}

/// 2ⁿ for a whole n in −126…127.
#[inline(always)]
fn power_of_two(n: f32) -> f32 {
    f32::from_bits(((n + 127.0) as i32 as u32) << 23)
}

// SAFETY: plain Rust, which every processor runs.
unsafe impl Vector for Portable {
    type Mask = [bool; 16];
    const WIDE: usize = 2;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; 16])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: readable by contract.
        Self(unsafe { from.cast::<[f32; 16]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: writable by contract.
        unsafe { to.cast::<[f32; 16]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    fn fma(self, a: Self, b: Self) -> Self {
        self.mul(a).add(b)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.each(f32::sqrt)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.each(f32::abs)
    }
    #[inline(always)]
    fn round(self) -> Self {
        // Adding and subtracting 1.5·2²³ rounds to the nearest integer.
        self.each(|x| (x + 12_582_912.0) - 12_582_912.0)
    }
    #[inline(always)]
    fn times_power_of_two(self, n: Self) -> Self {
        let half = n.each(|n| n * 0.5).round();
        let rest = n.sub(half);
        self.mul(half.each(power_of_two)).mul(rest.each(power_of_two))
    }
    #[inline(always)]
    fn less(self, other: Self) -> [bool; 16] {
        std::array::from_fn(|i| self.0[i] < other.0[i])
    }
    #[inline(always)]
    fn equal(self, other: Self) -> [bool; 16] {
        std::array::from_fn(|i| self.0[i] == other.0[i])
    }
    #[inline(always)]
    fn select(mask: [bool; 16], then: Self, otherwise: Self) -> Self {
        Self(std::array::from_fn(|i| {
            if mask[i] { then.0[i] } else { otherwise.0[i] }
        }))
    }
    #[inline(always)]
    fn first(self, count: usize) -> [bool; 16] {
        std::array::from_fn(|i| i < count)
    }
    #[inline(always)]
    fn sums(four: [Self; 4]) -> [f32; 4] {
        four.map(|v| {
            let halves: [f32; 8] = std::array::from_fn(|i| v.0[i] + v.0[i + 8]);
            let quarters: [f32; 4] = std::array::from_fn(|i| halves[i] + halves[i + 4]);
            (quarters[0] + quarters[2]) + (quarters[1] + quarters[3])
        })
    }
    #[inline(always)]
    fn array(self) -> [f32; 16] {
        self.0
    }
}
