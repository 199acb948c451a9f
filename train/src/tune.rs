//! Hyper-parameter search on the validation samples (curriculum rows S7, L11): random search (Bergstra &
//! Bengio 2012) with successive halving (Jamieson & Talwalkar 2016).
//!
//! All trials train for a few epochs; the best third of them train again for three times as many, and so
//! on, until the last ones train for all epochs. Each rung is a whole run with its own schedule, from
//! fresh parameters: its score is what a run of that length is worth, and the winner is repeated by a
//! plain training run. The library knows no network and no flag: a closure makes a run of a [`Trial`].

mod space;

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::{Ending, EpochRecord, Observer, Run, StepReport, TrainError, Trainer, fit};

pub use space::{Dimension, Domain, Space, Trial, Value};

/// How a search is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TuneOptions {
    /// Combinations that are tried.
    pub trials: usize,
    /// Epochs of the trials that get furthest.
    pub epochs: usize,
    /// One of so many trials goes on to the next rung, which has so many times the epochs; 1 trains
    /// every trial for all epochs.
    pub reduction: usize,
    /// Seed of the combinations.
    pub seed: u64,
}

impl Default for TuneOptions {
    fn default() -> Self {
        Self {
            trials: 20,
            epochs: 20,
            reduction: 3,
            seed: 1,
        }
    }
}

/// Trials that train for the same number of epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// How many trials.
    pub trials: usize,
    /// Their epochs.
    pub epochs: usize,
}

/// What became of one trial, at the highest rung that it reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    /// The combination.
    pub trial: Trial,
    /// The rung, counted from 0.
    pub rung: usize,
    /// Epochs of that rung.
    pub epochs: usize,
    /// Validation score of its best epoch, higher is better: accuracy or R². `None` for a failure.
    pub score: Option<f64>,
    /// Validation loss of that epoch.
    pub loss: Option<f64>,
    /// The best epoch, counted from 1.
    pub best_epoch: usize,
    /// Numbers that were trained.
    pub parameters: usize,
    /// Seconds of all its rungs.
    pub seconds: f64,
    /// Why it has no score: a loss that was no number, a network that cannot be built.
    pub failure: Option<String>,
}

/// A search that came to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TuneOutcome {
    /// All trials, the best first: those of higher rungs before the others, failures last.
    pub results: Vec<TrialResult>,
    /// The rungs as they were planned.
    pub rungs: Vec<Rung>,
    /// Whether the observer stopped it before its end.
    pub interrupted: bool,
}

impl TuneOutcome {
    /// The best trial, if one has a score.
    pub fn best(&self) -> Option<&TrialResult> {
        self.results.first().filter(|result| result.score.is_some())
    }
}

/// Makes the trainer and the loaders of a trial for a number of epochs.
pub type Build<'a> = dyn FnMut(&Trial, usize) -> Result<(Trainer, Run), TrainError> + 'a;

/// Watches a search.
pub trait TuneObserver {
    /// Before a trial trains: the rung, the place of the trial in it counted from 1.
    fn begin(&mut self, _trial: &Trial, _rung: usize, _plan: &Rung, _place: usize) {}
    /// After each of its epochs.
    fn epoch(&mut self, _trial: &Trial, _record: &EpochRecord) {}
    /// After a trial.
    fn end(&mut self, _result: &TrialResult) {}
    /// Asked after each training step: whether to stop now.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Watches nothing.
impl TuneObserver for crate::Silent {}

/// The rungs of a search: the last one has all epochs, each one before it a `reduction`th of the epochs
/// and `reduction` times the trials, as far as both go.
///
/// ```
/// use graticule_train::tune::{Rung, TuneOptions, rungs};
/// let options = TuneOptions { trials: 18, epochs: 9, ..TuneOptions::default() };
/// let of = |trials, epochs| Rung { trials, epochs };
/// assert_eq!(rungs(&options), [of(18, 1), of(6, 3), of(2, 9)]);
/// ```
pub fn rungs(options: &TuneOptions) -> Vec<Rung> {
    let (reduction, trials, epochs) = (
        options.reduction.max(1),
        options.trials.max(1),
        options.epochs.max(1),
    );
    let steps = |mut of: usize| {
        let mut count = 0;
        while reduction > 1 && of >= reduction {
            of /= reduction;
            count += 1;
        }
        count
    };
    let halvings: u32 = steps(trials).min(steps(epochs));
    let rung = |k: u32| Rung {
        trials: trials / reduction.pow(k),
        epochs: (epochs / reduction.pow(halvings - k)).max(1),
    };
    (0..=halvings).map(rung).collect()
}

/// Searches `space` for the combination with the best validation score. `build` makes the trainer and
/// the loaders of a trial for a number of epochs; they must have a validation set. The combinations
/// depend on the seed alone, and so do the results if what `build` makes does.
///
/// Loss that becomes NaN, or a combination of which no network can be built, is a failed trial; data
/// that cannot be read end the search.
///
/// # Errors
/// [`TrainError::Setting`] for a space that makes no sense, without a validation set, or when all trials
/// failed; what reading the data or saving ran into.
pub fn tune(
    space: &Space,
    options: &TuneOptions,
    build: &mut Build<'_>,
    observer: &mut dyn TuneObserver,
) -> Result<TuneOutcome, TrainError> {
    let trials = space.sample(options.trials, options.seed)?;
    let rungs = rungs(&TuneOptions {
        trials: trials.len(),
        ..*options
    });
    let mut results: Vec<TrialResult> = Vec::new();
    let mut running: Vec<Trial> = trials;
    let mut interrupted = false;
    'search: for (number, rung) in rungs.iter().enumerate() {
        running.truncate(rung.trials);
        for (place, trial) in running.iter().enumerate() {
            observer.begin(trial, number, rung, place + 1);
            let Some(mut result) = attempt(trial, rung.epochs, build, observer)? else {
                interrupted = true;
                break 'search;
            };
            result.rung = number;
            observer.end(&result);
            keep(&mut results, result);
        }
        results.sort_by(better_first);
        let scored = results.iter().filter(|r| r.rung == number && r.score.is_some());
        running = scored.map(|r| r.trial.clone()).collect();
    }
    results.sort_by(better_first);
    let outcome = TuneOutcome {
        results,
        rungs,
        interrupted,
    };
    match outcome.results.first() {
        Some(first) if outcome.best().is_none() && !interrupted => Err(TrainError::Setting(format!(
            "all {} trials failed, the first one so: {}",
            outcome.results.len(),
            first.failure.as_deref().unwrap_or("without a score")
        ))),
        _ => Ok(outcome),
    }
}

