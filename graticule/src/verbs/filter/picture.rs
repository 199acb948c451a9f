//! Pictures in and out of `[H, W, C]` arrays of 0 to 255.

use std::fmt;
use std::fs;
use std::io::{Cursor, ErrorKind};
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageError, ImageFormat, ImageReader, RgbImage};
use ndarray::Array3;
use serde::Serialize;

use crate::error::{Context, Failure, Outcome};
use crate::output::Output;

/// How values become greys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grey {
    /// Below 0 is black, above 255 is white.
    Clamp,
    /// 128 + value, made smaller where the strongest value would not fit.
    Signed,
    /// The smallest value is black, the largest white.
    Stretch,
}

impl fmt::Display for Grey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clamp => "cut off below 0 and above 255",
            Self::Signed => "shown around grey 128",
            Self::Stretch => "stretched to black and white",
        })
    }
}

/// Reads a picture: one channel where it is grey, else three (red, green, blue).
pub fn read(path: &Path, out: &Output) -> Outcome<Array3<f32>> {
    let place = path.display();
    let decoded = open(path).at(&place)?;
    if decoded.color().has_alpha() {
        out.note(format!("note: {place}: transparency is left out"));
    }
    if decoded.color().bytes_per_pixel() > decoded.color().channel_count() {
        out.note(format!("note: {place}: values are brought to 8 bits"));
    }
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let (channels, bytes) = if decoded.color().has_color() {
        (3, decoded.into_rgb8().into_raw())
    } else {
        (1, decoded.into_luma8().into_raw())
    };
    let values = bytes.into_iter().map(f32::from).collect();
    Array3::from_shape_vec((height, width, channels), values).at(&place)
}

fn open(path: &Path) -> Outcome<DynamicImage> {
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::new("there is no such file").help("check the name and the folder"),
        ErrorKind::PermissionDenied => Failure::from(error).help("make the file readable (chmod +r)"),
        ErrorKind::IsADirectory => Failure::new("this is a folder, expected one picture").help("name a file in it"),
        _ => Failure::from(error),
    })?;
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    if reader.format().is_none() {
        return Err(Failure::new("not a picture this program reads").help("give a PNG, JPEG or TIFF file"));
    }
    reader.decode().map_err(|error| match error {
        ImageError::Limits(_) => Failure::from(error).help("the picture is too large for one piece; crop it first"),
        ImageError::Unsupported(_) => Failure::from(error).help("give a PNG, JPEG or TIFF file"),
        _ => Failure::from(error).help("the file is damaged or cut short; fetch it again"),
    })
}

/// Says early, before any work, that the output cannot be written there.
pub fn check_target(target: &Path, force: bool) -> Outcome {
    let format = format_of(target)?;
    debug_assert!(format.can_write());
    if target.exists() && !force {
        return Err(Failure::new("the file exists already")
            .at(target.display())
            .help("choose another name with -o, or replace it with --force"));
    }
    Ok(())
}

fn format_of(target: &Path) -> Outcome<ImageFormat> {
    match ImageFormat::from_path(target) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Tiff)) => Ok(format),
        _ => Err(Failure::usage("the output's name has no ending of a picture format")
            .at(target.display())
            .help("end it in .png, .jpg or .tif")),
    }
}

/// Smallest and largest value.
pub fn range(image: &Array3<f32>) -> [f32; 2] {
    image.iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], &value| [low.min(value), high.max(value)])
}

/// Values to 8-bit greys by the rule.
pub fn to_bytes(image: &Array3<f32>, [low, high]: [f32; 2], grey: Grey) -> Array3<u8> {
    let (scale, shift) = match grey {
        Grey::Clamp => (1.0, 0.0),
        Grey::Signed => ((127.0 / low.abs().max(high.abs())).min(1.0), 128.0),
        Grey::Stretch if high > low => (255.0 / (high - low), -low * 255.0 / (high - low)),
        Grey::Stretch => (0.0, 128.0),
    };
    // `as` saturates, and makes a value that is not a number black.
    image.mapv(|value| (value * scale + shift).round() as u8)
}

/// Writes the picture under a temporary name first, so that no half-written file bears the real one.
pub fn write(image: &Array3<u8>, target: &Path) -> Outcome {
    let place = target.display();
    let (height, width, channels) = image.dim();
    let bytes = image.iter().copied().collect();
    let size = (u32::try_from(width).at(&place)?, u32::try_from(height).at(&place)?);
    let picture = match channels {
        1 => GrayImage::from_raw(size.0, size.1, bytes).map(DynamicImage::from),
        _ => RgbImage::from_raw(size.0, size.1, bytes).map(DynamicImage::from),
    };
    let picture = picture.ok_or_else(|| Failure::new("the result has no picture's shape").at(&place))?;
    let mut encoded = Cursor::new(Vec::new());
    picture.write_to(&mut encoded, format_of(target)?).at(&place)?;
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let part = target.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let written = fs::write(&part, encoded.get_ref()).and_then(|()| fs::rename(&part, target));
    written.map_err(|error| {
        let _ = fs::remove_file(&part);
        cannot_write(error).at(place)
    })
}

fn cannot_write(error: std::io::Error) -> Failure {
    let remedy = match error.kind() {
        ErrorKind::NotFound => "the folder does not exist; make it first",
        ErrorKind::StorageFull => "the disk is full; free some space or choose another place with -o",
        _ => "choose a folder you may write to with -o",
    };
    Failure::new(format!("cannot write: {error}")).help(remedy)
}
