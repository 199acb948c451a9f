//! From nodes to instructions: where each value lies, in which form, and what remains to be done.

use ::graph::Shape;
use ::graph::ops::Op;

use super::graph::{Graph, Node};
use super::join::join;
use super::program::{LaneProgram, Part};
use crate::Layout;
use crate::kernels::lanes::{At, Batch, Code, LANES, Memory, Operand, Walk};
use crate::plan::{InputSlot, Plan, Region, Slot, Wanted};

/// How a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Row by row, samples in lanes.
    Lanes,
    /// Element after element.
    Plain,
    /// One number that stands for all elements.
    Same,
}

/// Where a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value {
    pub at: At,
    pub form: Form,
}

/// A program in the making.
pub(super) struct Translation<'a> {
    pub graph: &'a Graph,
    pub layout: &'a Layout,
    pub samples: usize,
    pub batch: Batch,
    /// Places of inputs and outputs.
    pub plan: Plan,
    pub code: Vec<Code>,
    pub parts: Vec<Part>,
    /// What the arena holds before the first run.
    pub arena: Vec<f32>,
    /// Whether gradients are asked for.
    pub trains: bool,
    /// Estimated vector operations.
    pub work: usize,
    values: Vec<Option<Value>>,
    /// Where a node's value belongs among the gradients.
    gradients: Vec<Option<At>>,
}

impl<'a> Translation<'a> {
    pub fn new(graph: &'a Graph, layout: &'a Layout, samples: usize) -> Self {
        Self {
            graph,
            layout,
            samples,
            batch: Batch::new(samples),
            plan: Plan {
                batch: samples,
                chunks: 1,
                ..Plan::default()
            },
            code: vec![],
            parts: vec![],
            arena: vec![],
            trains: false,
            work: 0,
            values: vec![None; graph.nodes.len()],
            gradients: vec![None; graph.nodes.len()],
        }
    }

    /// The whole program, or `None` where an op is not known in this form.
    pub fn whole(mut self, wanted: &Wanted) -> Option<(LaneProgram, Plan)> {
        let graph = self.graph;
        let (outputs, gradients) = graph.outputs.split_at(wanted.outputs.len());
        self.trains = !gradients.is_empty();
        let mut places = Vec::with_capacity(gradients.len());
        for (&node, (parameter, _)) in gradients.iter().zip(wanted.gradients) {
            let to = at(Memory::Gradients, self.layout.entry(parameter)?.offset);
            places.push((node, to));
            if graph.nodes[node].batched {
                return None;
            }
            if !outputs.contains(&node) && self.gradients[node].is_none() {
                self.gradients[node] = Some(to);
            }
        }
        for (index, node) in graph.nodes.iter().enumerate() {
            // Inputs can be set even where nobody reads them.
            if node.readers > 0 || matches!(node.op(), Op::Input(_)) {
                if node.shape.elements() == 0 || (node.batched && node.shape.first() != Some(&self.samples)) {
                    return None;
                }
                self.values[index] = Some(self.node(index, node)?);
            }
        }
        for &output in outputs {
            let slot = slot(self.for_host(output)?, graph.nodes[output].shape.elements());
            self.plan.outputs.push((slot, graph.nodes[output].shape.clone()));
        }
        for (node, to) in places {
            self.copy(node, to)?;
        }
        // A whole vector may be read of a value that begins inside of another.
        self.memory(LANES);
        self.plan.arena = self.arena.len();
        let all = slot(at(Memory::Arena, 0), self.arena.len());
        self.plan.constants.push((all, std::mem::take(&mut self.arena)));
        let kept: Vec<(At, usize)> = self
            .plan
            .outputs
            .iter()
            .filter_map(|(slot, _)| kept(*slot))
            .collect();
        join(&mut self.code, &mut self.parts, self.batch, &kept);
        LaneProgram::of(self)
    }

    /// A named input's place, in lanes.
    pub fn input(&mut self, index: usize, node: &Node, name: &str) -> Value {
        let value = self.result(index);
        self.plan.inputs.push(InputSlot {
            name: name.into(),
            shape: node.shape.clone(),
            slot: slot(value.at, self.rows(index) * self.batch.row()),
        });
        value
    }

    pub fn value(&self, index: usize) -> Option<Value> {
        self.values[index]
    }

    /// Rows of a batched node.
    pub fn rows(&self, index: usize) -> usize {
        self.graph.nodes[index].shape.elements() / self.samples
    }

    /// New memory for so many elements; whole vectors can be read of it.
    pub fn memory(&mut self, elements: usize) -> At {
        let place = at(Memory::Arena, self.arena.len());
        self.arena
            .resize(self.arena.len() + elements.next_multiple_of(LANES), 0.0);
        place
    }

    /// A number in memory.
    pub fn constant(&mut self, numbers: &[f32]) -> At {
        let place = self.memory(numbers.len());
        self.arena[place.offset as usize..][..numbers.len()].copy_from_slice(numbers);
        place
    }

    /// New memory for a node's result.
    pub fn result(&mut self, index: usize) -> Value {
        let node = &self.graph.nodes[index];
        if node.batched {
            let at = self.memory(self.rows(index) * self.batch.row());
            return Value {
                at,
                form: Form::Lanes,
            };
        }
        let at = match self.gradients[index] {
            Some(at) => at,
            None => self.memory(node.shape.elements()),
        };
        Value {
            at,
            form: Form::Plain,
        }
    }

