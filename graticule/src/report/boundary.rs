//! What a network says over the plane of two features (row L5), and why a single layer cannot do xor (row L6).

use data::{Cell, ColumnKind, Dataset, InputLayout, Raw, Role, Target, Task};
use ndarray::{Array2, Array3};
use nn::model::Summary;
use report::figures::{DecisionBoundary, Field, Sample, decision_boundary, grid_points};
use report::html::Report;
use train::Network;

use crate::error::Outcome;
use crate::evaluation::Evaluation;

/// Points of the field along each axis.
const SIDE: usize = 120;
/// Free space around the samples, as a share of their extent.
const MARGIN: f64 = 0.08;
/// A right share below this is a failure of the kind of network, not bad luck.
const FAILED: f64 = 0.95;

/// The answers of a network over two features.
#[derive(Debug, Clone)]
pub struct Boundary(DecisionBoundary);

/// Asks `network` about a grid over the samples; `None` where there are not two numeric features.
pub fn measure(network: &mut Network, dataset: &Dataset) -> Outcome<Option<Boundary>> {
    let Some([x_label, y_label]) = two_features(&dataset.layout()) else {
        return Ok(None);
    };
    let samples = samples(dataset)?;
    let Some(extent) = extent(&samples) else {
        return Ok(None);
    };
    let mut answers = Vec::new();
    for row in grid_points(extent, SIDE, SIDE).chunks(SIDE) {
        let mut inputs = Vec::new();
        for &(x, y) in row {
            inputs.extend(network.preprocess().encode(&Raw::from_numbers(&[x, y]))?);
        }
        answers.extend(network.infer(&inputs, row.len())?.predictions);
    }
    let width = dataset.task.outputs().max(1);
    let field = match &dataset.task {
        Task::Classification { .. } => Field::Classes(Array3::from_shape_vec((SIDE, SIDE, width), answers)?),
        Task::Regression { .. } if width == 1 => {
            Field::Values(Array2::from_shape_vec((SIDE, SIDE), answers)?)
        }
        _ => return Ok(None),
    };
    Ok(Some(Boundary(DecisionBoundary {
        title: "What the network says".into(),
        x_label,
        y_label,
        field,
        extent,
        samples,
        classes: dataset.task.classes().unwrap_or_default().to_vec(),
        colours: Vec::new(),
    })))
}

fn two_features(layout: &InputLayout) -> Option<[String; 2]> {
    match layout {
        InputLayout::Vector { names } => names.clone().try_into().ok(),
        InputLayout::Table { columns } if columns.iter().all(|c| c.kind == ColumnKind::Numeric) => columns
            .iter()
            .map(|c| c.name.clone())
            .collect::<Vec<_>>()
            .try_into()
            .ok(),
        _ => None,
    }
}

/// The samples that have both features; test and validation samples count as held out.
fn samples(dataset: &Dataset) -> Outcome<Vec<Sample>> {
    let mut found = Vec::new();
    for role in Role::ALL {
        for &index in dataset.splits.of(role) {
            let Raw::Row(cells) = dataset.source.raw(index)? else {
                continue;
            };
            let [Cell::Number(x), Cell::Number(y)] = cells[..] else {
                continue;
            };
            let target = match dataset.source.target(index)? {
                Target::Class(class) => class as f64,
                Target::Values(values) => values.first().map_or(f64::NAN, |&v| f64::from(v)),
                Target::Classes(_) => continue,
            };
            found.push(Sample {
                x,
                y,
                target,
                held_out: role != Role::Train,
            });
        }
    }
    Ok(found)
}

fn extent(samples: &[Sample]) -> Option<[f64; 4]> {
    let ends = |value: fn(&Sample) -> f64| {
        let low = samples.iter().map(value).fold(f64::INFINITY, f64::min);
        let high = samples.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
        let room = if high > low { MARGIN * (high - low) } else { 1.0 };
        (low.is_finite() && high.is_finite()).then_some([low - room, high + room])
    };
    let ([x0, x1], [y0, y1]) = (ends(|s| s.x)?, ends(|s| s.y)?);
    Some([x0, x1, y0, y1])
}

pub(super) fn add(
    report: &mut Report,
    boundary: &Boundary,
    summary: &Summary,
    evaluation: &Evaluation,
) -> Outcome {
    let classes = matches!(boundary.0.field, Field::Classes(_));
    report.section(if classes { "Decision boundary" } else { "Response" });
    let caption = match classes {
        true => {
            "Colour: the class that the network gives each point, paler where it is less sure. Rings: samples kept from training."
        }
        false => "Colour: the value that the network gives each point. Diamonds: samples kept from training.",
    };
    report.figure(&decision_boundary(&boundary.0)?, caption);
    let one_layer = summary.layers.iter().filter(|layer| layer.trainable > 0).count() == 1;
    if classes && one_layer {
        report.text(
            "This network has a single layer, so that its decision is w₁x₁ + w₂x₂ + b ≥ 0: the boundary is a straight line (L5). \
             Classes that a line divides, such as those of AND and OR, it learns in finitely many steps.",
        );
        if super::accuracy(evaluation).is_some_and(|share| share < FAILED) {
            report.warning(
                "No straight line divides these classes. Those of xor, for example, lie on opposite corners: a line with both \
                 corners of one class on its one side always has a corner of the other class there too (L6). One hidden layer \
                 is enough to bend the boundary: try --model mlp.",
            );
        }
    }
    Ok(())
}
