//! ONNX: how networks are exchanged with other frameworks.

pub mod proto;
