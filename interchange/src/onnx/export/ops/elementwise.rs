//! Functions of one number, and of pairs.

use graph::Symbol;
use graph::ndarray::{ArrayD, IxDyn};
use graph::ops::{Affine, BinaryKind, FunctionKind, UnaryKind};

use super::super::build::{Builder, float, int};
use super::super::layout::{Layout, channels_first, flat_rows};
use super::super::{ExportError, Normalisation};
use super::products;

type Done = Result<(), ExportError>;

/// The layout in which all operands of an element-wise node can stand with the fewest transposes.
fn common(b: &Builder, operands: &[Symbol]) -> Layout {
    let moving: Vec<&Symbol> = operands.iter().filter(|o| !b.is_fixed(o)).collect();
    let layouts: Vec<Layout> = moving.iter().map(|o| b.layout(o)).collect();
    let still = operands.iter().filter(|o| b.is_fixed(o));
    if layouts.contains(&Layout::First) && moving.iter().all(|o| o.shape().rank() == 4) {
        return Layout::First;
    }
    let vectors = still.clone().all(|o| o.shape().rank() < 2);
    match layouts.first() {
        Some(&flat @ Layout::Flat(_)) if vectors && layouts.iter().all(|&l| l == flat) => flat,
        _ => Layout::Plain,
    }
}

/// An operand as a node of this layout reads it.
fn aligned(b: &mut Builder, operand: &Symbol, layout: Layout) -> Result<String, ExportError> {
    match layout {
        Layout::Plain => b.plain(operand),
        Layout::First => b.first(operand),
        Layout::Flat(sizes) if b.is_fixed(operand) && operand.shape().elements() > 1 => {
            b.fixed_as(operand, "flat", |x| flat_rows(x, sizes))
        }
        Layout::Flat(_) => b.as_it_is(operand),
    }
}

pub(in super::super) fn binary(b: &mut Builder, node: &Symbol, kind: BinaryKind) -> Done {
    if let Some(product) = products::with_this_bias(b, node) {
        return b.alias(node, &product);
    }
    let layout = common(b, node.inputs());
    let left = aligned(b, &node.inputs()[0], layout)?;
    let right = aligned(b, &node.inputs()[1], layout)?;
    let operator = match kind {
        BinaryKind::Add => "Add",
        BinaryKind::Subtract => "Sub",
        BinaryKind::Multiply => "Mul",
        BinaryKind::Divide => "Div",
        BinaryKind::Maximum => "Max",
        BinaryKind::Minimum => "Min",
        BinaryKind::AtLeast => {
            let yes = b.node("GreaterOrEqual", &[&left, &right], vec![], node);
            b.make("Cast", &[&yes], vec![int("to", 1)], node, layout);
            return Ok(());
        }
    };
    b.make(operator, &[&left, &right], vec![], node, layout);
    Ok(())
}

pub(in super::super) fn unary(b: &mut Builder, node: &Symbol, kind: UnaryKind) -> Done {
    let layout = b.layout(&node.inputs()[0]);
    let x = b.as_it_is(&node.inputs()[0])?;
    let (operator, attributes) = match kind {
        UnaryKind::Relu => ("Relu", vec![]),
        UnaryKind::LeakyRelu(slope) => ("LeakyRelu", vec![float("alpha", slope)]),
        UnaryKind::Elu(alpha) => ("Elu", vec![float("alpha", alpha)]),
        UnaryKind::Sigmoid => ("Sigmoid", vec![]),
        UnaryKind::Tanh => ("Tanh", vec![]),
        UnaryKind::Softplus => ("Softplus", vec![]),
        UnaryKind::Exp => ("Exp", vec![]),
        UnaryKind::Log => ("Log", vec![]),
        UnaryKind::Sqrt => ("Sqrt", vec![]),
        UnaryKind::Abs => ("Abs", vec![]),
        UnaryKind::Relu6 | UnaryKind::Gelu | UnaryKind::Silu | UnaryKind::Square | UnaryKind::Power(_) => {
            let y = composed(b, node, kind, &x);
            b.set(node, y, layout);
            return Ok(());
        }
    };
    b.make(operator, &[&x], attributes, node, layout);
    Ok(())
}

