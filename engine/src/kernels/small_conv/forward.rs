//! Convolution and max-pooling in one: the convolution's result lives for one sample only.

use std::sync::Arc;

use graph::Shape;

use super::geometry::parts_mut;
use super::{planar, tiled, wide};
use crate::EngineError;
use crate::kernels::registry::Built;
use crate::kernels::simd::{Portable, Simd};
use crate::kernels::{BuildContext, Isa, Kernel, Located, Task, Work, conv};
use crate::plan::{Epilogue, PooledConv};

/// Any convolution kernel, sample by sample, and pooling behind it.
struct ConvPool {
    isa: Isa,
    what: Arc<PooledConv>,
    conv: Box<dyn Kernel>,
}

pub(crate) fn conv_pool(
    context: &BuildContext,
    what: &Arc<PooledConv>,
    epilogue: Epilogue,
    shapes: &[&Shape],
) -> Result<Built, EngineError> {
    if planar::suits(context.isa, what) {
        let kernel = planar::Planar::new(context.isa, what, epilogue.relu, epilogue.bias);
        return Ok(Built::new(kernel, vec![true]));
    }
    if let Some(kernel) = tiled::Tiled::new(context, what, epilogue.bias) {
        return Ok(Built::new(kernel, vec![true]));
    }
    // A kernel that goes by sample even if there is but one: a lone convolution would be split by rows.
    let by_sample = BuildContext {
        batch: context.batch.max(2),
        ..*context
    };
    if wide::suits(context.isa, what) {
        let kernel = wide::Wide::new(context.isa, what, epilogue.bias);
        return Ok(Built::new(kernel, vec![true]));
    }
    let built = conv::forward(&by_sample, what.conv, epilogue, shapes)?;
    let kernel = ConvPool {
        isa: context.isa,
        what: what.clone(),
        conv: built.kernel,
    };
    let kernel = Box::new(kernel);
    Ok(Built { kernel, ..built })
}

impl ConvPool {
    /// Elements of one sample of the convolution's result.
    fn between(&self) -> usize {
        let s = &self.what.sizes;
        s.window.output[0] * s.window.output[1] * s.outputs
    }
}

impl Kernel for ConvPool {
    fn work(&self) -> Work {
        Work::Samples
    }

    fn scratch(&self) -> usize {
        self.conv.scratch() + self.between()
    }

    fn run(&self, task: Task<'_>) {
        let (between, scratch) = task.scratch.split_at_mut(self.between());
        let scratch = &mut scratch[..self.conv.scratch()];
        let mut operands = [task.operands[0]; 3];
        operands[..task.operands.len()].copy_from_slice(task.operands);
        let each = task.output.len() / task.range.len().max(1);
        for (sample, output) in task.range.zip(task.output.chunks_exact_mut(each)) {
            self.conv.run(Task {
                operands: &operands[..task.operands.len()],
                output: between,
                scratch,
                range: match self.conv.work() {
                    // One sample alone is split otherwise.
                    Work::Pieces { count, .. } => 0..count,
                    _ => sample..sample + 1,
                },
                rows: None,
                fresh: true,
                key: task.key,
            });
            let Located { base, per_sample, .. } = operands[0];
            operands[0].base = base.wrapping_add(per_sample);
            pool(self.isa, &self.what, between, output);
        }
    }
}

/// Pools one sample: maxima and, where there is room for them, choices.
fn pool(isa: Isa, what: &PooledConv, x: &[f32], output: &mut [f32]) {
    assert_eq!(
        x.len(),
        what.sizes.window.output[0] * what.sizes.window.output[1] * what.sizes.outputs
    );
    let (maxima, choices) = if what.choices {
        parts_mut(what, output)
    } else {
        (output, &mut [][..])
    };
    assert!(maxima.len() == what.pooled() && (!what.choices || choices.len() >= what.pooled()));
    let choices = what.choices.then_some(choices.as_mut_ptr());
    let (x, maxima) = (x.as_ptr(), maxima.as_mut_ptr());
    // SAFETY: the sizes were asserted, and a window without padding lies in the image; `isa` was detected.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512(what, x, maxima, choices),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2(what, x, maxima, choices),
            _ => pool_with::<Portable>(what, x, maxima, choices),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
unsafe fn avx512(what: &PooledConv, x: *const f32, maxima: *mut f32, choices: Option<*mut u8>) {
    // SAFETY: handed on from `pool`.
    unsafe { pool_with::<crate::kernels::simd::x86::Avx512>(what, x, maxima, choices) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(what: &PooledConv, x: *const f32, maxima: *mut f32, choices: Option<*mut u8>) {
    // SAFETY: handed on from `pool`.
    unsafe { pool_with::<crate::kernels::simd::x86::Avx2>(what, x, maxima, choices) }
}

#[inline(always)]
unsafe fn pool_with<S: Simd>(what: &PooledConv, x: *const f32, maxima: *mut f32, choices: Option<*mut u8>) {
    let (pool, outputs) = (&what.pool, what.sizes.outputs);
    let row = pool.image[1] * outputs;
    let [down, right] = [pool.dilation[0] * row, pool.dilation[1] * outputs];
    let [rows, columns] = pool.output;
    for pixel in 0..rows * columns {
        let (i, j) = (pixel / columns, pixel % columns);
        let first = i * pool.stride[0] * row + j * pool.stride[1] * outputs;
        for channel in (0..outputs).step_by(S::LANES) {
            let count = (outputs - channel).min(S::LANES);
            // SAFETY: window, pixel and channels lie in their storage, as `pool` asserted.
            unsafe {
                let at = x.add(first + channel);
                let mut most = S::load_first(at, count);
                let mut choice = S::splat(1.0);
                for u in 0..pool.kernel[0] {
                    for v in usize::from(u == 0)..pool.kernel[1] {
                        let next = S::load_first(at.add(u * down + v * right), count);
                        let tap = S::splat((u * pool.kernel[1] + v + 1) as f32);
                        choice = next.if_greater(most, tap, choice);
                        // A comparison by which NaN stays visible.
                        most = next.if_nan(next, next.if_greater(most, next, most));
                    }
                }
                let to = pixel * outputs + channel;
                most.store_first(maxima.add(to), count);
                if let Some(choices) = choices {
                    let live = if what.relu {
                        most.if_greater(S::zero(), choice, S::zero())
                    } else {
                        most.if_nan(S::zero(), choice)
                    };
                    let mut bytes = [0u8; 16];
                    live.store_bytes(bytes.as_mut_ptr(), count);
                    for (k, &byte) in bytes.iter().enumerate().take(count) {
                        *choices.add((channel + k) * rows * columns + pixel) = byte;
                    }
                }
            }
        }
    }
}

/// The maxima without their choices.
struct Pooled {
    what: Arc<PooledConv>,
}

pub(crate) fn pooled(what: &Arc<PooledConv>) -> Built {
    Built::new(Pooled { what: what.clone() }, vec![true])
}

impl Kernel for Pooled {
    fn work(&self) -> Work {
        Work::Samples
    }

    fn run(&self, task: Task<'_>) {
        let samples = task.input(0).chunks_exact(self.what.with_choices());
        for (from, to) in samples.zip(task.output.chunks_exact_mut(self.what.pooled())) {
            to.copy_from_slice(&from[..self.what.pooled()]);
        }
    }
}
