//! `graticule train`: learns from a source and leaves a run folder.

mod compare;
mod defaults;
mod extras;
mod finish;
pub(super) mod flags;
pub(super) mod progress;
pub(super) mod setup;
pub mod transfer;

use std::path::{Path, PathBuf};

use data::{InputLayout, Task};
use interchange::{ModelFile, write_atomically};
use nn::Optimizer;
use train::lr_finder::LrCurve;
use train::run_folder::RunFolder;
use train::{Ending, Network, RunFiles, TrainError, Trainer, checkpoint, fit};

use crate::clock::{Spent, Stopwatch};
use crate::compute::{ComputeArgs, told};
use crate::error::{Context, Failure, Outcome};
use crate::output::Output;
use crate::run_file::RunFile;
use crate::source::SourceArgs;
use crate::text::{number, thousands};
use flags::Choices;
use progress::{Facts, Interrupt, Watch};
use setup::Plan;
use transfer::TransferArgs;

const HELP: &str = "\
SOURCE is `digits`, a synthetic set (spiral, circle, xor, gauss, plane, and, or), a CSV table, a folder with one
folder of images for each class, a zip of one, or a folder of IDX files. `graticule data list` names more.
Ctrl-C saves the run; --resume goes on with it, to the same bits as if it had never stopped.

Examples:
  graticule train digits
  graticule train photos/ --model cnn-small --image-size 64 --epochs 30
  graticule train housing.csv --target median_house_value
  graticule train photos/ --weights runs/digits-1 --transfer finetune
  graticule train photos/ --model efficientnet-lite0 --weights lite0.pth --transfer features --per-class 20
  graticule train spiral --noise 0.1 --layers \"dense 8 tanh, dense 8 tanh, dense classes\" --lr 0.03
  graticule train --resume runs/digits-1";

/// Train a network and write a run folder with model, metrics and report
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// What to learn from: a name or a path
    #[arg(value_name = "SOURCE", required_unless_present = "resume")]
    source: Option<String>,
    /// Go on with an interrupted run
    #[arg(long, value_name = "RUN", conflicts_with = "source")]
    resume: Option<PathBuf>,
    /// Folder of the runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    #[command(flatten)]
    compute: ComputeArgs,
    #[command(flatten, next_help_heading = "Run")]
    choices: Choices,
    #[command(flatten, next_help_heading = "Transfer learning")]
    transfer: TransferArgs,
    #[command(flatten, next_help_heading = "Data")]
    reading: SourceArgs,
}

/// Runs the verb.
pub fn run(args: Args, out: &Output) -> Outcome {
    match (&args.resume, &args.source) {
        (Some(run), _) => resume(&args, run, out),
        (None, Some(source)) => begin(&args, source, out),
        (None, None) => Err(Failure::usage("nothing to learn from")
            .help("name a source, for example `graticule train digits`")),
    }
}

fn begin(args: &Args, source: &str, out: &Output) -> Outcome {
    let mut plan = Plan::new(args, source, args.compute.engine(out)?)?;
    let interrupt = Interrupt::listen()?;
    plan.make_features(&|| !interrupt.asked(), out)?;
    let rates = if args.choices.find_lr {
        Some(find_rate(args, &mut plan, out)?)
    } else {
        None
    };
    let (trainer, run) = plan.start(plan.network()?, &plan.file.settings, &plan.dataset.splits.train)?;
    let text = plan.file.to_text()?;
    let name = args
        .choices
        .name
        .clone()
        .unwrap_or_else(|| folder_name(&plan.dataset.name));
    let folder = RunFolder::create(&args.runs, &name)?;
    let written =
        write_atomically(&folder.settings_path(), text.as_bytes()).at(folder.settings_path().display());
    if let Err(failure) = written {
        folder.discard();
        return Err(failure);
    }
    tell_plan(&plan, &folder, out);
    let session = Session {
        plan: &plan,
        folder: &folder,
        out,
        interrupt,
        report: !args.choices.no_report,
        rates,
        race: &args.choices.race,
        data_sizes: args.choices.data_sizes,
        compare: args.transfer.compares().then_some((args, source)),
        poisons: &args.choices.poisons,
    };
    let trained = session.train(trainer, run, None);
    match trained {
        Err((failure, false)) => {
            folder.discard();
            Err(failure)
        }
        Err((failure, true)) => Err(failure),
        Ok(done) => finish::finish(&session, done),
    }
}

