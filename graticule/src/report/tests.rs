use data::{OpenOptions, Task, open};
use graph::Binding;
use ndarray::Array2;
use nn::model::{Summary, summary};
use report::figures::Overlay;
use train::{Predictions, Settings};

use super::*;
use crate::run_file::{EngineChoice, Samples};
use crate::source::SourceArgs;

fn file(dataset: &Dataset) -> RunFile {
    RunFile {
        graticule: "0.0.0".into(),
        source: dataset.name.clone(),
        model: "linear".into(),
        weights: None,
        poison: None,
        reading: SourceArgs::default(),
        samples: Samples::of(dataset),
        settings: Settings::default(),
        augment: data::Augment::default(),
        engine: EngineChoice {
            threads: 2,
            isa: "scalar".into(),
            precision: "highest".into(),
            precision_used: "highest".into(),
        },
    }
}

fn table(input: &[usize], outputs: usize) -> Summary {
    summary(&zoo::build("linear", input, outputs).unwrap(), &Binding::batch(1)).unwrap()
}

/// Answers for the first test samples: right, but for every fifth, which is taken for the class after its own.
fn answers(dataset: &Dataset, count: usize) -> Evaluation {
    let classes = dataset.task.outputs();
    let labels = dataset.labels().unwrap().unwrap();
    let indices = dataset.splits.test[..count].to_vec();
    let mut values = Vec::new();
    for (k, &index) in indices.iter().enumerate() {
        let said = if k % 5 == 0 {
            (labels[index] + 1) % classes
        } else {
            labels[index]
        };
        values.extend((0..classes).map(|c| {
            if c == said {
                0.9
            } else {
                0.1 / (classes - 1) as f32
            }
        }));
    }
    let truth = indices.iter().map(|&index| labels[index] as f32).collect();
    let predictions = Predictions {
        indices,
        width: classes,
        values,
        truth,
        loss: 0.5,
    };
    let metrics = Metrics::of(&predictions, &dataset.task);
    Evaluation {
        part: "test",
        task: dataset.task.clone(),
        predictions,
        metrics,
    }
}

fn record(epoch: usize) -> EpochRecord {
    EpochRecord {
        epoch,
        step: 10 * epoch as u64,
        learning_rate: 0.1,
        train_loss: 1.0 / epoch as f64,
        train_accuracy: Some(0.5),
        validation_loss: Some(1.2 / epoch as f64),
        validation_score: Some(0.4),
        best: true,
        seconds: 1.0,
    }
}

fn results<'a>(
    (file, dataset, evaluation, summary): (&'a RunFile, &'a Dataset, &'a Evaluation, &'a Summary),
    history: &'a [EpochRecord],
) -> RunResults<'a> {
    RunResults {
        run: "test-1".into(),
        file,
        dataset,
        history,
        best_epoch: 2,
        ending: Ending::Finished,
        seconds: 3.0,
        evaluation,
        summary,
        filters: Some(("conv.weight".into(), Array4::zeros((5, 5, 1, 6)))),
        saliency: vec![Overlay {
            title: "4 → 9".into(),
            picture: ndarray::Array3::zeros((8, 8, 1)),
            values: Array2::eye(8),
            signed: false,
        }],
        boundary: None,
        health: &[],
        extras: Extras::default(),
    }
}

#[test]
fn a_run_on_pictures_shows_curves_errors_guesses_filters_and_settings() {
    let dataset = open("digits", &OpenOptions::default()).unwrap();
    let (file, evaluation, layers) = (file(&dataset), answers(&dataset, 20), table(&[8, 8, 1], 10));
    let history = [record(1), record(2), record(3)];
    let html = run_report(&results((&file, &dataset, &evaluation, &layers), &history))
        .unwrap()
        .to_html();
    for part in [
        "80.00 %",
        "Learning rate",
        "Confusion matrix",
        "mean of the classes",
        "4 of 4 errors",
        "Top 5 guesses",
        "6 filters of 5 × 5 × 1",
        "Which pixels matter",
        "4 → 9",
        "receptive field",
        "CC BY 4.0",
        "run.toml",
    ] {
        assert!(html.contains(part), "`{part}` is missing");
    }
    assert!(
        !html.contains("http://") || !html.contains("<script"),
        "the report must stand alone"
    );
}

