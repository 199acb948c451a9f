//! Which kernel computes which op: one line each.

use graph::Shape;
use graph::ops::{Affine, Op, UnbiasedVariance};

use super::conv::Filters;
use super::{
    BuildContext, Kernel, Laid, OperandInfo, Pack, Planes, Shorts, Stack, Task, Work, amx, apart, chain,
    conv, cross_entropy, dropout, elementwise, gather, layer_norm, local_response, locally, lone, matmul,
    max_pool, movement, norm, pad, pool, recurrent, reduce, reference, resize, select, small_conv, softmax,
};
use crate::EngineError;
use crate::plan::{Action, Epilogue, Fused};

/// A kernel, and what it wants done with its operands.
pub struct Built {
    /// The kernel.
    pub kernel: Box<dyn Kernel>,
    /// Whether each operand is taken sample by sample (its axis 0 runs over the batch); operands
    /// beyond the list are taken whole.
    pub by_sample: Vec<bool>,
    /// Operands that the kernel takes in packed form.
    pub packs: Vec<(usize, Packing)>,
    /// Operands that the kernel also takes as they are, behind all others.
    pub also: Vec<usize>,
    /// What runs before on the same operands, all taken whole, and the elements that it makes, which are the
    /// kernel's first operand.
    pub before: Option<(Box<dyn Kernel>, usize)>,
}

/// A packed form of an operand; itself a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packing {
    /// Panels of f32 numbers.
    Panels(Pack),
    /// Parts for the tile unit.
    Planes(Planes),
    /// Filters for Winograd's products.
    Filters(Filters),
    /// Strips of a sum over pixels, for the tile unit.
    Laid(Box<Laid>),
    /// Samples as rows, for the tile unit.
    Stack(Stack),
}

impl Packing {
    /// Elements of the packed form.
    pub fn elements(&self) -> usize {
        match self {
            Packing::Panels(pack) => pack.elements(),
            Packing::Planes(planes) => planes.elements(),
            Packing::Filters(filters) => filters.elements(),
            Packing::Laid(laid) => laid.elements(),
            Packing::Stack(stack) => stack.elements(),
        }
    }
}

impl Kernel for Packing {
    fn work(&self) -> Work {
        match self {
            Packing::Panels(pack) => pack.work(),
            Packing::Planes(planes) => planes.work(),
            Packing::Filters(filters) => filters.work(),
            Packing::Laid(laid) => laid.work(),
            Packing::Stack(stack) => stack.work(),
        }
    }

    fn scratch(&self) -> usize {
        match self {
            Packing::Panels(pack) => pack.scratch(),
            Packing::Planes(planes) => planes.scratch(),
            Packing::Filters(filters) => filters.scratch(),
            Packing::Laid(laid) => laid.scratch(),
            Packing::Stack(stack) => stack.scratch(),
        }
    }

    fn run(&self, task: Task<'_>) {
        match self {
            Packing::Panels(pack) => pack.run(task),
            Packing::Planes(planes) => planes.run(task),
            Packing::Filters(filters) => filters.run(task),
            Packing::Laid(laid) => laid.run(task),
            Packing::Stack(stack) => stack.run(task),
        }
    }

    fn shorts(&self) -> Shorts {
        match self {
            Packing::Laid(laid) => laid.shorts(),
            Packing::Stack(stack) => stack.shorts(),
            _ => Shorts::default(),
        }
    }

    fn shorten(&mut self, shorts: Shorts) {
        match self {
            Packing::Laid(laid) => laid.shorten(shorts),
            Packing::Stack(stack) => stack.shorten(shorts),
            _ => {}
        }
    }
}

impl From<Pack> for Packing {
    fn from(pack: Pack) -> Self {
        Packing::Panels(pack)
    }
}

impl From<Planes> for Packing {
    fn from(planes: Planes) -> Self {
        Packing::Planes(planes)
    }
}

impl From<Laid> for Packing {
    fn from(laid: Laid) -> Self {
        Packing::Laid(Box::new(laid))
    }
}

impl From<Stack> for Packing {
    fn from(stack: Stack) -> Self {
        Packing::Stack(stack)
    }
}

impl From<Filters> for Packing {
    fn from(filters: Filters) -> Self {
        Packing::Filters(filters)
    }
}

