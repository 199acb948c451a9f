//! Pooling and its gradients.
//!
//! Pooling is separable: the rows of a window are first combined over their whole width, which fills
//! vectors whatever the number of channels, then the columns. Averages and L2 go back the same way.
//! A maximum goes back to the first position of its window that holds it.

use std::ops::Range;

use graph::Shape;
use graph::ops::{BoundWindow, Pool2d, PoolKind};

use super::columns::by_rows;
use super::largest;
use super::registry::Built;
use super::short::{Numbers, NumbersMut};
use super::{BuildContext, Isa, Kernel, Shorts, Task, Work};
use crate::{EngineError, per_isa};

/// For each output position of an axis, the positions of the image that its window sees.
struct Taps {
    starts: Vec<usize>,
    sources: Vec<usize>,
}

impl Taps {
    fn new(window: &BoundWindow, axis: usize) -> Self {
        let (mut starts, mut sources) = (vec![0], Vec::new());
        for at in 0..window.output[axis] {
            sources.extend((0..window.kernel[axis]).filter_map(|tap| window.source(axis, at, tap)));
            starts.push(sources.len());
        }
        Self { starts, sources }
    }

    fn at(&self, position: usize) -> &[usize] {
        &self.sources[self.starts[position]..self.starts[position + 1]]
    }
}

/// A pooling bound to its sizes.
struct Geometry {
    pool: Pool2d,
    channels: usize,
    /// Rows and columns of the image and the result.
    image: [usize; 2],
    output: [usize; 2],
    rows: Taps,
    columns: Taps,
}

impl Geometry {
    fn new(pool: Pool2d, x: &Shape) -> Result<Self, EngineError> {
        let sizes = pool.sizes(x)?;
        Ok(Self {
            pool,
            channels: sizes.channels,
            image: sizes.window.image,
            output: sizes.window.output,
            rows: Taps::new(&sizes.window, 0),
            columns: Taps::new(&sizes.window, 1),
        })
    }

    /// Elements of a row of the image and of the result.
    fn widths(&self) -> [usize; 2] {
        [self.image[1] * self.channels, self.output[1] * self.channels]
    }

    /// What the sum of window (i, j) is multiplied with.
    fn share(&self, i: usize, j: usize) -> f32 {
        match self.pool.kind {
            PoolKind::Average { .. } => {
                let inside = self.rows.at(i).len() * self.columns.at(j).len();
                1.0 / self.pool.divisor(inside) as f32
            }
            _ => 1.0,
        }
    }
}

struct Forward {
    isa: Isa,
    work: Work,
    geometry: Geometry,
    shorts: Shorts,
}

pub(crate) fn forward(
    context: &BuildContext,
    pool: Pool2d,
    x: &Shape,
    output: &Shape,
) -> Result<Built, EngineError> {
    // One sample alone is split by the rows of its result.
    let work = match (context.batch, &output[..]) {
        (1, &[1, rows, columns, channels]) if rows > 1 => Work::Pieces {
            count: rows,
            elements: columns * channels,
        },
        _ => by_rows(context, output),
    };
    let sizes = pool.sizes(x)?;
    if pool.kind == PoolKind::Max
        && let Some(built) = largest::choose(context, &sizes.window, sizes.channels, work)
    {
        return Ok(built);
    }
    let kernel = Forward {
        isa: context.isa,
        work,
        geometry: Geometry::new(pool, x)?,
        shorts: Shorts::default(),
    };
    Ok(Built::new(kernel, vec![work == Work::Samples]))
}

