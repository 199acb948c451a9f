//! Attention, and the rotation of positions.

use graph::Symbol;
use graph::ops::{Select, UnaryKind as U};

use super::super::importer::{Importer, Value};
use super::super::live::Live;
use super::super::node::{Node, size};
use super::super::{DataType, Host, Trouble};
use super::Rule;
use super::binary::broadcast;
use super::product::product;
use super::shapes::{cut, joined};

pub const RULES: &[(&str, Rule)] = &[("Attention", attention), ("RotaryEmbedding", rotary)];

/// `[B, S, H·D]` as `[B, H, S, D]`; what has four axes stays.
fn heads(x: &Live, count: Option<usize>) -> Result<Live, Trouble> {
    let shape = x.shape();
    match (shape.len(), count) {
        (4, _) => Ok(x.clone()),
        (3, Some(count)) if count > 0 && shape[2].is_multiple_of(count) => Ok(x
            .reshaped(&[shape[0], shape[1], count, shape[2] / count])?
            .transposed(&[0, 2, 1, 3])),
        _ => Err(Trouble::malformed(format!(
            "a tensor of shape {shape:?} with {count:?} heads"
        ))),
    }
}

fn attention(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let count = |name: &str| node.int_if(name)?.map(|n| size(name, n)).transpose();
    let (q_heads, kv_heads) = (count("q_num_heads")?, count("kv_num_heads")?);
    let q = cx.live(node, 0)?;
    let flat = q.rank() == 3;
    let q = heads(&q, q_heads)?;
    let mut cached = Vec::new();
    for (k, past) in [(1, 4), (2, 5)] {
        let x = heads(&cx.live(node, k)?, kv_heads)?;
        cached.push(match cx.operand_if(node, past)? {
            Some(past) => joined(cx, &[past, x.into()], 2)?,
            None => x,
        });
    }
    if cx.operand_if(node, 6)?.is_some() && !node.proto.input[6].is_empty() {
        return attend(cx, node, &q, &cached, flat, true);
    }
    attend(cx, node, &q, &cached, flat, false)
}

/// The heads of keys or values repeated, so that there are as many as heads of queries.
fn repeated(cx: &mut Importer, x: &Live, heads: usize) -> Result<Live, Trouble> {
    let shape = x.shape();
    if shape[1] == heads || shape[1] == 0 || !heads.is_multiple_of(shape[1]) {
        return Ok(x.clone());
    }
    let times = heads / shape[1];
    let wide = [shape[0], shape[1], times, shape[2], shape[3]];
    let y = super::shapes::expanded(cx, &x.unsqueezed(&[2])?.into(), &wide)?;
    y.reshaped(&[shape[0], heads, shape[2], shape[3]])
}

fn attend(
    cx: &mut Importer,
    node: &Node,
    q: &Live,
    cached: &[Live],
    flat: bool,
    padded: bool,
) -> Result<Vec<Value>, Trouble> {
    let (shape, [k, v]) = (q.shape(), [&cached[0], &cached[1]]);
    let (k, v) = (repeated(cx, k, shape[1])?, repeated(cx, v, shape[1])?);
    let scale = match node.has("scale") {
        true => node.float("scale", 1.0),
        false => 1.0 / (shape[3] as f32).sqrt(),
    };
    let (rows, columns) = (shape[2], k.shape()[2]);
    let scores = product(cx, &q.clone().into(), &k.transposed(&[0, 1, 3, 2]).into())?;
    let raw = scores.with(scores.symbol.affine(scale, 0.0)?);
    let past = columns.saturating_sub(
        cx.operand(node, 1)?
            .shape()
            .iter()
            .rev()
            .nth(1)
            .copied()
            .unwrap_or(0),
    );
    // A finite number, so that a row that is hidden throughout has weights; who asks for the scores gets −∞.
    let never = if node.wants(3) {
        f32::NEG_INFINITY
    } else {
        f32::MIN
    };
    let mut masked = raw.clone();
    if let Some(mask) = cx.operand_if(node, 3)? {
        masked = with_mask(cx, &masked, &mask, columns, never)?;
    }
    if padded {
        masked = without_padding(cx, node, &masked, columns, never)?;
    }
    if node.flag("is_causal", false)? {
        cx.spend(&[rows, columns])?;
        let seen = |i: usize| f32::from(i % columns <= i / columns + past);
        let seen = Host::floats((0..rows * columns).map(seen).collect(), &[rows, columns]);
        masked = hidden(cx, &masked, &seen.into(), never)?;
    }
    let cap = node.float("softcap", 0.0);
    let capped = match cap > 0.0 {
        true => masked.with(
            masked
                .symbol
                .affine(1.0 / cap, 0.0)?
                .unary(U::Tanh)?
                .affine(cap, 0.0)?,
        ),
        false => masked.clone(),
    };
    let weights = super::softmax::along(&capped, 3, |x| Ok(Symbol::apply(graph::ops::Softmax {}, &[x])?))?;
    let y = product(cx, &weights.clone().into(), &v.clone().into())?;
    let y = match flat {
        true => {
            let s = y.shape();
            y.transposed(&[0, 2, 1, 3]).reshaped(&[s[0], s[2], s[1] * s[3]])?
        }
        false => y,
    };
    let shown = match node.int("qk_matmul_output_mode", 0)? {
        0 => raw,
        1 => masked,
        2 => capped,
        _ => weights,
    };
    Ok(vec![
        y.into(),
        cached[0].clone().into(),
        cached[1].clone().into(),
        shown.into(),
    ])
}

