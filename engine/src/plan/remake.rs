//! Making a cheap value again in a later stage instead of keeping it.
//!
//! What batch norm and its activation made of x is read in the forward pass and, much later, in the
//! backward pass, where x is read too. It costs less to make it again there, from x, than to write it
//! to memory and to read it: it then lives in the workers' own memory both times, and the activations
//! that a step keeps are nearly halved.

use graph::ops::UnaryKind;

use super::chain::{Chain, ChainOperand, End, Form, Link};
use super::fuse::{OUTPUT, batched, readers, stages};
use super::ir::{Ir, Node};
use super::{Action, Fused};

/// A copy of node `of` for the `readers`, which stands before the first of them.
struct Copy {
    of: usize,
    readers: Vec<usize>,
    /// An operand of theirs that is made in their stage: the copy waits for it, and so for the stage.
    after: usize,
}

/// Adds the copies that pay to `ir`.
pub(super) fn remake(ir: &mut Ir, batch: usize) {
    let (stages, readers) = (stages(ir, batch), readers(ir));
    let known = Known {
        stages: &stages,
        readers: &readers,
        batch,
    };
    let copies: Vec<Copy> = (0..ir.nodes.len())
        .filter_map(|index| copies(ir, &known, index))
        .flatten()
        .collect();
    if !copies.is_empty() {
        insert(ir, copies);
    }
}

struct Known<'a> {
    stages: &'a [usize],
    readers: &'a [Vec<usize>],
    batch: usize,
}

/// The copies of `index` that spare it being kept; `None` if it must be, or if that is cheaper.
fn copies(ir: &Ir, known: &Known, index: usize) -> Option<Vec<Copy>> {
    let node = &ir.nodes[index];
    let Action::Fused(Fused::Chain(chain)) = &node.op else {
        return None;
    };
    let readers = &known.readers[index];
    if !cheap(chain) || !batched(&chain.domain, known.batch) || readers.contains(&OUTPUT) {
        return None;
    }
    if !readers.iter().all(|&r| as_it_is(ir, r, index)) {
        return None;
    }
    let mut later: Vec<usize> = readers.iter().map(|&r| known.stages[r]).collect();
    later.retain(|&stage| stage > known.stages[index]);
    later.sort_unstable();
    later.dedup();
    let copy = |stage: usize| {
        let mut there: Vec<usize> = readers
            .iter()
            .copied()
            .filter(|&r| known.stages[r] == stage)
            .collect();
        there.sort_unstable();
        there.dedup();
        let at_hand = full(ir, node, chain).all(|x| reads_in(known, x, stage, index));
        let after = after(ir, known, *there.first()?, index, stage)?;
        at_hand.then_some(Copy {
            of: index,
            readers: there,
            after,
        })
    };
    let copies: Option<Vec<Copy>> = later.into_iter().map(copy).collect();
    copies.filter(|c| !c.is_empty())
}

/// Whether the reader takes the value under its own shape: a copy has no other.
fn as_it_is(ir: &Ir, reader: usize, index: usize) -> bool {
    let mut inputs = ir.nodes[reader].inputs.iter();
    inputs.all(|&i| ir.origin(i) != index || ir.nodes[i].shape == ir.nodes[index].shape)
}

/// Links that cost no more than reading their result from memory would.
fn cheap(chain: &Chain) -> bool {
    let quick = |link: &Link| match link {
        Link::Binary(..) | Link::Affine(..) | Link::Normalize { .. } => true,
        Link::Unary(kind, _) => matches!(
            kind,
            UnaryKind::Relu | UnaryKind::LeakyRelu(_) | UnaryKind::Relu6 | UnaryKind::Square | UnaryKind::Abs
        ),
        Link::Slope(..) | Link::InputGradient { .. } => false,
    };
    matches!(chain.end, End::Store(_)) && chain.links.len() <= 4 && chain.links.iter().all(quick)
}

/// The values that the chain reads element by element.
fn full<'a>(ir: &'a Ir, node: &'a Node, chain: &'a Chain) -> impl Iterator<Item = usize> + 'a {
    let operands = node.inputs.iter().zip(&chain.operands);
    let full = operands.filter(|(_, o)| o.form == Form::Full);
    full.map(|(&input, _)| ir.origin(input))
}

/// Whether another node than `index` reads the value in `stage`.
fn reads_in(known: &Known, value: usize, stage: usize, index: usize) -> bool {
    let mut others = known.readers[value]
        .iter()
        .filter(|&&r| r != index && r != OUTPUT);
    others.any(|&r| known.stages[r] == stage)
}

/// An operand of `reader` beside `index` that is taken by sample and made in `stage`.
fn after(ir: &Ir, known: &Known, reader: usize, index: usize, stage: usize) -> Option<usize> {
    let node = &ir.nodes[reader];
    let mut inputs = node.inputs.iter().enumerate();
    let found = inputs.find(|(position, input)| {
        let origin = ir.origin(**input);
        ir.reads(node, *position)
            && origin != index
            && known.stages[origin] == stage
            && batched(&ir.nodes[origin].shape, known.batch)
            && !ir.nodes[origin].op.is_leaf()
    });
    found.map(|(_, &input)| ir.origin(input))
}

/// Puts the copies before their first readers and renumbers all nodes.
fn insert(ir: &mut Ir, mut copies: Vec<Copy>) {
    copies.sort_by_key(|copy| copy.readers[0]);
    let old = std::mem::take(&mut ir.nodes);
    let mut place: Vec<usize> = Vec::with_capacity(old.len());
    let mut nodes: Vec<Node> = Vec::with_capacity(old.len() + copies.len());
    let aliases: Vec<Option<usize>> = old.iter().map(|n| n.alias).collect();
    let origin = |mut index: usize| {
        while let Some(of) = aliases[index] {
            index = of;
        }
        index
    };
    let sources: Vec<Node> = copies.iter().map(|copy| old[copy.of].clone()).collect();
    // Readers that take a copy, and where it stands.
    let mut taken: Vec<(usize, usize, usize)> = Vec::new();
    let mut next = copies.iter().zip(sources).peekable();
    for (index, mut node) in old.into_iter().enumerate() {
        while let Some((copy, source)) = next.next_if(|(copy, _)| copy.readers[0] == index) {
            taken.extend(copy.readers.iter().map(|&r| (r, copy.of, nodes.len())));
            nodes.push(copied(source, copy.after, &place));
        }
        for input in &mut node.inputs {
            let from = origin(*input);
            let copy = taken
                .iter()
                .find(|(reader, of, _)| (*reader, *of) == (index, from));
            *input = copy.map_or(place[*input], |(_, _, at)| *at);
        }
        node.alias = node.alias.map(|of| place[of]);
        place.push(nodes.len());
        nodes.push(node);
    }
    ir.nodes = nodes;
    ir.outputs.iter_mut().for_each(|output| *output = place[*output]);
}

/// The node again, with an operand more that it only waits for.
fn copied(mut node: Node, after: usize, place: &[usize]) -> Node {
    node.inputs.iter_mut().for_each(|input| *input = place[*input]);
    node.inputs.push(place[after]);
    if let Action::Fused(Fused::Chain(chain)) = &mut node.op {
        chain.operands.push(ChainOperand {
            form: Form::After,
            offset: 0,
        });
    }
    node
}
