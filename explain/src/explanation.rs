//! What a method answers.

use ndarray::{Array3, ArrayD, ArrayViewD, Axis};

use crate::Method;

/// What matters for an output, for each of some inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The method with its settings.
    pub method: Method,
    /// The output that is explained, for each sample.
    pub outputs: Vec<usize>,
    /// Its unnormalised score.
    pub scores: Vec<f32>,
    /// What the network says of it: a probability, or a number in the network's own units.
    pub predictions: Vec<f32>,
    /// How much each place matters: `[N, H, W]` for pictures, else in the shape of the inputs.
    pub map: ArrayD<f32>,
    /// The same for each number of the inputs, in their shape, with signs; where the method has it.
    pub attributions: Option<ArrayD<f32>>,
    /// Occlusion: what the network says with the mask at each place, `[N, rows, columns]` of places.
    pub hidden: Option<Array3<f32>>,
    /// Integrated gradients: whether the shares add up.
    pub completeness: Option<Vec<Completeness>>,
    /// Grad-CAM: the layer that was looked at.
    pub layer: Option<String>,
    /// What a reader should know of this explanation.
    pub note: Option<String>,
}

/// The axiom of completeness (Sundararajan et al. 2017): attributions sum to score(x) − score(baseline).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Completeness {
    /// Σ of the attributions.
    pub sum: f64,
    /// score(x) − score(baseline).
    pub difference: f64,
}

impl Completeness {
    /// |sum − difference|, relative to the larger of the difference and 1.
    pub fn error(&self) -> f64 {
        (self.sum - self.difference).abs() / self.difference.abs().max(1.0)
    }
}

impl Explanation {
    /// A map alone; `explain` says the rest.
    pub(crate) fn of(map: ArrayD<f32>) -> Self {
        Self {
            method: Method::Gradient,
            outputs: Vec::new(),
            scores: Vec::new(),
            predictions: Vec::new(),
            map,
            attributions: None,
            hidden: None,
            completeness: None,
            layer: None,
            note: None,
        }
    }

    /// The map of one sample.
    ///
    /// # Panics
    /// When there is no sample `k`.
    pub fn map_of(&self, k: usize) -> ArrayViewD<'_, f32> {
        self.map.index_axis(Axis(0), k)
    }
}

/// The bands of `attributions` `[N, H, W, C]` joined by `join`; those of other shapes stay apart, each for itself.
pub(crate) fn over_bands(
    attributions: &ArrayD<f32>,
    alone: impl Fn(f32) -> f32,
    join: impl Fn(f32, f32) -> f32,
) -> ArrayD<f32> {
    match attributions.ndim() {
        0..=2 => attributions.mapv(alone),
        axes => attributions.map_axis(Axis(axes - 1), |bands| {
            bands.iter().map(|&v| alone(v)).reduce(&join).unwrap_or(0.0)
        }),
    }
}

/// The largest magnitude of the bands (row E2).
pub(crate) fn largest(attributions: &ArrayD<f32>) -> ArrayD<f32> {
    over_bands(attributions, f32::abs, f32::max)
}

/// The sum of the bands, which keeps what they sum to.
pub(crate) fn summed(attributions: &ArrayD<f32>) -> ArrayD<f32> {
    over_bands(attributions, |v| v, |a, b| a + b)
}