/// Scores where `seen` is not 0, `never` elsewhere.
fn hidden(cx: &mut Importer, scores: &Live, seen: &Value, never: f32) -> Result<Live, Trouble> {
    let pair = broadcast(cx, &[scores.clone().into(), seen.clone()], None)?;
    let never = Symbol::constant(never, []);
    Ok(pair.value(Symbol::apply(
        Select {},
        &[&pair.symbols[1], &pair.symbols[0], &never],
    )?))
}

/// Scores plus a mask, or where a mask of truth values is 1. A mask of fewer columns hides the others.
fn with_mask(
    cx: &mut Importer,
    scores: &Live,
    mask: &Value,
    columns: usize,
    never: f32,
) -> Result<Live, Trouble> {
    let mut mask = cx.run(mask)?;
    let truth = mask.kind == DataType::Bool;
    let shape = mask.shape();
    let width = shape.last().copied().unwrap_or(1);
    if width < columns && width != 1 {
        let mut rest = shape.clone();
        rest[shape.len() - 1] = columns - width;
        cx.spend(&rest)?;
        let fill = Host::floats(
            vec![if truth { 0.0 } else { never }; rest.iter().product()],
            &rest,
        );
        let last = shape.len() - 1;
        mask = joined(cx, &[mask.clone().into(), fill.into()], last)?;
    }
    if truth {
        return hidden(cx, scores, &mask.into(), never);
    }
    let pair = broadcast(cx, &[scores.clone().into(), mask.into()], None)?;
    Ok(pair.value(pair.symbols[0].add(&pair.symbols[1])?))
}

/// Keys behind the length that operand 6 gives for each sample are hidden.
fn without_padding(
    cx: &mut Importer,
    node: &Node,
    scores: &Live,
    columns: usize,
    never: f32,
) -> Result<Live, Trouble> {
    let lengths = cx.live(node, 6)?.unsqueezed(&[1, 2, 3])?;
    let places = Host::floats((0..columns).map(|c| c as f32).collect(), &[1, 1, 1, columns]);
    let pair = broadcast(cx, &[lengths.into(), places.into()], None)?;
    let seen = pair.symbols[0].at_least(&pair.symbols[1].affine(1.0, 1.0)?)?;
    let seen = pair.value(seen);
    hidden(cx, scores, &seen.into(), never)
}

fn rotary(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let flat = x.rank() == 3;
    let heads_count = size("num_heads", node.int("num_heads", 0)?)?;
    // [B, S, H, D]
    let y = heads(&x, Some(heads_count))?.transposed(&[0, 2, 1, 3]);
    let width = y.shape()[3];
    let turned = match size("rotary_embedding_dim", node.int("rotary_embedding_dim", 0)?)? {
        0 => width,
        d => d.min(width),
    };
    let mut caches = Vec::new();
    for k in [1, 2] {
        caches.push(cache(cx, node, k)?);
    }
    let y = y.with_last(3)?;
    let half = turned / 2;
    let spread = node.flag("interleaved", false)?;
    let part = |start: usize, step: usize| -> Result<Live, Trouble> {
        Ok(y.with(cut(&y.symbol, 3, start, half, step)?))
    };
    let (a, b) = if spread {
        (part(0, 2)?, part(1, 2)?)
    } else {
        (part(0, 1)?, part(half, 1)?)
    };
    let mut mixed = |a: &Live, b: &Live, sign: f32| -> Result<Live, Trouble> {
        let first = broadcast(cx, &[a.clone().into(), caches[0].clone()], None)?;
        let second = broadcast(cx, &[b.clone().into(), caches[1].clone()], None)?;
        let y = first.symbols[0].mul(&first.symbols[1])?;
        let z = second.symbols[0].mul(&second.symbols[1])?.affine(sign, 0.0)?;
        Ok(first.value(y.add(&z)?))
    };
    let (real, imaginary) = (mixed(&a, &b, -1.0)?, mixed(&b, &a, 1.0)?);
    let rotated = match spread {
        false => joined(cx, &[real.into(), imaginary.into()], 3)?,
        true => {
            let s = real.shape();
            let pair = joined(
                cx,
                &[real.unsqueezed(&[4])?.into(), imaginary.unsqueezed(&[4])?.into()],
                4,
            )?;
            pair.reshaped(&[s[0], s[1], s[2], turned])?
        }
    };
    let whole = match turned < width {
        true => {
            let rest = y.with(cut(&y.symbol, 3, turned, width - turned, 1)?);
            joined(cx, &[rotated.into(), rest.into()], 3)?
        }
        false => rotated,
    };
    let shape = x.shape();
    Ok(vec![match flat {
        true => whole.reshaped(&shape)?.into(),
        false => whole.transposed(&[0, 2, 1, 3]).into(),
    }])
}

/// Sines or cosines `[B, S, 1, D/2]`, looked up by position where positions are given.
fn cache(cx: &mut Importer, node: &Node, k: usize) -> Result<Value, Trouble> {
    let table = cx.operand(node, k)?;
    let Some(places) = cx.operand_if(node, 3)? else {
        return Ok(cx.run(&table)?.unsqueezed(&[2])?.into());
    };
    let table = cx.run(&table)?;
    if table.batch.is_some() || table.rank() != 2 {
        return Err(Trouble::unsupported(
            "a table of angles that differs between samples",
        ));
    }
    let places = cx.run(&places)?.in_order()?;
    let rows = Symbol::apply(
        graph::ops::Gather {},
        &[&places.symbol, &table.in_order()?.symbol],
    )?;
    let rows = Live {
        batch: places.batch,
        ..Live::plain(rows, table.kind)
    };
    Ok(rows.unsqueezed(&[2])?.into())
}
