//! From sums of products to the gradient of the weights: Gᵀ dU G.

use super::spread::{all_zero, first_of};
use super::{FREQUENCIES, Isa};
use crate::kernels::simd::{Simd, on_vectors};

/// Taps of a filter.
pub(super) const TAPS: usize = 9;

/// dW `[9][weights]` of the sum of some dU: the first `[16][weights]` of each part of `each` elements.
pub(super) fn gradient(isa: Isa, partials: &[f32], each: usize, dw: &mut [f32]) {
    let step = dw.len() / TAPS;
    assert!(each >= FREQUENCIES * step);
    let dw = dw.as_mut_ptr();
    on_vectors!(isa, all(partials: &[f32], each: usize, dw: *mut f32, step: usize));
}

/// # Safety
/// `dw` has 9·step elements, and a part 16·step at least.
#[inline(always)]
unsafe fn all<S: Simd>(partials: &[f32], each: usize, dw: *mut f32, step: usize) {
    // SAFETY: by contract.
    unsafe {
        for at in (0..step).step_by(S::LANES) {
            let left = step - at;
            let mut sums = [[S::zero(); 4]; 4];
            for part in partials.chunks_exact(each) {
                for i in 0..4 {
                    for j in 0..4 {
                        let from = part.as_ptr().add((4 * i + j) * step + at);
                        sums[i][j] = sums[i][j].add(first_of::<S>(from, left));
                    }
                }
            }
            let mut rows = [[S::zero(); 4]; 3];
            for j in 0..4 {
                let column = narrow([sums[0][j], sums[1][j], sums[2][j], sums[3][j]]);
                for u in 0..3 {
                    rows[u][j] = column[u];
                }
            }
            for u in 0..3 {
                let row = narrow(rows[u]);
                for v in 0..3 {
                    let to = dw.add((3 * u + v) * step + at);
                    match left >= S::LANES {
                        true => row[v].store(to),
                        false => row[v].store_first(to, left),
                    }
                }
            }
        }
    }
}

/// Gᵀ u
#[inline(always)]
unsafe fn narrow<S: Simd>([a, b, c, d]: [S; 4]) -> [S; 3] {
    // SAFETY: the caller's vectors.
    unsafe {
        let half = S::splat(0.5);
        let even = S::zero().fma(half, b.add(c));
        [a.add(even), S::zero().fma(half, b.sub(c)), even.add(d)]
    }
}

/// Elements from `at` on of one tap's weights: of dU `[16][weights]`. Whether all are finite.
pub(super) fn of_tap(
    isa: Isa,
    (products, weights): (&[f32], usize),
    tap: usize,
    at: usize,
    dw: &mut [f32],
) -> bool {
    assert!(products.len() >= FREQUENCIES * weights && at + dw.len() <= weights && tap < TAPS);
    let mut finite = true;
    let (from, flag) = (products[at..].as_ptr(), &mut finite);
    on_vectors!(
        isa,
        one(from: *const f32, weights: usize, tap: usize, dw: &mut [f32], flag: &mut bool)
    );
    finite
}

/// Frequencies of an axis that a tap is made of, with their shares.
const OF_TAP: [[(usize, f32); 3]; 3] = [
    [(0, 1.0), (1, 0.5), (2, 0.5)],
    [(1, 0.5), (2, -0.5), (0, 0.0)],
    [(1, 0.5), (2, 0.5), (3, 1.0)],
];

/// # Safety
/// `from` reaches `dw`'s length into the last of 16 planes, `step` apart.
#[inline(always)]
unsafe fn one<S: Simd>(from: *const f32, step: usize, tap: usize, dw: &mut [f32], finite: &mut bool) {
    let terms = |axis: usize| &OF_TAP[axis][..if axis == 1 { 2 } else { 3 }];
    // SAFETY: by contract.
    unsafe {
        let mut odd = S::zero();
        for at in (0..dw.len()).step_by(S::LANES) {
            let left = dw.len() - at;
            let mut sum = S::zero();
            for &(i, down) in terms(tap / 3) {
                for &(j, along) in terms(tap % 3) {
                    let product = first_of::<S>(from.add((4 * i + j) * step + at), left);
                    sum = sum.fma(S::splat(down * along), product);
                }
            }
            odd = odd.fma(sum, S::zero());
            let to = dw.as_mut_ptr().add(at);
            match left >= S::LANES {
                true => sum.store(to),
                false => sum.store_first(to, left),
            }
        }
        *finite = all_zero(odd);
    }
}
