//! Augmentation: random changes that keep the class (R4, S18), as plain data.
//!
//! Geometry (`augment/geometry.rs`) is one affine map that moves image, mask and boxes alike; colours, noise and
//! cut-outs are in `augment/colour.rs`; mixup in `augment/mix.rs`. Every draw is keyed by (seed, epoch, sample).

use crate::preprocess::ImageEncoding;
use crate::random::{Purpose, rng};
use crate::{DataError, ErrorKind};
use rand::RngExt;
use serde::{Deserialize, Serialize};

mod colour;
mod geometry;
mod mix;

pub use colour::Colour;
pub(crate) use geometry::look_up;
pub use geometry::{BoundingBox, Geometry};
pub(crate) use mix::mix_batch;

/// What is put where a moved image leaves a gap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Border {
    /// The image mirrored at its edge.
    #[default]
    Reflect,
    /// The nearest pixel of the edge.
    Edge,
    /// Pixel value 0.
    Black,
    /// The mean of the training set.
    Mean,
}

/// Which random changes are made, and how strong they are; the default makes none.
///
/// ```
/// use graticule_data::Augment;
/// let simple = Augment { flip_horizontal: true, quarter_turns: true, ..Augment::default() };
/// assert!(simple.is_active() && !Augment::default().is_active());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Augment {
    /// Mirrors left and right, half of the time.
    pub flip_horizontal: bool,
    /// Mirrors top and bottom, half of the time.
    pub flip_vertical: bool,
    /// Turns by 0, 90, 180 or 270 degrees; needs square images.
    pub quarter_turns: bool,
    /// Turns by up to so many degrees either way.
    pub rotation: f32,
    /// Shifts by up to this share of height and width either way.
    pub shift: f32,
    /// Pads by so many pixels on all sides and crops back at random: a shift by whole pixels.
    pub crop_padding: usize,
    /// Scales by a factor from `1 / (1 + scale)` to `1 + scale`.
    pub scale: f32,
    /// What fills the gaps.
    pub border: Border,
    /// Multiplies brightness by `1 ± brightness`.
    pub brightness: f32,
    /// Stretches around the mean of the image by `1 ± contrast`.
    pub contrast: f32,
    /// Moves colours from or towards grey by `1 ± saturation`.
    pub saturation: f32,
    /// Standard deviation of additive Gaussian noise, in units of the normalised input (S17).
    pub noise: f32,
    /// Side of a square that is set to the mean, as a share of the image's side; 0 for none.
    pub cutout: f32,
    /// Mixup: weights are drawn from Beta(mixup, mixup); 0 for none (Zhang et al. 2018).
    pub mixup: f32,
}

/// The key of a sample's draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleKey {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch.
    pub epoch: u64,
    /// Index of the sample in the data set.
    pub sample: u64,
}

impl Augment {
    /// Whether any change is made.
    pub fn is_active(&self) -> bool {
        *self
            != Self {
                border: self.border,
                ..Self::default()
            }
    }

    /// Whether targets become mixtures, so that classes must be given as probabilities.
    pub fn mixes(&self) -> bool {
        self.mixup > 0.0
    }

    fn moves(&self) -> bool {
        self.flip_horizontal
            || self.flip_vertical
            || self.quarter_turns
            || self.crop_padding > 0
            || self.rotation > 0.0
            || self.shift > 0.0
            || self.scale > 0.0
    }

    fn colours(&self) -> bool {
        self.brightness > 0.0 || self.contrast > 0.0 || self.saturation > 0.0
    }

