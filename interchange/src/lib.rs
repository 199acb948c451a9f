//! How networks leave a program and come back: the self-describing model file, and the weights of other programs; arrays for NumPy.
//!
//! A model file is a safetensors file that any reader of the format opens; its metadata also hold the
//! architecture, the preprocessing and the task, so that one file is all that prediction needs.
//! [`foreign`] reads and writes weights with PyTorch's names and layout.

mod atomic;
mod error;
pub mod foreign;
mod model_file;
pub mod npy;
pub mod onnx;
mod pickle;

pub use atomic::write_atomically;
pub use error::{ModelFileError, TensorProblem};
pub use model_file::{FORMAT, MAX_BYTES, ModelFile, Tensor};
