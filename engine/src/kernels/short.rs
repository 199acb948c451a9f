//! Values as bf16 numbers: half the memory, and half the way to it.
//!
//! At the precision whose products are of bf16 numbers, images between layers and their gradients lie in memory so
//! (`plan::shorten`). Two stand in the place of one f32 element.

use super::Isa;
use super::simd::{Simd, on_vectors};

/// Which of a kernel's numbers are bf16: those that it can take so, or those that it is to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shorts {
    /// Operands, by bit.
    pub operands: u64,
    /// The result.
    pub output: bool,
    /// Whether either all of them are, or none.
    pub alike: bool,
}

impl Shorts {
    /// Some operands, and perhaps the result.
    pub(crate) fn of(operands: impl IntoIterator<Item = usize>, output: bool) -> Self {
        Self {
            // Operands beyond the bits stay f32 numbers.
            operands: operands
                .into_iter()
                .filter(|&k| k < 64)
                .fold(0, |all, k| all | 1 << k),
            output,
            alike: false,
        }
    }

    /// Whether operand `k` is one of them.
    pub(crate) fn has(&self, k: usize) -> bool {
        k < 64 && self.operands >> k & 1 == 1
    }
}

/// Numbers as they lie in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Numbers<'a> {
    /// One an element.
    F32(&'a [f32]),
    /// Two an element.
    Bf16(&'a [u16]),
}

impl<'a> Numbers<'a> {
    /// The numbers of f32 elements, which are bf16 if `short`.
    pub(crate) fn new(elements: &'a [f32], short: bool) -> Self {
        match short {
            true => Self::Bf16(words(elements)),
            false => Self::F32(elements),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::F32(all) => all.len(),
            Self::Bf16(all) => all.len(),
        }
    }

    /// Those from `at` on.
    pub(crate) fn from(self, at: usize) -> Self {
        match self {
            Self::F32(all) => Self::F32(&all[at..]),
            Self::Bf16(all) => Self::Bf16(&all[at..]),
        }
    }

    /// `count` of them from `at` on.
    pub(crate) fn part(self, at: usize, count: usize) -> Self {
        match self {
            Self::F32(all) => Self::F32(&all[at..at + count]),
            Self::Bf16(all) => Self::Bf16(&all[at..at + count]),
        }
    }

    pub(crate) fn get(&self, at: usize) -> f32 {
        match self {
            Self::F32(all) => all[at],
            Self::Bf16(all) => of_bf16(all[at]),
        }
    }

    /// All of them as f32 numbers: where they lie if they are, else in `room`.
    pub(crate) fn wide<'b>(self, isa: Isa, room: &'b mut [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        match self {
            Self::F32(all) => all,
            Self::Bf16(all) => {
                let room = &mut room[..all.len()];
                widen(isa, all, room);
                room
            }
        }
    }
}

/// Numbers to be written.
#[derive(Debug)]
pub(crate) enum NumbersMut<'a> {
    /// One an element.
    F32(&'a mut [f32]),
    /// Two an element.
    Bf16(&'a mut [u16]),
}

impl<'a> NumbersMut<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::F32(all) => all.len(),
            Self::Bf16(all) => all.len(),
        }
    }

    /// As [`Numbers::new`].
    pub(crate) fn new(elements: &'a mut [f32], short: bool) -> Self {
        match short {
            true => Self::Bf16(words_mut(elements)),
            false => Self::F32(elements),
        }
    }

    /// Those from `at` on.
    pub(crate) fn from(&mut self, at: usize) -> NumbersMut<'_> {
        match self {
            Self::F32(all) => NumbersMut::F32(&mut all[at..]),
            Self::Bf16(all) => NumbersMut::Bf16(&mut all[at..]),
        }
    }

    /// Writes f32 numbers to its first places.
    pub(crate) fn write(self, isa: Isa, from: &[f32]) {
        match self {
            Self::F32(to) => to[..from.len()].copy_from_slice(from),
            Self::Bf16(to) => narrow(isa, from, &mut to[..from.len()]),
        }
    }
}

