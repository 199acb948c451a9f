//! Sums, means, extremes and norms over axes.

use graph::ops::{ArgMax, ReduceKind as R, UnaryKind as U};
use graph::{GraphError, Symbol};

use super::super::fold::list;
use super::super::importer::{Importer, Value};
use super::super::live::{Live, identity};
use super::super::node::{Node, axes};
use super::super::{DataType, Trouble};
use super::Rule;

pub const RULES: &[(&str, Rule)] = &[
    ("ReduceSum", |cx, node| {
        reduced(cx, node, |x, over| x.reduce(R::Sum, over))
    }),
    ("ReduceMean", |cx, node| {
        reduced(cx, node, |x, over| x.reduce(R::Mean, over))
    }),
    ("ReduceMax", |cx, node| {
        reduced(cx, node, |x, over| x.reduce(R::Max, over))
    }),
    ("ReduceMin", |cx, node| {
        reduced(cx, node, |x, over| x.neg()?.reduce(R::Max, over)?.neg())
    }),
    ("ReduceL1", |cx, node| {
        reduced(cx, node, |x, over| x.unary(U::Abs)?.reduce(R::Sum, over))
    }),
    ("ReduceL2", |cx, node| {
        reduced(cx, node, |x, over| {
            x.unary(U::Square)?.reduce(R::Sum, over)?.unary(U::Sqrt)
        })
    }),
    ("ReduceSumSquare", |cx, node| {
        reduced(cx, node, |x, over| x.unary(U::Square)?.reduce(R::Sum, over))
    }),
    ("ReduceLogSum", |cx, node| {
        reduced(cx, node, |x, over| x.reduce(R::Sum, over)?.unary(U::Log))
    }),
    ("ReduceLogSumExp", |cx, node| reduced(cx, node, log_sum_exp)),
    ("ReduceProd", |cx, node| reduced(cx, node, product)),
    ("ArgMax", |cx, node| extreme(cx, node, false)),
    ("ArgMin", |cx, node| extreme(cx, node, true)),
    ("CumSum", cumulative),
];

fn log_sum_exp(x: &Symbol, over: &[usize]) -> Result<Symbol, GraphError> {
    let most = x.reduce(R::Max, over)?;
    let sum = x.sub(&most)?.unary(U::Exp)?.reduce(R::Sum, over)?;
    sum.unary(U::Log)?.add(&most)
}

/// The product of slices, one axis after another.
fn product(x: &Symbol, over: &[usize]) -> Result<Symbol, GraphError> {
    const MOST: usize = 1024;
    let mut y = x.clone();
    for &axis in over {
        let length = x.shape()[axis];
        if length > MOST {
            let message = format!("a product over {length} elements, more than {MOST} are not multiplied");
            return Err(GraphError::shape("reduce_prod", message));
        }
        let part = |at| {
            Symbol::apply(
                graph::ops::Slice {
                    axis,
                    start: at,
                    length: 1,
                    step: 1,
                },
                &[&y],
            )
        };
        let mut all = part(0)?;
        for at in 1..length {
            all = all.mul(&part(at)?)?;
        }
        y = all;
    }
    Ok(y)
}

fn reduced(
    cx: &mut Importer,
    node: &Node,
    rule: impl FnOnce(&Symbol, &[usize]) -> Result<Symbol, GraphError>,
) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let listed = match cx.known_if(node, 1)? {
        Some(host) => list(&host),
        None => node.ints("axes").unwrap_or_default().to_vec(),
    };
    if listed.is_empty() && node.flag("noop_with_empty_axes", false)? {
        // The function before and behind the sum is still applied.
        return Ok(vec![
            x.with(rule(&x.symbol.reshape(&wrapped(&x))?, &[x.rank()])?.reshape(&plain(&x))?)
                .into(),
        ]);
    }
    let over = if listed.is_empty() {
        identity(x.rank())
    } else {
        axes(&listed, x.rank())?
    };
    if x.batch.is_some_and(|b| over.contains(&b)) {
        return Err(Trouble::unsupported("a reduction over the batch"));
    }
    if over.is_empty() {
        return Ok(vec![
            x.with(rule(&x.symbol.reshape(&wrapped(&x))?, &[0])?.reshape(&[])?)
                .into(),
        ]);
    }
    let places: Vec<usize> = over.iter().map(|&a| x.place(a)).collect();
    let y = x.with(rule(&x.symbol, &places)?);
    Ok(vec![match node.flag("keepdims", true)? {
        true => y.into(),
        false => y.squeezed(&over)?.into(),
    }])
}

/// One more axis, of length 1.
fn wrapped(x: &Live) -> Vec<graph::ops::Axis> {
    let mut axes = plain(x);
    axes.push(graph::ops::Axis::Length(1));
    axes
}

fn plain(x: &Live) -> Vec<graph::ops::Axis> {
    (0..x.rank()).map(graph::ops::Axis::Keep).collect()
}

fn extreme(cx: &mut Importer, node: &Node, smallest: bool) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let at = node.axis("axis", 0, x.rank())?;
    if x.batch == Some(at) {
        return Err(Trouble::unsupported("a place within the batch"));
    }
    let of = if smallest {
        x.symbol.neg()?
    } else {
        x.symbol.clone()
    };
    let op = ArgMax {
        axis: x.place(at),
        last: node.flag("select_last_index", false)?,
    };
    let y = x.with(Symbol::apply(op, &[&of])?).of_kind(DataType::Int64);
    Ok(vec![match node.flag("keepdims", true)? {
        true => y.into(),
        false => y.squeezed(&[at])?.into(),
    }])
}

/// Sums of everything before (and with) each element: a product with a triangle of ones.
fn cumulative(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let at = super::super::fold::axis_of(&cx.known(node, 1)?, x.rank())?;
    if x.batch == Some(at) {
        return Err(Trouble::unsupported("a sum over the batch"));
    }
    let (exclusive, reverse) = (node.flag("exclusive", false)?, node.flag("reverse", false)?);
    let length = x.shape()[at];
    let takes = |from: usize, to: usize| {
        let (from, to) = if reverse { (to, from) } else { (from, to) };
        f32::from(from < to || (from == to && !exclusive))
    };
    cx.spend(&[length, length])?;
    let ones = (0..length * length)
        .map(|i| takes(i / length, i % length))
        .collect();
    let triangle = cx.constant(&super::super::Host::floats(ones, &[length, length]))?;
    Ok(vec![along(&x, at, &triangle.symbol)?.into()])
}

/// The product with a matrix `[length, new length]` along one axis.
pub fn along(x: &Live, at: usize, matrix: &Symbol) -> Result<Live, Trouble> {
    let x = x.with_last(at)?;
    let shape = x.symbol.shape().clone();
    let flat = x.symbol.reshape(&[
        graph::ops::Axis::Rest,
        graph::ops::Axis::Length(shape.last_axis()),
    ])?;
    let y = flat.matmul(matrix)?;
    let mut axes: Vec<graph::ops::Axis> = shape.iter().map(|&l| graph::ops::Axis::Length(l)).collect();
    axes[shape.rank() - 1] = graph::ops::Axis::Length(matrix.shape().last_axis());
    if let Some(batch) = x.batch {
        axes[x.place(batch)] = graph::ops::Axis::Rest;
    }
    Ok(x.with(y.reshape(&axes)?))
}
