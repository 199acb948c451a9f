//! Checkpoints: all that a run needs to go on as if it had never stopped.

use std::path::Path;

use interchange::{ModelFile, Tensor};
use nn::Scheduler;
use serde::{Deserialize, Serialize};

use crate::{EpochRecord, Settings, TrainError, Trainer};

/// Where a run stands, beside its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The epoch at hand, from 0.
    pub epoch: usize,
    /// Batches of it that are done.
    pub batch: usize,
    /// Steps done.
    pub step: u64,
    /// Sums over the epoch at hand.
    pub sums: EpochSums,
    /// The schedule's memory.
    pub scheduler: Scheduler,
    /// Finished epochs.
    pub history: Vec<EpochRecord>,
    /// The settings, which must be the same to go on.
    pub settings: Settings,
}

/// Sums over the batches of an unfinished epoch. Floats are kept as their bits, so that nothing is
/// lost in writing them down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochSums {
    loss: u64,
    /// Samples seen.
    pub samples: usize,
    /// Samples whose class was guessed right.
    pub correct: usize,
}

impl EpochSums {
    /// Adds a batch with this mean loss.
    pub fn add(&mut self, loss: f32, samples: usize, correct: usize) {
        self.loss = (f64::from_bits(self.loss) + f64::from(loss) * samples as f64).to_bits();
        self.samples += samples;
        self.correct += correct;
    }

    /// Mean loss over the samples.
    pub fn mean_loss(&self) -> f64 {
        f64::from_bits(self.loss) / self.samples.max(1) as f64
    }
}

/// The names of the optimizer's memory in a checkpoint.
fn slot_name(slot: usize) -> String {
    format!("optimizer.{slot}")
}

/// Writes parameters, optimizer memory and position, by way of a temporary name.
///
/// # Errors
/// When the file cannot be written; an earlier checkpoint is then still whole.
pub fn save(trainer: &Trainer, position: &Position, path: &Path) -> Result<(), TrainError> {
    let mut file = trainer.network.to_file()?;
    file.state = serde_json::to_value(position)
        .map_err(|e| TrainError::Setting(format!("the run's position cannot be written: {e}")))?;
    for (slot, buffer) in trainer.memory().iter().enumerate() {
        file.extras.push(Tensor {
            name: slot_name(slot),
            shape: vec![buffer.len()],
            values: buffer.to_vec(),
        });
    }
    file.write(path)?;
    Ok(())
}

/// Reads the position out of a checkpoint, without the numbers.
///
/// # Errors
/// [`TrainError::Resume`] when the file is a finished model, not a checkpoint.
pub fn position(file: &ModelFile, path: &Path) -> Result<Position, TrainError> {
    serde_json::from_value(file.state.clone()).map_err(|e| TrainError::Resume {
        path: path.into(),
        reason: format!("it holds no training state of this version ({e})"),
    })
}

/// Puts a checkpoint's numbers into a trainer that was made with the same settings.
///
/// # Errors
/// [`TrainError::Resume`] when settings or optimizer memory do not fit.
pub fn restore(trainer: &mut Trainer, file: &ModelFile, path: &Path) -> Result<Position, TrainError> {
    let refuse = |reason: String| TrainError::Resume {
        path: path.into(),
        reason,
    };
    let position = position(file, path)?;
    if position.settings != *trainer.settings() {
        return Err(refuse("the run was made with other settings".into()));
    }
    for tensor in &file.tensors {
        trainer
            .network
            .parameters_mut()
            .set(&tensor.name, &tensor.values)?;
    }
    for (slot, buffer) in trainer.memory_mut().iter_mut().enumerate() {
        let tensor = file
            .extra(&slot_name(slot))
            .filter(|t| t.values.len() == buffer.len());
        let tensor = tensor.ok_or_else(|| {
            refuse(format!(
                "the optimizer's memory {slot} is missing or of another size"
            ))
        })?;
        buffer.copy_from_slice(&tensor.values);
    }
    trainer.step = position.step;
    trainer.scheduler = position.scheduler.clone();
    Ok(position)
}
