//! `graticule tune`: hyper-parameters chosen on the validation samples (rows S7, L11).

mod line;
mod networks;
mod progress;
mod results;
mod space;

use std::path::PathBuf;

use data::{Dataset, Preprocess};
use engine::Engine;
use train::run_folder::RunFolder;
use train::tune::{Space, Trial, TuneOptions, TuneOutcome, tune};
use train::{Run, TrainError, Trainer};

use crate::compute::ComputeArgs;
use crate::error::{Failure, Outcome};
use crate::output::Output;
use crate::source::SourceArgs;
use crate::verbs::train::flags::Choices;
use crate::verbs::train::folder_name;
use crate::verbs::train::progress::Interrupt;
use crate::verbs::train::setup::{Plan, open};
use line::Line;
use networks::Family;
use progress::Watch;

const HELP: &str = "\
Random combinations train for a few epochs; the best third of them train again for three times as many, and so on;
the last ones train for all --epochs. The first combination is what `graticule train` does by itself. Trials are
compared on the validation samples; the test samples are not looked at. Every flag of `graticule train` that is not
searched may be given and holds for all trials.

--over takes names, each alone or with its values: lr=1e-4..1e-1, batch=16|32|64, optimizer=sgd:0.9|adamw.
  lr, weight-decay, l1, l2, label-smoothing, batch, optimizer, schedule, augment, clip, loss, model,
  and of the network's shape: width, depth, dropout, activation

Examples:
  graticule tune digits
  graticule tune housing.csv --target median_house_value --trials 40 --epochs 60
  graticule tune photos/ --over lr,width,depth,augment --image-size 64
  graticule tune spiral --over \"lr=1e-3..1e-1,depth=1..4,activation=relu|tanh\" --batch 16";

/// Search learning rate, width, depth and more on the validation samples
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// What to learn from: a name or a path
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Combinations that are tried
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    trials: u32,
    /// What is searched [default: lr, weight-decay, batch; width and depth too unless a network is given]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    over: Vec<String>,
    /// One of so many trials goes on with so many times the epochs; 1 trains all of them for all epochs
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    reduction: u32,
    /// Folder of the runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    #[command(flatten)]
    compute: ComputeArgs,
    #[command(flatten, next_help_heading = "Run")]
    choices: Choices,
    #[command(flatten, next_help_heading = "Data")]
    reading: SourceArgs,
}

/// Flags of a search that a single run has not.
const OWN_FLAGS: [&str; 8] = [
    "trials",
    "over",
    "reduction",
    "runs",
    "threads",
    "isa",
    "name",
    "no-report",
];

/// Runs the verb.
pub fn run(args: Args, out: &Output) -> Outcome {
    refuse_what_is_for_one_run(&args.choices)?;
    let bench = Bench::new(&args, out)?;
    let options = bench.options(&args)?;
    let interrupt = Interrupt::listen()?;
    let name = args.choices.name.clone();
    let name = name.unwrap_or_else(|| format!("{}-tune", folder_name(&bench.dataset.name)));
    let folder = RunFolder::create(&args.runs, &name)?;
    let mut watch = Watch::new(out, &folder, interrupt, &options, &bench.dataset.task);
    watch.tell_plan(&bench.dataset, &bench.space);
    let mut build = |trial: &Trial, epochs: usize| bench.build(trial, epochs);
    let searched = tune(&bench.space, &options, &mut build, &mut watch);
    let files = watch.end();
    let outcome = match searched {
        Ok(outcome) if !outcome.results.is_empty() => outcome,
        Ok(_) => {
            folder.discard();
            return Err(Failure::interrupted("interrupted before the first trial ended"));
        }
        Err(error) => {
            folder.discard();
            return Err(error.into());
        }
    };
    files?;
    let command = outcome.best().map(|best| bench.line(&best.trial, options.epochs));
    let report = !args.choices.no_report;
    results::write(
        &folder,
        &bench.dataset,
        &bench.space,
        &outcome,
        command.as_ref(),
        report,
    )?;
    end(&folder, &outcome, &bench.dataset, command.as_ref(), report, out)
}

fn end(
    folder: &RunFolder,
    outcome: &TuneOutcome,
    dataset: &Dataset,
    command: Option<&Line>,
    report: bool,
    out: &Output,
) -> Outcome {
    results::tell(folder, dataset, outcome, command, report, out)?;
    if outcome.interrupted {
        let done = outcome.results.len();
        let cause = format!(
            "interrupted; {done} trials are kept in {}",
            folder.path().display()
        );
        return Err(Failure::interrupted(cause));
    }
    Ok(())
}

