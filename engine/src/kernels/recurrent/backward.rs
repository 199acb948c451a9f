//! The way back: slopes of a step's gates, then their product with Uᵀ for the step before.

use graph::Shape;
use graph::ops::{Cell, Recurrent};

use super::{BuildContext, Built, Form, Kernel, Pack, Product, Source, Task, Work, cells, panel_width};

struct Backward {
    form: Form,
    /// Uᵀ
    pack: Pack,
}

/// Operands trace, U, ∂loss/∂trace, perhaps the first state.
pub(crate) fn backward(context: &BuildContext, op: Recurrent, shapes: &[&Shape]) -> Built {
    let form = Form::new(context, op, shapes[0], shapes[1], shapes.len() > 3);
    let pack = Pack {
        rows: shapes[1][1],
        columns: shapes[1][0],
        width: panel_width(context.isa),
        source: Source::Transposed,
    };
    let packing = pack.clone();
    Built::new(Backward { form, pack }, vec![]).packing(1, packing)
}

/// The operands of one group.
struct Group<'a> {
    trace: &'a [f32],
    weight: &'a [f32],
    gradient: &'a [f32],
    first: Option<&'a [f32]>,
    rows: usize,
}

/// What a group works on.
struct Memory<'a> {
    /// ∂loss/∂(state behind the step), `[rows, S·H]`.
    later: &'a mut [f32],
    /// One row of a state of zeros.
    zeros: &'a mut [f32],
    /// ∂loss/∂(r·h), `[rows, H]`.
    reset: &'a mut [f32],
}

impl Backward {
    /// Rows of slopes for each sample.
    fn rows(&self) -> usize {
        self.form.steps + usize::from(self.form.initial)
    }
}

impl Kernel for Backward {
    fn work(&self) -> Work {
        self.form.pieces(self.rows() * self.form.slopes())
    }

    fn scratch(&self) -> usize {
        let form = &self.form;
        form.group * (form.state() + form.hidden) + form.state()
    }

    fn run(&self, task: Task<'_>) {
        let form = &self.form;
        let (trace, weight, gradient) = (task.input(0), task.input(1), task.input(2));
        let first = form.initial.then(|| task.input(3));
        let mut rest = task.output;
        for piece in task.range {
            let samples = form.samples_of(piece);
            let (slopes, behind) = rest.split_at_mut(samples.len() * self.rows() * form.slopes());
            rest = behind;
            let at = samples.start * form.steps * form.traced();
            let group = Group {
                trace: &trace[at..],
                weight,
                gradient: &gradient[at..],
                first: first.map(|state| &state[samples.start * form.state()..]),
                rows: samples.len(),
            };
            let (later, scratch) = task.scratch.split_at_mut(samples.len() * form.state());
            let (zeros, reset) = scratch.split_at_mut(form.state());
            let memory = Memory { later, zeros, reset };
            self.group(&group, memory, slopes);
        }
    }
}

impl Backward {
    fn group(&self, group: &Group, mut memory: Memory, slopes: &mut [f32]) {
        let form = &self.form;
        memory.later.fill(0.0);
        memory.zeros.fill(0.0);
        let row = self.rows() * form.slopes();
        for place in (0..form.steps).rev() {
            self.step(group, place, &mut memory, slopes);
        }
        if form.initial {
            let states = memory.later.chunks_exact(form.state());
            for (sample, state) in slopes.chunks_exact_mut(row).zip(states) {
                let last = &mut sample[form.steps * form.slopes()..];
                last[..state.len()].copy_from_slice(state);
                last[state.len()..].fill(0.0);
            }
        }
    }

    fn step(&self, group: &Group, place: usize, memory: &mut Memory, slopes: &mut [f32]) {
        let form = &self.form;
        let (isa, spec, hidden) = (form.isa, form.spec(), form.hidden);
        let t = form.step(place);
        let y_row = form.steps * form.traced();
        let d_row = self.rows() * form.slopes();
        let (before, before_row) = match (place.checked_sub(1), group.first) {
            (Some(place), _) => (&group.trace[form.step(place) * form.traced()..], y_row),
            (None, Some(first)) => (first, form.state()),
            (None, None) => (&memory.zeros[..], 0),
        };
        let at = t * form.traced();
        let (y, g) = (&group.trace[at..], &group.gradient[at..]);
        let d = &mut slopes[t * form.slopes()..];
        let later = &mut *memory.later;
        let step = match form.op.cell {
            Cell::Rnn => cells::rnn_back,
            Cell::Lstm => cells::lstm_back,
            Cell::Gru => cells::gru_back,
            Cell::GruResetBefore => cells::gru_before_back,
        };
        step(isa, spec, y, g, y_row, before, before_row, later, d, d_row);
        if form.op.cell == Cell::GruResetBefore {
            let new = (&d[2 * hidden..], d_row);
            self.product(group, new, (2 * hidden, hidden), false, (memory.reset, hidden));
            cells::reset_back(
                isa,
                spec,
                y,
                g,
                y_row,
                before,
                before_row,
                memory.reset,
                later,
                d,
                d_row,
            );
        }
        let blocks = match form.op.cell {
            Cell::GruResetBefore => 2,
            cell => cell.gates(),
        };
        // What of a GRU's state goes straight to the state before is there already.
        let adds = matches!(form.op.cell, Cell::Gru | Cell::GruResetBefore);
        self.product(
            group,
            (d, d_row),
            (0, blocks * hidden),
            adds,
            (later, form.state()),
        );
    }

    /// `c` = a·Uᵀ with rows `from`, `depth` of Uᵀ.
    fn product(
        &self,
        group: &Group,
        a: (&[f32], usize),
        (from, depth): (usize, usize),
        accumulate: bool,
        c: (&mut [f32], usize),
    ) {
        let step = Product {
            rows: group.rows,
            a,
            depth,
            bias: None,
            accumulate,
        };
        step.panels(self.form.isa, &self.pack, group.weight, from, c);
    }
}
