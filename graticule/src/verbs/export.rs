//! `graticule export`: a trained network for other programs.
//!
//! One file below for each format, and a variant of `Format`.

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

Example:
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
}

/// What can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Parameters with PyTorch's names and layout
    Safetensors,
}

/// Runs the verb.
pub fn run(args: Args, out: &Output) -> Outcome {
    super::data::check_target(&args.output, args.force)?;
    let found = Found::at(&args.run)?;
    let file = ModelFile::read(&found.model)?;
    let told = match args.to {
        Format::Safetensors => safetensors::write(&file, &args.output)?,
    };
    out.line(format!("{told}; written to {}", args.output.display()))?;
    out.object(&json!({ "model": found.model, "output": args.output }))
}
