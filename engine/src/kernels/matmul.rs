//! Matrix products: dense layers, their gradients, and products of batches of matrices.

use graph::Shape;
use graph::ops::{MatMul, MatMulSizes};

use super::brgemm::{Finish, Operands, Start, brgemm};
use super::pack::{Pack, Source};
use super::registry::Built;
use super::{BuildContext, Isa, Kernel, Task, Work, wide_dense};
use crate::EngineError;
use crate::plan::Epilogue;

/// Above this many bytes of partial results a weight gradient is split by its rows instead: every thread then
/// reads all samples, which is less than all threads writing and adding up all weights.
const PARTIALS: usize = 256 << 10;

/// Columns of a packed panel: what the matrix kernel holds in registers at once.
pub(crate) fn panel_width(isa: Isa) -> usize {
    match isa {
        Isa::Scalar => isa.lanes(),
        _ => 2 * isa.lanes(),
    }
}

pub(crate) fn build(
    context: &BuildContext,
    op: MatMul,
    epilogue: Epilogue,
    shapes: &[&Shape],
) -> Result<Built, EngineError> {
    let sizes = op.sizes(shapes[0], shapes[1])?;
    let (isa, batch) = (context.isa, context.batch);
    if shapes[0].rank() > 2 {
        let by_sample = sizes.groups.is_multiple_of(batch) && shapes[0][0] == batch;
        return Ok(Built::new(
            Batched {
                isa,
                op,
                sizes,
                batch,
                by_sample,
            },
            vec![by_sample; 2],
        ));
    }
    let samples_are_rows = !op.transpose_a && sizes.m.is_multiple_of(batch);
    if op.transpose_a && !op.transpose_b && sizes.k.is_multiple_of(batch) {
        let reduce = sizes.m * sizes.n * context.chunks * 4 <= PARTIALS;
        return Ok(Built::new(
            Outer {
                isa,
                sizes,
                reduce,
                batch,
            },
            vec![reduce; 2],
        ));
    }
    if let Some(built) = wide_dense::choose(context, op, sizes, epilogue) {
        return Ok(built);
    }
    let source = if op.transpose_b {
        Source::Transposed
    } else {
        Source::Plain
    };
    let pack = Pack {
        rows: sizes.k,
        columns: sizes.n,
        width: panel_width(isa),
        source,
    };
    let kernel = Rows {
        isa,
        op,
        sizes,
        pack: pack.clone(),
        epilogue,
        by_sample: samples_are_rows,
        batch,
    };
    Ok(Built::new(kernel, vec![samples_are_rows]).packing(1, pack))
}

/// C = A·B with B packed; rows of A are samples, or are split in blocks.
struct Rows {
    isa: Isa,
    op: MatMul,
    sizes: MatMulSizes,
    pack: Pack,
    epilogue: Epilogue,
    by_sample: bool,
    batch: usize,
}

/// Rows of a piece when rows are not samples.
const BLOCK: usize = 14;
/// Elements of a weight gradient that are made together: a core's own cache holds them.
const NEAR: usize = 64 * 1024;

impl Kernel for Rows {
    fn work(&self) -> Work {
        match self.by_sample {
            true => Work::Samples,
            false => Work::Pieces {
                count: self.sizes.m.div_ceil(BLOCK),
                elements: BLOCK * self.sizes.n,
            },
        }
    }

    fn run(&self, task: Task<'_>) {
        let MatMulSizes { m, k, n, .. } = self.sizes;
        let a = task.input(0);
        let packed = task.input(1);
        let bias = self.epilogue.bias.then(|| task.input(2));
        let (rows, first) = match self.by_sample {
            true => (task.count() * m / self.batch, 0),
            false => (task.output.len() / n.max(1), task.range.start * BLOCK),
        };
        let (a_row, a_column) = if self.op.transpose_a { (1, m) } else { (k, 1) };
        for panel in 0..self.pack.panels() {
            let column = panel * self.pack.width;
            let x = Operands {
                a: &a[first * a_row..],
                a_row,
                a_column,
                starts: &Start::ONE,
                depth: k,
                b: self.pack.panel(packed, 0, panel),
                b_row: self.pack.width,
                bias: bias.map(|b| &b[column..]),
                residual: None,
            };
            let finish = Finish {
                accumulate: false,
                relu: self.epilogue.relu,
            };
            brgemm(
                self.isa,
                rows,
                self.pack.columns_of(panel),
                &x,
                &mut task.output[column..],
                n,
                finish,
            );
        }
    }
}

