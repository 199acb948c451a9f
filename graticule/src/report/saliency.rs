//! Which pixels matter for some samples (row E2), by the gradient of the class that the network says.

use data::{Dataset, InputEncoding, Task};
use explain::{Method, Target};
use report::figures::{Overlay, overlay as figure};
use report::html::Report;
use train::Network;

use super::gallery::{name, spread};
use crate::error::Outcome;
use crate::evaluation::Evaluation;
use crate::explaining::{batch, map_of, overlay, picture, subject};

/// Samples shown.
const SHOWN: usize = 6;

/// Maps on pictures; none for tables, for tasks without one answer, and for networks without gradients.
pub fn measure_saliency(
    network: &Network,
    dataset: &Dataset,
    evaluation: &Evaluation,
) -> Outcome<Vec<Overlay>> {
    let (InputEncoding::Image(_), Task::Classification { classes }) =
        (&network.preprocess().input, network.task())
    else {
        return Ok(Vec::new());
    };
    let predictions = &evaluation.predictions;
    let samples: Vec<usize> = spread(predictions.len(), SHOWN).collect();
    if samples.is_empty() {
        return Ok(Vec::new());
    }
    let mut encoded = Vec::new();
    for &k in &samples {
        let raw = dataset.source.raw(predictions.indices[k])?;
        encoded.extend(network.preprocess().encode(&raw)?);
    }
    let inputs = batch(network, encoded)?;
    let Ok(found) = explain::explain(
        &mut subject(network)?,
        &inputs,
        &Target::predicted(),
        &Method::Gradient,
    ) else {
        return Ok(Vec::new());
    };
    let tile = |(k, &sample): (usize, &usize)| {
        let (truth, said) = (
            name(classes, predictions.truth[sample] as usize),
            name(classes, found.outputs[k]),
        );
        let title = if truth == said {
            said.to_string()
        } else {
            format!("{truth} → {said}")
        };
        overlay(
            &title,
            &picture(network, &inputs, k),
            map_of(&found.map, k).view(),
            false,
        )
    };
    Ok(samples.iter().enumerate().map(tile).collect())
}

pub(super) fn add(report: &mut Report, maps: &[Overlay]) -> Outcome {
    if maps.is_empty() {
        return Ok(());
    }
    report.section("Which pixels matter");
    report.text(
        "The magnitude of the gradient of the predicted class's score, the largest of the bands: where a small change of a pixel would \
         change the score most (E2). `graticule explain` has other methods, and tells how faithful each is.",
    );
    for map in maps {
        report.figure(&figure(map)?, "");
    }
    Ok(())
}
