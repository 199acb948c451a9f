//! Normalisations.

use graph::Symbol;
use graph::ops::{BatchNorm, LayerNorm, LocalResponseNorm, ReduceKind, UnaryKind as U};

use super::super::importer::{Importer, Value};
use super::super::live::{Live, channels_last, identity};
use super::super::node::{Node, axes, axis, size};
use super::super::{DataType, Trouble};
use super::Rule;
use super::binary::broadcast;

pub const RULES: &[(&str, Rule)] = &[
    ("BatchNormalization", batch_norm),
    ("InstanceNormalization", instance_norm),
    ("LayerNormalization", layer_norm),
    ("GroupNormalization", group_norm),
    ("RMSNormalization", rms_norm),
    ("MeanVarianceNormalization", mean_variance),
    ("LpNormalization", lp_norm),
    ("LRN", local_response),
];

fn batch_norm(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let training = node.flag("training_mode", false)?;
    if (node.wants(1) && !training) || node.int("spatial", 1)? == 0 {
        return Err(Trouble::unsupported(
            "a normalisation of each pixel by itself, or one that shows its statistics,",
        ));
    }
    let x = cx.live(node, 0)?;
    if x.rank() < 2 {
        return Err(Trouble::malformed(format!(
            "needs an axis of channels, found {:?}",
            x.shape()
        )));
    }
    let x = x.arranged(&channels_last(x.rank()))?;
    if training {
        return by_the_batch(cx, node, &x);
    }
    let mut vectors = Vec::new();
    for (k, role) in [
        (1, "weight"),
        (2, "bias"),
        (3, "running_mean"),
        (4, "running_var"),
    ] {
        let value = cx.operand(node, k)?;
        vectors.push(cx.weight(&value, &identity(value.rank()), role, k < 3)?.symbol);
    }
    let op = BatchNorm {
        epsilon: node.float("epsilon", 1e-5),
        momentum: 1.0 - node.float("momentum", 0.9),
        frozen: false,
    };
    let y = Symbol::apply(
        op,
        &[&x.symbol, &vectors[0], &vectors[1], &vectors[2], &vectors[3]],
    )?;
    Ok(vec![x.with(y).into()])
}

/// y and the running statistics moved by those of the samples at hand.
fn by_the_batch(cx: &mut Importer, node: &Node, x: &Live) -> Result<Vec<Value>, Trouble> {
    if x.batch.is_some() {
        return Err(Trouble::unsupported(
            "a normalisation by the statistics of the batch when the network is used",
        ));
    }
    let over: Vec<usize> = (0..x.rank() - 1).collect();
    let [centred, inverse, mean] = standardised(&x.symbol, &over, node.float("epsilon", 1e-5))?;
    let variance = centred.unary(U::Square)?.reduce(ReduceKind::Mean, &over)?;
    let (scale, bias) = (vector(cx, node, 1, "weight")?, vector(cx, node, 2, "bias")?);
    let y = centred.mul(&inverse)?.mul(&scale)?.add(&bias)?;
    let kept = node.float("momentum", 0.9);
    let mut results = vec![x.with(y).into()];
    for (k, of) in [(3, mean), (4, variance)] {
        let before = cx.live(node, k)?.in_order()?;
        let of = of.reshape(&[graph::ops::Axis::Rest])?.affine(1.0 - kept, 0.0)?;
        results.push(before.with(before.symbol.affine(kept, 0.0)?.add(&of)?).into());
    }
    Ok(results)
}

/// x minus its mean, and 1/√(σ² + ε), over axes of the symbol.
fn standardised(x: &Symbol, over: &[usize], epsilon: f32) -> Result<[Symbol; 3], Trouble> {
    let mean = x.reduce(ReduceKind::Mean, over)?;
    let centred = x.sub(&mean)?;
    let variance = centred.unary(U::Square)?.reduce(ReduceKind::Mean, over)?;
    let deviation = variance.affine(1.0, epsilon)?.unary(U::Sqrt)?;
    let inverse = Symbol::constant(1.0, []).div(&deviation)?;
    Ok([centred, inverse, mean])
}

/// A vector along the last axis of the symbol.
fn vector(cx: &mut Importer, node: &Node, k: usize, role: &str) -> Result<Symbol, Trouble> {
    cx.parameter(node, k, role)
}

fn instance_norm(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.picture(node, 0)?;
    let x = x.arranged(&channels_last(x.rank()))?;
    let over: Vec<usize> = (1..x.rank() - 1).collect();
    let [centred, inverse, _] = standardised(&x.symbol, &over, node.float("epsilon", 1e-5))?;
    let (scale, bias) = (vector(cx, node, 1, "weight")?, vector(cx, node, 2, "bias")?);
    let y = centred.mul(&inverse)?.mul(&scale)?.add(&bias)?;
    Ok(vec![x.with(y).into()])
}

/// Scale and shift behind a normalisation whose axes are those of the file.
fn scaled(cx: &mut Importer, node: &Node, y: &Live, places: [usize; 2]) -> Result<Live, Trouble> {
    let mut y = y.clone();
    for (k, role) in [(places[0], "weight"), (places[1], "bias")] {
        if let Some(value) = cx.operand_if(node, k)? {
            let kind = y.kind;
            let value = match value {
                // Every scale of a normalisation is trained, one that is a constant or a single number too.
                Value::Known(_) => cx.weight(&value, &identity(value.rank()), role, true)?.into(),
                live => live,
            };
            let pair = broadcast(cx, &[y.clone().into(), value], None)?;
            let symbol = match role {
                "weight" => pair.symbols[0].mul(&pair.symbols[1])?,
                _ => pair.symbols[0].add(&pair.symbols[1])?,
            };
            y = pair.value(symbol).of_kind(kind);
        }
    }
    Ok(y)
}

