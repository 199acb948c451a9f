//! LSTM whose gates look at the cell's state (Gers & Schmidhuber 2000), step by step.

use graph::ops::{Axis, Recurrent, Squash, UnaryKind as U};
use graph::{GraphError, Symbol};

use super::super::super::Trouble;
use super::super::shapes::cut;

/// Steps that are written out.
const MOST_STEPS: usize = 512;

/// One direction.
pub struct Lstm {
    pub op: Recurrent,
    pub hidden: usize,
    /// `[H, 4·H]`, gates i, f, g, o.
    pub weights: Symbol,
    /// `[4·H]`
    pub bias: Symbol,
    /// `[3·H]`, as ONNX has them: i, o, f.
    pub peepholes: Symbol,
}

fn squash(kind: Squash, x: &Symbol) -> Result<Symbol, GraphError> {
    match kind {
        Squash::Tanh => x.unary(U::Tanh),
        Squash::Sigmoid => x.unary(U::Sigmoid),
        Squash::Relu => x.unary(U::Relu),
        Squash::HardSigmoid => {
            let y = x.affine(0.2, 0.5)?.maximum(&Symbol::constant(0.0, []))?;
            y.minimum(&Symbol::constant(1.0, []))
        }
        Squash::Linear => Ok(x.clone()),
    }
}

impl Lstm {
    /// h and c of every step, `[N, T, 2·H]`, for z `[N, T, 4·H]` and perhaps a first state `[N, 2·H]`.
    pub fn states(&self, z: &Symbol, first: Option<&Symbol>) -> Result<Symbol, Trouble> {
        let steps = z.shape()[1];
        if steps > MOST_STEPS || self.op.clip.is_some() {
            return Err(Trouble::unsupported(format!(
                "a cell with peepholes over {steps} steps, or with a clip,"
            )));
        }
        let part = |x: &Symbol, k: usize| cut(x, 1, k * self.hidden, self.hidden, 1);
        let mut state = first
            .map(|s| Ok::<_, Trouble>((part(s, 0)?, part(s, 1)?)))
            .transpose()?;
        let mut all = vec![None; steps];
        for k in 0..steps {
            let t = if self.op.reverse { steps - 1 - k } else { k };
            let (h, c) = self.step(
                &cut(z, 1, t, 1, 1)?.reshape(&[Axis::Keep(0), Axis::Keep(2)])?,
                state.as_ref(),
            )?;
            let both = Symbol::concat(&[&h, &c], 1)?;
            all[t] = Some(both.reshape(&[Axis::Rest, Axis::Length(1), Axis::Length(2 * self.hidden)])?);
            state = Some((h, c));
        }
        let all: Vec<Symbol> = all.into_iter().flatten().collect();
        Ok(Symbol::concat(&all.iter().collect::<Vec<_>>(), 1)?)
    }

    fn step(&self, z: &Symbol, state: Option<&(Symbol, Symbol)>) -> Result<(Symbol, Symbol), Trouble> {
        let a = z.add(&self.bias)?;
        let a = match state {
            Some((h, _)) => a.add(&h.matmul(&self.weights)?)?,
            None => a,
        };
        let part = |k: usize| cut(&a, 1, k * self.hidden, self.hidden, 1);
        let looking = |gate: Symbol, k: usize, c: Option<&Symbol>| -> Result<Symbol, Trouble> {
            let gate = match c {
                Some(c) => gate.add(&c.mul(&cut(&self.peepholes, 0, k * self.hidden, self.hidden, 1)?)?)?,
                None => gate,
            };
            Ok(squash(self.op.gate, &gate)?)
        };
        let before = state.map(|(_, c)| c);
        let (i, f) = (looking(part(0)?, 0, before)?, looking(part(1)?, 2, before)?);
        let new = i.mul(&squash(self.op.state, &part(2)?)?)?;
        let c = match before {
            Some(before) => f.mul(before)?.add(&new)?,
            None => new,
        };
        let o = looking(part(3)?, 1, Some(&c))?;
        let h = o.mul(&squash(self.op.state, &c)?)?;
        Ok((h, c))
    }
}
