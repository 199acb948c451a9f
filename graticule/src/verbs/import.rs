//! `graticule import`: a network that another program trained, as a model file of ours.
//!
//! One file below for each kind of source: `weights.rs` has numbers for a network that we know by name.

mod weights;

use std::path::PathBuf;

use crate::error::Outcome;
use crate::output::Output;
use crate::verbs::summary::{SampleShape, parse_shape};

const HELP: &str = "\
FILE is what torch.save wrote (.pth, .pt, .th: a state_dict, alone or in a checkpoint) or a .safetensors file, with the names
of torchvision, timm or another known source. Nothing in it is run. The numbers go into the network that --model names; the
result holds all that `predict`, `evaluate` and `summary` need. Images are prepared as the published networks of the family
want them (ImageNet's mean and deviation; (byte - 127)/128 for EfficientNet-Lite; -1 to 1 for GoogLeNet, Inception, Xception),
unless --mean and --std say otherwise.

Examples:
  graticule import efficientnet-lite0-57934424.pth --model efficientnet-lite0 --classes imagenet.txt -o lite0.safetensors
  graticule import resnet56-4bfd9763.th --model resnet56 -o resnet56.safetensors
  graticule import mine.safetensors --model resnet18 --outputs 7 --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5 -o mine-here.safetensors";

/// Make a model file of weights that another program trained
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// The weights
    file: PathBuf,
    /// The network that they are of (`graticule summary` shows one, the README lists them)
    #[arg(long, value_name = "NAME")]
    model: String,
    /// The model file to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,
    /// Names of the classes, one a line; a line may begin with its number
    #[arg(long, value_name = "FILE", conflicts_with = "outputs")]
    classes: Option<PathBuf>,
    /// Number of outputs, where no names are given [default: as the network was published]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    outputs: Option<u32>,
    /// Size of the images [default: as the network was published]
    #[arg(long, value_name = "HxWxC", value_parser = parse_shape)]
    input: Option<SampleShape>,
    /// What is taken off each channel, white = 1 [default: that of the family]
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', requires = "std")]
    mean: Vec<f32>,
    /// What each channel is divided by then [default: that of the family]
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', requires = "mean")]
    std: Vec<f32>,
}

/// Runs the verb.
pub fn run(args: Args, out: &Output) -> Outcome {
    super::data::check_target(&args.output, args.force)?;
    weights::run(&args, out)
}
