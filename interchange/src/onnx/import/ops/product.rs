//! Products of matrices.

use graph::Symbol;
use graph::ops::{Axis, MatMul, ReduceKind};

use super::super::Trouble;
use super::super::importer::{Importer, Value, bounded};
use super::super::live::{Live, identity};
use super::super::node::Node;
use super::Rule;

pub const RULES: &[(&str, Rule)] = &[("MatMul", matmul), ("Gemm", gemm), ("Einsum", einsum)];

fn matmul(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let (a, b) = (cx.operand(node, 0)?, cx.operand(node, 1)?);
    Ok(vec![product(cx, &a, &b)?.into()])
}

/// a·b as NumPy's `matmul` has it. A matrix of known numbers is a trained parameter.
pub fn product(cx: &mut Importer, a: &Value, b: &Value) -> Result<Live, Trouble> {
    if a.rank() == 0 || b.rank() == 0 {
        return Err(Trouble::malformed(
            "a product of matrices needs axes on both sides",
        ));
    }
    let a = cx.weight(a, &identity(a.rank()), "weight", true)?;
    let b = match b {
        Value::Known(_) => cx.weight(b, &identity(b.rank()), "weight", true)?,
        Value::Live(live) => live.clone(),
    };
    let (lone_a, lone_b) = (a.rank() == 1, b.rank() == 1);
    let a = if lone_a { a.unsqueezed(&[0])? } else { a };
    let b = if lone_b { b.unsqueezed(&[1])? } else { b };
    let (sa, sb) = (a.shape(), b.shape());
    if sa[sa.len() - 1] != sb[sb.len() - 2] {
        return Err(Trouble::malformed(format!(
            "inner lengths of {sa:?} and {sb:?} differ"
        )));
    }
    let y = match b.rank() {
        2 if b.batch.is_none() => rows(&a, &b)?,
        _ => stacked(&a, &b)?,
    };
    let last = y.rank() - 1;
    Ok(match (lone_a, lone_b) {
        (true, true) => y.squeezed(&[last - 1, last])?,
        (true, false) => y.squeezed(&[last - 1])?,
        (false, true) => y.squeezed(&[last])?,
        _ => y,
    })
}

/// The symbol of a matrix (or a stack of them), and whether its last two axes stand the other way round.
fn operand(x: &Live) -> Result<(Symbol, bool), Trouble> {
    let rank = x.rank();
    let mut turned = identity(rank);
    turned.swap(rank - 2, rank - 1);
    Ok(match x.order == turned {
        true => (x.symbol.clone(), true),
        false => (x.in_order()?.symbol, false),
    })
}

/// Every row of a, whatever axes count them, times one matrix.
fn rows(a: &Live, b: &Live) -> Result<Live, Trouble> {
    let (matrix, transpose_b) = operand(b)?;
    let columns = b.shape()[1];
    let last = a.rank() - 1;
    // Which order the other axes stand in does not matter; rows of one sample must stay together.
    let batch_first = a.batch.is_none_or(|b| a.order.first() == Some(&b));
    let a = if batch_first && a.order.last() == Some(&last) {
        a.clone()
    } else {
        a.in_order()?
    };
    let op = MatMul {
        transpose_a: false,
        transpose_b,
    };
    let shape = a.symbol.shape().clone();
    let flat = match shape.rank() {
        2 => a.symbol.clone(),
        _ => a.symbol.reshape(&[Axis::Rest, Axis::Length(shape.last_axis())])?,
    };
    let y = Symbol::apply(op, &[&flat, &matrix])?;
    if shape.rank() == 2 {
        return Ok(a.with(y));
    }
    let batch = a.batch.map(|b| a.place(b));
    let mut axes: Vec<Axis> = shape.iter().map(|&l| Axis::Length(l)).collect();
    axes[shape.rank() - 1] = Axis::Length(columns);
    if let Some(batch) = batch {
        axes[batch] = Axis::Rest;
    }
    Ok(a.with(y.reshape(&axes)?))
}

/// Products of stacks of matrices whose leading axes broadcast.
fn stacked(a: &Live, b: &Live) -> Result<Live, Trouble> {
    let rank = a.rank().max(b.rank());
    let widened = |x: &Live| x.unsqueezed(&(0..rank - x.rank()).collect::<Vec<_>>());
    let (a, b) = (widened(a)?, widened(b)?);
    let (sa, sb) = (a.shape(), b.shape());
    let lead: Option<Vec<usize>> = (0..rank - 2)
        .map(|k| match (sa[k], sb[k]) {
            (x, y) if x == y || y == 1 => Some(x),
            (1, y) => Some(y),
            _ => None,
        })
        .collect();
    let lead = lead
        .ok_or_else(|| Trouble::malformed(format!("leading axes of {sa:?} and {sb:?} do not broadcast")))?;
    if let (Some(x), Some(y)) = (a.batch, b.batch)
        && x != y
    {
        return Err(Trouble::unsupported(
            "samples along different axes of two factors",
        ));
    }
    let batch = a.batch.or(b.batch);
    let (x, y) = (repeated(&a, &b, &lead)?, repeated(&b, &a, &lead)?);
    let ((x, transpose_a), (y, transpose_b)) = (operand(&x)?, operand(&y)?);
    let symbol = Symbol::apply(
        MatMul {
            transpose_a,
            transpose_b,
        },
        &[&x, &y],
    )?;
    Ok(Live {
        batch,
        ..Live::plain(symbol, a.kind)
    })
}

