//! From a graph to a plan: which kernel computes each value, in which stage, and where it lies.

mod action;
mod bands;
pub(crate) mod chain;
mod draft;
mod fuse;
mod fuse_loss;
mod fuse_max_pool;
mod fuse_pool;
mod ir;
mod link;
mod memory;
mod moved;
mod placement;
mod remake;
mod schedule;
mod shorten;

use std::ops::Range;

use graph::ops::{Cost, Op};
use graph::{Binding, Symbol};

use crate::kernels::{BuildContext, Kernel, Work};
use crate::{EngineError, Layout};
pub use action::{Action, Fused};
use draft::{Draft, Value, draft};
pub use fuse_max_pool::MaxPool;
pub use fuse_pool::PooledConv;
pub use ir::Epilogue;
use ir::Ir;
pub(crate) use moved::portion;
use placement::Placement;
pub(crate) use schedule::{Phase, Stage, StageKind};

/// The memory in which a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Region {
    Parameters,
    Gradients,
    /// Inputs, constants and what is computed for other stages.
    Arena,
    /// A worker's own memory, in which a micro-batch of the values between two layers stays: the offset
    /// counts from its beginning, `elements` are those of the whole batch.
    Local,
}

/// A run of elements in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub region: Region,
    pub offset: usize,
    pub elements: usize,
}

/// One operand of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operand {
    pub slot: Slot,
    /// Elements per sample where the kernel takes it sample by sample, else 0.
    pub per_sample: usize,
}

/// One kernel call of the program.
pub(crate) struct Step {
    pub kernel: Box<dyn Kernel>,
    pub work: Work,
    pub operands: Vec<Operand>,
    pub output: Slot,
    /// Partial results of a reduction.
    pub partials: Option<Slot>,
    /// What the op costs in arithmetic.
    pub arithmetic: Cost,
    /// The op's name.
    pub op: &'static str,
    /// The graph node it computes.
    pub symbol: Symbol,
}

/// A named input's place and sizes.
#[derive(Debug, Clone)]
pub(crate) struct InputSlot {
    pub name: String,
    pub shape: graph::Shape,
    pub slot: Slot,
}

/// Everything that a program runs from.
#[derive(Default)]
pub(crate) struct Plan {
    pub steps: Vec<Step>,
    pub stages: Vec<Stage>,
    pub inputs: Vec<InputSlot>,
    pub constants: Vec<(Slot, Vec<f32>)>,
    pub outputs: Vec<(Slot, graph::Shape)>,
    /// Copies made when all else is done.
    pub assignments: Vec<(Slot, Slot)>,
    pub arena: usize,
    /// Elements of a worker's memory: `local` of it for values, before that scratch.
    pub worker: usize,
    pub local: usize,
    pub batch: usize,
    pub chunks: usize,
    /// How far the values reach in parameters, gradients and arena.
    pub reach: [usize; 3],
    /// Values that are bf16 numbers.
    pub shorts: usize,
}

/// How far runs of shared memory reach in parameters, gradients and arena.
fn reach<'a>(slots: impl Iterator<Item = &'a Slot>) -> [usize; 3] {
    let mut reach = [0; 3];
    for slot in slots {
        let region = match slot.region {
            Region::Parameters => 0,
            Region::Gradients => 1,
            Region::Arena => 2,
            Region::Local => continue,
        };
        reach[region] = reach[region].max(slot.offset + slot.elements);
    }
    reach
}

/// What is to be computed.
pub(crate) struct Wanted<'a> {
    /// Values that can be read after a run.
    pub outputs: &'a [Symbol],
    /// Trainable parameters and the gradients that go to their place among the gradients.
    pub gradients: &'a [(Symbol, Symbol)],
    /// State parameters and their new values.
    pub updates: &'a [(Symbol, Symbol)],
    /// Whether large gradients are made when the parameters move.
    pub fuse_update: bool,
}

impl Plan {
    /// Where the trainable parameters lie whose gradients are there after a run, not made when the parameters move.
    pub fn elsewhere(&self, layout: &Layout) -> Vec<Range<usize>> {
        let moved = self.stages.iter().filter(|stage| stage.phase == Phase::Move);
        let moved: Vec<usize> = moved
            .flat_map(|stage| &self.steps[stage.steps.clone()])
            .map(|step| step.output.offset)
            .collect();
        let entries = layout.entries().iter().filter(|entry| entry.trainable);
        let there = entries.filter(|entry| !moved.contains(&entry.offset));
        there
            .map(|entry| entry.offset..entry.offset + entry.elements())
            .collect()
    }
}

