//! The ops that lane programs know.

use ::graph::Shape;
use ::graph::ops::{BroadcastLike, CrossEntropy, Op, Reduce, ReduceKind, Slice, SliceGradient};

use super::graph::Node;
use super::translate::{Form, Translation, Value, at, trimmed};
use crate::kernels::lanes::{At, Code, Memory, RowRule, Then, Walk};

/// Estimated vector operations of a function of one vector.
const FUNCTION: usize = 12;

impl Translation<'_> {
    /// Adds what computes a node and says where its value lies; `None` if that is not known.
    pub(super) fn node(&mut self, index: usize, node: &Node) -> Option<Value> {
        match node.op() {
            Op::Input(input) => Some(self.input(index, node, &input.name)),
            Op::Parameter(_) => {
                let entry = self.layout.entry(&node.symbol)?;
                let at = at(Memory::Parameters, entry.offset);
                Some(Value {
                    at,
                    form: Form::Plain,
                })
            }
            Op::Constant(constant) => Some(self.fixed(&constant.values)),
            Op::Reshape(_) => self.renamed(node),
            Op::BroadcastLike(op) => self.broadcast(index, node, *op),
            Op::SumLike(_) => self.sum_like(index, node),
            Op::Reduce(op) => self.reduce(index, node, op),
            Op::MatMul(_) => self.matmul(index, node),
            Op::Slice(op) => self.slice(node, *op),
            Op::SliceGradient(op) => self.spread(index, node, *op),
            Op::Softmax(_) => self.classes(index, node, RowRule::Softmax),
            Op::LogSoftmax(_) => self.classes(index, node, RowRule::LogSoftmax),
            Op::SoftmaxGradient(_) => self.classes(index, node, RowRule::SoftmaxGradient),
            Op::LogSoftmaxGradient(_) => self.classes(index, node, RowRule::LogSoftmaxGradient),
            Op::CrossEntropy(op) => self.cross_entropy(index, node, *op),
            Op::CrossEntropyGradient(op) => self.cross_entropy_gradient(index, node, op.cross_entropy),
            _ => self.elements(index, node),
        }
    }

    fn fixed(&mut self, numbers: &[f32]) -> Value {
        let form = if numbers.len() == 1 {
            Form::Same
        } else {
            Form::Plain
        };
        let at = self.constant(numbers);
        Value { at, form }
    }

    /// The operand under another shape.
    fn renamed(&self, node: &Node) -> Option<Value> {
        let of = node.inputs[0];
        let same = self.graph.nodes[of].batched == node.batched;
        self.value(of).filter(|_| same)
    }

    /// Ops of one result element and one element of each operand.
    fn elements(&mut self, index: usize, node: &Node) -> Option<Value> {
        let walk = self.walk(index);
        let vectors = (walk.rows * walk.blocks) as usize;
        match node.op() {
            Op::Affine(op) if op.scale == 1.0 && op.shift == 0.0 => self.renamed(node),
            Op::Affine(op) => {
                let [x] = self.operands(node)?;
                let (scale, shift) = (op.scale, op.shift);
                Some(self.emitted(index, vectors, |out| Code::Affine {
                    scale,
                    shift,
                    x,
                    out,
                    walk,
                }))
            }
            Op::Unary(op) => {
                let ([x], kind) = (self.operands(node)?, op.kind);
                let work = vectors * FUNCTION;
                Some(self.emitted(index, work, |out| Code::Unary { kind, x, out, walk }))
            }
            Op::UnaryGradient(op) => {
                let ([g, v], kind) = (self.operands(node)?, op.kind);
                Some(self.emitted(index, vectors * 3, |out| Code::Slope {
                    kind,
                    g,
                    v,
                    out,
                    walk,
                }))
            }
            Op::Binary(op) => {
                let ([a, b], kind) = (self.operands(node)?, op.kind);
                Some(self.emitted(index, vectors, |out| Code::Binary {
                    kind,
                    a,
                    b,
                    out,
                    walk,
                }))
            }
            _ => None,
        }
    }

    /// Adds an instruction for a node's result, which gets new memory.
    fn emitted(&mut self, index: usize, work: usize, code: impl FnOnce(At) -> Code) -> Value {
        let value = self.result(index);
        self.emit(index, code(value.at), work);
        value
    }

    fn broadcast(&mut self, index: usize, node: &Node, op: BroadcastLike) -> Option<Value> {
        let from = node.inputs[0];
        let (source, value) = (&self.graph.nodes[from], self.value(from)?);
        if source.shape == node.shape && source.batched == node.batched {
            return Some(value);
        }
        let repeats = node.shape.elements() as f64 / source.shape.elements() as f64;
        let scale = if op.divided { (1.0 / repeats) as f32 } else { 1.0 };
        if source.batched || (source.shape.elements() > 1 && value.form != Form::Same) {
            let [x] = [self.operand(from, &node.shape, node.batched)?];
            let (shift, walk) = (0.0, self.walk(index));
            let work = (walk.rows * walk.blocks) as usize;
            return Some(self.emitted(index, work, |out| Code::Affine {
                scale,
                shift,
                x,
                out,
                walk,
            }));
        }
        let form = Form::Same;
        if scale == 1.0 {
            return Some(Value { at: value.at, form });
        }
        if let Op::Constant(_) = source.op() {
            let number = self.arena[value.at.offset as usize] * scale;
            let at = self.constant(&[number]);
            return Some(Value { at, form });
        }
        let x = self.operand(from, &Shape::scalar(), false)?;
        let (out, shift, walk) = (self.memory(1), 0.0, Walk::plain(1));
        let code = Code::Affine {
            scale,
            shift,
            x,
            out,
            walk,
        };
        self.emit(index, code, 1);
        Some(Value { at: out, form })
    }

    fn sum_like(&mut self, index: usize, node: &Node) -> Option<Value> {
        let source = &self.graph.nodes[node.inputs[0]];
        if source.shape == node.shape {
            return self.renamed(node);
        }
        self.sum(index, node, 1.0)
    }

    fn reduce(&mut self, index: usize, node: &Node, op: &Reduce) -> Option<Value> {
        let source = &self.graph.nodes[node.inputs[0]].shape;
        let scale = match op.kind {
            ReduceKind::Sum => 1.0,
            ReduceKind::Mean => node.shape.elements() as f64 / source.elements() as f64,
            ReduceKind::Max => return None,
        };
        self.sum(index, node, scale as f32)
    }

    /// The sum over everything, over samples, or over a sample's features, as the shapes say.
    fn sum(&mut self, index: usize, node: &Node, scale: f32) -> Option<Value> {
        let from = node.inputs[0];
        let (source, elements) = (&self.graph.nodes[from], node.shape.elements());
        if !source.batched {
            let x = self.plain(from).filter(|_| elements == 1)?;
            let count = source.shape.elements();
            return Some(self.emitted(index, count / 4, |out| Code::SumPlain {
                x,
                out,
                elements: count as u32,
                scale,
            }));
        }
        let x = self.lanes(from)?;
        let rows = self.rows(from) as u32;
        let work = rows as usize * self.batch.blocks;
        if node.batched {
            let whole = node.shape.rank() == source.shape.rank() && elements == self.samples;
            return whole.then(|| self.emitted(index, work, |out| Code::SumRows { x, out, rows, scale }));
        }
        if elements == 1 {
            return Some(self.emitted(index, work + 10, |out| Code::SumAll {
                x,
                out,
                rows,
                scale,
                squared: false,
            }));
        }
        let by_feature = trimmed(&node.shape) == trimmed(&source.shape[1..]);
        by_feature.then(|| self.emitted(index, work * 4, |out| Code::SumLanes { x, out, rows, scale }))
    }

    fn matmul(&mut self, index: usize, node: &Node) -> Option<Value> {
        let Op::MatMul(op) = node.op() else { return None };
        let [a, b] = [node.inputs[0], node.inputs[1]];
        let (left, right) = (&self.graph.nodes[a], &self.graph.nodes[b]);
        if left.shape.rank() != 2 || right.shape.rank() != 2 || !left.batched {
            return None;
        }
        let sizes = op.sizes(&left.shape, &right.shape).ok()?;
        let x = self.lanes(a)?;
        if op.transpose_a {
            let g = self.lanes(b).filter(|_| !op.transpose_b)?;
            let (k, m) = (sizes.m, sizes.n);
            let work = k * m * (self.batch.blocks + 3);
            let (k, m) = (k as u32, m as u32);
            return Some(self.emitted(index, work, |out| Code::Outer {
                x,
                g,
                out,
                sums: None,
                k,
                m,
            }));
        }
        let weights = self.plain(b)?;
        let (k, m) = (sizes.k as u32, sizes.n as u32);
        let (step_k, step_m) = if op.transpose_b { (1, k) } else { (m, 1) };
        let work = sizes.k * sizes.n * self.batch.blocks;
        Some(self.emitted(index, work, |out| Code::Dense {
            x,
            weights,
            bias: None,
            out,
            k,
            m,
            step_k,
            step_m,
            then: Then::Nothing,
        }))
    }

    fn slice(&mut self, node: &Node, op: Slice) -> Option<Value> {
        let from = node.inputs[0];
        let (source, value) = (&self.graph.nodes[from], self.value(from)?);
        if value.form == Form::Same && node.batched == source.batched {
            return Some(value);
        }
        let step = match (source.batched, op.axis) {
            _ if op.step != 1 && op.length != 1 => return None,
            (true, 1) => source.shape[2..].iter().product::<usize>() * self.batch.row(),
            (false, 0) if source.shape.rank() == 1 => 1,
            _ => return None,
        };
        let mut at = value.at;
        at.offset += (op.start * step) as u32;
        Some(Value { at, form: value.form })
    }

    fn spread(&mut self, index: usize, node: &Node, op: SliceGradient) -> Option<Value> {
        if node.batched || node.shape.rank() != 1 {
            return None;
        }
        let x = self.plain(node.inputs[0])?;
        let elements = node.shape.elements();
        let Slice {
            start, length, step, ..
        } = op.slice;
        Some(self.emitted(index, elements, |out| Code::Spread {
            x,
            out,
            elements: elements as u32,
            start: start as u32,
            length: length as u32,
            step: step as u32,
        }))
    }

    /// Groups and classes of a value in lanes.
    fn groups(&self, index: usize) -> Option<[u32; 2]> {
        let shape = &self.graph.nodes[index].shape;
        let classes = shape.last_axis();
        (shape.rank() > 1).then(|| [(self.rows(index) / classes) as u32, classes as u32])
    }

    fn classes(&mut self, index: usize, node: &Node, rule: RowRule) -> Option<Value> {
        let [groups, classes] = self.groups(index).filter(|_| node.batched)?;
        let x = self.lanes(node.inputs[0])?;
        let y = match node.inputs.get(1) {
            Some(&y) => self.lanes(y)?,
            None => x,
        };
        let work = (groups * classes) as usize * self.batch.blocks * FUNCTION;
        Some(self.emitted(index, work, |out| Code::Classes {
            rule,
            x,
            y,
            out,
            groups,
            classes,
        }))
    }

    fn cross_entropy(&mut self, index: usize, node: &Node, op: CrossEntropy) -> Option<Value> {
        let [z, t, w] = [node.inputs[0], node.inputs[1], node.inputs[2]];
        let [groups, classes] = self.groups(z)?;
        let (logits, targets, weights) = (self.lanes(z)?, self.lanes(t)?, self.plain(w)?);
        let work = (groups * classes) as usize * self.batch.blocks * 2 * FUNCTION;
        Some(self.emitted(index, work, |out| Code::CrossEntropy {
            op,
            logits,
            targets,
            weights,
            out,
            groups,
            classes,
        }))
    }

    fn cross_entropy_gradient(&mut self, index: usize, node: &Node, op: CrossEntropy) -> Option<Value> {
        let [g, z, t, w] = [0, 1, 2, 3].map(|k| node.inputs[k]);
        let [groups, classes] = self.groups(z)?;
        let (g, logits) = (self.plain(g)?, self.lanes(z)?);
        let (targets, weights) = (self.lanes(t)?, self.plain(w)?);
        let work = (groups * classes) as usize * self.batch.blocks * 2 * FUNCTION;
        Some(self.emitted(index, work, |out| Code::CrossEntropyGradient {
            op,
            g,
            logits,
            targets,
            weights,
            out,
            groups,
            classes,
        }))
    }
}
