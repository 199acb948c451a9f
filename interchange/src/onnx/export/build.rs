//! What translations write with: values and their layouts, nodes, numbers.

use std::collections::{HashMap, HashSet};

use graph::interpret::evaluate;
use graph::ndarray::{ArrayD, IxDyn};
use graph::ops::Op;
use graph::{Shape, Symbol, topological};
use nn::Model;

use super::super::proto::{AttributeProto, AttributeType, DataType, NodeProto, TensorProto, ValueInfoProto};
use super::layout::{Layout, PLACE, channels_first, permuted};
use super::{ExportError, Tensor};

/// A value in the file.
#[derive(Debug, Clone)]
struct Value {
    name: String,
    layout: Layout,
}

/// The file so far.
pub(super) struct Builder<'a> {
    model: &'a Model,
    /// Shapes for two choices of all sizes that may vary.
    shapes: [HashMap<u64, Shape>; 2],
    /// Nodes that depend on parameters and constants alone.
    fixed: HashSet<u64>,
    parameters: HashMap<u64, (&'a str, &'a Tensor)>,
    values: HashMap<u64, Value>,
    /// Values that were brought into another layout, and fixed ones that were written.
    converted: HashMap<(u64, String), String>,
    readers: HashMap<u64, Vec<Symbol>>,
    names: HashSet<String>,
    nodes: Vec<NodeProto>,
    numbers: Vec<TensorProto>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        model: &'a Model,
        tensors: &'a [Tensor],
        nodes: &[Symbol],
        outputs: &[Symbol],
        shapes: [HashMap<u64, Shape>; 2],
    ) -> Result<Self, ExportError> {
        let given: HashMap<&str, &Tensor> = tensors.iter().map(|t| (t.name.as_str(), t)).collect();
        let mut parameters = HashMap::new();
        for parameter in model.parameters() {
            let found = given.get(parameter.name.as_str());
            match found {
                Some(tensor) if tensor.values.len() == parameter.count() => {
                    parameters.insert(parameter.symbol.id(), (parameter.name.as_str(), *tensor));
                }
                _ => {
                    return Err(ExportError::Parameter {
                        name: parameter.name.clone(),
                        found: found.map_or(0, |t| t.values.len()),
                        expected: parameter.count(),
                    });
                }
            }
        }
        let mut fixed = HashSet::new();
        let mut readers: HashMap<u64, Vec<Symbol>> = HashMap::new();
        for node in nodes {
            if !matches!(node.op(), Op::Input(_)) && node.inputs().iter().all(|i| fixed.contains(&i.id())) {
                fixed.insert(node.id());
            }
            for input in node.inputs() {
                readers.entry(input.id()).or_default().push(node.clone());
            }
        }
        // An output is read from outside: its value must be there as it is.
        for output in outputs {
            readers.entry(output.id()).or_default().push(output.clone());
        }
        Ok(Self {
            model,
            shapes,
            fixed,
            parameters,
            values: HashMap::new(),
            converted: HashMap::new(),
            readers,
            names: HashSet::new(),
            nodes: Vec::new(),
            numbers: Vec::new(),
        })
    }

    /// Whether a value depends on parameters and constants alone.
    pub(super) fn is_fixed(&self, symbol: &Symbol) -> bool {
        self.fixed.contains(&symbol.id())
    }

    /// The only node that reads `symbol`, if no output is `symbol` itself.
    pub(super) fn only_reader(&self, symbol: &Symbol) -> Option<&Symbol> {
        match self.readers.get(&symbol.id()).map(Vec::as_slice) {
            Some([one]) if one != symbol => Some(one),
            _ => None,
        }
    }

    /// Every node that reads `symbol`; itself, if it is an output.
    pub(super) fn readers(&self, symbol: &Symbol) -> &[Symbol] {
        self.readers.get(&symbol.id()).map_or(&[], Vec::as_slice)
    }

    /// The length of an axis, if it is always the same.
    pub(super) fn length(&self, symbol: &Symbol, axis: usize) -> Option<usize> {
        let [a, b] = self.lengths(symbol, axis);
        (a == b).then_some(a)
    }

    /// The length of an axis for both choices of sizes.
    pub(super) fn lengths(&self, symbol: &Symbol, axis: usize) -> [usize; 2] {
        [0, 1].map(|k| self.shapes[k][&symbol.id()][axis])
    }

    /// Both shapes.
    pub(super) fn shapes(&self, symbol: &Symbol) -> [&Shape; 2] {
        [0, 1].map(|k| &self.shapes[k][&symbol.id()])
    }

    /// Whether an axis is as long as the same axis of the model's input, whatever that is.
    pub(super) fn model_sizes(&self, symbol: &Symbol, axis: usize) -> bool {
        let input = self.model.input();
        input.shape().rank() == symbol.shape().rank()
            && self.lengths(input, axis) == self.lengths(symbol, axis)
    }

    /// The order in which `symbol` stands; that of a fixed one is the graph's.
    pub(super) fn layout(&self, symbol: &Symbol) -> Layout {
        self.values.get(&symbol.id()).map_or(Layout::Plain, |v| v.layout)
    }

    /// Says that `symbol` is the value `name`.
    pub(super) fn set(&mut self, symbol: &Symbol, name: String, layout: Layout) {
        self.values.insert(symbol.id(), Value { name, layout });
    }

    /// Says that `symbol` is another name of `other`.
    pub(super) fn alias(&mut self, symbol: &Symbol, other: &Symbol) -> Result<(), ExportError> {
        let name = self.as_it_is(other)?;
        self.set(symbol, name, self.layout(other));
        Ok(())
    }

    /// The value of `symbol`, in whatever order it stands.
    pub(super) fn as_it_is(&mut self, symbol: &Symbol) -> Result<String, ExportError> {
        match self.values.get(&symbol.id()) {
            Some(value) => Ok(value.name.clone()),
            None => self.plain(symbol),
        }
    }

    /// The value of `symbol` in the graph's order.
    pub(super) fn plain(&mut self, symbol: &Symbol) -> Result<String, ExportError> {
        if self.is_fixed(symbol) {
            return self.fixed_as(symbol, "", |x| x.clone());
        }
        let value = self.value(symbol)?;
        match value.layout {
            Layout::Plain => Ok(value.name),
            Layout::First => self.convert(symbol, "plain", |b| {
                b.node(
                    "Transpose",
                    &[&value.name],
                    vec![ints("perm", &[0, 2, 3, 1])],
                    symbol,
                )
            }),
            Layout::Flat([h, w, c]) => self.convert(symbol, "plain", |b| {
                let image = b.reshaped(&value.name, &[0, c as i64, h as i64, w as i64], symbol);
                let turned = b.node("Transpose", &[&image], vec![ints("perm", &[0, 2, 3, 1])], symbol);
                b.node("Flatten", &[&turned], vec![int("axis", 1)], symbol)
            }),
        }
    }

    /// The value of the image `symbol` `[N, H, W, C]` as `[N, C, H, W]`.
    pub(super) fn first(&mut self, symbol: &Symbol) -> Result<String, ExportError> {
        if self.is_fixed(symbol) {
            return self.fixed_as(symbol, "nchw", channels_first);
        }
        let value = self.value(symbol)?;
        match value.layout {
            Layout::First => Ok(value.name),
            _ => self.convert(symbol, "nchw", |b| {
                b.node(
                    "Transpose",
                    &[&value.name],
                    vec![ints("perm", &[0, 3, 1, 2])],
                    symbol,
                )
            }),
        }
    }

    fn value(&self, symbol: &Symbol) -> Result<Value, ExportError> {
        let missing = || self.refuse(symbol, "its value is not available where it is read");
        self.values.get(&symbol.id()).cloned().ok_or_else(missing)
    }

    fn convert(
        &mut self,
        symbol: &Symbol,
        to: &str,
        make: impl FnOnce(&mut Self) -> String,
    ) -> Result<String, ExportError> {
        let key = (symbol.id(), to.to_string());
        if let Some(known) = self.converted.get(&key) {
            return Ok(known.clone());
        }
        let name = make(self);
        self.converted.insert(key, name.clone());
        Ok(name)
    }

    /// A fixed value after `change`, written once for each `what`.
    pub(super) fn fixed_as(
        &mut self,
        symbol: &Symbol,
        what: &str,
        change: impl FnOnce(&ArrayD<f32>) -> ArrayD<f32>,
    ) -> Result<String, ExportError> {
        let key = (symbol.id(), what.to_string());
        if let Some(known) = self.converted.get(&key) {
            return Ok(known.clone());
        }
        let array = change(&self.array(symbol)?);
        let hint = match self.parameters.get(&symbol.id()) {
            Some((name, _)) => (*name).to_string(),
            None => self.hint(symbol, symbol.op().name()),
        };
        let name = self.numbers(&hint, &array);
        self.converted.insert(key, name.clone());
        Ok(name)
    }

    /// The numbers of a fixed value.
    pub(super) fn array(&self, symbol: &Symbol) -> Result<ArrayD<f32>, ExportError> {
        let shape = IxDyn(symbol.shape());
        let exactly = |values: Vec<f32>| ArrayD::from_shape_vec(shape.clone(), values).unwrap_or_default();
        match symbol.op() {
            Op::Parameter(_) => Ok(exactly(self.parameter(symbol).to_vec())),
            Op::Constant(c) if c.values.len() == 1 => Ok(ArrayD::from_elem(shape, c.values[0])),
            Op::Constant(c) => Ok(exactly(c.values.clone())),
            _ => {
                let leaves = topological(std::slice::from_ref(symbol));
                let leaves = leaves.iter().filter(|n| n.as_parameter().is_some());
                let given: Vec<(&Symbol, ArrayD<f64>)> = leaves
                    .map(|leaf| {
                        let values = self.parameter(leaf).iter().map(|&x| x.into()).collect();
                        (
                            leaf,
                            ArrayD::from_shape_vec(IxDyn(leaf.shape()), values).unwrap_or_default(),
                        )
                    })
                    .collect();
                let values = evaluate(std::slice::from_ref(symbol), &given, 1)?;
                Ok(values[0].mapv(|x| x as f32))
            }
        }
    }

    fn parameter(&self, symbol: &Symbol) -> &'a [f32] {
        self.parameters
            .get(&symbol.id())
            .map_or(&[], |(_, tensor)| &tensor.values)
    }

    /// Writes numbers under a name like `hint`.
    pub(super) fn numbers(&mut self, hint: &str, values: &ArrayD<f32>) -> String {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.tensor(hint, values.shape(), DataType::Float, bytes)
    }

    /// Writes whole numbers.
    pub(super) fn whole(&mut self, hint: &str, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.tensor(hint, &[values.len()], DataType::Int64, bytes)
    }

    /// Writes one number.
    pub(super) fn number(&mut self, hint: &str, value: f32) -> String {
        self.numbers(hint, &ArrayD::from_elem(IxDyn(&[]), value))
    }

    fn tensor(&mut self, hint: &str, shape: &[usize], kind: DataType, bytes: Vec<u8>) -> String {
        let name = self.claim(hint);
        self.numbers.push(TensorProto {
            dims: shape.iter().map(|&length| length as i64).collect(),
            data_type: kind as i32,
            name: name.clone(),
            raw_data: Some(bytes),
            ..TensorProto::default()
        });
        name
    }

    /// `hint` if nothing has that name yet, else `hint` with a number.
    pub(super) fn claim(&mut self, hint: &str) -> String {
        let mut name = hint.to_string();
        let mut count = 1;
        while !self.names.insert(name.clone()) {
            count += 1;
            name = format!("{hint}_{count}");
        }
        name
    }

    /// A name for something that `symbol` needs.
    pub(super) fn hint(&self, symbol: &Symbol, what: &str) -> String {
        match self.model.layer_of(symbol) {
            "" => what.to_string(),
            layer => format!("{layer}/{what}"),
        }
    }

    /// Adds a node with one result and gives the result's name.
    pub(super) fn node(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        of: &Symbol,
    ) -> String {
        let hint = self.hint(of, kind);
        let name = self.claim(&hint);
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|i| (*i).to_string()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: kind.into(),
            attribute: attributes,
            ..NodeProto::default()
        });
        name
    }

    /// Adds a node whose result is the value of `of`.
    pub(super) fn make(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        of: &Symbol,
        layout: Layout,
    ) {
        let name = self.node(kind, inputs, attributes, of);
        self.set(of, name, layout);
    }

    /// `x` under another shape: 0 keeps an axis, −1 is what is left.
    pub(super) fn reshaped(&mut self, x: &str, to: &[i64], of: &Symbol) -> String {
        let hint = self.hint(of, "shape");
        let shape = self.whole(&hint, to);
        self.node("Reshape", &[x, &shape], vec![], of)
    }

    /// The error of something that has no translation.
    pub(super) fn refuse(&self, symbol: &Symbol, reason: impl Into<String>) -> ExportError {
        ExportError::NoTranslation {
            op: symbol.op().name().into(),
            place: match self.model.layer_of(symbol) {
                "" => String::new(),
                layer => format!(" in layer `{layer}`"),
            },
            reason: reason.into(),
        }
    }

    /// Gives the value `name` a new name; numbers and inputs get a node that copies them.
    pub(super) fn rename(&mut self, name: &str, to: &str) {
        let made = self.nodes.iter().any(|n| n.output.iter().any(|o| o == name));
        if !made {
            self.nodes.push(NodeProto {
                input: vec![name.into()],
                output: vec![to.into()],
                name: to.into(),
                op_type: "Identity".into(),
                ..NodeProto::default()
            });
            return;
        }
        let names = self
            .nodes
            .iter_mut()
            .flat_map(|n| n.input.iter_mut().chain(&mut n.output));
        names.filter(|n| *n == name).for_each(|n| *n = to.into());
        self.values
            .values_mut()
            .filter(|v| v.name == name)
            .for_each(|v| v.name = to.into());
        self.converted
            .values_mut()
            .filter(|v| *v == name)
            .for_each(|v| *v = to.into());
    }

    /// Nodes and numbers, without those that no output needs.
    pub(super) fn finish(self, outputs: &[ValueInfoProto]) -> (Vec<NodeProto>, Vec<TensorProto>) {
        let mut needed: HashSet<String> = outputs.iter().map(|o| o.name.clone()).collect();
        let mut nodes: Vec<NodeProto> = Vec::new();
        for node in self.nodes.into_iter().rev() {
            if node.output.iter().any(|o| needed.contains(o)) {
                needed.extend(node.input.iter().cloned());
                nodes.push(node);
            }
        }
        nodes.reverse();
        let numbers = self.numbers.into_iter().filter(|t| needed.contains(&t.name));
        (nodes, numbers.collect())
    }
}

