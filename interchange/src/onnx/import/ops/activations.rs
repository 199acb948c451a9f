//! Activation functions.

use graph::ops::{FunctionKind, Select, UnaryKind as U};
use graph::{GraphError, Symbol};

use super::super::Trouble;
use super::super::importer::{Importer, Value};
use super::super::node::Node;
use super::Rule;
use super::binary::broadcast;
use super::elementwise::{apply, map};

type Built = Result<Symbol, GraphError>;

pub const RULES: &[(&str, Rule)] = &[
    ("Relu", |cx, node| map(cx, node, |x| x.unary(U::Relu))),
    ("LeakyRelu", |cx, node| {
        map(cx, node, |x| x.unary(U::LeakyRelu(node.float("alpha", 0.01))))
    }),
    ("Elu", |cx, node| {
        map(cx, node, |x| x.unary(U::Elu(node.float("alpha", 1.0))))
    }),
    ("Sigmoid", |cx, node| map(cx, node, |x| x.unary(U::Sigmoid))),
    ("Tanh", |cx, node| map(cx, node, |x| x.unary(U::Tanh))),
    ("Softplus", |cx, node| map(cx, node, |x| x.unary(U::Softplus))),
    ("Softsign", |cx, node| {
        map(cx, node, |x| x.div(&x.unary(U::Abs)?.affine(1.0, 1.0)?))
    }),
    ("Selu", |cx, node| map(cx, node, |x| selu(node, x))),
    ("Celu", |cx, node| map(cx, node, |x| celu(node, x))),
    ("HardSigmoid", |cx, node| {
        map(cx, node, |x| {
            hard_sigmoid(x, node.float("alpha", 0.2), node.float("beta", 0.5))
        })
    }),
    ("HardSwish", |cx, node| {
        map(cx, node, |x| x.mul(&hard_sigmoid(x, 1.0 / 6.0, 0.5)?))
    }),
    ("Mish", |cx, node| {
        map(cx, node, |x| x.mul(&x.unary(U::Softplus)?.unary(U::Tanh)?))
    }),
    ("Swish", |cx, node| {
        map(cx, node, |x| {
            x.mul(&x.affine(node.float("alpha", 1.0), 0.0)?.unary(U::Sigmoid)?)
        })
    }),
    ("ThresholdedRelu", |cx, node| {
        map(cx, node, |x| thresholded(x, node.float("alpha", 1.0)))
    }),
    ("Shrink", |cx, node| map(cx, node, |x| shrink(node, x))),
    ("Gelu", gelu),
    ("PRelu", prelu),
    ("Clip", clip),
];

fn selu(node: &Node, x: &Symbol) -> Built {
    let alpha = node.float("alpha", 1.673_263_2);
    x.unary(U::Elu(alpha))?
        .affine(node.float("gamma", 1.050_701), 0.0)
}

/// max(0, x) + min(0, α·(e^(x/α) − 1))
fn celu(node: &Node, x: &Symbol) -> Built {
    let alpha = node.float("alpha", 1.0);
    x.affine(1.0 / alpha, 0.0)?.unary(U::Elu(1.0))?.affine(alpha, 0.0)
}

fn hard_sigmoid(x: &Symbol, alpha: f32, beta: f32) -> Built {
    let y = x.affine(alpha, beta)?.maximum(&Symbol::constant(0.0, []))?;
    y.minimum(&Symbol::constant(1.0, []))
}

/// 1 where a > b.
fn above(a: &Symbol, b: &Symbol) -> Built {
    b.at_least(a)?.affine(-1.0, 1.0)
}

fn thresholded(x: &Symbol, alpha: f32) -> Built {
    let zero = Symbol::constant(0.0, []);
    Symbol::apply(Select {}, &[&above(x, &Symbol::constant(alpha, []))?, x, &zero])
}

fn shrink(node: &Node, x: &Symbol) -> Built {
    let (bias, lambda) = (node.float("bias", 0.0), node.float("lambd", 0.5));
    let zero = Symbol::constant(0.0, []);
    let low = Symbol::apply(
        Select {},
        &[
            &above(&Symbol::constant(-lambda, []), x)?,
            &x.affine(1.0, bias)?,
            &zero,
        ],
    )?;
    let high = above(x, &Symbol::constant(lambda, []))?;
    Symbol::apply(Select {}, &[&high, &x.affine(1.0, -bias)?, &low])
}

fn gelu(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let smooth = node.text("approximate", "none")? == "tanh";
    map(cx, node, |x| match smooth {
        false => x.unary(U::Gelu),
        true => {
            let cube = x.mul(x)?.mul(x)?.affine(0.044_715, 0.0)?;
            let inner = x.add(&cube)?.affine((2.0 / std::f32::consts::PI).sqrt(), 0.0)?;
            x.mul(&inner.unary(U::Tanh)?.affine(0.5, 0.5)?)
        }
    })
}

/// max(0, x) + slope·min(0, x)
fn prelu(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let (x, mut slope) = (cx.operand(node, 0)?, cx.operand(node, 1)?);
    // Before opset 7 a list of slopes was one for each channel.
    let behind: Vec<usize> = (1..x.rank().saturating_sub(1)).collect();
    if node.opset < 7 && slope.rank() == 1 && x.rank() > 2 {
        slope = match slope {
            Value::Live(live) => live.unsqueezed(&behind)?.into(),
            Value::Known(mut known) => {
                known.host.shape.extend(behind.iter().map(|_| 1));
                Value::Known(known)
            }
        };
    }
    let pair = broadcast(cx, &[x, slope], Some("slope"))?;
    let [x, slope] = [&pair.symbols[0], &pair.symbols[1]];
    let below = x.minimum(&Symbol::constant(0.0, []))?;
    let y = x.unary(U::Relu)?.add(&below.mul(slope)?)?;
    Ok(vec![pair.value(y).into()])
}

fn clip(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let bound = |k: usize, name: &str, cx: &mut Importer| -> Result<Option<Symbol>, Trouble> {
        if let Some(value) = cx.operand_if(node, k)? {
            return Ok(match value.host().and_then(|h| h.scalar()) {
                Some(number) => Some(Symbol::constant(number, [])),
                None => Some(cx.run(&value)?.symbol),
            });
        }
        Ok(node
            .has(name)
            .then(|| Symbol::constant(node.float(name, 0.0), [])))
    };
    let (low, high) = (bound(1, "min", cx)?, bound(2, "max", cx)?);
    let mut y = x.symbol.clone();
    if let Some(low) = low {
        y = y.maximum(&low)?;
    }
    if let Some(high) = high {
        y = y.minimum(&high)?;
    }
    if x.kind == super::DataType::Bool {
        y = apply(FunctionKind::Truncate, &y)?;
    }
    Ok(vec![x.with(y).into()])
}
