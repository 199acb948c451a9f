//! Rare functions, choices between two tensors, and slices at given places along an axis.

use graph::Shape;
use graph::ops::{FunctionKind, Gather};

use super::columns::by_rows;
use super::nest::{Nest, broadcast_strides, leads};
use super::registry::Built;
use super::{BuildContext, Kernel, Task, Work};

struct Each {
    work: Work,
    kind: FunctionKind,
}

pub(crate) fn function(context: &BuildContext, kind: FunctionKind, output: &Shape) -> Built {
    let work = by_rows(context, output);
    Built::new(Each { work, kind }, vec![work == Work::Samples])
}

impl Kernel for Each {
    fn work(&self) -> Work {
        self.work
    }
    fn run(&self, task: Task<'_>) {
        let x = task.input(0);
        for (y, &x) in task.output.iter_mut().zip(x) {
            *y = self.kind.value(f64::from(x)) as f32;
        }
    }
}

struct Choice {
    work: Work,
    nest: Nest<3>,
    /// Elements per sample of the result and of the operands (0: not by sample).
    each: [usize; 4],
}

pub(crate) fn select(context: &BuildContext, shapes: &[&Shape], output: &Shape) -> Built {
    let work = by_rows(context, output);
    let samples = work == Work::Samples;
    let by_sample: Vec<bool> = shapes
        .iter()
        .map(|s| samples && leads(s, output.rank(), context.batch))
        .collect();
    let axes = &output[usize::from(samples)..];
    let own = |s: &Shape| match samples && s.rank() == output.rank() {
        true => broadcast_strides(&s[1..], axes),
        false => broadcast_strides(s, axes),
    };
    let strides: Vec<Vec<usize>> = shapes.iter().map(|s| own(s)).collect();
    let strides: Vec<[usize; 3]> = (0..axes.len())
        .map(|a| [0, 1, 2].map(|k| strides[k][a]))
        .collect();
    let per = |k: usize| match by_sample[k] {
        true => shapes[k].elements() / context.batch,
        false => 0,
    };
    let whole = if samples {
        output.elements() / context.batch
    } else {
        output.elements()
    };
    let kernel = Choice {
        work,
        nest: Nest::new(axes, &strides),
        each: [whole, per(0), per(1), per(2)],
    };
    Built::new(kernel, by_sample)
}

impl Kernel for Choice {
    fn work(&self) -> Work {
        self.work
    }
    fn run(&self, task: Task<'_>) {
        let inputs = [task.input(0), task.input(1), task.input(2)];
        let strides = self.nest.inner_strides;
        for (sample, output) in task.output.chunks_mut(self.each[0].max(1)).enumerate() {
            let [condition, a, b] = [0, 1, 2].map(|k| &inputs[k][sample * self.each[k + 1]..]);
            self.nest.each(|to, [c, p, q]| {
                for i in 0..self.nest.inner {
                    let taken = condition[c + i * strides[0]] != 0.0;
                    let of_a = a[p + i * strides[1]];
                    output[to + i] = if taken { of_a } else { b[q + i * strides[2]] };
                }
            });
        }
    }
}

/// Operands x (or g) and places.
struct Places {
    work: Work,
    /// Lengths of the axis in the operand and in the result, and elements of one slice behind it.
    lengths: [usize; 2],
    behind: usize,
    back: bool,
}

pub(crate) fn take(context: &BuildContext, axis: usize, shapes: &[&Shape], output: &Shape) -> Built {
    places(context, axis, shapes[0], output, false)
}

pub(crate) fn take_gradient(context: &BuildContext, axis: usize, shapes: &[&Shape], output: &Shape) -> Built {
    places(context, axis, shapes[0], output, true)
}

fn places(context: &BuildContext, axis: usize, from: &Shape, output: &Shape, back: bool) -> Built {
    let work = match axis {
        0 => Work::Pieces {
            count: 1,
            elements: output.elements(),
        },
        _ => by_rows(context, output),
    };
    let kernel = Places {
        work,
        lengths: [from[axis], output[axis]],
        behind: output[axis + 1..].iter().product(),
        back,
    };
    Built::new(kernel, vec![work == Work::Samples, false])
}

impl Kernel for Places {
    fn work(&self) -> Work {
        self.work
    }
    fn run(&self, task: Task<'_>) {
        let (x, places, [from, to], n) = (task.input(0), task.input(1), self.lengths, self.behind);
        let blocks = task.output.chunks_exact_mut((to * n).max(1));
        for (y, x) in blocks.zip(x.chunks_exact((from * n).max(1))) {
            if self.back {
                y.fill(0.0);
                for (g, &place) in x.chunks_exact(n).zip(places) {
                    if let Some(at) = Gather::row(place.into(), to) {
                        y[at * n..][..n].iter_mut().zip(g).for_each(|(y, g)| *y += g);
                    }
                }
                continue;
            }
            for (y, &place) in y.chunks_exact_mut(n).zip(places) {
                match Gather::row(place.into(), from) {
                    Some(at) => y.copy_from_slice(&x[at * n..][..n]),
                    None => y.fill(0.0),
                }
            }
        }
    }
}
