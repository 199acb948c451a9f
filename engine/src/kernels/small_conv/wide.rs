//! More outputs than half a vector has lanes: outputs stand in the lanes, and a 2×2 max-pooling happens before
//! anything is stored.
//!
//! A block is two rows of some pixels; its sums stay in registers over all taps, and those of four
//! neighbouring pixels give one of maxima.

use std::sync::Arc;

use super::geometry::{Frame, parts_mut};
use super::planar::first_maximum;
use crate::kernels::simd::{Portable, Simd};
use crate::kernels::{Isa, Kernel, Task, Work};
use crate::plan::PooledConv;

/// Whether the outputs fill a vector at least by half.
pub(super) fn suits(isa: Isa, what: &PooledConv) -> bool {
    let (outputs, pool) = (what.sizes.outputs, &what.pool);
    2 * outputs > isa.lanes() && pool.kernel == [2, 2] && pool.stride == [2, 2] && pool.dilation == [1, 1]
}

/// Maxima of a block: as many as leave registers for the weights.
fn maxima_at_once(isa: Isa) -> usize {
    match isa {
        Isa::Avx512 => 6,
        Isa::Avx2 => 3,
        Isa::Scalar => 1,
    }
}

/// The kernel.
pub(super) struct Wide {
    isa: Isa,
    what: Arc<PooledConv>,
    frame: Frame,
    bias: bool,
}

impl Wide {
    pub(super) fn new(isa: Isa, what: &Arc<PooledConv>, bias: bool) -> Self {
        Self {
            isa,
            what: what.clone(),
            frame: Frame::new(what, what.sizes.channels, 1, 0),
            bias,
        }
    }
}

impl Kernel for Wide {
    fn work(&self) -> Work {
        Work::Samples
    }

    fn scratch(&self) -> usize {
        self.frame.elements()
    }

    fn run(&self, task: Task<'_>) {
        let (x, weights) = (task.input(0), task.input(1));
        let bias = if self.bias { Some(task.input(2)) } else { None };
        let each = task.output.len() / task.range.len().max(1);
        let samples = x.chunks_exact(self.frame.sample());
        for (x, output) in samples.zip(task.output.chunks_exact_mut(each)) {
            let parts = if self.what.choices {
                parts_mut(&self.what, output)
            } else {
                (output, &mut [][..])
            };
            self.one((x, weights, bias), task.scratch, parts);
        }
    }
}

/// Where a block's operands lie.
#[derive(Clone, Copy)]
struct Block {
    /// The first pixel in the frame; elements from one to the next, and to the second row of pixels.
    x: *const f32,
    right: usize,
    below: usize,
    /// Rows of the kernel, elements of the frame from one to the next, taps and channels of each.
    rows: usize,
    row: usize,
    run: usize,
    weights: *const f32,
    bias: Option<*const f32>,
    /// Outputs in all, and in this block.
    outputs: usize,
    lanes: usize,
    relu: bool,
    maxima: *mut f32,
    /// The choice of the first output, and elements to that of the next.
    choices: Option<(*mut u8, usize)>,
}

impl Wide {
    /// Elements of a sample.
    pub(super) fn each(&self) -> usize {
        self.frame.sample()
    }

    /// Maxima and choices of a sample.
    pub(super) fn one(
        &self,
        (x, weights, bias): (&[f32], &[f32], Option<&[f32]>),
        scratch: &mut [f32],
        (maxima, choices): (&mut [f32], &mut [u8]),
    ) {
        let frame = &mut scratch[..self.frame.elements()];
        let x = if frame.len() == x.len() {
            x
        } else {
            self.frame.lay(x, frame);
            &*frame
        };
        self.sample(x, weights, bias, maxima, choices);
    }

