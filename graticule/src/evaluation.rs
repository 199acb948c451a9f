//! What a network is worth on one role of a data set: predictions and the metrics made of them.

pub mod calibration;
pub mod groups;

use data::{Dataset, Loader, LoaderOptions, Role, Task};
use nn::metrics::{
    BinaryMetrics, BinaryScores, Classification, Confusion, Regression, RegressionMetrics, TopK,
};
use serde::Serialize;
use train::{Network, Predictions, predict};

use crate::error::Outcome;
use crate::text::{number, percent};

/// Samples in a batch of evaluation.
const BATCH: usize = 64;
/// Top-5 says something from this many classes on.
const TOP_FIVE_FROM: usize = 6;

/// Predictions over one role and their metrics.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Which samples: `test`, `validation`, `train` or `all`.
    pub part: &'static str,
    /// What is learnt.
    pub task: Task,
    /// One row for each sample.
    pub predictions: Predictions,
    /// What they are worth.
    pub metrics: Metrics,
}

/// The metrics that fit the task.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Metrics {
    /// One class for each sample.
    Classification {
        /// Accuracy, precision, recall, F1.
        #[serde(flatten)]
        scores: Classification,
        /// `[true × predicted]`, row by row.
        confusion: Vec<u64>,
        /// Share of samples whose class is among the five most probable (row M7).
        top5_accuracy: Option<f64>,
        /// Mean cross-entropy.
        loss: f64,
    },
    /// Several labels for each sample.
    MultiLabel {
        /// Accuracy, exact matches, precision, recall, F1.
        #[serde(flatten)]
        scores: BinaryScores,
        /// Mean binary cross-entropy.
        loss: f64,
    },
    /// Numbers.
    Regression {
        /// Errors of each target.
        targets: Vec<(String, Regression)>,
        /// Mean squared error of scaled values.
        loss: f64,
    },
}

/// The role that a final figure is taken from: test, else validation, else train.
pub fn final_role(dataset: &Dataset) -> Role {
    let filled = |role: &Role| !dataset.splits.of(*role).is_empty();
    [Role::Test, Role::Validation]
        .into_iter()
        .find(filled)
        .unwrap_or(Role::Train)
}

/// Runs `network` over the samples `indices`, called `part`, prepared by `threads` threads beside this one.
pub fn evaluate(
    network: &mut Network,
    dataset: &Dataset,
    (part, indices): (&'static str, &[usize]),
    threads: usize,
) -> Outcome<Evaluation> {
    let options = LoaderOptions {
        batch: BATCH,
        threads,
        ..LoaderOptions::default()
    };
    let loader = Loader::new(dataset, indices, network.preprocess(), options)?;
    let predictions = predict(network, &loader)?;
    let task = network.task().clone();
    let metrics = Metrics::of(&predictions, &task);
    Ok(Evaluation {
        part,
        task,
        predictions,
        metrics,
    })
}

/// The name and the samples of a role.
pub fn part(dataset: &Dataset, role: Role) -> (&'static str, &[usize]) {
    (role.name(), dataset.splits.of(role))
}

impl Metrics {
    /// The metrics of `predictions`.
    pub fn of(predictions: &Predictions, task: &Task) -> Self {
        let Predictions {
            values,
            truth,
            loss,
            width,
            ..
        } = predictions;
        let loss = *loss;
        match task {
            Task::Classification { classes } => {
                let mut confusion = Confusion::new(classes.len());
                confusion.observe(values, truth);
                let mut top = TopK::new(5, classes.len());
                top.observe(values, truth);
                Self::Classification {
                    scores: confusion.result(),
                    confusion: confusion.counts().to_vec(),
                    top5_accuracy: (classes.len() >= TOP_FIVE_FROM).then(|| top.accuracy()),
                    loss,
                }
            }
            Task::MultiLabel { classes } => {
                let mut metrics = BinaryMetrics::new(classes.len());
                metrics.observe(values, truth);
                Self::MultiLabel {
                    scores: metrics.result(),
                    loss,
                }
            }
            Task::Regression { targets } => {
                let column = |values: &[f32], k: usize| -> Vec<f32> {
                    values.iter().skip(k).step_by((*width).max(1)).copied().collect()
                };
                let of = |(k, name): (usize, &String)| {
                    let mut metrics = RegressionMetrics::default();
                    metrics.observe(&column(values, k), &column(truth, k));
                    (name.clone(), metrics.result())
                };
                Self::Regression {
                    targets: targets.iter().enumerate().map(of).collect(),
                    loss,
                }
            }
        }
    }

    /// Names and values, the most telling first, as a person reads them.
    pub fn told(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: String| (name.to_string(), value);
        match self {
            Self::Classification {
                scores,
                top5_accuracy,
                loss,
                ..
            } => {
                let mut told = vec![
                    pair("accuracy", percent(scores.accuracy)),
                    pair("error", percent(scores.error)),
                    pair("macro F1", percent(scores.macro_f1)),
                ];
                told.extend(top5_accuracy.map(|top| pair("top-5 accuracy", percent(top))));
                told.push(pair("cross-entropy", number(*loss)));
                told
            }
            Self::MultiLabel { scores, loss } => vec![
                pair("accuracy of labels", percent(scores.accuracy)),
                pair("all labels right", percent(scores.exact_matches)),
                pair("macro F1", percent(scores.macro_f1)),
                pair("cross-entropy", number(*loss)),
            ],
            Self::Regression { targets, .. } => targets
                .iter()
                .flat_map(|(name, of)| {
                    let named = |what: &str| {
                        if targets.len() > 1 {
                            format!("{what} of {name}")
                        } else {
                            what.to_string()
                        }
                    };
                    [
                        (named("R²"), format!("{:.4}", of.r_squared)),
                        (named("RMSE"), number(of.root_mean_squared_error)),
                        (named("MAE"), number(of.mean_absolute_error)),
                    ]
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_follow_the_task() {
        let predictions = Predictions {
            indices: vec![0, 1, 2],
            width: 2,
            values: vec![0.9, 0.1, 0.4, 0.6, 0.7, 0.3],
            truth: vec![0.0, 1.0, 1.0],
            loss: 0.5,
        };
        let task = Task::Classification {
            classes: vec!["a".into(), "b".into()],
        };
        let Metrics::Classification {
            scores,
            confusion,
            top5_accuracy,
            ..
        } = Metrics::of(&predictions, &task)
        else {
            panic!("classes give class metrics")
        };
        assert!((scores.accuracy - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((confusion, top5_accuracy), (vec![1, 0, 1, 1], None));
        let predictions = Predictions {
            width: 2,
            truth: vec![1.0, 10.0, 3.0, 30.0],
            values: vec![1.0, 10.0, 3.0, 20.0],
            ..predictions
        };
        let task = Task::Regression {
            targets: vec!["u".into(), "v".into()],
        };
        let metrics = Metrics::of(&predictions, &task);
        assert_eq!(metrics.told()[0], ("R² of u".into(), "1.0000".into()));
        let Metrics::Regression { targets, .. } = metrics else {
            panic!("numbers give errors")
        };
        assert_eq!(targets[1].1.mean_absolute_error, 5.0);
    }
}
