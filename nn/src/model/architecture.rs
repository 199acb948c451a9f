//! A model's structure as plain data, to be written to a file and built again.

use std::collections::HashMap;
use std::sync::Arc;

use graph::ops::Op;
use graph::{GraphError, Scope, Shape, Symbol};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Model;

/// Nodes that a described model may have; the deepest published networks have a few thousand.
pub const MAX_NODES: usize = 20_000;
/// Elements that any tensor of a described model may have, for a batch of one (8 GiB of f32).
pub const MAX_ELEMENTS: u64 = 1 << 31;
/// How deep layers may be nested.
pub const MAX_DEPTH: usize = 64;
/// How many axes a tensor may have.
pub const MAX_RANK: usize = 8;

/// A model without its numbers: nodes in topological order, layers, inputs, outputs, and the
/// parameters' names.
///
/// ```
/// use graph::Symbol;
/// use graticule_nn::{Architecture, Model};
/// let x = Symbol::input("x", [3]);
/// let model = Model::new("square", &x, &x.mul(&x)?)?;
/// let json = serde_json::to_string(&model.architecture())?;
/// let again = Model::from_architecture(&serde_json::from_str(&json)?)?;
/// assert_eq!(again.architecture(), model.architecture());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// The model's name.
    pub name: String,
    /// Layers, parents before children.
    pub layers: Vec<LayerRecord>,
    /// Nodes, each after all that it reads.
    pub nodes: Vec<NodeRecord>,
    /// Which nodes are the inputs.
    pub inputs: Vec<usize>,
    /// Which nodes are the outputs.
    pub outputs: Vec<usize>,
    /// The names of the parameter nodes, in their order.
    pub parameters: Vec<String>,
}

/// One layer of an [`Architecture`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// The kind of layer, for example `conv2d`.
    pub kind: String,
    /// The name its author gave, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The enclosing layer, an earlier index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<usize>,
}

/// One node of an [`Architecture`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// What it computes.
    #[serde(flatten)]
    pub op: Op,
    /// The nodes that it reads, earlier indices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<usize>,
    /// The layer that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
}

/// Why an [`Architecture`] describes no model.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ArchitectureError {
    /// Too many nodes, or tensors that are empty or too large.
    #[error("{what}: found {found}, expected 1 to {limit}")]
    TooLarge {
        /// What is too large, and where.
        what: String,
        /// How large it is.
        found: String,
        /// How large it may be.
        limit: u64,
    },
    /// An index that points nowhere or not backwards.
    #[error("{place} refers to {what} {index}, but only {available} stand before it")]
    Index {
        /// Where the index stands.
        place: String,
        /// `node` or `layer`.
        what: &'static str,
        /// The index found.
        index: usize,
        /// How many there are to refer to.
        available: usize,
    },
    /// A node that cannot take its operands.
    #[error("node {node}: {source}")]
    Node {
        /// Its index.
        node: usize,
        /// What the op says.
        source: GraphError,
    },
    /// Nodes that make no model.
    #[error(transparent)]
    Model(#[from] GraphError),
    /// Parameter names that are not those of the graph.
    #[error("parameter {position} is called `{found}` where the graph gives `{expected}`")]
    ParameterName {
        /// Position in the list of parameters.
        position: usize,
        /// The name in the file, empty when there is none.
        found: String,
        /// The name that follows from the layers, empty when there is no such parameter.
        expected: String,
    },
}

impl Model {
    /// The model as plain data.
    pub fn architecture(&self) -> Architecture {
        let scopes = self.layers().scopes();
        let layer: HashMap<u64, usize> = scopes.iter().enumerate().map(|(i, s)| (s.id, i)).collect();
        let node: HashMap<u64, usize> = self
            .nodes()
            .iter()
            .enumerate()
            .map(|(i, n)| (n.id(), i))
            .collect();
        let indices = |symbols: &[Symbol]| symbols.iter().map(|s| node[&s.id()]).collect::<Vec<_>>();
        let layers = scopes.iter().map(|s| LayerRecord {
            kind: s.kind.clone(),
            name: s.name.clone(),
            parent: s.parent.as_ref().map(|p| layer[&p.id]),
        });
        let nodes = self.nodes().iter().map(|n| NodeRecord {
            op: n.op().clone(),
            reads: indices(n.inputs()),
            layer: n.scope().map(|s| layer[&s.id]),
        });
        Architecture {
            name: self.name().into(),
            layers: layers.collect(),
            nodes: nodes.collect(),
            inputs: indices(self.inputs()),
            outputs: indices(self.outputs()),
            parameters: self.parameters().iter().map(|p| p.name.clone()).collect(),
        }
    }

    /// Builds the model that `architecture` describes. Nothing in it is trusted: indices must point
    /// backwards, sizes are bounded, every shape is checked.
    ///
    /// # Errors
    /// [`ArchitectureError`] with the place and what was expected there.
    pub fn from_architecture(architecture: &Architecture) -> Result<Model, ArchitectureError> {
        at_most("number of nodes", architecture.nodes.len(), MAX_NODES)?;
        at_most("number of layers", architecture.layers.len(), MAX_NODES)?;
        let scopes = build_scopes(&architecture.layers)?;
        let mut nodes: Vec<Symbol> = Vec::with_capacity(architecture.nodes.len());
        for record in &architecture.nodes {
            let node = build_node(record, &nodes, &scopes)?;
            nodes.push(node);
        }
        let pick = |list: &[usize], place: &str| -> Result<Vec<Symbol>, ArchitectureError> {
            let found = list
                .iter()
                .map(|&i| earlier(&nodes, i, "node", || place.to_string()));
            found.map(|n| n.cloned()).collect()
        };
        let inputs = pick(&architecture.inputs, "the list of inputs")?;
        let outputs = pick(&architecture.outputs, "the list of outputs")?;
        let model = Model::with(&architecture.name, &inputs, &outputs)?;
        check_names(&architecture.parameters, &model)?;
        Ok(model)
    }
}

