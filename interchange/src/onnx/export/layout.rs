//! In which order the numbers of a value stand.

use graph::ndarray::{ArrayD, IxDyn};

/// The axes of `[N, H, W, C]` in the order of `[N, C, H, W]`.
pub(super) const FIRST: [usize; 4] = [0, 3, 1, 2];
/// Where each axis of `[N, H, W, C]` stands in `[N, C, H, W]`.
pub(super) const PLACE: [usize; 4] = [0, 2, 3, 1];

/// The order of a value in the file, where the graph has `[N, H, W, C]`, or a row of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// As in the graph.
    Plain,
    /// Channels first: `[N, C, H, W]`.
    First,
    /// Rows `[N, C·H·W]` where the graph has `[N, H·W·C]`: an image that was flattened. H, W, C.
    Flat([usize; 3]),
}

impl Layout {
    /// Whether rows have another order than in the graph.
    pub(super) fn flat(self) -> Option<[usize; 3]> {
        match self {
            Layout::Flat(sizes) => Some(sizes),
            _ => None,
        }
    }
}

/// The axes of `x` in another order.
pub(super) fn permuted(x: &ArrayD<f32>, order: &[usize]) -> ArrayD<f32> {
    x.view()
        .permuted_axes(IxDyn(order))
        .as_standard_layout()
        .to_owned()
}

/// `x`, which broadcasts to an image `[N, H, W, C]`, as it broadcasts to `[N, C, H, W]`.
pub(super) fn channels_first(x: &ArrayD<f32>) -> ArrayD<f32> {
    if x.len() == 1 {
        return x.clone().into_shape_with_order(IxDyn(&[])).unwrap_or_default();
    }
    let mut shape = vec![1; 4usize.saturating_sub(x.ndim())];
    shape.extend(x.shape());
    let wide = x
        .to_shape(IxDyn(&shape))
        .map(|x| x.to_owned())
        .unwrap_or_default();
    permuted(&wide, &FIRST)
}

/// Axis 0 of `x`, of length H·W·C, in the order C, H, W.
pub(super) fn flat_rows(x: &ArrayD<f32>, [h, w, c]: [usize; 3]) -> ArrayD<f32> {
    let shape = x.shape().to_vec();
    let rest: usize = shape[1..].iter().product();
    let split = x
        .to_shape(IxDyn(&[h, w, c, rest]))
        .map(|x| x.to_owned())
        .unwrap_or_default();
    let turned = permuted(&split, &[2, 0, 1, 3]);
    turned.into_shape_with_order(IxDyn(&shape)).unwrap_or_default()
}
