//! Confusion matrix, scores of each class, and predicted against true numbers.

use data::Task;
use ndarray::Array2;
use nn::metrics::{BinaryScores, Classification, Regression};
use report::figures::{confusion_matrix, predicted_against_true};
use report::html::Report;

use crate::error::Outcome;
use crate::evaluation::{Evaluation, Metrics};
use crate::text::{number, percent, thousands};

pub(super) fn add(report: &mut Report, evaluation: &Evaluation) -> Outcome {
    let role = evaluation.part;
    report.section(&format!("Results on the {role} samples"));
    if role == "train" {
        report.warning(
            "There are no test or validation samples: these are the samples that the network learnt from.",
        );
    }
    let names = evaluation.task.output_names();
    match &evaluation.metrics {
        Metrics::Classification {
            scores, confusion, ..
        } => {
            let counts = Array2::from_shape_vec((names.len(), names.len()), confusion.clone())?;
            report.figure(
                &confusion_matrix("Confusion matrix", names, counts.view())?,
                "Rows: true class; columns: predicted class.",
            );
            class_table(report, names, scores);
        }
        Metrics::MultiLabel { scores, .. } => label_table(report, names, scores),
        Metrics::Regression { targets, .. } => {
            for (k, (name, errors)) in targets.iter().enumerate() {
                numbers(report, evaluation, k, name, errors)?;
            }
        }
    }
    Ok(())
}

fn class_table(report: &mut Report, names: &[String], scores: &Classification) {
    let header = ["class", "samples", "precision", "recall", "F1"];
    let row = |name: &str, samples: u64, [precision, recall, f1]: [f64; 3]| {
        vec![
            name.to_string(),
            thousands(samples as usize),
            percent(precision),
            percent(recall),
            percent(f1),
        ]
    };
    let mut rows: Vec<Vec<String>> = names
        .iter()
        .zip(&scores.classes)
        .map(|(name, of)| row(name, of.support, [of.precision, of.recall, of.f1]))
        .collect();
    let means = [scores.macro_precision, scores.macro_recall, scores.macro_f1];
    rows.push(row("mean of the classes", scores.count, means));
    report.table(&header, &rows);
    report.text("Precision: how many of those predicted to be of the class are. Recall: how many of the class were found.");
}

fn label_table(report: &mut Report, names: &[String], scores: &BinaryScores) {
    let of = |k: usize| {
        [&scores.precision, &scores.recall, &scores.f1].map(|v| percent(v.get(k).copied().unwrap_or(0.0)))
    };
    let row = |(k, name): (usize, &String)| [vec![name.clone()], of(k).to_vec()].concat();
    let rows: Vec<Vec<String>> = names.iter().enumerate().map(row).collect();
    report.table(&["label", "precision", "recall", "F1"], &rows);
}

fn numbers(
    report: &mut Report,
    evaluation: &Evaluation,
    k: usize,
    name: &str,
    errors: &Regression,
) -> Outcome {
    debug_assert!(matches!(evaluation.task, Task::Regression { .. }));
    let width = evaluation.predictions.width.max(1);
    let column = |values: &[f32]| -> Vec<f64> {
        values
            .iter()
            .skip(k)
            .step_by(width)
            .map(|&v| f64::from(v))
            .collect()
    };
    let (truth, predicted) = (
        column(&evaluation.predictions.truth),
        column(&evaluation.predictions.values),
    );
    let figure = predicted_against_true(&format!("Predicted and true {name}"), name, &truth, &predicted)?;
    report.figure(
        &figure,
        "Each point is a sample; on the line, prediction and truth are equal.",
    );
    let rows = [
        ["R²".to_string(), format!("{:.4}", errors.r_squared)],
        [
            "root mean squared error".to_string(),
            number(errors.root_mean_squared_error),
        ],
        [
            "mean absolute error".to_string(),
            number(errors.mean_absolute_error),
        ],
        ["samples".to_string(), thousands(errors.count as usize)],
    ];
    report.table(&["measure", name], &rows.map(|row| row.to_vec()));
    Ok(())
}
