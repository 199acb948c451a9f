//! Operations on single values and positions: multiply, add, translate, noise (rows I2, S17).

use ndarray::{Array3, ArrayView3, s};
use rand_distr::{Distribution, StandardNormal};

use super::FilterError;
use super::padding::{PadValue, Sides, check_image, pad};
use crate::random::{Purpose, rng};

/// Every value times `factor`: contrast.
pub fn multiply(image: ArrayView3<f32>, factor: f32) -> Array3<f32> {
    image.mapv(|value| value * factor)
}

/// Every value plus `offset`: brightness.
pub fn add(image: ArrayView3<f32>, offset: f32) -> Array3<f32> {
    image.mapv(|value| value + offset)
}

/// Moves the image `[H, W, C]` by `right` columns and `down` rows (negative: left, up); the size stays.
///
/// What comes in over the border is `value`.
///
/// # Errors
/// When the image is empty.
pub fn translate(
    image: ArrayView3<f32>,
    right: isize,
    down: isize,
    value: PadValue,
) -> Result<Array3<f32>, FilterError> {
    check_image(&image)?;
    let (height, width, _) = image.dim();
    let (left, right) = sides_of(right, width, value);
    let (top, bottom) = sides_of(down, height, value);
    let moved = pad(
        image,
        Sides {
            top,
            bottom,
            left,
            right,
        },
        value,
    )?;
    Ok(moved
        .slice(s![bottom..bottom + height, right..right + width, ..])
        .to_owned())
}

/// Cells to add before and after one axis; moves that show nothing new are cut, so that a far one costs no memory.
fn sides_of(distance: isize, len: usize, value: PadValue) -> (usize, usize) {
    let far = distance.unsigned_abs();
    let cells = if value == PadValue::Symmetric {
        far % (2 * len)
    } else {
        far.min(len)
    };
    if distance > 0 { (cells, 0) } else { (0, cells) }
}

/// Adds independent Gaussian noise of mean 0 and standard deviation `sigma` to each value (row S17).
///
/// The noise depends on `seed` and the position only: the same call gives the same bits.
///
/// # Errors
/// When `sigma` is negative or not finite.
pub fn gaussian_noise(image: ArrayView3<f32>, sigma: f32, seed: u64) -> Result<Array3<f32>, FilterError> {
    if !(sigma.is_finite() && sigma >= 0.0) {
        let found = sigma.to_string();
        return Err(FilterError::BadParameter {
            name: "noise sigma",
            found,
            expected: "a number of at least 0",
        });
    }
    let mut source = rng(seed, 0, 0, Purpose::Noise);
    let mut next = move || -> f32 { StandardNormal.sample(&mut source) };
    Ok(image.mapv(|value| value + sigma * next()))
}
