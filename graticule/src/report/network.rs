//! The network itself: layer table, first filters (row E3), the state of its layers (row S23).

use ndarray::Array4;
use report::figures::{BarChart, bar_chart, filters_grid};
use report::html::Report;
use train::{LayerHealth, Network};

use super::RunResults;
use crate::error::Outcome;
use crate::text::{number, percent, thousands};

/// The weights `[KH, KW, C, O]` of the first convolution over pictures, with their name.
pub fn first_filters(network: &Network) -> Option<(String, Array4<f32>)> {
    let parameter = network
        .model()
        .parameters()
        .iter()
        .find(|p| p.trainable() && p.shape().rank() == 4)?;
    let values = network.parameters().get(&parameter.name).ok()?.to_vec();
    let shape: [usize; 4] = parameter.shape().to_vec().try_into().ok()?;
    Some((
        parameter.name.clone(),
        Array4::from_shape_vec(shape, values).ok()?,
    ))
}

pub(super) fn add(report: &mut Report, results: &RunResults) -> Outcome {
    report.section("Network");
    layers(report, results);
    if let Some((name, weights)) = &results.filters {
        let figure = filters_grid(&format!("First filters: {name}"), weights.view())?;
        report.figure(
            &figure,
            "Each filter scaled by its own largest weight: mid-grey is zero.",
        );
    }
    health(report, results.health);
    Ok(())
}

fn layers(report: &mut Report, results: &RunResults) {
    let shape = |axes: &[usize]| {
        axes.iter()
            .skip(1)
            .map(usize::to_string)
            .collect::<Vec<_>>()
            .join(" × ")
    };
    let field = |field: Option<[usize; 2]>| {
        field.map_or(String::new(), |[rows, columns]| format!("{rows} × {columns}"))
    };
    let summary = results.summary;
    let mut rows: Vec<Vec<String>> = summary
        .layers
        .iter()
        .map(|layer| {
            vec![
                layer.name.clone(),
                layer.kind.clone(),
                shape(&layer.output_shape),
                thousands(layer.parameters),
                thousands(layer.macs as usize),
                thousands(layer.flops as usize),
                field(layer.receptive_field),
            ]
        })
        .collect();
    let total = |value: usize| thousands(value);
    rows.push(vec![
        "total".into(),
        String::new(),
        String::new(),
        total(summary.parameters),
        total(summary.macs as usize),
        total(summary.flops as usize),
        String::new(),
    ]);
    report.table(
        &["layer", "kind", "output", "parameters", "MACs", "FLOPs", "sees"],
        &rows,
    );
    report.text("MACs are the multiply-accumulates of one sample's forward pass, FLOPs count two for each; `sees` is the receptive field.");
}

fn health(report: &mut Report, health: &[LayerHealth]) {
    if health.is_empty() {
        return;
    }
    report.section("Debugging");
    let advised: Vec<&LayerHealth> = health.iter().filter(|layer| !layer.advice.is_empty()).collect();
    if advised.is_empty() {
        report.text("Nothing strikes: no dead layers, no vanishing or exploding gradients on the batch looked at after training.");
    }
    for layer in &advised {
        report.warning(&format!("{}: {}", layer.layer, layer.advice));
    }
    let optional = |value: Option<f32>| value.map_or(String::new(), |v| number(f64::from(v)));
    let rows: Vec<Vec<String>> = health
        .iter()
        .map(|layer| {
            vec![
                layer.layer.clone(),
                number(f64::from(layer.mean)),
                number(f64::from(layer.deviation)),
                number(f64::from(layer.largest)),
                percent(f64::from(layer.dead)),
                optional(layer.gradient),
                optional(layer.relative_gradient),
            ]
        })
        .collect();
    report.table(
        &[
            "layer",
            "mean",
            "deviation",
            "largest",
            "always zero",
            "gradient",
            "gradient / weight",
        ],
        &rows,
    );
    let learning: Vec<&LayerHealth> = health
        .iter()
        .filter(|layer| layer.relative_gradient.is_some())
        .collect();
    let figure = bar_chart(&BarChart {
        title: "Gradient relative to the weights".into(),
        value_label: "root mean square of gradient / weights".into(),
        names: learning.iter().map(|layer| layer.layer.clone()).collect(),
        groups: vec![(
            String::new(),
            learning
                .iter()
                .filter_map(|l| l.relative_gradient.map(f64::from))
                .collect(),
        )],
        log: true,
        ..BarChart::default()
    });
    report.figure(
        &figure,
        "Values that fall by orders of magnitude towards the first layers are vanishing gradients (A10).",
    );
}
