//! Kernels: how each op is made fast. One file a family; [`build`] picks the kernel of a node.
//!
//! A kernel says how its work may be split ([`Work`]) and does a part of it on slices ([`Task`]).
//! It knows nothing of threads, of the memory plan or of the order in which parts run, so a planner
//! may run whole stretches of a network per sample, per micro-batch or layer by layer.

mod amx;
mod apart;
mod brgemm;
mod chain;
mod columns;
mod conv;
mod cross_entropy;
mod dropout;
mod elementwise;
mod gather;
mod isa;
mod joined;
pub(crate) mod lanes;
mod largest;
mod layer_norm;
mod local_response;
mod locally;
mod lone;
mod math;
mod matmul;
mod max_pool;
mod movement;
mod nest;
mod norm;
pub(crate) mod optimizer;
pub(crate) mod pack;
mod pad;
mod peak;
mod pool;
mod recurrent;
mod reduce;
mod reference;
mod registry;
mod resize;
mod rows;
mod select;
mod short;
mod simd;
mod small_conv;
mod softmax;
mod wide_dense;

use std::ops::Range;

use graph::Shape;

pub use amx::{Laid, Planes, Stack, Tiles, Unit};
pub use brgemm::{Finish, Operands, Start, brgemm};
pub use isa::{Isa, Level, Precision};
pub use pack::Pack;
pub use peak::peak_flops;
pub use registry::{Built, Packing, build};
pub use rows::{Reading, Rows};
pub use short::Shorts;
pub(crate) use small_conv::sparse_way_back;

/// How a kernel's work may be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Sample i of the result depends on sample i of the batched operands (and on whole other
    /// operands): any range of samples can be computed at any time after its operands.
    Samples,
    /// The result is a sum over samples. A range of samples is added into a partial result of
    /// `partial` elements, which [`Kernel::finish`] turns into the result, in a fixed order.
    Reduction {
        /// Elements of one partial result.
        partial: usize,
    },
    /// `count` pieces, each a run of `elements` of the result (the last one may be shorter), each
    /// reading whatever it likes of the operands.
    Pieces {
        /// Number of pieces.
        count: usize,
        /// Elements of the result in a piece.
        elements: usize,
    },
}

/// Computes one op.
pub trait Kernel: Send + Sync {
    /// How the work may be split.
    fn work(&self) -> Work;

    /// Does the samples or pieces of `task`.
    fn run(&self, task: Task<'_>);

    /// Scratch memory for one call, in f32 elements; its content is arbitrary.
    fn scratch(&self) -> usize {
        0
    }

    /// How the work on one sample of [`Work::Samples`] or [`Work::Reduction`] is cut into rows, if it can be.
    fn rows(&self) -> Option<Rows> {
        None
    }

    /// Which operands, and whether the result, it can take as bf16 numbers (`short`).
    fn shorts(&self) -> Shorts {
        Shorts::default()
    }

    /// Says which of them are. Lengths of operands and result are those of the memory, half as many elements.
    fn shorten(&mut self, _: Shorts) {}

    /// For [`Work::Reduction`]: the result from the partial results, which lie one after another.
    /// The sum in their order, unless a kernel says otherwise.
    fn finish(&self, partials: &[f32], output: &mut [f32]) {
        let (first, rest) = partials.split_at(output.len());
        output.copy_from_slice(first);
        for partial in rest.chunks_exact(output.len()) {
            for (sum, x) in output.iter_mut().zip(partial) {
                *sum += x;
            }
        }
    }
}

/// What a kernel is built from.
#[derive(Debug, Clone)]
pub struct OperandInfo {
    /// Shape, batch included.
    pub shape: Shape,
}

/// What a kernel may know of the machine and the plan.
#[derive(Debug, Clone, Copy)]
pub struct BuildContext {
    /// The instruction set.
    pub isa: Isa,
    /// The tile unit, and into how many parts numbers are split for it, if there is one.
    pub tiles: Option<Tiles>,
    /// Samples in the batch.
    pub batch: usize,
    /// Into how many partial results a reduction over samples is split.
    pub chunks: usize,
    /// Whether parameters change from run to run, so that nothing made of them can be kept.
    pub trains: bool,
}

/// Where an operand lies: its first element for the range at hand, and how many elements there are.
#[derive(Clone, Copy)]
pub(crate) struct Located {
    pub(crate) base: *const f32,
    /// Elements per sample if it is taken by sample, else 0.
    pub(crate) per_sample: usize,
    /// Elements in all.
    pub(crate) elements: usize,
}

/// One call of a kernel.
pub struct Task<'a> {
    pub(crate) operands: &'a [Located],
    /// Result elements: of the range (samples, pieces) or a partial result (reduction).
    pub output: &'a mut [f32],
    /// Scratch memory as [`Kernel::scratch`] asked for.
    pub scratch: &'a mut [f32],
    /// The samples or pieces to do.
    pub range: Range<usize>,
    /// Of a range of one sample: the rows to do, all if it does not say. Operands and result are those of the
    /// whole sample.
    pub rows: Option<Range<usize>>,
    /// Whether a reduction's partial result is empty as yet: replace it instead of adding to it.
    pub fresh: bool,
    /// The key of this step's random numbers.
    pub key: u64,
}

impl<'a> Task<'a> {
    /// Number of samples or pieces to do.
    pub fn count(&self) -> usize {
        self.range.len()
    }

    /// Operand `k`: the samples of the range if it is batched (and the work is by samples), else all.
    pub fn input(&self, k: usize) -> &'a [f32] {
        let operand = &self.operands[k];
        let length = match operand.per_sample {
            0 => operand.elements,
            each => self.range.len() * each,
        };
        debug_assert!(length <= operand.elements);
        // SAFETY: the planner gave each operand storage for the samples of the range, or for all
        // `elements`, and nothing writes to it while a task that reads it runs.
        unsafe { std::slice::from_raw_parts(operand.base, length) }
    }
}