impl Built {
    /// A kernel that takes its operands as they are.
    pub fn new(kernel: impl Kernel + 'static, by_sample: Vec<bool>) -> Self {
        Self {
            kernel: Box::new(kernel),
            by_sample,
            packs: Vec::new(),
            also: Vec::new(),
            before: None,
        }
    }

    /// The same with operand `k` once more behind the others, as it is.
    pub fn with(mut self, k: usize) -> Self {
        self.also.push(k);
        self
    }

    /// The same behind a step on the same operands, which makes `elements` numbers.
    pub fn after(mut self, kernel: impl Kernel + 'static, elements: usize) -> Self {
        self.before = Some((Box::new(kernel), elements));
        self
    }

    /// The same with operand `k` packed.
    pub fn packing(mut self, k: usize, pack: impl Into<Packing>) -> Self {
        self.packs.push((k, pack.into()));
        self
    }
}

/// The kernel for `action` on operands of these shapes.
///
/// # Errors
/// When the shapes are not ones that the op takes.
pub fn build(
    context: &BuildContext,
    action: &Action,
    epilogue: Epilogue,
    operands: &[OperandInfo],
    output: &Shape,
) -> Result<Built, EngineError> {
    if let Some(built) = apart::build(context, action, epilogue, operands, output)? {
        return Ok(built);
    }
    if let Some(built) = lone::by_rows(context, action, operands, output)? {
        return Ok(built);
    }
    let shapes: Vec<&Shape> = operands.iter().map(|o| &o.shape).collect();
    match action {
        Action::Graph(op) => graph_op(context, op, epilogue, &shapes, output),
        Action::Fused(fused) => fused_ops(context, fused, epilogue, &shapes, output),
    }
}

fn fused_ops(
    context: &BuildContext,
    fused: &Fused,
    epilogue: Epilogue,
    shapes: &[&Shape],
    output: &Shape,
) -> Result<Built, EngineError> {
    Ok(match fused {
        Fused::Chain(chain) => chain::build(context, chain, output),
        Fused::MeanCrossEntropy(loss) => cross_entropy::mean(context, *loss, shapes[0]),
        Fused::CrossEntropyWeight { loss, share } => {
            cross_entropy::weight(context, *loss, *share, [shapes[0], shapes[1]])
        }
        Fused::ConvPool(what) => small_conv::conv_pool(context, what, epilogue, shapes)?,
        Fused::Pooled(what) => small_conv::pooled(what),
        Fused::UnpoolConv(what) => small_conv::unpool(what),
        Fused::MaxPool(what) => max_pool::forward(context, what),
        Fused::Maxima(what) => max_pool::maxima(context, what),
        Fused::Unpool(what) => max_pool::backward(context, what),
        Fused::Listed(what) => small_conv::listed(context, what),
        Fused::PooledConvInput(what) => small_conv::input_gradient(context, what),
        Fused::PooledConvWeights(what) => small_conv::weight_gradient(context, what),
        Fused::PooledConvBias(what) => small_conv::bias_gradient(context, what),
    })
}

