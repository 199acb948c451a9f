//! Dense layers, the gradients of their weights, and sums over samples.

use graph::ops::UnaryKind as K;

use super::code::{At, Batch, Code, Function, LANES, Then};
use super::math::{by_lane, exp, rare, rare_slope, sigmoid, tanh, with_kind, with_slope, with_unary};
use super::run::Bases;
use super::vector::Vector;

#[inline(always)]
pub(super) fn dense<V: Vector>(code: &Code, batch: Batch, m: Bases<V>) {
    let Code::Dense { m: outs, .. } = *code else {
        return;
    };
    let outs = outs as usize;
    for block in 0..batch.blocks {
        let mut o = 0;
        while V::WIDE >= 8 && o + 8 <= outs {
            dense_rows::<V, 8>(code, batch, block, o, m);
            o += 8;
        }
        while o + 4 <= outs {
            dense_rows::<V, 4>(code, batch, block, o, m);
            o += 4;
        }
        while o < outs {
            dense_rows::<V, 1>(code, batch, block, o, m);
            o += 1;
        }
    }
}

/// `G` rows of a dense layer's result from row `o` on.
#[inline(always)]
fn dense_rows<V: Vector, const G: usize>(code: &Code, batch: Batch, block: usize, o: usize, m: Bases<V>) {
    let Code::Dense {
        x,
        weights,
        bias,
        out,
        k,
        step_k,
        step_m,
        then,
        ..
    } = *code
    else {
        return;
    };
    let (step_k, step_m) = (step_k as usize, step_m as usize);
    let mut sums = [m.number(0.0); G];
    if let Some(bias) = bias {
        for (j, sum) in sums.iter_mut().enumerate() {
            *sum = m.splat(bias, o + j);
        }
    }
    for i in 0..k as usize {
        let x = m.load(x, (i * batch.blocks + block) * LANES);
        for (j, sum) in sums.iter_mut().enumerate() {
            *sum = m.splat(weights, i * step_k + (o + j) * step_m).fma(x, *sum);
        }
    }
    let place = |j: usize| ((o + j) * batch.blocks + block) * LANES;
    macro_rules! function {
        ($x:ident => $f:expr) => {
            for sum in &mut sums {
                let $x = *sum;
                *sum = $f;
            }
        };
    }
    match then {
        Then::Nothing => {}
        Then::Function(function) => with_kind!(function, kind => with_unary!(kind, x, function)),
        Then::Slope(function, v) => {
            macro_rules! slope {
                ($v:ident => $f:expr) => {
                    for (j, sum) in sums.iter_mut().enumerate() {
                        let $v = m.load(v, place(j));
                        *sum = sum.mul($f);
                    }
                };
            }
            with_kind!(function, kind => with_slope!(kind, v, slope));
        }
    }
    for (j, &sum) in sums.iter().enumerate() {
        m.store(out, place(j), sum);
    }
}

/// The sum of a row's vectors, with zeros where no sample is.
#[inline(always)]
pub(super) fn live_sum<V: Vector>(m: Bases<V>, batch: Batch, x: At, row: usize) -> V {
    let at = row * batch.row();
    let end = m.load(x, at + (batch.blocks - 1) * LANES);
    let mut sum = end.keep(end.first(batch.last));
    for block in 0..batch.blocks - 1 {
        sum = sum.add(m.load(x, at + block * LANES));
    }
    sum
}

#[inline(always)]
pub(super) fn sum_lanes<V: Vector>(m: Bases<V>, batch: Batch, x: At, out: At, rows: usize, scale: f32) {
    let mut row = 0;
    while row < rows {
        let count = (rows - row).min(4);
        let mut four = [m.number(0.0); 4];
        for (j, sum) in four.iter_mut().enumerate().take(count) {
            *sum = live_sum(m, batch, x, row + j);
        }
        let sums = V::sums(four).map(|s| s * scale);
        m.put_first(out, row, &sums, count);
        row += 4;
    }
}

/// The sum over blocks of two rows' products, with zeros where no sample is.
#[inline(always)]
pub(super) fn products<V: Vector>(m: Bases<V>, batch: Batch, [x, g]: [At; 2], [i, o]: [usize; 2]) -> V {
    let (i, o) = (i * batch.row(), o * batch.row());
    let last = (batch.blocks - 1) * LANES;
    let end = m.load(x, i + last).mul(m.load(g, o + last));
    let mut sum = end.keep(end.first(batch.last));
    for block in 0..batch.blocks - 1 {
        let plus = block * LANES;
        sum = m.load(x, i + plus).fma(m.load(g, o + plus), sum);
    }
    sum
}

#[inline(always)]
pub(super) fn outer<V: Vector>(code: &Code, batch: Batch, m: Bases<V>) {
    let Code::Outer {
        x,
        g,
        out,
        sums,
        k,
        m: columns,
    } = *code
    else {
        return;
    };
    let (k, columns) = (k as usize, columns as usize);
    if let Some(sums) = sums {
        sum_lanes(m, batch, g, sums, columns, 1.0);
    }
    if columns == 1 {
        // A column is a row then, and its results lie side by side.
        return outer_row(m, batch, [g, x], out, (0, k));
    }
    for i in 0..k {
        outer_row(m, batch, [x, g], out, (i, columns));
    }
}

/// The products of row `i` of x with `columns` rows of g, summed over samples.
#[inline(always)]
fn outer_row<V: Vector>(m: Bases<V>, batch: Batch, xg: [At; 2], out: At, (i, columns): (usize, usize)) {
    let start = i * columns;
    let mut o = 0;
    while o + 4 <= columns {
        let mut four = [m.number(0.0); 4];
        for (j, sum) in four.iter_mut().enumerate() {
            *sum = products(m, batch, xg, [i, o + j]);
        }
        m.put_first(out, start + o, &V::sums(four), 4);
        o += 4;
    }
    if o < columns {
        let mut four = [m.number(0.0); 4];
        for (j, sum) in four.iter_mut().enumerate().take(columns - o) {
            *sum = products(m, batch, xg, [i, o + j]);
        }
        m.put_first(out, start + o, &V::sums(four), columns - o);
    }
}
