//! Few outputs behind few channels: neighbouring pixels stand in the lanes, and a 2×2 max-pooling happens
//! before anything is stored.
//!
//! A block is two rows of two vectors of pixels for some outputs; its sums stay in registers over all taps.
//! Pooling takes the even and the odd lanes apart, so that four vectors of pixels give one of maxima.

use super::geometry::{Frame, parts_mut};
use super::turn::Turn;
use crate::kernels::simd::{Portable, Simd};
use crate::kernels::{Isa, Kernel, Task, Work};
use crate::plan::PooledConv;
use std::sync::Arc;

/// Most channels that are taken apart into planes.
const MOST_CHANNELS: usize = 4;

/// Whether pixels in the lanes fill vectors better than outputs do.
pub(super) fn suits(isa: Isa, what: &PooledConv) -> bool {
    let (s, pool) = (&what.sizes, &what.pool);
    s.channels <= MOST_CHANNELS
        && s.outputs < isa.lanes()
        && s.window.stride[1] == 1
        && pool.kernel == [2, 2]
        && pool.stride == [2, 2]
        && pool.dilation == [1, 1]
}

/// Outputs of a block: as many as leave registers for the pixels and a weight.
fn outputs_at_once(isa: Isa) -> usize {
    match isa {
        Isa::Avx512 => 6,
        Isa::Avx2 => 2,
        Isa::Scalar => 1,
    }
}

/// The kernel.
pub(super) struct Planar {
    isa: Isa,
    what: Arc<PooledConv>,
    frame: Frame,
    turn: Turn,
    relu: bool,
    bias: bool,
    /// Where the taps of one plane begin in a row of the frame, and their weights.
    taps: Vec<[usize; 2]>,
    /// The largest of both.
    last: [usize; 2],
}

impl Planar {
    pub(super) fn new(isa: Isa, what: &Arc<PooledConv>, relu: bool, bias: bool) -> Self {
        let s = &what.sizes;
        let frame = Frame::planes(what, 4 * isa.lanes());
        let [kh, kw] = s.window.kernel;
        let mut taps = Vec::new();
        for (c, u, v) in
            (0..s.channels).flat_map(|c| (0..kh).flat_map(move |u| (0..kw).map(move |v| (c, u, v))))
        {
            let at = c * frame.plane() + u * s.window.dilation[0] * frame.row() + v * s.window.dilation[1];
            taps.push([at, ((u * kw + v) * s.channels + c) * s.outputs]);
        }
        Self {
            isa,
            what: what.clone(),
            frame,
            turn: Turn::new(isa, s.outputs),
            relu,
            bias,
            last: [0, 1].map(|k| taps.iter().map(|tap| tap[k]).max().unwrap_or(0)),
            taps,
        }
    }
}

impl Kernel for Planar {
    fn work(&self) -> Work {
        Work::Samples
    }

    fn scratch(&self) -> usize {
        self.frame.elements() + self.turn.tile()
    }

    fn run(&self, task: Task<'_>) {
        let (x, weights) = (task.input(0), task.input(1));
        let bias = if self.bias { Some(task.input(2)) } else { None };
        let (frame, rest) = task.scratch.split_at_mut(self.frame.elements());
        let tile = &mut rest[..self.turn.tile()];
        let each = task.output.len() / task.range.len().max(1);
        let samples = x.chunks_exact(self.frame.sample());
        for (x, output) in samples.zip(task.output.chunks_exact_mut(each)) {
            self.frame.lay_planes(x, frame);
            let (maxima, choices) = if self.what.choices {
                parts_mut(&self.what, output)
            } else {
                (output, &mut [][..])
            };
            self.sample(frame, weights, bias, tile, maxima, choices);
        }
    }
}

/// One block's operands.
#[derive(Clone, Copy)]
struct Block<'a> {
    /// The frame at the block's first pixel, and elements to the second row of pixels.
    x: &'a [f32],
    below: usize,
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    taps: &'a [[usize; 2]],
    last: [usize; 2],
    relu: bool,
}

impl Planar {
    fn sample(
        &self,
        frame: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        tile: &mut [f32],
        maxima: &mut [f32],
        choices: &mut [u8],
    ) {
        let (outputs, lanes) = (self.what.sizes.outputs, self.isa.lanes());
        let [rows, columns] = self.what.pool.output;
        let below = self.what.sizes.window.stride[0] * self.frame.row();
        for (i, first) in (0..rows).flat_map(|i| (0..columns).step_by(lanes).map(move |j| (i, j))) {
            let count = lanes.min(columns - first);
            for output in (0..outputs).step_by(outputs_at_once(self.isa)) {
                let group = outputs_at_once(self.isa).min(outputs - output);
                let block = Block {
                    x: &frame[2 * i * below + 2 * first..],
                    below,
                    weights: &weights[output..],
                    bias: bias.map(|b| &b[output..]),
                    taps: &self.taps,
                    last: self.last,
                    relu: self.relu,
                };
                let to = &mut tile[output * lanes..];
                let plane = rows * columns;
                let chosen = match choices {
                    [] => None,
                    _ => Some((&mut choices[output * plane + i * columns + first..], plane)),
                };
                compute(self.isa, group, count, &block, to, chosen);
            }
            let at = (i * columns + first) * outputs;
            self.turn.write(tile, &mut maxima[at..at + count * outputs]);
        }
    }
}

