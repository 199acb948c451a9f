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
    causal: bool,
    name: Option<String>,
}

named!(MultiHeadAttention);

/// A score that softmax makes 0 beside any other, and which f32 can still be added to.
const HOPELESS: f32 = -1e9;

impl MultiHeadAttention {
    /// With this many heads.
    pub fn new(heads: usize) -> Self {
        Self {
            heads,
            causal: false,
            name: None,
        }
    }

    /// A row asks itself and the rows before it only.
    pub fn causal(mut self) -> Self {
        self.causal = true;
        self
    }

    /// The layer's output for the sequence `x`.
    ///
    /// # Errors
    /// When `x` is no sequence `[N, T, D]`, or the heads do not divide D.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        self.build(x, None)
    }

    /// The same, where no row asks one for which `present` `[N, T]` is 0; it is 1 for all others. (If all are
    /// 0, each asks all alike.)
    ///
    /// # Errors
    /// As [`MultiHeadAttention::on`], and when `present` has another length.
    pub fn on_masked(&self, x: &Symbol, present: &Symbol) -> Result<Symbol, GraphError> {
        self.build(x, Some(present))
    }

    fn build(&self, x: &Symbol, present: Option<&Symbol>) -> Result<Symbol, GraphError> {
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
        let scores = self.masked(Symbol::apply(against, &[&query, &key])?, present)?;
        let mixed = Symbol::apply(Softmax {}, &[&scores])?.matmul(&value)?;
        let back = Transpose {
            order: vec![0, 2, 1, 3],
        };
        let joined =
            Symbol::apply(back, &[&mixed])?.reshape(&[Axis::Keep(0), Axis::Keep(1), Axis::Length(width)])?;
        Dense::new(width).name("out_proj").on(&joined)
    }

    /// Scores `[N, heads, T, T]`, hopelessly low where nothing is to be asked.
    fn masked(&self, mut scores: Symbol, present: Option<&Symbol>) -> Result<Symbol, GraphError> {
        let length = scores.shape().last_axis();
        if let Some(present) = present {
            if present.shape().rank() != 2 || present.shape().last_axis() != length {
                let message = format!(
                    "reads which of {length} rows are present, [N, {length}], found {}",
                    present.shape()
                );
                return Err(GraphError::shape("multi_head_attention", message));
            }
            let low = present.affine(-HOPELESS, HOPELESS)?;
            let over = [Axis::Keep(0), Axis::Length(1), Axis::Length(1), Axis::Keep(1)];
            scores = scores.add(&low.reshape(&over)?)?;
        }
        if self.causal {
            let later = |k: usize| if k % length > k / length { HOPELESS } else { 0.0 };
            let low = Symbol::constants((0..length * length).map(later).collect(), [length, length]);
            scores = scores.add(&low)?;
        }
        Ok(scores)
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
