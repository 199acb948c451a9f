//! Training: the step, the loop, checkpoints, evaluation, the run folder and its trackers.
//!
//! A [`Network`] is a model with its numbers and preprocessing; a [`Trainer`] adds loss, optimizer and
//! backward graph; [`fit`] drives it over a [`Run`]'s loaders and tells an [`Observer`]. Everything is
//! reproducible: the same seed gives the same bits for any number of threads, and a run that was
//! killed goes on from its checkpoint to the same bits.

pub mod checkpoint;
mod diagnose;
mod error;
mod evaluate;
mod fit;
pub mod lr_finder;
mod network;
mod observer;
pub mod run_folder;
mod settings;
pub mod tensorboard;
mod trainer;
pub mod transfer;
pub mod tune;

pub use diagnose::LayerHealth;
pub use error::TrainError;
pub use evaluate::{Predictions, Score, argmax, predict, predict_changed, score};
pub use fit::{Run, RunFiles, fit, training_loader_options};
pub use lr_finder::{LrCurve, LrPoint, LrSearch, find_learning_rate};
pub use network::{Inference, Network};
pub use observer::{Ending, EpochRecord, Observer, Outcome, Silent, StepReport};
pub use settings::Settings;
pub use trainer::{Adversarial, PartTime, Pass, StepProfile, StepResult, Trainer};
