//! What can be wrong with a file of foreign weights.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::error::list;
use crate::{ModelFileError, TensorProblem};

/// Why weights of another program could not be read.
#[derive(Debug, Error)]
pub enum ForeignError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// Neither safetensors nor a file of PyTorch's.
    #[error(
        "{} is neither safetensors nor a file that torch.save wrote (its first bytes are {found})",
        path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        found: String,
    },
    /// Not what the format asks for.
    #[error("{} is a {format} file that cannot be read: {reason}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: &'static str,
        /// What was found, and where.
        reason: String,
    },
    /// A pickle that asks for more than tensors and plain values.
    #[error(
        "{} asks for {what} (at byte {at}), which is refused: only tensors, numbers, texts and containers of them are read; \
         save a model's state_dict() instead",
        path.display()
    )]
    Refused {
        /// The file.
        path: PathBuf,
        /// Where, in bytes from its beginning.
        at: u64,
        /// The function, class or opcode.
        what: String,
    },
    /// A model file of our own that cannot be read.
    #[error(transparent)]
    Own(#[from] ModelFileError),
    /// Tensors that are not those of the network.
    #[error(
        "{}: {fit} of the {expected} tensors of {model} are there; shapes are PyTorch's:{}{suggestion}",
        path.display(), list(problems)
    )]
    Tensors {
        /// The file.
        path: PathBuf,
        /// The network.
        model: String,
        /// How many tensors fit.
        fit: usize,
        /// How many the network has.
        expected: usize,
        /// Each misfit.
        problems: Vec<TensorProblem>,
        /// What this looks like, and what to do; begins with a line of its own, or is empty.
        suggestion: String,
    },
    /// A number that no trained network has.
    #[error("{}: `{name}` holds {value}; expected finite numbers: get the file again", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The number.
        value: f32,
    },
}

impl ForeignError {
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        let path = path.into();
        Self::Io { action, path, source }
    }
}
