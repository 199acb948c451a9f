//! Convolution, bias, ReLU and max-pooling in one, and the way back through them.
//!
//! A pooled convolution keeps, besides its maxima, one byte for each: which tap of the window held it, or
//! 0 where nothing goes back (a ReLU that is shut, or NaN). With that the way back never needs the image
//! before pooling, and visits only the positions that got a gradient: at most one in `size` of them.

use std::sync::Arc;

use graph::ops::{BoundWindow, Conv2d, Conv2dSizes, Op, PoolKind, UnaryKind};

use super::ir::Ir;
use super::{Action, Fused};
use crate::kernels::sparse_way_back;

/// A convolution with what follows it, all sizes known.
#[derive(Debug, Clone, PartialEq)]
pub struct PooledConv {
    /// The convolution.
    pub conv: Conv2d,
    /// Its sizes.
    pub sizes: Conv2dSizes,
    /// The windows of max-pooling over the convolution's result.
    pub pool: BoundWindow,
    /// Whether a ReLU stands between them.
    pub relu: bool,
    /// Whether the result carries the choices behind each sample's maxima.
    pub choices: bool,
}

impl PooledConv {
    /// Maxima of one sample.
    pub fn pooled(&self) -> usize {
        self.pixels() * self.sizes.outputs
    }

    /// Pixels of the maxima.
    pub fn pixels(&self) -> usize {
        self.pool.output[0] * self.pool.output[1]
    }

    /// Elements of one sample's maxima with their choices, four choices to an element and one more that a
    /// kernel may read.
    pub fn with_choices(&self) -> usize {
        self.pooled() + self.pooled().div_ceil(4) + 1
    }

    /// Elements of a list of places or factors: a vector more than there are pixels.
    pub fn list(&self) -> usize {
        self.pixels().next_multiple_of(16) + 16
    }

    /// Elements of one sample's lists: for each output its length, then its places and its factors.
    pub fn lists(&self) -> usize {
        self.sizes.outputs.next_multiple_of(16) + 2 * self.sizes.outputs * self.list()
    }
}

/// Products above which a lone sample is worth two threads.
const LONE: usize = 1_000_000;

/// The nodes around one max-pooling of a convolution.
struct Found {
    conv: usize,
    pool: usize,
    /// The gradient of the convolution's result (before a ReLU), and the gradient of the maxima.
    way_back: Option<(usize, usize)>,
    what: Arc<PooledConv>,
}

/// Fuses every max-pooling whose image nobody else needs.
pub(super) fn fuse(ir: &mut Ir, batch: usize) {
    for pool in 0..ir.nodes.len() {
        // The fused kernels go by samples of the batch.
        let batched = ir.nodes[pool].shape.first() == Some(&batch);
        if let Some(found) = find(ir, pool).filter(|_| batched) {
            replace(ir, &found);
        }
    }
}

fn find(ir: &Ir, pool: usize) -> Option<Found> {
    let node = &ir.nodes[pool];
    let Some(Op::Pool2d(op)) = node.op.graph() else {
        return None;
    };
    let conv = *node.inputs.first()?;
    let Some(Op::Conv2d(conv_op)) = ir.nodes[conv].op.graph() else {
        return None;
    };
    let free = ir.nodes[conv].alias.is_none() && !ir.nodes[conv].epilogue.residual;
    if op.kind != PoolKind::Max || !free {
        return None;
    }
    let shape = |k: usize| &ir.nodes[ir.nodes[conv].inputs[k]].shape;
    let what = PooledConv {
        conv: *conv_op,
        sizes: conv_op.sizes(shape(0), shape(1)).ok()?,
        pool: op.sizes(&ir.nodes[conv].shape).ok()?.window,
        relu: ir.nodes[conv].epilogue.relu,
        choices: false,
    };
    let way_back = match ir.readers_of(conv)[..] {
        [only] if only == pool => None,
        _ => Some(way_back(ir, conv, pool, what.relu)?),
    };
    // One sample alone is split by rows, which pooling behind would join again.
    if !sparse_way_back(&what) || (what.sizes.batch == 1 && way_back.is_none() && what.sizes.macs() > LONE) {
        return None;
    }
    let what = Arc::new(PooledConv {
        choices: way_back.is_some(),
        ..what
    });
    Some(Found {
        conv,
        pool,
        way_back,
        what,
    })
}

