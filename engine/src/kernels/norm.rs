//! Batch normalisation in training: moments, and the loops of its links in a chain.
//!
//! All are one pass over `[rows, C]`. Sums run in registers over blocks of rows, so that rounding
//! errors stay small, and variances are taken about a shift near the mean, so that they do not cancel.

use graph::Shape;

use super::columns::{LANES, over_rows, repeat_first, run_length};
use super::registry::Built;
use super::short::Numbers;
use super::{BuildContext, Isa, Kernel, Rows, Shorts, Task, Work};
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
    /// Image lines, and elements in one.
    lines: [usize; 2],
    shorts: Shorts,
}

pub(crate) fn moments(context: &BuildContext, x: &Shape) -> Built {
    let channels = x.last_axis();
    let work = over_rows(context, x, 3 * channels + 1, 2 * channels);
    let kernel = Moments {
        isa: context.isa,
        work,
        channels,
        lines: match x.rank() {
            4 => [x[1], x[2] * x[3]],
            _ => [0; 2],
        },
        shorts: Shorts::default(),
    };
    Built::new(kernel, vec![matches!(work, Work::Reduction { .. })])
}

/// Adds rows of x to a partial result of batch norm's moments: 3·C + 1 numbers, made anew where `fresh` is
/// set. `scratch` has 3·[`run_length`] elements. Whoever has just made a block of rows may call it on them.
pub(super) fn add_rows(
    isa: Isa,
    x: &[f32],
    channels: usize,
    partial: &mut [f32],
    scratch: &mut [f32],
    fresh: bool,
) {
    let c = channels;
    let rows = x.len() / c;
    if fresh {
        partial.fill(0.0);
        let first = rows.clamp(1, SHIFT_ROWS);
        for row in x.chunks_exact(c).take(first) {
            let shift = partial[..c].iter_mut().zip(row);
            shift.for_each(|(s, v)| *s += v / first as f32);
        }
    }
    let (shift, sums) = partial.split_at_mut(c);
    let (sums, count) = sums.split_at_mut(2 * c);
    let (shifts, totals) = scratch.split_at_mut(run_length(c));
    shifts[..c].copy_from_slice(shift);
    repeat_first(shifts, c);
    shifted_sums(isa, x, shifts, &mut totals[..2 * run_length(c)]);
    fold(&totals[..2 * run_length(c)], sums);
    count[0] += rows as f32;
}

/// Elements of bf16 numbers that are widened at a time.
const WIDENED: usize = 4096;

impl Moments {
    /// Elements of whole rows and vectors that are widened at a time.
    fn run(&self) -> usize {
        let run = run_length(self.channels);
        run * (WIDENED / run).max(1)
    }

    /// Adds rows of numbers of either kind to a partial result.
    fn add(&self, x: Numbers<'_>, partial: &mut [f32], scratch: &mut [f32], mut fresh: bool) {
        let add = |x: &[f32], partial: &mut [f32], scratch: &mut [f32], fresh: bool| {
            add_rows(self.isa, x, self.channels, partial, scratch, fresh);
        };
        if let Numbers::F32(x) = x {
            return add(x, partial, scratch, fresh);
        }
        let (scratch, room) = scratch.split_at_mut(3 * run_length(self.channels));
        for at in (0..x.len()).step_by(self.run()) {
            let part = x.part(at, self.run().min(x.len() - at));
            add(part.wide(self.isa, room), partial, scratch, fresh);
            fresh = false;
        }
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
        let run = if self.shorts.has(0) { self.run() } else { 0 };
        3 * run_length(self.channels) + 3 * self.channels + 1 + run
    }
    fn shorts(&self) -> Shorts {
        Shorts::of([0], false)
    }
    fn shorten(&mut self, shorts: Shorts) {
        self.shorts = shorts;
    }
    fn rows(&self) -> Option<Rows> {
        let by_line = matches!(self.work, Work::Reduction { .. }) && self.lines[0] > 0;
        by_line.then(|| Rows::alike(self.lines[0], [true].into_iter()))
    }
    fn run(&self, task: Task<'_>) {
        let x = Numbers::new(task.input(0), self.shorts.has(0));
        let x = match &task.rows {
            Some(rows) => x.part(rows.start * self.lines[1], rows.len() * self.lines[1]),
            None => x,
        };
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

/// 1/√(σ² + ε) of each channel.
pub(super) fn inverses(moments: &[f32], epsilon: f32) -> impl Iterator<Item = f32> + Clone + '_ {
    moments[moments.len() / 2..]
        .iter()
        .map(move |v| 1.0 / (v + epsilon).sqrt())
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
    /// Adds Σ g and Σ g·(x − μ)·scale to the totals, lane by lane of a run.
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

per_isa!(
    /// y = (x − μ)·scale + shift, the vectors as long as x.
    pub(super) fn scale_rows(x: &[f32], means: &[f32], scales: &[f32], shifts: &[f32], y: &mut [f32]) {
        let n = y.len();
        let (x, means, scales, shifts) = (&x[..n], &means[..n], &scales[..n], &shifts[..n]);
        for k in 0..n {
            y[k] = (x[k] - means[k]) * scales[k] + shifts[k];
        }
    }
);

per_isa!(
    /// The same with a ReLU behind it, which leaves NaN visible.
    pub(super) fn relu_rows(x: &[f32], means: &[f32], scales: &[f32], shifts: &[f32], y: &mut [f32]) {
        let n = y.len();
        let (x, means, scales, shifts) = (&x[..n], &means[..n], &scales[..n], &shifts[..n]);
        for k in 0..n {
            let v = (x[k] - means[k]) * scales[k] + shifts[k];
            y[k] = if v <= 0.0 { 0.0 } else { v };
        }
    }
);

per_isa!(
    /// g times the slope of that ReLU.
    pub(super) fn open_rows(
        g: &[f32],
        x: &[f32],
        means: &[f32],
        scales: &[f32],
        shifts: &[f32],
        dx: &mut [f32],
    ) {
        let n = dx.len();
        let (g, x) = (&g[..n], &x[..n]);
        let (means, scales, shifts) = (&means[..n], &scales[..n], &shifts[..n]);
        for k in 0..n {
            let v = (x[k] - means[k]) * scales[k] + shifts[k];
            dx[k] = g[k] * if v > 0.0 { 1.0 } else { 0.0 };
        }
    }
);

per_isa!(
    /// dx = scale·(g − centre − (x − μ)·slope), the vectors as long as x.
    pub(super) fn gradient_rows(g: &[f32], x: &[f32], coefficients: [&[f32]; 4], dx: &mut [f32]) {
        let n = dx.len();
        let [means, scales, centres, slopes] = coefficients.map(|c| &c[..n]);
        let (g, x) = (&g[..n], &x[..n]);
        for k in 0..n {
            dx[k] = scales[k] * (g[k] - centres[k] - (x[k] - means[k]) * slopes[k]);
        }
    }
);
