//! Batch normalisation in training: moments, normalising, and its gradients.
//!
//! All are one pass over `[rows, C]`. Sums run in registers over blocks of rows, so that rounding
//! errors stay small, and variances are taken about a shift near the mean, so that they do not cancel.

use graph::Shape;

use super::columns::{LANES, by_rows, over_rows, repeat, run_length};
use super::registry::Built;
use super::{BuildContext, Isa, Kernel, Task, Work};
use crate::per_isa;

/// Runs summed in registers before they are added to the totals.
const BLOCK: usize = 64;
/// Rows whose mean is the shift.
const SHIFT_ROWS: usize = 16;

/// Mean and variance. A partial result is, per channel: shift, Σ(x − shift), Σ(x − shift)²; and the
/// number of rows.
struct Moments {
    isa: Isa,
    work: Work,
    channels: usize,
}

pub(crate) fn moments(context: &BuildContext, x: &Shape) -> Built {
    let channels = x.last_axis();
    let work = over_rows(context, x, 3 * channels + 1, 2 * channels);
    let kernel = Moments {
        isa: context.isa,
        work,
        channels,
    };
    Built::new(kernel, vec![matches!(work, Work::Reduction { .. })])
}

impl Moments {
    fn add(&self, x: &[f32], partial: &mut [f32], scratch: &mut [f32], fresh: bool) {
        let c = self.channels;
        let rows = x.len() / c;
        if fresh {
            partial.fill(0.0);
            let first = rows.clamp(1, SHIFT_ROWS);
            for row in x.chunks_exact(c).take(first) {
                partial[..c]
                    .iter_mut()
                    .zip(row)
                    .for_each(|(s, v)| *s += v / first as f32);
            }
        }
        let (shift, sums) = partial.split_at_mut(c);
        let (sums, count) = sums.split_at_mut(2 * c);
        let (shifts, totals) = scratch.split_at_mut(run_length(c));
        repeat(shift.iter().copied(), shifts);
        shifted_sums(self.isa, x, shifts, totals);
        fold(totals, sums);
        count[0] += rows as f32;
    }

    /// Means and variances from partial results, by Chan's rule, in their order.
    fn merge(&self, partials: &[f32], output: &mut [f32]) {
        let c = self.channels;
        for k in 0..c {
            let (mut rows, mut mean, mut squares) = (0.0f64, 0.0f64, 0.0f64);
            for partial in partials.chunks_exact(3 * c + 1).filter(|p| p[3 * c] > 0.0) {
                let number = |i: usize| f64::from(partial[i]);
                let (n, sum) = (number(3 * c), number(c + k));
                let (own_mean, own) = (number(k) + sum / n, number(2 * c + k) - sum * sum / n);
                let step = own_mean - mean;
                squares += own + step * step * rows * n / (rows + n);
                rows += n;
                mean += step * n / rows;
            }
            output[k] = mean as f32;
            output[c + k] = (squares / rows.max(1.0)).max(0.0) as f32;
        }
    }
}

impl Kernel for Moments {
    fn work(&self) -> Work {
        self.work
    }
    fn scratch(&self) -> usize {
        3 * run_length(self.channels) + 3 * self.channels + 1
    }
    fn run(&self, task: Task<'_>) {
        let x = task.input(0);
        let (partial, scratch) = task.scratch.split_at_mut(3 * self.channels + 1);
        match self.work {
            Work::Reduction { .. } => self.add(x, task.output, scratch, task.fresh),
            _ => {
                self.add(x, partial, scratch, true);
                self.merge(partial, task.output);
            }
        }
    }
    fn finish(&self, partials: &[f32], output: &mut [f32]) {
        self.merge(partials, output);
    }
}

/// Adds two totals per lane of a run to two sums per channel.
pub(super) fn fold(totals: &[f32], sums: &mut [f32]) {
    let (length, c) = (totals.len() / 2, sums.len() / 2);
    for (totals, sums) in totals.chunks_exact(length).zip(sums.chunks_exact_mut(c)) {
        for row in totals.chunks_exact(c) {
            sums.iter_mut().zip(row).for_each(|(s, v)| *s += v);
        }
    }
}

/// The `L` numbers from `at` on.
#[inline(always)]
fn lanes<const L: usize>(x: &[f32], at: usize) -> [f32; L] {
    let mut lanes = [0.0; L];
    lanes.copy_from_slice(&x[at..at + L]);
    lanes
}

#[inline(always)]
fn add_lanes<const L: usize>(to: &mut [f32], at: usize, x: [f32; L]) {
    for (to, x) in to[at..at + L].iter_mut().zip(x) {
        *to += x;
    }
}

#[inline(always)]
fn shifted_block<const L: usize>(x: &[f32], shifts: &[f32], totals: &mut [f32], lane: usize) {
    let length = shifts.len();
    let shift: [f32; L] = lanes(shifts, lane);
    let (mut sums, mut squares) = ([0.0f32; L], [0.0f32; L]);
    for run in x.chunks_exact(length) {
        let v: [f32; L] = lanes(run, lane);
        for k in 0..L {
            let d = v[k] - shift[k];
            sums[k] += d;
            squares[k] += d * d;
        }
    }
    add_lanes(totals, lane, sums);
    add_lanes(totals, length + lane, squares);
}

