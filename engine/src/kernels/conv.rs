//! Convolution without an im2col buffer: each kernel row is one matrix of a batch-reduce product.
//!
//! The image of one sample is copied once into a zero-framed scratch image, so that no tap needs a
//! branch. A row of output pixels is then a product whose A rows are pixels `stride·C` apart and whose
//! A columns run over the taps and channels of one kernel row, which lie next to each other in memory.

use graph::Shape;
use graph::ops::{Conv2d, Conv2dSizes, Conv2dTransposed, Conv2dWeightGradient};

use super::brgemm::{Finish, Operands, brgemm};
use super::matmul::panel_width;
use super::pack::{Pack, Source};
use super::registry::Built;
use super::{BuildContext, Isa, Kernel, Task, Work};
use crate::EngineError;
use crate::plan::Epilogue;

/// How one sample is laid into its framed scratch image.
#[derive(Debug, Clone)]
struct Frame {
    /// Rows, columns and channels of the sample.
    image: [usize; 3],
    /// Rows and columns of the framed image.
    framed: [usize; 2],
    /// Distance of neighbouring pixels in the frame (more than 1 for the way back of a strided convolution).
    spread: [usize; 2],
    /// Where pixel (0, 0) goes; negative where the frame cuts the image.
    origin: [isize; 2],
}

impl Frame {
    fn is_plain(&self) -> bool {
        self.framed == self.image[..2] && self.spread == [1, 1] && self.origin == [0, 0]
    }

    fn scratch(&self) -> usize {
        if self.is_plain() {
            0
        } else {
            self.framed[0] * self.framed[1] * self.image[2]
        }
    }

    /// The framed image: the sample itself where nothing needs to be added.
    fn lay<'a>(&self, sample: &'a [f32], scratch: &'a mut [f32]) -> &'a [f32] {
        if self.is_plain() {
            return sample;
        }
        let [rows, columns, channels] = self.image;
        let scratch = &mut scratch[..self.scratch()];
        scratch.fill(0.0);
        let inside = |i: usize, axis: usize| {
            let at = (i * self.spread[axis]) as isize + self.origin[axis];
            (at >= 0 && (at as usize) < self.framed[axis]).then_some(at as usize)
        };
        for (r, to_row) in (0..rows).filter_map(|r| inside(r, 0).map(|to| (r, to))) {
            let from = &sample[r * columns * channels..][..columns * channels];
            let to = &mut scratch[to_row * self.framed[1] * channels..][..self.framed[1] * channels];
            if self.spread[1] == 1 {
                let skip = (-self.origin[1]).max(0) as usize;
                let start = self.origin[1].max(0) as usize;
                let count = columns
                    .saturating_sub(skip)
                    .min(self.framed[1].saturating_sub(start));
                to[start * channels..(start + count) * channels]
                    .copy_from_slice(&from[skip * channels..(skip + count) * channels]);
                continue;
            }
            for (c, to_column) in (0..columns).filter_map(|c| inside(c, 1).map(|to| (c, to))) {
                to[to_column * channels..][..channels].copy_from_slice(&from[c * channels..][..channels]);
            }
        }
        scratch
    }
}

/// Where the matrices of a batch-reduce product begin in the framed image, and how deep each is.
#[derive(Debug, Clone)]
struct Taps {
    starts: Vec<usize>,
    depth: usize,
}

/// Kernel rows as one matrix each where their taps are neighbours in memory, else one matrix per tap.
fn taps(
    kernel: [usize; 2],
    dilation: [usize; 2],
    frame_columns: usize,
    channels: usize,
    groups: usize,
) -> Taps {
    let row = |u: usize| u * dilation[0] * frame_columns * channels;
    if groups == 1 && (dilation[1] == 1 || kernel[1] == 1) {
        return Taps {
            starts: (0..kernel[0]).map(row).collect(),
            depth: kernel[1] * channels,
        };
    }
    let starts =
        (0..kernel[0]).flat_map(|u| (0..kernel[1]).map(move |v| row(u) + v * dilation[1] * channels));
    Taps {
        starts: starts.collect(),
        depth: channels / groups,
    }
}

