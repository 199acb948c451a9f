//! Gradients of maxima laid back into the image that they were taken from.

use std::sync::Arc;

use super::geometry::{Places, parts};
use crate::kernels::registry::Built;
use crate::kernels::{Kernel, Task, Work};
use crate::plan::PooledConv;

/// The gradient of the convolution's result, 0 wherever no maximum came from.
struct Unpool {
    what: Arc<PooledConv>,
    places: Places,
}

pub(crate) fn unpool(what: &Arc<PooledConv>) -> Built {
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
            for (o, choices) in choices.chunks_exact(self.what.pixels()).enumerate() {
                let g = g[o..].iter().step_by(s.outputs);
                for ((&g, &choice), &place) in g.zip(choices).zip(&self.places.pixels) {
                    if choice != 0 {
                        to[(place + self.places.taps[usize::from(choice)]) as usize + o] += g;
                    }
                }
            }
        }
    }
}