#[test]
fn l6_a_single_layer_that_fails_is_told_why() {
    let dataset = open("xor", &OpenOptions::default()).unwrap();
    let engine = engine::Engine::new(1);
    let preprocess = data::Preprocess::fit(&dataset).unwrap();
    let model = zoo::build("perceptron", &[2], 1).unwrap();
    let mut network = train::Network::new(&engine, model, preprocess, 1).unwrap();
    let boundary = measure_boundary(&mut network, &dataset).unwrap();
    let (file, evaluation, layers) = (file(&dataset), answers(&dataset, 40), table(&[2], 1));
    let results = RunResults {
        boundary,
        filters: None,
        saliency: vec![],
        ..results((&file, &dataset, &evaluation, &layers), &[])
    };
    let html = run_report(&results).unwrap().to_html();
    assert!(html.contains("No straight line divides these classes") && html.contains("w₁x₁"));
    assert!(html.contains("Decision boundary") && !html.contains("Top 5"));
}

#[test]
fn numbers_get_a_plot_of_predicted_against_true() {
    let dataset = open("plane", &OpenOptions::default()).unwrap();
    let task = Task::Regression {
        targets: vec!["z".into()],
    };
    let predictions = Predictions {
        indices: vec![0, 1, 2],
        width: 1,
        values: vec![1.0, 2.0, 3.5],
        truth: vec![1.0, 2.0, 3.0],
        loss: 0.1,
    };
    let metrics = Metrics::of(&predictions, &task);
    let evaluation = Evaluation {
        part: "validation",
        task,
        predictions,
        metrics,
    };
    let html = evaluation_report(
        "plane",
        &dataset,
        (&evaluation, &Scrutiny::plain(&evaluation)),
        (&table(&[2], 1), None),
    )
    .unwrap()
    .to_html();
    assert!(html.contains("Predicted and true z") && html.contains("root mean squared error"));
}

#[test]
fn sections_on_request_are_there_when_asked_for() {
    let dataset = open("digits", &OpenOptions::default()).unwrap();
    let (file, evaluation, layers) = (file(&dataset), answers(&dataset, 10), table(&[8, 8, 1], 10));
    let race = Race {
        runners: vec![
            ("adam, 0.001".into(), vec![1.0, 0.5]),
            ("sgd, 0.01".into(), vec![]),
        ],
    };
    let sizes = DataSizes {
        score: "test accuracy".into(),
        points: vec![(60, 0.7), (1200, 0.97)],
    };
    let extras = Extras {
        rates: None,
        race: Some(race),
        sizes: Some(sizes),
        starts: Some(Starts {
            score: "test accuracy".into(),
            validation: "validation accuracy".into(),
            rows: vec![StartRow {
                name: "deep start".into(),
                trained: 1234,
                epochs: 3,
                score: 0.75,
                ..StartRow::default()
            }],
        }),
        wrong_labels: Some(WrongLabels {
            score: "test accuracy".into(),
            points: vec![(0.0, 0.98), (0.4, 0.91)],
        }),
    };
    let html = run_report(&RunResults {
        extras,
        ..results((&file, &dataset, &evaluation, &layers), &[record(1)])
    });
    let html = html.unwrap().to_html();
    assert!(html.contains("Optimizers side by side") && html.contains("diverged"));
    assert!(html.contains("Score and data size") && html.contains("0.9700"));
    assert!(html.contains("Score and wrong labels") && html.contains("91.00"));
    assert!(
        html.contains("Transfer, and training from scratch")
            && html.contains("deep start")
            && html.contains("0.7500")
    );
}
