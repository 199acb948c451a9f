//! The instructions of a lane program, as plain data.
//!
//! A value with a batch axis is kept feature by feature: row f holds that number of every sample, in
//! `blocks` vectors of 16 lanes. Lanes beyond the batch hold anything and count nowhere. Other values
//! are as everywhere: row-major, one number after another.

use graph::ops::{BinaryKind, CrossEntropy, UnaryKind};

/// Lanes of a vector.
pub(crate) const LANES: usize = 16;

/// The memory in which a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    Parameters = 0,
    Gradients = 1,
    Arena = 2,
}

/// A first element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    pub memory: Memory,
    pub offset: u32,
}

/// How the batch lies in lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Vectors of a row.
    pub blocks: usize,
    /// Samples in the last of them, 1 to 16.
    pub last: usize,
}

impl Batch {
    pub(crate) fn new(samples: usize) -> Self {
        let blocks = samples.div_ceil(LANES).max(1);
        Self {
            blocks,
            last: samples.max(1) - (blocks - 1) * LANES,
        }
    }

    /// Elements of a row.
    pub(crate) fn row(&self) -> usize {
        self.blocks * LANES
    }
}

/// An operand of an element-wise instruction, which is walked row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operand {
    pub at: At,
    /// Elements from one row to the next; 0 repeats the row.
    pub step: u32,
    /// One number for a whole row instead of vectors.
    pub splat: bool,
}

/// The rows of an element-wise instruction's result, which lie one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walk {
    pub rows: u32,
    /// Vectors of a row.
    pub blocks: u32,
    /// Elements of the very last vector that are written.
    pub last: u32,
}

impl Walk {
    /// Over `rows` rows of lanes.
    pub(crate) fn lanes(rows: usize, batch: Batch) -> Self {
        Self {
            rows: rows as u32,
            blocks: batch.blocks as u32,
            last: LANES as u32,
        }
    }

    /// Over `elements` numbers without a batch.
    pub(crate) fn plain(elements: usize) -> Self {
        let rows = elements.div_ceil(LANES);
        Self {
            rows: rows as u32,
            blocks: 1,
            last: (elements - rows.saturating_sub(1) * LANES) as u32,
        }
    }
}

/// What is done with each row of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowRule {
    /// Of x.
    Softmax,
    /// Of x.
    LogSoftmax,
    /// Of g and y.
    SoftmaxGradient,
    /// Of g and y.
    LogSoftmaxGradient,
}

/// A function that a dense layer's instruction can do on the way out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Function {
    Tanh,
    Relu,
    Sigmoid,
    LeakyRelu(f32),
}

impl Function {
    pub(crate) fn of(kind: UnaryKind) -> Option<Self> {
        match kind {
            UnaryKind::Tanh => Some(Self::Tanh),
            UnaryKind::Relu => Some(Self::Relu),
            UnaryKind::Sigmoid => Some(Self::Sigmoid),
            UnaryKind::LeakyRelu(slope) => Some(Self::LeakyRelu(slope)),
            _ => None,
        }
    }
}

/// What a dense layer's instruction does to its sums before it writes them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Then {
    Nothing,
    Function(Function),
    /// Times the function's derivative at these rows, as in [`Code::Slope`].
    Slope(Function, At),
}

/// One instruction. In those without [`Walk`] `rows`, `k`, `m` and `classes` count rows of lanes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Code {
    /// out[o] = then(bias[o] + Σᵢ weights[i·step_k + o·step_m]·x[i]) for k rows i and m rows o: a dense layer
    /// forward, and, with the steps exchanged, the gradient of its input.
    Dense {
        x: At,
        weights: At,
        bias: Option<At>,
        out: At,
        k: u32,
        m: u32,
        step_k: u32,
        step_m: u32,
        then: Then,
    },
    /// out[i, o] = Σ over samples of x[i]·g[o], plain `[k, m]`: the gradient of weights; and that of
    /// the bias, sums[o] = Σ over samples of g[o].
    Outer {
        x: At,
        g: At,
        out: At,
        sums: Option<At>,
        k: u32,
        m: u32,
    },
    /// out[f] = scale·Σ over samples of x[f].
    SumLanes { x: At, out: At, rows: u32, scale: f32 },
    /// out = scale·Σ over samples and rows, of the squares if asked for.
    SumAll {
        x: At,
        out: At,
        rows: u32,
        scale: f32,
        squared: bool,
    },
    /// out = scale·Σ over plain elements.
    SumPlain {
        x: At,
        out: At,
        elements: u32,
        scale: f32,
    },
    /// One row: scale·Σ over rows.
    SumRows { x: At, out: At, rows: u32, scale: f32 },
    Unary {
        kind: UnaryKind,
        x: Operand,
        out: At,
        walk: Walk,
    },
    /// scale·x + shift
    Affine {
        scale: f32,
        shift: f32,
        x: Operand,
        out: At,
        walk: Walk,
    },
    Binary {
        kind: BinaryKind,
        a: Operand,
        b: Operand,
        out: At,
        walk: Walk,
    },
    /// g · kind'(v)
    Slope {
        kind: UnaryKind,
        g: Operand,
        v: Operand,
        out: At,
        walk: Walk,
    },
    /// Softmax and its kin over each of `groups` runs of `classes` rows; `x` and `y` are its operands
    /// (the same where it has one).
    Classes {
        rule: RowRule,
        x: At,
        y: At,
        out: At,
        groups: u32,
        classes: u32,
    },
    /// (Σ loss, Σ weight), as [`CrossEntropy`] says.
    CrossEntropy {
        op: CrossEntropy,
        logits: At,
        targets: At,
        weights: At,
        out: At,
        groups: u32,
        classes: u32,
    },
    CrossEntropyGradient {
        op: CrossEntropy,
        g: At,
        logits: At,
        targets: At,
        weights: At,
        out: At,
        groups: u32,
        classes: u32,
    },
    /// Rows of lanes as a host reads them: `[batch, rows]`.
    Gather { x: At, out: At, rows: u32 },
    /// Zeros, but for `length` elements of x from `start` on, `step` apart (plain).
    Spread {
        x: At,
        out: At,
        elements: u32,
        start: u32,
        length: u32,
        step: u32,
    },
}