/// The gradient nodes behind a pooling, if they are all that reads the image besides it.
fn way_back(ir: &Ir, conv: usize, pool: usize, relu: bool) -> Option<(usize, usize)> {
    let readers = ir.readers_of(conv);
    let unpool = *readers.iter().find(|&&r| {
        matches!(
            ir.nodes.get(r).and_then(|n| n.op.graph()),
            Some(Op::Pool2dGradient(_))
        )
    })?;
    let own = |node: usize, k: usize| ir.origin(ir.nodes[node].inputs[k]);
    if own(unpool, 1) != conv || own(unpool, 2) != pool {
        return None;
    }
    let gradient = own(unpool, 0);
    if !relu {
        return (readers.len() == 2).then_some((unpool, gradient));
    }
    let [slope] = ir.readers_of(unpool)[..] else {
        return None;
    };
    let is_relu = matches!(ir.nodes.get(slope)?.op.graph(),
        Some(Op::UnaryGradient(g)) if g.kind == UnaryKind::Relu);
    let joined = is_relu && own(slope, 0) == unpool && own(slope, 1) == conv;
    (joined && readers.len() == 3 && readers.contains(&slope)).then_some((slope, gradient))
}

fn replace(ir: &mut Ir, found: &Found) {
    let Found {
        conv,
        pool,
        way_back,
        what,
    } = found;
    let Some((slope, gradient)) = way_back else {
        let convolution = ir.nodes[*conv].clone();
        let node = &mut ir.nodes[*pool];
        node.op = Action::Fused(Fused::ConvPool(what.clone()));
        (node.inputs, node.epilogue) = (convolution.inputs, convolution.epilogue);
        return;
    };
    let [image, weights] = [0, 1].map(|k| ir.nodes[*conv].inputs[k]);
    ir.nodes[*conv].op = Action::Fused(Fused::ConvPool(what.clone()));
    ir.nodes[*conv].shape = [what.sizes.batch, what.with_choices()].into();
    ir.nodes[*pool].op = Action::Fused(Fused::Pooled(what.clone()));
    let to = Way {
        slope: *slope,
        gradient: *gradient,
        conv: *conv,
        image,
        weights,
    };
    let readers = ir.readers_of(*slope);
    let fused: Option<Vec<_>> = readers.iter().map(|&r| sparse(ir, r, &to, what)).collect();
    let (way_back, shape) = match fused {
        Some(fused) => {
            for (reader, (fused, inputs)) in readers.into_iter().zip(fused) {
                let node = &mut ir.nodes[reader];
                (node.op, node.inputs) = (Action::Fused(fused), inputs);
            }
            let shape = [what.sizes.batch, what.lists()].into();
            (Fused::Listed(what.clone()), shape)
        }
        None => (Fused::UnpoolConv(what.clone()), ir.nodes[*slope].shape.clone()),
    };
    let node = &mut ir.nodes[*slope];
    (node.op, node.shape) = (Action::Fused(way_back), shape);
    node.inputs = vec![*gradient, *conv];
}

/// The nodes that the way back is made of.
struct Way {
    slope: usize,
    gradient: usize,
    conv: usize,
    image: usize,
    weights: usize,
}

/// What a reader of the convolution's gradient becomes, if it is one that lists serve.
fn sparse(ir: &Ir, reader: usize, way: &Way, what: &Arc<PooledConv>) -> Option<(Fused, Vec<usize>)> {
    let node = ir.nodes.get(reader)?;
    let reads = |k: usize| ir.origin(node.inputs[k]);
    match node.op.graph()? {
        Op::Conv2dTransposed(op) if op.conv == what.conv && reads(1) == ir.origin(way.weights) => Some((
            Fused::PooledConvInput(what.clone()),
            vec![way.gradient, way.conv, way.weights],
        )),
        Op::Conv2dWeightGradient(op) if op.conv == what.conv && reads(0) == ir.origin(way.image) => {
            Some((Fused::PooledConvWeights(what.clone()), vec![way.slope, way.image]))
        }
        Op::SumLike(_) if node.shape[..] == [what.sizes.outputs] => {
            Some((Fused::PooledConvBias(what.clone()), vec![way.slope]))
        }
        _ => None,
    }
}