fn earlier<'a, T>(
    of: &'a [T],
    index: usize,
    what: &'static str,
    place: impl Fn() -> String,
) -> Result<&'a T, ArchitectureError> {
    of.get(index).ok_or_else(|| ArchitectureError::Index {
        place: place(),
        what,
        index,
        available: of.len(),
    })
}

fn build_scopes(records: &[LayerRecord]) -> Result<Vec<Option<Arc<Scope>>>, ArchitectureError> {
    let mut scopes: Vec<Option<Arc<Scope>>> = Vec::with_capacity(records.len());
    let mut depths: Vec<usize> = Vec::with_capacity(records.len());
    for (i, record) in records.iter().enumerate() {
        let place = || format!("layer {i} (`{}`)", record.kind);
        let (parent, depth) = match record.parent {
            Some(p) => (earlier(&scopes, p, "layer", place)?.clone(), depths[p] + 1),
            None => (None, 1),
        };
        at_most("depth of nested layers", depth, MAX_DEPTH)?;
        let _parent = Scope::resume(parent);
        let _scope = Scope::enter(&record.kind, record.name.as_deref());
        scopes.push(Scope::current());
        depths.push(depth);
    }
    Ok(scopes)
}

fn build_node(
    record: &NodeRecord,
    before: &[Symbol],
    scopes: &[Option<Arc<Scope>>],
) -> Result<Symbol, ArchitectureError> {
    let node = before.len();
    let place = || format!("node {node} ({})", record.op.name());
    bounded(&record.op, place)?;
    let reads = record.reads.iter().map(|&i| earlier(before, i, "node", place));
    let reads = reads.collect::<Result<Vec<&Symbol>, _>>()?;
    let scope = match record.layer {
        Some(layer) => earlier(scopes, layer, "layer", place)?.clone(),
        None => None,
    };
    let _scope = Scope::resume(scope);
    let symbol = Symbol::apply(record.op.clone(), &reads)
        .map_err(|source| ArchitectureError::Node { node, source })?;
    check_size(symbol.shape(), place)?;
    Ok(symbol)
}

/// The whole numbers of an op (axes, kernel sizes, strides …) multiply to at most [`MAX_ELEMENTS`], so
/// that no shape rule can overflow on them.
pub(crate) fn bounded(op: &Op, place: impl Fn() -> String) -> Result<(), ArchitectureError> {
    let data = serde_json::to_value(op).unwrap_or_default();
    let mut product: u64 = 1;
    let mut open = vec![&data];
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::Array(items) => open.extend(items),
            serde_json::Value::Object(fields) => open.extend(fields.values()),
            serde_json::Value::Number(number) => {
                if let Some(n) = number.as_u64() {
                    product = product.saturating_mul(n.max(1));
                }
            }
            _ => {}
        }
    }
    if product > MAX_ELEMENTS {
        return Err(ArchitectureError::TooLarge {
            what: format!("the sizes of {} multiplied", place()),
            found: product.to_string(),
            limit: MAX_ELEMENTS,
        });
    }
    Ok(())
}

/// The number of elements, if there are some and at most [`MAX_ELEMENTS`].
pub(crate) fn elements(shape: &Shape) -> Option<u64> {
    let product = shape
        .iter()
        .try_fold(1u64, |product, &axis| product.checked_mul(axis as u64));
    product.filter(|n| (1..=MAX_ELEMENTS).contains(n))
}

fn check_size(shape: &Shape, place: impl Fn() -> String) -> Result<(), ArchitectureError> {
    at_most(&format!("axes of {}", place()), shape.rank(), MAX_RANK)?;
    match elements(shape) {
        Some(_) => Ok(()),
        None => Err(ArchitectureError::TooLarge {
            what: format!("elements of {}", place()),
            found: format!("shape {shape}"),
            limit: MAX_ELEMENTS,
        }),
    }
}

fn at_most(what: &str, found: usize, limit: usize) -> Result<(), ArchitectureError> {
    if found <= limit {
        return Ok(());
    }
    Err(ArchitectureError::TooLarge {
        what: what.into(),
        found: found.to_string(),
        limit: limit as u64,
    })
}

fn check_names(found: &[String], model: &Model) -> Result<(), ArchitectureError> {
    let expected: Vec<&str> = model.parameters().iter().map(|p| p.name.as_str()).collect();
    for position in 0..found.len().max(expected.len()) {
        let found = found.get(position).map_or("", String::as_str);
        let expected = expected.get(position).copied().unwrap_or("");
        if found != expected {
            return Err(ArchitectureError::ParameterName {
                position,
                found: found.into(),
                expected: expected.into(),
            });
        }
    }
    Ok(())
}
