//! A pretrained network trained in several ways, beside training from scratch (rows O18 to O20).

use report::figures::{BarChart, bar_chart};
use report::html::Report;
use serde::Serialize;

use crate::clock::Spent;
use crate::text::thousands;

/// Ways of training on the same samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Starts {
    /// What the score is, for example `test accuracy`.
    pub score: String,
    /// What the validation score is.
    pub validation: String,
    /// One row for each way.
    pub rows: Vec<StartRow>,
}

/// One way of training.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StartRow {
    /// What was done.
    pub name: String,
    /// Numbers that training changed.
    pub trained: usize,
    /// Epochs.
    pub epochs: usize,
    /// Time, without the final evaluation.
    #[serde(flatten)]
    pub spent: Spent,
    /// Whether it began with the pretrained network.
    pub pretrained: bool,
    /// Score on the validation samples, of the epoch that is kept.
    pub validation: Option<f64>,
    /// Its score on the samples of the final figure.
    pub score: f64,
}

impl Starts {
    /// The columns' names.
    pub fn headers(&self) -> [&str; 6] {
        let counted = self.rows.iter().all(|row| row.spent.processor_seconds.is_some());
        let time = if counted { "processor seconds" } else { "seconds" };
        [
            "training",
            "numbers that train",
            "epochs",
            time,
            &self.validation,
            &self.score,
        ]
    }

    /// The rows as text.
    pub fn cells(&self) -> Vec<Vec<String>> {
        let row = |row: &StartRow| {
            vec![
                row.name.clone(),
                thousands(row.trained),
                row.epochs.to_string(),
                format!("{:.1}", row.spent.comparable()),
                row.validation.map_or("–".into(), |score| format!("{score:.4}")),
                format!("{:.4}", row.score),
            ]
        };
        self.rows.iter().map(row).collect()
    }

    /// The row with the best validation score among those that began pretrained, or among the others; the quickest of
    /// equals. The score of the final figure decides nothing.
    pub fn best_of(rows: &[StartRow], pretrained: bool) -> Option<&StartRow> {
        let score = |row: &StartRow| row.validation.unwrap_or(f64::NEG_INFINITY);
        let candidates = rows.iter().filter(|row| row.pretrained == pretrained);
        candidates.min_by(|a, b| {
            let better = score(b).total_cmp(&score(a));
            better.then(a.spent.comparable().total_cmp(&b.spent.comparable()))
        })
    }

    /// What the rows say, in a sentence; nothing where a side is missing.
    pub fn conclusion(&self) -> Option<String> {
        let best = Self::best_of(&self.rows, true)?;
        let scratch = Self::best_of(&self.rows, false)?;
        let as_long = self
            .rows
            .iter()
            .rfind(|row| row.name.ends_with(&as_long_as(best)))?;
        let told =
            |row: &StartRow| format!("{} {:.4} in {:.1} s", row.name, row.score, row.spent.comparable());
        Some(format!(
            "chosen by {}: {}; from scratch: {}; in the same time: {:.4} ({:+.4})",
            self.validation,
            told(best),
            told(scratch),
            as_long.score,
            as_long.score - best.score
        ))
    }
}

/// How the row is called that had the time of this one.
pub fn as_long_as(row: &StartRow) -> String {
    format!(", time of {}", row.name)
}

pub(super) fn add(report: &mut Report, starts: &Starts) {
    report.section("Transfer, and training from scratch");
    report.text(
        "The pretrained network with a new head: trained from its first block on (shallow), behind a third and behind two \
         thirds of its blocks (middle, deep), block after block from the head down (gradual), and with its trunk run once \
         and only the head trained (features); the blocks before the start stay as they were (O18, O19, O20). From \
         scratch: the same network for as many epochs, the network that suits the data as it would be trained by \
         itself, and that one for as long as the row that the validation samples choose. Of each, the epoch that is \
         best on the validation samples is kept.",
    );
    report.table(&starts.headers(), &starts.cells());
    let chart = BarChart {
        title: format!("{} by way of training", starts.score),
        value_label: starts.score.clone(),
        names: starts.rows.iter().map(|row| row.name.clone()).collect(),
        groups: vec![(String::new(), starts.rows.iter().map(|row| row.score).collect())],
        range: Some((0.0, 1.0)),
        ..BarChart::default()
    };
    report.figure(
        &bar_chart(&chart),
        "Every bar is one network on the same samples that none of them was trained or chosen on.",
    );
    if let Some(conclusion) = starts.conclusion() {
        report.text(&format!("{conclusion}."));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, pretrained: bool, validation: f64, seconds: f64, score: f64) -> StartRow {
        StartRow {
            name: name.into(),
            pretrained,
            validation: Some(validation),
            spent: Spent {
                seconds,
                processor_seconds: None,
            },
            score,
            ..StartRow::default()
        }
    }

    #[test]
    fn validation_chooses_and_the_final_score_does_not() {
        let starts = Starts {
            score: "test accuracy".into(),
            validation: "validation accuracy".into(),
            rows: vec![
                row("shallow start", true, 0.8, 9.0, 0.99),
                row("deep start", true, 0.9, 8.0, 0.7),
                row("features", true, 0.9, 2.0, 0.85),
                row("cnn-small from scratch", false, 0.6, 5.0, 0.65),
                row("cnn-small, time of features", false, 0.4, 2.0, 0.5),
            ],
        };
        let told = starts.conclusion().expect("both sides are there");
        let expected = "chosen by validation accuracy: features 0.8500 in 2.0 s; from scratch: cnn-small from scratch \
                        0.6500 in 5.0 s; in the same time: 0.5000 (-0.3500)";
        assert_eq!(told, expected);
        assert_eq!(starts.headers()[3], "seconds");
        let none = Starts {
            rows: starts.rows[..3].to_vec(),
            ..starts
        };
        assert_eq!(none.conclusion(), None);
    }
}
