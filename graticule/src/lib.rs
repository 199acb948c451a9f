//! Trains, explains and maps neural networks on images, rasters, tables and text.
//!
//! The wings of the house stand here under their own names; [`prelude`] gathers what most programs need.

pub use data;

/// What most programs need: `use graticule::prelude::*;`.
pub mod prelude {
    pub use data::filter;
}
