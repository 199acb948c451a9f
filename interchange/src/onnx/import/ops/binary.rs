//! Functions of several tensors, element by element with broadcasting.

use graph::ops::{FunctionKind as F, Select, UnaryKind as U};
use graph::{GraphError, Symbol};

use super::super::importer::{Importer, Value};
use super::super::live::{Live, identity};
use super::super::node::{Node, axis};
use super::super::{DataType, Trouble};
use super::elementwise::apply;
use super::{Rule, whole};

type Pair = fn(&Symbol, &Symbol) -> Result<Symbol, GraphError>;

pub const RULES: &[(&str, Rule)] = &[
    ("Add", |cx, node| pairwise(cx, node, Symbol::add)),
    ("Sub", |cx, node| pairwise(cx, node, Symbol::sub)),
    ("Mul", |cx, node| pairwise(cx, node, Symbol::mul)),
    ("Div", div),
    ("Mod", modulo),
    ("Pow", pow),
    ("Equal", |cx, node| test(cx, node, equal)),
    ("Greater", |cx, node| test(cx, node, |a, b| less(b, a))),
    ("GreaterOrEqual", |cx, node| test(cx, node, Symbol::at_least)),
    ("Less", |cx, node| test(cx, node, less)),
    ("LessOrEqual", |cx, node| test(cx, node, |a, b| b.at_least(a))),
    ("And", |cx, node| test(cx, node, Symbol::mul)),
    ("Or", |cx, node| test(cx, node, Symbol::maximum)),
    ("Xor", |cx, node| test(cx, node, |a, b| a.sub(b)?.unary(U::Abs))),
    ("Where", choose),
    ("Sum", |cx, node| several(cx, node, Symbol::add, false)),
    ("Mean", |cx, node| several(cx, node, Symbol::add, true)),
    ("Max", |cx, node| several(cx, node, Symbol::maximum, false)),
    ("Min", |cx, node| several(cx, node, Symbol::minimum, false)),
];

/// 1 where a < b; 0 where one is no number.
fn less(a: &Symbol, b: &Symbol) -> Result<Symbol, GraphError> {
    b.at_least(a)?.mul(&a.at_least(b)?.affine(-1.0, 1.0)?)
}

/// 1 where a = b.
pub fn equal(a: &Symbol, b: &Symbol) -> Result<Symbol, GraphError> {
    a.at_least(b)?.mul(&b.at_least(a)?)
}

/// Operands that broadcast together, held in one order.
pub struct Broadcast {
    /// The operands; shorter ones have as many axes as they need.
    pub symbols: Vec<Symbol>,
    order: Vec<usize>,
    batch: Option<usize>,
    kind: DataType,
}

impl Broadcast {
    /// What is made of the operands.
    pub fn value(&self, symbol: Symbol) -> Live {
        Live {
            symbol,
            order: self.order.clone(),
            batch: self.batch,
            kind: self.kind,
        }
    }
}

/// Brings operands into one order: that of the one with most axes that is computed. An initialiser that may
/// be trained becomes the parameter `role`.
pub fn broadcast(cx: &mut Importer, values: &[Value], role: Option<&str>) -> Result<Broadcast, Trouble> {
    let rank = values.iter().map(Value::rank).max().unwrap_or(0);
    let lead = values.iter().find_map(|v| match v {
        Value::Live(live) if live.rank() == rank => Some(live.order.clone()),
        _ => None,
    });
    let order = lead.unwrap_or_else(|| identity(rank));
    let (mut symbols, mut batch) = (Vec::new(), None);
    for value in values {
        let missing = rank - value.rank();
        // The axes that the operand has, as it counts them, in the common order.
        let own: Vec<usize> = order
            .iter()
            .filter(|&&a| a >= missing)
            .map(|a| a - missing)
            .collect();
        let live = match value {
            Value::Known(known) => match role {
                Some(role) if Importer::trained(value) => cx.weight(value, &own, role, true)?,
                _ => cx.constant(&known.host.transposed(&own))?.held(own.clone()),
            },
            Value::Live(live) => live.clone(),
        };
        let batched = live.batch.map(|b| b + missing);
        if let (Some(a), Some(b)) = (batch, batched)
            && a != b
        {
            return Err(Trouble::unsupported(format!(
                "samples along axis {a} of one operand and axis {b} of another"
            )));
        }
        batch = batch.or(batched);
        symbols.push(fitted(&live, &own, &order, missing)?);
    }
    Ok(Broadcast {
        symbols,
        order,
        batch,
        kind: values[0].kind(),
    })
}

