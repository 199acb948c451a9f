//! The debugging report (curriculum row S23): dead units, exploding and vanishing gradients, per layer.

use engine::{Engine, Parameters, Program, Request};
use graph::ops::Op;
use graph::{Binding, Symbol};
use nn::Model;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// What one layer looked like on one batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerHealth {
    /// The layer's name.
    pub layer: String,
    /// Mean of its outputs.
    pub mean: f32,
    /// Standard deviation of its outputs.
    pub deviation: f32,
    /// Largest output by size; NaN where one is.
    pub largest: f32,
    /// Share of units that were 0 for every sample (after ReLU) .
    pub dead: f32,
    /// Root mean square of its weights' gradient, where it has weights.
    pub gradient: Option<f32>,
    /// The same relative to the weights' own root mean square.
    pub relative_gradient: Option<f32>,
    /// What to try, empty if nothing strikes.
    pub advice: String,
}

/// The last node of each layer, in order: what the layer hands on.
pub(crate) fn layer_outputs(model: &Model, nodes: &[Symbol]) -> Vec<(String, Symbol)> {
    let mut found: Vec<(String, Symbol)> = Vec::new();
    for node in nodes {
        if matches!(node.op(), Op::Input(_) | Op::Parameter(_) | Op::Constant(_)) || node.shape().rank() < 2 {
            continue;
        }
        let name = match node.scope() {
            Some(_) => model.layer_of(node).to_string(),
            None => node.op().name().to_string(),
        };
        match found.iter_mut().find(|(n, _)| *n == name) {
            Some((_, last)) => *last = node.clone(),
            None => found.push((name, node.clone())),
        }
    }
    found
}

/// Looks at every layer of a training graph on one batch. `gradients` are those of the step, in the
/// store's layout; pass an empty slice where there are none.
///
/// # Errors
/// When the graph cannot be compiled for that batch.
pub(crate) fn health(
    engine: &Engine,
    model: &Model,
    layers: &[(String, Symbol)],
    parameters: &mut Parameters,
    inputs: (&str, &[f32], usize),
    gradients: &[f32],
) -> Result<Vec<LayerHealth>, TrainError> {
    let (name, values, size) = inputs;
    let symbols: Vec<Symbol> = layers.iter().map(|(_, s)| s.clone()).collect();
    let mut program = Program::compile(
        engine,
        &Request::outputs(&symbols),
        parameters.layout(),
        &Binding::batch(size),
    )?;
    program.set_input(name, values)?;
    program.run(parameters, 0)?;
    let report = layers.iter().enumerate().map(|(k, (layer, symbol))| {
        let mut health = of_outputs(layer, program.output(k), size, symbol.shape().last_axis());
        (health.gradient, health.relative_gradient) = of_gradient(model, layer, parameters, gradients);
        health.advice = advice(&health);
        health
    });
    Ok(report.collect())
}

fn of_outputs(layer: &str, values: &[f32], size: usize, channels: usize) -> LayerHealth {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let variance = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
    let larger = |a: f32, b: f32| if b.is_nan() || b.abs() > a.abs() { b } else { a };
    let largest = values
        .iter()
        .fold(0.0f32, |a, &b| if a.is_nan() { a } else { larger(a, b) });
    let mut alive = vec![false; channels];
    for row in values.chunks_exact(channels) {
        for (unit, &x) in alive.iter_mut().zip(row) {
            *unit |= x != 0.0;
        }
    }
    let dead = alive.iter().filter(|a| !**a).count() as f32 / channels.max(1) as f32;
    let _ = size;
    LayerHealth {
        layer: layer.into(),
        mean: mean as f32,
        deviation: variance.sqrt() as f32,
        largest,
        dead,
        gradient: None,
        relative_gradient: None,
        advice: String::new(),
    }
}

/// Root mean squares of the gradient of a layer's weight tensors, absolute and relative.
fn of_gradient(
    model: &Model,
    layer: &str,
    parameters: &Parameters,
    gradients: &[f32],
) -> (Option<f32>, Option<f32>) {
    let (mut squares, mut weights, mut count) = (0.0f64, 0.0f64, 0usize);
    for parameter in model
        .parameters()
        .iter()
        .filter(|p| p.trainable() && p.shape().rank() > 1)
    {
        if model.layer_of(&parameter.symbol) != layer {
            continue;
        }
        let Some(entry) = parameters.layout().entry(&parameter.symbol) else {
            continue;
        };
        let range = entry.offset..entry.offset + entry.elements();
        let Some(gradient) = gradients.get(range.clone()) else {
            continue;
        };
        squares += gradient.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>();
        weights += parameters.values()[range]
            .iter()
            .map(|&w| f64::from(w).powi(2))
            .sum::<f64>();
        count += entry.elements();
    }
    if count == 0 {
        return (None, None);
    }
    let rms = (squares / count as f64).sqrt();
    let relative = (weights > 0.0).then(|| (squares / weights).sqrt() as f32);
    (Some(rms as f32), relative)
}

fn advice(h: &LayerHealth) -> String {
    let mut tips = Vec::new();
    if !h.largest.is_finite() {
        tips.push("not a number: lower the learning rate or clip gradients");
    } else if h.largest.abs() > 1e4 {
        tips.push("exploding activations: lower the learning rate, add batch normalisation, check the input scaling");
    }
    if h.dead > 0.4 {
        tips.push("many dead units: lower the learning rate, try leaky ReLU, check the initialisation");
    }
    match h.relative_gradient {
        Some(g) if g < 1e-7 => {
            tips.push("vanishing gradient: try ReLU, batch normalisation or residual connections")
        }
        Some(g) if g > 10.0 => tips.push("exploding gradient: clip gradients or lower the learning rate"),
        _ => {}
    }
    tips.join("; ")
}

/// One sentence on where numbers went wrong: the first layer that is not finite, else the largest.
pub(crate) fn blame(report: &[LayerHealth]) -> String {
    match report.iter().position(|h| !h.largest.is_finite()) {
        Some(0) => format!(
            "the first layer `{}` already gives {}: look at the inputs",
            report[0].layer, report[0].largest
        ),
        Some(k) => {
            let before = &report[k - 1];
            format!(
                "layer `{}` is the first to give {}; the largest activation before it is {} in `{}`",
                report[k].layer, report[k].largest, before.largest, before.layer
            )
        }
        None => {
            let largest = report
                .iter()
                .max_by(|a, b| a.largest.abs().total_cmp(&b.largest.abs()));
            largest.map_or(String::new(), |h| {
                format!("the largest activation is {} in layer `{}`", h.largest, h.layer)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_units_and_extremes_are_found() {
        let health = of_outputs("relu", &[0.0, 1.0, 0.0, 3.0], 2, 2);
        assert_eq!((health.dead, health.largest, health.mean), (0.5, 3.0, 1.0));
        assert!(advice(&health).contains("dead"));
        let broken = of_outputs("dense", &[1.0, f32::NAN], 1, 2);
        assert!(broken.largest.is_nan());
        assert!(blame(&[health, broken]).contains("`dense` is the first to give NaN"));
    }
}