/// The nearest bf16 number, ties away from zero, as [`Simd::store_bf16`] rounds.
pub(crate) fn to_bf16(x: f32) -> u16 {
    let bits = match x.is_nan() {
        true => x.to_bits() | 0x40_0000,
        false => x.to_bits() + 0x8000,
    };
    (bits >> 16) as u16
}

/// A bf16 number.
pub(crate) fn of_bf16(x: u16) -> f32 {
    f32::from_bits(u32::from(x) << 16)
}

/// Elements of a value as bf16 numbers.
pub(crate) fn words(elements: &[f32]) -> &[u16] {
    // SAFETY: f32 is larger and stricter aligned than u16, and any bits are a u16.
    unsafe { std::slice::from_raw_parts(elements.as_ptr().cast(), elements.len() * 2) }
}

/// The same to write.
pub(crate) fn words_mut(elements: &mut [f32]) -> &mut [u16] {
    // SAFETY: as above, any bits are an f32, and the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(elements.as_mut_ptr().cast(), elements.len() * 2) }
}

/// bf16 numbers as f32 numbers.
///
/// # Panics
/// When there are not as many of both.
pub(crate) fn widen(isa: Isa, from: &[u16], to: &mut [f32]) {
    assert_eq!(from.len(), to.len());
    let (count, from, to) = (from.len(), from.as_ptr(), to.as_mut_ptr());
    on_vectors!(isa, widen_with(from: *const u16, to: *mut f32, count: usize));
}

/// # Safety
/// Both have `count` numbers.
#[inline(always)]
unsafe fn widen_with<S: Simd>(from: *const u16, to: *mut f32, count: usize) {
    let whole = count / S::LANES * S::LANES;
    // SAFETY: by the contract.
    unsafe {
        for at in (0..whole).step_by(S::LANES) {
            S::load_bf16(from.add(at), S::LANES).store(to.add(at));
        }
        if whole < count {
            S::load_bf16(from.add(whole), count - whole).store_first(to.add(whole), count - whole);
        }
    }
}

/// f32 numbers as the nearest bf16 numbers.
///
/// # Panics
/// When there are not as many of both.
pub(crate) fn narrow(isa: Isa, from: &[f32], to: &mut [u16]) {
    assert_eq!(from.len(), to.len());
    let (count, from, to) = (from.len(), from.as_ptr(), to.as_mut_ptr());
    on_vectors!(isa, narrow_with(from: *const f32, to: *mut u16, count: usize));
}

/// # Safety
/// Both have `count` numbers.
#[inline(always)]
unsafe fn narrow_with<S: Simd>(from: *const f32, to: *mut u16, count: usize) {
    let whole = count / (2 * S::LANES) * 2 * S::LANES;
    // SAFETY: by the contract.
    unsafe {
        for at in (0..whole).step_by(2 * S::LANES) {
            S::load(from.add(at)).store_both_bf16(S::load(from.add(at + S::LANES)), to.add(at));
        }
        for at in (whole..count).step_by(S::LANES) {
            let left = (count - at).min(S::LANES);
            S::load_first(from.add(at), left).store_bf16(to.add(at), left);
        }
    }
}

/// The operands, if all are f32 numbers.
fn wide_all<'a, const N: usize>(operands: &[Numbers<'a>; N]) -> Option<[&'a [f32]; N]> {
    let wide = operands.map(|operand| match operand {
        Numbers::F32(all) => Some(all),
        Numbers::Bf16(_) => None,
    });
    wide.iter()
        .all(Option::is_some)
        .then(|| wide.map(Option::unwrap_or_default))
}

/// Elements that go through the first cache at a time where a kernel's loop is of f32 numbers alone.
const RUN: usize = 512;

