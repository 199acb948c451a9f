//! Recurrent layers: Elman's network, LSTM, GRU (curriculum row L37).

use graph::ops::{Axis, Cell, Recurrent, Squash};
use graph::{GraphError, Init, Scope, Symbol};

use super::{Concat, Slice, axes, named};

/// What all recurrent layers may choose.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Form {
    op: Recurrent,
    hidden: usize,
    layers: usize,
    bidirectional: bool,
    sequence: bool,
}

/// h_t = φ(x_t·W + b_W + h_{t−1}·U + b_U) (Elman 1990), φ = tanh unless given.
///
/// x `[N, T, features]`; y is the last state `[N, H]`, or with `.sequence()` all of them `[N, T, H]`.
/// Parameters `weight_ih_l0` `[features, H]`, `weight_hh_l0` `[H, H]`, `bias_ih_l0` and `bias_hh_l0` `[H]`:
/// PyTorch's names. Further layers count on; the other direction's end in `_reverse`.
///
/// ```
/// use graticule_nn::prelude::*;
/// let x = Symbol::input("x", [20, 3]);
/// assert_eq!(Rnn::new(16).on(&x)?.shape()[..], [1, 16]);
/// assert_eq!(Rnn::new(16).relu().sequence().on(&x)?.shape()[..], [1, 20, 16]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Rnn {
    form: Form,
    name: Option<String>,
}

/// Long short-term memory (Hochreiter & Schmidhuber 1997): with gates i, f, g, o = x_t·W + b_W + h·U + b_U,
/// c ← σ(f)·c + σ(i)·tanh g and h ← σ(o)·tanh c.
///
/// Shapes and names as [`Rnn`], with `4·H` columns of weights in the order i, f, g, o: 4·H·(features + H + 2)
/// parameters a layer and direction.
///
/// ```
/// use graticule_nn::prelude::*;
/// let x = Symbol::input("x", [20, 3]);
/// let y = Lstm::new(16).layers(2).bidirectional().on(&x)?;
/// assert_eq!(y.shape()[..], [1, 32]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Lstm {
    form: Form,
    name: Option<String>,
}

/// Gated recurrent unit (Cho et al. 2014): with gates r, z, n, candidate
/// ñ = tanh(x_t·W_n + b + σ(r)·(h·U_n + b')) and h ← (1 − σ(z))·ñ + σ(z)·h, as PyTorch and cuDNN have it.
/// [`Gru::reset_before`] multiplies h by σ(r) before its product, as first published.
///
/// Shapes and names as [`Rnn`], with `3·H` columns of weights in the order r, z, n.
///
/// ```
/// use graticule_nn::prelude::*;
/// let x = Symbol::input("x", [20, 3]);
/// assert_eq!(Gru::new(16).sequence().on(&x)?.shape()[..], [1, 20, 16]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Gru {
    form: Form,
    name: Option<String>,
}

named!(Rnn, Lstm, Gru);

macro_rules! recurrent_layers {
    ($($layer:ident $cell:expr, $kind:literal;)*) => {
        $(impl $layer {
            /// With H = `hidden` numbers of state.
            pub fn new(hidden: usize) -> Self {
                let form = Form {
                    op: Recurrent::new($cell),
                    hidden,
                    layers: 1,
                    bidirectional: false,
                    sequence: false,
                };
                Self { form, name: None }
            }

            /// So many on top of one another: each reads the states of the one below.
            pub fn layers(mut self, layers: usize) -> Self {
                self.form.layers = layers;
                self
            }

            /// From the last step to the first.
            pub fn reversed(mut self) -> Self {
                self.form.op.reverse = true;
                self
            }

            /// Forwards and backwards side by side: 2·H numbers, the forward ones first.
            pub fn bidirectional(mut self) -> Self {
                self.form.bidirectional = true;
                self
            }

            /// Gives the states of all steps rather than the last one's.
            pub fn sequence(mut self) -> Self {
                self.form.sequence = true;
                self
            }

            /// The layer's output for the sequence `x`, which begins with states of zeros.
            ///
            /// # Errors
            /// When `x` is no sequence `[N, T, features]`, or there is nothing to compute.
            pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
                self.on_from(x, &[])
            }

            /// The same from these first states `[N, H]` (an LSTM's `[N, 2·H]`: h, then c): one for each layer
            /// and direction, a layer's forward one first.
            ///
            /// # Errors
            /// As `on`, and when their number or shape is another.
            pub fn on_from(&self, x: &Symbol, first: &[&Symbol]) -> Result<Symbol, GraphError> {
                let _scope = Scope::enter($kind, self.name.as_deref());
                self.form.on($kind, x, first)
            }
        })*
    };
}

