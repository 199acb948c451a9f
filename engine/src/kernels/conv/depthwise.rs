//! Depthwise convolution: every channel has its own filter, so channels stand in the lanes.

use std::ops::Range;

use graph::ops::Conv2dSizes;

use super::geometry::{Axis, Region};
use super::pass::{Pass, Phase};
use crate::kernels::{BuildContext, Built, Isa, Kernel, Task, Work};
use crate::per_isa;
use crate::plan::Epilogue;

/// Channels that are worked on together.
const LANES: usize = 16;
/// Pixels that are worked on together, so that additions need not wait for one another.
const TOGETHER: usize = 4;

/// Whether each channel has one filter of its own.
pub(super) fn suits(s: &Conv2dSizes) -> bool {
    s.groups > 1 && s.groups == s.channels && s.outputs == s.channels
}

/// A pass from an image to an image.
struct Depthwise {
    isa: Isa,
    pass: Pass,
    /// Whether the taps are numbered from the last to the first, as on the way back.
    reversed: bool,
    epilogue: Epilogue,
    work: Work,
}

pub(super) fn forward(context: &BuildContext, s: Conv2dSizes, epilogue: Epilogue) -> Built {
    Depthwise::built(context, Pass::forward(context, &s), false, epilogue)
}

pub(super) fn backward(context: &BuildContext, s: Conv2dSizes) -> Built {
    Depthwise::built(context, Pass::backward(context, &s), true, Epilogue::default())
}

impl Depthwise {
    fn built(context: &BuildContext, pass: Pass, reversed: bool, epilogue: Epilogue) -> Built {
        let work = super::image_work(context, &pass);
        let kernel = Self {
            isa: context.isa,
            pass,
            reversed,
            epilogue,
            work,
        };
        Built::new(kernel, super::by_sample(epilogue, work))
    }

    /// The element of the weights where a start of the pass's geometry has its tap.
    fn weight(&self, b: usize) -> usize {
        let (tap, taps) = (
            b / self.pass.pack.width,
            self.pass.kernel[0] * self.pass.kernel[1],
        );
        let tap = if self.reversed { taps - 1 - tap } else { tap };
        tap * self.pass.source[2]
    }
}

impl Kernel for Depthwise {
    fn work(&self) -> Work {
        self.work
    }

    fn run(&self, task: Task<'_>) {
        let (x, w) = (task.input(0), task.input(1));
        let [bias, residual] = self.epilogue.operands(2);
        let (bias, residual) = (bias.map(|k| task.input(k)), residual.map(|k| task.input(k)));
        let [source, result] = self.pass.elements();
        let (samples, rows, skipped) = match self.work {
            Work::Pieces { elements, .. } => (1, task.range.clone(), task.range.start * elements),
            _ => (task.range.len(), 0..self.pass.result[0], 0),
        };
        for n in 0..samples {
            for phase in &self.pass.phases {
                let rows = self.pass.rows_of(phase, &rows);
                for region in &phase.regions {
                    let within = region.rows.start.max(rows.start)..region.rows.end.min(rows.end);
                    for row in within {
                        let from = &x[n * source..(n + 1) * source];
                        let to = n * result + self.pass.place(phase, row, region.columns.start);
                        let residual = residual.map(|r| &r[to..]);
                        let line = self.line(phase, region, row);
                        let to = &mut task.output[to - skipped..];
                        pixels(self.isa, from, w, &line, bias, residual, self.epilogue.relu, to);
                    }
                }
            }
        }
    }
}

/// A line of pixels with the same taps.
struct Line<'a> {
    kernel: &'a Depthwise,
    region: &'a Region,
    /// First pixel's place in the source.
    from: isize,
    /// From pixel to pixel, in source and result.
    steps: [usize; 2],
    count: usize,
}

impl Depthwise {
    fn line<'a>(&'a self, phase: &Phase, region: &'a Region, row: usize) -> Line<'a> {
        let [_, width, channels] = self.pass.source;
        let pixel = row * phase.rows.step * width + region.columns.start * phase.columns.step;
        Line {
            kernel: self,
            region,
            from: (pixel * channels) as isize + region.origin,
            steps: [phase.columns.step * channels, self.pass.step[1] * channels],
            count: region.columns.len(),
        }
    }
}

