//! Symbols: nodes of a graph that is built by applying ops to symbols.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ops::{Constant, Init, Input, Op, Parameter};
use crate::{GraphError, Scope, Shape};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A tensor that does not hold numbers yet: an op and the symbols it reads.
///
/// Cloning is cheap and means the same node. The batch axis stands first and counts 1 until the
/// graph is bound to a batch size, so `shape` of an image input is `[1, H, W, C]`.
///
/// ```
/// use graticule_graph::Symbol;
/// let x = Symbol::input("x", [3]);
/// let y = x.mul(&x)?.sum()?;
/// assert_eq!(y.shape().rank(), 0);
/// # Ok::<(), graticule_graph::GraphError>(())
/// ```
#[derive(Clone)]
pub struct Symbol(Arc<Node>);

struct Node {
    id: u64,
    op: Op,
    inputs: Vec<Symbol>,
    shape: Shape,
    scope: Option<Arc<Scope>>,
}

impl Symbol {
    /// A value given at each run, one sample of it in `sample_shape`.
    pub fn input(name: &str, sample_shape: impl Into<Shape>) -> Symbol {
        Self::leaf(Input {
            name: name.into(),
            sample_shape: sample_shape.into(),
        })
    }

    /// A trainable tensor of fixed shape, filled by `init` before training.
    pub fn parameter(role: &str, shape: impl Into<Shape>, init: Init) -> Symbol {
        Self::leaf(Parameter {
            role: role.into(),
            shape: shape.into(),
            init,
            trainable: true,
        })
    }

    /// A tensor that a network keeps but gradients do not reach (running statistics).
    pub fn state(role: &str, shape: impl Into<Shape>, init: Init) -> Symbol {
        Self::leaf(Parameter {
            role: role.into(),
            shape: shape.into(),
            init,
            trainable: false,
        })
    }

    /// A tensor of one repeated number.
    pub fn constant(value: f32, shape: impl Into<Shape>) -> Symbol {
        Self::leaf(Constant {
            shape: shape.into(),
            values: vec![value],
        })
    }

    /// A tensor of these numbers, row-major. `values` has one number, or as many as `shape` has.
    pub fn constants(values: Vec<f32>, shape: impl Into<Shape>) -> Symbol {
        Self::leaf(Constant {
            shape: shape.into(),
            values,
        })
    }

    fn leaf(op: impl Into<Op>) -> Symbol {
        let op = op.into();
        let shape = op.shape(&[]).unwrap_or_default();
        Symbol(Arc::new(Node {
            id: next_id(),
            op,
            inputs: Vec::new(),
            shape,
            scope: Scope::current(),
        }))
    }

    /// A new node: `op` applied to `inputs`.
    ///
    /// # Errors
    /// [`GraphError::Shape`] or [`GraphError::DoesNotFit`] when the op cannot take these shapes.
    pub fn apply(op: impl Into<Op>, inputs: &[&Symbol]) -> Result<Symbol, GraphError> {
        let op = op.into();
        let shapes: Vec<&Shape> = inputs.iter().map(|s| s.shape()).collect();
        let shape = op.shape(&shapes)?;
        let inputs = inputs.iter().map(|s| (*s).clone()).collect();
        Ok(Symbol(Arc::new(Node {
            id: next_id(),
            op,
            inputs,
            shape,
            scope: Scope::current(),
        })))
    }

    /// The same op on other inputs, in the same scope; used by graph rewrites.
    ///
    /// # Errors
    /// As [`Symbol::apply`].
    pub fn with_inputs(&self, inputs: &[&Symbol]) -> Result<Symbol, GraphError> {
        let _scope = Scope::resume(self.0.scope.clone());
        Symbol::apply(self.0.op.clone(), inputs)
    }

    /// Unique number; a node has a larger one than every node it reads.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// What the node computes.
    pub fn op(&self) -> &Op {
        &self.0.op
    }

    /// The symbols that the node reads.
    pub fn inputs(&self) -> &[Symbol] {
        &self.0.inputs
    }

    /// Shape for a batch of one.
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// The layer in which the node was made.
    pub fn scope(&self) -> Option<&Arc<Scope>> {
        self.0.scope.as_ref()
    }

    /// The parameter's description, if the node is one.
    pub fn as_parameter(&self) -> Option<&Parameter> {
        match self.op() {
            Op::Parameter(p) => Some(p),
            _ => None,
        }
    }

    /// The input's description, if the node is one.
    pub fn as_input(&self) -> Option<&Input> {
        match self.op() {
            Op::Input(i) => Some(i),
            _ => None,
        }
    }
}

impl Drop for Node {
    /// Frees what only this node holds, one node after another: a deep graph must not use up the stack.
    fn drop(&mut self) {
        let mut open = std::mem::take(&mut self.inputs);
        while let Some(symbol) = open.pop() {
            if let Some(mut node) = Arc::into_inner(symbol.0) {
                open.append(&mut node.inputs);
            }
        }
    }
}

fn next_id() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl PartialEq for Symbol {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Symbol {}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs: Vec<u64> = self.inputs().iter().map(Symbol::id).collect();
        write!(f, "#{} {:?}{:?} {}", self.id(), self.op(), inputs, self.shape())
    }
}

/// Every node that `outputs` depend on, themselves included, each after all that it reads.
pub fn topological(outputs: &[Symbol]) -> Vec<Symbol> {
    let mut seen = HashSet::new();
    let mut found = BTreeMap::new();
    let mut stack: Vec<Symbol> = outputs.to_vec();
    while let Some(symbol) = stack.pop() {
        if seen.insert(symbol.id()) {
            stack.extend(symbol.inputs().iter().cloned());
            found.insert(symbol.id(), symbol);
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_very_deep_graph_is_dropped_without_recursion() {
        let mut x = Symbol::input("x", [1]);
        for _ in 0..200_000 {
            x = x.neg().unwrap();
        }
        drop(x);
    }
}
