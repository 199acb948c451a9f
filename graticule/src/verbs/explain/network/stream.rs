//! Samples for kinds that look at data: the inputs of the command line, or the run's own, some at a time.

use std::ops::Range;

use data::{Dataset, InputEncoding, Raw, Target};
use explain::Subject;
use ndarray::ArrayD;
use train::Network;

use super::super::samples::{self, Pictures};
use super::Scene;
use crate::error::{Failure, Outcome};
use crate::explaining::{batch, subject};

/// Bytes of encoded samples that are held together.
const BYTES: usize = 64 << 20;
/// Most samples that are held together, so that a bar moves.
const MOST: usize = 256;

/// Samples that can be read again.
pub struct Stream {
    from: From,
    /// What could not be read, where that is allowed.
    pub left_out: Vec<String>,
}

enum From {
    Own(Dataset, Vec<usize>),
    Pictures(Pictures, Vec<usize>),
    Rows(Vec<(String, Raw)>),
}

impl Stream {
    /// The inputs of the command line, or at most `most` test samples of the run.
    pub fn new(scene: &Scene, most: usize) -> Outcome<Self> {
        let (args, network) = (scene.args, &*scene.network);
        let mut left_out = Vec::new();
        let from = match (args.inputs.is_empty(), &network.preprocess().input) {
            (true, _) => {
                let (dataset, samples) = samples::own(scene.found, network, most)?;
                From::Own(dataset, samples)
            }
            (false, InputEncoding::Table(_)) => From::Rows(samples::of_tables(args, scene.found, network)?),
            (false, InputEncoding::Image(_)) => {
                let pictures = samples::of_pictures(args, scene.found, network, most)?;
                let mut kept = Vec::new();
                for k in 0..pictures.len() {
                    match args.skip_bad {
                        true => match pictures.read(network, k) {
                            Ok(_) => kept.push(k),
                            Err(error) => left_out.push(format!("Left out: {error}")),
                        },
                        false => kept.push(k),
                    }
                }
                From::Pictures(pictures, kept)
            }
        };
        let stream = Self { from, left_out };
        match stream.len() {
            0 => Err(Failure::new("no sample could be read")),
            _ => Ok(stream),
        }
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        match &self.from {
            From::Own(_, samples) => samples.len(),
            From::Pictures(_, kept) => kept.len(),
            From::Rows(rows) => rows.len(),
        }
    }

    /// The name of sample `k`.
    pub fn name(&self, k: usize) -> String {
        match &self.from {
            From::Own(dataset, samples) => dataset.source.name_of(samples[k]),
            From::Pictures(pictures, kept) => pictures.name(kept[k]),
            From::Rows(rows) => rows[k].0.clone(),
        }
    }

    /// What is true of sample `k`; unknown of the inputs of a command line.
    pub fn truth(&self, k: usize) -> Outcome<Option<Target>> {
        match &self.from {
            From::Own(dataset, samples) => Ok(Some(dataset.source.target(samples[k])?)),
            _ => Ok(None),
        }
    }

    /// Some samples as the network reads them.
    pub fn read(&self, network: &Network, these: impl IntoIterator<Item = usize>) -> Outcome<ArrayD<f32>> {
        let mut encoded = Vec::new();
        for k in these {
            let raw = match &self.from {
                From::Own(dataset, samples) => dataset.source.raw(samples[k]),
                From::Pictures(pictures, kept) => pictures.read(network, kept[k]),
                From::Rows(rows) => Ok(rows[k].1.clone()),
            };
            let numbers = raw.and_then(|raw| network.preprocess().encode(&raw));
            encoded.extend(numbers.map_err(|e| match &self.from {
                From::Pictures(..) => Failure::not_skipped(e),
                _ => Failure::from(e),
            })?);
        }
        batch(network, encoded)
    }

    /// All samples, as many at a time as memory may hold.
    pub fn parts(&self, network: &Network) -> impl Iterator<Item = Range<usize>> + use<> {
        let bytes = 4 * network.preprocess().input_shape().iter().product::<usize>();
        let together = (BYTES / bytes.max(1)).clamp(1, MOST);
        let all = self.len();
        (0..all)
            .step_by(together)
            .map(move |first| first..all.min(first + together))
    }
}

/// The network ready to be asked.
pub fn asked(scene: &Scene) -> Outcome<Subject> {
    Ok(subject(scene.network)?.seed(scene.args.methods.seed))
}

/// A layer's name as a part of a file's.
pub fn file_part(layer: &str) -> String {
    let safe = |c: char| match c {
        c if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+') => c,
        _ => '-',
    };
    layer.chars().map(safe).take(80).collect()
}
