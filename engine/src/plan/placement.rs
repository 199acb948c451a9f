//! Giving every value its place.

use std::collections::{BTreeMap, HashMap, HashSet};

use graph::ops::Op;

use super::draft::{Draft, NOT_READ, Value};
use super::ir::Ir;
use super::memory::{self, Request};
use super::schedule::Stage;
use super::{InputSlot, Operand, Region, Slot, Step};
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
    /// Elements of scratch that a worker needs.
    pub scratch: usize,
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
    ) -> Self {
        let (owners, requests) = requests(drafts, order, stages, values, kept, context);
        let (offsets, arena) = memory::place(&requests);
        let mut slots: Vec<Slot> = values.iter().map(|v| v.fixed.unwrap_or(NOWHERE)).collect();
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
            scratch,
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
            match &node.op {
                Op::Input(input) => inputs.push(InputSlot {
                    name: input.name.clone(),
                    shape: node.shape.clone(),
                    slot,
                }),
                Op::Constant(constant) if slot.elements > 0 => {
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

/// What needs storage in the arena, and in which stages. Stage 0 is before the first, where the host
/// writes inputs; the one after the last is where it reads outputs.
fn requests(
    drafts: &[Draft],
    order: &[usize],
    stages: &[Stage],
    values: &[Value],
    kept: &[usize],
    context: &BuildContext,
) -> (Vec<Owner>, Vec<Request>) {
    let after = stages.len() + 1;
    let numbered = stages.iter().enumerate();
    let stage_of: Vec<usize> = numbered
        .flat_map(|(s, stage)| stage.steps.clone().map(move |_| s + 1))
        .collect();
    let computed: HashSet<usize> = drafts.iter().map(|d| d.value).collect();
    let mut lives: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    let (mut owners, mut requests) = (Vec::new(), Vec::new());
    for (step, &d) in order.iter().enumerate() {
        let (draft, stage) = (&drafts[d], stage_of[step]);
        for &(operand, _) in draft.operands.iter().filter(|(v, _)| *v != NOT_READ) {
            let life = lives.entry(operand).or_insert((0, stage));
            life.1 = life.1.max(stage);
        }
        lives.insert(draft.value, (stage, stage));
        if let Work::Reduction { partial } = draft.work {
            owners.push(Owner::Partials(d));
            requests.push(Request {
                elements: partial * context.chunks,
                alive: stage..=stage,
            });
        }
    }
    for &value in kept {
        lives.entry(value).or_insert((0, after)).1 = after;
    }
    for (value, (from, to)) in lives.into_iter().filter(|(v, _)| values[*v].fixed.is_none()) {
        // Leaves keep their storage: a host may set an input once and run many times.
        let to = if computed.contains(&value) { to } else { after };
        owners.push(Owner::Value(value));
        requests.push(Request {
            elements: values[value].elements,
            alive: from..=to,
        });
    }
    (owners, requests)
}
