//! Makes a graph run: plan (fusion, schedule, memory), kernels per instruction set, worker threads.
//!
//! [`Program::compile`] takes symbols and sizes, chooses a kernel for every node, orders them in
//! stages, and gives every value a place in one arena. [`Program::run`] then allocates nothing.
//! Results are the same bits for any number of threads: work is cut into parts that depend on the
//! batch size alone, and partial sums are added in a fixed order.

mod error;
pub mod kernels;
mod lanes;
mod parameters;
mod plan;
mod program;
mod update;
mod workers;

pub use error::EngineError;
pub use kernels::optimizer::{Clip, Descent, Span};
pub use kernels::{Isa, Level, Precision};
pub use parameters::{Entry, Layout, Parameters};
pub use plan::Epilogue;
pub use program::{Engine, Program, Request, StepInfo};
pub use workers::{Buffer, Pool, PoolTimes};
