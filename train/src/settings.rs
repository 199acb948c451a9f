//! Every setting of a run, as it stands in `run.toml`.

use nn::{GradientClipping, Loss, Optimizer, Penalty, Schedule};
use serde::{Deserialize, Serialize};

use crate::Adversarial;
use crate::transfer::Transfer;

/// All that decides how a network is trained, besides the data and the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Seed of initial weights, shuffling, augmentation and dropout.
    pub seed: u64,
    /// Times that the training set is gone through.
    pub epochs: usize,
    /// Samples in a batch.
    pub batch: usize,
    /// The learning rate that the schedule scales.
    pub learning_rate: f64,
    /// What is made small.
    pub loss: Loss,
    /// The rule of descent and its weight decay.
    pub optimizer: Optimizer,
    /// The learning rate over the run.
    pub schedule: Schedule,
    /// L1 and L2 penalties on the weights.
    #[serde(default)]
    pub penalty: Penalty,
    /// Limits on the gradients.
    #[serde(default)]
    pub clipping: Option<GradientClipping>,
    /// Epochs without a better validation score after which the run stops (row R3).
    #[serde(default)]
    pub patience: Option<usize>,
    /// Whether to see nothing but the first batch, over and over: a sound network learns it by heart.
    #[serde(default)]
    pub overfit_one_batch: bool,
    /// Defence against small changes of the pictures: each step learns from attacked ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adversarial: Option<Adversarial>,
    /// Threads that prepare batches; the bits do not depend on it.
    #[serde(default)]
    pub loader_threads: usize,
    /// Each auxiliary head's share of the loss: the model's outputs behind the first, which serve training alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auxiliary: Vec<f64>,
    /// What is done with a pretrained trunk (rows O18, O19); none where the whole network learns alike.
    #[serde(default)]
    pub transfer: Option<Transfer>,
    /// Seconds between two checkpoints inside an epoch.
    #[serde(default = "every")]
    pub checkpoint_seconds: f64,
}

fn every() -> f64 {
    30.0
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            epochs: 20,
            batch: 64,
            learning_rate: 2e-3,
            loss: Loss::cross_entropy(),
            optimizer: Optimizer::adamw(),
            schedule: Schedule::one_cycle(),
            penalty: Penalty::default(),
            clipping: None,
            patience: None,
            overfit_one_batch: false,
            adversarial: None,
            loader_threads: 1,
            auxiliary: Vec::new(),
            transfer: None,
            checkpoint_seconds: every(),
        }
    }
}
