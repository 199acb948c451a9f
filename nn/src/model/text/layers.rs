//! The layer types that a text may name.

use graph::{GraphError, Symbol};

use super::fields::{Arguments, Field, FieldKind};
use crate::Activation;
use crate::activations::learned_slope;
use crate::layers as l;
use FieldKind as K;

/// A layer type: its name in a text, its fields, and how it is built.
pub struct LayerType {
    /// Its name.
    pub name: &'static str,
    /// Other names that it goes by.
    pub aliases: &'static [&'static str],
    /// Its fields; in a line, numbers fill those that hold numbers in this order.
    pub fields: &'static [Field],
    /// What it does, for people.
    pub about: &'static str,
    /// How many layers it reads.
    pub(super) reads: Reads,
    pub(super) build: fn(&Arguments, &[&Symbol]) -> Result<Symbol, GraphError>,
}

/// How many layers a layer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    One,
    Several,
}

const fn needed(name: &'static str, kind: FieldKind) -> Field {
    Field {
        name,
        kind,
        required: true,
    }
}

const fn may(name: &'static str, kind: FieldKind) -> Field {
    Field {
        name,
        kind,
        required: false,
    }
}

const ACTIVATION: Field = may("activation", K::Activation);
const BIAS: Field = may("bias", K::Switch("nobias"));
const INIT: Field = may("init", K::Init);
const FLOOR: Field = may("floor", K::Switch("floor"));
const PADDING: Field = may("padding", K::Padding);
const STRIDE: Field = may("stride", K::Extent);
const DILATION: Field = may("dilation", K::Extent);
const GROUPS: Field = may("groups", K::Count);
const FILTERS: Field = needed("filters", K::Count);
const KERNEL: Field = needed("kernel", K::Extent);

const CONV: &[Field] = &[
    FILTERS, KERNEL, STRIDE, PADDING, DILATION, GROUPS, ACTIVATION, BIAS, FLOOR, INIT,
];
const CONV1D: &[Field] = &[
    FILTERS,
    needed("kernel", K::Count),
    may("stride", K::Count),
    PADDING,
    may("dilation", K::Count),
    GROUPS,
    ACTIVATION,
    BIAS,
    FLOOR,
    INIT,
];
const DEPTHWISE: &[Field] = &[
    KERNEL,
    may("multiplier", K::Count),
    STRIDE,
    PADDING,
    DILATION,
    ACTIVATION,
    BIAS,
    FLOOR,
    INIT,
];
const POOL: &[Field] = &[may("size", K::Extent), STRIDE, PADDING, FLOOR];
const AVERAGE: &[Field] = &[
    may("size", K::Extent),
    STRIDE,
    PADDING,
    FLOOR,
    may("count_padding", K::Switch("count_padding")),
];
const RESPONSE: &[Field] = &[
    may("size", K::Whole),
    may("alpha", K::Number),
    may("beta", K::Number),
    may("k", K::Number),
];

const RECURRENT: &[Field] = &[
    needed("units", K::Count),
    may("layers", K::Count),
    may("bidirectional", K::Switch("bidirectional")),
    may("reversed", K::Switch("reversed")),
    may("sequence", K::Switch("sequence")),
];
const TRANSFORMER: &[Field] = &[
    needed("heads", K::Count),
    may("hidden", K::Count),
    may("dropout", K::Number),
    ACTIVATION,
    may("prenorm", K::Switch("prenorm")),
    may("causal", K::Switch("causal")),
];

