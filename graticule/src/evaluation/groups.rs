//! Whom it fails: the score of each group of samples, and the gap between the best and the worst (row S22).

use std::collections::BTreeMap;

use data::random::{Purpose, below, rng};
use data::{Cell, Dataset, InputLayout, Raw, Task};
use nn::model::nearest;
use serde::Serialize;

use super::Evaluation;
use crate::error::{Failure, Outcome};
use crate::text::{columns, number, percent, thousands};

/// Groups of one folder of pictures each.
const FOLDER: &str = "folder";
/// Groups of one true class each.
const CLASS: &str = "class";
/// Numbers of more values than this are cut into quarters.
const MOST_VALUES: usize = 12;
/// Samples drawn with replacement so many times.
const DRAWS: u64 = 2000;

/// Scores of groups.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Groups {
    /// What the groups share: a column, `folder` or `class`.
    pub by: String,
    /// What is compared: `accuracy`, or `mean absolute error` of the first number.
    pub score: &'static str,
    /// The groups, the worst first.
    pub groups: Vec<Group>,
    /// Score of the best group less that of the worst (for errors the other way round).
    pub gap: f64,
    /// The middle 95 % of the gaps between these two groups when their samples are drawn anew, with replacement.
    pub interval: [f64; 2],
}

/// One group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Samples in it.
    pub samples: usize,
    /// Its score.
    pub score: f64,
}

/// Scores the groups that `by` makes of the evaluated samples; `seed` keys the draws.
pub fn measure(evaluation: &Evaluation, dataset: &Dataset, by: &str, seed: u64) -> Outcome<Groups> {
    let names = names(evaluation, dataset, by)?;
    let (score, values) = values(evaluation);
    let mut of: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (name, value) in names.iter().zip(values) {
        of.entry(name).or_default().push(value);
    }
    let better_is_less = matches!(evaluation.task, Task::Regression { .. });
    let mut groups: Vec<(&str, Vec<f64>)> = of.into_iter().collect();
    groups.sort_by(|a, b| match better_is_less {
        true => mean(&b.1).total_cmp(&mean(&a.1)),
        false => mean(&a.1).total_cmp(&mean(&b.1)),
    });
    let (Some(worst), Some(best)) = (groups.first(), groups.last()) else {
        return Err(Failure::new("there are no samples").at("--by"));
    };
    if groups.len() < 2 {
        return Err(
            Failure::usage(format!("all samples are of one group, `{}`", worst.0))
                .at("--by")
                .help("a gap is between two groups: take another column"),
        );
    }
    let mut gaps: Vec<f64> = (0..DRAWS)
        .map(|draw| {
            (redrawn(&best.1, seed, draw, 1) - redrawn(&worst.1, seed, draw, 0)).abs_if(better_is_less)
        })
        .collect();
    gaps.sort_by(f64::total_cmp);
    let at = |share: f64| gaps[((gaps.len() - 1) as f64 * share).round() as usize];
    Ok(Groups {
        by: by.into(),
        score,
        gap: (mean(&best.1) - mean(&worst.1)).abs_if(better_is_less),
        interval: [at(0.025), at(0.975)],
        groups: groups
            .iter()
            .map(|(name, values)| Group {
                name: name.to_string(),
                samples: values.len(),
                score: mean(values),
            })
            .collect(),
    })
}

trait Turned {
    /// The number, or its negative where less is better.
    fn abs_if(self, turned: bool) -> Self;
}

