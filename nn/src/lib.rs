//! Layers, activations, losses, metrics, optimizers, schedules, initialisers, regularisers.

pub mod model;

pub use model::{Architecture, ArchitectureError, Model, NamedParameter};
