//! What the files of the families share: layers in named scopes, and a convolution with its norm.

use graph::Scope;
use nn::prelude::*;

/// What `inside` builds, with `name` before the names of its layers.
pub(crate) fn within<T>(name: &str, inside: impl FnOnce() -> T) -> T {
    let _scope = Scope::enter("block", Some(name));
    inside()
}

/// An activation with a row of its own in the layer table.
pub(crate) fn active(activation: Activation, x: &Symbol) -> Result<Symbol, GraphError> {
    let kind = match activation {
        Relu => "relu",
        Relu6 => "relu6",
        Silu => "silu",
        _ => "activation",
    };
    let _scope = Scope::enter(kind, None);
    activation.on(x)
}

/// max(0, x), with a row of its own.
pub(crate) fn relu(x: &Symbol) -> Result<Symbol, GraphError> {
    active(Relu, x)
}

/// A convolution without a bias, which batch normalisation would take off again, and the normalisation.
pub(crate) fn conv_norm(x: &Symbol, conv: Conv2d, names: [&str; 2]) -> Result<Symbol, GraphError> {
    let y = conv
        .no_bias()
        .round_down()
        .init(Initialiser::before(Relu))
        .name(names[0])
        .on(x)?;
    BatchNorm::new().name(names[1]).on(&y)
}
