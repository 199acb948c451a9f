//! The element-wise part of a step, for the rows of a group.
//!
//! y is the trace of the step (rows `y_row` apart), z what it reads (rows `z_row` apart), `product` what the
//! state before gives, d the slopes (rows `d_row` apart). The rows of `state` and `later` lie close.

use graph::ops::Squash;

use crate::kernels::math::{sigmoid, tanh};
use crate::per_isa;

/// What a cell's loops need to know of it.
#[derive(Clone, Copy)]
pub(super) struct Spec {
    pub(super) gate: Squash,
    pub(super) state: Squash,
    /// Largest size of a function's argument.
    pub(super) limit: f32,
    /// H
    pub(super) hidden: usize,
}

#[inline(always)]
fn squash(kind: Squash, x: &mut [f32]) {
    match kind {
        Squash::Tanh => x.iter_mut().for_each(|v| *v = tanh(*v)),
        Squash::Sigmoid => x.iter_mut().for_each(|v| *v = sigmoid(*v)),
        Squash::Relu => x.iter_mut().for_each(|v| *v = if *v < 0.0 { 0.0 } else { *v }),
        Squash::HardSigmoid => x.iter_mut().for_each(|v| *v = (0.2 * *v + 0.5).clamp(0.0, 1.0)),
        Squash::Linear => {}
    }
}

/// `to` = function(z + product), clipped before.
#[inline(always)]
fn activate(spec: &Spec, kind: Squash, z: &[f32], product: &[f32], to: &mut [f32]) {
    for ((to, z), p) in to.iter_mut().zip(z).zip(product) {
        *to = (z + p).clamp(-spec.limit, spec.limit);
    }
    squash(kind, to);
}

/// d times the derivative where the function's value is y.
#[inline(always)]
fn pull(kind: Squash, limit: f32, y: &[f32], d: &mut [f32]) {
    let pairs = d.iter_mut().zip(y);
    match kind {
        Squash::Tanh => pairs.for_each(|(d, y)| *d *= 1.0 - y * y),
        Squash::Sigmoid => pairs.for_each(|(d, y)| *d *= y * (1.0 - y)),
        Squash::Relu => pairs.for_each(|(d, y)| *d = if *y > 0.0 { *d } else { 0.0 }),
        Squash::HardSigmoid => {
            pairs.for_each(|(d, y)| *d = if *y > 0.0 && *y < 1.0 { 0.2 * *d } else { 0.0 });
        }
        Squash::Linear => {}
    }
    if limit.is_finite() {
        let mut ends = [-limit, limit];
        squash(kind, &mut ends);
        let pairs = d.iter_mut().zip(y);
        pairs.for_each(|(d, y)| *d = if *y > ends[0] && *y < ends[1] { *d } else { 0.0 });
    }
}

per_isa!(
    pub(super) fn rnn(
        spec: Spec,
        z: &[f32],
        z_row: usize,
        product: &[f32],
        state: &mut [f32],
        y: &mut [f32],
        y_row: usize,
    ) {
        let n = spec.hidden;
        for (r, (p, s)) in product.chunks_exact(n).zip(state.chunks_exact_mut(n)).enumerate() {
            let y = &mut y[r * y_row..][..n];
            activate(&spec, spec.state, &z[r * z_row..][..n], p, y);
            s.copy_from_slice(y);
        }
    }
);

per_isa!(
    pub(super) fn lstm(
        spec: Spec,
        z: &[f32],
        z_row: usize,
        product: &[f32],
        state: &mut [f32],
        y: &mut [f32],
        y_row: usize,
    ) {
        let n = spec.hidden;
        for (r, (p, s)) in product
            .chunks_exact(4 * n)
            .zip(state.chunks_exact_mut(2 * n))
            .enumerate()
        {
            let z = &z[r * z_row..][..4 * n];
            let (states, gates) = y[r * y_row..][..6 * n].split_at_mut(2 * n);
            activate(&spec, spec.gate, &z[..2 * n], &p[..2 * n], &mut gates[..2 * n]);
            activate(
                &spec,
                spec.state,
                &z[2 * n..3 * n],
                &p[2 * n..3 * n],
                &mut gates[2 * n..3 * n],
            );
            activate(&spec, spec.gate, &z[3 * n..], &p[3 * n..], &mut gates[3 * n..]);
            let (h, c) = states.split_at_mut(n);
            let (i, f, g, o) = (
                &gates[..n],
                &gates[n..2 * n],
                &gates[2 * n..3 * n],
                &gates[3 * n..],
            );
            let before = &s[n..2 * n];
            for k in 0..n {
                c[k] = f[k] * before[k] + i[k] * g[k];
            }
            h.copy_from_slice(c);
            squash(spec.state, h);
            h.iter_mut().zip(o).for_each(|(h, o)| *h *= o);
            s.copy_from_slice(states);
        }
    }
);

