//! Layer normalisation and its gradients, row by row.

use graph::Shape;

use super::columns::{by_rows, over_rows};
use super::registry::Built;
use super::softmax::sum;
use super::{BuildContext, Isa, Kernel, Task, Work};
use crate::per_isa;

/// What is done with each row.
#[derive(Clone, Copy)]
pub(crate) enum Rule {
    /// Operands x, gamma, beta.
    Forward,
    /// Operands g, x, gamma.
    InputGradient,
    /// Operands g, x; a sum over rows.
    Sums,
}

struct LayerNorm {
    isa: Isa,
    work: Work,
    rule: Rule,
    epsilon: f32,
}

pub(crate) fn layer_norm(context: &BuildContext, rule: Rule, epsilon: f32, x: &Shape) -> Built {
    let pair = 2 * x.last_axis();
    let (work, by_sample) = match rule {
        Rule::Sums => {
            let work = over_rows(context, x, pair, pair);
            (work, matches!(work, Work::Reduction { .. }))
        }
        _ => {
            let work = by_rows(context, x);
            (work, work == Work::Samples)
        }
    };
    let kernel = LayerNorm {
        isa: context.isa,
        work,
        rule,
        epsilon,
    };
    let operands = match rule {
        Rule::Forward => vec![by_sample],
        _ => vec![by_sample; 2],
    };
    Built::new(kernel, operands)
}

impl Kernel for LayerNorm {
    fn work(&self) -> Work {
        self.work
    }
    fn run(&self, task: Task<'_>) {
        let (isa, epsilon) = (self.isa, self.epsilon);
        match self.rule {
            Rule::Forward => {
                let (x, gamma, beta) = (task.input(0), task.input(1), task.input(2));
                forward(isa, epsilon, x, gamma, beta, task.output);
            }
            Rule::InputGradient => {
                let (g, x, gamma) = (task.input(0), task.input(1), task.input(2));
                input_gradient(isa, epsilon, g, x, gamma, task.output);
            }
            Rule::Sums => {
                if task.fresh {
                    task.output.fill(0.0);
                }
                sums(isa, epsilon, task.input(0), task.input(1), task.output);
            }
        }
    }
}

/// Mean and 1/√(σ² + ε) of one row.
#[inline(always)]
fn statistics(x: &[f32], epsilon: f32) -> (f32, f32) {
    let n = x.len();
    let mean = sum(n, |k| x[k]) / n as f32;
    let variance = sum(n, |k| (x[k] - mean) * (x[k] - mean)) / n as f32;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

per_isa!(
    fn forward(epsilon: f32, x: &[f32], gamma: &[f32], beta: &[f32], y: &mut [f32]) {
        let n = gamma.len();
        let beta = &beta[..n];
        for (y, x) in y.chunks_exact_mut(n).zip(x.chunks_exact(n)) {
            let (mean, inverse) = statistics(x, epsilon);
            for k in 0..n {
                y[k] = gamma[k] * ((x[k] - mean) * inverse) + beta[k];
            }
        }
    }
);

per_isa!(
    fn input_gradient(epsilon: f32, g: &[f32], x: &[f32], gamma: &[f32], dx: &mut [f32]) {
        let n = gamma.len();
        for ((dx, g), x) in dx
            .chunks_exact_mut(n)
            .zip(g.chunks_exact(n))
            .zip(x.chunks_exact(n))
        {
            let (mean, inverse) = statistics(x, epsilon);
            let centre = sum(n, |k| g[k] * gamma[k]) / n as f32;
            let along = sum(n, |k| g[k] * gamma[k] * ((x[k] - mean) * inverse)) / n as f32;
            for k in 0..n {
                dx[k] = inverse * (g[k] * gamma[k] - centre - (x[k] - mean) * inverse * along);
            }
        }
    }
);

per_isa!(
    fn sums(epsilon: f32, g: &[f32], x: &[f32], totals: &mut [f32]) {
        let n = totals.len() / 2;
        let (plain, along) = totals.split_at_mut(n);
        for (g, x) in g.chunks_exact(n).zip(x.chunks_exact(n)) {
            let (mean, inverse) = statistics(x, epsilon);
            for k in 0..n {
                plain[k] += g[k];
                along[k] += g[k] * ((x[k] - mean) * inverse);
            }
        }
    }
);
