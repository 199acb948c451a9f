//! Explanations of table rows: how much each column matters, over all rows and for each of them.

use std::ops::Range;

use data::preprocess::{ColumnEncoding, TableEncoding};
use data::{InputEncoding, Raw};
use explain::{Explanation, Importance, Target, permutation_importance};
use ndarray::{Array2, Axis};
use report::figures::{BarChart, bar_chart};
use report::html::Report;
use serde_json::{Map, Value, json};
use train::Network;

use super::folder::Folder;
use super::methods::ForTables;
use super::network::Drawn;
use super::progress::Bar;
use super::{Args, output_name};
use crate::error::{Failure, Outcome};
use crate::explaining::{batch, subject};
use crate::output::Output;
use crate::text::{columns, number, percent, thousands};

/// Rows on the page.
const SHOWN: usize = 20;

/// What was found of all rows together.
struct Overall {
    method: &'static str,
    /// One value for each column.
    values: Vec<f64>,
    /// What the values are.
    meaning: &'static str,
}

/// Explains all rows, writes the page and arrays, and says so.
pub fn explain(
    args: &Args,
    network: &mut Network,
    target: &Target,
    chosen: ForTables,
    rows: Vec<(String, Raw)>,
    (folder, drawn): (&Folder, &Drawn),
    out: &Output,
) -> Outcome {
    let InputEncoding::Table(encoding) = &network.preprocess().input else {
        return Err(Failure::new("this network reads pictures"));
    };
    let (names, ranges) = (column_names(encoding), ranges(encoding));
    let mut encoded = Vec::new();
    for (_, raw) in &rows {
        encoded.extend(network.preprocess().encode(raw)?);
    }
    let inputs = batch(network, encoded)?;
    let bar = Bar::new(out);
    let mut subject = subject(network)?.seed(args.methods.seed);
    let ticks = bar.clone();
    subject.on_progress(Box::new(move |done, all| ticks.at(done, all)));
    let (mut overall, mut single) = (Vec::new(), Vec::new());
    for method in &chosen.methods {
        bar.begin(format!("{} of {} rows", method.name(), thousands(rows.len())));
        let found = explain::explain(&mut subject, &inputs, target, method)?;
        let by_column = by_column(&found, &ranges, method.signed());
        folder.write_array(format!("{}.npy", method.name()), by_column.view().into_dyn())?;
        overall.push(Overall {
            method: method.name(),
            values: by_column
                .map_axis(Axis(0), |column| mean_size(column.iter()))
                .to_vec(),
            meaning: "mean magnitude over the rows",
        });
        single.push((found, by_column));
    }
    if let Some(settings) = &chosen.permutation {
        bar.begin(format!("permutation of {} rows", thousands(rows.len())));
        let found = permutation_importance(&mut subject, &inputs, target, &ranges, settings)?;
        let values: Vec<f32> = found.iter().map(|i| i.change as f32).collect();
        folder.write_array("permutation.npy".into(), ndarray::arr1(&values).view().into_dyn())?;
        overall.push(permuted(&found));
    }
    bar.end();
    write_page(
        args,
        network,
        (&names, &rows),
        (&overall, &single),
        (folder, drawn),
    )?;
    tell(&names, &overall, (folder, drawn), rows.len(), out)
}

fn permuted(found: &[Importance]) -> Overall {
    Overall {
        method: "permutation",
        values: found.iter().map(|i| i.change).collect(),
        meaning: "mean change of what the network says with the column shuffled",
    }
}

fn mean_size<'a>(values: impl ExactSizeIterator<Item = &'a f32>) -> f64 {
    let count = values.len().max(1) as f64;
    values.map(|v| f64::from(v.abs())).sum::<f64>() / count
}

fn column_names(encoding: &TableEncoding) -> Vec<String> {
    encoding.columns().into_iter().map(|column| column.name).collect()
}

/// The encoded features of each column.
fn ranges(encoding: &TableEncoding) -> Vec<Range<usize>> {
    let mut start = 0;
    let range = |column: &ColumnEncoding| {
        let range = start..start + column.width();
        start = range.end;
        range
    };
    encoding.columns.iter().map(range).collect()
}

/// `[rows, columns]`: sums over a column's features, which keep what shares sum to; or the largest of them.
fn by_column(found: &Explanation, ranges: &[Range<usize>], signed: bool) -> Array2<f32> {
    let rows = found.map.shape()[0];
    Array2::from_shape_fn((rows, ranges.len()), |(row, column)| {
        let features = ranges[column].clone().map(|feature| found.map[[row, feature]]);
        match signed {
            true => features.sum(),
            false => features.fold(0.0, f32::max),
        }
    })
}