impl Live {
    fn held(mut self, order: Vec<usize>) -> Live {
        self.order = order;
        self
    }
}

/// An operand in the common order, without leading axes of length 1 that it need not have.
fn fitted(live: &Live, own: &[usize], order: &[usize], missing: usize) -> Result<Symbol, Trouble> {
    let live = live.arranged(own)?;
    if live.batch.is_some() || live.symbol.as_input().is_some() {
        // The batch must stay where it is.
        let added: Vec<usize> = (0..missing).collect();
        return Ok(live.unsqueezed(&added)?.arranged(order)?.symbol);
    }
    let shape = live.shape();
    let length = |&a: &usize| if a < missing { 1 } else { shape[a - missing] };
    let full: Vec<usize> = order.iter().map(length).collect();
    let ones = full.iter().take_while(|&&l| l == 1).count();
    let short = &full[ones..];
    if live.symbol.shape()[..] == *short || live.symbol.shape()[..] == full[..] {
        return Ok(live.symbol);
    }
    let axes: Vec<_> = short.iter().map(|&l| graph::ops::Axis::Length(l)).collect();
    Ok(live.symbol.reshape(&axes)?)
}

/// The two operands; before opset 7 the second one's axes could be put under chosen ones of the first.
fn operands(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let (a, b) = (cx.operand(node, 0)?, cx.operand(node, 1)?);
    if node.opset >= 7 || !node.flag("broadcast", false)? || !node.has("axis") {
        return Ok(vec![a, b]);
    }
    let (rank, own) = (a.rank(), b.rank());
    let at = axis(node.int("axis", 0)?, rank)?;
    let missing = rank.checked_sub(at + own);
    let missing = missing
        .ok_or_else(|| Trouble::malformed(format!("{own} axes do not fit below axis {at} of {rank}")))?;
    let added: Vec<usize> = (own..own + missing).collect();
    let b = match b {
        Value::Live(live) => live.unsqueezed(&added)?.into(),
        Value::Known(mut known) => {
            known.host.shape.extend(added.iter().map(|_| 1));
            Value::Known(known)
        }
    };
    Ok(vec![a, b])
}

fn pairwise(cx: &mut Importer, node: &Node, rule: Pair) -> Result<Vec<Value>, Trouble> {
    let values = operands(cx, node)?;
    if let Some(y) = with_number(cx, node, &values)? {
        return Ok(vec![y.into()]);
    }
    let role = match node.proto.op_type.as_str() {
        "Mul" | "Div" => "scale",
        _ => "bias",
    };
    let pair = broadcast(cx, &values, Some(role))?;
    let y = rule(&pair.symbols[0], &pair.symbols[1])?;
    Ok(vec![pair.value(y).into()])
}

/// A tensor and one fixed number, which is a scale or a shift.
fn with_number(cx: &mut Importer, node: &Node, values: &[Value]) -> Result<Option<Live>, Trouble> {
    let [a, b] = values else { return Ok(None) };
    let number = |v: &Value| v.host().and_then(|h| h.scalar()).filter(|n| n.is_finite());
    let (x, number, left) = match (a, b) {
        (Value::Live(x), b) if b.rank() <= x.rank() => (x, number(b), true),
        (a, Value::Live(x)) if a.rank() <= x.rank() => (x, number(a), false),
        _ => return Ok(None),
    };
    let Some(number) = number else { return Ok(None) };
    let _ = cx;
    let symbol = match (node.proto.op_type.as_str(), left) {
        ("Add", _) => x.symbol.affine(1.0, number)?,
        ("Sub", true) => x.symbol.affine(1.0, -number)?,
        ("Sub", false) => x.symbol.affine(-1.0, number)?,
        ("Mul", _) => x.symbol.affine(number, 0.0)?,
        _ => return Ok(None),
    };
    Ok(Some(Live {
        kind: a.kind(),
        ..x.with(symbol)
    }))
}

