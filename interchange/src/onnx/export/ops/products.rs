//! Products with weights: dense layers, convolutions, products of batches of matrices.

use graph::Symbol;
use graph::ops::{BinaryKind, Conv2d, Conv2dTransposed, MatMul, Op, Padding, Window};

use super::super::super::proto::AttributeProto;
use super::super::ExportError;
use super::super::build::{Builder, int, ints, kernel, text};
use super::super::layout::{Layout, flat_rows, permuted};

type Done = Result<(), ExportError>;

fn takes_bias(node: &Symbol) -> bool {
    match node.op() {
        Op::Conv2d(_) | Op::Conv2dTransposed(_) => true,
        Op::MatMul(_) => node.shape().rank() == 2,
        _ => false,
    }
}

/// The fixed vector that is added to `product`, and the node that adds it, if nothing else reads `product`.
fn bias(b: &Builder, product: &Symbol) -> Option<(Symbol, Symbol)> {
    let reader = b.only_reader(product).filter(|_| takes_bias(product))?;
    let Op::Binary(op) = reader.op() else { return None };
    let other = reader.inputs().iter().find(|i| *i != product)?;
    let fits = other.shape()[..] == [product.shape().last_axis()] && b.is_fixed(other);
    (op.kind == BinaryKind::Add && fits).then(|| (reader.clone(), other.clone()))
}

/// The product that has been written together with its bias, which `node` would add.
pub(super) fn with_this_bias(b: &Builder, node: &Symbol) -> Option<Symbol> {
    let adds = |x: &&Symbol| bias(b, x).is_some_and(|(reader, _)| reader == *node);
    node.inputs().iter().find(adds).cloned()
}

/// Strides, dilations, kernel size and padding of a window over the image `x`.
pub(super) fn window(
    b: &Builder,
    x: &Symbol,
    size: [usize; 2],
    window: &Window,
) -> Result<Vec<AttributeProto>, ExportError> {
    let mut paddings = Vec::new();
    for shape in b.shapes(x) {
        let bound = window.bind(x.op().name(), [shape[1], shape[2]], size)?;
        let [top, bottom, left, right] = bound.padding;
        paddings.push([top, left, bottom, right]);
    }
    // How much there is of `same` depends on the image's size, unless every pixel is visited.
    let varies = [1, 2].iter().any(|&axis| b.length(x, axis).is_none());
    let padding = match (window.padding, window.stride) {
        (Padding::Same, stride) if varies && stride != [1, 1] => text("auto_pad", "SAME_UPPER"),
        _ => ints("pads", &paddings[0]),
    };
    Ok(vec![
        ints("kernel_shape", &size),
        ints("strides", &window.stride),
        ints("dilations", &window.dilation),
        padding,
    ])
}

/// The weights of a convolution in ONNX's order.
fn weights(b: &mut Builder, w: &Symbol) -> Result<String, ExportError> {
    if b.is_fixed(w) {
        return b.fixed_as(w, "kernel", kernel);
    }
    let plain = b.plain(w)?;
    Ok(b.node("Transpose", &[&plain], vec![ints("perm", &[3, 2, 0, 1])], w))
}

