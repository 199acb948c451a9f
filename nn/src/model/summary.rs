//! The layer table of a model: output shapes, parameters, multiply-accumulates, floating-point
//! operations and receptive fields (rows M10, X21).
//!
//! MACs and FLOPs stand apart because published tables mix them: one multiply-accumulate is two
//! FLOPs, and FLOPs also count element-wise work.

mod receptive_field;
mod table;

use std::collections::{HashMap, HashSet};

use graph::ops::Op;
use graph::{Binding, Cost, GraphError, Shape, Symbol};
use serde::Serialize;

pub use receptive_field::{Field, receptive_fields};
pub use table::thousands;

use super::Model;

/// One layer of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerRow {
    /// Path of the layer, for example `layer1.0.conv1`; an input's own name.
    pub name: String,
    /// Kind of layer, for example `conv2d`.
    pub kind: String,
    /// Shape of what leaves it, the batch first.
    pub output_shape: Vec<usize>,
    /// Numbers that it keeps, running statistics included.
    pub parameters: usize,
    /// Those of them that training changes.
    pub trainable: usize,
    /// Multiply-accumulates of a forward pass over the batch.
    pub macs: u64,
    /// Floating-point operations of a forward pass over the batch: two per MAC, one per element-wise operation.
    pub flops: u64,
    /// Rows and columns of the input image that one output position depends on; none where the
    /// input is no image.
    pub receptive_field: Option<[usize; 2]>,
    /// Input pixels from one output position to the next, along rows and columns.
    pub jump: Option<[f64; 2]>,
    /// Weights of the dense layers that would join the same maps, for layers with windows of weights:
    /// all numbers that come in times all that go out (row X20).
    pub as_dense: Option<u64>,
}

/// The layer table with its totals.
///
/// `Display` prints it as aligned text, serde as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The model's name.
    pub model: String,
    /// One row a layer, in the order of the graph.
    pub layers: Vec<LayerRow>,
    /// Sum of the rows' parameters.
    pub parameters: usize,
    /// Sum of the rows' trainable parameters.
    pub trainable: usize,
    /// Sum of the rows' MACs.
    pub macs: u64,
    /// Sum of the rows' FLOPs.
    pub flops: u64,
}

/// The layer table of `model` for the sizes of `binding`.
///
/// A row is a layer: the outermost scope that itself holds parameters, or else the innermost scope.
/// So a convolution and its activation make one row, and a residual block shows what is inside.
///
/// # Errors
/// A shape error when the model cannot take these sizes.
pub fn summary(model: &Model, binding: &Binding) -> Result<Summary, GraphError> {
    let shapes = binding.shapes(model.nodes())?;
    let fields = receptive_field::trace(model.nodes(), &shapes);
    let mut rows = Rows::new(model);
    for node in model.nodes() {
        let Some(row) = rows.of(node) else { continue };
        let shape = &shapes[&node.id()];
        if let Some(parameter) = node.as_parameter() {
            row.parameters += shape.elements();
            row.trainable += if parameter.trainable { shape.elements() } else { 0 };
            continue;
        }
        let operands: Vec<&Shape> = node.inputs().iter().map(|i| &shapes[&i.id()]).collect();
        let Cost { macs, flops } = node.op().cost(&operands, shape);
        row.macs += macs;
        row.flops += flops;
        row.output_shape = shape.to_vec();
        if let Some(weights) = as_dense(node.op(), &operands, shape) {
            row.as_dense = Some(row.as_dense.unwrap_or(0) + weights);
        }
        if let Some(field) = fields.get(&node.id()) {
            row.receptive_field = Some(field.rounded());
            row.jump = Some(field.jump);
        }
    }
    let layers = rows.rows;
    Ok(Summary {
        model: model.name().into(),
        parameters: layers.iter().map(|r| r.parameters).sum(),
        trainable: layers.iter().map(|r| r.trainable).sum(),
        macs: layers.iter().map(|r| r.macs).sum(),
        flops: layers.iter().map(|r| r.flops).sum(),
        layers,
    })
}

/// Inputs times outputs of one sample, for ops whose windows see a part of the image.
fn as_dense(op: &Op, operands: &[&Shape], output: &Shape) -> Option<u64> {
    let windowed = matches!(
        op,
        Op::Conv2d(_) | Op::Conv2dTransposed(_) | Op::LocallyConnected2d(_)
    );
    let sample = |shape: &Shape| shape.iter().skip(1).map(|&n| n as u64).product::<u64>();
    let image = operands.first().filter(|_| windowed)?;
    sample(image).checked_mul(sample(output))
}

/// The rows so far, and which layer or unscoped node each belongs to.
struct Rows<'a> {
    model: &'a Model,
    with_parameters: HashSet<u64>,
    index: HashMap<u64, usize>,
    rows: Vec<LayerRow>,
}

impl<'a> Rows<'a> {
    fn new(model: &'a Model) -> Self {
        let parameters = model.parameters().iter();
        let holders = parameters.filter_map(|p| p.symbol.scope().map(|s| s.id));
        Self {
            model,
            with_parameters: holders.collect(),
            index: HashMap::new(),
            rows: Vec::new(),
        }
    }

    /// The row of `node`, made if it is new; constants outside every layer have none.
    fn of(&mut self, node: &Symbol) -> Option<&mut LayerRow> {
        let (key, name, kind) = match node.scope() {
            Some(scope) => {
                let path = scope.path();
                let layer = path.iter().find(|s| self.with_parameters.contains(&s.id));
                let layer = layer.unwrap_or(scope);
                (
                    layer.id,
                    self.model.layers().path(layer.id).to_string(),
                    layer.kind.clone(),
                )
            }
            None => {
                let (name, kind) = match node.op() {
                    Op::Constant(_) => return None,
                    Op::Input(input) => (input.name.as_str(), "input"),
                    Op::Parameter(parameter) => (parameter.role.as_str(), "parameter"),
                    op => (op.name(), op.name()),
                };
                // Scopes and nodes are numbered apart; nodes take the upper half.
                (node.id() | 1 << 63, name.to_string(), kind.to_string())
            }
        };
        let next = self.rows.len();
        let at = *self.index.entry(key).or_insert(next);
        if at == next {
            self.rows.push(LayerRow {
                name,
                kind,
                output_shape: node.shape().to_vec(),
                parameters: 0,
                trainable: 0,
                macs: 0,
                flops: 0,
                receptive_field: None,
                jump: None,
                as_dense: None,
            });
        }
        self.rows.get_mut(at)
    }
}

#[cfg(test)]
mod tests;
