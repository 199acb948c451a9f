//! Matrix product.

use ndarray::{ArrayD, Ix3, IxDyn};
use serde::{Deserialize, Serialize};

use super::{Cost, Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// `op(A) · op(B)` with A `[.., M, K]` and B `[.., K, N]` (or transposed as stored); leading axes must be equal.
///
/// A dense layer is `[N, in] · [in, out]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MatMul {
    /// A is stored `[.., K, M]`.
    pub transpose_a: bool,
    /// B is stored `[.., N, K]`.
    pub transpose_b: bool,
}

/// The sizes of one product: `[groups, m, k] · [groups, k, n]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatMulSizes {
    /// Number of independent products.
    pub groups: usize,
    /// Rows of the result.
    pub m: usize,
    /// Length of the contraction.
    pub k: usize,
    /// Columns of the result.
    pub n: usize,
}

impl MatMul {
    /// The sizes for these operands.
    ///
    /// # Errors
    /// When the contraction lengths or leading axes differ.
    pub fn sizes(&self, a: &Shape, b: &Shape) -> Result<MatMulSizes, GraphError> {
        if a.rank() < 2 || a.rank() != b.rank() || a[..a.rank() - 2] != b[..b.rank() - 2] {
            let message =
                format!("needs two tensors of at least two axes with equal leading axes, found {a} and {b}");
            return Err(GraphError::shape("matmul", message));
        }
        let (a0, a1) = (a[a.rank() - 2], a[a.rank() - 1]);
        let (b0, b1) = (b[b.rank() - 2], b[b.rank() - 1]);
        let (m, k) = if self.transpose_a { (a1, a0) } else { (a0, a1) };
        let (k_b, n) = if self.transpose_b { (b1, b0) } else { (b0, b1) };
        if k != k_b {
            let message = format!("inner lengths differ: {m}×{k} times {k_b}×{n} (operands {a} and {b})");
            return Err(GraphError::shape("matmul", message));
        }
        Ok(MatMulSizes {
            groups: a[..a.rank() - 2].iter().product(),
            m,
            k,
            n,
        })
    }
}

impl Operation for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [a, b] = operands(self.name(), inputs)?;
        let sizes = self.sizes(a, b)?;
        let mut axes = a[..a.rank() - 2].to_vec();
        axes.extend([sizes.m, sizes.n]);
        Ok(axes.into())
    }

    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let (a, b) = (&node.inputs()[0], &node.inputs()[1]);
        let product = |ta, tb, x: &Symbol, y: &Symbol| {
            Symbol::apply(
                MatMul {
                    transpose_a: ta,
                    transpose_b: tb,
                },
                &[x, y],
            )
        };
        let (ta, tb) = (self.transpose_a, self.transpose_b);
        let result = match (input, ta, tb) {
            (0, false, _) => product(false, !tb, g, b)?,
            (0, true, _) => product(tb, true, b, g)?,
            (_, _, false) => product(!ta, false, a, g)?,
            (_, _, true) => product(true, ta, g, a)?,
        };
        Ok(Some(result))
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let cube = |x: &ArrayD<f64>| {
            let s = x.shape();
            let (r, c) = (s[s.len() - 2], s[s.len() - 1]);
            let groups = x.len() / (r * c).max(1);
            x.clone()
                .into_shape_with_order((groups, r, c))
                .unwrap_or_default()
        };
        let (a, b) = (cube(inputs[0]), cube(inputs[1]));
        let mut result =
            ndarray::Array::<f64, Ix3>::zeros((a.shape()[0], output[output.rank() - 2], output.last_axis()));
        for (g, mut out) in result.outer_iter_mut().enumerate() {
            let (x, y) = (
                a.index_axis(ndarray::Axis(0), g),
                b.index_axis(ndarray::Axis(0), g),
            );
            let x = if self.transpose_a { x.reversed_axes() } else { x };
            let y = if self.transpose_b { y.reversed_axes() } else { y };
            out.assign(&x.dot(&y));
        }
        result.into_shape_with_order(IxDyn(output)).unwrap_or_default()
    }

    fn cost(&self, inputs: &[&Shape], output: &Shape) -> Cost {
        let k = match self.sizes(inputs[0], inputs[1]) {
            Ok(sizes) => sizes.k,
            Err(_) => 0,
        };
        Cost::macs(output.elements() * k)
    }
}
