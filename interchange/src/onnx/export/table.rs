//! Which op becomes what in the file: one line each.

use graph::Symbol;
use graph::ops::Op;

use super::ExportError;
use super::build::Builder;
use super::ops::{elementwise, images, local, products, recurrent, resample, rows, shaping};

/// Writes `node`, whose operands are written.
pub(super) fn translate(b: &mut Builder, node: &Symbol) -> Result<(), ExportError> {
    if b.is_fixed(node) {
        return Ok(());
    }
    match node.op() {
        Op::Input(_) | Op::Parameter(_) | Op::Constant(_) => Ok(()),
        Op::Binary(op) => elementwise::binary(b, node, op.kind),
        Op::Unary(op) => elementwise::unary(b, node, op.kind),
        Op::Affine(op) => elementwise::affine(b, node, *op),
        Op::Dropout(_) => b.alias(node, &node.inputs()[0]),
        Op::BroadcastLike(op) => shaping::broadcast(b, node, *op),
        Op::Reduce(op) => shaping::reduce(b, node, op),
        Op::Reshape(_) => shaping::reshape(b, node),
        Op::Transpose(op) => shaping::transpose(b, node, &op.order),
        Op::Concat(op) => shaping::concat(b, node, op.axis),
        Op::Slice(op) => shaping::slice(b, node, *op),
        Op::MatMul(op) => products::matmul(b, node, *op),
        Op::Conv2d(op) => products::conv(b, node, *op),
        Op::Conv2dTransposed(op) => products::transposed(b, node, *op),
        Op::LocallyConnected2d(op) => local::locally_connected(b, node, *op),
        Op::Pool2d(op) => images::pool(b, node, *op),
        Op::Pad2d(op) => resample::pad(b, node, *op),
        Op::Resize2d(op) => resample::resize(b, node, *op),
        Op::BatchNorm(op) => images::batch_norm(b, node, *op),
        Op::LocalResponseNorm(op) => images::local_response(b, node, *op),
        Op::LayerNorm(op) => rows::layer_norm(b, node, *op),
        Op::Softmax(_) => rows::softmax(b, node, "Softmax"),
        Op::LogSoftmax(_) => rows::softmax(b, node, "LogSoftmax"),
        Op::Gather(_) => rows::gather(b, node),
        Op::Take(op) => shaping::take(b, node, op.axis),
        Op::Function(op) => elementwise::function(b, node, op.kind),
        Op::Select(_) => elementwise::select(b, node),
        Op::ArgMax(op) => shaping::arg_max(b, node, *op),
        Op::Recurrent(_) => recurrent::check(b, node),
        // What stands in training graphs alone.
        Op::UnaryGradient(_)
        | Op::SumLike(_)
        | Op::Conv2dWeightGradient(_)
        | Op::ConcatGradient(_)
        | Op::SliceGradient(_)
        | Op::Pool2dGradient(_)
        | Op::Pad2dGradient(_)
        | Op::Resize2dGradient(_)
        | Op::BatchMoments(_)
        | Op::UnbiasedVariance(_)
        | Op::Normalize(_)
        | Op::NormalizeSums(_)
        | Op::NormalizeInputGradient(_)
        | Op::LayerNormInputGradient(_)
        | Op::LayerNormSums(_)
        | Op::LocalResponseNormGradient(_)
        | Op::SoftmaxGradient(_)
        | Op::LogSoftmaxGradient(_)
        | Op::CrossEntropy(_)
        | Op::CrossEntropyGradient(_)
        | Op::GatherGradient(_)
        | Op::TakeGradient(_)
        | Op::RecurrentGradient(_)
        | Op::LocallyConnected2dInputGradient(_)
        | Op::LocallyConnected2dWeightGradient(_)
        | Op::DropoutMask(_) => Err(b.refuse(
            node,
            "it belongs to training; export the network that gives the predictions",
        )),
    }
}
