//! From a model to an ONNX file: opset 17, images as `[N, C, H, W]`.
//!
//! `table.rs` says which op becomes what; `ops/` has the translations, `build.rs` what they are written with.
//! A value of four axes that holds an image is written channels first, and every translation says in which
//! order it reads and makes its values (`layout.rs`), so that a convolutional network has no transposes inside:
//! the weights are reordered here, those of a dense layer behind an image too.
//! Whatever depends on parameters alone is computed here and written as numbers.

mod build;
mod error;
mod layout;
mod ops;
mod table;
mod write;

use std::collections::HashMap;

use graph::{Binding, GraphError, Mode, Shape, Symbol, lower, topological};
use nn::Model;

use super::proto::{
    DataType, Dimension, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto,
    TensorShapeProto, TypeProto, ValueInfoProto, dimension, type_proto,
};
use crate::Tensor;
use build::Builder;
use layout::{FIRST, Layout};

pub use error::ExportError;
pub use write::write;

/// The version of ONNX's operators that is written.
pub const OPSET: i64 = 17;
/// The version of the format that came with it.
const IR_VERSION: i64 = 8;

/// What may be chosen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// Entries of `metadata_props`.
    pub metadata: Vec<(String, String)>,
    /// Computed on the input before the network sees it.
    pub normalisation: Option<Normalisation>,
    /// Moves batch norm into the weights before it, as inference does. Otherwise it is written as it is, so
    /// that the network can be trained further.
    pub fold_batch_norm: bool,
}

/// y = scale·x + shift for each channel (for rows of a table: each feature) of the first input.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalisation {
    /// One number for each channel.
    pub scale: Vec<f32>,
    /// One number for each channel.
    pub shift: Vec<f32>,
}

/// `model` with these parameters as an ONNX graph for inference. Its batch is of any size, and so are the
/// images of a network that takes any.
///
/// ```
/// use graph::Symbol;
/// use graticule_interchange::{Tensor, onnx::export};
/// let x = Symbol::input("x", [2]);
/// let y = x.mul(&Symbol::parameter("scale", [2], Default::default()))?;
/// let model = nn::Model::new("scaled", &x, &y)?;
/// let scale = Tensor { name: "scale".into(), shape: vec![2], values: vec![0.5, 2.0] };
/// let file = export::export(&model, &[scale], &export::Options::default())?;
/// assert_eq!(file.graph.unwrap_or_default().node[0].op_type, "Mul");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ExportError`]: an op that ONNX cannot say, by name and layer; a parameter without numbers.
pub fn export(model: &Model, tensors: &[Tensor], options: &Options) -> Result<ModelProto, ExportError> {
    let outputs = match options.fold_batch_norm {
        true => lower(model.outputs(), Mode::Infer)?.outputs,
        false => model.outputs().to_vec(),
    };
    let nodes = topological(&outputs);
    let shapes = [Sizes::bind(model, &nodes, 1)?, Sizes::bind(model, &nodes, 2)?];
    let mut builder = Builder::new(model, tensors, &nodes, &outputs, shapes)?;
    let mut inputs = Vec::new();
    for (k, input) in model.inputs().iter().enumerate() {
        inputs.push(declare_input(&mut builder, input));
        if let (0, Some(normalisation)) = (k, &options.normalisation) {
            ops::elementwise::normalise(&mut builder, input, normalisation)?;
        }
    }
    for node in &nodes {
        table::translate(&mut builder, node)?;
    }
    let mut made = Vec::new();
    for (k, output) in outputs.iter().enumerate() {
        let name = match outputs.len() {
            1 => "output".to_string(),
            _ => format!("output_{k}"),
        };
        made.push(declare_output(&mut builder, output, name)?);
    }
    let (node, initializer) = builder.finish(&made);
    let graph = GraphProto {
        node,
        name: model.name().into(),
        initializer,
        input: inputs,
        output: made,
        ..GraphProto::default()
    };
    let entry = |(key, value): &(String, String)| StringStringEntryProto {
        key: key.clone(),
        value: value.clone(),
    };
    Ok(ModelProto {
        ir_version: IR_VERSION,
        producer_name: "graticule".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: OPSET,
        }],
        metadata_props: options.metadata.iter().map(entry).collect(),
        ..ModelProto::default()
    })
}

/// Shapes of all nodes for one choice of sizes.
struct Sizes;

impl Sizes {
    /// With batches of `times` samples and, where the network takes them, images `times` as large.
    fn bind(model: &Model, nodes: &[Symbol], times: usize) -> Result<HashMap<u64, Shape>, GraphError> {
        let plain = Binding::batch(times);
        let mut larger = plain.clone();
        for input in model.inputs() {
            if let (Some(name), [_, rows, columns, channels]) = (input.as_input(), &input.shape()[..]) {
                larger = larger.sample_shape(&name.name, [rows * times, columns * times, *channels]);
            }
        }
        larger.shapes(nodes).or_else(|_| plain.shapes(nodes))
    }
}

fn declare_input(builder: &mut Builder, input: &Symbol) -> ValueInfoProto {
    let name = input.as_input().map_or("input", |i| i.name.as_str()).to_string();
    let layout = match input.shape().rank() {
        4 => Layout::First,
        _ => Layout::Plain,
    };
    let name = builder.claim(&name);
    builder.set(input, name.clone(), layout);
    value_info(builder, input, name, layout)
}

/// Gives the value of `output` this name; images channels first.
fn declare_output(
    builder: &mut Builder,
    output: &Symbol,
    name: String,
) -> Result<ValueInfoProto, ExportError> {
    let (made, layout) = match output.shape().rank() {
        4 => (builder.first(output)?, Layout::First),
        _ => (builder.plain(output)?, Layout::Plain),
    };
    let name = builder.claim(&name);
    builder.rename(&made, &name);
    Ok(value_info(builder, output, name, layout))
}

fn value_info(builder: &Builder, symbol: &Symbol, name: String, layout: Layout) -> ValueInfoProto {
    let rank = symbol.shape().rank();
    let order: Vec<usize> = match layout {
        Layout::First => FIRST.to_vec(),
        _ => (0..rank).collect(),
    };
    let names = ["batch", "height", "width", "channels"];
    let dim = order.iter().map(|&axis| {
        let value = match builder.length(symbol, axis) {
            Some(length) => dimension::Value::DimValue(length as i64),
            None if rank == 4 || axis == 0 => {
                let known = axis == 0 || builder.model_sizes(symbol, axis);
                let suffix = if known { "" } else { "_out" };
                dimension::Value::DimParam(format!("{}{suffix}", names[axis]))
            }
            None => dimension::Value::DimParam(format!("size_{axis}")),
        };
        Dimension {
            value: Some(value),
            denotation: String::new(),
        }
    });
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    ValueInfoProto {
        name,
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            denotation: String::new(),
        }),
        doc_string: String::new(),
    }
}
