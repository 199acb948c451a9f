//! Matrix products on AMX tiles, at the precision that was asked for.
//!
//! The tile unit multiplies bf16 numbers and sums in f32. Each f32 operand is split into one, two or
//! three bf16 *parts* (`split`), and the leading products of parts are summed: one, three or six.
//! `planes`, `frame`, `strips` and `stack` write operands in the order in which tiles read them, `tile` multiplies them
//! in blocks of 32 × 32, by the processor (`real`) or in plain Rust (`emulated`). The kernels are `dense`, `conv` and
//! `weights`, and `stacked` and `stacked_weights` for many samples of small images. `rule` says which products are worth
//! it; all others stay with the f32 kernels.

mod conv;
mod dense;
pub(crate) mod detect;
mod emulated;
mod fallback;
mod fit;
mod frame;
mod laid;
mod many;
mod pairs;
mod planes;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod real;
pub(super) mod rule;
mod split;
mod stack;
mod stacked;
mod stacked_weights;
mod store;
mod strips;
mod sums;
mod sweep;
mod tile;
#[cfg(all(test, target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
mod trap;
#[cfg(target_arch = "x86_64")]
mod vectors;
mod weights;

use graph::Shape;
use graph::ops::Op;

use super::BuildContext;
use super::registry::Built;
use crate::plan::Epilogue;
pub use laid::Laid;
pub use planes::Planes;
pub(super) use split::{Floor, Rows, Run, lay, pair, splits};
pub use stack::Stack;
pub(super) use store::{Store, store};
pub(super) use tile::{BLOCK, Block, Left, Right, SIDE, Session, Starts, Turns, words, words_mut};
pub use tile::{Tiles, Unit};

/// The op's kernel on tiles, if the engine has them, the op is a matrix product or a convolution without
/// groups, and tiles are expected to be faster.
pub(super) fn choose(
    context: &BuildContext,
    op: &Op,
    epilogue: Epilogue,
    shapes: &[&Shape],
) -> Option<Built> {
    let tiles = context.tiles?;
    match op {
        Op::MatMul(op) => dense::build(context, tiles, *op, epilogue, shapes),
        Op::Conv2d(op) => conv::forward(context, tiles, *op, epilogue, shapes),
        Op::Conv2dTransposed(op) => conv::transposed(context, tiles, *op, epilogue, shapes),
        Op::Conv2dWeightGradient(op) => weights::build(context, tiles, *op, shapes),
        _ => None,
    }
}
