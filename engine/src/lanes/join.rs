//! Joins neighbouring instructions: a dense layer with its bias and activation, the gradient of its input
//! with the activation's derivative, gradients of weights and bias, and the squares of a sum. Each
//! instruction that goes saves its dispatch and a round trip through memory.

use graph::ops::{BinaryKind, UnaryKind};

use super::program::Part;
use crate::kernels::lanes::{At, Batch, Code, Function, Memory, Operand, Then, Walk};

/// Joins what can be joined, to the same results. `kept` is what must be in memory after a run, besides
/// the gradients. Every element is written by one instruction at most, and those that read it come later.
pub(super) fn join(code: &mut Vec<Code>, parts: &mut Vec<Part>, batch: Batch, kept: &[(At, usize)]) {
    let mut second = 1;
    while second < code.len() {
        let found = (0..second).rev().find_map(|first| {
            let joined = pair(&code[first], &code[second], batch)
                .filter(|_| private(code, first, second, batch, kept))
                .or_else(|| gradients(code, first, second, batch));
            joined.map(|joined| (first, joined))
        });
        let Some((first, joined)) = found else {
            second += 1;
            continue;
        };
        // The later place: all operands are there.
        code[second] = joined;
        parts[second] = both(&parts[first], &parts[second]);
        code.remove(first);
        parts.remove(first);
    }
}

/// One instruction for a value and what is made of it alone.
fn pair(first: &Code, second: &Code, batch: Batch) -> Option<Code> {
    match (*first, *second) {
        (
            Code::Unary {
                kind: UnaryKind::Square,
                x,
                out: middle,
                walk,
            },
            Code::SumAll {
                x: squares,
                out,
                rows,
                scale,
                squared: false,
            },
        ) if middle == squares && walk == Walk::lanes(rows as usize, batch) && whole(x, x.at, batch) => {
            Some(Code::SumAll {
                x: x.at,
                out,
                rows,
                scale,
                squared: true,
            })
        }
        (Code::Dense { .. }, _) => dense(*first, second, batch),
        _ => None,
    }
}

/// A dense layer's instruction that does the second one on the way out.
fn dense(mut first: Code, second: &Code, batch: Batch) -> Option<Code> {
    let Code::Dense {
        bias, out, m, then, ..
    } = &mut first
    else {
        return None;
    };
    if *then != Then::Nothing {
        return None;
    }
    let (to, walk) = match *second {
        Code::Binary {
            kind: BinaryKind::Add,
            a,
            b,
            out: to,
            walk,
        } if bias.is_none() => {
            let other = if whole(a, *out, batch) {
                b
            } else {
                Some(a).filter(|_| whole(b, *out, batch))?
            };
            if !other.splat || (other.step != 1 && *m != 1) {
                return None;
            }
            *bias = Some(other.at);
            (to, walk)
        }
        Code::Unary {
            kind,
            x,
            out: to,
            walk,
        } if whole(x, *out, batch) => {
            *then = Then::Function(Function::of(kind)?);
            (to, walk)
        }
        Code::Slope {
            kind,
            g,
            v,
            out: to,
            walk,
        } if whole(g, *out, batch) && v.at != *out && whole(v, v.at, batch) => {
            *then = Then::Slope(Function::of(kind)?, v.at);
            (to, walk)
        }
        _ => return None,
    };
    *out = to;
    (walk == Walk::lanes(*m as usize, batch)).then_some(first)
}

/// Whether an operand is every row of lanes from `at` on.
fn whole(operand: Operand, at: At, batch: Batch) -> bool {
    operand.at == at && !operand.splat && operand.step as usize == batch.row()
}

/// The gradients of a layer's weights and bias in one instruction, whichever comes first.
fn gradients(code: &[Code], first: usize, second: usize, batch: Batch) -> Option<Code> {
    let (mut outer, sum) = match (code[first], code[second]) {
        (outer @ Code::Outer { .. }, sum) | (sum, outer @ Code::Outer { .. }) => (outer, sum),
        _ => return None,
    };
    let (x, out, rows, scale) = match sum {
        Code::SumLanes { x, out, rows, scale } => (x, out, rows, scale),
        // Of one row it is the same.
        Code::SumAll {
            x,
            out,
            rows: 1,
            scale,
            squared: false,
        } => (x, out, 1, scale),
        _ => return None,
    };
    let Code::Outer { g, sums, m, .. } = &mut outer else {
        return None;
    };
    if *g != x || *m != rows || scale != 1.0 || sums.is_some() {
        return None;
    }
    *sums = Some(out);
    // Nobody may read of the first before the second is done.
    let written = match code[first] {
        Code::Outer { out, k, m, .. } => (out, (k * m) as usize),
        _ => (out, rows as usize),
    };
    let between = &code[first + 1..second];
    (!between.iter().any(|code| touches(code, written, batch))).then_some(outer)
}

/// Whether the first instruction's result is read by the second alone.
fn private(code: &[Code], first: usize, second: usize, batch: Batch, kept: &[(At, usize)]) -> bool {
    let (out, rows) = match code[first] {
        Code::Dense { out, m, .. } => (out, m),
        Code::Unary { out, walk, .. } => (out, walk.rows),
        _ => return false,
    };
    let middle = (out, rows as usize * batch.row());
    let others = code
        .iter()
        .enumerate()
        .filter(|(k, _)| ![first, second].contains(k));
    out.memory == Memory::Arena
        && !kept.iter().any(|&run| overlap(run, middle))
        && !others.into_iter().any(|(_, code)| touches(code, middle, batch))
}

fn touches(code: &Code, run: (At, usize), batch: Batch) -> bool {
    code.touched(batch)
        .into_iter()
        .any(|touched| overlap(touched, run))
}

fn overlap((a, m): (At, usize), (b, n): (At, usize)) -> bool {
    let (from, to) = (a.offset as usize, b.offset as usize);
    a.memory == b.memory && from < to + n && to < from + m
}

/// The part of a joined instruction: named after the one with more arithmetic, with that of both.
fn both(first: &Part, second: &Part) -> Part {
    let main = if first.arithmetic.macs >= second.arithmetic.macs {
        first
    } else {
        second
    };
    let mut arithmetic = main.arithmetic;
    let other = if std::ptr::eq(main, first) { second } else { first };
    arithmetic.macs += other.arithmetic.macs;
    arithmetic.flops += other.arithmetic.flops;
    Part {
        op: main.op,
        symbol: main.symbol.clone(),
        arithmetic,
        bytes: first.bytes + second.bytes,
    }
}
