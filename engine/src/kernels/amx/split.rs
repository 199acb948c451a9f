//! f32 numbers as sums of bf16 numbers: x = hi + mid + lo, each part the rest of what came before,
//! rounded to nearest, ties away from zero (one addition on the bits). Two parts keep 16 to 17 bits of x, three
//! keep all 24.
//!
//! Parts of a number below 2⁻¹⁰³ may be denormal, which the tile unit takes for 0, and a number near the
//! largest rounds to infinity. So the numbers that are split together are looked at ([`splits`]).
//! Those out of range are kept as they are, in the same place: `parts` is then [`PLAIN`].

use super::super::Isa;
use super::fallback::ABSENT;
use super::tile::{BLOCK, Block, SIDE};
use crate::kernels::short::{Numbers, of_bf16};

/// In place of a number of parts: the numbers are not split, each takes two words.
pub(crate) const PLAIN: usize = 0;

/// From here on a block is too large to be split: products stay below 2¹⁰⁰, so that sums of any length
/// that fits into memory stay finite. Infinities and NaN are larger still.
const TOO_LARGE: u32 = (127 + 50) << 23;
/// How small the largest number of an operand may be. The two bounds of a product are such that what the tile unit drops
/// as denormal is less than 2⁻⁴⁶ of the product of the largest numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Floor {
    /// 2⁻⁵⁶: of images, and of gradients, which become tiny where a network is sure of a sample.
    Low,
    /// 2⁻²⁴: of weights, and of the images that gradients are multiplied with.
    High,
}

/// Whether numbers whose largest absolute value has these bits can be split.
#[inline(always)]
pub(crate) fn splits(largest: u32, floor: Floor) -> bool {
    let floor = match floor {
        Floor::Low => (127 - 56) << 23,
        Floor::High => (127 - 24) << 23,
    };
    largest == 0 || (floor..TOO_LARGE).contains(&largest)
}

/// The bits of the nearest bf16 number as f32, ties away from zero.
#[inline(always)]
fn nearest(x: f32) -> u32 {
    // NaN may run over; it is seen before its parts are used.
    x.to_bits().wrapping_add(0x8000) & 0xffff_0000
}

/// A line of numbers, of which one part after the other is taken away.
struct Rest([f32; SIDE]);

impl Rest {
    /// The bits of the next part, which is what remains loses.
    #[inline(always)]
    fn take(&mut self) -> [u32; SIDE] {
        let mut part = [0; SIDE];
        for (x, part) in self.0.iter_mut().zip(&mut part) {
            *part = nearest(*x);
            *x -= f32::from_bits(*part);
        }
        part
    }
}

/// Pixels of a row of an image, some channels of each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Pixels.
    pub count: usize,
    /// From one to the next.
    pub stride: usize,
    /// Channels of each, at most 32; zeros follow them.
    pub channels: usize,
}

/// Lays a run as lines of 32 elements from element `at` on, parts `plane` words apart, or as they are. The bits of
/// the largest absolute value, where NaN is the largest.
pub(crate) fn lay(
    isa: Isa,
    parts: usize,
    from: &[f32],
    run: Run,
    to: &mut [u16],
    (at, plane): (usize, usize),
) -> u32 {
    if run.count == 0 {
        return 0;
    }
    let reach = at + run.count * SIDE;
    let words = if parts == PLAIN {
        2 * reach
    } else {
        reach + (parts - 1) * plane
    };
    assert!(
        run.channels <= SIDE
            && (run.count - 1) * run.stride + run.channels <= from.len()
            && words <= to.len(),
        "split: the numbers or the words end early"
    );
    match (isa, parts) {
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, 1..=3) => {
            // SAFETY: the processor has the set; the reach of numbers and words was checked.
            unsafe { super::vectors::lay(parts, from.as_ptr(), run, to.as_mut_ptr().add(at), plane) }
        }
        _ => {
            let mut largest = 0;
            for pixel in 0..run.count {
                let mut rest = Rest([0.0; SIDE]);
                rest.0[..run.channels].copy_from_slice(&from[pixel * run.stride..][..run.channels]);
                largest = rest
                    .0
                    .iter()
                    .fold(largest, |m, x| m.max(x.to_bits() & 0x7fff_ffff));
                write_line(rest, parts, to, (at + pixel * SIDE, plane));
            }
            largest
        }
    }
}

