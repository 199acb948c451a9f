//! The end of a run: the best network on samples it has not seen, the report, the last words.

use std::path::PathBuf;

use graph::Binding;
use nn::model::summary;
use serde::Serialize;
use train::{Adversarial, Ending, LayerHealth, Network};

use super::{Done, Session, compare, extras};
use crate::attacking::accuracy_under;
use crate::compute::choice;
use crate::error::{Context, Outcome};
use crate::evaluation::{Evaluation, Metrics, evaluate, final_role, part};
use crate::report::{
    Extras, RunResults, Starts, WrongLabels, first_filters, measure_boundary, measure_saliency, run_report,
};
use crate::run_file::EngineChoice;
use crate::text::{columns, duration, percent};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Told<'a> {
    run: PathBuf,
    model: PathBuf,
    ending: Ending,
    epochs: usize,
    best_epoch: usize,
    seconds: f64,
    parameters: usize,
    /// The role that the metrics are of.
    role: &'static str,
    metrics: &'a Metrics,
    /// The starts of a pretrained network side by side.
    #[serde(skip_serializing_if = "Option::is_none")]
    starts: Option<Starts>,
    /// After adversarial training: the share of right answers under the attack that it defends against.
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy_under_attack: Option<f64>,
    /// Share of wrong training labels and the score on right ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong_labels: Option<Vec<(f64, f64)>>,
    learning_rate: f64,
    /// Threads, instruction set, precision asked for and used.
    engine: EngineChoice,
    report: Option<PathBuf>,
}

/// What was found out beside the metrics.
#[derive(Default)]
struct Measured {
    /// Size of the attack that a defended network was measured with, and its accuracy then.
    withstood: Option<(f32, f64)>,
    starts: Option<Starts>,
    wrong_labels: Option<WrongLabels>,
    report: Option<PathBuf>,
    /// Numbers of the finished network that training changed.
    parameters: usize,
}

/// Evaluates, reports and says so.
pub fn finish(session: &Session, done: Done) -> Outcome {
    let Done {
        mut trainer,
        run,
        outcome,
        spent,
    } = done;
    let plan = session.plan;
    let health = match run.train.epoch(0).next() {
        Some(batch) if session.report => trainer.diagnose(&batch?)?,
        _ => Vec::new(),
    };
    // Its programs and buffers are no longer needed.
    drop((trainer, run));
    let mut network = Network::load(&plan.engine, &session.folder.best_path())?;
    let role = final_role(&plan.dataset);
    let evaluation = evaluate(
        &mut network,
        &plan.dataset,
        part(&plan.dataset, role),
        plan.file.settings.loader_threads,
    )?;
    let starts = match session.compare {
        Some(asked) => compare::starts(session, asked, (&outcome, spent), &evaluation)?,
        None => None,
    };
    let (_, tested) = part(&plan.dataset, role);
    let withstood = match plan.file.settings.adversarial {
        Some(Adversarial { epsilon, .. }) => {
            let accuracy = accuracy_under(&mut network, &plan.dataset, tested, epsilon)?;
            Some((epsilon, accuracy))
        }
        None => None,
    };
    let mut measured = Measured {
        withstood,
        starts,
        parameters: network.model().trainable_count(),
        ..Measured::default()
    };
    if session.report {
        let (report, labels) = write_report(
            session,
            &outcome,
            &evaluation,
            network,
            (&health, &measured.starts),
        )?;
        (measured.report, measured.wrong_labels) = (Some(report), labels);
    }
    tell(session, &outcome, &evaluation, measured)
}

fn write_report(
    session: &Session,
    outcome: &train::Outcome,
    evaluation: &Evaluation,
    mut network: Network,
    (health, starts): (&[LayerHealth], &Option<Starts>),
) -> Outcome<(PathBuf, Option<WrongLabels>)> {
    let plan = session.plan;
    let table = summary(network.model(), &Binding::batch(1))?;
    let boundary = measure_boundary(&mut network, &plan.dataset)?;
    let extras = requested(session)?;
    let wrong_labels = extras.wrong_labels.clone();
    let report = run_report(&RunResults {
        run: session.folder.name(),
        file: &plan.file,
        dataset: &plan.dataset,
        history: &outcome.history,
        best_epoch: outcome.best_epoch,
        ending: outcome.ending,
        seconds: outcome.elapsed.as_secs_f64(),
        evaluation,
        summary: &table,
        filters: first_filters(&network),
        saliency: measure_saliency(&network, &plan.dataset, evaluation)?,
        boundary,
        health,
        extras: Extras {
            starts: starts.clone(),
            ..extras
        },
    })?;
    let path = session.folder.report_path();
    report.write(&path)?;
    Ok((path, wrong_labels))
}

/// The work on request; what Ctrl-C cuts off is left out, since the run itself is done.
fn requested(session: &Session) -> Outcome<Extras> {
    let Session {
        plan, interrupt, out, ..
    } = session;
    let race = match session.race {
        [] => None,
        optimizers => extras::race(plan, optimizers, interrupt, out)?,
    };
    let sizes = match session.data_sizes {
        true => extras::data_sizes(plan, interrupt, out)?,
        false => None,
    };
    let wrong_labels = match session.poisons {
        [] => None,
        shares => extras::wrong_labels(plan, shares, interrupt, out)?,
    };
    Ok(Extras {
        rates: session.rates.clone(),
        race,
        sizes,
        wrong_labels,
        starts: None,
    })
}

fn tell(session: &Session, outcome: &train::Outcome, evaluation: &Evaluation, measured: Measured) -> Outcome {
    let out = session.out;
    let (ending, epochs) = (outcome.ending, outcome.history.len());
    let how = match ending {
        Ending::StoppedEarly => "stopped early",
        _ => "finished",
    };
    let role = evaluation.part;
    let seconds = outcome.elapsed.as_secs_f64();
    let mut lines = vec![format!(
        "{how} after {epochs} epochs in {}; best epoch {}",
        duration(seconds),
        outcome.best_epoch
    )];
    let told = evaluation.metrics.told();
    lines.extend(
        told.iter()
            .map(|(name, value)| format!("{role} {name:<15} {value}")),
    );
    let Measured {
        withstood,
        starts,
        wrong_labels,
        report,
        parameters,
    } = measured;
    if let Some(starts) = &starts {
        let headers: Vec<String> = starts.headers().map(String::from).to_vec();
        lines.extend(columns(&[vec![headers], starts.cells()].concat()));
        lines.extend(starts.conclusion());
    }
    if let Some((size, accuracy)) = withstood {
        let told = percent(accuracy);
        lines.push(format!(
            "{role} accuracy under attack {told} (pgd, each pixel by up to {size})"
        ));
    }
    lines.extend(wrong_labels.iter().flat_map(|labels| columns(&labels.rows())));
    lines.push(format!("model  {}", session.folder.best_path().display()));
    lines.extend(report.as_ref().map(|path| format!("report {}", path.display())));
    for line in &lines {
        out.line(line)?;
        session.folder.log(line)?;
    }
    out.object(&Told {
        run: session.folder.path().to_path_buf(),
        model: session.folder.best_path(),
        ending,
        epochs,
        best_epoch: outcome.best_epoch,
        seconds,
        parameters,
        role,
        metrics: &evaluation.metrics,
        starts,
        accuracy_under_attack: withstood.map(|(_, accuracy)| accuracy),
        wrong_labels: wrong_labels.map(|labels| labels.points),
        learning_rate: session.plan.file.settings.learning_rate,
        engine: choice(&session.plan.engine),
        report,
    })
    .at("result")
}
