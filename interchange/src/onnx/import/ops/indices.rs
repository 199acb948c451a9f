//! Elements by their indices.

use graph::Symbol;
use graph::ops::{Axis, Gather, Select, Take};

use super::super::fold::list;
use super::super::importer::{Importer, Value, bounded};
use super::super::live::{Live, identity};
use super::super::node::{Node, axis};
use super::super::{DataType, Host, Trouble};
use super::Rule;
use super::binary::equal;
use crate::onnx::host::{places, strides};

pub const RULES: &[(&str, Rule)] = &[
    ("Gather", gather),
    ("GatherElements", gather_elements),
    ("GatherND", gather_nd),
    ("ScatterElements", scatter_elements),
    ("Scatter", scatter_elements),
    ("ScatterND", scatter_nd),
    ("OneHot", one_hot),
    ("Trilu", trilu),
    ("EyeLike", eye_like),
];

/// An index that may count from the end.
fn index(value: i64, length: usize) -> Result<usize, Trouble> {
    axis(value, length).map_err(|_| Trouble::malformed(format!("index {value} is none of {length}")))
}

fn gather(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let (data, indices) = (cx.operand(node, 0)?, cx.operand(node, 1)?);
    let at = node.axis("axis", 0, data.rank())?;
    if indices.host().is_some_and(Host::is_empty) {
        return Err(Trouble::unsupported("no index at all"));
    }
    match (&indices, &data) {
        (Value::Known(known), Value::Live(x)) => Ok(vec![taken(cx, x, at, &known.host)?.into()]),
        _ => looked_up(cx, node, &data, &indices, at),
    }
}

/// Slices at known places.
fn taken(cx: &mut Importer, x: &Live, at: usize, indices: &Host) -> Result<Live, Trouble> {
    let (shape, length) = (x.shape(), x.shape()[at]);
    if x.batch == Some(at) {
        return Err(Trouble::unsupported("choosing among the samples of the batch"));
    }
    let list: Vec<usize> = list(indices)
        .iter()
        .map(|&i| index(i, length))
        .collect::<Result<_, _>>()?;
    let place = x.place(at);
    let y = match list[..] {
        [only] => super::shapes::cut(&x.symbol, place, only, 1, 1)?,
        _ => {
            let places = cx.places(list.iter().map(|&i| i as f32).collect())?;
            Symbol::apply(Take { axis: place }, &[&x.symbol, &places])?
        }
    };
    let y = x.with(y);
    if indices.shape.len() == 1 {
        return Ok(y);
    }
    if indices.shape.is_empty() {
        return y.squeezed(&[at]);
    }
    let wide = [&shape[..at], &indices.shape, &shape[at + 1..]].concat();
    bounded(&wide)?;
    y.reshaped(&wide)
}

/// Rows of a table at places that are computed: an embedding.
fn looked_up(
    cx: &mut Importer,
    node: &Node,
    data: &Value,
    indices: &Value,
    at: usize,
) -> Result<Vec<Value>, Trouble> {
    let shape = data.shape();
    let mut order = identity(data.rank());
    order.remove(at);
    order.insert(0, at);
    let table = cx.weight(data, &order, "weight", true)?;
    if table.batch.is_some() {
        return Err(Trouble::NeedsNumbers {
            operand: node.proto.input[1].clone(),
        });
    }
    let rest = [&shape[..at], &shape[at + 1..]].concat();
    let width: usize = rest.iter().product();
    let places = cx.run(indices)?;
    let below = Symbol::constant(0.0, []).at_least(&places.symbol.affine(1.0, 1.0)?)?;
    let places = places.with(places.symbol.add(&below.affine(shape[at] as f32, 0.0)?)?);
    let flat = table
        .symbol
        .reshape(&[Axis::Length(shape[at]), Axis::Length(width)])?;
    let rows = Symbol::apply(Gather {}, &[&places.symbol, &flat])?;
    // [indices, rest] is held in the order of the indices; rest goes where the axis was.
    let mut held = places.order.clone();
    held.push(places.rank());
    let y = Live {
        symbol: rows,
        order: held,
        batch: places.batch,
        kind: data.kind(),
    };
    let wide = [&places.shape()[..], &rest].concat();
    let y = if rest.len() == 1 { y } else { y.reshaped(&wide)? };
    let n = places.rank();
    let order: Vec<usize> = (n..n + at).chain(0..n).chain(n + at..n + rest.len()).collect();
    Ok(vec![y.transposed(&order).into()])
}

