//! Cross-entropy and its gradient: row by row over the last axis.

use graph::Shape;
use graph::ops::{CrossEntropy, CrossEntropyTargets};

use super::columns::{by_rows, over_rows};
use super::registry::Built;
use super::softmax::{Known, block, sum};
use super::{BuildContext, Isa, Kernel, Task, Work};
use crate::per_isa;

/// (Σ loss, Σ weight), or the first divided by the second.
struct Loss {
    isa: Isa,
    work: Work,
    op: CrossEntropy,
    classes: usize,
}

pub(crate) fn sums(context: &BuildContext, op: CrossEntropy, logits: &Shape) -> Built {
    loss(context, op, logits, false)
}

pub(crate) fn mean(context: &BuildContext, op: CrossEntropy, logits: &Shape) -> Built {
    loss(context, op, logits, true)
}

fn loss(context: &BuildContext, op: CrossEntropy, logits: &Shape, mean: bool) -> Built {
    let work = over_rows(context, logits, 2, if mean { 1 } else { 2 });
    let (isa, classes) = (context.isa, logits.last_axis());
    let loss = Loss {
        isa,
        work,
        op,
        classes,
    };
    Built::new(loss, vec![matches!(work, Work::Reduction { .. }); 2])
}

/// A batch without a row that counts has loss 0/1, not 0/0.
fn guarded(weight: f32) -> f32 {
    if weight == 0.0 { 1.0 } else { weight }
}

impl Loss {
    fn add(&self, task: &mut Task<'_>, sums: &mut [f32]) {
        let (logits, targets, weights) = (task.input(0), task.input(1), task.input(2));
        let scratch = &mut task.scratch[..block(self.classes)];
        match self.op.targets {
            CrossEntropyTargets::Indices => {
                loss_of_indices(self.isa, &self.op, logits, targets, weights, scratch, sums);
            }
            CrossEntropyTargets::Probabilities => {
                loss_of_probabilities(self.isa, &self.op, logits, targets, weights, scratch, sums);
            }
        }
    }
}

impl Kernel for Loss {
    fn work(&self) -> Work {
        self.work
    }
    fn scratch(&self) -> usize {
        block(self.classes)
    }
    fn run(&self, mut task: Task<'_>) {
        let output = std::mem::take(&mut task.output);
        match self.work {
            Work::Reduction { .. } => {
                if task.fresh {
                    output.fill(0.0);
                }
                self.add(&mut task, output);
            }
            _ => {
                let mut sums = [0.0; 2];
                self.add(&mut task, &mut sums);
                self.finish(&sums, output);
            }
        }
    }
    fn finish(&self, partials: &[f32], output: &mut [f32]) {
        let total = |k: usize| partials.chunks_exact(2).map(|p| f64::from(p[k])).sum::<f64>() as f32;
        let (loss, weight) = (total(0), guarded(total(1)));
        match output {
            [mean] => *mean = loss / weight,
            _ => output.copy_from_slice(&[loss, weight]),
        }
    }
}

/// Σ weight, which needs targets alone, or a number divided by it.
struct Weight {
    work: Work,
    op: CrossEntropy,
    share: Option<f32>,
    /// Targets in a row.
    width: usize,
}

/// Above this many targets their weights are summed by samples.
const FEW: usize = 4096;

pub(crate) fn weight(
    context: &BuildContext,
    op: CrossEntropy,
    share: Option<f32>,
    [targets, weights]: [&Shape; 2],
) -> Built {
    let width = match op.targets {
        CrossEntropyTargets::Indices => 1,
        CrossEntropyTargets::Probabilities => weights.elements(),
    };
    let whole = Work::Pieces {
        count: 1,
        elements: 1,
    };
    let work = match targets.elements() > FEW {
        true => over_rows(context, targets, 1, 1),
        false => whole,
    };
    let kernel = Weight {
        work,
        op,
        share,
        width,
    };
    Built::new(kernel, vec![work != whole])
}

impl Weight {
    fn sum(&self, targets: &[f32], weights: &[f32]) -> f32 {
        match self.op.targets {
            CrossEntropyTargets::Probabilities => (targets.len() / self.width) as f32,
            CrossEntropyTargets::Indices => {
                let class = |&t: &f32| self.op.class(f64::from(t), weights.len());
                let counted = targets.iter().filter_map(class);
                counted.map(|class| f64::from(weights[class])).sum::<f64>() as f32
            }
        }
    }
}

impl Kernel for Weight {
    fn work(&self) -> Work {
        self.work
    }
    fn run(&self, task: Task<'_>) {
        let sum = self.sum(task.input(0), task.input(1));
        match self.work {
            Work::Reduction { .. } if !task.fresh => task.output[0] += sum,
            Work::Reduction { .. } => task.output[0] = sum,
            _ => self.finish(&[sum], task.output),
        }
    }
    fn finish(&self, partials: &[f32], output: &mut [f32]) {
        let weight = guarded(partials.iter().map(|&p| f64::from(p)).sum::<f64>() as f32);
        output[0] = self.share.map_or(weight, |share| share / weight);
    }
}

