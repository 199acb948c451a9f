//! The language of Graticule: shapes, ops, the symbolic graph, gradients, shape errors, cost.
//!
//! A network is a directed acyclic graph of [`Symbol`]s. Shapes are checked as it is built
//! ([`GraphError`] says the formula with its numbers), [`differentiate`] adds the backward nodes,
//! [`lower`] fixes training or inference behaviour, [`Binding`] gives the sizes. How a graph is made
//! to run fast is the engine's concern; here every op has only a plain f64 reference
//! ([`interpret`]).

mod bind;
mod error;
mod fold;
mod gradient;
pub mod interpret;
mod mode;
mod movement;
pub mod ops;
mod scope;
mod shape;
mod symbol;
mod symbol_ops;

pub use bind::Binding;
pub use error::GraphError;
pub use fold::fold_scales;
pub use gradient::{GradientRule, differentiate, differentiate_by};
pub use mode::{Lowered, Mode, lower, lower_each, replace};
pub use movement::Movement;
pub use ops::{Cost, Init, Op, Operation};
pub use scope::{Scope, ScopeGuard};
pub use shape::Shape;
pub use symbol::{Symbol, topological};

/// Host tensors in the reference interpreter.
pub use ndarray;
