//! What a planned node computes: an op of the graph, or what the planner made of several.

use graph::Shape;
use graph::ops::{Cost, Op};

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
pub enum Fused {}

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
        match *self {}
    }

    fn reads(&self, _position: usize) -> bool {
        match *self {}
    }

    fn cost(&self, _operands: &[&Shape], _output: &Shape) -> Cost {
        match *self {}
    }
}
