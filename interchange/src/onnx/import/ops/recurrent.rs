//! Recurrent layers over sequences.

mod peephole;

use graph::Symbol;
use graph::ops::{Axis, Cell, Recurrent, Squash};

use super::super::importer::{Importer, Known, Value};
use super::super::live::Live;
use super::super::node::Node;
use super::super::{Host, Trouble};
use super::Rule;
use super::shapes::cut;

pub const RULES: &[(&str, Rule)] = &[
    ("RNN", |cx, node| recurrent(cx, node, Cell::Rnn)),
    ("LSTM", |cx, node| recurrent(cx, node, Cell::Lstm)),
    ("GRU", |cx, node| {
        match node.flag("linear_before_reset", false)? {
            true => recurrent(cx, node, Cell::Gru),
            false => recurrent(cx, node, Cell::GruResetBefore),
        }
    }),
];

/// For each of our gates, its place among ONNX's.
fn gates(cell: Cell) -> &'static [usize] {
    match cell {
        Cell::Rnn => &[0],
        // i, o, f, c there; i, f, g, o here.
        Cell::Lstm => &[0, 2, 3, 1],
        // z, r, h there; r, z, n here.
        Cell::Gru | Cell::GruResetBefore => &[1, 0, 2],
    }
}

/// What the node says of all directions.
struct Form {
    cell: Cell,
    hidden: usize,
    directions: usize,
    /// Samples before steps in the file.
    batch_first: bool,
}

fn recurrent(cx: &mut Importer, node: &Node, cell: Cell) -> Result<Vec<Value>, Trouble> {
    let direction = node.text("direction", "forward")?;
    let weights = cx.operand(node, 2)?.shape();
    let &[directions, _, hidden] = &weights[..] else {
        return Err(Trouble::malformed(format!(
            "recurrent weights of shape {weights:?}, expected 3 axes"
        )));
    };
    let form = Form {
        cell,
        hidden,
        directions,
        batch_first: node.flag("layout", false)?,
    };
    let expected = if direction == "bidirectional" { 2 } else { 1 };
    if directions != expected || !matches!(direction.as_str(), "forward" | "reverse" | "bidirectional") {
        return Err(Trouble::malformed(format!(
            "weights of {directions} directions, the direction is `{direction}`"
        )));
    }
    if node.int("input_forget", 0)? != 0 {
        return Err(Trouble::unsupported("a cell with coupled gates"));
    }
    let x = sequence(cx, node, &form)?;
    let mut sides = Vec::new();
    for d in 0..directions {
        let reverse = direction == "reverse" || d == 1;
        sides.push(one_side(cx, node, &form, &x, d, reverse)?);
    }
    results(&form, &x, &sides)
}

/// The input held as `[samples, steps, features]`.
fn sequence(cx: &mut Importer, node: &Node, form: &Form) -> Result<Live, Trouble> {
    let x = cx.live(node, 0)?;
    if x.rank() != 3 {
        return Err(Trouble::malformed(format!(
            "a sequence of shape {:?}, expected 3 axes",
            x.shape()
        )));
    }
    let samples = usize::from(!form.batch_first);
    if x.batch.is_some_and(|b| b != samples) {
        return Err(Trouble::unsupported(format!(
            "a sequence whose samples are not along axis {samples}"
        )));
    }
    let steps = x.shape()[1 - samples];
    if let Some(lengths) = cx.operand_if(node, 4)? {
        let full = lengths
            .host()
            .is_some_and(|h| h.to_i64().iter().all(|&l| l == steps as i64));
        if !full {
            return Err(match lengths {
                Value::Live(_) => Trouble::NeedsNumbers {
                    operand: node.proto.input[4].clone(),
                },
                Value::Known(_) => Trouble::unsupported("sequences of different lengths in one batch"),
            });
        }
    }
    Ok(x.arranged(&[samples, 1 - samples, 2])?)
}

/// The functions of gates and states of one direction.
fn squashes(node: &Node, cell: Cell, d: usize) -> Result<[Squash; 2], Trouble> {
    let named = |name: &str| match name.to_lowercase().as_str() {
        "tanh" => Ok(Squash::Tanh),
        "sigmoid" => Ok(Squash::Sigmoid),
        "relu" => Ok(Squash::Relu),
        "hardsigmoid" => Ok(Squash::HardSigmoid),
        "affine" | "linear" => Ok(Squash::Linear),
        _ => Err(Trouble::unsupported(format!(
            "the function `{name}` in a recurrent cell"
        ))),
    };
    let each = match cell {
        Cell::Rnn => 1,
        Cell::Lstm => 3,
        _ => 2,
    };
    let all = node.texts("activations")?;
    let own: Vec<Squash> = all
        .iter()
        .skip(d * each)
        .take(each)
        .map(|n| named(n))
        .collect::<Result<_, _>>()?;
    if node.has("activation_alpha") || node.has("activation_beta") {
        return Err(Trouble::unsupported(
            "functions with numbers of their own in a recurrent cell",
        ));
    }
    match (cell, &own[..]) {
        (_, []) => Ok([Squash::Sigmoid, Squash::Tanh]),
        (Cell::Rnn, [state]) => Ok([Squash::Sigmoid, *state]),
        (Cell::Lstm, [gate, a, b]) if a == b => Ok([*gate, *a]),
        (Cell::Gru | Cell::GruResetBefore, [gate, state]) => Ok([*gate, *state]),
        _ => Err(Trouble::unsupported(format!(
            "the functions {all:?} in a recurrent cell"
        ))),
    }
}

