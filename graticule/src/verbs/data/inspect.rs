//! `graticule data inspect`.

use data::health::{ColumnHealth, HealthReport};
use data::{InputLayout, Task, health_check};
use serde::Serialize;

use crate::error::Outcome;
use crate::output::Output;
use crate::source::SourceArgs;
use crate::text::{columns, number, thousands};

const HELP: &str = "\
Example:
  graticule data inspect housing.csv --target median_house_value";

/// Check a data set before it is trusted
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// A name or path, as for `train`
    source: String,
    #[command(flatten)]
    reading: SourceArgs,
}

#[derive(Debug, Serialize)]
struct Inspected<'a> {
    name: &'a str,
    task: &'a Task,
    layout: InputLayout,
    citation: Option<&'a str>,
    #[serde(flatten)]
    health: &'a HealthReport,
}

/// Runs the verb.
pub fn run(args: &Args, out: &Output) -> Outcome {
    let set = args.reading.open(&args.source)?;
    let health = health_check(&set);
    out.line(format!(
        "{}: {} samples, {}",
        set.name,
        thousands(set.len()),
        told_task(&set.task)
    ))?;
    if let Some((height, width, channels)) = health.image_size {
        out.line(format!(
            "images of {height} × {width} pixels, {channels} channels"
        ))?;
    }
    if let Some(citation) = &set.citation {
        out.line(citation)?;
    }
    let roles = health
        .roles
        .iter()
        .filter(|(role, count)| role != "none" || *count > 0);
    let roles: Vec<String> = roles
        .map(|(role, count)| format!("{} {role}", thousands(*count)))
        .collect();
    out.line(format!("roles: {}", roles.join(", ")))?;
    tell_tables(&health, out)?;
    tell_findings(&health, out)?;
    out.object(&Inspected {
        name: &set.name,
        task: &set.task,
        layout: set.layout(),
        citation: set.citation.as_deref(),
        health: &health,
    })
}

fn told_task(task: &Task) -> String {
    match task {
        Task::Classification { classes } => format!("{} classes", classes.len()),
        Task::MultiLabel { classes } => format!("{} labels, any number of them each", classes.len()),
        Task::Regression { targets } => format!("regression of {}", targets.join(", ")),
    }
}

fn tell_tables(health: &HealthReport, out: &Output) -> Outcome {
    if !health.classes.is_empty() {
        let header = ["class", "train", "validation", "test"]
            .map(String::from)
            .to_vec();
        let counts = health.classes.iter().map(|c| {
            vec![
                c.class.clone(),
                thousands(c.train),
                thousands(c.validation),
                thousands(c.test),
            ]
        });
        tell_table(std::iter::once(header).chain(counts).collect(), out)?;
    }
    if !health.columns.is_empty() {
        let header = ["column", "missing", "distinct", "smallest", "largest", "outliers"]
            .map(String::from)
            .to_vec();
        tell_table(
            std::iter::once(header)
                .chain(health.columns.iter().map(column))
                .collect(),
            out,
        )?;
    }
    if !health.outliers.is_empty() {
        let header = ["far from the rest", "in", "value"].map(String::from).to_vec();
        let rows = health
            .outliers
            .iter()
            .map(|o| vec![o.sample.clone(), o.column.clone(), number(o.value)]);
        tell_table(std::iter::once(header).chain(rows).collect(), out)?;
    }
    Ok(())
}

fn column(column: &ColumnHealth) -> Vec<String> {
    let end = |value: Option<f64>| value.map_or(String::new(), number);
    vec![
        column.name.clone(),
        thousands(column.missing),
        thousands(column.distinct),
        end(column.min),
        end(column.max),
        thousands(column.outliers),
    ]
}

fn tell_table(rows: Vec<Vec<String>>, out: &Output) -> Outcome {
    out.line("")?;
    columns(&rows).iter().try_for_each(|line| out.line(line))
}

fn tell_findings(health: &HealthReport, out: &Output) -> Outcome {
    out.line("")?;
    for twins in &health.duplicate_examples {
        let targets = if twins.same_target {
            ""
        } else {
            ", with different targets"
        };
        let ((a, of_a), (b, of_b)) = (&twins.first, &twins.second);
        out.line(format!("equal inputs: {a} ({of_a}) and {b} ({of_b}){targets}"))?;
    }
    for reason in &health.unreadable.1 {
        out.line(format!("cannot be read: {reason}"))?;
    }
    if health.findings.is_empty() {
        return out.line("Nothing strikes.");
    }
    health
        .findings
        .iter()
        .try_for_each(|finding| out.line(format!("! {finding}")))
}
