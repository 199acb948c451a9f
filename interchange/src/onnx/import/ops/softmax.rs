//! Softmax and its relatives.

use graph::Symbol;
use graph::ops::{ArgMax, LogSoftmax, Op, Softmax};

use super::super::Trouble;
use super::super::importer::{Importer, Value};
use super::super::live::Live;
use super::super::node::Node;
use super::Rule;

pub const RULES: &[(&str, Rule)] = &[
    ("Softmax", |cx, node| rows(cx, node, |x| by(Softmax {}, x))),
    ("LogSoftmax", |cx, node| rows(cx, node, |x| by(LogSoftmax {}, x))),
    ("Hardmax", |cx, node| rows(cx, node, hardmax)),
];

fn by(op: impl Into<Op>, x: &Symbol) -> Result<Symbol, Trouble> {
    Ok(Symbol::apply(op, &[x])?)
}

/// 1 at the largest element, the first one of equals.
fn hardmax(x: &Symbol) -> Result<Symbol, Trouble> {
    let (axis, length) = (x.shape().rank() - 1, x.shape().last_axis());
    let largest = Symbol::apply(ArgMax { axis, last: false }, &[x])?;
    let places = Symbol::constants((0..length).map(|i| i as f32).collect(), [length]);
    let same = super::binary::equal(&largest, &places)?;
    Ok(same)
}

/// Row by row along an axis; before opset 13 along all axes from it on.
fn rows(
    cx: &mut Importer,
    node: &Node,
    rule: impl FnOnce(&Symbol) -> Result<Symbol, Trouble>,
) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let at = node.axis("axis", if node.opset < 13 { 1 } else { -1 }, x.rank())?;
    let shape = x.shape();
    if node.opset >= 13 || shape[at + 1..].iter().all(|&l| l == 1) {
        return Ok(vec![along(&x, at, rule)?.into()]);
    }
    let flat = [shape[..at].iter().product(), shape[at..].iter().product()];
    let y = along(&x.reshaped(&flat)?, 1, rule)?;
    Ok(vec![y.reshaped(&shape)?.into()])
}

/// A rule of rows along an axis of the file.
pub fn along(
    x: &Live,
    at: usize,
    rule: impl FnOnce(&Symbol) -> Result<Symbol, Trouble>,
) -> Result<Live, Trouble> {
    if x.batch == Some(at) {
        return Err(Trouble::unsupported("a softmax over the batch"));
    }
    let x = x.with_last(at)?;
    Ok(x.with(rule(&x.symbol)?))
}
