//! What can be wrong with the question that an explanation answers.

use engine::EngineError;
use graph::GraphError;
use thiserror::Error;

/// Why there is no explanation.
#[derive(Debug, Error)]
pub enum ExplainError {
    /// The graph cannot be built, differentiated or bound to sizes.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The engine refuses.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Inputs of another shape than the network reads.
    #[error(
        "found inputs of shape {found}; the network reads {expected}: give samples of that size and number of bands"
    )]
    Inputs {
        /// The shape found.
        found: String,
        /// The shape of a batch that the network reads.
        expected: String,
    },
    /// An output that the network does not have, or that must be named.
    #[error("{0}")]
    Target(String),
    /// A method that the network or the inputs do not suit.
    #[error("{method}: {found}; expected {expected}")]
    Unsuited {
        /// The method.
        method: &'static str,
        /// What was found.
        found: String,
        /// What it needs, and what to do.
        expected: String,
    },
    /// A layer that the network does not have.
    #[error("the network has no layer `{found}` {kind}; it has {known}")]
    Layer {
        /// The name asked for.
        found: String,
        /// Which layers would have been right.
        kind: &'static str,
        /// The names there are.
        known: String,
    },
    /// A number that a method cannot work with.
    #[error("{setting}: found {found}; expected {expected}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What was found.
        found: String,
        /// What would have been right.
        expected: String,
    },
}

impl ExplainError {
    pub(crate) fn setting(setting: &'static str, found: impl ToString, expected: impl Into<String>) -> Self {
        Self::Setting {
            setting,
            found: found.to_string(),
            expected: expected.into(),
        }
    }

    pub(crate) fn unsuited(
        method: &'static str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Unsuited {
            method,
            found: found.into(),
            expected: expected.into(),
        }
    }
}
