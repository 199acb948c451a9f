//! What can be wrong with a model file.

use std::fmt;
use std::path::PathBuf;

use nn::ArchitectureError;
use safetensors::SafeTensorError;
use thiserror::Error;

/// Why a model file could not be read or written.
#[derive(Debug, Error)]
pub enum ModelFileError {
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
    /// Larger than any model file may be.
    #[error("{} has {found} bytes; a model file has at most {limit}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The largest size read.
        limit: u64,
    },
    /// The header announces other data than the file has.
    #[error(
        "{} is cut short or has bytes too many ({found} bytes; {reason}); copy or download it again, or use an older checkpoint",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: usize,
        /// What does not match.
        reason: String,
    },
    /// Not in the safetensors format.
    #[error("{} is not a safetensors file: {reason}", path.display())]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What the format's reader found.
        reason: String,
    },
    /// A safetensors file without our metadata.
    #[error(
        "{} is a safetensors file, but it does not describe its network (no `graticule` entry in its metadata); \
         `graticule import` makes a model file of the weights of a named network",
        path.display()
    )]
    NotSelfDescribing {
        /// The file.
        path: PathBuf,
    },
    /// Written in a later format.
    #[error("{} has model file format {found}; this program reads format {supported}: update it", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u64,
        /// The format read.
        supported: u64,
    },
    /// The description is not what it should be.
    #[error("{}: the description of the model does not parse: {source}", path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The architecture describes no model.
    #[error("{}: the architecture is not valid: {source}", path.display())]
    Architecture {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: ArchitectureError,
    },
    /// Tensors that are not those of the architecture.
    #[error("{}: the tensors do not fit the architecture:{}", path.display(), list(problems))]
    Tensors {
        /// The file.
        path: PathBuf,
        /// Each misfit.
        problems: Vec<TensorProblem>,
    },
}

/// One tensor that does not fit the architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TensorProblem {
    /// A parameter without a tensor.
    Missing {
        /// The parameter.
        name: String,
        /// Its shape.
        expected: Vec<usize>,
    },
    /// A tensor without a parameter.
    Unexpected {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A tensor of another shape than its parameter.
    Shape {
        /// The parameter.
        name: String,
        /// The tensor's shape.
        found: Vec<usize>,
        /// The parameter's shape.
        expected: Vec<usize>,
    },
    /// A tensor whose numbers are not f32.
    DataType {
        /// The tensor.
        name: String,
        /// The data type found.
        found: String,
    },
    /// As many numbers as its shape does not have.
    Length {
        /// The tensor.
        name: String,
        /// How many numbers there are.
        found: usize,
        /// The tensor's shape.
        shape: Vec<usize>,
    },
    /// Two tensors of one name.
    Twice {
        /// The name.
        name: String,
    },
}

impl fmt::Display for TensorProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name, expected } => write!(f, "`{name}` is missing, expected shape {expected:?}"),
            Self::Unexpected { name, found } => {
                write!(f, "`{name}` {found:?} is not a parameter of the network")
            }
            Self::Shape {
                name,
                found,
                expected,
            } => write!(f, "`{name}` has shape {found:?}, expected {expected:?}"),
            Self::DataType { name, found } => write!(f, "`{name}` holds {found} numbers, expected F32"),
            Self::Length { name, found, shape } => {
                write!(
                    f,
                    "`{name}` has {found} numbers, which do not fill shape {shape:?}"
                )
            }
            Self::Twice { name } => write!(f, "`{name}` stands twice"),
        }
    }
}

const LISTED: usize = 12;

pub(crate) fn list(problems: &[TensorProblem]) -> String {
    let mut text: String = problems.iter().take(LISTED).map(|p| format!("\n  {p}")).collect();
    if problems.len() > LISTED {
        text += &format!("\n  and {} more", problems.len() - LISTED);
    }
    text
}

/// The format's own errors, told apart by what helps.
pub(crate) fn of_format(path: PathBuf, bytes: usize, error: &SafeTensorError) -> ModelFileError {
    use SafeTensorError as S;
    let reason = error.to_string();
    match error {
        S::HeaderTooSmall | S::InvalidHeaderLength | S::MetadataIncompleteBuffer => {
            ModelFileError::Truncated {
                path,
                found: bytes,
                reason,
            }
        }
        _ => ModelFileError::NotSafetensors { path, reason },
    }
}
