//! The tile unit in plain Rust, with the arithmetic that Intel's instruction set reference (TDPBF16PS) states: pairs of
//! bf16 numbers, products of even and of odd k summed apart by f32 multiply-adds that round to nearest
//! even, both added, and the sum added to C. Denormal operands count as 0, and so does a denormal result.

use super::tile::{BLOCK, Block, Left, Right, SIDE, Starts, products};
use crate::per_isa;

/// The value of a bf16 number, 0 for a denormal one.
#[inline(always)]
fn operand(word: u16) -> f32 {
    flush(f32::from_bits(u32::from(word) << 16))
}

/// 0 of the same sign in place of a denormal number.
#[inline(always)]
fn flush(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits(if bits & 0x7f80_0000 == 0 {
        bits & 0x8000_0000
    } else {
        bits
    })
}

per_isa!(
    /// C += A·B for one step and one pair of parts: four tile products. `a` begins at element (0, 0) of
    /// its part, `b` is a step of its part.
    fn step(a: &[u16], row: usize, b: &[u16], c: &mut [f32]) {
        // [even or odd k][pair][column]
        let mut decoded = [[[0.0f32; SIDE]; SIDE / 2]; 2];
        for (index, &word) in b.iter().enumerate() {
            let (pair, column, odd) = (index / 64, index / 2 % SIDE, index % 2);
            decoded[odd][pair][column] = operand(word);
        }
        for (r, sums) in c.chunks_exact_mut(SIDE).enumerate() {
            let a = &a[r * row..][..SIDE];
            let (mut even, mut odd) = ([0.0f32; SIDE], [0.0f32; SIDE]);
            for pair in 0..SIDE / 2 {
                let (first, second) = (operand(a[2 * pair]), operand(a[2 * pair + 1]));
                for n in 0..SIDE {
                    even[n] = flush(first.mul_add(decoded[0][pair][n], even[n]));
                    odd[n] = flush(second.mul_add(decoded[1][pair][n], odd[n]));
                }
            }
            for n in 0..SIDE {
                sums[n] = flush(sums[n] + flush(even[n] + odd[n]));
            }
        }
    }
);

/// What [`super::real`] computes, in the same order.
pub(super) fn product(
    isa: super::super::Isa,
    parts: usize,
    left: &Left,
    starts: &Starts,
    right: &Right,
    block: &mut Block,
) {
    *block = Block::ZERO;
    add(isa, parts, left, starts, right, &mut block.0);
}

/// What [`super::real::add`] computes, in the same order.
pub(super) fn add(
    isa: super::super::Isa,
    parts: usize,
    left: &Left,
    starts: &Starts,
    right: &Right,
    block: &mut [f32; BLOCK],
) {
    for [start, s] in starts.list() {
        for &(p, q) in products(parts) {
            let a = &left.words[left.at + start + p * left.plane..];
            let b = &right.words[right.at + s * right.step + q * right.plane..][..BLOCK];
            step(isa, a, left.row, b, block);
        }
    }
}
