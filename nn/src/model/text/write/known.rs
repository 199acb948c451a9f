//! Which layer type a run of nodes may be, with the fields that their operations and shapes tell.
//! These are guesses: what is not the case is found when the layer is built again.

mod sequences;

use graph::Symbol;
use graph::ops::{Axis, BinaryKind, Fit, Op, Padding, Pool2d, PoolKind, ReduceKind};
use graph::ops::{ResizeMode, ResizeTo, Target, UnaryKind, Window};

use super::Raw;
use crate::{Activation, Distribution, Initialiser};

/// A layer type and fields for it; those at their defaults are left out.
#[derive(Clone)]
pub(super) struct Guess {
    pub(super) kind: &'static str,
    pub(super) fields: Vec<(&'static str, Raw)>,
}

/// Longest run of nodes that one layer makes, stacked recurrent layers included.
const LONGEST: usize = 200;

/// What `nodes`, which a scope of this kind holds, may be.
pub(super) fn guesses(nodes: &[&Symbol], kind: &str) -> Vec<Guess> {
    if nodes.len() > LONGEST {
        return Vec::new();
    }
    match kind {
        "maxout" => return maxout(nodes).map_or(Vec::new(), |guess| weighed(&guess, nodes)),
        "adaptive_avg_pool2d" => return adaptive(nodes),
        "prelu" => return vec![Guess::new("prelu")],
        _ => {}
    }
    if let Some(found) = sequences::guesses(nodes, kind) {
        return found;
    }
    let main = nodes.iter().find(|n| n.as_parameter().is_none());
    main.map_or(Vec::new(), |main| of_op(main, nodes, kind))
}

fn of_op(main: &Symbol, nodes: &[&Symbol], kind: &str) -> Vec<Guess> {
    let guess = match main.op() {
        Op::Conv2d(_) | Op::Conv2dTransposed(_) | Op::LocallyConnected2d(_) | Op::MatMul(_) => {
            return linear(main, nodes, kind).map_or(Vec::new(), |guess| weighed(&guess, nodes));
        }
        Op::Reshape(op) => return reshape(&op.to, nodes),
        Op::Reduce(op) if op.kind == ReduceKind::Mean => Guess::new("globalavgpool"),
        Op::Reduce(op) if op.kind == ReduceKind::Max => Guess::new("globalmaxpool"),
        Op::Pool2d(op) => pool(op),
        Op::BatchNorm(op) => Guess::new("batchnorm")
            .unless("momentum", op.momentum, 0.1)
            .unless("epsilon", op.epsilon, 1e-5),
        Op::LayerNorm(op) => Guess::new("layernorm").unless("epsilon", op.epsilon, 1e-5),
        Op::LocalResponseNorm(op) => Guess::new("lrn")
            .count("size", op.size)
            .unless("alpha", op.alpha, 1e-4)
            .unless("beta", op.beta, 0.75)
            .unless("k", op.k, 1.0),
        Op::Dropout(op) => Guess::new("dropout").unless("rate", op.rate, 0.5),
        Op::Resize2d(op) => match (op.to, op.mode) {
            (ResizeTo::Scale(scale), ResizeMode::Nearest) => Guess::new("upsample").extent("scale", scale),
            (ResizeTo::Scale(scale), _) => Guess::new("upsample")
                .extent("scale", scale)
                .switch("bilinear", true),
            _ => return Vec::new(),
        },
        Op::Concat(_) => Guess::new("concat"),
        Op::Binary(op) if op.kind == BinaryKind::Add => {
            Guess::new("add").activation(&nodes[nodes.len() - 1..], nodes.len() > 1)
        }
        Op::Softmax(_) => Guess::new("softmax"),
        Op::Unary(op) if op.kind == UnaryKind::Tanh && nodes.len() == 2 => Guess::new("scaledtanh"),
        Op::Unary(op) => return element_wise(op.kind),
        _ => return Vec::new(),
    };
    vec![guess]
}

impl Guess {
    fn new(kind: &'static str) -> Self {
        Self {
            kind,
            fields: Vec::new(),
        }
    }

    fn with(mut self, field: &'static str, value: Raw) -> Self {
        self.fields.push((field, value));
        self
    }

    fn count(self, field: &'static str, n: usize) -> Self {
        self.with(field, Raw::Number(n as f64))
    }

    fn switch(self, field: &'static str, on: bool) -> Self {
        self.with(field, Raw::Switch(on))
    }

