//! Runs a lane program.

use std::marker::PhantomData;
use std::ops::Range;

use super::classes::{classes, cross_entropy, cross_entropy_gradient};
use super::code::{At, Batch, Code, LANES, Operand, Walk};
use super::math::{by_lane, exp, rare, rare_slope, sigmoid, tanh, with_binary, with_slope, with_unary};
use super::matrix::{dense, live_sum, outer, products, sum_lanes};
use super::vector::{Portable, Vector};
use crate::kernels::Isa;

use graph::ops::{BinaryKind, UnaryKind as K};

/// Instructions that were checked against the sizes of the memories that they work in.
pub(crate) struct Routine {
    code: Vec<Code>,
    batch: Batch,
    /// Elements that parameters, gradients and arena must have.
    lengths: [usize; 3],
}

/// The memories that a run works in, borrowed exclusively.
pub(crate) struct Memories<'a> {
    pub parameters: &'a mut [f32],
    pub gradients: &'a mut [f32],
    pub arena: &'a mut [f32],
}

impl Routine {
    /// The instructions, if all that they touch lies within memories of these lengths (parameters,
    /// gradients, arena).
    pub(crate) fn new(code: Vec<Code>, batch: Batch, lengths: [usize; 3]) -> Option<Self> {
        let within =
            |(at, elements): (At, usize)| at.offset as usize + elements <= lengths[at.memory as usize];
        let fits = code.iter().all(|c| c.touched(batch).into_iter().all(within));
        fits.then_some(Self { code, batch, lengths })
    }

    /// Runs the instructions `from..to`.
    ///
    /// # Panics
    /// When the memories are smaller than those the routine was made for.
    pub(crate) fn run(&self, isa: Isa, part: Range<usize>, memories: &mut Memories<'_>) {
        let Memories {
            parameters,
            gradients,
            arena,
        } = memories;
        assert!(
            parameters.len() >= self.lengths[0]
                && gradients.len() >= self.lengths[1]
                && arena.len() >= self.lengths[2],
            "the memories are smaller than the routine's"
        );
        let bases = [
            parameters.as_mut_ptr(),
            gradients.as_mut_ptr(),
            arena.as_mut_ptr(),
        ];
        let code = &self.code[part];
        // SAFETY: `new` checked every instruction against these lengths, the memories are borrowed
        // exclusively, and an `Isa` above `Scalar` is only made after the processor was asked for it.
        unsafe {
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => avx512(code, self.batch, bases),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => avx2(code, self.batch, bases),
                _ => all(code, self.batch, Bases::<Portable>::new(bases)),
            }
        }
    }
}

/// # Safety
/// The processor must have the set; the code must be checked for memories that begin at `bases`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(code: &[Code], batch: Batch, bases: [*mut f32; 3]) {
    // SAFETY: the caller's promise.
    all(code, batch, unsafe { Bases::<super::x86::Avx2>::new(bases) });
}

/// # Safety
/// As [`avx2`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
unsafe fn avx512(code: &[Code], batch: Batch, bases: [*mut f32; 3]) {
    // SAFETY: the caller's promise.
    all(code, batch, unsafe { Bases::<super::x86::Avx512>::new(bases) });
}

/// Where the memories begin. To have one is to have the right to touch what checked code touches, on a
/// processor with the vectors' instruction set.
#[derive(Clone, Copy)]
pub(super) struct Bases<V> {
    bases: [*mut f32; 3],
    vectors: PhantomData<V>,
}

impl<V: Vector> Bases<V> {
    /// # Safety
    /// The processor must have the set of `V`, and the elements asked for below must be exclusively ours.
    #[inline(always)]
    unsafe fn new(bases: [*mut f32; 3]) -> Self {
        Self {
            bases,
            vectors: PhantomData,
        }
    }

    #[inline(always)]
    fn at(self, at: At, plus: usize) -> *mut f32 {
        self.bases[at.memory as usize].wrapping_add(at.offset as usize + plus)
    }

