//! What can go wrong in a training run.

use std::path::PathBuf;

use thiserror::Error;

/// An error of training, evaluation or prediction.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The data could not be read.
    #[error(transparent)]
    Data(#[from] data::DataError),
    /// The network's graph is not sound for these sizes.
    #[error(transparent)]
    Graph(#[from] graph::GraphError),
    /// The program could not be compiled or run.
    #[error(transparent)]
    Engine(#[from] engine::EngineError),
    /// The network cannot be attacked, so that it cannot be trained against attacks.
    #[error(transparent)]
    Attack(#[from] explain::ExplainError),
    /// A model file could not be read or written.
    #[error(transparent)]
    ModelFile(#[from] interchange::ModelFileError),
    /// A model file describes a network that cannot be built.
    #[error(transparent)]
    Architecture(#[from] nn::ArchitectureError),
    /// A file of the run folder.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A setting that makes no sense, or does not fit the data or the network.
    #[error("{0}")]
    Setting(String),
    /// The loss is no longer a number.
    #[error(
        "the loss became {loss} at step {step} (epoch {epoch}); {blame}. The last good state is kept: \
         lower the learning rate, clip gradients, or look for extreme values in the inputs"
    )]
    NotFinite {
        /// The loss, NaN or infinite.
        loss: f32,
        /// The step, counted from 1.
        step: u64,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The layer where it began, and the largest activation.
        blame: String,
    },
    /// A checkpoint that belongs to another run.
    #[error("{path} cannot be resumed: {reason}", path = path.display())]
    Resume {
        /// The checkpoint.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
}

impl TrainError {
    /// An I/O error of this path.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
