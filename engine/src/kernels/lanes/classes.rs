//! Softmax, its logarithm, cross-entropy and their gradients: classes in rows, samples in lanes.

use graph::ops::{CrossEntropy, CrossEntropyTargets};

use super::code::{At, Batch, Code, LANES, RowRule, target_rows};
use super::math::{by_lane, exp};
use super::run::Bases;
use super::vector::Vector;
use crate::kernels::math::ln;

// Macros in place of closures, as in `math.rs`.

/// Σ over the rows of a column.
macro_rules! sum {
    ($column:expr, $k:ident => $value:expr) => {{
        let mut sum = $column.m.number(0.0);
        for $k in 0..$column.count {
            sum = sum.add($value);
        }
        sum
    }};
}

/// Sets all rows of a column.
macro_rules! set {
    ($column:expr, $k:ident => $value:expr) => {
        for $k in 0..$column.count {
            let value = $value;
            $column.set($k, value);
        }
    };
}

/// Rows `first..first + count` of one block of a value.
#[derive(Clone, Copy)]
struct Column<V> {
    m: Bases<V>,
    at: At,
    /// Element of the first row's vector, and from one row to the next.
    start: usize,
    step: usize,
    count: usize,
}

impl<V: Vector> Column<V> {
    #[inline(always)]
    fn new(m: Bases<V>, at: At, batch: Batch, (group, block): (usize, usize), count: usize) -> Self {
        let step = batch.row();
        let start = group * count * step + block * LANES;
        Self {
            m,
            at,
            start,
            step,
            count,
        }
    }

    #[inline(always)]
    fn row(self, row: usize) -> V {
        self.m.load(self.at, self.start + row * self.step)
    }

    #[inline(always)]
    fn set(self, row: usize, v: V) {
        self.m.store(self.at, self.start + row * self.step, v);
    }

    /// The largest row; what NaN does to it shows in the sum of exponentials.
    #[inline(always)]
    fn most(self) -> V {
        let mut most = self.row(0);
        for row in 1..self.count {
            most = self.row(row).max(most);
        }
        most
    }

    /// The maximum, and Σ eˣ⁻ᵐᵃˣⁱᵐᵘᵐ.
    #[inline(always)]
    fn exponentials(self) -> (V, V) {
        let most = self.most();
        (most, sum!(self, k => exp(self.row(k).sub(most))))
    }
}

#[inline(always)]
fn log<V: Vector>(x: V) -> V {
    by_lane!(x, lane => ln(lane))
}

#[inline(always)]
pub(super) fn classes<V: Vector>(code: &Code, batch: Batch, m: Bases<V>) {
    let Code::Classes {
        rule,
        x,
        y,
        out,
        groups,
        classes,
    } = *code
    else {
        return;
    };
    for group in 0..groups as usize {
        for block in 0..batch.blocks {
            let [x, y, out] =
                [x, y, out].map(|at| Column::new(m, at, batch, (group, block), classes as usize));
            match rule {
                RowRule::Softmax => {
                    let most = x.most();
                    set!(out, k => exp(x.row(k).sub(most)));
                    let scale = m.number(1.0).div(sum!(out, k => out.row(k)));
                    set!(out, k => out.row(k).mul(scale));
                }
                RowRule::LogSoftmax => {
                    let (most, total) = x.exponentials();
                    let log = log(total);
                    set!(out, k => x.row(k).sub(most).sub(log));
                }
                RowRule::SoftmaxGradient => {
                    let along = sum!(x, k => x.row(k).mul(y.row(k)));
                    set!(out, k => y.row(k).mul(x.row(k).sub(along)));
                }
                RowRule::LogSoftmaxGradient => {
                    let total = sum!(x, k => x.row(k));
                    set!(out, k => x.row(k).sub(exp(y.row(k)).mul(total)));
                }
            }
        }
    }
}

/// The targets of one group and block.
struct Targets<'a, V: Vector> {
    op: &'a CrossEntropy,
    targets: Column<V>,
    weights: At,
    classes: usize,
}

