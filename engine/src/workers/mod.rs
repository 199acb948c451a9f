//! Worker threads, and how a planned program runs on them.

mod buffer;
mod copy;
mod execute;
mod pool;

pub use buffer::Buffer;
pub(crate) use copy::copy;
pub(crate) use execute::{Memory, complete, descend, execute};
pub use pool::{Pool, PoolTimes};
