//! Which kernel computes which op: one line each.

use graph::Shape;
use graph::ops::Op;

use super::{
    BuildContext, Kernel, OperandInfo, Pack, conv, elementwise, matmul, movement, reduce, reference,
};
use crate::EngineError;
use crate::plan::Epilogue;

/// A kernel, and what it wants done with its operands.
pub struct Built {
    /// The kernel.
    pub kernel: Box<dyn Kernel>,
    /// Whether each operand is taken sample by sample (its axis 0 runs over the batch); operands
    /// beyond the list are taken whole.
    pub by_sample: Vec<bool>,
    /// Operands that the kernel takes in packed form.
    pub packs: Vec<(usize, Pack)>,
}

impl Built {
    /// A kernel that takes its operands as they are.
    pub fn new(kernel: impl Kernel + 'static, by_sample: Vec<bool>) -> Self {
        Self {
            kernel: Box::new(kernel),
            by_sample,
            packs: Vec::new(),
        }
    }

    /// The same with operand `k` packed.
    pub fn packing(mut self, k: usize, pack: Pack) -> Self {
        self.packs.push((k, pack));
        self
    }
}

/// The kernel for `op` on operands of these shapes.
///
/// # Errors
/// When the shapes are not ones that the op takes.
pub fn build(
    context: &BuildContext,
    op: &Op,
    epilogue: Epilogue,
    operands: &[OperandInfo],
    output: &Shape,
) -> Result<Built, EngineError> {
    let shapes: Vec<&Shape> = operands.iter().map(|o| &o.shape).collect();
    Ok(match op {
        Op::Binary(op) => elementwise::binary(context, op.kind, &shapes, output),
        Op::Unary(op) => elementwise::unary(context, op.kind, output),
        Op::UnaryGradient(op) => elementwise::unary_gradient(context, op.kind, output),
        Op::Affine(op) => elementwise::affine(context, *op, output),
        Op::BroadcastLike(op) => elementwise::broadcast(context, *op, shapes[0], output),
        Op::SumLike(_) => reduce::sum_like(context, shapes[0], output),
        Op::Reduce(op) => reduce::reduce(context, op, shapes[0], output),
        Op::MatMul(op) => matmul::build(context, *op, epilogue, &shapes)?,
        Op::Conv2d(op) => conv::forward(context, *op, epilogue, &shapes)?,
        Op::Conv2dTransposed(op) => conv::transposed(context, *op, &shapes)?,
        Op::Conv2dWeightGradient(op) => conv::weight_gradient(context, *op, &shapes)?,
        Op::Transpose(op) => movement::transpose(context, op, shapes[0], output),
        Op::Concat(op) => movement::concat(context, op.axis, &shapes, output),
        Op::ConcatGradient(op) => movement::concat_gradient(context, *op, &shapes, output),
        Op::Slice(op) => movement::slice(context, *op, shapes[0], output),
        Op::SliceGradient(op) => movement::slice_gradient(context, op.slice, shapes[0], output),
        _ => reference::build(op, &shapes, output),
    })
}
