//! `graticule import`: a network that another program trained, as a model file of ours.
//!
//! One file below for each kind of source: `weights.rs` has numbers for a network that we know by name.

mod onnx;
mod weights;

use std::path::PathBuf;

use crate::error::{Failure, Outcome};
use crate::output::Output;
use crate::verbs::summary::{SampleShape, parse_shape};

const HELP: &str = "\
FILE is what torch.save wrote (.pth, .pt, .th: a state_dict, alone or in a checkpoint) or a .safetensors file, with the names
of torchvision, timm or another known source. Nothing in it is run. The numbers go into the network that --model names; the
result holds all that `predict`, `evaluate` and `summary` need. Images are prepared as the published networks of the family
want them (ImageNet's mean and deviation; (byte - 127)/128 for EfficientNet-Lite; -1 to 1 for GoogLeNet, Inception, Xception),
unless --mean and --std say otherwise.

A .onnx file has the network too. Its images are [N, C, H, W]; here they are [N, H, W, C].

Examples:
  graticule import efficientnet-lite0-57934424.pth --model efficientnet-lite0 --classes imagenet.txt -o lite0.safetensors
  graticule import resnet56-4bfd9763.th --model resnet56 -o resnet56.safetensors
  graticule import mine.safetensors --model resnet18 --outputs 7 --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5 -o mine-here.safetensors
  graticule import mine.onnx --classes classes.txt --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 -o mine.safetensors";

/// Make a model file of weights that another program trained
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// The weights, or an ONNX file
    file: PathBuf,
    /// The network that weights are of (`graticule summary` shows one, the README lists them)
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
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
    /// Shape of an input that an ONNX file leaves open, in the file's order of axes
    #[arg(long, value_name = "NAME=1x3x224x224", value_parser = parse_named_shape)]
    shape: Vec<(String, Vec<usize>)>,
}

fn parse_named_shape(text: &str) -> Result<(String, Vec<usize>), String> {
    let wrong = || format!("`{text}` is not NAME=1x3x224x224");
    let (name, axes) = text.rsplit_once('=').ok_or_else(wrong)?;
    let axes: Option<Vec<usize>> = axes
        .split('x')
        .map(|a| a.parse().ok().filter(|&a| a > 0))
        .collect();
    Ok((name.to_string(), axes.ok_or_else(wrong)?))
}

/// Runs the verb.
pub fn run(args: Args, out: &Output) -> Outcome {
    super::data::check_target(&args.output, args.force)?;
    let is_onnx = args
        .file
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("onnx"));
    match (is_onnx, &args.model) {
        (true, None) => onnx::run(&args, out),
        (true, Some(_)) => Err(Failure::usage("an ONNX file says which network it is")
            .at("--model")
            .help("leave --model out")),
        (false, Some(model)) => weights::run(&args, model, out),
        (false, None) => Err(
            Failure::usage("weights alone do not say which network they are of")
                .at(args.file.display())
                .help("name it with --model"),
        ),
    }
}
