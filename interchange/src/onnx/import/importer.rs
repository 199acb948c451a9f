//! The values of a graph while it is imported, and how operands are taken.

use std::collections::{HashMap, HashSet};

use graph::interpret::evaluate;
use graph::ndarray::ArrayD;
use graph::{Init, Symbol, topological};

use super::super::error::Trouble;
use super::super::host::{Host, elements};
use super::super::proto::DataType;
use super::live::{Live, identity};
use super::node::Node;

/// Numbers that may be computed during an import, in all (1 GiB of f32).
const MOST_COMPUTED: usize = 1 << 28;
/// Constants of more elements are kept among the parameters, as numbers that are not trained.
const LONG_CONSTANT: usize = 256;
/// What infinities become in them.
const HUGE: f32 = 1e38;

/// What stands for a name of the file.
#[derive(Debug, Clone)]
pub enum Value {
    /// Numbers that do not depend on the inputs.
    Known(Known),
    /// Computed when the network runs.
    Live(Live),
}

/// Numbers that do not depend on the inputs.
#[derive(Debug, Clone)]
pub struct Known {
    /// The numbers.
    pub host: Host,
    /// The name in the file, if it has one.
    pub name: Option<String>,
    /// Whether it is an initialiser (or one with its axes renamed), which may be a trained parameter.
    pub initial: bool,
}

impl From<Live> for Value {
    fn from(live: Live) -> Self {
        Value::Live(live)
    }
}

impl From<Host> for Value {
    fn from(host: Host) -> Self {
        Value::Known(Known {
            host,
            name: None,
            initial: false,
        })
    }
}

impl Value {
    /// The shape in the file's order, for a batch of one.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Value::Known(known) => known.host.shape.clone(),
            Value::Live(live) => live.shape(),
        }
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        match self {
            Value::Known(known) => known.host.shape.len(),
            Value::Live(live) => live.rank(),
        }
    }

    /// The element type.
    pub fn kind(&self) -> DataType {
        match self {
            Value::Known(known) => known.host.kind,
            Value::Live(live) => live.kind,
        }
    }

    /// The numbers, if they are known.
    pub fn host(&self) -> Option<&Host> {
        match self {
            Value::Known(known) => Some(&known.host),
            Value::Live(_) => None,
        }
    }
}

/// A graph on its way.
#[derive(Default)]
pub struct Importer {
    /// What each name of the file stands for.
    pub values: HashMap<String, Value>,
    /// Known numbers that are others for two samples, and what they are then.
    pub doubled: HashMap<String, Host>,
    /// Values in whose batch axis samples take turns, and in how many runs.
    pub turns: HashMap<String, usize>,
    /// Parameters with their numbers.
    pub parameters: Vec<(Symbol, Vec<f32>)>,
    /// The parameters that initialisers have become.
    placed: HashMap<String, Live>,
    /// Names of layers in use.
    layers: HashSet<String>,
    /// The name of the layer being made.
    pub layer: Option<String>,
    computed: usize,
}

impl Importer {
    /// Operand `k`, if it is given.
    pub fn operand_if(&self, node: &Node, k: usize) -> Result<Option<Value>, Trouble> {
        match node.proto.input.get(k).filter(|name| !name.is_empty()) {
            None => Ok(None),
            Some(name) => match self.values.get(name) {
                Some(value) => Ok(Some(value.clone())),
                None => Err(Trouble::malformed(format!(
                    "it reads `{name}`, which nothing before it makes; is a node missing, or do the nodes form a circle?"
                ))),
            },
        }
    }

    /// Operand `k`.
    pub fn operand(&self, node: &Node, k: usize) -> Result<Value, Trouble> {
        let found = node.proto.input.len();
        self.operand_if(node, k)?
            .ok_or_else(|| Trouble::malformed(format!("operand {k} is missing, it has {found} operands")))
    }

    /// All operands, none of which may be left out.
    pub fn operands(&self, node: &Node) -> Result<Vec<Value>, Trouble> {
        (0..node.proto.input.len())
            .map(|k| self.operand(node, k))
            .collect()
    }

