//! Principal components: the directions in which points vary most.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand_distr::{Distribution, StandardNormal};

use super::distances::check;
use crate::ExplainError;
use crate::random::{Purpose, rng};

/// Directions that are followed beyond those asked for, so that these settle sooner.
const MORE: usize = 14;
/// Most rounds; a cloud without any order may need them.
const ROUNDS: usize = 1000;
/// Largest change of a variance, relative to the first, at which the directions have settled.
const SETTLED: f64 = 1e-15;

/// The directions in which points vary most, and where the points lie along them.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    /// The mean of the points, `[d]`.
    pub mean: Array1<f64>,
    /// Unit vectors, one a row, `[k, d]`; the largest number of each is positive. Zeros where the points have no further
    /// direction.
    pub axes: Array2<f64>,
    /// The variance along each axis, Σ/(n − 1), the largest first.
    pub variances: Vec<f64>,
    /// The variance of all directions together.
    pub total: f64,
    /// The points along the axes, from their mean: `[n, k]`.
    pub places: Array2<f64>,
}

impl Pca {
    /// The share of all variance that each axis has; zeros where there is none.
    pub fn shares(&self) -> Vec<f64> {
        let share = |v: &f64| {
            if self.total > 0.0 {
                (v / self.total).min(1.0)
            } else {
                0.0
            }
        };
        self.variances.iter().map(share).collect()
    }
}

/// The first `axes` principal components of `points` (rows), by subspace iteration on the smaller of the two matrices of
/// products with the eigenvalues of its projection (Rayleigh and Ritz). The same points give the same bits.
///
/// ```
/// use graticule_explain::seen::pca;
/// let line = ndarray::arr2(&[[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]);
/// let found = pca(line.view(), 2)?;
/// assert!((found.places[[2, 0]] - 5.0).abs() < 1e-12 && found.shares()[1] < 1e-12);
/// # Ok::<(), graticule_explain::ExplainError>(())
/// ```
///
/// # Errors
/// [`ExplainError::Unsuited`] for numbers that are not finite.
pub fn pca(points: ArrayView2<f64>, axes: usize) -> Result<Pca, ExplainError> {
    check(points, "pca")?;
    let (n, d) = points.dim();
    let mean = points.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(d));
    let cloud = &points - &mean;
    let degrees = n.saturating_sub(1).max(1) as f64;
    let wide = d > n;
    let products = match wide {
        true => cloud.dot(&cloud.t()),
        false => cloud.t().dot(&cloud),
    };
    let directions = leading(&products, (axes + MORE).min(n.min(d)));
    let mut found = Pca {
        mean,
        axes: Array2::zeros((axes, d)),
        variances: vec![0.0; axes],
        total: cloud.iter().map(|v| v * v).sum::<f64>() / degrees,
        places: Array2::zeros((n, axes)),
    };
    for axis in 0..axes.min(directions.ncols()) {
        let direction = directions.column(axis);
        let mut along = match wide {
            true => cloud.t().dot(&direction),
            false => direction.to_owned(),
        };
        let length = along.dot(&along).sqrt();
        let places = cloud.dot(&along) / length;
        let variance = places.dot(&places) / degrees;
        // What rounding leaves of a direction that is not there is none.
        if !variance.is_finite() || variance <= 1e-24 * found.total {
            break;
        }
        let largest = along
            .iter()
            .fold(0.0f64, |most, &v| if v.abs() > most.abs() { v } else { most });
        let sign = largest.signum();
        along *= sign / length;
        found.axes.row_mut(axis).assign(&along);
        found.variances[axis] = variance;
        found.places.column_mut(axis).assign(&(places * sign));
    }
    Ok(found)
}

