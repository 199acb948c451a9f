//! The view from the feature space (row L15): a network is a feature map φ(x) that it found itself, and a linear model on it.

use graph::Symbol;
use graph::ops::{BinaryKind, Op};
use ndarray::{Array1, Array2, ArrayD};

use crate::{ExplainError, Subject};

/// φ(x) of some samples, and the linear model that makes scores of it: scores = φ(x)·W + b.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSpace {
    /// φ(x), `[N, d]`.
    pub features: Array2<f32>,
    /// W, `[d, K]`.
    pub weights: Array2<f32>,
    /// b, `[K]`; zeros where the last layer has none.
    pub bias: Array1<f32>,
}

impl FeatureSpace {
    /// What each feature of a sample gives to an output's score; with the bias they sum to it.
    ///
    /// # Panics
    /// When there is no such sample or output.
    pub fn shares(&self, sample: usize, output: usize) -> Array1<f32> {
        &self.features.row(sample) * &self.weights.column(output)
    }

    /// The samples on the plane in which their features vary most (the first two principal components), `[N, 2]`, and the share of the
    /// variance that lies in it.
    ///
    /// # Errors
    /// [`ExplainError::Unsuited`] for features that are not finite.
    pub fn plane(&self) -> Result<(Array2<f64>, f64), ExplainError> {
        let found = crate::seen::pca(self.features.mapv(f64::from).view(), 2)?;
        let share = found.shares().iter().sum::<f64>().min(1.0);
        Ok((found.places, share))
    }
}

/// The feature space of a network that ends in a dense layer.
///
/// # Errors
/// [`ExplainError::Unsuited`] for another end; [`ExplainError::Inputs`].
pub fn feature_space(subject: &mut Subject, inputs: &ArrayD<f32>) -> Result<FeatureSpace, ExplainError> {
    let count = subject.count(inputs)?;
    let unsuited = || {
        let found = "the network does not end in a dense layer on one row of features";
        ExplainError::unsuited("feature space", found, "a network whose last layer is dense")
    };
    let (features, weights, bias) = last_layer(subject.scores()).ok_or_else(unsuited)?;
    let numbers = |symbol: &Symbol| -> Result<Vec<f32>, ExplainError> {
        let entry = subject.parameters().layout().entry(symbol).ok_or_else(unsuited)?;
        Ok(subject.parameters().get(&entry.name)?.to_vec())
    };
    let [depth, outputs] = [weights.shape()[0], weights.shape()[1]];
    let bias = match &bias {
        Some(bias) => Array1::from(numbers(bias)?),
        None => Array1::zeros(outputs),
    };
    let weights = Array2::from_shape_vec((depth, outputs), numbers(&weights)?).map_err(|_| unsuited())?;
    let mut found = Array2::zeros((count, depth));
    let flat = inputs.as_standard_layout();
    let flat = flat.as_slice().unwrap_or_default();
    let len = flat.len() / count;
    subject.each(
        &[features],
        &[],
        count,
        |k, parts| parts[0].copy_from_slice(&flat[k * len..(k + 1) * len]),
        |k, row| found.row_mut(k).assign(&ndarray::aview1(row[0])),
    )?;
    Ok(FeatureSpace {
        features: found,
        weights,
        bias,
    })
}

/// φ, W and b of scores = φ·W (+ b).
fn last_layer(scores: &Symbol) -> Option<(Symbol, Symbol, Option<Symbol>)> {
    let (product, bias) = match (scores.op(), scores.inputs()) {
        (Op::Binary(sum), [product, bias]) if sum.kind == BinaryKind::Add => (product, Some(bias.clone())),
        _ => (scores, None),
    };
    let (Op::MatMul(of), [features, weights]) = (product.op(), product.inputs()) else {
        return None;
    };
    let plain = !of.transpose_a && !of.transpose_b;
    (plain && features.shape().rank() == 2 && weights.as_parameter().is_some())
        .then(|| (features.clone(), weights.clone(), bias))
}