    /// Operand `k`, whose numbers must be known.
    pub fn known(&self, node: &Node, k: usize) -> Result<Host, Trouble> {
        match self.operand(node, k)? {
            Value::Known(known) => Ok(known.host),
            Value::Live(_) => Err(Trouble::NeedsNumbers {
                operand: node.proto.input[k].clone(),
            }),
        }
    }

    /// Operand `k`, whose numbers must be known if it is given.
    pub fn known_if(&self, node: &Node, k: usize) -> Result<Option<Host>, Trouble> {
        match self.operand_if(node, k)? {
            None => Ok(None),
            Some(_) => self.known(node, k).map(Some),
        }
    }

    /// Operand `k` as a value of the running network.
    pub fn live(&mut self, node: &Node, k: usize) -> Result<Live, Trouble> {
        let value = self.operand(node, k)?;
        self.run(&value)
    }

    /// The same, where it is a picture (or a line, or a volume) with channels.
    pub fn picture(&mut self, node: &Node, k: usize) -> Result<Live, Trouble> {
        let x = self.live(node, k)?;
        match x.rank() {
            0..3 => Err(Trouble::malformed(format!(
                "an image has at least 3 axes, found {:?}",
                x.shape()
            ))),
            _ => Ok(x),
        }
    }

    /// As a value of the running network; known numbers become constants.
    pub fn run(&mut self, value: &Value) -> Result<Live, Trouble> {
        match value {
            Value::Live(live) => Ok(live.clone()),
            Value::Known(known) => self.constant(&known.host),
        }
    }

    /// A constant of these numbers.
    pub fn constant(&mut self, host: &Host) -> Result<Live, Trouble> {
        if host.is_empty() {
            return Err(Trouble::unsupported(format!(
                "a tensor without elements, {:?},",
                host.shape
            )));
        }
        let mut values = host.to_f32();
        let first = values[0];
        if values.iter().all(|v| v.to_bits() == first.to_bits()) {
            values.truncate(1);
        }
        let symbol = if values.len() > LONG_CONSTANT {
            // A model file holds finite numbers; a mask of −10³⁸ hides as well as one of −∞.
            values.iter_mut().for_each(|v| *v = v.clamp(-HUGE, HUGE));
            let symbol = Symbol::state("constant", host.shape.clone(), Init::default());
            self.parameters.push((symbol.clone(), values));
            symbol
        } else {
            Symbol::constants(values, host.shape.clone())
        };
        Ok(Live::plain(symbol, host.kind))
    }

    /// A constant list of places along an axis.
    pub fn places(&mut self, places: Vec<f32>) -> Result<Symbol, Trouble> {
        let count = self.spend(&[places.len()])?;
        Ok(self.constant(&Host::floats(places, &[count]))?.symbol)
    }

    /// A parameter of the network held in `order`: a known value becomes one, a computed one is arranged.
    pub fn weight(
        &mut self,
        value: &Value,
        order: &[usize],
        role: &str,
        trainable: bool,
    ) -> Result<Live, Trouble> {
        let known = match value {
            Value::Live(live) => return Ok(live.arranged(order)?),
            Value::Known(known) => known,
        };
        if let Some(placed) = known.name.as_ref().and_then(|name| self.placed.get(name)) {
            return Ok(placed.arranged(order)?);
        }
        if !known.host.is_float() || known.host.is_empty() {
            return Ok(self.constant(&known.host)?.arranged(order)?);
        }
        let host = known.host.transposed(order);
        let role = self.role(known.name.as_deref(), role);
        let make = if trainable {
            Symbol::parameter
        } else {
            Symbol::state
        };
        let symbol = make(&role, host.shape.clone(), Init::default());
        self.parameters.push((symbol.clone(), host.to_f32()));
        let live = Live {
            symbol,
            order: order.to_vec(),
            batch: None,
            kind: host.kind,
        };
        if let Some(name) = &known.name {
            self.placed.insert(name.clone(), live.clone());
        }
        Ok(live)
    }