    /// How an element-wise instruction walks a node's result.
    pub fn walk(&self, index: usize) -> Walk {
        let node = &self.graph.nodes[index];
        if node.batched {
            Walk::lanes(self.rows(index), self.batch)
        } else {
            Walk::plain(node.shape.elements())
        }
    }

    /// Adds an instruction that works for a node.
    pub fn emit(&mut self, index: usize, code: Code, work: usize) {
        let node = &self.graph.nodes[index];
        let shapes: Vec<&Shape> = node.inputs.iter().map(|&i| &self.graph.nodes[i].shape).collect();
        self.code.push(code);
        self.work += work + 8;
        self.parts.push(Part {
            op: node.op().name(),
            symbol: node.symbol.clone(),
            arithmetic: node.op().cost(&shapes, &node.shape),
            bytes: 4 * (shapes.iter().map(|s| s.elements()).sum::<usize>() + node.shape.elements()),
        });
    }

    /// A node's value in lanes, written out if it was one number.
    pub fn lanes(&mut self, index: usize) -> Option<At> {
        self.written(index, Form::Lanes)
    }

    /// A node's value as plain numbers, written out if it was one.
    pub fn plain(&mut self, index: usize) -> Option<At> {
        self.written(index, Form::Plain)
    }

    fn written(&mut self, index: usize, form: Form) -> Option<At> {
        let (value, node) = (self.values[index]?, &self.graph.nodes[index]);
        if node.batched != (form == Form::Lanes) {
            return None;
        }
        if value.form == form || (form == Form::Plain && node.shape.elements() == 1) {
            return Some(value.at);
        }
        let elements = match form {
            Form::Lanes => self.rows(index) * self.batch.row(),
            _ => node.shape.elements(),
        };
        let out = self.memory(elements);
        self.copy(index, out)?;
        self.values[index] = Some(Value { at: out, form });
        Some(out)
    }

    /// Copies a node's value, in the form that its walk has.
    fn copy(&mut self, index: usize, out: At) -> Option<()> {
        let (value, node) = (self.values[index]?, &self.graph.nodes[index]);
        if value.at == out {
            return Some(());
        }
        let walk = self.walk(index);
        let x = self.operand(index, &node.shape, node.batched)?;
        let (scale, shift) = (1.0, 0.0);
        let work = (walk.rows * walk.blocks) as usize;
        let code = Code::Affine {
            scale,
            shift,
            x,
            out,
            walk,
        };
        self.emit(index, code, work);
        // It is a copy, not the op again.
        if let Some(part) = self.parts.last_mut() {
            (part.op, part.arithmetic) = ("copy", Default::default());
        }
        Some(())
    }

    /// Where the host reads a node's value, row-major.
    fn for_host(&mut self, index: usize) -> Option<At> {
        let node = &self.graph.nodes[index];
        if !node.batched {
            return self.plain(index);
        }
        let (x, rows) = (self.lanes(index)?, self.rows(index));
        if rows == 1 {
            return Some(x);
        }
        let out = self.memory(node.shape.elements());
        let code = Code::Gather {
            x,
            out,
            rows: rows as u32,
        };
        self.emit(index, code, node.shape.elements() / 4);
        if let Some(part) = self.parts.last_mut() {
            (part.op, part.arithmetic) = ("gather", Default::default());
        }
        Some(out)
    }

    /// A node as operand of an element-wise instruction over a result of this shape.
    pub fn operand(&self, index: usize, shape: &Shape, batched: bool) -> Option<Operand> {
        let (node, value) = (&self.graph.nodes[index], self.values[index]?);
        let at = value.at;
        let (step, splat) = match (node.batched, batched) {
            _ if value.form == Form::Same => (0, true),
            (false, _) if node.shape.elements() == 1 => (0, true),
            (true, true) if node.shape == *shape => (self.batch.row(), false),
            // One row for all features.
            (true, true) if node.shape.rank() == shape.rank() && self.rows(index) == 1 => (0, false),
            // A number per feature.
            (false, true) if trimmed(&node.shape) == trimmed(&shape[1..]) => (1, true),
            (false, false) if trimmed(&node.shape) == trimmed(shape) => (LANES, false),
            _ => return None,
        };
        Some(Operand {
            at,
            step: step as u32,
            splat,
        })
    }

    /// All operands of a node, for a result of its shape.
    pub fn operands<const N: usize>(&self, node: &Node) -> Option<[Operand; N]> {
        let mut found = [None; N];
        for (to, &input) in found.iter_mut().zip(&node.inputs) {
            *to = self.operand(input, &node.shape, node.batched);
        }
        let all: Vec<Operand> = found.into_iter().collect::<Option<_>>()?;
        all.try_into().ok()
    }
}

/// What the host reads of the arena.
fn kept(slot: Slot) -> Option<(At, usize)> {
    matches!(slot.region, Region::Arena).then(|| (at(Memory::Arena, slot.offset), slot.elements))
}

fn slot(at: At, elements: usize) -> Slot {
    let region = match at.memory {
        Memory::Parameters => Region::Parameters,
        Memory::Gradients => Region::Gradients,
        Memory::Arena => Region::Arena,
    };
    Slot {
        region,
        offset: at.offset as usize,
        elements,
    }
}

pub(super) fn at(memory: Memory, offset: usize) -> At {
    At {
        memory,
        offset: offset as u32,
    }
}

/// A shape without leading ones, which broadcasting does not see.
pub(super) fn trimmed(shape: &[usize]) -> &[usize] {
    let ones = shape.iter().take_while(|&&n| n == 1).count();
    &shape[ones..]
}
