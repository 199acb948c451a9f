//! What depends on constants alone is computed during the import: shapes, indices, folded weights.

use graph::Symbol;
use graph::interpret::evaluate as interpret;
use graph::ndarray::ArrayD;

use super::importer::{Importer, Known, Value};
use super::live::{Live, identity};
use super::node::{Node, axes, axis};
use super::ops::rule;
use super::{DataType, Host, Trouble, decode};
use crate::onnx::host::{Numbers, is_float};

/// Constants of more elements are left to the running network, unless they only move.
const MOST_ELEMENTS: usize = 1 << 22;

/// The results of a node whose operands are constants, or of which only the shape matters; `None` if its
/// rule has to be run.
///
/// # Errors
/// When the node is not valid, or its result would be too large.
pub fn fold(importer: &mut Importer, node: &Node) -> Result<Option<Vec<Value>>, Trouble> {
    match node.proto.op_type.as_str() {
        "Constant" => return constant(node).map(|host| Some(vec![host.into()])),
        "Shape" | "Size" => {
            let of = importer.operand(node, 0)?.shape();
            return shape(node, &of).map(|host| Some(vec![host.into()]));
        }
        _ => {}
    }
    let mut hosts = Vec::new();
    for k in 0..node.proto.input.len() {
        match importer.operand_if(node, k)? {
            Some(Value::Live(_)) => return Ok(None),
            Some(Value::Known(known)) => hosts.push(Some(known)),
            None => hosts.push(None),
        }
    }
    let Some(Some(first)) = hosts.first().cloned() else {
        return Ok(None);
    };
    let of: Vec<&Host> = hosts.iter().flatten().map(|k| &k.host).collect();
    match node.proto.op_type.as_str() {
        "Identity" => Ok(Some(vec![Value::Known(first)])),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" => {
            renamed(importer, node, first).map(Some)
        }
        "Slice" => {
            let host = super::ops::sliced_host(importer, node, &first.host)?;
            Ok(Some(vec![host.into()]))
        }
        // A parameter that is repeated no times stays one.
        "Expand" if super::ops::is_idle_expand(importer, node, &first.host)? => {
            Ok(Some(vec![Value::Known(first)]))
        }
        "Gather" | "Concat" | "Expand" | "Tile" | "Split" => moved(importer, node, &hosts).map(Some),
        "Cast" => {
            let kind = super::ops::cast_kind(node)?;
            let host = first.host.cast(kind);
            Ok(Some(vec![Value::Known(Known { host, ..first })]))
        }
        "ConstantOfShape" => of_shape(importer, node, &first.host).map(|host| Some(vec![host.into()])),
        "Range" => range(importer, &of).map(|host| Some(vec![host.into()])),
        name => arithmetic(importer, node, name, &of),
    }
}

/// The value of a node `Constant`.
fn constant(node: &Node) -> Result<Host, Trouble> {
    let floats = |v: Vec<f32>, s: &[usize]| Host::floats(v, s);
    if let Some(tensor) = node.tensor("value") {
        return decode(tensor, None).map_err(|e| Trouble::malformed(e.to_string()));
    }
    if node.has("value_float") {
        return Ok(floats(vec![node.float("value_float", 0.0)], &[]));
    }
    if let Some(values) = node.floats("value_floats") {
        return Ok(floats(values.to_vec(), &[values.len()]));
    }
    if let Some(value) = node.int_if("value_int")? {
        return Ok(Host::whole(vec![value], &[]));
    }
    if let Some(values) = node.ints("value_ints") {
        return Ok(Host::whole(values.to_vec(), &[values.len()]));
    }
    Err(Trouble::unsupported(
        "a constant of text, of a sparse tensor, or of nothing",
    ))
}

/// What `Shape` and `Size` say of a tensor of this shape.
pub fn shape(node: &Node, of: &[usize]) -> Result<Host, Trouble> {
    let shape: Vec<i64> = of.iter().map(|&l| l as i64).collect();
    if node.proto.op_type == "Size" {
        return Ok(Host::whole(vec![shape.iter().product()], &[]));
    }
    let rank = shape.len() as i64;
    let clamp = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
    let (start, end) = (clamp(node.int("start", 0)?), clamp(node.int("end", rank)?));
    let part = shape.get(start..end).unwrap_or_default().to_vec();
    let length = part.len();
    Ok(Host::whole(part, &[length]))
}

