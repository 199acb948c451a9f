//! `graticule evaluate`: what a trained network is worth on samples with known answers.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use data::{Dataset, Role};
use graph::Binding;
use nn::metrics::Classification;
use nn::model::summary;
use serde::Serialize;
use train::Network;

use crate::compute::ComputeArgs;
use crate::error::{Failure, Outcome};
use crate::evaluation::{Evaluation, Metrics, evaluate, final_role, part};
use crate::output::Output;
use crate::report::{evaluation_report, measure_boundary};
use crate::run_file::{Found, RunFile};
use crate::source::{SourceArgs, lasting_name};
use crate::text::{columns, percent, thousands};

const HELP: &str = "\
RUN is a run folder, or a .safetensors file of one alone. Without SOURCE the run's own data are read again and its test
samples are used; with another SOURCE, all of its samples.

Examples:
  graticule evaluate runs/digits-1
  graticule evaluate runs/digits-1 --on validation
  graticule evaluate runs/photos-1/best.safetensors other-photos/ -o other.html";

/// Measure a trained network: metrics, confusion matrix, error gallery
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// A run folder or a model file
    run: PathBuf,
    /// The data, a name or path as for `train` [default: those of the run]
    source: Option<String>,
    /// Which samples [default: test, of another SOURCE all]
    #[arg(long, value_enum)]
    on: Option<Part>,
    /// The report to write [default: evaluation-N.html beside the model]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the report if it exists
    #[arg(long)]
    force: bool,
    /// Write no report
    #[arg(long, conflicts_with = "output")]
    no_report: bool,
    #[command(flatten)]
    compute: ComputeArgs,
    #[command(flatten, next_help_heading = "Data")]
    reading: SourceArgs,
}

/// Which samples are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Those kept for the final figure
    Test,
    /// Those that settings are chosen on
    Validation,
    /// Those the network learnt from
    Train,
    /// All of them
    All,
}

/// Threads that read samples ahead.
const READERS: usize = 1;
/// More classes than this are told in the report only.
const TOLD_CLASSES: usize = 30;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Told<'a> {
    model: &'a Path,
    data: &'a str,
    /// Which samples.
    part: &'static str,
    samples: usize,
    classes: Option<&'a [String]>,
    metrics: &'a Metrics,
    report: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: Args, out: &Output) -> Outcome {
    let found = Found::at(&args.run)?;
    if let Some(report) = &args.output {
        super::data::check_target(report, args.force)?;
    }
    let mut network = Network::load(&args.compute.engine(out)?, &found.model)?;
    let (dataset, own) = args.dataset(found.settings()?)?;
    check_outputs(&network, &dataset)?;
    let all: Vec<usize> = (0..dataset.len()).collect();
    let samples = args.samples(&dataset, own, &all)?;
    let evaluation = evaluate(&mut network, &dataset, samples, READERS)?;
    let report = match args.no_report {
        true => None,
        false => Some(args.write_report(&found, &mut network, &dataset, &evaluation)?),
    };
    tell(&evaluation, out)?;
    if let Some(path) = &report {
        out.line(format!("report {}", path.display()))?;
    }
    out.object(&Told {
        model: &found.model,
        data: &dataset.name,
        part: evaluation.part,
        samples: evaluation.predictions.len(),
        classes: evaluation.task.classes(),
        metrics: &evaluation.metrics,
        report,
    })
}

impl Args {
    /// The data, and whether they are those that the run learnt from.
    fn dataset(&self, run: Option<RunFile>) -> Outcome<(Dataset, bool)> {
        match (&self.source, run) {
            (Some(source), Some(run))
                if lasting_name(source) == run.source && self.reading == SourceArgs::default() =>
            {
                Ok((run.reading.open(&run.source)?, true))
            }
            (Some(source), Some(run)) => Ok((self.reading.over(&run.reading).open(source)?, false)),
            (Some(source), None) => Ok((self.reading.open(source)?, false)),
            (None, Some(run)) if self.reading == SourceArgs::default() => {
                Ok((run.reading.open(&run.source)?, true))
            }
            (None, Some(_)) => Err(Failure::usage("the run's own data are read as the run read them")
                .help("leave the flags of reading out, or name a SOURCE")),
            (None, None) => {
                Err(Failure::usage("a model file alone does not say where data are").help("name a SOURCE"))
            }
        }
    }

