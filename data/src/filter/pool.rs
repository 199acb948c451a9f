//! Pooling, each channel by itself (rows I16–I18; X12, X13).

use ndarray::{Array3, ArrayView3, s};

use super::FilterError;
use super::padding::{Padding, Window, check_image, output_shape};

/// What a pooling window keeps of its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pool {
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// The mean, a linear operation.
    Average,
    /// The sum.
    Sum,
    /// The root of the sum of squares.
    L2,
}

/// Pools `[H, W, C]` with a window of `[rows, columns]`; a stride smaller than the window makes windows overlap.
///
/// Cells of the padding do not count: at the border a window pools the cells of the image that it covers.
///
/// ```
/// use graticule_data::filter::{Padding, Pool, pool};
/// use ndarray::Array3;
/// let image = Array3::from_shape_fn((2, 4, 1), |(y, x, _)| (4 * y + x) as f32);
/// let largest = pool(image.view(), Pool::Max, [2, 2], Padding::Valid, 2).unwrap();
/// assert_eq!(largest.into_raw_vec_and_offset().0, [5.0, 7.0]);
/// ```
///
/// # Errors
/// When the image is empty, the window does not fit, or the padding is as large as the window.
pub fn pool(
    image: ArrayView3<f32>,
    kind: Pool,
    [rows, columns]: [usize; 2],
    padding: Padding,
    stride: usize,
) -> Result<Array3<f32>, FilterError> {
    check_image(&image)?;
    let (height, width, channels) = image.dim();
    let window = Window::valid().padding(padding).stride(stride);
    let [out_height, out_width] = output_shape([height, width], [rows, columns], &window)?;
    let sides = padding.sides(rows, columns);
    if sides.top.max(sides.bottom) >= rows || sides.left.max(sides.right) >= columns {
        let found = format!("{sides:?}");
        return Err(FilterError::BadParameter {
            name: "pooling padding",
            found,
            expected: "less than the window on each side",
        });
    }
    let span = |index: usize, before: usize, size: usize, len: usize| {
        let start = index * stride;
        start.saturating_sub(before)..(start + size).saturating_sub(before).min(len)
    };
    Ok(Array3::from_shape_fn(
        (out_height, out_width, channels),
        |(y, x, c)| {
            let (ys, xs) = (
                span(y, sides.top, rows, height),
                span(x, sides.left, columns, width),
            );
            kind.of(image.slice(s![ys, xs, c]).iter().copied())
        },
    ))
}

impl Pool {
    fn of(self, cells: impl ExactSizeIterator<Item = f32>) -> f32 {
        let count = cells.len() as f32;
        match self {
            Self::Max => cells.fold(f32::NEG_INFINITY, f32::max),
            Self::Min => cells.fold(f32::INFINITY, f32::min),
            Self::Average => cells.sum::<f32>() / count,
            Self::Sum => cells.sum(),
            Self::L2 => cells.map(|value| value * value).sum::<f32>().sqrt(),
        }
    }
}
