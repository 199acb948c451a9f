//! How parameters are filled before training (curriculum row O11): random weights, zero biases.

use std::fmt;
use std::str::FromStr;

use graph::Init;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::Activation;
use crate::text::{ParseError, Parts, name_of};

/// The shape of the distribution that weights are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Gaussian.
    Normal,
    /// Uniform between −limit and limit.
    Uniform,
}

/// How many numbers a unit reads and how many units read a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fans {
    /// Inputs of one output unit: `KH·KW·C/groups` for a convolution.
    pub fan_in: usize,
    /// Outputs that one input unit reaches: `KH·KW·O/groups` for a convolution.
    pub fan_out: usize,
}

/// A rule for initial weights.
///
/// Layers choose [`Initialiser::He`] (normal) under activations that cut off one half (ReLU and its
/// kin) and [`Initialiser::Glorot`] (uniform) otherwise, unless `.init(..)` says something else.
/// PyTorch's own layers use [`Initialiser::FanIn`] whatever follows.
///
/// ```
/// use graticule_nn::{Distribution, Fans, Initialiser};
/// let fans = Fans { fan_in: 50, fan_out: 100 };
/// assert_eq!(Initialiser::He(Distribution::Normal).resolve(fans), graph::Init::Normal(0.2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initialiser {
    /// 0 everywhere.
    Zeros,
    /// One number everywhere.
    Constant(f32),
    /// Gaussian with mean 0 and this standard deviation.
    Normal(f32),
    /// Uniform in (−limit, limit).
    Uniform(f32),
    /// Variance 2/(fan_in + fan_out) (Glorot & Bengio 2010).
    Glorot(Distribution),
    /// Variance 2/fan_in (He et al. 2015).
    He(Distribution),
    /// Uniform in ±1/√fan_in, as PyTorch's linear and convolution layers start.
    FanIn,
}

impl Initialiser {
    /// The layers' choice for weights that `activation` follows.
    pub fn before(activation: Activation) -> Self {
        if activation.is_rectifier() {
            Self::He(Distribution::Normal)
        } else {
            Self::Glorot(Distribution::Uniform)
        }
    }

    /// The rule with the numbers of one weight tensor put in.
    pub fn resolve(self, fans: Fans) -> Init {
        let (fan_in, fan_out) = (fans.fan_in.max(1) as f32, fans.fan_out.max(1) as f32);
        match self {
            Self::Zeros => Init::Constant(0.0),
            Self::Constant(value) => Init::Constant(value),
            Self::Normal(deviation) => Init::Normal(deviation),
            Self::Uniform(limit) => Init::Uniform(limit),
            Self::Glorot(distribution) => with_variance(distribution, 2.0 / (fan_in + fan_out)),
            Self::He(distribution) => with_variance(distribution, 2.0 / fan_in),
            Self::FanIn => Init::Uniform(fan_in.recip().sqrt()),
        }
    }
}

/// The rule that gives this filling whatever the fans.
impl From<Init> for Initialiser {
    fn from(init: Init) -> Self {
        match init {
            Init::Constant(value) => Self::Constant(value),
            Init::Normal(deviation) => Self::Normal(deviation),
            Init::Uniform(limit) => Self::Uniform(limit),
        }
    }
}

/// How rules are written.
const FORMS: &str = "zeros, constant:0.1, normal:0.02, uniform:0.05, glorot_uniform, glorot_normal, he_normal, he_uniform, fan_in";

