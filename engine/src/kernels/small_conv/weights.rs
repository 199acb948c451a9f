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
    rows: usize,
}

pub(crate) fn weight_gradient(context: &BuildContext, what: &Arc<PooledConv>) -> Built {
    let [kh, kw] = what.sizes.window.kernel;
    let ribbon = Ribbon::new(context.isa, what);
    let together = ribbon.as_ref().map_or(1, Ribbon::rows);
    let rows = kh.div_ceil(together);
    let kernel = Weights {
        what: what.clone(),
        frame: frame(context.isa, what),
        ribbon,
        patch: Patch::new(context.isa, rows, together * kw * what.sizes.channels),
        rows,
    };
    Built::new(kernel, vec![true, true])
}

impl Weights {
    /// Elements of a partial result for one output.
    fn each(&self) -> usize {
        self.rows * self.patch.columns
    }

    /// Where the gradient of a weight stands in its output's part: number `element` of the taps and channels of the
    /// kernel's row `u`.
    fn place(&self, u: usize, element: usize) -> usize {
        match &self.ribbon {
            Some(ribbon) => {
                let (row, below) = (u / ribbon.rows(), u % ribbon.rows());
                row * self.patch.columns + element * ribbon.rows() + below
            }
            None => u * self.patch.columns + element,
        }
    }
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
        let s = &self.what.sizes;
        let (run, each) = (s.window.kernel[1] * s.channels, self.each());
        let all = s.outputs * each;
        for (k, row) in output.chunks_exact_mut(s.outputs).enumerate() {
            let at = self.place(k / run, k % run);
            for (o, to) in row.iter_mut().enumerate() {
                let parts = partials[o * each + at..].iter().step_by(all);
                *to = parts.sum();
            }
        }
    }
}