per_isa!(
    pub(super) fn gru(
        spec: Spec,
        z: &[f32],
        z_row: usize,
        product: &[f32],
        state: &mut [f32],
        y: &mut [f32],
        y_row: usize,
    ) {
        let n = spec.hidden;
        for (r, (p, s)) in product
            .chunks_exact(3 * n)
            .zip(state.chunks_exact_mut(n))
            .enumerate()
        {
            let z = &z[r * z_row..][..3 * n];
            let (h, rest) = y[r * y_row..][..5 * n].split_at_mut(n);
            let (gates, rest) = rest.split_at_mut(2 * n);
            let (new, of_state) = rest.split_at_mut(n);
            activate(&spec, spec.gate, &z[..2 * n], &p[..2 * n], gates);
            of_state.copy_from_slice(&p[2 * n..]);
            let (reset, keep) = gates.split_at(n);
            for k in 0..n {
                h[k] = reset[k] * of_state[k];
            }
            activate(&spec, spec.state, &z[2 * n..], h, new);
            for k in 0..n {
                h[k] = (1.0 - keep[k]) * new[k] + keep[k] * s[k];
            }
            s.copy_from_slice(h);
        }
    }
);

per_isa!(
    /// The first half of a GRU that resets before its product: gates r and z, and σ(r)·h.
    pub(super) fn reset(
        spec: Spec,
        z: &[f32],
        z_row: usize,
        product: &[f32],
        state: &[f32],
        y: &mut [f32],
        y_row: usize,
        reset: &mut [f32],
    ) {
        let n = spec.hidden;
        for (r, (p, s)) in product.chunks_exact(3 * n).zip(state.chunks_exact(n)).enumerate() {
            let gates = &mut y[r * y_row + n..][..2 * n];
            activate(&spec, spec.gate, &z[r * z_row..][..2 * n], &p[..2 * n], gates);
            let reset = &mut reset[r * n..][..n];
            for k in 0..n {
                reset[k] = gates[k] * s[k];
            }
        }
    }
);

per_isa!(
    /// The second half: the new state.
    pub(super) fn gru_before(
        spec: Spec,
        z: &[f32],
        z_row: usize,
        product: &[f32],
        state: &mut [f32],
        y: &mut [f32],
        y_row: usize,
    ) {
        let n = spec.hidden;
        for (r, (p, s)) in product
            .chunks_exact(3 * n)
            .zip(state.chunks_exact_mut(n))
            .enumerate()
        {
            let (h, rest) = y[r * y_row..][..4 * n].split_at_mut(n);
            let (gates, new) = rest.split_at_mut(2 * n);
            activate(&spec, spec.state, &z[r * z_row + 2 * n..][..n], &p[2 * n..], new);
            let keep = &gates[n..];
            for k in 0..n {
                h[k] = (1.0 - keep[k]) * new[k] + keep[k] * s[k];
            }
            s.copy_from_slice(h);
        }
    }
);

per_isa!(
    pub(super) fn rnn_back(
        spec: Spec,
        y: &[f32],
        g: &[f32],
        y_row: usize,
        _before: &[f32],
        _before_row: usize,
        later: &mut [f32],
        d: &mut [f32],
        d_row: usize,
    ) {
        let n = spec.hidden;
        for (r, later) in later.chunks_exact(n).enumerate() {
            let (y, g) = (&y[r * y_row..][..n], &g[r * y_row..][..n]);
            let d = &mut d[r * d_row..][..n];
            for k in 0..n {
                d[k] = g[k] + later[k];
            }
            pull(spec.state, spec.limit, y, d);
        }
    }
);