/// A factor repeated along the leading axes that only the other one has.
fn repeated(x: &Live, other: &Live, lead: &[usize]) -> Result<Live, Trouble> {
    let shape = x.shape();
    let short = (0..lead.len()).any(|k| shape[k] != lead[k]) || (x.batch.is_none() && other.batch.is_some());
    if !short {
        return Ok(x.clone());
    }
    let mut wide = lead.to_vec();
    wide.extend(&shape[lead.len()..]);
    bounded(&wide)?;
    let x = x.in_order()?;
    let zeros = Symbol::constant(0.0, wide);
    let mut symbol = x.symbol.add(&zeros)?;
    if let (None, Some(axis)) = (x.batch, other.batch) {
        // One number for each sample of the other factor, of which only the shape is used.
        let mut one = other.in_order()?.symbol;
        for a in (0..one.shape().rank()).filter(|&a| a != axis) {
            one = super::shapes::cut(&one, a, 0, 1, 1)?;
        }
        symbol = symbol.add(&one.affine(0.0, 0.0)?)?;
    }
    Ok(Live {
        batch: x.batch.or(other.batch),
        ..x.with(symbol)
    })
}

/// α·A·B + β·C
fn gemm(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
    let mut factors = Vec::new();
    for (k, flag) in [(0, "transA"), (1, "transB")] {
        let value = cx.operand(node, k)?;
        if value.rank() != 2 {
            return Err(Trouble::malformed(format!(
                "operand {k} has shape {:?}, expected two axes",
                value.shape()
            )));
        }
        let turned = node.flag(flag, false)?;
        // A parameter is held as it is used: [in, out].
        let order = if turned { vec![1, 0] } else { vec![0, 1] };
        let live = match &value {
            Value::Known(_) => cx.weight(&value, &order, "weight", true)?,
            Value::Live(live) => live.clone(),
        };
        factors.push(if turned { live.transposed(&[1, 0]) } else { live });
    }
    let mut y = product(cx, &factors[0].clone().into(), &factors[1].clone().into())?;
    if alpha != 1.0 {
        y = y.with(y.symbol.affine(alpha, 0.0)?);
    }
    if let Some(c) = cx.operand_if(node, 2)? {
        let c: Value = match &c {
            Value::Known(known) if known.host.len() > 1 => {
                cx.weight(&c, &identity(c.rank()), "bias", true)?.into()
            }
            _ => c,
        };
        let pair = super::binary::broadcast(cx, &[y.into(), c], None)?;
        let c = match beta {
            1.0 => pair.symbols[1].clone(),
            beta => pair.symbols[1].affine(beta, 0.0)?,
        };
        y = pair.value(pair.symbols[0].add(&c)?);
    }
    Ok(vec![y.into()])
}

/// Sums of products of one or two tensors, axes named by letters.
fn einsum(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let equation: String = node
        .text("equation", "")?
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left.to_string(), Some(right.to_string())),
        None => (equation.clone(), None),
    };
    let values = cx.operands(node)?;
    let names: Vec<Vec<char>> = left
        .split(',')
        .zip(&values)
        .map(|(names, value)| spelled(names, value.rank()))
        .collect::<Result<_, _>>()?;
    if values.len() != left.split(',').count() || values.is_empty() || values.len() > 2 {
        return Err(Trouble::unsupported(format!(
            "the equation `{equation}` over {} operands (one or two are)",
            values.len()
        )));
    }
    let all: String = names.iter().flatten().collect();
    let output = match right {
        Some(right) => {
            let dots = names
                .iter()
                .flatten()
                .filter(|c| c.is_ascii_digit())
                .collect::<std::collections::BTreeSet<_>>()
                .len();
            let letters = right.replace("...", "").chars().count();
            spelled(&right, letters + dots).map(|r| {
                if right.contains("...") {
                    r
                } else {
                    right.chars().collect()
                }
            })?
        }
        None => {
            let mut once: Vec<char> = all
                .chars()
                .filter(|c| c.is_ascii_digit() || all.matches(*c).count() == 1)
                .collect();
            once.sort_unstable();
            once.dedup();
            once
        }
    };
    let mut lives = Vec::new();
    for (value, names) in values.iter().zip(&names) {
        let live = match value {
            Value::Known(_) => cx.weight(value, &identity(value.rank()), "weight", true)?,
            Value::Live(live) => live.clone(),
        };
        let mut sorted = names.clone();
        sorted.sort_unstable();
        if sorted.windows(2).any(|p| p[0] == p[1]) || live.rank() != names.len() {
            return Err(Trouble::unsupported(format!(
                "the equation `{equation}`, which takes a diagonal or names other axes than there are,"
            )));
        }
        lives.push(live);
    }
    let y = match &lives[..] {
        [x] => summed(x, &names[0], &output)?,
        [a, b] => contracted(cx, a, b, &names, &output)?,
        _ => return Err(Trouble::malformed("has no operands")),
    };
    Ok(vec![y.into()])
}