/// The eigenvectors of the `width` largest eigenvalues of a symmetric matrix without negative ones, one a column, the
/// largest first; those beyond the rank are arbitrary.
fn leading(matrix: &Array2<f64>, width: usize) -> Array2<f64> {
    let side = matrix.nrows();
    let mut random = rng(0, side as u64, width as u64, Purpose::Directions);
    let mut basis = Array2::from_shape_simple_fn((side, width), || StandardNormal.sample(&mut random));
    orthonormal(&mut basis);
    let mut before = vec![f64::INFINITY; width];
    for _ in 0..ROUNDS {
        let product = matrix.dot(&basis);
        let (values, vectors) = jacobi(basis.t().dot(&product));
        // The basis turned so that it is sorted, and one step of the power method further.
        basis = product.dot(&vectors);
        orthonormal(&mut basis);
        let largest = values.first().copied().unwrap_or(0.0).abs();
        let wanted = width.saturating_sub(MORE).max(1).min(width);
        let moved = (0..wanted)
            .map(|k| (values[k] - before[k]).abs())
            .fold(0.0, f64::max);
        if width == side || moved <= SETTLED * largest {
            break;
        }
        before = values;
    }
    let (_, vectors) = jacobi(basis.t().dot(&matrix.dot(&basis)));
    basis.dot(&vectors)
}

/// Makes columns orthonormal, each against those before it, twice (Gram and Schmidt); one that vanishes becomes zeros.
fn orthonormal(basis: &mut Array2<f64>) {
    for column in 0..basis.ncols() {
        let mut vector = basis.column(column).to_owned();
        let size = vector.dot(&vector).sqrt();
        for _ in 0..2 {
            for earlier in 0..column {
                let share = basis.column(earlier).dot(&vector);
                vector.scaled_add(-share, &basis.column(earlier));
            }
        }
        let length = vector.dot(&vector).sqrt();
        match length > 1e-14 * size && length > 0.0 {
            true => vector /= length,
            false => vector.fill(0.0),
        }
        basis.column_mut(column).assign(&vector);
    }
}

/// Eigenvalues, the largest first, and eigenvectors (columns) of a small symmetric matrix, by Jacobi's rotations.
fn jacobi(mut matrix: Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    let side = matrix.nrows();
    let mut vectors = Array2::eye(side);
    for _ in 0..60 {
        let beside: f64 = matrix
            .indexed_iter()
            .filter(|((i, j), _)| i != j)
            .map(|(_, v)| v * v)
            .sum();
        let all: f64 = matrix.iter().map(|v| v * v).sum();
        if beside <= 1e-34 * all || all == 0.0 {
            break;
        }
        for p in 0..side {
            for q in p + 1..side {
                rotate(&mut matrix, &mut vectors, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..side).collect();
    order.sort_by(|&a, &b| matrix[[b, b]].total_cmp(&matrix[[a, a]]));
    let values = order.iter().map(|&k| matrix[[k, k]]).collect();
    (values, vectors.select(Axis(1), &order))
}

/// Turns the plane of axes p and q so that their product vanishes.
fn rotate(matrix: &mut Array2<f64>, vectors: &mut Array2<f64>, p: usize, q: usize) {
    if matrix[[p, q]] == 0.0 {
        return;
    }
    let slope = (matrix[[q, q]] - matrix[[p, p]]) / (2.0 * matrix[[p, q]]);
    let t = slope.signum() / (slope.abs() + (slope * slope + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    let side = matrix.nrows();
    for k in 0..side {
        let (a, b) = (matrix[[k, p]], matrix[[k, q]]);
        (matrix[[k, p]], matrix[[k, q]]) = (c * a - s * b, s * a + c * b);
    }
    for k in 0..side {
        let (a, b) = (matrix[[p, k]], matrix[[q, k]]);
        (matrix[[p, k]], matrix[[q, k]]) = (c * a - s * b, s * a + c * b);
        let (a, b) = (vectors[[k, p]], vectors[[k, q]]);
        (vectors[[k, p]], vectors[[k, q]]) = (c * a - s * b, s * a + c * b);
    }
}