per_isa!(
    fn loss_of_indices(
        op: &CrossEntropy,
        logits: &[f32],
        targets: &[f32],
        weights: &[f32],
        scratch: &mut [f32],
        sums: &mut [f32],
    ) {
        let (n, s) = (weights.len(), op.label_smoothing);
        let (mut loss, mut weight) = (0.0f64, 0.0f64);
        let blocks = logits.chunks(block(n)).zip(targets.chunks(block(n) / n));
        for (z, targets) in blocks {
            let logs = Known::of(n, z, &mut scratch[..z.len()]).logarithms();
            for ((z, &t), total) in z.chunks_exact(n).zip(targets).zip(logs) {
                let Some(class) = op.class(f64::from(t), n) else {
                    continue;
                };
                let mut own = (1.0 - s) * weights[class] * (total - z[class]);
                if s > 0.0 {
                    own += s / n as f32 * sum(n, |k| weights[k] * (total - z[k]));
                }
                loss += f64::from(own);
                weight += f64::from(weights[class]);
            }
        }
        sums[0] += loss as f32;
        sums[1] += weight as f32;
    }
);

/// q = w·((1 − s)·t + s/K)
#[inline(always)]
fn smoothed(weight: f32, target: f32, s: f32, n: usize) -> f32 {
    weight * ((1.0 - s) * target + s / n as f32)
}

per_isa!(
    fn loss_of_probabilities(
        op: &CrossEntropy,
        logits: &[f32],
        targets: &[f32],
        weights: &[f32],
        scratch: &mut [f32],
        sums: &mut [f32],
    ) {
        let (n, s) = (weights.len(), op.label_smoothing);
        let mut loss = 0.0f64;
        for (z, t) in logits.chunks(block(n)).zip(targets.chunks(block(n))) {
            let logs = Known::of(n, z, &mut scratch[..z.len()]).logarithms();
            for ((z, t), total) in z.chunks_exact(n).zip(t.chunks_exact(n)).zip(logs) {
                loss += f64::from(sum(n, |k| smoothed(weights[k], t[k], s, n) * (total - z[k])));
            }
        }
        sums[0] += loss as f32;
        sums[1] += (logits.len() / n) as f32;
    }
);

/// ∂loss/∂logits = g₀·(p·Σq − q).
struct LossGradient {
    isa: Isa,
    work: Work,
    op: CrossEntropy,
}

pub(crate) fn gradient(context: &BuildContext, op: CrossEntropy, logits: &Shape) -> Built {
    let work = by_rows(context, logits);
    let samples = work == Work::Samples;
    let isa = context.isa;
    Built::new(LossGradient { isa, work, op }, vec![false, samples, samples])
}

impl Kernel for LossGradient {
    fn work(&self) -> Work {
        self.work
    }
    fn run(&self, task: Task<'_>) {
        let (g, logits, targets, weights) = (task.input(0)[0], task.input(1), task.input(2), task.input(3));
        let (isa, op, output) = (self.isa, &self.op, task.output);
        match self.op.targets {
            CrossEntropyTargets::Indices => {
                gradient_of_indices(isa, op, g, logits, targets, weights, output);
            }
            CrossEntropyTargets::Probabilities => {
                gradient_of_probabilities(isa, op, g, logits, targets, weights, output);
            }
        }
    }
}

per_isa!(
    fn gradient_of_indices(
        op: &CrossEntropy,
        g: f32,
        logits: &[f32],
        targets: &[f32],
        weights: &[f32],
        dz: &mut [f32],
    ) {
        let (n, s) = (weights.len(), op.label_smoothing);
        let rest = s / n as f32;
        let spread = rest * sum(n, |k| weights[k]);
        let blocks = dz.chunks_mut(block(n)).zip(logits.chunks(block(n)));
        for ((dz, z), targets) in blocks.zip(targets.chunks(block(n) / n)) {
            let totals = Known::of(n, z, dz).total;
            for ((dz, &t), total) in dz.chunks_exact_mut(n).zip(targets).zip(totals) {
                let Some(class) = op.class(f64::from(t), n) else {
                    dz.fill(0.0);
                    continue;
                };
                let own = (1.0 - s) * weights[class];
                let scale = g * (own + spread) / total;
                for k in 0..n {
                    dz[k] = dz[k] * scale - g * rest * weights[k];
                }
                dz[class] -= g * own;
            }
        }
    }
);

per_isa!(
    fn gradient_of_probabilities(
        op: &CrossEntropy,
        g: f32,
        logits: &[f32],
        targets: &[f32],
        weights: &[f32],
        dz: &mut [f32],
    ) {
        let (n, s) = (weights.len(), op.label_smoothing);
        let blocks = dz.chunks_mut(block(n)).zip(logits.chunks(block(n)));
        for ((dz, z), t) in blocks.zip(targets.chunks(block(n))) {
            let totals = Known::of(n, z, dz).total;
            for ((dz, t), total) in dz.chunks_exact_mut(n).zip(t.chunks_exact(n)).zip(totals) {
                let mass = sum(n, |k| smoothed(weights[k], t[k], s, n));
                let scale = g * mass / total;
                for k in 0..n {
                    dz[k] = dz[k] * scale - g * smoothed(weights[k], t[k], s, n);
                }
            }
        }
    }
);
