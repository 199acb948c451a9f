//! Any model as TOML: what [`from_toml`](super::from_toml) reads, with layers where the graph has them.

mod known;
mod print;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use graph::ops::Op;
use graph::{GraphError, Scope, Symbol, topological};

use super::error::Source;
use super::fields::{Arguments, LayerSpec, Raw, Spanned, can_name};
use super::layers::{self, Reads};
use super::plain::{OP, PARAMETER, split};
use crate::Initialiser;
use crate::model::names::{LayerNames, join};
use crate::model::{Model, name_parameters};
use known::Guess;

/// The network as TOML: the same layers, parameters (names, shapes, first values) and operations when
/// [`from_toml`](super::from_toml) reads it. It holds no trained numbers.
///
/// What a layer type of the text makes, node by node, is written as that layer; any other operation
/// as `type = "op"` with its attributes, any other parameter as `type = "parameter"`. A layer is built
/// again from the fields to be written and compared with the graph, so that nothing is guessed.
///
/// ```
/// use graticule_nn::model::text;
/// let model = text::from_line("conv 6 5 same tanh, flatten, dense 10", &[28, 28, 1], None)?;
/// let written = text::to_toml(&model)?;
/// assert!(written.contains("type = \"conv\"\nname = \"conv2d\"\nfilters = 6\nkernel = 5\n"));
/// let again = text::from_toml(&written, None, None)?;
/// assert_eq!(again.trainable_count(), model.trainable_count());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`GraphError::Name`] for a model with several inputs or outputs, or with names that a text cannot
/// hold; the message says which.
pub fn to_toml(model: &Model) -> Result<String, GraphError> {
    if model.inputs().len() != 1 || model.outputs().len() != 1 {
        let message = format!(
            "`{}` has {} inputs and {} outputs; a model in TOML has one of each",
            model.name(),
            model.inputs().len(),
            model.outputs().len()
        );
        return Err(GraphError::Name(message));
    }
    let walk = Walk::of(model);
    let units = walk.units()?;
    let labels = walk.labels(&units)?;
    Ok(print::file(model, &units, &labels))
}

/// One table of the text.
struct Unit {
    kind: &'static str,
    fields: Vec<(&'static str, Raw)>,
    /// The name that it must have: its parameters are found under it.
    name: Option<String>,
    /// The name that it gets if another one is to read it.
    wish: String,
    /// The nodes that it reads, by their ids.
    reads: Vec<u64>,
    /// The node that it makes.
    makes: u64,
    /// Whether it may stand between a layer and the next without being the layer before.
    aside: bool,
}

/// Where the nodes of a scope stand among all.
struct Span {
    first: usize,
    last: usize,
    count: usize,
}

/// The nodes of a model, in the order in which they were made, without the input.
struct Walk<'m> {
    model: &'m Model,
    nodes: Vec<&'m Symbol>,
    place: HashMap<u64, usize>,
    /// The place of the last node that reads each node.
    last_reader: Vec<usize>,
    spans: HashMap<u64, Span>,
    /// The full names of the parameters.
    names: HashMap<u64, &'m str>,
}

impl<'m> Walk<'m> {
    fn of(model: &'m Model) -> Self {
        let nodes = model.nodes().iter().filter(|n| n.as_input().is_none());
        let nodes: Vec<&Symbol> = nodes.collect();
        let place: HashMap<u64, usize> = nodes.iter().enumerate().map(|(i, n)| (n.id(), i)).collect();
        let mut last_reader: Vec<usize> = (0..nodes.len()).collect();
        let mut spans: HashMap<u64, Span> = HashMap::new();
        for (at, node) in nodes.iter().enumerate() {
            for read in node.inputs() {
                if let Some(&read) = place.get(&read.id()) {
                    last_reader[read] = at;
                }
            }
            for scope in node.scope().map(Scope::path).unwrap_or_default() {
                let span = spans.entry(scope.id).or_insert(Span {
                    first: at,
                    last: at,
                    count: 0,
                });
                span.last = at;
                span.count += 1;
            }
        }
        let names = model.parameters().iter();
        let names = names.map(|p| (p.symbol.id(), p.name.as_str())).collect();
        Self {
            model,
            nodes,
            place,
            last_reader,
            spans,
            names,
        }
    }

    fn units(&self) -> Result<Vec<Unit>, GraphError> {
        let mut units = Vec::new();
        let mut at = 0;
        while at < self.nodes.len() {
            let (unit, count) = self.unit(at)?;
            units.push(unit);
            at += count;
        }
        Ok(units)
    }

