//! The nodes of a request, bound to sizes, with equal expressions merged.

use std::collections::HashMap;

use graph::ops::Op;
use graph::{Binding, Shape, Symbol, topological};

use crate::EngineError;

/// A node whose sizes are known.
pub(super) struct Node {
    pub symbol: Symbol,
    pub inputs: Vec<usize>,
    pub shape: Shape,
    /// Whether axis 0 runs over the samples: such a value is kept in lanes.
    pub batched: bool,
    /// How often its numbers are read, by nodes that are needed and as an output.
    pub readers: usize,
}

impl Node {
    pub fn op(&self) -> &Op {
        self.symbol.op()
    }
}

/// Nodes in topological order, and where each of the requested values is.
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    pub outputs: Vec<usize>,
}

impl Graph {
    pub fn new(outputs: &[Symbol], binding: &Binding) -> Result<Self, EngineError> {
        let symbols = topological(outputs);
        let shapes = binding.shapes(&symbols)?;
        let mut nodes: Vec<Node> = Vec::new();
        let mut by_id: HashMap<u64, usize> = HashMap::new();
        let mut by_content: HashMap<String, usize> = HashMap::new();
        for symbol in symbols {
            let inputs: Vec<usize> = symbol.inputs().iter().map(|i| by_id[&i.id()]).collect();
            let key = match symbol.op() {
                Op::Input(_) | Op::Parameter(_) => format!("leaf {}", symbol.id()),
                op => format!("{op:?} {inputs:?}"),
            };
            let index = *by_content.entry(key).or_insert_with(|| {
                nodes.push(Node {
                    batched: batched(symbol.op(), &inputs, &nodes),
                    shape: shapes[&symbol.id()].clone(),
                    symbol: symbol.clone(),
                    inputs,
                    readers: 0,
                });
                nodes.len() - 1
            });
            by_id.insert(symbol.id(), index);
        }
        let outputs = outputs.iter().map(|o| by_id[&o.id()]).collect();
        let mut graph = Self { nodes, outputs };
        graph.count_readers();
        Ok(graph)
    }

    fn count_readers(&mut self) {
        for &output in &self.outputs {
            self.nodes[output].readers += 1;
        }
        for index in (0..self.nodes.len()).rev() {
            if self.nodes[index].readers == 0 {
                continue;
            }
            for position in 0..self.nodes[index].inputs.len() {
                if self.nodes[index].op().reads(position) {
                    let input = self.nodes[index].inputs[position];
                    self.nodes[input].readers += 1;
                }
            }
        }
    }
}

/// Whether the samples lie along axis 0 of a node's result; where that would be wrong, the translation
/// refuses the node by its shape.
fn batched(op: &Op, inputs: &[usize], nodes: &[Node]) -> bool {
    let of = |k: usize| inputs.get(k).is_some_and(|&i| nodes[i].batched);
    match op {
        Op::Input(_) => true,
        Op::Parameter(_) | Op::Constant(_) | Op::CrossEntropy(_) => false,
        Op::BroadcastLike(_) | Op::SumLike(_) | Op::SliceGradient(_) => of(1),
        Op::CrossEntropyGradient(_) => of(1),
        Op::Reduce(reduce) => of(0) && !reduce.axes.is_empty() && !reduce.axes.contains(&0),
        Op::MatMul(product) => of(0) && !product.transpose_a,
        _ => (0..inputs.len()).any(of),
    }
}
