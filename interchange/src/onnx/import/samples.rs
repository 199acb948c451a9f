//! What depends on how many samples there are: numbers that shapes are made of, and rows that several samples share.
//!
//! Every number that follows from constants and shapes is computed for one sample, and again for two where it differs. A
//! reshape whose target has a length that doubles then tells where the batch goes; without this, `[5, 1·N, 16]` to
//! `[5·N, 16]` and to `[5, N·16]` would look alike. In the first, rows of all samples take turns: file row `5·N` is
//! row n of each of 5 runs. Such a value is held sample after sample, like any other; [`Importer::turns`] remembers the
//! runs, and only ops that treat each row by itself may read it until another reshape brings the axes back.

use super::importer::{Importer, Known, Value};
use super::live::Live;
use super::node::Node;
use super::{Host, Trouble, fold, ops};

/// Ops that treat every number by itself.
const SINGLE: [&str; 16] = [
    "Relu",
    "LeakyRelu",
    "Elu",
    "Selu",
    "Gelu",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Softplus",
    "Tanh",
    "Erf",
    "Exp",
    "Neg",
    "Identity",
    "Cast",
    "Dropout",
];
/// Ops that join numbers of the same place.
const JOINING: [&str; 4] = ["Add", "Sub", "Mul", "Div"];
/// Ops for which an operand says where or how much, not what.
const OF_SHAPES: [&str; 11] = [
    "Reshape",
    "Expand",
    "Tile",
    "Slice",
    "Split",
    "Pad",
    "Resize",
    "Upsample",
    "Squeeze",
    "Unsqueeze",
    "ConstantOfShape",
];

/// Computes what the node makes of constants once more for two samples, where that differs from what it makes for one.
///
/// # Errors
/// When the node cannot be computed for two samples, or numbers that differ from one to two go into the network.
pub fn doubled(cx: &mut Importer, node: &Node, results: &[Value]) -> Result<(), Trouble> {
    let names = node.proto.input.iter().filter(|name| !name.is_empty());
    let lives = names
        .clone()
        .any(|name| matches!(cx.values.get(name), Some(Value::Live(_))));
    let changing: Vec<String> = names
        .filter(|name| cx.doubled.contains_key(*name))
        .cloned()
        .collect();
    let again = match node.proto.op_type.as_str() {
        "Shape" | "Size" => vec![fold::shape(node, &shape_of_two(cx, node)?)?],
        _ if changing.is_empty() => return Ok(()),
        _ if lives => return refuse_varying(cx, node, &changing),
        _ => of_two(cx, node, &changing)?,
    };
    for ((name, result), two) in node.proto.output.iter().zip(results).zip(again) {
        if result.host().is_some_and(|one| *one != two) {
            cx.doubled.insert(name.clone(), two);
        }
    }
    Ok(())
}

/// The shape of operand 0 at two samples.
fn shape_of_two(cx: &Importer, node: &Node) -> Result<Vec<usize>, Trouble> {
    if let Some(two) = cx.doubled.get(&node.proto.input[0]) {
        return Ok(two.shape.clone());
    }
    Ok(match cx.operand(node, 0)? {
        Value::Live(live) => twice(&live),
        Value::Known(known) => known.host.shape,
    })
}

fn twice(live: &Live) -> Vec<usize> {
    let mut shape = live.shape();
    if let Some(axis) = live.batch {
        shape[axis] *= 2;
    }
    shape
}

/// The results of a node of constants, with these operands at two samples.
fn of_two(cx: &mut Importer, node: &Node, changing: &[String]) -> Result<Vec<Host>, Trouble> {
    let mut before = Vec::new();
    for name in changing {
        let (Some(two), Some(one)) = (cx.doubled.get(name), cx.values.get(name)) else {
            continue;
        };
        let known = Known {
            host: two.clone(),
            name: None,
            initial: false,
        };
        before.push((name.clone(), one.clone()));
        cx.values.insert(name.clone(), Value::Known(known));
    }
    let results = match fold::fold(cx, node) {
        Ok(Some(results)) => Ok(results),
        Ok(None) => ops::rule(&node.proto.op_type, "ai.onnx")
            .and_then(|rule| rule(cx, node))
            .and_then(|results| fold::evaluate(cx, node, results)),
        Err(trouble) => Err(trouble),
    };
    cx.values.extend(before);
    let host = |value: Value| match value {
        Value::Known(known) => Ok(known.host),
        Value::Live(_) => Err(Trouble::unsupported(
            "a constant that the number of samples changes",
        )),
    };
    results?.into_iter().map(host).collect()
}

/// Numbers that are others for two samples are no constants of the network.
fn refuse_varying(cx: &Importer, node: &Node, changing: &[String]) -> Result<(), Trouble> {
    if OF_SHAPES.contains(&node.proto.op_type.as_str()) {
        return Ok(());
    }
    let varies = |name: &&String| match (cx.values.get(*name), cx.doubled.get(*name)) {
        (Some(Value::Known(one)), Some(two)) => !repeats(&one.host, two),
        _ => false,
    };
    match changing.iter().find(varies) {
        None => Ok(()),
        Some(name) => Err(Trouble::unsupported(format!(
            "`{name}`, whose numbers depend on how many samples there are,"
        ))),
    }
}

/// Whether `two` is `one`, repeated.
fn repeats(one: &Host, two: &Host) -> bool {
    let numbers = two.to_f64();
    let same = numbers
        .windows(2)
        .all(|pair| pair[0].to_bits() == pair[1].to_bits());
    if same && one.to_f64().first().map(|x| x.to_bits()) == numbers.first().map(|x| x.to_bits()) {
        return one.shape.len() == two.shape.len();
    }
    let shape = graph::Shape::new(&one.shape).broadcast(&graph::Shape::new(&two.shape));
    shape.is_some_and(|shape| shape[..] == two.shape[..]) && one.broadcast(&two.shape).to_f64() == numbers
}

