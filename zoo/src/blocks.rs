//! What the files of the families share: layers in named scopes, and a convolution with its norm.

use graph::Scope;
use graph::ops::ReduceKind;
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
    conv_norm_of(x, conv, BatchNorm::new(), names)
}

/// The same with a normalisation of another kind.
pub(crate) fn conv_norm_of(
    x: &Symbol,
    conv: Conv2d,
    norm: BatchNorm,
    names: [&str; 2],
) -> Result<Symbol, GraphError> {
    let conv = conv.no_bias().round_down().init(Initialiser::before(Relu));
    norm.name(names[1]).on(&conv.name(names[0]).on(x)?)
}

/// Squeeze and excitation (Hu, Shen & Sun 2017): each channel times what two small layers make of the
/// means of all channels.
pub(crate) fn squeeze(
    x: &Symbol,
    name: &str,
    few: usize,
    activation: Activation,
) -> Result<Symbol, GraphError> {
    within(name, || {
        let means = x.reduce(ReduceKind::Mean, &[1, 2])?;
        let few = Conv2d::new(few, 1).activation(activation).name("fc1");
        let all = Conv2d::new(x.shape().last_axis(), 1)
            .activation(Sigmoid)
            .name("fc2");
        x.mul(&all.on(&few.on(&means)?)?)
    })
}