/// Where axis `axis` of the graph stands in a value of this layout.
pub(super) fn place(layout: Layout, axis: usize) -> usize {
    match layout {
        Layout::First => PLACE[axis],
        _ => axis,
    }
}

/// Weights `[KH, KW, C/g, O]` as `[O, C/g, KH, KW]`.
pub(super) fn kernel(x: &ArrayD<f32>) -> ArrayD<f32> {
    permuted(x, &[3, 2, 0, 1])
}

pub(super) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i: Some(i),
        r#type: AttributeType::Int as i32,
        ..AttributeProto::default()
    }
}

pub(super) fn ints<T: Copy + TryInto<i64>>(name: &str, values: &[T]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        ints: values.iter().map(|&v| v.try_into().unwrap_or(i64::MAX)).collect(),
        r#type: AttributeType::Ints as i32,
        ..AttributeProto::default()
    }
}

pub(super) fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        f: Some(f),
        r#type: AttributeType::Float as i32,
        ..AttributeProto::default()
    }
}

pub(super) fn text(name: &str, s: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        s: Some(s.into()),
        r#type: AttributeType::String as i32,
        ..AttributeProto::default()
    }
}

pub(super) fn texts(name: &str, values: &[&str]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        strings: values.iter().map(|&s| s.into()).collect(),
        r#type: AttributeType::Strings as i32,
        ..AttributeProto::default()
    }
}
