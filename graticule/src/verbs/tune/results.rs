//! What a search leaves: a table of all trials, a report, the command line of the best one.

use std::path::PathBuf;

use data::{Dataset, Task};
use interchange::write_atomically;
use report::figures::{BarChart, LineChart, Series, Style, bar_chart, line_chart};
use report::html::{Card, Report};
use serde::Serialize;
use train::run_folder::RunFolder;
use train::tune::{Dimension, Domain, Space, TrialResult, TuneOutcome, Value};

use super::line::Line;
use super::progress::{epochs_text, score_text};
use crate::error::{Context, Outcome};
use crate::output::Output;
use crate::text::{columns, duration, number, thousands};

/// Trials that are told on the terminal.
const TOLD: usize = 10;

/// What `--json` prints, and `tune.json` holds.
#[derive(Debug, Serialize)]
struct Told<'a> {
    run: PathBuf,
    /// The command line that repeats the best trial.
    command: Option<String>,
    best: Option<&'a TrialResult>,
    report: Option<PathBuf>,
    #[serde(flatten)]
    outcome: &'a TuneOutcome,
}

fn told<'a>(folder: &RunFolder, outcome: &'a TuneOutcome, command: Option<&Line>, report: bool) -> Told<'a> {
    Told {
        run: folder.path().to_path_buf(),
        command: command.map(Line::to_string),
        best: outcome.best(),
        report: report.then(|| folder.report_path()),
        outcome,
    }
}

/// Writes `trials.csv`, `tune.json` and, where wanted, `report.html`.
pub fn write(
    folder: &RunFolder,
    dataset: &Dataset,
    space: &Space,
    outcome: &TuneOutcome,
    command: Option<&Line>,
    with_report: bool,
) -> Outcome {
    let table = folder.path().join("trials.csv");
    write_atomically(&table, csv(space, outcome).as_bytes()).at(table.display())?;
    let json = folder.path().join("tune.json");
    let text = serde_json::to_string_pretty(&told(folder, outcome, command, with_report))?;
    write_atomically(&json, text.as_bytes()).at(json.display())?;
    if with_report {
        let path = folder.report_path();
        page(folder, dataset, space, outcome, command)
            .write(&path)
            .at(path.display())?;
    }
    Ok(())
}

/// The last words.
pub fn tell(
    folder: &RunFolder,
    dataset: &Dataset,
    outcome: &TuneOutcome,
    command: Option<&Line>,
    with_report: bool,
    out: &Output,
) -> Outcome {
    let mut lines = columns(&rows(&dataset.task, outcome, TOLD));
    if outcome.results.len() > TOLD {
        lines.push(format!("… {} more in trials.csv", outcome.results.len() - TOLD));
    }
    if let Some(command) = command {
        lines.push(String::new());
        lines.push("the best one again, with its model and its test score:".into());
        lines.push(format!("  {command}"));
        folder.log(&format!("best: {command}"))?;
    }
    if with_report {
        lines.push(format!("report {}", folder.report_path().display()));
    }
    for line in lines {
        out.line(line)?;
    }
    out.object(&told(folder, outcome, command, with_report))
}

/// The trials as cells, the header first.
fn rows(task: &Task, outcome: &TuneOutcome, most: usize) -> Vec<Vec<String>> {
    let names = outcome.results.first().map_or(Vec::new(), |r| {
        r.trial.values.iter().map(|(name, _)| name.clone()).collect()
    });
    let score = match task {
        Task::Regression { .. } => "R²",
        _ => "accuracy %",
    };
    let mut header = vec!["trial".to_string(), score.into(), "loss".into()];
    header.extend(names);
    header.extend(["epochs", "best", "parameters", "seconds"].map(String::from));
    let mut rows = vec![header];
    for result in outcome.results.iter().take(most) {
        let mut row = vec![(result.trial.index + 1).to_string()];
        row.push(match (result.score, task) {
            (Some(score), Task::Regression { .. }) => format!("{score:.4}"),
            (Some(score), _) => format!("{:.2}", 100.0 * score),
            (None, _) => "–".into(),
        });
        row.push(result.loss.map_or("–".into(), number));
        row.extend(result.trial.values.iter().map(|(_, value)| value.to_string()));
        row.extend([
            result.epochs.to_string(),
            result.best_epoch.to_string(),
            thousands(result.parameters),
            format!("{:.1}", result.seconds),
        ]);
        rows.push(row);
    }
    rows
}

