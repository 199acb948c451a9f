//! The plan's own graph: bound shapes, common subexpressions merged, no-ops gone, epilogues fused.

use std::collections::HashMap;

use graph::ops::{BinaryKind, Op, UnaryKind};
use graph::{Binding, Shape, Symbol, topological};

use super::{Action, fuse, fuse_loss, fuse_max_pool, fuse_pool, remake};
use crate::EngineError;

/// What rides in the epilogue of a matrix product or convolution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Epilogue {
    /// Behind the op's own operands stands a bias, one number per output channel.
    pub bias: bool,
    /// Behind that stands a tensor of the result's shape that is added.
    pub residual: bool,
    /// max(0, ·) at the end.
    pub relu: bool,
}

impl Epilogue {
    /// Where bias and residual stand among the operands, if there are any, behind `own` ones.
    pub(crate) fn operands(self, own: usize) -> [Option<usize>; 2] {
        let residual = own + usize::from(self.bias);
        [self.bias.then_some(own), self.residual.then_some(residual)]
    }

    /// How many operands it adds.
    pub(crate) fn count(self) -> usize {
        usize::from(self.bias) + usize::from(self.residual)
    }
}

/// A node whose sizes are known.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub op: Action,
    pub epilogue: Epilogue,
    pub inputs: Vec<usize>,
    pub shape: Shape,
    /// The graph node it stands for (the last one, where several were fused).
    pub symbol: Symbol,
    /// Same numbers as this node, perhaps under another shape.
    pub alias: Option<usize>,
}

/// Nodes in topological order, and where each output is.
pub(crate) struct Ir {
    pub nodes: Vec<Node>,
    pub outputs: Vec<usize>,
}

impl Ir {
    pub(crate) fn new(outputs: &[Symbol], binding: &Binding, batch: usize) -> Result<Self, EngineError> {
        let symbols = topological(outputs);
        let shapes = binding.shapes(&symbols)?;
        let mut nodes: Vec<Node> = Vec::new();
        let mut by_id: HashMap<u64, usize> = HashMap::new();
        let mut by_content: HashMap<String, usize> = HashMap::new();
        for symbol in symbols {
            let inputs: Vec<usize> = symbol.inputs().iter().map(|i| by_id[&i.id()]).collect();
            let shape = shapes[&symbol.id()].clone();
            let key = match symbol.op() {
                Op::Input(_) | Op::Parameter(_) => format!("leaf {}", symbol.id()),
                op => format!("{op:?} {inputs:?}"),
            };
            let index = *by_content.entry(key).or_insert_with(|| {
                let alias = alias(symbol.op(), &inputs, &shape, &nodes);
                let op = Action::Graph(symbol.op().clone());
                let epilogue = Epilogue::default();
                nodes.push(Node {
                    op,
                    epilogue,
                    inputs,
                    shape,
                    symbol: symbol.clone(),
                    alias,
                });
                nodes.len() - 1
            });
            by_id.insert(symbol.id(), index);
        }
        let outputs = outputs.iter().map(|o| by_id[&o.id()]).collect();
        let mut ir = Self { nodes, outputs };
        ir.fuse_epilogues();
        fuse_pool::fuse(&mut ir, batch);
        fuse_max_pool::fuse(&mut ir, batch);
        fuse_loss::fuse(&mut ir);
        fuse::fuse(&mut ir, batch);
        remake::remake(&mut ir, batch);
        Ok(ir)
    }

    /// Puts a node before the one at `index`; whoever read that one still does.
    pub(super) fn insert(&mut self, index: usize, node: Node) {
        let moved = |i: &mut usize| *i += usize::from(*i >= index);
        for node in &mut self.nodes {
            node.inputs.iter_mut().for_each(moved);
            node.alias.iter_mut().for_each(moved);
        }
        self.outputs.iter_mut().for_each(moved);
        self.nodes.insert(index, node);
    }

    /// The node that really computes what `index` stands for.
    pub(crate) fn origin(&self, mut index: usize) -> usize {
        while let Some(of) = self.nodes[index].alias {
            index = of;
        }
        index
    }