fn div(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    if !whole(cx.operand(node, 0)?.kind()) {
        return pairwise(cx, node, Symbol::div);
    }
    pairwise(cx, node, |a, b| apply(F::Truncate, &a.div(b)?))
}

fn modulo(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    // The sign of the dividend with `fmod`, that of the divisor without.
    let rule: Pair = match node.flag("fmod", false)? {
        true => |a, b| a.sub(&apply(F::Truncate, &a.div(b)?)?.mul(b)?),
        false => |a, b| a.sub(&apply(F::Floor, &a.div(b)?)?.mul(b)?),
    };
    pairwise(cx, node, rule)
}

fn pow(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let values = operands(cx, node)?;
    let exponent = values[1].host().and_then(|h| h.scalar());
    if let (Value::Live(x), Some(p)) = (&values[0], exponent)
        && values[1].rank() <= x.rank()
    {
        let y = match p {
            1.0 => x.symbol.clone(),
            2.0 => x.symbol.unary(U::Square)?,
            3.0 => x.symbol.unary(U::Square)?.mul(&x.symbol)?,
            0.5 => x.symbol.unary(U::Sqrt)?,
            p => x.symbol.unary(U::Power(p))?,
        };
        return Ok(vec![x.with(y).into()]);
    }
    // a^b = |a|^b, with the sign of a where b is odd; no number where b is not whole and a negative.
    let rule: Pair = |a, b| {
        let size = a.unary(U::Abs)?.unary(U::Log)?.mul(b)?.unary(U::Exp)?;
        let half = b.affine(0.5, 0.0)?;
        let odd = half.sub(&apply(F::Floor, &half)?)?.affine(2.0, 0.0)?;
        let negative = apply(F::Sign, a)?
            .mul(&odd)?
            .minimum(&Symbol::constant(0.0, []))?;
        let signed = size.mul(&negative.affine(2.0, 1.0)?)?;
        let whole = equal(&apply(F::Floor, b)?, b)?;
        let signed = Symbol::apply(
            Select {},
            &[&whole, &signed, &a.unary(U::Log)?.mul(b)?.unary(U::Exp)?],
        )?;
        // e^(0·ln 0) is no number, 0⁰ is 1.
        Symbol::apply(
            Select {},
            &[
                &equal(b, &Symbol::constant(0.0, []))?,
                &Symbol::constant(1.0, []),
                &signed,
            ],
        )
    };
    let pair = broadcast(cx, &values, None)?;
    let y = rule(&pair.symbols[0], &pair.symbols[1])?;
    let y = if whole(values[0].kind()) {
        apply(F::Round, &y)?
    } else {
        y
    };
    Ok(vec![pair.value(y).into()])
}

fn test(cx: &mut Importer, node: &Node, rule: Pair) -> Result<Vec<Value>, Trouble> {
    let values = operands(cx, node)?;
    let pair = broadcast(cx, &values, None)?;
    let y = rule(&pair.symbols[0], &pair.symbols[1])?;
    Ok(vec![pair.value(y).of_kind(DataType::Bool).into()])
}

fn choose(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let values = cx.operands(node)?;
    let [_, a, _] = &values[..] else {
        return Err(Trouble::malformed(format!(
            "takes 3 operands, found {}",
            values.len()
        )));
    };
    let kind = a.kind();
    let all = broadcast(cx, &values, None)?;
    let y = Symbol::apply(Select {}, &[&all.symbols[0], &all.symbols[1], &all.symbols[2]])?;
    Ok(vec![all.value(y).of_kind(kind).into()])
}

fn several(cx: &mut Importer, node: &Node, rule: Pair, mean: bool) -> Result<Vec<Value>, Trouble> {
    let values = cx.operands(node)?;
    if values.is_empty() {
        return Err(Trouble::malformed("has no operands"));
    }
    let all = broadcast(cx, &values, Some("bias"))?;
    let mut y = all.symbols[0].clone();
    for other in &all.symbols[1..] {
        y = rule(&y, other)?;
    }
    if mean {
        y = y.affine(1.0 / values.len() as f32, 0.0)?;
    }
    Ok(vec![all.value(y).into()])
}
