//! Decoding image files: PNG, JPEG and TIFF to bytes `[H, W, C]`, with limits checked before any pixel is read.

use crate::{DataError, ErrorKind};
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, imageops::FilterType};
use ndarray::Array3;
use std::io::{Cursor, Read};
use std::path::Path;

/// Largest image file, in bytes.
pub const MAX_FILE_BYTES: u64 = 256 << 20;
/// Most rows or columns of an image.
pub const MAX_SIDE: u32 = 32_768;
/// Most pixels of an image.
pub const MAX_PIXELS: u64 = 100_000_000;

/// What the header of an image file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 for grey, 3 for colour; transparency does not count.
    pub channels: usize,
}

/// Whether the name ends like an image file this module reads.
pub fn is_image_name(name: &str) -> bool {
    let ending = name
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase());
    matches!(ending.as_deref(), Some("png" | "jpg" | "jpeg" | "tif" | "tiff"))
}

fn unreadable(place: &str, error: &ImageError) -> DataError {
    let error = match error {
        ImageError::Limits(limit) => {
            return DataError::new(ErrorKind::Limit, place)
                .found(format!("an image beyond the limits ({limit})"))
                .expected(format!("at most {MAX_SIDE} pixels a side"))
                .remedy("Cut the image into tiles.");
        }
        other => other.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
    };
    DataError::new(ErrorKind::Unreadable, place)
        .found(format!("an image that cannot be decoded: {error}"))
        .expected("a whole PNG, JPEG or TIFF")
        .remedy("Replace or delete the file, or skip unreadable images with --skip-bad.")
}

fn decoder<'a>(bytes: &'a [u8], place: &str) -> Result<impl ImageDecoder + 'a, DataError> {
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| unreadable(place, &ImageError::IoError(e)))?;
    reader.limits(limits);
    reader.into_decoder().map_err(|e| unreadable(place, &e))
}

/// Reads size and channels from the first bytes of a file.
///
/// # Errors
/// When `bytes` do not begin like an image, or the image is beyond the limits.
pub fn header(bytes: &[u8], place: &str) -> Result<Header, DataError> {
    let decoder = decoder(bytes, place)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS || width > MAX_SIDE || height > MAX_SIDE {
        return Err(DataError::new(ErrorKind::Limit, place)
            .found(format!("an image of {height} x {width} pixels"))
            .expected(format!("at most {MAX_PIXELS} pixels"))
            .remedy("Cut the image into tiles."));
    }
    let channels = if decoder.color_type().has_color() { 3 } else { 1 };
    Ok(Header {
        height: height as usize,
        width: width as usize,
        channels,
    })
}

/// Decodes the file `bytes` to `channels` (1 or 3) bands, resized to `size` = (H, W) if that is given.
/// `place` names the file in errors.
///
/// # Errors
/// When the file is truncated, damaged, of another format, or beyond the limits.
pub fn decode(
    bytes: &[u8],
    place: &str,
    channels: usize,
    size: Option<(usize, usize)>,
) -> Result<Array3<u8>, DataError> {
    let image = whole_image(bytes, place)?;
    pixels(image, channels, size, place)
}

fn whole_image(bytes: &[u8], place: &str) -> Result<DynamicImage, DataError> {
    header(bytes, place)?;
    if is_truncated_jpeg(bytes) {
        return Err(DataError::new(ErrorKind::Unreadable, place)
            .found(format!(
                "a JPEG that ends after {} bytes without its end marker",
                bytes.len()
            ))
            .expected("a whole image")
            .remedy("Get the file again or delete it, or skip unreadable images with --skip-bad."));
    }
    DynamicImage::from_decoder(decoder(bytes, place)?).map_err(|e| unreadable(place, &e))
}

/// Brings an image to a size and a number of bands.
pub(super) fn pixels(
    image: DynamicImage,
    channels: usize,
    size: Option<(usize, usize)>,
    place: &str,
) -> Result<Array3<u8>, DataError> {
    let image = match size {
        Some((h, w)) if (image.height() as usize, image.width() as usize) != (h, w) => {
            image.resize_exact(w as u32, h as u32, FilterType::Triangle)
        }
        _ => image,
    };
    let shape = (image.height() as usize, image.width() as usize, channels);
    let bytes = if channels == 1 {
        image.into_luma8().into_raw()
    } else {
        image.into_rgb8().into_raw()
    };
    Array3::from_shape_vec(shape, bytes).map_err(|_| {
        DataError::new(ErrorKind::Channels, place)
            .found(format!("a request for {channels} channels"))
            .expected("1 or 3")
            .remedy("Use grey or colour images.")
    })
}

