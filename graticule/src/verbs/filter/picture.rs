//! Pictures in and out of `[H, W, C]` arrays of 0 to 255.

use std::fmt;
use std::fs;
use std::io::{self, Cursor};
use std::path::Path;

use data::ErrorKind;
use data::images::decode;
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use ndarray::Array3;
use serde::Serialize;

use crate::error::{Context, Failure, Outcome};

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

/// Reads a picture: one channel where it is grey, else three (red, green, blue), values 0 to 255.
pub fn read(path: &Path) -> Outcome<Array3<f32>> {
    let place = path.display().to_string();
    let bytes = read_bytes(path)?;
    let whole = decode::header(&bytes, &place)
        .and_then(|header| decode::decode(&bytes, &place, header.channels, None));
    whole.map(|picture| picture.mapv(f32::from)).map_err(|told| {
        let remedy = match told.kind {
            ErrorKind::Unreadable => "give a PNG, JPEG or TIFF; if this is one, get the file again".into(),
            _ => told.remedy,
        };
        Failure::new(format!("found {}; expected {}", told.found, told.expected))
            .at(told.place)
            .help(remedy)
    })
}

fn read_bytes(path: &Path) -> Outcome<Vec<u8>> {
    if path.is_dir() {
        return Err(Failure::new("this is a folder, expected one picture")
            .at(path.display())
            .help("name a file in it"));
    }
    // Asked first, because here the kind of the refusal decides what to advise.
    let asked = fs::File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::new("there is no such file").help("check the name and the folder")
        }
        io::ErrorKind::PermissionDenied => Failure::from(error).help("make the file readable (chmod +r)"),
        _ => Failure::from(error),
    });
    asked.at(path.display())?;
    Ok(decode::read_bounded(path, decode::MAX_FILE_BYTES)?)
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
        _ => Err(
            Failure::usage("the output's name has no ending of a picture format")
                .at(target.display())
                .help("end it in .png, .jpg or .tif"),
        ),
    }
}

/// Smallest and largest value.
pub fn range(image: &Array3<f32>) -> [f32; 2] {
    image
        .iter()
        .fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], &value| {
            [low.min(value), high.max(value)]
        })
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
    let size = (
        u32::try_from(width).at(&place)?,
        u32::try_from(height).at(&place)?,
    );
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

fn cannot_write(error: io::Error) -> Failure {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "the folder does not exist; make it first",
        io::ErrorKind::StorageFull => "the disk is full; free some space or choose another place with -o",
        _ => "choose a folder you may write to with -o",
    };
    Failure::new(format!("cannot write: {error}")).help(remedy)
}