/// Choices of the first output, and elements to those of the next.
type Chosen<'a> = Option<(&'a mut [u8], usize)>;

/// Pooled maxima of `group` outputs, and `count` choices for each.
fn compute(isa: Isa, group: usize, count: usize, block: &Block, to: &mut [f32], chosen: Chosen) {
    let reach = block.below + 2 * isa.lanes();
    let [x, weight] = block.last;
    assert!(x + reach <= block.x.len() && weight + group <= block.weights.len());
    assert!(to.len() >= group * isa.lanes() && block.bias.is_none_or(|b| b.len() >= group));
    let chosen = chosen.map(|(bytes, plane)| {
        assert!(bytes.len() >= (group - 1) * plane + count);
        (bytes.as_mut_ptr(), plane)
    });
    // SAFETY: everything that a block reads and writes was just asserted; `isa` was detected.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512(group, count, block, to.as_mut_ptr(), chosen),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2(group, count, block, to.as_mut_ptr(), chosen),
            _ => scalar(group, count, block, to.as_mut_ptr(), chosen),
        }
    }
}

#[inline(always)]
unsafe fn pooled_block<S: Simd, const G: usize>(
    count: usize,
    block: &Block,
    to: *mut f32,
    chosen: Option<(*mut u8, usize)>,
) {
    // SAFETY: asserted by `compute`.
    unsafe {
        let mut sums = [[[S::zero(); 2]; 2]; G];
        if let Some(bias) = block.bias {
            for (g, sums) in sums.iter_mut().enumerate() {
                *sums = [[S::splat(*bias.as_ptr().add(g)); 2]; 2];
            }
        }
        let (x, weights) = (block.x.as_ptr(), block.weights.as_ptr());
        for &[at, weight] in block.taps {
            let pixels = [0, block.below].map(|row| {
                let row = x.add(at + row);
                [S::load(row), S::load(row.add(S::LANES))]
            });
            for (g, sums) in sums.iter_mut().enumerate() {
                let weight = S::splat(*weights.add(weight + g));
                for (sums, pixels) in sums.iter_mut().zip(&pixels) {
                    for (sum, &pixel) in sums.iter_mut().zip(pixels) {
                        *sum = sum.fma(pixel, weight);
                    }
                }
            }
        }
        for (g, [above, below]) in sums.iter().enumerate() {
            let taps = [
                above[0].evens(above[1]),
                above[0].odds(above[1]),
                below[0].evens(below[1]),
                below[0].odds(below[1]),
            ];
            let (most, choice) = first_maximum(taps, block.relu);
            most.store(to.add(g * S::LANES));
            if let Some((bytes, plane)) = chosen {
                choice.store_bytes(bytes.add(g * plane), count);
            }
        }
    }
}

/// The largest of four, NaN if one is; and the choice: 1 + its place, or 0 where nothing goes back.
#[inline(always)]
pub(super) unsafe fn first_maximum<S: Simd>(taps: [S; 4], relu: bool) -> (S, S) {
    // SAFETY: no memory is touched; the instruction set is there.
    unsafe {
        let (mut most, mut choice) = (taps[0], S::splat(1.0));
        for (k, &next) in taps.iter().enumerate().skip(1) {
            choice = next.if_greater(most, S::splat(k as f32 + 1.0), choice);
            most = next.if_nan(next, next.if_greater(most, next, most));
        }
        if relu {
            (S::zero().max(most), most.if_greater(S::zero(), choice, S::zero()))
        } else {
            (most, most.if_nan(S::zero(), choice))
        }
    }
}

macro_rules! blocks {
    ($name:ident, $simd:ty, [$($feature:literal)?], [$($groups:literal)*]) => {
        unsafe fn $name(
            group: usize, count: usize, block: &Block, to: *mut f32, chosen: Option<(*mut u8, usize)>,
        ) {
            $(#[target_feature(enable = $feature)])?
            unsafe fn one<const G: usize>(
                count: usize, block: &Block, to: *mut f32, chosen: Option<(*mut u8, usize)>,
            ) {
                // SAFETY: handed on from `compute`.
                unsafe { pooled_block::<$simd, G>(count, block, to, chosen) }
            }
            // SAFETY: handed on from `compute`.
            unsafe {
                match group {
                    $($groups => one::<$groups>(count, block, to, chosen),)*
                    _ => unreachable!("a block has at most `outputs_at_once`"),
                }
            }
        }
    };
}

blocks!(scalar, Portable, [], [1]);
#[cfg(target_arch = "x86_64")]
blocks!(avx2, crate::kernels::simd::x86::Avx2, ["avx2,fma"], [1 2]);
#[cfg(target_arch = "x86_64")]
blocks!(avx512, crate::kernels::simd::x86::Avx512, ["avx512f,avx512vl,avx512bw,avx512dq"], [1 2 3 4 5 6]);
