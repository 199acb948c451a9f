//! Cross-correlation and convolution with a kernel, each channel by itself (rows I1, I11–I14).

use ndarray::{Array1, Array2, Array3, ArrayView2, ArrayView3, Axis, s};

use super::FilterError;
use super::kernels::gaussian_line;
use super::padding::{Padding, Sides, Window, check_image, output_shape, pad};

/// Cross-correlation k ⋆ im: the sum over (p, q) of im(y + p, x + q) · k(p, q), the kernel as it is written.
///
/// `image` is `[H, W, C]`, `kernel` is `[F, G]`; the output is `[H', W', C]` with the sizes of [`output_shape`].
/// This is what the layers of neural networks call convolution.
///
/// ```
/// use graticule_data::filter::{Named, Window, correlate};
/// use ndarray::Array3;
/// let ramp = Array3::from_shape_fn((4, 4, 1), |(_, x, _)| x as f32);
/// let edges = correlate(ramp.view(), Named::PrewittVertical.weights().view(), &Window::valid()).unwrap();
/// assert_eq!(edges, Array3::from_elem((2, 2, 1), 6.0));
/// ```
///
/// # Errors
/// When the image is empty or the window does not fit.
pub fn correlate(
    image: ArrayView3<f32>,
    kernel: ArrayView2<f32>,
    window: &Window,
) -> Result<Array3<f32>, FilterError> {
    check_image(&image)?;
    let (height, width, channels) = image.dim();
    let (rows, columns) = kernel.dim();
    let [out_height, out_width] = output_shape([height, width], [rows, columns], window)?;
    let padded = pad(image, window.padding.sides(rows, columns), window.pad_value)?;
    let mut out = Array3::zeros((out_height, out_width, channels));
    for (y, mut out_row) in out.axis_iter_mut(Axis(0)).enumerate() {
        for ((p, q), &weight) in kernel.indexed_iter().filter(|(_, weight)| **weight != 0.0) {
            let from = padded.index_axis(Axis(0), y * window.stride + p);
            let last = q + (out_width - 1) * window.stride;
            out_row.scaled_add(weight, &from.slice(s![q..=last;window.stride, ..]));
        }
    }
    Ok(out)
}

/// Convolution: the sum over (p, q) of im(y − p, x − q) · k(p, q), which is [`correlate`] with the kernel turned by 180°.
///
/// # Errors
/// As [`correlate`].
pub fn convolve(
    image: ArrayView3<f32>,
    kernel: ArrayView2<f32>,
    window: &Window,
) -> Result<Array3<f32>, FilterError> {
    correlate(image, kernel.slice(s![..;-1, ..;-1]), window)
}

/// Gaussian blur of σ with a `size` × `size` window (row I7), done as one pass per axis.
///
/// # Errors
/// As [`correlate`]; also when σ or size is not above 0.
pub fn gaussian_blur(
    image: ArrayView3<f32>,
    sigma: f32,
    size: usize,
    window: &Window,
) -> Result<Array3<f32>, FilterError> {
    let line = gaussian_line(sigma, size)?;
    check_image(&image)?;
    let (height, width, _) = image.dim();
    // Also tells of a window that does not fit before any work is done.
    let [out_height, out_width] = output_shape([height, width], [size, size], window)?;
    let sides = window.padding.sides(size, size);
    let dense = window.stride(1);
    let across = dense.padding(Padding::Explicit(Sides {
        top: 0,
        bottom: 0,
        ..sides
    }));
    let down = dense.padding(Padding::Explicit(Sides {
        left: 0,
        right: 0,
        ..sides
    }));
    let rows_done = correlate(image, row(&line).view(), &across)?;
    let blurred = correlate(rows_done.view(), row(&line).t(), &down)?;
    if window.stride == 1 {
        return Ok(blurred);
    }
    let kept = blurred.slice(s![..;window.stride, ..;window.stride, ..]);
    debug_assert_eq!(kept.dim().0, out_height);
    debug_assert_eq!(kept.dim().1, out_width);
    Ok(kept.to_owned())
}

fn row(line: &Array1<f32>) -> Array2<f32> {
    line.clone().insert_axis(Axis(0))
}
