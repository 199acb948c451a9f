//! Shapes, and ops that move elements without computing.

use graph::Symbol;
use graph::ops::{Slice, Take};

use super::super::fold::{axis_of, list};
use super::super::importer::{Importer, Value, bounded};
use super::super::live::Live;
use super::super::node::{Node, axes, axis, size};
use super::super::{Host, Trouble};
use super::Rule;
use super::binary::broadcast;
use crate::onnx::host::strides;

pub const RULES: &[(&str, Rule)] = &[
    ("Reshape", reshape),
    ("Flatten", reshape),
    ("Squeeze", squeeze),
    ("Unsqueeze", unsqueeze),
    ("Transpose", transpose),
    ("Concat", concat),
    ("Split", split),
    ("Slice", slice),
    ("Expand", expand),
    ("Tile", tile),
];

/// Lengths of axes.
pub fn lengths(values: &[i64]) -> Result<Vec<usize>, Trouble> {
    values.iter().map(|&v| size("shape", v)).collect()
}

/// Where each axis of the result of a transpose comes from.
pub fn permutation(node: &Node, rank: usize) -> Result<Vec<usize>, Trouble> {
    let Some(order) = node.ints("perm").filter(|p| !p.is_empty() || rank == 0) else {
        return Ok((0..rank).rev().collect());
    };
    let order: Vec<usize> = order.iter().map(|&a| axis(a, rank)).collect::<Result<_, _>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted != (0..rank).collect::<Vec<_>>() {
        return Err(Trouble::malformed(format!(
            "perm {order:?} is no order of {rank} axes"
        )));
    }
    Ok(order)
}

/// The shape that a reshape, flattening, squeeze or unsqueeze of `old` goes to.
///
/// # Errors
/// When it would hold another number of elements.
pub fn new_shape(cx: &mut Importer, node: &Node, old: &[usize]) -> Result<Vec<usize>, Trouble> {
    let listed = |cx: &mut Importer, name: &str| -> Result<Option<Vec<i64>>, Trouble> {
        Ok(match cx.known_if(node, 1)? {
            Some(host) => Some(list(&host)),
            None => node.ints(name).map(<[i64]>::to_vec),
        })
    };
    Ok(match node.proto.op_type.as_str() {
        "Flatten" => {
            let rank = old.len() as i64;
            let at = node.int("axis", 1)?;
            let at = if at < 0 { at + rank } else { at };
            let at = usize::try_from(at).ok().filter(|&a| a <= old.len());
            let at = at.ok_or_else(|| {
                Trouble::malformed(format!(
                    "axis {} is none of {rank} axes",
                    node.int("axis", 1).unwrap_or(0)
                ))
            })?;
            vec![old[..at].iter().product(), old[at..].iter().product()]
        }
        "Squeeze" => {
            let over = match listed(cx, "axes")? {
                Some(values) => axes(&values, old.len())?,
                None => (0..old.len()).filter(|&a| old[a] == 1).collect(),
            };
            if let Some(axis) = over.iter().find(|&&a| old[a] != 1) {
                return Err(Trouble::malformed(format!(
                    "axis {axis} of {old:?} has length {}, only 1 can be taken away",
                    old[*axis]
                )));
            }
            (0..old.len())
                .filter(|a| !over.contains(a))
                .map(|a| old[a])
                .collect()
        }
        "Unsqueeze" => {
            let values = listed(cx, "axes")?.unwrap_or_default();
            let added = axes(&values, old.len() + values.len())?;
            let mut rest = old.iter();
            let length = |a| {
                if added.contains(&a) {
                    Some(1)
                } else {
                    rest.next().copied()
                }
            };
            (0..old.len() + added.len()).filter_map(length).collect()
        }
        _ => {
            let values = listed(cx, "shape")?.unwrap_or_default();
            resolved(&values, old, node.flag("allowzero", false)?)?
        }
    })
}