per_isa!(
    pub(super) fn lstm_back(
        spec: Spec,
        y: &[f32],
        g: &[f32],
        y_row: usize,
        before: &[f32],
        before_row: usize,
        later: &mut [f32],
        d: &mut [f32],
        d_row: usize,
    ) {
        let n = spec.hidden;
        for (r, later) in later.chunks_exact_mut(2 * n).enumerate() {
            let (y, g) = (&y[r * y_row..][..6 * n], &g[r * y_row..][..6 * n]);
            let before = &before[r * before_row..][n..2 * n];
            let d = &mut d[r * d_row..][..4 * n];
            let (later_h, later_c) = later.split_at_mut(n);
            let (c, o) = (&y[n..2 * n], &y[5 * n..]);
            let (bent, rest) = d.split_at_mut(n);
            let (through, rest) = rest.split_at_mut(n);
            let (dg, dout) = rest.split_at_mut(n);
            bent.copy_from_slice(c);
            squash(spec.state, bent);
            for k in 0..n {
                let dh = g[k] + later_h[k];
                through[k] = dh * o[k];
                dout[k] = dh * bent[k] + g[5 * n + k];
            }
            pull(spec.state, f32::INFINITY, bent, through);
            let (i, f, new) = (&y[2 * n..3 * n], &y[3 * n..4 * n], &y[4 * n..5 * n]);
            for k in 0..n {
                let dc = g[n + k] + later_c[k] + through[k];
                bent[k] = dc * new[k] + g[2 * n + k];
                through[k] = dc * before[k] + g[3 * n + k];
                dg[k] = dc * i[k] + g[4 * n + k];
                later_c[k] = dc * f[k];
            }
            pull(spec.gate, spec.limit, i, bent);
            pull(spec.gate, spec.limit, f, through);
            pull(spec.state, spec.limit, new, dg);
            pull(spec.gate, spec.limit, o, dout);
        }
    }
);

/// Slopes of z and n of h = (1 − z)·n + z·before, for one row of a GRU's trace y (h, r, z, n, …).
#[inline(always)]
fn blend_back(
    spec: &Spec,
    y: &[f32],
    g: &[f32],
    before: &[f32],
    later: &mut [f32],
    dz: &mut [f32],
    dn: &mut [f32],
) {
    let n = spec.hidden;
    let (keep, new) = (&y[2 * n..3 * n], &y[3 * n..4 * n]);
    for k in 0..n {
        let dh = g[k] + later[k];
        dn[k] = dh * (1.0 - keep[k]) + g[3 * n + k];
        dz[k] = dh * (before[k] - new[k]) + g[2 * n + k];
        later[k] = dh * keep[k];
    }
    pull(spec.state, spec.limit, new, dn);
    pull(spec.gate, spec.limit, keep, dz);
}

per_isa!(
    pub(super) fn gru_back(
        spec: Spec,
        y: &[f32],
        g: &[f32],
        y_row: usize,
        before: &[f32],
        before_row: usize,
        later: &mut [f32],
        d: &mut [f32],
        d_row: usize,
    ) {
        let n = spec.hidden;
        for (r, later) in later.chunks_exact_mut(n).enumerate() {
            let (y, g) = (&y[r * y_row..][..5 * n], &g[r * y_row..][..5 * n]);
            let before = &before[r * before_row..][..n];
            let reset = &y[n..2 * n];
            let (dr, rest) = d[r * d_row..][..4 * n].split_at_mut(n);
            let (dz, rest) = rest.split_at_mut(n);
            let (du, dn) = rest.split_at_mut(n);
            blend_back(&spec, y, g, before, later, dz, dn);
            for k in 0..n {
                du[k] = dn[k] * reset[k] + g[4 * n + k];
                dr[k] = dn[k] * y[4 * n + k] + g[n + k];
            }
            pull(spec.gate, spec.limit, reset, dr);
        }
    }
);

per_isa!(
    /// Slopes of n and z.
    pub(super) fn gru_before_back(
        spec: Spec,
        y: &[f32],
        g: &[f32],
        y_row: usize,
        before: &[f32],
        before_row: usize,
        later: &mut [f32],
        d: &mut [f32],
        d_row: usize,
    ) {
        let n = spec.hidden;
        for (r, later) in later.chunks_exact_mut(n).enumerate() {
            let (y, g) = (&y[r * y_row..][..4 * n], &g[r * y_row..][..4 * n]);
            let before = &before[r * before_row..][..n];
            let (dz, dn) = d[r * d_row + n..][..2 * n].split_at_mut(n);
            blend_back(&spec, y, g, before, later, dz, dn);
        }
    }
);

per_isa!(
    /// Slopes of r, and what goes back through r·h, given ∂loss/∂(r·h).
    pub(super) fn reset_back(
        spec: Spec,
        y: &[f32],
        g: &[f32],
        y_row: usize,
        before: &[f32],
        before_row: usize,
        reset: &[f32],
        later: &mut [f32],
        d: &mut [f32],
        d_row: usize,
    ) {
        let n = spec.hidden;
        for (r, later) in later.chunks_exact_mut(n).enumerate() {
            let (gate, g) = (&y[r * y_row + n..][..n], &g[r * y_row + n..][..n]);
            let (before, back) = (&before[r * before_row..][..n], &reset[r * n..][..n]);
            let dr = &mut d[r * d_row..][..n];
            for k in 0..n {
                dr[k] = back[k] * before[k] + g[k];
                later[k] += back[k] * gate[k];
            }
            pull(spec.gate, spec.limit, gate, dr);
        }
    }
);
