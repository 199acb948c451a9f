//! The gradient of a pooled convolution's weights, position by position.

use std::sync::Arc;

use super::geometry::Frame;
use super::lists::{frame, terms};
use super::patches::Patch;
use super::ribbon::Ribbon;
use crate::kernels::registry::Built;
use crate::kernels::{BuildContext, Kernel, Task, Work};
use crate::plan::PooledConv;

/// The gradient of the weights: for each output, the patches of the image under its choices, times their
/// gradients. The partial result is `[O, rows of the patch, columns of the patch]`.
struct Weights {
    what: Arc<PooledConv>,
    frame: Frame,
    /// In place of the frame, where rows are interleaved.
    ribbon: Option<Ribbon>,
    patch: Patch,
    /// The weight of each element of the patch.
    weights: Vec<Option<usize>>,
}

/// Elements that are summed at a time.
const LINE: usize = 16;

pub(crate) fn weight_gradient(context: &BuildContext, what: &Arc<PooledConv>) -> Built {
    let [kh, kw] = what.sizes.window.kernel;
    let ribbon = Ribbon::new(context.isa, what);
    let together = ribbon.as_ref().map_or(1, Ribbon::rows);
    let (rows, run) = (kh.div_ceil(together), kw * what.sizes.channels);
    let patch = Patch::new(context.isa, rows, together * run);
    let kernel = Weights {
        what: what.clone(),
        frame: frame(context.isa, what),
        ribbon,
        weights: weights_of([kh, run], [rows, patch.columns], together),
        patch,
    };
    Built::new(kernel, vec![true, true])
}

impl Weights {
    /// Elements of a partial result for one output.
    fn each(&self) -> usize {
        self.weights.len()
    }
}

/// Which weight of an output each element of a patch is: rows of `together` rows of the kernel, pixel by pixel.
fn weights_of([kh, run]: [usize; 2], [rows, columns]: [usize; 2], together: usize) -> Vec<Option<usize>> {
    let weight = |place: usize| {
        let (row, column) = (place / columns, place % columns);
        let (u, element) = (row * together + column % together, column / together);
        (u < kh && element < run).then_some(u * run + element)
    };
    (0..rows * columns).map(weight).collect()
}

impl Kernel for Weights {
    fn work(&self) -> Work {
        Work::Reduction {
            partial: self.what.sizes.outputs * self.each(),
        }
    }

    fn scratch(&self) -> usize {
        match &self.ribbon {
            Some(ribbon) => ribbon.scratch(),
            None => self.frame.elements(),
        }
    }

    fn run(&self, task: Task<'_>) {
        let (lists, x) = (task.input(0), task.input(1));
        let dilation = self.what.sizes.window.dilation[0];
        if task.fresh {
            task.output.fill(0.0);
        }
        let samples = lists.chunks_exact(self.what.lists());
        for (lists, x) in samples.zip(x.chunks_exact(self.frame.sample())) {
            let (source, row) = match &self.ribbon {
                Some(ribbon) => {
                    let row = ribbon.rows() * dilation * ribbon.row();
                    (ribbon.lay(x, task.scratch), row)
                }
                None => {
                    let frame = &mut task.scratch[..self.frame.elements()];
                    self.frame.lay(x, frame);
                    (&*frame, dilation * self.frame.row())
                }
            };
            for (output, sums) in task.output.chunks_exact_mut(self.each()).enumerate() {
                let target = (sums, 0, self.patch.columns);
                // SAFETY: every position of the convolution's result has its patch in the frame or the ribbon, which
                // ends in as many elements as a row of the patch is long.
                unsafe {
                    self.patch
                        .add(target, (source, row), terms(&self.what, lists, output))
                };
            }
        }
    }

    fn finish(&self, partials: &[f32], output: &mut [f32]) {
        let (outputs, each) = (self.what.sizes.outputs, self.each());
        for (place, weights) in (0..).step_by(LINE).zip(self.weights.chunks(LINE)) {
            for o in 0..outputs {
                let mut sums = [0.0; LINE];
                for part in partials.chunks_exact(outputs * each) {
                    let part = &part[o * each + place..][..weights.len()];
                    sums.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
                }
                for (sum, weight) in sums.iter().zip(weights) {
                    if let Some(weight) = weight {
                        output[weight * outputs + o] = *sum;
                    }
                }
            }
        }
    }
}