    /// Checks the strengths, and that they make sense for inputs of `shape` (`[H, W, C]` or `[features]`).
    ///
    /// # Errors
    /// With the setting, what it is and what it may be.
    pub fn check(&self, shape: &[usize]) -> Result<(), DataError> {
        let error = |setting: &str, found: String, expected: &str| {
            Err(
                DataError::new(ErrorKind::Option, format!("augmentation, `{setting}`"))
                    .found(found)
                    .expected(expected)
                    .remedy("Change or leave out this setting."),
            )
        };
        let ranges = [
            ("rotation", self.rotation, 180.0),
            ("shift", self.shift, 1.0),
            ("scale", self.scale, 10.0),
            ("brightness", self.brightness, 1.0),
            ("contrast", self.contrast, 1.0),
            ("saturation", self.saturation, 1.0),
            ("noise", self.noise, 100.0),
            ("cutout", self.cutout, 1.0),
            ("mixup", self.mixup, 100.0),
        ];
        if let Some((name, value, most)) = ranges.into_iter().find(|(_, v, most)| !(0.0..=*most).contains(v))
        {
            return error(name, value.to_string(), &format!("0 to {most}"));
        }
        match *shape {
            [h, w, _] if self.quarter_turns && h != w => {
                error("quarter_turns", format!("images of {h} x {w}"), "square images")
            }
            [h, w, _] if self.crop_padding >= h.min(w) => error(
                "crop_padding",
                self.crop_padding.to_string(),
                "less than the side of the image",
            ),
            [_, _, 1] if self.saturation > 0.0 => error("saturation", "grey images".into(), "colour images"),
            [_, _, _] => Ok(()),
            _ if self.moves() || self.colours() || self.cutout > 0.0 => error(
                "geometry and colour",
                "rows of numbers".into(),
                "images; rows can have noise and mixup",
            ),
            _ => Ok(()),
        }
    }

    /// Draws the geometry of one sample for images of `height` x `width`: use it on the image, its mask and boxes.
    pub fn geometry(&self, key: SampleKey, height: usize, width: usize) -> Geometry {
        let mut rng = rng(key.seed, key.epoch, key.sample, Purpose::Geometry);
        let mut geometry = Geometry::identity(height, width);
        // Every number is drawn whether it is used or not, so that one setting does not move the others.
        let flips: u8 = rng.random();
        let either = |strength: f32, draw: f32| f64::from(strength) * (2.0 * f64::from(draw) - 1.0);
        let [a, b, c, d, e, f]: [f32; 6] = std::array::from_fn(|_| rng.random());
        geometry.flip(
            self.flip_horizontal && flips & 1 != 0,
            self.flip_vertical && flips & 2 != 0,
        );
        if self.quarter_turns {
            geometry.quarter_turn(flips >> 2 & 3);
        }
        if self.rotation > 0.0 || self.scale > 0.0 {
            let factor = (1.0 + f64::from(self.scale)).powf(either(1.0, b));
            geometry.turn_and_scale(either(self.rotation, a).to_radians(), factor);
        }
        if self.shift > 0.0 {
            geometry.shift(
                either(self.shift, c) * height as f64,
                either(self.shift, d) * width as f64,
            );
        }
        if self.crop_padding > 0 {
            let whole = |draw: f32| {
                let steps = 2 * self.crop_padding + 1;
                (draw * steps as f32).floor().min(steps as f32 - 1.0) as f64 - self.crop_padding as f64
            };
            geometry.shift(whole(e), whole(f));
        }
        geometry
    }

    /// Augments and normalises one image: `pixels` `[H, W, C]` to `out` of the same shape. `table` is
    /// [`ImageEncoding::table`].
    pub fn image(
        &self,
        pixels: &[u8],
        encoding: &ImageEncoding,
        table: &[f32],
        key: SampleKey,
        out: &mut [f32],
    ) {
        let shape = encoding.shape();
        if self.moves() {
            let geometry = self.geometry(key, encoding.height, encoding.width);
            geometry.encode(pixels, encoding.channels, table, self.border, out);
        } else {
            look_up(pixels, table, encoding.channels, out);
        }
        if self.colours() {
            let mut rng = rng(key.seed, key.epoch, key.sample, Purpose::Colour);
            let mut around_one = |strength: f32| 1.0 + strength * (2.0 * rng.random::<f32>() - 1.0);
            let colour = Colour {
                brightness: around_one(self.brightness),
                contrast: around_one(self.contrast),
                saturation: around_one(self.saturation),
            };
            colour.apply(encoding, out);
        }
        self.values(key, out);
        if self.cutout > 0.0 {
            colour::cut_out(
                self.cutout,
                shape,
                &mut rng(key.seed, key.epoch, key.sample, Purpose::Cutout),
                out,
            );
        }
    }

    /// Adds the noise to encoded values (S17).
    pub fn values(&self, key: SampleKey, out: &mut [f32]) {
        if self.noise > 0.0 {
            colour::add_noise(
                self.noise,
                &mut rng(key.seed, key.epoch, key.sample, Purpose::Noise),
                out,
            );
        }
    }
}

#[cfg(test)]
mod tests;
