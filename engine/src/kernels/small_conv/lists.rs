//! The positions that have a gradient, listed for each output, and the bias's gradient from them.

use std::sync::Arc;

use super::geometry::{Frame, Places, parts};
use super::listing::Listing;
use super::patches::Terms;
use super::ribbon::Ribbon;
use crate::kernels::registry::Built;
use crate::kernels::simd::Portable;
use crate::kernels::{BuildContext, Isa, Kernel, Task, Work};
use crate::per_isa;
use crate::plan::PooledConv;

/// For each output: where the patches under its choices begin in the image's frame, and their gradients.
struct Listed {
    isa: Isa,
    what: Arc<PooledConv>,
    places: Places,
}

/// The frame in which lists give places, where there is no [`Ribbon`].
pub(super) fn frame(isa: Isa, what: &PooledConv) -> Frame {
    let slack = (what.sizes.window.kernel[1] * what.sizes.channels).next_multiple_of(isa.lanes());
    Frame::new(what, what.sizes.channels, 1, slack)
}

pub(crate) fn listed(context: &BuildContext, what: &Arc<PooledConv>) -> Built {
    let places = match Ribbon::new(context.isa, what) {
        Some(ribbon) => {
            let stride = what.sizes.window.stride;
            Places::new(what, stride[0] * ribbon.row(), stride[1] * ribbon.rows())
        }
        None => Places::in_frame(what, &frame(context.isa, what)),
    };
    let kernel = Listed {
        isa: context.isa,
        what: what.clone(),
        places,
    };
    Built::new(kernel, vec![true, true])
}

impl Kernel for Listed {
    fn work(&self) -> Work {
        Work::Samples
    }

    fn run(&self, task: Task<'_>) {
        let (g, pooled) = (task.input(0), task.input(1));
        let samples = g
            .chunks_exact(self.what.pooled())
            .zip(pooled.chunks_exact(self.what.with_choices()));
        for ((g, pooled), lists) in samples.zip(task.output.chunks_exact_mut(self.what.lists())) {
            let choices = parts(&self.what, pooled).1;
            list(self.isa, &self.what, &self.places, g, choices, lists);
        }
    }
}

/// Lists one sample's choices.
fn list(isa: Isa, what: &PooledConv, places: &Places, g: &[f32], choices: &[u8], lists: &mut [f32]) {
    assert!(g.len() >= what.pooled() && choices.len() >= what.pooled() && lists.len() >= what.lists());
    assert!(places.pixels.len() >= what.pixels());
    // SAFETY: the sizes were asserted; `isa` was detected.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512(what, places, g, choices, lists),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2(what, places, g, choices, lists),
            _ => list_with::<Portable>(what, places, g, choices, lists),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,popcnt")]
unsafe fn avx512(what: &PooledConv, places: &Places, g: &[f32], choices: &[u8], lists: &mut [f32]) {
    // SAFETY: handed on from `list`.
    unsafe { list_with::<crate::kernels::simd::x86::Avx512>(what, places, g, choices, lists) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,popcnt")]
unsafe fn avx2(what: &PooledConv, places: &Places, g: &[f32], choices: &[u8], lists: &mut [f32]) {
    // SAFETY: handed on from `list`.
    unsafe { list_with::<crate::kernels::simd::x86::Avx2>(what, places, g, choices, lists) }
}

#[inline(always)]
unsafe fn list_with<S: Listing>(
    what: &PooledConv,
    places: &Places,
    g: &[f32],
    choices: &[u8],
    lists: &mut [f32],
) {
    let (outputs, pixels) = (what.sizes.outputs, what.pixels());
    let (lengths, lists) = lists.split_at_mut(outputs.next_multiple_of(16));
    let both = lists.chunks_exact_mut(2 * what.list());
    for (output, (length, list)) in lengths.iter_mut().zip(both).enumerate() {
        let (at, factors) = list.split_at_mut(what.list());
        let mut kept = 0;
        for pixel in (0..pixels).step_by(S::LANES) {
            let count = S::LANES.min(pixels - pixel);
            // SAFETY: pixels and outputs lie in what `list` asserted; a list has room for a vector more
            // than pixels.
            unsafe {
                let choice = S::load_bytes(choices.as_ptr().add(output * pixels + pixel), count);
                let keep = !choice.equals_bits(0) & !(u32::MAX << count);
                let place = S::load_first(places.pixels.as_ptr().add(pixel).cast(), count);
                let place = place.add_bits(choice.lookup(places.taps.as_ptr()));
                let factor = S::gather(g.as_ptr().add(pixel * outputs + output), outputs, count);
                place.store_kept(keep, at.as_mut_ptr().add(kept));
                factor.store_kept(keep, factors.as_mut_ptr().add(kept));
                kept += keep.count_ones() as usize;
            }
        }
        *length = f32::from_bits(kept as u32);
    }
}

/// The list of one output.
pub(super) fn terms<'a>(what: &PooledConv, lists: &'a [f32], output: usize) -> Terms<'a> {
    let count = lists[output].to_bits() as usize;
    let first = what.sizes.outputs.next_multiple_of(16) + 2 * output * what.list();
    Terms {
        at: &lists[first..][..count],
        factors: &lists[first + what.list()..][..count],
    }
}

/// The gradient of the bias: the sum of all gradients that go back.
struct Bias {
    isa: Isa,
    what: Arc<PooledConv>,
}

pub(crate) fn bias_gradient(context: &BuildContext, what: &Arc<PooledConv>) -> Built {
    let kernel = Bias {
        isa: context.isa,
        what: what.clone(),
    };
    Built::new(kernel, vec![true])
}

impl Kernel for Bias {
    fn work(&self) -> Work {
        Work::Reduction {
            partial: self.what.sizes.outputs,
        }
    }

    fn run(&self, task: Task<'_>) {
        if task.fresh {
            task.output.fill(0.0);
        }
        for lists in task.input(0).chunks_exact(self.what.lists()) {
            for (output, sum) in task.output.iter_mut().enumerate() {
                add_all(self.isa, terms(&self.what, lists, output).factors, sum);
            }
        }
    }
}

per_isa!(
    fn add_all(x: &[f32], sum: &mut f32) {
        let mut sums = [0.0f32; 16];
        let blocks = x.chunks_exact(16);
        let rest = blocks.remainder();
        for block in blocks {
            sums.iter_mut().zip(block).for_each(|(sum, x)| *sum += x);
        }
        *sum += sums.iter().sum::<f32>() + rest.iter().sum::<f32>();
    }
);