fn of_shape(importer: &mut Importer, node: &Node, shape: &Host) -> Result<Host, Trouble> {
    let shape = super::ops::lengths(&shape.to_i64())?;
    let count = importer.spend(&shape)?;
    let Some(tensor) = node.tensor("value") else {
        return Ok(Host::floats(vec![0.0; count], &shape));
    };
    let one = decode(tensor, None).map_err(|e| Trouble::malformed(e.to_string()))?;
    if one.len() != 1 {
        return Err(Trouble::malformed(format!(
            "`value` has {} numbers, expected one",
            one.len()
        )));
    }
    Ok(one.picked(&shape, std::iter::repeat_n(0, count)))
}

fn range(importer: &mut Importer, of: &[&Host]) -> Result<Host, Trouble> {
    let [start, limit, delta] = of else {
        return Err(Trouble::malformed(format!(
            "takes 3 operands, found {}",
            of.len()
        )));
    };
    let number = |h: &Host| h.to_f64().first().copied().unwrap_or(f64::NAN);
    let (first, last, step) = (number(start), number(limit), number(delta));
    let count = ((last - first) / step).ceil().max(0.0);
    if !count.is_finite() {
        return Err(Trouble::malformed(format!(
            "a range from {first} to {last} in steps of {step} does not end"
        )));
    }
    let count = importer.spend(&[count.min(1e15) as usize])?;
    let values = (0..count).map(|i| (first + i as f64 * step) as f32).collect();
    let whole = (0..count)
        .map(|i| (first as i64).wrapping_add((i as i64).wrapping_mul(step as i64)))
        .collect();
    Ok(match start.is_float() {
        true => Host::floats(values, &[count]),
        false => Host {
            kind: start.kind,
            ..Host::whole(whole, &[count])
        },
    })
}

/// Ops under which large tensors keep their numbers, in another order at most.
fn renamed(importer: &mut Importer, node: &Node, known: Known) -> Result<Vec<Value>, Trouble> {
    let host = &known.host;
    if node.proto.op_type == "Transpose" {
        let order = super::ops::permutation(node, host.shape.len())?;
        importer.spend(&host.shape)?;
        let host = host.transposed(&order);
        return Ok(vec![Value::Known(Known {
            host,
            name: None,
            ..known
        })]);
    }
    let shape = super::ops::new_shape(importer, node, &host.shape)?;
    let host = host.reshaped(&shape);
    Ok(vec![Value::Known(Known {
        host,
        name: None,
        ..known
    })])
}

/// Ops that move elements: the rule is run on the elements' places, by which the elements are then taken.
fn moved(importer: &mut Importer, node: &Node, hosts: &[Option<Known>]) -> Result<Vec<Value>, Trouble> {
    let joins = node.proto.op_type == "Concat";
    let count = if joins { hosts.len() } else { 1 };
    let data: Vec<(usize, &Host)> = (0..count)
        .filter_map(|k| Some((k, &hosts[k].as_ref()?.host)))
        .collect();
    // Tensors without elements add nothing, whatever their type.
    let full: Vec<(usize, &Host)> = data.iter().copied().filter(|(_, h)| !h.is_empty()).collect();
    let (first, data) = match (&full[..], &data[..]) {
        ([(_, only)], _) if joins => return Ok(vec![(*only).clone().into()]),
        ([(_, first), ..], _) => (*first, full),
        ([], [(_, empty), ..]) => return Ok(vec![(*empty).clone().into()]),
        ([], []) => return Err(Trouble::malformed("has no operands")),
    };
    if data.iter().any(|(_, h)| h.is_float() != first.is_float()) {
        return Err(Trouble::unsupported("joining numbers of different types"));
    }
    let (mut leaves, mut at, mut before) = (Vec::new(), 0, Vec::new());
    for &(k, host) in &data {
        importer.spend(&host.shape)?;
        let leaf = Symbol::parameter("place", host.shape.clone(), Default::default());
        let places = (at..at + host.len()).map(|i| i as f64).collect();
        leaves.push((
            leaf.clone(),
            ArrayD::from_shape_vec(host.shape.clone(), places).unwrap_or_default(),
        ));
        let name = node.proto.input[k].clone();
        before.push((
            name.clone(),
            importer
                .values
                .insert(name, Value::Live(Live::plain(leaf, host.kind))),
        ));
        at += host.len();
    }
    let results = rule(&node.proto.op_type, "ai.onnx").and_then(|rule| rule(importer, node));
    before.into_iter().rev().for_each(|(name, value)| {
        value.map(|v| importer.values.insert(name, v));
    });
    let pool = pool(&data.iter().map(|(_, h)| *h).collect::<Vec<_>>());
    let mut values = Vec::new();
    for result in results? {
        let Value::Live(live) = result else {
            values.push(result);
            continue;
        };
        importer.spend(&live.shape())?;
        let given: Vec<(&Symbol, ArrayD<f64>)> = leaves.iter().map(|(s, v)| (s, v.clone())).collect();
        let array = interpret(&[live.in_order()?.symbol], &given, 1)?.remove(0);
        let shape = array.shape().to_vec();
        values.push(pool.picked(&shape, array.iter().map(|&p| p as usize)).into());
    }
    Ok(values)
}

