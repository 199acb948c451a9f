//! Tiny networks: where a whole step costs less than the overhead of a plan, the request becomes a lane
//! program instead: a short list of instructions for one thread, with samples in the lanes of vectors
//! and parameters as plain numbers.
//!
//! [`compile`] answers `None` for whatever it does not know or deems too large; the ordinary planner
//! takes everything.

mod graph;
mod join;
mod ops;
mod program;
mod translate;

pub(crate) use program::{LaneProgram, compile};
