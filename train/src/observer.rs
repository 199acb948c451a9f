//! What a run tells while it goes on, and how it is stopped.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One training step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Step of the whole run, counted from 1.
    pub step: u64,
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Batch within the epoch, counted from 1, and how many there are.
    pub batch: (usize, usize),
    /// Samples seen in this epoch so far.
    pub samples: usize,
    /// Loss of the batch.
    pub loss: f32,
    /// Learning rate of the step.
    pub learning_rate: f32,
    /// Training steps left in the run, if nothing stops it early.
    pub steps_left: u64,
}

/// One finished epoch: a row of `metrics.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Steps of the run so far.
    pub step: u64,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f32,
    /// Mean training loss over the epoch's batches.
    pub train_loss: f64,
    /// Training accuracy over the epoch's batches, for classes.
    pub train_accuracy: Option<f64>,
    /// Validation loss, where there is a validation set.
    pub validation_loss: Option<f64>,
    /// Validation score: accuracy for classes, R² for numbers.
    pub validation_score: Option<f64>,
    /// Whether this is the best epoch so far.
    pub best: bool,
    /// Seconds spent, evaluation included. Not part of what resuming reproduces.
    pub seconds: f64,
}

/// Watches a run.
pub trait Observer {
    /// After each step.
    fn step(&mut self, _report: &StepReport) {}
    /// After each epoch.
    fn epoch(&mut self, _record: &EpochRecord) {}
    /// Something a person should know.
    fn note(&mut self, _text: &str) {}
    /// Asked after each step: whether to save and stop now.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Watches nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// All epochs were done.
    Finished,
    /// The validation score stopped improving (curriculum row R3).
    StoppedEarly,
    /// The observer asked to stop; the run can be resumed.
    Interrupted,
}

/// A finished or interrupted run.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// Every epoch, also those before a resume.
    pub history: Vec<EpochRecord>,
    /// The best epoch, counted from 1.
    pub best_epoch: usize,
    /// Wall-clock time of this process's part.
    pub elapsed: Duration,
}
