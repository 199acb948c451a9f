//! Several networks in one table (row X21).

use nn::model::summary;
use nn::model::summary::thousands;
use serde::Serialize;

use super::Args;
use crate::error::{Context, Outcome};
use crate::output::Output;

/// Top-5 accuracy on ImageNet in percent, as the courses' table gives it.
const TOP_5: [(&str, f64); 4] = [
    ("alexnet", 84.70),
    ("vgg16", 92.30),
    ("googlenet", 93.30),
    ("resnet152", 95.51),
];

const HEAD: [&str; 7] = [
    "network",
    "input",
    "parameters",
    "MACs",
    "FLOPs",
    "top-5 %",
    "source",
];

/// One network of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    network: String,
    input: Vec<usize>,
    parameters: usize,
    macs: u64,
    flops: u64,
    top_5: Option<f64>,
    source: Option<&'static str>,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Compared {
    networks: Vec<Row>,
}

pub(super) fn run(args: &Args, out: &Output) -> Outcome {
    let networks = args.compare.iter().map(|name| row(args, name));
    let compared = Compared {
        networks: networks.collect::<Outcome<_>>()?,
    };
    for line in lines(&compared.networks) {
        out.line(line)?;
    }
    out.line(
        "One MAC is two FLOPs; FLOPs also count element-wise work. Tables that mix the two do not compare.",
    )?;
    out.object(&compared)
}

fn row(args: &Args, name: &str) -> Outcome<Row> {
    let (model, binding) = args.named(name)?;
    let table = summary(&model, &binding).at(name)?;
    let known = zoo::NAMES.iter().find(|network| network.name == name);
    Ok(Row {
        network: name.into(),
        input: model.input().shape()[1..].to_vec(),
        parameters: table.trainable,
        macs: table.macs,
        flops: table.flops,
        top_5: TOP_5
            .iter()
            .find(|(named, _)| *named == name)
            .map(|(_, share)| *share),
        source: known.map(|network| network.source),
    })
}

/// Names and sources to the left, numbers to the right.
fn lines(rows: &[Row]) -> Vec<String> {
    let mut cells = vec![HEAD.map(String::from)];
    cells.extend(rows.iter().map(texts));
    let longest = |column: usize| {
        cells
            .iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(longest).collect();
    let line = |row: &[String; 7]| {
        let padded = row.iter().zip(&widths).enumerate();
        let padded = padded.map(|(column, (cell, &width))| match column {
            0 | 1 | 6 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    let mut lines: Vec<String> = cells.iter().map(line).collect();
    let rule = widths.iter().sum::<usize>() + 2 * (HEAD.len() - 1);
    lines.insert(1, "─".repeat(rule));
    lines
}

fn texts(row: &Row) -> [String; 7] {
    let input: Vec<String> = row.input.iter().map(usize::to_string).collect();
    [
        row.network.clone(),
        input.join("×"),
        thousands(row.parameters as u64),
        thousands(row.macs),
        thousands(row.flops),
        row.top_5.map_or(String::new(), |share| format!("{share:.2}")),
        row.source.unwrap_or_default().to_string(),
    ]
}
