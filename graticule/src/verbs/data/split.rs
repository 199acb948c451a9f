//! `graticule data split`.

use std::path::PathBuf;

use data::{Role, splits};
use serde::Serialize;

use super::check_target;
use crate::error::{Failure, Outcome};
use crate::output::Output;
use crate::source::SourceArgs;
use crate::text::thousands;

const HELP: &str = "\
The split is stratified by class. An official split of the source, or one given with --splits, is kept.

Example:
  graticule data split photos/ --val 0.2 --test 0.2 --seed 3 -o splits.csv
  graticule train photos/ --splits splits.csv";

/// Write which sample is for training, validation and test
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// A name or path, as for `train`
    source: String,
    #[command(flatten)]
    reading: SourceArgs,
    /// The list to write, a CSV
    #[arg(long, short, value_name = "FILE", default_value = "splits.csv")]
    output: PathBuf,
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Serialize)]
struct Counts {
    source: String,
    train: usize,
    validation: usize,
    test: usize,
    none: usize,
    output: PathBuf,
}

/// Runs the verb.
pub fn run(args: &Args, out: &Output) -> Outcome {
    check_target(&args.output, args.force)?;
    let set = args.reading.open(&args.source)?;
    let of = |role| set.splits.of(role).len();
    let (train, validation, test) = (of(Role::Train), of(Role::Validation), of(Role::Test));
    if let Err(error) = splits::list::write(&args.output, &set) {
        let _ = std::fs::remove_file(&args.output);
        return Err(Failure::from(error));
    }
    let none = set.len() - train - validation - test;
    let counts = Counts {
        source: args.source.clone(),
        train,
        validation,
        test,
        none,
        output: args.output.clone(),
    };
    for (name, count) in [("train", train), ("validation", validation), ("test", test)] {
        out.line(format!("{name:<11}{:>9}", thousands(count)))?;
    }
    out.line(format!("written to {}", args.output.display()))?;
    out.object(&counts)
}
