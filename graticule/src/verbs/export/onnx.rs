//! ONNX, with what a program must know of the network in the file's metadata.

use std::path::Path;

use data::preprocess::ImageEncoding;
use data::{InputEncoding, Preprocess, Task};
use interchange::ModelFile;
use interchange::onnx::export::{Normalisation, OPSET, Options, export, write as write_onnx};
use nn::Model;
use serde_json::{Value, json};

use crate::error::{Context, Failure, Outcome};
use crate::text::thousands;

/// What may be chosen.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "ONNX")]
pub struct OnnxArgs {
    /// Put the normalisation into the graph, which then reads pixels as they are
    #[arg(long)]
    with_preprocessing: bool,
    /// Move batch norm into the weights before it
    #[arg(long)]
    fold_batch_norm: bool,
    /// Size of a pixel on the ground in centimetres, for QGIS's Deepness
    #[arg(long, value_name = "CM")]
    resolution: Option<f64>,
    /// How many percent of a tile overlap with the next, for QGIS's Deepness
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=90))]
    tiles_overlap: u8,
}

/// Writes the file, and says what is in it.
pub(super) fn write(file: &ModelFile, path: &Path, args: &OnnxArgs) -> Outcome<String> {
    let model = file.model()?;
    let preprocess = preprocess(file)?;
    let image = preprocess.as_ref().and_then(|p| match &p.input {
        InputEncoding::Image(image) => Some(image),
        InputEncoding::Table(_) => None,
    });
    let normalisation = match (args.with_preprocessing, image) {
        (false, _) => None,
        (true, Some(image)) => Some(of_pixels(image)),
        (true, None) => {
            return Err(
                Failure::new("--with-preprocessing is for networks that were trained on images")
                    .help("leave it out: the metadata say how inputs are prepared"),
            );
        }
    };
    let options = Options {
        metadata: metadata(file, &model, preprocess.as_ref(), image, args),
        normalisation,
        fold_batch_norm: args.fold_batch_norm,
    };
    let written = export(&model, &file.tensors, &options).at(path.display())?;
    let nodes = written.graph.as_ref().map_or(0, |graph| graph.node.len());
    write_onnx(written, path)?;
    let numbers = thousands(model.parameter_count());
    Ok(format!(
        "opset {OPSET}, {nodes} operators, {numbers} parameters; reads {}",
        input(&model, image, args.with_preprocessing)
    ))
}

fn preprocess(file: &ModelFile) -> Outcome<Option<Preprocess>> {
    match &file.preprocessing {
        Value::Null => Ok(None),
        value => Ok(Some(
            serde_json::from_value(value.clone()).at("the model's preprocessing")?,
        )),
    }
}

/// (pixel/white − mean)/std
fn of_pixels(image: &ImageEncoding) -> Normalisation {
    let white = f32::from(image.pixel_max.max(1));
    let pairs = || image.mean.iter().zip(&image.std);
    Normalisation {
        scale: image.std.iter().map(|std| 1.0 / (white * std)).collect(),
        shift: pairs().map(|(mean, std)| -mean / std).collect(),
    }
}

/// What the network reads, in words.
fn input(model: &Model, image: Option<&ImageEncoding>, raw: bool) -> String {
    let shape = model.input().shape();
    let layout = match shape[..] {
        [_, h, w, c] => format!("float32 [batch, {c}, {h}, {w}]"),
        _ => format!(
            "float32 [batch, {}]",
            shape[1..]
                .iter()
                .map(usize::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    match image {
        Some(image) if raw => format!("{layout}, pixels from 0 to {}", image.pixel_max),
        Some(image) => format!("{layout}, (pixel/{} - mean)/std of each channel", image.pixel_max),
        None => layout,
    }
}

/// What `import` reads back. A graph that prepares its images itself gets pixels as they are.
fn own(preprocess: &Preprocess, raw: bool) -> Preprocess {
    let mut own = preprocess.clone();
    if let (InputEncoding::Image(image), true) = (&mut own.input, raw) {
        image.mean.fill(0.0);
        image.std.fill(1.0 / f32::from(image.pixel_max));
    }
    own
}

/// Entries for QGIS's plugin Deepness, each in JSON as it reads them, and our own.
fn metadata(
    file: &ModelFile,
    model: &Model,
    preprocess: Option<&Preprocess>,
    image: Option<&ImageEncoding>,
    args: &OnnxArgs,
) -> Vec<(String, String)> {
    let mut entries: Vec<(&str, Value)> = Vec::new();
    let task = preprocess.map(|p| &p.task);
    if model.output().shape().rank() == 4 {
        let kind = match task {
            Some(Task::Regression { .. }) => "Regressor",
            _ => "Segmentor",
        };
        entries.push(("model_type", json!(kind)));
    }
    if let Some(classes) = task.and_then(Task::classes) {
        let names: serde_json::Map<String, Value> = classes
            .iter()
            .enumerate()
            .map(|(k, name)| (k.to_string(), json!(name)))
            .collect();
        entries.push(("class_names", Value::Object(names)));
    }
    if let Some(image) = image {
        // The plugin divides by 255 and standardises; its documents and its code name the size differently.
        let white = f64::from(image.pixel_max) / 255.0;
        let scaled = |values: &[f32]| -> Vec<f64> { values.iter().map(|&v| f64::from(v) * white).collect() };
        let (mean, std) = match args.with_preprocessing {
            true => (vec![0.0; image.channels], vec![1.0 / 255.0; image.channels]),
            false => (scaled(&image.mean), scaled(&image.std)),
        };
        entries.push(("standardization_mean", json!(mean)));
        entries.push(("standardization_std", json!(std)));
        let tile = image.width.max(image.height);
        entries.extend([("tile_size", json!(tile)), ("tiles_size", json!(tile))]);
        entries.push(("tiles_overlap", json!(args.tiles_overlap)));
    }
    entries.extend(args.resolution.map(|cm| ("resolution", json!(cm))));
    entries.push(("input", json!(input(model, image, args.with_preprocessing))));
    if let Some(preprocess) = preprocess {
        entries.push((
            "graticule_preprocessing",
            json!(own(preprocess, args.with_preprocessing)),
        ));
    }
    if !file.task.is_null() {
        entries.push(("graticule_task", file.task.clone()));
    }
    entries
        .into_iter()
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect()
}
