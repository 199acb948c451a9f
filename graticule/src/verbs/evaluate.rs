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
use crate::evaluation::calibration::{Calibration, Doubt};
use crate::evaluation::groups::{self, Groups};
use crate::evaluation::{Evaluation, Metrics, evaluate, final_role, part};
use crate::output::Output;
use crate::report::{ClassScrutiny, Scrutiny, evaluation_report, measure_boundary};
use crate::run_file::{Found, RunFile};
use crate::source::{SourceArgs, lasting_name};
use crate::text::{columns, percent, thousands};

const HELP: &str = "\
RUN is a run folder, or a .safetensors file of one alone. Without SOURCE the run's own data are read again and its test
samples are used; with another SOURCE, all of its samples.

Examples:
  graticule evaluate runs/digits-1
  graticule evaluate runs/digits-1 --on validation
  graticule evaluate runs/housing-1 --by ocean_proximity,median_income
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
    /// Score groups of samples, and the gap between the best and the worst: a column of the table, folder (of pictures) or
    /// class; several separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    by: Vec<String>,
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
pub(super) enum Part {
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
/// Labels in doubt that `--json` names.
const TOLD_DOUBTS: usize = 100;
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
    /// Scores of the groups that were asked for.
    #[serde(skip_serializing_if = "<[Groups]>::is_empty")]
    groups: &'a [Groups],
    /// Whether probabilities mean what they say.
    #[serde(skip_serializing_if = "Option::is_none")]
    calibration: Option<&'a Calibration>,
    /// Samples whose labels are probably wrong, the surest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels_in_doubt: Option<Vec<InDoubt<'a>>>,
    report: Option<PathBuf>,
}

/// A label that is probably wrong.
#[derive(Debug, Serialize)]
struct InDoubt<'a> {
    sample: String,
    given: &'a str,
    suggested: &'a str,
    margin: f64,
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
    let scrutiny = Scrutiny {
        groups: args
            .by
            .iter()
            .map(|by| groups::measure(&evaluation, &dataset, by, args.reading.seed()))
            .collect::<Outcome<_>>()?,
        classes: ClassScrutiny::of(&evaluation),
    };
    let report = match args.no_report {
        true => None,
        false => Some(args.write_report(&found, &mut network, &dataset, &evaluation, &scrutiny)?),
    };
    tell(&evaluation, &scrutiny, out)?;
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
        groups: &scrutiny.groups,
        calibration: scrutiny.classes.as_ref().map(|c| &c.calibration),
        labels_in_doubt: in_doubt(&scrutiny, &evaluation, &dataset),
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
        scrutiny: &Scrutiny,
    ) -> Outcome<PathBuf> {
        let path = self.output.clone().unwrap_or_else(|| free_name(&found.model));
        let table = summary(network.model(), &Binding::batch(1))?;
        let boundary = measure_boundary(network, dataset)?;
        let title = format!("Evaluation of {}", found.model.display());
        evaluation_report(&title, dataset, (evaluation, scrutiny), (&table, boundary))?.write(&path)?;
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
pub(super) fn check_outputs(network: &Network, dataset: &Dataset) -> Outcome {
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

fn in_doubt<'a>(
    scrutiny: &Scrutiny,
    evaluation: &'a Evaluation,
    dataset: &Dataset,
) -> Option<Vec<InDoubt<'a>>> {
    let (of, names) = (scrutiny.classes.as_ref()?, evaluation.task.classes()?);
    let told = |doubt: &Doubt| InDoubt {
        sample: dataset
            .source
            .name_of(evaluation.predictions.indices[doubt.place]),
        given: &names[doubt.given],
        suggested: &names[doubt.suggested],
        margin: doubt.margin,
    };
    Some(of.doubts.iter().take(TOLD_DOUBTS).map(told).collect())
}

fn tell(evaluation: &Evaluation, scrutiny: &Scrutiny, out: &Output) -> Outcome {
    out.line(format!(
        "{} {} samples",
        thousands(evaluation.predictions.len()),
        evaluation.part
    ))?;
    for (name, value) in evaluation.metrics.told() {
        out.line(format!("{name:<15} {value}"))?;
    }
    if let Some(of) = &scrutiny.classes {
        let error = percent(of.calibration.expected_error);
        out.line(format!("{:<15} {error}", "calibration error"))?;
        out.line(format!(
            "{:<15} {}",
            "labels in doubt",
            thousands(of.doubts.len())
        ))?;
    }
    if let (Metrics::Classification { scores, .. }, Some(classes)) =
        (&evaluation.metrics, evaluation.task.classes())
        && classes.len() <= TOLD_CLASSES
    {
        class_lines(scores, classes)
            .iter()
            .try_for_each(|line| out.line(line))?;
    }
    let lines = scrutiny.groups.iter().flat_map(Groups::lines);
    lines.into_iter().try_for_each(|line| out.line(line))
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