impl Kernel for Forward {
    fn work(&self) -> Work {
        self.work
    }
    /// A row of the image that is combined, one of it that is widened, and one of the result.
    fn scratch(&self) -> usize {
        let [width, out_width] = self.geometry.widths();
        2 * width + out_width
    }
    fn shorts(&self) -> Shorts {
        let even = match self.work {
            Work::Pieces { count, elements } => count > 1 && elements.is_multiple_of(2),
            _ => true,
        };
        Shorts::of((0..1).filter(|_| even), even)
    }
    fn shorten(&mut self, shorts: Shorts) {
        self.shorts = shorts;
        if let (true, Work::Pieces { elements, .. }) = (shorts.output, &mut self.work) {
            *elements /= 2;
        }
    }
    fn run(&self, task: Task<'_>) {
        let [width, out_width] = self.geometry.widths();
        let rows = self.geometry.output[0];
        let x = Numbers::new(task.input(0), self.shorts.has(0));
        let mut y = NumbersMut::new(task.output, self.shorts.output);
        if matches!(self.work, Work::Pieces { count, .. } if count > 1) {
            return self.rows(x, task.range, task.scratch, y);
        }
        let each = width * self.geometry.image[0];
        for n in 0..x.len() / each.max(1) {
            let y = y.from(n * rows * out_width);
            self.rows(x.part(n * each, each), 0..rows, task.scratch, y);
        }
    }
}

impl Forward {
    /// Pools some rows of a result.
    fn rows(&self, x: Numbers<'_>, rows: Range<usize>, scratch: &mut [f32], mut y: NumbersMut<'_>) {
        let [width, out_width] = self.geometry.widths();
        let (row, rest) = scratch.split_at_mut(width);
        let (room, result) = rest.split_at_mut(width);
        for (number, i) in rows.enumerate() {
            for (u, &r) in self.geometry.rows.at(i).iter().enumerate() {
                let line = x.part(r * width, width).wide(self.isa, room);
                take_row(self.isa, self.geometry.pool.kind, line, u == 0, row);
            }
            match y.from(number * out_width) {
                NumbersMut::F32(y) => pool_row(self.isa, &self.geometry, i, row, &mut y[..out_width]),
                y => {
                    let result = &mut result[..out_width];
                    pool_row(self.isa, &self.geometry, i, row, result);
                    y.write(self.isa, result);
                }
            }
        }
    }
}

/// The larger; NaN stays visible.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

/// The smaller; NaN stays visible.
#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if b < a || b.is_nan() { b } else { a }
}

#[inline(always)]
fn sum(a: f32, b: f32) -> f32 {
    a + b
}

per_isa!(
    /// Joins a row of the image to what the rows above it in a window gave, of which there are none if it is the `first`.
    fn take_row(kind: PoolKind, x: &[f32], first: bool, row: &mut [f32]) {
        match kind {
            PoolKind::Max => join_row(x, first, row, same, larger),
            PoolKind::Min => join_row(x, first, row, same, smaller),
            PoolKind::Average { .. } => join_row(x, first, row, same, sum),
            PoolKind::L2 => join_row(x, first, row, |v| v * v, sum),
        }
    }
);

#[inline(always)]
fn join_row(
    x: &[f32],
    first: bool,
    row: &mut [f32],
    take: impl Fn(f32) -> f32,
    join: impl Fn(f32, f32) -> f32,
) {
    let pairs = row.iter_mut().zip(x);
    match first {
        true => pairs.for_each(|(to, &v)| *to = take(v)),
        false => pairs.for_each(|(to, &v)| *to = join(*to, take(v))),
    }
}

per_isa!(
    /// Row `i` of the result from the joined rows of its windows.
    fn pool_row(geometry: &Geometry, i: usize, row: &[f32], y: &mut [f32]) {
        match geometry.pool.kind {
            PoolKind::Max => columns_of(geometry, i, row, y, larger, same),
            PoolKind::Min => columns_of(geometry, i, row, y, smaller, same),
            PoolKind::Average { .. } => columns_of(geometry, i, row, y, sum, same),
            PoolKind::L2 => columns_of(geometry, i, row, y, sum, f32::sqrt),
        }
    }
);

#[inline(always)]
fn same(v: f32) -> f32 {
    v
}

