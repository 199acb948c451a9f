//! Sections on request: learning-rate search, optimizer race (row O8), score against data size (row S12).

use report::figures::{LineChart, Mark, Series, Style, line_chart};
use report::html::Report;
use train::lr_finder::{LrCurve, LrPoint};

use super::{Extras, starts};
use crate::text::{number, percent, thousands};

/// Optimizers on the same task from the same start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Race {
    /// Name with learning rate, and the training loss of each epoch.
    pub runners: Vec<(String, Vec<f64>)>,
}

/// The score after training on growing shares of the training samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DataSizes {
    /// What the score is, for example `test accuracy`.
    pub score: String,
    /// Training samples and score.
    pub points: Vec<(usize, f64)>,
}

/// The accuracy after training with growing shares of wrong labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WrongLabels {
    /// What the score is, for example `test accuracy`.
    pub score: String,
    /// Share of wrong labels and score.
    pub points: Vec<(f64, f64)>,
}

impl WrongLabels {
    /// The table, its header first.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let header = vec!["wrong training labels".to_string(), self.score.clone()];
        let row = |&(share, score): &(f64, f64)| vec![percent(share), percent(score)];
        std::iter::once(header)
            .chain(self.points.iter().map(row))
            .collect()
    }
}

pub(super) fn add(report: &mut Report, extras: &Extras) {
    if let Some(search) = &extras.rates {
        rates(report, search);
    }
    if let Some(race) = &extras.race {
        optimizers(report, race);
    }
    if let Some(sizes) = &extras.sizes {
        data_sizes(report, sizes);
    }
    if let Some(labels) = &extras.wrong_labels {
        wrong_labels(report, labels);
    }
    if let Some(found) = &extras.starts {
        starts::add(report, found);
    }
}

fn rates(report: &mut Report, search: &LrCurve) {
    report.section("Learning-rate search");
    let lowest = search
        .points
        .iter()
        .map(|p| p.smoothed)
        .fold(f64::INFINITY, f64::min);
    let first = search.points.first().map_or(lowest, |p| p.smoothed);
    let mark = |rate: f64| Mark {
        x: rate,
        label: number(rate),
    };
    let curve = |value: fn(&LrPoint) -> f64| {
        search
            .points
            .iter()
            .map(|p| (p.learning_rate, value(p)))
            .collect()
    };
    let chart = LineChart {
        title: "Loss while the learning rate grows".into(),
        x_label: "learning rate".into(),
        y_label: "loss".into(),
        series: vec![
            Series::new("single steps", curve(|p| p.loss)).styled(Style::Faint),
            Series::new("smoothed", curve(|p| p.smoothed)),
        ],
        log_x: true,
        // Beyond this the loss explodes, which would flatten the part that matters.
        y_range: (first > lowest).then_some((lowest, first + 0.5 * (first - lowest))),
        marks: search.suggestion.map(mark).into_iter().collect(),
        ..LineChart::default()
    };
    report.figure(
        &line_chart(&chart),
        "Left: too small, the loss hardly moves. Right: too large, it explodes (O9).",
    );
    report.text(&match search.suggestion {
        Some(rate) => format!("The curve speaks for a learning rate of about {}.", number(rate)),
        None => "The loss falls nowhere clearly enough for a suggestion.".into(),
    });
}

fn optimizers(report: &mut Report, race: &Race) {
    report.section("Optimizers side by side");
    let numbered = |losses: &[f64]| {
        losses
            .iter()
            .enumerate()
            .map(|(k, &loss)| ((k + 1) as f64, loss))
            .collect()
    };
    let series = race
        .runners
        .iter()
        .map(|(name, losses)| Series::new(name.as_str(), numbered(losses)));
    let chart = LineChart {
        title: "Training loss".into(),
        x_label: "epoch".into(),
        y_label: "loss".into(),
        series: series.collect(),
        log_y: true,
        ..LineChart::default()
    };
    report.figure(
        &line_chart(&chart),
        "Same network, same first weights, same batches; each optimizer at the learning rate in its name.",
    );
    let last = |losses: &[f64]| losses.last().map_or("diverged".to_string(), |&loss| number(loss));
    let rows: Vec<Vec<String>> = race
        .runners
        .iter()
        .map(|(name, losses)| vec![name.clone(), last(losses)])
        .collect();
    report.table(&["optimizer", "last loss"], &rows);
}

fn wrong_labels(report: &mut Report, labels: &WrongLabels) {
    report.section("Score and wrong labels");
    let points = labels
        .points
        .iter()
        .map(|&(share, score)| (100.0 * share, 100.0 * score));
    let chart = LineChart {
        title: "Garbage in, garbage out".into(),
        x_label: "per cent of the training labels that are wrong".into(),
        y_label: format!("{}, per cent", labels.score),
        series: vec![Series::new("", points.collect()).styled(Style::LinePoints)],
        ..LineChart::default()
    };
    report.figure(
        &line_chart(&chart),
        "Each point is a network trained from scratch with so many labels replaced by other classes at random; it is scored on right \
         labels (S21).",
    );
    let rows = labels.rows();
    report.table(&rows[0], &rows[1..]);
}

fn data_sizes(report: &mut Report, sizes: &DataSizes) {
    report.section("Score and data size");
    let points = sizes
        .points
        .iter()
        .map(|&(count, score)| (count as f64, score))
        .collect();
    let chart = LineChart {
        title: "More data, better score".into(),
        x_label: "training samples".into(),
        y_label: sizes.score.clone(),
        series: vec![Series::new("", points).styled(Style::LinePoints)],
        log_x: true,
        ..LineChart::default()
    };
    report.figure(
        &line_chart(&chart),
        "Each point is a network trained from scratch on that many samples, for as many steps (S12).",
    );
    let rows: Vec<Vec<String>> = sizes
        .points
        .iter()
        .map(|&(count, score)| vec![thousands(count), format!("{score:.4}")])
        .collect();
    report.table(&["training samples", sizes.score.as_str()], &rows);
}
