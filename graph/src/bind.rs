//! Binding: a graph's shapes for a given batch size and given input sizes.

use std::collections::HashMap;

use crate::ops::Op;
use crate::{GraphError, Shape, Symbol};

/// The sizes a graph is bound to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Binding {
    /// Samples in a batch.
    pub batch: usize,
    /// Sample shapes that replace the declared ones, by input name (image size of a fully
    /// convolutional network).
    pub sample_shapes: HashMap<String, Shape>,
}

impl Binding {
    /// The declared sample shapes with this many samples.
    pub fn batch(batch: usize) -> Self {
        Self {
            batch,
            sample_shapes: HashMap::new(),
        }
    }

    /// Binds one input to another sample shape than it declares.
    pub fn sample_shape(mut self, input: &str, shape: impl Into<Shape>) -> Self {
        self.sample_shapes.insert(input.into(), shape.into());
        self
    }

    /// The shape of each of `nodes` (in topological order), by node id.
    ///
    /// # Errors
    /// What the ops' shape rules say of the bound sizes.
    pub fn shapes(&self, nodes: &[Symbol]) -> Result<HashMap<u64, Shape>, GraphError> {
        let mut shapes: HashMap<u64, Shape> = HashMap::new();
        for node in nodes {
            let shape = match node.op() {
                Op::Input(input) => {
                    let sample = self.sample_shapes.get(&input.name).unwrap_or(&input.sample_shape);
                    let mut axes = vec![self.batch];
                    axes.extend_from_slice(sample);
                    Shape::from(axes)
                }
                op => {
                    let inputs: Vec<&Shape> = node.inputs().iter().map(|i| &shapes[&i.id()]).collect();
                    op.shape(&inputs)?
                }
            };
            shapes.insert(node.id(), shape);
        }
        Ok(shapes)
    }
}
