//! Kernels that only move numbers.

use graph::Shape;
use graph::ops::{ConcatGradient, Slice, Transpose};

use super::nest::{Nest, row_major};
use super::registry::Built;
use super::{BuildContext, Kernel, Shorts, Task, Work};

/// By samples where axis 0 of the result is the batch and the op leaves it alone.
fn work_for(context: &BuildContext, output: &Shape, axis_0_stays: bool) -> Work {
    match output.first() {
        Some(&n) if n == context.batch && axis_0_stays => Work::Samples,
        _ => Work::Pieces {
            count: 1,
            elements: output.elements(),
        },
    }
}

/// Gathers from fixed strides: transposes and slices.
struct Gather {
    work: Work,
    nest: Nest<1>,
    start: usize,
    /// Elements per sample of operand and result.
    each: [usize; 2],
}

fn gather(
    context: &BuildContext,
    x: &Shape,
    output: &Shape,
    strides: &[usize],
    start: usize,
    axis_0_stays: bool,
) -> Built {
    let work = work_for(context, output, axis_0_stays);
    let samples = work == Work::Samples;
    let skip = usize::from(samples);
    let strides: Vec<[usize; 1]> = strides[skip..].iter().map(|&s| [s]).collect();
    let nest = Nest::new(&output[skip..], &strides);
    let batch = context.batch.max(1);
    let each = if samples {
        [x.elements() / batch, output.elements() / batch]
    } else {
        [0, 0]
    };
    Built::new(
        Gather {
            work,
            nest,
            start,
            each,
        },
        vec![samples],
    )
}

pub(crate) fn transpose(context: &BuildContext, op: &Transpose, x: &Shape, output: &Shape) -> Built {
    let own = row_major(x);
    let strides: Vec<usize> = op.order.iter().map(|&axis| own[axis]).collect();
    gather(context, x, output, &strides, 0, op.order.first() == Some(&0))
}

pub(crate) fn slice(context: &BuildContext, op: Slice, x: &Shape, output: &Shape) -> Built {
    let mut strides = row_major(x);
    let start = op.start * strides[op.axis];
    strides[op.axis] *= op.step;
    gather(context, x, output, &strides, start, op.axis != 0)
}

impl Kernel for Gather {
    fn work(&self) -> Work {
        self.work
    }
    fn run(&self, task: Task<'_>) {
        let x = task.input(0);
        let rounds = if self.work == Work::Samples {
            task.range.len()
        } else {
            1
        };
        let (inner, [stride]) = (self.nest.inner, self.nest.inner_strides);
        for sample in 0..rounds {
            let x = &x[sample * self.each[0] + self.start..];
            let output = &mut task.output[sample * self.each[1]..];
            self.nest.each(|at, [from]| {
                let to = &mut output[at..at + inner];
                match stride {
                    1 => to.copy_from_slice(&x[from..from + inner]),
                    _ => to
                        .iter_mut()
                        .enumerate()
                        .for_each(|(i, v)| *v = x[from + i * stride]),
                }
            });
        }
    }
}

/// Puts a slice back among zeros.
struct Scatter {
    work: Work,
    nest: Nest<1>,
    start: usize,
    each: [usize; 2],
}

pub(crate) fn slice_gradient(context: &BuildContext, op: Slice, g: &Shape, output: &Shape) -> Built {
    let work = work_for(context, output, op.axis != 0);
    let samples = work == Work::Samples;
    let skip = usize::from(samples);
    let mut strides = row_major(output);
    let start = op.start * strides[op.axis];
    strides[op.axis] *= op.step;
    let strides: Vec<[usize; 1]> = strides[skip..].iter().map(|&s| [s]).collect();
    let batch = context.batch.max(1);
    let each = if samples {
        [g.elements() / batch, output.elements() / batch]
    } else {
        [0, 0]
    };
    Built::new(
        Scatter {
            work,
            nest: Nest::new(&g[skip..], &strides),
            start,
            each,
        },
        vec![samples],
    )
}

