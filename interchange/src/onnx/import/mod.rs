//! ONNX in: a file's graph becomes a network that predicts, explains, trains and is saved like any other.
//!
//! - **Axes.** Images are `[N, C, H, W]` in the file and `[N, H, W, C]` here; see `live.rs` for how axes are
//!   counted so that numbers are moved only where an op needs it. An input that a convolution or pooling
//!   reads is taken channels last; [`Port::order`] tells.
//! - **Batch.** Axis 0 of every input is the batch where it has length 1 or a name in the file: the network
//!   then takes any number of samples, whatever the file says of it. Where that cannot be (another length,
//!   an input without axes, a graph that mixes samples), [`Batch::Whole`], every input and output is one
//!   sample with an axis of 1 before those of the file.
//! - **Parameters.** Floating-point initialisers that convolutions, dense layers, normalisations, embeddings
//!   and recurrent layers read are trained; so are those of more than one finite number that any other op
//!   reads. Running statistics are state. All else is constant.
//! - **Constants.** What depends on constants alone is computed during the import, shapes above all.

mod fold;
mod importer;
mod live;
mod node;
mod ops;
mod samples;
mod structure;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use graph::ops::Axis;
use graph::{Binding, Scope, Symbol};
use nn::Model;
use prost::Message;

pub use importer::Value;
use importer::{Importer, Known};
use live::{Live, channels_last, identity};
use node::Node;

use super::error::{OnnxError, Trouble};
use super::host::{Host, elements};
use super::proto::{DataType, GraphProto, ModelProto, NodeProto, ValueInfoProto};
use super::tensor::decode;
use crate::Tensor;

/// The largest file that is read (4 GiB; a protocol buffer has at most 2).
pub const MAX_BYTES: u64 = 4 << 30;
/// Nodes that a graph may have.
pub const MAX_NODES: usize = 20_000;

/// How the first axis of inputs is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// It counts samples.
    Leading,
    /// It is one like others: all of an input is one sample.
    Whole,
}

/// What an import may be told beside the file.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The folder in which data outside the file are looked for.
    pub folder: Option<PathBuf>,
    /// Shapes of inputs, in the file's order, where the file leaves them open.
    pub shapes: HashMap<String, Vec<usize>>,
    /// Rows and columns of images, where the file leaves those of an input of four axes open.
    pub image: Option<[usize; 2]>,
    /// Inputs that are fixed to these numbers.
    pub constants: HashMap<String, Host>,
    /// How the first axis is understood; the file decides if nothing is said.
    pub batch: Option<Batch>,
}

/// An input or output of the network, as the file speaks of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// Its name in the file.
    pub name: String,
    /// Its shape in the file's order, for a batch of one.
    pub shape: Vec<usize>,
    /// Axis s of the network's symbol is axis `order[s]` of the file ([`Batch::Whole`]: of what stands behind
    /// the added axis).
    pub order: Vec<usize>,
    /// Its element type in the file; here it is f32.
    pub kind: DataType,
}

/// A network out of an ONNX file.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The network.
    pub model: Model,
    /// The numbers of its parameters, in their order.
    pub tensors: Vec<Tensor>,
    /// The inputs, in the order of the model.
    pub inputs: Vec<Port>,
    /// The outputs, in the order of the model.
    pub outputs: Vec<Port>,
    /// How the first axis was understood.
    pub batch: Batch,
    /// Outputs that do not depend on any input, with their numbers; the model does not have them.
    pub fixed: Vec<(String, Host)>,
}

/// Reads and imports a file.
///
/// # Errors
/// [`OnnxError`] says what was found, where, and what was expected.
pub fn read(path: &Path, options: &Options) -> Result<Imported, OnnxError> {
    let bytes = bytes(path)?;
    let folder = path.parent().map(|p| {
        if p.as_os_str().is_empty() {
            Path::new(".")
        } else {
            p
        }
    });
    let options = Options {
        folder: options.folder.clone().or(folder.map(Into::into)),
        ..options.clone()
    };
    import(&bytes, &options)
}

