//! `graticule attack`: how easily a trained network is fooled (row E6).

mod page;
mod patch;
mod sweep;

use std::path::PathBuf;

use clap::ValueEnum;
use data::{Dataset, Role, Task};
use explain::attack::{Adversary, Norm};
use serde::Serialize;
use train::Network;

use super::evaluate::check_outputs;
use super::explain::{folder::Folder, output_index, progress::Bar};
use crate::attacking::adversary;
use crate::compute::ComputeArgs;
use crate::error::{Context, Failure, Outcome};
use crate::evaluation::{final_role, part};
use crate::output::Output;
use crate::run_file::{Found, RunFile};
use crate::source::SourceArgs;
use crate::text::{columns, percent, thousands};

use patch::{PatchArgs, PatchResult};
use sweep::Sweep;

const HELP: &str = "\
RUN is a run folder, or a .safetensors file of one alone. Without SOURCE the test samples of the run's own data are attacked;
with another SOURCE, its test samples.

Sizes are of pixels from 0 (black) to 1 (white), whatever the network's normalisation: 0.03 is 8 of 255 grey levels.
noise changes each pixel by that much at random; fgsm takes one step along the sign of the loss's gradient; pgd takes many,
from a random start. Attacked pictures stay pictures: no pixel leaves 0 to 1.

A new folder gets attack.html (one page that opens offline), accuracy.svg, and for some samples the picture, the attacked
picture and their difference as PNG.

Examples:
  graticule attack runs/digits-1
  graticule attack runs/photos-1 --strength 0.005,0.01,0.02 --method fgsm,pgd
  graticule attack runs/photos-1 --target forest --norm l2
  graticule attack runs/photos-1 --patch forest";

/// Measure how easily a network of pictures is fooled
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// A run folder or a model file
    run: PathBuf,
    /// The data, a name or path as for `train` [default: those of the run]
    source: Option<String>,
    /// Roles of the samples of SOURCE by list: a CSV with the columns `file` and `split`
    #[arg(long, value_name = "FILE", requires = "source")]
    splits: Option<PathBuf>,
    /// Kinds of attack, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "noise,fgsm,pgd")]
    method: Vec<Kind>,
    /// What the size of a change is: max, of any value; l2, the root of the sum of squares over the picture
    #[arg(long, value_enum, default_value = "max")]
    norm: NormName,
    /// Sizes of the change, separated by commas [default: 0.01,0.02,0.05,0.1,0.2,0.3; of l2 0.25,0.5,1,2,3,5]
    #[arg(
        long,
        value_name = "SIZES",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    strength: Vec<f32>,
    /// Steps of pgd
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    steps: u32,
    /// Make the network say this class, by its name or its number from 0 [default: anything but the truth]
    #[arg(long, value_name = "CLASS")]
    target: Option<String>,
    #[command(flatten)]
    patch: PatchArgs,
    /// Samples to attack, spread over all test samples
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// Samples whose pictures are written
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(0..=200))]
    show: u32,
    /// Keys the random starts, and the places of patches
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The new folder to write to [default: attack-N beside the model]
    #[arg(long, short, value_name = "FOLDER")]
    output: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Computing")]
    compute: ComputeArgs,
}

/// How a change is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Random change of the same size
    Noise,
    /// One step along the sign of the gradient
    Fgsm,
    /// Many steps
    Pgd,
}

/// How a change is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NormName {
    /// Largest change of any value
    Max,
    /// Euclidean length of the change
    L2,
}