/// A shape in which 0 stands for the old length and −1 for what is left.
///
/// # Errors
/// When the elements do not fill it.
pub fn resolved(values: &[i64], old: &[usize], zero: bool) -> Result<Vec<usize>, Trouble> {
    let wrong = || Trouble::malformed(format!("elements of shape {old:?} do not fill shape {values:?}"));
    let mut shape = Vec::new();
    for (i, &value) in values.iter().enumerate() {
        shape.push(match value {
            -1 => 1,
            0 if !zero => *old.get(i).ok_or_else(wrong)?,
            value => size("shape", value)?,
        });
    }
    let count: usize = old.iter().product();
    if let Some(rest) = values.iter().position(|&v| v == -1) {
        let others = crate::onnx::host::elements(&shape)
            .filter(|&n| n > 0)
            .ok_or_else(wrong)?;
        shape[rest] = count / others;
    }
    match crate::onnx::host::elements(&shape) == Some(count) {
        true => Ok(shape),
        false => Err(wrong()),
    }
}

fn reshape(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let shape = new_shape(cx, node, &x.shape())?;
    Ok(vec![x.reshaped(&shape)?.into()])
}

fn squeeze(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let given = match cx.known_if(node, 1)? {
        Some(host) => Some(list(&host)),
        None => node.ints("axes").map(<[i64]>::to_vec),
    };
    let shape = x.shape();
    let over = match given {
        Some(values) => axes(&values, x.rank())?,
        None => (0..x.rank())
            .filter(|&a| shape[a] == 1 && x.batch != Some(a))
            .collect(),
    };
    Ok(vec![x.squeezed(&over)?.into()])
}

fn unsqueeze(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let values = match cx.known_if(node, 1)? {
        Some(host) => list(&host),
        None => node.ints("axes").unwrap_or_default().to_vec(),
    };
    let added = axes(&values, x.rank() + values.len())?;
    bounded(&vec![1; x.rank() + added.len()])?;
    Ok(vec![x.unsqueezed(&added)?.into()])
}

fn transpose(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let order = permutation(node, x.rank())?;
    Ok(vec![x.transposed(&order).into()])
}

fn concat(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let values: Vec<Value> = cx
        .operands(node)?
        .into_iter()
        .filter(|v| v.host().is_none_or(|h| !h.is_empty()))
        .collect();
    let Some(first) = values.first() else {
        return Err(Trouble::malformed("has no operands"));
    };
    let at = node.axis("axis", 1, first.rank())?;
    Ok(vec![joined(cx, &values, at)?.into()])
}

/// Tensors one after another along an axis of the file.
pub fn joined(cx: &mut Importer, values: &[Value], at: usize) -> Result<Live, Trouble> {
    let lead = values.iter().find_map(|v| match v {
        Value::Live(live) => Some(live.clone()),
        Value::Known(_) => None,
    });
    let Some(lead) = lead else {
        let lives: Vec<Live> = values.iter().map(|v| cx.run(v)).collect::<Result<_, _>>()?;
        let symbols: Vec<&Symbol> = lives.iter().map(|l| &l.symbol).collect();
        return Ok(Live::plain(Symbol::concat(&symbols, at)?, lives[0].kind));
    };
    let batch = values.iter().find_map(|v| match v {
        Value::Live(live) => live.batch,
        Value::Known(_) => None,
    });
    if batch == Some(at) {
        return Err(Trouble::unsupported("joining along the batch axis"));
    }
    let mut parts = Vec::new();
    for value in values {
        if value.rank() != lead.rank() {
            return Err(Trouble::malformed(format!(
                "joins tensors of {} and {} axes",
                lead.rank(),
                value.rank()
            )));
        }
        let part = match Importer::trained(value) {
            true => cx.weight(value, &lead.order, "weight", true)?,
            false => cx.run(value)?.arranged(&lead.order)?,
        };
        parts.push(repeated(&part, batch, &lead, values)?);
    }
    let symbols: Vec<&Symbol> = parts.iter().collect();
    let symbol = Symbol::concat(&symbols, lead.place(at))?;
    Ok(Live {
        batch,
        ..lead.with(symbol)
    })
}

/// What no batch multiplies, once for each sample of its neighbours.
fn repeated(part: &Live, batch: Option<usize>, lead: &Live, values: &[Value]) -> Result<Symbol, Trouble> {
    let (Some(axis), None) = (batch, part.batch) else {
        return Ok(part.symbol.clone());
    };
    let batched = values.iter().find_map(|v| match v {
        Value::Live(live) if live.batch.is_some() => Some(live),
        _ => None,
    });
    let Some(other) = batched else {
        return Ok(part.symbol.clone());
    };
    let mut one = other.arranged(&lead.order)?;
    for a in (0..one.rank()).filter(|&a| a != axis) {
        one = one.with(cut(&one.symbol, one.place(a), 0, 1, 1)?);
    }
    Ok(part.symbol.add(&one.symbol.affine(0.0, 0.0)?)?)
}

