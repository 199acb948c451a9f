//! Gradients of maxima laid back into the image they were taken from, and summed for the bias.

use std::sync::Arc;

use super::geometry::{Places, parts};
use crate::kernels::columns::run_length;
use crate::kernels::registry::Built;
use crate::kernels::{BuildContext, Isa, Kernel, Task, Work};
use crate::per_isa;
use crate::plan::PooledConv;

/// The gradient of the convolution's result, 0 wherever no maximum came from.
struct Unpool {
    what: Arc<PooledConv>,
    places: Places,
}

pub(crate) fn unpool(_: &BuildContext, what: &Arc<PooledConv>) -> Built {
    let (columns, outputs) = (what.sizes.window.output[1], what.sizes.outputs);
    let places = Places::new(what, columns * outputs, outputs);
    let what = what.clone();
    Built::new(Unpool { what, places }, vec![true, true])
}

impl Kernel for Unpool {
    fn work(&self) -> Work {
        Work::Samples
    }

    fn run(&self, task: Task<'_>) {
        let (g, pooled) = (task.input(0), task.input(1));
        let s = &self.what.sizes;
        let each = s.window.output[0] * s.window.output[1] * s.outputs;
        let samples = g
            .chunks_exact(self.what.pooled())
            .zip(pooled.chunks_exact(self.what.with_choices()));
        for ((g, pooled), to) in samples.zip(task.output.chunks_exact_mut(each)) {
            to.fill(0.0);
            let choices = parts(&self.what, pooled).1;
            let pixels = g
                .chunks_exact(s.outputs)
                .zip(choices.chunks_exact(s.outputs))
                .zip(&self.places.pixels);
            for ((g, choices), &place) in pixels {
                for (o, (&g, &choice)) in g.iter().zip(choices).enumerate() {
                    if choice != 0 {
                        to[(place + self.places.taps[usize::from(choice)]) as usize + o] += g;
                    }
                }
            }
        }
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
    Built::new(kernel, vec![true, true])
}

impl Kernel for Bias {
    fn work(&self) -> Work {
        Work::Reduction {
            partial: self.what.sizes.outputs,
        }
    }

    fn scratch(&self) -> usize {
        run_length(self.what.sizes.outputs)
    }

    fn run(&self, task: Task<'_>) {
        let (g, pooled) = (task.input(0), task.input(1));
        let sums = &mut task.scratch[..self.scratch()];
        sums.fill(0.0);
        let samples = g
            .chunks_exact(self.what.pooled())
            .zip(pooled.chunks_exact(self.what.with_choices()));
        for (g, pooled) in samples {
            sum_chosen(self.isa, g, parts(&self.what, pooled).1, sums);
        }
        if task.fresh {
            task.output.fill(0.0);
        }
        for row in sums.chunks_exact(task.output.len()) {
            task.output.iter_mut().zip(row).for_each(|(to, x)| *to += x);
        }
    }
}

per_isa!(
    fn sum_chosen(g: &[f32], choices: &[u8], sums: &mut [f32]) {
        for (g, choices) in g.chunks(sums.len()).zip(choices.chunks(sums.len())) {
            for ((sum, &g), &choice) in sums.iter_mut().zip(g).zip(choices) {
                *sum += if choice != 0 { g } else { 0.0 };
            }
        }
    }
);
