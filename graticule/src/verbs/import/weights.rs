//! Weights for a network that is known by name.

use std::collections::HashSet;
use std::path::Path;

use data::preprocess::{ImageEncoding, TargetEncoding};
use data::{InputEncoding, Preprocess, Task};
use interchange::{ModelFile, foreign};
use serde_json::json;
use zoo::Network;

use super::Args;
use crate::error::{Context, Failure, Outcome};
use crate::output::Output;
use crate::published;
use crate::text::thousands;

/// The longest list of class names that is read, in bytes.
const MAX_CLASSES: u64 = 64 << 20;

pub(super) fn run(args: &Args, name: &str, out: &Output) -> Outcome {
    let known = zoo::NAMES.iter().find(|n| n.name == name);
    let classes = args.classes.as_deref().map(class_names).transpose()?;
    let outputs = match (&classes, args.outputs) {
        (Some(classes), _) => classes.len(),
        (None, Some(outputs)) => outputs as usize,
        (None, None) => known.map_or(1, |n| n.outputs),
    };
    let input = match (&args.input, known) {
        (Some(shape), _) => shape.0.clone(),
        (None, Some(network)) => network.input.to_vec(),
        (None, None) => vec![224, 224, 3],
    };
    let model = zoo::build(name, &input, outputs).map_err(|e| Failure::usage(e.to_string()).at("--model"))?;
    if model.output().shape().elements() != outputs {
        let cause = format!(
            "`{name}` answers for each pixel; only networks with one answer for each image are imported",
        );
        return Err(Failure::usage(cause).at("--model"));
    }
    let image = encoding(args, known, &input, out)?;
    let weights = foreign::load(&model, &args.file)?;
    let classes = classes.unwrap_or_else(|| (0..outputs).map(|k| format!("class {k}")).collect());
    let preprocess = Preprocess {
        task: Task::Classification { classes },
        input: InputEncoding::Image(image),
        target: TargetEncoding::default(),
    };
    let mut file = ModelFile::new(&model);
    file.task = serde_json::to_value(&preprocess.task)?;
    file.preprocessing = serde_json::to_value(&preprocess)?;
    file.tensors = weights.tensors;
    let source = args
        .file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    file.metadata.insert("imported from".into(), source);
    file.write(&args.output)?;
    let (tensors, numbers) = (file.tensors.len(), model.parameter_count());
    out.line(format!(
        "{name}: {tensors} tensors, {} numbers, {outputs} outputs; written to {}",
        thousands(numbers),
        args.output.display()
    ))?;
    if !weights.ignored.is_empty() {
        let first = &weights.ignored[0];
        out.note(format!(
            "{} tensors that prediction does without are left, such as `{first}`",
            weights.ignored.len()
        ));
    }
    out.object(&json!({
        "model": name, "tensors": tensors, "numbers": numbers, "outputs": outputs,
        "ignored": weights.ignored, "output": args.output,
    }))
}

/// The preprocessing: as told, else as the family is known to want it.
fn encoding(args: &Args, known: Option<&Network>, input: &[usize], out: &Output) -> Outcome<ImageEncoding> {
    let Ok(size) = <[usize; 3]>::try_from(input) else {
        return Err(
            Failure::usage(format!("samples of shape {input:?} are no images"))
                .at("--input")
                .help("give HxWxC"),
        );
    };
    let channels = size[2];
    if !args.mean.is_empty() {
        let good = |list: &[f32]| list.len() == channels && list.iter().all(|v| v.is_finite());
        if !good(&args.mean) || !good(&args.std) || args.std.iter().any(|&v| v <= 0.0) {
            let cause = format!("expected {channels} finite numbers each, those of --std above 0");
            return Err(Failure::usage(cause).at("--mean, --std"));
        }
        return Ok(published::of(size, args.mean.clone(), args.std.clone()));
    }
    let found = known.and_then(|network| published::encoding(network.name, size));
    Ok(found.unwrap_or_else(|| {
        out.note("note: how these images were prepared is not known; pixels go from 0 to 1 (--mean and --std say otherwise)");
        published::of(size, vec![0.0; channels], vec![1.0; channels])
    }))
}

/// One name a line. Where each line begins with its number, the last of the cells behind it is the name.
pub(super) fn class_names(path: &Path) -> Outcome<Vec<String>> {
    let size = std::fs::metadata(path).at(path.display())?.len();
    if size > MAX_CLASSES {
        return Err(Failure::new(format!(
            "has {size} bytes; a list of classes has at most {MAX_CLASSES}"
        ))
        .at(path.display()));
    }
    let text = std::fs::read_to_string(path).at(path.display())?;
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if lines.is_empty() {
        return Err(Failure::new("found no class names")
            .at(path.display())
            .help("write one name a line"));
    }
    let named = |(k, line): (usize, &&str)| -> Option<String> {
        let (number, rest) = line.split_once(['\t', ',', ' '])?;
        let name = rest.rsplit(['\t', ',']).next()?.trim();
        (number.parse() == Ok(k) && !name.is_empty()).then(|| name.to_string())
    };
    let numbered: Option<Vec<String>> = lines.iter().enumerate().map(named).collect();
    let mut names = numbered.unwrap_or_else(|| lines.iter().map(ToString::to_string).collect());
    // ImageNet has two classes `crane` and two `maillot`.
    let mut seen = HashSet::new();
    for (k, name) in names.iter_mut().enumerate() {
        if !seen.insert(name.clone()) {
            *name = format!("{name} ({k})");
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_names_may_have_numbers() {
        let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
        let path = folder.path().join("classes.txt");
        let names = |text: &str| {
            std::fs::write(&path, text).unwrap_or_else(|e| panic!("{e}"));
            class_names(&path).ok()
        };
        let list = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(names("cat\nwild dog\n\n"), list(&["cat", "wild dog"]));
        assert_eq!(
            names("0\tn01\tcat\n1\tn02\tdog\n2\tn03\tcat"),
            list(&["cat", "dog", "cat (2)"])
        );
        assert_eq!(names("1 cat\n0 dog"), list(&["1 cat", "0 dog"]));
        assert_eq!(names(" \n"), None);
    }
}
