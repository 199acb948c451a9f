//! Dense layers, forward and both gradients: one product C = A·B of packed operands.
//!
//! Its pieces are blocks of rows of C. A dense layer's samples are its rows, and a few samples alone
//! would leave most of a tile empty, so it takes the batch as a whole.

use graph::Shape;
use graph::ops::MatMul;

use super::super::registry::Built;
use super::super::{BuildContext, Kernel, Task, Work};
use super::planes::{Planes, Side};
use super::rule;
use super::split::Floor;
use super::store::{Store, store};
use super::tile::{BLOCK, Block, SIDE, Session, Starts, Tiles};
use crate::plan::Epilogue;

/// Steps whose operands are used for all of C before the next ones: they stay in a core's cache.
const STEPS: usize = 64;

struct Product {
    tiles: Tiles,
    left: Planes,
    right: Planes,
    /// Of the steps that are used together.
    bands: Vec<Starts>,
    epilogue: Epilogue,
}

/// The product on tiles, if it is one of two matrices and worth it.
pub(super) fn build(
    context: &BuildContext,
    tiles: Tiles,
    op: MatMul,
    epilogue: Epilogue,
    shapes: &[&Shape],
) -> Option<Built> {
    let sizes = op.sizes(shapes[0], shapes[1]).ok()?;
    if shapes[0].rank() != 2 || epilogue.residual || context.batch == 0 {
        return None;
    }
    let (m, k, n) = (sizes.m, sizes.k, sizes.n);
    let work = rule::Cost {
        macs: m * k * n,
        blocks: m.div_ceil(SIDE) * k.div_ceil(SIDE) * n.div_ceil(SIDE),
        splits: m * k + k * n,
        weights: 0,
        packing: true,
        narrowest: m.min(k).min(n),
    };
    if !rule::worth(tiles, &work) {
        return None;
    }
    // The gradient is behind the samples where it makes that of the weights, in front of the weights elsewhere.
    let [left, right] = match op.transpose_a {
        true => [Floor::High, Floor::Low],
        false => [Floor::Low, Floor::High],
    };
    let left = Planes::matrix(tiles, (Side::Left, left), m, k, op.transpose_a);
    let right = Planes::matrix(tiles, (Side::Right, right), n, k, !op.transpose_b);
    let kernel = Product {
        tiles,
        bands: bands(left.steps.len()),
        left: left.clone(),
        right: right.clone(),
        epilogue,
    };
    Some(Built::new(kernel, vec![]).packing(0, left).packing(1, right))
}

impl Kernel for Product {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.left.panels(),
            elements: SIDE * self.right.lines,
        }
    }

    fn run(&self, task: Task<'_>) {
        let (a, b) = (task.input(0), task.input(1));
        let bias = self.epilogue.bias.then(|| task.input(2));
        let columns = self.right.lines;
        let session = Session::open(self.tiles);
        let mut block = Block::ZERO;
        for (band, starts) in self.bands.iter().enumerate() {
            let (begin, end) = (band == 0, band + 1 == self.bands.len());
            for panel in 0..self.right.panels() {
                let right = self.right.right(b, panel, band * STEPS);
                for (piece, at) in task.range.clone().zip((0..).step_by(SIDE * columns)) {
                    let left = self.left.left(a, piece);
                    session.product(&left, starts, &right, &mut block);
                    let how = Store {
                        skip: 0,
                        rows: self.left.lines_of(piece),
                        columns: self.right.lines_of(panel),
                        stride: columns,
                        accumulate: !begin,
                        bias: bias.filter(|_| begin).map(|b| &b[panel * SIDE..]),
                        residual: None,
                        relu: self.epilogue.relu && end,
                    };
                    store(
                        self.tiles.isa,
                        &block,
                        &mut task.output[at + panel * SIDE..],
                        &how,
                    );
                }
            }
        }
    }
}

/// Steps in runs that are used together.
fn bands(steps: usize) -> Vec<Starts> {
    let band = |first: usize| (first..steps.min(first + STEPS)).map(|s| s * BLOCK).collect();
    (0..steps)
        .step_by(STEPS)
        .map(|first| Starts::new(band(first)))
        .collect()
}
