//! Leaves: inputs, parameters and constants.

use ndarray::{ArrayD, IxDyn};
use serde::{Deserialize, Serialize};

use super::{Cost, Operation};
use crate::{GraphError, Shape};

/// A value that the host gives at each run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// The name under which it is given.
    pub name: String,
    /// The shape of one sample; the batch axis stands before it.
    pub sample_shape: Shape,
}

/// How a parameter is filled before training. Rules that look at fans (Glorot, He) are resolved to
/// one of these by the layer that makes the parameter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// One number everywhere.
    Constant(f32),
    /// Gaussian with mean 0 and this standard deviation.
    Normal(f32),
    /// Uniform in (−limit, limit).
    Uniform(f32),
}

impl Default for Init {
    fn default() -> Self {
        Init::Constant(0.0)
    }
}

/// A tensor that belongs to the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// What it is to its layer: `weight`, `bias`, `running_mean` …
    pub role: String,
    /// Its shape, whatever the batch.
    pub shape: Shape,
    /// How it is filled before training.
    pub init: Init,
    /// Whether gradients reach it.
    pub trainable: bool,
}

/// Numbers fixed when the graph is built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Constant {
    /// Its shape.
    pub shape: Shape,
    /// One number for all elements, or one each.
    #[serde(with = "numbers")]
    pub values: Vec<f32>,
}

/// JSON has no infinities and no NaN: they are written as text.
mod numbers {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f32),
        Text(String),
    }

    pub fn serialize<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq;
        let mut list = serializer.serialize_seq(Some(values.len()))?;
        for value in values {
            match value.is_finite() {
                true => list.serialize_element(value)?,
                false => list.serialize_element(&value.to_string())?,
            }
        }
        list.end()
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
        let written = Vec::<Written>::deserialize(deserializer)?;
        let number = |w| match w {
            Written::Number(value) => Ok(value),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        };
        written.into_iter().map(number).collect()
    }
}

impl Operation for Input {
    fn name(&self) -> &'static str {
        "input"
    }
    fn shape(&self, _: &[&Shape]) -> Result<Shape, GraphError> {
        let mut axes = vec![1];
        axes.extend_from_slice(&self.sample_shape);
        Ok(axes.into())
    }
    fn reference(&self, _: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        ArrayD::zeros(IxDyn(output))
    }
    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::default()
    }
}

impl Operation for Parameter {
    fn name(&self) -> &'static str {
        "parameter"
    }
    fn shape(&self, _: &[&Shape]) -> Result<Shape, GraphError> {
        Ok(self.shape.clone())
    }
    fn reference(&self, _: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        ArrayD::zeros(IxDyn(output))
    }
    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::default()
    }
}

impl Operation for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }
    fn shape(&self, _: &[&Shape]) -> Result<Shape, GraphError> {
        if self.values.len() != 1 && self.values.len() != self.shape.elements() {
            let message = format!("{} numbers cannot fill shape {}", self.values.len(), self.shape);
            return Err(GraphError::shape("constant", message));
        }
        Ok(self.shape.clone())
    }
    fn reference(&self, _: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let value = |i: usize| f64::from(self.values[i % self.values.len()]);
        let values = (0..output.elements()).map(value).collect();
        ArrayD::from_shape_vec(IxDyn(output), values).unwrap_or_else(|_| ArrayD::zeros(IxDyn(output)))
    }
    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::default()
    }
}