    /// Rows and columns, as one number where they are equal.
    fn extent(self, field: &'static str, [rows, columns]: [usize; 2]) -> Self {
        match rows == columns {
            true => self.count(field, rows),
            false => self.with(field, Raw::Numbers(vec![rows as f64, columns as f64])),
        }
    }

    fn extent_unless(self, field: &'static str, extent: [usize; 2], default: [usize; 2]) -> Self {
        match extent == default {
            true => self,
            false => self.extent(field, extent),
        }
    }

    fn unless(self, field: &'static str, value: f32, default: f32) -> Self {
        match value == default {
            true => self,
            false => self.with(field, Raw::Number(decimal(value))),
        }
    }

    /// Stride, padding, dilation and rounding of a window.
    fn window(self, window: &Window, stride: [usize; 2]) -> Self {
        let same = self
            .extent_unless("stride", window.stride, stride)
            .padding(window.padding)
            .extent_unless("dilation", window.dilation, [1, 1]);
        match window.fit {
            Fit::Floor => same.switch("floor", true),
            Fit::Exact => same,
        }
    }

    fn padding(self, padding: Padding) -> Self {
        match padding {
            Padding::Same => self.with("padding", Raw::Word("same".into())),
            Padding::Explicit([0, 0, 0, 0]) => self,
            Padding::Explicit(p) if p.iter().all(|&side| side == p[0]) => self.count("padding", p[0]),
            Padding::Explicit(p) => self.with("padding", Raw::Numbers(p.iter().map(|&n| n as f64).collect())),
        }
    }

