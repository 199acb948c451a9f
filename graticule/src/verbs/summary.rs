//! `graticule summary`: the layer table of a network (rows M10, X20), or several networks compared (row X21).

mod compare;
mod to_toml;

use std::path::{Path, PathBuf};

use graph::Binding;
use interchange::ModelFile;
use nn::Model;
use nn::model::{summary, text};

use crate::error::{Context, Failure, Outcome};
use crate::output::Output;

const HELP: &str = "\
MACs are multiply-accumulates; FLOPs count two for each, and one for each element-wise operation.
`sees` is the receptive field: the rows and columns of the image that one output depends on.
`as dense` is the number of weights that a dense layer would need in place of the convolution.
A named network has the input and the classes that it was published with, unless others are given.

Examples:
  graticule summary lenet5
  graticule summary cnn-small --input 64x64x3 --classes 10
  graticule summary --layers \"conv 6 5 same tanh, avgpool 2, flatten, dense classes\" --classes 10
  graticule summary alexnet
  graticule summary --compare alexnet vgg16 googlenet resnet152
  graticule summary resnet18 --input 64x64x3 --classes 10 --to-toml my.toml
  graticule summary my.toml
  graticule summary runs/digits-1 --json";

/// Show a network layer by layer: output shape, parameters, MACs, FLOPs, receptive field
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// A named network, a model file (.toml or .safetensors) or a run folder
    #[arg(value_name = "MODEL", required_unless_present_any = ["layers", "compare"])]
    model: Option<String>,
    /// A network in one line, for example "conv 6 5 relu, maxpool 2, flatten, dense 10"
    #[arg(long, value_name = "LINE", conflicts_with = "model")]
    layers: Option<String>,
    /// Several networks in one table: parameters, MACs and FLOPs of each
    #[arg(long, value_name = "MODEL", num_args = 2.., conflicts_with_all = ["model", "layers"])]
    compare: Vec<String>,
    /// Shape of one sample: HxWxC for images, a number of features for tables
    #[arg(long, value_name = "HxWxC", value_parser = parse_shape)]
    input: Option<SampleShape>,
    /// Outputs: classes, or targets of a regression
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    classes: Option<u32>,
    /// Samples in a batch
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: u32,
    /// Also write the network as TOML, to be edited and given to `train --model`
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    to_toml: Option<PathBuf>,
}

/// The axes of one sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SampleShape(pub(super) Vec<usize>);

const DEFAULT_INPUT: [usize; 3] = [28, 28, 1];
const MOST_ELEMENTS: usize = 1 << 28;
const MODEL_FILES: [&str; 2] = ["best.safetensors", "last.safetensors"];

/// Runs the verb.
pub fn run(args: Args, out: &Output) -> Outcome {
    if !args.compare.is_empty() {
        return compare::run(&args, out);
    }
    if let Some(path) = &args.to_toml {
        to_toml::check_target(path)?;
    }
    let (model, binding) = args.resolve()?;
    args.tell_assumed(&model, out);
    let table = summary(&model, &binding).at(model.name())?;
    if let Some(path) = &args.to_toml {
        to_toml::write(&model, args.stored()?, path, out)?;
    }
    out.line(table.to_string())?;
    out.object(&table)
}

impl Args {
    /// Says what was not given and not found in a file either.
    fn tell_assumed(&self, model: &Model, out: &Output) {
        let built_here =
            self.layers.is_some() || zoo::NAMES.iter().any(|n| Some(n.name) == self.model.as_deref());
        if built_here && self.input.is_none() {
            let shape = model.input().shape().iter().skip(1).map(usize::to_string);
            let shape = shape.collect::<Vec<_>>().join("×");
            out.note(format!("input {shape} assumed; --input HxWxC says another"));
        }
        if built_here && self.layers.is_none() && self.classes.is_none() {
            let outputs = model.output().shape().last_axis();
            out.note(format!(
                "{outputs} classes assumed; --classes K says another number"
            ));
        }
    }

    fn resolve(&self) -> Outcome<(Model, Binding)> {
        if let Some(line) = &self.layers {
            let (input, classes) = (self.shape().unwrap_or(&DEFAULT_INPUT), self.outputs());
            let model = text::from_line(line, input, classes).at("--layers")?;
            return Ok((model, Binding::batch(self.batch as usize)));
        }
        self.named(self.model.as_deref().unwrap_or_default())
    }

    /// Whether the network comes from a file with numbers.
    fn stored(&self) -> Outcome<bool> {
        let path = self.model.as_deref().map_or(Ok(None), file_of)?;
        Ok(path.is_some_and(|path| path.extension().is_none_or(|e| e != "toml")))
    }

