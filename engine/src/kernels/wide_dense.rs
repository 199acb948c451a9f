//! Dense layers with more weights than any cache holds and few samples: the weights are read once, as they
//! lie. Packing them would move them three times for a handful of products each. Threads share them, since samples that
//! are shared instead would each need all weights: a piece is a panel of 32 outputs of all samples.

use graph::ops::{MatMul, MatMulSizes};

use super::amx::SIDE;
use super::brgemm::{Finish, Operands, Start, brgemm};
use super::joined::Joined;
use super::registry::Built;
use super::simd::{Portable, Simd};
use super::{BuildContext, Isa, Kernel, Task, Work};
use crate::plan::Epilogue;

/// Bytes of weights that no core's cache keeps.
const HEAVY: usize = 4 << 20;
/// Samples above which packing pays: forward, and back.
const MOST: [usize; 2] = [128, 32];
/// Rows of the weights that are read side by side: as many streams as a processor follows.
const STREAMS: usize = 16;
/// Lanes of the widest vector.
const LANES: usize = 16;
/// Weights' rows and samples whose products are summed together.
const TOGETHER: usize = 4;

/// Panels `[panel][sample][32]` of x·W, or x·Wᵀ; rows of x are samples.
struct WideDense {
    isa: Isa,
    sizes: MatMulSizes,
    transposed: bool,
}

/// The kernel, where it suits: `x` `[M, K]` with samples as rows, weights as a plain matrix.
pub(super) fn choose(
    context: &BuildContext,
    op: MatMul,
    sizes: MatMulSizes,
    epilogue: Epilogue,
) -> Option<Built> {
    let most = MOST[usize::from(op.transpose_b)];
    let suits = !op.transpose_a && sizes.m.is_multiple_of(context.batch) && sizes.k * sizes.n * 4 > HEAVY;
    if !suits || sizes.m > most || (op.transpose_b && epilogue != Epilogue::default()) {
        return None;
    }
    let MatMulSizes { m, n, .. } = sizes;
    let kernel = WideDense {
        isa: context.isa,
        sizes,
        transposed: op.transpose_b,
    };
    let joined = Joined {
        isa: context.isa,
        output: [m, 1, n],
        epilogue,
    };
    let panels = n.div_ceil(SIDE) * m * SIDE;
    Some(Built::new(joined, vec![]).after(kernel, panels))
}

impl Kernel for WideDense {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.sizes.n.div_ceil(SIDE),
            elements: self.sizes.m * SIDE,
        }
    }

    fn run(&self, task: Task<'_>) {
        let MatMulSizes { m, k, n, .. } = self.sizes;
        let (x, w) = (task.input(0), task.input(1));
        let columns = task.range.start * SIDE..(task.range.end * SIDE).min(n);
        if self.transposed {
            let w = &w[columns.start * k..columns.end * k];
            return products(self.isa, x, w, k, (task.output, m));
        }
        for first in (0..k).step_by(STREAMS) {
            let depth = STREAMS.min(k - first);
            let panels = columns.clone().step_by(SIDE);
            for (column, to) in panels.zip(task.output.chunks_exact_mut(m * SIDE)) {
                let operands = Operands {
                    a: &x[first..],
                    a_row: k,
                    a_column: 1,
                    starts: &Start::ONE,
                    depth,
                    b: &w[first * n + column..],
                    b_row: n,
                    bias: None,
                    residual: None,
                };
                let finish = Finish {
                    accumulate: first > 0,
                    relu: false,
                };
                let wide = SIDE.min(columns.end - column);
                brgemm(self.isa, m, wide, &operands, to, SIDE, finish);
            }
        }
    }
}

/// y[i, j] = Σ_k x[i, k]·w[j, k] for rows of `length` numbers, as panels `[panel][row of x][32]`.
fn products(isa: Isa, x: &[f32], w: &[f32], length: usize, (y, rows): (&mut [f32], usize)) {
    for (block, w) in w.chunks(TOGETHER * length).enumerate() {
        let wide = w.len() / length;
        let (panel, column) = (block * TOGETHER / SIDE, block * TOGETHER % SIDE);
        for (first, x) in x.chunks(TOGETHER * length).enumerate() {
            let high = x.len() / length;
            // Short blocks take rows twice, and what is twice is not kept.
            let x = std::array::from_fn(|i| &x[i.min(high - 1) * length..][..length]);
            let w = std::array::from_fn(|j| &w[j.min(wide - 1) * length..][..length]);
            let sums = block_products(isa, &x, &w);
            for (i, sums) in sums.iter().enumerate().take(high) {
                let at = (panel * rows + first * TOGETHER + i) * SIDE + column;
                y[at..at + wide].copy_from_slice(&sums[..wide]);
            }
        }
    }
}

type Rows<'a> = [&'a [f32]; TOGETHER];
type Sums = [[f32; TOGETHER]; TOGETHER];

/// Products of each row of x with each row of w; all have one length.
fn block_products(isa: Isa, x: &Rows, w: &Rows) -> Sums {
    let length = x[0].len();
    assert!(x.iter().chain(w).all(|row| row.len() == length));
    // SAFETY: the lengths were asserted; `isa` was detected.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512(x, w),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2(x, w),
            _ => sums::<Portable, 2>(x, w),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(x: &Rows, w: &Rows) -> Sums {
    // SAFETY: handed on from `block_products`.
    unsafe { sums::<super::simd::x86::Avx512, TOGETHER>(x, w) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(x: &Rows, w: &Rows) -> Sums {
    // SAFETY: handed on from `block_products`.
    unsafe { sums::<super::simd::x86::Avx2, 2>(x, w) }
}

/// `R` rows of x at a time, as many as the registers hold sums for.
#[inline(always)]
unsafe fn sums<S: Simd, const R: usize>(x: &Rows, w: &Rows) -> Sums {
    let length = x[0].len();
    let whole = length - length % S::LANES;
    let mut result = [[0.0; TOGETHER]; TOGETHER];
    for first in (0..TOGETHER).step_by(R) {
        // SAFETY: all rows have `length` numbers, and `whole` is at most that.
        let sums = unsafe {
            let mut sums = [[S::zero(); TOGETHER]; R];
            for at in (0..whole).step_by(S::LANES) {
                let w = w.map(|row| S::load(row.as_ptr().add(at)));
                for (i, sums) in sums.iter_mut().enumerate() {
                    let x = S::load(x[first + i].as_ptr().add(at));
                    for (sum, &w) in sums.iter_mut().zip(&w) {
                        *sum = sum.fma(x, w);
                    }
                }
            }
            sums
        };
        for (i, sums) in sums.iter().enumerate() {
            for (j, sum) in sums.iter().enumerate() {
                let mut lanes = [0.0f32; LANES];
                // SAFETY: a vector has at most `LANES` lanes.
                unsafe { sum.store(lanes.as_mut_ptr()) };
                let rest = (whole..length).map(|k| x[first + i][k] * w[j][k]);
                result[first + i][j] = lanes.iter().sum::<f32>() + rest.sum::<f32>();
            }
        }
    }
    result
}