per_isa!(
    fn pixels(
        x: &[f32],
        w: &[f32],
        line: &Line<'_>,
        bias: Option<&[f32]>,
        residual: Option<&[f32]>,
        relu: bool,
        y: &mut [f32],
    ) {
        let channels = line.kernel.pass.source[2];
        for first in (0..channels).step_by(LANES) {
            let lanes = LANES.min(channels - first);
            let start = lanes_of(bias.unwrap_or(&[]), first, lanes);
            for pixel in (0..line.count).step_by(TOGETHER) {
                let together = TOGETHER.min(line.count - pixel);
                let mut sums = [start; TOGETHER];
                for tap in &line.region.starts {
                    let filter = lanes_of(w, line.kernel.weight(tap.b) + first, lanes);
                    let at = (line.from + tap.a as isize) as usize + pixel * line.steps[0] + first;
                    for (p, sums) in sums.iter_mut().enumerate().take(together) {
                        let x = lanes_of(x, at + p * line.steps[0], lanes);
                        for k in 0..LANES {
                            sums[k] += x[k] * filter[k];
                        }
                    }
                }
                for (p, sums) in sums.iter_mut().enumerate().take(together) {
                    let at = (pixel + p) * line.steps[1] + first;
                    if let Some(residual) = residual {
                        let r = lanes_of(residual, at, lanes);
                        (0..LANES).for_each(|k| sums[k] += r[k]);
                    }
                    if relu {
                        // NaN stays NaN.
                        sums.iter_mut().for_each(|v| *v = if 0.0 > *v { 0.0 } else { *v });
                    }
                    y[at..at + lanes].copy_from_slice(&sums[..lanes]);
                }
            }
        }
    }
);

/// `count` numbers from `at` on, the other lanes 0; zeros where there are none.
#[inline(always)]
fn lanes_of(from: &[f32], at: usize, count: usize) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    if from.is_empty() {
        return lanes;
    }
    match count {
        LANES => lanes.copy_from_slice(&from[at..at + LANES]),
        _ => lanes[..count].copy_from_slice(&from[at..at + count]),
    }
    lanes
}

/// The gradient of the filters.
struct Weights {
    isa: Isa,
    sizes: Conv2dSizes,
    down: Axis,
    along: Axis,
}

pub(super) fn weights(context: &BuildContext, sizes: Conv2dSizes) -> Built {
    let w = &sizes.window;
    let kernel = Weights {
        isa: context.isa,
        down: Axis::forward(w, 0),
        along: Axis::forward(w, 1),
        sizes,
    };
    Built::new(kernel, vec![true, true])
}

impl Kernel for Weights {
    fn work(&self) -> Work {
        let [kh, kw] = self.sizes.window.kernel;
        Work::Reduction {
            partial: kh * kw * self.sizes.channels,
        }
    }

    fn run(&self, task: Task<'_>) {
        let s = &self.sizes;
        let ([h, width], [high, wide]) = (s.window.image, s.window.output);
        let pairs = task
            .input(0)
            .chunks_exact(h * width * s.channels)
            .zip(task.input(1).chunks_exact(high * wide * s.channels));
        if task.fresh {
            task.output.fill(0.0);
        }
        for (x, g) in pairs {
            for (tap, dw) in task.output.chunks_exact_mut(s.channels).enumerate() {
                let [u, v] = [tap / s.window.kernel[1], tap % s.window.kernel[1]];
                let columns = super::weights::met(&self.along, v);
                if columns.is_empty() {
                    continue;
                }
                for i in super::weights::met(&self.down, u) {
                    let row = ((i * self.down.step) as isize + self.down.taps[u].1) as usize;
                    let left = ((columns.start * self.along.step) as isize + self.along.taps[v].1) as usize;
                    let x = &x[(row * width + left) * s.channels..];
                    let g = &g[(i * wide + columns.start) * s.channels..];
                    sums(self.isa, x, g, 0..columns.len(), self.along.step * s.channels, dw);
                }
            }
        }
    }
}

per_isa!(
    /// dw[c] += Σ x[pixel, c]·g[pixel, c]; `step` from pixel to pixel in x.
    fn sums(x: &[f32], g: &[f32], pixels: Range<usize>, step: usize, dw: &mut [f32]) {
        let channels = dw.len();
        for first in (0..channels).step_by(LANES) {
            let lanes = LANES.min(channels - first);
            let mut sums = [[0.0f32; LANES]; TOGETHER];
            for pixel in pixels.clone().step_by(TOGETHER) {
                let together = TOGETHER.min(pixels.end - pixel);
                for (p, sums) in sums.iter_mut().enumerate().take(together) {
                    let x = lanes_of(x, (pixel + p) * step + first, lanes);
                    let g = lanes_of(g, (pixel + p) * channels + first, lanes);
                    (0..LANES).for_each(|k| sums[k] += x[k] * g[k]);
                }
            }
            let [a, b, c, d] = sums;
            let total: [f32; LANES] = std::array::from_fn(|k| (a[k] + b[k]) + (c[k] + d[k]));
            let to = dw[first..first + lanes].iter_mut();
            to.zip(total).for_each(|(to, v)| *to += v);
        }
    }
);
