//! Embedding: rows of a table, and sums back into them.

use graph::Shape;
use graph::ops::Gather;

use super::columns::by_rows;
use super::registry::Built;
use super::{BuildContext, Isa, Kernel, Task, Work};
use crate::per_isa;

struct Rows {
    work: Work,
    width: usize,
}

/// Operands indices, table.
pub(crate) fn forward(context: &BuildContext, output: &Shape) -> Built {
    let work = by_rows(context, output);
    let width = output.last_axis();
    Built::new(Rows { work, width }, vec![work == Work::Samples])
}

impl Kernel for Rows {
    fn work(&self) -> Work {
        self.work
    }
    fn run(&self, task: Task<'_>) {
        let (indices, table) = (task.input(0), task.input(1));
        for (y, &index) in task.output.chunks_exact_mut(self.width).zip(indices) {
            match Gather::row(index.into(), table.len() / self.width) {
                Some(row) => y.copy_from_slice(&table[row * self.width..(row + 1) * self.width]),
                None => y.fill(0.0),
            }
        }
    }
}

/// Into how many pieces a table is split at most: each looks at all indices.
const PIECES: usize = 16;

/// Each piece sums the rows of g that belong to its rows of the table, so no two threads meet.
struct Sums {
    isa: Isa,
    rows: usize,
    width: usize,
    /// Rows of the table in a piece.
    each: usize,
}

/// Operands g, indices, like table.
pub(crate) fn gradient(context: &BuildContext, table: &Shape) -> Built {
    let (rows, width) = (table[0], table[1]);
    let kernel = Sums {
        isa: context.isa,
        rows,
        width,
        each: rows.div_ceil(PIECES).max(1),
    };
    Built::new(kernel, vec![])
}

impl Kernel for Sums {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.rows.div_ceil(self.each),
            elements: self.each * self.width,
        }
    }
    fn run(&self, task: Task<'_>) {
        let (g, indices, width) = (task.input(0), task.input(1), self.width);
        let first = task.range.start * self.each;
        let count = task.output.len() / width.max(1);
        task.output.fill(0.0);
        for (g, &index) in g.chunks_exact(width).zip(indices) {
            let row = Gather::row(index.into(), self.rows).and_then(|r| r.checked_sub(first));
            if let Some(row) = row.filter(|&r| r < count) {
                add(self.isa, g, &mut task.output[row * width..(row + 1) * width]);
            }
        }
    }
}

per_isa!(
    fn add(x: &[f32], to: &mut [f32]) {
        to.iter_mut().zip(x).for_each(|(to, v)| *to += v);
    }
);
