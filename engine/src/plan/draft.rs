//! Choosing kernels: a draft of each step, before it has an order and a place.

use std::collections::HashMap;

use graph::Symbol;
use graph::ops::{Cost, Op};

use super::ir::{Ir, Node};
use super::{Action, Region, Slot};
use crate::kernels::{BuildContext, Built, Kernel, OperandInfo, Packing, Work, build};
use crate::{EngineError, Layout};

/// Stands for an operand that a kernel does not read.
pub(super) const NOT_READ: usize = usize::MAX;

/// A value while the plan is made: computed by a step, or a leaf.
pub(crate) struct Draft {
    pub kernel: Box<dyn Kernel>,
    pub work: Work,
    /// Value of each operand, and whether it is taken sample by sample.
    /// [`NOT_READ`] stands for one that is not.
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

/// Chooses a kernel for every needed node; value i is node i, packed operands come after.
pub(super) fn draft(
    ir: &Ir,
    layout: &Layout,
    context: &BuildContext,
) -> Result<(Vec<Value>, Vec<Draft>), EngineError> {
    let needed = ir.needed();
    let values = ir
        .nodes
        .iter()
        .map(|node| leaf_or_computed(node, layout))
        .collect::<Result<_, _>>()?;
    let mut drafting = Drafting {
        values,
        drafts: Vec::new(),
        packed: HashMap::new(),
    };
    for (index, node) in ir.nodes.iter().enumerate() {
        let leaf = node.op.is_leaf();
        if needed[index] && !leaf && node.alias.is_none() {
            drafting.node(ir, index, node, context)?;
        }
    }
    Ok((drafting.values, drafting.drafts))
}

fn leaf_or_computed(node: &Node, layout: &Layout) -> Result<Value, EngineError> {
    let elements = node.shape.elements();
    let Action::Graph(Op::Parameter(parameter)) = &node.op else {
        return Ok(Value {
            elements,
            fixed: None,
        });
    };
    let entry = layout.entry(&node.symbol);
    let entry = entry
        .ok_or_else(|| EngineError::Parameters(format!("it lacks `{}` {}", parameter.role, node.shape)))?;
    let fixed = Some(Slot {
        region: Region::Parameters,
        offset: entry.offset,
        elements,
    });
    Ok(Value { elements, fixed })
}

struct Drafting {
    values: Vec<Value>,
    drafts: Vec<Draft>,
    /// Packed forms that exist already, by value and kind of packing.
    packed: HashMap<String, usize>,
}

impl Drafting {
    fn node(
        &mut self,
        ir: &Ir,
        index: usize,
        node: &Node,
        context: &BuildContext,
    ) -> Result<(), EngineError> {
        let shape = |&i: &usize| OperandInfo {
            shape: ir.nodes[i].shape.clone(),
        };
        let infos: Vec<OperandInfo> = node.inputs.iter().map(shape).collect();
        let built = build(context, &node.op, node.epilogue, &infos, &node.shape)?;
        let mut operands = Vec::new();
        for (position, &input) in node.inputs.iter().enumerate() {
            operands.push(self.operand(ir, node, position, ir.origin(input), &built));
        }
        let also = built.also.iter().map(|&k| (ir.origin(node.inputs[k]), false));
        operands.extend(also);
        let (mut arithmetic, mut cost) = estimate(node, &infos);
        if let Some((kernel, elements)) = built.before {
            let value = self.before(node, kernel, elements, (&operands, arithmetic, cost));
            operands.insert(0, (value, false));
            (arithmetic, cost) = (Cost::default(), elements as f64 * 0.3);
        }
        let (work, op, symbol) = (built.kernel.work(), node.op.name(), node.symbol.clone());
        self.drafts.push(Draft {
            kernel: built.kernel,
            work,
            operands,
            value: index,
            cost,
            arithmetic,
            op,
            symbol,
        });
        Ok(())
    }

    /// A step before a node's own, which takes over its arithmetic; the value that it makes.
    fn before(
        &mut self,
        node: &Node,
        kernel: Box<dyn Kernel>,
        elements: usize,
        (operands, arithmetic, cost): (&[(usize, bool)], Cost, f64),
    ) -> usize {
        let value = self.values.len();
        self.values.push(Value {
            elements,
            fixed: None,
        });
        self.drafts.push(Draft {
            work: kernel.work(),
            kernel,
            operands: operands.iter().map(|(value, _)| (*value, false)).collect(),
            value,
            cost,
            arithmetic,
            op: node.op.name(),
            symbol: node.symbol.clone(),
        });
        value
    }

    /// The value that a kernel takes at `position`, and whether sample by sample.
    fn operand(
        &mut self,
        ir: &Ir,
        node: &Node,
        position: usize,
        origin: usize,
        built: &Built,
    ) -> (usize, bool) {
        if !ir.reads(node, position) {
            // Kernels address operands by position; one that is not read has no storage.
            return (NOT_READ, false);
        }
        let value = match built.packs.iter().find(|(k, _)| *k == position) {
            Some((_, pack)) => self.pack(origin, pack, &node.symbol),
            None => origin,
        };
        (value, built.by_sample.get(position).copied().unwrap_or(false))
    }

    /// The packed form of a value; made once however many kernels take it.
    fn pack(&mut self, origin: usize, pack: &Packing, symbol: &Symbol) -> usize {
        let key = format!("{origin} {pack:?}");
        if let Some(&value) = self.packed.get(&key) {
            return value;
        }
        let value = self.values.len();
        let elements = pack.elements();
        self.values.push(Value {
            elements,
            fixed: None,
        });
        self.packed.insert(key, value);
        self.drafts.push(Draft {
            work: pack.work(),
            kernel: Box::new(pack.clone()),
            operands: vec![(origin, false)],
            value,
            cost: elements as f64 * 0.3,
            arithmetic: Cost::default(),
            op: "pack",
            symbol: symbol.clone(),
        });
        value
    }
}

/// The arithmetic, and nanoseconds on one thread: arithmetic and memory traffic, each at a modest rate.
fn estimate(node: &Node, operands: &[OperandInfo]) -> (Cost, f64) {
    let shapes: Vec<&graph::Shape> = operands.iter().map(|o| &o.shape).collect();
    let own = shapes.len() - node.epilogue.count();
    let cost = node.op.cost(&shapes[..own], &node.shape);
    let moved: usize = shapes.iter().map(|s| s.elements()).sum::<usize>() + node.shape.elements();
    (cost, cost.macs as f64 / 40.0 + moved as f64 * 0.25 + 20.0)
}
