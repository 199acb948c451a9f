//! The loop: epochs of steps, validation, checkpoints, and when to stop.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use data::{Batch, Loader, LoaderOptions, TargetKind};
use interchange::ModelFile;

use crate::checkpoint::{EpochSums, Position};
use crate::evaluate::{argmax, score};
use crate::observer::{Ending, EpochRecord, Observer, Outcome, StepReport};
use crate::{Settings, TrainError, Trainer, checkpoint};

/// Seconds that lie at least between the checkpoints at the ends of epochs.
const EPOCH_SECONDS: f64 = 1.0;

/// What a run learns from and where it keeps its state.
pub struct Run {
    /// Training batches, shuffled.
    pub train: Loader,
    /// Validation batches, if there is a validation set.
    pub validation: Option<Loader>,
    /// Where checkpoints go; `None` keeps nothing on disk.
    pub files: Option<RunFiles>,
}

/// The two model files of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFiles {
    /// The best epoch so far, a model file.
    pub best: PathBuf,
    /// The last state, a checkpoint.
    pub last: PathBuf,
}

/// Loader options for the training set: full batches only, once there are many of them, so that batch
/// statistics are never taken over a few samples.
pub fn training_loader_options(settings: &Settings, samples: usize) -> LoaderOptions {
    LoaderOptions {
        batch: settings.batch.min(samples.max(1)),
        shuffle: !settings.overfit_one_batch,
        seed: settings.seed,
        drop_last: samples >= 10 * settings.batch,
        threads: settings.loader_threads,
        ..LoaderOptions::default()
    }
}

/// Where the loop stands.
struct State {
    position: Position,
    best: Option<EpochRecord>,
    best_epoch: usize,
    saved: Instant,
    /// Whether the state has changed since.
    unsaved: bool,
}

/// Trains until the epochs are done, patience runs out or the observer interrupts. With files, the best
/// state is always on disk, and a late one: that of the last epoch's end, of the last second at most where
/// epochs are shorter, or as old as the settings allow within an epoch; a run that was interrupted or killed goes on from `last`
/// when `resume` is given what was read from it, and ends with the same bits.
///
/// # Errors
/// What reading, computing or saving ran into; [`TrainError::NotFinite`] keeps the last good files.
pub fn fit(
    trainer: &mut Trainer,
    run: &Run,
    resume: Option<&ModelFile>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let started = Instant::now();
    let mut state = begin(trainer, run, resume)?;
    let ending = epochs(trainer, run, &mut state, observer)?;
    save(trainer, run, &mut state)?;
    Ok(outcome(state, ending, started.elapsed()))
}

/// Epoch after epoch, until something ends them.
fn epochs(
    trainer: &mut Trainer,
    run: &Run,
    state: &mut State,
    observer: &mut dyn Observer,
) -> Result<Ending, TrainError> {
    let settings = trainer.settings().clone();
    while state.position.epoch < settings.epochs {
        let epoch_started = Instant::now();
        if let Some(ending) = train_epoch(trainer, run, state, observer)? {
            return Ok(ending);
        }
        finish_epoch(trainer, run, state, observer, epoch_started.elapsed())?;
        let waited = state.position.epoch - state.best_epoch;
        if settings.patience.is_some_and(|patience| waited >= patience) && run.validation.is_some() {
            return Ok(Ending::StoppedEarly);
        }
        if observer.interrupted() && state.position.epoch < settings.epochs {
            return Ok(Ending::Interrupted);
        }
    }
    Ok(Ending::Finished)
}

fn begin(trainer: &mut Trainer, run: &Run, resume: Option<&ModelFile>) -> Result<State, TrainError> {
    let position = match resume {
        Some(file) => {
            let path = run.files.as_ref().map(|f| f.last.clone()).unwrap_or_default();
            checkpoint::restore(trainer, file, &path)?
        }
        None => Position {
            epoch: 0,
            batch: 0,
            step: 0,
            sums: EpochSums::default(),
            scheduler: trainer.scheduler.clone(),
            history: Vec::new(),
            settings: trainer.settings().clone(),
        },
    };
    let best = position.history.iter().rfind(|r| r.best);
    let (best, best_epoch) = (best.cloned(), best.map_or(0, |r| r.epoch));
    let mut state = State {
        position,
        best,
        best_epoch,
        saved: Instant::now(),
        unsaved: resume.is_none(),
    };
    save(trainer, run, &mut state)?;
    Ok(state)
}

/// Whether an epoch is better than the best so far: by validation score, on a tie by validation loss;
/// without a validation set by training loss.
fn is_better(record: &EpochRecord, best: &EpochRecord) -> bool {
    let loss = |r: &EpochRecord| r.validation_loss.unwrap_or(r.train_loss);
    match record.validation_score.partial_cmp(&best.validation_score) {
        Some(std::cmp::Ordering::Greater) => true,
        Some(std::cmp::Ordering::Equal) => loss(record) < loss(best),
        _ => false,
    }
}

fn outcome(state: State, ending: Ending, elapsed: Duration) -> Outcome {
    Outcome {
        ending,
        history: state.position.history,
        best_epoch: state.best_epoch,
        elapsed,
    }
}

/// Writes the checkpoint, unless it is written already.
fn save(trainer: &Trainer, run: &Run, state: &mut State) -> Result<(), TrainError> {
    if let Some(files) = run.files.as_ref().filter(|_| state.unsaved) {
        checkpoint::save(trainer, &state.position, &files.last)?;
    }
    (state.saved, state.unsaved) = (Instant::now(), false);
    Ok(())
}

