//! The way back through max-pooling, ReLU and convolution, position by position.

use std::sync::Arc;

use super::MOST_POOL_ROWS;
use super::geometry::{Frame, Places, parts};
use super::patches::{Patch, Term};
use crate::kernels::pack::{Pack, Source};
use crate::kernels::registry::Built;
use crate::kernels::{BuildContext, Kernel, Task, Work};
use crate::plan::PooledConv;

/// The scratch memory as a frame and a list of terms.
fn frame_and_terms(scratch: &mut [f32], frame: usize) -> (&mut [f32], &mut [Term]) {
    let (frame, rest) = scratch.split_at_mut(frame);
    // SAFETY: a term is two numbers of 4 bytes for which every bit pattern is valid, aligned as f32.
    let terms = unsafe { std::slice::from_raw_parts_mut(rest.as_mut_ptr().cast::<Term>(), rest.len() / 2) };
    (frame, terms)
}

/// The gradient of the image: each pooled pixel adds the weights of its outputs, times their gradients, to
/// the image under its window. Outputs whose choices stand in one row of the window go together; the column
/// is in the packed weights, which exist once for each.
struct Input {
    what: Arc<PooledConv>,
    frame: Frame,
    patch: Patch,
    pack: Pack,
    places: Places,
    /// List of the window's row of each choice; choice 0 has a list that nobody reads.
    list: Vec<usize>,
    /// Where the packed weights for the window's column of each choice begin.
    shift: Vec<u32>,
}

pub(crate) fn input_gradient(context: &BuildContext, what: &Arc<PooledConv>) -> Built {
    let (s, pool) = (&what.sizes, &what.pool);
    let [kh, kw] = s.window.kernel;
    let (run, step) = (
        kw * s.channels,
        pool.dilation[1] * s.window.stride[1] * s.channels,
    );
    let columns = run + (pool.kernel[1] - 1) * step;
    let patch = Patch::new(context.isa, kh, columns);
    let frame = Frame::new(what, patch.columns);
    let source = Source::Patches {
        outputs: s.outputs,
        shifts: pool.kernel[1],
        step,
        run,
    };
    let pack = Pack {
        rows: kh,
        columns,
        width: patch.columns,
        source,
    };
    let taps = 0..pool.kernel[0] * pool.kernel[1];
    let row = |tap: usize| tap / pool.kernel[1];
    let shift = |tap: usize| (tap % pool.kernel[1] * kh * patch.columns) as u32;
    let kernel = Input {
        places: Places::in_frame(what, &frame),
        list: [pool.kernel[0]]
            .into_iter()
            .chain(taps.clone().map(row))
            .collect(),
        shift: [0].into_iter().chain(taps.map(shift)).collect(),
        what: what.clone(),
        frame,
        patch,
        pack: pack.clone(),
    };
    Built::new(kernel, vec![true, true]).packing(2, pack)
}

impl Kernel for Input {
    fn work(&self) -> Work {
        Work::Samples
    }

    fn scratch(&self) -> usize {
        self.frame.elements() + 2 * (self.what.pool.kernel[0] + 1) * self.what.sizes.outputs
    }

    fn run(&self, task: Task<'_>) {
        let (g, pooled, weights) = (task.input(0), task.input(1), task.input(2));
        let (frame, terms) = frame_and_terms(task.scratch, self.frame.elements());
        let samples = g
            .chunks_exact(self.what.pooled())
            .zip(pooled.chunks_exact(self.what.with_choices()));
        for ((g, pooled), dx) in samples.zip(task.output.chunks_exact_mut(self.frame.sample())) {
            frame.fill(0.0);
            let choices = parts(&self.what, pooled).1;
            self.sample(g, choices, weights, frame, terms);
            self.frame.take(frame, dx);
        }
    }
}