/// A pass from an image to an image: forward, or back to the input.
struct Pass {
    isa: Isa,
    frame: Frame,
    taps: Taps,
    stride: [usize; 2],
    output: [usize; 2],
    groups: usize,
    /// Channels of the result, all groups together.
    outputs: usize,
    pack: Pack,
    epilogue: Epilogue,
}

pub(crate) fn forward(
    context: &BuildContext,
    op: Conv2d,
    epilogue: Epilogue,
    shapes: &[&Shape],
) -> Result<Built, EngineError> {
    let s = op.sizes(shapes[0], shapes[1])?;
    let frame = forward_frame(&s);
    let taps = taps(
        s.window.kernel,
        s.window.dilation,
        frame.framed[1],
        s.channels,
        s.groups,
    );
    let rows = s.window.kernel[0] * s.window.kernel[1] * s.channels / s.groups;
    let source = Source::Grouped { groups: s.groups };
    let pack = Pack {
        rows,
        columns: s.outputs / s.groups,
        width: panel_width(context.isa),
        source,
    };
    let (stride, output) = (s.window.stride, s.window.output);
    let kernel = Pass {
        isa: context.isa,
        frame,
        taps,
        stride,
        output,
        groups: s.groups,
        outputs: s.outputs,
        pack: pack.clone(),
        epilogue,
    };
    Ok(Built::new(kernel, vec![true]).packing(1, pack))
}

fn forward_frame(s: &Conv2dSizes) -> Frame {
    let w = &s.window;
    let [top, _, left, _] = w.padding;
    // Only what the windows reach: rows that rounding down leaves over are not copied.
    let reach =
        |axis: usize| (w.output[axis] - 1) * w.stride[axis] + w.dilation[axis] * (w.kernel[axis] - 1) + 1;
    let framed = [reach(0).max(w.image[0] + top), reach(1).max(w.image[1] + left)];
    Frame {
        image: [w.image[0], w.image[1], s.channels],
        framed,
        spread: [1, 1],
        origin: [top as isize, left as isize],
    }
}

pub(crate) fn transposed(
    context: &BuildContext,
    op: Conv2dTransposed,
    shapes: &[&Shape],
) -> Result<Built, EngineError> {
    let s = op.sizes(shapes)?;
    let w = &s.window;
    let around = |axis: usize| w.dilation[axis] * (w.kernel[axis] - 1);
    let frame = Frame {
        image: [w.output[0], w.output[1], s.outputs],
        framed: [w.image[0] + around(0), w.image[1] + around(1)],
        spread: w.stride,
        origin: [
            around(0) as isize - w.padding[0] as isize,
            around(1) as isize - w.padding[2] as isize,
        ],
    };
    let taps = taps(w.kernel, w.dilation, frame.framed[1], s.outputs, s.groups);
    let count = w.kernel[0] * w.kernel[1];
    let source = Source::Backward {
        taps: count,
        groups: s.groups,
    };
    let rows = count * s.outputs / s.groups;
    let pack = Pack {
        rows,
        columns: s.channels / s.groups,
        width: panel_width(context.isa),
        source,
    };
    let kernel = Pass {
        isa: context.isa,
        frame,
        taps,
        stride: [1, 1],
        output: w.image,
        groups: s.groups,
        outputs: s.channels,
        pack: pack.clone(),
        epilogue: Epilogue::default(),
    };
    Ok(Built::new(kernel, vec![true]).packing(1, pack))
}

impl Kernel for Pass {
    fn work(&self) -> Work {
        Work::Samples
    }

    fn scratch(&self) -> usize {
        self.frame.scratch()
    }

    fn run(&self, task: Task<'_>) {
        let [rows, columns] = self.output;
        let [h, w, c] = self.frame.image;
        let (x, packed) = (task.input(0), task.input(1));
        let bias = self.epilogue.bias.then(|| task.input(2));
        let result = rows * columns * self.outputs;
        for (sample, output) in x
            .chunks_exact(h * w * c)
            .zip(task.output.chunks_exact_mut(result))
        {
            let framed = self.frame.lay(sample, task.scratch);
            for group in 0..self.groups {
                for panel in 0..self.pack.panels() {
                    self.panel(framed, packed, bias, group, panel, output);
                }
            }
        }
    }
}