/// The decoder fills what a truncated JPEG lacks with grey; such an image must not look whole.
fn is_truncated_jpeg(bytes: &[u8]) -> bool {
    if !bytes.starts_with(&[0xFF, 0xD8]) {
        return false;
    }
    // Steps over the segments before the scan, because a thumbnail in them has an end marker of its own.
    let mut at = 2;
    while let [0xFF, marker, high, low, ..] = bytes.get(at..).unwrap_or_default() {
        if *marker == 0xDA {
            break;
        }
        at += if *marker == 0xFF {
            1
        } else {
            2 + usize::from(u16::from_be_bytes([*high, *low]))
        };
    }
    !bytes
        .get(at..)
        .unwrap_or_default()
        .windows(2)
        .any(|pair| pair == [0xFF, 0xD9])
}

/// Reads a file of bounded size.
///
/// # Errors
/// When it cannot be read or is too large.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, DataError> {
    let file = std::fs::File::open(path).map_err(|e| DataError::io(path, &e))?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| DataError::io(path, &e))?;
    if bytes.len() as u64 > limit {
        return Err(DataError::new(ErrorKind::Limit, path.display())
            .found("a larger file")
            .expected(format!("at most {limit} bytes"))
            .remedy("Cut the file into parts."));
    }
    Ok(bytes)
}

/// Reads an image file with exactly `channels` bands of meaning: grey is widened to colour, and colour whose
/// channels are all equal is narrowed to grey.
///
/// # Errors
/// As [`decode`]; also when a real colour image is to become grey.
pub fn file_exactly(
    path: &Path,
    channels: usize,
    size: Option<(usize, usize)>,
) -> Result<Array3<u8>, DataError> {
    let place = path.display().to_string();
    let bytes = read_bounded(path, MAX_FILE_BYTES)?;
    let image = whole_image(&bytes, &place)?;
    if channels == 1 && image.color().has_color() {
        let rgb = image.to_rgb8();
        if rgb.pixels().any(|p| p.0[0] != p.0[1] || p.0[1] != p.0[2]) {
            return Err(DataError::new(ErrorKind::Channels, place)
                .found("a colour image with 3 channels")
                .expected("1 channel (grey), as the model was trained on")
                .remedy("Convert the image to grey first."));
        }
    }
    pixels(image, channels, size, &place)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use image::{ImageFormat, RgbImage};

    /// A colour image whose pixels all differ, written in `format`.
    pub(crate) fn encoded(height: u32, width: u32, format: ImageFormat) -> Vec<u8> {
        let image = RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([(x * 7) as u8, (y * 9) as u8, (x + y) as u8])
        });
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn s16_png_and_tiff_keep_every_pixel() {
        for format in [ImageFormat::Png, ImageFormat::Tiff] {
            let bytes = encoded(5, 7, format);
            assert_eq!(
                header(&bytes, "a").unwrap(),
                Header {
                    height: 5,
                    width: 7,
                    channels: 3
                }
            );
            let image = decode(&bytes, "a", 3, None).unwrap();
            assert_eq!(image.dim(), (5, 7, 3));
            assert_eq!(
                [image[[4, 6, 0]], image[[4, 6, 1]], image[[4, 6, 2]]],
                [42, 36, 10]
            );
        }
    }

    #[test]
    fn a_truncated_file_is_an_error_at_every_length() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Tiff] {
            let whole = encoded(40, 40, format);
            decode(&whole, "whole", 3, None).unwrap();
            for length in (0..whole.len() - 2).step_by(13) {
                let error = decode(&whole[..length], "scene.jpg", 3, None);
                // A PNG whose last bytes are missing still has all its pixels.
                if format == ImageFormat::Png && whole.len() - length < 64 {
                    continue;
                }
                let error = error.expect_err("truncated").to_string();
                assert!(error.contains("scene.jpg"), "{error}");
            }
        }
    }

    #[test]
    fn resizing_happens_only_when_asked_for() {
        let bytes = encoded(10, 20, ImageFormat::Png);
        assert_eq!(decode(&bytes, "a", 3, Some((4, 6))).unwrap().dim(), (4, 6, 3));
        assert_eq!(decode(&bytes, "a", 1, None).unwrap().dim(), (10, 20, 1));
    }
}
