//! What a network looks for: pictures of the network itself, not of what it says of an input.

mod filters;

pub use filters::{Filters, first_filters};
