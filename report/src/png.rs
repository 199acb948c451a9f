//! Pictures as PNG bytes: `[H, W, C]` arrays in, bytes or data URIs out.

use base64::Engine;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use ndarray::{Array3, ArrayView3};

use crate::Error;

/// Encodes a picture `[H, W, C]` as PNG; `C` is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA).
///
/// ```
/// use ndarray::Array3;
/// let bytes = graticule_report::png::encode(Array3::<u8>::zeros((2, 3, 3)).view())?;
/// assert_eq!(&bytes[1..4], b"PNG");
/// # Ok::<(), graticule_report::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] for an empty picture or another number of channels.
pub fn encode(picture: ArrayView3<u8>) -> Result<Vec<u8>, Error> {
    let (height, width, channels) = picture.dim();
    let colour = match channels {
        1 => ExtendedColorType::L8,
        2 => ExtendedColorType::La8,
        3 => ExtendedColorType::Rgb8,
        4 => ExtendedColorType::Rgba8,
        _ => return Err(bad_picture(picture)),
    };
    let (Ok(wide), Ok(high)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(bad_picture(picture));
    };
    if width == 0 || height == 0 {
        return Err(bad_picture(picture));
    }
    let pixels: Vec<u8> = picture.iter().copied().collect();
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::Adaptive)
        .write_image(&pixels, wide, high, colour)
        .map_err(|source| Error::Png {
            width,
            height,
            source,
        })?;
    Ok(bytes)
}

fn bad_picture(picture: ArrayView3<u8>) -> Error {
    Error::shape(
        "PNG picture",
        format!("shape {:?}", picture.shape()),
        "[H, W, C] with H, W > 0 and C of 1 to 4",
    )
}

/// PNG bytes as a `data:` URI, which needs no second file.
pub fn data_uri(png: &[u8]) -> String {
    format!(
        "data:image/png;base64,{}",
        base64::engine::general_purpose::STANDARD.encode(png)
    )
}

/// Every pixel of `[H, W, C]` repeated `factor` × `factor` times.
///
/// ```
/// use ndarray::array;
/// let big = graticule_report::png::upscale_nearest(array![[[0u8], [9]]].view(), 2);
/// assert_eq!(big, array![[[0u8], [0], [9], [9]], [[0], [0], [9], [9]]]);
/// ```
pub fn upscale_nearest(picture: ArrayView3<u8>, factor: usize) -> Array3<u8> {
    let factor = factor.max(1);
    let (height, width, channels) = picture.dim();
    Array3::from_shape_fn((height * factor, width * factor, channels), |(y, x, c)| {
        picture[[y / factor, x / factor, c]]
    })
}

/// Pictures of one size as rows on one sheet, `[H, W, 4]`: each enlarged by a whole factor to about `side` pixels where it is
/// smaller, two transparent pixels apart.
///
/// ```
/// use ndarray::Array3;
/// let pictures = vec![Array3::<u8>::zeros((10, 20, 1)); 5];
/// let sheet = graticule_report::png::sheet(&pictures, 3, 40);
/// assert_eq!(sheet.dim(), (2 * 20 + 2, 3 * 40 + 2 * 2, 4));
/// ```
pub fn sheet(pictures: &[Array3<u8>], columns: usize, side: usize) -> Array3<u8> {
    const GAP: usize = 2;
    let Some((height, width, _)) = pictures.first().map(Array3::dim) else {
        return Array3::zeros((0, 0, 4));
    };
    let columns = columns.clamp(1, pictures.len());
    let factor = (side / height.max(width).max(1)).max(1);
    let step = [height * factor + GAP, width * factor + GAP];
    let rows = pictures.len().div_ceil(columns);
    Array3::from_shape_fn((rows * step[0] - GAP, columns * step[1] - GAP, 4), |(y, x, c)| {
        let (row, column) = (y / step[0], x / step[1]);
        let (y, x) = (y % step[0] / factor, x % step[1] / factor);
        let picture = pictures
            .get(row * columns + column)
            .filter(|_| y < height && x < width);
        let Some(picture) = picture else { return 0 };
        match (c, picture.dim().2) {
            (3, 2) => picture.get((y, x, 1)),
            (3, 4) => picture.get((y, x, 3)),
            (3, _) => Some(&255),
            (_, 1 | 2) => picture.get((y, x, 0)),
            _ => picture.get((y, x, c)),
        }
        .copied()
        .unwrap_or(0)
    })
}

/// The picture averaged down by a whole factor until no side is longer than `side`; unchanged where it fits.
pub fn shrink_to(picture: ArrayView3<u8>, side: usize) -> Array3<u8> {
    let (height, width, channels) = picture.dim();
    let factor = height.max(width).div_ceil(side.max(1)).max(1);
    if factor == 1 {
        return picture.to_owned();
    }
    Array3::from_shape_fn(
        (height.div_ceil(factor), width.div_ceil(factor), channels),
        |(y, x, c)| {
            let rows = y * factor..((y + 1) * factor).min(height);
            let (mut sum, mut cells) = (0u64, 0u64);
            for row in rows {
                for column in x * factor..((x + 1) * factor).min(width) {
                    sum += u64::from(picture[[row, column, c]]);
                    cells += 1;
                }
            }
            ((sum + cells / 2) / cells.max(1)) as u8
        },
    )
}

/// Real values as bytes: `low` becomes 0, `high` becomes 255, what lies outside is clipped, NaN becomes 0.
pub fn to_bytes(picture: ArrayView3<f32>, low: f32, high: f32) -> Array3<u8> {
    let span = if high > low { high - low } else { 1.0 };
    picture.mapv(|value| (((value - low) / span).clamp(0.0, 1.0) * 255.0).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_picture_comes_back_from_its_png() {
        let picture = Array3::from_shape_fn((3, 5, 3), |(y, x, c)| (y * 50 + x * 10 + c) as u8);
        let back = image::load_from_memory(&encode(picture.view()).unwrap())
            .unwrap()
            .into_rgb8();
        assert_eq!((back.width(), back.height()), (5, 3));
        assert_eq!(back.into_raw(), picture.into_raw_vec_and_offset().0);
    }

    #[test]
    fn odd_shapes_are_refused_with_their_shape() {
        let message = encode(Array3::<u8>::zeros((2, 2, 5)).view())
            .unwrap_err()
            .to_string();
        assert!(message.contains("[2, 2, 5]"), "{message}");
        assert!(encode(Array3::<u8>::zeros((0, 2, 3)).view()).is_err());
    }

    #[test]
    fn shrinking_averages_and_keeps_the_rest_edge() {
        let picture = array![[[0u8], [10], [20]], [[20], [30], [40]]];
        assert_eq!(shrink_to(picture.view(), 2), array![[[15u8], [30]]]);
        assert_eq!(shrink_to(picture.view(), 3), picture);
    }

    #[test]
    fn bytes_clip_and_survive_nan() {
        let values = array![[[-1.0f32], [0.5], [2.0], [f32::NAN]]];
        assert_eq!(
            to_bytes(values.view(), 0.0, 1.0),
            array![[[0u8], [128], [255], [0]]]
        );
        assert_eq!(to_bytes(values.view(), 3.0, 3.0)[[0, 0, 0]], 0);
    }
}