    /// Operand `k` as a parameter in the file's order.
    pub fn parameter(&mut self, node: &Node, k: usize, role: &str) -> Result<Symbol, Trouble> {
        let value = self.operand(node, k)?;
        Ok(self.weight(&value, &identity(value.rank()), role, true)?.symbol)
    }

    /// What the parameter is called within its layer.
    fn role(&self, name: Option<&str>, role: &str) -> String {
        let own = || name?.strip_prefix(self.layer.as_deref()?)?.strip_prefix('.');
        match own() {
            Some(rest) if !rest.is_empty() => rest.to_string(),
            _ => role.to_string(),
        }
    }

    /// A name for the layer of a node, which no other layer has.
    pub fn name_layer(&mut self, wish: &str) -> Option<String> {
        let clean = wish.trim_matches(['/', '.']).replace('/', ".");
        if clean.is_empty() || clean.len() > 200 {
            return None;
        }
        let numbered = (1..1000).map(|k| format!("{clean}_{k}"));
        let name = std::iter::once(clean.clone())
            .chain(numbered)
            .find(|n| !self.layers.contains(n))?;
        self.layers.insert(name.clone());
        Some(name)
    }

    /// Whether the numbers that initialiser `value` holds are taken as a parameter where any op reads it:
    /// floating-point ones, more than one, and all finite (masks are not).
    pub fn trained(value: &Value) -> bool {
        match value {
            Value::Known(k) => {
                k.initial
                    && k.host.is_float()
                    && k.host.len() > 1
                    && k.host.to_f32().iter().all(|v| v.is_finite())
            }
            Value::Live(_) => false,
        }
    }

    /// Counts numbers that an import computes, which a small file might ask for without end.
    ///
    /// # Errors
    /// When they are too many.
    pub fn spend(&mut self, shape: &[usize]) -> Result<usize, Trouble> {
        let count = elements(shape).filter(|&n| self.computed.saturating_add(n) <= MOST_COMPUTED);
        let count = count.ok_or_else(|| {
            Trouble::unsupported(format!(
                "a constant of shape {shape:?} (at most {MOST_COMPUTED} numbers are computed in all)"
            ))
        })?;
        self.computed += count;
        Ok(count)
    }

    /// Numbers of symbols that depend on constants alone.
    ///
    /// # Errors
    /// When they depend on anything else, or are too many.
    pub fn evaluated(&mut self, live: &Live) -> Result<Host, Trouble> {
        let plain = live.in_order()?;
        let count = self.spend(plain.symbol.shape())?;
        let nodes = topological(std::slice::from_ref(&plain.symbol));
        let read = self
            .parameters
            .iter()
            .filter(|(symbol, _)| nodes.contains(symbol));
        let array = |(symbol, values): &(Symbol, Vec<f32>)| {
            let values = values.iter().map(|&v| f64::from(v)).collect();
            ArrayD::from_shape_vec(symbol.shape().to_vec(), values).unwrap_or_default()
        };
        let given: Vec<(&Symbol, ArrayD<f64>)> = read.map(|entry| (&entry.0, array(entry))).collect();
        let array = evaluate(std::slice::from_ref(&plain.symbol), &given, 1)?.remove(0);
        debug_assert_eq!(array.len(), count);
        let values: Vec<f32> = array.iter().map(|&x| x as f32).collect();
        Ok(Host::floats(values, plain.symbol.shape()).cast(live.kind))
    }
}

/// Refuses a tensor that is too large to be held.
pub fn bounded(shape: &[usize]) -> Result<(), Trouble> {
    match elements(shape) {
        Some(n) if n > 0 => Ok(()),
        Some(_) => Err(Trouble::unsupported(format!(
            "a tensor without elements, {shape:?},"
        ))),
        None => Err(Trouble::malformed(format!(
            "a tensor of shape {shape:?} would be too large"
        ))),
    }
}
