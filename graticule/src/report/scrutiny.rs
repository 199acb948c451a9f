//! Whom the network fails, whether it knows when it does not know, and which labels are in doubt (row S22).

use data::{Dataset, InputLayout};
use report::figures::{LineChart, Series, Style, Tile, gallery, line_chart};
use report::html::Report;

use super::gallery::{name, picture};
use crate::error::Outcome;
use crate::evaluation::calibration::{Calibration, Doubt, doubts, largest_losses};
use crate::evaluation::groups::Groups;
use crate::evaluation::{Evaluation, Metrics};
use crate::text::{number, percent, thousands};

/// Samples shown with their losses, and labels shown in doubt.
const SHOWN: usize = 24;

/// A closer look at an evaluation.
#[derive(Debug, Clone, Default)]
pub struct Scrutiny {
    /// Groups that were asked for.
    pub groups: Vec<Groups>,
    /// Where each sample has one class.
    pub classes: Option<ClassScrutiny>,
}

/// What only classifiers have.
#[derive(Debug, Clone)]
pub struct ClassScrutiny {
    /// Whether probabilities mean what they say.
    pub calibration: Calibration,
    /// Places and losses, the largest loss first.
    pub losses: Vec<(usize, f64)>,
    /// Labels that are probably wrong, the surest first.
    pub doubts: Vec<Doubt>,
}

impl ClassScrutiny {
    /// Of an evaluation of a classifier.
    pub fn of(evaluation: &Evaluation) -> Option<Self> {
        let Metrics::Classification { .. } = &evaluation.metrics else {
            return None;
        };
        let predictions = &evaluation.predictions;
        (!predictions.is_empty()).then(|| Self {
            calibration: Calibration::of(predictions),
            losses: largest_losses(predictions),
            doubts: doubts(predictions),
        })
    }
}

impl Scrutiny {
    /// Without groups.
    pub fn plain(evaluation: &Evaluation) -> Self {
        Self {
            groups: Vec::new(),
            classes: ClassScrutiny::of(evaluation),
        }
    }
}

pub(super) fn add(
    report: &mut Report,
    dataset: &Dataset,
    evaluation: &Evaluation,
    scrutiny: &Scrutiny,
) -> Outcome {
    for groups in &scrutiny.groups {
        report.section(&format!("Groups by {}", groups.by));
        report.text(&format!(
            "{}. The interval is the middle 95 % of the gaps between these two groups when their samples are drawn anew, with \
             replacement; with many groups the worst is partly the unluckiest.",
            groups.sentence()
        ));
        let rows = groups.rows();
        report.table(&rows[0], &rows[1..]);
    }
    let Some(of) = &scrutiny.classes else {
        return Ok(());
    };
    calibration(report, &of.calibration);
    match dataset.layout() {
        InputLayout::Image { .. } => pictures(report, dataset, evaluation, of),
        _ => Ok(()),
    }
}

fn pictures(report: &mut Report, dataset: &Dataset, evaluation: &Evaluation, of: &ClassScrutiny) -> Outcome {
    let classes = evaluation.task.output_names();
    let predictions = &evaluation.predictions;
    let tile = |place: usize, caption: String| -> Outcome<Tile> {
        Ok(Tile::new(picture(dataset, predictions.indices[place])?, caption))
    };
    report.section("Largest losses");
    let tiles = of.losses.iter().take(SHOWN).map(|&(place, loss)| {
        let truth = name(classes, predictions.truth[place] as usize);
        let said = name(classes, predictions.class(place));
        tile(place, format!("{truth} → {said}, {}", number(loss)))
    });
    report.figure(
        &gallery("Largest losses", &tiles.collect::<Outcome<Vec<_>>>()?)?,
        "True → predicted class, and −ln of the probability of the true class.",
    );
    if of.doubts.is_empty() {
        return Ok(());
    }
    report.section("Labels in doubt");
    report.text(&format!(
        "{} of {} labels are probably wrong, or the network is: it is at least as sure of another class as it is on the average of \
         the samples that have that label (confident learning). Look at them before you trust the figures above.",
        thousands(of.doubts.len()),
        thousands(predictions.len())
    ));
    let tiles = of.doubts.iter().take(SHOWN).map(|doubt| {
        let (given, other) = (name(classes, doubt.given), name(classes, doubt.suggested));
        tile(doubt.place, format!("{given} or {other}?"))
    });
    report.figure(
        &gallery("Labels in doubt", &tiles.collect::<Outcome<Vec<_>>>()?)?,
        "The label given, and the one suggested; the surest first.",
    );
    Ok(())
}

fn calibration(report: &mut Report, of: &Calibration) {
    let points = of.bins.iter().map(|b| (100.0 * b.confidence, 100.0 * b.accuracy));
    report.section("Calibration");
    let chart = LineChart {
        title: "How often it is right when it is so sure".into(),
        x_label: "probability of the predicted class, per cent".into(),
        y_label: "accuracy, per cent".into(),
        series: vec![
            Series::new("network", points.collect()).styled(Style::LinePoints),
            Series::new("perfectly calibrated", vec![(0.0, 0.0), (100.0, 100.0)]).dashed(),
        ],
        y_range: Some((0.0, 100.0)),
        ..LineChart::default()
    };
    report.figure(
        &line_chart(&chart),
        &format!(
            "Below the dashed line the network is surer than it should be. Expected calibration error {} (bins of equal width; \
             those with few samples are noisy).",
            percent(of.expected_error)
        ),
    );
}
