//! Max-pooling that remembers which tap of its window held each maximum, so that the way back reads one byte
//! for each instead of the image and the maxima, and takes the ReLU before it along.

use graph::Shape;
use graph::ops::{BoundWindow, Op, PoolKind, UnaryKind};

use super::ir::{Ir, Node};
use super::{Action, Fused};

/// Max-pooling with its sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct MaxPool {
    /// Its windows.
    pub window: BoundWindow,
    /// Channels of the image.
    pub channels: usize,
    /// Whether the image comes out of a ReLU that the way back includes.
    pub relu: bool,
}

/// Taps that a byte can tell apart, with 0 for none.
const MOST_TAPS: usize = 255;

impl MaxPool {
    /// Maxima of one sample.
    pub fn pooled(&self) -> usize {
        self.window.output[0] * self.window.output[1] * self.channels
    }

    /// Elements of one sample's maxima with their choices, four choices to an element.
    pub fn with_choices(&self) -> usize {
        self.pooled() + self.pooled().div_ceil(4)
    }

    /// Elements of one sample of the image.
    pub fn image(&self) -> usize {
        self.window.image[0] * self.window.image[1] * self.channels
    }
}

/// Lets every max-pooling that is differentiated remember its choices.
pub(super) fn fuse(ir: &mut Ir, batch: usize) {
    let mut pool = 0;
    while pool < ir.nodes.len() {
        // The fused kernels go by samples of the batch.
        let batched = ir.nodes[pool].shape.first() == Some(&batch);
        if let Some((what, way_back)) = find(ir, pool).filter(|_| batched) {
            replace(ir, pool, way_back, what);
            pool += 1;
        }
        pool += 1;
    }
}

/// The pooling at `pool` and the node that computes the gradient of its image, or of what was before the
/// ReLU that made the image.
fn find(ir: &Ir, pool: usize) -> Option<(MaxPool, usize)> {
    let node = &ir.nodes[pool];
    let Some(Op::Pool2d(op)) = node.op.graph() else {
        return None;
    };
    let image = ir.origin(*node.inputs.first()?);
    let shape = &ir.nodes[node.inputs[0]].shape;
    if op.kind != PoolKind::Max || op.size[0] * op.size[1] > MOST_TAPS {
        return None;
    }
    let own = |node: usize, k: usize| ir.nodes[node].inputs.get(k).map(|&i| ir.origin(i));
    let goes_back = |n: &usize| match ir.nodes.get(*n).and_then(|n| n.op.graph()) {
        Some(Op::Pool2dGradient(g)) => g.pool == *op && own(*n, 1) == Some(image) && own(*n, 2) == Some(pool),
        _ => false,
    };
    let unpool = ir.readers_of(pool).into_iter().find(goes_back)?;
    let readers = ir.readers_of(unpool);
    let is_slope = |n: usize| match ir.nodes.get(n).and_then(|n| n.op.graph()) {
        Some(Op::UnaryGradient(g)) => {
            g.kind == UnaryKind::Relu && own(n, 0) == Some(unpool) && own(n, 1) == Some(image)
        }
        _ => false,
    };
    let slope = match readers[..] {
        [only] if is_slope(only) => Some(only),
        _ => None,
    };
    let what = MaxPool {
        window: op.sizes(shape).ok()?.window,
        channels: shape.last_axis(),
        relu: slope.is_some(),
    };
    Some((what, slope.unwrap_or(unpool)))
}

fn replace(ir: &mut Ir, pool: usize, way_back: usize, what: MaxPool) {
    let unpool = if what.relu {
        ir.origin(ir.nodes[way_back].inputs[0])
    } else {
        way_back
    };
    let (gradient, symbol) = (ir.nodes[unpool].inputs[0], ir.nodes[unpool].symbol.clone());
    let batch = ir.nodes[pool].shape[0];
    let remembering = Node {
        op: Action::Fused(Fused::MaxPool(what.clone())),
        shape: Shape::from([batch, what.with_choices()]),
        ..ir.nodes[pool].clone()
    };
    let node = &mut ir.nodes[way_back];
    node.op = Action::Fused(Fused::Unpool(what.clone()));
    node.symbol = symbol;
    // The choices come to stand where the pooling stands now.
    node.inputs = vec![gradient, pool];
    ir.insert(pool, remembering);
    let node = &mut ir.nodes[pool + 1];
    node.op = Action::Fused(Fused::Maxima(what));
    node.inputs = vec![pool];
    let node = &mut ir.nodes[way_back + 1];
    node.inputs[1] = pool;
}