per_isa!(
    fn shifted_sums(x: &[f32], shifts: &[f32], totals: &mut [f32]) {
        let length = shifts.len();
        totals.fill(0.0);
        for block in x.chunks(BLOCK * length) {
            let mut lane = 0;
            while lane + 2 * LANES <= length {
                shifted_block::<{ 2 * LANES }>(block, shifts, totals, lane);
                lane += 2 * LANES;
            }
            if lane < length {
                shifted_block::<LANES>(block, shifts, totals, lane);
            }
            // Rows that fill no run.
            let rest = block.chunks_exact(length).remainder();
            let (sums, squares) = totals.split_at_mut(length);
            for k in 0..rest.len() {
                let d = rest[k] - shifts[k];
                sums[k] += d;
                squares[k] += d * d;
            }
        }
    }
);

/// (Σ g, Σ g·x̂).
struct Sums {
    isa: Isa,
    work: Work,
    channels: usize,
    epsilon: f32,
}

pub(crate) fn sums(context: &BuildContext, epsilon: f32, x: &Shape) -> Built {
    let channels = x.last_axis();
    let work = over_rows(context, x, 2 * channels, 2 * channels);
    let kernel = Sums {
        isa: context.isa,
        work,
        channels,
        epsilon,
    };
    Built::new(kernel, vec![matches!(work, Work::Reduction { .. }); 2])
}

/// 1/√(σ² + ε) of each channel.
pub(super) fn inverses(moments: &[f32], epsilon: f32) -> impl Iterator<Item = f32> + Clone + '_ {
    moments[moments.len() / 2..]
        .iter()
        .map(move |v| 1.0 / (v + epsilon).sqrt())
}

impl Kernel for Sums {
    fn work(&self) -> Work {
        self.work
    }
    fn scratch(&self) -> usize {
        4 * run_length(self.channels)
    }
    fn run(&self, task: Task<'_>) {
        let (g, x, moments) = (task.input(0), task.input(1), task.input(2));
        let length = run_length(self.channels);
        let (means, scratch) = task.scratch.split_at_mut(length);
        let (scales, totals) = scratch.split_at_mut(length);
        repeat(moments[..self.channels].iter().copied(), means);
        repeat(inverses(moments, self.epsilon), scales);
        if task.fresh {
            task.output.fill(0.0);
        }
        totals.fill(0.0);
        products(self.isa, g, x, means, scales, totals);
        fold(totals, task.output);
    }
}

#[inline(always)]
fn product_block<const L: usize>(
    g: &[f32],
    x: &[f32],
    means: &[f32],
    scales: &[f32],
    totals: &mut [f32],
    lane: usize,
) {
    let length = means.len();
    let mean: [f32; L] = lanes(means, lane);
    let scale: [f32; L] = lanes(scales, lane);
    let (mut sums, mut along) = ([0.0f32; L], [0.0f32; L]);
    for (g, x) in g.chunks_exact(length).zip(x.chunks_exact(length)) {
        let (g, x): ([f32; L], [f32; L]) = (lanes(g, lane), lanes(x, lane));
        for k in 0..L {
            sums[k] += g[k];
            along[k] += g[k] * (x[k] - mean[k]);
        }
    }
    for k in 0..L {
        along[k] *= scale[k];
    }
    add_lanes(totals, lane, sums);
    add_lanes(totals, length + lane, along);
}

per_isa!(
    pub(super) fn products(g: &[f32], x: &[f32], means: &[f32], scales: &[f32], totals: &mut [f32]) {
        let length = means.len();
        for (g, x) in g.chunks(BLOCK * length).zip(x.chunks(BLOCK * length)) {
            let mut lane = 0;
            while lane + 2 * LANES <= length {
                product_block::<{ 2 * LANES }>(g, x, means, scales, totals, lane);
                lane += 2 * LANES;
            }
            if lane < length {
                product_block::<LANES>(g, x, means, scales, totals, lane);
            }
            let (g, x) = (
                g.chunks_exact(length).remainder(),
                x.chunks_exact(length).remainder(),
            );
            let (sums, along) = totals.split_at_mut(length);
            for k in 0..g.len() {
                sums[k] += g[k];
                along[k] += g[k] * (x[k] - means[k]) * scales[k];
            }
        }
    }
);

#[inline(always)]
fn sum_block<const L: usize>(x: &[f32], totals: &mut [f32], lane: usize) {
    let mut sums = [0.0f32; L];
    for run in x.chunks_exact(totals.len()) {
        let v: [f32; L] = lanes(run, lane);
        for k in 0..L {
            sums[k] += v[k];
        }
    }
    add_lanes(totals, lane, sums);
}

