//! The picture that is sought, as numbers that an optimizer moves.

use rand_distr::{Distribution, StandardNormal};

use super::cosines::Cosines;
use crate::attack::Pixels;
use crate::random::{Purpose, rng};

/// How much the channels of pictures have in common: their correlation, as is usual for photographs.
const SHARED: f32 = 0.9;

/// From the numbers z that an optimizer moves to a picture x as the network reads it: x = z, or
/// x = waves(z·a)·K with a ∝ 1/f, as strong as the waves of natural pictures are, and K = √((1−ρ)I + ρ11ᵀ), which lets
/// all channels move together more easily than apart. A step of the same size in every z then changes what is large and grey
/// most, and what is fine or gaudy least (Olah, Mordvintsev & Schubert 2017). Both ways are linear and invertible.
pub(super) struct Canvas {
    shape: [usize; 3],
    waves: Option<Waves>,
    /// What the network reads for black and for white, for each channel.
    black: Vec<f32>,
    white: Vec<f32>,
}

struct Waves {
    cosines: Cosines,
    /// a of each wave; its mean square is 1.
    strength: Vec<f32>,
}

impl Canvas {
    pub fn new(shape: [usize; 3], pixels: &Pixels, frequencies: bool) -> Self {
        let [height, width, channels] = shape;
        let waves = || {
            let cosines = Cosines::new([height, width]);
            let lowest = 1.0 / (2 * height.max(width)) as f32;
            let raw = (0..height * width).map(|k| 1.0 / cosines.frequency(k / width, k % width).max(lowest));
            let raw: Vec<f32> = raw.collect();
            let mean = raw.iter().map(|a| f64::from(a * a)).sum::<f64>() / raw.len().max(1) as f64;
            let strength = raw.iter().map(|a| a / (mean.sqrt() as f32)).collect();
            Waves { cosines, strength }
        };
        Self {
            shape,
            waves: frequencies.then(waves),
            black: (0..channels).map(|c| pixels.encode(c, 0.0)).collect(),
            white: (0..channels).map(|c| pixels.encode(c, 1.0)).collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Faint noise about the mean of the training pictures, which the network reads as 0.
    pub fn start(&self, seed: u64, picture: u64) -> Vec<f32> {
        let mut rng = rng(seed, picture, 0, Purpose::Canvas);
        let mut z: Vec<f32> = (0..self.len())
            .map(|_| 0.1 * <StandardNormal as Distribution<f32>>::sample(&StandardNormal, &mut rng))
            .collect();
        self.keep_valid(&mut z);
        z
    }

    /// x of z.
    pub fn paint(&self, z: &[f32], x: &mut [f32]) {
        x.copy_from_slice(z);
        if let Some(waves) = &self.waves {
            self.mix(x, false);
            self.each_channel(x, |channel, spare| {
                channel.iter_mut().zip(&waves.strength).for_each(|(z, a)| *z *= a);
                waves.cosines.picture(channel, spare);
            });
        }
    }

    /// The slope in z of a slope in x, in place.
    pub fn pull(&self, slope: &mut [f32]) {
        if let Some(waves) = &self.waves {
            self.each_channel(slope, |channel, spare| {
                waves.cosines.waves(channel, spare);
                channel.iter_mut().zip(&waves.strength).for_each(|(z, a)| *z *= a);
            });
            // K is symmetric.
            self.mix(slope, false);
        }
    }

    /// z of x, in place.
    pub fn read(&self, x: &mut [f32]) {
        if let Some(waves) = &self.waves {
            self.each_channel(x, |channel, spare| {
                waves.cosines.waves(channel, spare);
                channel.iter_mut().zip(&waves.strength).for_each(|(z, a)| *z /= a);
            });
            self.mix(x, true);
        }
    }

    /// Brings pixels back between black and white.
    pub fn keep_valid(&self, z: &mut [f32]) {
        let mut x = vec![0.0; z.len()];
        self.paint(z, &mut x);
        let mut outside = false;
        for (k, x) in x.iter_mut().enumerate() {
            let channel = k % self.shape[2];
            let valid = x.clamp(self.black[channel], self.white[channel]);
            outside |= valid != *x;
            *x = valid;
        }
        if outside {
            self.read(&mut x);
            z.copy_from_slice(&x);
        }
    }

    /// Adds the slope of `share`·Σ d², with d by how much a pixel is darker than black or brighter than white.
    pub fn stay(&self, x: &[f32], share: f32, slope: &mut [f32]) {
        for (k, (x, slope)) in x.iter().zip(slope).enumerate() {
            let channel = k % self.shape[2];
            *slope += 2.0 * share * (x - x.clamp(self.black[channel], self.white[channel]));
        }
    }

    /// Blurs by a Gaussian of so many pixels, mirrored at the border: each wave of frequency f loses all but exp(−2π²σ²f²).
    pub fn blur(&self, z: &mut [f32], cosines: &Cosines, sigma: f32) {
        let width = self.shape[1];
        let fade = |k: usize| {
            let f = cosines.frequency(k / width, k % width);
            (-2.0 * (std::f32::consts::PI * sigma * f).powi(2)).exp()
        };
        let in_waves = self.waves.is_some();
        self.each_channel(z, |channel, spare| {
            if !in_waves {
                cosines.waves(channel, spare);
            }
            channel.iter_mut().enumerate().for_each(|(k, z)| *z *= fade(k));
            if !in_waves {
                cosines.picture(channel, spare);
            }
        });
    }

    /// K, or its inverse, at each pixel or wave: √((1−ρ)I + ρ11ᵀ) has the value √(1−ρ) on differences of channels and
    /// √(1+(C−1)ρ) on their mean.
    fn mix(&self, numbers: &mut [f32], inverse: bool) {
        let channels = self.shape[2];
        if channels == 1 {
            return;
        }
        let apart = (1.0 - SHARED).sqrt();
        let together = (1.0 + (channels - 1) as f32 * SHARED).sqrt();
        let (apart, together) = match inverse {
            true => (1.0 / apart, 1.0 / together),
            false => (apart, together),
        };
        for pixel in numbers.chunks_mut(channels) {
            let mean = pixel.iter().sum::<f32>() / channels as f32;
            pixel
                .iter_mut()
                .for_each(|z| *z = apart * (*z - mean) + together * mean);
        }
    }

    fn each_channel(&self, numbers: &mut [f32], work: impl Fn(&mut [f32], &mut Vec<f32>)) {
        let channels = self.shape[2];
        let (mut one, mut spare) = (vec![0.0; numbers.len() / channels.max(1)], Vec::new());
        for channel in 0..channels {
            one.iter_mut()
                .zip(numbers[channel..].iter().step_by(channels))
                .for_each(|(to, from)| *to = *from);
            work(&mut one, &mut spare);
            numbers[channel..]
                .iter_mut()
                .step_by(channels)
                .zip(&one)
                .for_each(|(to, from)| *to = *from);
        }
    }
}

/// The optimizer of one picture: Adam (Kingma & Ba 2014) with β₁ = 0.9, β₂ = 0.999.
pub(super) struct Adam {
    mean: Vec<f32>,
    square: Vec<f32>,
    steps: i32,
}

impl Adam {
    pub fn new(len: usize) -> Self {
        Self {
            mean: vec![0.0; len],
            square: vec![0.0; len],
            steps: 0,
        }
    }

    /// One step down the slope.
    pub fn step(&mut self, z: &mut [f32], slope: &[f32], rate: f32) {
        self.steps += 1;
        let (one, two) = (1.0 - 0.9f32.powi(self.steps), 1.0 - 0.999f32.powi(self.steps));
        let memory = self.mean.iter_mut().zip(&mut self.square);
        for ((z, &g), (mean, square)) in z.iter_mut().zip(slope).zip(memory) {
            *mean += 0.1 * (g - *mean);
            *square += 0.001 * (g * g - *square);
            *z -= rate * (*mean / one) / ((*square / two).sqrt() + 1e-8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canvas(frequencies: bool) -> Canvas {
        let pixels = Pixels::new(vec![0.4, 0.5, 0.6], vec![0.2, 0.25, 0.3]).unwrap_or_else(|e| panic!("{e}"));
        Canvas::new([6, 5, 3], &pixels, frequencies)
    }

    #[test]
    fn reading_undoes_painting_and_pulling_is_its_transpose() {
        for frequencies in [false, true] {
            let canvas = canvas(frequencies);
            let wave = |scale: f32| (0..90).map(|k| (k as f32 * scale).sin()).collect::<Vec<f32>>();
            let (z, slope) = (wave(1.1), wave(0.37));
            let mut x = vec![0.0; 90];
            canvas.paint(&z, &mut x);
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let mut pulled = slope.clone();
            canvas.pull(&mut pulled);
            assert!((dot(&x, &slope) - dot(&z, &pulled)).abs() < 1e-3);
            canvas.read(&mut x);
            assert!(x.iter().zip(&z).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }

    #[test]
    fn pixels_stay_between_black_and_white() {
        for frequencies in [false, true] {
            let canvas = canvas(frequencies);
            let mut z: Vec<f32> = (0..90).map(|k| 9.0 * (k as f32 * 1.1).sin()).collect();
            canvas.keep_valid(&mut z);
            let mut x = vec![0.0; 90];
            canvas.paint(&z, &mut x);
            let within =
                |(k, &x): (usize, &f32)| x > canvas.black[k % 3] - 1e-3 && x < canvas.white[k % 3] + 1e-3;
            assert!(x.iter().enumerate().all(within));
            assert!(x.iter().any(|&x| (x - canvas.white[0]).abs() < 1e-3));
        }
    }

    #[test]
    fn blur_keeps_the_mean_and_takes_what_is_fine() {
        for frequencies in [false, true] {
            let canvas = canvas(frequencies);
            let board = |k: usize| {
                1.0 + if (k / 15 + k / 3 % 5).is_multiple_of(2) {
                    0.5
                } else {
                    -0.5
                }
            };
            let mut z: Vec<f32> = (0..90).map(board).collect();
            canvas.read(&mut z);
            canvas.blur(&mut z, &Cosines::new([6, 5]), 1.0);
            let mut x = vec![0.0; 90];
            canvas.paint(&z, &mut x);
            assert!((x.iter().sum::<f32>() / 90.0 - 1.0).abs() < 0.03);
            assert!(x.iter().all(|x| (x - 1.0).abs() < 0.2), "{x:?}");
        }
    }
}