    fn samples<'a>(
        &self,
        dataset: &'a Dataset,
        own: bool,
        all: &'a [usize],
    ) -> Outcome<(&'static str, &'a [usize])> {
        let default = || {
            if own {
                part(dataset, final_role(dataset))
            } else {
                ("all", all)
            }
        };
        let chosen = match self.on {
            None if self.reading.splits.is_some() => part(dataset, final_role(dataset)),
            None => default(),
            Some(Part::All) => ("all", all),
            Some(Part::Test) => part(dataset, Role::Test),
            Some(Part::Validation) => part(dataset, Role::Validation),
            Some(Part::Train) => part(dataset, Role::Train),
        };
        if chosen.1.is_empty() {
            return Err(Failure::new(format!("there are no {} samples", chosen.0))
                .at(&dataset.name)
                .help("choose others with --on"));
        }
        Ok(chosen)
    }

    fn write_report(
        &self,
        found: &Found,
        network: &mut Network,
        dataset: &Dataset,
        evaluation: &Evaluation,
    ) -> Outcome<PathBuf> {
        let path = self.output.clone().unwrap_or_else(|| free_name(&found.model));
        let table = summary(network.model(), &Binding::batch(1))?;
        let boundary = measure_boundary(network, dataset)?;
        let title = format!("Evaluation of {}", found.model.display());
        evaluation_report(&title, dataset, evaluation, (&table, boundary))?.write(&path)?;
        Ok(path)
    }
}

/// `evaluation-N.html` beside the model, with the first free number.
fn free_name(model: &Path) -> PathBuf {
    let names = (1_u32..).map(|n| model.with_file_name(format!("evaluation-{n}.html")));
    names
        .into_iter()
        .find(|path| !path.exists())
        .unwrap_or_else(|| model.with_extension("html"))
}

/// Classes are told apart by their place, so that the names must agree too.
fn check_outputs(network: &Network, dataset: &Dataset) -> Outcome {
    let (wanted, found) = (network.task().output_names(), dataset.task.output_names());
    if wanted == found {
        return Ok(());
    }
    let list = |names: &[String]| names.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
    let cause = format!(
        "found the outputs {}; the network was trained on {}",
        list(found),
        list(wanted)
    );
    Err(Failure::new(cause)
        .at(&dataset.name)
        .help("give data with the same classes, or name the target column with --target"))
}

fn tell(evaluation: &Evaluation, out: &Output) -> Outcome {
    out.line(format!(
        "{} {} samples",
        thousands(evaluation.predictions.len()),
        evaluation.part
    ))?;
    for (name, value) in evaluation.metrics.told() {
        out.line(format!("{name:<15} {value}"))?;
    }
    match (&evaluation.metrics, evaluation.task.classes()) {
        (Metrics::Classification { scores, .. }, Some(classes)) if classes.len() <= TOLD_CLASSES => {
            class_lines(scores, classes)
                .iter()
                .try_for_each(|line| out.line(line))
        }
        _ => Ok(()),
    }
}

fn class_lines(scores: &Classification, classes: &[String]) -> Vec<String> {
    let header = ["class", "samples", "precision", "recall", "F1"]
        .map(String::from)
        .to_vec();
    let row = |(name, of): (&String, &nn::metrics::ClassScores)| {
        vec![
            name.clone(),
            thousands(of.support as usize),
            percent(of.precision),
            percent(of.recall),
            percent(of.f1),
        ]
    };
    let rows: Vec<Vec<String>> = std::iter::once(header)
        .chain(classes.iter().zip(&scores.classes).map(row))
        .collect();
    columns(&rows)
}
