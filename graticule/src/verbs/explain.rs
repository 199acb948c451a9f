//! `graticule explain`: which pixels and columns matter for what a trained network says.

pub(super) mod folder;
mod methods;
mod network;
mod page;
mod pictures;
pub(super) mod progress;
mod samples;
mod tables;

use std::path::PathBuf;

use data::{InputEncoding, Task};
use explain::Target;
use nn::model::nearest;
use train::Network;

use crate::compute::ComputeArgs;
use crate::error::{Failure, Outcome};
use crate::output::Output;
use crate::run_file::Found;
use crate::text::thousands;

use folder::Folder;
use methods::MethodArgs;

/// What the folders are called: `explain-1`, `explain-2`, …
const NAME: &str = "explain";

const HELP: &str = "\
RUN is a run folder, or a .safetensors file of one alone. INPUT are picture files and folders of them, or CSV tables;
without INPUT some test samples of the run's own data are explained.
A new folder gets explanation.html (one page that opens offline), a PNG (picture, map on the picture, map, scale) and an .npy
file (the map's numbers, for numpy.load) for each input and method.

Methods for pictures: occlusion (hide parts and see what happens), gradient (saliency), gradient-x-input, smoothgrad,
integrated (gradients), guided (back-propagation), deconvnet, grad-cam, rise.
For tables: gradient-x-input, integrated, gradient, smoothgrad, permutation.
Pictures of the network itself: filters (weights of the first layer), features (what units of a layer answer to most), classes
(what each class looks like to the network), inversion (what layers still know of an INPUT), and network (all that suit it).
What the network sees in data: activations (what each layer makes of an input), patches (the real pictures that units answer most
to), embedding (samples in the plane of the features that it decides by: PCA and t-SNE; of tables too).

Examples:
  graticule explain runs/digits-1
  graticule explain runs/photos-1 owl.jpg --method occlusion,grad-cam
  graticule explain runs/photos-1 new/ --method all --target forest -o why/
  graticule explain runs/photos-1 --method network
  graticule explain runs/photos-1 --method features --layer conv2d_2 --units 0,3,7
  graticule explain runs/photos-1 --method patches,embedding
  graticule explain runs/photos-1 owl.jpg --method activations --layer conv2d_1 --units 0,3,7
  graticule explain runs/housing-1 new-houses.csv";

/// Show which pixels or columns matter for what a network says
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// A run folder or a model file
    run: PathBuf,
    /// Pictures, folders of pictures, or CSV tables [default: test samples of the run]
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// What is explained: a class or target by its name, or its number from 0 [default: the predicted class]
    #[arg(long, value_name = "CLASS")]
    target: Option<String>,
    /// The new folder to write to [default: explain-N beside the model]
    #[arg(long, short, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Leave out pictures that cannot be read, and say so
    #[arg(long)]
    skip_bad: bool,
    /// Test samples to explain where no INPUT is given [default: 8; activations 4, patches 10000, embedding 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    samples: Option<u32>,
    #[command(flatten, next_help_heading = "Methods")]
    methods: MethodArgs,
    #[command(flatten, next_help_heading = "Computing")]
    compute: ComputeArgs,
}

impl Args {
    /// How many samples are wanted, if `usual` are where nothing is said.
    fn samples(&self, usual: usize) -> usize {
        self.samples.map_or(usual, |samples| samples as usize)
    }
}

/// Runs the verb.
pub fn run(args: Args, out: &Output) -> Outcome {
    let found = Found::at(&args.run)?;
    let mut network = Network::load(&args.compute.engine(out)?, &found.model)?;
    let kinds = network::chosen(&args.methods.method, &network);
    let only_network = args.methods.only_network();
    match network.preprocess().input {
        _ if only_network => {
            let folder = Folder::new(args.output.as_deref(), &found.model, NAME)?;
            let drawn = draw(&args, &found, &mut network, kinds, &folder, out)?;
            network::finish(&args, &drawn, &network, &folder, out)
        }
        InputEncoding::Image(_) => {
            let target = target(&network, args.target.as_deref())?;
            let chosen = args.methods.for_pictures(&network)?;
            let samples = samples::of_pictures(&args, &found, &network, args.samples(8))?;
            let folder = Folder::new(args.output.as_deref(), &found.model, NAME)?;
            let drawn = draw(&args, &found, &mut network, kinds, &folder, out)?;
            pictures::explain(
                &args,
                &mut network,
                &target,
                chosen,
                samples,
                (&folder, &drawn),
                out,
            )
        }
        InputEncoding::Table(_) => {
            let target = target(&network, args.target.as_deref())?;
            let chosen = args.methods.for_tables()?;
            let rows = samples::of_tables(&args, &found, &network)?;
            let folder = Folder::new(args.output.as_deref(), &found.model, NAME)?;
            let drawn = draw(&args, &found, &mut network, kinds, &folder, out)?;
            tables::explain(&args, &mut network, &target, chosen, rows, (&folder, &drawn), out)
        }
    }
}

/// The pictures of the network itself.
fn draw(
    args: &Args,
    found: &Found,
    network: &mut Network,
    kinds: network::Chosen,
    folder: &Folder,
    out: &Output,
) -> Outcome<network::Drawn> {
    let mut scene = network::Scene {
        args,
        found,
        network,
        folder,
        bar: &progress::Bar::new(out),
    };
    network::draw(kinds, &mut scene, out)
}

/// What `--target` means.
fn target(network: &Network, wanted: Option<&str>) -> Outcome<Target> {
    let Some(wanted) = wanted else {
        return match network.task() {
            Task::Regression { targets } if targets.len() > 1 => {
                let cause = format!(
                    "the network gives {} numbers for each sample",
                    thousands(targets.len())
                );
                Err(Failure::usage(cause).help(format!("say which with --target: {}", targets.join(", "))))
            }
            _ => Ok(Target::predicted()),
        };
    };
    output_index(network, wanted, "--target").map(Target::output)
}

/// The output that a flag means: a name first, then a number.
pub(super) fn output_index(network: &Network, wanted: &str, flag: &str) -> Outcome<usize> {
    let names = network.task().output_names();
    let place = names.iter().position(|name| name == wanted);
    let number = || wanted.parse().ok().filter(|&k| k < names.len());
    place.or_else(number).ok_or_else(|| {
        let kind = if network.task().classes().is_some() {
            "class"
        } else {
            "target"
        };
        let failure = Failure::usage(format!("the network has no {kind} `{wanted}`")).at(flag);
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let near = nearest(wanted, &all);
        match near.is_empty() {
            false => failure.help(format!("did you mean {}?", near.join(" or "))),
            true => failure.help(format!("it has {}", some(&all))),
        }
    })
}

/// A list that stays readable.
fn some(names: &[&str]) -> String {
    match names.len() {
        0..=30 => names.join(", "),
        n => format!("{} and {} more", names[..30].join(", "), n - 30),
    }
}

/// The name of output `k`.
fn output_name(network: &Network, k: usize) -> &str {
    network.task().output_names().get(k).map_or("?", String::as_str)
}
