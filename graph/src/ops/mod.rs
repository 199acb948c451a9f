//! The ops. One file holds all that an op *is*: maths, shape rule, gradient rule, cost and a plain
//! reference. To add one, write its file and add one line to `registry!` below.

mod batch_norm;
mod binary;
mod broadcast;
mod conv2d;
mod cross_entropy;
mod dropout;
mod function;
mod gather;
mod layer_norm;
mod leaves;
mod local_response;
mod locally_connected;
mod matmul;
mod normalize;
mod pad;
mod plain;
mod pool;
mod recurrent;
mod reduce;
mod reshape;
mod resize;
mod select;
mod softmax;
mod take;
mod unary;
mod window;

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use crate::{GraphError, Mode, Shape, Symbol};

pub use batch_norm::BatchNorm;
pub use binary::{Binary, BinaryKind};
pub use broadcast::{BroadcastLike, SumLike};
pub use conv2d::{Conv2d, Conv2dSizes, Conv2dTransposed, Conv2dWeightGradient};
pub use cross_entropy::{CrossEntropy, CrossEntropyGradient, CrossEntropyTargets};
pub use dropout::{Dropout, DropoutMask, Keeps, keeps};
pub use function::{Function, FunctionKind};
pub use gather::{Gather, GatherGradient};
pub use layer_norm::{LayerNorm, LayerNormInputGradient, LayerNormSums};
pub use leaves::{Constant, Init, Input, Parameter};
pub use local_response::{LocalResponseNorm, LocalResponseNormGradient};
pub use locally_connected::{
    LocallyConnected2d, LocallyConnected2dInputGradient, LocallyConnected2dSizes,
    LocallyConnected2dWeightGradient,
};
pub use matmul::{MatMul, MatMulSizes};
pub use normalize::{BatchMoments, Normalize, NormalizeInputGradient, NormalizeSums, UnbiasedVariance};
pub use pad::{Pad2d, Pad2dGradient, PadMode};
pub use pool::{Pool2d, Pool2dGradient, Pool2dSizes, PoolKind};
pub use recurrent::{Cell, Recurrent, RecurrentGradient, Squash};
pub use reduce::{Reduce, ReduceKind};
pub use reshape::{Axis, Concat, ConcatGradient, Reshape, Slice, SliceGradient, Target, Transpose};
pub use resize::{Resize2d, Resize2dGradient, ResizeMode, ResizeTap, ResizeTo};
pub use select::{ArgMax, Select};
pub use softmax::{LogSoftmax, LogSoftmaxGradient, Softmax, SoftmaxGradient};
pub use take::{Take, TakeGradient};
pub use unary::{Affine, Unary, UnaryGradient, UnaryKind};
pub use window::{BoundWindow, Fit, Padding, Window};

/// What one evaluation of an op costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Multiply-accumulate operations of products with weights or between activations.
    pub macs: u64,
    /// Floating-point operations in all: two per MAC, one per element-wise operation.
    pub flops: u64,
}

impl Cost {
    /// Cost of `macs` multiply-accumulates.
    pub fn macs(macs: usize) -> Self {
        Self {
            macs: macs as u64,
            flops: 2 * macs as u64,
        }
    }

    /// Cost of `flops` element-wise operations.
    pub fn flops(flops: usize) -> Self {
        Self {
            macs: 0,
            flops: flops as u64,
        }
    }
}

/// A state parameter and the symbol whose value it takes after the step.
pub type StateUpdate = (Symbol, Symbol);

/// What every op must say of itself.
pub trait Operation {
    /// Its name in messages, for example `conv2d`.
    fn name(&self) -> &'static str;

    /// The shape of the result.
    ///
    /// # Errors
    /// When the op cannot take these shapes; the message has the numbers.
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError>;

    /// ∂loss/∂(operand `input`) as new nodes, given `gradient` = ∂loss/∂(result of `node`).
    /// `None` where the operand has no influence that a derivative could see (labels, shapes).
    ///
    /// # Errors
    /// [`GraphError::NoGradient`] unless the op has a rule.
    fn gradient(&self, node: &Symbol, gradient: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let _ = (node, gradient);
        Err(GraphError::NoGradient {
            op: self.name().into(),
            input,
        })
    }

    /// The plain definition, in f64.
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64>;

    /// What one evaluation costs.
    fn cost(&self, inputs: &[&Shape], output: &Shape) -> Cost {
        let _ = inputs;
        Cost::flops(output.elements())
    }

    /// Whether the numbers of operand `input` are read, or its shape alone.
    fn reads(&self, input: usize) -> bool {
        let _ = input;
        true
    }

    /// The replacement of a mode-dependent op, with the state it updates; `None` for all others.
    /// `ordinal` counts the mode-dependent ops before this one, and so names it within the network.
    ///
    /// # Errors
    /// A shape error of the replacement.
    fn lower(
        &self,
        inputs: &[&Symbol],
        mode: Mode,
        ordinal: u64,
    ) -> Result<Option<(Symbol, Vec<StateUpdate>)>, GraphError> {
        let _ = (inputs, mode, ordinal);
        Ok(None)
    }
}

macro_rules! registry {
    ($($op:ident),* $(,)?) => {
        /// Every op of the language, as plain data.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "op", rename_all = "snake_case")]
        #[allow(missing_docs)]
        pub enum Op { $($op($op)),* }

        impl Op {
            /// The op behind the variant.
            pub fn operation(&self) -> &(dyn Operation + 'static) {
                match self { $(Op::$op(op) => op),* }
            }

            /// The variants' names, in registry order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($op)),*];
        }

        $(impl From<$op> for Op {
            fn from(op: $op) -> Op { Op::$op(op) }
        })*
    };
}

registry! {
    Input, Parameter, Constant,
    Binary, Unary, UnaryGradient, Affine,
    BroadcastLike, SumLike, Reduce,
    MatMul, Conv2d, Conv2dTransposed, Conv2dWeightGradient,
    Reshape, Transpose, Concat, ConcatGradient, Slice, SliceGradient,
    Pool2d, Pool2dGradient, Pad2d, Pad2dGradient, Resize2d, Resize2dGradient,
    BatchNorm, BatchMoments, UnbiasedVariance, Normalize, NormalizeSums, NormalizeInputGradient,
    LayerNorm, LayerNormInputGradient, LayerNormSums, LocalResponseNorm, LocalResponseNormGradient,
    Softmax, SoftmaxGradient, LogSoftmax, LogSoftmaxGradient, CrossEntropy, CrossEntropyGradient,
    Gather, GatherGradient, Recurrent, RecurrentGradient, Take, TakeGradient, Function, Select, ArgMax,
    LocallyConnected2d, LocallyConnected2dInputGradient, LocallyConnected2dWeightGradient,
    Dropout, DropoutMask,
}

impl std::ops::Deref for Op {
    type Target = dyn Operation;
    fn deref(&self) -> &Self::Target {
        self.operation()
    }
}

/// The operands, if there are exactly `N`.
pub(crate) fn operands<'a, const N: usize>(
    op: &str,
    inputs: &[&'a Shape],
) -> Result<[&'a Shape; N], GraphError> {
    inputs
        .try_into()
        .map_err(|_| GraphError::shape(op, format!("takes {N} operands, found {}", inputs.len())))
}
