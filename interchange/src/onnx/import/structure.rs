//! What is looked at before any node: versions, names, inputs.

use std::collections::{HashMap, HashSet};

use super::importer::{Importer, Value};
use super::{DataType, GraphProto, ModelProto, NodeProto, OnnxError, Options, Port, elements};
use crate::onnx::proto::{dimension, type_proto};

/// The newest version of ONNX's own operator set whose cases are run.
pub const NEWEST_OPSET: i64 = 26;

/// The version of each operator set that nodes may use, by domain (`ai.onnx` for the empty one).
pub fn check(file: &ModelProto) -> Result<HashMap<String, i64>, OnnxError> {
    let mut versions = HashMap::new();
    for set in &file.opset_import {
        let domain = if set.domain.is_empty() {
            "ai.onnx"
        } else {
            set.domain.as_str()
        };
        versions.insert(domain.to_string(), set.version);
    }
    // The first files of the format name no operator set.
    let version = match versions.get("ai.onnx") {
        Some(&version) => version,
        None if file.opset_import.is_empty() && (1..=2).contains(&file.ir_version) => 1,
        None if !versions.is_empty() => 1,
        None => {
            let message = "the model names no operator set; expected one of `ai.onnx`: is this an ONNX model, and whole?";
            return Err(OnnxError::OperatorSet(message.into()));
        }
    };
    if !(1..=NEWEST_OPSET).contains(&version) {
        let message = format!(
            "the model is written in opset {version} of ai.onnx, versions 1 to {NEWEST_OPSET} are known; export it for one of them"
        );
        return Err(OnnxError::OperatorSet(message));
    }
    versions.insert("ai.onnx".into(), version);
    if let Some(graph) = &file.graph {
        names(graph)?;
    }
    Ok(versions)
}

/// Every name is given once, before it is read.
fn names(graph: &GraphProto) -> Result<(), OnnxError> {
    let wrong = |message: String| Err(OnnxError::Structure(message));
    if graph.node.len() > super::MAX_NODES {
        return wrong(format!(
            "it has {} nodes, at most {} are read",
            graph.node.len(),
            super::MAX_NODES
        ));
    }
    if !graph.sparse_initializer.is_empty() {
        return Err(OnnxError::Network(
            "sparse initialisers are not supported; write them out densely".into(),
        ));
    }
    let mut seen = HashSet::new();
    for tensor in &graph.initializer {
        if tensor.name.is_empty() || !seen.insert(tensor.name.as_str()) {
            return wrong(format!("two initialisers are named `{}`", tensor.name));
        }
    }
    let mut inputs = HashSet::new();
    for input in &graph.input {
        if input.name.is_empty() || !inputs.insert(input.name.as_str()) {
            return wrong(format!("two inputs are named `{}`", input.name));
        }
    }
    seen.extend(inputs);
    for output in graph
        .node
        .iter()
        .flat_map(|n| &n.output)
        .filter(|o| !o.is_empty())
    {
        if !seen.insert(output) {
            return wrong(format!("`{output}` is made twice"));
        }
    }
    Ok(())
}

/// An input that is no initialiser.
#[derive(Debug, Clone)]
pub struct Given {
    /// What the file says of it, held in the file's order.
    pub port: Port,
    /// Whether its first axis may count samples.
    pub leading: bool,
}

/// The inputs whose numbers are given at each run.
pub fn inputs(graph: &GraphProto, options: &Options) -> Result<Vec<Given>, OnnxError> {
    let initial: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let mut given = Vec::new();
    for input in &graph.input {
        if initial.contains(input.name.as_str()) || options.constants.contains_key(&input.name) {
            continue;
        }
        let name = &input.name;
        let Some(type_proto::Value::TensorType(tensor)) =
            input.r#type.as_ref().and_then(|t| t.value.as_ref())
        else {
            return Err(OnnxError::Network(format!(
                "the input `{name}` is no tensor; lists, maps and optional values are not supported"
            )));
        };
        let kind = DataType::try_from(tensor.elem_type).unwrap_or(DataType::Undefined);
        if !crate::onnx::tensor::is_read(kind) {
            return Err(OnnxError::Network(format!(
                "the input `{name}` holds {kind:?} elements, which are not supported"
            )));
        }
        let axes = match &tensor.shape {
            Some(shape) => &shape.dim[..],
            None if options.shapes.contains_key(name) => &[],
            None => {
                return Err(OnnxError::Network(format!(
                    "the file does not say how many axes the input `{name}` has; give its shape"
                )));
            }
        };
        let mut lengths: Vec<Option<usize>> = axes
            .iter()
            .map(|d| length(d.value.as_ref(), name))
            .collect::<Result<_, _>>()?;
        if let (Some(image), [_, _, rest @ ..]) = (options.image, &mut lengths[..])
            && rest.len() == 2
        {
            rest.iter_mut()
                .zip(image)
                .for_each(|(length, given)| *length = length.or(Some(given)));
        }
        let shape = shape(name, &lengths, options.shapes.get(name))?;
        let open = lengths.first().is_some_and(Option::is_none);
        let leading = open || shape.first() == Some(&1);
        let port = Port {
            name: name.clone(),
            order: (0..shape.len()).collect(),
            shape,
            kind,
        };
        given.push(Given { port, leading });
    }
    Ok(given)
}

