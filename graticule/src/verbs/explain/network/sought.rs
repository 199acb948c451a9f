//! What pictures that are sought by gradient have in common.

use data::InputEncoding;
use explain::Subject;
use explain::attack::Pixels;
use graph::Symbol;
use ndarray::{Array3, ArrayD, Axis};
use train::Network;

use super::Scene;
use crate::error::{Failure, Outcome};
use crate::explaining::{picture, subject};

/// Smallest side of a picture on a sheet.
pub const SIDE: usize = 128;

/// Why no picture can be sought.
pub fn unsuited(network: &Network) -> Option<String> {
    pixels(network).err().map(|_| "the network reads tables".into())
}

/// How pixels become what the network reads.
pub fn pixels(network: &Network) -> Outcome<Pixels> {
    match &network.preprocess().input {
        InputEncoding::Image(encoding) => Ok(Pixels::new(encoding.mean.clone(), encoding.std.clone())?),
        InputEncoding::Table(_) => Err(Failure::usage(
            "this network reads tables; such pictures are of networks that read pictures",
        )
        .at("--method")
        .help(
            "for tables there are gradient-x-input, integrated, gradient, smoothgrad, permutation, embedding",
        )),
    }
}

/// The network ready to be asked, with a bar that shows how far the search is.
pub fn asked(scene: &Scene) -> Outcome<Subject> {
    let mut subject = subject(scene.network)?.seed(scene.args.methods.seed);
    let ticks = scene.bar.clone();
    subject.on_progress(Box::new(move |done, all| ticks.at(done, all)));
    Ok(subject)
}

/// Pictures for people.
pub fn shown(network: &Network, encoded: &ArrayD<f32>) -> Vec<Array3<u8>> {
    (0..encoded.len_of(Axis(0)))
        .map(|k| picture(network, encoded, k))
        .collect()
}

/// At most `most` layers, from the first to the last as evenly as can be.
pub fn spread(layers: Vec<(String, Symbol)>, most: usize) -> Vec<(String, Symbol)> {
    let (all, kept) = (layers.len(), layers.len().min(most.max(1)));
    let chosen = |k: usize| (0..kept).any(|n| k == n * (all - 1) / (kept - 1).max(1));
    let numbered = layers.into_iter().enumerate();
    numbered
        .filter(|(k, _)| chosen(*k))
        .map(|(_, layer)| layer)
        .collect()
}
