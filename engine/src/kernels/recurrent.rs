//! Recurrent cells: a few samples go through all steps together, one matrix product a step.
//!
//! Samples are cut into groups by their number alone, so that a group's rows fill the matrix kernel's
//! tile and the weights are read once a step for all of them.

mod backward;
mod cells;
mod forward;

use graph::Shape;
use graph::ops::Recurrent;

use super::brgemm::{Finish, Operands, Start, brgemm};
use super::matmul::panel_width;
use super::pack::{Pack, Source};
use super::registry::Built;
use super::{BuildContext, Isa, Kernel, Task, Work};
use cells::Spec;

pub(crate) use backward::backward;
pub(crate) use forward::forward;

/// Samples of a group: an eighth of the batch, but enough for a tile and few enough for the first cache.
const GROUP: std::ops::RangeInclusive<usize> = 7..=28;

/// What both ways share.
#[derive(Clone)]
struct Form {
    isa: Isa,
    op: Recurrent,
    samples: usize,
    steps: usize,
    hidden: usize,
    group: usize,
    /// Whether a first state is given.
    initial: bool,
    pack: Pack,
}

impl Form {
    fn new(context: &BuildContext, op: Recurrent, sequence: &Shape, weight: &Shape, initial: bool) -> Self {
        let samples = sequence[0];
        let pack = Pack {
            rows: weight[0],
            columns: weight[1],
            width: panel_width(context.isa),
            source: Source::Plain,
        };
        Self {
            isa: context.isa,
            op,
            samples,
            steps: sequence[1],
            hidden: weight[0],
            group: samples.div_ceil(8).clamp(*GROUP.start(), *GROUP.end()),
            initial,
            pack,
        }
    }

    fn pieces(&self, row: usize) -> Work {
        Work::Pieces {
            count: self.samples.div_ceil(self.group),
            elements: self.group * row,
        }
    }

    /// The samples of piece `k`.
    fn samples_of(&self, k: usize) -> std::ops::Range<usize> {
        k * self.group..((k + 1) * self.group).min(self.samples)
    }

    /// The step at `place` in the order of the sequence.
    fn step(&self, place: usize) -> usize {
        match self.op.reverse {
            true => self.steps - 1 - place,
            false => place,
        }
    }

    fn spec(&self) -> Spec {
        Spec {
            gate: self.op.gate,
            state: self.op.state,
            limit: self.op.clip.unwrap_or(f32::INFINITY),
            hidden: self.hidden,
        }
    }

    fn state(&self) -> usize {
        self.op.cell.states() * self.hidden
    }
    fn gates(&self) -> usize {
        self.op.cell.gates() * self.hidden
    }
    fn traced(&self) -> usize {
        self.op.cell.traced() * self.hidden
    }
    fn slopes(&self) -> usize {
        self.op.cell.slopes() * self.hidden
    }
}

/// One product of a step: `c` `[rows, columns]` = `a` · `b`, or added to what `c` holds.
struct Product<'a> {
    rows: usize,
    /// A, and from one of its rows to the next.
    a: (&'a [f32], usize),
    depth: usize,
    bias: Option<&'a [f32]>,
    accumulate: bool,
}

impl Product<'_> {
    /// With panel after panel of a packed B, of which rows `from..from + depth` are taken.
    fn panels(&self, isa: Isa, pack: &Pack, packed: &[f32], from: usize, c: (&mut [f32], usize)) {
        for panel in 0..pack.panels() {
            let column = panel * pack.width;
            let b = (&pack.panel(packed, 0, panel)[from * pack.width..], pack.width);
            self.run(isa, pack.columns_of(panel), column, b, (&mut c.0[column..], c.1));
        }
    }

    /// With `columns` columns of B, which lies row by row; `column` is the first one's place in the bias.
    fn run(&self, isa: Isa, columns: usize, column: usize, b: (&[f32], usize), c: (&mut [f32], usize)) {
        let x = Operands {
            a: self.a.0,
            a_row: self.a.1,
            a_column: 1,
            starts: &Start::ONE,
            depth: self.depth,
            b: b.0,
            b_row: b.1,
            bias: self.bias.map(|bias| &bias[column..]),
            residual: None,
        };
        let finish = Finish {
            accumulate: self.accumulate,
            relu: false,
        };
        brgemm(isa, self.rows, columns, &x, c.0, c.1, finish);
    }
}