    fn shape(&self) -> Option<&[usize]> {
        self.input.as_ref().map(|shape| shape.0.as_slice())
    }

    fn outputs(&self) -> Option<usize> {
        self.classes.map(|k| k as usize)
    }

    /// The network that `name` means: a file, a run folder, or one of the zoo.
    fn named(&self, name: &str) -> Outcome<(Model, Binding)> {
        let binding = Binding::batch(self.batch as usize);
        match file_of(name)? {
            Some(path) if path.extension().is_some_and(|e| e == "toml") => {
                let written = read_text(&path)?;
                let model = text::from_toml(&written, self.shape(), self.outputs()).at(path.display())?;
                Ok((model, binding))
            }
            Some(path) => self.trained(&path, binding),
            None => {
                let own = zoo::NAMES.iter().find(|network| network.name == name);
                let (shape, outputs) = own.map_or((&DEFAULT_INPUT[..], 1), |n| (n.input, n.outputs));
                let shape = self.shape().unwrap_or(shape);
                let model = zoo::build(name, shape, self.outputs().unwrap_or(outputs))?;
                Ok((model, binding))
            }
        }
    }

    /// The network of a model file, for other image sizes if asked.
    fn trained(&self, path: &Path, mut binding: Binding) -> Outcome<(Model, Binding)> {
        let model = ModelFile::read(path)?.model().at(path.display())?;
        if self.classes.is_some() {
            let cause = format!("the outputs of {} are fixed; leave --classes out", path.display());
            return Err(Failure::usage(cause));
        }
        if self.to_toml.is_some() && self.input.is_some() {
            let cause = "--to-toml writes the network for the input that its file was made for";
            return Err(Failure::usage(cause).help("leave --input out, and change `input` in the text"));
        }
        if let (Some(shape), Some(input)) = (&self.input, model.input().as_input()) {
            binding = binding.sample_shape(&input.name, shape.0.clone());
        }
        Ok((model, binding))
    }
}

/// The file that `name` means, if it means one: a path, or a run folder's model file.
pub(super) fn file_of(name: &str) -> Outcome<Option<PathBuf>> {
    let path = PathBuf::from(name);
    if path.is_dir() {
        let found = MODEL_FILES
            .iter()
            .map(|file| path.join(file))
            .find(|file| file.is_file());
        return found.map(Some).ok_or_else(|| {
            Failure::new(format!(
                "found neither {} in this folder",
                MODEL_FILES.join(" nor ")
            ))
            .at(path.display())
            .help("give a run folder, a .toml or .safetensors file, or the name of a network")
        });
    }
    let looks_like_a_file = path
        .extension()
        .is_some_and(|e| e == "toml" || e == "safetensors");
    Ok((looks_like_a_file || path.is_file() || name.contains('/')).then_some(path))
}

pub(super) fn read_text(path: &Path) -> Outcome<String> {
    let size = std::fs::metadata(path).at(path.display())?.len();
    if size > text::MAX_TEXT as u64 {
        let cause = format!("has {size} bytes; a model in TOML has at most {}", text::MAX_TEXT);
        return Err(Failure::new(cause).at(path.display()));
    }
    std::fs::read_to_string(path).at(path.display())
}

pub(super) fn parse_shape(text: &str) -> Result<SampleShape, String> {
    let axes: Option<Vec<usize>> = text
        .split(['x', '×'])
        .map(|axis| axis.trim().parse().ok())
        .collect();
    let elements = axes
        .as_ref()
        .and_then(|axes| axes.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis)));
    match (axes, elements) {
        (Some(axes), Some(1..=MOST_ELEMENTS)) if axes.len() <= 4 => Ok(SampleShape(axes)),
        (Some(_), _) => Err(format!(
            "a sample has 1 to {MOST_ELEMENTS} numbers along at most four axes"
        )),
        (None, _) => {
            Err("expected whole numbers divided by x, such as 28x28x1, or one number of features".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_as_people_write_them() {
        let shape = |text| parse_shape(text).map(|s| s.0).ok();
        assert_eq!(shape("64x64x3"), Some(vec![64, 64, 3]));
        assert_eq!(shape("28×28×1"), Some(vec![28, 28, 1]));
        assert_eq!(shape("13"), Some(vec![13]));
        for wrong in ["", "28x", "0x3", "axb", "99999999999x99999999999", "1x1x1x1x1"] {
            assert_eq!(shape(wrong), None, "{wrong}");
        }
    }
}
