//! What works along the last axis, and embedding.

use graph::Symbol;
use graph::ops::LayerNorm;

use super::super::ExportError;
use super::super::build::{Builder, float, int};
use super::super::layout::Layout;

type Done = Result<(), ExportError>;

pub(in super::super) fn layer_norm(b: &mut Builder, node: &Symbol, op: LayerNorm) -> Done {
    let [x, gamma, beta] = [0, 1, 2].map(|k| b.plain(&node.inputs()[k]));
    let attributes = vec![int("axis", -1), float("epsilon", op.epsilon)];
    b.make(
        "LayerNormalization",
        &[&x?, &gamma?, &beta?],
        attributes,
        node,
        Layout::Plain,
    );
    Ok(())
}

pub(in super::super) fn softmax(b: &mut Builder, node: &Symbol, operator: &str) -> Done {
    let x = &node.inputs()[0];
    let (from, axis, layout) = match b.layout(x) {
        Layout::First => (b.as_it_is(x)?, 1, Layout::First),
        _ => (b.plain(x)?, -1, Layout::Plain),
    };
    b.make(operator, &[&from], vec![int("axis", axis)], node, layout);
    Ok(())
}

/// Rows of a table. An index beyond it is an error in ONNX, where Graticule gives zeros.
pub(in super::super) fn gather(b: &mut Builder, node: &Symbol) -> Done {
    let (indices, table) = (b.plain(&node.inputs()[0])?, b.plain(&node.inputs()[1])?);
    let whole = b.node("Cast", &[&indices], vec![int("to", 7)], node);
    b.make(
        "Gather",
        &[&table, &whole],
        vec![int("axis", 0)],
        node,
        Layout::Plain,
    );
    Ok(())
}