/// The same of numbers as they lie in memory; those that are bf16 already are one part.
pub(crate) fn lay_numbers(
    isa: Isa,
    parts: usize,
    from: Numbers<'_>,
    run: Run,
    to: &mut [u16],
    (at, plane): (usize, usize),
) -> u32 {
    let from = match from {
        Numbers::F32(from) => return lay(isa, parts, from, run, to, (at, plane)),
        Numbers::Bf16(from) => from,
    };
    if run.count == 0 {
        return 0;
    }
    let reach = at + run.count * SIDE;
    let words = if parts == PLAIN { 2 * reach } else { reach };
    assert!(
        parts <= 1
            && run.channels <= SIDE
            && (run.count - 1) * run.stride + run.channels <= from.len()
            && words <= to.len(),
        "split: the numbers or the words end early"
    );
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx512 && parts == 1 {
        // SAFETY: the processor has the set; the reach of numbers and words was checked.
        return unsafe { super::vectors::lay_words(from.as_ptr(), run, to.as_mut_ptr().add(at)) };
    }
    let mut largest = 0;
    for pixel in 0..run.count {
        let mut line = [0; SIDE];
        line[..run.channels].copy_from_slice(&from[pixel * run.stride..][..run.channels]);
        largest = line.iter().fold(largest, |m: u16, x| m.max(x & 0x7fff));
        match parts {
            PLAIN => plain_line(&line.map(of_bf16), &mut to[2 * (at + pixel * SIDE)..]),
            _ => to[at + pixel * SIDE..][..SIDE].copy_from_slice(&line),
        }
    }
    u32::from(largest) << 16
}

fn write_line(mut rest: Rest, parts: usize, to: &mut [u16], (at, plane): (usize, usize)) {
    if parts == PLAIN {
        return plain_line(&rest.0, &mut to[2 * at..]);
    }
    for p in 0..parts {
        let to = &mut to[p * plane + at..][..SIDE];
        for (to, part) in to.iter_mut().zip(rest.take()) {
            *to = (part >> 16) as u16;
        }
    }
}

/// Zeros in place of `count` elements from element `at` on; in numbers that stay as they are, the mark of
/// what is not there.
pub(crate) fn clear(parts: usize, to: &mut [u16], (at, count): (usize, usize), plane: usize) {
    if parts == PLAIN {
        let absent = [ABSENT as u16, (ABSENT >> 16) as u16];
        return to[2 * at..2 * (at + count)].as_chunks_mut::<2>().0.fill(absent);
    }
    for p in 0..parts {
        to[p * plane + at..][..count].fill(0);
    }
}

fn plain_line(from: &[f32], to: &mut [u16]) {
    for (x, to) in from.iter().zip(to.as_chunks_mut::<2>().0) {
        *to = [x.to_bits() as u16, (x.to_bits() >> 16) as u16];
    }
}

/// Rows of numbers, at most 32 × 32, as they lie in a matrix; zeros are behind them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows {
    pub count: usize,
    pub columns: usize,
    /// From one row to the next.
    pub stride: usize,
}

impl Rows {
    /// A whole block.
    pub(crate) const BLOCK: Self = Self {
        count: SIDE,
        columns: SIDE,
        stride: SIDE,
    };
}

/// Writes rows `[k][column]` as one step of B, from element `at` on: see [`super::tile::Right`]. Parts lie `plane` words
/// apart. The bits of the largest absolute value.
pub(crate) fn pair(
    isa: Isa,
    parts: usize,
    from: &[f32],
    rows: Rows,
    to: &mut [u16],
    (at, plane): (usize, usize),
) -> u32 {
    let Rows {
        count,
        columns,
        stride,
    } = rows;
    let reach = if count == 0 {
        0
    } else {
        (count - 1) * stride + columns
    };
    let end = at + BLOCK;
    let words = if parts == PLAIN {
        2 * end
    } else {
        end + (parts - 1) * plane
    };
    assert!(
        count <= SIDE && columns <= SIDE && reach <= from.len() && words <= to.len(),
        "split: the numbers or the words end early"
    );
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx512 && parts != PLAIN {
        // SAFETY: the processor has the set; the reach of numbers and words was checked.
        return unsafe {
            let to = to.as_mut_ptr().add(at);
            super::vectors::pair(parts, from.as_ptr(), (count, columns, stride), to, plane)
        };
    }
    let mut largest = 0;
    for row in 0..SIDE {
        let mut rest = Rest([0.0; SIDE]);
        if row < count {
            rest.0[..columns].copy_from_slice(&from[row * stride..][..columns]);
        }
        largest = rest
            .0
            .iter()
            .fold(largest, |m, x| m.max(x.to_bits() & 0x7fff_ffff));
        let element = |column: usize| at + pair_element(row, column);
        if parts == PLAIN {
            for (column, x) in rest.0.iter().enumerate() {
                plain_line(&[*x], &mut to[2 * element(column)..]);
            }
        }
        for p in 0..parts {
            for (column, part) in rest.take().into_iter().enumerate() {
                to[p * plane + element(column)] = (part >> 16) as u16;
            }
        }
    }
    largest
}

