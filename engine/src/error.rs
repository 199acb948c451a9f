//! What can go wrong between a graph and its run.

use graph::GraphError;
use thiserror::Error;

/// An error of compiling or running a program.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The graph does not fit the sizes it is bound to.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An input of the program was given in another size.
    #[error("input `{name}` needs {expected} numbers (shape {shape}), found {found}")]
    InputSize {
        /// The input's name.
        name: String,
        /// Numbers expected.
        expected: usize,
        /// Numbers found.
        found: usize,
        /// The bound shape.
        shape: String,
    },
    /// There is no such input, output or parameter.
    #[error("the program has no {what} `{name}`; it has: {known}")]
    Unknown {
        /// `input` or `parameter`.
        what: &'static str,
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A parameter store that was made for another network.
    #[error("the parameter store does not hold the parameters of this program: {0}")]
    Parameters(String),
}