    /// The vector that begins `plus` elements after `at`.
    #[inline(always)]
    pub(super) fn load(self, at: At, plus: usize) -> V {
        // SAFETY: checked code touches its memories alone, and `new` was promised the set.
        unsafe { V::load(self.at(at, plus)) }
    }

    #[inline(always)]
    pub(super) fn store(self, at: At, plus: usize, v: V) {
        // SAFETY: as in `load`.
        unsafe { v.store(self.at(at, plus)) }
    }

    /// The number `plus` elements after `at`, in all lanes.
    #[inline(always)]
    pub(super) fn splat(self, at: At, plus: usize) -> V {
        self.number(self.get(at, plus))
    }

    /// A number in all lanes.
    #[inline(always)]
    pub(super) fn number(self, x: f32) -> V {
        // SAFETY: `new` was promised the set.
        unsafe { V::splat(x) }
    }

    #[inline(always)]
    pub(super) fn get(self, at: At, plus: usize) -> f32 {
        // SAFETY: as in `load`.
        unsafe { *self.at(at, plus) }
    }

    #[inline(always)]
    pub(super) fn put(self, at: At, plus: usize, x: f32) {
        // SAFETY: as in `load`.
        unsafe { *self.at(at, plus) = x }
    }

    /// Writes the first `count` of the numbers.
    #[inline(always)]
    pub(super) fn put_first(self, at: At, plus: usize, numbers: &[f32], count: usize) {
        if let (&[a, b, c, d], 4) = (numbers, count) {
            // SAFETY: as in `load`.
            return unsafe { self.at(at, plus).cast::<[f32; 4]>().write_unaligned([a, b, c, d]) };
        }
        for (i, &x) in numbers.iter().take(count).enumerate() {
            self.put(at, plus + i, x);
        }
    }

    #[inline(always)]
    fn operand(self, operand: Operand, row: usize, block: usize) -> V {
        let plus = row * operand.step as usize;
        if operand.splat {
            self.splat(operand.at, plus)
        } else {
            self.load(operand.at, plus + block * LANES)
        }
    }
}

#[inline(always)]
fn all<V: Vector>(code: &[Code], batch: Batch, m: Bases<V>) {
    for code in code {
        one(code, batch, m);
    }
}

#[inline(always)]
fn one<V: Vector>(code: &Code, batch: Batch, m: Bases<V>) {
    match *code {
        // The usual batch fills one vector; that loops over blocks vanish there is worth a copy.
        Code::Dense { .. } if batch.blocks == 1 => dense(code, Batch { blocks: 1, ..batch }, m),
        Code::Dense { .. } => dense(code, batch, m),
        Code::Outer { .. } if batch.blocks == 1 => outer(code, Batch { blocks: 1, ..batch }, m),
        Code::Outer { .. } => outer(code, batch, m),
        Code::SumLanes { x, out, rows, scale } => sum_lanes(m, batch, x, out, rows as usize, scale),
        Code::SumAll {
            x,
            out,
            rows,
            scale,
            squared,
        } => {
            let mut sum = m.number(0.0);
            for row in 0..rows as usize {
                sum = sum.add(match squared {
                    true => products(m, batch, [x, x], [row, row]),
                    false => live_sum(m, batch, x, row),
                });
            }
            m.put(out, 0, sum.sum() * scale);
        }
        Code::SumPlain {
            x,
            out,
            elements,
            scale,
        } => {
            let plain = Batch::new(elements as usize);
            m.put(out, 0, live_sum(m, plain, x, 0).sum() * scale);
        }
        Code::SumRows { x, out, rows, scale } => {
            for block in 0..batch.blocks {
                let mut sum = m.number(0.0);
                for row in 0..rows as usize {
                    sum = sum.add(m.load(x, (row * batch.blocks + block) * LANES));
                }
                m.store(out, block * LANES, sum.mul(m.number(scale)));
            }
        }
        Code::Unary { kind, x, out, walk } => unary(m, kind, x, out, walk),
        Code::Affine {
            scale,
            shift,
            x,
            out,
            walk,
        } => {
            affine(m, [scale, shift], x, out, walk);
        }
        Code::Binary {
            kind,
            a,
            b,
            out,
            walk,
        } => binary(m, kind, [a, b], out, walk),
        Code::Slope {
            kind,
            g,
            v,
            out,
            walk,
        } => slope(m, kind, [g, v], out, walk),
        Code::Classes { .. } => classes(code, batch, m),
        Code::CrossEntropy { .. } => cross_entropy(code, batch, m),
        Code::CrossEntropyGradient { .. } => cross_entropy_gradient(code, batch, m),
        Code::Gather { x, out, rows } => gather(m, batch, x, out, rows as usize),
        Code::Spread {
            x,
            out,
            elements,
            start,
            length,
            step,
        } => {
            (0..elements as usize).for_each(|i| m.put(out, i, 0.0));
            for i in 0..length as usize {
                m.put(out, start as usize + i * step as usize, m.get(x, i));
            }
        }
    }
}