fn write(
    b: &mut Builder,
    node: &Symbol,
    operator: &str,
    mut inputs: Vec<String>,
    attributes: Vec<AttributeProto>,
    layout: Layout,
) -> Done {
    if let Some((_, bias)) = bias(b, node) {
        inputs.push(b.plain(&bias)?);
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    b.make(operator, &inputs, attributes, node, layout);
    Ok(())
}

pub(in super::super) fn conv(b: &mut Builder, node: &Symbol, op: Conv2d) -> Done {
    let (x, w) = (&node.inputs()[0], &node.inputs()[1]);
    let size = [w.shape()[0], w.shape()[1]];
    let mut attributes = window(b, x, size, &op.window)?;
    attributes.push(int("group", op.groups as i64));
    let inputs = vec![b.first(x)?, weights(b, w)?];
    write(b, node, "Conv", inputs, attributes, Layout::First)
}

pub(in super::super) fn transposed(b: &mut Builder, node: &Symbol, op: Conv2dTransposed) -> Done {
    let (y, w) = (&node.inputs()[0], &node.inputs()[1]);
    let size = [w.shape()[0], w.shape()[1]];
    let Window { stride, dilation, .. } = op.conv.window;
    let mut choices = Vec::new();
    for (image, from) in b.shapes(node).into_iter().zip(b.shapes(y)) {
        let bound = op
            .conv
            .window
            .bind("conv2d_transposed", [image[1], image[2]], size)?;
        let [top, bottom, left, right] = bound.padding;
        // What the smallest such image lacks.
        let more = [(0, top + bottom), (1, left + right)].map(|(axis, padding)| {
            let reach = dilation[axis] * (size[axis] - 1) + 1;
            (image[axis + 1] + padding).saturating_sub((from[axis + 1] - 1) * stride[axis] + reach)
        });
        choices.push(([top, left, bottom, right], more));
    }
    if choices[0] != choices[1] {
        return Err(b.refuse(
            node,
            "its padding depends on the image's size; give the padding in numbers",
        ));
    }
    let (pads, more) = choices[0];
    let attributes = vec![
        ints("kernel_shape", &size),
        ints("strides", &stride),
        ints("dilations", &dilation),
        ints("pads", &pads),
        ints("output_padding", &more),
        int("group", op.conv.groups as i64),
    ];
    let inputs = vec![b.first(y)?, weights(b, w)?];
    write(b, node, "ConvTranspose", inputs, attributes, Layout::First)
}

pub(in super::super) fn matmul(b: &mut Builder, node: &Symbol, op: MatMul) -> Done {
    match node.shape().rank() {
        2 => gemm(b, node, op),
        _ => batched(b, node, op),
    }
}

/// A·B + bias of two matrices.
fn gemm(b: &mut Builder, node: &Symbol, op: MatMul) -> Done {
    let (x, w) = (&node.inputs()[0], &node.inputs()[1]);
    // Rows that were images are multiplied as they lie, by weights in their order.
    let flat = b.layout(x).flat().filter(|_| b.is_fixed(w) && !op.transpose_a);
    let (left, right, transpose_b) = match flat {
        Some(sizes) => {
            let reorder = |w: &graph::ndarray::ArrayD<f32>| match op.transpose_b {
                true => flat_rows(&permuted(w, &[1, 0]), sizes),
                false => flat_rows(w, sizes),
            };
            (b.as_it_is(x)?, b.fixed_as(w, "flat", reorder)?, false)
        }
        None => (b.plain(x)?, b.plain(w)?, op.transpose_b),
    };
    let attributes = vec![
        int("transA", op.transpose_a.into()),
        int("transB", transpose_b.into()),
    ];
    write(b, node, "Gemm", vec![left, right], attributes, Layout::Plain)
}

/// Products of the last two axes.
fn batched(b: &mut Builder, node: &Symbol, op: MatMul) -> Done {
    let left = matrix(b, &node.inputs()[0], op.transpose_a)?;
    let right = matrix(b, &node.inputs()[1], op.transpose_b)?;
    b.make("MatMul", &[&left, &right], vec![], node, Layout::Plain);
    Ok(())
}

/// An operand, its last two axes swapped if `swap`.
fn matrix(b: &mut Builder, x: &Symbol, swap: bool) -> Result<String, ExportError> {
    if !swap {
        return b.plain(x);
    }
    let rank = x.shape().rank();
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 1, rank - 2);
    if b.is_fixed(x) {
        return b.fixed_as(x, "swapped", |x| permuted(x, &order));
    }
    let plain = b.plain(x)?;
    Ok(b.node("Transpose", &[&plain], vec![ints("perm", &order)], x))
}
