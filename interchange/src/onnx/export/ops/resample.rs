//! Padding and resizing of images.

use graph::Symbol;
use graph::ndarray::{ArrayD, IxDyn};
use graph::ops::{Pad2d, PadMode, Resize2d, ResizeMode, ResizeTo};

use super::super::ExportError;
use super::super::build::{Builder, int, text};
use super::super::layout::Layout;
use super::shaping::cut;

type Done = Result<(), ExportError>;

pub(in super::super) fn pad(b: &mut Builder, node: &Symbol, op: Pad2d) -> Done {
    let image = b.first(&node.inputs()[0])?;
    let (mode, value) = match op.mode {
        PadMode::Constant(value) => ("constant", value),
        PadMode::Reflect => ("reflect", 0.0),
        PadMode::Edge => ("edge", 0.0),
        PadMode::Symmetric => {
            let y = symmetric(b, node, op.padding, image);
            b.set(node, y, Layout::First);
            return Ok(());
        }
    };
    let y = padded(b, node, &image, op.padding, mode, value);
    b.set(node, y, Layout::First);
    Ok(())
}

/// The image `[N, C, H, W]` with rows and columns around it.
pub(super) fn padded(
    b: &mut Builder,
    node: &Symbol,
    image: &str,
    padding: [usize; 4],
    mode: &str,
    value: f32,
) -> String {
    let [top, bottom, left, right] = padding.map(|p| p as i64);
    let pads = b.whole(&b.hint(node, "pads"), &[0, 0, top, left, 0, 0, bottom, right]);
    let value = b.number(&b.hint(node, "value"), value);
    b.node("Pad", &[image, &pads, &value], vec![text("mode", mode)], node)
}

/// The mirror image with the edge, which ONNX's padding lacks: the image between its own reversed ends.
fn symmetric(b: &mut Builder, node: &Symbol, padding: [usize; 4], mut image: String) -> String {
    let [top, bottom, left, right] = padding.map(|p| p as i64);
    for (axis, before, after) in [(2, top, bottom), (3, left, right)] {
        let mut parts = Vec::new();
        if before > 0 {
            parts.push(cut(b, node, &image, axis, before - 1, i64::MIN + 1, -1));
        }
        parts.push(image.clone());
        if after > 0 {
            parts.push(cut(b, node, &image, axis, -1, -after - 1, -1));
        }
        if parts.len() > 1 {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            image = b.node("Concat", &parts, vec![int("axis", axis as i64)], node);
        }
    }
    image
}

pub(in super::super) fn resize(b: &mut Builder, node: &Symbol, op: Resize2d) -> Done {
    let x = &node.inputs()[0];
    let image = b.first(x)?;
    let modes = match op.mode {
        ResizeMode::Nearest => [
            ("mode", "nearest"),
            ("coordinate_transformation_mode", "asymmetric"),
        ],
        ResizeMode::Bilinear { align_corners: false } => [
            ("mode", "linear"),
            ("coordinate_transformation_mode", "half_pixel"),
        ],
        ResizeMode::Bilinear { align_corners: true } => [
            ("mode", "linear"),
            ("coordinate_transformation_mode", "align_corners"),
        ],
    };
    let mut attributes: Vec<_> = modes.iter().map(|(name, value)| text(name, value)).collect();
    attributes.push(text("nearest_mode", "floor"));
    match op.to {
        ResizeTo::Scale([rows, columns]) => {
            let factors = vec![1.0, 1.0, rows as f32, columns as f32];
            let factors = ArrayD::from_shape_vec(IxDyn(&[4]), factors).unwrap_or_default();
            let factors = b.numbers(&b.hint(node, "scales"), &factors);
            b.make("Resize", &[&image, "", &factors], attributes, node, Layout::First);
        }
        ResizeTo::Size(size) => {
            if let (ResizeMode::Nearest, [Some(h), Some(w)]) = (op.mode, [1, 2].map(|axis| b.length(x, axis)))
            {
                return nearest(b, node, op, image, [h, w], size);
            }
            let shape = b.node("Shape", &[&image], vec![], node);
            let samples = cut(b, node, &shape, 0, 0, 2, 1);
            let size = b.whole(&b.hint(node, "size"), &size.map(|s| s as i64));
            let sizes = b.node("Concat", &[&samples, &size], vec![int("axis", 0)], node);
            b.make(
                "Resize",
                &[&image, "", "", &sizes],
                attributes,
                node,
                Layout::First,
            );
        }
    }
    Ok(())
}

/// The pixels by their numbers: a quotient of sizes, rounded to f32, may fall on the wrong side of a pixel.
fn nearest(
    b: &mut Builder,
    node: &Symbol,
    op: Resize2d,
    mut image: String,
    from: [usize; 2],
    to: [usize; 2],
) -> Done {
    for axis in 0..2 {
        let rows: Vec<i64> = op
            .taps(from[axis], to[axis])
            .iter()
            .map(|tap| tap.low as i64)
            .collect();
        let rows = b.whole(&b.hint(node, "pixels"), &rows);
        image = b.node(
            "Gather",
            &[&image, &rows],
            vec![int("axis", axis as i64 + 2)],
            node,
        );
    }
    b.set(node, image, Layout::First);
    Ok(())
}