/// Writes a value over the rows of a result, vector by vector.
macro_rules! each {
    ($m:expr, $out:expr, $walk:expr, $row:ident, $block:ident => $value:expr) => {
        let (rows, blocks) = ($walk.rows as usize, $walk.blocks as usize);
        let whole = rows - usize::from($walk.last != LANES as u32);
        for $row in 0..whole {
            for $block in 0..blocks {
                let value = $value;
                $m.store($out, ($row * blocks + $block) * LANES, value);
            }
        }
        if whole < rows {
            // Only plain values have such an end, and their rows have one block.
            let ($row, $block) = (whole, 0);
            let lanes = $value.array();
            $m.put_first($out, whole * LANES, &lanes, $walk.last as usize);
        }
    };
}

#[inline(always)]
fn affine<V: Vector>(m: Bases<V>, [scale, shift]: [f32; 2], x: Operand, out: At, walk: Walk) {
    let (scale, shift) = (m.number(scale), m.number(shift));
    each!(m, out, walk, row, block => m.operand(x, row, block).fma(scale, shift));
}

#[inline(always)]
fn unary<V: Vector>(m: Bases<V>, kind: K, x: Operand, out: At, walk: Walk) {
    macro_rules! go {
        ($x:ident => $f:expr) => {{
            each!(m, out, walk, row, block => {
                let $x = m.operand(x, row, block);
                $f
            });
        }};
    }
    with_unary!(kind, x, go);
}

#[inline(always)]
fn slope<V: Vector>(m: Bases<V>, kind: K, [g, v]: [Operand; 2], out: At, walk: Walk) {
    macro_rules! go {
        ($v:ident => $f:expr) => {{
            each!(m, out, walk, row, block => {
                let (g, $v) = (m.operand(g, row, block), m.operand(v, row, block));
                g.mul($f)
            });
        }};
    }
    with_slope!(kind, v, go);
}

#[inline(always)]
fn binary<V: Vector>(m: Bases<V>, kind: BinaryKind, [a, b]: [Operand; 2], out: At, walk: Walk) {
    macro_rules! go {
        ($a:ident, $b:ident => $f:expr) => {{
            each!(m, out, walk, row, block => {
                let ($a, $b) = (m.operand(a, row, block), m.operand(b, row, block));
                $f
            });
        }};
    }
    with_binary!(kind, a, b, go);
}

#[inline(always)]
fn gather<V: Vector>(m: Bases<V>, batch: Batch, x: At, out: At, rows: usize) {
    let samples = (batch.blocks - 1) * LANES + batch.last;
    for row in 0..rows {
        for sample in 0..samples {
            m.put(out, sample * rows + row, m.get(x, row * batch.row() + sample));
        }
    }
}
