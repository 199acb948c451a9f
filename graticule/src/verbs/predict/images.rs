//! Predictions for picture files and folders of them.

use std::path::{Path, PathBuf};

use data::images::decode::is_image_name;
use data::{Raw, Task};
use serde_json::{Map, Value, json};
use train::Network;

use super::{Args, BATCH, Predicted, answer_cells, answer_header, answer_object, infer};
use crate::error::{Context, Failure, Outcome};
use crate::output::Output;
use crate::text::{number, percent};

/// Folders deeper than this are taken for a circle of links.
const DEEPEST: usize = 32;

/// Reads every picture, in the order given and by name within folders, and asks the network.
pub(super) fn predict(args: &Args, network: &mut Network, out: &Output) -> Outcome<Predicted> {
    let mut files = Vec::new();
    for input in &args.inputs {
        collect(input, 0, &mut files)?;
    }
    let task = network.task().clone();
    let header = std::iter::once("file".to_string())
        .chain(answer_header(&task))
        .collect();
    let mut predicted = Predicted {
        header,
        ..Predicted::default()
    };
    for chunk in files.chunks(BATCH) {
        let mut names = Vec::new();
        let mut samples: Vec<Raw> = Vec::new();
        for file in chunk {
            match network.preprocess().raw_from_image_file(file) {
                Ok(raw) => {
                    names.push(file.display().to_string());
                    samples.push(raw);
                }
                Err(error) if args.skip_bad => out.note(format!("left out: {error}")),
                Err(error) => return Err(Failure::not_skipped(error)),
            }
        }
        if samples.is_empty() {
            continue;
        }
        for (name, values) in names.into_iter().zip(infer(network, &samples)?) {
            predicted
                .lines
                .push(line(&task, &name, &values, args.top as usize));
            let mut object = Map::from_iter([("file".to_string(), json!(name))]);
            object.extend(answer_object(&task, &values));
            predicted.objects.push(Value::Object(object));
            predicted
                .rows
                .push([vec![name], answer_cells(&task, &values)].concat());
        }
    }
    if predicted.rows.is_empty() {
        return Err(Failure::new("no picture could be read"));
    }
    Ok(predicted)
}

/// The pictures of a file or folder, by name within folders.
pub(in crate::verbs) fn collect(input: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Outcome {
    if !input.is_dir() {
        files.push(input.to_path_buf());
        return Ok(());
    }
    if depth > DEEPEST {
        return Err(Failure::new(format!("folders more than {DEEPEST} deep")).at(input.display()));
    }
    let before = files.len();
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(input).at(input.display())? {
        entries.push(entry.at(input.display())?.path());
    }
    entries.sort();
    for entry in entries {
        if entry.is_dir() || is_image_name(&entry.to_string_lossy().to_lowercase()) {
            collect(&entry, depth + 1, files)?;
        }
    }
    if depth == 0 && files.len() == before {
        return Err(Failure::new("found no PNG, JPEG or TIFF picture in this folder").at(input.display()));
    }
    Ok(())
}

fn line(task: &Task, name: &str, values: &[f32], top: usize) -> String {
    let told = match task {
        Task::Classification { classes } => {
            let mut ranked: Vec<(usize, f32)> = values.iter().copied().enumerate().collect();
            ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
            let class = |&(k, p): &(usize, f32)| {
                format!(
                    "{} {}",
                    classes.get(k).map_or("?", String::as_str),
                    percent(f64::from(p))
                )
            };
            ranked.iter().take(top).map(class).collect::<Vec<_>>().join(", ")
        }
        Task::MultiLabel { classes } => super::labels(classes, values).join(", "),
        Task::Regression { .. } => values
            .iter()
            .map(|&v| number(f64::from(v)))
            .collect::<Vec<_>>()
            .join(", "),
    };
    format!("{name}  {told}")
}