/// The elements at these places (row-major) of tensors without a batch, under a new shape.
fn picked(cx: &mut Importer, of: &[&Live], places: Vec<usize>, shape: &[usize]) -> Result<Live, Trouble> {
    if of.iter().any(|x| x.batch.is_some()) {
        return Err(Trouble::unsupported(
            "indices into samples of a batch, each by itself,",
        ));
    }
    bounded(shape)?;
    let flat: Vec<Symbol> = of
        .iter()
        .map(|x| Ok(x.in_order()?.symbol.reshape(&[Axis::Rest])?))
        .collect::<Result<_, Trouble>>()?;
    let all = match &flat[..] {
        [one] => one.clone(),
        _ => Symbol::concat(&flat.iter().collect::<Vec<_>>(), 0)?,
    };
    let count = places.len();
    let places = cx.constant(&Host::floats(
        places.iter().map(|&p| p as f32).collect(),
        &[count],
    ))?;
    let y = Symbol::apply(Take { axis: 0 }, &[&all, &places.symbol])?;
    let axes: Vec<Axis> = shape.iter().map(|&l| Axis::Length(l)).collect();
    Ok(Live::plain(y.reshape(&axes)?, of[0].kind))
}

fn gather_elements(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let (x, indices) = (cx.live(node, 0)?, cx.known(node, 1)?);
    let at = node.axis("axis", 0, x.rank())?;
    let places = along(&x.shape(), &indices, at)?;
    Ok(vec![picked(cx, &[&x], places, &indices.shape)?.into()])
}

/// For each index, the place in a tensor of `shape` that it means: its own, with `at` replaced.
fn along(shape: &[usize], indices: &Host, at: usize) -> Result<Vec<usize>, Trouble> {
    let fits = indices.shape.len() == shape.len()
        && (0..shape.len()).all(|a| a == at || indices.shape[a] <= shape[a]);
    if !fits {
        return Err(Trouble::malformed(format!(
            "indices of shape {:?} into {shape:?} along axis {at}",
            indices.shape
        )));
    }
    let own = strides(shape);
    let mut steps = own.clone();
    steps[at] = 0;
    let bases = places(&indices.shape, &steps);
    bases
        .zip(list(indices))
        .map(|(base, i)| Ok(base + index(i, shape[at])? * own[at]))
        .collect()
}

/// The first elements that index tuples (the last axis) point at, and the number of elements behind each.
fn tuples(shape: &[usize], indices: &Host, from: usize) -> Result<(Vec<usize>, usize), Trouble> {
    let width = indices
        .shape
        .last()
        .copied()
        .filter(|w| *w > 0 && from + w <= shape.len());
    let width = width
        .ok_or_else(|| Trouble::malformed(format!("indices of shape {:?} into {shape:?}", indices.shape)))?;
    let own = strides(shape);
    let behind = shape[from + width..].iter().product();
    let first = |tuple: &[i64]| {
        tuple.iter().enumerate().try_fold(0, |at, (k, &i)| {
            Ok(at + index(i, shape[from + k])? * own[from + k])
        })
    };
    let starts = list(indices)
        .chunks(width)
        .map(first)
        .collect::<Result<_, Trouble>>()?;
    Ok((starts, behind))
}

fn gather_nd(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let (x, indices) = (cx.live(node, 0)?, cx.known(node, 1)?);
    let lead = super::super::node::size("batch_dims", node.int("batch_dims", 0)?)?;
    let shape = x.shape();
    if lead >= shape.len() || indices.shape.len() <= lead || indices.shape[..lead] != shape[..lead] {
        return Err(Trouble::malformed(format!(
            "indices of shape {:?} into {shape:?} below {lead} axes",
            indices.shape
        )));
    }
    let (starts, behind) = tuples(&shape, &indices, lead)?;
    let groups: usize = shape[..lead].iter().product();
    let (each, stride) = (
        starts.len() / groups.max(1),
        shape[lead..].iter().product::<usize>(),
    );
    let wide = [
        &indices.shape[..indices.shape.len() - 1],
        &shape[lead + indices.shape.last().copied().unwrap_or(0)..],
    ]
    .concat();
    bounded(&wide)?;
    let from = |(k, &start): (usize, &usize)| {
        let base = k / each.max(1) * stride + start;
        base..base + behind
    };
    let all: Vec<usize> = starts.iter().enumerate().flat_map(from).collect();
    Ok(vec![picked(cx, &[&x], all, &wide)?.into()])
}

