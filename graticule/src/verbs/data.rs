//! `graticule data`: which data there are, how to get them, make them, split them, and what is wrong with them.

mod get;
mod inspect;
mod list;
mod make;
mod split;

use std::path::Path;

use clap::Subcommand;

use crate::error::{Failure, Outcome};
use crate::output::Output;

const HELP: &str = "\
Examples:
  graticule data list
  graticule data get mnist
  graticule data make spiral --samples 400 --noise 0.1 -o spiral.csv
  graticule data split photos/ --val 0.2 --test 0.2 -o splits.csv
  graticule data inspect housing.csv --target median_house_value";

/// List, make, split and check data sets
#[derive(Debug, clap::Args)]
#[command(after_help = HELP, subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What to do with data.
#[derive(Debug, Subcommand)]
enum What {
    /// List the data sets known by name, with source and licence
    List(list::Args),
    /// Say where a known data set comes from, and where to put its files
    Get(get::Args),
    /// Write a synthetic set as a CSV table
    Make(make::Args),
    /// Write which sample is for training, validation and test
    Split(split::Args),
    /// Check a data set: classes, missing cells, outliers, duplicates, leaks between roles
    Inspect(inspect::Args),
}

/// Runs the verb.
pub fn run(args: Args, out: &Output) -> Outcome {
    match args.what {
        What::List(args) => list::run(&args, out),
        What::Get(args) => get::run(&args, out),
        What::Make(args) => make::run(&args, out),
        What::Split(args) => split::run(&args, out),
        What::Inspect(args) => inspect::run(&args, out),
    }
}

/// Refuses to replace a file that is there.
pub fn check_target(path: &Path, force: bool) -> Outcome {
    if path.is_dir() {
        return Err(Failure::new("is a folder; a file is to be written").at(path.display()));
    }
    if path.exists() && !force {
        return Err(Failure::new("exists already")
            .at(path.display())
            .help("choose another name with -o, or add --force"));
    }
    Ok(())
}
