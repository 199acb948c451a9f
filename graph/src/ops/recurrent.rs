//! Recurrent cells over a whole sequence: Elman's network, LSTM (Hochreiter & Schmidhuber 1997), GRU
//! (Cho et al. 2014).
//!
//! What a step reads of its input, z_t = x_t·W + b_W, is one product for all steps and stands before this op.
//! With a = z_t + h_{t−1}·U + b, cut into the cell's gates, σ the gates' function and φ the state's:
//!
//! | cell | gates | step |
//! |---|---|---|
//! | `Rnn` | a | h = φ(a) |
//! | `Lstm` | i, f, g, o | c = σ(f)·c' + σ(i)·φ(g), h = σ(o)·φ(c) |
//! | `Gru` | r, z, n | n = φ(z_n + σ(r)·(h'·U_n + b_n)), h = (1 − σ(z))·n + σ(z)·h' |
//! | `GruResetBefore` | r, z, n | n = φ(z_n + (σ(r)·h')·U_n + b_n), h as above |
//!
//! The order of gates and `Gru` are PyTorch's; ONNX calls `Gru` `linear_before_reset`.
//!
//! The result is a *trace*: what the way back needs of each step, the new state first. Only the first H
//! columns are usually read. Gradients of U, b and the initial state are then ordinary products of trace
//! and slopes.

mod cells;

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::plain::{expect, filled, plain};
use super::{Axis, Concat, Cost, MatMul, Operation, Slice};
use crate::{GraphError, Shape, Symbol};

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// One state, no gates.
    Rnn,
    /// Long short-term memory: gates i, f, g, o and two states h, c.
    Lstm,
    /// Gated recurrent unit that resets the product h·U: gates r, z, n.
    Gru,
    /// Gated recurrent unit that resets h before the product, as first published.
    GruResetBefore,
}

impl Cell {
    /// Blocks of H columns in z, U and b.
    pub fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Lstm => 4,
            Self::Gru | Self::GruResetBefore => 3,
        }
    }

    /// Blocks of H columns of the state that a step hands on: h, and c for [`Cell::Lstm`].
    pub fn states(self) -> usize {
        match self {
            Self::Lstm => 2,
            _ => 1,
        }
    }

    /// Blocks of H columns of the trace: h; h, c, i, f, g, o; h, r, z, n, h·U_n + b_n; h, r, z, n.
    pub fn traced(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Lstm => 6,
            Self::Gru => 5,
            Self::GruResetBefore => 4,
        }
    }

    /// Blocks of H columns of the slopes: one for each gate, and for [`Cell::Gru`] those of h·U_n + b_n
    /// before those of n.
    pub fn slopes(self) -> usize {
        match self {
            Self::Gru => 4,
            other => other.gates(),
        }
    }
}

/// A function of a gate or a state. Its derivative follows from its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Squash {
    /// tanh x
    Tanh,
    /// 1/(1 + e⁻ˣ)
    Sigmoid,
    /// max(0, x)
    Relu,
    /// x/5 + 1/2, at least 0 and at most 1
    HardSigmoid,
    /// x
    Linear,
}

/// A cell run over a sequence. Operands: z `[N, T, G·H]`, U `[H, G·H]`, b `[G·H]`, and if it does not begin
/// at zero the initial state `[N, S·H]` (h, then c). The result is the trace `[N, T, K·H]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Recurrent {
    /// What a step does.
    pub cell: Cell,
    /// From the last step to the first.
    pub reverse: bool,
    /// The gates' function.
    pub gate: Squash,
    /// The state's function.
    pub state: Squash,
    /// The largest size of a number that a gate's function is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f32>,
}

/// Slopes of [`Recurrent`]: ∂loss/∂a for each step, `[N, T, P·H]`. Operands: the trace, U, ∂loss/∂trace,
/// and the initial state if there is one; then one more row, T, begins with ∂loss/∂(initial state).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RecurrentGradient {
    /// The op whose slopes they are.
    pub of: Recurrent,
}

/// N, T and H of one op.
#[derive(Clone, Copy)]
struct Sizes {
    samples: usize,
    steps: usize,
    hidden: usize,
}

