//! What moves numbers, or sums them up.

use graph::Symbol;
use graph::ops::{ArgMax, BroadcastLike, Op, Reduce, ReduceKind, Slice};

use super::super::ExportError;
use super::super::build::{Builder, int, ints, place};
use super::super::layout::{Layout, PLACE};
use super::recurrent;

type Done = Result<(), ExportError>;

/// The shape of `node` as an operand of `Reshape`: lengths that vary are kept from the operand or left over.
fn target(b: &Builder, node: &Symbol) -> Result<Vec<i64>, ExportError> {
    let x = &node.inputs()[0];
    let mut left = 0;
    let lengths = (0..node.shape().rank()).map(|axis| match b.length(node, axis) {
        Some(length) => length as i64,
        None if axis < x.shape().rank() && b.lengths(x, axis) == b.lengths(node, axis) => 0,
        None => {
            left += 1;
            -1
        }
    });
    let lengths: Vec<i64> = lengths.collect();
    match left {
        0 | 1 => Ok(lengths),
        _ => Err(b.refuse(node, "two sizes of its result vary with the input's")),
    }
}

pub(in super::super) fn reshape(b: &mut Builder, node: &Symbol) -> Done {
    let x = &node.inputs()[0];
    if b.shapes(x) == b.shapes(node) {
        return b.alias(node, x);
    }
    if let Some(done) = flatten(b, node, x)? {
        return Ok(done);
    }
    let to = target(b, node)?;
    let from = b.plain(x)?;
    let y = b.reshaped(&from, &to, node);
    b.set(node, y, Layout::Plain);
    Ok(())
}

/// An image to rows and back, without a transpose.
fn flatten(b: &mut Builder, node: &Symbol, x: &Symbol) -> Result<Option<()>, ExportError> {
    let same_samples = !node.shape().is_empty() && b.lengths(x, 0) == b.lengths(node, 0);
    match (b.layout(x), &node.shape()[..]) {
        (Layout::First, [_, _]) if same_samples => {
            let axes = [1, 2, 3].map(|axis| b.length(x, axis));
            let layout = match axes {
                [Some(1), Some(1), _] => Layout::Plain,
                [Some(h), Some(w), Some(c)] => Layout::Flat([h, w, c]),
                _ => return Ok(None),
            };
            let image = b.as_it_is(x)?;
            b.make("Flatten", &[&image], vec![int("axis", 1)], node, layout);
            Ok(Some(()))
        }
        (Layout::Flat(sizes), &[_, h, w, c]) if same_samples && sizes == [h, w, c] => {
            let rows = b.as_it_is(x)?;
            let image = b.reshaped(&rows, &[0, c as i64, h as i64, w as i64], node);
            b.set(node, image, Layout::First);
            Ok(Some(()))
        }
        _ => Ok(None),
    }
}

pub(in super::super) fn transpose(b: &mut Builder, node: &Symbol, order: &[usize]) -> Done {
    let x = &node.inputs()[0];
    let (from, order) = match b.layout(x) {
        Layout::First => (b.as_it_is(x)?, order.iter().map(|&axis| PLACE[axis]).collect()),
        _ => (b.plain(x)?, order.to_vec()),
    };
    b.make(
        "Transpose",
        &[&from],
        vec![ints("perm", &order)],
        node,
        Layout::Plain,
    );
    Ok(())
}

