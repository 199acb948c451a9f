//! From layers as written to a model.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use graph::ops::Op;
use graph::{Scope, ScopeGuard, Shape, Symbol};

use super::error::{Source, TextError};
use super::fields::{Arguments, LayerSpec};
use super::layers::{self, LAYERS, LayerType, Reads};
use super::plain::{OP, PARAMETER, PlainOp, PlainParameter};
use crate::model::Model;
use crate::model::architecture::{MAX_ELEMENTS, MAX_RANK, elements};
use crate::model::suggest::did_you_mean;

/// Names that a message lists.
const SHOWN: usize = 40;

/// The layers made so far.
struct Made {
    named: HashMap<String, Symbol>,
    last: Symbol,
    /// The layers that plain ops and parameters belong to.
    scopes: HashMap<String, Arc<Scope>>,
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
        scopes: HashMap::new(),
    };
    for spec in specs {
        match spec.kind.value.as_str() {
            OP => made.op(source, spec)?,
            PARAMETER => made.parameter(source, spec)?,
            _ => {
                let kind = find(source, spec)?;
                let arguments = Arguments::read(source, spec, kind, outputs)?;
                made.layer(source, spec, kind, arguments)?;
            }
        }
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
        let known = LAYERS.iter().map(|l| l.name).chain([OP, PARAMETER]);
        let known: Vec<&str> = known.collect();
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
        self.last = y.clone();
        self.put(source, spec.place.clone(), arguments.name, y)
    }

    /// One operation of the graph, in the scope of its layer.
    fn op(&mut self, source: Source, spec: &LayerSpec) -> Result<(), TextError> {
        let plain = PlainOp::read(source, spec)?;
        let constant = matches!(plain.op, Op::Constant(_));
        let reads = match &plain.from {
            Some(from) => {
                let found = from
                    .value
                    .iter()
                    .map(|name| self.named(source, name, &from.place));
                found.collect::<Result<Vec<_>, _>>()?
            }
            None if constant => Vec::new(),
            None => vec![self.last.clone()],
        };
        let _scope = self.enter(plain.layer.as_deref());
        let y = Symbol::apply(plain.op, &reads.iter().collect::<Vec<_>>())
            .map_err(|e| source.error(spec.place.clone(), e.to_string()))?;
        if !constant {
            self.last = y.clone();
        }
        self.put(source, spec.place.clone(), plain.name, y)
    }

    /// A parameter; the layer before stays the layer before.
    fn parameter(&mut self, source: Source, spec: &LayerSpec) -> Result<(), TextError> {
        let plain = PlainParameter::read(source, spec)?;
        let _scope = self.enter(plain.layer.as_deref());
        let node = plain.node();
        self.put(source, spec.place.clone(), Some(plain.name), node)
    }

    /// Opens the scope of plain ops' layer `path`, the same one each time.
    fn enter(&mut self, path: Option<&str>) -> ScopeGuard {
        let Some(path) = path else {
            return Scope::resume(Scope::current());
        };
        if let Some(scope) = self.scopes.get(path) {
            return Scope::resume(Some(scope.clone()));
        }
        let guard = Scope::enter("block", Some(path));
        if let Some(scope) = Scope::current() {
            self.scopes.insert(path.to_string(), scope);
        }
        guard
    }

    /// Keeps what was made under its name.
    fn put(
        &mut self,
        source: Source,
        place: Range<usize>,
        name: Option<String>,
        y: Symbol,
    ) -> Result<(), TextError> {
        if elements(y.shape()).is_none() || y.shape().rank() > MAX_RANK {
            return Err(too_large(source, &y, place));
        }
        if let Some(name) = name
            && self.named.insert(name.clone(), y).is_some()
        {
            let message = format!("two layers are named `{name}`; give each a name of its own");
            return Err(source.error(place, message));
        }
        Ok(())
    }

    /// What was made under this name.
    fn named(&self, source: Source, name: &str, place: &Range<usize>) -> Result<Symbol, TextError> {
        self.named.get(name).cloned().ok_or_else(|| {
            let mut known: Vec<&str> = self.named.keys().map(String::as_str).collect();
            known.sort_unstable();
            let hint = did_you_mean(name, &known);
            let more = match known.len() {
                0..=SHOWN => String::new(),
                all => format!(" and {} more", all - SHOWN),
            };
            known.truncate(SHOWN);
            let message = format!(
                "no layer before this one is named `{name}`{hint}\nnamed so far: {}{more}",
                known.join(", ")
            );
            source.error(place.clone(), message)
        })
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
        let found = arguments
            .from
            .iter()
            .map(|name| self.named(source, name, &arguments.from_place));
        found.collect()
    }
}

fn check_outputs(
    source: Source,
    last: &Symbol,
    outputs: Option<usize>,
    place: Range<usize>,
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

fn too_large(source: Source, node: &Symbol, place: Range<usize>) -> TextError {
    let rank = node.shape().rank();
    if rank > MAX_RANK {
        let message = format!(
            "{} has {rank} axes; at most {MAX_RANK} are allowed",
            node.op().name()
        );
        return source.error(place, message);
    }
    let message = format!(
        "{} of shape {} has more than {MAX_ELEMENTS} elements",
        node.op().name(),
        node.shape()
    );
    source.error(place, message)
}
