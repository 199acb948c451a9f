//! What a planned node computes: an op of the graph, or what the planner made of several.

use std::sync::Arc;

use graph::Shape;
use graph::ops::{Cost, CrossEntropy, Op};

use super::chain::Chain;
use super::{MaxPool, PooledConv};

/// What a node computes.
#[derive(Debug, Clone)]
pub enum Action {
    /// An op of the graph.
    Graph(Op),
    /// Several ops in one.
    Fused(Fused),
}

/// Several ops in one: made by a pass of the planner, computed by a kernel of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum Fused {
    /// Convolution, its epilogue, max-pooling; perhaps with choices. Operands as the convolution's.
    ConvPool(Arc<PooledConv>),
    /// The maxima of a [`Fused::ConvPool`] with choices, which is its operand.
    Pooled(Arc<PooledConv>),
    /// The gradient of the convolution's result. Operands: gradient of the maxima, maxima with choices.
    UnpoolConv(Arc<PooledConv>),
    /// Max-pooling with choices. Operand: the image.
    MaxPool(MaxPool),
    /// The maxima of a [`Fused::MaxPool`], which is its operand.
    Maxima(MaxPool),
    /// The gradient of a pooled image. Operands: gradient of the maxima, maxima with choices.
    Unpool(MaxPool),
    /// For each output the places and gradients of its choices. Operands: as above.
    Listed(Arc<PooledConv>),
    /// The gradient of the convolution's image. Operands: as above, and the weights.
    PooledConvInput(Arc<PooledConv>),
    /// The gradient of the convolution's weights. Operands: lists, and the image.
    PooledConvWeights(Arc<PooledConv>),
    /// The gradient of the convolution's bias. Operand: lists.
    PooledConvBias(Arc<PooledConv>),
    /// Σ loss / Σ weight. Operands: logits, targets, class weights.
    MeanCrossEntropy(CrossEntropy),
    /// Σ weight, or `share` divided by it. Operands: targets, class weights.
    CrossEntropyWeight { loss: CrossEntropy, share: Option<f32> },
    /// Element-wise ops, and perhaps a sum at their end, in one pass.
    Chain(Chain),
}

impl Action {
    /// The op of the graph, if it is one.
    pub(crate) fn graph(&self) -> Option<&Op> {
        match self {
            Action::Graph(op) => Some(op),
            Action::Fused(_) => None,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Action::Graph(op) => op.name(),
            Action::Fused(fused) => fused.name(),
        }
    }

    /// Whether the numbers of operand `position` are read, not only its shape.
    pub(crate) fn reads(&self, position: usize) -> bool {
        match self {
            Action::Graph(op) => op.reads(position),
            Action::Fused(fused) => fused.reads(position),
        }
    }

    pub(crate) fn cost(&self, operands: &[&Shape], output: &Shape) -> Cost {
        match self {
            Action::Graph(op) => op.cost(operands, output),
            Action::Fused(fused) => fused.cost(operands, output),
        }
    }

    /// Whether it has storage and no kernel.
    pub(crate) fn is_leaf(&self) -> bool {
        matches!(
            self,
            Action::Graph(Op::Input(_) | Op::Parameter(_) | Op::Constant(_))
        )
    }
}

impl Fused {
    fn name(&self) -> &'static str {
        match self {
            Fused::ConvPool(_) => "conv2d_max_pool2d",
            Fused::Pooled(_) => "pooled",
            Fused::UnpoolConv(_) => "unpool2d",
            Fused::MaxPool(_) => "max_pool2d",
            Fused::Maxima(_) => "pooled",
            Fused::Unpool(_) => "max_pool2d_gradient",
            Fused::Listed(_) => "listed",
            Fused::PooledConvInput(_) => "pooled_conv2d_input",
            Fused::PooledConvWeights(_) => "pooled_conv2d_weights",
            Fused::PooledConvBias(_) => "pooled_conv2d_bias",
            Fused::MeanCrossEntropy(_) => "mean_cross_entropy",
            Fused::CrossEntropyWeight { .. } => "cross_entropy_weight",
            Fused::Chain(chain) => chain.name(),
        }
    }

    fn reads(&self, _position: usize) -> bool {
        true
    }

    fn cost(&self, operands: &[&Shape], output: &Shape) -> Cost {
        match self {
            Fused::MaxPool(what) => Cost::flops(
                operands[0]
                    .elements()
                    .min(output.elements() * what.window.kernel[0] * what.window.kernel[1]),
            ),
            // Of the passes they stand for: products with zeros that are left out count.
            Fused::ConvPool(what) | Fused::PooledConvInput(what) | Fused::PooledConvWeights(what) => {
                Cost::macs(what.sizes.macs())
            }
            Fused::Pooled(_)
            | Fused::Maxima(_)
            | Fused::UnpoolConv(_)
            | Fused::Unpool(_)
            | Fused::Listed(_)
            | Fused::PooledConvBias(_) => Cost::flops(output.elements()),
            Fused::MeanCrossEntropy(_) => Cost::flops(6 * operands[0].elements()),
            Fused::CrossEntropyWeight { .. } => Cost::flops(operands[0].elements()),
            Fused::Chain(chain) => chain.cost,
        }
    }
}
