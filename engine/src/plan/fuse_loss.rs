//! The mean of a cross-entropy without a barrier in the middle of a step.
//!
//! The graph says Σ loss / Σ weight and hands 1/Σ weight back. But the weights need no logits: their sum
//! is there before the network runs, so the gradient waits for no other sample's logits, and the loss and
//! each direction of it become one step instead of a handful of slices and divisions.

use graph::ops::{BinaryKind, CrossEntropy, Op};

use super::ir::Ir;
use super::{Action, Fused};

/// Rewrites every cross-entropy of `ir`.
pub(super) fn fuse(ir: &mut Ir) {
    for index in 0..ir.nodes.len() {
        first_of_gradient(ir, index);
    }
    for index in 0..ir.nodes.len() {
        mean(ir, index);
    }
    for index in 0..ir.nodes.len() {
        total_weight(ir, index);
    }
    for index in 0..ir.nodes.len() {
        share_of_weight(ir, index);
    }
}

fn op(ir: &Ir, index: usize) -> Option<&Op> {
    ir.nodes[ir.origin(index)].op.graph()
}

/// Operand `position` of the node, behind aliases.
fn operand(ir: &Ir, index: usize, position: usize) -> usize {
    ir.origin(ir.nodes[ir.origin(index)].inputs[position])
}

/// The gradient of a cross-entropy reads only the first of two numbers: where they were put together from
/// single ones it takes that one.
fn first_of_gradient(ir: &mut Ir, index: usize) {
    if ir.nodes[index].alias.is_some() {
        return;
    }
    if let Some(Op::CrossEntropyGradient(_)) = op(ir, index)
        && let Some(first) = first(ir, operand(ir, index, 0))
    {
        ir.nodes[index].inputs[0] = first;
    }
}

/// Where the first number of `index` comes from, if the rest of it is zeros or from elsewhere.
fn first(ir: &Ir, index: usize) -> Option<usize> {
    match op(ir, index)? {
        Op::SliceGradient(gradient) => {
            let slice = gradient.slice;
            let single = ir.nodes[ir.nodes[index].inputs[0]].shape.elements() == 1;
            (single && slice.start == 0).then(|| operand(ir, index, 0))
        }
        Op::Binary(add) if add.kind == BinaryKind::Add => {
            let parts = [operand(ir, index, 0), operand(ir, index, 1)];
            let [a, b] = parts.map(|part| first(ir, part));
            // The other part must add nothing to it.
            match (a, b) {
                (Some(a), None) if is_second(ir, parts[1]) => Some(a),
                (None, Some(b)) if is_second(ir, parts[0]) => Some(b),
                _ => None,
            }
        }
        _ => None,
    }
}

fn is_second(ir: &Ir, index: usize) -> bool {
    matches!(op(ir, index), Some(Op::SliceGradient(gradient)) if gradient.slice.start > 0)
}

/// The cross-entropy of which `index` is number `which`.
fn part_of(ir: &Ir, index: usize, which: usize) -> Option<(usize, CrossEntropy)> {
    let index = ir.origin(index);
    let Op::Slice(slice) = op(ir, index)? else {
        return None;
    };
    let sums = operand(ir, index, 0);
    let Op::CrossEntropy(loss) = op(ir, sums)? else {
        return None;
    };
    (slice.start == which && slice.length == 1).then_some((sums, *loss))
}

/// Σ loss / Σ weight.
fn mean(ir: &mut Ir, index: usize) {
    if ir.nodes[index].alias.is_some() {
        return;
    }
    let Some(Op::Binary(divide)) = op(ir, index) else {
        return;
    };
    if divide.kind != BinaryKind::Divide || ir.nodes[index].shape.elements() != 1 {
        return;
    }
    let [above, below] = [operand(ir, index, 0), operand(ir, index, 1)];
    if let (Some((sums, loss)), Some((other, _))) = (part_of(ir, above, 0), part_of(ir, below, 1))
        && sums == other
    {
        ir.nodes[index].inputs = ir.nodes[sums].inputs.clone();
        ir.nodes[index].op = Action::Fused(Fused::MeanCrossEntropy(loss));
    }
}

/// Σ weight alone.
fn total_weight(ir: &mut Ir, index: usize) {
    if ir.nodes[index].alias.is_some() {
        return;
    }
    if let Some((sums, loss)) = part_of(ir, index, 1) {
        ir.nodes[index].inputs = ir.nodes[sums].inputs[1..].to_vec();
        ir.nodes[index].op = Action::Fused(Fused::CrossEntropyWeight { loss, share: None });
    }
}

/// A constant divided by Σ weight.
fn share_of_weight(ir: &mut Ir, index: usize) {
    if ir.nodes[index].alias.is_some() {
        return;
    }
    let Some(Op::Binary(divide)) = op(ir, index) else {
        return;
    };
    if divide.kind != BinaryKind::Divide || ir.nodes[index].shape.elements() != 1 {
        return;
    }
    let [above, below] = [operand(ir, index, 0), operand(ir, index, 1)];
    if let Some(Op::Constant(constant)) = op(ir, above)
        && let Some(&value) = constant.values.first()
        && let Action::Fused(Fused::CrossEntropyWeight { loss, share: None }) = ir.nodes[below].op
    {
        ir.nodes[index].inputs = ir.nodes[below].inputs.clone();
        let share = Some(value);
        ir.nodes[index].op = Action::Fused(Fused::CrossEntropyWeight { loss, share });
    }
}
