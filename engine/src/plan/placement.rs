//! Giving every value its place.

use std::collections::{BTreeMap, HashMap, HashSet};

use graph::ops::Op;

use super::draft::{Draft, NOT_READ, Value};
use super::ir::Ir;
use super::memory::{self, Request};
use super::schedule::{Phase, Stage, StageKind};
use super::{InputSlot, Operand, Region, Slot, Step, portion};
use crate::kernels::{BuildContext, Work};

/// What storage in the arena is for.
#[derive(Clone, Copy)]
enum Owner {
    /// A value.
    Value(usize),
    /// The partial results of a draft.
    Partials(usize),
}

/// The places of all values.
pub(super) struct Placement {
    /// Per value; one without storage has no elements.
    slots: Vec<Slot>,
    partials: HashMap<usize, Slot>,
    /// Elements of the arena.
    pub arena: usize,
    /// Elements of memory that a worker needs: scratch, then local values.
    pub worker: usize,
    /// Elements of it for local values.
    pub local: usize,
}

const NOWHERE: Slot = Slot {
    region: Region::Arena,
    offset: 0,
    elements: 0,
};

impl Placement {
    /// Places what `order` computes; `kept` values are readable after the run.
    pub(super) fn new(
        drafts: &[Draft],
        order: &[usize],
        stages: &[Stage],
        values: &[Value],
        kept: &[usize],
        context: &BuildContext,
        resident: bool,
    ) -> Self {
        let work = Ordered {
            drafts,
            order,
            stages,
            values,
            kept,
            context,
        };
        let mut slots: Vec<Slot> = values.iter().map(|v| v.fixed.unwrap_or(NOWHERE)).collect();
        let local = if resident { work.place_local(&mut slots) } else { 0 };
        let local = local.max(work.portions());
        let (owners, requests) = work.requests(&slots);
        let (offsets, arena) = memory::place(&requests);
        let mut partials = HashMap::new();
        for ((owner, offset), request) in owners.into_iter().zip(offsets).zip(&requests) {
            let slot = Slot {
                region: Region::Arena,
                offset,
                elements: request.elements,
            };
            match owner {
                Owner::Value(value) => slots[value] = slot,
                Owner::Partials(draft) => drop(partials.insert(draft, slot)),
            }
        }
        let scratch = drafts
            .iter()
            .map(|d| d.kernel.scratch())
            .max()
            .unwrap_or(0)
            .next_multiple_of(16);
        Self {
            slots,
            partials,
            arena,
            worker: scratch + local,
            local,
        }
    }

    /// Where a value lies.
    pub(super) fn slot(&self, value: usize) -> Slot {
        self.slots.get(value).copied().unwrap_or(NOWHERE)
    }

    /// Inputs, and constants with their numbers.
    pub(super) fn leaves(&self, ir: &Ir) -> (Vec<InputSlot>, Vec<(Slot, Vec<f32>)>) {
        let (mut inputs, mut constants) = (Vec::new(), Vec::new());
        for (index, node) in ir.nodes.iter().enumerate() {
            let slot = self.slot(index);
            match node.op.graph() {
                Some(Op::Input(input)) => inputs.push(InputSlot {
                    name: input.name.clone(),
                    shape: node.shape.clone(),
                    slot,
                }),
                Some(Op::Constant(constant)) if slot.elements > 0 => {
                    let number = |i: usize| constant.values[i % constant.values.len()];
                    constants.push((slot, (0..slot.elements).map(number).collect()));
                }
                _ => {}
            }
        }
        (inputs, constants)
    }

    /// The drafts as steps, in their order.
    pub(super) fn steps(&self, drafts: Vec<Draft>, order: &[usize], context: &BuildContext) -> Vec<Step> {
        let mut drafts: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
        order
            .iter()
            .filter_map(|&d| drafts[d].take().map(|draft| self.step(d, draft, context)))
            .collect()
    }

    fn step(&self, index: usize, draft: Draft, context: &BuildContext) -> Step {
        let operand = |&(value, by_sample): &(usize, bool)| {
            let slot = self.slot(value);
            Operand {
                slot,
                per_sample: if by_sample {
                    slot.elements / context.batch.max(1)
                } else {
                    0
                },
            }
        };
        Step {
            operands: draft.operands.iter().map(operand).collect(),
            output: self.slot(draft.value),
            partials: self.partials.get(&index).copied(),
            kernel: draft.kernel,
            work: draft.work,
            arithmetic: draft.arithmetic,
            op: draft.op,
            symbol: draft.symbol,
        }
    }
}

