//! From plain results to the HTML report of a run or of an evaluation.
//!
//! Every part is a function from numbers to a section; nothing here trains or reads a file, but for the pictures
//! that a gallery shows, which the data set gives.

mod boundary;
mod curves;
mod extras;
mod gallery;
mod network;
mod saliency;
mod scores;
mod scrutiny;
mod starts;

use data::Dataset;
use ndarray::Array4;
use nn::model::Summary;
use report::figures::Overlay;
use report::html::{Card, Report};
use train::lr_finder::LrCurve;
use train::{Ending, EpochRecord, LayerHealth};

use crate::error::Outcome;
use crate::evaluation::{Evaluation, Metrics};
use crate::run_file::RunFile;
use crate::text::{duration, thousands};

pub use boundary::{Boundary, measure as measure_boundary};
pub use extras::{DataSizes, Race, WrongLabels};
pub use network::first_filters;
pub use saliency::measure_saliency;
pub use scrutiny::{ClassScrutiny, Scrutiny};
pub use starts::{StartRow, Starts, as_long_as};

/// All that a run's report is made of.
pub struct RunResults<'a> {
    /// Name of the run, for example `digits-1`.
    pub run: String,
    /// Every setting.
    pub file: &'a RunFile,
    /// The data.
    pub dataset: &'a Dataset,
    /// The epochs.
    pub history: &'a [EpochRecord],
    /// The best of them, from 1.
    pub best_epoch: usize,
    /// How it ended.
    pub ending: Ending,
    /// Seconds of this process's part.
    pub seconds: f64,
    /// The best network on samples it has not seen.
    pub evaluation: &'a Evaluation,
    /// The layer table.
    pub summary: &'a Summary,
    /// The weights of the first convolution, `[KH, KW, C, O]`, and their name.
    pub filters: Option<(String, Array4<f32>)>,
    /// What matters for some samples (row E2).
    pub saliency: Vec<Overlay>,
    /// What the network says over the plane of two features.
    pub boundary: Option<Boundary>,
    /// The layers on one batch, after training (row S23).
    pub health: &'a [LayerHealth],
    /// What only some runs have.
    pub extras: Extras,
}

/// Results that are there on request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extras {
    /// The search for a learning rate.
    pub rates: Option<LrCurve>,
    /// Optimizers side by side (row O8).
    pub race: Option<Race>,
    /// Score against the number of training samples (row S12).
    pub sizes: Option<DataSizes>,
    /// A pretrained network trained from several depths on (row O20).
    pub starts: Option<Starts>,
    /// Score against the share of wrong labels (row S21).
    pub wrong_labels: Option<WrongLabels>,
}

/// The report of a run.
pub fn run_report(results: &RunResults) -> Outcome<Report> {
    let RunResults {
        file,
        dataset,
        evaluation,
        summary,
        ..
    } = results;
    let mut report = Report::new(results.run.as_str());
    report.subtitle(format!(
        "{} on {}; made by graticule {}",
        file.model, dataset.name, file.graticule
    ));
    report.summary(&cards(results));
    if results.ending == Ending::StoppedEarly {
        report.text("The run stopped early: the validation score had not become better for as long as was allowed (R3).");
    }
    curves::add(&mut report, results);
    scores::add(&mut report, evaluation)?;
    if let Some(boundary) = &results.boundary {
        boundary::add(&mut report, boundary, summary, evaluation)?;
    }
    scrutiny::add(&mut report, dataset, evaluation, &Scrutiny::plain(evaluation))?;
    gallery::add(&mut report, dataset, evaluation)?;
    saliency::add(&mut report, &results.saliency)?;
    extras::add(&mut report, &results.extras);
    network::add(&mut report, results)?;
    data_card(&mut report, dataset, file);
    report
        .section("Settings")
        .text("All settings of the run, as they stand in run.toml.");
    report.details("run.toml", &file.to_text()?);
    Ok(report)
}

/// The report of an evaluation on its own.
pub fn evaluation_report(
    title: &str,
    dataset: &Dataset,
    (evaluation, scrutiny): (&Evaluation, &Scrutiny),
    (summary, boundary): (&Summary, Option<Boundary>),
) -> Outcome<Report> {
    let mut report = Report::new(title);
    let samples = thousands(evaluation.predictions.len());
    report.subtitle(format!(
        "{samples} {} samples of {}",
        evaluation.part, dataset.name
    ));
    report.summary(&metric_cards(evaluation));
    scores::add(&mut report, evaluation)?;
    if let Some(boundary) = &boundary {
        boundary::add(&mut report, boundary, summary, evaluation)?;
    }
    scrutiny::add(&mut report, dataset, evaluation, scrutiny)?;
    gallery::add(&mut report, dataset, evaluation)?;
    describe(report.section("Data"), dataset);
    Ok(report)
}

fn cards(results: &RunResults) -> Vec<Card> {
    let mut cards = metric_cards(results.evaluation);
    cards.truncate(3);
    let epochs = format!("of {} epochs", results.history.len());
    cards.push(Card::new("Best epoch", results.best_epoch.to_string()).note(epochs));
    cards.push(Card::new("Parameters", thousands(results.summary.trainable)));
    let engine = &results.file.engine;
    let mut machine = format!("{} threads, {}", engine.threads, engine.isa);
    if engine.precision_used != "highest" {
        machine += &format!(", {} precision", engine.precision_used);
    }
    cards.push(Card::new("Time", duration(results.seconds)).note(machine));
    cards
}

fn metric_cards(evaluation: &Evaluation) -> Vec<Card> {
    let role = evaluation.part;
    let samples = format!("{} samples", thousands(evaluation.predictions.len()));
    let told = evaluation.metrics.told().into_iter();
    told.map(|(name, value)| Card::new(format!("{role} {name}"), value).note(samples.clone()))
        .collect()
}

fn data_card(report: &mut Report, dataset: &Dataset, file: &RunFile) {
    describe(report.section("Data"), dataset);
    report.text(&format!("Source: {}", file.source));
}

fn describe(report: &mut Report, dataset: &Dataset) {
    let row = |name: &str, value: String| vec![name.to_string(), value];
    let splits = &dataset.splits;
    let mut rows = vec![
        row("name", dataset.name.clone()),
        row("samples", thousands(dataset.len())),
        row("training", thousands(splits.train.len())),
        row("validation", thousands(splits.validation.len())),
        row("test", thousands(splits.test.len())),
    ];
    let outputs = dataset.task.output_names();
    let kind = if dataset.task.classes().is_some() {
        "classes"
    } else {
        "targets"
    };
    rows.push(row(kind, format!("{}: {}", outputs.len(), outputs.join(", "))));
    if let Some(citation) = &dataset.citation {
        rows.push(row("origin", citation.clone()));
    }
    report.table(&["", ""], &rows);
    for note in &dataset.notes {
        report.warning(note);
    }
}

/// The share of right answers, where the task has classes.
fn accuracy(evaluation: &Evaluation) -> Option<f64> {
    match &evaluation.metrics {
        Metrics::Classification { scores, .. } => Some(scores.accuracy),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
