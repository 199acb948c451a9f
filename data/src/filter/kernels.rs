//! The kernels of the decks by name (rows I3, I4, I6, I7; worked example X31).

use ndarray::{Array1, Array2, array};

use super::FilterError;
use super::padding::check_size;

/// The 3×3 kernels that the decks print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Named {
    /// 1 in the centre: the image itself.
    Identity,
    /// [1 0 −1; 0 0 0; −1 0 1]: corners and diagonals.
    Edge1,
    /// [0 1 0; 1 −4 1; 0 1 0]: edges of four directions.
    Edge2,
    /// [−1 −1 −1; −1 8 −1; −1 −1 −1]: edges of eight directions.
    Edge3,
    /// [0 −1 0; −1 5 −1; 0 −1 0]: the image plus its edges.
    Sharpen,
    /// 1/16 · [1 2 1; 2 4 2; 1 2 1].
    Gaussian3,
    /// [−1 0 1] in three rows: finds vertical edges, positive where the image brightens to the right.
    PrewittVertical,
    /// The transpose: finds horizontal edges, positive where the image brightens downwards.
    PrewittHorizontal,
    /// [−1 0 1; −2 0 2; −1 0 1]: Prewitt's vertical edges with a heavier middle row.
    SobelVertical,
    /// The transpose of [`Named::SobelVertical`].
    SobelHorizontal,
    /// [0 −1 0; −1 4 −1; 0 −1 0]: the negative Laplacian, bright on a bright point.
    Laplacian,
}

impl Named {
    /// The kernel's weights, `[3, 3]`.
    pub fn weights(self) -> Array2<f32> {
        match self {
            Self::Identity => array![[0., 0., 0.], [0., 1., 0.], [0., 0., 0.]],
            Self::Edge1 => array![[1., 0., -1.], [0., 0., 0.], [-1., 0., 1.]],
            Self::Edge2 => array![[0., 1., 0.], [1., -4., 1.], [0., 1., 0.]],
            Self::Edge3 => array![[-1., -1., -1.], [-1., 8., -1.], [-1., -1., -1.]],
            Self::Sharpen => array![[0., -1., 0.], [-1., 5., -1.], [0., -1., 0.]],
            Self::Gaussian3 => array![[1., 2., 1.], [2., 4., 2.], [1., 2., 1.]] / 16.0,
            Self::PrewittVertical => array![[-1., 0., 1.], [-1., 0., 1.], [-1., 0., 1.]],
            Self::PrewittHorizontal => array![[-1., -1., -1.], [0., 0., 0.], [1., 1., 1.]],
            Self::SobelVertical => array![[-1., 0., 1.], [-2., 0., 2.], [-1., 0., 1.]],
            Self::SobelHorizontal => array![[-1., -2., -1.], [0., 0., 0.], [1., 2., 1.]],
            Self::Laplacian => array![[0., -1., 0.], [-1., 4., -1.], [0., -1., 0.]],
        }
    }
}

/// The box kernel of `size` × `size`: 1/size² everywhere (rows I3, I6).
///
/// # Errors
/// When `size` is 0 or above [`LARGEST_WINDOW`](super::LARGEST_WINDOW).
pub fn box_kernel(size: usize) -> Result<Array2<f32>, FilterError> {
    check_size("box size", size)?;
    Ok(Array2::from_elem((size, size), 1.0 / (size * size) as f32))
}

/// One axis of a Gaussian kernel: exp(−x²/2σ²) at `size` points around the centre, scaled to sum 1.
///
/// An even size has its centre between two cells.
///
/// # Errors
/// When `size` is 0 or above [`LARGEST_WINDOW`](super::LARGEST_WINDOW), or `sigma` is not a positive number.
pub fn gaussian_line(sigma: f32, size: usize) -> Result<Array1<f32>, FilterError> {
    check_size("Gaussian size", size)?;
    if !(sigma.is_finite() && sigma > 0.0) {
        let found = sigma.to_string();
        return Err(FilterError::BadParameter {
            name: "sigma",
            found,
            expected: "a number above 0",
        });
    }
    let centre = (size - 1) as f64 / 2.0;
    let twice_variance = 2.0 * f64::from(sigma).powi(2);
    // Weights relative to the cells nearest the centre, so that a very small sigma does not underflow to 0/0.
    let nearest = (centre.fract() * centre.fract()).abs();
    let line = Array1::from_shape_fn(size, |i| {
        (-((i as f64 - centre).powi(2) - nearest) / twice_variance).exp()
    });
    let sum = line.sum();
    Ok(line.mapv(|weight| (weight / sum) as f32))
}

/// The Gaussian kernel G(x, y) ∝ exp(−(x² + y²)/2σ²) of `size` × `size`, scaled to sum 1 (row I7).
///
/// # Errors
/// As [`gaussian_line`].
pub fn gaussian_kernel(sigma: f32, size: usize) -> Result<Array2<f32>, FilterError> {
    let line = gaussian_line(sigma, size)?;
    Ok(Array2::from_shape_fn((size, size), |(y, x)| line[y] * line[x]))
}

/// A Gaussian size that holds all but 0.3 % of the weight: 2⌈3σ⌉ + 1.
pub fn gaussian_size(sigma: f32) -> usize {
    ((3.0 * sigma).ceil().max(0.0) as usize)
        .saturating_mul(2)
        .saturating_add(1)
}
