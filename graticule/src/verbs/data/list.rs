//! `graticule data list`.

use data::catalogue::{Access, Entry, entries};
use serde::Serialize;

use crate::error::Outcome;
use crate::output::Output;
use crate::text::columns;

/// List the data sets known by name
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  graticule data list --json")]
pub struct Args {}

/// A known data set as `--json` prints it.
#[derive(Debug, Serialize)]
pub struct Known {
    name: &'static str,
    access: &'static str,
    about: &'static str,
    source: &'static str,
    licence: &'static str,
    files: Vec<File>,
    open_with: &'static str,
}

#[derive(Debug, Serialize)]
struct File {
    url: &'static str,
    sha256: Option<&'static str>,
}

impl From<&'static Entry> for Known {
    fn from(entry: &'static Entry) -> Self {
        Self {
            name: entry.name,
            access: access(entry.access),
            about: entry.about,
            source: entry.source,
            licence: entry.licence,
            files: entry
                .files
                .iter()
                .map(|f| File {
                    url: f.url,
                    sha256: f.sha256,
                })
                .collect(),
            open_with: entry.open_with,
        }
    }
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Embedded => "in the program",
        Access::Synthetic => "made on the spot",
        Access::Download => "download",
    }
}

/// Runs the verb.
pub fn run(_: &Args, out: &Output) -> Outcome {
    let header = ["name", "where", "what", "licence"].map(String::from).to_vec();
    let row = |e: &Entry| {
        [e.name, access(e.access), e.about, e.licence]
            .map(String::from)
            .to_vec()
    };
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(entries().iter().map(row)).collect();
    for line in columns(&rows) {
        out.line(line)?;
    }
    out.line(
        "\nA path works too: a CSV table, a folder with one folder of images for each class, a zip of one,",
    )?;
    out.line("a folder of IDX files. `graticule data get NAME` says where a download comes from.")?;
    out.object(&entries().iter().map(Known::from).collect::<Vec<_>>())
}
