//! The fully connected layer.

use graph::ops::Axis;
use graph::{GraphError, Scope, Symbol};

use super::{add_bias, named, weighted};
use crate::{Activation, Fans, Initialiser};

/// y = g(x·W + b) (curriculum rows L4, L7, L19): x `[N, in]`, weight W `[in, units]`, bias b `[units]`.
///
/// A tensor of more axes, `[N, …, in]`, is taken row by row to `[N, …, units]`; put a
/// [`super::Flatten`] before the layer to join all axes of a sample.
///
/// ```
/// use graticule_nn::prelude::*;
/// let x = Symbol::input("x", [784]);
/// let hidden = Dense::new(256).activation(Relu).name("hidden").on(&x)?;
/// assert_eq!(hidden.shape()[..], [1, 256]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    units: usize,
    activation: Activation,
    bias: bool,
    init: Option<Initialiser>,
    name: Option<String>,
}

named!(Dense);
weighted!(Dense);

impl Dense {
    /// A layer of `units` neurons with a bias and no activation.
    pub fn new(units: usize) -> Self {
        Self {
            units,
            activation: Activation::Linear,
            bias: true,
            init: None,
            name: None,
        }
    }

    /// The layer's output for `x`.
    ///
    /// # Errors
    /// When `x` has no axis of features.
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        let _scope = Scope::enter("dense", self.name.as_deref());
        let shape = x.shape();
        let (features, rank) = (shape.last_axis(), shape.rank());
        if rank < 2 || self.units == 0 {
            let message = format!("needs at least one unit and reads [N, features], found {shape}");
            return Err(GraphError::shape("dense", message));
        }
        let fans = Fans {
            fan_in: features,
            fan_out: self.units,
        };
        let init = self.init.unwrap_or(Initialiser::before(self.activation));
        let w = Symbol::parameter("weight", [features, self.units], init.resolve(fans));
        let mut y = if rank == 2 {
            x.matmul(&w)?
        } else {
            let rows = x.reshape(&[Axis::Rest, Axis::Keep(rank - 1)])?.matmul(&w)?;
            let mut back = vec![Axis::Rest];
            back.extend(shape[1..rank - 1].iter().map(|&length| Axis::Length(length)));
            back.push(Axis::Keep(1));
            rows.reshape(&back)?
        };
        if self.bias {
            y = add_bias(&y, &[self.units])?;
        }
        self.activation.on(&y)
    }
}
