//! Image operations on `[H, W, C]` arrays of `f32`, each channel by itself (curriculum §7).
//!
//! Convolution and correlation are apart, as the decks print both; padding, what stands in it, and stride are
//! parameters of [`Window`]. Nothing here clips or rounds, except where an operation is one on 8-bit values.

mod correlate;
mod enhance;
mod error;
mod integral;
mod kernels;
mod padding;
mod pointwise;
mod pool;

pub use correlate::{convolve, correlate, gaussian_blur};
pub use enhance::{emphasis, equalize, median, unsharp, unsharp_kernel};
pub use error::FilterError;
pub use integral::{Integral, box_blur};
pub use kernels::{Named, box_kernel, gaussian_kernel, gaussian_line, gaussian_size};
pub use padding::{
    LARGEST_PADDED, LARGEST_WINDOW, PadValue, Padding, Sides, Window, output_shape, output_size, pad,
};
pub use pointwise::{add, gaussian_noise, multiply, translate};
pub use pool::{Pool, pool};
