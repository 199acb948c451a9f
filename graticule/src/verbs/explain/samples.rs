//! What is explained: the inputs of the command line, or test samples of the run.

use std::path::PathBuf;

use data::{DataError, Dataset, InputEncoding, Raw, TableReader};
use train::Network;

use super::Args;
use crate::error::{Failure, Outcome};
use crate::evaluation::{final_role, part};
use crate::run_file::Found;
use crate::verbs::predict::images::collect;

/// Most rows of tables that are explained at once.
const MOST_ROWS: usize = 1_000_000;

/// Pictures: files, or samples of the run's own data.
pub enum Pictures {
    Files(Vec<PathBuf>),
    Own(Dataset, Vec<usize>),
}

impl Pictures {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Files(files) => files.len(),
            Self::Own(_, samples) => samples.len(),
        }
    }

    /// The name of picture `k`.
    pub fn name(&self, k: usize) -> String {
        match self {
            Self::Files(files) => files[k].display().to_string(),
            Self::Own(dataset, samples) => dataset.source.name_of(samples[k]),
        }
    }

    /// Reads picture `k`.
    pub fn read(&self, network: &Network, k: usize) -> Result<Raw, DataError> {
        match self {
            Self::Files(files) => network.preprocess().raw_from_image_file(&files[k]),
            Self::Own(dataset, samples) => dataset.source.raw(samples[k]),
        }
    }
}

/// The pictures of the command line, or at most `most` test samples of the run.
pub fn of_pictures(args: &Args, found: &Found, network: &Network, most: usize) -> Outcome<Pictures> {
    if args.inputs.is_empty() {
        let (dataset, samples) = own(found, network, most)?;
        return Ok(Pictures::Own(dataset, samples));
    }
    let mut files = Vec::new();
    for input in &args.inputs {
        collect(input, 0, &mut files)?;
    }
    Ok(Pictures::Files(files))
}

/// The rows of the command line, each with its name.
pub fn of_tables(args: &Args, found: &Found, network: &Network) -> Outcome<Vec<(String, Raw)>> {
    let InputEncoding::Table(encoding) = &network.preprocess().input else {
        return Err(Failure::new("this network reads pictures"));
    };
    if args.inputs.is_empty() {
        let (dataset, samples) = own(found, network, usize::MAX)?;
        let row = |&k: &usize| Ok((dataset.source.name_of(k), dataset.source.raw(k)?));
        return samples.iter().map(row).collect();
    }
    let columns = encoding.columns();
    let mut rows = Vec::new();
    for input in &args.inputs {
        if input.is_dir() {
            return Err(Failure::new("is a folder; this network reads tables")
                .at(input.display())
                .help("give a CSV file"));
        }
        for row in TableReader::open(input, &columns)? {
            let row = row?;
            rows.push((format!("{}, line {}", input.display(), row.line), row.raw));
            if rows.len() > MOST_ROWS {
                return Err(Failure::new(format!("more than {MOST_ROWS} rows"))
                    .at(input.display())
                    .help("explain a part of them"));
            }
        }
    }
    match rows.is_empty() {
        true => Err(Failure::new("the tables have no rows")),
        false => Ok(rows),
    }
}

/// At most `most` test samples of the run, spread over all of them.
pub fn own(found: &Found, network: &Network, most: usize) -> Outcome<(Dataset, Vec<usize>)> {
    let Some(run) = found.settings()? else {
        return Err(Failure::usage("a model file alone does not say where data are").help("name an INPUT"));
    };
    let dataset = run.reading.open(&run.source)?;
    network.preprocess().check(&dataset)?;
    let (_, samples) = part(&dataset, final_role(&dataset));
    let shown = samples.len().min(most);
    let spread = (0..shown)
        .map(|n| samples[n * samples.len() / shown.max(1)])
        .collect();
    Ok((dataset, spread))
}