impl Input {
    fn sample(&self, g: &[f32], choices: &[u8], weights: &[f32], frame: &mut [f32], terms: &mut [Term]) {
        let outputs = self.what.sizes.outputs;
        let rows = self.what.pool.kernel[0];
        let each = (self.what.pool.kernel[1] * self.pack.rows * self.pack.width) as u32;
        let frame_row = self.what.sizes.window.dilation[0] * self.frame.row();
        let pixels = g.chunks_exact(outputs).zip(choices.chunks_exact(outputs));
        let mut counts = [0usize; MOST_POOL_ROWS + 1];
        for ((g, choices), &place) in pixels.zip(&self.places.pixels) {
            counts.fill(0);
            let mut at = 0;
            for (&factor, &choice) in g.iter().zip(choices) {
                let list = self.list[usize::from(choice)];
                let term = Term {
                    at: at + self.shift[usize::from(choice)],
                    factor,
                };
                terms[list * outputs + counts[list]] = term;
                counts[list] += 1;
                at += each;
            }
            for (row, &count) in counts[..rows].iter().enumerate() {
                let down = self.places.taps[1 + row * self.what.pool.kernel[1]];
                let target = (&mut *frame, (place + down) as usize, frame_row);
                // SAFETY: a term's patch is one of the matrices that the packed weights consist of.
                unsafe {
                    self.patch.add(
                        target,
                        (weights, self.pack.width),
                        &terms[row * outputs..][..count],
                    );
                }
            }
        }
    }
}

/// The gradient of the weights: for each output, the patches of the image under its choices, times their
/// gradients. The partial result is `[O, KH, columns of the patch]`.
struct Weights {
    what: Arc<PooledConv>,
    frame: Frame,
    patch: Patch,
    places: Places,
}

pub(crate) fn weight_gradient(context: &BuildContext, what: &Arc<PooledConv>) -> Built {
    let [kh, kw] = what.sizes.window.kernel;
    let patch = Patch::new(context.isa, kh, kw * what.sizes.channels);
    let frame = Frame::new(what, patch.columns);
    let places = Places::in_frame(what, &frame);
    let kernel = Weights {
        what: what.clone(),
        frame,
        patch,
        places,
    };
    Built::new(kernel, vec![true; 3])
}

impl Weights {
    /// Elements of a partial result for one output.
    fn each(&self) -> usize {
        self.what.sizes.window.kernel[0] * self.patch.columns
    }

    /// The terms of one output; returns how many there are.
    fn list(&self, output: usize, g: &[f32], choices: &[u8], terms: &mut [Term]) -> usize {
        let outputs = self.what.sizes.outputs;
        let factors = g[output..].iter().step_by(outputs);
        let choices = choices[output..].iter().step_by(outputs);
        let mut count = 0;
        for ((&factor, &choice), &place) in factors.zip(choices).zip(&self.places.pixels) {
            let at = place + self.places.taps[usize::from(choice)];
            terms[count] = Term { at, factor };
            count += usize::from(choice != 0);
        }
        count
    }
}

impl Kernel for Weights {
    fn work(&self) -> Work {
        Work::Reduction {
            partial: self.what.sizes.outputs * self.each(),
        }
    }

    fn scratch(&self) -> usize {
        self.frame.elements() + 2 * (self.places.pixels.len() + 1)
    }

    fn run(&self, task: Task<'_>) {
        let (g, pooled, x) = (task.input(0), task.input(1), task.input(2));
        let (frame, terms) = frame_and_terms(task.scratch, self.frame.elements());
        let frame_row = self.what.sizes.window.dilation[0] * self.frame.row();
        if task.fresh {
            task.output.fill(0.0);
        }
        let samples = g
            .chunks_exact(self.what.pooled())
            .zip(pooled.chunks_exact(self.what.with_choices()));
        for ((g, pooled), x) in samples.zip(x.chunks_exact(self.frame.sample())) {
            self.frame.lay(x, frame);
            let choices = parts(&self.what, pooled).1;
            for (output, sums) in task.output.chunks_exact_mut(self.each()).enumerate() {
                let count = self.list(output, g, choices, terms);
                let target = (sums, 0, self.patch.columns);
                // SAFETY: every position of the convolution's result has its patch in the frame, which
                // ends in as many elements as a row of the patch is long.
                unsafe { self.patch.add(target, (frame, frame_row), &terms[..count]) };
            }
        }
    }

    fn finish(&self, partials: &[f32], output: &mut [f32]) {
        let s = &self.what.sizes;
        let (run, each) = (s.window.kernel[1] * s.channels, self.each());
        let all = s.outputs * each;
        for (k, row) in output.chunks_exact_mut(s.outputs).enumerate() {
            let at = k / run * self.patch.columns + k % run;
            for (o, to) in row.iter_mut().enumerate() {
                let parts = partials[o * each + at..].iter().step_by(all);
                *to = parts.sum();
            }
        }
    }
}