/// One direction's states `[samples, steps, S·H]`, and the last of them `[samples, S·H]`.
fn one_side(
    cx: &mut Importer,
    node: &Node,
    form: &Form,
    x: &Live,
    d: usize,
    reverse: bool,
) -> Result<[Symbol; 2], Trouble> {
    let [gate, state] = squashes(node, form.cell, d)?;
    let clip = node.has("clip").then(|| node.float("clip", 0.0));
    let op = Recurrent {
        cell: form.cell,
        reverse,
        gate,
        state,
        clip,
    };
    let end = if d == 1 { "_reverse" } else { "" };
    let w = matrix(cx, node, form, 1, d, &format!("weight_ih_l0{end}"))?;
    let u = matrix(cx, node, form, 2, d, &format!("weight_hh_l0{end}"))?;
    let width = form.cell.gates() * form.hidden;
    let (before, inside) = match cx.operand_if(node, 3)? {
        Some(_) => (
            Some(bias(cx, node, form, 0, d, &format!("bias_ih_l0{end}"))?),
            bias(cx, node, form, 1, d, &format!("bias_hh_l0{end}"))?,
        ),
        None => (None, Symbol::constant(0.0, [width])),
    };
    let steps = x.symbol.shape()[1];
    let flat = x.symbol.reshape(&[Axis::Rest, Axis::Keep(2)])?.matmul(&w)?;
    let flat = match before {
        Some(b) => flat.add(&b)?,
        None => flat,
    };
    let z = flat.reshape(&[Axis::Rest, Axis::Length(steps), Axis::Length(width)])?;
    let first = initial(cx, node, form, x, d)?;
    let states = match cx.operand_if(node, 7)? {
        Some(peepholes) => {
            let peepholes = cx.run(&peepholes)?.in_order()?.symbol;
            let cell = peephole::Lstm {
                op,
                hidden: form.hidden,
                weights: u,
                bias: inside,
                peepholes: cut(&peepholes, 0, d, 1, 1)?.reshape(&[Axis::Rest])?,
            };
            cell.states(&z, first.as_ref())?
        }
        None => {
            let mut operands = vec![&z, &u, &inside];
            operands.extend(first.as_ref());
            let trace = Symbol::apply(op, &operands)?;
            cut(&trace, 2, 0, form.cell.states() * form.hidden, 1)?
        }
    };
    let last = cut(&states, 1, if reverse { 0 } else { steps - 1 }, 1, 1)?;
    Ok([states, last.reshape(&[Axis::Keep(0), Axis::Keep(2)])?])
}

/// Rows of direction `d` with the gates in our order, as `[in, G·H]`.
fn matrix(
    cx: &mut Importer,
    node: &Node,
    form: &Form,
    k: usize,
    d: usize,
    role: &str,
) -> Result<Symbol, Trouble> {
    let value = cx.operand(node, k)?;
    let (shape, rows) = (value.shape(), form.cell.gates() * form.hidden);
    if shape.len() != 3 || shape[0] != form.directions || shape[1] != rows {
        let message = format!(
            "operand {k} has shape {shape:?}, expected [{}, {rows}, …]",
            form.directions
        );
        return Err(Trouble::Malformed(message));
    }
    match value {
        Value::Known(known) => {
            let own = in_our_order(&known, form, d * rows, shape[2]);
            let host = own.reshaped(&[rows, shape[2]]).transposed(&[1, 0]);
            let name = known.name.map(|n| format!("{role} of {n}"));
            let value = Value::Known(Known {
                host,
                name,
                initial: false,
            });
            Ok(cx.weight(&value, &[0, 1], role, true)?.symbol)
        }
        Value::Live(live) => {
            let all = cut(&live.in_order()?.symbol, 0, d, 1, 1)?;
            let flat = all.reshape(&[Axis::Length(rows), Axis::Length(shape[2])])?;
            let parts: Vec<Symbol> = gates(form.cell)
                .iter()
                .map(|&g| cut(&flat, 0, g * form.hidden, form.hidden, 1))
                .collect::<Result<_, _>>()?;
            let joined = Symbol::concat(&parts.iter().collect::<Vec<_>>(), 0)?;
            Ok(Symbol::apply(
                graph::ops::Transpose { order: vec![1, 0] },
                &[&joined],
            )?)
        }
    }
}

/// Rows from `start` on with the gates in our order.
fn in_our_order(known: &Known, form: &Form, start: usize, width: usize) -> Host {
    let hidden = form.hidden;
    let row = |g: usize| (start + g * hidden) * width..(start + (g + 1) * hidden) * width;
    let places: Vec<usize> = gates(form.cell).iter().flat_map(|&g| row(g)).collect();
    let shape = [places.len()];
    known.host.picked(&shape, places.into_iter())
}