/// C = Aᵀ·B, the sum running over samples: the gradient of a dense layer's weights.
struct Outer {
    isa: Isa,
    sizes: MatMulSizes,
    reduce: bool,
    batch: usize,
}

impl Kernel for Outer {
    fn work(&self) -> Work {
        let MatMulSizes { m, n, .. } = self.sizes;
        match self.reduce {
            true => Work::Reduction { partial: m * n },
            false => Work::Pieces {
                count: m.div_ceil(BLOCK),
                elements: BLOCK * n,
            },
        }
    }

    fn run(&self, task: Task<'_>) {
        let MatMulSizes { m, k, n, .. } = self.sizes;
        let (a, b) = (task.input(0), task.input(1));
        let (rows, first, depth) = match self.reduce {
            true => (m, 0, task.count() * k / self.batch),
            false => (task.output.len() / n.max(1), task.range.start * BLOCK, k),
        };
        let finish = Finish {
            accumulate: self.reduce && !task.fresh,
            relu: false,
        };
        // The matrix kernel goes down columns first, which over many long rows would touch a page for each.
        let block = BLOCK * (NEAR / (BLOCK * n).max(1)).max(1);
        for (done, output) in (0..rows)
            .step_by(block)
            .zip(task.output.chunks_mut((block * n).max(1)))
        {
            let x = Operands {
                a: &a[first + done..],
                a_row: 1,
                a_column: m,
                starts: &Start::ONE,
                depth,
                b,
                b_row: n,
                bias: None,
                residual: None,
            };
            brgemm(self.isa, output.len() / n.max(1), n, &x, output, n, finish);
        }
    }
}

/// Many products, `[.., M, K] · [.., K, N]`.
struct Batched {
    isa: Isa,
    op: MatMul,
    sizes: MatMulSizes,
    batch: usize,
    by_sample: bool,
}

impl Kernel for Batched {
    fn work(&self) -> Work {
        match self.by_sample {
            true => Work::Samples,
            false => Work::Pieces {
                count: self.sizes.groups,
                elements: self.sizes.m * self.sizes.n,
            },
        }
    }

    fn scratch(&self) -> usize {
        if self.op.transpose_b {
            self.sizes.k * self.sizes.n
        } else {
            0
        }
    }

    fn run(&self, task: Task<'_>) {
        let MatMulSizes { groups, m, k, n } = self.sizes;
        let (a, b) = (task.input(0), task.input(1));
        let count = if self.by_sample {
            task.range.len() * groups / self.batch
        } else {
            task.range.len()
        };
        let first = if self.by_sample { 0 } else { task.range.start };
        let (a_row, a_column) = if self.op.transpose_a { (1, m) } else { (k, 1) };
        for group in 0..count {
            let a = &a[(first + group) * m * k..][..m * k];
            let mut b = &b[(first + group) * k * n..][..k * n];
            if self.op.transpose_b {
                for (i, x) in task.scratch.iter_mut().enumerate() {
                    *x = b[(i % n) * k + i / n];
                }
                b = task.scratch;
            }
            let x = Operands {
                a,
                a_row,
                a_column,
                starts: &Start::ONE,
                depth: k,
                b,
                b_row: n,
                bias: None,
                residual: None,
            };
            brgemm(
                self.isa,
                m,
                n,
                &x,
                &mut task.output[group * m * n..],
                n,
                Finish::default(),
            );
        }
    }
}
