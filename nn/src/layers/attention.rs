//! Multi-head self-attention.

use graph::ops::{Axis, MatMul, Softmax, Transpose};
use graph::{GraphError, Init, Scope, Symbol};

use super::{Dense, Slice, axes, named};
use crate::{Distribution, Fans, Initialiser};

/// Each row of a sequence asks all rows (Vaswani et al., *Attention is all you need*, 2017):
/// for each head, softmax(QKᵀ/√d)·V with d = D/heads, then the heads side by side through a dense layer.
///
/// x `[N, T, D]`, y `[N, T, D]`. Q, K and V are x·W + b with one weight `in_proj_weight` `[D, 3·D]` and
/// bias `in_proj_bias` `[3·D]`, Q's columns first; behind them `out_proj.weight` `[D, D]` and
/// `out_proj.bias` `[D]`. The names are PyTorch's.
///
/// ```
/// use graticule_nn::prelude::*;
/// let words = Symbol::input("words", [10, 64]);
/// assert_eq!(MultiHeadAttention::new(4).on(&words)?.shape()[..], [1, 10, 64]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MultiHeadAttention {
    heads: usize,
    name: Option<String>,
}

named!(MultiHeadAttention);

impl MultiHeadAttention {
    /// With this many heads.
    pub fn new(heads: usize) -> Self {
        Self { heads, name: None }
    }

    /// The layer's output for the sequence `x`.
    ///
    /// # Errors
    /// When `x` is no sequence `[N, T, D]`, or the heads do not divide D.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let kind = "multi_head_attention";
        let _scope = Scope::enter(kind, self.name.as_deref());
        let [_, length, width] = axes(kind, x, "a sequence [N, T, D]")?;
        if self.heads == 0 || !width.is_multiple_of(self.heads) {
            let message = format!("{} heads do not divide {width} features", self.heads);
            return Err(GraphError::shape(kind, message));
        }
        let joint = joint_projection(x, length, width)?;
        let part = |k: usize| self.split(&Slice::new(2, k * width..(k + 1) * width).on(&joint)?);
        let scale = ((width / self.heads) as f32).sqrt().recip();
        let (query, key, value) = (part(0)?.affine(scale, 0.0)?, part(1)?, part(2)?);
        let against = MatMul {
            transpose_b: true,
            ..MatMul::default()
        };
        let scores = Symbol::apply(against, &[&query, &key])?;
        let mixed = Symbol::apply(Softmax {}, &[&scores])?.matmul(&value)?;
        let back = Transpose {
            order: vec![0, 2, 1, 3],
        };
        let joined =
            Symbol::apply(back, &[&mixed])?.reshape(&[Axis::Keep(0), Axis::Keep(1), Axis::Length(width)])?;
        Dense::new(width).name("out_proj").on(&joined)
    }

    /// `[N, T, D]` to `[N, heads, T, D/heads]`.
    fn split(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let heads = x.reshape(&[Axis::Keep(0), Axis::Keep(1), Axis::Length(self.heads), Axis::Rest])?;
        let order = vec![0, 2, 1, 3];
        Symbol::apply(Transpose { order }, &[&heads])
    }
}

/// Queries, keys and values side by side: `[N, T, D]` to `[N, T, 3·D]`.
fn joint_projection(x: &Symbol, length: usize, width: usize) -> Result<Symbol, GraphError> {
    let fans = Fans {
        fan_in: width,
        fan_out: 3 * width,
    };
    let init = Initialiser::Glorot(Distribution::Uniform).resolve(fans);
    let weight = Symbol::parameter("in_proj_weight", [width, 3 * width], init);
    let bias = Symbol::parameter("in_proj_bias", [3 * width], Init::Constant(0.0));
    let rows = x.reshape(&[Axis::Rest, Axis::Keep(2)])?;
    let y = rows.matmul(&weight)?.add(&bias)?;
    y.reshape(&[Axis::Rest, Axis::Length(length), Axis::Keep(1)])
}
