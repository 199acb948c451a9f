//! Sharpening, high-frequency emphasis, histogram equalisation, median (rows I5, I9, I10).

use ndarray::{Array2, Array3, ArrayView3, Axis, s};

use super::FilterError;
use super::correlate::gaussian_blur;
use super::integral::box_blur;
use super::kernels::{box_kernel, gaussian_size};
use super::padding::{PadValue, Window, check_image, check_size, output_shape, pad};

/// The sharpening kernel 2·identity − box of `size` × `size`, `size` odd (row I5).
///
/// # Errors
/// When `size` is even.
pub fn unsharp_kernel(size: usize) -> Result<Array2<f32>, FilterError> {
    check_odd(size)?;
    let mut kernel = -box_kernel(size)?;
    kernel[[size / 2, size / 2]] += 2.0;
    Ok(kernel)
}

/// Unsharp masking: image + (image − box(image)), the same as correlation with [`unsharp_kernel`] (row I5).
///
/// # Errors
/// When `size` is even or the image is empty.
pub fn unsharp(image: ArrayView3<f32>, size: usize, value: PadValue) -> Result<Array3<f32>, FilterError> {
    check_odd(size)?;
    let smooth = box_blur(image, size, &Window::default().pad_value(value))?;
    let detail = &image - &smooth;
    Ok(detail + image)
}

/// High-frequency emphasis: `keep` · image + `gain` · (image − Gaussian(image)), usual values 0.5 and 2 (row I9).
///
/// Commonly followed by [`equalize`].
///
/// # Errors
/// When `sigma` is not above 0 or the image is empty.
pub fn emphasis(
    image: ArrayView3<f32>,
    sigma: f32,
    [keep, gain]: [f32; 2],
    value: PadValue,
) -> Result<Array3<f32>, FilterError> {
    let smooth = gaussian_blur(
        image,
        sigma,
        gaussian_size(sigma),
        &Window::default().pad_value(value),
    )?;
    let mut out = image.mapv(|cell| cell * (keep + gain));
    out.scaled_add(-gain, &smooth);
    Ok(out)
}

/// Histogram equalisation of 8-bit values (row I9): grey g becomes 255 · (cdf(g) − cdf₀)/(n − cdf₀).
///
/// cdf₀ is the count of the smallest grey. With three channels (red, green, blue) the luminance
/// 0.299 R + 0.587 G + 0.114 B is equalised and its change added to all three, which keeps the hue.
/// Values are cut to 0…255 before and after; an image of one grey stays as it is.
///
/// # Errors
/// When the image is empty.
pub fn equalize(image: ArrayView3<f32>) -> Result<Array3<f32>, FilterError> {
    check_image(&image)?;
    let image = image.mapv(|value| value.clamp(0.0, 255.0));
    if image.dim().2 != 3 {
        let mut out = image;
        for mut channel in out.axis_iter_mut(Axis(2)) {
            let table = equalizing_table(channel.iter().copied());
            channel.mapv_inplace(|value| table[value.round() as usize]);
        }
        return Ok(out);
    }
    let luminance = image.map_axis(Axis(2), |rgb| 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]);
    let table = equalizing_table(luminance.iter().copied());
    let change = luminance.mapv(|value| table[value.round() as usize] - value.round());
    Ok((image + change.insert_axis(Axis(2))).mapv(|value| value.clamp(0.0, 255.0)))
}

/// The new value of each of the 256 greys.
fn equalizing_table(values: impl Iterator<Item = f32>) -> [f32; 256] {
    let mut counts = [0_u64; 256];
    values.for_each(|value| counts[(value.round() as usize).min(255)] += 1);
    let total: u64 = counts.iter().sum();
    let smallest = counts.iter().copied().find(|&count| count > 0).unwrap_or(0);
    let mut below = 0;
    std::array::from_fn(|grey| {
        below += counts[grey];
        if total == smallest {
            return grey as f32;
        }
        (255.0 * below.saturating_sub(smallest) as f64 / (total - smallest) as f64).round() as f32
    })
}

/// The median of each `size` × `size` window (row I10); of an even count, the mean of the middle two.
///
/// # Errors
/// When the image is empty or the window does not fit.
pub fn median(image: ArrayView3<f32>, size: usize, window: &Window) -> Result<Array3<f32>, FilterError> {
    check_image(&image)?;
    check_size("median size", size)?;
    let (height, width, channels) = image.dim();
    let [out_height, out_width] = output_shape([height, width], [size, size], window)?;
    let padded = pad(image, window.padding.sides(size, size), window.pad_value)?;
    let mut cells = Vec::with_capacity(size * size);
    Ok(Array3::from_shape_fn(
        (out_height, out_width, channels),
        |(y, x, c)| {
            let (top, left) = (y * window.stride, x * window.stride);
            cells.clear();
            cells.extend(padded.slice(s![top..top + size, left..left + size, c]));
            middle(&mut cells)
        },
    ))
}

fn middle(cells: &mut [f32]) -> f32 {
    let half = cells.len() / 2;
    let odd = cells.len() % 2 == 1;
    let (lower, &mut upper, _) = cells.select_nth_unstable_by(half, f32::total_cmp);
    match lower.iter().copied().max_by(f32::total_cmp) {
        Some(below) if !odd => (below + upper) / 2.0,
        _ => upper,
    }
}

fn check_odd(size: usize) -> Result<(), FilterError> {
    check_size("size", size)?;
    if size.is_multiple_of(2) {
        return Err(FilterError::BadParameter {
            name: "size",
            found: size.to_string(),
            expected: "an odd number",
        });
    }
    Ok(())
}
