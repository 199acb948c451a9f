//! The way forward: a step's product with the states of a group, then its gates.

use graph::Shape;
use graph::ops::{Cell, Recurrent};

use super::{BuildContext, Built, Form, Kernel, Product, Task, Work, cells};

struct Forward(Form);

/// Operands z, U, b, perhaps the first state.
pub(crate) fn forward(context: &BuildContext, op: Recurrent, shapes: &[&Shape]) -> Built {
    let form = Form::new(context, op, shapes[0], shapes[1], shapes.len() > 3);
    let pack = form.pack.clone();
    let built = Built::new(Forward(form), vec![]);
    match op.cell {
        // Its two products take parts of the columns, with which panels need not end.
        Cell::GruResetBefore => built,
        _ => built.packing(1, pack),
    }
}

/// The operands of one group.
struct Group<'a> {
    z: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    first: Option<&'a [f32]>,
    rows: usize,
}

impl Kernel for Forward {
    fn work(&self) -> Work {
        self.0.pieces(self.0.steps * self.0.traced())
    }

    fn scratch(&self) -> usize {
        self.0.group * (self.0.state() + self.0.gates() + self.0.hidden)
    }

    fn run(&self, task: Task<'_>) {
        let form = &self.0;
        let (z, weight, bias) = (task.input(0), task.input(1), task.input(2));
        let first = form.initial.then(|| task.input(3));
        let mut rest = task.output;
        for piece in task.range {
            let samples = form.samples_of(piece);
            let (trace, behind) = rest.split_at_mut(samples.len() * form.steps * form.traced());
            rest = behind;
            let group = Group {
                z: &z[samples.start * form.steps * form.gates()..],
                weight,
                bias,
                first: first.map(|state| &state[samples.start * form.state()..samples.end * form.state()]),
                rows: samples.len(),
            };
            self.group(&group, trace, task.scratch);
        }
    }
}

impl Forward {
    fn group(&self, group: &Group, trace: &mut [f32], scratch: &mut [f32]) {
        let form = &self.0;
        let (state, scratch) = scratch.split_at_mut(group.rows * form.state());
        let (product, scratch) = scratch.split_at_mut(group.rows * form.gates());
        let reset = &mut scratch[..group.rows * form.hidden];
        match group.first {
            Some(first) => state.copy_from_slice(first),
            None => state.fill(0.0),
        }
        let z_row = form.steps * form.gates();
        let y_row = form.steps * form.traced();
        for place in 0..form.steps {
            let t = form.step(place);
            let z = &group.z[t * form.gates()..];
            let y = &mut trace[t * form.traced()..];
            let spec = form.spec();
            match form.op.cell {
                Cell::GruResetBefore => {
                    self.columns(group, (state, form.state()), 0..2 * form.hidden, product);
                    cells::reset(form.isa, spec, z, z_row, product, state, y, y_row, reset);
                    self.columns(
                        group,
                        (reset, form.hidden),
                        2 * form.hidden..form.gates(),
                        product,
                    );
                    cells::gru_before(form.isa, spec, z, z_row, product, state, y, y_row);
                }
                cell => {
                    self.all_columns(group, state, product);
                    let step = match cell {
                        Cell::Rnn => cells::rnn,
                        Cell::Lstm => cells::lstm,
                        _ => cells::gru,
                    };
                    step(form.isa, spec, z, z_row, product, state, y, y_row);
                }
            }
        }
    }

    /// `product` = h·U + b.
    fn all_columns(&self, group: &Group, state: &[f32], product: &mut [f32]) {
        let form = &self.0;
        let step = Product {
            rows: group.rows,
            a: (state, form.state()),
            depth: form.hidden,
            bias: Some(group.bias),
            accumulate: false,
        };
        step.panels(form.isa, &form.pack, group.weight, 0, (product, form.gates()));
    }

    /// The same for some columns.
    fn columns(&self, group: &Group, a: (&[f32], usize), columns: std::ops::Range<usize>, c: &mut [f32]) {
        let form = &self.0;
        let step = Product {
            rows: group.rows,
            a,
            depth: form.hidden,
            bias: Some(group.bias),
            accumulate: false,
        };
        let b = (&group.weight[columns.start..], form.gates());
        let c = (&mut c[columns.start..], form.gates());
        step.run(form.isa, columns.len(), columns.start, b, c);
    }
}
