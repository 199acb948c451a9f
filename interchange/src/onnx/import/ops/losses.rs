//! Losses of classes.

use graph::Symbol;
use graph::ops::{LogSoftmax, ReduceKind};

use super::super::Trouble;
use super::super::importer::{Importer, Value};
use super::super::live::{Live, identity};
use super::super::node::Node;
use super::Rule;
use super::binary::equal;

pub const RULES: &[(&str, Rule)] = &[
    ("NegativeLogLikelihoodLoss", |cx, node| loss(cx, node, false)),
    ("SoftmaxCrossEntropyLoss", |cx, node| loss(cx, node, true)),
];

/// −Σ w·log p of the target's class, over rows `[.., C]`; the mean divides by Σ w.
fn loss(cx: &mut Importer, node: &Node, softmax: bool) -> Result<Vec<Value>, Trouble> {
    let (x, target) = (cx.live(node, 0)?, cx.live(node, 1)?);
    let (shape, rank) = (x.shape(), x.rank());
    if rank < 2 || target.rank() + 1 != rank {
        return Err(Trouble::malformed(format!(
            "scores {shape:?} and classes {:?} do not belong together",
            target.shape()
        )));
    }
    // Classes last, the others in their order.
    let mut order = identity(rank);
    order.remove(1);
    order.push(1);
    let scores = x.arranged(&order)?;
    let logs = match softmax {
        true => Symbol::apply(LogSoftmax {}, &[&scores.symbol])?,
        false => scores.symbol.clone(),
    };
    let target = target.in_order()?.unsqueezed(&[rank - 1])?.symbol;
    let classes = Symbol::constants((0..shape[1]).map(|c| c as f32).collect(), [shape[1]]);
    let mut weight = equal(&target, &classes)?;
    if let Some(weights) = cx.operand_if(node, 2)? {
        weight = weight.mul(&cx.run(&weights)?.symbol)?;
    }
    if node.has("ignore_index") {
        let ignored = Symbol::constant(node.int("ignore_index", 0)? as f32, []);
        weight = weight.mul(&equal(&target, &ignored)?.affine(-1.0, 1.0)?)?;
    }
    let each = logs.mul(&weight)?.neg()?.reduce(ReduceKind::Sum, &[rank - 1])?;
    let y = match node.text("reduction", "mean")?.as_str() {
        "none" => Live {
            order: identity(rank),
            batch: x.batch,
            ..x.with(each)
        }
        .squeezed(&[rank - 1])?,
        name => {
            if x.batch.is_some() {
                return Err(Trouble::unsupported(
                    "a loss over the batch as an output (Graticule's own losses train an imported network)",
                ));
            }
            let sum = each.sum()?;
            let sum = if name == "sum" {
                sum
            } else {
                sum.div(&weight.sum()?)?
            };
            Live::plain(sum, x.kind)
        }
    };
    let mut results = vec![y.into()];
    if softmax && node.wants(1) {
        results.push(scores.with(logs).into());
    }
    Ok(results)
}
