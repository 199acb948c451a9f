//! Locally connected layers, which ONNX has no operator for.

use graph::Symbol;
use graph::ops::LocallyConnected2d;

use super::super::ExportError;
use super::super::build::{Builder, int, ints};
use super::super::layout::Layout;
use super::resample::padded;
use super::shaping::cut;

/// The windows of all places side by side, `[N, OH, OW, 1, KH·KW·C]`, times each place's own weights
/// `[OH, OW, KH·KW·C, O]`.
pub(in super::super) fn locally_connected(
    b: &mut Builder,
    node: &Symbol,
    op: LocallyConnected2d,
) -> Result<(), ExportError> {
    let (x, w) = (&node.inputs()[0], &node.inputs()[1]);
    let sizes = op.sizes(b.shapes(x)[0], w.shape())?;
    let (window, channels) = (sizes.window, sizes.channels);
    let mut image = b.first(x)?;
    if window.padding != [0; 4] {
        image = padded(b, node, &image, window.padding, "constant", 0.0);
    }
    let mut taps = Vec::new();
    for tap in 0..op.size[0] * op.size[1] {
        let at = [tap / op.size[1], tap % op.size[1]];
        let mut part = image.clone();
        for (axis, at) in at.into_iter().enumerate() {
            let start = at * window.dilation[axis];
            let end = start + (window.output[axis] - 1) * window.stride[axis] + 1;
            part = cut(
                b,
                node,
                &part,
                axis + 2,
                start as i64,
                end as i64,
                window.stride[axis] as i64,
            );
        }
        taps.push(part);
    }
    let taps: Vec<&str> = taps.iter().map(String::as_str).collect();
    let joined = b.node("Concat", &taps, vec![int("axis", 1)], node);
    let pixels = b.node("Transpose", &[&joined], vec![ints("perm", &[0, 2, 3, 1])], node);
    let [oh, ow] = window.output.map(|length| length as i64);
    let depth = (taps.len() * channels) as i64;
    let rows = b.reshaped(&pixels, &[0, oh, ow, 1, depth], node);
    let weights = b.plain(w)?;
    let products = b.node("MatMul", &[&rows, &weights], vec![], node);
    let y = b.reshaped(&products, &[0, oh, ow, sizes.outputs as i64], node);
    b.set(node, y, Layout::Plain);
    Ok(())
}
