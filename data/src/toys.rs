//! Synthetic sets in two dimensions, of the kind a playground offers: circle, xor, gauss, spiral, plane, and
//! the truth tables of AND and OR (L5, L6, S17).

use crate::random::{Purpose, rng};
use crate::{DataError, Dataset, ErrorKind, Fractions, InputLayout, Raw, Source, Splits, Target, Task};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use std::f64::consts::TAU;
use std::sync::Arc;

/// Half the side of the square the points lie in.
const RADIUS: f64 = 5.0;

/// A synthetic set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toy {
    /// A disc inside a ring.
    Circle,
    /// Four quadrants, opposite ones alike.
    Xor,
    /// Two Gaussian clouds.
    Gauss,
    /// Two arms of a spiral.
    Spiral,
    /// Regression of `(x + y) / 10`.
    Plane,
    /// Both inputs are 1: four rows.
    And,
    /// At least one input is 1: four rows.
    Or,
}

impl Toy {
    /// All toys.
    pub const ALL: [Toy; 7] = [
        Toy::Circle,
        Toy::Xor,
        Toy::Gauss,
        Toy::Spiral,
        Toy::Plane,
        Toy::And,
        Toy::Or,
    ];

    /// The name under which [`crate::open()`] knows it.
    pub fn name(self) -> &'static str {
        match self {
            Toy::Circle => "circle",
            Toy::Xor => "xor",
            Toy::Gauss => "gauss",
            Toy::Spiral => "spiral",
            Toy::Plane => "plane",
            Toy::And => "and",
            Toy::Or => "or",
        }
    }

    /// The toy of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Toy::ALL.into_iter().find(|toy| toy.name() == name)
    }

    fn is_table(self) -> bool {
        matches!(self, Toy::And | Toy::Or)
    }

    /// One point: inputs and value (class 0 or 1, or the number for the plane).
    fn point(self, index: usize, count: usize, noise: f64, rng: &mut ChaCha8Rng) -> ([f64; 2], f64) {
        let mut uniform = |low: f64, high: f64| low + (high - low) * rng.random::<f64>();
        let side = index % 2;
        let (point, value) = match self {
            Toy::Circle => {
                // The square root makes the points even over the area.
                let (inner, outer) = if side == 1 { (0.0, 0.5) } else { (0.7, 1.0) };
                let share: f64 = uniform(inner * inner, outer * outer);
                let (r, angle) = (RADIUS * share.sqrt(), uniform(0.0, TAU));
                ([r * angle.sin(), r * angle.cos()], side as f64)
            }
            Toy::Xor => {
                let (x, y) = (uniform(0.3, RADIUS), uniform(0.3, RADIUS));
                let (sx, sy) = [(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0)][index % 4];
                ([sx * x, sy * y], side as f64)
            }
            Toy::Gauss => {
                let centre = if side == 1 { 2.0 } else { -2.0 };
                let (a, b): (f64, f64) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
                ([centre + a, centre + b], side as f64)
            }
            Toy::Spiral => {
                let along = (index / 2) as f64 / (count as f64 / 2.0).max(1.0);
                let angle = 1.75 * along * TAU + if side == 1 { TAU / 2.0 } else { 0.0 };
                (
                    [RADIUS * along * angle.sin(), RADIUS * along * angle.cos()],
                    side as f64,
                )
            }
            Toy::Plane => {
                let (x, y) = (uniform(-RADIUS, RADIUS), uniform(-RADIUS, RADIUS));
                ([x, y], (x + y) / (2.0 * RADIUS))
            }
            Toy::And | Toy::Or => {
                let bits = [(index / 2 % 2) as f64, (index % 2) as f64];
                let ones = bits[0] + bits[1];
                let hit = if self == Toy::And { ones == 2.0 } else { ones > 0.0 };
                (bits, f64::from(u8::from(hit)))
            }
        };
        let spread = noise * if self.is_table() { 1.0 } else { RADIUS };
        let moved = point.map(|p| p + spread * (2.0 * rng.random::<f64>() - 1.0));
        (moved, value)
    }
}

