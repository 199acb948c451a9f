//! The way of a finished block into the result.

use super::tile::{Block, SIDE};
use crate::kernels::Isa;
use crate::kernels::short::{Numbers, NumbersMut};
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
    pub residual: Option<Numbers<'a>>,
    /// max(0, ·) at the end.
    pub relu: bool,
}

/// Stores the block's rows `stride` apart.
///
/// # Panics
/// When the result, the bias or the residual ends before the rows do, or when bf16 numbers are to be added to, which
/// are errors of the caller.
pub(crate) fn store(isa: Isa, block: &Block, to: NumbersMut<'_>, how: &Store) {
    if how.rows == 0 || how.columns == 0 {
        return;
    }
    let reach = (how.rows - 1) * how.stride + how.columns;
    assert!(how.skip + how.rows <= SIDE && how.columns <= SIDE);
    assert!(how.bias.is_none_or(|bias| how.columns <= bias.len()));
    assert!(how.residual.is_none_or(|residual| reach <= residual.len()));
    let (to, short) = match to {
        NumbersMut::F32(to) => {
            assert!(reach <= to.len());
            (to.as_mut_ptr(), false)
        }
        NumbersMut::Bf16(to) => {
            assert!(reach <= to.len() && !how.accumulate);
            (to.as_mut_ptr().cast(), true)
        }
    };
    on_vectors!(isa, rows(block: &Block, to: *mut f32, short: bool, how: &Store<'_>));
}

/// What is added to a block's numbers: nothing, f32 or bf16 numbers that lie as the result does.
const NOTHING: u8 = 0;
const F32: u8 = 1;
const BF16: u8 = 2;

/// # Safety
/// As `store` checks; `to` points to bf16 numbers if `short`.
#[inline(always)]
unsafe fn rows<S: Simd>(block: &Block, to: *mut f32, short: bool, how: &Store<'_>) {
    let residual = match how.residual {
        Some(Numbers::F32(residual)) => (residual.as_ptr(), F32),
        Some(Numbers::Bf16(residual)) => (residual.as_ptr().cast(), BF16),
        None => (std::ptr::null(), NOTHING),
    };
    // SAFETY: handed on.
    unsafe {
        match (how.accumulate, residual, short) {
            (true, ..) => each::<S, F32, false>(block, to, to, how),
            (_, (more, F32), false) => each::<S, F32, false>(block, to, more, how),
            (_, (more, F32), true) => each::<S, F32, true>(block, to, more, how),
            (_, (more, BF16), false) => each::<S, BF16, false>(block, to, more, how),
            (_, (more, BF16), true) => each::<S, BF16, true>(block, to, more, how),
            (_, (more, _), false) => each::<S, NOTHING, false>(block, to, more, how),
            (_, (more, _), true) => each::<S, NOTHING, true>(block, to, more, how),
        }
    }
}

/// # Safety
/// As `store` checks; `more` has the numbers that are added, `to` is of bf16 numbers if `SHORT`.
#[inline(always)]
unsafe fn each<S: Simd, const MORE: u8, const SHORT: bool>(
    block: &Block,
    to: *mut f32,
    more: *const f32,
    how: &Store<'_>,
) {
    // SAFETY: `store` checked the reach of all pointers; a block has 32 rows of 32.
    unsafe {
        let bias: [S; 4] =
            std::array::from_fn(|k| match (how.bias, how.columns.saturating_sub(k * S::LANES)) {
                (Some(bias), left @ 1..) => {
                    S::load_first(bias.as_ptr().add(k * S::LANES), left.min(S::LANES))
                }
                _ => S::zero(),
            });
        for row in 0..how.rows {
            let from = block.row(how.skip + row).as_ptr();
            let at = row * how.stride;
            // Whole lines of memory one after the other.
            let mut k = 0;
            while k + 1 < SIDE / S::LANES && (k + 2) * S::LANES <= how.columns {
                let place = at + k * S::LANES;
                let whole = S::LANES;
                let x = joined::<S, MORE>(from.add(k * whole), bias[k], more, place, whole, how);
                let next = (from.add((k + 1) * whole), place + whole);
                let y = joined::<S, MORE>(next.0, bias[k + 1], more, next.1, whole, how);
                if SHORT {
                    x.store_both_bf16(y, to.cast::<u16>().add(place));
                } else {
                    x.store(to.add(place));
                    y.store(to.add(next.1));
                }
                k += 2;
            }
            while k * S::LANES < how.columns {
                let (place, left) = (at + k * S::LANES, (how.columns - k * S::LANES).min(S::LANES));
                let x = joined::<S, MORE>(from.add(k * S::LANES), bias[k], more, place, left, how);
                match SHORT {
                    true => x.store_bf16(to.cast::<u16>().add(place), left),
                    false => x.store_first(to.add(place), left),
                }
                k += 1;
            }
        }
    }
}

/// A vector of a block with the bias, what is added, and the ReLU.
///
/// # Safety
/// As of [`each`].
#[inline(always)]
unsafe fn joined<S: Simd, const MORE: u8>(
    from: *const f32,
    bias: S,
    more: *const f32,
    place: usize,
    left: usize,
    how: &Store<'_>,
) -> S {
    // SAFETY: handed on.
    unsafe {
        let mut x = S::load(from);
        if how.bias.is_some() {
            x = x.add(bias);
        }
        if MORE == F32 {
            x = x.add(S::load_first(more.add(place), left));
        }
        if MORE == BF16 {
            x = x.add(S::load_bf16(more.cast::<u16>().add(place), left));
        }
        // NaN stays NaN, as in the other matrix kernels.
        if how.relu { S::zero().max(x) } else { x }
    }
}
