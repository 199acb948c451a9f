//! The plain definition of the cells, one sample and one step at a time.

use super::{Cell, Recurrent, Squash};

impl Squash {
    /// Its value.
    fn at(self, x: f64) -> f64 {
        match self {
            Self::Tanh => x.tanh(),
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Relu => x.max(0.0),
            Self::HardSigmoid => (0.2 * x + 0.5).clamp(0.0, 1.0),
            Self::Linear => x,
        }
    }

    /// Its derivative where its value is y.
    fn slope(self, y: f64) -> f64 {
        let inside = |yes: bool, slope: f64| if yes { slope } else { 0.0 };
        match self {
            Self::Tanh => 1.0 - y * y,
            Self::Sigmoid => y * (1.0 - y),
            Self::Relu => inside(y > 0.0, 1.0),
            Self::HardSigmoid => inside(y > 0.0 && y < 1.0, 0.2),
            Self::Linear => 1.0,
        }
    }
}

impl Recurrent {
    fn clipped(&self, squash: Squash, x: f64) -> f64 {
        match self.clip {
            Some(limit) => squash.at(x.clamp(-f64::from(limit), f64::from(limit))),
            None => squash.at(x),
        }
    }

    fn clipped_slope(&self, squash: Squash, y: f64) -> f64 {
        let reached = |limit: f32| y >= squash.at(limit.into()) || y <= squash.at((-limit).into());
        match self.clip {
            Some(limit) if reached(limit) => 0.0,
            _ => squash.slope(y),
        }
    }

    fn order(&self, steps: usize) -> Vec<usize> {
        match self.reverse {
            true => (0..steps).rev().collect(),
            false => (0..steps).collect(),
        }
    }
}

/// x·U for the columns `from..from + x.len()` of U `[H, width]`.
fn product(x: &[f64], u: &[f64], width: usize, from: usize) -> Vec<f64> {
    (from..from + x.len())
        .map(|j| x.iter().enumerate().map(|(k, x)| x * u[k * width + j]).sum())
        .collect()
}

/// d·Uᵀ for d `[count·H]` that stands at the columns from `from` of U `[H, width]`.
fn product_back(d: &[f64], u: &[f64], width: usize, from: usize, hidden: usize) -> Vec<f64> {
    (0..hidden)
        .map(|k| {
            d.iter()
                .enumerate()
                .map(|(j, d)| d * u[k * width + from + j])
                .sum()
        })
        .collect()
}

/// Fills the trace. Operands: z, U, b, perhaps the initial state.
pub(super) fn forward(op: &Recurrent, operands: &[Vec<f64>], steps: usize, trace: &mut [f64]) {
    let (z, u, b) = (&operands[0], &operands[1], &operands[2]);
    let width = b.len();
    let hidden = width / op.cell.gates();
    let (kept, states) = (op.cell.traced() * hidden, op.cell.states() * hidden);
    for (n, trace) in trace.chunks_mut(steps * kept).enumerate() {
        let mut state = match operands.get(3) {
            Some(initial) => initial[n * states..][..states].to_vec(),
            None => vec![0.0; states],
        };
        for t in op.order(steps) {
            let y = &mut trace[t * kept..][..kept];
            step(op, &z[(n * steps + t) * width..][..width], u, b, &state, y);
            state.copy_from_slice(&y[..states]);
        }
    }
}

fn step(op: &Recurrent, z: &[f64], u: &[f64], b: &[f64], state: &[f64], y: &mut [f64]) {
    let width = b.len();
    let hidden = width / op.cell.gates();
    let h = &state[..hidden];
    let of_state: Vec<f64> = (0..op.cell.gates())
        .flat_map(|gate| product(h, u, width, gate * hidden))
        .zip(b)
        .map(|(product, b)| product + b)
        .collect();
    let gate = |k: usize| op.clipped(op.gate, z[k] + of_state[k]);
    let reset: Vec<f64> = (0..hidden).map(|k| gate(k) * h[k]).collect();
    for k in 0..hidden {
        let at = |block: usize| block * hidden + k;
        match op.cell {
            Cell::Rnn => y[k] = op.clipped(op.state, z[k] + of_state[k]),
            Cell::Lstm => {
                let (i, f, o) = (gate(k), gate(at(1)), gate(at(3)));
                let g = op.clipped(op.state, z[at(2)] + of_state[at(2)]);
                let c = f * state[at(1)] + i * g;
                for (block, value) in [o * op.state.at(c), c, i, f, g, o].into_iter().enumerate() {
                    y[at(block)] = value;
                }
            }
            Cell::Gru | Cell::GruResetBefore => {
                let (r, keep) = (gate(k), gate(at(1)));
                let new = match op.cell {
                    Cell::Gru => r * of_state[at(2)],
                    _ => {
                        let column = |j: usize| reset[j] * u[j * width + at(2)];
                        (0..hidden).map(column).sum::<f64>() + b[at(2)]
                    }
                };
                let n = op.clipped(op.state, z[at(2)] + new);
                (y[k], y[at(1)], y[at(2)], y[at(3)]) = ((1.0 - keep) * n + keep * h[k], r, keep, n);
                if op.cell == Cell::Gru {
                    y[at(4)] = of_state[at(2)];
                }
            }
        }
    }
}

