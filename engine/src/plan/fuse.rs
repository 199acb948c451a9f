//! Which nodes become one pass over memory.
//!
//! An element-wise op whose only reader is element-wise too, or a sum, goes into its reader. Batch
//! norm's backward pass reads the gradient through the activation's slope twice, in two stages; it
//! computes the slope anew each time from x, which it has at hand, and no masked gradient is written.

use graph::Shape;
use graph::ops::{Op, UnaryKind};

use super::chain::{Chain, ChainOperand, End, Form, Link, Linked, Source};
use super::ir::{Ir, Node};
use super::link::linked;
use super::{Action, Fused};

/// Puts chains into `ir` in place of the nodes that end them.
pub(super) fn fuse(ir: &mut Ir, batch: usize) {
    let stages = stages(ir, batch);
    let mut readers = readers(ir);
    for index in 0..ir.nodes.len() {
        fold_slope(ir, &mut readers, index);
    }
    for index in 0..ir.nodes.len() {
        if readers[index].is_empty() || ir.nodes[index].alias.is_some() {
            continue;
        }
        let known = Known {
            readers: &readers,
            stages: &stages,
            batch,
        };
        if let Some(linked) = grown(ir, &known, index) {
            set(ir, &mut readers, index, linked);
        }
    }
}

/// Who reads each value (`OUTPUT` is the host), and the stage in which each is made.
struct Known<'a> {
    readers: &'a [Vec<usize>],
    stages: &'a [usize],
    batch: usize,
}

/// Stands for the host among readers.
pub(super) const OUTPUT: usize = usize::MAX;

/// The needed nodes that read each value, aliases counted for their origin.
pub(super) fn readers(ir: &Ir) -> Vec<Vec<usize>> {
    let needed = ir.needed();
    let mut readers = vec![Vec::new(); ir.nodes.len()];
    for (index, node) in ir.nodes.iter().enumerate() {
        if !needed[index] || node.alias.is_some() {
            continue;
        }
        for (position, &input) in node.inputs.iter().enumerate() {
            if ir.reads(node, position) {
                readers[ir.origin(input)].push(index);
            }
        }
    }
    ir.outputs
        .iter()
        .for_each(|&o| readers[ir.origin(o)].push(OUTPUT));
    readers
}

fn set(ir: &mut Ir, readers: &mut Vec<Vec<usize>>, index: usize, linked: Linked) {
    let node = &mut ir.nodes[index];
    node.inputs = linked.inputs;
    node.op = Action::Fused(Fused::Chain(linked.chain));
    *readers = self::readers(ir);
}

pub(super) fn batched(shape: &Shape, batch: usize) -> bool {
    shape.first() == Some(&batch)
}

/// The batch stage in which each node runs, as far as its operands decide: a sum over samples is there for
/// the stage after it.
pub(super) fn stages(ir: &Ir, batch: usize) -> Vec<usize> {
    let mut stages = vec![0; ir.nodes.len()];
    for (index, node) in ir.nodes.iter().enumerate() {
        let mut stage = 0;
        for (position, &input) in node.inputs.iter().enumerate() {
            if ir.reads(node, position) {
                let of = &ir.nodes[ir.origin(input)];
                let leaf = of.op.is_leaf();
                let sum = !leaf && !batched(&of.shape, batch) && takes_samples(ir, of, batch);
                stage = stage.max(stages[ir.origin(input)] + usize::from(sum));
            }
        }
        stages[index] = stage;
    }
    stages
}

fn takes_samples(ir: &Ir, node: &Node, batch: usize) -> bool {
    let mut inputs = node.inputs.iter().enumerate();
    inputs.any(|(k, &i)| ir.reads(node, k) && batched(&ir.nodes[i].shape, batch))
}

/// The node's chain with all that can go into it; `None` if nothing can.
fn grown(ir: &Ir, known: &Known, index: usize) -> Option<Linked> {
    let mut linked = linked(ir, index)?;
    let mut changed = viewed(ir, known, &mut linked) || always(&linked.chain);
    let mut at = 0;
    while at < linked.inputs.len() {
        match inlined(ir, known, index, &linked, at) {
            Some(longer) => {
                linked = longer;
                changed = true;
                at = 0;
            }
            None => at += 1,
        }
    }
    changed.then_some(linked)
}

/// Batch norm's passes, and sums of many rows a sample, are chains even if nothing goes into them.
fn always(chain: &Chain) -> bool {
    match chain.end {
        End::NormalizeSums { .. } => true,
        End::Sum { channels, .. } => channels && chain.domain.rank() > 2,
        End::Store(_) => matches!(
            chain.links[..],
            [Link::Normalize { .. } | Link::InputGradient { .. }]
        ),
    }
}

/// `linked` with the producer of operand `at` inside, if that is right and pays.
fn inlined(ir: &Ir, known: &Known, index: usize, linked: &Linked, at: usize) -> Option<Linked> {
    let (input, operand) = (linked.inputs[at], linked.chain.operands[at]);
    let from = ir.origin(input);
    let plain = operand
        == ChainOperand {
            form: Form::Full,
            offset: 0,
        };
    let domain = &linked.chain.domain;
    if !plain || ir.nodes[input].shape != *domain || ir.nodes[from].shape != *domain {
        return None;
    }
    let mut taken = linked.inputs.iter().filter(|&&i| ir.origin(i) == from);
    let alone = taken.next().is_some() && taken.next().is_none();
    if !alone || known.readers[from].iter().any(|&r| r != index) {
        return None;
    }
    let producer = super::link::linked(ir, from)?;
    let stored = matches!(producer.chain.end, End::Store(_));
    if !stored || !pays(ir, known, &producer, from, index) {
        return None;
    }
    linked.with(at, &producer)
}

