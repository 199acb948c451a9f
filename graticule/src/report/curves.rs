//! Loss, score and learning rate over the epochs (row S11).

use report::figures::{LineChart, Mark, Series, line_chart};
use report::html::Report;
use train::EpochRecord;

use super::RunResults;
use crate::text::number;

/// A validation loss this much above its smallest value is called overfitting.
const OVERFIT: f64 = 1.1;

pub(super) fn add(report: &mut Report, results: &RunResults) {
    let history = results.history;
    report.section("Training");
    if history.is_empty() {
        report.text("No epoch was finished.");
        return;
    }
    let best = Mark {
        x: results.best_epoch as f64,
        label: "best".into(),
    };
    let loss = chart(
        "Loss",
        "loss",
        history,
        best.clone(),
        [
            ("training", &|r| Some(r.train_loss)),
            ("validation", &|r| r.validation_loss),
        ],
    );
    report.figure(
        &line_chart(&loss),
        "Mean loss of each epoch; the training loss is taken while the network still learns.",
    );
    let classes = results.dataset.task.classes().is_some();
    let (title, unit) = if classes {
        ("Accuracy", "share of right answers")
    } else {
        ("R²", "R²")
    };
    let score = chart(
        title,
        unit,
        history,
        best,
        [
            ("training", &|r| r.train_accuracy),
            ("validation", &|r| r.validation_score),
        ],
    );
    if !score.series.is_empty() {
        report.figure(&line_chart(&score), "Score of each epoch.");
    }
    let rate = LineChart {
        title: "Learning rate".into(),
        x_label: "epoch".into(),
        y_label: "learning rate".into(),
        series: vec![Series::new(
            "",
            points(history, &|r| Some(f64::from(r.learning_rate))),
        )],
        ..LineChart::default()
    };
    report.figure(
        &line_chart(&rate),
        "Learning rate of the last step of each epoch.",
    );
    if let Some(remark) = overfitting(history) {
        report.text(&remark);
    }
}

type Value<'a> = &'a dyn Fn(&EpochRecord) -> Option<f64>;

fn chart(
    title: &str,
    unit: &str,
    history: &[EpochRecord],
    best: Mark,
    curves: [(&str, Value); 2],
) -> LineChart {
    let mut series = Vec::new();
    for (name, value) in curves {
        let points = points(history, value);
        if !points.is_empty() {
            let curve = Series::new(name, points);
            series.push(if name == "validation" {
                curve.dashed()
            } else {
                curve
            });
        }
    }
    LineChart {
        title: title.into(),
        x_label: "epoch".into(),
        y_label: unit.into(),
        series,
        marks: vec![best],
        ..LineChart::default()
    }
}

fn points(history: &[EpochRecord], value: Value) -> Vec<(f64, f64)> {
    history
        .iter()
        .filter_map(|record| Some((record.epoch as f64, value(record)?)))
        .collect()
}

/// What the two loss curves say together (row S11).
fn overfitting(history: &[EpochRecord]) -> Option<String> {
    let losses = || history.iter().filter_map(|r| Some((r.epoch, r.validation_loss?)));
    let (epoch, least) = losses().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let (last_epoch, last) = losses().next_back()?;
    let falls = history.last()?.train_loss < history.get(epoch.checked_sub(1)?)?.train_loss;
    let overfits = falls && last > OVERFIT * least && last_epoch > epoch;
    overfits.then(|| {
        format!(
            "The validation loss was smallest in epoch {epoch} ({}) and rose to {} while the training loss went on falling: \
             the network overfits. More data, augmentation, dropout, weight decay or --patience can help.",
            number(least),
            number(last)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(epoch: usize, train_loss: f64, validation_loss: f64) -> EpochRecord {
        EpochRecord {
            epoch,
            step: epoch as u64,
            learning_rate: 0.1,
            train_loss,
            train_accuracy: None,
            validation_loss: Some(validation_loss),
            validation_score: None,
            best: false,
            seconds: 1.0,
        }
    }

    #[test]
    fn s11_overfitting_is_named_only_where_the_curves_part() {
        let parted = [record(1, 1.0, 1.1), record(2, 0.5, 0.8), record(3, 0.1, 1.5)];
        assert!(overfitting(&parted).unwrap().contains("epoch 2 (0.8)"));
        let together = [record(1, 1.0, 1.1), record(2, 0.5, 0.6), record(3, 0.4, 0.55)];
        assert_eq!(overfitting(&together), None);
    }
}
