//! The way of a finished block into the result.

use super::tile::{Block, SIDE};
use crate::per_isa;

/// What happens on the way.
#[derive(Clone, Copy)]
pub(super) struct Store<'a> {
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

/// One row, whose first element is `at` of the result.
#[inline(always)]
fn store_row(from: &[f32], to: &mut [f32], at: usize, how: &Store) {
    if how.accumulate {
        to.iter_mut().zip(from).for_each(|(to, x)| *to += x);
    } else {
        to.copy_from_slice(from);
    }
    if let Some(bias) = how.bias {
        to.iter_mut().zip(bias).for_each(|(to, x)| *to += x);
    }
    if let Some(residual) = how.residual {
        let residual = &residual[at..][..to.len()];
        to.iter_mut().zip(residual).for_each(|(to, x)| *to += x);
    }
    if how.relu {
        // NaN stays NaN, as in the other matrix kernels.
        to.iter_mut()
            .for_each(|to| *to = if *to < 0.0 { 0.0 } else { *to });
    }
}

per_isa!(
    /// Stores the block's rows `stride` apart.
    pub(super) fn store(block: &Block, to: &mut [f32], how: &Store) {
        for r in 0..how.rows {
            let at = r * how.stride;
            let to = &mut to[at..];
            let from = block.row(how.skip + r);
            // Whole rows are worth code without a remainder.
            match how.columns {
                SIDE => store_row(from, &mut to[..SIDE], at, how),
                columns => store_row(&from[..columns], &mut to[..columns], at, how),
            }
        }
    }
);
