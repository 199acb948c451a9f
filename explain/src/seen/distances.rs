//! Distances between all pairs of points.

use ndarray::{Array2, ArrayView2, Axis};

use crate::ExplainError;

/// Refuses points that have no distances.
pub(super) fn check(points: ArrayView2<f64>, method: &'static str) -> Result<(), ExplainError> {
    match points.iter().all(|v| v.is_finite()) {
        true => Ok(()),
        false => Err(ExplainError::unsuited(
            method,
            "some features are NaN or infinite",
            "finite numbers; the network's parameters have probably diverged: train it again at a lower learning rate",
        )),
    }
}

/// |xᵢ − xⱼ|² of rows, `[n, n]`, from one product of matrices: |xᵢ|² + |xⱼ|² − 2 xᵢ·xⱼ of the centred points.
pub(super) fn squared(points: ArrayView2<f64>) -> Array2<f64> {
    let mut points = points.to_owned();
    if let Some(mean) = points.mean_axis(Axis(0)) {
        points -= &mean;
    }
    let mut products = points.dot(&points.t());
    let norms = products.diag().to_owned();
    for ((i, j), value) in products.indexed_iter_mut() {
        *value = (norms[i] + norms[j] - 2.0 * *value).max(0.0);
    }
    products.diag_mut().fill(0.0);
    products
}
