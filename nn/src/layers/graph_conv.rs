//! Graph convolution (curriculum row L37).

use graph::ops::{Axis, MatMul, Op, ReduceKind, Transpose, UnaryKind};
use graph::{GraphError, Scope, Symbol};

use super::{add_bias, axes, named, weighted};
use crate::{Activation, Fans, Initialiser};

/// y = g(D^−½·(A + I)·D^−½·x·W + b) (Kipf & Welling, *Semi-supervised classification with graph convolutional
/// networks*, 2017): each vertex takes from its neighbours and itself. D has the row sums of A + I.
///
/// x `[N, V, features]`, y `[N, V, units]`, W `[features, units]`, b `[units]`. The adjacency A, of weights
/// that are not negative, is either one for all samples, `[V, V]`, or an input with one for each, `[N, V, V]`.
///
/// ```
/// use graticule_nn::prelude::*;
/// let x = Symbol::input("x", [4, 8]);
/// let ring = adjacency(4, &[(0, 1), (1, 2), (2, 3), (3, 0)])?;
/// let y = GraphConv::new(16).activation(Relu).on(&x, &ring)?;
/// assert_eq!(y.shape()[..], [1, 4, 16]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct GraphConv {
    units: usize,
    activation: Activation,
    bias: bool,
    init: Option<Initialiser>,
    name: Option<String>,
}

named!(GraphConv);
weighted!(GraphConv);

/// The adjacency `[vertices, vertices]` of undirected `edges` of weight 1, as a constant.
///
/// # Errors
/// When an edge leads to a vertex that is not there.
pub fn adjacency(vertices: usize, edges: &[(usize, usize)]) -> Result<Symbol, GraphError> {
    let mut values = vec![0.0; vertices * vertices];
    for &(a, b) in edges {
        if a.max(b) >= vertices {
            let message = format!("edge {a}–{b} leaves a graph of {vertices} vertices");
            return Err(GraphError::shape("adjacency", message));
        }
        values[a * vertices + b] = 1.0;
        values[b * vertices + a] = 1.0;
    }
    Ok(Symbol::constants(values, [vertices, vertices]))
}

impl GraphConv {
    /// With this many numbers for each vertex, a bias and no activation.
    pub fn new(units: usize) -> Self {
        Self {
            units,
            activation: Activation::Linear,
            bias: true,
            init: None,
            name: None,
        }
    }

    /// The layer's output for the vertices `x` of the graph `adjacency`.
    ///
    /// # Errors
    /// When `x` is not `[N, V, features]` or the adjacency is of another number of vertices.
    pub fn on(&self, x: &Symbol, adjacency: &Symbol) -> Result<Symbol, GraphError> {
        let kind = "graph_conv";
        let _scope = Scope::enter(kind, self.name.as_deref());
        let [_, vertices, features] = axes(kind, x, "vertices [N, V, features]")?;
        let shared = match adjacency.shape()[..] {
            [a, b] if [a, b] == [vertices; 2] => true,
            [_, a, b] if [a, b] == [vertices; 2] => false,
            _ => {
                let message = format!(
                    "reads an adjacency [{vertices}, {vertices}] or [N, {vertices}, {vertices}] for {vertices} vertices, found {}",
                    adjacency.shape()
                );
                return Err(GraphError::shape(kind, message));
            }
        };
        let fans = Fans {
            fan_in: features,
            fan_out: self.units,
        };
        let init = self.init.unwrap_or(Initialiser::before(self.activation));
        let weight = Symbol::parameter("weight", [features, self.units], init.resolve(fans));
        let rows = x.reshape(&[Axis::Rest, Axis::Keep(2)])?.matmul(&weight)?;
        let own = rows.reshape(&[Axis::Rest, Axis::Length(vertices), Axis::Keep(1)])?;
        let normalized = normalized(adjacency)?;
        let mut y = match shared {
            true => propagate(&own, &normalized)?,
            false => normalized.matmul(&own)?,
        };
        if self.bias {
            y = add_bias(&y, &[self.units])?;
        }
        self.activation.on(&y)
    }
}

/// Â·x for one Â `[V, V]` and x `[N, V, C]`, with the channels of all samples as rows of one product.
fn propagate(x: &Symbol, adjacency: &Symbol) -> Result<Symbol, GraphError> {
    let (vertices, channels) = (x.shape()[1], x.shape()[2]);
    let order = vec![0, 2, 1];
    let turn = Transpose { order };
    let rows = Symbol::apply(turn.clone(), &[x])?.reshape(&[Axis::Rest, Axis::Length(vertices)])?;
    let against = MatMul {
        transpose_a: false,
        transpose_b: true,
    };
    let mixed = Symbol::apply(against, &[&rows, adjacency])?;
    let mixed = mixed.reshape(&[Axis::Rest, Axis::Length(channels), Axis::Length(vertices)])?;
    Symbol::apply(turn, &[&mixed])
}

/// D^−½·(A + I)·D^−½: once, on the host, if A is a constant; else as nodes of the graph.
fn normalized(adjacency: &Symbol) -> Result<Symbol, GraphError> {
    let vertices = adjacency.shape().last_axis();
    let eye = |k: usize| f32::from(u8::from(k.is_multiple_of(vertices + 1)));
    if let Op::Constant(constant) = adjacency.op() {
        let of = |k: usize| {
            constant
                .values
                .get(k)
                .or(constant.values.first())
                .copied()
                .unwrap_or(0.0)
        };
        let loops: Vec<f32> = (0..vertices * vertices).map(|k| of(k) + eye(k)).collect();
        let roots: Vec<f32> = loops
            .chunks(vertices)
            .map(|row| row.iter().sum::<f32>().sqrt().recip())
            .collect();
        let values = loops
            .iter()
            .enumerate()
            .map(|(k, a)| roots[k / vertices] * a * roots[k % vertices]);
        return Ok(Symbol::constants(values.collect(), [vertices, vertices]));
    }
    let eye = Symbol::constants((0..vertices * vertices).map(eye).collect(), [vertices, vertices]);
    let loops = adjacency.add(&eye)?;
    let rank = adjacency.shape().rank();
    let degrees = loops.reduce(ReduceKind::Sum, &[rank - 1])?;
    let rows = degrees.unary(UnaryKind::Power(-0.5))?;
    // [.., V, 1] as [.., 1, V]: the same numbers.
    let mut across: Vec<Axis> = (0..rank - 2).map(Axis::Keep).collect();
    across.extend([Axis::Length(1), Axis::Length(vertices)]);
    let columns = rows.reshape(&across)?;
    loops.mul(&rows)?.mul(&columns)
}
