//! The norm of the gradients.

use std::sync::atomic::{AtomicU64, Ordering};

use super::WORTH_SHARING;
use crate::kernels::Isa;
use crate::{Pool, per_isa};

/// The gradients' squares are summed in parts of at least this many, and at most so many parts. Their
/// number depends on the length alone, and so does the norm.
const PART: usize = 1 << 10;
const PARTS: usize = 64;

/// √Σg² in f64, in an order that depends on the length alone.
pub(crate) fn norm(pool: &Pool, isa: Isa, gradients: &[f32]) -> f64 {
    let sums = [const { AtomicU64::new(0) }; PARTS];
    let each = gradients.len().div_ceil(PARTS).next_multiple_of(16).max(PART);
    let parts = gradients.len().div_ceil(each);
    let part = |index: usize| {
        let end = ((index + 1) * each).min(gradients.len());
        let mut sum = 0.0;
        square_sum(isa, &gradients[index * each..end], &mut sum);
        sums[index].store(sum.to_bits(), Ordering::Relaxed);
    };
    let threads = pool.threads();
    if gradients.len() < WORTH_SHARING || threads == 1 {
        (0..parts).for_each(part);
    } else {
        pool.run(&|worker| (worker * parts / threads..(worker + 1) * parts / threads).for_each(part));
    }
    let sums = sums[..parts].iter();
    let total: f64 = sums.map(|s| f64::from_bits(s.load(Ordering::Relaxed))).sum();
    total.sqrt()
}

per_isa!(
    fn square_sum(x: &[f32], total: &mut f64) {
        let mut sums = [0.0f64; 16];
        let blocks = x.chunks_exact(16);
        for (sum, &x) in sums.iter_mut().zip(blocks.remainder()) {
            *sum = f64::from(x) * f64::from(x);
        }
        for block in blocks {
            for (sum, &x) in sums.iter_mut().zip(block) {
                *sum += f64::from(x) * f64::from(x);
            }
        }
        *total = sums.iter().sum();
    }
);
