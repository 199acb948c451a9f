//! Element-wise kernels.

use graph::Shape;
use graph::ops::{Affine, BinaryKind, BroadcastLike, UnaryKind};

use super::math::{erf, exp, ln, sigmoid, softplus, tanh};
use super::nest::{Nest, broadcast_strides, leads};
use super::registry::Built;
use super::short::{Numbers, NumbersMut, each_run};
use super::{BuildContext, Isa, Kernel, Shorts, Task, Work};
use crate::per_isa;

/// By samples where axis 0 is the batch, else in one piece.
fn work_for(context: &BuildContext, output: &Shape) -> Work {
    match output.first() {
        Some(&n) if n == context.batch => Work::Samples,
        _ => Work::Pieces {
            count: 1,
            elements: output.elements(),
        },
    }
}

/// The nest over one sample (or all) of the result for operands of these shapes; and which operands
/// are taken by sample.
fn nest<const M: usize>(
    work: Work,
    context: &BuildContext,
    operands: [&Shape; M],
    output: &Shape,
) -> (Nest<M>, Vec<bool>) {
    let samples = work == Work::Samples;
    let by_sample: Vec<bool> = operands
        .iter()
        .map(|s| samples && leads(s, output.rank(), context.batch))
        .collect();
    let axes = if samples { &output[1..] } else { &output[..] };
    let per_operand: Vec<Vec<usize>> = operands
        .iter()
        .map(|s| {
            let own = if samples && s.rank() == output.rank() {
                &s[1..]
            } else {
                &s[..]
            };
            broadcast_strides(own, axes)
        })
        .collect();
    let strides: Vec<[usize; M]> = (0..axes.len())
        .map(|a| std::array::from_fn(|k| per_operand[k][a]))
        .collect();
    (Nest::new(axes, &strides), by_sample)
}

struct BinaryKernel {
    isa: Isa,
    kind: BinaryKind,
    work: Work,
    /// Both operands have the result's shape.
    plain: bool,
    nest: Nest<2>,
    /// Elements per sample of the result and of the operands (0: not by sample).
    each: [usize; 3],
    shorts: Shorts,
}

pub(crate) fn binary(context: &BuildContext, kind: BinaryKind, shapes: &[&Shape], output: &Shape) -> Built {
    let work = work_for(context, output);
    let (nest, by_sample) = nest(work, context, [shapes[0], shapes[1]], output);
    let plain = shapes[0] == output && shapes[1] == output;
    let per = |s: &Shape, by: bool| if by { s.elements() / context.batch } else { 0 };
    let each = [
        per(output, work == Work::Samples),
        per(shapes[0], by_sample[0]),
        per(shapes[1], by_sample[1]),
    ];
    Built::new(
        BinaryKernel {
            isa: context.isa,
            kind,
            work,
            plain,
            nest,
            each,
            shorts: Shorts::default(),
        },
        by_sample,
    )
}

impl Kernel for BinaryKernel {
    fn work(&self) -> Work {
        self.work
    }
    fn shorts(&self) -> Shorts {
        match self.plain && self.work == Work::Samples {
            true => Shorts::of([0, 1], true),
            false => Shorts::default(),
        }
    }
    fn shorten(&mut self, shorts: Shorts) {
        self.shorts = shorts;
    }
    fn run(&self, task: Task<'_>) {
        let (a, b) = (task.input(0), task.input(1));
        if self.plain {
            let operands = [0, 1].map(|k| Numbers::new(task.input(k), self.shorts.has(k)));
            let output = NumbersMut::new(task.output, self.shorts.output);
            let join = |[a, b]: [&[f32]; 2], to: &mut [f32]| zip(self.isa, self.kind, to, a, 1, b, 1);
            return each_run(self.isa, operands, output, join);
        }
        let rounds = if self.work == Work::Samples {
            task.range.len()
        } else {
            1
        };
        let (inner, [sa, sb]) = (self.nest.inner, self.nest.inner_strides);
        for sample in 0..rounds {
            let (a, b) = (&a[sample * self.each[1]..], &b[sample * self.each[2]..]);
            let output = &mut task.output[sample * self.each[0]..];
            self.nest.each(|at, [at_a, at_b]| {
                zip(
                    self.isa,
                    self.kind,
                    &mut output[at..at + inner],
                    &a[at_a..],
                    sa,
                    &b[at_b..],
                    sb,
                );
            });
        }
    }
}

