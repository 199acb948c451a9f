//! The layers of a network by name, each with the node of its output.

use std::collections::HashMap;

use graph::Symbol;
use nn::Model;

use crate::ExplainError;

/// Every layer that the input goes through, in the order of the network, with the node of its output. An activation that
/// stands outside every layer is called after the layer before it: `batch_norm+relu`.
pub fn layers(model: &Model) -> Vec<(String, Symbol)> {
    nodes_by_layer(model, |_| true)
}

/// The layers whose output is a picture `[H, W, C]` larger than one pixel; otherwise as [`layers`].
pub fn spatial_layers(model: &Model) -> Vec<(String, Symbol)> {
    nodes_by_layer(
        model,
        |node| matches!(node.shape()[..], [_, height, width, _] if height * width > 1),
    )
}

/// The layers that hold weights (a parameter of two axes or more), otherwise as [`layers`].
pub fn weighted_layers(model: &Model) -> Vec<(String, Symbol)> {
    let own = |layer: &str, parameter: &str| {
        let rest = parameter
            .strip_prefix(layer)
            .and_then(|rest| rest.strip_prefix('.'));
        rest.is_some_and(|rest| !rest.contains('.'))
    };
    let matrices: Vec<_> = model
        .parameters()
        .iter()
        .filter(|p| p.shape().rank() > 1)
        .collect();
    let holds = |layer: &str| matrices.iter().any(|p| own(layer, &p.name));
    let mut all = layers(model);
    all.retain(|(name, _)| holds(name));
    all
}

/// The last node of each layer that fits.
fn nodes_by_layer(model: &Model, fits: impl Fn(&Symbol) -> bool) -> Vec<(String, Symbol)> {
    let mut moving: HashMap<u64, String> = model.inputs().iter().map(|i| (i.id(), String::new())).collect();
    let mut layers: Vec<(String, Symbol)> = Vec::new();
    for node in model.nodes() {
        let Some(before) = node.inputs().iter().find_map(|i| moving.get(&i.id())) else {
            continue;
        };
        let name = match (model.layer_of(node), before.as_str()) {
            ("", "") => node.op().name().to_string(),
            ("", before) => format!("{before}+{}", node.op().name()),
            (path, _) => path.to_string(),
        };
        if fits(node) {
            layers.retain(|(other, _)| *other != name);
            layers.push((name.clone(), node.clone()));
        }
        moving.insert(node.id(), name);
    }
    layers
}

/// The layer of this name, or the last of those inside it (`layer1` means the last of `layer1.0.conv1`, …). `kind` says
/// which layers `layers` are, for the message.
pub(crate) fn named(
    mut layers: Vec<(String, Symbol)>,
    wanted: &str,
    kind: &'static str,
) -> Result<(String, Symbol), ExplainError> {
    let inside = |name: &str| {
        name.strip_prefix(wanted)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    let place = layers
        .iter()
        .rposition(|(name, _)| name == wanted || inside(name));
    match place {
        Some(place) => Ok((wanted.into(), layers.swap_remove(place).1)),
        None => Err(ExplainError::Layer {
            found: wanted.into(),
            kind,
            known: layers
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}