fn graph_op(
    context: &BuildContext,
    op: &Op,
    epilogue: Epilogue,
    shapes: &[&Shape],
    output: &Shape,
) -> Result<Built, EngineError> {
    if let Some(built) = amx::choose(context, op, epilogue, shapes) {
        return Ok(built);
    }
    Ok(match op {
        Op::Binary(op) => elementwise::binary(context, op.kind, shapes, output),
        Op::Unary(op) => elementwise::unary(context, op.kind, output),
        Op::UnaryGradient(op) => elementwise::unary_gradient(context, op.kind, output),
        Op::Affine(op) => elementwise::affine(context, *op, output),
        Op::BroadcastLike(op) => elementwise::broadcast(context, *op, shapes[0], output),
        Op::SumLike(_) => reduce::sum_like(context, shapes[0], output),
        Op::Reduce(op) => reduce::reduce(context, op, shapes[0], output),
        Op::MatMul(op) => matmul::build(context, *op, epilogue, shapes)?,
        Op::Conv2d(op) => conv::forward(context, *op, epilogue, shapes)?,
        Op::Conv2dTransposed(op) => conv::transposed(context, *op, epilogue, shapes)?,
        Op::Conv2dWeightGradient(op) => conv::weight_gradient(context, *op, shapes)?,
        Op::Transpose(op) => movement::transpose(context, op, shapes[0], output),
        Op::Concat(op) => movement::concat(context, op.axis, shapes, output),
        Op::ConcatGradient(op) => movement::concat_gradient(context, *op, shapes, output),
        Op::Slice(op) => movement::slice(context, *op, shapes[0], output),
        Op::SliceGradient(op) => movement::slice_gradient(context, op.slice, shapes[0], output),
        Op::Pool2d(op) => pool::forward(context, *op, shapes[0], output)?,
        Op::Pool2dGradient(op) => pool::gradient(context, op.pool, shapes[1])?,
        Op::Pad2d(op) => pad::forward(context, *op, shapes[0], output),
        Op::Pad2dGradient(op) => pad::gradient(context, op.pad, output),
        Op::Resize2d(op) => resize::forward(context, *op, shapes[0], output),
        Op::Resize2dGradient(op) => resize::gradient(context, op.resize, output),
        Op::BatchMoments(_) => norm::moments(context, shapes[0]),
        Op::UnbiasedVariance(_) => {
            let scale = UnbiasedVariance::factor(shapes[1].rows()) as f32;
            elementwise::affine(context, Affine { scale, shift: 0.0 }, output)
        }
        // The planner makes chains of these.
        Op::Normalize(_) | Op::NormalizeSums(_) | Op::NormalizeInputGradient(_) => {
            reference::build(op, shapes, output)
        }
        Op::LayerNorm(op) => {
            layer_norm::layer_norm(context, layer_norm::Rule::Forward, op.epsilon, shapes[0])
        }
        Op::LayerNormInputGradient(op) => {
            layer_norm::layer_norm(context, layer_norm::Rule::InputGradient, op.epsilon, shapes[1])
        }
        Op::LayerNormSums(op) => {
            layer_norm::layer_norm(context, layer_norm::Rule::Sums, op.epsilon, shapes[1])
        }
        Op::LocalResponseNorm(op) => local_response::build(context, *op, output, false),
        Op::LocalResponseNormGradient(op) => local_response::build(context, op.norm, output, true),
        Op::Softmax(_) => softmax::rows(context, softmax::Rule::Softmax, output),
        Op::LogSoftmax(_) => softmax::rows(context, softmax::Rule::LogSoftmax, output),
        Op::SoftmaxGradient(_) => softmax::rows(context, softmax::Rule::SoftmaxGradient, output),
        Op::LogSoftmaxGradient(_) => softmax::rows(context, softmax::Rule::LogSoftmaxGradient, output),
        Op::CrossEntropy(op) => cross_entropy::sums(context, *op, shapes[0]),
        Op::CrossEntropyGradient(op) => cross_entropy::gradient(context, op.cross_entropy, output),
        Op::Gather(_) => gather::forward(context, output),
        Op::GatherGradient(_) => gather::gradient(context, output),
        Op::Recurrent(op) => recurrent::forward(context, *op, shapes),
        Op::RecurrentGradient(op) => recurrent::backward(context, op.of, shapes),
        Op::LocallyConnected2d(op) => locally::forward(context, *op, shapes, output)?,
        Op::LocallyConnected2dInputGradient(op) => locally::input_gradient(context, op.layer, shapes)?,
        Op::LocallyConnected2dWeightGradient(op) => locally::weight_gradient(context, op.layer, shapes)?,
        Op::DropoutMask(op) => dropout::mask(context, *op, output),
        // Training and inference replace these two before a program is made; what runs them as they are
        // gets their plain definition.
        Op::BatchNorm(_) | Op::Dropout(_) => reference::build(op, shapes, output),
        Op::Function(op) => select::function(context, op.kind, output),
        Op::Select(_) => select::select(context, shapes, output),
        Op::ArgMax(_) => reference::build(op, shapes, output),
        Op::Take(op) => select::take(context, op.axis, shapes, output),
        Op::TakeGradient(op) => select::take_gradient(context, op.axis, shapes, output),
        // Leaves have storage and no kernel, and a reshape is another name of its operand.
        Op::Input(_) | Op::Parameter(_) | Op::Constant(_) | Op::Reshape(_) => {
            reference::build(op, shapes, output)
        }
    })
}