fn pool(data: &[&Host]) -> Host {
    let Some((first, rest)) = data.split_first() else {
        return Host::whole(Vec::new(), &[0]);
    };
    if rest.is_empty() {
        return (*first).clone();
    }
    let length = data.iter().map(|h| h.len()).sum();
    match first.is_float() {
        true => Host::floats(data.iter().flat_map(|h| h.to_f32()).collect(), &[length]),
        false => Host {
            kind: first.kind,
            ..Host::whole(data.iter().flat_map(|h| h.to_i64()).collect(), &[length])
        },
    }
}

/// Arithmetic of whole numbers and truth values, which f32 would not hold exactly.
fn arithmetic(
    importer: &mut Importer,
    node: &Node,
    name: &str,
    of: &[&Host],
) -> Result<Option<Vec<Value>>, Trouble> {
    if of.iter().any(|h| h.is_float()) || of.is_empty() {
        return Ok(None);
    }
    if name == "Where" {
        let [condition, a, b] = of else { return Ok(None) };
        let shape = common(of)?;
        importer.spend(&shape)?;
        let [c, x, y] = [condition, a, b].map(|h| h.broadcast(&shape).to_i64());
        let values = (0..c.len())
            .map(|i| if c[i] != 0 { x[i] } else { y[i] })
            .collect();
        return Ok(Some(vec![
            Host {
                kind: a.kind,
                ..Host::whole(values, &shape)
            }
            .into(),
        ]));
    }
    if let Some(host) = reduced(importer, node, name, of)? {
        return Ok(Some(vec![host.into()]));
    }
    let one = |f: fn(i64) -> i64| {
        let values = of[0].to_i64().into_iter().map(f).collect();
        Host {
            kind: of[0].kind,
            ..Host::whole(values, &of[0].shape)
        }
    };
    match name {
        "Neg" => return Ok(Some(vec![one(i64::wrapping_neg).into()])),
        "Abs" => return Ok(Some(vec![one(i64::wrapping_abs).into()])),
        "Not" => return Ok(Some(vec![one(|x| i64::from(x == 0)).into()])),
        _ => {}
    }
    let fraction = name == "Mod" && node.flag("fmod", false)?;
    let (rule, test) = match whole(name, fraction) {
        Some(found) => found,
        None => return Ok(None),
    };
    if name == "Div" && of.get(1).is_some_and(|h| h.to_i64().contains(&0)) {
        return Err(Trouble::malformed("divides a constant by 0"));
    }
    let shape = common(of)?;
    importer.spend(&shape)?;
    let mut values = of[0].broadcast(&shape).to_i64();
    for other in &of[1..] {
        let other = other.broadcast(&shape).to_i64();
        values.iter_mut().zip(other).for_each(|(a, b)| *a = rule(*a, b));
    }
    let kind = if test { DataType::Bool } else { of[0].kind };
    Ok(Some(vec![
        Host {
            kind,
            ..Host::whole(values, &shape)
        }
        .into(),
    ]))
}

type Rule = fn(i64, i64) -> i64;

/// a modulo b with the sign of b.
fn floored(a: i64, b: i64) -> i64 {
    let rest = a.wrapping_rem(b);
    if rest != 0 && (rest < 0) != (b < 0) {
        rest + b
    } else {
        rest
    }
}

