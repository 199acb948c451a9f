//! The integral image, and box sums through it with four pixel operations each (rows I6, I20; X28, X29).

use ndarray::{Array3, ArrayView3};

use super::FilterError;
use super::padding::{Window, check_image, check_size, output_shape, pad};

/// Sums over all rectangles that begin at the top-left corner.
///
/// ```
/// use graticule_data::filter::Integral;
/// use ndarray::Array3;
/// let integral = Integral::of(Array3::from_elem((4, 5, 1), 2.0).view());
/// assert_eq!(integral.sum([1, 1], [3, 4], 0), 12.0);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Integral {
    sums: Array3<f64>,
}

impl Integral {
    /// The integral image of `[H, W, C]`.
    pub fn of(image: ArrayView3<f32>) -> Self {
        let (height, width, channels) = image.dim();
        let mut sums = Array3::zeros((height + 1, width + 1, channels));
        let mut row = vec![0.0; channels];
        for y in 0..height {
            row.fill(0.0);
            for x in 0..width {
                for c in 0..channels {
                    row[c] += f64::from(image[[y, x, c]]);
                    sums[[y + 1, x + 1, c]] = sums[[y, x + 1, c]] + row[c];
                }
            }
        }
        Self { sums }
    }

    /// The sums, `[H + 1, W + 1, C]`: the cell (y, x) holds the sum of all rows above y and columns left of x.
    pub fn sums(&self) -> ArrayView3<'_, f64> {
        self.sums.view()
    }

    /// The sum of channel `c` over the rows `from[0]..to[0]` and columns `from[1]..to[1]`, from four cells.
    pub fn sum(&self, from: [usize; 2], to: [usize; 2], c: usize) -> f64 {
        self.sums[[to[0], to[1], c]] - self.sums[[from[0], to[1], c]] - self.sums[[to[0], from[1], c]]
            + self.sums[[from[0], from[1], c]]
    }
}

/// The moving average of a `size` × `size` box (row I6); the cost does not depend on `size`.
///
/// Equal to correlation with [`box_kernel`](super::box_kernel) up to rounding.
///
/// # Errors
/// When the image is empty or the box does not fit.
pub fn box_blur(image: ArrayView3<f32>, size: usize, window: &Window) -> Result<Array3<f32>, FilterError> {
    check_image(&image)?;
    check_size("box size", size)?;
    let (height, width, channels) = image.dim();
    let [out_height, out_width] = output_shape([height, width], [size, size], window)?;
    let integral = Integral::of(pad(image, window.padding.sides(size, size), window.pad_value)?.view());
    let cells = (size as f64).powi(2);
    Ok(Array3::from_shape_fn(
        (out_height, out_width, channels),
        |(y, x, c)| {
            let from = [y * window.stride, x * window.stride];
            (integral.sum(from, from.map(|cell| cell + size), c) / cells) as f32
        },
    ))
}