    fn sample(
        &self,
        x: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        maxima: &mut [f32],
        choices: &mut [u8],
    ) {
        let (s, outputs, pixels) = (&self.what.sizes, self.what.sizes.outputs, self.what.pixels());
        let ([rows, columns], [kh, kw]) = (self.what.pool.output, s.window.kernel);
        let (row, right) = (self.frame.row(), s.window.stride[1] * s.channels);
        let (below, run) = (s.window.stride[0] * row, kw * s.channels);
        let last =
            (2 * rows - 1) * below + (2 * columns - 1) * right + (kh - 1) * s.window.dilation[0] * row + run;
        assert!(last <= x.len() && weights.len() >= kh * run * outputs);
        assert!(bias.is_none_or(|b| b.len() >= outputs) && maxima.len() >= pixels * outputs);
        assert!(choices.is_empty() || choices.len() >= pixels * outputs);
        let blocks = columns.div_ceil(maxima_at_once(self.isa));
        let places = (0..rows).flat_map(|i| (0..blocks).map(move |b| (i, b)));
        let starts = (0..outputs).step_by(self.isa.lanes());
        for ((i, block), output) in places.flat_map(|place| starts.clone().map(move |o| (place, o))) {
            let [first, end] = [block, block + 1].map(|b| b * columns / blocks);
            let pixel = i * columns + first;
            let block = Block {
                x: x[2 * (i * below + first * right)..].as_ptr(),
                right,
                below,
                rows: kh,
                row: s.window.dilation[0] * row,
                run,
                weights: weights[output..].as_ptr(),
                bias: bias.map(|b| b[output..].as_ptr()),
                outputs,
                lanes: self.isa.lanes().min(outputs - output),
                relu: self.what.relu,
                maxima: maxima[pixel * outputs + output..].as_mut_ptr(),
                choices: match choices {
                    [] => None,
                    _ => Some((choices[output * pixels + pixel..].as_mut_ptr(), pixels)),
                },
            };
            // SAFETY: the last element of every operand was just asserted; `isa` was detected.
            unsafe {
                match self.isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => avx512(end - first, &block),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => avx2(end - first, &block),
                    _ => scalar(end - first, &block),
                }
            }
        }
    }
}

/// `M` maxima of a vector of outputs.
#[inline(always)]
unsafe fn pooled_block<S: Simd, const M: usize>(block: &Block) {
    // SAFETY: asserted by `Wide::sample`.
    unsafe {
        let whole = block.lanes == S::LANES;
        let first = match block.bias {
            Some(bias) => S::load_first(bias, block.lanes),
            None => S::zero(),
        };
        let mut sums = [[first; 4]; M];
        let mut weights = block.weights;
        for u in 0..block.rows {
            let mut x = block.x.add(u * block.row);
            for _ in 0..block.run {
                let weight = if whole {
                    S::load(weights)
                } else {
                    S::load_first(weights, block.lanes)
                };
                for (m, sums) in sums.iter_mut().enumerate() {
                    for (k, sum) in sums.iter_mut().enumerate() {
                        let pixel = x.add((2 * m + k % 2) * block.right + k / 2 * block.below);
                        *sum = sum.fma(S::splat(*pixel), weight);
                    }
                }
                weights = weights.wrapping_add(block.outputs);
                x = x.wrapping_add(1);
            }
        }
        for (m, taps) in sums.into_iter().enumerate() {
            let (most, choice) = first_maximum(taps, block.relu);
            most.store_first(block.maxima.add(m * block.outputs), block.lanes);
            if let Some((choices, plane)) = block.choices {
                let mut bytes = [0u8; 16];
                choice.store_bytes(bytes.as_mut_ptr(), block.lanes);
                for (o, &byte) in bytes.iter().enumerate().take(block.lanes) {
                    *choices.add(o * plane + m) = byte;
                }
            }
        }
    }
}

macro_rules! blocks {
    ($name:ident, $simd:ty, [$($feature:literal)?], [$($maxima:literal)*]) => {
        unsafe fn $name(maxima: usize, block: &Block) {
            $(#[target_feature(enable = $feature)])?
            unsafe fn one<const M: usize>(block: &Block) {
                // SAFETY: handed on from `Wide::sample`.
                unsafe { pooled_block::<$simd, M>(block) }
            }
            // SAFETY: handed on from `Wide::sample`.
            unsafe {
                match maxima {
                    $($maxima => one::<$maxima>(block),)*
                    _ => unreachable!("a block has at most `maxima_at_once`"),
                }
            }
        }
    };
}

blocks!(scalar, Portable, [], [1]);
#[cfg(target_arch = "x86_64")]
blocks!(avx2, crate::kernels::simd::x86::Avx2, ["avx2,fma"], [1 2 3]);
#[cfg(target_arch = "x86_64")]
blocks!(avx512, crate::kernels::simd::x86::Avx512, ["avx512f,avx512vl,avx512bw,avx512dq"], [1 2 3 4 5 6]);
