//! What single units and classes look for.

use graph::ops::{Op, UnaryKind};
use graph::{Mode, Symbol, lower};

use super::search::{Aim, Search, Sought, pictures_of};
use crate::attack::Pixels;
use crate::layers::{layers, named};
use crate::{ExplainError, Reading, Subject};

/// Which number of a unit is to grow, where its output is a map.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Spot {
    /// The mean of the map, of which what lies below 0 counts a tenth: the picture fills with what the unit looks for.
    #[default]
    Mean,
    /// The middle of the map: the picture shows it once, as large as the unit's field of view.
    Centre,
}

/// Which units are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Units {
    /// The path of the layer, as the layer table names it.
    pub layer: String,
    /// The units by number from 0: channels of a map, or neurons of a dense layer.
    pub units: Vec<usize>,
    /// Which number of a map.
    pub spot: Spot,
}

/// A picture for each unit, which makes it answer as strongly as pictures of bounded contrast can (activation
/// maximisation; Erhan et al. 2009, row E4): argmax over x of a(x), with a the unit's number before its activation function, so that
/// units that are silent at the start have a slope too.
///
/// # Errors
/// [`ExplainError::Layer`] and [`ExplainError::Target`] for a layer or unit that does not exist; [`ExplainError::Unsuited`] for networks that
/// read no pictures; [`ExplainError::Setting`].
pub fn features(
    subject: &mut Subject,
    pixels: &Pixels,
    asked: &Units,
    search: &Search,
) -> Result<Sought, ExplainError> {
    pictures_of(subject, pixels, "features")?;
    let (name, node) = named(layers(subject.model()), &asked.layer, "")?;
    let shape = node.shape()[1..].to_vec();
    let units = shape.last().copied().unwrap_or(1);
    if let Some(bad) = asked.units.iter().find(|&&unit| unit >= units) {
        return Err(ExplainError::Target(format!(
            "found unit {bad}; layer `{name}` has {units} units, 0 to {}",
            units.saturating_sub(1)
        )));
    }
    let node = lower(&[answer(&node, asked.spot)?], Mode::Infer)?
        .outputs
        .remove(0);
    let weights = |k: usize, weights: &mut [f32]| {
        weights.fill(0.0);
        let unit = asked.units[k];
        match (asked.spot, &shape[..]) {
            (Spot::Centre, &[height, width, _]) => {
                weights[(height / 2 * width + width / 2) * units + unit] = 1.0
            }
            _ => {
                let places = weights.len() / units;
                weights
                    .iter_mut()
                    .skip(unit)
                    .step_by(units)
                    .for_each(|w| *w = 1.0 / places as f32);
            }
        }
    };
    let aim = Aim {
        method: "features",
        node: &node,
        count: asked.units.len(),
        weights: &weights,
    };
    search.run(subject, pixels, &aim)
}

/// A picture for each of some outputs: argmax over x of S_c(x) − λ‖x‖², with S_c the class's score before softmax
/// (Simonyan, Vedaldi & Zisserman 2013, equation 1): a probability grows also by making the other classes unlikely.
/// An output that is a map is averaged over it; a single score is that of the second of two classes.
///
/// # Errors
/// As [`features`].
pub fn class_pictures(
    subject: &mut Subject,
    pixels: &Pixels,
    outputs: &[usize],
    search: &Search,
) -> Result<Sought, ExplainError> {
    pictures_of(subject, pixels, "classes")?;
    let node = subject.scores().clone();
    let width = node.shape().last_axis();
    let single = width == 1 && subject.reading() == Reading::Classes;
    let known = if single { 2 } else { width };
    if let Some(bad) = outputs.iter().find(|&&k| k >= known) {
        return Err(ExplainError::Target(format!(
            "found output {bad}; the network has {known} outputs, 0 to {}",
            known.saturating_sub(1)
        )));
    }
    let weights = |k: usize, weights: &mut [f32]| {
        let share = width as f32 / weights.len() as f32;
        let (column, share) = match (single, outputs[k]) {
            (true, 0) => (0, -share),
            (true, _) => (0, share),
            (false, k) => (k, share),
        };
        weights.fill(0.0);
        weights
            .iter_mut()
            .skip(column)
            .step_by(width)
            .for_each(|w| *w = share);
    };
    let aim = Aim {
        method: "classes",
        node: &node,
        count: outputs.len(),
        weights: &weights,
    };
    search.run(subject, pixels, &aim)
}

/// What is to grow: what the layer's activation function reads; of a map of which the mean counts, max(a, a/10). The plain mean of
/// a convolution's map knows only the mean colour of what it reads, wherever it lies.
fn answer(node: &Symbol, spot: Spot) -> Result<Symbol, ExplainError> {
    let mut node = node.clone();
    while let Op::Unary(_) = node.op() {
        node = node.inputs()[0].clone();
    }
    let map = node.shape().rank() == 4;
    Ok(match map && spot == Spot::Mean {
        true => node.unary(UnaryKind::LeakyRelu(0.1))?,
        false => node,
    })
}
