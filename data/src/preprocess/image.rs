//! Images: bytes to numbers with mean 0 and standard deviation 1 for each channel.

use crate::images::decode;
use crate::{DataError, ErrorKind, Preprocess, Raw};
use ndarray::Array3;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Size and normalisation of images: `(pixel / pixel_max − mean) / std`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageEncoding {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Bands.
    pub channels: usize,
    /// The pixel value that stands for full white.
    pub pixel_max: u8,
    /// Mean of each channel over the training set, white = 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel over the training set, white = 1; 1 where a channel is constant.
    pub std: Vec<f32>,
    /// Whether images of another size are resized (as the training images were) or refused.
    pub resize: bool,
}

impl ImageEncoding {
    /// Height, width, channels.
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.height, self.width, self.channels)
    }

    /// The encoded value of every byte in every channel: `[256, C]`.
    pub fn table(&self) -> Vec<f32> {
        let max = f32::from(self.pixel_max.max(1));
        let value = |byte: u16, c: usize| (f32::from(byte) / max - self.mean[c]) / self.std[c];
        (0..256u16)
            .flat_map(|byte| (0..self.channels).map(move |c| value(byte, c)))
            .collect()
    }

    pub(super) fn check(&self, shape: (usize, usize, usize), place: &str) -> Result<(), DataError> {
        let ((h, w, c), (height, width, channels)) = (shape, self.shape());
        if c != channels {
            return Err(DataError::new(ErrorKind::Channels, place)
                .found(format!("{c} channels"))
                .expected(format!("{channels}, as the model was trained on"))
                .remedy("Convert the image, or train a model on images of this kind."));
        }
        if (h, w) != (height, width) {
            return Err(DataError::new(ErrorKind::ImageSize, place)
                .found(format!("{h} x {w} pixels"))
                .expected(format!("{height} x {width}, as the model was trained on"))
                .remedy("Resize the image, or train with an image size given, which resizes every input."));
        }
        Ok(())
    }

    pub(super) fn encode(&self, image: &Array3<u8>, out: &mut [f32]) -> Result<(), DataError> {
        self.check(image.dim(), "image")?;
        let table = self.table();
        for (place, (value, &byte)) in out.iter_mut().zip(image).enumerate() {
            *value = table[usize::from(byte) * self.channels + place % self.channels];
        }
        Ok(())
    }

    /// Takes an encoded image back to bytes, for pictures.
    pub fn decode(&self, encoded: &[f32]) -> Vec<u8> {
        let byte = |(place, &v): (usize, &f32)| {
            let c = place % self.channels;
            ((v * self.std[c] + self.mean[c]) * 255.0)
                .round()
                .clamp(0.0, 255.0) as u8
        };
        encoded.iter().enumerate().map(byte).collect()
    }
}

impl Preprocess {
    /// Reads one image file as this model wants it. A grey file is widened to colour, and a colour file whose
    /// channels are all equal is narrowed to grey; nothing else is converted in silence.
    ///
    /// # Errors
    /// When the file cannot be read, or has another size or number of channels than the model was trained on.
    pub fn raw_from_image_file(&self, path: &Path) -> Result<Raw, DataError> {
        let super::InputEncoding::Image(encoding) = &self.input else {
            return Err(DataError::new(ErrorKind::Option, path.display())
                .found("an image")
                .expected("a table, which this model was trained on")
                .remedy("Give a CSV file."));
        };
        let size = encoding.resize.then_some((encoding.height, encoding.width));
        let mut image = decode::file_exactly(path, encoding.channels, size)?;
        encoding.check(image.dim(), &path.display().to_string())?;
        if encoding.pixel_max != 255 {
            let max = u16::from(encoding.pixel_max);
            image.mapv_inplace(|p| ((u16::from(p) * max + 127) / 255) as u8);
        }
        Ok(Raw::Image(image))
    }
}
