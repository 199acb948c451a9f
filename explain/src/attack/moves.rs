//! The arithmetic of one sample's change, in the numbers that the network reads: a pixel p is x = (p − mean)/std, so
//! that a change of δ in p is one of δ/std in x, and the slope in p is the slope in x divided by std.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Attack, Norm, Pixels};

/// The normalisation written out for each number of a sample.
pub(super) struct Spread {
    std: Vec<f32>,
    /// What the network reads for black and for white.
    black: Vec<f32>,
    white: Vec<f32>,
}

impl Spread {
    pub fn new(pixels: &Pixels, sample: usize) -> Self {
        let of = |value: &dyn Fn(usize) -> f32| (0..sample).map(value).collect();
        Self {
            std: of(&|place| pixels.std(place)),
            black: of(&|place| pixels.encode(place, 0.0)),
            white: of(&|place| pixels.encode(place, 1.0)),
        }
    }
}

/// A sample on its way: where it began, and the range of pixels.
pub(super) struct Way<'a> {
    pub attack: &'a Attack,
    pub spread: &'a Spread,
    /// x₀.
    pub from: &'a [f32],
}

impl Way<'_> {
    /// Writes the start into `x`: x₀ itself, or a random place of the ball.
    ///
    /// Noise that is the whole attack lies on the edge of the ball; a start of more steps anywhere inside.
    pub fn start(&self, x: &mut [f32], rng: &mut ChaCha8Rng) {
        x.copy_from_slice(self.from);
        if !self.attack.random_start || self.attack.epsilon == 0.0 {
            return;
        }
        let edge = self.attack.steps == 0;
        match self.attack.norm {
            Norm::Max => {
                for (value, std) in x.iter_mut().zip(&self.spread.std) {
                    let draw = 2.0 * rng.random::<f32>() - 1.0;
                    let draw = if edge { draw.signum() } else { draw };
                    *value += draw * self.attack.epsilon / std;
                }
            }
            Norm::Euclidean => {
                let mut square = 0.0f64;
                for value in x.iter_mut() {
                    *value = StandardNormal.sample(rng);
                    square += f64::from(*value).powi(2);
                }
                let share = if edge { 1.0 } else { rng.random::<f32>() };
                let length = (f64::from(self.attack.epsilon * share) / square.sqrt().max(1e-30)) as f32;
                for ((value, from), std) in x.iter_mut().zip(self.from).zip(&self.spread.std) {
                    *value = from + *value * length / std;
                }
            }
        }
        self.clip(x);
    }

    /// One step along `gradient` (or against it), back into the ball and to valid pixels.
    pub fn step(&self, x: &mut [f32], gradient: &[f32], uphill: bool) {
        let length = self.attack.epsilon * self.attack.stride * if uphill { 1.0 } else { -1.0 };
        let numbers = x.iter_mut().zip(gradient).zip(&self.spread.std);
        match self.attack.norm {
            Norm::Max => {
                for ((value, &g), std) in numbers {
                    // signum of 0 is 1.
                    let sign = if g == 0.0 { 0.0 } else { g.signum() };
                    *value += length * sign / std;
                }
            }
            Norm::Euclidean => {
                let slope = |(&g, &std): (&f32, &f32)| f64::from(g / std).powi(2);
                let norm = gradient
                    .iter()
                    .zip(&self.spread.std)
                    .map(slope)
                    .sum::<f64>()
                    .sqrt();
                if norm > 0.0 && norm.is_finite() {
                    for ((value, &g), &std) in numbers {
                        // δ/std of δ = α·(g/std)/‖g/std‖.
                        let direction = f64::from(g / std) / norm;
                        *value += (f64::from(length) * direction) as f32 / std;
                    }
                }
                self.pull_back(x);
            }
        }
        self.clip(x);
    }

    fn pull_back(&self, x: &mut [f32]) {
        let change = |((&x, &from), &std): ((&f32, &f32), &f32)| f64::from((x - from) * std).powi(2);
        let numbers = x.iter().zip(self.from).zip(&self.spread.std);
        let size = numbers.map(change).sum::<f64>().sqrt();
        let most = f64::from(self.attack.epsilon);
        if size > most {
            let factor = (most / size) as f32;
            for (value, &from) in x.iter_mut().zip(self.from) {
                *value = from + (*value - from) * factor;
            }
        }
    }

    /// Valid pixels, and in the norm `max` none further than ε. A value that began outside the range (augmentation
    /// may do that) is never sent further out.
    fn clip(&self, x: &mut [f32]) {
        let most = match self.attack.norm {
            Norm::Max => self.attack.epsilon,
            Norm::Euclidean => f32::INFINITY,
        };
        let range = self
            .spread
            .black
            .iter()
            .zip(&self.spread.white)
            .zip(&self.spread.std);
        for ((value, &from), ((&black, &white), &std)) in x.iter_mut().zip(self.from).zip(range) {
            let low = black.max(from - most / std).min(from);
            let high = white.min(from + most / std).max(from);
            *value = value.max(low).min(high);
        }
    }
}
