//! Sums, means and maxima over axes, over samples too.

use graph::Shape;
use graph::ops::{Reduce, ReduceKind};

use super::nest::{Nest, broadcast_strides, row_major};
use super::registry::Built;
use super::{BuildContext, Isa, Kernel, Task, Work};
use crate::per_isa;

struct Fold {
    isa: Isa,
    kind: ReduceKind,
    work: Work,
    /// Over one sample of the operand (or all of it): operand 0 is the sum's offset.
    nest: Nest<2>,
    /// Elements per sample of the operand, and of the result where it is kept by sample.
    each: [usize; 2],
    scale: f32,
}

pub(crate) fn sum_like(context: &BuildContext, x: &Shape, output: &Shape) -> Built {
    fold(context, ReduceKind::Sum, x, output, output.clone(), 1.0)
}

pub(crate) fn reduce(context: &BuildContext, op: &Reduce, x: &Shape, output: &Shape) -> Built {
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
    fold(context, op.kind, x, output, kept.into(), scale as f32)
}

/// `kept` is the result's shape as it broadcasts against `x`.
fn fold(
    context: &BuildContext,
    kind: ReduceKind,
    x: &Shape,
    output: &Shape,
    kept: Shape,
    scale: f32,
) -> Built {
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
        Fold {
            isa: context.isa,
            kind,
            work,
            nest,
            each,
            scale,
        },
        vec![by_sample],
    )
}

impl Fold {
    /// What a fold begins with.
    fn start(&self) -> f32 {
        match self.kind {
            ReduceKind::Max => f32::NEG_INFINITY,
            _ => 0.0,
        }
    }

    /// Folds `x` element by element into `to`.
    fn join(&self, x: &[f32], to: &mut [f32]) {
        match self.kind {
            ReduceKind::Max => raise_to(self.isa, x, to),
            _ => add_to(self.isa, x, to),
        }
    }

    /// Folds all of `x` into one number.
    fn join_all(&self, x: &[f32], to: &mut f32) {
        let mut result = self.start();
        match self.kind {
            ReduceKind::Max => most_of(self.isa, x, &mut result),
            _ => total_of(self.isa, x, &mut result),
        }
        self.join(&[result], std::slice::from_mut(to));
    }
}

impl Kernel for Fold {
    fn work(&self) -> Work {
        self.work
    }

    fn run(&self, task: Task<'_>) {
        let x = task.input(0);
        if task.fresh {
            task.output.fill(self.start());
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
                    0 => self.join_all(x, &mut output[to]),
                    _ => self.join(x, &mut output[to..to + inner]),
                }
            });
        }
        if !matches!(self.work, Work::Reduction { .. }) && self.scale != 1.0 {
            task.output.iter_mut().for_each(|v| *v *= self.scale);
        }
    }

    fn finish(&self, partials: &[f32], output: &mut [f32]) {
        output.fill(self.start());
        for partial in partials.chunks_exact(output.len()) {
            self.join(partial, output);
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
    pub(super) fn total_of(x: &[f32], total: &mut f32) {
        if x.len() < 32 {
            *total = x.iter().sum();
            return;
        }
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

/// The larger; NaN if either is.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

per_isa!(
    fn raise_to(x: &[f32], to: &mut [f32]) {
        for (to, &x) in to.iter_mut().zip(x) {
            *to = larger(*to, x);
        }
    }
);

per_isa!(
    fn most_of(x: &[f32], most: &mut f32) {
        if x.len() < 32 {
            *most = x.iter().fold(f32::NEG_INFINITY, |a, &b| larger(a, b));
            return;
        }
        let mut lanes = [f32::NEG_INFINITY; 32];
        let blocks = x.chunks_exact(32);
        let rest = blocks.remainder();
        for block in blocks {
            for (lane, &x) in lanes.iter_mut().zip(block) {
                *lane = larger(*lane, x);
            }
        }
        *most = lanes
            .iter()
            .chain(rest)
            .fold(f32::NEG_INFINITY, |a, &b| larger(a, b));
    }
);
