//! A lane program: the instructions, and what its host needs to fill and report it.

use ::graph::ops::Cost;
use ::graph::{Binding, Symbol};

use super::graph::Graph;
use super::translate::Translation;
use crate::kernels::Isa;
use crate::kernels::lanes::{Batch, Memories, Routine};
use crate::plan::{Plan, Wanted};
use crate::{EngineError, Layout, StepInfo};

/// The largest batch.
const MOST_SAMPLES: usize = 64;
/// The largest program, in estimated vector operations: beyond it the ordinary plan is as fast.
const MOST_WORK: usize = 20_000;
/// The most nodes that are worth a look.
const MOST_NODES: usize = 400;

/// What an instruction is, for reports.
pub(crate) struct Part {
    pub op: &'static str,
    pub symbol: Symbol,
    pub arithmetic: Cost,
    /// Bytes of operands and result, without the lanes beyond the batch.
    pub bytes: usize,
}

/// A request as a list of instructions.
pub(crate) struct LaneProgram {
    /// One for each instruction.
    pub parts: Vec<Part>,
    routine: Routine,
    batch: Batch,
    samples: usize,
}

/// The lane program of a request, and its plan: no steps, but the places of inputs, constants and
/// outputs. `None` where the request is not small or has an op that lane programs do not know.
pub(crate) fn compile(
    wanted: &Wanted,
    layout: &Layout,
    binding: &Binding,
) -> Result<Option<(LaneProgram, Plan)>, EngineError> {
    let samples = binding.batch;
    if samples == 0 || samples > MOST_SAMPLES || !wanted.updates.is_empty() {
        return Ok(None);
    }
    let mut all: Vec<Symbol> = wanted.outputs.to_vec();
    all.extend(wanted.gradients.iter().map(|(_, value)| value.clone()));
    let graph = Graph::new(&all, binding)?;
    if graph.nodes.len() > MOST_NODES {
        return Ok(None);
    }
    Ok(Translation::new(&graph, layout, samples).whole(wanted))
}

impl LaneProgram {
    /// The program of a finished translation; `None` where it is too much work, or reaches outside of
    /// its memories.
    pub(super) fn of(translation: Translation<'_>) -> Option<(Self, Plan)> {
        if translation.work > MOST_WORK {
            return None;
        }
        let plan = translation.plan;
        let layout = translation.layout;
        let gradients = match translation.trains {
            true => layout.trainable_length(),
            false => 0,
        };
        let lengths = [layout.length(), gradients, plan.arena];
        let program = Self {
            parts: translation.parts,
            routine: Routine::new(translation.code, translation.batch, lengths)?,
            batch: translation.batch,
            samples: translation.samples,
        };
        Some((program, plan))
    }

    /// Writes the numbers of an input, row-major, into its lanes.
    pub(crate) fn set_input(&self, values: &[f32], lanes: &mut [f32]) {
        let (features, row) = (values.len() / self.samples, self.batch.row());
        if features == 1 {
            return lanes[..values.len()].copy_from_slice(values);
        }
        for (f, row) in lanes.chunks_exact_mut(row).enumerate() {
            for (to, sample) in row.iter_mut().zip(values.chunks_exact(features)) {
                *to = sample[f];
            }
        }
    }

    /// Runs all instructions. If `clock` is given it is called after each with its index.
    pub(crate) fn run(&self, isa: Isa, mut memories: Memories<'_>, clock: Option<&mut dyn FnMut(usize)>) {
        let Some(clock) = clock else {
            return self.routine.run(isa, 0..self.parts.len(), &mut memories);
        };
        for index in 0..self.parts.len() {
            self.routine.run(isa, index..index + 1, &mut memories);
            clock(index);
        }
    }
}

impl Part {
    pub(crate) fn info(&self, seconds: f64) -> StepInfo {
        StepInfo {
            op: self.op,
            symbol: self.symbol.clone(),
            arithmetic: self.arithmetic,
            bytes: self.bytes,
            seconds,
        }
    }
}