/// One line for each trial, numbers in full.
fn csv(space: &Space, outcome: &TuneOutcome) -> String {
    let quoted = |cell: &str| match cell.contains([',', '"', '\n']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_string(),
    };
    let mut header = vec![
        "trial",
        "rung",
        "epochs",
        "score",
        "loss",
        "best_epoch",
        "parameters",
    ];
    header.extend(space.0.iter().map(|d| d.name.as_str()));
    header.push("failure");
    let mut text = header.join(",") + "\n";
    for result in &outcome.results {
        let number = |value: Option<f64>| value.map_or(String::new(), |v| v.to_string());
        let mut cells = vec![
            (result.trial.index + 1).to_string(),
            (result.rung + 1).to_string(),
            result.epochs.to_string(),
            number(result.score),
            number(result.loss),
            result.best_epoch.to_string(),
            result.parameters.to_string(),
        ];
        cells.extend(result.trial.values.iter().map(|(_, value)| value.to_string()));
        cells.push(result.failure.clone().unwrap_or_default());
        text += &cells
            .iter()
            .map(|cell| quoted(cell))
            .collect::<Vec<_>>()
            .join(",");
        text.push('\n');
    }
    text
}

fn page(
    folder: &RunFolder,
    dataset: &Dataset,
    space: &Space,
    outcome: &TuneOutcome,
    command: Option<&Line>,
) -> Report {
    let mut page = Report::new(folder.name());
    let seconds: f64 = outcome.results.iter().map(|r| r.seconds).sum();
    page.subtitle(format!("Search of hyper-parameters on {}", dataset.name));
    let mut cards = Vec::new();
    if let Some(score) = outcome.best().and_then(|best| best.score) {
        let note = format!("of {} samples", thousands(dataset.splits.validation.len()));
        cards.push(Card::new("Best validation score", score_text(score, &dataset.task)).note(note));
    }
    cards.push(Card::new("Trials", outcome.results.len().to_string()).note(rungs(outcome)));
    cards.push(Card::new("Time", duration(seconds)));
    page.summary(&cards);
    if outcome.interrupted {
        page.warning("The search was interrupted: not all trials were run.");
    }
    if let (Some(command), Some(best)) = (command, outcome.best()) {
        page.section("The best one").text(&format!("{}.", best.trial));
        page.text("This command trains it again and tells its score on the test samples, which the search has not seen:");
        page.text(&command.to_string());
    }
    page.section("Score against each hyper-parameter");
    page.text(&format!(
        "One point for each trial, at the longest training that it got. Trials of the later rounds are the ones \
         that did best before. Failures have no point: {}.",
        outcome.results.iter().filter(|r| r.score.is_none()).count()
    ));
    for dimension in &space.0 {
        let (svg, caption) = figure(dimension, outcome, &dataset.task);
        page.figure(&svg, &caption);
    }
    let rows = rows(&dataset.task, outcome, usize::MAX);
    if let Some((header, rows)) = rows.split_first() {
        page.section("All trials").table(header, rows);
    }
    page
}

fn rungs(outcome: &TuneOutcome) -> String {
    let rung = |r: &train::tune::Rung| format!("{} × {}", r.trials, epochs_text(r.epochs));
    outcome.rungs.iter().map(rung).collect::<Vec<_>>().join(", then ")
}

fn figure(dimension: &Dimension, outcome: &TuneOutcome, task: &Task) -> (String, String) {
    let label = match task {
        Task::Regression { .. } => "R² on validation",
        _ => "validation accuracy",
    };
    let of = |result: &TrialResult| result.trial.get(&dimension.name).cloned();
    let words = outcome
        .results
        .iter()
        .filter_map(of)
        .any(|v| matches!(v, Value::Word(_)));
    match words {
        true => (
            bars(dimension, outcome, label),
            format!("Best and mean score of each {}.", dimension.name),
        ),
        false => (
            points(dimension, outcome, label),
            format!("Score against {}.", dimension.name),
        ),
    }
}

