//! What a network sees in data: feature maps of an input, the patches that its units answer most to, and where samples lie
//! in the space of its features.
//!
//! - [`activations`]: what each layer makes of an input.
//! - [`Strongest`]: the image patches to which a unit answers most (row E4), with [`unit_signals`], the deconvnet's picture
//!   of what it was in each that the unit answered to.
//! - [`pca`], [`tsne`]: the features that the network decides by ([`crate::feature_space`], row L15) in the plane, with
//!   [`purity`] to tell what the plane kept.

mod activations;
mod distances;
mod neighbours;
mod patches;
mod pca;
mod signals;
mod tsne;

pub use activations::{Channels, LayerMaps, activations};
pub use neighbours::{chance, neighbour_r2, purity};
pub use patches::{LayerPatches, Patch, Strongest, UnitPatches};
pub use pca::{Pca, pca};
pub use signals::unit_signals;
pub use tsne::{Tsne, TsneMap, tsne};