/// The plan. With `resident`, values that only one batch stage sees stay in its workers' own memory;
/// without it every value has a place of its own for the whole batch, so that steps can run one by one.
pub(crate) fn plan(
    wanted: &Wanted,
    layout: &Layout,
    binding: &Binding,
    context: &BuildContext,
    resident: bool,
) -> Result<Plan, EngineError> {
    let mut all: Vec<Symbol> = wanted.outputs.to_vec();
    all.extend(
        wanted
            .gradients
            .iter()
            .chain(wanted.updates)
            .map(|(_, value)| value.clone()),
    );
    let ir = Ir::new(&all, binding, context.batch)?;
    let (mut values, mut drafts) = draft(&ir, layout, context)?;
    let assignments = place_gradients(&ir, wanted, layout, &drafts, &mut values)?;
    let kept: Vec<usize> = ir.outputs.iter().map(|&o| ir.origin(o)).collect();
    let input = |value: usize| {
        let op = ir.nodes.get(value).and_then(|node| node.op.graph());
        matches!(op, Some(Op::Input(_)))
    };
    let shorts = shorten::shorten(&mut drafts, &mut values, (&kept, &input), context);
    // Where parameters do not change from run to run, what depends on them alone is kept.
    let keeps = wanted.gradients.is_empty() && wanted.updates.is_empty();
    let leaf = |value: usize| {
        let op = ir.nodes.get(value).and_then(|node| node.op.graph());
        matches!(op, Some(Op::Parameter(_) | Op::Constant(_)))
    };
    let mut phases = match keeps {
        true => schedule::constant_drafts(&drafts, leaf),
        false => vec![Phase::Run; drafts.len()],
    };
    if wanted.fuse_update {
        moved::set_phases(&drafts, &values, &assignments, &mut phases);
    }
    let (order, stages) = schedule::schedule(&drafts, &values, context, &phases);
    let placement = Placement::new(&drafts, &order, &stages, &values, &kept, context, resident);
    let outputs = ir.outputs[..wanted.outputs.len()].iter();
    let outputs = outputs
        .map(|&o| (placement.slot(ir.origin(o)), ir.nodes[o].shape.clone()))
        .collect();
    let assignments: Vec<(Slot, Slot)> = assignments
        .into_iter()
        .map(|(value, to)| (placement.slot(value), to))
        .collect();
    let (inputs, constants) = placement.leaves(&ir);
    let steps = placement.steps(drafts, &order, context);
    let of_steps = steps.iter().flat_map(|s| {
        let operands = s.operands.iter().map(|o| &o.slot);
        operands.chain([&s.output]).chain(&s.partials)
    });
    let reach = reach(of_steps.chain(assignments.iter().flat_map(|(from, to)| [from, to])));
    Ok(Plan {
        reach,
        shorts,
        inputs,
        constants,
        outputs,
        assignments,
        arena: placement.arena,
        worker: placement.worker,
        local: placement.local,
        batch: context.batch,
        chunks: context.chunks,
        steps,
        stages,
    })
}

/// Gives gradients their place in the gradient store where that is possible, and returns the copies
/// that remain: gradients that share a value, and the state updates.
fn place_gradients(
    ir: &Ir,
    wanted: &Wanted,
    layout: &Layout,
    drafts: &[Draft],
    values: &mut [Value],
) -> Result<Vec<(usize, Slot)>, EngineError> {
    let place = |symbol: &Symbol, region| {
        let entry = layout
            .entry(symbol)
            .ok_or_else(|| EngineError::Parameters("a gradient of a parameter it lacks".into()))?;
        Ok::<_, EngineError>(Slot {
            region,
            offset: entry.offset,
            elements: entry.elements(),
        })
    };
    let mut copies = Vec::new();
    for (k, (parameter, _)) in wanted.gradients.iter().enumerate() {
        let value = ir.origin(ir.outputs[wanted.outputs.len() + k]);
        let slot = place(parameter, Region::Gradients)?;
        let computed = drafts.iter().any(|d| d.value == value);
        if computed
            && values[value].fixed.is_none()
            && !ir.outputs[..wanted.outputs.len()]
                .iter()
                .any(|&o| ir.origin(o) == value)
        {
            values[value].fixed = Some(slot);
        } else {
            copies.push((value, slot));
        }
    }
    for (k, (state, _)) in wanted.updates.iter().enumerate() {
        let value = ir.origin(ir.outputs[wanted.outputs.len() + wanted.gradients.len() + k]);
        copies.push((value, place(state, Region::Parameters)?));
    }
    Ok(copies)
}