/// Pools the columns with `join` of two numbers, and `last` of the joined.
#[inline(always)]
fn columns_of(
    geometry: &Geometry,
    i: usize,
    row: &[f32],
    y: &mut [f32],
    join: impl Fn(f32, f32) -> f32,
    last: impl Fn(f32) -> f32,
) {
    // The usual small channel counts are known to the compiler, which unrolls them.
    match geometry.channels {
        1 => columns_with::<1>(geometry, i, row, y, join, last),
        3 => columns_with::<3>(geometry, i, row, y, join, last),
        4 => columns_with::<4>(geometry, i, row, y, join, last),
        6 => columns_with::<6>(geometry, i, row, y, join, last),
        8 => columns_with::<8>(geometry, i, row, y, join, last),
        16 => columns_with::<16>(geometry, i, row, y, join, last),
        _ => columns_with::<0>(geometry, i, row, y, join, last),
    }
}

/// `C` channels, or as many as there are if it is 0.
#[inline(always)]
fn columns_with<const C: usize>(
    geometry: &Geometry,
    i: usize,
    row: &[f32],
    y: &mut [f32],
    join: impl Fn(f32, f32) -> f32,
    last: impl Fn(f32) -> f32,
) {
    let c = if C == 0 { geometry.channels } else { C };
    for (j, y) in y.chunks_exact_mut(c).enumerate() {
        let share = geometry.share(i, j);
        match *geometry.columns.at(j) {
            [a, b] => {
                let (a, b) = (&row[a * c..(a + 1) * c], &row[b * c..(b + 1) * c]);
                for k in 0..c {
                    y[k] = last(join(a[k], b[k])) * share;
                }
            }
            [first, ref rest @ ..] => {
                y.copy_from_slice(&row[first * c..(first + 1) * c]);
                for &s in rest {
                    let x = &row[s * c..(s + 1) * c];
                    y.iter_mut().zip(x).for_each(|(y, &v)| *y = join(*y, v));
                }
                y.iter_mut().for_each(|y| *y = last(*y) * share);
            }
            [] => y.fill(0.0),
        }
    }
}

struct Backward {
    isa: Isa,
    work: Work,
    geometry: Geometry,
}

pub(crate) fn gradient(context: &BuildContext, pool: Pool2d, x: &Shape) -> Result<Built, EngineError> {
    let work = by_rows(context, x);
    let kernel = Backward {
        isa: context.isa,
        work,
        geometry: Geometry::new(pool, x)?,
    };
    Ok(Built::new(kernel, vec![work == Work::Samples; 3]))
}

impl Kernel for Backward {
    fn work(&self) -> Work {
        self.work
    }
    fn scratch(&self) -> usize {
        self.geometry.widths()[0]
    }
    fn run(&self, task: Task<'_>) {
        let [width, out_width] = self.geometry.widths();
        let (each, out_each) = (
            width * self.geometry.image[0],
            out_width * self.geometry.output[0],
        );
        let (g, x, y) = (task.input(0), task.input(1), task.input(2));
        let images = task.output.chunks_exact_mut(each);
        if matches!(self.geometry.pool.kind, PoolKind::Average { .. }) {
            for (dx, g) in images.zip(g.chunks_exact(out_each)) {
                spread_average(self.isa, &self.geometry, g, task.scratch, dx);
            }
            return;
        }
        let results = g.chunks_exact(out_each).zip(y.chunks_exact(out_each));
        for ((dx, (g, y)), x) in images.zip(results).zip(x.chunks_exact(each)) {
            match self.geometry.pool.kind {
                PoolKind::L2 => spread_norm(self.isa, &self.geometry, g, x, y, task.scratch, dx),
                _ => pick(self.isa, &self.geometry, g, x, y, dx),
            }
        }
    }
}