impl FromStr for Initialiser {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut parts = Parts::new(text, FORMS);
        let mut number = || parts.number_that(None, f32::is_finite, "a finite number");
        let rule = match name_of(text).as_str() {
            "zeros" => Self::Zeros,
            "constant" => Self::Constant(number()?),
            "normal" => Self::Normal(number()?),
            "uniform" => Self::Uniform(number()?),
            "glorotuniform" | "xavieruniform" => Self::Glorot(Distribution::Uniform),
            "glorotnormal" | "xaviernormal" => Self::Glorot(Distribution::Normal),
            "henormal" | "kaimingnormal" => Self::He(Distribution::Normal),
            "heuniform" | "kaiminguniform" => Self::He(Distribution::Uniform),
            "fanin" => Self::FanIn,
            _ => {
                return Err(ParseError::Unknown {
                    what: "a rule for first weights",
                    found: text.into(),
                    expected: FORMS,
                });
            }
        };
        parts.end().map(|()| rule)
    }
}

/// As [`FromStr`] reads it.
impl fmt::Display for Initialiser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zeros => write!(f, "zeros"),
            Self::Constant(value) => write!(f, "constant:{value:?}"),
            Self::Normal(deviation) => write!(f, "normal:{deviation:?}"),
            Self::Uniform(limit) => write!(f, "uniform:{limit:?}"),
            Self::Glorot(Distribution::Uniform) => write!(f, "glorot_uniform"),
            Self::Glorot(Distribution::Normal) => write!(f, "glorot_normal"),
            Self::He(Distribution::Uniform) => write!(f, "he_uniform"),
            Self::He(Distribution::Normal) => write!(f, "he_normal"),
            Self::FanIn => write!(f, "fan_in"),
        }
    }
}

fn with_variance(distribution: Distribution, variance: f32) -> Init {
    match distribution {
        Distribution::Normal => Init::Normal(variance.sqrt()),
        Distribution::Uniform => Init::Uniform((3.0 * variance).sqrt()),
    }
}

/// Keeps this stream apart from every other use of the same seed.
const PURPOSE: u64 = u64::from_le_bytes(*b"weights\0");

/// The initial numbers of the parameter that stands at position `ordinal` of its network,
/// row-major in `shape`.
///
/// They depend on `seed` and `ordinal` alone: parameters can be filled in any order, on any thread.
pub fn fill(init: Init, shape: &[usize], seed: u64, ordinal: u64) -> Vec<f32> {
    let count = shape.iter().product();
    let mut random = stream(seed, ordinal);
    match init {
        Init::Constant(value) => vec![value; count],
        Init::Normal(deviation) => (0..count)
            .map(|_| deviation * random.sample::<f32, _>(StandardNormal))
            .collect(),
        Init::Uniform(limit) => (0..count)
            .map(|_| limit * (2.0 * random.random::<f32>() - 1.0))
            .collect(),
    }
}

fn stream(seed: u64, ordinal: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (slot, number) in key.chunks_exact_mut(8).zip([seed, 0, ordinal, PURPOSE]) {
        slot.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_deviation(values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
        (mean, variance.sqrt())
    }

    #[test]
    fn o11_weights_have_the_variance_of_their_rule() {
        let fans = Fans {
            fan_in: 300,
            fan_out: 100,
        };
        for (rule, expected) in [
            (Initialiser::Glorot(Distribution::Normal), (2.0f64 / 400.0).sqrt()),
            (
                Initialiser::Glorot(Distribution::Uniform),
                (2.0f64 / 400.0).sqrt(),
            ),
            (Initialiser::He(Distribution::Normal), (2.0f64 / 300.0).sqrt()),
            (Initialiser::He(Distribution::Uniform), (2.0f64 / 300.0).sqrt()),
            (Initialiser::FanIn, (1.0f64 / 900.0).sqrt()),
        ] {
            let (mean, deviation) = mean_and_deviation(&fill(rule.resolve(fans), &[300, 100], 7, 3));
            assert!(mean.abs() < 0.02 * expected, "{rule:?}: mean {mean}");
            assert!(
                (deviation / expected - 1.0).abs() < 0.02,
                "{rule:?}: {deviation} for {expected}"
            );
        }
    }

    #[test]
    fn numbers_depend_on_seed_and_ordinal_only() {
        let draw = |seed, ordinal| fill(Init::Normal(1.0), &[16], seed, ordinal);
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }
}
