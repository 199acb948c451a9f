//! Models: a graph with inputs, outputs and a stable name for every parameter.
//!
//! [`Model`] holds symbols and no numbers. [`Architecture`] is the same thing as plain data,
//! [`Summary`] its layer table, [`text`] the ways to write one without Rust.

pub mod architecture;
mod blocks;
mod names;
mod suggest;
pub mod summary;
pub mod text;

use std::collections::{HashMap, HashSet};

use graph::ops::Op;
use graph::{GraphError, Shape, Symbol, topological};

pub use architecture::{Architecture, ArchitectureError};
pub use blocks::{Block, blocks, with_new_head};
use names::LayerNames;
pub use suggest::nearest;
pub use summary::{Field, LayerRow, Summary, receptive_fields, summary};

/// A parameter of a model under its unique name.
#[derive(Debug, Clone)]
pub struct NamedParameter {
    /// The path of its layers and its role, joined by dots: `layer1.0.bn1.running_mean`.
    pub name: String,
    /// The node; its op is an [`Op::Parameter`].
    pub symbol: Symbol,
}

impl NamedParameter {
    /// Its shape.
    pub fn shape(&self) -> &Shape {
        self.symbol.shape()
    }

    /// Whether gradients reach it (running statistics are not trained).
    pub fn trainable(&self) -> bool {
        self.symbol.as_parameter().is_some_and(|p| p.trainable)
    }

    /// How many numbers it has.
    pub fn count(&self) -> usize {
        self.symbol.shape().elements()
    }
}

/// A network: the graph between `inputs` and `outputs`.
///
/// Every parameter gets a name that depends on the network alone: the path of its scopes and its
/// role, joined by dots. A layer without a name of its own is called after its kind, `conv2d`, then
/// `conv2d_1` and so on, in the order of the graph within its parent.
///
/// ```
/// use graph::{Scope, Symbol};
/// use graticule_nn::Model;
/// let x = Symbol::input("x", [3]);
/// let y = {
///     let _layer = Scope::enter("dense", None);
///     x.matmul(&Symbol::parameter("weight", [3, 2], Default::default()))?
/// };
/// let model = Model::new("tiny", &x, &y)?;
/// assert_eq!(model.parameters()[0].name, "dense.weight");
/// assert_eq!(model.trainable_count(), 6);
/// # Ok::<(), graph::GraphError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Model {
    name: String,
    inputs: Vec<Symbol>,
    outputs: Vec<Symbol>,
    nodes: Vec<Symbol>,
    parameters: Vec<NamedParameter>,
    layers: LayerNames,
}

impl Model {
    /// A network from one input to one output.
    ///
    /// # Errors
    /// As [`Model::with`].
    pub fn new(name: &str, input: &Symbol, output: &Symbol) -> Result<Model, GraphError> {
        Self::with(name, std::slice::from_ref(input), std::slice::from_ref(output))
    }

    /// A network with any number of inputs and outputs.
    ///
    /// # Errors
    /// [`GraphError::MissingInput`] when the graph reads an input that is not listed;
    /// [`GraphError::Name`] when two layers of one parent, or two inputs, have the same name, when an
    /// input is listed that is none or that no output reads, or when there is no output.
    pub fn with(name: &str, inputs: &[Symbol], outputs: &[Symbol]) -> Result<Model, GraphError> {
        let nodes = topological(outputs);
        check_inputs(name, inputs, &nodes)?;
        let layers = LayerNames::of(&nodes)?;
        let parameters = name_parameters(&nodes, &layers)?;
        Ok(Model {
            name: name.into(),
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
            nodes,
            parameters,
            layers,
        })
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the network reads, in the order given.
    pub fn inputs(&self) -> &[Symbol] {
        &self.inputs
    }

    /// What the network computes, in the order given.
    pub fn outputs(&self) -> &[Symbol] {
        &self.outputs
    }

    /// The first input; every model has one.
    pub fn input(&self) -> &Symbol {
        &self.inputs[0]
    }

    /// The first output; every model has one.
    pub fn output(&self) -> &Symbol {
        &self.outputs[0]
    }

    /// Every node, each after all that it reads.
    pub fn nodes(&self) -> &[Symbol] {
        &self.nodes
    }

    /// The parameters, trainable or not, in the order of the graph.
    pub fn parameters(&self) -> &[NamedParameter] {
        &self.parameters
    }

    /// The parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&NamedParameter> {
        self.parameters.iter().find(|p| p.name == name)
    }

    /// Numbers that training changes by gradients (row M10).
    pub fn trainable_count(&self) -> usize {
        let trainable = self.parameters.iter().filter(|p| p.trainable());
        trainable.map(NamedParameter::count).sum()
    }

    /// All numbers of the network, running statistics included.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(NamedParameter::count).sum()
    }

    /// The path of the layer in which a node was made, for example `layer1.0.conv1`; empty for a node
    /// outside every layer.
    pub fn layer_of(&self, node: &Symbol) -> &str {
        node.scope().map_or("", |scope| self.layers.path(scope.id))
    }

    fn layers(&self) -> &LayerNames {
        &self.layers
    }
}

fn check_inputs(model: &str, inputs: &[Symbol], nodes: &[Symbol]) -> Result<(), GraphError> {
    if inputs.is_empty() || nodes.is_empty() {
        return Err(GraphError::Name(format!(
            "model `{model}` needs at least one input and one output"
        )));
    }
    let mut names = HashSet::new();
    for symbol in inputs {
        let Some(input) = symbol.as_input() else {
            let op = symbol.op().name();
            let message = format!("model `{model}`: a {op} node was given where an input is expected");
            return Err(GraphError::Name(message));
        };
        if !names.insert(&input.name) {
            let message = format!("model `{model}` has two inputs named `{}`", input.name);
            return Err(GraphError::Name(message));
        }
        if !nodes.contains(symbol) {
            let message = format!("model `{model}`: no output reads the input `{}`", input.name);
            return Err(GraphError::Name(message));
        }
    }
    let read = nodes.iter().filter(|n| matches!(n.op(), Op::Input(_)));
    match read.into_iter().find(|n| !inputs.contains(n)) {
        Some(missing) => Err(GraphError::MissingInput {
            name: missing.as_input().map(|i| i.name.clone()).unwrap_or_default(),
        }),
        None => Ok(()),
    }
}

/// Names the parameters among `nodes`; a role that a layer has twice is numbered.
fn name_parameters(nodes: &[Symbol], layers: &LayerNames) -> Result<Vec<NamedParameter>, GraphError> {
    let mut used: HashMap<String, usize> = HashMap::new();
    let mut named: Vec<NamedParameter> = Vec::new();
    for symbol in nodes {
        let Some(parameter) = symbol.as_parameter() else {
            continue;
        };
        let path = symbol.scope().map_or("", |scope| layers.path(scope.id));
        let base = names::join(path, &parameter.role);
        let before = used.entry(base.clone()).or_default();
        let name = if *before == 0 {
            base
        } else {
            format!("{base}_{before}")
        };
        *before += 1;
        named.push(NamedParameter {
            name,
            symbol: symbol.clone(),
        });
    }
    let mut seen = HashSet::new();
    match named.iter().find(|p| !seen.insert(&p.name)) {
        Some(twice) => Err(GraphError::Name(format!(
            "two parameters are named `{}`; give their layers other names",
            twice.name
        ))),
        None => Ok(named),
    }
}

#[cfg(test)]
mod tests;