#[inline(always)]
fn zip_with(out: &mut [f32], a: &[f32], sa: usize, b: &[f32], sb: usize, f: impl Fn(f32, f32) -> f32) {
    let n = out.len();
    match (sa, sb) {
        (1, 1) => {
            for ((o, &x), &y) in out.iter_mut().zip(&a[..n]).zip(&b[..n]) {
                *o = f(x, y);
            }
        }
        (1, 0) => {
            let y = b[0];
            for (o, &x) in out.iter_mut().zip(&a[..n]) {
                *o = f(x, y);
            }
        }
        (0, 1) => {
            let x = a[0];
            for (o, &y) in out.iter_mut().zip(&b[..n]) {
                *o = f(x, y);
            }
        }
        _ => {
            for (i, o) in out.iter_mut().enumerate() {
                *o = f(a[i * sa], b[i * sb]);
            }
        }
    }
}

per_isa!(
    pub(super) fn zip(kind: BinaryKind, out: &mut [f32], a: &[f32], sa: usize, b: &[f32], sb: usize) {
        match kind {
            BinaryKind::Add => zip_with(out, a, sa, b, sb, |x, y| x + y),
            BinaryKind::Subtract => zip_with(out, a, sa, b, sb, |x, y| x - y),
            BinaryKind::Multiply => zip_with(out, a, sa, b, sb, |x, y| x * y),
            BinaryKind::Divide => zip_with(out, a, sa, b, sb, |x, y| x / y),
            BinaryKind::Maximum => zip_with(out, a, sa, b, sb, |x, y| if x >= y { x } else { y }),
            BinaryKind::Minimum => zip_with(out, a, sa, b, sb, |x, y| if x <= y { x } else { y }),
            BinaryKind::AtLeast => zip_with(out, a, sa, b, sb, |x, y| if x >= y { 1.0 } else { 0.0 }),
        }
    }
);

struct UnaryKernel {
    isa: Isa,
    kind: UnaryKind,
    work: Work,
    shorts: Shorts,
}

pub(crate) fn unary(context: &BuildContext, kind: UnaryKind, output: &Shape) -> Built {
    let work = work_for(context, output);
    Built::new(
        UnaryKernel {
            isa: context.isa,
            kind,
            work,
            shorts: Shorts::default(),
        },
        vec![work == Work::Samples],
    )
}

impl Kernel for UnaryKernel {
    fn work(&self) -> Work {
        self.work
    }
    fn shorts(&self) -> Shorts {
        Shorts::of([0], self.work == Work::Samples)
    }
    fn shorten(&mut self, shorts: Shorts) {
        self.shorts = shorts;
    }
    fn run(&self, task: Task<'_>) {
        let x = Numbers::new(task.input(0), self.shorts.has(0));
        let output = NumbersMut::new(task.output, self.shorts.output);
        each_run(self.isa, [x], output, |[x], to| map(self.isa, self.kind, x, to));
    }
}

// Macros in place of functions that take a closure: whether the compiler puts a closure's body into the loop
// is up to it, and a call for each element costs ten times the arithmetic.

/// Each number of `out` from that of `x`.
macro_rules! map_with {
    ($x:ident, $out:ident, |$v:ident| $value:expr) => {
        for (o, &$v) in $out.iter_mut().zip($x) {
            *o = $value;
        }
    };
}

/// Each number of `out` from that of `g`, times a slope at `v`.
macro_rules! slope_with {
    ($g:ident, $v:ident, $out:ident, |$at:ident| $slope:expr) => {
        for ((o, &g), &$at) in $out.iter_mut().zip($g).zip($v) {
            *o = g * $slope;
        }
    };
}

/// 1/√2
const HALF_ROOT: f32 = std::f32::consts::FRAC_1_SQRT_2;

use UnaryKind as K;

