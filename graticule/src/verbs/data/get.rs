//! `graticule data get`.

use data::catalogue::{Access, Entry, by_name, entries};

use super::list::Known;
use crate::error::{Failure, Outcome};
use crate::output::Output;

const HELP: &str = "\
This program opens no network connection: for a download it prints the commands that fetch and verify the files.

Example:
  graticule data get mnist";

/// Say where a known data set comes from, and where to put its files
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// A name of `graticule data list`
    name: String,
}

/// Runs the verb.
pub fn run(args: &Args, out: &Output) -> Outcome {
    let entry = by_name(&args.name).ok_or_else(|| {
        let names: Vec<&str> = entries().iter().map(|e| e.name).collect();
        Failure::new(format!("no data set is known as `{}`", args.name))
            .help(format!("known are {}", names.join(", ")))
    })?;
    out.line(format!("{}: {}", entry.name, entry.about))?;
    out.line(format!("source   {}", entry.source))?;
    out.line(format!("licence  {}", entry.licence))?;
    match entry.access {
        Access::Embedded | Access::Synthetic => {
            out.line(format!(
                "\nNothing to fetch. Use it by its name:\n  graticule train {}",
                entry.open_with
            ))?;
        }
        Access::Download => tell_commands(entry, out)?,
    }
    out.object(&Known::from(entry))
}

fn tell_commands(entry: &Entry, out: &Output) -> Outcome {
    out.line(format!(
        "\nThis program does not download. Fetch the files into a folder, for example `{}`:",
        entry.name
    ))?;
    out.line(format!("  mkdir -p {0} && cd {0}", entry.name))?;
    for file in entry.files {
        out.line(format!("  curl -fLO {}", file.url))?;
    }
    let verified = entry
        .files
        .iter()
        .filter_map(|file| Some((file.sha256?, file.url.rsplit('/').next()?)));
    let verified: Vec<String> = verified.map(|(sum, name)| format!("{sum}  {name}")).collect();
    if verified.is_empty() {
        out.line("(No checksum is known for it.)")?;
    } else {
        out.line(format!("  sha256sum -c <<'END'\n{}\nEND", verified.join("\n")))?;
    }
    out.line(format!("Then give `graticule train` {}.", entry.open_with))
}
