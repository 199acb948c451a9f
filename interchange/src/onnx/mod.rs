//! ONNX: how networks are exchanged with other frameworks.

pub mod error;
pub mod export;
pub mod host;
pub mod import;
pub mod proto;
mod tensor;

pub use error::{OnnxError, Trouble};
pub use host::{Host, Numbers};
pub use import::{Batch, Imported, Options, Port, import, metadata, read};
pub use tensor::decode;