impl Recurrent {
    /// `cell` from the first step to the last, with sigmoid gates and a tanh state.
    pub fn new(cell: Cell) -> Self {
        Self {
            cell,
            reverse: false,
            gate: Squash::Sigmoid,
            state: Squash::Tanh,
            clip: None,
        }
    }

    /// The sizes behind `sequence` `[N, T, blocks·H]` and `weight` `[H, G·H]`.
    fn sizes(&self, sequence: &Shape, blocks: usize, weight: &Shape) -> Result<Sizes, GraphError> {
        let gates = self.cell.gates();
        match (&sequence[..], &weight[..]) {
            (&[samples, steps, columns], &[hidden, width])
                if hidden > 0 && steps > 0 && columns == blocks * hidden && width == gates * hidden =>
            {
                Ok(Sizes {
                    samples,
                    steps,
                    hidden,
                })
            }
            _ => Err(GraphError::shape(
                "recurrent",
                format!(
                    "reads a sequence [N, T, {blocks}·H] and weights [H, {gates}·H], found {sequence} and {weight}"
                ),
            )),
        }
    }

    fn initial(&self, sizes: Sizes, state: Option<&&Shape>) -> Result<(), GraphError> {
        let Some(state) = state else { return Ok(()) };
        let expected = [sizes.samples, self.cell.states() * sizes.hidden];
        expect("recurrent", "the initial state", state, &expected)
    }
}

/// `length` elements from `start` along `axis`.
fn cut(x: &Symbol, axis: usize, start: usize, length: usize) -> Result<Symbol, GraphError> {
    if start == 0 && length == x.shape()[axis] {
        return Ok(x.clone());
    }
    let slice = Slice {
        axis,
        start,
        length,
        step: 1,
    };
    Symbol::apply(slice, &[x])
}

/// Σ over samples and steps of aᵀ·b, for a `[N, T, A]` and b `[N, T, B]`.
fn outer(a: &Symbol, b: &Symbol) -> Result<Symbol, GraphError> {
    let rows = |x: &Symbol| x.reshape(&[Axis::Rest, Axis::Keep(2)]);
    let product = MatMul {
        transpose_a: true,
        transpose_b: false,
    };
    Symbol::apply(product, &[&rows(a)?, &rows(b)?])
}

/// A node of [`Recurrent`] and its slopes, cut up for the gradients of its operands.
struct Slopes<'a> {
    op: &'a Recurrent,
    node: &'a Symbol,
    slopes: Symbol,
    steps: usize,
    hidden: usize,
}

impl Slopes<'_> {
    /// Slopes of blocks `start..start + count` for steps `from..from + steps`.
    fn blocks(&self, start: usize, count: usize, from: usize, steps: usize) -> Result<Symbol, GraphError> {
        let rows = cut(&self.slopes, 1, from, steps)?;
        cut(&rows, 2, start * self.hidden, count * self.hidden)
    }

    /// ∂loss/∂z
    fn input(&self) -> Result<Symbol, GraphError> {
        if self.op.cell != Cell::Gru {
            return self.blocks(0, self.op.cell.gates(), 0, self.steps);
        }
        let (gates, new) = (
            self.blocks(0, 2, 0, self.steps)?,
            self.blocks(3, 1, 0, self.steps)?,
        );
        Symbol::apply(Concat { axis: 2 }, &[&gates, &new])
    }

    /// ∂loss/∂U = Σ h_{t−1}ᵀ·slopes_t over the steps that have a state before them.
    fn weight(&self) -> Result<Symbol, GraphError> {
        let (steps, hidden) = (self.steps, self.hidden);
        let states = cut(self.node, 2, 0, hidden)?;
        let (before, from, count) = match (self.node.inputs().get(3), self.op.reverse) {
            (Some(initial), reverse) => {
                let first = cut(initial, 1, 0, hidden)?.reshape(&[
                    Axis::Keep(0),
                    Axis::Length(1),
                    Axis::Length(hidden),
                ])?;
                let before = if steps == 1 {
                    first
                } else if reverse {
                    Symbol::concat(&[&cut(&states, 1, 1, steps - 1)?, &first], 1)?
                } else {
                    Symbol::concat(&[&first, &cut(&states, 1, 0, steps - 1)?], 1)?
                };
                (before, 0, steps)
            }
            (None, _) if steps == 1 => {
                return Symbol::constant(0.0, []).broadcast_like(&self.node.inputs()[1]);
            }
            (None, true) => (cut(&states, 1, 1, steps - 1)?, 0, steps - 1),
            (None, false) => (cut(&states, 1, 0, steps - 1)?, 1, steps - 1),
        };
        if self.op.cell != Cell::GruResetBefore {
            return outer(&before, &self.blocks(0, self.op.cell.gates(), from, count)?);
        }
        let reset = cut(&cut(self.node, 2, hidden, hidden)?, 1, from, count)?;
        let gates = outer(&before, &self.blocks(0, 2, from, count)?)?;
        let new = outer(&before.mul(&reset)?, &self.blocks(2, 1, from, count)?)?;
        Symbol::concat(&[&gates, &new], 1)
    }

    /// ∂loss/∂(initial state)
    fn initial(&self) -> Result<Symbol, GraphError> {
        let width = self.op.cell.states();
        self.blocks(0, width, self.steps, 1)?
            .reshape(&[Axis::Keep(0), Axis::Length(width * self.hidden)])
    }
}

