//! From a graph to a plan: which kernel computes each value, in which stage, and where it lies.

mod ir;
mod memory;
mod schedule;

use std::collections::HashMap;

use graph::ops::{Cost, Op};
use graph::{Binding, Symbol};

use crate::kernels::{BuildContext, Kernel, OperandInfo, Work, build};
use crate::{EngineError, Layout};
pub use ir::Epilogue;
use ir::Ir;
use memory::Request;
pub(crate) use schedule::{Stage, StageKind};

/// The memory in which a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Region {
    Parameters,
    Gradients,
    /// Inputs, constants and everything computed.
    Arena,
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
pub(crate) struct Plan {
    pub steps: Vec<Step>,
    pub stages: Vec<Stage>,
    pub inputs: Vec<InputSlot>,
    pub constants: Vec<(Slot, Vec<f32>)>,
    pub outputs: Vec<(Slot, graph::Shape)>,
    /// Copies made when all else is done.
    pub assignments: Vec<(Slot, Slot)>,
    pub arena: usize,
    pub scratch: usize,
    pub batch: usize,
    pub chunks: usize,
}

impl Plan {
    /// Every run of memory that a step or an assignment touches.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        let of_step = |s: &Step| {
            s.operands
                .iter()
                .map(|o| o.slot)
                .chain([s.output])
                .chain(s.partials)
                .collect::<Vec<_>>()
        };
        self.steps
            .iter()
            .flat_map(of_step)
            .chain(self.assignments.iter().flat_map(|(a, b)| [*a, *b]))
    }
}

/// What is to be computed.
pub(crate) struct Wanted<'a> {
    /// Values that can be read after a run.
    pub outputs: &'a [Symbol],
    /// Trainable parameters and the gradients that go to their place among the gradients.
    pub gradients: &'a [(Symbol, Symbol)],
    /// State parameters and their new values.
    pub updates: &'a [(Symbol, Symbol)],
}

/// A value while the plan is made: computed by a step, or a leaf.
pub(crate) struct Draft {
    pub kernel: Box<dyn Kernel>,
    pub work: Work,
    /// Value of each operand that is read, and whether it is taken sample by sample.
    pub operands: Vec<(usize, bool)>,
    pub value: usize,
    pub cost: f64,
    pub arithmetic: Cost,
    pub op: &'static str,
    pub symbol: Symbol,
}

/// A value's size and, for leaves, its fixed place.
pub(crate) struct Value {
    pub elements: usize,
    pub fixed: Option<Slot>,
}

pub(crate) fn plan(
    wanted: &Wanted,
    layout: &Layout,
    binding: &Binding,
    context: &BuildContext,
) -> Result<Plan, EngineError> {
    let mut all: Vec<Symbol> = wanted.outputs.to_vec();
    all.extend(
        wanted
            .gradients
            .iter()
            .chain(wanted.updates)
            .map(|(_, value)| value.clone()),
    );
    let ir = Ir::new(&all, binding)?;
    let (mut values, drafts) = draft(&ir, layout, context)?;
    let assignments = place_gradients(&ir, wanted, layout, &drafts, &mut values)?;
    let kept: Vec<usize> = ir.outputs.iter().map(|&o| ir.origin(o)).collect();
    let (order, stages) = schedule::schedule(&drafts, &values, context);
    let plan = Placement::new(&drafts, &order, &stages, &values, &kept, context);
    Ok(plan.finish(drafts, order, stages, &ir, wanted, assignments, &values, context))
}

