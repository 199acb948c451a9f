//! Local response normalisation and its gradient, row by row.

use graph::Shape;
use graph::ops::LocalResponseNorm;

use super::columns::by_rows;
use super::math::{exp, ln};
use super::registry::Built;
use super::{BuildContext, Isa, Kernel, Task, Work};
use crate::per_isa;

struct LocalResponse {
    isa: Isa,
    work: Work,
    op: LocalResponseNorm,
    channels: usize,
    backward: bool,
}

/// Operand x, or for the gradient g, x, y.
pub(crate) fn build(context: &BuildContext, op: LocalResponseNorm, x: &Shape, backward: bool) -> Built {
    let work = by_rows(context, x);
    let kernel = LocalResponse {
        isa: context.isa,
        work,
        op,
        channels: x.last_axis(),
        backward,
    };
    Built::new(kernel, vec![work == Work::Samples; 3])
}

impl Kernel for LocalResponse {
    fn work(&self) -> Work {
        self.work
    }
    fn scratch(&self) -> usize {
        // A row between zeros, and one of denominators.
        2 * self.channels + self.op.size
    }
    fn run(&self, task: Task<'_>) {
        let (op, c) = (&self.op, self.channels);
        if self.backward {
            let (g, x, y) = (task.input(0), task.input(1), task.input(2));
            gradient(self.isa, op, c, g, x, y, task.scratch, task.output);
        } else {
            forward(self.isa, op, c, task.input(0), task.scratch, task.output);
        }
    }
}

/// d^−β; the exponents of AlexNet and of plain norms without logarithms.
#[inline(always)]
fn power(d: f32, beta: f32) -> f32 {
    if beta == 0.75 {
        let root = d.sqrt();
        1.0 / (root * root.sqrt())
    } else if beta == 0.5 {
        1.0 / d.sqrt()
    } else {
        exp(-beta * ln(d))
    }
}

/// Denominators d = k + α/n·Σ x² of one row; `padded` holds `before` zeros, the row, and zeros.
#[inline(always)]
fn denominators(op: &LocalResponseNorm, x: &[f32], padded: &mut [f32], d: &mut [f32]) {
    let (c, before) = (x.len(), op.size / 2);
    padded.fill(0.0);
    padded[before..before + c]
        .iter_mut()
        .zip(x)
        .for_each(|(to, v)| *to = v * v);
    window_sums(op.size, padded, d);
    let scale = op.alpha / op.size as f32;
    d.iter_mut().for_each(|d| *d = op.k + scale * *d);
}

/// sums[c] = Σ padded[c .. c + size]
#[inline(always)]
fn window_sums(size: usize, padded: &[f32], sums: &mut [f32]) {
    let c = sums.len();
    sums.copy_from_slice(&padded[..c]);
    for offset in 1..size {
        let shifted = &padded[offset..offset + c];
        sums.iter_mut().zip(shifted).for_each(|(s, v)| *s += v);
    }
}

per_isa!(
    fn forward(op: &LocalResponseNorm, c: usize, x: &[f32], scratch: &mut [f32], y: &mut [f32]) {
        let (d, padded) = scratch.split_at_mut(c);
        for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
            denominators(op, x, padded, d);
            for k in 0..c {
                y[k] = x[k] * power(d[k], op.beta);
            }
        }
    }
);

per_isa!(
    fn gradient(
        op: &LocalResponseNorm,
        c: usize,
        g: &[f32],
        x: &[f32],
        y: &[f32],
        scratch: &mut [f32],
        dx: &mut [f32],
    ) {
        let (d, padded) = scratch.split_at_mut(c);
        // A channel is seen by the mirror image of its own window.
        let before = op.size.div_ceil(2) - 1;
        let factor = 2.0 * op.alpha * op.beta / op.size as f32;
        let rows = g.chunks_exact(c).zip(x.chunks_exact(c)).zip(y.chunks_exact(c));
        for (dx, ((g, x), y)) in dx.chunks_exact_mut(c).zip(rows) {
            denominators(op, x, padded, d);
            padded.fill(0.0);
            for k in 0..c {
                padded[before + k] = g[k] * y[k] / d[k];
            }
            window_sums(op.size, padded, dx);
            for k in 0..c {
                dx[k] = g[k] * power(d[k], op.beta) - factor * x[k] * dx[k];
            }
        }
    }
);