fn layer_norm(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let at = node.axis("axis", -1, x.rank())?;
    let epsilon = node.float("epsilon", 1e-5);
    if at + 1 == x.rank() && !node.wants(1) && !node.wants(2) {
        let x = x.with_last(at)?;
        let length = x.shape()[at];
        let scale = vector(cx, node, 1, "weight")?;
        let bias = match cx.operand_if(node, 2)? {
            Some(_) => vector(cx, node, 2, "bias")?,
            None => Symbol::constant(0.0, [length]),
        };
        if scale.shape()[..] == [length] && bias.shape()[..] == [length] {
            let y = Symbol::apply(LayerNorm { epsilon }, &[&x.symbol, &scale, &bias])?;
            return Ok(vec![x.with(y).into()]);
        }
    }
    let x = x.in_order()?;
    let over: Vec<usize> = (at..x.rank()).collect();
    let [centred, inverse, mean] = standardised(&x.symbol, &over, epsilon)?;
    let y = scaled(cx, node, &x.with(centred.mul(&inverse)?), [1, 2])?;
    Ok(vec![y.into(), x.with(mean).into(), x.with(inverse).into()])
}

fn rms_norm(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let at = node.axis("axis", -1, x.rank())?;
    let over: Vec<usize> = (at..x.rank()).map(|a| x.place(a)).collect();
    let square = x.symbol.unary(U::Square)?.reduce(ReduceKind::Mean, &over)?;
    let root = square.affine(1.0, node.float("epsilon", 1e-5))?.unary(U::Sqrt)?;
    let y = scaled(cx, node, &x.with(x.symbol.div(&root)?), [1, usize::MAX])?;
    Ok(vec![y.into()])
}

fn group_norm(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?.in_order()?;
    let (shape, groups) = (x.shape(), size("num_groups", node.int("num_groups", 1)?)?);
    if shape.len() < 2 || groups == 0 || !shape[1].is_multiple_of(groups) {
        return Err(Trouble::malformed(format!(
            "channels of {shape:?} cannot be split into {groups} groups"
        )));
    }
    let rest = shape[2..].iter().product();
    let split = x.reshaped(&[shape[0], groups, shape[1] / groups, rest])?;
    let [centred, inverse, _] = standardised(&split.symbol, &[2, 3], node.float("epsilon", 1e-5))?;
    let y = split.with(centred.mul(&inverse)?);
    // Before opset 21 there was one scale for each group.
    let each = cx.operand(node, 1)?.shape() == [groups] && groups != shape[1];
    let y = if each { y } else { y.reshaped(&shape)? };
    let mut scaled = y;
    for (k, role) in [(1, "weight"), (2, "bias")] {
        let vector = vector(cx, node, k, role)?;
        let length = vector.shape().elements();
        let mut axes = vec![graph::ops::Axis::Length(1); scaled.rank() - 2];
        axes.insert(0, graph::ops::Axis::Length(length));
        let vector = vector.reshape(&axes)?;
        let held = scaled.in_order()?;
        scaled = held.with(match role {
            "weight" => held.symbol.mul(&vector)?,
            _ => held.symbol.add(&vector)?,
        });
    }
    Ok(vec![scaled.reshaped(&shape)?.into()])
}

fn mean_variance(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let over = axes(node.ints("axes").unwrap_or(&[0, 2, 3]), x.rank())?;
    if x.batch.is_some_and(|b| over.contains(&b)) {
        return Err(Trouble::unsupported(
            "a normalisation by the statistics of the batch when the network is used",
        ));
    }
    let over: Vec<usize> = over.iter().map(|&a| x.place(a)).collect();
    let [centred, _, _] = standardised(&x.symbol, &over, 0.0)?;
    let deviation = centred
        .unary(U::Square)?
        .reduce(ReduceKind::Mean, &over)?
        .unary(U::Sqrt)?;
    Ok(vec![x.with(centred.div(&deviation.affine(1.0, 1e-9)?)?).into()])
}

fn lp_norm(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let at = x.place(axis(node.int("axis", -1)?, x.rank())?);
    let norm = match node.int("p", 2)? {
        1 => x.symbol.unary(U::Abs)?.reduce(ReduceKind::Sum, &[at])?,
        2 => x
            .symbol
            .unary(U::Square)?
            .reduce(ReduceKind::Sum, &[at])?
            .unary(U::Sqrt)?,
        p => return Err(Trouble::malformed(format!("p is {p}, expected 1 or 2"))),
    };
    Ok(vec![x.with(x.symbol.div(&norm)?).into()])
}

fn local_response(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.picture(node, 0)?;
    let x = x.arranged(&channels_last(x.rank()))?;
    let channels = size("size", node.int("size", 0)?)?;
    if channels.is_multiple_of(2) {
        return Err(Trouble::unsupported(format!(
            "a window of {channels} channels (an odd number is)"
        )));
    }
    let op = LocalResponseNorm {
        size: channels,
        alpha: node.float("alpha", 1e-4),
        beta: node.float("beta", 0.75),
        k: node.float("bias", 1.0),
    };
    Ok(vec![
        x.with(Symbol::apply(op, &[&x.symbol])?)
            .of_kind(DataType::Float)
            .into(),
    ])
}
