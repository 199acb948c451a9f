//! Resizing of images and its gradient: rows first, over their whole width, then columns.

use graph::Shape;
use graph::ops::{Resize2d, ResizeTap};

use super::columns::by_rows;
use super::registry::Built;
use super::{BuildContext, Isa, Kernel, Task, Work};
use crate::per_isa;

struct Geometry {
    rows: Vec<ResizeTap>,
    columns: Vec<ResizeTap>,
    channels: usize,
    /// Rows of the image, and elements of one.
    height: usize,
    width: usize,
}

struct Resize {
    isa: Isa,
    work: Work,
    geometry: Geometry,
    backward: bool,
}

pub(crate) fn forward(context: &BuildContext, resize: Resize2d, x: &Shape, output: &Shape) -> Built {
    build(context, resize, x, output, false)
}

pub(crate) fn gradient(context: &BuildContext, resize: Resize2d, x: &Shape) -> Built {
    build(context, resize, x, x, true)
}

fn build(context: &BuildContext, resize: Resize2d, x: &Shape, output: &Shape, backward: bool) -> Built {
    let work = by_rows(context, output);
    let (h, w, channels) = (x[1], x[2], x[3]);
    let [oh, ow] = resize.size([h, w]);
    let geometry = Geometry {
        rows: resize.taps(h, oh),
        columns: resize.taps(w, ow),
        channels,
        height: h,
        width: w * channels,
    };
    let kernel = Resize {
        isa: context.isa,
        work,
        geometry,
        backward,
    };
    Built::new(kernel, vec![work == Work::Samples])
}

impl Kernel for Resize {
    fn work(&self) -> Work {
        self.work
    }
    fn scratch(&self) -> usize {
        self.geometry.width
    }
    fn run(&self, task: Task<'_>) {
        let g = &self.geometry;
        let image = g.height * g.width;
        let resized = g.rows.len() * g.columns.len() * g.channels;
        let (from, to) = if self.backward {
            (resized, image)
        } else {
            (image, resized)
        };
        let pairs = task
            .input(0)
            .chunks_exact(from)
            .zip(task.output.chunks_exact_mut(to));
        for (x, y) in pairs {
            if self.backward {
                shrink(self.isa, g, x, task.scratch, y);
            } else {
                stretch(self.isa, g, x, task.scratch, y);
            }
        }
    }
}

#[inline(always)]
fn part(x: &[f32], index: usize, length: usize) -> &[f32] {
    &x[index * length..(index + 1) * length]
}

/// to = (1 − w)·a + w·b
#[inline(always)]
fn blend(to: &mut [f32], a: &[f32], b: &[f32], weight: f32) {
    if weight == 0.0 {
        return to.copy_from_slice(a);
    }
    let n = to.len();
    let (a, b) = (&a[..n], &b[..n]);
    for k in 0..n {
        to[k] = (1.0 - weight) * a[k] + weight * b[k];
    }
}

/// Part `index` of `to` += weight·x
#[inline(always)]
fn add_scaled(to: &mut [f32], index: usize, x: &[f32], weight: f32) {
    if weight != 0.0 {
        let to = &mut to[index * x.len()..(index + 1) * x.len()];
        to.iter_mut().zip(x).for_each(|(to, v)| *to += weight * v);
    }
}

per_isa!(
    fn stretch(geometry: &Geometry, x: &[f32], row: &mut [f32], y: &mut [f32]) {
        let (width, c) = (geometry.width, geometry.channels);
        let row = &mut row[..width];
        for (y, r) in y.chunks_exact_mut(geometry.columns.len() * c).zip(&geometry.rows) {
            blend(
                row,
                part(x, r.low, width),
                part(x, r.high, width),
                r.weight as f32,
            );
            for (y, s) in y.chunks_exact_mut(c).zip(&geometry.columns) {
                blend(y, part(row, s.low, c), part(row, s.high, c), s.weight as f32);
            }
        }
    }
);

per_isa!(
    fn shrink(geometry: &Geometry, g: &[f32], row: &mut [f32], dx: &mut [f32]) {
        let (width, c) = (geometry.width, geometry.channels);
        let row = &mut row[..width];
        dx.fill(0.0);
        for (g, r) in g.chunks_exact(geometry.columns.len() * c).zip(&geometry.rows) {
            row.fill(0.0);
            for (g, s) in g.chunks_exact(c).zip(&geometry.columns) {
                add_scaled(row, s.low, g, 1.0 - s.weight as f32);
                add_scaled(row, s.high, g, s.weight as f32);
            }
            add_scaled(dx, r.low, row, 1.0 - r.weight as f32);
            add_scaled(dx, r.high, row, r.weight as f32);
        }
    }
);
