//! Cases of recurrent cells.

use graticule_graph::Symbol;
use graticule_graph::ops::{Cell, Recurrent, Squash};

use super::Table;

const CELLS: [Cell; 4] = [Cell::Rnn, Cell::Lstm, Cell::Gru, Cell::GruResetBefore];

pub fn add(t: &mut Table) {
    for (cell, reverse) in CELLS.into_iter().flat_map(|cell| [(cell, false), (cell, true)]) {
        for (steps, initial) in [(4, false), (3, true), (1, false), (1, true)] {
            let op = Recurrent {
                reverse,
                ..Recurrent::new(cell)
            };
            recurrent(t, op, steps, initial);
        }
    }
    for (cell, gate, state) in [
        (Cell::Rnn, Squash::Sigmoid, Squash::Relu),
        (Cell::Lstm, Squash::HardSigmoid, Squash::Linear),
        (Cell::Gru, Squash::HardSigmoid, Squash::Tanh),
        (Cell::GruResetBefore, Squash::Sigmoid, Squash::Sigmoid),
    ] {
        let clip = Some(0.9);
        let op = Recurrent {
            gate,
            state,
            clip,
            ..Recurrent::new(cell)
        };
        recurrent(t, op, 3, true);
    }
}

/// A cell with two hidden numbers, all of whose trace counts.
fn recurrent(t: &mut Table, op: Recurrent, steps: usize, initial: bool) {
    let (width, states) = (2 * op.cell.gates(), 2 * op.cell.states());
    t.case("recurrent", |l| {
        let (z, u, b) = (l.x(&[steps, width]), l.p(&[2, width]), l.p(&[width]));
        match initial {
            true => Symbol::apply(op, &[&z, &u, &b, &l.x_in(&[states], -1.0, 1.0)]),
            false => Symbol::apply(op, &[&z, &u, &b]),
        }
    });
}