/// Gives a convolution-like layer the options that stand in the text.
macro_rules! with_options {
    ($layer:expr, $a:expr, [$($option:ident),*]) => {{
        let mut layer = $layer;
        $(with_options!(@ $option layer $a);)*
        if let Some(name) = &$a.name {
            layer = layer.name(name);
        }
        layer.activation($a.activation())
    }};
    (@ stride $layer:ident $a:expr) => {
        if let Some(stride) = $a.extent("stride") { $layer = $layer.stride(stride); }
    };
    (@ dilation $layer:ident $a:expr) => {
        if let Some(dilation) = $a.extent("dilation") { $layer = $layer.dilation(dilation); }
    };
    (@ padding $layer:ident $a:expr) => {
        if let Some(padding) = $a.padding() { $layer = $layer.padding(padding); }
    };
    (@ groups $layer:ident $a:expr) => { $layer = $layer.groups($a.count("groups")); };
    (@ init $layer:ident $a:expr) => { if let Some(init) = $a.init() { $layer = $layer.init(init); } };
    (@ bias $layer:ident $a:expr) => { if !$a.switch("bias", true) { $layer = $layer.no_bias(); } };
    (@ floor $layer:ident $a:expr) => { if $a.switch("floor", false) { $layer = $layer.round_down(); } };
}

/// Gives a pooling layer the options that stand in the text.
macro_rules! pooled {
    ($layer:ident, $a:expr) => {{
        let mut layer = l::$layer::new($a.extent("size").unwrap_or([2, 2]));
        with_options!(@ stride layer $a);
        with_options!(@ padding layer $a);
        with_options!(@ floor layer $a);
        name(layer, $a, l::$layer::name)
    }};
}

/// Gives a recurrent layer the options that stand in the text.
macro_rules! recurrent {
    ($layer:ident, $a:expr, $x:expr) => {{
        let mut layer = l::$layer::new($a.count("units")).layers($a.count("layers"));
        if $a.switch("bidirectional", false) {
            layer = layer.bidirectional();
        }
        if $a.switch("reversed", false) {
            layer = layer.reversed();
        }
        if $a.switch("sequence", false) {
            layer = layer.sequence();
        }
        name(layer, $a, l::$layer::name).on($x[0])
    }};
}

macro_rules! layer_types {
    ($($name:literal $([$($alias:literal),*])? $reads:ident $fields:expr, $about:literal, $build:expr;)*) => {
        /// Every layer type, in the order of the docs.
        pub const LAYERS: &[LayerType] = &[$(LayerType {
            name: $name,
            aliases: &[$($($alias),*)?],
            fields: $fields,
            about: $about,
            reads: Reads::$reads,
            build: $build,
        }),*];
    };
}