/// What a file says about itself beside its graph, by key (`metadata_props`).
///
/// # Errors
/// [`OnnxError`] where the file cannot be read or is not ONNX.
pub fn metadata(path: &Path) -> Result<HashMap<String, String>, OnnxError> {
    let file = ModelProto::decode(&bytes(path)?[..]).map_err(|e| OnnxError::Format(e.to_string()))?;
    let entries = file.metadata_props.into_iter();
    Ok(entries.map(|entry| (entry.key, entry.value)).collect())
}

fn bytes(path: &Path) -> Result<Vec<u8>, OnnxError> {
    let io = |source| OnnxError::Io {
        path: path.into(),
        source,
    };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > MAX_BYTES {
        return Err(OnnxError::TooLarge {
            path: path.into(),
            found: size,
            limit: MAX_BYTES,
        });
    }
    std::fs::read(path).map_err(io)
}

/// Imports the contents of a file.
///
/// # Errors
/// As [`read`].
pub fn import(bytes: &[u8], options: &Options) -> Result<Imported, OnnxError> {
    let file = ModelProto::decode(bytes).map_err(|e| OnnxError::Format(e.to_string()))?;
    let versions = structure::check(&file)?;
    let Some(graph) = &file.graph else {
        return Err(OnnxError::Structure("the model has no graph".into()));
    };
    let given = structure::inputs(graph, options)?;
    let leading = given.iter().all(|input| input.leading);
    match options.batch {
        Some(batch) => translate(&file, graph, &versions, &given, options, batch),
        None if !leading => translate(&file, graph, &versions, &given, options, Batch::Whole),
        None => match translate(&file, graph, &versions, &given, options, Batch::Leading) {
            // Samples may depend on one another, or a shape may be fixed that the batch would multiply.
            Err(error) if error.unknown_operator() => Err(error),
            Err(error) => {
                translate(&file, graph, &versions, &given, options, Batch::Whole).map_err(|_| error)
            }
            result => result,
        },
    }
}

fn translate(
    file: &ModelProto,
    graph: &GraphProto,
    versions: &HashMap<String, i64>,
    given: &[structure::Given],
    options: &Options,
    batch: Batch,
) -> Result<Imported, OnnxError> {
    let mut importer = Importer::default();
    let _scope = Scope::resume(None);
    for tensor in &graph.initializer {
        let known = Known {
            host: decode(tensor, options.folder.as_deref())?,
            name: Some(tensor.name.clone()),
            initial: true,
        };
        importer.values.insert(tensor.name.clone(), Value::Known(known));
    }
    for (name, host) in &options.constants {
        importer.values.insert(name.clone(), host.clone().into());
    }
    let mut inputs = Vec::new();
    for input in given {
        let order = match structure::is_image(graph, &input.port.name, input.port.shape.len()) {
            true => channels_last(input.port.shape.len()),
            false => identity(input.port.shape.len()),
        };
        let (symbol, live) = input_symbol(&input.port, &order, batch)?;
        importer.values.insert(input.port.name.clone(), Value::Live(live));
        let port = Port {
            order,
            ..input.port.clone()
        };
        inputs.push((symbol, port));
    }
    for (place, proto) in graph.node.iter().enumerate() {
        run_node(&mut importer, proto, place, versions)?;
    }
    finish(file, graph, importer, inputs, batch)
}

/// The input's symbol, and the value that the file means by it.
fn input_symbol(port: &Port, order: &[usize], batch: Batch) -> Result<(Symbol, Live), OnnxError> {
    let lengths: Vec<usize> = order.iter().map(|&a| port.shape[a]).collect();
    let (symbol, value, counted) = match batch {
        Batch::Leading => {
            let symbol = Symbol::input(&port.name, lengths[1..].to_vec());
            (symbol.clone(), symbol, Some(0))
        }
        Batch::Whole => {
            let symbol = Symbol::input(&port.name, lengths.clone());
            let axes: Vec<Axis> = lengths.iter().map(|&l| Axis::Length(l)).collect();
            (symbol.clone(), symbol.reshape(&axes)?, None)
        }
    };
    let live = Live {
        symbol: value,
        order: order.to_vec(),
        batch: counted,
        kind: port.kind,
    };
    Ok((symbol, live))
}

