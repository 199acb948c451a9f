//! Sums and means over axes, over samples too.

use graph::Shape;
use graph::ops::{Op, Reduce, ReduceKind};

use super::nest::{Nest, broadcast_strides, row_major};
use super::registry::Built;
use super::{BuildContext, Isa, Kernel, Task, Work, reference};
use crate::per_isa;

struct Sum {
    isa: Isa,
    work: Work,
    /// Over one sample of the operand (or all of it): operand 0 is the sum's offset.
    nest: Nest<2>,
    /// Elements per sample of the operand, and of the result where it is kept by sample.
    each: [usize; 2],
    scale: f32,
}

pub(crate) fn sum_like(context: &BuildContext, x: &Shape, output: &Shape) -> Built {
    sum(context, x, output, output.clone(), 1.0)
}

pub(crate) fn reduce(context: &BuildContext, op: &Reduce, x: &Shape, output: &Shape) -> Built {
    if op.kind == ReduceKind::Max {
        return reference::build(&Op::Reduce(op.clone()), &[x], output);
    }
    let kept: Vec<usize> = (0..x.rank())
        .map(|a| {
            if op.axes.is_empty() || op.axes.contains(&a) {
                1
            } else {
                x[a]
            }
        })
        .collect();
    let mean = op.kind == ReduceKind::Mean;
    let scale = if mean {
        output.elements() as f64 / x.elements().max(1) as f64
    } else {
        1.0
    };
    sum(context, x, output, kept.into(), scale as f32)
}

/// `kept` is the result's shape as it broadcasts against `x`.
fn sum(context: &BuildContext, x: &Shape, output: &Shape, kept: Shape, scale: f32) -> Built {
    let by_sample = x.rank() > 0 && x[0] == context.batch;
    let over_samples = by_sample && (kept.rank() < x.rank() || kept[0] != x[0]);
    let work = match (by_sample, over_samples) {
        (true, true) => Work::Reduction {
            partial: output.elements(),
        },
        (true, false) => Work::Samples,
        _ => Work::Pieces {
            count: 1,
            elements: output.elements(),
        },
    };
    let to = broadcast_strides(&kept, x);
    let own = row_major(x);
    let skip = usize::from(by_sample);
    let strides: Vec<[usize; 2]> = (skip..x.rank()).map(|a| [to[a], own[a]]).collect();
    let nest = Nest::new(&x[skip..], &strides);
    let batch = context.batch.max(1);
    let each = match work {
        Work::Reduction { .. } => [x.elements() / batch, 0],
        Work::Samples => [x.elements() / batch, output.elements() / batch],
        Work::Pieces { .. } => [0, 0],
    };
    Built::new(
        Sum {
            isa: context.isa,
            work,
            nest,
            each,
            scale,
        },
        vec![by_sample],
    )
}

impl Kernel for Sum {
    fn work(&self) -> Work {
        self.work
    }

    fn run(&self, task: Task<'_>) {
        let x = task.input(0);
        if task.fresh {
            task.output.fill(0.0);
        }
        let rounds = if matches!(self.work, Work::Pieces { .. }) {
            1
        } else {
            task.range.len()
        };
        let inner = self.nest.inner;
        for sample in 0..rounds {
            let x = &x[sample * self.each[0]..];
            let output = &mut task.output[sample * self.each[1]..];
            self.nest.each(|_, [to, from]| {
                let x = &x[from..from + inner];
                match self.nest.inner_strides[0] {
                    0 => {
                        let mut total = 0.0;
                        total_of(self.isa, x, &mut total);
                        output[to] += total;
                    }
                    _ => add_to(self.isa, x, &mut output[to..to + inner]),
                }
            });
        }
        if !matches!(self.work, Work::Reduction { .. }) && self.scale != 1.0 {
            task.output.iter_mut().for_each(|v| *v *= self.scale);
        }
    }

    fn finish(&self, partials: &[f32], output: &mut [f32]) {
        output.fill(0.0);
        for partial in partials.chunks_exact(output.len()) {
            add_to(self.isa, partial, output);
        }
        if self.scale != 1.0 {
            output.iter_mut().for_each(|v| *v *= self.scale);
        }
    }
}

per_isa!(
    fn add_to(x: &[f32], sums: &mut [f32]) {
        for (sum, &x) in sums.iter_mut().zip(x) {
            *sum += x;
        }
    }
);

per_isa!(
    fn total_of(x: &[f32], total: &mut f32) {
        // Many running sums are fast and keep the rounding error small.
        let mut sums = [0.0f32; 32];
        let blocks = x.chunks_exact(32);
        let rest = blocks.remainder();
        for block in blocks {
            for (sum, &x) in sums.iter_mut().zip(block) {
                *sum += x;
            }
        }
        *total = sums.iter().sum::<f32>() + rest.iter().sum::<f32>();
    }
);