layer_types! {
    "conv" ["conv2d"] One CONV, "convolution", |a, x| conv(a).on(x[0]);
    "conv1d" One CONV1D, "convolution along one axis", |a, x| conv1d(a).on(x[0]);
    "depthwise" ["depthwiseconv"] One DEPTHWISE, "convolution of each channel by itself", |a, x| depthwise(a).on(x[0]);
    "convtranspose" ["deconv"] One &[FILTERS, KERNEL, STRIDE, may("padding", K::Padding), may("output_padding", K::Whole), ACTIVATION, BIAS, INIT],
        "transposed convolution", |a, x| transposed(a).on(x[0]);
    "local" ["locallyconnected"] One &[FILTERS, KERNEL, STRIDE, PADDING, ACTIVATION, BIAS, FLOOR, INIT],
        "convolution whose weights differ from place to place", |a, x| local(a).on(x[0]);
    "dense" ["fc"] One &[needed("units", K::Count), ACTIVATION, BIAS, INIT, may("each", K::Switch("each"))], "fully connected layer", dense;
    "maxout" One &[needed("units", K::Count), may("pieces", K::Count)], "largest of several linear units",
        |a, x| name(l::Maxout::new(a.count("units"), a.count_or("pieces", 2)), a, l::Maxout::name).on(x[0]);
    "maxpool" One POOL, "largest value of each window", |a, x| pooled!(MaxPool2d, a).on(x[0]);
    "minpool" One POOL, "smallest value of each window", |a, x| pooled!(MinPool2d, a).on(x[0]);
    "avgpool" ["averagepool"] One AVERAGE, "mean of each window", |a, x| match a.switch("count_padding", false) {
        true => pooled!(AvgPool2d, a).count_padding().on(x[0]),
        false => pooled!(AvgPool2d, a).on(x[0]),
    };
    "l2pool" One POOL, "root of the sum of squares of each window", |a, x| pooled!(L2Pool2d, a).on(x[0]);
    "adaptiveavgpool" One &[may("size", K::Extent)], "mean of each part of a grid",
        |a, x| l::AdaptiveAvgPool2d::new(a.extent("size").unwrap_or([1, 1])).on(x[0]);
    "globalavgpool" ["gap"] One &[], "mean of each channel", |_, x| match x[0].shape().rank() {
        3 => l::GlobalAvgPool1d.on(x[0]),
        _ => l::GlobalAvgPool2d.on(x[0]),
    };
    "globalmaxpool" One &[], "largest value of each channel", |_, x| l::GlobalMaxPool2d.on(x[0]);
    "flatten" One &[], "all axes of a sample in one", |_, x| l::Flatten.on(x[0]);
    "reshape" One &[needed("shape", K::Extent)], "a sample as steps of features: a sequence",
        |a, x| l::Reshape::new(a.extent("shape").unwrap_or([1, 1])).on(x[0]);
    "dropout" One &[may("rate", K::Number)], "random zeros while training",
        |a, x| l::Dropout::new(a.number("rate").unwrap_or(0.5) as f32).on(x[0]);
    "batchnorm" ["bn"] One &[may("momentum", K::Number), may("epsilon", K::Number)], "batch normalisation", batch_norm;
    "layernorm" ["ln"] One &[may("epsilon", K::Number)], "layer normalisation", layer_norm;
    "lrn" ["localresponsenorm"] One RESPONSE, "local response normalisation", response_norm;
    "attention" ["multiheadattention"] One &[may("heads", K::Whole)], "multi-head self-attention",
        |a, x| name(l::MultiHeadAttention::new(a.count_or("heads", 1)), a, l::MultiHeadAttention::name).on(x[0]);
    "positions" One &[may("learned", K::Switch("learned"))], "the place of each step, added", positions;
    "transformer" One TRANSFORMER, "attention and a dense pair, each with a shortcut and a norm", transformer;
    "rnn" One RECURRENT, "recurrent layer", |a, x| recurrent!(Rnn, a, x);
    "lstm" One RECURRENT, "long short-term memory", |a, x| recurrent!(Lstm, a, x);
    "gru" One RECURRENT, "gated recurrent unit", |a, x| recurrent!(Gru, a, x);
    "graphconv" ["graph-conv"] Several &[needed("units", K::Count), ACTIVATION, BIAS],
        "each vertex from its neighbours; reads vertices and adjacency", graph_conv;
    "upsample" One &[may("scale", K::Extent), may("bilinear", K::Switch("bilinear"))], "a larger image", upsample;
    "add" Several &[ACTIVATION], "sum of layers", |a, x| a.activation().on(&l::Add.on(x)?);
    "concat" Several &[], "channels of layers side by side", |_, x| l::Concat::new().on(x);
    "relu" One &[], "max(0, x)", |_, x| active(Activation::Relu, x);
    "leakyrelu" ["leaky_relu"] One &[may("slope", K::Number)], "x, or slope·x below 0",
        |a, x| active(Activation::LeakyRelu(a.number("slope").unwrap_or(0.01) as f32), x);
    "elu" One &[may("alpha", K::Number)], "x, or alpha·(eˣ − 1) below 0",
        |a, x| active(Activation::Elu(a.number("alpha").unwrap_or(1.0) as f32), x);
    "prelu" One &[], "x, or a learned slope times x below 0", |a, x| learned_slope(x[0], a.name.as_deref());
    "relu6" One &[], "min(max(0, x), 6)", |_, x| active(Activation::Relu6, x);
    "sigmoid" One &[], "1/(1 + e⁻ˣ)", |_, x| active(Activation::Sigmoid, x);
    "tanh" One &[], "tanh x", |_, x| active(Activation::Tanh, x);
    "scaledtanh" ["scaled_tanh"] One &[], "tanh(x)/2 + 1/2", |_, x| active(Activation::ScaledTanh, x);
    "gelu" One &[], "x·Φ(x)", |_, x| active(Activation::Gelu, x);
    "silu" ["swish"] One &[], "x·sigmoid(x)", |_, x| active(Activation::Silu, x);
    "softplus" One &[], "ln(1 + eˣ)", |_, x| active(Activation::Softplus, x);
    "softmax" One &[], "eˣ/Σeˣ along the last axis", |_, x| active(Activation::Softmax, x);
}

