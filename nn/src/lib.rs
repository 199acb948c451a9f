//! What networks are made of: layers, activations, losses, metrics, optimizers, schedules,
//! initialisers, regularisers.
//!
//! A layer is a small plain struct; `.on(&symbol)` writes its ops and parameters into the graph:
//!
//! ```
//! use graticule_nn::prelude::*;
//! let image = Symbol::input("image", [28, 28, 1]);
//! let x = Conv2d::new(6, 5).padding(Same).activation(Tanh).on(&image)?;
//! let logits = Dense::new(10).on(&Flatten.on(&x)?)?;
//! assert_eq!(logits.shape()[..], [1, 10]);
//! # Ok::<(), GraphError>(())
//! ```
//!
//! The rules (losses, optimizers, schedules) are plain data that serialises, so that a run can
//! write down all that it was made with.

mod activations;
mod initialisers;
pub mod layers;
mod losses;
pub mod metrics;
pub mod model;
mod optimizers;
pub mod prelude;
mod regularisers;
mod schedules;
mod text;

pub use activations::Activation;
pub use initialisers::{Distribution, Fans, Initialiser, fill};
pub use losses::{ClassLoss, Loss};
pub use model::{Architecture, ArchitectureError, Model, NamedParameter};
pub use optimizers::{
    DecayScope, GradientClipping, Movement, Optimizer, OptimizerError, Rule, clip_by_value, clip_scale,
    global_norm, square_sum,
};
pub use regularisers::Penalty;
pub use schedules::{Plateau, Progress, Schedule, Scheduler};
pub use text::ParseError;
