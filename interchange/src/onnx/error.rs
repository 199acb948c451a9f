//! What can be wrong with an ONNX file.

use std::path::PathBuf;

use graph::GraphError;
use thiserror::Error;

/// Why a file could not be imported: what was found, where, and what was expected.
#[derive(Debug, Error)]
pub enum OnnxError {
    /// The operating system refused.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// More bytes than are read.
    #[error("{path} has {found} bytes, at most {limit} are read")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The largest size.
        limit: u64,
    },
    /// The bytes are no protocol buffer, or not one of ONNX.
    #[error("not an ONNX file: {0}; is it whole, and is it a model?")]
    Format(String),
    /// A graph that does not hold together.
    #[error("the graph is not valid: {0}")]
    Structure(String),
    /// Operator sets that are missing or newer than what is known.
    #[error("{0}")]
    OperatorSet(String),
    /// A tensor whose numbers cannot be had.
    #[error("tensor `{name}`: {problem}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A node that cannot be taken over.
    #[error("node {node} ({op}, {domain} opset {opset}): {trouble}")]
    Node {
        /// The name of the node, or its place in the graph.
        node: String,
        /// The operator.
        op: String,
        /// `ai.onnx`, or another domain.
        domain: String,
        /// The version of the operator set.
        opset: i64,
        /// What is the matter.
        trouble: Box<Trouble>,
    },
    /// The network as a whole does not fit.
    #[error("{0}")]
    Network(String),
    /// Nothing is left to run.
    #[error("all {} outputs are constants, which depend on no input: there is nothing to run", outputs.len())]
    Constant {
        /// The outputs with their numbers.
        outputs: Vec<(String, super::Host)>,
    },
    /// What the graph says of the network as a whole.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl OnnxError {
    /// Whether an operator is met that nobody here knows.
    pub(super) fn unknown_operator(&self) -> bool {
        matches!(self, OnnxError::Node { trouble, .. } if matches!(**trouble, Trouble::Unknown { .. }))
    }

    /// The operand whose numbers an op asks for, if that is what is the matter.
    pub fn needs_numbers(&self) -> Option<&str> {
        match self {
            OnnxError::Node { trouble, .. } => match &**trouble {
                Trouble::NeedsNumbers { operand } => Some(operand),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the file is sound and only asks for what is not there.
    pub fn is_unsupported(&self) -> bool {
        match self {
            OnnxError::Node { trouble, .. } => {
                !matches!(**trouble, Trouble::Malformed(_) | Trouble::Graph(_))
            }
            OnnxError::OperatorSet(_) | OnnxError::Network(_) => true,
            OnnxError::Tensor { problem, .. } => problem.contains("not supported"),
            _ => false,
        }
    }
}

/// What is the matter with a node.
#[derive(Debug, Error)]
pub enum Trouble {
    /// An operator that nobody here knows.
    #[error("this operator is not known; known {family} are {known}")]
    Unknown {
        /// Which operators are listed.
        family: String,
        /// Their names.
        known: String,
    },
    /// Something that the operator may ask for and is not there.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// Something that the operator may not have.
    #[error("{0}")]
    Malformed(String),
    /// An operand whose numbers must be known when the network is imported.
    #[error(
        "operand `{operand}` must be a constant, but it is computed from the inputs when the network runs"
    )]
    NeedsNumbers {
        /// Its name in the file.
        operand: String,
    },
    /// What the graph says.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl Trouble {
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Trouble::Malformed(message.into())
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Trouble::Unsupported(message.into())
    }
}
