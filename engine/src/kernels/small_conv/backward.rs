//! The gradient of a pooled convolution's image, position by position.

use std::sync::Arc;

use super::MOST_POOL_ROWS;
use super::geometry::{Frame, Places, parts, table};
use super::listing::Listing;
use super::patches::{Patch, Terms};
use crate::kernels::pack::{Pack, Source};
use crate::kernels::registry::Built;
use crate::kernels::simd::Portable;
use crate::kernels::{BuildContext, Isa, Kernel, Task, Work};
use crate::plan::PooledConv;

/// The gradient of the image: each pooled pixel adds the weights of its outputs, times their gradients, to
/// the image under its window. Outputs whose choices stand in one row of the window go together; the column
/// is in the packed weights, which exist once for each.
struct Input {
    isa: Isa,
    what: Arc<PooledConv>,
    frame: Frame,
    patch: Patch,
    pack: Pack,
    places: Places,
    /// The window's row of each choice; that of choice 0 is none.
    row: [u32; 16],
    /// Where the packed weights for the window's column of each choice begin, and for each output.
    shift: [u32; 16],
    outputs: Vec<u32>,
}

/// Elements from one pixel of the image's gradient to the next. Neighbouring patches that lie whole vectors
/// apart read what was just written in one piece, which is worth some zeros.
fn pitch(isa: Isa, what: &PooledConv) -> usize {
    let (c, stride) = (
        what.sizes.channels,
        what.pool.stride[1] * what.sizes.window.stride[1],
    );
    let vectors = |c: usize| (what.sizes.window.kernel[1] + what.pool.kernel[1]) * c / isa.lanes();
    let aligned = (c..=2 * c).find(|pitch| (stride * pitch).is_multiple_of(isa.lanes()));
    aligned
        .filter(|&pitch| vectors(pitch) <= vectors(c) + 1)
        .unwrap_or(c)
}

pub(crate) fn input_gradient(context: &BuildContext, what: &Arc<PooledConv>) -> Built {
    let (s, pool) = (&what.sizes, &what.pool);
    let [kh, kw] = s.window.kernel;
    let pitch = pitch(context.isa, what);
    let step = pool.dilation[1] * s.window.stride[1] * pitch;
    let columns = kw * pitch + (pool.kernel[1] - 1) * step;
    let patch = Patch::new(context.isa, kh, columns);
    let frame = Frame::new(what, pitch, context.isa.lanes(), patch.columns);
    let source = Source::Patches {
        outputs: s.outputs,
        shifts: pool.kernel[1],
        step,
        channels: s.channels,
        pitch,
    };
    let pack = Pack {
        rows: kh,
        columns,
        width: patch.columns,
        source,
    };
    let each = kh * patch.columns;
    let taps = 0..pool.kernel[0] * pool.kernel[1];
    let row = |tap: usize| (tap / pool.kernel[1]) as u32;
    let shift = |tap: usize| (tap % pool.kernel[1] * each) as u32;
    let kernel = Input {
        isa: context.isa,
        places: Places::in_frame(what, &frame),
        row: table([u32::MAX].into_iter().chain(taps.clone().map(row))),
        shift: table([0].into_iter().chain(taps.map(shift))),
        outputs: (0..s.outputs)
            .map(|o| (o * pool.kernel[1] * each) as u32)
            .collect(),
        what: what.clone(),
        frame,
        patch,
        pack: pack.clone(),
    };
    Built::new(kernel, vec![true, true]).packing(2, pack)
}

impl Input {
    /// Elements of a list of places or factors: a vector more than there are outputs.
    fn list(&self) -> usize {
        self.what.sizes.outputs.next_multiple_of(16) + 16
    }
}

impl Kernel for Input {
    fn work(&self) -> Work {
        Work::Samples
    }

    fn scratch(&self) -> usize {
        self.frame.elements() + 2 * self.what.pool.kernel[0] * self.list()
    }

    fn run(&self, task: Task<'_>) {
        let (g, pooled, weights) = (task.input(0), task.input(1), task.input(2));
        let (frame, lists) = task.scratch.split_at_mut(self.frame.elements());
        let samples = g
            .chunks_exact(self.what.pooled())
            .zip(pooled.chunks_exact(self.what.with_choices()));
        for ((g, pooled), dx) in samples.zip(task.output.chunks_exact_mut(self.frame.sample())) {
            frame.fill(0.0);
            let choices = parts(&self.what, pooled).1;
            self.sample(g, choices, weights, frame, lists);
            self.frame.take(frame, dx);
        }
    }
}