per_isa!(
    fn spread_average(geometry: &Geometry, g: &[f32], row: &mut [f32], dx: &mut [f32]) {
        let [width, out_width] = geometry.widths();
        let c = geometry.channels;
        dx.fill(0.0);
        for (i, g) in g.chunks_exact(out_width).enumerate() {
            let row = &mut row[..width];
            row.fill(0.0);
            for (j, g) in g.chunks_exact(c).enumerate() {
                let share = geometry.share(i, j);
                for &s in geometry.columns.at(j) {
                    let to = &mut row[s * c..(s + 1) * c];
                    to.iter_mut().zip(g).for_each(|(to, g)| *to += g * share);
                }
            }
            for &r in geometry.rows.at(i) {
                let to = &mut dx[r * width..(r + 1) * width];
                to.iter_mut().zip(&*row).for_each(|(to, v)| *to += v);
            }
        }
    }
);

per_isa!(
    fn spread_norm(geometry: &Geometry, g: &[f32], x: &[f32], y: &[f32], row: &mut [f32], dx: &mut [f32]) {
        let [width, out_width] = geometry.widths();
        let c = geometry.channels;
        dx.fill(0.0);
        for (i, (g, y)) in g
            .chunks_exact(out_width)
            .zip(y.chunks_exact(out_width))
            .enumerate()
        {
            let row = &mut row[..width];
            row.fill(0.0);
            for (j, (g, y)) in g.chunks_exact(c).zip(y.chunks_exact(c)).enumerate() {
                for &s in geometry.columns.at(j) {
                    let to = &mut row[s * c..(s + 1) * c];
                    for k in 0..c {
                        to[k] += if y[k] == 0.0 { 0.0 } else { g[k] / y[k] };
                    }
                }
            }
            for &r in geometry.rows.at(i) {
                let (to, x) = (
                    &mut dx[r * width..(r + 1) * width],
                    &x[r * width..(r + 1) * width],
                );
                for k in 0..width {
                    to[k] += row[k] * x[k];
                }
            }
        }
    }
);

per_isa!(
    fn pick(geometry: &Geometry, g: &[f32], x: &[f32], y: &[f32], dx: &mut [f32]) {
        dx.fill(0.0);
        let c = geometry.channels;
        let mut start = 0;
        while start + 16 <= c {
            pick_channels::<16>(geometry, g, x, y, dx, start);
            start += 16;
        }
        while start + 4 <= c {
            pick_channels::<4>(geometry, g, x, y, dx, start);
            start += 4;
        }
        while start < c {
            pick_channels::<1>(geometry, g, x, y, dx, start);
            start += 1;
        }
    }
);

/// The `L` numbers from `at` on.
#[inline(always)]
fn lanes<const L: usize>(x: &[f32], at: usize) -> [f32; L] {
    let mut lanes = [0.0; L];
    lanes.copy_from_slice(&x[at..at + L]);
    lanes
}

/// Gives each of `L` channels' gradients to the first position that holds the extreme value.
#[inline(always)]
fn pick_channels<const L: usize>(
    geometry: &Geometry,
    g: &[f32],
    x: &[f32],
    y: &[f32],
    dx: &mut [f32],
    channel: usize,
) {
    let [width, out_width] = geometry.widths();
    let c = geometry.channels;
    for i in 0..geometry.output[0] {
        for j in 0..geometry.output[1] {
            let at = i * out_width + j * c + channel;
            let mut left: [f32; L] = lanes(g, at);
            let value: [f32; L] = lanes(y, at);
            for &r in geometry.rows.at(i) {
                for &s in geometry.columns.at(j) {
                    let tap = r * width + s * c + channel;
                    let x: [f32; L] = lanes(x, tap);
                    let to = &mut dx[tap..tap + L];
                    for k in 0..L {
                        let hit = x[k] == value[k];
                        to[k] += if hit { left[k] } else { 0.0 };
                        left[k] = if hit { 0.0 } else { left[k] };
                    }
                }
            }
        }
    }
}