/// The rest of the epoch at hand; `Some` if the observer stopped it.
fn train_epoch(
    trainer: &mut Trainer,
    run: &Run,
    state: &mut State,
    observer: &mut dyn Observer,
) -> Result<Option<Ending>, TrainError> {
    let settings = trainer.settings().clone();
    let batches = run.train.batches();
    let epoch = state.position.epoch + 1;
    if trainer.begin_epoch(epoch)? {
        observer.note(&format!(
            "epoch {epoch}: training begins at `{}` now, {} numbers",
            trainer.first_block(),
            trainer.training_count()
        ));
    }
    let mut source = run
        .train
        .epoch(state.position.epoch as u64)
        .from_batch(state.position.batch);
    // Learning one batch by heart means the same batch in every step.
    let only = if settings.overfit_one_batch {
        run.train.epoch(0).next().transpose()?
    } else {
        None
    };
    while state.position.batch < batches {
        let fresh;
        let batch = match &only {
            Some(batch) => batch,
            None => match source.next().transpose()? {
                Some(next) => {
                    fresh = next;
                    &fresh
                }
                None => break,
            },
        };
        let report = train_batch(trainer, run, state, batch, batches)?;
        observer.step(&report);
        if observer.interrupted() && state.position.batch < batches {
            return Ok(Some(Ending::Interrupted));
        }
        if state.saved.elapsed().as_secs_f64() > settings.checkpoint_seconds {
            save(trainer, run, state)?;
        }
    }
    Ok(None)
}

fn train_batch(
    trainer: &mut Trainer,
    run: &Run,
    state: &mut State,
    batch: &Batch,
    batches: usize,
) -> Result<StepReport, TrainError> {
    let epoch = state.position.epoch + 1;
    let result = trainer.step(batch, epoch)?;
    let correct = correct(trainer, batch, run.train.target_kind());
    let position = &mut state.position;
    position.sums.add(result.loss, batch.size, correct);
    state.unsaved = true;
    position.batch += 1;
    position.step = trainer.step_count();
    position.scheduler = trainer.scheduler.clone();
    Ok(StepReport {
        step: position.step,
        epoch,
        batch: (position.batch, batches),
        samples: position.sums.samples,
        loss: result.loss,
        learning_rate: result.learning_rate as f32,
        steps_left: trainer.total_steps().saturating_sub(position.step),
    })
}

/// Samples of the batch whose class the step's own outputs had right.
fn correct(trainer: &Trainer, batch: &Batch, kind: TargetKind) -> usize {
    let Some(output) = trainer.last_output(batch.size) else {
        return 0;
    };
    let width = output.len() / batch.size.max(1);
    let class = |row: &[f32]| {
        if width == 1 {
            usize::from(row[0] >= 0.0)
        } else {
            argmax(row)
        }
    };
    match kind {
        TargetKind::ClassIndex => {
            let rows = output.chunks(width).zip(&batch.targets);
            rows.filter(|(row, t)| class(row) == **t as usize).count()
        }
        TargetKind::ClassProbabilities => {
            let rows = output.chunks(width).zip(batch.targets.chunks(width));
            rows.filter(|(row, t)| argmax(row) == argmax(t)).count()
        }
        TargetKind::MultiLabel | TargetKind::Values => 0,
    }
}

/// Validation, the record, the best model and the checkpoint.
fn finish_epoch(
    trainer: &mut Trainer,
    run: &Run,
    state: &mut State,
    observer: &mut dyn Observer,
    elapsed: Duration,
) -> Result<(), TrainError> {
    let started = Instant::now();
    let validation = match &run.validation {
        Some(loader) => {
            let predictions = trainer.validate(loader)?;
            Some(score(&predictions, trainer.network.task()))
        }
        None => None,
    };
    let sums = state.position.sums;
    let classes = matches!(
        run.train.target_kind(),
        TargetKind::ClassIndex | TargetKind::ClassProbabilities
    );
    trainer
        .scheduler
        .observe(validation.map_or(sums.mean_loss(), |v| v.loss));
    let at = nn::Progress {
        step: trainer.step_count().saturating_sub(1),
        total_steps: trainer.total_steps(),
        steps_per_epoch: run.train.batches() as u64,
    };
    let mut record = EpochRecord {
        epoch: state.position.epoch + 1,
        step: trainer.step_count(),
        learning_rate: trainer.scheduler.rate(at) as f32,
        train_loss: sums.mean_loss(),
        train_accuracy: classes.then(|| sums.correct as f64 / sums.samples.max(1) as f64),
        validation_loss: validation.map(|v| v.loss),
        validation_score: validation.map(|v| v.score),
        best: false,
        seconds: (elapsed + started.elapsed()).as_secs_f64(),
    };
    record.best = state.best.as_ref().is_none_or(|best| is_better(&record, best));
    if record.best {
        (state.best, state.best_epoch) = (Some(record.clone()), record.epoch);
        if let Some(files) = &run.files {
            trainer.finished()?.write(&files.best)?;
        }
    }
    observer.epoch(&record);
    let position = &mut state.position;
    position.history.push(record);
    (position.epoch, position.batch, position.sums) = (position.epoch + 1, 0, EpochSums::default());
    position.scheduler = trainer.scheduler.clone();
    state.unsaved = true;
    // Epochs may be shorter than it takes to write the state; what is lost then is soon done again.
    if state.saved.elapsed().as_secs_f64() > EPOCH_SECONDS.min(trainer.settings().checkpoint_seconds) {
        save(trainer, run, state)?;
    }
    Ok(())
}
