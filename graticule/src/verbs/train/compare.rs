//! A pretrained network trained in several ways, side by side (rows O18, O19, O20): from its shallow, middle and deep
//! blocks on, block by block, on features; and training from scratch, for the same epochs and for the same time.

use std::path::PathBuf;

use train::transfer::{Start, Transfer, TransferMode};
use train::{Ending, Network, RunFiles, Settings, fit};

use super::defaults::Defaults;
use super::extras::{Listening, score_of};
use super::setup::Plan;
use super::{Args, Session, transfer};
use crate::clock::{Spent, Stopwatch};
use crate::error::{Context, Outcome};
use crate::evaluation::{Evaluation, evaluate, final_role, part};
use crate::report::{StartRow, Starts, as_long_as};

/// What is compared with the run itself, which fine-tunes from the shallow start.
const OTHERS: [(&str, TransferMode, Start); 4] = [
    ("middle start", TransferMode::Finetune, Start::Middle),
    ("deep start", TransferMode::Finetune, Start::Deep),
    ("gradual", TransferMode::Gradual, Start::Shallow),
    ("features", TransferMode::Features, Start::Head),
];
/// Epochs that training from scratch gets at most in the time of another row.
const MOST_EPOCHS: usize = 10_000;

/// Trains in the other ways and sets them beside the run; `None` if Ctrl-C cut it off.
pub fn starts(
    session: &Session,
    (args, source): (&Args, &str),
    (outcome, spent): (&train::Outcome, Spent),
    evaluation: &Evaluation,
) -> Outcome<Option<Starts>> {
    let plan = session.plan;
    let settings = &plan.file.settings;
    let mut rows = vec![StartRow {
        name: "shallow start".into(),
        trained: plan.model.trainable_count(),
        epochs: outcome.history.len(),
        spent,
        pretrained: true,
        validation: validation(outcome),
        score: score_of(&evaluation.metrics),
    }];
    let trunk_rate = settings.transfer.map_or(1.0, |t| t.trunk_rate);
    for (name, mode, start) in OTHERS {
        if mode == TransferMode::Gradual && settings.epochs < 2 {
            continue;
        }
        let how = Transfer {
            mode,
            trunk_rate,
            start,
        };
        match pretrained(session, name, how)? {
            Some(row) => rows.push(row),
            None => return Ok(None),
        }
    }
    for row in scratch(session, args, source, &rows)? {
        match row {
            Some(row) => rows.push(row),
            None => return Ok(None),
        }
    }
    let what = if plan.dataset.task.classes().is_some() {
        "accuracy"
    } else {
        "R²"
    };
    Ok(Some(Starts {
        score: format!("{} {what}", evaluation.part),
        validation: format!("validation {what}"),
        rows,
    }))
}

/// The validation score of the epoch that was kept.
fn validation(outcome: &train::Outcome) -> Option<f64> {
    let best = outcome.history.get(outcome.best_epoch.saturating_sub(1));
    best.and_then(|record| record.validation_score)
}

/// One way to train the pretrained network.
fn pretrained(session: &Session, name: &str, how: Transfer) -> Outcome<Option<StartRow>> {
    let plan = session.plan;
    session.out.note(format!("comparison: {name}"));
    let clock = Stopwatch::start();
    let mut settings = Settings {
        transfer: Some(how),
        ..plan.file.settings.clone()
    };
    let network = plan.network()?;
    let kept = match how.mode {
        TransferMode::Features => {
            // A head on features has settings of its own, as it has when it is all that is asked for.
            let mut defaults = Defaults {
                model: "",
                settings: settings.clone(),
                augment: data::Augment::default(),
            };
            transfer::adapt(&mut defaults, Some(how), plan.file.samples.train);
            settings = defaults.settings;
            let splits = &plan.dataset.splits;
            let all = [&splits.train[..], &splits.validation].concat();
            let going = || !session.interrupt.asked();
            Some(plan.features_of(&network, how, &all, &going, session.out)?)
        }
        _ => None,
    };
    let row = one(session, plan, (network, settings, kept.as_ref()), clock)?;
    Ok(row.map(|row| StartRow {
        name: name.into(),
        pretrained: true,
        ..row
    }))
}

/// From scratch: the same network for as many epochs; the network that fits the data as it would train by itself; and
/// this one for as long as the best of the pretrained rows took.
fn scratch(
    session: &Session,
    args: &Args,
    source: &str,
    rows: &[StartRow],
) -> Outcome<Vec<Option<StartRow>>> {
    let plan = session.plan;
    let fresh = |plan: &Plan, settings: Settings, name: String| {
        session.out.note(format!("comparison: {name}"));
        let (clock, network) = (Stopwatch::start(), plan.fresh_network()?);
        let row = one(session, plan, (network, settings, None), clock)?;
        Ok::<_, crate::error::Failure>(row.map(|row| StartRow { name, ..row }))
    };
    let same = Settings {
        transfer: None,
        ..plan.file.settings.clone()
    };
    let mut found = vec![fresh(
        plan,
        same,
        format!("{} from scratch, same epochs", plan.model.name()),
    )?];
    let own = Plan::from_scratch(args, source, plan.engine.clone())?;
    let (name, settings) = (&own.file.model, &own.file.settings);
    let usual = fresh(&own, settings.clone(), format!("{name} from scratch"))?;
    if let (Some(usual), Some(best)) = (&usual, Starts::best_of(rows, true)) {
        let epoch = usual.spent.comparable() / usual.epochs.max(1) as f64;
        let epochs = (best.spent.comparable() / epoch.max(1e-6)).round() as usize;
        let settings = Settings {
            epochs: epochs.clamp(1, MOST_EPOCHS),
            ..settings.clone()
        };
        let row = fresh(&own, settings, format!("{name}{}", as_long_as(best)))?;
        found.extend([Some(usual.clone()), row]);
    } else {
        found.push(usual);
    }
    Ok(found)
}

/// Trains, and scores the epoch that was best on the validation samples.
fn one(
    session: &Session,
    plan: &Plan,
    (network, settings, kept): (Network, Settings, Option<&train::transfer::Features>),
    clock: Stopwatch,
) -> Outcome<Option<StartRow>> {
    let train = &plan.dataset.splits.train;
    let (mut trainer, mut run) = plan.start_on(network, &settings, train, kept)?;
    let folder = Scratch::make(session.folder.path().join("comparison"))?;
    run.files = Some(RunFiles {
        best: folder.0.join("best.safetensors"),
        last: folder.0.join("last.safetensors"),
    });
    let outcome = fit(&mut trainer, &run, None, &mut Listening(&session.interrupt))?;
    let spent = clock.spent();
    if outcome.ending == Ending::Interrupted {
        return Ok(None);
    }
    let trained = trainer.training_count();
    drop((run, trainer));
    let mut network = Network::load(&plan.engine, &folder.0.join("best.safetensors"))?;
    let role = part(&plan.dataset, final_role(&plan.dataset));
    let evaluation = evaluate(&mut network, &plan.dataset, role, settings.loader_threads)?;
    Ok(Some(StartRow {
        name: String::new(),
        trained,
        epochs: outcome.history.len(),
        spent,
        pretrained: false,
        validation: validation(&outcome),
        score: score_of(&evaluation.metrics),
    }))
}

/// A folder that is removed when it is no longer needed.
struct Scratch(PathBuf);

impl Scratch {
    fn make(path: PathBuf) -> Outcome<Self> {
        std::fs::create_dir_all(&path).at(path.display())?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is in nobody's way.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