    /// The activation behind the linear part, if the last nodes are one.
    fn activation(self, nodes: &[&Symbol], may: bool) -> Self {
        match last_activation(nodes).filter(|_| may) {
            Some(activation) => self.with("activation", Raw::Word(activation.to_string())),
            None => self,
        }
    }
}

/// The f64 whose shortest digits are those of the f32.
fn decimal(value: f32) -> f64 {
    format!("{value:?}").parse().unwrap_or(f64::from(value))
}

fn last_activation(nodes: &[&Symbol]) -> Option<Activation> {
    let last = nodes.last()?;
    if last.scope().is_some_and(|s| s.kind == "prelu") {
        return Some(Activation::PRelu);
    }
    match last.op() {
        Op::Softmax(_) => Some(Activation::Softmax),
        Op::Affine(_) => Some(Activation::ScaledTanh),
        Op::Unary(op) => activation_of(op.kind),
        _ => None,
    }
}

fn activation_of(kind: UnaryKind) -> Option<Activation> {
    Some(match kind {
        UnaryKind::Relu => Activation::Relu,
        UnaryKind::LeakyRelu(slope) => Activation::LeakyRelu(slope),
        UnaryKind::Elu(alpha) => Activation::Elu(alpha),
        UnaryKind::Relu6 => Activation::Relu6,
        UnaryKind::Sigmoid => Activation::Sigmoid,
        UnaryKind::Tanh => Activation::Tanh,
        UnaryKind::Gelu => Activation::Gelu,
        UnaryKind::Silu => Activation::Silu,
        UnaryKind::Softplus => Activation::Softplus,
        _ => return None,
    })
}

/// A layer that is an activation and nothing else.
fn element_wise(kind: UnaryKind) -> Vec<Guess> {
    let guess = match kind {
        UnaryKind::Relu => Guess::new("relu"),
        UnaryKind::LeakyRelu(slope) => Guess::new("leakyrelu").unless("slope", slope, 0.01),
        UnaryKind::Elu(alpha) => Guess::new("elu").unless("alpha", alpha, 1.0),
        UnaryKind::Relu6 => Guess::new("relu6"),
        UnaryKind::Sigmoid => Guess::new("sigmoid"),
        UnaryKind::Tanh => Guess::new("tanh"),
        UnaryKind::Gelu => Guess::new("gelu"),
        UnaryKind::Silu => Guess::new("silu"),
        UnaryKind::Softplus => Guess::new("softplus"),
        _ => return Vec::new(),
    };
    vec![guess]
}

fn pool(op: &Pool2d) -> Guess {
    let kind = match op.kind {
        PoolKind::Max => "maxpool",
        PoolKind::Min => "minpool",
        PoolKind::Average { .. } => "avgpool",
        PoolKind::L2 => "l2pool",
    };
    let guess = Guess::new(kind)
        .extent("size", op.size)
        .window(&op.window, op.size);
    match op.kind {
        PoolKind::Average { count_padding: true } => guess.switch("count_padding", true),
        _ => guess,
    }
}

fn adaptive(nodes: &[&Symbol]) -> Vec<Guess> {
    let to = nodes.last().map(|y| &y.shape()[..]);
    match to {
        Some(&[_, rows, columns, _]) => {
            vec![Guess::new("adaptiveavgpool").extent_unless("size", [rows, columns], [1, 1])]
        }
        _ => Vec::new(),
    }
}

fn reshape(to: &Target, nodes: &[&Symbol]) -> Vec<Guess> {
    let dense = nodes.iter().find(|n| matches!(n.op(), Op::MatMul(_)));
    if let Some(main) = dense {
        return linear(main, nodes, "")
            .map_or(Vec::new(), |guess| weighed(&guess.switch("each", true), nodes));
    }
    match to {
        Target::Axes(axes) => match axes[..] {
            [Axis::Keep(0), Axis::Rest] => vec![Guess::new("flatten")],
            [Axis::Keep(0), Axis::Length(steps), Axis::Length(features)] => {
                vec![Guess::new("reshape").with("shape", Raw::Numbers(vec![steps as f64, features as f64]))]
            }
            _ => Vec::new(),
        },
        Target::Like => Vec::new(),
    }
}

/// A layer of weights, perhaps a bias, perhaps an activation.
fn linear(main: &Symbol, nodes: &[&Symbol], kind: &str) -> Option<Guess> {
    let weight = main.inputs().get(1)?;
    let shape = weight.shape();
    let [one, two, three, four] = *shape.last_chunk::<4>().unwrap_or(&[0; 4]);
    let guess = match main.op() {
        Op::Conv2d(op) if kind == "depthwise_conv2d" && three == 1 => {
            let guess = Guess::new("depthwise").extent("kernel", [one, two]);
            let guess = match four / op.groups.max(1) {
                1 => guess,
                several => guess.count("multiplier", several),
            };
            guess.window(&op.window, [1, 1])
        }
        Op::Conv2d(op) => {
            let guess = Guess::new("conv")
                .count("filters", four)
                .extent("kernel", [one, two])
                .window(&op.window, [1, 1]);
            match op.groups {
                1 => guess,
                groups => guess.count("groups", groups),
            }
        }
        Op::Conv2dTransposed(op) => {
            let guess = Guess::new("convtranspose")
                .count("filters", three)
                .extent("kernel", [one, two])
                .extent_unless("stride", op.conv.window.stride, [1, 1])
                .padding(op.conv.window.padding);
            match op.output_padding[0] {
                0 => guess,
                more => guess.count("output_padding", more),
            }
        }
        Op::LocallyConnected2d(op) => {
            let units = shape.last_axis();
            let guess = Guess::new("local").count("filters", units);
            guess.extent("kernel", op.size).window(&op.window, [1, 1])
        }
        Op::MatMul(_) => Guess::new("dense").count("units", shape.last_axis()),
        _ => return None,
    };
    let biased = nodes
        .iter()
        .any(|n| n.as_parameter().is_some_and(|p| p.role == "bias"));
    let guess = match biased {
        true => guess,
        false => guess.switch("bias", false),
    };
    Some(guess.activation(nodes, true))
}

fn maxout(nodes: &[&Symbol]) -> Option<Guess> {
    let pooled = nodes.iter().find(|n| matches!(n.op(), Op::Reduce(_)))?;
    match pooled.inputs().first()?.shape()[..] {
        [_, 2, units] => Some(Guess::new("maxout").count("units", units)),
        [_, pieces, units] => Some(Guess::new("maxout").count("units", units).count("pieces", pieces)),
        _ => None,
    }
}

/// The guess with each rule that may have filled its weights, the layer's own rule first.
fn weighed(guess: &Guess, nodes: &[&Symbol]) -> Vec<Guess> {
    use Distribution::{Normal, Uniform};
    let rules = [
        Initialiser::He(Normal),
        Initialiser::He(Uniform),
        Initialiser::Glorot(Uniform),
        Initialiser::Glorot(Normal),
        Initialiser::FanIn,
    ];
    let written = nodes.iter().find_map(|n| n.as_parameter()).map(|p| p.init.into());
    let rules = rules.into_iter().chain(written);
    let ruled = rules.map(|rule| guess.clone().with("init", Raw::Word(rule.to_string())));
    std::iter::once(guess.clone()).chain(ruled).collect()
}
