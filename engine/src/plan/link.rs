//! What a single node is as a chain of one link.

use graph::Shape;
use graph::ops::{Affine, Op, ReduceKind, UnbiasedVariance};

use super::chain::{Chain, ChainOperand, End, Form, Link, Linked, Source, Then};
use super::ir::{Epilogue, Ir, Node};
use super::{Action, Fused};

/// How an operand of this shape lies along `domain`.
fn form(shape: &Shape, domain: &Shape) -> Option<Form> {
    let vector = shape.rank() > 0 && shape.elements() == shape.last_axis();
    if shape == domain {
        Some(Form::Full)
    } else if vector && shape.rank() <= domain.rank() && shape.last_axis() == domain.last_axis() {
        Some(Form::Channels)
    } else {
        (shape.elements() == 1).then_some(Form::One)
    }
}

/// A chain under construction from one node.
struct Making<'a> {
    ir: &'a Ir,
    node: &'a Node,
    linked: Linked,
}

impl Making<'_> {
    fn add(&mut self, position: usize, form: Form) -> usize {
        let operand = ChainOperand { form, offset: 0 };
        self.linked.operand(self.node.inputs[position], operand)
    }

    /// Operand `position` element by element, one for all included where `any` is set.
    fn source(&mut self, position: usize, any: bool) -> Option<Source> {
        let shape = &self.ir.nodes[self.node.inputs[position]].shape;
        let form = form(shape, &self.linked.chain.domain)?;
        let fits = form == Form::Full || any;
        fits.then(|| Source::Operand(self.add(position, form)))
    }

    fn vectors(&mut self, positions: [usize; 3]) -> [usize; 3] {
        positions.map(|position| self.add(position, Form::Whole))
    }

    fn link(&mut self) -> Option<Link> {
        Some(match self.node.op.graph()? {
            Op::Binary(op) => Link::Binary(op.kind, self.source(0, true)?, self.source(1, true)?),
            Op::Unary(op) => Link::Unary(op.kind, self.source(0, false)?),
            Op::UnaryGradient(op) => Link::Slope(op.kind, self.source(0, false)?, self.source(1, false)?),
            Op::Affine(op) => Link::Affine(*op, self.source(0, false)?),
            Op::UnbiasedVariance(_) => {
                let rows = self.ir.nodes[self.node.inputs[1]].shape.rows();
                let scale = UnbiasedVariance::factor(rows) as f32;
                Link::Affine(Affine { scale, shift: 0.0 }, self.source(0, false)?)
            }
            Op::BroadcastLike(op) => {
                let from = &self.ir.nodes[self.node.inputs[0]].shape;
                let repeats = from.elements() as f64 / self.node.shape.elements() as f64;
                let scale = if op.divided { repeats as f32 } else { 1.0 };
                Link::Affine(Affine { scale, shift: 0.0 }, self.source(0, true)?)
            }
            Op::Normalize(op) => Link::Normalize {
                epsilon: op.epsilon,
                x: self.source(0, false)?,
                vectors: self.vectors([1, 2, 3]),
                then: Then::Nothing,
            },
            Op::NormalizeInputGradient(op) => Link::InputGradient {
                epsilon: op.epsilon,
                g: self.source(0, false)?,
                x: self.source(1, false)?,
                vectors: self.vectors([2, 3, 4]),
            },
            _ => return None,
        })
    }

    fn end(&mut self) -> Option<End> {
        let x = &self.ir.nodes[*self.node.inputs.first()?].shape;
        let mean = |divided: bool| match divided {
            true => (self.node.shape.elements() as f64 / x.elements().max(1) as f64) as f32,
            false => 1.0,
        };
        let scale = match self.node.op.graph()? {
            Op::NormalizeSums(op) => {
                return Some(End::NormalizeSums {
                    epsilon: op.epsilon,
                    g: self.source(0, false)?,
                    x: self.source(1, false)?,
                    moments: self.add(2, Form::Whole),
                });
            }
            Op::SumLike(_) => 1.0,
            Op::Reduce(op) if op.kind != ReduceKind::Max => mean(op.kind == ReduceKind::Mean),
            _ => return None,
        };
        let channels = match form(&self.node.shape, x)? {
            _ if !sums_samples(self.node, x) => return None,
            Form::Channels if sums_rows(self.node, x) => true,
            Form::One => false,
            _ => return None,
        };
        let of = self.source(0, false)?;
        Some(End::Sum { of, channels, scale })
    }
}

/// Whether axis 0 of x is summed: a sum within each sample is no reduction.
fn sums_samples(node: &Node, x: &Shape) -> bool {
    match node.op.graph() {
        Some(Op::Reduce(op)) => op.axes.is_empty() || op.axes.contains(&0),
        _ => node.shape.rank() < x.rank() || node.shape.first() != x.first(),
    }
}

/// Whether what is left of x `[.., C]` is one number a channel.
fn sums_rows(node: &Node, x: &Shape) -> bool {
    match node.op.graph() {
        Some(Op::Reduce(op)) => (0..x.rank()).all(|axis| {
            let summed = op.axes.is_empty() || op.axes.contains(&axis);
            summed == (axis + 1 < x.rank()) || x[axis] == 1
        }),
        _ => true,
    }
}

/// The node alone as a chain.
pub(super) fn linked(ir: &Ir, index: usize) -> Option<Linked> {
    let node = &ir.nodes[index];
    if let Action::Fused(Fused::Chain(chain)) = &node.op {
        let (chain, inputs) = (chain.clone(), node.inputs.clone());
        return Some(Linked { chain, inputs });
    }
    if node.epilogue != Epilogue::default() || node.alias.is_some() {
        return None;
    }
    let ends = matches!(
        node.op.graph()?,
        Op::NormalizeSums(_) | Op::SumLike(_) | Op::Reduce(_)
    );
    let own = match node.op {
        // Of a gradient's sums the domain is the gradient's.
        _ if ends => ir.nodes[*node.inputs.first()?].shape.clone(),
        _ => node.shape.clone(),
    };
    let shapes: Vec<&Shape> = node.inputs.iter().map(|&i| &ir.nodes[i].shape).collect();
    let chain = Chain {
        links: Vec::new(),
        operands: Vec::new(),
        end: End::Store(Source::Link(0)),
        domain: own,
        cost: node.op.cost(&shapes, &node.shape),
    };
    let linked = Linked {
        chain,
        inputs: Vec::new(),
    };
    let mut making = Making { ir, node, linked };
    match ends {
        true => making.linked.chain.end = making.end()?,
        false => {
            let link = making.link()?;
            making.linked.chain.links.push(link);
        }
    }
    Some(making.linked)
}
