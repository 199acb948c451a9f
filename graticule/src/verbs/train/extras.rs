//! Work on request around a run: learning-rate search, optimizer race (O8), score against data size (S12) and against the
//! share of wrong labels (S21).

use nn::{Optimizer, Rule, Schedule};
use train::lr_finder::{LrCurve, LrSearch, find_learning_rate};
use train::{Ending, Observer, Settings, TrainError, Trainer, fit};

use super::progress::Interrupt;
use super::setup::Plan;
use crate::error::Outcome;
use crate::evaluation::{Metrics, evaluate, final_role, part};
use crate::output::Output;
use crate::report::{DataSizes, Race, WrongLabels};
use crate::text::{number, percent, thousands};

/// Epochs of a race, unless they are few steps.
const RACE_EPOCHS: usize = 10;
/// Steps that a race should have at least.
const RACE_STEPS: usize = 1000;
/// Shares of the training samples.
const SHARES: [f64; 5] = [0.05, 0.1, 0.25, 0.5, 1.0];

/// Listens for Ctrl-C and tells nothing.
pub(super) struct Listening<'a>(pub &'a Interrupt);

impl Observer for Listening<'_> {
    fn interrupted(&self) -> bool {
        self.0.asked()
    }
}

/// Lets the learning rate grow from step to step until the loss explodes, and puts everything back.
pub fn search_rate(plan: &Plan, out: &Output) -> Outcome<LrCurve> {
    out.note("looking for a learning rate …");
    let (mut trainer, run) = plan.start(plan.network()?, &plan.file.settings, &plan.dataset.splits.train)?;
    Ok(find_learning_rate(
        &mut trainer,
        &run.train,
        &LrSearch::default(),
    )?)
}

/// Trains with each optimizer at its own usual learning rate, from the same weights over the same batches.
pub fn race(
    plan: &Plan,
    optimizers: &[Optimizer],
    interrupt: &Interrupt,
    out: &Output,
) -> Outcome<Option<Race>> {
    let batches = plan.file.samples.train.div_ceil(plan.file.settings.batch).max(1);
    let epochs = RACE_EPOCHS
        .max(RACE_STEPS.div_ceil(batches))
        .min(plan.file.settings.epochs);
    let mut runners = Vec::new();
    for &optimizer in optimizers {
        let learning_rate = optimizer.default_learning_rate();
        let settings = Settings {
            optimizer,
            learning_rate,
            schedule: Schedule::Constant,
            epochs,
            patience: None,
            ..plan.file.settings.clone()
        };
        let name = format!("{}, {}", title(&optimizer), number(learning_rate));
        out.note(format!("race: {name}"));
        let (mut trainer, run) = plan.start(plan.network()?, &settings, &plan.dataset.splits.train)?;
        let mut losses = Losses {
            losses: Vec::new(),
            interrupt,
        };
        match fit(&mut trainer, &run, None, &mut losses) {
            Ok(outcome) if outcome.ending == Ending::Interrupted => return Ok(None),
            Ok(_) | Err(TrainError::NotFinite { .. }) => runners.push((name, losses.losses)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(Race { runners }))
}

fn title(optimizer: &Optimizer) -> String {
    match optimizer.rule {
        Rule::Sgd { momentum, .. } if momentum > 0.0 => {
            format!("{} with momentum {momentum}", optimizer.name())
        }
        _ => optimizer.name().to_string(),
    }
}

/// Keeps the training loss of each epoch.
struct Losses<'a> {
    losses: Vec<f64>,
    interrupt: &'a Interrupt,
}

impl Observer for Losses<'_> {
    fn epoch(&mut self, record: &train::EpochRecord) {
        self.losses.push(record.train_loss);
    }

    fn interrupted(&self) -> bool {
        self.interrupt.asked()
    }
}

/// Trains from scratch on growing shares of the training samples, for as many steps each, and scores on the final role.
pub fn data_sizes(plan: &Plan, interrupt: &Interrupt, out: &Output) -> Outcome<Option<DataSizes>> {
    let all = &plan.dataset.splits.train;
    let role = final_role(&plan.dataset);
    let mut points = Vec::new();
    for share in SHARES {
        let count = ((all.len() as f64 * share).round() as usize).clamp(1, all.len());
        // Samples may stand in the order of their classes, so that every so-many-th is taken.
        let indices: Vec<usize> = (0..count).map(|k| all[k * all.len() / count]).collect();
        let epochs = (plan.file.settings.epochs as f64 / share).round() as usize;
        let settings = Settings {
            epochs,
            patience: None,
            ..plan.file.settings.clone()
        };
        out.note(format!("data size: {} training samples", thousands(count)));
        let (mut trainer, run) = plan.start(plan.network()?, &settings, &indices)?;
        let outcome = fit(&mut trainer, &run, None, &mut Listening(interrupt))?;
        if outcome.ending == Ending::Interrupted {
            return Ok(None);
        }
        points.push((count, score(plan, trainer)?));
    }
    let what = if plan.dataset.task.classes().is_some() {
        "accuracy"
    } else {
        "R²"
    };
    Ok(Some(DataSizes {
        score: format!("{} {what}", role.name()),
        points,
    }))
}

/// Trains from scratch with growing shares of wrong labels, and scores on the final role, whose labels are right (row S21).
pub fn wrong_labels(
    plan: &Plan,
    shares: &[f64],
    interrupt: &Interrupt,
    out: &Output,
) -> Outcome<Option<WrongLabels>> {
    let mut points = Vec::new();
    for &share in shares {
        let poisoned = plan.with_wrong_labels(share)?;
        out.note(format!("wrong labels: {}", percent(share)));
        let samples = &poisoned.dataset.splits.train;
        let (mut trainer, run) = poisoned.start(poisoned.network()?, &plan.file.settings, samples)?;
        let outcome = fit(&mut trainer, &run, None, &mut Listening(interrupt))?;
        if outcome.ending == Ending::Interrupted {
            return Ok(None);
        }
        points.push((share, score(plan, trainer)?));
    }
    Ok(Some(WrongLabels {
        score: format!("{} accuracy", final_role(&plan.dataset).name()),
        points,
    }))
}

fn score(plan: &Plan, trainer: Trainer) -> Outcome<f64> {
    let mut network = trainer.into_network().whole()?;
    let role = part(&plan.dataset, final_role(&plan.dataset));
    let evaluation = evaluate(
        &mut network,
        &plan.dataset,
        role,
        plan.file.settings.loader_threads,
    )?;
    Ok(score_of(&evaluation.metrics))
}

/// Accuracy for classes, the mean R² for numbers.
pub(super) fn score_of(metrics: &Metrics) -> f64 {
    match metrics {
        Metrics::Classification { scores, .. } => scores.accuracy,
        Metrics::MultiLabel { scores, .. } => scores.accuracy,
        Metrics::Regression { targets, .. } => {
            targets.iter().map(|(_, errors)| errors.r_squared).sum::<f64>() / targets.len().max(1) as f64
        }
    }
}
