//! Normalisation layers: batch, layer, local response.

use graph::ops::{BatchNorm as BatchOp, LayerNorm as LayerOp, LocalResponseNorm as ResponseOp};
use graph::{GraphError, Init, Scope, Symbol};

use super::named;

/// Batch normalisation over all axes but the last (curriculum row L35; Ioffe & Szegedy 2015):
/// y = γ·(x − μ)/√(σ² + ε) + β with γ, β `[C]`, and μ, σ² of the batch in training. The running
/// mean and variance, which inference uses, are state: they move by `momentum` at each step.
///
/// ```
/// use graticule_nn::prelude::*;
/// let image = Symbol::input("image", [8, 8, 16]);
/// let x = Conv2d::new(32, 3).no_bias().on(&image)?;
/// let y = Relu.on(&BatchNorm::new().on(&x)?)?;
/// assert_eq!(y.shape()[..], [1, 6, 6, 32]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNorm {
    op: BatchOp,
    first_scale: f32,
    name: Option<String>,
}

/// Layer normalisation of each row of the last axis (Ba et al. 2016): γ·(x − μ)/√(σ² + ε) + β with
/// γ, β `[C]`.
///
/// ```
/// use graticule_nn::prelude::*;
/// let x = Symbol::input("x", [10, 64]);
/// assert_eq!(LayerNorm::new().on(&x)?.shape()[..], [1, 10, 64]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    op: LayerOp,
    name: Option<String>,
}

/// Each channel divided by its neighbours' energy (Krizhevsky et al. 2012, AlexNet):
/// y_c = x_c / (k + α/n · Σ x²)^β over the n channels around c.
///
/// ```
/// use graticule_nn::prelude::*;
/// let x = Symbol::input("x", [27, 27, 96]);
/// assert_eq!(LocalResponseNorm::new(5).on(&x)?.shape()[..], [1, 27, 27, 96]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalResponseNorm {
    op: ResponseOp,
}

named!(BatchNorm, LayerNorm);

impl Default for BatchNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchNorm {
    /// ε = 1e-5, momentum 0.1 (the new batch's share), γ = 1 and β = 0 at first.
    pub fn new() -> Self {
        let op = BatchOp {
            epsilon: 1e-5,
            momentum: 0.1,
            frozen: false,
        };
        Self {
            op,
            first_scale: 1.0,
            name: None,
        }
    }

    /// ε, added to the variance.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.op.epsilon = epsilon;
        self
    }

    /// The new batch's share in the running statistics.
    pub fn momentum(mut self, momentum: f32) -> Self {
        self.op.momentum = momentum;
        self
    }

    /// Keeps to the running statistics in training too, for fine-tuning on small batches.
    pub fn frozen(mut self) -> Self {
        self.op.frozen = true;
        self
    }

    /// γ = 0 at first, which makes a residual branch start as nothing (Goyal et al. 2017).
    pub fn zero_scale(mut self) -> Self {
        self.first_scale = 0.0;
        self
    }

    /// The normalised `x`, in its shape.
    ///
    /// # Errors
    /// When `x` has no axis of channels.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("batch_norm", self.name.as_deref());
        let channels = [x.shape().last_axis()];
        let scale = Symbol::parameter("weight", channels, Init::Constant(self.first_scale));
        let shift = Symbol::parameter("bias", channels, Init::Constant(0.0));
        let mean = Symbol::state("running_mean", channels, Init::Constant(0.0));
        let variance = Symbol::state("running_var", channels, Init::Constant(1.0));
        Symbol::apply(self.op, &[x, &scale, &shift, &mean, &variance])
    }
}

impl Default for LayerNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl LayerNorm {
    /// ε = 1e-5, γ = 1 and β = 0 at first.
    pub fn new() -> Self {
        Self {
            op: LayerOp { epsilon: 1e-5 },
            name: None,
        }
    }

    /// ε, added to the variance.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.op.epsilon = epsilon;
        self
    }

    /// The normalised `x`, in its shape.
    ///
    /// # Errors
    /// When `x` has no axis of channels.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("layer_norm", self.name.as_deref());
        let channels = [x.shape().last_axis()];
        let scale = Symbol::parameter("weight", channels, Init::Constant(1.0));
        let shift = Symbol::parameter("bias", channels, Init::Constant(0.0));
        Symbol::apply(self.op, &[x, &scale, &shift])
    }
}

impl LocalResponseNorm {
    /// Over `size` channels with α = 1e-4, β = 0.75, k = 1, as PyTorch.
    pub fn new(size: usize) -> Self {
        let op = ResponseOp {
            size,
            alpha: 1e-4,
            beta: 0.75,
            k: 1.0,
        };
        Self { op }
    }

    /// The weight of the squares, divided by the number of channels.
    pub fn alpha(mut self, alpha: f32) -> Self {
        self.op.alpha = alpha;
        self
    }

    /// The exponent.
    pub fn beta(mut self, beta: f32) -> Self {
        self.op.beta = beta;
        self
    }

    /// The summand; the AlexNet paper has 2.
    pub fn k(mut self, k: f32) -> Self {
        self.op.k = k;
        self
    }

    /// The normalised `x`, in its shape.
    ///
    /// # Errors
    /// When `x` has no axis of channels or the size is 0.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("local_response_norm", None);
        Symbol::apply(self.op, &[x])
    }
}