/// One part of 32 lines `[line][32]` as a step of B, whose columns they become.
pub(crate) fn widen(isa: Isa, from: &[u16; BLOCK], to: &mut [u16; BLOCK]) {
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx512 {
        // SAFETY: the processor has the set.
        return unsafe { super::vectors::widen(from, to) };
    }
    for (index, word) in from.iter().enumerate() {
        to[pair_element(index % SIDE, index / SIDE)] = *word;
    }
}

/// One part of a step of B as 32 lines, one for each of its columns.
pub(crate) fn narrow(isa: Isa, from: &[u16; BLOCK], to: &mut [u16; BLOCK]) {
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx512 {
        // SAFETY: the processor has the set.
        return unsafe { super::vectors::narrow(from, to) };
    }
    for (index, word) in to.iter_mut().enumerate() {
        *word = from[pair_element(index % SIDE, index / SIDE)];
    }
}

/// Where number (k, column) of a step of B stands among its elements: `[16 pairs of k][32 columns][2]`.
pub(crate) fn pair_element(k: usize, column: usize) -> usize {
    k / 2 * 2 * SIDE + column * 2 + k % 2
}

/// Rows become columns.
pub(crate) fn transpose(isa: Isa, from: &Block, to: &mut Block) {
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx512 {
        // SAFETY: the processor has the set.
        return unsafe { super::vectors::transpose(from, to) };
    }
    for (index, to) in to.0.iter_mut().enumerate() {
        *to = from.0[index % SIDE * SIDE + index / SIDE];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The first three parts of a number.
    fn split(x: f32) -> [f32; 3] {
        let of = |isa| {
            let mut words = vec![0; 3 * BLOCK];
            let run = Run {
                count: SIDE,
                stride: SIDE,
                channels: SIDE,
            };
            lay(isa, 3, &[x; BLOCK], run, &mut words, (0, BLOCK));
            words
        };
        let words = of(Isa::detect());
        assert!(words == of(Isa::Scalar));
        [0, 1, 2].map(|p| f32::from_bits(u32::from(words[p * BLOCK + 5]) << 16))
    }

    proptest! {
        #[test]
        fn three_parts_keep_every_bit_and_two_keep_sixteen(bits in any::<u32>()) {
            let x = f32::from_bits(bits);
            prop_assume!(x.is_finite() && x.abs() < 1e15 && x.abs() > 1e-12);
            let [hi, mid, lo] = split(x);
            prop_assert_eq!(lo + mid + hi, x);
            prop_assert!((hi - x).abs() <= x.abs() / 256.0);
            prop_assert!((f64::from(hi) + f64::from(mid) - f64::from(x)).abs() <= f64::from(x.abs()) / 65536.0);
        }
    }

    #[test]
    fn a_tie_goes_away_from_zero() {
        // 1 + 2⁻⁸ lies between the bf16 numbers 1 and 1 + 2⁻⁷.
        assert_eq!(split(1.0 + 1.0 / 256.0)[0], 1.0 + 1.0 / 128.0);
        assert_eq!(split(-1.0 - 3.0 / 256.0)[0], -1.0 - 1.0 / 64.0);
    }

    #[test]
    fn a_step_of_b_holds_pairs_of_k_of_rows_or_of_columns() {
        let from: [f32; BLOCK] = std::array::from_fn(|i| (i / SIDE * 2) as f32 + (i % SIDE) as f32 / 64.0);
        let of = |isa| {
            let (mut words, mut lines) = (vec![0; 2 * BLOCK], vec![0; 2 * BLOCK]);
            let (mut wide, mut back) = ([0; BLOCK], [0; BLOCK]);
            // 31 of the columns, 30 of the rows.
            let rows = Rows {
                count: 30,
                columns: 31,
                stride: SIDE,
            };
            let largest = pair(isa, 2, &from, rows, &mut words, (0, BLOCK));
            assert_eq!(f32::from_bits(largest), from[29 * SIDE + 30]);
            let run = Run {
                count: SIDE,
                stride: SIDE,
                channels: SIDE,
            };
            lay(isa, 2, &from, run, &mut lines, (0, BLOCK));
            let line: &[u16; BLOCK] = lines[..BLOCK].try_into().unwrap_or(&[0; BLOCK]);
            widen(isa, line, &mut wide);
            narrow(isa, &wide, &mut back);
            assert!(back == *line);
            (words, wide)
        };
        let (words, wide) = of(Isa::detect());
        assert!((words.clone(), wide) == of(Isa::Scalar));
        let value = |word: u16| f32::from_bits(u32::from(word) << 16);
        for (k, column) in [(0, 0), (5, 3), (8, 17), (29, 30)] {
            let at = pair_element(k, column);
            assert_eq!(
                value(words[at]) + value(words[BLOCK + at]),
                from[k * SIDE + column]
            );
            // Lines as columns.
            let difference = value(wide[at]) - from[column * SIDE + k];
            assert!(difference.abs() <= 0.25);
        }
        assert_eq!([words[pair_element(30, 0)], words[pair_element(0, 31)]], [0, 0]);
    }

    /// Of at most 32 numbers.
    fn largest_of(isa: Isa, numbers: &[f32]) -> u32 {
        let run = Run {
            count: 1,
            stride: 0,
            channels: numbers.len(),
        };
        lay(isa, 1, numbers, run, &mut [0; SIDE], (0, SIDE))
    }

    #[test]
    fn what_cannot_be_split_is_seen() {
        let isa = Isa::detect();
        for bad in [
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            f32::MAX,
            -1e20,
            1e-41,
            -3e-8,
        ] {
            let mut values = vec![0.0; 30];
            values[17] = bad;
            let floor = if bad.abs() < 1e-6 { Floor::High } else { Floor::Low };
            assert!(!splits(largest_of(isa, &values), floor), "{bad}");
        }
        // Small numbers among larger ones do no harm.
        for good in [&[1.0, 1e-41, -1e-30, 0.0][..], &[0.0; 9], &[]] {
            assert!(splits(largest_of(isa, good), Floor::High));
        }
        assert!(splits(largest_of(isa, &[-2e-17]), Floor::Low));
    }

    #[test]
    fn bf16_numbers_are_laid_as_the_f32_numbers_they_are() {
        let words: Vec<u16> = (0..500)
            .map(|i| 0x3f00 + 37 * i as u16 % 900 + i as u16 % 2 * 0x8000)
            .collect();
        let wide: Vec<f32> = words.iter().map(|&word| of_bf16(word)).collect();
        for (channels, stride) in [(32, 40), (17, 17), (5, 64)] {
            let run = Run {
                count: 7,
                stride,
                channels,
            };
            for (parts, isa) in Isa::available()
                .into_iter()
                .flat_map(|isa| [(1, isa), (PLAIN, isa)])
            {
                let of = |numbers: Numbers<'_>| {
                    let mut to = vec![9; 2 * 8 * SIDE];
                    let largest = lay_numbers(isa, parts, numbers, run, &mut to, (SIDE, 0));
                    (largest, to)
                };
                assert!(of(Numbers::Bf16(&words)) == of(Numbers::F32(&wide)));
            }
        }
    }

    #[test]
    fn a_block_turned_twice_is_itself() {
        let from = Block(std::array::from_fn(|i| i as f32));
        for isa in Isa::available() {
            let (mut turned, mut back) = (Block::ZERO, Block::ZERO);
            transpose(isa, &from, &mut turned);
            assert_eq!(turned.row(3)[17], from.row(17)[3]);
            transpose(isa, &turned, &mut back);
            assert_eq!(back.0, from.0);
        }
    }
}
