//! Dense layers, forward and both gradients: one product C = A·B of packed operands.
//!
//! Its pieces are blocks of rows of C. A dense layer's samples are its rows, and a few samples alone
//! would leave most of a tile empty, so it takes the batch as a whole.

use std::ops::Range;

use graph::Shape;
use graph::ops::MatMul;

use super::super::registry::Built;
use super::super::short::NumbersMut;
use super::super::{BuildContext, Kernel, Task, Work};
use super::planes::{Planes, Side};
use super::rule;
use super::split::Floor;
use super::store::{Store, store};
use super::tile::{BLOCK, Block, SIDE, Session, Starts, Tiles, Turns};
use crate::plan::Epilogue;

/// Steps whose operands are used for all of C before the next ones: they stay in a core's cache.
const STEPS: usize = 64;

/// Steps of weights that are packed in two parts: fewer are not worth it, more are multiplied in bands.
const PARTED: Range<usize> = 16..STEPS + 1;

/// f32 elements of packed panels of A that stay in a core's cache.
const NEAR: usize = 64 * 1024;

struct Product {
    tiles: Tiles,
    left: Planes,
    right: Planes,
    /// Panels of A that are packed and used together; no other piece needs them.
    together: usize,
    /// Of the steps that are used together.
    bands: Vec<Starts>,
    /// Of the parts in which B is packed; more than one only where there is one band.
    parts: Vec<Starts>,
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
    // Weights whose rows lie along the sum are packed by rows, which is how they were moved.
    let by_rows = context.trains && !op.transpose_b && PARTED.contains(&right.steps.len());
    let right = right.in_parts(if by_rows { 2 } else { 1 });
    let parts = (0..right.parts()).map(|part| right.part(part).map(|s| s * BLOCK).collect());
    let kernel = Product {
        tiles,
        bands: bands(left.steps.len()),
        parts: parts.map(Starts::new).collect(),
        together: (NEAR / left.panel_elements()).clamp(1, left.panels()),
        left,
        right: right.clone(),
        epilogue,
    };
    Some(Built::new(kernel, vec![]).packing(1, right))
}

impl Kernel for Product {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.left.panels(),
            elements: SIDE * self.right.lines,
        }
    }

    fn scratch(&self) -> usize {
        self.together * self.left.panel_elements()
    }

    fn run(&self, task: Task<'_>) {
        let operands = (task.input(0), task.input(1));
        let bias = self.epilogue.bias.then(|| task.input(2));
        let scratch = &mut task.scratch[..self.scratch()];
        let session = Session::open(self.tiles);
        let each = self.together * SIDE * self.right.lines;
        for (number, output) in task.output.chunks_mut(each).enumerate() {
            let first = task.range.start + number * self.together;
            let pieces = first..task.range.end.min(first + self.together);
            self.rows(&session, pieces, operands, bias, (scratch, output));
        }
    }
}

impl Product {
    /// Some pieces, whose panels of A are packed into scratch.
    fn rows(
        &self,
        session: &Session,
        pieces: Range<usize>,
        (a, b): (&[f32], &[f32]),
        bias: Option<&[f32]>,
        (scratch, output): (&mut [f32], &mut [f32]),
    ) {
        let panels = scratch.chunks_exact_mut(self.left.panel_elements());
        for (piece, panel) in pieces.clone().zip(panels) {
            self.left.write(a, piece, panel);
        }
        let mut turns = Turns::new();
        for (band, starts) in self.bands.iter().enumerate() {
            for panel in 0..self.right.panels() {
                let right = self.right.right(b, panel, band * STEPS);
                for number in 0..pieces.len() {
                    let left = self.left.left(scratch, number);
                    let place = [band, panel, number];
                    let done = match &self.parts[..] {
                        [_] => turns.next(session, (&left, starts, &right), place),
                        parts => {
                            let part = |(part, starts)| (starts, self.right.right_part(b, panel, part));
                            turns.next_of_parts(session, &left, parts.iter().enumerate().map(part), place)
                        }
                    };
                    if let Some((done, block)) = done {
                        self.put(block, done, pieces.start, bias, output);
                    }
                }
            }
        }
        if let Some((done, block)) = turns.last() {
            self.put(block, done, pieces.start, bias, output);
        }
    }

    /// A block of the sums of a band, into its place among the pieces from `first` on.
    fn put(
        &self,
        block: &Block,
        [band, panel, number]: [usize; 3],
        first: usize,
        bias: Option<&[f32]>,
        output: &mut [f32],
    ) {
        let (columns, begin) = (self.right.lines, band == 0);
        let how = Store {
            skip: 0,
            rows: self.left.lines_of(first + number),
            columns: self.right.lines_of(panel),
            stride: columns,
            accumulate: !begin,
            bias: bias.filter(|_| begin).map(|b| &b[panel * SIDE..]),
            residual: None,
            relu: self.epilogue.relu && band + 1 == self.bands.len(),
        };
        let at = number * SIDE * columns + panel * SIDE;
        store(self.tiles.isa, block, NumbersMut::F32(&mut output[at..]), &how);
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