/// Chooses a kernel for every needed node; value i is node i, packed operands come after.
fn draft(ir: &Ir, layout: &Layout, context: &BuildContext) -> Result<(Vec<Value>, Vec<Draft>), EngineError> {
    let needed = ir.needed();
    let mut values: Vec<Value> = Vec::new();
    for node in &ir.nodes {
        let elements = node.shape.elements();
        let fixed = match &node.op {
            Op::Parameter(parameter) => match layout.entry(&node.symbol) {
                Some(entry) => Some(Slot {
                    region: Region::Parameters,
                    offset: entry.offset,
                    elements,
                }),
                None => {
                    return Err(EngineError::Parameters(format!(
                        "it lacks `{}` {}",
                        parameter.role, node.shape
                    )));
                }
            },
            _ => None,
        };
        values.push(Value { elements, fixed });
    }
    let mut drafts = Vec::new();
    let mut packed: HashMap<String, usize> = HashMap::new();
    for (index, node) in ir.nodes.iter().enumerate() {
        let leaf = matches!(node.op, Op::Input(_) | Op::Parameter(_) | Op::Constant(_));
        if !needed[index] || leaf || node.alias.is_some() {
            continue;
        }
        let infos: Vec<OperandInfo> = node
            .inputs
            .iter()
            .map(|&i| OperandInfo {
                shape: ir.nodes[i].shape.clone(),
            })
            .collect();
        let built = build(context, &node.op, node.epilogue, &infos, &node.shape)?;
        let mut operands = Vec::new();
        for (position, &input) in node.inputs.iter().enumerate() {
            let origin = ir.origin(input);
            let value = match built.packs.iter().find(|(k, _)| *k == position) {
                None => origin,
                Some((_, pack)) => *packed.entry(format!("{origin} {pack:?}")).or_insert_with(|| {
                    let kernel: Box<dyn Kernel> = Box::new(pack.clone());
                    let elements = pack.elements();
                    values.push(Value {
                        elements,
                        fixed: None,
                    });
                    let value = values.len() - 1;
                    let work = kernel.work();
                    let cost = elements as f64 * 0.3;
                    drafts.push(Draft {
                        kernel,
                        work,
                        operands: vec![(origin, false)],
                        value,
                        cost,
                        arithmetic: Cost::default(),
                        op: "pack",
                        symbol: node.symbol.clone(),
                    });
                    value
                }),
            };
            if ir.reads(node, position) {
                operands.push((value, built.by_sample.get(position).copied().unwrap_or(false)));
            } else {
                // Kernels address operands by position; one that is not read has no storage.
                operands.push((usize::MAX, false));
            }
        }
        let (arithmetic, cost) = estimate(node, &infos);
        let work = built.kernel.work();
        drafts.push(Draft {
            kernel: built.kernel,
            work,
            operands,
            value: index,
            cost,
            arithmetic,
            op: node.op.name(),
            symbol: node.symbol.clone(),
        });
    }
    Ok((values, drafts))
}