/// Runs the rule of one node and keeps its results under their names.
fn run_node(
    importer: &mut Importer,
    proto: &NodeProto,
    place: usize,
    versions: &HashMap<String, i64>,
) -> Result<(), OnnxError> {
    let domain = if proto.domain.is_empty() {
        "ai.onnx"
    } else {
        proto.domain.as_str()
    };
    let opset = versions.get(domain).copied().unwrap_or(0);
    let wrong = |trouble| OnnxError::Node {
        node: match proto.name.as_str() {
            "" => format!("{place} → `{}`", proto.output.first().map_or("", String::as_str)),
            name => format!("`{name}`"),
        },
        op: proto.op_type.clone(),
        domain: domain.into(),
        opset,
        trouble: Box::new(trouble),
    };
    let node = Node { proto, opset };
    let results = one_node(importer, &node, domain).map_err(wrong)?;
    samples::doubled(importer, &node, &results).map_err(wrong)?;
    if results.len() < node.results() {
        let message = format!("result {} of it", results.len());
        return Err(wrong(Trouble::unsupported(message)));
    }
    for (name, value) in proto
        .output
        .iter()
        .zip(results)
        .filter(|(name, _)| !name.is_empty())
    {
        if let Value::Live(live) = &value
            && elements(live.symbol.shape()).is_none_or(|n| n == 0)
        {
            let message = format!("a result of shape {:?}", live.shape());
            return Err(wrong(Trouble::unsupported(message)));
        }
        let value = match value {
            Value::Known(known) => Value::Known(Known {
                name: Some(name.clone()),
                ..known
            }),
            live => live,
        };
        if importer.values.insert(name.clone(), value).is_some() {
            return Err(wrong(Trouble::malformed(format!("`{name}` is made twice"))));
        }
    }
    Ok(())
}

fn one_node(importer: &mut Importer, node: &Node, domain: &str) -> Result<Vec<Value>, Trouble> {
    let rule = ops::rule(&node.proto.op_type, domain)?;
    if let Some(results) = fold::fold(importer, node)? {
        return Ok(results);
    }
    let wish = structure::layer_name(importer, node.proto);
    importer.layer = importer.name_layer(&wish);
    let kind = structure::snake(&node.proto.op_type);
    let turns = samples::turns(importer, node)?;
    let _scope = Scope::enter(&kind, importer.layer.as_deref());
    if node.proto.op_type == "Reshape"
        && let Some((live, turns)) = samples::reshape(importer, node)?
    {
        take_turns(importer, node, &live, turns)?;
        return Ok(vec![live.into()]);
    }
    let results = rule(importer, node)?;
    if let (Some(turns), Some(Value::Live(live))) = (turns, results.first()) {
        take_turns(importer, node, live, turns)?;
    }
    fold::evaluate(importer, node, results)
}

/// Remembers in how many runs samples take turns in the first result of a node.
fn take_turns(importer: &mut Importer, node: &Node, live: &Live, turns: usize) -> Result<(), Trouble> {
    let length = live.batch.map_or(0, |axis| live.shape()[axis]);
    if turns > 1 {
        if !length.is_multiple_of(turns) {
            return Err(Trouble::unsupported(
                "samples that take turns in another number of rows",
            ));
        }
        let name = node.proto.output.first().cloned().unwrap_or_default();
        importer.turns.insert(name, turns);
    }
    Ok(())
}