per_isa!(
    pub(super) fn map(kind: UnaryKind, x: &[f32], out: &mut [f32]) {
        match kind {
            // A comparison that is false for NaN, so that NaN stays visible.
            K::Relu => map_with!(x, out, |x| if x <= 0.0 { 0.0 } else { x }),
            K::LeakyRelu(slope) => map_with!(x, out, |x| if x > 0.0 { x } else { slope * x }),
            K::Elu(alpha) => map_with!(x, out, |x| if x > 0.0 { x } else { alpha * (exp(x) - 1.0) }),
            K::Relu6 => map_with!(x, out, |x| x.clamp(0.0, 6.0)),
            K::Sigmoid => map_with!(x, out, |v| sigmoid(v)),
            K::Tanh => map_with!(x, out, |v| tanh(v)),
            K::Gelu => map_with!(x, out, |x| 0.5 * x * (1.0 + erf(x * HALF_ROOT))),
            K::Silu => map_with!(x, out, |x| x * sigmoid(x)),
            K::Softplus => map_with!(x, out, |v| softplus(v)),
            K::Exp => map_with!(x, out, |v| exp(v)),
            K::Log => map_with!(x, out, |v| ln(v)),
            K::Sqrt => map_with!(x, out, |v| v.sqrt()),
            K::Square => map_with!(x, out, |x| x * x),
            K::Abs => map_with!(x, out, |v| v.abs()),
            K::Power(p) => map_with!(x, out, |x| x.powf(p)),
        }
    }
);

struct UnaryGradientKernel {
    isa: Isa,
    kind: UnaryKind,
    work: Work,
    shorts: Shorts,
}

pub(crate) fn unary_gradient(context: &BuildContext, kind: UnaryKind, output: &Shape) -> Built {
    let work = work_for(context, output);
    Built::new(
        UnaryGradientKernel {
            isa: context.isa,
            kind,
            work,
            shorts: Shorts::default(),
        },
        vec![work == Work::Samples; 2],
    )
}

impl Kernel for UnaryGradientKernel {
    fn work(&self) -> Work {
        self.work
    }
    fn shorts(&self) -> Shorts {
        Shorts::of([0, 1], self.work == Work::Samples)
    }
    fn shorten(&mut self, shorts: Shorts) {
        self.shorts = shorts;
    }
    fn run(&self, task: Task<'_>) {
        let operands = [0, 1].map(|k| Numbers::new(task.input(k), self.shorts.has(k)));
        match (operands, NumbersMut::new(task.output, self.shorts.output)) {
            ([Numbers::Bf16(g), Numbers::Bf16(v)], NumbersMut::Bf16(to)) if self.kind == K::Relu => {
                open_words(self.isa, g, v, to);
            }
            (operands, to) => {
                each_run(self.isa, operands, to, |[g, v], to| {
                    slope(self.isa, self.kind, g, v, to)
                });
            }
        }
    }
}

per_isa!(
    pub(super) fn slope(kind: UnaryKind, g: &[f32], v: &[f32], out: &mut [f32]) {
        match kind {
            K::Relu => slope_with!(g, v, out, |v| if v > 0.0 { 1.0 } else { 0.0 }),
            K::LeakyRelu(slope) => slope_with!(g, v, out, |v| if v > 0.0 { 1.0 } else { slope }),
            K::Elu(alpha) => slope_with!(g, v, out, |v| if v > 0.0 { 1.0 } else { alpha * exp(v) }),
            K::Relu6 => slope_with!(g, v, out, |v| if v > 0.0 && v < 6.0 { 1.0 } else { 0.0 }),
            K::Sigmoid => slope_with!(g, v, out, |v| v * (1.0 - v)),
            K::Tanh => slope_with!(g, v, out, |v| 1.0 - v * v),
            K::Gelu => slope_with!(g, v, out, |v| {
                0.5 * (1.0 + erf(v * HALF_ROOT)) + v * exp(-0.5 * v * v) * 0.398_942_3
            }),
            K::Silu => slope_with!(g, v, out, |v| {
                let s = sigmoid(v);
                s * (1.0 + v * (1.0 - s))
            }),
            K::Softplus => slope_with!(g, v, out, |v| sigmoid(v)),
            K::Exp => slope_with!(g, v, out, |v| v),
            K::Log => slope_with!(g, v, out, |v| 1.0 / v),
            K::Sqrt => slope_with!(g, v, out, |v| 0.5 / v),
            K::Square => slope_with!(g, v, out, |v| 2.0 * v),
            K::Abs => slope_with!(g, v, out, |v| if v == 0.0 { 0.0 } else { 1f32.copysign(v) }),
            K::Power(p) => slope_with!(g, v, out, |v| p * v.powf(p - 1.0)),
        }
    }
);

