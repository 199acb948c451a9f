//! What can be wrong with a graph, told with the numbers that do not fit.

use thiserror::Error;

/// An error found while a graph is built, differentiated or bound to sizes.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum GraphError {
    /// Operand shapes that an op cannot take.
    #[error("{op}: {message}")]
    Shape {
        /// The op that refused.
        op: String,
        /// What was found and what was expected.
        message: String,
    },
    /// A window that does not tile its input exactly (curriculum row I15).
    #[error(
        "{op}: the window does not fit along the {axis}: {formula}; change stride or padding, or allow rounding down"
    )]
    DoesNotFit {
        /// The op that refused.
        op: String,
        /// `height` or `width`.
        axis: &'static str,
        /// The formula with its numbers, for example `(7 − 3 + 2·0)/3 + 1 = 2.33`.
        formula: String,
    },
    /// An op on the way from the loss to a parameter has no gradient rule.
    #[error("{op} has no gradient with respect to its operand {input}, but the loss depends on it there")]
    NoGradient {
        /// The op without a rule.
        op: String,
        /// Position of the operand.
        input: usize,
    },
    /// Differentiation was asked of something that is not a single number.
    #[error("the loss must be a single number (shape []), found shape {found}")]
    LossNotScalar {
        /// The shape found.
        found: String,
    },
    /// A value that the graph needs was not given.
    #[error("no value was given for `{name}`, which the graph reads")]
    MissingInput {
        /// The name of the input or parameter.
        name: String,
    },
    /// A value was given in another shape than the graph's.
    #[error("`{name}` has shape {found}, the graph expects {expected}")]
    WrongInput {
        /// The name of the input or parameter.
        name: String,
        /// The shape given.
        found: String,
        /// The shape declared.
        expected: String,
    },
    /// A name that stands for two things, or for none.
    #[error("{0}")]
    Name(String),
}

impl GraphError {
    /// A [`GraphError::Shape`] of the named op.
    pub fn shape(op: &str, message: impl Into<String>) -> Self {
        Self::Shape {
            op: op.into(),
            message: message.into(),
        }
    }
}
