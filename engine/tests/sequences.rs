//! Recurrent cells on every instruction set against their references.

#![allow(clippy::unwrap_used)]

mod common;

use common::check;
use graph::ops::{Cell, Recurrent, Squash};
use graph::{Shape, Symbol};
use proptest::prelude::*;

fn parameter(shape: &[usize]) -> Symbol {
    Symbol::parameter("p", Shape::new(shape), Default::default())
}

const CELLS: [Cell; 4] = [Cell::Rnn, Cell::Lstm, Cell::Gru, Cell::GruResetBefore];
const STATES: [Squash; 3] = [Squash::Tanh, Squash::Relu, Squash::Sigmoid];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn l37_recurrent_cells(
        batch in 1usize..40, steps in 1usize..6, hidden in 1usize..40, cell in 0usize..4,
        reverse: bool, initial: bool, state in 0usize..3, clip: bool,
    ) {
        let op = Recurrent {
            reverse,
            state: STATES[state],
            gate: if clip { Squash::HardSigmoid } else { Squash::Sigmoid },
            clip: clip.then_some(0.75),
            ..Recurrent::new(CELLS[cell])
        };
        let width = hidden * op.cell.gates();
        let z = Symbol::input("z", [steps, width]);
        // Small weights, as layers have: a ReLU's states would grow from step to step.
        let weight = parameter(&[hidden, width]).affine((hidden as f32).sqrt().recip(), 0.0).unwrap();
        let first = Symbol::input("first", [hidden * op.cell.states()]);
        let mut operands = vec![&z, &weight];
        let bias = parameter(&[width]);
        operands.push(&bias);
        if initial {
            operands.push(&first);
        }
        check(&Symbol::apply(op, &operands).unwrap(), batch);
    }
}