/// Elements `start, start + step, …` along an axis of a symbol.
pub fn cut(x: &Symbol, axis: usize, start: usize, length: usize, step: usize) -> Result<Symbol, Trouble> {
    if start == 0 && step == 1 && x.shape().get(axis) == Some(&length) {
        return Ok(x.clone());
    }
    Ok(Symbol::apply(
        Slice {
            axis,
            start,
            length,
            step,
        },
        &[x],
    )?)
}

fn split(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let at = node.axis("axis", 0, x.rank())?;
    let (length, count) = (x.shape()[at], node.proto.output.len());
    let given = match cx.known_if(node, 1)? {
        Some(host) => Some(list(&host)),
        None => node.ints("split").map(<[i64]>::to_vec),
    };
    let parts = match given {
        Some(parts) => lengths(&parts)?,
        None => {
            let each = length.div_ceil(count.max(1));
            (0..count)
                .map(|k| each.min(length.saturating_sub(k * each)))
                .collect()
        }
    };
    if parts.len() < count || parts.iter().sum::<usize>() != length || x.batch == Some(at) {
        return Err(Trouble::malformed(format!(
            "axis {at} of length {length} cannot be split into {count} parts of {parts:?}"
        )));
    }
    let (mut start, mut results) = (0, Vec::new());
    for length in parts {
        if length == 0 {
            return Err(Trouble::unsupported("a part without elements"));
        }
        results.push(x.with(cut(&x.symbol, x.place(at), start, length, 1)?).into());
        start += length;
    }
    Ok(results)
}

/// Along which axes a slice goes, and start, end and step of each.
fn cuts(cx: &mut Importer, node: &Node, rank: usize) -> Result<Vec<(usize, [i64; 3])>, Trouble> {
    let given = |k: usize, name: &str| -> Result<Option<Vec<i64>>, Trouble> {
        Ok(match cx.known_if(node, k)? {
            Some(host) => Some(list(&host)),
            None => node.ints(name).map(<[i64]>::to_vec),
        })
    };
    let (starts, ends) = (
        given(1, "starts")?.unwrap_or_default(),
        given(2, "ends")?.unwrap_or_default(),
    );
    let over = given(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = given(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), over.len(), steps.len()] != [starts.len(); 3] {
        return Err(Trouble::malformed(
            "starts, ends, axes and steps differ in number",
        ));
    }
    let cut = |k: usize| Ok((axis(over[k], rank)?, [starts[k], ends[k], steps[k]]));
    (0..starts.len()).map(cut).collect()
}

fn slice(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let mut x = cx.live(node, 0)?;
    for (at, cut) in cuts(cx, node, x.rank())? {
        x = sliced(cx, &x, at, cut)?;
    }
    Ok(vec![x.into()])
}

/// A slice of known numbers, which may be left without any.
pub fn sliced_host(cx: &mut Importer, node: &Node, host: &Host) -> Result<Host, Trouble> {
    let mut host = host.clone();
    for (at, cut) in cuts(cx, node, host.shape.len())? {
        let (first, count) = range(cut, host.shape[at])?;
        let mut shape = host.shape.clone();
        shape[at] = count as usize;
        cx.spend(&shape)?;
        let own = strides(&host.shape);
        let mut steps: Vec<i64> = own.iter().map(|&s| s as i64).collect();
        steps[at] = steps[at].wrapping_mul(cut[2]);
        let place = |index: usize| {
            let mut rest = index;
            let mut at_place = first * own[at] as i64;
            for axis in (0..shape.len()).rev() {
                at_place += (rest % shape[axis]) as i64 * steps[axis];
                rest /= shape[axis];
            }
            at_place as usize
        };
        host = host.picked(&shape, (0..shape.iter().product()).map(place));
    }
    Ok(host)
}