/// Numbers: the scores over the values, one colour for each round.
fn points(dimension: &Dimension, outcome: &TuneOutcome, label: &str) -> String {
    let of_rung = |(number, rung): (usize, &train::tune::Rung)| {
        let own = outcome.results.iter().filter(|r| r.rung == number);
        let points = own
            .filter_map(|r| Some((r.trial.number(&dimension.name)?, r.score?)))
            .collect();
        Series::new(epochs_text(rung.epochs), points).styled(Style::Points)
    };
    let series: Vec<Series> = outcome.rungs.iter().enumerate().map(of_rung).collect();
    let positive = series.iter().flat_map(|s| &s.points).all(|(x, _)| *x > 0.0);
    let log_x = positive
        && match &dimension.domain {
            Domain::Logarithmic { .. } => true,
            Domain::Linear { .. } => false,
            // Batch sizes and widths double from value to value.
            Domain::Choice(values) => {
                let numbers = || values.iter().filter_map(Value::as_f64);
                let (low, high) = (
                    numbers().fold(f64::INFINITY, f64::min),
                    numbers().fold(0.0, f64::max),
                );
                high >= 8.0 * low
            }
        };
    line_chart(&LineChart {
        title: dimension.name.clone(),
        x_label: dimension.name.clone(),
        y_label: label.into(),
        series,
        log_x,
        ..LineChart::default()
    })
}

/// Words: the best and the mean score of each.
fn bars(dimension: &Dimension, outcome: &TuneOutcome, label: &str) -> String {
    let mut names: Vec<String> = Vec::new();
    let mut scores: Vec<Vec<f64>> = Vec::new();
    for result in &outcome.results {
        let (Some(value), Some(score)) = (result.trial.get(&dimension.name), result.score) else {
            continue;
        };
        let name = value.to_string();
        match names.iter().position(|n| *n == name) {
            Some(place) => scores[place].push(score),
            None => {
                names.push(name);
                scores.push(vec![score]);
            }
        }
    }
    let best = scores
        .iter()
        .map(|s| s.iter().copied().fold(f64::MIN, f64::max))
        .collect();
    let mean = scores
        .iter()
        .map(|s| s.iter().sum::<f64>() / s.len() as f64)
        .collect();
    bar_chart(&BarChart {
        title: dimension.name.clone(),
        value_label: label.into(),
        names,
        groups: vec![("best".into(), best), ("mean".into(), mean)],
        ..BarChart::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use train::tune::{Rung, Trial};

    fn outcome() -> TuneOutcome {
        let result = |index: usize, score: Option<f64>, lr: f64, rule: &str| TrialResult {
            trial: Trial {
                index,
                values: vec![
                    ("lr".into(), Value::Number(lr)),
                    ("augment".into(), Value::Word(rule.into())),
                ],
            },
            rung: 0,
            epochs: 3,
            score,
            loss: score.map(|s| 1.0 - s),
            best_epoch: 2,
            parameters: 1234,
            seconds: 0.5,
            failure: score.is_none().then(|| "the loss became NaN, or so".into()),
        };
        TuneOutcome {
            results: vec![
                result(1, Some(0.975), 0.01, "none"),
                result(0, Some(0.9), 0.1, "flip,turns"),
                result(2, None, 1.0, "none"),
            ],
            rungs: vec![Rung { trials: 3, epochs: 3 }],
            interrupted: false,
        }
    }

    fn space() -> Space {
        let (low, high) = (0.01, 1.0);
        let words = ["none", "flip,turns"].map(|w| Value::Word(w.into())).to_vec();
        Space(vec![
            Dimension::new("lr", Domain::Logarithmic { low, high }, None),
            Dimension::new("augment", Domain::Choice(words), None),
        ])
    }

    #[test]
    fn the_table_has_a_line_for_each_trial_and_quotes_commas() {
        let text = csv(&space(), &outcome());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "trial,rung,epochs,score,loss,best_epoch,parameters,lr,augment,failure"
        );
        assert_eq!(
            lines[2],
            "1,1,3,0.9,0.09999999999999998,2,1234,0.1,\"flip,turns\","
        );
        assert_eq!(lines[3], "3,1,3,,,2,1234,1,none,\"the loss became NaN, or so\"");
    }

    #[test]
    fn numbers_are_points_and_words_are_bars() {
        let task = Task::Classification {
            classes: vec!["a".into(), "b".into()],
        };
        let (outcome, space) = (outcome(), space());
        let (points, _) = figure(&space.0[0], &outcome, &task);
        assert!(points.contains("lr") && points.contains("3 epochs"));
        let (bars, caption) = figure(&space.0[1], &outcome, &task);
        assert!(bars.contains("flip,turns") && bars.contains("mean") && caption.contains("augment"));
        let told = rows(&task, &outcome, 2);
        assert_eq!(
            (told.len(), told[1][1].as_str(), told[0][1].as_str()),
            (3, "97.50", "accuracy %")
        );
    }
}