fn finish(
    file: &ModelProto,
    graph: &GraphProto,
    mut importer: Importer,
    inputs: Vec<(Symbol, Port)>,
    batch: Batch,
) -> Result<Imported, OnnxError> {
    let (mut outputs, mut ports, mut fixed) = (Vec::new(), Vec::new(), Vec::new());
    for output in &graph.output {
        match importer.values.get(&output.name).cloned() {
            None => {
                return Err(OnnxError::Structure(format!(
                    "no node makes the output `{}`",
                    output.name
                )));
            }
            Some(Value::Known(known)) => fixed.push((output.name.clone(), known.host)),
            Some(Value::Live(live)) => {
                let (symbol, port) = output_symbol(output, &live, batch)?;
                outputs.push(symbol);
                ports.push(port);
            }
        }
    }
    // An output may be an input, or two outputs the same node: that is a model still.
    let nodes = graph::topological(&outputs);
    let (symbols, used): (Vec<Symbol>, Vec<Port>) =
        inputs.into_iter().filter(|(s, _)| nodes.contains(s)).unzip();
    if symbols.is_empty() {
        return Err(match fixed.is_empty() || !outputs.is_empty() {
            true => OnnxError::Network("no output depends on an input".into()),
            false => OnnxError::Constant { outputs: fixed },
        });
    }
    let name = [&graph.name, &file.producer_name]
        .into_iter()
        .find(|n| !n.is_empty());
    let model = Model::with(name.map_or("onnx", String::as_str), &symbols, &outputs)?;
    sound(&model, batch)?;
    let mut numbers: HashMap<u64, Vec<f32>> =
        importer.parameters.drain(..).map(|(s, v)| (s.id(), v)).collect();
    let tensor = |p: &nn::NamedParameter| Tensor {
        name: p.name.clone(),
        shape: p.shape().to_vec(),
        values: numbers.remove(&p.symbol.id()).unwrap_or_default(),
    };
    Ok(Imported {
        tensors: model.parameters().iter().map(tensor).collect(),
        model,
        inputs: used,
        outputs: ports,
        batch,
        fixed,
    })
}

/// The network can be saved, and takes as many samples as it says.
fn sound(model: &Model, batch: Batch) -> Result<(), OnnxError> {
    let (found, most) = (model.nodes().len(), nn::model::architecture::MAX_NODES);
    if found > most {
        let message = format!("the network would have {found} nodes, at most {most} can be saved");
        return Err(OnnxError::Network(message));
    }
    if batch == Batch::Leading {
        let shapes = Binding::batch(2).shapes(model.nodes())?;
        let doubled = |o: &Symbol| shapes[&o.id()].first() == Some(&2);
        if !model.outputs().iter().all(doubled) {
            let message = "an output has another number of samples than the inputs";
            return Err(OnnxError::Network(message.into()));
        }
    }
    Ok(())
}

/// The network's output for a value of the file: the batch first, images channels last.
fn output_symbol(output: &ValueInfoProto, live: &Live, batch: Batch) -> Result<(Symbol, Port), OnnxError> {
    let (rank, shape) = (live.rank(), live.shape());
    if batch == Batch::Leading && live.batch.is_none() {
        return Err(OnnxError::Network(format!(
            "the output `{}` has no batch axis",
            output.name
        )));
    }
    let image = rank == 4 && live.order == channels_last(4);
    let mut order = if image { live.order.clone() } else { identity(rank) };
    if let Some(axis) = live.batch {
        order.retain(|&a| a != axis);
        order.insert(0, axis);
        if shape[axis] != 1 {
            let message = format!(
                "the output `{}` has {} values of axis {axis} for each sample",
                output.name, shape[axis]
            );
            return Err(OnnxError::Network(message));
        }
    }
    let live = live.arranged(&order)?;
    let symbol = match batch {
        Batch::Leading => live.symbol.clone(),
        Batch::Whole => {
            let lengths = live.symbol.shape().iter().map(|&l| Axis::Length(l));
            let axes: Vec<Axis> = std::iter::once(Axis::Length(1)).chain(lengths).collect();
            live.symbol.reshape(&axes)?
        }
    };
    let port = Port {
        name: output.name.clone(),
        shape,
        order,
        kind: live.kind,
    };
    Ok((symbol, port))
}
