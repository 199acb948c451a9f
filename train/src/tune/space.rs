//! What is searched: named dimensions, and points of them as plain data.

use std::fmt;

use data::random::{Purpose, rng};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// The value of one hyper-parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A count, such as a batch size.
    Count(u64),
    /// A number, such as a learning rate.
    Number(f64),
    /// A word, such as the name of an optimizer.
    Word(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Count(count) => count.fmt(f),
            Value::Number(number) if *number != 0.0 && !(1e-4..1e6).contains(&number.abs()) => {
                write!(f, "{number:e}")
            }
            Value::Number(number) => number.fmt(f),
            Value::Word(word) => word.fmt(f),
        }
    }
}

impl Value {
    /// The number, where it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Count(count) => Some(*count as f64),
            Value::Number(number) => Some(*number),
            Value::Word(_) => None,
        }
    }
}

/// Which values a hyper-parameter may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// Numbers from `low` to `high`, every factor equally likely; three significant digits.
    Logarithmic {
        /// Least value, above 0.
        low: f64,
        /// Largest value.
        high: f64,
    },
    /// Numbers from `low` to `high`, all equally likely; three significant digits.
    Linear {
        /// Least value.
        low: f64,
        /// Largest value.
        high: f64,
    },
    /// One of these, all equally likely.
    Choice(Vec<Value>),
}

/// One hyper-parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dimension {
    /// Its name.
    pub name: String,
    /// Its values.
    pub domain: Domain,
    /// What it is without a search: the first trial has this value.
    pub usual: Option<Value>,
}

impl Dimension {
    /// A dimension whose first value is `usual`.
    pub fn new(name: impl Into<String>, domain: Domain, usual: impl Into<Option<Value>>) -> Self {
        Self {
            name: name.into(),
            domain,
            usual: usual.into(),
        }
    }
}

/// The hyper-parameters that are searched together.
///
/// ```
/// use graticule_train::tune::{Dimension, Domain, Space, Value};
/// let space = Space(vec![
///     Dimension::new("lr", Domain::Logarithmic { low: 1e-4, high: 1e-1 }, Value::Number(1e-3)),
///     Dimension::new("width", Domain::Choice(vec![Value::Count(16), Value::Count(64)]), None),
/// ]);
/// let trials = space.sample(5, 7)?;
/// assert_eq!(trials, space.sample(5, 7)?);
/// assert_eq!(trials[0].number("lr"), Some(1e-3));
/// assert!(trials.iter().all(|t| matches!(t.count("width"), Some(16 | 64))));
/// # Ok::<(), graticule_train::TrainError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Space(pub Vec<Dimension>);

/// One combination of hyper-parameters: plain data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Place in the search, counted from 0.
    pub index: usize,
    /// Names and values, in the order of the space.
    pub values: Vec<(String, Value)>,
}

impl Trial {
    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value)
    }

    /// The number of this name.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.as_f64()
    }

    /// The count of this name.
    pub fn count(&self, name: &str) -> Option<usize> {
        match self.get(name)? {
            Value::Count(count) => usize::try_from(*count).ok(),
            _ => None,
        }
    }

    /// The word of this name.
    pub fn word(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Word(word) => Some(word),
            _ => None,
        }
    }
}

impl fmt::Display for Trial {
    /// `lr 0.001, width 64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, value)) in self.values.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{name} {value}")?;
        }
        Ok(())
    }
}

/// Draws for one trial before a space counts as used up.
const ATTEMPTS: u64 = 64;

impl Space {
    /// `count` different trials. The first one has the usual values where there are any; trial k of a seed
    /// is the same whatever `count` is, so a longer search begins like a shorter one. A space with fewer
    /// points gives fewer trials.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for a dimension without values, or two with one name.
    pub fn sample(&self, count: usize, seed: u64) -> Result<Vec<Trial>, TrainError> {
        self.check()?;
        let mut trials: Vec<Trial> = Vec::new();
        while trials.len() < count {
            let index = trials.len();
            let fresh = (0..ATTEMPTS)
                .map(|attempt| self.draw(seed, index, attempt))
                .find(|values| trials.iter().all(|t| t.values != *values));
            match fresh {
                Some(values) => trials.push(Trial { index, values }),
                None => break,
            }
        }
        Ok(trials)
    }

    fn check(&self) -> Result<(), TrainError> {
        let wrong = |name: &str, what: String| {
            Err(TrainError::Setting(format!(
                "`{name}` cannot be searched: {what}; give it a range or values of its own"
            )))
        };
        if self.0.is_empty() {
            return Err(TrainError::Setting(
                "there is nothing to search; name a hyper-parameter".into(),
            ));
        }
        for (place, dimension) in self.0.iter().enumerate() {
            let name = &dimension.name;
            if self.0[..place].iter().any(|d| d.name == *name) {
                return wrong(name, "it is named twice".into());
            }
            match &dimension.domain {
                Domain::Logarithmic { low, high } if !(*low > 0.0 && low <= high && high.is_finite()) => {
                    return wrong(name, format!("found {low} to {high}, expected 0 < low ≤ high"));
                }
                Domain::Linear { low, high } if !(low <= high && (high - low).is_finite()) => {
                    return wrong(name, format!("found {low} to {high}, expected low ≤ high"));
                }
                Domain::Choice(values) if values.is_empty() => return wrong(name, "found no value".into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn draw(&self, seed: u64, index: usize, attempt: u64) -> Vec<(String, Value)> {
        let mut rng = rng(seed, attempt, index as u64, Purpose::Trial);
        let mut of = |dimension: &Dimension| {
            // One draw for each dimension, used or not, keeps the others in their place.
            let along = (rng.random::<u64>() >> 11) as f64 / (1u64 << 53) as f64;
            let first = index == 0 && attempt == 0;
            let usual = dimension.usual.clone().filter(|_| first);
            (
                dimension.name.clone(),
                usual.unwrap_or_else(|| dimension.domain.at(along)),
            )
        };
        self.0.iter().map(&mut of).collect()
    }
}

impl Domain {
    /// The value at `along`, from 0 to below 1.
    fn at(&self, along: f64) -> Value {
        match self {
            Domain::Logarithmic { low, high } => {
                Value::Number(rounded(low * (high / low).powf(along)).clamp(*low, *high))
            }
            Domain::Linear { low, high } => {
                Value::Number(rounded(low + (high - low) * along).clamp(*low, *high))
            }
            Domain::Choice(values) => {
                let place = (along * values.len() as f64) as usize;
                values[place.min(values.len() - 1)].clone()
            }
        }
    }
}

/// Three significant digits: what a person reads in a table is what was tried.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}
