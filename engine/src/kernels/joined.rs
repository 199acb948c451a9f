//! Panels of a result's channels side by side: what follows a kernel whose pieces are panels, so that each thread reads
//! its own part of the weights.

use super::amx::SIDE;
use super::{Isa, Kernel, Task, Work};
use crate::per_isa;
use crate::plan::Epilogue;

/// Panels `[panel][row, column][32]` as `[row, column][channel]`, and what a convolution or a dense layer ends with.
pub(super) struct Joined {
    pub isa: Isa,
    /// Rows, columns and channels of the result; of a dense layer samples, 1 and outputs.
    pub output: [usize; 3],
    pub epilogue: Epilogue,
}

impl Kernel for Joined {
    fn work(&self) -> Work {
        let [rows, columns, channels] = self.output;
        Work::Pieces {
            count: rows,
            elements: columns * channels,
        }
    }

    fn run(&self, task: Task<'_>) {
        let [rows, columns, channels] = self.output;
        let panels = task.input(0).chunks_exact(rows * columns * SIDE);
        // Behind the panels stand the layer's own operands.
        let [bias, residual] = self.epilogue.operands(3);
        let (bias, residual) = (bias.map(|k| task.input(k)), residual.map(|k| task.input(k)));
        let pixels = task.range.start * columns..task.range.end * columns;
        for (number, panel) in panels.enumerate() {
            let channel = number * SIDE;
            for (pixel, at) in pixels.clone().zip((channel..).step_by(channels)) {
                let width = SIDE.min(channels - channel);
                let place = pixel * channels + channel;
                let sum = Sum {
                    from: &panel[pixel * SIDE..][..width],
                    bias: bias.map(|bias| &bias[channel..][..width]),
                    residual: residual.map(|residual| &residual[place..][..width]),
                    relu: self.epilogue.relu,
                };
                finish(self.isa, &sum, &mut task.output[at..at + width]);
            }
        }
    }
}

/// Some channels of a pixel.
struct Sum<'a> {
    from: &'a [f32],
    bias: Option<&'a [f32]>,
    residual: Option<&'a [f32]>,
    relu: bool,
}

per_isa!(
    fn finish(sum: &Sum<'_>, to: &mut [f32]) {
        to.copy_from_slice(sum.from);
        for added in [sum.bias, sum.residual].into_iter().flatten() {
            to.iter_mut().zip(added).for_each(|(to, x)| *to += x);
        }
        if sum.relu {
            // NaN stays NaN.
            to.iter_mut()
                .for_each(|to| *to = if *to < 0.0 { 0.0 } else { *to });
        }
    }
);
