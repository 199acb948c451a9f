//! The product of operands that cannot be split: infinities, NaN, and blocks that are too large or too
//! small as a whole. It decodes both operands and multiplies and adds in f32, so that such numbers do
//! what they do everywhere else.

use super::super::Isa;
use super::split::pair_element;
use super::tile::{Block, Left, Right, SIDE, Starts};
use crate::per_isa;

/// Bits of a NaN that no arithmetic makes. It stands where a frame has no pixel: 0 would do among
/// finite numbers, but 0·∞ is NaN, and there is nothing to multiply.
pub(super) const ABSENT: u32 = 0x7fc0_5eed;

/// Number `element` of words that hold it whole, or as `parts` parts `plane` words apart.
#[inline(always)]
fn number(words: &[u16], plain: bool, parts: usize, plane: usize, element: usize) -> f32 {
    let bf16 = |word: u16| f32::from_bits(u32::from(word) << 16);
    if plain {
        let (low, high) = (words[2 * element], words[2 * element + 1]);
        return f32::from_bits(u32::from(low) | u32::from(high) << 16);
    }
    // The smallest first: then three parts give back every bit.
    (0..parts)
        .rev()
        .fold(0.0, |sum, p| sum + bf16(words[element + p * plane]))
}

fn left_block(parts: usize, left: &Left, start: usize) -> Block {
    let mut block = Block::ZERO;
    for (index, x) in block.0.iter_mut().enumerate() {
        let element = left.at + start + index / SIDE * left.row + index % SIDE;
        *x = number(left.words, left.plain, parts, left.plane, element);
    }
    block
}

fn right_block(parts: usize, right: &Right, step: usize) -> Block {
    let mut block = Block::ZERO;
    for (index, x) in block.0.iter_mut().enumerate() {
        let (k, n) = (index / SIDE, index % SIDE);
        let element = right.at + step * right.step + pair_element(k, n);
        *x = number(right.words, right.plain, parts, right.plane, element);
    }
    block
}

per_isa!(
    fn multiply(a: &Block, b: &Block, c: &mut Block) {
        for (row, sums) in c.0.chunks_exact_mut(SIDE).enumerate() {
            for (k, &x) in a.row(row).iter().enumerate() {
                if x.to_bits() == ABSENT || b.row(k)[0].to_bits() == ABSENT {
                    continue;
                }
                for (sum, &y) in sums.iter_mut().zip(b.row(k)) {
                    *sum = x.mul_add(y, *sum);
                }
            }
        }
    }
);

/// C = Σ over the steps of A·B in f32.
pub(super) fn product(
    isa: Isa,
    parts: usize,
    left: &Left,
    starts: &Starts,
    right: &Right,
    block: &mut Block,
) {
    *block = Block::ZERO;
    for &[start, step] in starts.list() {
        let (a, b) = (left_block(parts, left, start), right_block(parts, right, step));
        multiply(isa, &a, &b, block);
    }
}