    /// The table of the node at `at` and of those after it that belong to it, and their number.
    fn unit(&self, at: usize) -> Result<(Unit, usize), GraphError> {
        let node = self.nodes[at];
        for scope in node.scope().map(Scope::path).unwrap_or_default() {
            let span = &self.spans[&scope.id];
            let whole = span.first == at && span.last - at + 1 == span.count;
            if let Some(unit) = self.layer(at, span.count, Some(&scope)).filter(|_| whole) {
                return Ok((unit, span.count));
            }
        }
        // (tanh x)/2 + 1/2 is the one activation of two nodes.
        for count in [2, 1] {
            let one_scope = |next: &&Symbol| next.scope().map(|s| s.id) == node.scope().map(|s| s.id);
            if count == 2 && !self.nodes.get(at + 1).is_some_and(one_scope) {
                continue;
            }
            if let Some(unit) = self.layer(at, count, None) {
                return Ok((unit, count));
            }
        }
        let unit = match node.as_parameter() {
            Some(_) => self.parameter(node),
            None => self.op(node)?,
        };
        Ok((unit, 1))
    }

    /// The `count` nodes from `at` as a layer of the text, if they are one.
    fn layer(&self, at: usize, count: usize, scope: Option<&Arc<Scope>>) -> Option<Unit> {
        let nodes = self.nodes.get(at..at + count)?;
        let end = at + count;
        let closed = self.last_reader[at..end - 1].iter().all(|&reader| reader < end);
        if !closed {
            return None;
        }
        let outside =
            |read: &&Symbol| !matches!(self.place.get(&read.id()), Some(p) if (at..end).contains(p));
        let reads: Vec<&Symbol> = nodes.iter().flat_map(|n| n.inputs()).filter(outside).collect();
        let path = scope.map_or("", |s| self.model.layers().path(s.id));
        let weighs = nodes.iter().any(|n| n.as_parameter().is_some());
        if weighs && !can_name(path) {
            return None;
        }
        let named = weighs || scope.is_some_and(|s| s.name.is_some());
        let name = (named && can_name(path)).then(|| path.to_string());
        let guesses = known::guesses(nodes, scope.map_or("", |s| s.kind.as_str()));
        let (guess, reads) = guesses.into_iter().find_map(|guess| {
            let reads = self.matches(&guess, name.as_deref(), nodes, &reads)?;
            Some((guess, reads))
        })?;
        Some(Unit {
            kind: guess.kind,
            fields: guess.fields,
            wish: match scope {
                Some(_) => path.to_string(),
                None => join(self.model.layer_of(nodes[0]), guess.kind),
            },
            name,
            reads,
            makes: nodes[count - 1].id(),
            aside: false,
        })
    }

    /// What the layer reads, if its fields make these nodes and no others.
    fn matches(
        &self,
        guess: &Guess,
        name: Option<&str>,
        nodes: &[&Symbol],
        reads: &[&Symbol],
    ) -> Option<Vec<u64>> {
        let kind = layers::find(guess.kind)?;
        let mut seen = HashSet::new();
        let once: Vec<&Symbol> = reads.iter().copied().filter(|r| seen.insert(r.id())).collect();
        let reads = match kind.reads {
            Reads::One if once.len() == 1 => once.clone(),
            Reads::Several if reads.len() > 1 => reads.to_vec(),
            _ => return None,
        };
        let _scope = Scope::resume(None);
        let stand_in = |r: &&Symbol| Symbol::parameter("read", r.shape().clone(), Default::default());
        let stand_ins: Vec<Symbol> = once.iter().map(stand_in).collect();
        let place = |id: u64| once.iter().position(|r| r.id() == id);
        let given: Option<Vec<&Symbol>> = reads.iter().map(|r| Some(&stand_ins[place(r.id())?])).collect();
        let y = (kind.build)(&guess.arguments(name)?, &given?).ok()?;
        let made = topological(std::slice::from_ref(&y));
        let made: Vec<Symbol> = made.into_iter().filter(|n| !stand_ins.contains(n)).collect();
        let before: HashMap<u64, u64> = nodes
            .iter()
            .zip(&made)
            .map(|(ours, theirs)| (ours.id(), theirs.id()))
            .chain(once.iter().zip(&stand_ins).map(|(o, t)| (o.id(), t.id())))
            .collect();
        let same = |(ours, theirs): (&&Symbol, &Symbol)| {
            let read = ours.inputs().iter().map(|i| before.get(&i.id()).copied());
            ours.op() == theirs.op()
                && ours.shape() == theirs.shape()
                && read.eq(theirs.inputs().iter().map(|i| Some(i.id())))
        };
        let all = nodes.len() == made.len() && nodes.iter().zip(&made).all(same);
        (all && self.same_names(nodes, &made)).then(|| reads.iter().map(|r| r.id()).collect())
    }

    /// Whether the parameters get the names that they have.
    fn same_names(&self, nodes: &[&Symbol], made: &[Symbol]) -> bool {
        let named = LayerNames::of(made).and_then(|layers| name_parameters(made, &layers));
        let ours = nodes.iter().filter_map(|n| self.names.get(&n.id()).copied());
        named.is_ok_and(|named| ours.eq(named.iter().map(|p| p.name.as_str())))
    }