/// Whether reading the producer's operands in the consumer's stage keeps no more alive than its result:
/// in one stage always, else if at most one operand would not be there anyway.
fn pays(ir: &Ir, known: &Known, producer: &Linked, from: usize, index: usize) -> bool {
    let stage = known.stages[index];
    if known.stages[from] == stage || !batched(&producer.chain.domain, known.batch) {
        return true;
    }
    let full = producer.inputs.iter().zip(&producer.chain.operands);
    let full = full.filter(|(_, o)| o.form == Form::Full);
    let kept = |origin: usize| {
        let leaf = ir.nodes[origin].op.is_leaf();
        let mut others = known.readers[origin].iter().filter(|&&r| r != from);
        leaf || others.any(|&r| r == OUTPUT || known.stages[r] >= stage)
    };
    full.filter(|(i, _)| !kept(ir.origin(**i))).count() <= 1
}

/// Reads rows of a small tensor where they lie instead of from a copy. Whether there were any.
fn viewed(ir: &Ir, known: &Known, linked: &mut Linked) -> bool {
    if batched(&linked.chain.domain, known.batch) {
        return false;
    }
    let mut any = false;
    for (input, operand) in linked.inputs.iter_mut().zip(&mut linked.chain.operands) {
        let node = &ir.nodes[ir.origin(*input)];
        let Some(Op::Slice(slice)) = node.op.graph() else {
            continue;
        };
        let of = &ir.nodes[node.inputs[0]].shape;
        let plain = slice.axis == 0 && slice.step == 1 && !batched(of, known.batch);
        if plain && matches!(operand.form, Form::Full | Form::Channels | Form::One) {
            operand.offset = slice.start * of[1..].iter().product::<usize>();
            *input = node.inputs[0];
            any = true;
        }
    }
    any
}

/// Batch norm's sums and input gradient read the gradient through the slope of the activation behind
/// it: if nobody else reads that, each computes the slope from the normalised x itself.
fn fold_slope(ir: &mut Ir, readers: &mut Vec<Vec<usize>>, index: usize) {
    let Some((normalize, kind)) = recomputed(ir, index) else {
        return;
    };
    let takers = readers[index].clone();
    if takers.is_empty()
        || !takers
            .iter()
            .all(|&r| r != OUTPUT && takes_slope(ir, r, index, normalize))
    {
        return;
    }
    let Some(mut slope) = linked(ir, normalize) else {
        return;
    };
    let gradient = ir.nodes[index].inputs[0];
    let full = ChainOperand {
        form: Form::Full,
        offset: 0,
    };
    let g = Source::Operand(slope.operand(gradient, full));
    slope.chain.links.push(Link::Slope(kind, g, Source::Link(0)));
    slope.chain.end = End::Store(Source::Link(1));
    for taker in takers {
        let longer = linked(ir, taker).and_then(|linked| {
            let at = linked.inputs.iter().position(|&i| ir.origin(i) == index)?;
            linked.with(at, &slope)
        });
        if let Some(longer) = longer {
            set(ir, readers, taker, longer);
        }
    }
}

/// The batch norm from whose result the slope at `index` can be computed, and the function.
fn recomputed(ir: &Ir, index: usize) -> Option<(usize, UnaryKind)> {
    let node = &ir.nodes[index];
    let Some(Op::UnaryGradient(op)) = node.op.graph() else {
        return None;
    };
    let value = ir.origin(node.inputs[1]);
    let same = |i: usize| ir.nodes[i].shape == node.shape;
    if !same(value) || !same(ir.origin(node.inputs[0])) {
        return None;
    }
    let argument = match (ir.nodes[value].op.graph(), op.kind) {
        // Where y > 0 there x > 0, and y < 6 there x < 6.
        (Some(Op::Unary(of)), UnaryKind::Relu | UnaryKind::Relu6) if of.kind == op.kind => {
            ir.origin(ir.nodes[value].inputs[0])
        }
        (_, UnaryKind::LeakyRelu(_)) => value,
        _ => return None,
    };
    (same(argument) && matches!(ir.nodes[argument].op.graph(), Some(Op::Normalize(_))))
        .then_some((argument, op.kind))
}

/// Whether `reader` takes `gradient` in the backward pass of batch norm `normalize`.
fn takes_slope(ir: &Ir, reader: usize, gradient: usize, normalize: usize) -> bool {
    let node = &ir.nodes[reader];
    let backward = matches!(
        node.op.graph(),
        Some(Op::NormalizeSums(_) | Op::NormalizeInputGradient(_))
    );
    let origin = |of: usize, position: usize| ir.origin(ir.nodes[of].inputs[position]);
    backward
        && origin(reader, 0) == gradient
        && origin(reader, 1) == origin(normalize, 0)
        && origin(reader, 2) == origin(normalize, 1)
        && ir.nodes[node.inputs[0]].shape == ir.nodes[gradient].shape
        && ir.nodes[node.inputs[1]].shape == ir.nodes[normalize].shape
}