/// The bias before (`half` 0) or inside (1) the recurrence.
fn bias(
    cx: &mut Importer,
    node: &Node,
    form: &Form,
    half: usize,
    d: usize,
    role: &str,
) -> Result<Symbol, Trouble> {
    let value = cx.operand(node, 3)?;
    let width = form.cell.gates() * form.hidden;
    if value.shape() != [form.directions, 2 * width] {
        let message = format!(
            "biases of shape {:?}, expected [{}, {}]",
            value.shape(),
            form.directions,
            2 * width
        );
        return Err(Trouble::Malformed(message));
    }
    match value {
        Value::Known(known) => {
            let host = in_our_order(&known, form, (2 * d + half) * width, 1);
            let name = known.name.map(|n| format!("{role} of {n}"));
            let value = Value::Known(Known {
                host,
                name,
                initial: false,
            });
            Ok(cx.weight(&value, &[0], role, true)?.symbol)
        }
        Value::Live(live) => {
            let flat = cut(&live.in_order()?.symbol, 0, d, 1, 1)?.reshape(&[Axis::Length(2 * width)])?;
            let part = |&g: &usize| cut(&flat, 0, half * width + g * form.hidden, form.hidden, 1);
            let parts: Vec<Symbol> = gates(form.cell).iter().map(part).collect::<Result<_, _>>()?;
            Ok(Symbol::concat(&parts.iter().collect::<Vec<_>>(), 0)?)
        }
    }
}

/// The state before the first step `[samples, S·H]`, if it is not zero.
fn initial(
    cx: &mut Importer,
    node: &Node,
    form: &Form,
    x: &Live,
    d: usize,
) -> Result<Option<Symbol>, Trouble> {
    let zero = |v: &Option<Value>| match v {
        None => true,
        Some(Value::Known(known)) => known.host.to_f32().iter().all(|&v| v == 0.0),
        Some(Value::Live(_)) => false,
    };
    let given: Vec<Option<Value>> = (5..5 + form.cell.states())
        .map(|k| cx.operand_if(node, k))
        .collect::<Result<_, _>>()?;
    if given.iter().all(zero) {
        return Ok(None);
    }
    let (samples, direction) = if form.batch_first { (0, 1) } else { (1, 0) };
    // Zeros for each sample.
    let one = cut(&cut(&x.symbol, 1, 0, 1, 1)?, 2, 0, 1, 1)?.reshape(&[Axis::Keep(0), Axis::Keep(2)])?;
    let none = one.affine(0.0, 0.0)?;
    let mut parts = Vec::new();
    for value in given {
        let zeros = Symbol::constant(0.0, [1, form.hidden]);
        parts.push(match value {
            None => none.add(&zeros)?,
            Some(value) => {
                let live = cx.run(&value)?;
                if live.rank() != 3 || live.batch.is_some_and(|b| b != samples) {
                    return Err(Trouble::unsupported(
                        "a state whose samples are not those of the sequence",
                    ));
                }
                let live = live.arranged(&[samples, direction, 2])?;
                let own = cut(&live.symbol, 1, d, 1, 1)?.reshape(&[Axis::Keep(0), Axis::Keep(2)])?;
                none.add(&own)?
            }
        });
    }
    Ok(Some(Symbol::concat(&parts.iter().collect::<Vec<_>>(), 1)?))
}

/// Y, Y_h and for an LSTM Y_c, as the file counts axes.
fn results(form: &Form, x: &Live, sides: &[[Symbol; 2]]) -> Result<Vec<Value>, Trouble> {
    let (hidden, steps) = (form.hidden, x.symbol.shape()[1]);
    let mut all = Vec::new();
    let mut last = vec![Vec::new(); form.cell.states()];
    for [states, end] in sides {
        let h = cut(states, 2, 0, hidden, 1)?;
        all.push(h.reshape(&[
            Axis::Rest,
            Axis::Length(steps),
            Axis::Length(1),
            Axis::Length(hidden),
        ])?);
        for (k, last) in last.iter_mut().enumerate() {
            let own = cut(end, 1, k * hidden, hidden, 1)?;
            last.push(own.reshape(&[Axis::Rest, Axis::Length(1), Axis::Length(hidden)])?);
        }
    }
    let joined = |parts: &[Symbol], axis: usize| match parts {
        [one] => Ok(one.clone()),
        _ => Symbol::concat(&parts.iter().collect::<Vec<_>>(), axis),
    };
    let live = |symbol: Symbol, order: Vec<usize>| Live {
        symbol,
        batch: x.batch.map(|_| order[0]),
        order,
        kind: x.kind,
    };
    let (all_order, last_order) = match form.batch_first {
        true => (vec![0, 1, 2, 3], vec![0, 1, 2]),
        false => (vec![2, 0, 1, 3], vec![1, 0, 2]),
    };
    let mut results = vec![live(joined(&all, 2)?, all_order).into()];
    for parts in last {
        results.push(live(joined(&parts, 1)?, last_order.clone()).into());
    }
    Ok(results)
}
