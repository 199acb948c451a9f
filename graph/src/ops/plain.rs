//! What the plain references share.

use ndarray::{ArrayD, IxDyn};

use crate::{GraphError, Shape, Symbol};

/// A tensor of zeros after `fill` has written its row-major elements.
pub(super) fn filled(output: &Shape, fill: impl FnOnce(&mut [f64])) -> ArrayD<f64> {
    let mut values = vec![0.0; output.elements()];
    fill(&mut values);
    ArrayD::from_shape_vec(IxDyn(output), values).unwrap_or_default()
}

/// The elements in row-major order.
pub(super) fn plain(x: &ArrayD<f64>) -> Vec<f64> {
    x.iter().copied().collect()
}

/// The shape of a host tensor.
pub(super) fn shape_of(x: &ArrayD<f64>) -> Shape {
    Shape::new(x.shape())
}

/// The four axes of `shape`; `what` and `meaning` say what stands there, for the message.
pub(super) fn rank4(op: &str, what: &str, shape: &Shape, meaning: &str) -> Result<[usize; 4], GraphError> {
    <[usize; 4]>::try_from(&shape[..])
        .map_err(|_| GraphError::shape(op, format!("{what} must be {meaning}, found {shape}")))
}

/// The axes `[N, H, W, C]` of an image.
pub(super) fn image(op: &str, shape: &Shape) -> Result<[usize; 4], GraphError> {
    rank4(op, "the image", shape, "[N, H, W, C]")
}

/// Refuses `found` unless it is `expected`.
pub(super) fn expect(op: &str, what: &str, found: &Shape, expected: &[usize]) -> Result<(), GraphError> {
    if found[..] == *expected {
        Ok(())
    } else {
        Err(GraphError::shape(
            op,
            format!("{what} must have shape {expected:?}, found {found}"),
        ))
    }
}

/// The length C of the last axis of x `[.., C]`.
pub(super) fn channels(op: &str, x: &Shape) -> Result<usize, GraphError> {
    match x.last() {
        Some(&c) if c > 0 => Ok(c),
        _ => Err(GraphError::shape(
            op,
            format!("needs a last axis of channels, found {x}"),
        )),
    }
}

/// Row `row` of `pair` `[2, C]` as `[C]`.
pub(super) fn row(pair: &Symbol, row: usize) -> Result<Symbol, GraphError> {
    let cut = super::Slice {
        axis: 0,
        start: row,
        length: 1,
        step: 1,
    };
    Symbol::apply(cut, &[pair])?.reshape(&[super::Axis::Keep(1)])
}

/// The error of an op that must be lowered before it is differentiated.
pub(super) fn lower_first(op: &str) -> GraphError {
    GraphError::shape(
        op,
        "behaves differently in training and inference: lower the graph for a mode, then differentiate",
    )
}