/// Looks for a learning rate and takes it, unless one was given.
fn find_rate(args: &Args, plan: &mut Plan, out: &Output) -> Outcome<LrCurve> {
    let search = extras::search_rate(plan, out)?;
    let settings = &mut plan.file.settings;
    match search.suggestion {
        None => out.note(format!(
            "no rate stands out; {} is kept",
            number(settings.learning_rate)
        )),
        Some(rate) if args.choices.lr.is_none() => {
            settings.learning_rate = rate;
            out.note(format!(
                "the loss falls fastest at a learning rate of {}, which is taken",
                number(rate)
            ));
        }
        Some(rate) => {
            let kept = number(settings.learning_rate);
            out.note(format!(
                "the loss falls fastest at a learning rate of {}; {kept} is kept, as given",
                number(rate)
            ));
        }
    }
    Ok(search)
}

fn resume(args: &Args, run: &Path, out: &Output) -> Outcome {
    let chosen = args.choices != Choices::default() || args.transfer != TransferArgs::default();
    if chosen || args.reading != SourceArgs::default() {
        let cause = "a run that goes on keeps its settings";
        return Err(Failure::usage(cause)
            .at("--resume")
            .help("leave all other choices out, but for --threads, --isa and --precision"));
    }
    let folder = RunFolder::open(run)?;
    let file = RunFile::read(&folder)?;
    let last = folder.last_path();
    let saved = ModelFile::read(&last)?;
    let position = checkpoint::position(&saved, &last)?;
    if let Some(patience) = position.settings.patience {
        let best = position
            .history
            .iter()
            .rfind(|record| record.best)
            .map_or(0, |record| record.epoch);
        if position.epoch >= best + patience {
            let cause = format!(
                "the run has ended: it stopped early after epoch {}",
                position.epoch
            );
            return Err(Failure::new(cause)
                .at(folder.path().display())
                .help("start a new run with more --patience"));
        }
    }
    let network = Network::from_file(&args.compute.engine_like(&file.engine, out)?, &saved, &last)?;
    let mut plan = Plan::again(file, &network)?;
    let interrupt = Interrupt::listen()?;
    plan.keep_features_of(&network, &|| !interrupt.asked(), out)?;
    let (trainer, run) = plan.start(network, &plan.file.settings, &plan.dataset.splits.train)?;
    folder.metrics().truncate_after(position.epoch as u64)?;
    tell_plan(&plan, &folder, out);
    out.note(format!(
        "going on after epoch {}, step {}",
        position.epoch, position.step
    ));
    let session = Session {
        plan: &plan,
        folder: &folder,
        out,
        interrupt,
        report: true,
        rates: None,
        race: &[],
        data_sizes: false,
        compare: None,
        poisons: &[],
    };
    let done = session
        .train(trainer, run, Some((&saved, position.step)))
        .map_err(|(failure, _)| failure)?;
    finish::finish(&session, done)
}

/// One process's part of a run.
pub struct Session<'a> {
    /// What is done.
    pub plan: &'a Plan,
    /// Where it is kept.
    pub folder: &'a RunFolder,
    /// To whom it is told.
    pub out: &'a Output,
    /// The user's wish to stop.
    pub interrupt: Interrupt,
    /// Whether a report is wanted.
    pub report: bool,
    /// The search for a learning rate that went before.
    pub rates: Option<LrCurve>,
    /// Optimizers to race afterwards.
    pub race: &'a [Optimizer],
    /// Whether to train on growing shares of the data afterwards.
    pub data_sizes: bool,
    /// Where ways to train a pretrained network are to be compared, what the command line says.
    pub compare: Option<(&'a Args, &'a str)>,
    /// Shares of wrong labels to train with afterwards.
    pub poisons: &'a [f64],
}

/// A run that came to its end.
pub struct Done {
    /// Its trainer, with the last state of the network.
    pub trainer: Trainer,
    /// Its loaders.
    pub run: train::Run,
    /// How it went.
    pub outcome: train::Outcome,
    /// What it took.
    pub spent: Spent,
}

