//! What a network looks for: pictures of the network itself, not of what it says of an input.
//!
//! [`first_filters`] are the weights of the first layer. The other pictures are sought by gradient: [`features`] that a unit
//! answers to most, [`class_pictures`] that a class does, and [`invert`], which gives back what a layer still knows of a picture.
//! They show what the network's numbers respond to, which need not be what is seen in photographs; starts are
//! keyed by [`Subject::seed`](crate::Subject::seed), and the bits do not depend on the number of threads.

mod canvas;
mod cosines;
mod filters;
mod inversion;
mod penalty;
mod search;
mod units;

pub use filters::{Filters, first_filters};
pub use inversion::{Inversion, PreImages, invert};
pub use search::{Search, Sought};
pub use units::{Spot, Units, class_pictures, features};