/// Fills the slopes. Operands: trace, U, ∂loss/∂trace, perhaps the initial state.
pub(super) fn backward(op: &Recurrent, operands: &[Vec<f64>], steps: usize, slopes: &mut [f64]) {
    let (trace, u, g) = (&operands[0], &operands[1], &operands[2]);
    let hidden = (u.len() / op.cell.gates()).isqrt();
    let (kept, states) = (op.cell.traced() * hidden, op.cell.states() * hidden);
    let width = op.cell.slopes() * hidden;
    let rows = steps + usize::from(operands.len() > 3);
    for (n, slopes) in slopes.chunks_mut(rows * width).enumerate() {
        let mut later = vec![0.0; states];
        let order = op.order(steps);
        for (place, &t) in order.iter().enumerate().rev() {
            let before = match (place.checked_sub(1), operands.get(3)) {
                (Some(p), _) => trace[(n * steps + order[p]) * kept..][..states].to_vec(),
                (None, Some(initial)) => initial[n * states..][..states].to_vec(),
                (None, None) => vec![0.0; states],
            };
            let at = (n * steps + t) * kept;
            let to = &mut slopes[t * width..][..width];
            step_back(
                op,
                &trace[at..][..kept],
                &g[at..][..kept],
                u,
                &before,
                &mut later,
                to,
            );
        }
        if rows > steps {
            slopes[steps * width..][..states].copy_from_slice(&later);
        }
    }
}

/// One step back: `later` is ∂loss/∂(new state) of the steps behind, and becomes that of the state before.
fn step_back(
    op: &Recurrent,
    y: &[f64],
    g: &[f64],
    u: &[f64],
    before: &[f64],
    later: &mut [f64],
    to: &mut [f64],
) {
    let width = u.len() / (u.len() / op.cell.gates()).isqrt();
    let hidden = width / op.cell.gates();
    let at = |block: usize, k: usize| block * hidden + k;
    let gate = |y: f64| op.clipped_slope(op.gate, y);
    let state = |y: f64| op.clipped_slope(op.state, y);
    let mut direct = vec![0.0; hidden];
    for k in 0..hidden {
        let dh = g[k] + later[k];
        match op.cell {
            Cell::Rnn => to[k] = dh * state(y[k]),
            Cell::Lstm => {
                let [c, i, f, new, o] = [1, 2, 3, 4, 5].map(|block| y[at(block, k)]);
                let bent = op.state.at(c);
                let dc = g[at(1, k)] + later[at(1, k)] + dh * o * op.state.slope(bent);
                to[k] = (dc * new + g[at(2, k)]) * gate(i);
                to[at(1, k)] = (dc * before[at(1, k)] + g[at(3, k)]) * gate(f);
                to[at(2, k)] = (dc * i + g[at(4, k)]) * state(new);
                to[at(3, k)] = (dh * bent + g[at(5, k)]) * gate(o);
                later[at(1, k)] = dc * f;
            }
            Cell::Gru | Cell::GruResetBefore => {
                let [r, keep, new] = [1, 2, 3].map(|block| y[at(block, k)]);
                let dn = (dh * (1.0 - keep) + g[at(3, k)]) * state(new);
                to[at(1, k)] = (dh * (before[k] - new) + g[at(2, k)]) * gate(keep);
                direct[k] = dh * keep;
                if op.cell == Cell::Gru {
                    to[at(2, k)] = dn * r + g[at(4, k)];
                    to[at(3, k)] = dn;
                    to[k] = (dn * y[at(4, k)] + g[at(1, k)]) * gate(r);
                } else {
                    to[at(2, k)] = dn;
                }
            }
        }
    }
    if op.cell == Cell::GruResetBefore {
        let back = product_back(&to[2 * hidden..], u, width, 2 * hidden, hidden);
        for k in 0..hidden {
            let r = y[at(1, k)];
            to[k] = (back[k] * before[k] + g[at(1, k)]) * gate(r);
            direct[k] += back[k] * r;
        }
    }
    let gates = match op.cell {
        Cell::GruResetBefore => 2,
        cell => cell.gates(),
    };
    let back = product_back(&to[..gates * hidden], u, width, 0, hidden);
    (0..hidden).for_each(|k| later[k] = back[k] + direct[k]);
}