pub(in super::super) fn concat(b: &mut Builder, node: &Symbol, axis: usize) -> Done {
    let layout = match node.inputs().iter().any(|x| b.layout(x) == Layout::First) {
        true => Layout::First,
        false => Layout::Plain,
    };
    let mut parts = Vec::new();
    for part in node.inputs() {
        parts.push(match layout {
            Layout::First => b.first(part)?,
            _ => b.plain(part)?,
        });
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let axis = int("axis", place(layout, axis) as i64);
    b.make("Concat", &parts, vec![axis], node, layout);
    Ok(())
}

/// The operand of `node`, channels first if it stands so.
fn operand(b: &mut Builder, node: &Symbol) -> Result<(String, Layout), ExportError> {
    let x = &node.inputs()[0];
    match b.layout(x) {
        Layout::First => Ok((b.as_it_is(x)?, Layout::First)),
        _ => Ok((b.plain(x)?, Layout::Plain)),
    }
}

pub(in super::super) fn slice(b: &mut Builder, node: &Symbol, op: Slice) -> Done {
    if let Op::Recurrent(_) = node.inputs()[0].op() {
        return recurrent::states(b, node);
    }
    let (x, layout) = operand(b, node)?;
    let end = op.start + (op.length - 1) * op.step + 1;
    let y = cut(
        b,
        node,
        &x,
        place(layout, op.axis),
        op.start as i64,
        end as i64,
        op.step as i64,
    );
    b.set(node, y, layout);
    Ok(())
}

/// Elements `start`, `start + step` … before `end` along an axis.
pub(super) fn cut(
    b: &mut Builder,
    node: &Symbol,
    x: &str,
    axis: usize,
    start: i64,
    end: i64,
    step: i64,
) -> String {
    let mut whole = |what: &str, value: i64| b.whole(&b.hint(node, what), &[value]);
    let (starts, ends) = (whole("start", start), whole("end", end));
    let (axes, steps) = (whole("axis", axis as i64), whole("step", step));
    b.node("Slice", &[x, &starts, &ends, &axes, &steps], vec![], node)
}

pub(in super::super) fn reduce(b: &mut Builder, node: &Symbol, op: &Reduce) -> Done {
    let (x, layout) = operand(b, node)?;
    let kept = int("keepdims", i64::from(!op.axes.is_empty()));
    if layout == Layout::First && op.axes == [1, 2] && op.kind != ReduceKind::Sum {
        let operator = match op.kind {
            ReduceKind::Max => "GlobalMaxPool",
            _ => "GlobalAveragePool",
        };
        b.make(operator, &[&x], vec![], node, layout);
        return Ok(());
    }
    let mut axes: Vec<i64> = op.axes.iter().map(|&axis| place(layout, axis) as i64).collect();
    axes.sort_unstable();
    // A single number has no layout.
    let layout = if axes.is_empty() { Layout::Plain } else { layout };
    if op.kind == ReduceKind::Sum {
        // The one reduction whose axes were an operand already.
        let axes = match axes.is_empty() {
            true => String::new(),
            false => b.whole(&b.hint(node, "axes"), &axes),
        };
        b.make("ReduceSum", &[&x, &axes], vec![kept], node, layout);
        return Ok(());
    }
    let operator = match op.kind {
        ReduceKind::Max => "ReduceMax",
        _ => "ReduceMean",
    };
    let mut attributes = vec![kept];
    if !axes.is_empty() {
        attributes.push(ints("axes", &axes));
    }
    b.make(operator, &[&x], attributes, node, layout);
    Ok(())
}

pub(in super::super) fn broadcast(b: &mut Builder, node: &Symbol, op: BroadcastLike) -> Done {
    if op.divided {
        return Err(b.refuse(node, "it belongs to training"));
    }
    let (x, like) = (&node.inputs()[0], &node.inputs()[1]);
    let first = b.layout(like) == Layout::First && (b.is_fixed(x) || x.shape().rank() == 4);
    let (x, like, layout) = match first {
        true => (b.first(x)?, b.first(like)?, Layout::First),
        false => (b.plain(x)?, b.plain(like)?, Layout::Plain),
    };
    let shape = b.node("Shape", &[&like], vec![], node);
    b.make("Expand", &[&x, &shape], vec![], node, layout);
    Ok(())
}

/// Slices by their places. A place beyond the axis is an error in ONNX, where Graticule gives zeros.
pub(in super::super) fn take(b: &mut Builder, node: &Symbol, axis: usize) -> Done {
    let (x, layout) = operand(b, node)?;
    let places = b.plain(&node.inputs()[1])?;
    let whole = b.node("Cast", &[&places], vec![int("to", 7)], node);
    let axis = int("axis", place(layout, axis) as i64);
    b.make("Gather", &[&x, &whole], vec![axis], node, layout);
    Ok(())
}

pub(in super::super) fn arg_max(b: &mut Builder, node: &Symbol, op: ArgMax) -> Done {
    let (x, layout) = operand(b, node)?;
    let attributes = vec![
        int("axis", place(layout, op.axis) as i64),
        int("select_last_index", op.last.into()),
    ];
    let index = b.node("ArgMax", &[&x], attributes, node);
    b.make("Cast", &[&index], vec![int("to", 1)], node, layout);
    Ok(())
}