    /// A parameter by itself.
    fn parameter(&self, node: &Symbol) -> Unit {
        let name = self.names.get(&node.id()).copied().unwrap_or_default();
        let path = self.model.layer_of(node);
        let mut fields = Vec::new();
        let mut makes_trainable = true;
        if let Some(parameter) = node.as_parameter() {
            let (layer, role) = split(name);
            if (layer.unwrap_or_default(), role) != (path, parameter.role.as_str()) {
                fields.extend((!path.is_empty()).then(|| ("layer", Raw::Word(path.into()))));
                fields.push(("role", Raw::Word(parameter.role.clone())));
            }
            let axes = parameter.shape.iter().map(|&n| n as f64);
            fields.push(("shape", Raw::Numbers(axes.collect())));
            let init = Initialiser::from(parameter.init);
            if init != Initialiser::Constant(0.0) {
                fields.push(("init", Raw::Word(init.to_string())));
            }
            makes_trainable = parameter.trainable;
        }
        if !makes_trainable {
            fields.push(("trainable", Raw::Switch(false)));
        }
        Unit {
            kind: PARAMETER,
            fields,
            name: Some(name.to_string()),
            wish: name.to_string(),
            reads: Vec::new(),
            makes: node.id(),
            aside: true,
        }
    }

    /// One operation with its attributes.
    fn op(&self, node: &Symbol) -> Result<Unit, GraphError> {
        let path = self.model.layer_of(node);
        let table = serde_json::to_value(node.op())
            .ok()
            .filter(|table| serde_json::from_value::<Op>(table.clone()).is_ok_and(|op| op == *node.op()));
        let Some(table) = table else {
            let message = format!(
                "{} of layer `{path}` has attributes that a text cannot hold (infinities)",
                node.op().name()
            );
            return Err(GraphError::Name(message));
        };
        let mut fields = Vec::new();
        if !path.is_empty() {
            fields.push(("layer", Raw::Word(path.into())));
        }
        fields.push(("op", Raw::Table(table)));
        Ok(Unit {
            kind: OP,
            fields,
            name: None,
            wish: join(path, node.op().name()),
            reads: node.inputs().iter().map(Symbol::id).collect(),
            makes: node.id(),
            aside: matches!(node.op(), Op::Constant(_)),
        })
    }

    /// The names under which units are read, by the nodes that they make.
    fn labels(&self, units: &[Unit]) -> Result<HashMap<u64, String>, GraphError> {
        let mut labels = HashMap::from([(self.model.input().id(), "input".to_string())]);
        let mut taken: HashSet<String> = HashSet::from(["input".into()]);
        for (unit, name) in units.iter().filter_map(|u| Some((u, u.name.as_ref()?))) {
            if !can_name(name) || !taken.insert(name.clone()) {
                let message = format!("`{name}` cannot name a layer of a text, or names two of them");
                return Err(GraphError::Name(message));
            }
            labels.insert(unit.makes, name.clone());
        }
        let needed = read_by_name(self.model.input().id(), units);
        for unit in units {
            if needed.contains(&unit.makes) && !labels.contains_key(&unit.makes) {
                labels.insert(unit.makes, free(&unit.wish, &mut taken));
            }
        }
        Ok(labels)
    }
}

/// Whether a unit reads only the layer before it, which then need not be said.
fn reads_last(unit: &Unit, last: u64) -> bool {
    unit.reads.is_empty() || unit.reads == [last]
}

/// The nodes that are read from elsewhere than the next table.
fn read_by_name(input: u64, units: &[Unit]) -> HashSet<u64> {
    let mut needed = HashSet::new();
    let mut last = input;
    for unit in units {
        if !reads_last(unit, last) {
            needed.extend(&unit.reads);
        }
        if !unit.aside {
            last = unit.makes;
        }
    }
    needed
}

/// `wish`, or `wish_1` …, whichever is free.
fn free(wish: &str, taken: &mut HashSet<String>) -> String {
    let wish = if can_name(wish) { wish } else { "layer" };
    let numbered = (1..).map(|n| format!("{wish}_{n}"));
    let mut names = std::iter::once(wish.to_string()).chain(numbered);
    let found = names.find(|name| taken.insert(name.clone()));
    found.unwrap_or_default()
}

impl Guess {
    /// The fields as the reader takes them.
    fn arguments(&self, name: Option<&str>) -> Option<Arguments> {
        let source = Source { text: "" };
        let spanned = |value: &Raw| Spanned {
            value: value.clone(),
            place: 0..0,
        };
        let key = |name: &str| Spanned {
            value: name.to_string(),
            place: 0..0,
        };
        let spec = LayerSpec {
            kind: key(self.kind),
            bare: Vec::new(),
            keyed: self
                .fields
                .iter()
                .map(|(name, value)| (key(name), spanned(value)))
                .collect(),
            place: 0..0,
        };
        let mut arguments = Arguments::read(source, &spec, layers::find(self.kind)?, None).ok()?;
        arguments.name = name.map(str::to_string);
        Some(arguments)
    }
}
