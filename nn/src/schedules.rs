//! Schedules: the learning rate over a run.

use std::f64::consts::PI;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::{ParseError, Parts, name_of};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done: 0 before the first.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Steps of one epoch.
    pub steps_per_epoch: u64,
}

/// How the learning rate goes through a run, with PyTorch's formulas.
///
/// ```
/// use graticule_nn::{Progress, Schedule};
/// let cosine: Schedule = "cosine".parse()?;
/// let half = Progress { step: 50, total_steps: 100, steps_per_epoch: 10 };
/// assert!((cosine.rate(0.1, half) - 0.05).abs() < 1e-12);
/// # Ok::<(), graticule_nn::ParseError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Schedule {
    /// The same all the time.
    #[default]
    Constant,
    /// Times `factor` after every `epochs` epochs.
    Step {
        /// Epochs between two drops.
        epochs: u64,
        /// The factor of one drop.
        factor: f64,
    },
    /// Half a cosine wave from the learning rate down to `last` times it.
    Cosine {
        /// The share of the learning rate at the end.
        last: f64,
    },
    /// Up from 1/`start_divisor` of the learning rate to all of it during the first `warm` share of
    /// the run, then down to 1/(`start_divisor`·`end_divisor`), both along cosines (Smith 2018).
    #[serde(rename = "onecycle")]
    OneCycle {
        /// Share of the run that goes up.
        warm: f64,
        /// Learning rate divided by this at first.
        start_divisor: f64,
        /// First learning rate divided by this at last.
        end_divisor: f64,
    },
    /// Linearly up to the learning rate in `epochs` epochs (fractions allowed), then `then` for the
    /// rest of the run.
    WarmUp {
        /// Length of the rise.
        epochs: f64,
        /// What follows.
        then: Box<Schedule>,
    },
    /// Down whenever the validation loss stands still, see [`Scheduler`].
    Plateau(Plateau),
}

/// The learning rate is multiplied by `factor` when `patience` epochs in a row brought no loss below
/// (1 − `threshold`) times the best so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plateau {
    /// The factor of one drop.
    pub factor: f64,
    /// Epochs without improvement that are accepted.
    pub patience: u64,
    /// Relative improvement that counts.
    pub threshold: f64,
    /// Epochs after a drop that do not count.
    pub cooldown: u64,
    /// The share of the learning rate below which it does not fall.
    pub last: f64,
}

impl Default for Plateau {
    fn default() -> Self {
        Self {
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            cooldown: 0,
            last: 0.0,
        }
    }
}

/// Cosine from `from` (at share 0) to `to` (at share 1).
fn cosine(from: f64, to: f64, share: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * share).cos()) / 2.0
}

impl Schedule {
    /// One-cycle with PyTorch's numbers: 30 % up, from 1/25, down to 1/250 000.
    pub fn one_cycle() -> Self {
        Self::OneCycle {
            warm: 0.3,
            start_divisor: 25.0,
            end_divisor: 1e4,
        }
    }

    /// The learning rate of the step after `at.step` steps, for a run whose learning rate is `rate`.
    /// A plateau schedule alone says `rate`: its drops depend on losses and are a [`Scheduler`]'s.
    pub fn rate(&self, rate: f64, at: Progress) -> f64 {
        let total = at.total_steps.max(1) as f64;
        let step = at.step.min(at.total_steps) as f64;
        match self {
            Self::Constant | Self::Plateau(_) => rate,
            Self::Step { epochs, factor } => {
                let drops = at.step / (epochs * at.steps_per_epoch).max(1);
                rate * factor.powf(drops as f64)
            }
            Self::Cosine { last } => cosine(rate, rate * last, step / total),
            Self::OneCycle {
                warm,
                start_divisor,
                end_divisor,
            } => {
                let (first, last) = (rate / start_divisor, rate / start_divisor / end_divisor);
                let end = (total - 1.0).max(1.0);
                let peak = (warm * total - 1.0).clamp(0.0, end);
                let step = step.min(end);
                if step <= peak && peak > 0.0 {
                    cosine(first, rate, step / peak)
                } else {
                    cosine(rate, last, (step - peak) / (end - peak).max(1.0))
                }
            }
            Self::WarmUp { epochs, then } => warm_up(*epochs, then, rate, at),
        }
    }
}