impl Pass {
    /// All pixels of one panel of output channels.
    fn panel(
        &self,
        framed: &[f32],
        packed: &[f32],
        bias: Option<&[f32]>,
        group: usize,
        panel: usize,
        output: &mut [f32],
    ) {
        let [rows, columns] = self.output;
        let channels = self.frame.image[2];
        let column = group * (self.outputs / self.groups) + panel * self.pack.width;
        let first_channel = group * channels / self.groups;
        let row_length = self.stride[0] * self.frame.framed[1] * channels;
        for i in 0..rows {
            let x = Operands {
                a: &framed[i * row_length + first_channel..],
                a_row: self.stride[1] * channels,
                a_column: 1,
                a_starts: &self.taps.starts,
                depth: self.taps.depth,
                b: self.pack.panel(packed, group, panel),
                b_row: self.pack.width,
                bias: bias.map(|b| &b[column..]),
            };
            let finish = Finish {
                accumulate: false,
                relu: self.epilogue.relu,
            };
            let to = &mut output[i * columns * self.outputs + column..];
            brgemm(
                self.isa,
                columns,
                self.pack.columns_of(panel),
                &x,
                to,
                self.outputs,
                finish,
            );
        }
    }
}

/// The gradient of the weights: for each tap, pixels of the image against pixels of the gradient.
struct Weights {
    isa: Isa,
    sizes: Conv2dSizes,
    frame: Frame,
    /// Where the rows of the image begin for each output row.
    rows: Vec<usize>,
}

pub(crate) fn weight_gradient(
    context: &BuildContext,
    op: Conv2dWeightGradient,
    shapes: &[&Shape],
) -> Result<Built, EngineError> {
    let sizes = op.sizes(shapes)?;
    let frame = forward_frame(&sizes);
    let row = sizes.window.stride[0] * frame.framed[1] * sizes.channels;
    let rows = (0..sizes.window.output[0]).map(|i| i * row).collect();
    Ok(Built::new(
        Weights {
            isa: context.isa,
            sizes,
            frame,
            rows,
        },
        vec![true, true],
    ))
}

impl Kernel for Weights {
    fn work(&self) -> Work {
        let s = &self.sizes;
        let [kh, kw] = s.window.kernel;
        Work::Reduction {
            partial: kh * kw * s.channels / s.groups * s.outputs,
        }
    }

    fn scratch(&self) -> usize {
        self.frame.scratch()
    }

    fn run(&self, task: Task<'_>) {
        let s = &self.sizes;
        let [h, w, c] = self.frame.image;
        let gradient = s.window.output[0] * s.window.output[1] * s.outputs;
        let pairs = task
            .input(0)
            .chunks_exact(h * w * c)
            .zip(task.input(1).chunks_exact(gradient));
        for (index, (sample, g)) in pairs.enumerate() {
            let framed = self.frame.lay(sample, task.scratch);
            let finish = Finish {
                accumulate: index > 0 || !task.fresh,
                relu: false,
            };
            for group in 0..s.groups {
                self.group(framed, g, group, task.output, finish);
            }
        }
    }
}

impl Weights {
    fn group(&self, framed: &[f32], g: &[f32], group: usize, output: &mut [f32], finish: Finish) {
        let s = &self.sizes;
        let [kh, kw] = s.window.kernel;
        let (cg, og) = (s.channels / s.groups, s.outputs / s.groups);
        // Taps of one kernel row are neighbours in memory unless dilation or groups part them.
        let together = s.groups == 1 && (s.window.dilation[1] == 1 || kw == 1);
        let (runs, length) = if together { (kh, kw * cg) } else { (kh * kw, cg) };
        for run in 0..runs {
            let (u, v) = if together { (run, 0) } else { (run / kw, run % kw) };
            let tap =
                (u * s.window.dilation[0] * self.frame.framed[1] + v * s.window.dilation[1]) * s.channels;
            let x = Operands {
                a: &framed[tap + group * cg..],
                a_row: 1,
                a_column: s.window.stride[1] * s.channels,
                a_starts: &self.rows,
                depth: s.window.output[1],
                b: &g[group * og..],
                b_row: s.outputs,
                bias: None,
            };
            let to = &mut output[run * length * s.outputs + group * og..];
            brgemm(self.isa, length, og, &x, to, s.outputs, finish);
        }
    }
}
