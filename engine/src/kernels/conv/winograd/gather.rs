//! Back from products to a result: Aᵀ M A, and what a convolution ends with.

use super::spread::{all_zero, first_of};
use super::{Isa, Planes};
use crate::kernels::simd::{Simd, on_vectors};

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
            let at = to.at + (2 * tile * to.channels) as isize;
            let wanted = to.rows.map(|row| [row, row && 2 * tile + 1 < to.columns]);
            let whole = wanted == [[true; 2]; 2];
            for c in (0..to.channels).step_by(S::LANES) {
                let (products, at) = (products.add(c), at + c as isize);
                let left = to.channels - c;
                odd = match whole && left >= S::LANES {
                    true => tile_of::<S, true>(products, planes.plane, to, output, (at, c), wanted, odd),
                    false => tile_of::<S, false>(products, planes.plane, to, output, (at, c), wanted, odd),
                };
            }
        }
        *finite = all_zero(odd);
    }
}

/// A vector of channels, from `c` on, of one tile, whose first pixel is at `at`; `WHOLE` if all of it is wanted.
/// `odd`, NaN if a sum is not finite.
#[inline(always)]
unsafe fn tile_of<S: Simd, const WHOLE: bool>(
    products: *const f32,
    plane: usize,
    to: &Results<'_>,
    output: *mut f32,
    (at, c): (isize, usize),
    wanted: [[bool; 2]; 2],
    mut odd: S,
) -> S {
    // SAFETY: as in `gather_row`.
    unsafe {
        let left = if WHOLE { S::LANES } else { to.channels - c };
        let mut halves = [[S::zero(); 4]; 2];
        for j in 0..4 {
            let mut column = [S::zero(); 4];
            for i in 0..4 {
                column[i] = first_of::<S>(products.add((4 * i + j) * plane), left);
            }
            let sums = collect(column);
            (halves[0][j], halves[1][j]) = (sums[0], sums[1]);
        }
        let bias = to.bias.map(|bias| first_of::<S>(bias.as_ptr().add(c), left));
        for i in 0..2 {
            let sums = collect(halves[i]);
            for j in 0..2 {
                if !WHOLE && !wanted[i][j] {
                    continue;
                }
                // 0 times what is not finite is NaN, which stays.
                odd = odd.fma(sums[j], S::zero());
                let place = at + (i * to.line + j * to.channels) as isize;
                let mut sum = sums[j];
                if let Some(bias) = bias {
                    sum = sum.add(bias);
                }
                if let Some((residual, before)) = to.residual {
                    sum = sum.add(first_of::<S>(
                        residual.as_ptr().offset(place + before as isize),
                        left,
                    ));
                }
                if to.relu {
                    sum = S::zero().max(sum);
                }
                match left >= S::LANES {
                    true => sum.store(output.offset(place)),
                    false => sum.store_first(output.offset(place), left),
                }
            }
        }
        odd
    }
}