    /// Which nodes are needed, given that operands which are not read keep nothing alive.
    pub(crate) fn needed(&self) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        for &output in &self.outputs {
            needed[self.origin(output)] = true;
        }
        for index in (0..self.nodes.len()).rev() {
            self.pass_on(index, &mut needed);
        }
        needed
    }

    fn pass_on(&self, index: usize, needed: &mut [bool]) {
        if !needed[index] {
            return;
        }
        let node = &self.nodes[index];
        for (position, &input) in node.inputs.iter().enumerate() {
            if self.reads(node, position) {
                needed[self.origin(input)] = true;
            }
        }
    }

    /// Whether the node reads the numbers of an operand (a fused bias always is read).
    pub(crate) fn reads(&self, node: &Node, position: usize) -> bool {
        position + node.epilogue.count() >= node.inputs.len() || node.op.reads(position)
    }

    fn fuse_epilogues(&mut self) {
        let constant = self.constant();
        for index in 0..self.nodes.len() {
            self.try_fuse_bias(index, &constant);
            self.try_fuse_residual(index);
            self.try_fuse_relu(index);
        }
    }

    /// Which nodes depend on parameters and constants alone.
    fn constant(&self) -> Vec<bool> {
        let mut constant: Vec<bool> = Vec::new();
        for node in &self.nodes {
            constant.push(match &node.op {
                Action::Graph(Op::Parameter(_) | Op::Constant(_)) => true,
                Action::Graph(Op::Input(_) | Op::DropoutMask(_)) => false,
                _ => node.inputs.iter().all(|&i| constant[i]),
            });
        }
        constant
    }

    /// How often the numbers of each node are read, aliases counted for their origin.
    fn readers(&self, of: usize) -> usize {
        let of = self.origin(of);
        let reading = |node: &Node| {
            let inputs = node.inputs.iter().enumerate();
            inputs
                .filter(|(k, i)| self.reads(node, *k) && self.origin(**i) == of)
                .count()
        };
        let inside: usize = self.nodes.iter().filter(|n| n.alias.is_none()).map(reading).sum();
        inside + self.outputs.iter().filter(|o| self.origin(**o) == of).count()
    }

    /// The nodes that read the numbers of `of`; an output counts as one that does not exist.
    pub(super) fn readers_of(&self, of: usize) -> Vec<usize> {
        let of = self.origin(of);
        let reading = |n: &usize| {
            let node = &self.nodes[*n];
            let mut inputs = node.inputs.iter().enumerate();
            node.alias.is_none() && inputs.any(|(k, i)| self.reads(node, k) && self.origin(*i) == of)
        };
        let mut readers: Vec<usize> = (0..self.nodes.len()).filter(reading).collect();
        if self.outputs.iter().any(|&o| self.origin(o) == of) {
            readers.push(self.nodes.len());
        }
        readers
    }

    fn takes_epilogue(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        match &node.op {
            Action::Graph(Op::MatMul(product)) => !product.transpose_a && node.shape.rank() == 2,
            Action::Graph(Op::Conv2d(_)) => true,
            // The way back has the image as a third operand, and needs no bias.
            Action::Graph(Op::Conv2dTransposed(op)) => node.inputs.len() == 2 && op.conv.groups == 1,
            _ => false,
        }
    }

    /// `add(product, bias)` with a bias vector becomes the product with a bias.
    fn try_fuse_bias(&mut self, index: usize, constant: &[bool]) {
        let Action::Graph(Op::Binary(add)) = &self.nodes[index].op else {
            return;
        };
        if add.kind != BinaryKind::Add {
            return;
        }
        let (product, bias) = (self.nodes[index].inputs[0], self.nodes[index].inputs[1]);
        let vector = self.nodes[bias].shape.rank() == 1
            && self.nodes[bias].shape.elements() == self.nodes[index].shape.last_axis()
            && constant[bias];
        let free = self.takes_epilogue(product) && self.nodes[product].epilogue == Epilogue::default();
        if vector && free && self.nodes[product].alias.is_none() && self.readers(product) == 1 {
            let mut inputs = self.nodes[product].inputs.clone();
            inputs.push(bias);
            let op = self.nodes[product].op.clone();
            let node = &mut self.nodes[index];
            (node.op, node.inputs) = (op, inputs);
            node.epilogue = Epilogue {
                bias: true,
                ..Epilogue::default()
            };
        }
    }

    /// `add(convolution, x)` of equal shapes becomes the convolution with a residual.
    fn try_fuse_residual(&mut self, index: usize) {
        let node = &self.nodes[index];
        let (Action::Graph(Op::Binary(add)), [a, b]) = (&node.op, &node.inputs[..]) else {
            return;
        };
        let takes = |&(product, other): &(usize, usize)| {
            let of = &self.nodes[product];
            let free = !of.epilogue.residual && !of.epilogue.relu && of.alias.is_none();
            let equal = of.shape == node.shape && self.nodes[other].shape == node.shape;
            let conv = matches!(of.op, Action::Graph(Op::Conv2d(_)));
            conv && free && equal && self.readers(product) == 1
        };
        // The later one: its other operand is there by then.
        let (first, last) = (*a.min(b), *a.max(b));
        let found = [(last, first), (first, last)].into_iter().find(takes);
        let (BinaryKind::Add, Some((product, other))) = (add.kind, found) else {
            return;
        };
        let Node {
            op,
            mut inputs,
            epilogue,
            ..
        } = self.nodes[product].clone();
        inputs.push(other);
        let node = &mut self.nodes[index];
        (node.op, node.inputs) = (op, inputs);
        node.epilogue = Epilogue {
            residual: true,
            ..epilogue
        };
    }

    /// `relu(product)` becomes the product with a ReLU at its end.
    fn try_fuse_relu(&mut self, index: usize) {
        let Action::Graph(Op::Unary(unary)) = &self.nodes[index].op else {
            return;
        };
        let product = self.nodes[index].inputs[0];
        if unary.kind != UnaryKind::Relu || self.nodes[product].alias.is_some() {
            return;
        }
        if self.takes_epilogue(product) && self.readers(product) == 1 {
            let Node {
                op, inputs, epilogue, ..
            } = self.nodes[product].clone();
            let node = &mut self.nodes[index];
            (node.op, node.inputs) = (op, inputs);
            node.epilogue = Epilogue {
                relu: true,
                ..epilogue
            };
        }
    }
}

/// The operand that an op merely repeats.
fn alias(op: &Op, inputs: &[usize], shape: &Shape, nodes: &[Node]) -> Option<usize> {
    let first = *inputs.first()?;
    let same = nodes[first].shape == *shape;
    let repeats = match op {
        Op::Reshape(_) => true,
        Op::SumLike(_) | Op::BroadcastLike(_) => same,
        Op::Affine(affine) => affine.scale == 1.0 && affine.shift == 0.0,
        Op::Reduce(_) => nodes[first].shape.elements() == 1 && shape.elements() == 1,
        _ => false,
    };
    repeats.then_some(first)
}
