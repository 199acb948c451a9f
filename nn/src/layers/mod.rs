//! Layers: plain structs that write their ops and parameters into the graph with `.on(&symbol)`.
//!
//! Each opens a [`graph::Scope`], so that its parameters are found under its name. Weights stand in
//! the interchange layout that the layer's doc gives; images are `[N, H, W, C]`.

mod attention;
mod conv;
mod conv1d;
mod conv_transpose;
mod dense;
mod dropout;
mod embedding;
mod extent;
mod graph_conv;
mod locally_connected;
mod maxout;
mod norm;
mod pad;
mod pool;
mod pool_adaptive;
mod pool_global;
mod receptive_field;
mod recurrent;
mod resize;
mod shaping;
mod transformer;

pub use attention::MultiHeadAttention;
pub use conv::{Conv2d, DepthwiseConv2d};
pub use conv_transpose::ConvTranspose2d;
pub use conv1d::{Conv1d, banded_matrix};
pub use dense::Dense;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use extent::{Extent, PadValue, Padding};
pub use graph_conv::{GraphConv, adjacency};
pub use locally_connected::LocallyConnected2d;
pub use maxout::Maxout;
pub use norm::{BatchNorm, LayerNorm, LocalResponseNorm};
pub use pad::{Pad2d, ZeroPad2d};
pub use pool::{AvgPool1d, AvgPool2d, L2Pool1d, L2Pool2d, MaxPool1d, MaxPool2d, MinPool1d, MinPool2d};
pub use pool_adaptive::AdaptiveAvgPool2d;
pub use pool_global::{GlobalAvgPool1d, GlobalAvgPool2d, GlobalMaxPool2d};
pub use receptive_field::receptive_field;
pub use recurrent::{Gru, Lstm, Rnn};
pub use resize::{Interpolation, Resize2d, Upsample};
pub use shaping::{Add, Concat, Flatten, Reshape, Slice};
pub use transformer::{PositionalEncoding, TransformerEncoder};

use graph::{GraphError, Init, Symbol};

/// Gives a layer struct its `name` method.
macro_rules! named {
    ($($layer:ident),* $(,)?) => {
        $(impl $layer {
            /// The name under which the layer's parameters are found.
            pub fn name(mut self, name: &str) -> Self {
                self.name = Some(name.into());
                self
            }
        })*
    };
}
pub(crate) use named;

/// The builder methods of a layer with weights, a bias and a nonlinearity: fields `activation`, `bias` and `init`, perhaps
/// of the layer inside it that is named.
macro_rules! weighted {
    ($layer:ident $(, $at:ident)?) => {
        impl $layer {
            /// The nonlinearity g.
            pub fn activation(mut self, activation: Activation) -> Self {
                self$(.$at)?.activation = activation;
                self
            }

            /// Leaves the bias b out.
            pub fn no_bias(mut self) -> Self {
                self$(.$at)?.bias = false;
                self
            }

            /// How the weights are filled; [`Initialiser::before`] the activation unless given.
            pub fn init(mut self, init: Initialiser) -> Self {
                self$(.$at)?.init = Some(init);
                self
            }
        }
    };
}
pub(crate) use weighted;

/// The axes of `x` if it has `K` of them; else an error that says what the layer reads.
fn axes<const K: usize>(layer: &str, x: &Symbol, meaning: &str) -> Result<[usize; K], GraphError> {
    let shape = x.shape();
    <[usize; K]>::try_from(&shape[..])
        .map_err(|_| GraphError::shape(layer, format!("reads {meaning}, found {shape}")))
}

/// `x` plus a learned number for each position of its last axes, zero at first (row O11).
fn add_bias(x: &Symbol, shape: &[usize]) -> Result<Symbol, GraphError> {
    x.add(&Symbol::parameter("bias", shape.to_vec(), Init::Constant(0.0)))
}