impl NormName {
    fn norm(self) -> Norm {
        match self {
            Self::Max => Norm::Max,
            Self::L2 => Norm::Euclidean,
        }
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Told<'a> {
    model: &'a std::path::Path,
    data: &'a str,
    part: &'static str,
    samples: usize,
    norm: &'static str,
    target: Option<&'a str>,
    strengths: &'a [f32],
    methods: &'a [sweep::Curve],
    patch: Option<&'a PatchResult>,
    folder: &'a std::path::Path,
    page: PathBuf,
    pictures: Vec<String>,
}

/// What is attacked.
struct Scene {
    network: Network,
    adversary: Adversary,
    dataset: Dataset,
    part: &'static str,
    /// The samples under attack.
    indices: Vec<usize>,
    classes: Vec<String>,
    /// The class that is to be said.
    target: Option<usize>,
}

/// Runs the verb.
pub fn run(args: Args, out: &Output) -> Outcome {
    let found = Found::at(&args.run)?;
    let network = Network::load(&args.compute.engine(out)?, &found.model)?;
    let strengths = args.strengths()?;
    let mut scene = args.scene(&found, network)?;
    let patch = args.patch.plan(&scene, args.seed)?;
    let folder = Folder::new(args.output.as_deref(), &found.model, "attack")?;
    let bar = Bar::new(out);
    let sweep = sweep::measure(&args, &mut scene, &strengths, &bar)?;
    let patch = match patch {
        Some(plan) => Some(patch::measure(
            &mut scene,
            &plan,
            &folder,
            args.show as usize,
            &bar,
        )?),
        None => None,
    };
    bar.end();
    let pictures = page::write(&args, &mut scene, &sweep, patch.as_ref(), &folder)?;
    tell(&scene, &sweep, patch.as_ref(), &args, out)?;
    let page = folder.path().join(page::NAME);
    out.line(format!("page {}", page.display()))?;
    out.object(&Told {
        model: &found.model,
        data: &scene.dataset.name,
        part: scene.part,
        samples: scene.indices.len(),
        norm: args.norm.norm().name(),
        target: scene.target.map(|k| scene.classes[k].as_str()),
        strengths: &sweep.strengths,
        methods: &sweep.curves,
        patch: patch.as_ref(),
        folder: folder.path(),
        page,
        pictures,
    })
}

impl Args {
    /// The sizes, 0 first.
    fn strengths(&self) -> Outcome<Vec<f32>> {
        let usual: &[f32] = match self.norm {
            NormName::Max => &[0.01, 0.02, 0.05, 0.1, 0.2, 0.3],
            NormName::L2 => &[0.25, 0.5, 1.0, 2.0, 3.0, 5.0],
        };
        let mut sizes = match self.strength.is_empty() {
            true => usual.to_vec(),
            false => self.strength.clone(),
        };
        for size in &sizes {
            explain::attack::Attack::noise(self.norm.norm(), *size)
                .check()
                .map_err(|e| Failure::usage(e.to_string()).at("--strength"))?;
        }
        sizes.push(0.0);
        sizes.sort_by(f32::total_cmp);
        sizes.dedup();
        Ok(sizes)
    }

    fn scene(&self, found: &Found, network: Network) -> Outcome<Scene> {
        let Task::Classification { classes } = network.task().clone() else {
            return Err(
                Failure::new("this network does not choose one of several classes")
                    .at(self.run.display())
                    .help("take a classifier of pictures"),
            );
        };
        let adversary = adversary(&network).at(self.run.display())?;
        let wanted = self.target.as_deref();
        let target = wanted
            .map(|class| output_index(&network, class, "--target"))
            .transpose()?;
        let dataset = self.dataset(found.settings()?)?;
        check_outputs(&network, &dataset)?;
        network.preprocess().check(&dataset)?;
        let (part, all) = part(&dataset, final_role(&dataset));
        if all.is_empty() {
            return Err(Failure::new("there are no samples").at(&dataset.name));
        }
        let count = all.len().min(self.samples as usize);
        let indices = (0..count).map(|n| all[n * all.len() / count]).collect();
        Ok(Scene {
            network,
            adversary,
            part,
            indices,
            dataset,
            classes,
            target,
        })
    }

    fn dataset(&self, run: Option<RunFile>) -> Outcome<Dataset> {
        let reading = SourceArgs {
            splits: self.splits.clone(),
            ..SourceArgs::default()
        };
        match (&self.source, run) {
            (None, Some(run)) => run.reading.open(&run.source),
            (Some(source), Some(run)) => reading.over(&run.reading).open(source),
            (Some(source), None) => reading.open(source),
            (None, None) => {
                Err(Failure::usage("a model file alone does not say where data are").help("name a SOURCE"))
            }
        }
    }
}

impl Scene {
    /// Samples that a patch is learnt from.
    fn training(&self) -> &[usize] {
        self.dataset.splits.of(Role::Train)
    }
}

fn tell(scene: &Scene, sweep: &Sweep, patch: Option<&PatchResult>, args: &Args, out: &Output) -> Outcome {
    out.line(format!(
        "{} {} samples of {}; accuracy by size of the change (norm {})",
        thousands(scene.indices.len()),
        scene.part,
        scene.dataset.name,
        args.norm.norm().name()
    ))?;
    columns(&sweep.rows(scene))
        .iter()
        .try_for_each(|line| out.line(line))?;
    patch.map_or(Ok(()), |patch| {
        patch.lines().iter().try_for_each(|line| out.line(line))
    })
}

/// A share as a person reads it, or a dash where nothing was counted.
fn share(value: f64) -> String {
    match value.is_finite() {
        true => percent(value),
        false => "–".into(),
    }
}