/// An operation on whole numbers, and whether it is a test.
fn whole(name: &str, fraction: bool) -> Option<(Rule, bool)> {
    Some(match name {
        "Add" | "Sum" => (i64::wrapping_add, false),
        "Sub" => (i64::wrapping_sub, false),
        "Mul" => (i64::wrapping_mul, false),
        "Div" => (i64::wrapping_div, false),
        "Mod" if fraction => (|a, b| if b == 0 { 0 } else { a.wrapping_rem(b) }, false),
        "Mod" => (
            |a, b| {
                if b == 0 { 0 } else { floored(a, b) }
            },
            false,
        ),
        "Max" => (i64::max, false),
        "Min" => (i64::min, false),
        "Pow" => (|a, b| a.wrapping_pow(b.clamp(0, 64) as u32), false),
        "Equal" => (|a, b| (a == b).into(), true),
        "Greater" => (|a, b| (a > b).into(), true),
        "GreaterOrEqual" => (|a, b| (a >= b).into(), true),
        "Less" => (|a, b| (a < b).into(), true),
        "LessOrEqual" => (|a, b| (a <= b).into(), true),
        "And" => (|a, b| (a != 0 && b != 0).into(), true),
        "Or" => (|a, b| (a != 0 || b != 0).into(), true),
        "Xor" => (|a, b| ((a != 0) != (b != 0)).into(), true),
        _ => return None,
    })
}

fn common(of: &[&Host]) -> Result<Vec<usize>, Trouble> {
    let mut shape = graph::Shape::scalar();
    for host in of {
        let other = graph::Shape::new(&host.shape);
        shape = shape
            .broadcast(&other)
            .ok_or_else(|| Trouble::malformed(format!("shapes {shape} and {other} do not broadcast")))?;
    }
    Ok(shape.to_vec())
}

/// Sums, products and extremes of whole numbers.
fn reduced(importer: &mut Importer, node: &Node, name: &str, of: &[&Host]) -> Result<Option<Host>, Trouble> {
    let (start, rule): (i64, Rule) = match name {
        "ReduceSum" => (0, i64::wrapping_add),
        "ReduceProd" => (1, i64::wrapping_mul),
        "ReduceMax" => (i64::MIN, i64::max),
        "ReduceMin" => (i64::MAX, i64::min),
        _ => return Ok(None),
    };
    let x = of[0];
    let rank = x.shape.len();
    let listed = match of.get(1) {
        Some(list) => list.to_i64(),
        None => node.ints("axes").unwrap_or_default().to_vec(),
    };
    if listed.is_empty() && node.flag("noop_with_empty_axes", false)? {
        return Ok(Some(x.clone()));
    }
    let over = if listed.is_empty() {
        identity(rank)
    } else {
        axes(&listed, rank)?
    };
    let kept: Vec<usize> = (0..rank)
        .map(|a| if over.contains(&a) { 1 } else { x.shape[a] })
        .collect();
    let mut values = vec![start; importer.spend(&kept)?];
    let steps: Vec<usize> = {
        let own = crate::onnx::host::strides(&kept);
        (0..rank)
            .map(|a| if over.contains(&a) { 0 } else { own[a] })
            .collect()
    };
    for (value, place) in x
        .to_i64()
        .into_iter()
        .zip(crate::onnx::host::places(&x.shape, &steps))
    {
        values[place] = rule(values[place], value);
    }
    let shape: Vec<usize> = match node.flag("keepdims", true)? {
        true => kept,
        false => (0..rank)
            .filter(|a| !over.contains(a))
            .map(|a| x.shape[a])
            .collect(),
    };
    Ok(Some(Host {
        kind: x.kind,
        ..Host::whole(values, &shape)
    }))
}

/// Turns results that depend on constants alone into numbers.
///
/// # Errors
/// When they are too many.
pub fn evaluate(importer: &mut Importer, node: &Node, results: Vec<Value>) -> Result<Vec<Value>, Trouble> {
    let mut elements = 0usize;
    for k in 0..node.proto.input.len() {
        match importer.operand_if(node, k)? {
            Some(Value::Live(_)) => return Ok(results),
            Some(Value::Known(known)) => elements += known.host.len(),
            None => {}
        }
    }
    if elements > MOST_ELEMENTS {
        return Ok(results);
    }
    let mut values = Vec::new();
    for result in results {
        values.push(match result {
            Value::Live(live) if live.symbol.shape().elements() <= MOST_ELEMENTS => {
                importer.evaluated(&live)?.into()
            }
            other => other,
        });
    }
    Ok(values)
}

/// The list of whole numbers of a host tensor, for attributes that became operands.
pub fn list(host: &Host) -> Vec<i64> {
    match &host.numbers {
        Numbers::Whole(v) => v.to_vec(),
        Numbers::Float(_) => host.to_i64(),
    }
}

/// An axis given by a constant of one number.
pub fn axis_of(host: &Host, rank: usize) -> Result<usize, Trouble> {
    match host.to_i64()[..] {
        [value] if !is_float(host.kind) => axis(value, rank),
        _ => Err(Trouble::malformed(format!(
            "the axis is a tensor of shape {:?}, expected one whole number",
            host.shape
        ))),
    }
}
