//! The patch kernel: target += Σ factorₖ · source(placeₖ), a few rows of a few vectors with all sums in registers.

use crate::kernels::Isa;
use crate::kernels::simd::{Portable, Simd};

/// Summands: where their patches begin in the source, and their factors.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    /// The bits of whole numbers.
    pub(super) at: &'a [f32],
    pub(super) factors: &'a [f32],
}

impl Terms<'_> {
    fn raw(&self) -> Raw {
        let count = self.at.len().min(self.factors.len());
        Raw {
            at: self.at.as_ptr(),
            factors: self.factors.as_ptr(),
            count,
        }
    }
}

#[derive(Clone, Copy)]
struct Raw {
    at: *const f32,
    factors: *const f32,
    count: usize,
}

/// Adds the patches of terms. Arguments: target and elements from one of its rows to the next, source
/// and the same, terms.
type Update = unsafe fn(*mut f32, usize, *const f32, usize, Raw);

/// Part of a patch whose sums fit into the registers.
#[derive(Clone, Copy)]
struct Block {
    update: Update,
    row: usize,
    column: usize,
    rows: usize,
    columns: usize,
}

/// A patch of `rows` rows and at least `columns` columns, cut into blocks.
pub(super) struct Patch {
    blocks: Vec<Block>,
    rows: usize,
    /// Columns in whole vectors.
    pub(super) columns: usize,
}

impl Patch {
    pub(super) fn new(isa: Isa, rows: usize, columns: usize) -> Self {
        let lanes = isa.lanes();
        let vectors = columns.div_ceil(lanes);
        let registers = match isa {
            Isa::Avx512 => 20,
            Isa::Avx2 => 12,
            Isa::Scalar => 5,
        };
        let wide = vectors.min(4);
        let high = (registers / wide).clamp(1, 5);
        let mut blocks = Vec::new();
        for row in (0..rows).step_by(high) {
            for vector in (0..vectors).step_by(wide) {
                let size = [high.min(rows - row), wide.min(vectors - vector)];
                blocks.push(Block {
                    update: update(isa, size),
                    row,
                    column: vector * lanes,
                    rows: size[0],
                    columns: size[1] * lanes,
                });
            }
        }
        Self {
            blocks,
            rows,
            columns: vectors * lanes,
        }
    }

    /// Elements between the first and the last one that a patch touches, and one.
    pub(super) fn reach(&self, row: usize) -> usize {
        (self.rows - 1) * row + self.columns
    }

    /// Adds the terms' patches of `source`, with rows `source_row` apart, to the patch at `target[at]`.
    ///
    /// # Panics
    /// When the patch at `target[at]` does not lie in it.
    ///
    /// # Safety
    /// Every term's patch must lie in `source`: `at + reach(source_row) <= source.len()`.
    pub(super) unsafe fn add(
        &self,
        (target, at, target_row): (&mut [f32], usize, usize),
        (source, source_row): (&[f32], usize),
        terms: Terms,
    ) {
        assert!(
            at + self.reach(target_row) <= target.len(),
            "a patch outside its target"
        );
        debug_assert!(
            terms
                .at
                .iter()
                .all(|at| at.to_bits() as usize + self.reach(source_row) <= source.len())
        );
        for block in &self.blocks {
            debug_assert!(
                block.row + block.rows <= self.rows && block.column + block.columns <= self.columns
            );
            // SAFETY: the block lies in the patch, whose place in the target was asserted and whose places
            // in the source are the caller's promise; `isa` was detected.
            unsafe {
                let to = target
                    .as_mut_ptr()
                    .add(at + block.row * target_row + block.column);
                let from = source.as_ptr().add(block.row * source_row + block.column);
                (block.update)(to, target_row, from, source_row, terms.raw());
            }
        }
    }
}

