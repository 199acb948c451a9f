//! `graticule data make`.

use std::path::PathBuf;

use data::toys::{Toy, ToyOptions, dataset};
use data::{Fractions, write_csv};
use serde::Serialize;

use super::check_target;
use crate::error::{Context, Failure, Outcome};
use crate::output::Output;
use crate::text::thousands;

const HELP: &str = "\
Example:
  graticule data make spiral --samples 400 --noise 0.1 -o spiral.csv";

/// Write a synthetic set as a CSV table
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// circle, xor, gauss, spiral, plane, and, or
    #[arg(value_parser = toy)]
    toy: Toy,
    /// Number of points [default: 500; 4 for and, or]
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// How far points move from their place, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    noise: f64,
    /// Seed of the points
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The table to write [default: NAME.csv]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,
}

fn toy(name: &str) -> Result<Toy, String> {
    let known: Vec<&str> = Toy::ALL.into_iter().map(Toy::name).collect();
    Toy::by_name(name).ok_or_else(|| format!("known are {}", known.join(", ")))
}

#[derive(Debug, Serialize)]
struct Made {
    toy: &'static str,
    samples: usize,
    noise: f64,
    seed: u64,
    output: PathBuf,
}

/// Runs the verb.
pub fn run(args: &Args, out: &Output) -> Outcome {
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| format!("{}.csv", args.toy.name()).into());
    check_target(&output, args.force)?;
    let Args {
        samples, noise, seed, ..
    } = *args;
    let set = dataset(
        args.toy,
        ToyOptions {
            samples,
            noise,
            fractions: Fractions::default(),
            seed,
        },
    )?;
    if let Err(error) = write_csv(&set, &output) {
        // Half a table would look like a whole one.
        let _ = std::fs::remove_file(&output);
        return Err(Failure::from(error));
    }
    let made = Made {
        toy: args.toy.name(),
        samples: set.len(),
        noise,
        seed,
        output,
    };
    out.line(format!(
        "{} points of `{}` written to {}",
        thousands(made.samples),
        made.toy,
        made.output.display()
    ))?;
    let target = if set.task.classes().is_some() {
        "class"
    } else {
        "z"
    };
    out.line(format!(
        "train on them with: graticule train {} --target {target}",
        made.output.display()
    ))?;
    out.object(&made).at(made.toy)
}
