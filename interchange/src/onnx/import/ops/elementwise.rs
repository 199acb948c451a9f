//! Functions of one tensor.

use graph::ops::{Function, FunctionKind as F, UnaryKind as U};
use graph::{GraphError, Symbol};

use super::super::importer::{Importer, Value};
use super::super::live::Live;
use super::super::node::Node;
use super::super::{DataType, Trouble};
use super::{Rule, whole};

pub const RULES: &[(&str, Rule)] = &[
    ("Identity", identity),
    ("Dropout", dropout),
    ("Cast", cast),
    ("CastLike", cast_like),
    ("Neg", |cx, node| map(cx, node, |x| x.neg())),
    ("Abs", |cx, node| map(cx, node, |x| x.unary(U::Abs))),
    ("Exp", |cx, node| map(cx, node, |x| x.unary(U::Exp))),
    ("Log", |cx, node| map(cx, node, |x| x.unary(U::Log))),
    ("Sqrt", |cx, node| map(cx, node, |x| x.unary(U::Sqrt))),
    ("Reciprocal", |cx, node| {
        map(cx, node, |x| Symbol::constant(1.0, []).div(x))
    }),
    ("Not", |cx, node| map(cx, node, |x| x.affine(-1.0, 1.0))),
    ("Sin", |cx, node| function(cx, node, F::Sin)),
    ("Cos", |cx, node| function(cx, node, F::Cos)),
    ("Tan", |cx, node| function(cx, node, F::Tan)),
    ("Asin", |cx, node| function(cx, node, F::Asin)),
    ("Acos", |cx, node| function(cx, node, F::Acos)),
    ("Atan", |cx, node| function(cx, node, F::Atan)),
    ("Sinh", |cx, node| function(cx, node, F::Sinh)),
    ("Cosh", |cx, node| function(cx, node, F::Cosh)),
    ("Asinh", |cx, node| function(cx, node, F::Asinh)),
    ("Acosh", |cx, node| function(cx, node, F::Acosh)),
    ("Atanh", |cx, node| function(cx, node, F::Atanh)),
    ("Erf", |cx, node| function(cx, node, F::Erf)),
    ("Floor", |cx, node| function(cx, node, F::Floor)),
    ("Ceil", |cx, node| function(cx, node, F::Ceil)),
    ("Round", |cx, node| function(cx, node, F::Round)),
    ("Sign", |cx, node| function(cx, node, F::Sign)),
    ("IsNaN", |cx, node| test(cx, node, F::IsNan)),
    ("IsInf", is_infinite),
];

/// `kind` of each element.
pub fn apply(kind: F, x: &Symbol) -> Result<Symbol, GraphError> {
    Symbol::apply(Function { kind }, &[x])
}

/// The first operand under a function that leaves its axes as they are.
pub fn map(
    cx: &mut Importer,
    node: &Node,
    f: impl FnOnce(&Symbol) -> Result<Symbol, GraphError>,
) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let y = f(&x.symbol)?;
    Ok(vec![x.with(y).into()])
}

fn function(cx: &mut Importer, node: &Node, kind: F) -> Result<Vec<Value>, Trouble> {
    map(cx, node, |x| apply(kind, x))
}

fn test(cx: &mut Importer, node: &Node, kind: F) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let y = apply(kind, &x.symbol)?;
    Ok(vec![x.with(y).of_kind(DataType::Bool).into()])
}

fn is_infinite(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let (plus, minus) = (
        node.flag("detect_positive", true)?,
        node.flag("detect_negative", true)?,
    );
    let zero = || apply(F::IsNan, &x.symbol)?.affine(0.0, 0.0);
    let side = |wanted, kind| if wanted { apply(kind, &x.symbol) } else { zero() };
    let y = side(plus, F::IsPlusInfinity)?.maximum(&side(minus, F::IsMinusInfinity)?)?;
    Ok(vec![x.with(y).of_kind(DataType::Bool).into()])
}

fn identity(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    Ok(vec![cx.operand(node, 0)?])
}

/// A dropout of the file is one here too: inactive in use, active when the network is trained further.
fn dropout(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let rate = match cx.known_if(node, 1)? {
        Some(rate) => rate.scalar().unwrap_or(0.5),
        None => node.float("ratio", 0.5),
    };
    let training = cx.known_if(node, 2)?.is_some_and(|t| t.scalar() == Some(1.0));
    if training && rate != 0.0 {
        return Err(Trouble::unsupported("a dropout that is active in use"));
    }
    if !(0.0..1.0).contains(&rate) {
        return Err(Trouble::malformed(format!(
            "its ratio is {rate}, expected 0 or more and less than 1"
        )));
    }
    let y = match rate {
        0.0 => x.symbol.clone(),
        rate => Symbol::apply(graph::ops::Dropout { rate }, &[&x.symbol])?,
    };
    let mut results = vec![x.with(y).into()];
    if node.wants(1) {
        let everything = x.symbol.affine(0.0, 1.0)?;
        results.push(x.with(everything).of_kind(DataType::Bool).into());
    }
    Ok(results)
}

/// The type that a cast goes to.
///
/// # Errors
/// When it is none that is computed with.
pub fn cast_kind(node: &Node) -> Result<DataType, Trouble> {
    // Opset 1 wrote it as text.
    let named = node.text("to", "")?;
    let kind = match named.as_str() {
        "" => i32::try_from(node.int("to", 1)?)
            .ok()
            .and_then(|k| DataType::try_from(k).ok()),
        name => ["FLOAT", "INT32", "INT64", "BOOL", "DOUBLE"]
            .iter()
            .position(|n| *n == name)
            .map(|k| {
                [
                    DataType::Float,
                    DataType::Int32,
                    DataType::Int64,
                    DataType::Bool,
                    DataType::Double,
                ][k]
            }),
    };
    match kind.filter(|&k| crate::onnx::tensor::is_read(k)) {
        Some(kind) => Ok(kind),
        None => Err(Trouble::unsupported(
            "an element type other than floating-point numbers, whole numbers of 8 to 64 bits, and truth values",
        )),
    }
}

fn cast(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    Ok(vec![converted(&x, cast_kind(node)?)?.into()])
}

fn cast_like(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let (x, kind) = (cx.live(node, 0)?, cx.operand(node, 1)?.kind());
    Ok(vec![converted(&x, kind)?.into()])
}

/// The same numbers as another type has them; all are kept as f32.
fn converted(x: &Live, kind: DataType) -> Result<Live, Trouble> {
    let y = match kind {
        DataType::Bool if x.kind != DataType::Bool => {
            let zero = Symbol::constant(0.0, []);
            let both = x.symbol.at_least(&zero)?.mul(&zero.at_least(&x.symbol)?)?;
            both.affine(-1.0, 1.0)?
        }
        kind if whole(kind) && crate::onnx::host::is_float(x.kind) => apply(F::Truncate, &x.symbol)?,
        DataType::Uint8 | DataType::Int8 | DataType::Uint16 | DataType::Int16
            if whole(x.kind) && x.kind != kind =>
        {
            return Err(Trouble::unsupported(
                "turning whole numbers into shorter ones when the network runs",
            ));
        }
        _ => x.symbol.clone(),
    };
    Ok(x.with(y).of_kind(kind))
}
