//! The weights of the first layer as pictures (row E3).

use std::collections::HashSet;

use engine::Parameters;
use graph::Symbol;
use graph::ops::Op;
use ndarray::Array4;
use nn::Model;

use crate::ExplainError;

/// What the first layer multiplies pixels with.
#[derive(Debug, Clone, PartialEq)]
pub struct Filters {
    /// The path of the layer.
    pub layer: String,
    /// `[KH, KW, C, O]`: a filter for each of O outputs. In a dense layer each unit sees the whole picture, `[H, W, C]`.
    pub weights: Array4<f32>,
}

/// The filters of the first layer with weights: those of a convolution, or of a dense layer that reads the picture as it is.
///
/// Only the first layer's weights are pictures: those of a later layer stand for combinations of units.
/// [`crate::Method::Occlusion`] and gradients tell about pictures; this tells about the network alone.
///
/// # Errors
/// [`ExplainError::Unsuited`] where the first layer is neither, or the network reads no pictures.
pub fn first_filters(model: &Model, parameters: &Parameters) -> Result<Filters, ExplainError> {
    let &[_, height, width, channels] = &model.input().shape()[..] else {
        let found = format!(
            "the network reads samples of shape {:?}",
            &model.input().shape()[1..]
        );
        return Err(ExplainError::unsuited("filters", found, "pictures [H, W, C]"));
    };
    let (node, weights) = first(model)?;
    let shape = match (node.op(), &weights.shape()[..]) {
        (Op::Conv2d(_), &[rows, columns, channels, filters]) => [rows, columns, channels, filters],
        (Op::MatMul(_), &[features, units])
            if features == height * width * channels && as_it_is(model, &node.inputs()[0]) =>
        {
            [height, width, channels, units]
        }
        (op, _) => {
            let found = format!(
                "the first layer, `{}`, is a {} of something else",
                model.layer_of(node),
                op.name()
            );
            return Err(unsuited(found));
        }
    };
    let name = model
        .parameters()
        .iter()
        .find(|p| p.symbol == *weights)
        .map_or("", |p| &p.name);
    let weights = Array4::from_shape_vec(shape, parameters.get(name)?.to_vec())
        .map_err(|_| unsuited(format!("`{name}` is not of shape {shape:?}")))?;
    Ok(Filters {
        layer: model.layer_of(node).into(),
        weights,
    })
}

fn unsuited(found: impl Into<String>) -> ExplainError {
    let expected = "a convolution, or a dense layer that reads the picture as it is";
    ExplainError::unsuited("filters", found, expected)
}

/// The first node that multiplies what comes from the input with weights, and these weights.
fn first(model: &Model) -> Result<(&Symbol, &Symbol), ExplainError> {
    let mut moving: HashSet<u64> = model.inputs().iter().map(Symbol::id).collect();
    for node in model.nodes() {
        if !node.inputs().iter().any(|i| moving.contains(&i.id())) {
            continue;
        }
        moving.insert(node.id());
        if matches!(node.op(), Op::Conv2d(_) | Op::MatMul(_))
            && let Some(weights) = node.inputs().get(1).filter(|w| w.as_parameter().is_some())
        {
            return Ok((node, weights));
        }
    }
    Err(unsuited("the network has no layer that multiplies with weights"))
}

/// Whether a node is the input, but for its shape.
fn as_it_is(model: &Model, node: &Symbol) -> bool {
    let mut node = node.clone();
    while let Op::Reshape(_) = node.op() {
        node = node.inputs()[0].clone();
    }
    model.inputs().contains(&node)
}

#[cfg(test)]
mod tests {
    use nn::prelude::*;

    use super::*;

    fn network(of: impl Fn(&Symbol) -> Result<Symbol, graph::GraphError>) -> (Model, Parameters) {
        let x = Symbol::input("x", [4, 4, 2]);
        let model = of(&x)
            .and_then(|y| Model::new("test", &x, &y))
            .unwrap_or_else(|e| panic!("{e}"));
        let named: Vec<_> = model
            .parameters()
            .iter()
            .map(|p| (p.name.clone(), p.symbol.clone()))
            .collect();
        (model, Parameters::new(&named))
    }

    #[test]
    fn a_dense_layer_sees_the_whole_picture() {
        let (model, mut parameters) = network(|x| Dense::new(3).on(&Flatten.on(x)?));
        let values: Vec<f32> = (0..4 * 4 * 2 * 3).map(|k| k as f32).collect();
        parameters
            .set("dense.weight", &values)
            .unwrap_or_else(|e| panic!("{e}"));
        let found = first_filters(&model, &parameters).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            (found.layer.as_str(), found.weights.dim()),
            ("dense", (4, 4, 2, 3))
        );
        // Row 1, column 2, band 1, unit 2.
        assert_eq!(found.weights[[1, 2, 1, 2]], values[((4 + 2) * 2 + 1) * 3 + 2]);
    }

    #[test]
    fn a_convolution_gives_its_own_filters_and_anything_else_none() {
        let (model, parameters) = network(|x| Conv2d::new(5, 3).on(x));
        let found = first_filters(&model, &parameters).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(found.weights.dim(), (3, 3, 2, 5));
        let (model, parameters) = network(|x| Dense::new(3).on(&GlobalAvgPool2d.on(x)?));
        let told = first_filters(&model, &parameters)
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(told.contains("of something else"), "{told}");
    }
}