impl LayerType {
    /// How it is written in a line, for example `conv FILTERS KERNEL [STRIDE] …`.
    pub fn form(&self) -> String {
        let mut text = self.name.to_string();
        for field in self.fields {
            text += &match (field.kind, field.required) {
                (K::Switch(word), _) => format!(" [{word}]"),
                (_, true) => format!(" {}", field.name.to_uppercase()),
                (K::Padding, _) => " [valid|same|full|padding=N]".to_string(),
                (K::Activation, _) => " [ACTIVATION]".to_string(),
                (K::Init, _) => " [init=RULE]".to_string(),
                (_, false) => format!(" [{}=N]", field.name),
            };
        }
        text
    }

    /// The words that it takes in a line.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        for field in self.fields {
            match field.kind {
                K::Switch(word) => words.push(word.to_string()),
                K::Padding => words.extend(["valid", "same", "full"].map(String::from)),
                K::Activation => {
                    let names = "relu leaky_relu elu prelu relu6 sigmoid tanh scaled_tanh softmax gelu silu softplus linear";
                    words.extend(names.split(' ').map(String::from));
                }
                K::Count => words.push("classes".to_string()),
                _ => {}
            }
        }
        words
    }
}

/// The layer type of this name or alias.
pub(super) fn find(name: &str) -> Option<&'static LayerType> {
    LAYERS
        .iter()
        .find(|l| l.name == name || l.aliases.contains(&name))
}

/// Every layer type with its form, for `--help` and docs.
pub fn describe() -> String {
    let forms: Vec<String> = LAYERS.iter().map(LayerType::form).collect();
    let width = forms
        .iter()
        .map(|f| f.chars().count())
        .filter(|&w| w < 50)
        .max()
        .unwrap_or(0);
    let lines = LAYERS
        .iter()
        .zip(&forms)
        .map(|(l, form)| format!("  {form:<width$}  {}\n", l.about));
    lines.collect()
}

fn active(activation: Activation, x: &[&Symbol]) -> Result<Symbol, GraphError> {
    activation.on(x[0])
}

/// `layer` under the name that the text gives.
fn name<L>(layer: L, a: &Arguments, with: impl Fn(L, &str) -> L) -> L {
    match &a.name {
        Some(name) => with(layer, name),
        None => layer,
    }
}

fn kernel(a: &Arguments) -> [usize; 2] {
    a.extent("kernel").unwrap_or([3, 3])
}

fn conv(a: &Arguments) -> l::Conv2d {
    let layer = l::Conv2d::new(a.count("filters"), kernel(a));
    with_options!(layer, a, [stride, padding, dilation, groups, bias, floor, init])
}

fn depthwise(a: &Arguments) -> l::DepthwiseConv2d {
    let layer = l::DepthwiseConv2d::new(kernel(a)).multiplier(a.count("multiplier"));
    with_options!(layer, a, [stride, padding, dilation, bias, floor, init])
}

fn transposed(a: &Arguments) -> l::ConvTranspose2d {
    let more = a.count_or("output_padding", 0);
    let layer = l::ConvTranspose2d::new(a.count("filters"), kernel(a)).output_padding(more);
    with_options!(layer, a, [stride, padding, bias, init])
}

fn local(a: &Arguments) -> l::LocallyConnected2d {
    let layer = l::LocallyConnected2d::new(a.count("filters"), kernel(a));
    with_options!(layer, a, [stride, padding, bias, floor, init])
}

fn conv1d(a: &Arguments) -> l::Conv1d {
    let layer = l::Conv1d::new(a.count("filters"), a.count("kernel"));
    let layer = layer.stride(a.count("stride")).dilation(a.count("dilation"));
    with_options!(layer, a, [padding, groups, bias, floor, init])
}