per_isa!(
    /// [`slope`] of a ReLU on bf16 numbers.
    fn open_words(g: &[u16], v: &[u16], out: &mut [u16]) {
        for ((out, &g), &v) in out.iter_mut().zip(g).zip(v) {
            // Above 0, and no NaN.
            let open = v.wrapping_sub(1) < INFINITY;
            // 0 of the gradient's sign; NaN where that is not finite.
            let shut = if g & 0x7fff >= INFINITY {
                INFINITY + 0x40
            } else {
                g & 0x8000
            };
            *out = if open { g } else { shut };
        }
    }
);

/// The bf16 number ∞.
const INFINITY: u16 = 0x7f80;

struct AffineKernel {
    isa: Isa,
    op: Affine,
    work: Work,
    shorts: Shorts,
}

pub(crate) fn affine(context: &BuildContext, op: Affine, output: &Shape) -> Built {
    let work = work_for(context, output);
    Built::new(
        AffineKernel {
            isa: context.isa,
            op,
            work,
            shorts: Shorts::default(),
        },
        vec![work == Work::Samples],
    )
}

impl Kernel for AffineKernel {
    fn work(&self) -> Work {
        self.work
    }
    fn shorts(&self) -> Shorts {
        Shorts::of([0], self.work == Work::Samples)
    }
    fn shorten(&mut self, shorts: Shorts) {
        self.shorts = shorts;
    }
    fn run(&self, task: Task<'_>) {
        let x = Numbers::new(task.input(0), self.shorts.has(0));
        let output = NumbersMut::new(task.output, self.shorts.output);
        let Affine { scale, shift, .. } = self.op;
        each_run(self.isa, [x], output, |[x], to| {
            scale_shift(self.isa, scale, shift, x, to)
        });
    }
}

per_isa!(
    pub(super) fn scale_shift(scale: f32, shift: f32, x: &[f32], out: &mut [f32]) {
        map_with!(x, out, |x| scale * x + shift);
    }
);

struct BroadcastKernel {
    isa: Isa,
    scale: f32,
    work: Work,
    nest: Nest<1>,
    each: [usize; 2],
}

pub(crate) fn broadcast(context: &BuildContext, op: BroadcastLike, from: &Shape, output: &Shape) -> Built {
    let work = work_for(context, output);
    let (nest, by_sample) = nest(work, context, [from], output);
    let per = |s: &Shape, by: bool| if by { s.elements() / context.batch } else { 0 };
    let each = [per(output, work == Work::Samples), per(from, by_sample[0])];
    let scale = if op.divided {
        (from.elements() as f64 / output.elements() as f64) as f32
    } else {
        1.0
    };
    Built::new(
        BroadcastKernel {
            isa: context.isa,
            scale,
            work,
            nest,
            each,
        },
        by_sample,
    )
}

impl Kernel for BroadcastKernel {
    fn work(&self) -> Work {
        self.work
    }
    fn run(&self, task: Task<'_>) {
        let x = task.input(0);
        let rounds = if self.work == Work::Samples {
            task.range.len()
        } else {
            1
        };
        let (inner, [stride]) = (self.nest.inner, self.nest.inner_strides);
        for sample in 0..rounds {
            let x = &x[sample * self.each[1]..];
            let output = &mut task.output[sample * self.each[0]..];
            self.nest.each(|at, [from]| {
                let to = &mut output[at..at + inner];
                if stride == 0 {
                    to.fill(x[from] * self.scale);
                } else {
                    scale_shift(self.isa, self.scale, 0.0, &x[from..from + inner], to);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::short::of_bf16;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_relu_opens_bf16_numbers_as_f32_ones(pairs in prop::collection::vec(any::<(u16, u16)>(), 1..90)) {
            let (g, v): (Vec<u16>, Vec<u16>) = pairs.into_iter().unzip();
            let [wide_g, wide_v] = [&g, &v].map(|x| x.iter().map(|&x| of_bf16(x)).collect::<Vec<f32>>());
            for isa in Isa::available() {
                let (mut words, mut wide) = (vec![1; g.len()], vec![1.0; g.len()]);
                open_words(isa, &g, &v, &mut words);
                slope(isa, K::Relu, &wide_g, &wide_v, &mut wide);
                for (word, wide) in words.iter().zip(wide) {
                    let word = of_bf16(*word);
                    prop_assert!(word == wide || word.is_nan() && wide.is_nan(), "{} for {}", word, wide);
                }
            }
        }
    }
}
