//! `graticule predict`: what a trained network says of new pictures and table rows.

pub(super) mod images;
mod tables;

use std::path::{Path, PathBuf};

use data::{InputEncoding, Raw, Task};
use serde_json::{Map, Value, json};
use train::{Network, argmax};

use crate::compute::ComputeArgs;
use crate::error::{Context, Failure, Outcome};
use crate::output::Output;
use crate::run_file::Found;

const HELP: &str = "\
RUN is a run folder, or a .safetensors file of one alone: it holds all that prediction needs.
A network of pictures takes picture files and folders of them; one of tables takes a CSV with the columns it learnt from
and gives it back with the predictions as further columns. OUT ends in .csv or .json.

Examples:
  graticule predict runs/photos-1 new/ -o labels.csv
  graticule predict runs/digits-1/best.safetensors seven.png --top 3
  graticule predict runs/housing-1 new-houses.csv -o prices.csv";

/// Predict labels or numbers for new pictures and table rows
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// A run folder or a model file
    run: PathBuf,
    /// Pictures, folders of pictures, or CSV tables
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Write the predictions to this file, .csv or .json
    #[arg(long, short, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,
    /// How many of the most probable classes are told for each picture
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    top: u32,
    /// Leave out pictures that cannot be read, and say so
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// Samples that go through the network at once.
const BATCH: usize = 64;

/// The form of the output file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Json,
}

/// Runs the verb.
pub fn run(args: Args, out: &Output) -> Outcome {
    let form = args.output.as_deref().map(form).transpose()?;
    if let Some(path) = &args.output {
        super::data::check_target(path, args.force)?;
    }
    let found = Found::at(&args.run)?;
    let mut network = Network::load(&args.compute.engine(out)?, &found.model)?;
    let pictures = matches!(network.preprocess().input, InputEncoding::Image(_));
    let result = match pictures {
        true => images::predict(&args, &mut network, out)?,
        false => tables::predict(&args, &mut network)?,
    };
    let told = Value::Array(result.objects);
    match (&args.output, form) {
        (Some(path), Some(form)) => {
            let bytes = match form {
                Form::Csv => csv_bytes(&result.header, &result.rows)?,
                Form::Json => serde_json::to_vec_pretty(&told)?,
            };
            interchange::write_atomically(path, &bytes).at(path.display())?;
            out.line(format!(
                "{} predictions written to {}",
                result.rows.len(),
                path.display()
            ))?;
        }
        _ if pictures => result.lines.iter().try_for_each(|line| out.line(line))?,
        _ => {
            let text = String::from_utf8_lossy(&csv_bytes(&result.header, &result.rows)?).into_owned();
            out.line(text.trim_end())?;
        }
    }
    out.object(&told)
}

/// Predictions in all forms that can be asked for.
#[derive(Debug, Default)]
struct Predicted {
    /// Lines for people.
    lines: Vec<String>,
    /// One object for each sample.
    objects: Vec<Value>,
    /// Column names.
    header: Vec<String>,
    /// Cells.
    rows: Vec<Vec<String>>,
}

/// The numbers that the network gives for some samples, one row each.
fn infer(network: &mut Network, samples: &[Raw]) -> Outcome<Vec<Vec<f32>>> {
    let mut inputs = Vec::new();
    for raw in samples {
        inputs.extend(network.preprocess().encode(raw)?);
    }
    let width = network.task().outputs().max(1);
    let inference = network.infer(&inputs, samples.len())?;
    Ok(inference.predictions.chunks(width).map(<[f32]>::to_vec).collect())
}

/// Names of the columns that hold predictions.
fn answer_header(task: &Task) -> Vec<String> {
    match task {
        Task::Classification { .. } => ["predicted", "probability"].map(String::from).to_vec(),
        Task::MultiLabel { classes } => {
            let probabilities = classes.iter().map(|class| format!("probability of {class}"));
            std::iter::once("predicted".to_string())
                .chain(probabilities)
                .collect()
        }
        Task::Regression { targets } => targets
            .iter()
            .map(|target| format!("predicted {target}"))
            .collect(),
    }
}

/// The cells under [`answer_header`].
fn answer_cells(task: &Task, values: &[f32]) -> Vec<String> {
    match task {
        Task::Classification { classes } => {
            let class = argmax(values);
            let probability = values.get(class).copied().unwrap_or(f32::NAN);
            vec![
                classes.get(class).cloned().unwrap_or_default(),
                probability.to_string(),
            ]
        }
        Task::MultiLabel { classes } => {
            let all = labels(classes, values).join("; ");
            std::iter::once(all)
                .chain(values.iter().map(f32::to_string))
                .collect()
        }
        Task::Regression { .. } => values.iter().map(f32::to_string).collect(),
    }
}

/// The predictions as named values.
fn answer_object(task: &Task, values: &[f32]) -> Map<String, Value> {
    let named = |names: &[String]| -> Map<String, Value> {
        names
            .iter()
            .zip(values)
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect()
    };
    let mut object = Map::new();
    match task {
        Task::Classification { classes } => {
            let class = argmax(values);
            object.insert("predicted".into(), json!(classes.get(class)));
            object.insert("probability".into(), json!(values.get(class)));
            object.insert("probabilities".into(), Value::Object(named(classes)));
        }
        Task::MultiLabel { classes } => {
            object.insert("predicted".into(), json!(labels(classes, values)));
            object.insert("probabilities".into(), Value::Object(named(classes)));
        }
        Task::Regression { targets } => {
            object.insert("predicted".into(), Value::Object(named(targets)));
        }
    }
    object
}

/// The labels that apply.
fn labels(classes: &[String], values: &[f32]) -> Vec<String> {
    classes
        .iter()
        .zip(values)
        .filter(|(_, value)| **value >= 0.5)
        .map(|(class, _)| class.clone())
        .collect()
}

fn form(path: &Path) -> Outcome<Form> {
    match path
        .extension()
        .and_then(|e| e.to_str())
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        Some("csv") => Ok(Form::Csv),
        Some("json") => Ok(Form::Json),
        _ => Err(Failure::usage("the output is neither .csv nor .json")
            .at(path.display())
            .help("give it one of these endings")),
    }
}

fn csv_bytes(header: &[String], rows: &[Vec<String>]) -> Outcome<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    writer.write_record(header)?;
    for row in rows {
        writer.write_record(row)?;
    }
    writer
        .into_inner()
        .map_err(|error| Failure::new(error.to_string()))
}