impl Turned for f64 {
    fn abs_if(self, turned: bool) -> Self {
        if turned { -self } else { self }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The mean of as many values, drawn with replacement.
fn redrawn(values: &[f64], seed: u64, draw: u64, group: u64) -> f64 {
    let mut rng = rng(seed, draw, group, Purpose::Bootstrap);
    let pick = |_| values[below(values.len(), &mut rng)];
    (0..values.len()).map(pick).sum::<f64>() / values.len().max(1) as f64
}

/// The score of each sample: 1 for right and 0 for wrong, or how far the first number is off.
fn values(evaluation: &Evaluation) -> (&'static str, Vec<f64>) {
    let predictions = &evaluation.predictions;
    let all = 0..predictions.len();
    match &evaluation.task {
        Task::Classification { .. } => {
            let right = |k| f64::from(u8::from(predictions.class(k) == predictions.truth[k] as usize));
            ("accuracy", all.map(right).collect())
        }
        Task::MultiLabel { .. } => {
            let truth = |k: usize| &predictions.truth[k * predictions.width..][..predictions.width];
            let right = |k| {
                predictions
                    .of(k)
                    .iter()
                    .zip(truth(k))
                    .all(|(p, t)| (*p >= 0.5) == (*t >= 0.5))
            };
            ("accuracy", all.map(|k| f64::from(u8::from(right(k)))).collect())
        }
        Task::Regression { .. } => {
            let off =
                |k: usize| f64::from(predictions.of(k)[0] - predictions.truth[k * predictions.width]).abs();
            ("mean absolute error", all.map(off).collect())
        }
    }
}

/// The group of each evaluated sample.
fn names(evaluation: &Evaluation, dataset: &Dataset, by: &str) -> Outcome<Vec<String>> {
    let predictions = &evaluation.predictions;
    match (by, dataset.layout()) {
        (CLASS, _) => {
            let Task::Classification { classes } = &evaluation.task else {
                return Err(Failure::usage("these samples have no single class").at("--by"));
            };
            let class = |t: &f32| classes.get(*t as usize).cloned().unwrap_or_default();
            Ok(predictions.truth.iter().map(class).collect())
        }
        (FOLDER, InputLayout::Image { .. }) => {
            let folder = |&index: &usize| {
                let name = dataset.source.name_of(index);
                name.rsplit_once(['/', '\\'])
                    .map_or(String::new(), |(folder, _)| folder.to_string())
            };
            Ok(predictions.indices.iter().map(folder).collect())
        }
        (_, InputLayout::Image { .. }) => Err(Failure::usage(format!("pictures have no column `{by}`"))
            .at("--by")
            .help("take folder or class")),
        (_, InputLayout::Table { columns }) => {
            let known: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
            of_column(evaluation, dataset, by, &known)
        }
        (_, InputLayout::Vector { names }) => {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            of_column(evaluation, dataset, by, &known)
        }
    }
}

fn of_column(evaluation: &Evaluation, dataset: &Dataset, by: &str, known: &[&str]) -> Outcome<Vec<String>> {
    let Some(place) = known.iter().position(|name| *name == by) else {
        let near = nearest(by, known);
        let help = match near.is_empty() {
            true => format!(
                "the columns that the network reads are {}; or take class",
                known.join(", ")
            ),
            false => format!("did you mean {}?", near.join(" or ")),
        };
        return Err(Failure::usage(format!("the network reads no column `{by}`"))
            .at("--by")
            .help(help));
    };
    let cells = evaluation
        .predictions
        .indices
        .iter()
        .map(|&index| match dataset.source.raw(index)? {
            Raw::Row(cells) => Ok(cells.get(place).cloned().unwrap_or(Cell::Missing)),
            Raw::Image(_) => Ok(Cell::Missing),
        });
    Ok(named(&cells.collect::<Outcome<Vec<Cell>>>()?))
}

/// Names of cells: categories and few numbers as they are, many numbers by the quarter that they lie in.
fn named(cells: &[Cell]) -> Vec<String> {
    let mut numbers: Vec<f64> = cells
        .iter()
        .filter_map(|cell| match cell {
            Cell::Number(value) => Some(*value),
            _ => None,
        })
        .collect();
    numbers.sort_by(f64::total_cmp);
    let mut distinct = numbers.clone();
    distinct.dedup();
    let quarter = |share: usize| numbers[(numbers.len() * share / 4).min(numbers.len() - 1)];
    let name = |cell: &Cell| match cell {
        Cell::Missing => "missing".to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Number(value) if distinct.len() <= MOST_VALUES => number(*value),
        Cell::Number(value) => match (1..=3).find(|&share| *value < quarter(share)) {
            Some(1) => format!("below {}", number(quarter(1))),
            Some(share) => format!("{} to {}", number(quarter(share - 1)), number(quarter(share))),
            None => format!("{} or more", number(quarter(3))),
        },
    };
    cells.iter().map(name).collect()
}

impl Groups {
    /// A score as a person reads it.
    pub fn told(&self, score: f64) -> String {
        match self.score {
            "accuracy" => percent(score),
            _ => number(score),
        }
    }

    /// The table, its header first.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let header = vec![self.by.clone(), "samples".into(), self.score.into()];
        let row = |group: &Group| {
            vec![
                group.name.clone(),
                thousands(group.samples),
                self.told(group.score),
            ]
        };
        std::iter::once(header)
            .chain(self.groups.iter().map(row))
            .collect()
    }

    /// The worst group and the gap, in a sentence.
    pub fn sentence(&self) -> String {
        let (worst, best) = (&self.groups[0], &self.groups[self.groups.len() - 1]);
        format!(
            "worst group {} ({}), best {} ({}); gap {}, 95 % interval {} to {}",
            worst.name,
            self.told(worst.score),
            best.name,
            self.told(best.score),
            self.told(self.gap),
            self.told(self.interval[0]),
            self.told(self.interval[1])
        )
    }

    /// What is printed.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = columns(&self.rows());
        lines.push(self.sentence());
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Metrics;
    use data::{OpenOptions, open};
    use train::Predictions;

    /// Two numbers of a spiral; the network is right where `right` says so.
    fn evaluation(right: impl Fn(usize) -> bool) -> (Evaluation, Dataset) {
        let dataset = open("spiral", &OpenOptions::default()).unwrap();
        let classes = vec!["a".to_string(), "b".to_string()];
        let task = Task::Classification { classes };
        let truth: Vec<f32> = (0..100).map(|k| (k % 2) as f32).collect();
        let said = |k: usize| {
            if right(k) == (k % 2 == 1) {
                [0.1, 0.9]
            } else {
                [0.9, 0.1]
            }
        };
        let predictions = Predictions {
            indices: (0..100).collect(),
            width: 2,
            values: (0..100).flat_map(said).collect(),
            truth,
            loss: 0.5,
        };
        let metrics = Metrics::of(&predictions, &task);
        (
            Evaluation {
                part: "test",
                task,
                predictions,
                metrics,
            },
            dataset,
        )
    }

    #[test]
    fn s22_the_worst_group_stands_first_and_the_gap_has_an_interval() {
        // Class a (even) is right in 50 of 50, class b in 30 of 50.
        let (evaluation, dataset) = evaluation(|k| k % 2 == 0 || k % 10 < 7 && k % 10 != 1);
        let found = measure(&evaluation, &dataset, "class", 1).unwrap();
        let scores: Vec<(&str, usize, f64)> = found
            .groups
            .iter()
            .map(|g| (g.name.as_str(), g.samples, g.score))
            .collect();
        assert_eq!(scores[0].0, "b");
        assert!(
            (scores[0].2 - 0.4).abs() < 1e-12 && scores[1] == ("a", 50, 1.0),
            "{scores:?}"
        );
        assert!((found.gap - 0.6).abs() < 1e-12);
        // The share of 50 draws at 0.4 has the deviation 0.069: 1.96 of them to either side.
        let [low, high] = found.interval;
        assert!(
            (low - 0.465).abs() < 0.03 && (high - 0.735).abs() < 0.03,
            "{low} {high}"
        );
        assert_eq!(found, measure(&evaluation, &dataset, "class", 1).unwrap());
        assert!(found.sentence().starts_with("worst group b (40.00 %)"));
    }

    #[test]
    fn numbers_become_quarters_and_unknown_columns_are_told() {
        let (evaluation, dataset) = evaluation(|_| true);
        let found = measure(&evaluation, &dataset, "x", 1).unwrap();
        assert_eq!(found.groups.len(), 4);
        assert_eq!(found.groups.iter().map(|g| g.samples).sum::<usize>(), 100);
        let told = measure(&evaluation, &dataset, "z", 1).unwrap_err().to_string();
        assert!(told.contains("no column `z`"), "{told}");
        let few = [
            Cell::Number(1.0),
            Cell::Text("red".into()),
            Cell::Missing,
            Cell::Number(1.0),
        ];
        assert_eq!(named(&few), ["1", "red", "missing", "1"]);
    }
}