impl Operand {
    /// Its elements, up to the last one read.
    fn touched(&self, walk: Walk) -> (At, usize) {
        let row = if self.splat {
            1
        } else {
            walk.blocks as usize * LANES
        };
        let rows = (walk.rows as usize).saturating_sub(1);
        (self.at, rows * self.step as usize + row)
    }
}

impl Code {
    /// Every run of elements that it reads or writes: where it begins and how long it is at most.
    pub(crate) fn touched(&self, batch: Batch) -> Vec<(At, usize)> {
        let lanes = |at: At, rows: u32| (at, rows as usize * batch.row());
        let plain = |at: At, elements: u32| (at, elements as usize);
        let vectors = |at: At, elements: u32| (at, (elements as usize).next_multiple_of(LANES));
        let result = |at: At, walk: Walk| (at, (walk.rows * walk.blocks) as usize * LANES);
        match *self {
            Code::Dense {
                x,
                weights,
                bias,
                out,
                k,
                m,
                step_k,
                step_m,
                then,
            } => {
                let all = k.saturating_sub(1) * step_k + m.saturating_sub(1) * step_m + 1;
                let mut touched = vec![lanes(x, k), plain(weights, all), lanes(out, m)];
                touched.extend(bias.map(|b| plain(b, m)));
                if let Then::Slope(_, v) = then {
                    touched.push(lanes(v, m));
                }
                touched
            }
            Code::Outer {
                x,
                g,
                out,
                sums,
                k,
                m,
            } => {
                let mut touched = vec![lanes(x, k), lanes(g, m), plain(out, k * m)];
                touched.extend(sums.map(|s| plain(s, m)));
                touched
            }
            Code::SumLanes { x, out, rows, .. } => vec![lanes(x, rows), plain(out, rows)],
            Code::SumAll { x, out, rows, .. } => vec![lanes(x, rows), plain(out, 1)],
            Code::SumPlain { x, out, elements, .. } => vec![vectors(x, elements), plain(out, 1)],
            Code::SumRows { x, out, rows, .. } => vec![lanes(x, rows), lanes(out, 1)],
            Code::Unary { x, out, walk, .. } | Code::Affine { x, out, walk, .. } => {
                vec![x.touched(walk), result(out, walk)]
            }
            Code::Binary { a, b, out, walk, .. }
            | Code::Slope {
                g: a,
                v: b,
                out,
                walk,
                ..
            } => {
                vec![a.touched(walk), b.touched(walk), result(out, walk)]
            }
            Code::Classes {
                x,
                y,
                out,
                groups,
                classes,
                ..
            } => [x, y, out].map(|at| lanes(at, groups * classes)).to_vec(),
            Code::CrossEntropy {
                op,
                logits,
                targets,
                weights,
                out,
                groups,
                classes,
            } => vec![
                lanes(logits, groups * classes),
                lanes(targets, groups * target_rows(&op, classes)),
                plain(weights, classes),
                plain(out, 2),
            ],
            Code::CrossEntropyGradient {
                op,
                g,
                logits,
                targets,
                weights,
                out,
                groups,
                classes,
            } => vec![
                plain(g, 1),
                lanes(logits, groups * classes),
                lanes(targets, groups * target_rows(&op, classes)),
                plain(weights, classes),
                lanes(out, groups * classes),
            ],
            Code::Gather { x, out, rows } => {
                let samples = (batch.blocks - 1) * LANES + batch.last;
                vec![lanes(x, rows), (out, samples * rows as usize)]
            }
            Code::Spread {
                x,
                out,
                elements,
                start,
                length,
                step,
            } => {
                let end = start + length.saturating_sub(1) * step + 1;
                vec![plain(x, length), plain(out, elements.max(end))]
            }
        }
    }
}

/// Rows of a group's targets.
pub(super) fn target_rows(op: &CrossEntropy, classes: u32) -> u32 {
    match op.targets {
        graph::ops::CrossEntropyTargets::Indices => 1,
        graph::ops::CrossEntropyTargets::Probabilities => classes,
    }
}
