//! Lane programs: a whole request of a tiny network as a short list of instructions, run on one thread
//! with samples in the lanes of vectors. `engine/src/lanes` makes them.

mod classes;
mod code;
mod math;
mod matrix;
mod run;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use code::{At, Batch, Code, Function, LANES, Memory, Operand, RowRule, Then, Walk};
pub(crate) use run::{Memories, Routine};
