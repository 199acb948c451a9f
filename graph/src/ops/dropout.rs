//! Dropout (Srivastava et al. 2014, curriculum rows L36, R2).
//!
//! In training each element is dropped with probability `rate`, and what stays is multiplied by
//! 1/(1 − rate), so that inference needs no change ("inverted" dropout).
//!
//! Which elements stay is a function of (key, salt, index) alone, [`Keeps`]: the key says the run's
//! seed and step, the salt which dropout of the network, the index which element of the batch's tensor.
//! So the backward pass makes the same mask again, and no thread count or schedule can change it.

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::plain::{filled, lower_first, plain};
use super::{Operation, StateUpdate, operands};
use crate::{GraphError, Mode, Shape, Symbol};

/// Operand: x. Depends on the mode, so a graph is lowered before it is differentiated; the plain
/// reference is that of inference: x itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// Probability that an element is dropped, in [0, 1].
    pub rate: f32,
}

/// x·mask/(1 − rate). Operand: x. Linear, so its gradient is itself; the plain reference has key 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DropoutMask {
    /// Probability that an element is dropped.
    pub rate: f32,
    /// Tells this dropout from the others of the network.
    pub salt: u64,
}

/// The elements that one dropout keeps in one step.
///
/// ```
/// use graticule_graph::ops::Keeps;
/// let keeps = Keeps::new(42, 0, 0.25);
/// let kept = (0..10_000).filter(|&i| keeps.at(i)).count();
/// assert!((7_350..7_650).contains(&kept));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeps {
    start: u32,
    twist: u32,
    dropped_below: u32,
    all_dropped: bool,
}

impl Keeps {
    /// The mask of this key and salt. `rate` is the probability that an element is dropped.
    pub fn new(key: u64, salt: u64, rate: f32) -> Self {
        let mixed = splitmix(key ^ splitmix(salt));
        Self {
            start: mixed as u32,
            twist: (mixed >> 32) as u32,
            dropped_below: (f64::from(rate) * 2f64.powi(32)) as u32,
            all_dropped: rate >= 1.0,
        }
    }

    /// Whether the element stays.
    #[inline(always)]
    pub fn at(&self, index: u64) -> bool {
        self.within((index >> 32) as u32).low(index as u32)
    }

    /// The mask of the elements whose index has these high 32 bits, for [`Self::low`].
    #[inline(always)]
    pub fn within(self, high: u32) -> Self {
        let mut h = high ^ (high >> 16);
        h = h.wrapping_mul(0x21F0_AAAD);
        h ^= h >> 15;
        h = h.wrapping_mul(0x735A_2D97);
        Self {
            twist: self.twist ^ h ^ (h >> 15),
            ..self
        }
    }

    /// Whether the element with these low 32 bits of the index stays. Only 32-bit operations without
    /// branches, so that a loop over it vectorises.
    #[inline(always)]
    pub fn low(&self, low: u32) -> bool {
        let mut h = low.wrapping_mul(0x9E37_79B1).wrapping_add(self.start);
        h ^= h >> 16;
        h = h.wrapping_mul(0x21F0_AAAD) ^ self.twist;
        h ^= h >> 15;
        h = h.wrapping_mul(0x735A_2D97);
        h ^= h >> 15;
        (h >= self.dropped_below) & !self.all_dropped
    }
}

/// Whether the element `index` of a batch's tensor stays: [`Keeps`] for a single one.
pub fn keeps(key: u64, salt: u64, index: u64, rate: f32) -> bool {
    Keeps::new(key, salt, rate).at(index)
}

/// Steele, Lea & Flood 2014: a bijection of 64 bits in which every input bit reaches every output bit.
fn splitmix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn check(op: &str, rate: f32, inputs: &[&Shape]) -> Result<Shape, GraphError> {
    let [x] = operands(op, inputs)?;
    if (0.0..=1.0).contains(&rate) {
        Ok(x.clone())
    } else {
        Err(GraphError::shape(
            op,
            format!("the rate must lie in 0..=1, found {rate}"),
        ))
    }
}

impl Operation for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        check(self.name(), self.rate, inputs)
    }
    fn gradient(&self, _: &Symbol, _: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        Err(lower_first(self.name()))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], _: &Shape) -> ArrayD<f64> {
        inputs[0].clone()
    }
    fn lower(
        &self,
        inputs: &[&Symbol],
        mode: Mode,
        salt: u64,
    ) -> Result<Option<(Symbol, Vec<StateUpdate>)>, GraphError> {
        let rate = self.rate;
        let result = match mode {
            Mode::Train if rate > 0.0 => Symbol::apply(DropoutMask { rate, salt }, inputs)?,
            _ => inputs[0].clone(),
        };
        Ok(Some((result, Vec::new())))
    }
}

impl DropoutMask {
    /// What kept elements are multiplied by: 1/(1 − rate), and 0 if none is kept.
    pub fn factor(&self) -> f32 {
        if self.rate < 1.0 {
            1.0 / (1.0 - self.rate)
        } else {
            0.0
        }
    }
}

impl Operation for DropoutMask {
    fn name(&self) -> &'static str {
        "dropout_mask"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        check(self.name(), self.rate, inputs)
    }
    fn gradient(&self, _: &Symbol, g: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        Ok(Some(Symbol::apply(*self, &[g])?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let (x, mask) = (plain(inputs[0]), Keeps::new(0, self.salt, self.rate));
        filled(output, |y| {
            for (i, (y, x)) in y.iter_mut().zip(x).enumerate() {
                *y = if mask.at(i as u64) {
                    x * f64::from(self.factor())
                } else {
                    0.0
                };
            }
        })
    }
}