fn warm_up(epochs: f64, then: &Schedule, rate: f64, at: Progress) -> f64 {
    let rise = (epochs * at.steps_per_epoch as f64).round().max(0.0) as u64;
    if at.step < rise {
        return rate * (at.step + 1) as f64 / rise as f64;
    }
    let rest = Progress {
        step: at.step - rise,
        total_steps: at.total_steps.saturating_sub(rise),
        ..at
    };
    then.rate(rate, rest)
}

/// A schedule in a run, with what it remembers of the losses; saved and restored with the run.
///
/// ```
/// use graticule_nn::{Plateau, Progress, Schedule, Scheduler};
/// let plateau = Plateau { factor: 0.5, patience: 0, ..Plateau::default() };
/// let mut scheduler = Scheduler::new(0.1, Schedule::Plateau(plateau));
/// let now = Progress { step: 0, total_steps: 100, steps_per_epoch: 10 };
/// scheduler.observe(1.0);
/// assert_eq!(scheduler.rate(now), 0.1);
/// scheduler.observe(1.0);
/// assert_eq!(scheduler.rate(now), 0.05);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scheduler {
    /// The run's learning rate.
    pub learning_rate: f64,
    /// The schedule.
    pub schedule: Schedule,
    scale: f64,
    best: Option<f64>,
    stale: u64,
    resting: u64,
}

impl Scheduler {
    /// `schedule` for a run with this learning rate.
    pub fn new(learning_rate: f64, schedule: Schedule) -> Self {
        Self {
            learning_rate,
            schedule,
            scale: 1.0,
            best: None,
            stale: 0,
            resting: 0,
        }
    }

    /// The learning rate of the step after `at.step` steps.
    pub fn rate(&self, at: Progress) -> f64 {
        self.scale * self.schedule.rate(self.learning_rate, at)
    }

    /// Tells the loss (smaller is better) that an epoch ended with.
    pub fn observe(&mut self, loss: f64) {
        let Some(plateau) = self.schedule.plateau() else {
            return;
        };
        // A NaN is no improvement.
        if self
            .best
            .is_none_or(|best| loss < best * (1.0 - plateau.threshold))
            && !loss.is_nan()
        {
            self.best = Some(loss);
            self.stale = 0;
        } else {
            self.stale += 1;
        }
        if self.resting > 0 {
            self.resting -= 1;
            self.stale = 0;
        }
        if self.stale > plateau.patience {
            self.scale = (self.scale * plateau.factor).max(plateau.last);
            self.resting = plateau.cooldown;
            self.stale = 0;
        }
    }
}

impl Schedule {
    /// The plateau rule in it, if there is one.
    fn plateau(&self) -> Option<Plateau> {
        match self {
            Self::Plateau(plateau) => Some(*plateau),
            Self::WarmUp { then, .. } => then.plateau(),
            _ => None,
        }
    }
}

const NAMES: &str = "constant, step:10:0.1 (epochs, factor), cosine, onecycle, warmup:5:cosine (epochs, what follows), plateau:0.1:10 (factor, patience)";

impl FromStr for Schedule {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut parts = Parts::new(text, NAMES);
        let share = |v: f64| (0.0..=1.0).contains(&v);
        let schedule = match name_of(text).as_str() {
            "constant" => Self::Constant,
            "step" => Self::Step {
                epochs: parts.number_that(None, |e| e > 0, "at least 1")?,
                factor: parts.number_that(Some(0.1), share, "in 0..=1")?,
            },
            "cosine" => Self::Cosine {
                last: parts.number_that(Some(0.0), share, "in 0..=1")?,
            },
            "onecycle" => match Self::one_cycle() {
                Self::OneCycle {
                    start_divisor,
                    end_divisor,
                    warm,
                } => Self::OneCycle {
                    warm: parts.number_that(Some(warm), share, "in 0..=1")?,
                    start_divisor,
                    end_divisor,
                },
                other => other,
            },
            "warmup" => {
                let epochs = parts.number_that(None, |e: f64| e >= 0.0, "at least 0")?;
                let rest = parts.remainder();
                let then = Box::new(if rest.is_empty() {
                    Self::Constant
                } else {
                    rest.parse()?
                });
                Self::WarmUp { epochs, then }
            }
            "plateau" | "reduceonplateau" => Self::Plateau(Plateau {
                factor: parts.number_that(Some(0.1), share, "in 0..=1")?,
                patience: parts.number(Some(10))?,
                ..Plateau::default()
            }),
            _ => {
                return Err(ParseError::Unknown {
                    what: "a schedule",
                    found: text.into(),
                    expected: NAMES,
                });
            }
        };
        parts.end().map(|()| schedule)
    }
}
