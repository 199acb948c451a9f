//! The reference interpreter: evaluates a graph in f64 with each op's plain scalar definition.
//! Slow and exact; kernels and gradients are checked against it.

use std::collections::HashMap;

use ndarray::ArrayD;

use crate::ops::Op;
use crate::{Binding, GraphError, Symbol, topological};

/// The values of `outputs`, given the values of the inputs and parameters they depend on.
///
/// # Errors
/// [`GraphError::MissingInput`], [`GraphError::WrongInput`], or a shape error of the bound sizes.
pub fn evaluate(
    outputs: &[Symbol],
    given: &[(&Symbol, ArrayD<f64>)],
    batch: usize,
) -> Result<Vec<ArrayD<f64>>, GraphError> {
    let nodes = topological(outputs);
    let shapes = Binding::batch(batch).shapes(&nodes)?;
    let mut values: HashMap<u64, ArrayD<f64>> = HashMap::new();
    for (symbol, value) in given {
        if let Some(expected) = shapes.get(&symbol.id())
            && &expected[..] != value.shape()
        {
            return Err(GraphError::WrongInput {
                name: leaf_name(symbol),
                found: format!("{:?}", value.shape()),
                expected: expected.to_string(),
            });
        }
        values.insert(symbol.id(), value.clone());
    }
    for node in &nodes {
        if values.contains_key(&node.id()) {
            continue;
        }
        if matches!(node.op(), Op::Input(_) | Op::Parameter(_)) {
            return Err(GraphError::MissingInput {
                name: leaf_name(node),
            });
        }
        let inputs: Vec<&ArrayD<f64>> = node.inputs().iter().map(|i| &values[&i.id()]).collect();
        let value = node.op().reference(&inputs, &shapes[&node.id()]);
        values.insert(node.id(), value);
    }
    Ok(outputs.iter().map(|o| values[&o.id()].clone()).collect())
}

fn leaf_name(symbol: &Symbol) -> String {
    match symbol.op() {
        Op::Input(i) => i.name.clone(),
        Op::Parameter(p) => p.role.clone(),
        op => op.name().into(),
    }
}