/// What is written over what: places of the data, and elements of the updates that come to stand there.
fn written(cx: &mut Importer, node: &Node, at: impl Iterator<Item = usize>) -> Result<Vec<Value>, Trouble> {
    if node.text("reduction", "none")? != "none" {
        return Err(Trouble::unsupported("adding up (or comparing) what is scattered"));
    }
    let (x, updates) = (cx.live(node, 0)?, cx.live(node, 2)?);
    let shape = x.shape();
    let count: usize = shape.iter().product();
    let mut all: Vec<usize> = (0..count).collect();
    for (k, place) in at.enumerate() {
        if let Some(to) = all.get_mut(place) {
            *to = count + k;
        }
    }
    Ok(vec![picked(cx, &[&x, &updates], all, &shape)?.into()])
}

fn scatter_elements(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let (shape, indices) = (cx.operand(node, 0)?.shape(), cx.known(node, 1)?);
    let at = node.axis("axis", 0, shape.len())?;
    let places = along(&shape, &indices, at)?;
    written(cx, node, places.into_iter())
}

fn scatter_nd(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let (shape, indices) = (cx.operand(node, 0)?.shape(), cx.known(node, 1)?);
    let (starts, behind) = tuples(&shape, &indices, 0)?;
    written(cx, node, starts.into_iter().flat_map(|s| s..s + behind))
}

fn one_hot(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let depth = super::super::node::size("depth", cx.known(node, 1)?.to_i64().first().copied().unwrap_or(0))?;
    let values = cx.operand(node, 2)?;
    let at = axis(node.int("axis", -1)?, x.rank() + 1)?;
    let wide = x.unsqueezed(&[at])?;
    let mut shape = wide.shape();
    shape[at] = depth;
    bounded(&shape)?;
    // Negative indices count from the end.
    let below = Symbol::constant(0.0, []).at_least(&wide.symbol.affine(1.0, 1.0)?)?;
    let index = wide.symbol.add(&below.affine(depth as f32, 0.0)?)?;
    let mut along = vec![1; wide.rank()];
    along[wide.place(at)] = depth;
    let hot = equal(
        &index,
        &Symbol::constants((0..depth).map(|i| i as f32).collect(), along),
    )?;
    let pair = cx.run(&values)?.symbol;
    let (off, on) = (
        super::shapes::cut(&pair, 0, 0, 1, 1)?,
        super::shapes::cut(&pair, 0, 1, 1, 1)?,
    );
    let y = Symbol::apply(Select {}, &[&hot, &on, &off])?;
    Ok(vec![wide.with(y).of_kind(values.kind()).into()])
}

fn trilu(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?.in_order()?;
    let shape = x.shape();
    let &[.., rows, columns] = &shape[..] else {
        return Err(Trouble::malformed("needs two axes"));
    };
    let k = cx
        .known_if(node, 1)?
        .and_then(|k| k.to_i64().first().copied())
        .unwrap_or(0);
    let upper = node.flag("upper", true)?;
    let kept = |i: usize| {
        let (row, column) = ((i / columns) as i64, (i % columns) as i64);
        let side = (column - row).cmp(&k);
        f32::from(if upper { side.is_ge() } else { side.is_le() })
    };
    cx.spend(&[rows, columns])?;
    let mask = cx.constant(&Host::floats(
        (0..rows * columns).map(kept).collect(),
        &[rows, columns],
    ))?;
    let y = Symbol::apply(Select {}, &[&mask.symbol, &x.symbol, &Symbol::constant(0.0, [])])?;
    Ok(vec![x.with(y).into()])
}

fn eye_like(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.operand(node, 0)?;
    let shape = x.shape();
    let &[rows, columns] = &shape[..] else {
        return Err(Trouble::malformed(format!("takes a matrix, found {shape:?}")));
    };
    cx.spend(&shape)?;
    let k = node.int("k", 0)?;
    let one = |i: usize| i64::from((i % columns) as i64 - (i / columns) as i64 == k);
    let eye = Host::whole((0..rows * columns).map(one).collect(), &shape);
    let kind = match node.has("dtype") {
        true => DataType::try_from(node.int("dtype", 1)? as i32).unwrap_or(DataType::Float),
        false => x.kind(),
    };
    Ok(vec![eye.cast(kind).into()])
}
