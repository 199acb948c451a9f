//! A network and its numbers out of an ONNX file.

use std::collections::HashMap;

use data::preprocess::TargetEncoding;
use data::{InputEncoding, Preprocess, Task};
use graph::ops::Op;
use interchange::onnx::{Batch, Imported, Options, metadata, read};
use interchange::{ModelFile, Tensor};
use nn::Model;
use serde_json::{Value, json};

use super::Args;
use super::weights::class_names;
use crate::error::{Context, Failure, Outcome};
use crate::output::Output;
use crate::published;
use crate::text::thousands;

pub(super) fn run(args: &Args, out: &Output) -> Outcome {
    let own = own_preprocessing(args)?;
    let options = Options {
        shapes: args.shape.iter().cloned().collect::<HashMap<_, _>>(),
        image: own.as_ref().and_then(size),
        ..Options::default()
    };
    let imported = read(&args.file, &options).at(args.file.display())?;
    for (name, _) in &imported.fixed {
        out.note(format!("note: the output `{name}` is a constant and left out"));
    }
    let (model, tensors) = scores(&imported, out)?;
    let suits = |own: &Preprocess| own.input_shape() == model.input().shape()[1..];
    let own = own.filter(suits);
    let guessed = own.is_none() && args.mean.is_empty() && model.input().shape().rank() == 4;
    let preprocess = match own {
        Some(own) => Some(own),
        None => preprocess(args, &model, imported.batch)?,
    };
    let mut file = ModelFile::new(&model);
    if let Some(preprocess) = &preprocess {
        file.task = serde_json::to_value(&preprocess.task)?;
        file.preprocessing = serde_json::to_value(preprocess)?;
    } else {
        out.note("note: only networks from one image to the scores of classes are used by `predict`; this one is for `summary` and the library");
    }
    file.tensors = tensors;
    let name = args
        .file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    file.metadata.insert("imported from".into(), name);
    file.write(&args.output)?;
    if guessed {
        out.note("note: how images were prepared is not in the file; pixels go from 0 to 1 (--mean and --std say otherwise)");
    }
    report(args, &model, &imported, out)
}

/// The network up to the scores: a softmax at its end is what `predict` does itself.
fn scores(imported: &Imported, out: &Output) -> Outcome<(Model, Vec<Tensor>)> {
    let [output] = imported.model.outputs() else {
        return Ok((imported.model.clone(), imported.tensors.clone()));
    };
    // What only renames axes may stand behind the softmax.
    let mut end = output.clone();
    while matches!(end.op(), Op::Reshape(_)) {
        end = end.inputs()[0].clone();
    }
    if !matches!(end.op(), Op::Softmax(_)) || imported.batch == Batch::Whole {
        return Ok((imported.model.clone(), imported.tensors.clone()));
    }
    out.note("note: the softmax at the end is left out: the model gives scores, and `predict` makes probabilities of them");
    let model = Model::with(imported.model.name(), imported.model.inputs(), &end.inputs()[..1])?;
    let kept = |t: &&Tensor| model.parameter(&t.name).is_some();
    let tensors = imported.tensors.iter().filter(kept).cloned().collect();
    Ok((model, tensors))
}

/// What a file that `export` wrote says of its images and classes, unless the command line says otherwise.
fn own_preprocessing(args: &Args) -> Outcome<Option<Preprocess>> {
    let metadata = metadata(&args.file).at(args.file.display())?;
    let own = metadata.get("graticule_preprocessing");
    let own = own.and_then(|text| serde_json::from_str(text).ok());
    Ok(own.filter(|_| args.mean.is_empty() && args.classes.is_none()))
}

/// Rows and columns of the images.
fn size(preprocess: &Preprocess) -> Option<[usize; 2]> {
    match &preprocess.input {
        InputEncoding::Image(image) => Some([image.height, image.width]),
        _ => None,
    }
}

/// How images become inputs, where the network takes one and gives the scores of classes.
fn preprocess(args: &Args, model: &Model, batch: Batch) -> Outcome<Option<Preprocess>> {
    let one = batch == Batch::Leading && model.inputs().len() == 1 && model.outputs().len() == 1;
    let (input, output) = (model.input().shape(), model.output().shape());
    let outputs = output.elements();
    // One score for each class: no axis but one is longer than 1.
    let listed = output[1..].iter().filter(|&&l| l > 1).count() <= 1;
    let (Ok(size), true) = (<[usize; 3]>::try_from(&input[1..]), one && listed) else {
        return Ok(None);
    };
    let channels = size[2];
    let (mean, std) = match args.mean.is_empty() {
        true => (vec![0.0; channels], vec![1.0; channels]),
        false => (args.mean.clone(), args.std.clone()),
    };
    let good = |list: &[f32]| list.len() == channels && list.iter().all(|v| v.is_finite());
    if !good(&mean) || !good(&std) || std.iter().any(|&v| v <= 0.0) {
        let cause = format!("expected {channels} finite numbers each, those of --std above 0");
        return Err(Failure::usage(cause).at("--mean, --std"));
    }
    let classes = match &args.classes {
        Some(path) => class_names(path)?,
        None => (0..outputs.max(2)).map(|k| format!("class {k}")).collect(),
    };
    if classes.len() != outputs && !(outputs == 1 && classes.len() == 2) {
        let cause = format!("{} names for the network's {outputs} outputs", classes.len());
        return Err(Failure::usage(cause).at("--classes"));
    }
    Ok(Some(Preprocess {
        task: Task::Classification { classes },
        input: InputEncoding::Image(published::of(size, mean, std)),
        target: TargetEncoding::default(),
    }))
}

fn report(args: &Args, model: &Model, imported: &Imported, out: &Output) -> Outcome {
    let numbers = model.parameter_count();
    let ports = |ports: &[interchange::onnx::Port]| -> Vec<Value> {
        let one = |p: &interchange::onnx::Port| json!({ "name": p.name, "shape": p.shape, "order": p.order });
        ports.iter().map(one).collect()
    };
    out.line(format!(
        "{}: {} nodes, {} parameters in {} tensors, input {}, output {}; written to {}",
        model.name(),
        model.nodes().len(),
        thousands(numbers),
        model.parameters().len(),
        model.input().shape(),
        model.output().shape(),
        args.output.display()
    ))?;
    out.object(&json!({
        "model": model.name(), "nodes": model.nodes().len(), "numbers": numbers, "tensors": model.parameters().len(),
        "inputs": ports(&imported.inputs), "outputs": ports(&imported.outputs),
        "whole": imported.batch == Batch::Whole, "output": args.output,
    }))
}