fn dense(a: &Arguments, x: &[&Symbol]) -> Result<Symbol, GraphError> {
    let shape = x[0].shape();
    let each = a.switch("each", false);
    if shape.rank() != if each { 3 } else { 2 } {
        if each {
            let message = format!("`each` reads one row of features per step, found {shape}");
            return Err(GraphError::shape("dense", message));
        }
        let message = format!(
            "reads one row of features per sample, found {shape}; put `flatten` or `globalavgpool` before it"
        );
        return Err(GraphError::shape("dense", message));
    }
    with_options!(l::Dense::new(a.count("units")), a, [bias, init]).on(x[0])
}

fn batch_norm(a: &Arguments, x: &[&Symbol]) -> Result<Symbol, GraphError> {
    let mut layer = name(l::BatchNorm::new(), a, l::BatchNorm::name);
    if let Some(momentum) = a.number("momentum") {
        layer = layer.momentum(momentum as f32);
    }
    if let Some(epsilon) = a.number("epsilon") {
        layer = layer.epsilon(epsilon as f32);
    }
    layer.on(x[0])
}

fn layer_norm(a: &Arguments, x: &[&Symbol]) -> Result<Symbol, GraphError> {
    let mut layer = name(l::LayerNorm::new(), a, l::LayerNorm::name);
    if let Some(epsilon) = a.number("epsilon") {
        layer = layer.epsilon(epsilon as f32);
    }
    layer.on(x[0])
}

fn response_norm(a: &Arguments, x: &[&Symbol]) -> Result<Symbol, GraphError> {
    let mut layer = l::LocalResponseNorm::new(a.count_or("size", 5));
    if let Some(alpha) = a.number("alpha") {
        layer = layer.alpha(alpha as f32);
    }
    if let Some(beta) = a.number("beta") {
        layer = layer.beta(beta as f32);
    }
    if let Some(k) = a.number("k") {
        layer = layer.k(k as f32);
    }
    layer.on(x[0])
}

fn upsample(a: &Arguments, x: &[&Symbol]) -> Result<Symbol, GraphError> {
    let layer = l::Upsample::new(a.extent("scale").unwrap_or([2, 2]));
    match a.switch("bilinear", false) {
        true => layer.interpolation(l::Interpolation::Bilinear).on(x[0]),
        false => layer.on(x[0]),
    }
}

fn positions(a: &Arguments, x: &[&Symbol]) -> Result<Symbol, GraphError> {
    let mut layer = name(l::PositionalEncoding::new(), a, l::PositionalEncoding::name);
    if a.switch("learned", false) {
        layer = layer.learned();
    }
    layer.on(x[0])
}

fn transformer(a: &Arguments, x: &[&Symbol]) -> Result<Symbol, GraphError> {
    let mut layer = l::TransformerEncoder::new(a.count("heads"));
    layer = layer.hidden(a.count_or("hidden", 4 * x[0].shape().last_axis()));
    layer = layer.dropout(a.number("dropout").unwrap_or(0.0) as f32);
    if a.activation() != Activation::Linear {
        layer = layer.activation(a.activation());
    }
    if a.switch("prenorm", false) {
        layer = layer.pre_norm();
    }
    if a.switch("causal", false) {
        layer = layer.causal();
    }
    name(layer, a, l::TransformerEncoder::name).on(x[0])
}

fn graph_conv(a: &Arguments, x: &[&Symbol]) -> Result<Symbol, GraphError> {
    let mut layer = name(l::GraphConv::new(a.count("units")), a, l::GraphConv::name);
    if !a.switch("bias", true) {
        layer = layer.no_bias();
    }
    match x {
        [vertices, adjacency] => layer.activation(a.activation()).on(vertices, adjacency),
        _ => {
            let message = format!("reads two layers, vertices and adjacency; found {}", x.len());
            Err(GraphError::shape("graph_conv", message))
        }
    }
}
