//! Everything that a file which builds a network needs, by its short name.

pub use graph::{GraphError, Symbol};

pub use crate::Activation::{
    self, Elu, Gelu, LeakyRelu, Linear, PRelu, Relu, Relu6, ScaledTanh, Sigmoid, Silu, Softplus, Tanh,
};
pub use crate::layers::*;
pub use crate::{ClassLoss, Distribution, Initialiser, Loss, Model, Optimizer, Penalty, Schedule};
pub use Padding::{Full, Same, Valid};
