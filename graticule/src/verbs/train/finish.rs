//! The end of a run: the best network on samples it has not seen, the report, the last words.

use std::path::PathBuf;

use serde::Serialize;
use train::{Ending, Network};

use super::{Done, Session};
use crate::error::{Context, Outcome};
use crate::evaluation::{Evaluation, Metrics, evaluate, final_role};
use crate::text::duration;

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
    report: Option<PathBuf>,
}

/// Evaluates, reports and says so.
pub fn finish(session: &Session, done: Done) -> Outcome {
    let Done { trainer, outcome, .. } = done;
    let plan = session.plan;
    let engine = plan.engine.clone();
    drop(trainer);
    let best = session.folder.best_path();
    let mut network = Network::load(&engine, &best)?;
    let role = final_role(&plan.dataset);
    let evaluation = evaluate(&mut network, &plan.dataset, role, plan.file.settings.loader_threads)?;
    let report = None;
    tell(session, &outcome, &evaluation, report)
}

fn tell(session: &Session, outcome: &train::Outcome, evaluation: &Evaluation, report: Option<PathBuf>) -> Outcome {
    let out = session.out;
    let (ending, epochs) = (outcome.ending, outcome.history.len());
    let how = match ending {
        Ending::StoppedEarly => "stopped early",
        _ => "finished",
    };
    let role = evaluation.role.name();
    let mut lines = vec![format!(
        "{how} after {epochs} epochs in {}; best epoch {}",
        duration(outcome.elapsed.as_secs_f64()),
        outcome.best_epoch
    )];
    let told = evaluation.metrics.told();
    lines.extend(told.iter().map(|(name, value)| format!("{role} {name:<15} {value}")));
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
        seconds: outcome.elapsed.as_secs_f64(),
        parameters: session.plan.model.trainable_count(),
        role,
        metrics: &evaluation.metrics,
        report,
    })
    .at("result")
}