/// How to make a toy.
#[derive(Debug, Clone, Copy)]
pub struct ToyOptions {
    /// Number of points; by default 500, and the four rows of the table for AND and OR.
    pub samples: Option<usize>,
    /// Points move by up to this share of the radius in each direction after they got their class: 0 to 1.
    pub noise: f64,
    /// Shares of the roles.
    pub fractions: Fractions,
    /// Seed of points and split.
    pub seed: u64,
}

/// Makes a toy. The four rows of AND and OR, when asked for as they are, all go to train.
///
/// # Errors
/// When the noise is not from 0 to 1, or the number of samples not from 4 to 10 million.
pub fn dataset(toy: Toy, options: ToyOptions) -> Result<Dataset, DataError> {
    let ToyOptions {
        samples,
        noise,
        fractions,
        seed,
    } = options;
    let count = samples.unwrap_or(if toy.is_table() { 4 } else { 500 });
    if !(0.0..=1.0).contains(&noise) || !(4..=10_000_000).contains(&count) {
        return Err(DataError::new(ErrorKind::Option, toy.name())
            .found(format!("noise {noise} and {count} samples"))
            .expected("noise from 0 to 1 and 4 to 10000000 samples")
            .remedy("For example noise 0.1 and 500 samples."));
    }
    let made = (0..count).map(|i| toy.point(i, count, noise, &mut rng(seed, 0, i as u64, Purpose::Toy)));
    let (points, values): (Vec<_>, Vec<_>) = made.unzip();
    let regression = toy == Toy::Plane;
    let classes: Vec<usize> = values.iter().map(|&v| v as usize).collect();
    let splits = if toy.is_table() && count == 4 {
        Splits {
            train: (0..4).collect(),
            ..Splits::default()
        }
    } else {
        Splits::by_fraction(count, (!regression).then_some(&classes[..]), fractions, seed)?
    };
    let task = if regression {
        Task::Regression {
            targets: vec!["z".into()],
        }
    } else {
        Task::Classification {
            classes: vec!["0".into(), "1".into()],
        }
    };
    let source = Points {
        name: toy.name(),
        points,
        values,
        regression,
    };
    let citation = Some(format!(
        "Synthetic: `{}`, seed {seed}, noise {noise}.",
        toy.name()
    ));
    Ok(Dataset {
        name: toy.name().into(),
        task,
        source: Arc::new(source),
        splits,
        notes: Vec::new(),
        citation,
    })
}

struct Points {
    name: &'static str,
    points: Vec<[f64; 2]>,
    values: Vec<f64>,
    regression: bool,
}

impl Points {
    fn no_such(&self, index: usize) -> DataError {
        DataError::new(ErrorKind::Option, self.name)
            .found(format!("the index {index}"))
            .expected(format!("one below {}", self.points.len()))
            .remedy("Use a split made for this data set.")
    }
}

impl Source for Points {
    fn len(&self) -> usize {
        self.points.len()
    }

    fn raw(&self, index: usize) -> Result<Raw, DataError> {
        self.points
            .get(index)
            .map(|p| Raw::from_numbers(p))
            .ok_or_else(|| self.no_such(index))
    }

    fn target(&self, index: usize) -> Result<Target, DataError> {
        let value = *self.values.get(index).ok_or_else(|| self.no_such(index))?;
        Ok(if self.regression {
            Target::Values(vec![value as f32])
        } else {
            Target::Class(value as usize)
        })
    }

    fn name_of(&self, index: usize) -> String {
        format!("row {index}")
    }

    fn layout(&self) -> InputLayout {
        InputLayout::Vector {
            names: vec!["x".into(), "y".into()],
        }
    }
}

#[cfg(test)]
mod tests;
