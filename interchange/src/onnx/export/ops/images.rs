//! Pooling and normalisation of images.

use graph::Symbol;
use graph::ndarray::{ArrayD, IxDyn};
use graph::ops::{BatchNorm, LocalResponseNorm, Pool2d, PoolKind};

use super::super::ExportError;
use super::super::build::{Builder, float, int};
use super::super::layout::{Layout, flat_rows};
use super::products::window;

type Done = Result<(), ExportError>;

pub(in super::super) fn pool(b: &mut Builder, node: &Symbol, op: Pool2d) -> Done {
    let x = &node.inputs()[0];
    let mut attributes = window(b, x, op.size, &op.window)?;
    if op.kind != PoolKind::Max && op.kind != PoolKind::Min {
        if op.window.dilation != [1, 1] {
            return Err(b.refuse(node, "means have no dilation before opset 19"));
        }
        attributes.retain(|a| a.name != "dilations");
    }
    let image = b.first(x)?;
    match op.kind {
        PoolKind::Max => b.make("MaxPool", &[&image], attributes, node, Layout::First),
        PoolKind::Min => {
            let upside_down = b.node("Neg", &[&image], vec![], node);
            let most = b.node("MaxPool", &[&upside_down], attributes, node);
            b.make("Neg", &[&most], vec![], node, Layout::First);
        }
        PoolKind::Average { count_padding } => {
            attributes.push(int("count_include_pad", count_padding.into()));
            b.make("AveragePool", &[&image], attributes, node, Layout::First);
        }
        PoolKind::L2 => {
            attributes.push(int("p", 2));
            b.make("LpPool", &[&image], attributes, node, Layout::First);
        }
    }
    Ok(())
}

pub(in super::super) fn batch_norm(b: &mut Builder, node: &Symbol, op: BatchNorm) -> Done {
    let (x, vectors) = (&node.inputs()[0], &node.inputs()[1..]);
    if !vectors.iter().all(|v| b.is_fixed(v)) {
        return Err(b.refuse(node, "its statistics depend on the input"));
    }
    let layout = b.layout(x);
    if layout != Layout::First && x.shape().rank() > 2 && x.shape().rank() != 4 {
        return scale_and_shift(b, node, op);
    }
    let (from, layout) = match x.shape().rank() {
        4 => (b.first(x)?, Layout::First),
        _ => (b.as_it_is(x)?, layout),
    };
    let mut inputs = vec![from];
    for vector in vectors {
        inputs.push(match layout.flat() {
            Some(sizes) => b.fixed_as(vector, "flat", |v| flat_rows(v, sizes))?,
            None => b.plain(vector)?,
        });
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    b.make(
        "BatchNormalization",
        &inputs,
        vec![float("epsilon", op.epsilon)],
        node,
        layout,
    );
    Ok(())
}

/// Where channels are not axis 1, the operator does not fit.
fn scale_and_shift(b: &mut Builder, node: &Symbol, op: BatchNorm) -> Done {
    let [_, gamma, beta, mean, variance] = node.inputs() else {
        return Ok(());
    };
    let scale = b.array(gamma)? / (b.array(variance)? + op.epsilon).mapv(f32::sqrt);
    let shift = b.array(beta)? - b.array(mean)? * &scale;
    let scale = b.numbers(&b.hint(node, "scale"), &scale);
    let shift = b.numbers(&b.hint(node, "shift"), &shift);
    let x = b.plain(&node.inputs()[0])?;
    let y = b.node("Mul", &[&x, &scale], vec![], node);
    b.make("Add", &[&y, &shift], vec![], node, Layout::Plain);
    Ok(())
}

pub(in super::super) fn local_response(b: &mut Builder, node: &Symbol, op: LocalResponseNorm) -> Done {
    let x = &node.inputs()[0];
    if x.shape().rank() != 4 {
        return Err(b.refuse(node, "it reads images only"));
    }
    let image = b.first(x)?;
    if op.size % 2 == 1 {
        let attributes = vec![
            int("size", op.size as i64),
            float("alpha", op.alpha),
            float("beta", op.beta),
            float("bias", op.k),
        ];
        b.make("LRN", &[&image], attributes, node, Layout::First);
        return Ok(());
    }
    // An even window lies the other way in ONNX: its sums as a convolution of 1×1.
    let channels = x.shape().last_axis();
    let share = op.alpha / op.size as f32;
    let inside = |at: &[usize]| op.window(at[0], channels).contains(&at[1]);
    let shape = IxDyn(&[channels, channels, 1, 1]);
    let band = ArrayD::from_shape_fn(shape, |at| if inside(&[at[0], at[1]]) { share } else { 0.0 });
    let band = b.numbers(&b.hint(node, "window"), &band);
    let k = b.numbers(&b.hint(node, "k"), &ArrayD::from_elem(IxDyn(&[channels]), op.k));
    let beta = b.number(&b.hint(node, "beta"), op.beta);
    let squares = b.node("Mul", &[&image, &image], vec![], node);
    let sums = b.node("Conv", &[&squares, &band, &k], vec![], node);
    let divisor = b.node("Pow", &[&sums, &beta], vec![], node);
    b.make("Div", &[&image, &divisor], vec![], node, Layout::First);
    Ok(())
}
