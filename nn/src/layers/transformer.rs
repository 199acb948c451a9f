//! The transformer's encoder block, and places for its tokens (curriculum row L37).

use graph::{GraphError, Init, Scope, Symbol};

use super::{Add, Dense, Dropout, LayerNorm, MultiHeadAttention, axes, named};
use crate::Activation;

/// Self-attention, then two dense layers, each with a shortcut around it and a layer norm (Vaswani et al.,
/// *Attention is all you need*, 2017).
///
/// The norm stands behind each sum, as first published: y = norm(x + attention(x)), then
/// norm(y + dense(g(dense(y)))); with [`TransformerEncoder::pre_norm`] before each part instead:
/// y = x + attention(norm(x)), then y + dense(g(dense(norm(y)))), which trains deeper stacks.
/// x and y are `[N, T, D]`. Parameters carry the names of PyTorch's `TransformerEncoderLayer`.
///
/// ```
/// use graticule_nn::prelude::*;
/// let words = Symbol::input("words", [10, 64]);
/// let x = PositionalEncoding::new().on(&words)?;
/// let y = TransformerEncoder::new(4).hidden(128).causal().on(&x)?;
/// assert_eq!(y.shape()[..], [1, 10, 64]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TransformerEncoder {
    heads: usize,
    hidden: Option<usize>,
    activation: Activation,
    dropout: f32,
    pre_norm: bool,
    causal: bool,
    name: Option<String>,
}

/// Numbers that tell a token's place, added to x `[N, T, D]`: sin(t/10000^(2i/D)) in column 2i and the cosine
/// of the same in column 2i + 1 (Vaswani et al. 2017), or with [`PositionalEncoding::learned`] a parameter
/// `weight` `[T, D]`.
///
/// ```
/// use graticule_nn::prelude::*;
/// let words = Symbol::input("words", [10, 64]);
/// assert_eq!(PositionalEncoding::new().on(&words)?.shape()[..], [1, 10, 64]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PositionalEncoding {
    learned: bool,
    name: Option<String>,
}

named!(TransformerEncoder, PositionalEncoding);

impl TransformerEncoder {
    /// With this many heads, 4·D numbers between the dense layers, ReLU, no dropout, norms behind the sums.
    pub fn new(heads: usize) -> Self {
        Self {
            heads,
            hidden: None,
            activation: Activation::Relu,
            dropout: 0.0,
            pre_norm: false,
            causal: false,
            name: None,
        }
    }

    /// The numbers between the two dense layers.
    pub fn hidden(mut self, hidden: usize) -> Self {
        self.hidden = Some(hidden);
        self
    }

    /// The nonlinearity g between the two dense layers.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Drops numbers of both parts' results, and between the dense layers, with this probability.
    pub fn dropout(mut self, rate: f32) -> Self {
        self.dropout = rate;
        self
    }

    /// Normalises what each part reads, not the sums.
    pub fn pre_norm(mut self) -> Self {
        self.pre_norm = true;
        self
    }

    /// A token sees itself and those before it only.
    pub fn causal(mut self) -> Self {
        self.causal = true;
        self
    }

    /// The block's output for the sequence `x`.
    ///
    /// # Errors
    /// As [`MultiHeadAttention::on`].
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        self.build(x, None)
    }

    /// The same, blind to tokens where `present` `[N, T]` is 0; it is 1 elsewhere.
    ///
    /// # Errors
    /// As [`MultiHeadAttention::on_masked`].
    pub fn on_masked(&self, x: &Symbol, present: &Symbol) -> Result<Symbol, GraphError> {
        self.build(x, Some(present))
    }

    fn build(&self, x: &Symbol, present: Option<&Symbol>) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("transformer_encoder", self.name.as_deref());
        let mut attention = MultiHeadAttention::new(self.heads).name("self_attn");
        if self.causal {
            attention = attention.causal();
        }
        let y = self.part(x, "norm1", |x| match present {
            Some(present) => attention.on_masked(x, present),
            None => attention.on(x),
        })?;
        self.part(&y, "norm2", |x| self.dense_pair(x))
    }

    /// x + part(norm(x)), or norm(x + part(x)).
    fn part(
        &self,
        x: &Symbol,
        norm: &str,
        part: impl Fn(&Symbol) -> Result<Symbol, GraphError>,
    ) -> Result<Symbol, GraphError> {
        let norm = LayerNorm::new().name(norm);
        match self.pre_norm {
            true => Add.on(&[x, &self.drop(&part(&norm.on(x)?)?)?]),
            false => norm.on(&Add.on(&[x, &self.drop(&part(x)?)?])?),
        }
    }

    fn dense_pair(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let width = x.shape().last_axis();
        let wide = Dense::new(self.hidden.unwrap_or(4 * width)).activation(self.activation);
        let y = self.drop(&wide.name("linear1").on(x)?)?;
        Dense::new(width).name("linear2").on(&y)
    }

    fn drop(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        match self.dropout == 0.0 {
            true => Ok(x.clone()),
            false => Dropout::new(self.dropout).on(x),
        }
    }
}

impl PositionalEncoding {
    /// Sines and cosines.
    pub fn new() -> Self {
        Self::default()
    }

    /// Numbers that training finds, Gaussian with deviation 0.02 at first.
    pub fn learned(mut self) -> Self {
        self.learned = true;
        self
    }

    /// `x` with its places.
    ///
    /// # Errors
    /// When `x` is no sequence `[N, T, D]`.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let kind = "positional_encoding";
        let _scope = Scope::enter(kind, self.name.as_deref());
        let [_, length, width] = axes(kind, x, "a sequence [N, T, D]")?;
        x.add(&match self.learned {
            true => Symbol::parameter("weight", [length, width], Init::Normal(0.02)),
            false => Symbol::constants(sines(length, width), [length, width]),
        })
    }
}

fn sines(length: usize, width: usize) -> Vec<f32> {
    let place = |k: usize| {
        let (t, column) = ((k / width) as f64, k % width);
        let angle = t * 10_000f64.powf(-((column - column % 2) as f64) / width as f64);
        if column % 2 == 0 { angle.sin() } else { angle.cos() }
    };
    (0..length * width).map(|k| place(k) as f32).collect()
}
