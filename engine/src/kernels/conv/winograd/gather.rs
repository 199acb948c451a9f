//! Back from products to a result: Aᵀ M A, and what a convolution ends with.

use super::spread::{all_zero, first_of};
use super::{Isa, Planes, on_vectors};
use crate::kernels::simd::Simd;

/// Aᵀ m
#[inline(always)]
unsafe fn collect<S: Simd>([a, b, c, d]: [S; 4]) -> [S; 2] {
    // SAFETY: the caller's vectors.
    unsafe { [a.add(b.add(c)), d.add(b.sub(c))] }
}

/// Where a row of tiles goes.
pub(super) struct Results<'a> {
    /// The result; tile 0 of the row has its first pixel at `at`.
    pub output: &'a mut [f32],
    pub at: isize,
    /// Elements from row to row, and channels.
    pub line: usize,
    pub channels: usize,
    /// Of the tile's two rows, those that are wanted, and columns in all.
    pub rows: [bool; 2],
    pub columns: usize,
    pub bias: Option<&'a [f32]>,
    /// Lies as the output does, but for so many elements before it.
    pub residual: Option<(&'a [f32], usize)>,
    pub relu: bool,
}

/// Lays Aᵀ M A of each tile of a row, its products in `from`, into the result. Whether all sums were finite.
pub(super) fn gather(isa: Isa, from: &[f32], planes: Planes, to: Results<'_>) -> bool {
    let tiles = to.columns.div_ceil(2);
    assert!(from.len() >= 15 * planes.plane + (tiles - 1) * planes.row + to.channels);
    let begin = to.at + if to.rows[0] { 0 } else { to.line as isize };
    let end = to.at + (to.columns * to.channels) as isize + if to.rows[1] { to.line as isize } else { 0 };
    assert!(begin >= 0 && end <= to.output.len() as isize);
    assert!(to.bias.is_none_or(|bias| bias.len() >= to.channels));
    assert!(
        to.residual
            .is_none_or(|(r, before)| r.len() as isize >= end + before as isize)
    );
    let mut finite = true;
    let output = to.output.as_mut_ptr();
    let (from, to, flag) = (from.as_ptr(), &to, &mut finite);
    on_vectors!(
        isa,
        gather_row(from: *const f32, planes: Planes, to: &Results<'_>, output: *mut f32, flag: &mut bool)
    );
    finite
}

/// # Safety
/// As `gather` checks.
#[inline(always)]
unsafe fn gather_row<S: Simd>(
    from: *const f32,
    planes: Planes,
    to: &Results<'_>,
    output: *mut f32,
    finite: &mut bool,
) {
    // SAFETY: `gather` checked the reach of every pointer that is followed.
    unsafe {
        let mut odd = S::zero();
        for tile in 0..to.columns.div_ceil(2) {
            let products = from.add(tile * planes.row);
            let both = 2 * tile + 1 < to.columns;
            let at = to.at + (2 * tile * to.channels) as isize;
            for c in (0..to.channels).step_by(S::LANES) {
                let left = to.channels - c;
                let mut halves = [[S::zero(); 4]; 2];
                for j in 0..4 {
                    let product =
                        |i: usize| first_of::<S>(products.add((4 * i + j) * planes.plane + c), left);
                    let sums = collect([product(0), product(1), product(2), product(3)]);
                    (halves[0][j], halves[1][j]) = (sums[0], sums[1]);
                }
                for (i, half) in halves.into_iter().enumerate().filter(|(i, _)| to.rows[*i]) {
                    for (j, sum) in collect(half).into_iter().enumerate().take(1 + usize::from(both)) {
                        // 0 times what is not finite is NaN, which stays.
                        odd = odd.fma(sum, S::zero());
                        let place = at + (i * to.line + j * to.channels + c) as isize;
                        finish(to, sum, output.offset(place), (place, c, left));
                    }
                }
            }
        }
        *finite = all_zero(odd);
    }
}

/// Adds bias and residual and stores.
#[inline(always)]
unsafe fn finish<S: Simd>(
    to: &Results<'_>,
    sum: S,
    output: *mut f32,
    (place, c, left): (isize, usize, usize),
) {
    // SAFETY: as in `gather_row`.
    unsafe {
        let mut sum = sum;
        if let Some(bias) = to.bias {
            sum = sum.add(first_of::<S>(bias.as_ptr().add(c), left));
        }
        if let Some((residual, before)) = to.residual {
            let at = residual.as_ptr().offset(place + before as isize);
            sum = sum.add(first_of::<S>(at, left));
        }
        if to.relu {
            sum = S::zero().max(sum);
        }
        match left >= S::LANES {
            true => sum.store(output),
            false => sum.store_first(output, left),
        }
    }
}