/// The first element and the number of elements of `start:end:step`.
fn range([start, end, step]: [i64; 3], length: usize) -> Result<(i64, i64), Trouble> {
    let length = length as i64;
    let from_start = |v: i64| if v < 0 { v.saturating_add(length) } else { v };
    let (first, last) = match step {
        0 => return Err(Trouble::malformed("a step of 0")),
        _ if length == 0 => (0, 0),
        1.. => (
            from_start(start).clamp(0, length),
            from_start(end).clamp(0, length),
        ),
        _ => (
            from_start(start).clamp(0, length - 1),
            from_start(end).clamp(-1, length - 1),
        ),
    };
    let room = if step > 0 { last - first } else { first - last };
    Ok(match room > 0 {
        true => (first, (room - 1) / step.saturating_abs() + 1),
        false => (first, 0),
    })
}

/// Python's `x[start:end:step]` along an axis.
fn sliced(cx: &mut Importer, x: &Live, at: usize, [start, end, step]: [i64; 3]) -> Result<Live, Trouble> {
    let length = x.shape()[at] as i64;
    let (first, count) = range([start, end, step], x.shape()[at])?;
    if x.batch == Some(at) {
        return match (first, count, step) {
            (0, n, 1) if n == length => Ok(x.clone()),
            _ => Err(Trouble::unsupported("a slice of the batch axis")),
        };
    }
    if count == 0 {
        return Err(Trouble::unsupported("a slice without elements"));
    }
    let place = x.place(at);
    let symbol = match step > 0 {
        true => cut(
            &x.symbol,
            place,
            first as usize,
            count as usize,
            step.min(length) as usize,
        )?,
        false => {
            let places: Vec<f32> = (0..count)
                .map(|k| first.saturating_add(k.saturating_mul(step)) as f32)
                .collect();
            Symbol::apply(Take { axis: place }, &[&x.symbol, &cx.places(places)?])?
        }
    };
    Ok(x.with(symbol))
}

fn expand(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.operand(node, 0)?;
    let shape = lengths(&list(&cx.known(node, 1)?))?;
    Ok(vec![expanded(cx, &x, &shape)?.into()])
}

/// Whether an expansion leaves a tensor as it is.
pub fn is_idle_expand(cx: &mut Importer, node: &Node, of: &Host) -> Result<bool, Trouble> {
    let shape = lengths(&list(&cx.known(node, 1)?))?;
    let full = graph::Shape::new(&of.shape).broadcast(&graph::Shape::new(&shape));
    Ok(full.is_some_and(|full| full[..] == of.shape[..]))
}

/// Repeated to what its shape and another broadcast to.
pub fn expanded(cx: &mut Importer, x: &Value, shape: &[usize]) -> Result<Live, Trouble> {
    let own = graph::Shape::new(&x.shape());
    let full = own.broadcast(&graph::Shape::new(shape));
    let full = full.ok_or_else(|| Trouble::malformed(format!("{own} does not broadcast with {shape:?}")))?;
    bounded(&full)?;
    if full == own {
        return cx.run(x);
    }
    let zeros = Live::plain(Symbol::constant(0.0, full.clone()), x.kind());
    let role = Importer::trained(x).then_some("weight");
    let pair = broadcast(cx, &[x.clone(), zeros.into()], role)?;
    let symbol = pair.symbols[0].add(&pair.symbols[1])?;
    Ok(pair.value(symbol))
}

fn tile(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let mut x = cx.live(node, 0)?;
    let mut repeats = lengths(&list(&cx.known(node, 1)?))?;
    if let Some(at) = cx.known_if(node, 2)? {
        // Opset 1: one number and the axis it is for.
        let at = axis_of(&at, x.rank())?;
        let times = repeats.first().copied().unwrap_or(1);
        repeats = vec![1; x.rank()];
        repeats[at] = times;
    }
    if repeats.len() != x.rank() {
        return Err(Trouble::malformed(format!(
            "{} repetitions for {} axes",
            repeats.len(),
            x.rank()
        )));
    }
    for (at, &times) in repeats.iter().enumerate().filter(|(_, t)| **t != 1) {
        let mut shape = x.shape();
        shape[at] = shape[at].saturating_mul(times);
        bounded(&shape)?;
        if x.batch == Some(at) {
            return Err(Trouble::unsupported("repeating the batch axis"));
        }
        let (length, place) = (x.shape()[at], x.place(at));
        let places = cx.places((0..shape[at]).map(|i| (i % length) as f32).collect())?;
        x = x.with(Symbol::apply(Take { axis: place }, &[&x.symbol, &places])?);
    }
    Ok(vec![x.into()])
}
