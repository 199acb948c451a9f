//! Feature maps of an input, layer by layer.

use std::cmp::Reverse;

use graph::{Mode, Symbol, lower};
use ndarray::{Array3, ArrayD};

use crate::layers::{named, spatial_layers};
use crate::{ExplainError, Subject};

/// Which channels of each layer are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channels {
    /// The first so many.
    First(usize),
    /// The so many with the largest mean magnitude on this input; what is the same everywhere comes last.
    MostActive(usize),
    /// These.
    These(Vec<usize>),
}

impl Default for Channels {
    fn default() -> Self {
        Self::MostActive(16)
    }
}

/// Some channels of what a layer makes of one input, after its activation function.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerMaps {
    /// The path of the layer.
    pub layer: String,
    /// Rows, columns and channels of all that leaves it.
    pub shape: [usize; 3],
    /// The channels that are here.
    pub channels: Vec<usize>,
    /// Their maps, `[channels, rows, columns]`, in the layer's own numbers.
    pub maps: Array3<f32>,
    /// The least and the greatest value of each map: the range that a picture of it is normalised to.
    pub ranges: Vec<(f32, f32)>,
    /// How many of all channels of the layer are the same everywhere on this input: they say nothing here.
    pub flat: usize,
}

/// The feature maps of each input `[N, H, W, C]`, for all layers whose output is a picture or for the one of this name:
/// `[sample][layer]`.
///
/// # Errors
/// [`ExplainError::Unsuited`] for a network without such layers, [`ExplainError::Layer`], [`ExplainError::Setting`] for a
/// channel that does not exist, [`ExplainError::Inputs`].
pub fn activations(
    subject: &mut Subject,
    inputs: &ArrayD<f32>,
    layer: Option<&str>,
    channels: &Channels,
) -> Result<Vec<Vec<LayerMaps>>, ExplainError> {
    let count = subject.count(inputs)?;
    let layers = watched(subject, layer.as_slice(), "activations")?;
    if let Channels::These(these) = channels {
        check_units(
            these,
            layers.iter().map(|layer| (layer.name.as_str(), layer.shape[2])),
        )?;
    }
    let nodes: Vec<Symbol> = layers.iter().map(|layer| layer.node.clone()).collect();
    let flat = inputs.as_standard_layout();
    let flat = flat.as_slice().unwrap_or_default();
    let len = flat.len() / count;
    let mut found = Vec::with_capacity(count);
    subject.each(
        &nodes,
        &[],
        count,
        |k, parts| parts[0].copy_from_slice(&flat[k * len..(k + 1) * len]),
        |_, maps| {
            let each = layers.iter().zip(maps);
            found.push(
                each.map(|(layer, values)| chosen(layer, values, channels))
                    .collect(),
            );
        },
    )?;
    Ok(found)
}

/// A layer with the node of its output, lowered for inference.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    pub name: String,
    pub node: Symbol,
    /// The node before lowering, as the model knows it.
    pub of_model: Symbol,
    /// Rows, columns, channels.
    pub shape: [usize; 3],
}

/// The layers with pictures as their outputs, or those of these names.
pub(super) fn watched(
    subject: &Subject,
    wanted: &[&str],
    method: &'static str,
) -> Result<Vec<Watched>, ExplainError> {
    subject.picture(method)?;
    let all = spatial_layers(subject.model());
    let of = |name: &&str| named(all.clone(), name, "with a picture as its output");
    let layers = match wanted {
        [] => all,
        _ => wanted.iter().map(of).collect::<Result<_, _>>()?,
    };
    if layers.is_empty() {
        let found = "the network has no layer with a picture as its output";
        return Err(ExplainError::unsuited(method, found, "a convolutional network"));
    }
    let nodes: Vec<Symbol> = layers.iter().map(|(_, node)| node.clone()).collect();
    let lowered = lower(&nodes, Mode::Infer)?.outputs;
    let watched = layers
        .into_iter()
        .zip(lowered)
        .map(|((name, of_model), node)| Watched {
            name,
            shape: [1, 2, 3].map(|axis| of_model.shape()[axis]),
            node,
            of_model,
        });
    Ok(watched.collect())
}

/// Whether every layer, of this name and so many channels, has these units.
pub(super) fn check_units<'a>(
    units: &[usize],
    layers: impl IntoIterator<Item = (&'a str, usize)>,
) -> Result<(), ExplainError> {
    for (name, depth) in layers {
        if let Some(unit) = units.iter().find(|&&unit| unit >= depth) {
            let expected = format!("0 to {}: layer {name} has {depth} units", depth - 1);
            return Err(ExplainError::setting("units", unit, expected));
        }
    }
    Ok(())
}

fn chosen(layer: &Watched, values: &[f32], channels: &Channels) -> LayerMaps {
    let [rows, columns, depth] = layer.shape;
    let facts: Vec<Fact> = (0..depth)
        .map(|channel| Fact::of(values, channel, depth))
        .collect();
    let shown: Vec<usize> = match channels {
        Channels::First(most) => (0..depth.min(*most)).collect(),
        Channels::These(these) => these.clone(),
        Channels::MostActive(most) => {
            let mut order: Vec<usize> = (0..depth).collect();
            order.sort_by(|&a, &b| facts[b].size.total_cmp(&facts[a].size));
            order.sort_by_key(|&channel| Reverse(!facts[channel].flat()));
            order.truncate(*most);
            order
        }
    };
    LayerMaps {
        layer: layer.name.clone(),
        shape: layer.shape,
        maps: Array3::from_shape_fn((shown.len(), rows, columns), |(k, y, x)| {
            values[(y * columns + x) * depth + shown[k]]
        }),
        ranges: shown.iter().map(|&channel| facts[channel].range).collect(),
        flat: facts.iter().filter(|fact| fact.flat()).count(),
        channels: shown,
    }
}

/// What a channel does over the picture.
struct Fact {
    /// Least and greatest value.
    range: (f32, f32),
    /// Mean magnitude.
    size: f64,
}

impl Fact {
    fn of(values: &[f32], channel: usize, depth: usize) -> Self {
        let all = || values.iter().skip(channel).step_by(depth);
        Self {
            range: all().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| {
                (low.min(v), high.max(v))
            }),
            size: all().map(|v| f64::from(v.abs())).sum::<f64>() / (values.len() / depth).max(1) as f64,
        }
    }

    fn flat(&self) -> bool {
        self.range.0 >= self.range.1
    }
}