fn length(value: Option<&dimension::Value>, name: &str) -> Result<Option<usize>, OnnxError> {
    match value {
        Some(dimension::Value::DimValue(length)) => match usize::try_from(*length) {
            Ok(length) if length > 0 => Ok(Some(length)),
            Ok(_) => Err(OnnxError::Network(format!(
                "the input `{name}` is empty: an axis has length 0, which is not supported"
            ))),
            Err(_) => Ok(None),
        },
        _ => Ok(None),
    }
}

fn shape(name: &str, lengths: &[Option<usize>], told: Option<&Vec<usize>>) -> Result<Vec<usize>, OnnxError> {
    let shape = match told {
        Some(told) => told.clone(),
        None => {
            let known = lengths.iter().enumerate().map(|(axis, length)| match (axis, length) {
                (_, Some(length)) => Ok(*length),
                (0, None) => Ok(1),
                (axis, None) => Err(OnnxError::Network(format!(
                    "the file leaves the length of axis {axis} of the input `{name}` open; give its shape, for example --shape {name}=1x3x224x224"
                ))),
            });
            known.collect::<Result<_, _>>()?
        }
    };
    match elements(&shape) {
        Some(n) if n > 0 => Ok(shape),
        Some(_) => Err(OnnxError::Network(format!(
            "the input `{name}` of shape {shape:?} is empty, which is not supported"
        ))),
        None => Err(OnnxError::Structure(format!(
            "the input `{name}` of shape {shape:?} is too large"
        ))),
    }
}

/// Ops that look at an image, channels after the batch in the file.
const OF_IMAGES: [&str; 20] = [
    "Conv",
    "ConvTranspose",
    "MaxPool",
    "AveragePool",
    "LpPool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GlobalLpPool",
    "BatchNormalization",
    "InstanceNormalization",
    "LRN",
    "GroupNormalization",
    "Resize",
    "Upsample",
    "DepthToSpace",
    "SpaceToDepth",
    "ConvInteger",
    "QLinearConv",
    "MaxRoiPool",
    "RoiAlign",
];
/// Ops that leave axes as they are.
const ELEMENTWISE: [&str; 16] = [
    "Relu",
    "Identity",
    "Cast",
    "Dropout",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Clip",
    "Sigmoid",
    "Tanh",
    "LeakyRelu",
    "Pad",
    "Concat",
    "PRelu",
    "Neg",
];

/// Whether an input of `rank` axes is read as an image by the first op that cares.
pub fn is_image(graph: &GraphProto, input: &str, rank: usize) -> bool {
    if !(3..=5).contains(&rank) {
        return false;
    }
    let mut names = vec![input];
    let mut seen: HashSet<&str> = HashSet::from([input]);
    while let Some(name) = names.pop() {
        for node in graph.node.iter().filter(|n| n.input.iter().any(|i| i == name)) {
            let op = node.op_type.as_str();
            if OF_IMAGES.contains(&op) && node.input.first().is_some_and(|i| i == name) {
                return true;
            }
            if ELEMENTWISE.contains(&op) {
                names.extend(node.output.iter().map(String::as_str).filter(|o| seen.insert(o)));
            }
        }
    }
    false
}

/// What the layer of a node is to be called: after its weights, or as the node is.
pub fn layer_name(importer: &Importer, node: &NodeProto) -> String {
    let of_weights = node
        .input
        .iter()
        .find_map(|name| match importer.values.get(name) {
            Some(Value::Known(known)) if known.initial => Some(known.name.as_deref()?.rsplit_once('.')?.0),
            _ => None,
        });
    match of_weights {
        Some(name) => name.to_string(),
        None => path(&node.name, &node.op_type),
    }
}

/// PyTorch's `/layer1/layer1.0/conv1/Conv` as `layer1.0.conv1`: each part may begin with the one before it.
fn path(name: &str, op: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/').filter(|p| !p.is_empty()) {
        if let Some(before) = parts.last()
            && part
                .strip_prefix(before)
                .is_some_and(|rest| rest.starts_with('.'))
        {
            parts.pop();
        }
        parts.push(part);
    }
    if parts.len() > 1 && parts.last() == Some(&op) {
        parts.pop();
    }
    parts.join(".")
}

/// `MaxPool` as `max_pool`.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut before = '_';
    for c in name.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn names_of_nodes_become_those_of_layers() {
        assert_eq!(path("/layer1/layer1.0/conv1/Conv", "Conv"), "layer1.0.conv1");
        assert_eq!(path("/layer1/layer1.0/Add_2", "Add"), "layer1.0.Add_2");
        assert_eq!(path("Conv", "Conv"), "Conv");
    }
}
