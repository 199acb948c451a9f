//! The same network from several starts, side by side (row O20): trained from its shallow, middle and deep blocks on,
//! on features, and from scratch.

use std::time::Instant;

use train::transfer::{Start, Transfer, TransferMode};
use train::{Ending, Settings, fit};

use super::defaults::Defaults;
use super::extras::{Listening, score_of};
use super::{Session, transfer};
use crate::error::Outcome;
use crate::evaluation::{Evaluation, evaluate, final_role, part};
use crate::report::{StartRow, Starts};

/// What is compared with the run itself, which fine-tunes from the shallow start.
const OTHERS: [(&str, Option<(TransferMode, Start)>); 4] = [
    ("middle start", Some((TransferMode::Finetune, Start::Middle))),
    ("deep start", Some((TransferMode::Finetune, Start::Deep))),
    ("features", Some((TransferMode::Features, Start::Head))),
    ("from scratch", None),
];

/// Trains the other starts and sets them beside the run; `None` if Ctrl-C cut it off.
pub fn starts(
    session: &Session,
    outcome: &train::Outcome,
    evaluation: &Evaluation,
) -> Outcome<Option<Starts>> {
    let plan = session.plan;
    let settings = &plan.file.settings;
    let best = outcome.history.get(outcome.best_epoch.saturating_sub(1));
    let mut rows = vec![StartRow {
        name: "shallow start".into(),
        trained: plan.model.trainable_count(),
        epochs: outcome.history.len(),
        seconds: outcome.elapsed.as_secs_f64(),
        validation: best.and_then(|record| record.validation_score),
        score: score_of(&evaluation.metrics),
    }];
    let trunk_rate = settings.transfer.map_or(1.0, |t| t.trunk_rate);
    for (name, how) in OTHERS {
        session.out.note(format!("comparison: {name}"));
        let transfer = how.map(|(mode, start)| Transfer {
            mode,
            trunk_rate,
            start,
        });
        match one(session, name, transfer)? {
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

fn one(session: &Session, name: &str, how: Option<Transfer>) -> Outcome<Option<StartRow>> {
    let plan = session.plan;
    let started = Instant::now();
    let mut settings = Settings {
        transfer: how,
        ..plan.file.settings.clone()
    };
    let network = match how {
        Some(_) => plan.network()?,
        None => plan.fresh_network()?,
    };
    let going = || !session.interrupt.asked();
    let kept = match how.filter(|transfer| transfer.mode == TransferMode::Features) {
        None => None,
        Some(transfer) => {
            // A head on features has settings of its own, as it has when it is all that is asked for.
            let mut defaults = Defaults {
                model: "",
                settings: settings.clone(),
                augment: data::Augment::default(),
            };
            transfer::adapt(&mut defaults, Some(transfer), plan.file.samples.train);
            settings = defaults.settings;
            let splits = &plan.dataset.splits;
            let all = [&splits.train[..], &splits.validation].concat();
            Some(plan.features_of(&network, transfer, &all, &going, session.out)?)
        }
    };
    let train = &plan.dataset.splits.train;
    let (mut trainer, run) = plan.start_on(network, &settings, train, kept.as_ref())?;
    let trained = trainer.training_count();
    let outcome = fit(&mut trainer, &run, None, &mut Listening(&session.interrupt))?;
    let seconds = started.elapsed().as_secs_f64();
    if outcome.ending == Ending::Interrupted {
        return Ok(None);
    }
    drop(run);
    let mut network = trainer.into_network().whole()?;
    let role = part(&plan.dataset, final_role(&plan.dataset));
    let evaluation = evaluate(&mut network, &plan.dataset, role, settings.loader_threads)?;
    Ok(Some(StartRow {
        name: name.into(),
        trained,
        epochs: outcome.history.len(),
        seconds,
        validation: outcome.history.last().and_then(|record| record.validation_score),
        score: score_of(&evaluation.metrics),
    }))
}