pub(in super::super) fn function(b: &mut Builder, node: &Symbol, kind: FunctionKind) -> Done {
    let layout = b.layout(&node.inputs()[0]);
    let x = b.as_it_is(&node.inputs()[0])?;
    let ends = |minus: i64, plus: i64| vec![int("detect_negative", minus), int("detect_positive", plus)];
    let (operator, attributes) = match kind {
        FunctionKind::Sin => ("Sin", vec![]),
        FunctionKind::Cos => ("Cos", vec![]),
        FunctionKind::Tan => ("Tan", vec![]),
        FunctionKind::Asin => ("Asin", vec![]),
        FunctionKind::Acos => ("Acos", vec![]),
        FunctionKind::Atan => ("Atan", vec![]),
        FunctionKind::Sinh => ("Sinh", vec![]),
        FunctionKind::Cosh => ("Cosh", vec![]),
        FunctionKind::Asinh => ("Asinh", vec![]),
        FunctionKind::Acosh => ("Acosh", vec![]),
        FunctionKind::Atanh => ("Atanh", vec![]),
        FunctionKind::Erf => ("Erf", vec![]),
        FunctionKind::Floor => ("Floor", vec![]),
        FunctionKind::Ceil => ("Ceil", vec![]),
        FunctionKind::Round => ("Round", vec![]),
        FunctionKind::Sign => ("Sign", vec![]),
        FunctionKind::IsNan => ("IsNaN", vec![]),
        FunctionKind::IsPlusInfinity => ("IsInf", ends(0, 1)),
        FunctionKind::IsMinusInfinity => ("IsInf", ends(1, 0)),
        FunctionKind::Truncate => {
            let (sign, size) = (
                b.node("Sign", &[&x], vec![], node),
                b.node("Abs", &[&x], vec![], node),
            );
            let whole = b.node("Floor", &[&size], vec![], node);
            b.make("Mul", &[&sign, &whole], vec![], node, layout);
            return Ok(());
        }
    };
    let y = b.node(operator, &[&x], attributes, node);
    let y = match operator {
        "IsNaN" | "IsInf" => b.node("Cast", &[&y], vec![int("to", 1)], node),
        _ => y,
    };
    b.set(node, y, layout);
    Ok(())
}

pub(in super::super) fn select(b: &mut Builder, node: &Symbol) -> Done {
    let layout = common(b, node.inputs());
    let condition = aligned(b, &node.inputs()[0], layout)?;
    let yes = b.node("Cast", &[&condition], vec![int("to", 9)], node);
    let [left, right] = [1, 2].map(|k| aligned(b, &node.inputs()[k], layout));
    b.make("Where", &[&yes, &left?, &right?], vec![], node, layout);
    Ok(())
}

/// Functions of more than one operator, or with operands.
fn composed(b: &mut Builder, node: &Symbol, kind: UnaryKind, x: &str) -> String {
    match kind {
        UnaryKind::Relu6 => {
            let (low, high) = (
                b.number(&b.hint(node, "min"), 0.0),
                b.number(&b.hint(node, "max"), 6.0),
            );
            b.node("Clip", &[x, &low, &high], vec![], node)
        }
        // x·Φ(x) = x/2·(1 + erf(x/√2)); the operator Gelu came later.
        UnaryKind::Gelu => {
            let inner = times(b, node, x, std::f32::consts::FRAC_1_SQRT_2);
            let erf = b.node("Erf", &[&inner], vec![], node);
            let raised = plus(b, node, &erf, 1.0);
            let y = b.node("Mul", &[x, &raised], vec![], node);
            times(b, node, &y, 0.5)
        }
        UnaryKind::Silu => {
            let gate = b.node("Sigmoid", &[x], vec![], node);
            b.node("Mul", &[x, &gate], vec![], node)
        }
        UnaryKind::Power(p) => {
            let exponent = b.number(&b.hint(node, "exponent"), p);
            b.node("Pow", &[x, &exponent], vec![], node)
        }
        _ => b.node("Mul", &[x, x], vec![], node),
    }
}

pub(super) fn times(b: &mut Builder, node: &Symbol, x: &str, factor: f32) -> String {
    let factor = b.number(&b.hint(node, "factor"), factor);
    b.node("Mul", &[x, &factor], vec![], node)
}

pub(super) fn plus(b: &mut Builder, node: &Symbol, x: &str, summand: f32) -> String {
    let summand = b.number(&b.hint(node, "summand"), summand);
    b.node("Add", &[x, &summand], vec![], node)
}

pub(in super::super) fn affine(b: &mut Builder, node: &Symbol, op: Affine) -> Done {
    let layout = b.layout(&node.inputs()[0]);
    let mut y = b.as_it_is(&node.inputs()[0])?;
    if op.scale == -1.0 {
        y = b.node("Neg", &[&y], vec![], node);
    } else if op.scale != 1.0 {
        y = times(b, node, &y, op.scale);
    }
    if op.shift != 0.0 {
        y = plus(b, node, &y, op.shift);
    }
    b.set(node, y, layout);
    Ok(())
}

/// scale·x + shift, put behind the input before anything reads it.
pub(in super::super) fn normalise(b: &mut Builder, input: &Symbol, with: &Normalisation) -> Done {
    let (expected, layout) = (input.shape().last_axis(), b.layout(input));
    if [with.scale.len(), with.shift.len()] != [expected; 2] {
        let found = with.scale.len().min(with.shift.len());
        return Err(ExportError::Normalisation { found, expected });
    }
    let vector = |values: &[f32]| {
        let plain = ArrayD::from_shape_vec(IxDyn(&[values.len()]), values.to_vec()).unwrap_or_default();
        match layout {
            Layout::First => channels_first(&plain),
            _ => plain,
        }
    };
    let scale = b.numbers("normalisation/scale", &vector(&with.scale));
    let shift = b.numbers("normalisation/shift", &vector(&with.shift));
    let x = b.as_it_is(input)?;
    let y = b.node("Mul", &[&x, &scale], vec![], input);
    b.make("Add", &[&y, &shift], vec![], input, layout);
    Ok(())
}
