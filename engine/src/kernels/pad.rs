//! Padding of images and its gradient: whole rows in the middle, pixels at the sides.

use graph::Shape;
use graph::ops::{Pad2d, PadMode};

use super::columns::by_rows;
use super::registry::Built;
use super::{BuildContext, Isa, Kernel, Task, Work};
use crate::per_isa;

/// A padding bound to its sizes.
struct Geometry {
    constant: f32,
    /// The image row of each row of the result.
    rows: Vec<Option<usize>>,
    /// Columns left and right of the image: (column of the result, column of the image).
    sides: Vec<(usize, Option<usize>)>,
    /// Elements of an image's and a result's row.
    widths: [usize; 2],
    channels: usize,
    left: usize,
    /// Rows of the image.
    height: usize,
}

impl Geometry {
    fn new(pad: Pad2d, x: &Shape) -> Self {
        let (h, w, c) = (x[1], x[2], x[3]);
        let [top, bottom, left, right] = pad.padding;
        let outside = |j: &usize| *j < left || *j >= left + w;
        Self {
            constant: match pad.mode {
                PadMode::Constant(value) => value,
                _ => 0.0,
            },
            rows: (0..top + h + bottom).map(|i| pad.source(0, i, h)).collect(),
            sides: (0..left + w + right)
                .filter(outside)
                .map(|j| (j, pad.source(1, j, w)))
                .collect(),
            widths: [w * c, (left + w + right) * c],
            channels: c,
            left,
            height: h,
        }
    }

    fn elements(&self) -> [usize; 2] {
        [self.widths[0] * self.height, self.widths[1] * self.rows.len()]
    }

    fn forward(&self, x: &[f32], y: &mut [f32]) {
        let ([width, out_width], c) = (self.widths, self.channels);
        for (to, source) in y.chunks_exact_mut(out_width).zip(&self.rows) {
            let Some(r) = *source else {
                to.fill(self.constant);
                continue;
            };
            let x = &x[r * width..(r + 1) * width];
            to[self.left * c..self.left * c + width].copy_from_slice(x);
            for &(j, source) in &self.sides {
                let pixel = &mut to[j * c..(j + 1) * c];
                match source {
                    Some(s) => pixel.copy_from_slice(&x[s * c..(s + 1) * c]),
                    None => pixel.fill(self.constant),
                }
            }
        }
    }

    fn backward(&self, isa: Isa, g: &[f32], dx: &mut [f32]) {
        let ([width, out_width], c) = (self.widths, self.channels);
        dx.fill(0.0);
        for (g, source) in g.chunks_exact(out_width).zip(&self.rows) {
            let Some(r) = *source else { continue };
            let to = &mut dx[r * width..(r + 1) * width];
            add(isa, &g[self.left * c..self.left * c + width], to);
            for &(j, source) in &self.sides {
                if let Some(s) = source {
                    add(isa, &g[j * c..(j + 1) * c], &mut to[s * c..(s + 1) * c]);
                }
            }
        }
    }
}

per_isa!(
    fn add(x: &[f32], to: &mut [f32]) {
        to.iter_mut().zip(x).for_each(|(to, v)| *to += v);
    }
);

struct Pad {
    isa: Isa,
    work: Work,
    geometry: Geometry,
    backward: bool,
}

pub(crate) fn forward(context: &BuildContext, pad: Pad2d, x: &Shape, output: &Shape) -> Built {
    build(context, pad, x, output, false)
}

pub(crate) fn gradient(context: &BuildContext, pad: Pad2d, x: &Shape) -> Built {
    build(context, pad, x, x, true)
}

fn build(context: &BuildContext, pad: Pad2d, x: &Shape, output: &Shape, backward: bool) -> Built {
    let work = by_rows(context, output);
    let kernel = Pad {
        isa: context.isa,
        work,
        geometry: Geometry::new(pad, x),
        backward,
    };
    Built::new(kernel, vec![work == Work::Samples])
}

impl Kernel for Pad {
    fn work(&self) -> Work {
        self.work
    }
    fn run(&self, task: Task<'_>) {
        let [image, padded] = self.geometry.elements();
        let (from, to) = if self.backward {
            (padded, image)
        } else {
            (image, padded)
        };
        let pairs = task
            .input(0)
            .chunks_exact(from)
            .zip(task.output.chunks_exact_mut(to));
        for (x, y) in pairs {
            if self.backward {
                self.geometry.backward(self.isa, x, y);
            } else {
                self.geometry.forward(x, y);
            }
        }
    }
}
