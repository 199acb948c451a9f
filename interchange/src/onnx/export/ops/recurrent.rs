//! Recurrent layers: ONNX's operators have the product with the input inside.

use graph::Symbol;
use graph::ndarray::{ArrayD, Axis, IxDyn, concatenate};
use graph::ops::{BinaryKind, Cell, Op, Recurrent, Slice, Squash};

use super::super::super::proto::AttributeProto;
use super::super::ExportError;
use super::super::build::{Builder, float, int, ints, text, texts};
use super::super::layout::{Layout, permuted};
use super::shaping::cut;

/// Only the states of a trace can be said; the rest is for training.
pub(in super::super) fn check(b: &mut Builder, node: &Symbol) -> Result<(), ExportError> {
    let hidden = node.inputs()[1].shape()[0];
    let states = Slice {
        axis: 2,
        start: 0,
        length: hidden,
        step: 1,
    };
    let fits = |reader: &Symbol| matches!(reader.op(), Op::Slice(slice) if *slice == states);
    match b.readers(node).iter().all(fits) {
        true => Ok(()),
        false => Err(b.refuse(node, "more than its states h is read")),
    }
}

/// z = x·W + b, taken apart.
struct Source {
    x: Symbol,
    weight: ArrayD<f32>,
    bias: ArrayD<f32>,
}

/// The sequence, weights and bias that z comes from; else z itself, with weights that change nothing.
fn source(b: &Builder, z: &Symbol) -> Result<Source, ExportError> {
    let apart = || {
        let sum = matches!(z.op(), Op::Reshape(_)).then(|| &z.inputs()[0])?;
        let Op::Binary(op) = sum.op() else { return None };
        let [product, bias] = sum.inputs() else {
            return None;
        };
        let (Op::MatMul(matmul), BinaryKind::Add) = (product.op(), op.kind) else {
            return None;
        };
        let [rows, weight] = product.inputs() else {
            return None;
        };
        let x = matches!(rows.op(), Op::Reshape(_)).then(|| &rows.inputs()[0])?;
        let plain = !matmul.transpose_a && !matmul.transpose_b;
        let sequence = x.shape().rank() == 3
            && x.shape()[1] == z.shape()[1]
            && x.shape()[2] == weight.shape()[0]
            && bias.shape()[..] == [z.shape()[2]];
        (plain && sequence && b.is_fixed(weight) && b.is_fixed(bias)).then_some((x, weight, bias))
    };
    if let Some((x, weight, bias)) = apart() {
        return Ok(Source {
            x: x.clone(),
            weight: b.array(weight)?,
            bias: b.array(bias)?,
        });
    }
    let width = z.shape()[2];
    Ok(Source {
        x: z.clone(),
        weight: ArrayD::from_shape_fn(IxDyn(&[width, width]), |at| f32::from(u8::from(at[0] == at[1]))),
        bias: ArrayD::zeros(IxDyn(&[width])),
    })
}

/// Columns of gates `[.., G·H]` as `[1, G·H, ..]`, in ONNX's order of gates.
fn gates(columns: &ArrayD<f32>, cell: Cell) -> ArrayD<f32> {
    // ONNX: i, o, f, g and z, r, n.
    let order: &[usize] = match cell {
        Cell::Rnn => &[0],
        Cell::Lstm => &[0, 3, 1, 2],
        Cell::Gru | Cell::GruResetBefore => &[1, 0, 2],
    };
    let reversed: Vec<usize> = (0..columns.ndim()).rev().collect();
    let rows = permuted(columns, &reversed);
    let each = rows.shape()[0] / order.len();
    let block = |&gate: &usize| rows.slice_axis(Axis(0), (gate * each..(gate + 1) * each).into());
    let blocks: Vec<_> = order.iter().map(block).collect();
    concatenate(Axis(0), &blocks)
        .unwrap_or_default()
        .insert_axis(Axis(0))
}

fn name_of(squash: Squash) -> &'static str {
    match squash {
        Squash::Tanh => "Tanh",
        Squash::Sigmoid => "Sigmoid",
        Squash::Relu => "Relu",
        Squash::HardSigmoid => "HardSigmoid",
        Squash::Linear => "Affine",
    }
}

fn attributes(op: &Recurrent, hidden: usize) -> (&'static str, Vec<AttributeProto>) {
    let (gate, state) = (name_of(op.gate), name_of(op.state));
    let (operator, functions) = match op.cell {
        Cell::Rnn => ("RNN", vec![state]),
        Cell::Lstm => ("LSTM", vec![gate, state, state]),
        Cell::Gru | Cell::GruResetBefore => ("GRU", vec![gate, state]),
    };
    let direction = if op.reverse { "reverse" } else { "forward" };
    let mut attributes = vec![int("hidden_size", hidden as i64), text("direction", direction)];
    attributes.push(texts("activations", &functions));
    if let Some(limit) = op.clip {
        attributes.push(float("clip", limit));
    }
    if operator == "GRU" {
        attributes.push(int("linear_before_reset", (op.cell == Cell::Gru).into()));
    }
    (operator, attributes)
}

/// The states `[N, T, H]` that `node` cuts from the trace of a recurrent op.
pub(super) fn states(b: &mut Builder, node: &Symbol) -> Result<(), ExportError> {
    let trace = &node.inputs()[0];
    let Op::Recurrent(op) = trace.op() else {
        return Ok(());
    };
    let [z, weight, bias, ..] = trace.inputs() else {
        return Ok(());
    };
    if !b.is_fixed(weight) || !b.is_fixed(bias) {
        return Err(b.refuse(trace, "its weights depend on the input"));
    }
    let hidden = weight.shape()[0];
    let from = source(b, z)?;
    let x = b.plain(&from.x)?;
    let by_step = b.node("Transpose", &[&x], vec![ints("perm", &[1, 0, 2])], node);
    let w = b.numbers(&b.hint(node, "W"), &gates(&from.weight, op.cell));
    let r = b.numbers(&b.hint(node, "R"), &gates(&b.array(weight)?, op.cell));
    let both = [gates(&from.bias, op.cell), gates(&b.array(bias)?, op.cell)];
    let both = concatenate(Axis(1), &[both[0].view(), both[1].view()]).unwrap_or_default();
    let both = b.numbers(&b.hint(node, "B"), &both);
    let mut inputs = vec![by_step, w, r, both];
    if let Some(first) = trace.inputs().get(3) {
        inputs.push(String::new());
        inputs.extend(first_states(b, node, first, hidden)?);
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let (operator, attributes) = attributes(op, hidden);
    let y = b.node(operator, &inputs, attributes, node);
    // [T, 1, N, H]
    let axis = b.whole(&b.hint(node, "axis"), &[1]);
    let y = b.node("Squeeze", &[&y, &axis], vec![], node);
    b.make(
        "Transpose",
        &[&y],
        vec![ints("perm", &[1, 0, 2])],
        node,
        Layout::Plain,
    );
    Ok(())
}

/// h, and of an LSTM c, as `[1, N, H]`.
fn first_states(
    b: &mut Builder,
    node: &Symbol,
    first: &Symbol,
    hidden: usize,
) -> Result<Vec<String>, ExportError> {
    let states = b.plain(first)?;
    let axis = b.whole(&b.hint(node, "axis"), &[0]);
    let parts = (0..first.shape()[1] / hidden).map(|k| {
        let part = cut(
            b,
            node,
            &states,
            1,
            (k * hidden) as i64,
            ((k + 1) * hidden) as i64,
            1,
        );
        b.node("Unsqueeze", &[&part, &axis], vec![], node)
    });
    Ok(parts.collect())
}