/// Puts a result in the place of the same trial's earlier one.
fn keep(results: &mut Vec<TrialResult>, mut result: TrialResult) {
    match results.iter_mut().find(|r| r.trial.index == result.trial.index) {
        Some(earlier) => {
            result.seconds += earlier.seconds;
            *earlier = result;
        }
        None => results.push(result),
    }
}

/// Those with a score before those without, higher rungs first, then by score, loss and index.
fn better_first(a: &TrialResult, b: &TrialResult) -> std::cmp::Ordering {
    let loss = |r: &TrialResult| r.loss.unwrap_or(f64::INFINITY);
    let score = |r: &TrialResult| r.score.unwrap_or(f64::NEG_INFINITY);
    (b.score.is_some().cmp(&a.score.is_some()))
        .then(b.rung.cmp(&a.rung))
        .then(score(b).total_cmp(&score(a)))
        .then(loss(a).total_cmp(&loss(b)))
        .then(a.trial.index.cmp(&b.trial.index))
}

/// Hands a trial's epochs on to the observer of the search.
struct Watch<'a> {
    trial: &'a Trial,
    observer: &'a mut dyn TuneObserver,
}

impl Observer for Watch<'_> {
    fn step(&mut self, _report: &StepReport) {}
    fn epoch(&mut self, record: &EpochRecord) {
        self.observer.epoch(self.trial, record);
    }
    fn interrupted(&self) -> bool {
        self.observer.interrupted()
    }
}

/// One run of a trial; `None` if it was interrupted.
fn attempt(
    trial: &Trial,
    epochs: usize,
    build: &mut Build<'_>,
    observer: &mut dyn TuneObserver,
) -> Result<Option<TrialResult>, TrainError> {
    let started = Instant::now();
    let mut result = TrialResult {
        trial: trial.clone(),
        rung: 0,
        epochs,
        score: None,
        loss: None,
        best_epoch: 0,
        parameters: 0,
        seconds: 0.0,
        failure: None,
    };
    let trained = build(trial, epochs).and_then(|(mut trainer, run)| {
        if run.validation.as_ref().is_none_or(data::Loader::is_empty) {
            return Err(no_validation());
        }
        result.parameters = trainer.network.model().trainable_count();
        fit(&mut trainer, &run, None, &mut Watch { trial, observer })
    });
    match trained {
        Ok(outcome) if outcome.ending == Ending::Interrupted => return Ok(None),
        Ok(outcome) => {
            let best = outcome.history.iter().find(|r| r.epoch == outcome.best_epoch);
            result.score = best.and_then(|r| r.validation_score).filter(|s| s.is_finite());
            result.loss = best.and_then(|r| r.validation_loss);
            result.best_epoch = outcome.best_epoch;
            if result.score.is_none() {
                result.failure = Some("the validation score is not a number".into());
            }
        }
        Err(error) => result.failure = Some(failure_of_trial(error)?),
    }
    result.seconds = started.elapsed().as_secs_f64();
    Ok(Some(result))
}

fn no_validation() -> TrainError {
    // Not a setting of one trial: the search as a whole cannot be done.
    TrainError::Data(
        data::DataError::new(data::ErrorKind::Split, "validation set")
            .found("no sample")
            .expected("some, which the trials are compared on")
            .remedy("Give a share for validation or a list of roles."),
    )
}

/// What failed, where it is the trial's own doing; other errors end the search.
fn failure_of_trial(error: TrainError) -> Result<String, TrainError> {
    match error {
        TrainError::NotFinite { .. }
        | TrainError::Setting(_)
        | TrainError::Graph(_)
        | TrainError::Engine(_)
        | TrainError::Attack(_)
        | TrainError::Architecture(_) => Ok(error.to_string()),
        TrainError::Data(_)
        | TrainError::ModelFile(_)
        | TrainError::Io { .. }
        | TrainError::Resume { .. } => Err(error),
    }
}

#[cfg(test)]
mod tests;
