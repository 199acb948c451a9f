//! The way of a finished block into the result.

use super::tile::{Block, SIDE};
use crate::kernels::Isa;
use crate::kernels::simd::{Simd, on_vectors};

/// What happens on the way.
#[derive(Clone, Copy)]
pub(crate) struct Store<'a> {
    /// Rows of the block before the first that is stored.
    pub skip: usize,
    /// Rows and columns of the block that are stored.
    pub rows: usize,
    pub columns: usize,
    /// From one row of the result to the next.
    pub stride: usize,
    /// Add to the result instead of replacing it.
    pub accumulate: bool,
    /// Added to every row.
    pub bias: Option<&'a [f32]>,
    /// Added element by element; it lies as the result does, from the same element on.
    pub residual: Option<&'a [f32]>,
    /// max(0, ·) at the end.
    pub relu: bool,
}

/// Stores the block's rows `stride` apart.
///
/// # Panics
/// When the result, the bias or the residual ends before the rows do, which is an error of the caller.
pub(crate) fn store(isa: Isa, block: &Block, to: &mut [f32], how: &Store) {
    if how.rows == 0 || how.columns == 0 {
        return;
    }
    let reach = (how.rows - 1) * how.stride + how.columns;
    assert!(how.skip + how.rows <= SIDE && how.columns <= SIDE && reach <= to.len());
    assert!(how.bias.is_none_or(|bias| how.columns <= bias.len()));
    assert!(how.residual.is_none_or(|residual| reach <= residual.len()));
    let to = to.as_mut_ptr();
    on_vectors!(isa, rows(block: &Block, to: *mut f32, how: &Store<'_>));
}

/// # Safety
/// As `store` checks.
#[inline(always)]
unsafe fn rows<S: Simd>(block: &Block, to: *mut f32, how: &Store<'_>) {
    // SAFETY: handed on.
    unsafe {
        match (how.accumulate, how.residual.is_some()) {
            (true, _) => each::<S, true, false>(block, to, how),
            (false, true) => each::<S, false, true>(block, to, how),
            (false, false) => each::<S, false, false>(block, to, how),
        }
    }
}

/// # Safety
/// As `store` checks.
#[inline(always)]
unsafe fn each<S: Simd, const ADD: bool, const RESIDUAL: bool>(block: &Block, to: *mut f32, how: &Store<'_>) {
    // SAFETY: `store` checked the reach of all pointers; a block has 32 rows of 32.
    unsafe {
        // Whole lines of memory one after the other.
        let column = |k: usize| {
            (k * S::LANES < how.columns).then(|| (k * S::LANES, (how.columns - k * S::LANES).min(S::LANES)))
        };
        let bias: [S; 4] = std::array::from_fn(|k| match (how.bias, column(k)) {
            (Some(bias), Some((c, left))) => S::load_first(bias.as_ptr().add(c), left),
            _ => S::zero(),
        });
        for r in 0..how.rows {
            for (k, &bias) in bias.iter().enumerate().take(SIDE / S::LANES) {
                let Some((c, left)) = column(k) else { break };
                let at = r * how.stride + c;
                let mut x = S::load(block.row(how.skip + r).as_ptr().add(c));
                if ADD {
                    x = x.add(S::load_first(to.add(at), left));
                }
                if how.bias.is_some() {
                    x = x.add(bias);
                }
                if RESIDUAL && let Some(residual) = how.residual {
                    x = x.add(S::load_first(residual.as_ptr().add(at), left));
                }
                if how.relu {
                    // NaN stays NaN, as in the other matrix kernels.
                    x = S::zero().max(x);
                }
                match left == S::LANES {
                    true => x.store(to.add(at)),
                    false => x.store_first(to.add(at), left),
                }
            }
        }
    }
}