/// Drafts in their order and stages.
struct Ordered<'a> {
    drafts: &'a [Draft],
    order: &'a [usize],
    stages: &'a [Stage],
    values: &'a [Value],
    kept: &'a [usize],
    context: &'a BuildContext,
}

impl Ordered<'_> {
    /// Stage of each step, from 1.
    fn stage_of_steps(&self) -> Vec<usize> {
        let numbered = self.stages.iter().enumerate();
        numbered
            .flat_map(|(s, stage)| stage.steps.clone().map(move |_| s + 1))
            .collect()
    }

    /// Gives values that are made and used inside one batch stage, sample by sample, a place in the
    /// workers' own memory, one micro-batch large; the elements of that memory.
    fn place_local(&self, slots: &mut [Slot]) -> usize {
        let stage_of = self.stage_of_steps();
        let mut made: HashMap<usize, usize> = HashMap::new();
        let mut last: HashMap<usize, usize> = HashMap::new();
        let mut shared: HashSet<usize> = self.kept.iter().copied().collect();
        for (step, &d) in self.order.iter().enumerate() {
            let draft = &self.drafts[d];
            for &(operand, by_sample) in &draft.operands {
                let inside = made.get(&operand).is_some_and(|&m| stage_of[m] == stage_of[step]);
                if !by_sample || !inside {
                    shared.insert(operand);
                }
                last.insert(operand, step);
            }
            if draft.work == Work::Samples && self.values[draft.value].fixed.is_none() {
                made.insert(draft.value, step);
            }
        }
        let mut size = 0;
        for stage in self.stages {
            let StageKind::Batch { micro_batch } = stage.kind else {
                continue;
            };
            let inside = stage
                .steps
                .clone()
                .map(|step| self.drafts[self.order[step]].value);
            let owners: Vec<usize> = inside
                .filter(|v| made.contains_key(v) && !shared.contains(v))
                .collect();
            // In bands all steps take turns.
            let request = |v: &usize| Request {
                elements: self.values[*v].elements / self.context.batch * micro_batch,
                alive: match stage.bands.is_empty() {
                    true => made[v]..=last.get(v).copied().unwrap_or(made[v]),
                    false => stage.steps.start..=stage.steps.end,
                },
            };
            let (offsets, elements) = memory::place(&owners.iter().map(request).collect::<Vec<_>>());
            for (&value, offset) in owners.iter().zip(offsets) {
                slots[value] = Slot {
                    region: Region::Local,
                    offset,
                    elements: self.values[value].elements,
                };
            }
            size = size.max(elements);
        }
        size
    }

    /// Elements of the largest portion of a gradient that is made when the parameters move.
    fn portions(&self) -> usize {
        let moved = self.stages.iter().filter(|stage| stage.phase == Phase::Move);
        let steps = moved.flat_map(|stage| stage.steps.clone());
        let elements = steps.map(|step| portion(self.drafts[self.order[step]].work).1);
        elements.max().unwrap_or(0)
    }

    /// What needs storage in the arena, and in which stages. Stage 0 is before the first, where the host
    /// writes inputs; the one after the last is where it reads outputs.
    fn requests(&self, slots: &[Slot]) -> (Vec<Owner>, Vec<Request>) {
        let after = self.stages.len() + 1;
        let stage_of = self.stage_of_steps();
        let computed: HashSet<usize> = self.drafts.iter().map(|d| d.value).collect();
        let mut lives: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        let (mut owners, mut requests) = (Vec::new(), Vec::new());
        for (step, &d) in self.order.iter().enumerate() {
            let (draft, stage) = (&self.drafts[d], stage_of[step]);
            for &(operand, _) in draft.operands.iter().filter(|(v, _)| *v != NOT_READ) {
                let life = lives.entry(operand).or_insert((0, stage));
                life.1 = life.1.max(stage);
            }
            // What is kept from run to run shares its place with nothing.
            let kept = self.stages[stage - 1].phase == Phase::Constant;
            lives.insert(draft.value, if kept { (0, after) } else { (stage, stage) });
            if let Work::Reduction { partial } = draft.work {
                owners.push(Owner::Partials(d));
                requests.push(Request {
                    elements: partial * self.context.chunks,
                    alive: stage..=stage,
                });
            }
        }
        for &value in self.kept {
            lives.entry(value).or_insert((0, after)).1 = after;
        }
        for (value, (from, to)) in lives.into_iter().filter(|(v, _)| slots[*v] == NOWHERE) {
            // Leaves keep their storage: a host may set an input once and run many times.
            let to = if computed.contains(&value) { to } else { after };
            owners.push(Owner::Value(value));
            requests.push(Request {
                elements: self.values[value].elements,
                alive: from..=to,
            });
        }
        (owners, requests)
    }
}