/// Runs a loop of f32 numbers, element by element, over numbers of either kind.
pub(crate) fn each_run<const N: usize>(
    isa: Isa,
    operands: [Numbers<'_>; N],
    mut output: NumbersMut<'_>,
    run: impl Fn([&[f32]; N], &mut [f32]),
) {
    if let (NumbersMut::F32(to), Some(all)) = (&mut output, wide_all(&operands)) {
        return run(all, to);
    }
    let count = output.len();
    let mut rooms = [[0.0; RUN]; N];
    let mut result = [0.0; RUN];
    for at in (0..count).step_by(RUN) {
        let length = RUN.min(count - at);
        let mut rooms = rooms.iter_mut();
        let wide = operands.map(|operand| match rooms.next() {
            Some(room) => operand.part(at, length).wide(isa, room),
            None => &[],
        });
        match output.from(at) {
            NumbersMut::F32(to) => run(wide, &mut to[..length]),
            to => {
                run(wide, &mut result[..length]);
                to.write(isa, &result[..length]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_instruction_set_rounds_alike(bits in prop::collection::vec(any::<u32>(), 1..70)) {
            let from: Vec<f32> = bits.iter().map(|&bits| f32::from_bits(bits)).collect();
            let expected: Vec<u16> = from.iter().map(|&x| to_bf16(x)).collect();
            for isa in Isa::available() {
                let mut words = vec![7; from.len()];
                narrow(isa, &from, &mut words);
                prop_assert_eq!(&words, &expected);
                let mut back = vec![1.0; from.len()];
                widen(isa, &words, &mut back);
                for (x, y) in from.iter().zip(&back) {
                    prop_assert_eq!(x.is_nan(), y.is_nan());
                    let near = x.is_nan() || x == y || (x - y).abs() <= x.abs() / 256.0 + 1e-40;
                    prop_assert!(near || y.is_infinite(), "{} became {}", x, y);
                }
            }
        }
    }

    #[test]
    fn ties_go_away_from_zero_and_what_is_not_finite_stays_so() {
        let of = |x: f32| of_bf16(to_bf16(x));
        assert_eq!(of(1.0 + 1.0 / 256.0), 1.0 + 1.0 / 128.0);
        assert_eq!(of(-1.0 - 1.0 / 256.0), -1.0 - 1.0 / 128.0);
        assert_eq!(
            [of(f32::INFINITY), of(f32::NEG_INFINITY)],
            [f32::INFINITY, f32::NEG_INFINITY]
        );
        assert!(of(f32::from_bits(0x7fff_ffff)).is_nan() && of(f32::from_bits(0xff80_0001)).is_nan());
        assert_eq!(of(f32::MAX), f32::INFINITY);
    }

    #[test]
    fn a_loop_runs_over_numbers_of_either_kind() {
        let (a, b): (Vec<f32>, Vec<f32>) = (0..1200).map(|i| (i as f32 / 8.0 % 16.0, i as f32 % 7.0)).unzip();
        let short: Vec<u16> = a.iter().map(|&x| to_bf16(x)).collect();
        let sum = |operands: [&[f32]; 2], to: &mut [f32]| {
            let pairs = operands[0].iter().zip(operands[1]);
            to.iter_mut().zip(pairs).for_each(|(to, (a, b))| *to = a + b);
        };
        let (mut wide, mut words) = (vec![0.0; 1200], vec![0; 1200]);
        let isa = Isa::detect();
        each_run(
            isa,
            [Numbers::Bf16(&short), Numbers::F32(&b)],
            NumbersMut::F32(&mut wide),
            sum,
        );
        each_run(
            isa,
            [Numbers::Bf16(&short), Numbers::F32(&b)],
            NumbersMut::Bf16(&mut words),
            sum,
        );
        for (i, (x, word)) in wide.iter().zip(words).enumerate() {
            assert_eq!((*x, of_bf16(word)), (a[i] + b[i], a[i] + b[i]));
        }
    }
}