impl<V: Vector> Targets<'_, V> {
    /// w_k
    #[inline(always)]
    fn weight(&self, k: usize) -> V {
        self.targets.m.splat(self.weights, k)
    }

    #[inline(always)]
    fn number(&self, x: f32) -> V {
        self.targets.m.number(x)
    }

    /// Whether class k counts at all.
    #[inline(always)]
    fn counts(&self, k: usize) -> bool {
        self.op.ignore_index != Some(k as i32)
    }

    /// Of index targets: w of the sample's class, or 0.
    #[inline(always)]
    fn own_weight(&self) -> V {
        let (mut own, class) = (self.number(0.0), self.targets.row(0));
        for k in (0..self.classes).filter(|&k| self.counts(k)) {
            own = V::select(class.equal(self.number(k as f32)), self.weight(k), own);
        }
        own
    }

    /// Of index targets: 1 where the sample counts, else 0.
    #[inline(always)]
    fn counted(&self) -> V {
        let (mut counted, class, one) = (self.number(0.0), self.targets.row(0), self.number(1.0));
        for k in (0..self.classes).filter(|&k| self.counts(k)) {
            counted = V::select(class.equal(self.number(k as f32)), one, counted);
        }
        counted
    }

    /// q_k, for a sample that counts.
    #[inline(always)]
    fn share(&self, k: usize) -> V {
        let s = self.op.label_smoothing;
        let rest = self.number(s / self.classes as f32);
        let target = match self.op.targets {
            CrossEntropyTargets::Probabilities => self.targets.row(k),
            CrossEntropyTargets::Indices => {
                let one = self.number(1.0);
                let class = self.targets.row(0);
                one.keep(class.equal(self.number(k as f32)))
            }
        };
        self.weight(k).mul(target.fma(self.number(1.0 - s), rest))
    }
}

#[inline(always)]
pub(super) fn cross_entropy<V: Vector>(code: &Code, batch: Batch, m: Bases<V>) {
    let Code::CrossEntropy {
        op,
        logits,
        targets,
        weights,
        out,
        groups,
        classes,
    } = *code
    else {
        return;
    };
    let (mut loss, mut weight) = (m.number(0.0), m.number(0.0));
    for group in 0..groups as usize {
        for block in 0..batch.blocks {
            let at = (group, block);
            let z = Column::new(m, logits, batch, at, classes as usize);
            let rows = target_rows(&op, classes) as usize;
            let t = Targets {
                op: &op,
                targets: Column::new(m, targets, batch, at, rows),
                weights,
                classes: z.count,
            };
            let (most, total) = z.exponentials();
            let total = most.add(log(total));
            // A class without a share may have any logit, −∞ too.
            let own = sum!(z, k => {
                let (share, zero) = (t.share(k), m.number(0.0));
                V::select(share.equal(zero), zero, share.mul(total.sub(z.row(k))))
            });
            let live = own.first(if block + 1 == batch.blocks {
                batch.last
            } else {
                LANES
            });
            let (own, of) = match op.targets {
                CrossEntropyTargets::Probabilities => (own, m.number(1.0)),
                CrossEntropyTargets::Indices => {
                    let counted = m.number(0.0).less(t.counted());
                    (own.keep(counted), t.own_weight())
                }
            };
            loss = loss.add(own.keep(live));
            weight = weight.add(of.keep(live));
        }
    }
    let zero = m.number(0.0);
    let [loss, weight, ..] = V::sums([loss, weight, zero, zero]);
    m.put(out, 0, loss);
    // A batch without a row that counts has loss 0/1, not 0/0.
    m.put(out, 1, if weight == 0.0 { 1.0 } else { weight });
}

#[inline(always)]
pub(super) fn cross_entropy_gradient<V: Vector>(code: &Code, batch: Batch, m: Bases<V>) {
    let Code::CrossEntropyGradient {
        op,
        g,
        logits,
        targets,
        weights,
        out,
        groups,
        classes,
    } = *code
    else {
        return;
    };
    let g = m.splat(g, 0);
    for group in 0..groups as usize {
        for block in 0..batch.blocks {
            let at = (group, block);
            let z = Column::new(m, logits, batch, at, classes as usize);
            let rows = target_rows(&op, classes) as usize;
            let t = Targets {
                op: &op,
                targets: Column::new(m, targets, batch, at, rows),
                weights,
                classes: z.count,
            };
            let out = Column::new(m, out, batch, at, classes as usize);
            let counted = match op.targets {
                CrossEntropyTargets::Probabilities => m.number(1.0),
                CrossEntropyTargets::Indices => t.counted(),
            };
            let most = z.most();
            set!(out, k => exp(z.row(k).sub(most)));
            let mass = sum!(z, k => t.share(k));
            let scale = mass.div(sum!(out, k => out.row(k)));
            for k in 0..z.count {
                let slope = out.row(k).mul(scale).sub(t.share(k)).mul(g);
                out.set(k, slope.keep(m.number(0.0).less(counted)));
            }
        }
    }
}