recurrent_layers! {
    Rnn Cell::Rnn, "rnn";
    Lstm Cell::Lstm, "lstm";
    Gru Cell::Gru, "gru";
}

impl Rnn {
    /// φ = max(0, ·).
    pub fn relu(mut self) -> Self {
        self.form.op.state = Squash::Relu;
        self
    }
}

impl Gru {
    /// Multiplies the state by the reset gate before its product with U_n, not behind it.
    pub fn reset_before(mut self) -> Self {
        self.form.op.cell = Cell::GruResetBefore;
        self
    }
}

impl Form {
    fn directions(&self) -> &'static [bool] {
        match (self.bidirectional, self.op.reverse) {
            (true, _) => &[false, true],
            (false, false) => &[false],
            (false, true) => &[true],
        }
    }

    fn on(&self, kind: &str, x: &Symbol, first: &[&Symbol]) -> Result<Symbol, GraphError> {
        axes::<3>(kind, x, "a sequence [N, T, features]")?;
        let wanted = self.layers * self.directions().len();
        if self.hidden * self.layers == 0 || !(first.is_empty() || first.len() == wanted) {
            let message = format!(
                "needs at least one layer, one number of state, and {wanted} first states or none; found {} layers of {} and {} first states",
                self.layers,
                self.hidden,
                first.len()
            );
            return Err(GraphError::shape(kind, message));
        }
        let mut y = x.clone();
        for layer in 0..self.layers {
            let mut sides = Vec::new();
            for &reverse in self.directions() {
                let from = first.get(layer * self.directions().len() + sides.len());
                let states = self.direction(&y, layer, reverse, from.copied())?;
                let last = layer + 1 == self.layers && !self.sequence;
                sides.push(if last {
                    last_state(&states, reverse)?
                } else {
                    states
                });
            }
            y = match &sides[..] {
                [one] => one.clone(),
                sides => Concat::new().on(&sides.iter().collect::<Vec<_>>())?,
            };
        }
        Ok(y)
    }

    /// The states `[N, T, H]` of one layer in one direction.
    fn direction(
        &self,
        x: &Symbol,
        layer: usize,
        reverse: bool,
        first: Option<&Symbol>,
    ) -> Result<Symbol, GraphError> {
        let (steps, features) = (x.shape()[1], x.shape()[2]);
        let width = self.op.cell.gates() * self.hidden;
        let init = Init::Uniform((self.hidden as f32).sqrt().recip());
        let parameter = |what: &str, shape: &[usize]| {
            // A lone direction has the plain name, whichever it is.
            let side = if reverse && self.bidirectional {
                "_reverse"
            } else {
                ""
            };
            Symbol::parameter(&format!("{what}_l{layer}{side}"), shape.to_vec(), init)
        };
        let (weight, bias) = (
            parameter("weight_ih", &[features, width]),
            parameter("bias_ih", &[width]),
        );
        let of_state = parameter("weight_hh", &[self.hidden, width]);
        let state_bias = parameter("bias_hh", &[width]);
        let rows = x.reshape(&[Axis::Rest, Axis::Keep(2)])?;
        let z = rows.matmul(&weight)?.add(&bias)?;
        let z = z.reshape(&[Axis::Rest, Axis::Length(steps), Axis::Keep(1)])?;
        let op = Recurrent { reverse, ..self.op };
        let mut reads = vec![&z, &of_state, &state_bias];
        reads.extend(first);
        Slice::new(2, 0..self.hidden).on(&Symbol::apply(op, &reads)?)
    }
}

/// The state behind the last step in the order of the sequence.
fn last_state(states: &Symbol, reverse: bool) -> Result<Symbol, GraphError> {
    let at = if reverse { 0 } else { states.shape()[1] - 1 };
    Slice::new(1, at..at + 1)
        .on(states)?
        .reshape(&[Axis::Keep(0), Axis::Keep(2)])
}
