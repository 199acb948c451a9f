//! One-dimensional convolution.

use graph::ops::Axis;
use graph::{GraphError, Symbol};
use ndarray::{Array2, ArrayView1};

use super::{Conv2d, Padding, axes, named};
use crate::{Activation, Initialiser};

/// y = g(x ⋆ w + b) along a sequence (curriculum row L21): x `[N, L, C]`, weight
/// `[1, K, C/groups, filters]`, bias `[filters]`, y `[N, OL, filters]`.
///
/// ```
/// use graticule_nn::prelude::*;
/// let signal = Symbol::input("signal", [100, 2]);
/// let y = Conv1d::new(4, 5).stride(5).on(&signal)?;
/// assert_eq!(y.shape()[..], [1, 20, 4]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Conv1d {
    conv: Conv2d,
    name: Option<String>,
}

named!(Conv1d);

impl Conv1d {
    /// `filters` kernels of `size` taps.
    pub fn new(filters: usize, size: usize) -> Self {
        Self {
            conv: Conv2d::new(filters, [1, size]),
            name: None,
        }
    }

    /// Positions from one window to the next; 1 unless given.
    pub fn stride(mut self, stride: usize) -> Self {
        self.conv = self.conv.stride([1, stride]);
        self
    }

    /// Distance of neighbouring taps; 1 unless given.
    pub fn dilation(mut self, dilation: usize) -> Self {
        self.conv = self.conv.dilation([1, dilation]);
        self
    }

    /// Channels and filters in this many independent groups.
    pub fn groups(mut self, groups: usize) -> Self {
        self.conv = self.conv.groups(groups);
        self
    }

    /// `Valid` (unless given), `Same`, `Full`, or a number for both ends.
    pub fn padding(mut self, padding: impl Into<Padding>) -> Self {
        self.conv = self.conv.padding(padding.into().of_sequence());
        self
    }

    /// Leaves positions unread that the last window does not reach, instead of refusing.
    pub fn round_down(mut self) -> Self {
        self.conv = self.conv.round_down();
        self
    }

    /// The nonlinearity g.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.conv = self.conv.activation(activation);
        self
    }

    /// Leaves b out.
    pub fn no_bias(mut self) -> Self {
        self.conv = self.conv.no_bias();
        self
    }

    /// How the weights are filled; [`Initialiser::before`] the activation unless given.
    pub fn init(mut self, init: Initialiser) -> Self {
        self.conv = self.conv.init(init);
        self
    }

    /// The layer's output for the sequence `x`.
    ///
    /// # Errors
    /// As [`Conv2d::on`].
    pub fn on(&self, x: &Symbol) -> Result<Symbol, GraphError> {
        axes::<3>("conv1d", x, "a sequence [N, L, C]")?;
        let mut conv = self.conv.clone();
        if let Some(name) = &self.name {
            conv = conv.name(name);
        }
        let row = x.reshape(&[Axis::Keep(0), Axis::Length(1), Axis::Keep(1), Axis::Keep(2)])?;
        let y = conv.in_scope("conv1d", &row)?;
        y.reshape(&[Axis::Keep(0), Axis::Keep(2), Axis::Keep(3)])
    }
}

/// The matrix `[length − K + 1, length]` whose product with a signal is its valid convolution with
/// `kernel` `[K]`: the kernel along the diagonal, zeros elsewhere (row L21). Empty if the kernel is
/// longer than the signal.
pub fn banded_matrix(kernel: ArrayView1<f64>, length: usize) -> Array2<f64> {
    let rows = (length + 1).saturating_sub(kernel.len());
    Array2::from_shape_fn((rows, length), |(row, column)| {
        column
            .checked_sub(row)
            .and_then(|tap| kernel.get(tap))
            .copied()
            .unwrap_or(0.0)
    })
}
