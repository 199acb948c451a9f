//! From layers as written to a model.

use std::collections::HashMap;

use graph::{Shape, Symbol};

use super::error::{Source, TextError};
use super::fields::{Arguments, LayerSpec};
use super::layers::{self, LAYERS, LayerType, Reads};
use crate::model::Model;
use crate::model::architecture::{MAX_ELEMENTS, elements};
use crate::model::suggest::did_you_mean;

/// The layers made so far.
struct Made {
    named: HashMap<String, Symbol>,
    last: Symbol,
}

pub(super) fn build(
    source: Source,
    name: &str,
    specs: &[LayerSpec],
    input: &[usize],
    outputs: Option<usize>,
) -> Result<Model, TextError> {
    let shape = Shape::new(input);
    if input.is_empty() || input.contains(&0) || elements(&shape).is_none() {
        return Err(source.error(
            0..0,
            format!("samples of shape {shape} cannot be the input of a network"),
        ));
    }
    let image = Symbol::input("input", shape);
    let mut made = Made {
        named: HashMap::from([("input".to_string(), image.clone())]),
        last: image.clone(),
    };
    for spec in specs {
        let kind = find(source, spec)?;
        let arguments = Arguments::read(source, spec, kind, outputs)?;
        made.layer(source, spec, kind, arguments)?;
    }
    let last = specs.last().map_or(0..0, |s| s.place.clone());
    check_outputs(source, &made.last, outputs, last.clone())?;
    let model =
        Model::new(name, &image, &made.last).map_err(|e| source.error(last.clone(), e.to_string()))?;
    match model.nodes().iter().find(|n| elements(n.shape()).is_none()) {
        Some(node) => Err(too_large(source, node, last)),
        None => Ok(model),
    }
}

fn find(source: Source, spec: &LayerSpec) -> Result<&'static LayerType, TextError> {
    let written = spec.kind.value.as_str();
    layers::find(written).ok_or_else(|| {
        let known: Vec<&str> = LAYERS.iter().map(|l| l.name).collect();
        let message = format!(
            "unknown layer `{written}`{}\nlayers: {}",
            did_you_mean(written, &known),
            known.join(", ")
        );
        source.error(spec.kind.place.clone(), message)
    })
}

impl Made {
    fn layer(
        &mut self,
        source: Source,
        spec: &LayerSpec,
        kind: &LayerType,
        arguments: Arguments,
    ) -> Result<(), TextError> {
        let reads = self.reads(source, spec, kind, &arguments)?;
        let reads: Vec<&Symbol> = reads.iter().collect();
        let y =
            (kind.build)(&arguments, &reads).map_err(|e| source.error(spec.place.clone(), e.to_string()))?;
        if elements(y.shape()).is_none() {
            return Err(too_large(source, &y, spec.place.clone()));
        }
        self.last = y.clone();
        if let Some(name) = arguments.name
            && self.named.insert(name.clone(), y).is_some()
        {
            let message = format!("two layers are named `{name}`; give each a name of its own");
            return Err(source.error(spec.place.clone(), message));
        }
        Ok(())
    }

    fn reads(
        &self,
        source: Source,
        spec: &LayerSpec,
        kind: &LayerType,
        arguments: &Arguments,
    ) -> Result<Vec<Symbol>, TextError> {
        if arguments.from.is_empty() && kind.reads == Reads::One {
            return Ok(vec![self.last.clone()]);
        }
        if kind.reads == Reads::Several && arguments.from.len() < 2 {
            let message = format!(
                "`{}` reads two layers or more: name them (`name=a`) and write `from=a+b`, in TOML `from = [\"a\", \"b\"]`",
                kind.name
            );
            return Err(source.error(spec.place.clone(), message));
        }
        if kind.reads == Reads::One && arguments.from.len() > 1 {
            let message = format!("`{}` reads one layer, found {:?}", kind.name, arguments.from);
            return Err(source.error(arguments.from_place.clone(), message));
        }
        let found = arguments.from.iter().map(|name| {
            self.named.get(name).cloned().ok_or_else(|| {
                let mut known: Vec<&str> = self.named.keys().map(String::as_str).collect();
                known.sort_unstable();
                let message = format!(
                    "no layer before this one is named `{name}`{}\nnamed so far: {}",
                    did_you_mean(name, &known),
                    known.join(", ")
                );
                source.error(arguments.from_place.clone(), message)
            })
        });
        found.collect()
    }
}

fn check_outputs(
    source: Source,
    last: &Symbol,
    outputs: Option<usize>,
    place: std::ops::Range<usize>,
) -> Result<(), TextError> {
    let found = last.shape().last_axis();
    match outputs {
        Some(outputs) if outputs != found => {
            let message = format!(
                "the network has {found} outputs, but the data asks for {outputs}; write `dense classes` as the last layer"
            );
            Err(source.error(place, message))
        }
        _ => Ok(()),
    }
}

fn too_large(source: Source, node: &Symbol, place: std::ops::Range<usize>) -> TextError {
    let message = format!(
        "{} of shape {} has more than {MAX_ELEMENTS} elements",
        node.op().name(),
        node.shape()
    );
    source.error(place, message)
}
