//! Convolutions whose result is max-pooled, with few channels: forward with pooling in one, and a way back
//! that visits only the positions which a maximum came from.
//!
//! Behind a max-pooling of 2×2 at most a quarter of the convolution's result has a gradient, and behind a
//! ReLU about half of that. Instead of a product over the whole image, each such position adds its own
//! patch (a kernel's rows times the row's taps and channels, which lie next to each other in memory) to
//! the image's or the weights' gradient, with the sums in registers (`patches.rs`).
//! A choice is one byte: 1 + the tap of the window that held the maximum, or 0 where nothing goes back.
//! Choices lie in planes, one for each output.

mod backward;
mod forward;
mod geometry;
pub(super) mod listing;
mod lists;
mod patches;
mod planar;
mod ribbon;
mod tiled;
mod turn;
mod unpool;
mod weights;
mod wide;

pub(crate) use backward::input_gradient;
pub(crate) use forward::{conv_pool, pooled};
pub(crate) use lists::{bias_gradient, listed};
pub(crate) use unpool::unpool;
pub(crate) use weights::weight_gradient;

use crate::plan::PooledConv;

/// Largest KW·C for which the patches of the way back are kept as rows of a few vectors.
const WIDEST_PATCH: usize = 48;
/// Most outputs whose lists and weights still stay in the first-level cache.
const MOST_OUTPUTS: usize = 32;

/// Most rows of a pooling window: the way back keeps a list for each.
const MOST_POOL_ROWS: usize = 7;

/// Most taps of a pooling window: with 0 there are as many choices as a table has numbers.
const MOST_TAPS: usize = 15;

/// Whether this pooled convolution goes forward and back by the kernels of this folder: the one place that
/// decides.
pub(crate) fn sparse_way_back(what: &PooledConv) -> bool {
    let (s, pool) = (&what.sizes, &what.pool);
    let [_, kw] = s.window.kernel;
    s.groups == 1
        && (s.window.dilation[1] == 1 || kw == 1)
        && kw * s.channels <= WIDEST_PATCH
        && s.outputs <= MOST_OUTPUTS
        && pool.kernel[0] <= MOST_POOL_ROWS
        && pool.kernel[0] * pool.kernel[1] <= MOST_TAPS
        && pool.padding == [0; 4]
        && pool.kernel[1] * s.window.stride[1] * s.channels <= WIDEST_PATCH
}