/// Flags that make no sense for many runs.
fn refuse_what_is_for_one_run(choices: &Choices) -> Outcome {
    let given = [
        ("--find-lr", choices.find_lr),
        ("--race", !choices.race.is_empty()),
        ("--data-sizes", choices.data_sizes),
        ("--poison", choices.poison.is_some()),
        ("--poisons", !choices.poisons.is_empty()),
        ("--overfit-one-batch", choices.overfit_one_batch),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(Failure::usage("this flag is for a single run")
            .at(flag)
            .help("give it to `graticule train`")),
        None => Ok(()),
    }
}

/// Place and cause, without the remedies.
fn in_one_line(failure: &Failure) -> String {
    let told = failure.to_string();
    let first = told.lines().next().unwrap_or_default();
    first.trim_start_matches("error: ").to_string()
}

/// Everything that all trials share.
struct Bench {
    dataset: Dataset,
    preprocess: Preprocess,
    engine: Engine,
    /// The command line of the run that is varied.
    base: Line,
    family: Family,
    space: Space,
    /// Epochs of the longest trials.
    epochs: usize,
}

impl Bench {
    fn new(args: &Args, out: &Output) -> Outcome<Self> {
        let (dataset, preprocess) = open(&args.reading, &args.source)?;
        if dataset.splits.validation.is_empty() {
            return Err(
                Failure::new("found no validation samples, which trials are compared on")
                    .at(&args.source)
                    .help("give --val a share above 0, or --splits a list with the role `validation`"),
            );
        }
        let engine = args.compute.engine(out)?;
        let base = Line::given(&args.source, &OWN_FLAGS);
        let plan = Plan::of(&base.parse()?, &args.source, dataset, preprocess, engine)?;
        let Plan {
            dataset,
            preprocess,
            engine,
            file,
            ..
        } = plan;
        let family = Family::of(&args.choices, &file.model, &preprocess.input_shape());
        let known = space::Known {
            settings: &file.settings,
            family: &family,
            samples: dataset.splits.train.len(),
            image: preprocess.input_shape().len() == 3,
        };
        let space = space::space(&args.over, &known)?;
        let bench = Self {
            dataset,
            preprocess,
            engine,
            base,
            family,
            space,
            epochs: file.settings.epochs,
        };
        bench.check()?;
        Ok(bench)
    }

    fn options(&self, args: &Args) -> Outcome<TuneOptions> {
        let seed = args.reading.seed();
        Ok(TuneOptions {
            // A small space has fewer points than trials were asked for.
            trials: self.space.sample(args.trials as usize, seed)?.len(),
            epochs: self.epochs,
            reduction: args.reduction as usize,
            seed,
        })
    }

    /// Every value that stands in a list is read once, so that a mistake shows at once.
    fn check(&self) -> Outcome {
        for dimension in &self.space.0 {
            let train::tune::Domain::Choice(values) = &dimension.domain else {
                continue;
            };
            for value in values {
                let values = vec![(dimension.name.clone(), value.clone())];
                let line = self.line(&Trial { index: 0, values }, 1);
                let place = || format!("--over {}={value}", dimension.name);
                line.parse().map_err(|failure| failure.at(place()))?;
            }
        }
        Ok(())
    }

    /// The command line of a trial.
    fn line(&self, trial: &Trial, epochs: usize) -> Line {
        let mut line = self.base.clone();
        line.set("epochs", &epochs.to_string());
        if let Some(layers) = self.family.layers(trial) {
            line.remove("model");
            line.set("layers", &layers);
        }
        for (name, value) in &trial.values {
            if !networks::SHAPE.contains(&name.as_str()) && value != &space::usual() {
                line.set(name, &value.to_string());
            }
        }
        line
    }

    fn build(&self, trial: &Trial, epochs: usize) -> Result<(Trainer, Run), TrainError> {
        self.run_of(trial, epochs)
            .map_err(|failure| TrainError::Setting(in_one_line(&failure)))
    }

    fn run_of(&self, trial: &Trial, epochs: usize) -> Outcome<(Trainer, Run)> {
        let line = self.line(trial, epochs);
        let (dataset, preprocess) = (self.dataset.clone(), self.preprocess.clone());
        let plan = Plan::of(
            &line.parse()?,
            line.source(),
            dataset,
            preprocess,
            self.engine.clone(),
        )?;
        let settings = &plan.file.settings;
        plan.start(plan.network()?, settings, &plan.dataset.splits.train)
    }
}
