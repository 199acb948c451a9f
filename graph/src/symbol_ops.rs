//! The everyday ops as methods of [`Symbol`].

use crate::ops::{
    Affine, Axis, Binary, BinaryKind, BroadcastLike, Concat, MatMul, Reduce, ReduceKind, Reshape, SumLike,
    Target, Unary, UnaryKind,
};
use crate::{GraphError, Symbol};

type Built = Result<Symbol, GraphError>;

macro_rules! binary_methods {
    ($($(#[$doc:meta])* $name:ident => $kind:ident),* $(,)?) => {
        impl Symbol {
            $($(#[$doc])*
            ///
            /// # Errors
            /// When the shapes do not broadcast together.
            pub fn $name(&self, other: &Symbol) -> Built {
                Symbol::apply(Binary { kind: BinaryKind::$kind }, &[self, other])
            })*
        }
    };
}

binary_methods! {
    /// Element-wise sum.
    add => Add,
    /// Element-wise difference.
    sub => Subtract,
    /// Element-wise product.
    mul => Multiply,
    /// Element-wise quotient.
    div => Divide,
    /// The larger of each pair.
    maximum => Maximum,
    /// The smaller of each pair.
    minimum => Minimum,
    /// 1 where this is at least the other, else 0; passes no gradient.
    at_least => AtLeast,
}

impl Symbol {
    /// `kind` applied to each element.
    ///
    /// # Errors
    /// None today; the type leaves room for ops that check.
    pub fn unary(&self, kind: UnaryKind) -> Built {
        Symbol::apply(Unary { kind }, &[self])
    }

    /// `scale · x + shift`.
    ///
    /// # Errors
    /// As [`Symbol::unary`].
    pub fn affine(&self, scale: f32, shift: f32) -> Built {
        Symbol::apply(Affine { scale, shift }, &[self])
    }

    /// −x.
    ///
    /// # Errors
    /// As [`Symbol::unary`].
    pub fn neg(&self) -> Built {
        self.affine(-1.0, 0.0)
    }

    /// Matrix product `[.., M, K] · [.., K, N]`.
    ///
    /// # Errors
    /// When the inner lengths differ.
    pub fn matmul(&self, other: &Symbol) -> Built {
        Symbol::apply(MatMul::default(), &[self, other])
    }

    /// Sum of all elements, shape `[]`.
    ///
    /// # Errors
    /// As [`Symbol::unary`].
    pub fn sum(&self) -> Built {
        self.reduce(ReduceKind::Sum, &[])
    }

    /// Mean of all elements, shape `[]`.
    ///
    /// # Errors
    /// As [`Symbol::unary`].
    pub fn mean(&self) -> Built {
        self.reduce(ReduceKind::Mean, &[])
    }

    /// Reduces over `axes`, which stay with length 1; over everything to shape `[]` if none is named.
    ///
    /// # Errors
    /// When an axis does not exist.
    pub fn reduce(&self, kind: ReduceKind, axes: &[usize]) -> Built {
        Symbol::apply(
            Reduce {
                kind,
                axes: axes.to_vec(),
            },
            &[self],
        )
    }

    /// Repeated to the shape of `like`.
    ///
    /// # Errors
    /// When it does not broadcast to that shape.
    pub fn broadcast_like(&self, like: &Symbol) -> Built {
        Symbol::apply(BroadcastLike { divided: false }, &[self, like])
    }

    /// Summed over broadcast axes to the shape of `like`.
    ///
    /// # Errors
    /// When `like` does not broadcast to this shape.
    pub fn sum_like(&self, like: &Symbol) -> Built {
        Symbol::apply(SumLike {}, &[self, like])
    }

    /// The same elements under another shape.
    ///
    /// # Errors
    /// When the number of elements differs.
    pub fn reshape(&self, axes: &[Axis]) -> Built {
        Symbol::apply(
            Reshape {
                to: Target::Axes(axes.to_vec()),
            },
            &[self],
        )
    }

    /// Joined with others along `axis`.
    ///
    /// # Errors
    /// When other axes differ.
    pub fn concat(parts: &[&Symbol], axis: usize) -> Built {
        Symbol::apply(Concat { axis }, parts)
    }
}