per_isa!(
    /// Adds the runs of x to the totals, lane by lane.
    pub(super) fn sum_runs(x: &[f32], totals: &mut [f32]) {
        let length = totals.len();
        for block in x.chunks(BLOCK * length) {
            let mut lane = 0;
            while lane + 2 * LANES <= length {
                sum_block::<{ 2 * LANES }>(block, totals, lane);
                lane += 2 * LANES;
            }
            if lane < length {
                sum_block::<LANES>(block, totals, lane);
            }
            let rest = block.chunks_exact(length).remainder();
            totals.iter_mut().zip(rest).for_each(|(sum, x)| *sum += x);
        }
    }
);

/// y = (x − μ)·γ/√(σ² + ε) + β.
struct Normalize {
    isa: Isa,
    work: Work,
    channels: usize,
    epsilon: f32,
}

pub(crate) fn normalize(context: &BuildContext, epsilon: f32, x: &Shape) -> Built {
    let work = by_rows(context, x);
    let kernel = Normalize {
        isa: context.isa,
        work,
        channels: x.last_axis(),
        epsilon,
    };
    Built::new(kernel, vec![work == Work::Samples])
}

impl Kernel for Normalize {
    fn work(&self) -> Work {
        self.work
    }
    fn scratch(&self) -> usize {
        3 * run_length(self.channels)
    }
    fn run(&self, task: Task<'_>) {
        let (x, moments) = (task.input(0), task.input(1));
        let (gamma, beta) = (task.input(2), task.input(3));
        let length = run_length(self.channels);
        let (means, scratch) = task.scratch.split_at_mut(length);
        let (scales, shifts) = scratch.split_at_mut(length);
        repeat(moments[..self.channels].iter().copied(), means);
        let scale = gamma
            .iter()
            .zip(inverses(moments, self.epsilon))
            .map(|(g, i)| g * i);
        repeat(scale, scales);
        repeat(beta.iter().copied(), shifts);
        scale_rows(self.isa, x, means, scales, shifts, task.output);
    }
}

per_isa!(
    pub(super) fn scale_rows(x: &[f32], means: &[f32], scales: &[f32], shifts: &[f32], y: &mut [f32]) {
        let length = means.len();
        for (y, x) in y.chunks_mut(length).zip(x.chunks(length)) {
            let n = y.len();
            let (x, means, scales, shifts) = (&x[..n], &means[..n], &scales[..n], &shifts[..n]);
            for k in 0..n {
                y[k] = (x[k] - means[k]) * scales[k] + shifts[k];
            }
        }
    }
);

/// dx = γ/√(σ² + ε)·(g − Σg/M − (x − μ)·Σ(g·x̂)/(M·√(σ² + ε))).
struct InputGradient {
    isa: Isa,
    work: Work,
    channels: usize,
    rows: usize,
    epsilon: f32,
}

pub(crate) fn input_gradient(context: &BuildContext, epsilon: f32, x: &Shape) -> Built {
    let work = by_rows(context, x);
    let kernel = InputGradient {
        isa: context.isa,
        work,
        channels: x.last_axis(),
        rows: x.rows().max(1),
        epsilon,
    };
    Built::new(kernel, vec![work == Work::Samples; 2])
}

impl Kernel for InputGradient {
    fn work(&self) -> Work {
        self.work
    }
    fn scratch(&self) -> usize {
        4 * run_length(self.channels)
    }
    fn run(&self, task: Task<'_>) {
        let (g, x) = (task.input(0), task.input(1));
        let (moments, gamma, sums) = (task.input(2), task.input(3), task.input(4));
        let (c, length, share) = (self.channels, run_length(self.channels), 1.0 / self.rows as f32);
        let (means, scratch) = task.scratch.split_at_mut(length);
        let (scales, scratch) = scratch.split_at_mut(length);
        let (centres, slopes) = scratch.split_at_mut(length);
        let inverse = inverses(moments, self.epsilon);
        repeat(moments[..c].iter().copied(), means);
        repeat(gamma.iter().zip(inverse.clone()).map(|(g, i)| g * i), scales);
        repeat(sums[..c].iter().map(|s| s * share), centres);
        repeat(sums[c..].iter().zip(inverse).map(|(s, i)| s * i * share), slopes);
        let coefficients = [&*means, &*scales, &*centres, &*slopes];
        gradient_rows(self.isa, g, x, coefficients, task.output);
    }
}

per_isa!(
    pub(super) fn gradient_rows(g: &[f32], x: &[f32], coefficients: [&[f32]; 4], dx: &mut [f32]) {
        let length = coefficients[0].len();
        let rows = dx.chunks_mut(length).zip(g.chunks(length)).zip(x.chunks(length));
        for ((dx, g), x) in rows {
            let n = dx.len();
            let [means, scales, centres, slopes] = coefficients.map(|c| &c[..n]);
            let (g, x) = (&g[..n], &x[..n]);
            for k in 0..n {
                dx[k] = scales[k] * (g[k] - centres[k] - (x[k] - means[k]) * slopes[k]);
            }
        }
    }
);