impl Operation for Recurrent {
    fn name(&self) -> &'static str {
        "recurrent"
    }

    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [z, weight, bias, rest @ ..] = inputs else {
            let message = format!("takes 3 or 4 operands, found {}", inputs.len());
            return Err(GraphError::shape(self.name(), message));
        };
        if rest.len() > 1 {
            let message = format!("takes 3 or 4 operands, found {}", inputs.len());
            return Err(GraphError::shape(self.name(), message));
        }
        let sizes = self.sizes(z, self.cell.gates(), weight)?;
        expect(self.name(), "the bias", bias, &[weight[1]])?;
        self.initial(sizes, rest.first())?;
        Ok([sizes.samples, sizes.steps, self.cell.traced() * sizes.hidden].into())
    }

    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let weight = &node.inputs()[1];
        let mut reads = vec![node, weight, g];
        reads.extend(node.inputs().get(3));
        let slopes = Slopes {
            op: self,
            node,
            slopes: Symbol::apply(RecurrentGradient { of: *self }, &reads)?,
            steps: node.shape()[1],
            hidden: weight.shape()[0],
        };
        Ok(Some(match input {
            0 => slopes.input()?,
            1 => slopes.weight()?,
            2 => slopes
                .blocks(0, self.cell.gates(), 0, slopes.steps)?
                .sum_like(&node.inputs()[2])?,
            _ => slopes.initial()?,
        }))
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let operands: Vec<Vec<f64>> = inputs.iter().map(|x| plain(x)).collect();
        filled(output, |trace| cells::forward(self, &operands, output[1], trace))
    }

    fn cost(&self, inputs: &[&Shape], output: &Shape) -> Cost {
        let products = Cost::macs(inputs[0].rows() * inputs[1].elements());
        Cost {
            flops: products.flops + 4 * output.elements() as u64,
            ..products
        }
    }
}

impl Operation for RecurrentGradient {
    fn name(&self) -> &'static str {
        "recurrent_gradient"
    }

    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [trace, weight, gradient, rest @ ..] = inputs else {
            let message = format!("takes 3 or 4 operands, found {}", inputs.len());
            return Err(GraphError::shape(self.name(), message));
        };
        let sizes = self.of.sizes(trace, self.of.cell.traced(), weight)?;
        expect(self.name(), "the gradient", gradient, trace)?;
        self.of.initial(sizes, rest.first())?;
        let rows = sizes.steps + rest.len().min(1);
        Ok([sizes.samples, rows, self.of.cell.slopes() * sizes.hidden].into())
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let operands: Vec<Vec<f64>> = inputs.iter().map(|x| plain(x)).collect();
        let steps = inputs[0].shape()[1];
        filled(output, |slopes| {
            cells::backward(&self.of, &operands, steps, slopes)
        })
    }

    fn cost(&self, inputs: &[&Shape], output: &Shape) -> Cost {
        let products = Cost::macs(inputs[0].rows() * inputs[1].elements());
        Cost {
            flops: products.flops + 6 * output.elements() as u64,
            ..products
        }
    }
}