/// One character for each axis; those of an ellipsis are digits that count from the last.
fn spelled(names: &str, rank: usize) -> Result<Vec<char>, Trouble> {
    let Some((before, behind)) = names.split_once("...") else {
        return Ok(names.chars().collect());
    };
    let own = before.chars().count() + behind.chars().count();
    let free = rank.checked_sub(own).filter(|f| *f < 10);
    let free = free.ok_or_else(|| Trouble::malformed(format!("`{names}` does not fit {rank} axes")))?;
    let digits = (0..free).rev().map(|d| char::from(b'0' + d as u8));
    Ok(before.chars().chain(digits).chain(behind.chars()).collect())
}

/// Summed over the axes that the result does not have, the others in its order.
fn summed(x: &Live, names: &[char], output: &[char]) -> Result<Live, Trouble> {
    let gone: Vec<usize> = (0..names.len())
        .filter(|&a| !output.contains(&names[a]))
        .collect();
    let mut y = x.clone();
    if !gone.is_empty() {
        if x.batch.is_some_and(|b| gone.contains(&b)) {
            return Err(Trouble::unsupported("a sum over the batch"));
        }
        let over: Vec<usize> = gone.iter().map(|&a| x.place(a)).collect();
        y = x.with(x.symbol.reduce(ReduceKind::Sum, &over)?).squeezed(&gone)?;
    }
    let left: Vec<char> = names.iter().copied().filter(|n| output.contains(n)).collect();
    let order: Option<Vec<usize>> = output.iter().map(|n| left.iter().position(|l| l == n)).collect();
    let order = order.filter(|o| o.len() == left.len());
    let order = order.ok_or_else(|| Trouble::malformed("the result names an axis that no operand has"))?;
    Ok(y.transposed(&order))
}

/// A product of stacks of matrices: shared axes that stay, own axes of each, and those summed over.
fn contracted(
    cx: &mut Importer,
    a: &Live,
    b: &Live,
    names: &[Vec<char>],
    output: &[char],
) -> Result<Live, Trouble> {
    let (na, nb) = (&names[0], &names[1]);
    // What only one operand has and the result has not is summed first.
    let kept = |own: &[char], other: &[char]| -> Vec<char> {
        own.iter()
            .copied()
            .filter(|c| output.contains(c) || other.contains(c))
            .collect()
    };
    let (ka, kb) = (kept(na, nb), kept(nb, na));
    let (a, b) = (summed(a, na, &ka)?, summed(b, nb, &kb)?);
    let shared: Vec<char> = ka
        .iter()
        .copied()
        .filter(|c| kb.contains(c) && output.contains(c))
        .collect();
    let inner: Vec<char> = ka
        .iter()
        .copied()
        .filter(|c| kb.contains(c) && !output.contains(c))
        .collect();
    let own = |k: &[char]| -> Vec<char> {
        k.iter()
            .copied()
            .filter(|c| !shared.contains(c) && !inner.contains(c))
            .collect()
    };
    let (oa, ob) = (own(&ka), own(&kb));
    let arranged =
        |x: &Live, names: &[char], order: &[&[char]]| -> Result<(Live, Vec<Vec<usize>>), Trouble> {
            let flat: Vec<char> = order.concat();
            let y = summed(x, names, &flat)?;
            let shape = y.shape();
            let mut at = 0;
            let lengths = order.iter().map(|part| {
                at += part.len();
                shape[at - part.len()..at].to_vec()
            });
            Ok((y.clone(), lengths.collect()))
        };
    let (x, lx) = arranged(&a, &ka, &[&shared, &oa, &inner])?;
    let (y, ly) = arranged(&b, &kb, &[&shared, &inner, &ob])?;
    if lx[2] != ly[1] {
        return Err(Trouble::malformed(
            "operands differ in the length of an axis that is summed over",
        ));
    }
    let size = |l: &[usize]| l.iter().product::<usize>();
    let x = x.reshaped(&[&lx[0][..], &[size(&lx[1]), size(&lx[2])]].concat())?;
    let y = y.reshaped(&[&ly[0][..], &[size(&ly[1]), size(&ly[2])]].concat())?;
    let z = product(cx, &x.into(), &y.into())?;
    let lead: Vec<usize> = z.shape()[..shared.len()].to_vec();
    let z = z.reshaped(&[&lead[..], &lx[1], &ly[2]].concat())?;
    summed(&z, &[shared, oa, ob].concat(), output)
}
