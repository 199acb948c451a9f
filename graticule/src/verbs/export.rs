//! `graticule export`: a trained network for other programs.
//!
//! One file below for each format, and a variant of `Format`.

mod onnx;
mod safetensors;

use std::path::PathBuf;

use clap::ValueEnum;
use interchange::ModelFile;
use serde_json::json;

use crate::error::Outcome;
use crate::output::Output;
use crate::run_file::Found;

const HELP: &str = "\
RUN is a run folder, or a .safetensors file of one alone.
`safetensors` has the parameters with PyTorch's names (torchvision's, where torchvision has the network) and PyTorch's layout:
model.load_state_dict(safetensors.torch.load_file(\"weights.safetensors\")) takes them.
`onnx` has the network for ONNX Runtime and others: images [batch, channels, rows, columns], any batch, any size where the
network takes it, scores as it gives them (no softmax). Its metadata tell QGIS's plugin Deepness the classes and how pixels are
normalised; --with-preprocessing lets the graph do that itself. Batch norm stays, so that others can train on, unless
--fold-batch-norm is given. Weights of more than 1.9 GB go to a second file, OUTPUT.data, which must stay beside the first.

Examples:
  graticule export runs/photos-1 --to onnx -o photos.onnx
  graticule export runs/photos-1 --to safetensors -o weights.safetensors";

/// Write a trained network for other programs
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// A run folder or a model file
    run: PathBuf,
    /// The format
    #[arg(long, value_enum)]
    to: Format,
    /// The file to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    onnx: onnx::OnnxArgs,
}

/// What can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The network, for ONNX Runtime and others
    Onnx,
    /// Parameters with PyTorch's names and layout
    Safetensors,
}

/// Runs the verb.
pub fn run(args: Args, out: &Output) -> Outcome {
    super::data::check_target(&args.output, args.force)?;
    let found = Found::at(&args.run)?;
    let file = ModelFile::read(&found.model)?;
    let told = match args.to {
        Format::Onnx => onnx::write(&file, &args.output, &args.onnx)?,
        Format::Safetensors => safetensors::write(&file, &args.output)?,
    };
    out.line(format!("{told}; written to {}", args.output.display()))?;
    out.object(&json!({ "model": found.model, "output": args.output }))
}