impl Input {
    fn sample(&self, g: &[f32], choices: &[u8], weights: &[f32], frame: &mut [f32], lists: &mut [f32]) {
        let [rows, columns] = self.what.pool.kernel;
        let frame_row = self.what.sizes.window.dilation[0] * self.frame.row();
        let pixels = g.chunks_exact(self.what.sizes.outputs).zip(&self.places.pixels);
        for (pixel, (g, &place)) in pixels.enumerate() {
            let lengths = self.list_pixel(g, &choices[pixel..], lists);
            let lists = lists.chunks_exact(2 * self.list());
            for (row, (list, &count)) in lists.zip(&lengths[..rows]).enumerate() {
                let down = self.places.taps[1 + row * columns];
                let target = (&mut *frame, (place + down) as usize, frame_row);
                let terms = Terms {
                    at: &list[..count],
                    factors: &list[self.list()..][..count],
                };
                // SAFETY: a term's patch is one of the matrices that the packed weights consist of.
                unsafe { self.patch.add(target, (weights, self.pack.width), terms) };
            }
        }
    }

    /// Lists the outputs of one pixel by the window's row of their choices, and says how many they are.
    /// `choices` begins with the pixel's first one.
    fn list_pixel(&self, g: &[f32], choices: &[u8], lists: &mut [f32]) -> [usize; MOST_POOL_ROWS] {
        let (outputs, rows) = (self.what.sizes.outputs, self.what.pool.kernel[0]);
        assert!(choices.len() > (outputs - 1) * self.what.pixels() && g.len() >= outputs);
        assert!(self.outputs.len() >= outputs && lists.len() >= 2 * rows * self.list());
        // SAFETY: the sizes were asserted, three bytes more than the choices can be read, and a list has
        // room for a vector more than outputs; `isa` was detected.
        unsafe {
            match self.isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => avx512(self, g, choices, lists),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => avx2(self, g, choices, lists),
                _ => list_with::<Portable>(self, g, choices, lists),
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,popcnt")]
unsafe fn avx512(of: &Input, g: &[f32], choices: &[u8], lists: &mut [f32]) -> [usize; MOST_POOL_ROWS] {
    // SAFETY: handed on from `list_pixel`.
    unsafe { list_with::<crate::kernels::simd::x86::Avx512>(of, g, choices, lists) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,popcnt")]
unsafe fn avx2(of: &Input, g: &[f32], choices: &[u8], lists: &mut [f32]) -> [usize; MOST_POOL_ROWS] {
    // SAFETY: handed on from `list_pixel`.
    unsafe { list_with::<crate::kernels::simd::x86::Avx2>(of, g, choices, lists) }
}

#[inline(always)]
unsafe fn list_with<S: Listing>(
    of: &Input,
    g: &[f32],
    choices: &[u8],
    lists: &mut [f32],
) -> [usize; MOST_POOL_ROWS] {
    let (outputs, pixels, length) = (of.what.sizes.outputs, of.what.pixels(), of.list());
    let mut counts = [0; MOST_POOL_ROWS];
    for output in (0..outputs).step_by(S::LANES) {
        let lanes = S::LANES.min(outputs - output);
        // SAFETY: asserted by `list_pixel`. Lanes behind the last output have choice 0 and are not kept.
        unsafe {
            let choice = S::gather_bytes(choices.as_ptr().add(output * pixels), pixels, lanes);
            let row = choice.lookup(of.row.as_ptr());
            let at = S::load_first(of.outputs.as_ptr().add(output).cast(), lanes);
            let at = at.add_bits(choice.lookup(of.shift.as_ptr()));
            let factor = S::load_first(g.as_ptr().add(output), lanes);
            for (r, count) in counts.iter_mut().enumerate().take(of.what.pool.kernel[0]) {
                let keep = row.equals_bits(r as u32);
                let list = lists.as_mut_ptr().add(2 * r * length + *count);
                at.store_kept(keep, list);
                factor.store_kept(keep, list.add(length));
                *count += keep.count_ones() as usize;
            }
        }
    }
    counts
}
