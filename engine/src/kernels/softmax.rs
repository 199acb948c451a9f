//! Softmax, its logarithm, and their gradients: row by row over the last axis.

use graph::Shape;

use super::columns::by_rows;
use super::math::{exp, ln};
use super::registry::Built;
use super::{BuildContext, Isa, Kernel, Task, Work};
use crate::per_isa;

/// What is done with each row.
#[derive(Clone, Copy)]
pub(crate) enum Rule {
    Softmax,
    LogSoftmax,
    SoftmaxGradient,
    LogSoftmaxGradient,
}

struct Rows {
    isa: Isa,
    work: Work,
    rule: Rule,
    length: usize,
}

pub(crate) fn rows(context: &BuildContext, rule: Rule, output: &Shape) -> Built {
    let work = by_rows(context, output);
    let kernel = Rows {
        isa: context.isa,
        work,
        rule,
        length: output.last_axis(),
    };
    Built::new(kernel, vec![work == Work::Samples; 2])
}

impl Kernel for Rows {
    fn work(&self) -> Work {
        self.work
    }
    fn run(&self, task: Task<'_>) {
        let (isa, n) = (self.isa, self.length);
        match self.rule {
            Rule::Softmax => softmax(isa, n, task.input(0), task.output),
            Rule::LogSoftmax => log_softmax(isa, n, task.input(0), task.output),
            Rule::SoftmaxGradient => softmax_gradient(isa, n, task.input(0), task.input(1), task.output),
            Rule::LogSoftmaxGradient => {
                log_softmax_gradient(isa, n, task.input(0), task.input(1), task.output);
            }
        }
    }
}

/// Folds in 16 lanes, so that the compiler may use vectors.
#[inline(always)]
pub(super) fn fold(
    n: usize,
    start: f32,
    value: impl Fn(usize) -> f32,
    join: impl Fn(f32, f32) -> f32,
) -> f32 {
    let whole = n / 16 * 16;
    if whole == 0 {
        return (0..n).fold(start, |a, k| join(a, value(k)));
    }
    let mut lanes = [start; 16];
    for at in (0..whole).step_by(16) {
        for (k, lane) in lanes.iter_mut().enumerate() {
            *lane = join(*lane, value(at + k));
        }
    }
    let mut result = start;
    for k in whole..n {
        result = join(result, value(k));
    }
    lanes.iter().fold(result, |a, &b| join(a, b))
}

/// Σ value(k)
#[inline(always)]
pub(super) fn sum(n: usize, value: impl Fn(usize) -> f32) -> f32 {
    fold(n, 0.0, value, |a, b| a + b)
}

/// Rows that are worked on together, at most, and the elements that they should have.
const TOGETHER: (usize, usize) = (64, 1024);

/// Elements of the rows that are worked on together.
pub(super) fn block(n: usize) -> usize {
    n * (TOGETHER.1 / n.max(1)).clamp(1, TOGETHER.0)
}

/// What is known of rows that are worked on together.
pub(super) struct Known {
    most: [f32; TOGETHER.0],
    /// Σ eˣ⁻ᵐᵃˣⁱᵐᵘᵐ
    pub total: [f32; TOGETHER.0],
}

impl Known {
    /// Of rows of `n`; e becomes eˣ⁻ᵐᵃˣⁱᵐᵘᵐ, all of it in one loop, however short rows are. NaN anywhere
    /// makes a row's total NaN.
    #[inline(always)]
    pub(super) fn of(n: usize, x: &[f32], e: &mut [f32]) -> Self {
        let (mut most, mut total) = ([0.0; TOGETHER.0], [1.0; TOGETHER.0]);
        for ((x, e), most) in x.chunks_exact(n).zip(e.chunks_exact_mut(n)).zip(&mut most) {
            *most = fold(n, f32::NEG_INFINITY, |k| x[k], |a, b| if b > a { b } else { a });
            for (e, x) in e.iter_mut().zip(x) {
                *e = x - *most;
            }
        }
        for e in e.iter_mut() {
            *e = exp(*e);
        }
        for (e, total) in e.chunks_exact(n).zip(&mut total) {
            *total = sum(n, |k| e[k]);
        }
        Self { most, total }
    }

    /// ln Σ eˣ of each row.
    #[inline(always)]
    pub(super) fn logarithms(&self) -> [f32; TOGETHER.0] {
        let mut logs = [0.0; TOGETHER.0];
        for ((log, most), total) in logs.iter_mut().zip(&self.most).zip(&self.total) {
            *log = most + ln(*total);
        }
        logs
    }
}

per_isa!(
    fn softmax(n: usize, x: &[f32], y: &mut [f32]) {
        for (y, x) in y.chunks_mut(block(n)).zip(x.chunks(block(n))) {
            let known = Known::of(n, x, y);
            for (y, total) in y.chunks_exact_mut(n).zip(&known.total) {
                let scale = 1.0 / total;
                for y in y {
                    *y *= scale;
                }
            }
        }
    }
);

per_isa!(
    fn log_softmax(n: usize, x: &[f32], y: &mut [f32]) {
        for (y, x) in y.chunks_mut(block(n)).zip(x.chunks(block(n))) {
            let known = Known::of(n, x, y);
            let mut logs = [0.0; TOGETHER.0];
            for (log, total) in logs.iter_mut().zip(&known.total) {
                *log = ln(*total);
            }
            let rows = y.chunks_exact_mut(n).zip(x.chunks_exact(n));
            for ((y, x), (most, log)) in rows.zip(known.most.iter().zip(&logs)) {
                for (y, v) in y.iter_mut().zip(x) {
                    *y = (v - most) - log;
                }
            }
        }
    }
);

per_isa!(
    fn softmax_gradient(n: usize, g: &[f32], y: &[f32], dx: &mut [f32]) {
        for ((dx, g), y) in dx
            .chunks_exact_mut(n)
            .zip(g.chunks_exact(n))
            .zip(y.chunks_exact(n))
        {
            let along = sum(n, |k| g[k] * y[k]);
            for k in 0..n {
                dx[k] = y[k] * (g[k] - along);
            }
        }
    }
);

per_isa!(
    fn log_softmax_gradient(n: usize, g: &[f32], y: &[f32], dx: &mut [f32]) {
        for (dx, y) in dx.iter_mut().zip(y) {
            *dx = exp(*y);
        }
        for (dx, g) in dx.chunks_exact_mut(n).zip(g.chunks_exact(n)) {
            let total = sum(n, |k| g[k]);
            for k in 0..n {
                dx[k] = g[k] - dx[k] * total;
            }
        }
    }
);