#[inline(always)]
unsafe fn accumulate<S: Simd, const R: usize, const V: usize>(
    target: *mut f32,
    target_row: usize,
    source: *const f32,
    source_row: usize,
    terms: Raw,
) {
    // SAFETY: rows, columns and terms lie in their storage by the contract of `Patch::add`.
    unsafe {
        let mut sums = [[S::zero(); V]; R];
        for (r, row) in sums.iter_mut().enumerate() {
            for (v, sum) in row.iter_mut().enumerate() {
                *sum = S::load(target.add(r * target_row + v * S::LANES));
            }
        }
        let mut k = 0;
        // Few sums would wait for one another: some terms at a time.
        if R * V <= 2 {
            k = at_once::<S, R, V, 4>(&mut sums, source, source_row, terms);
        } else if R * V <= 8 {
            k = at_once::<S, R, V, 2>(&mut sums, source, source_row, terms);
        }
        while k < terms.count {
            step::<S, R, V>(&mut sums, source, source_row, terms, k);
            k += 1;
        }
        for (r, row) in sums.iter().enumerate() {
            for (v, sum) in row.iter().enumerate() {
                sum.store(target.add(r * target_row + v * S::LANES));
            }
        }
    }
}

/// Adds as many terms as can be added `T` at a time, and says how many.
#[inline(always)]
unsafe fn at_once<S: Simd, const R: usize, const V: usize, const T: usize>(
    sums: &mut [[S; V]; R],
    source: *const f32,
    source_row: usize,
    terms: Raw,
) -> usize {
    let mut k = 0;
    // SAFETY: handed on from `accumulate`.
    unsafe {
        let mut all = [[[S::zero(); V]; R]; T];
        all[0] = *sums;
        while k + T <= terms.count {
            for (t, sums) in all.iter_mut().enumerate() {
                step::<S, R, V>(sums, source, source_row, terms, k + t);
            }
            k += T;
        }
        *sums = all[0];
        for (row, r) in sums.iter_mut().zip(0..) {
            for (sum, v) in row.iter_mut().zip(0..) {
                *sum = all[1..].iter().fold(*sum, |sum: S, others| sum.add(others[r][v]));
            }
        }
    }
    k
}

#[inline(always)]
unsafe fn step<S: Simd, const R: usize, const V: usize>(
    sums: &mut [[S; V]; R],
    source: *const f32,
    source_row: usize,
    terms: Raw,
    k: usize,
) {
    // SAFETY: handed on from `accumulate`.
    unsafe {
        let from = source.add((*terms.at.add(k)).to_bits() as usize);
        let factor = S::splat(*terms.factors.add(k));
        for (r, row) in sums.iter_mut().enumerate() {
            for (v, sum) in row.iter_mut().enumerate() {
                *sum = sum.fma(factor, S::load(from.add(r * source_row + v * S::LANES)));
            }
        }
    }
}

macro_rules! updates {
    ($name:ident, $simd:ty, [$($feature:literal)?], $([$rows:literal: $($vectors:literal)*])*) => {
        fn $name(size: [usize; 2]) -> Update {
            $(#[target_feature(enable = $feature)])?
            unsafe fn one<const R: usize, const V: usize>(
                target: *mut f32, target_row: usize, source: *const f32, source_row: usize,
                terms: Raw,
            ) {
                // SAFETY: handed on from `Patch::add`.
                unsafe { accumulate::<$simd, R, V>(target, target_row, source, source_row, terms) }
            }
            match size {
                $($([$rows, $vectors] => one::<$rows, $vectors>,)*)*
                _ => unreachable!("blocks have at most 5 rows and 4 vectors"),
            }
        }
    };
}

updates!(scalar, Portable, [], [1: 1 2 3 4] [2: 1 2 3 4] [3: 1 2 3 4] [4: 1 2 3 4] [5: 1 2 3 4]);
#[cfg(target_arch = "x86_64")]
updates!(avx2, crate::kernels::simd::x86::Avx2, ["avx2,fma"],
    [1: 1 2 3 4] [2: 1 2 3 4] [3: 1 2 3 4] [4: 1 2 3 4] [5: 1 2 3 4]);
#[cfg(target_arch = "x86_64")]
updates!(avx512, crate::kernels::simd::x86::Avx512, ["avx512f"],
    [1: 1 2 3 4] [2: 1 2 3 4] [3: 1 2 3 4] [4: 1 2 3 4] [5: 1 2 3 4]);

fn update(isa: Isa, size: [usize; 2]) -> Update {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => avx512(size),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => avx2(size),
        _ => scalar(size),
    }
}