fn write_page(
    args: &Args,
    network: &Network,
    (names, rows): (&[String], &[(String, Raw)]),
    (overall, single): (&[Overall], &[(Explanation, Array2<f32>)]),
    (folder, drawn): (&Folder, &Drawn),
) -> Outcome {
    let mut report = Report::new(format!("Explanation of {}", args.run.display()));
    let what = match &args.target {
        Some(name) => format!("`{name}`"),
        None => "what the network says".into(),
    };
    report.subtitle(format!(
        "How much each column matters for {what}, over {} rows",
        thousands(rows.len())
    ));
    report.section("Columns");
    for of in overall {
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by(|&a, &b| of.values[b].total_cmp(&of.values[a]).then(a.cmp(&b)));
        let chart = BarChart {
            title: of.method.into(),
            value_label: of.meaning.into(),
            names: order.iter().map(|&k| names[k].clone()).collect(),
            groups: vec![(String::new(), order.iter().map(|&k| of.values[k]).collect())],
            ..BarChart::default()
        };
        report.figure(&bar_chart(&chart), "");
    }
    report.text(
        "Numbers and targets count in standard deviations of the training samples; classes in probability (permutation) or \
         unnormalised score (the others). Columns that say the same share what they matter.",
    );
    for (found, by_column) in single {
        report.section(&format!("Rows by {}", found.method.name()));
        let header: Vec<String> = ["row", "explained", "says"]
            .map(String::from)
            .into_iter()
            .chain(names.iter().cloned())
            .collect();
        let row = |k: usize| {
            let said = match network.task().classes() {
                Some(_) => percent(f64::from(found.predictions[k])),
                None => number(in_units(network, found.outputs[k], found.predictions[k])),
            };
            let values = by_column
                .row(k)
                .iter()
                .map(|&v| number(f64::from(v)))
                .collect::<Vec<_>>();
            [
                vec![
                    rows[k].0.clone(),
                    output_name(network, found.outputs[k]).to_string(),
                    said,
                ],
                values,
            ]
            .concat()
        };
        let shown = rows.len().min(SHOWN);
        report.table(&header, &(0..shown).map(row).collect::<Vec<_>>());
        if shown < rows.len() {
            report.text(&format!(
                "The first {shown} of {} rows; all are in {}.npy.",
                thousands(rows.len()),
                found.method.name()
            ));
        }
    }
    drawn.onto(&mut report);
    report.write(folder.page())?;
    Ok(())
}

/// A number of target `k` in the units of the data.
fn in_units(network: &Network, k: usize, value: f32) -> f64 {
    let mut all = vec![0.0; network.task().outputs()];
    all[k] = value;
    network
        .preprocess()
        .decode_target(&all)
        .get(k)
        .copied()
        .map_or(f64::NAN, f64::from)
}

fn tell(
    names: &[String],
    overall: &[Overall],
    (folder, drawn): (&Folder, &Drawn),
    rows: usize,
    out: &Output,
) -> Outcome {
    let header: Vec<String> = std::iter::once("column")
        .chain(overall.iter().map(|of| of.method))
        .map(String::from)
        .collect();
    let row = |k: usize| -> Vec<String> {
        let values = overall.iter().map(|of| number(of.values[k]));
        std::iter::once(names[k].clone()).chain(values).collect()
    };
    let mut order: Vec<usize> = (0..names.len()).collect();
    if let Some(first) = overall.first() {
        order.sort_by(|&a, &b| first.values[b].total_cmp(&first.values[a]).then(a.cmp(&b)));
    }
    let table: Vec<Vec<String>> = std::iter::once(header)
        .chain(order.into_iter().map(row))
        .collect();
    columns(&table).iter().try_for_each(|line| out.line(line))?;
    drawn.tell(out)?;
    out.line(format!("page {}", folder.page().display()))?;
    let named = |of: &Overall| -> Value {
        let values: Map<String, Value> = names
            .iter()
            .cloned()
            .zip(of.values.iter().map(|v| json!(v)))
            .collect();
        json!({ "method": of.method, "meaning": of.meaning, "columns": values })
    };
    let methods: Vec<Value> = overall.iter().map(named).collect();
    out.object(&json!({
        "folder": folder.path(), "page": folder.page(), "rows": rows, "methods": methods, "network": drawn.object()
    }))
}
