//! Colours, noise and cut-outs, on normalised images.

use crate::preprocess::ImageEncoding;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Weights of red, green and blue in brightness (ITU-R BT.601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Factors around 1 for brightness, contrast and saturation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Colour {
    /// Multiplies all values (0 stays black).
    pub brightness: f32,
    /// Stretches values around the mean grey of the image.
    pub contrast: f32,
    /// Stretches each pixel's colours around its grey.
    pub saturation: f32,
}

impl Colour {
    /// Applies the three to a normalised image `[H, W, C]`; the result is clipped to what a pixel can be.
    pub fn apply(&self, encoding: &ImageEncoding, image: &mut [f32]) {
        match encoding.channels {
            1 => self.apply_to::<1>(encoding, image),
            3 => self.apply_to::<3>(encoding, image),
            _ => {}
        }
    }

    fn apply_to<const C: usize>(&self, encoding: &ImageEncoding, image: &mut [f32]) {
        let (Ok(mean), Ok(std)) = (
            <[f32; C]>::try_from(&encoding.mean[..]),
            <[f32; C]>::try_from(&encoding.std[..]),
        ) else {
            return;
        };
        let weights: [f32; C] = std::array::from_fn(|c| if C == 3 { LUMA[c] } else { 1.0 / C as f32 });
        let (pixels, _) = image.as_chunks_mut::<C>();
        let count = pixels.len().max(1) as f32;
        // Grey is linear in the values, so the mean grey follows from the mean of each channel.
        let mut sums = [0.0f32; C];
        for pixel in pixels.iter() {
            for c in 0..C {
                sums[c] += pixel[c];
            }
        }
        let grey_of = |values: &[f32; C]| -> f32 { (0..C).map(|c| weights[c] * values[c]).sum() };
        let means: [f32; C] = std::array::from_fn(|c| sums[c] / count * std[c] + mean[c]);
        let middle = grey_of(&means) * self.brightness;
        let gain = self.brightness * self.contrast;
        let offset = middle * (1.0 - self.contrast);
        for pixel in pixels {
            let white: [f32; C] = std::array::from_fn(|c| (pixel[c] * std[c] + mean[c]) * gain + offset);
            let grey = grey_of(&white);
            for c in 0..C {
                let value = grey + (white[c] - grey) * self.saturation;
                pixel[c] = (value.clamp(0.0, 1.0) - mean[c]) / std[c];
            }
        }
    }
}

/// Adds independent Gaussian noise of standard deviation `strength` (S17).
pub(super) fn add_noise(strength: f32, rng: &mut ChaCha8Rng, values: &mut [f32]) {
    for value in values {
        *value += strength * rng.sample::<f32, _>(StandardNormal);
    }
}

/// Sets a square to 0, the mean of the training set. Its centre may lie anywhere in the image, so that part of
/// the square may fall outside (DeVries and Taylor 2017).
pub(super) fn cut_out(share: f32, shape: (usize, usize, usize), rng: &mut ChaCha8Rng, image: &mut [f32]) {
    let (height, width, channels) = shape;
    let mut span = |side: usize| {
        let length = (share * side as f32).round() as usize;
        let centre = ((rng.random::<f32>() * side as f32) as usize).min(side.saturating_sub(1));
        let start = centre.saturating_sub(length / 2);
        start..(centre + length - length / 2).min(side)
    };
    let (rows, columns) = (span(height), span(width));
    for row in rows {
        image[(row * width + columns.start) * channels..(row * width + columns.end) * channels].fill(0.0);
    }
}