/// The arithmetic, and nanoseconds on one thread: arithmetic and memory traffic, each at a modest rate.
fn estimate(node: &ir::Node, operands: &[OperandInfo]) -> (Cost, f64) {
    let shapes: Vec<&graph::Shape> = operands.iter().map(|o| &o.shape).collect();
    let taken = shapes.len().min(if node.epilogue.bias {
        shapes.len() - 1
    } else {
        shapes.len()
    });
    let cost = node.op.cost(&shapes[..taken], &node.shape);
    let moved: usize = shapes.iter().map(|s| s.elements()).sum::<usize>() + node.shape.elements();
    (cost, cost.macs as f64 / 40.0 + moved as f64 * 0.25 + 20.0)
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

/// Offsets of everything that lives in the arena.
struct Placement {
    slots: HashMap<usize, Slot>,
    partials: HashMap<usize, Slot>,
    arena: usize,
    scratch: usize,
}

impl Placement {
    fn new(
        drafts: &[Draft],
        order: &[usize],
        stages: &[Stage],
        values: &[Value],
        kept: &[usize],
        context: &BuildContext,
    ) -> Self {
        let last_stage = stages.len();
        let stage_of: HashMap<usize, usize> = stages
            .iter()
            .enumerate()
            .flat_map(|(s, stage)| stage.steps.clone().map(move |k| (k, s + 1)))
            .collect();
        let mut lives: HashMap<usize, (usize, usize)> = HashMap::new();
        for (step, &d) in order.iter().enumerate() {
            let stage = stage_of[&step];
            let draft = &drafts[d];
            // A leaf in the arena is written before the run, so it lives from stage 0 on.
            for &(operand, _) in draft.operands.iter().filter(|(v, _)| *v != usize::MAX) {
                let life = lives.entry(operand).or_insert((0, stage));
                life.1 = life.1.max(stage);
            }
            lives.insert(draft.value, (stage, stage));
        }
        for &value in kept {
            lives.entry(value).or_insert((0, 0)).1 = last_stage + 1;
        }
        let mut requests = Vec::new();
        let mut owners = Vec::new();
        let computed: std::collections::HashSet<usize> = drafts.iter().map(|d| d.value).collect();
        let mut sorted: Vec<_> = lives.into_iter().collect();
        sorted.sort_unstable();
        for (value, (from, to)) in sorted {
            if values[value].fixed.is_none() {
                // Leaves keep their storage: a host may set an input once and run many times.
                let to = if computed.contains(&value) {
                    to
                } else {
                    last_stage + 1
                };
                requests.push(Request {
                    elements: values[value].elements,
                    alive: from..=to,
                });
                owners.push((value, false));
            }
        }
        for (step, &d) in order.iter().enumerate() {
            if let Work::Reduction { partial } = drafts[d].work {
                let stage = stage_of[&step];
                requests.push(Request {
                    elements: partial * context.chunks,
                    alive: stage..=stage,
                });
                owners.push((d, true));
            }
        }
        let (offsets, arena) = memory::place(&requests);
        let (mut slots, mut partials) = (HashMap::new(), HashMap::new());
        for ((owner, partial), (offset, request)) in
            owners.into_iter().zip(offsets.into_iter().zip(&requests))
        {
            let slot = Slot {
                region: Region::Arena,
                offset,
                elements: request.elements,
            };
            if partial {
                partials.insert(owner, slot)
            } else {
                slots.insert(owner, slot)
            };
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

    fn slot(&self, value: usize, values: &[Value]) -> Slot {
        let nowhere = Slot {
            region: Region::Arena,
            offset: 0,
            elements: 0,
        };
        values.get(value).map_or(nowhere, |v| {
            v.fixed
                .or_else(|| self.slots.get(&value).copied())
                .unwrap_or(nowhere)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn finish(
        self,
        drafts: Vec<Draft>,
        order: Vec<usize>,
        stages: Vec<Stage>,
        ir: &Ir,
        wanted: &Wanted,
        copies: Vec<(usize, Slot)>,
        values: &[Value],
        context: &BuildContext,
    ) -> Plan {
        let mut inputs = Vec::new();
        let mut constants = Vec::new();
        for (index, node) in ir.nodes.iter().enumerate() {
            let slot = self.slot(index, values);
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
        let outputs = ir.outputs[..wanted.outputs.len()]
            .iter()
            .map(|&o| (self.slot(ir.origin(o), values), ir.nodes[o].shape.clone()))
            .collect();
        let assignments = copies
            .into_iter()
            .map(|(value, to)| (self.slot(value, values), to))
            .collect();
        let mut drafts: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
        let steps = order
            .iter()
            .filter_map(|&d| drafts[d].take().map(|draft| self.step(d, draft, values, context)))
            .collect();
        let (arena, scratch, batch, chunks) = (self.arena, self.scratch, context.batch, context.chunks);
        Plan {
            steps,
            stages,
            inputs,
            constants,
            outputs,
            assignments,
            arena,
            scratch,
            batch,
            chunks,
        }
    }

    fn step(&self, index: usize, draft: Draft, values: &[Value], context: &BuildContext) -> Step {
        let operand = |&(value, by_sample): &(usize, bool)| {
            let slot = self.slot(value, values);
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
            output: self.slot(draft.value, values),
            partials: self.partials.get(&index).copied(),
            kernel: draft.kernel,
            work: draft.work,
            arithmetic: draft.arithmetic,
            op: draft.op,
            symbol: draft.symbol,
        }
    }
}