impl Kernel for Scatter {
    fn work(&self) -> Work {
        self.work
    }
    fn run(&self, task: Task<'_>) {
        let g = task.input(0);
        let rounds = if self.work == Work::Samples {
            task.range.len()
        } else {
            1
        };
        let (inner, [stride]) = (self.nest.inner, self.nest.inner_strides);
        task.output.fill(0.0);
        for sample in 0..rounds {
            let g = &g[sample * self.each[0]..];
            let output = &mut task.output[sample * self.each[1] + self.start..];
            self.nest.each(|at, [to]| {
                for (i, &x) in g[at..at + inner].iter().enumerate() {
                    output[to + i * stride] = x;
                }
            });
        }
    }
}

/// Rows that are joined before the next ones: all of what is written is there before it leaves the caches.
const TOGETHER: usize = 16;

/// Joins blocks: operand k brings `blocks[k]` elements to each of `rows` rows.
struct Concat {
    work: Work,
    blocks: Vec<usize>,
    /// Rows in all of the result.
    rows: usize,
    batch: usize,
}

/// Rows before `axis`, and elements of one block of `shape` from that axis on.
fn block(shape: &Shape, axis: usize) -> (usize, usize) {
    (shape[..axis].iter().product(), shape[axis..].iter().product())
}

pub(crate) fn concat(context: &BuildContext, axis: usize, shapes: &[&Shape], output: &Shape) -> Built {
    let work = work_for(context, output, axis != 0);
    let blocks = shapes.iter().map(|s| block(s, axis).1).collect();
    let rows = block(output, axis).0;
    Built::new(
        Concat {
            work,
            blocks,
            rows,
            batch: context.batch,
        },
        vec![work == Work::Samples; shapes.len()],
    )
}

impl Kernel for Concat {
    fn work(&self) -> Work {
        self.work
    }
    /// What is copied may be numbers of any kind.
    fn shorts(&self) -> Shorts {
        let even = self.work == Work::Samples && self.blocks.iter().all(|n| n.is_multiple_of(2));
        Shorts {
            alike: true,
            ..Shorts::of((0..self.blocks.len()).filter(|_| even), even)
        }
    }
    fn shorten(&mut self, shorts: Shorts) {
        if shorts.output {
            self.blocks.iter_mut().for_each(|block| *block /= 2);
        }
    }
    fn run(&self, task: Task<'_>) {
        let rows = match self.work {
            Work::Samples => task.count() * self.rows / self.batch,
            _ => self.rows,
        };
        let row_length: usize = self.blocks.iter().sum();
        for first in (0..rows).step_by(TOGETHER) {
            let group = first..(first + TOGETHER).min(rows);
            let mut start = 0;
            for (k, &length) in self.blocks.iter().enumerate() {
                let x = task.input(k);
                for row in group.clone() {
                    task.output[row * row_length + start..][..length]
                        .copy_from_slice(&x[row * length..][..length]);
                }
                start += length;
            }
        }
    }
}

/// Cuts one block out of each row.
struct Cut {
    work: Work,
    start: usize,
    length: usize,
    row_length: usize,
}

pub(crate) fn concat_gradient(
    context: &BuildContext,
    op: ConcatGradient,
    shapes: &[&Shape],
    output: &Shape,
) -> Built {
    let work = work_for(context, output, op.axis != 0);
    let start = shapes[1..=op.position].iter().map(|s| block(s, op.axis).1).sum();
    let (length, row_length) = (block(output, op.axis).1, block(shapes[0], op.axis).1);
    Built::new(
        Cut {
            work,
            start,
            length,
            row_length,
        },
        vec![work == Work::Samples],
    )
}

impl Kernel for Cut {
    fn work(&self) -> Work {
        self.work
    }
    fn shorts(&self) -> Shorts {
        let all = [self.start, self.length, self.row_length];
        let even = self.work == Work::Samples && all.iter().all(|n| n.is_multiple_of(2));
        Shorts {
            alike: true,
            ..Shorts::of((0..1).filter(|_| even), even)
        }
    }
    fn shorten(&mut self, shorts: Shorts) {
        if shorts.output {
            self.start /= 2;
            self.length /= 2;
            self.row_length /= 2;
        }
    }
    fn run(&self, task: Task<'_>) {
        let x = task.input(0);
        for (to, from) in task
            .output
            .chunks_exact_mut(self.length)
            .zip(x.chunks_exact(self.row_length))
        {
            to.copy_from_slice(&from[self.start..self.start + self.length]);
        }
    }
}