/// A reshape of a value that has a batch, where the lengths at two samples tell where it goes: the result, and in how many
/// runs samples take turns in it. `None` if they do not tell.
///
/// # Errors
/// When the batch is split, or the elements do not fill the shape.
pub fn reshape(cx: &mut Importer, node: &Node) -> Result<Option<(Live, usize)>, Trouble> {
    let Some(Value::Live(x)) = cx.operand_if(node, 0)? else {
        return Ok(None);
    };
    let Some(name) = node.proto.input.first().filter(|_| x.batch.is_some()) else {
        return Ok(None);
    };
    let turns = cx.turns.get(name).copied();
    let one = ops::new_shape(cx, node, &x.shape())?;
    let two = match node.proto.input.get(1).and_then(|list| cx.doubled.get(list)) {
        Some(list) => ops::resolved(&fold::list(list), &twice(&x), node.flag("allowzero", false)?).ok(),
        None => ops::new_shape(cx, node, &twice(&x)).ok(),
    };
    let changed = |two: &Vec<usize>| -> Option<usize> {
        let mut axes = (0..one.len()).filter(|&a| one[a] != two[a]);
        axes.next()
            .filter(|&a| axes.next().is_none() && two[a] == 2 * one[a])
    };
    let Some(to) = two.as_ref().and_then(changed) else {
        return match turns {
            Some(_) => Err(Trouble::unsupported(
                "a reshape of samples that take turns to a fixed shape",
            )),
            None => Ok(None),
        };
    };
    let x = match turns {
        Some(turns) => apart(&x, turns)?,
        None => x,
    };
    placed(&x, &one, to).map(Some)
}

/// A value in whose batch axis samples take turns, with that axis as three: runs, samples, and what each has in a run.
fn apart(x: &Live, turns: usize) -> Result<Live, Trouble> {
    let (mut shape, axis) = (x.shape(), x.batch.unwrap_or(0));
    let rest = shape[axis] / turns.max(1);
    shape.splice(axis..=axis, [1, turns, rest]);
    let mut order: Vec<usize> = (0..shape.len()).collect();
    order.swap(axis, axis + 1);
    Ok(x.reshaped_to(&shape, Some(axis))?.transposed(&order))
}

/// `x` with this shape and its samples on the axis `to`; and how many runs of samples stand in it.
fn placed(x: &Live, shape: &[usize], to: usize) -> Result<(Live, usize), Trouble> {
    let (old, batch) = (x.shape(), x.batch.unwrap_or(0));
    let before: usize = shape[..to].iter().product();
    let from = (0..=batch).rfind(|&a| old[..a].iter().product::<usize>() == before);
    let turns = from.map(|from| old[from..batch].iter().product::<usize>());
    let (Some(from), Some(turns)) = (from, turns.filter(|&turns| shape[to].is_multiple_of(turns))) else {
        return Err(Trouble::unsupported(format!(
            "a reshape of {old:?} to {shape:?} that splits the batch axis {batch}"
        )));
    };
    // Samples come first among the axes that are joined.
    let mut order: Vec<usize> = (0..old.len()).filter(|&a| a != batch).collect();
    order.insert(from, batch);
    Ok((x.transposed(&order).reshaped_to(shape, Some(to))?, turns))
}

/// In how many runs samples take turns in the results of the node, where they do in an operand; `None` if in none.
///
/// # Errors
/// When the node does not treat each row by itself.
pub fn turns(cx: &Importer, node: &Node) -> Result<Option<usize>, Trouble> {
    let names = || node.proto.input.iter().filter(|name| !name.is_empty());
    let Some((first, &turns)) = names().find_map(|name| Some((name, cx.turns.get(name)?))) else {
        return Ok(None);
    };
    let op = node.proto.op_type.as_str();
    if ["Shape", "Size", "Reshape"].contains(&op) {
        return Ok(None);
    }
    let Some(Value::Live(x)) = cx.values.get(first) else {
        return Ok(None);
    };
    let last = x.rank().saturating_sub(1);
    let constant = |k: usize, most: usize| match node.proto.input.get(k).and_then(|name| cx.values.get(name))
    {
        Some(Value::Known(known)) => known.host.shape.len() <= most || known.host.len() == 1,
        Some(Value::Live(_)) => false,
        None => true,
    };
    let along_rows = node.proto.input.first() == Some(first) && x.batch != Some(last);
    let same = |name: &String| match cx.values.get(name) {
        Some(Value::Live(other)) => {
            cx.turns.get(name) == Some(&turns) && other.shape() == x.shape() && other.batch == x.batch
        }
        Some(Value::Known(known)) => {
            known.host.shape.len() <= 1 && (known.host.len() == 1 || x.batch != Some(last))
        }
        None => true,
    };
    let by_row = match op {
        "Gemm" => along_rows && !node.flag("transA", false)? && constant(1, 2) && constant(2, 1),
        "MatMul" => along_rows && constant(1, 2),
        "LayerNormalization" => {
            let axis = node.int("axis", -1)?;
            along_rows && (axis == -1 || axis == last as i64) && constant(1, 1) && constant(2, 1)
        }
        _ if JOINING.contains(&op) => names().all(same),
        _ => SINGLE.contains(&op),
    };
    match by_row {
        true => Ok(Some(turns)),
        false => Err(Trouble::unsupported(format!(
            "`{first}`, in whose rows samples take turns,"
        ))),
    }
}
