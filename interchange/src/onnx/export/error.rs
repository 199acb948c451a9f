//! Why a network cannot be written as ONNX.

use std::path::PathBuf;

use graph::GraphError;
use thiserror::Error;

/// Why a network cannot be written as ONNX.
#[derive(Debug, Error)]
pub enum ExportError {
    /// An op, or one of its choices, that ONNX's operators cannot say.
    #[error("ONNX has no operator for `{op}`{place}: {reason}")]
    NoTranslation {
        /// The op's name.
        op: String,
        /// ` in layer …`, or nothing.
        place: String,
        /// What is in the way, and what to do.
        reason: String,
    },
    /// A parameter without numbers, or with too many or too few.
    #[error("the parameter `{name}` has {found} numbers, expected {expected}")]
    Parameter {
        /// Its name.
        name: String,
        /// How many numbers were given.
        found: usize,
        /// How many it has.
        expected: usize,
    },
    /// Normalisation for another number of channels.
    #[error("the normalisation is for {found} channels, but the network reads {expected}")]
    Normalisation {
        /// Channels that the normalisation is for.
        found: usize,
        /// Channels of the input.
        expected: usize,
    },
    /// What the graph says.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The file system refused.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
}