impl Session<'_> {
    /// Trains to the end. A failure comes with whether any step was done, so that there is something to keep.
    fn train(
        &self,
        mut trainer: Trainer,
        mut run: train::Run,
        from: Option<(&ModelFile, u64)>,
    ) -> Result<Done, (Failure, bool)> {
        let early = |failure: Failure| (failure, from.is_some());
        run.files = Some(RunFiles {
            best: self.folder.best_path(),
            last: self.folder.last_path(),
        });
        let pictures = matches!(self.plan.dataset.layout(), InputLayout::Image { .. });
        let facts = Facts {
            epochs: self.plan.file.settings.epochs,
            regression: matches!(self.plan.dataset.task, Task::Regression { .. }),
            unit: if pictures { "images" } else { "samples" },
        };
        let next_step = from.map(|(_, step)| step + 1);
        let begun = Watch::begin(self.out, self.folder, self.interrupt.clone(), facts, next_step);
        let mut watch = begun.map_err(|e| early(e.into()))?;
        let clock = Stopwatch::start();
        let fitted = fit(&mut trainer, &run, from.map(|(file, _)| file), &mut watch);
        let spent = clock.spent();
        let worth_keeping = from.is_some() || watch.steps() > 0;
        let files = watch.end();
        let outcome = fitted.map_err(|e| (self.told(e, worth_keeping), worth_keeping))?;
        files.map_err(|e| (Failure::from(e).help(self.how_to_go_on()), worth_keeping))?;
        if outcome.ending == Ending::Interrupted {
            let step = trainer.step_count();
            let cause = format!(
                "interrupted; the run is saved at step {step} in {}",
                self.folder.path().display()
            );
            return Err((Failure::interrupted(cause).help(self.how_to_go_on()), true));
        }
        Ok(Done {
            trainer,
            run,
            outcome,
            spent,
        })
    }

    /// An error of the loop; what was saved can go on, unless the same numbers would lead to the same end.
    fn told(&self, error: TrainError, kept: bool) -> Failure {
        let same_end = matches!(error, TrainError::NotFinite { .. });
        let failure = Failure::from(error);
        if kept && !same_end {
            failure.help(self.how_to_go_on())
        } else {
            failure
        }
    }

    fn how_to_go_on(&self) -> String {
        format!(
            "go on with it: graticule train --resume {}",
            self.folder.path().display()
        )
    }
}

fn tell_plan(plan: &Plan, folder: &RunFolder, out: &Output) {
    let samples = plan.file.samples;
    for note in &plan.dataset.notes {
        out.note(format!("note: {note}"));
    }
    out.note(format!(
        "{}: {} training, {} validation, {} test samples",
        plan.dataset.name,
        thousands(samples.train),
        thousands(samples.validation),
        thousands(samples.test)
    ));
    let settings = &plan.file.settings;
    out.note(format!(
        "{}: {}; {}, learning rate {}, batch {}, {} epochs; {}",
        plan.file.model,
        parameters(plan),
        settings.optimizer.name(),
        settings.learning_rate,
        settings.batch,
        settings.epochs,
        told(&plan.engine)
    ));
    if let Some(origin) = &plan.file.weights {
        out.note(transfer::told(origin, settings, &plan.model));
    }
    out.note(format!("run folder {}", folder.path().display()));
}

/// How many there are, those of auxiliary heads apart.
fn parameters(plan: &Plan) -> String {
    let (all, shares) = (plan.model.trainable_count(), &plan.file.settings.auxiliary);
    let [share, ..] = shares[..] else {
        return format!("{} parameters", thousands(all));
    };
    let kept = setup::without_auxiliaries(&plan.model).map_or(all, |model| model.trainable_count());
    format!(
        "{} parameters, and {} in {} auxiliary head{} for training alone, whose loss counts {share} times",
        thousands(kept),
        thousands(all - kept),
        shares.len(),
        if shares.len() == 1 { "" } else { "s" }
    )
}

/// A data set's name as the name of a folder.
pub(super) fn folder_name(name: &str) -> String {
    let kept: String = name
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    let kept: String = kept.trim_matches(['-', '.']).chars().take(60).collect();
    if kept.is_empty() { "run".into() } else { kept }
}
