//! Functions of sixteen lanes. Those that tiny networks live on have a vector form, as exact as the
//! scalar ones; the others go lane by lane.

use graph::ops::UnaryKind;

use super::vector::Vector;
use crate::kernels::math::{erf, exp as exp1, ln, sigmoid as sigmoid1, softplus};

const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// 1/√2
const HALF_ROOT: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// (eʳ − 1, n) with x = n·ln 2 + r, |r| ≤ ln 2 / 2.
#[inline(always)]
fn split_exp<V: Vector>(x: V) -> (V, V) {
    let n = x.mul(x.all(std::f32::consts::LOG2_E)).round();
    let r = n.fma(x.all(-LN2_HIGH), x);
    let r = n.fma(x.all(-LN2_LOW), r);
    let p = x.all(1.388_888_9e-3);
    let p = p.fma(r, x.all(8.333_334e-3));
    let p = p.fma(r, x.all(4.166_666_6e-2));
    let p = p.fma(r, x.all(1.666_666_7e-1));
    let p = p.fma(r, x.all(0.5));
    (p.mul(r).fma(r, r), n)
}

/// eˣ
#[inline(always)]
pub(super) fn exp<V: Vector>(x: V) -> V {
    // NaN passes: the second operand wins.
    let x = x.all(89.0).min(x.all(-104.0).max(x));
    let (p, n) = split_exp(x);
    p.add(x.all(1.0)).times_power_of_two(n)
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
pub(super) fn sigmoid<V: Vector>(x: V) -> V {
    let one = x.all(1.0);
    one.div(one.add(exp(x.all(0.0).sub(x))))
}

/// tanh x = x·P(x²)/Q(x²), fitted to the least relative error over ±9.1 (1·10⁻⁹ without rounding). All
/// coefficients are positive, so nothing cancels.
#[inline(always)]
pub(super) fn tanh<V: Vector>(x: V) -> V {
    let (limit, one) = (x.all(9.1), x.all(1.0));
    // NaN passes: the second operand wins.
    let x = limit.min(x.all(-9.1).max(x));
    let s = x.mul(x);
    let p = x.all(5.038_692_7e-8);
    let p = p.fma(s, x.all(3.148_233_5e-5));
    let p = p.fma(s, x.all(4.003_605e-3));
    let p = p.fma(s, x.all(1.378_151_7e-1));
    let p = p.fma(s, one).mul(x);
    let q = x.all(7.298_873e-10);
    let q = q.fma(s, x.all(1.609_207_7e-6));
    let q = q.fma(s, x.all(4.198_537e-4));
    let q = q.fma(s, x.all(2.771_978_5e-2));
    let q = q.fma(s, x.all(4.711_485e-1));
    let q = q.fma(s, one);
    // Rounding must not lead beyond ±1.
    one.min(x.all(-1.0).max(p.over(q)))
}

use UnaryKind as K;

// Macros in place of closures: what stands in a closure is compiled without the instruction set, and may
// or may not be inlined into a function that has it.

/// A function of each lane, for what has no vector form of its own.
macro_rules! by_lane {
    ($v:expr, $lane:ident => $value:expr) => {{
        let (v, mut lanes) = ($v, $v.array());
        for lane in &mut lanes {
            let $lane = *lane;
            *lane = $value;
        }
        v.of(&lanes)
    }};
}

/// Goes on with the function's value at `x`: the choice is made once, not for each vector.
macro_rules! with_unary {
    ($kind:expr, $x:ident, $then:ident) => {
        match $kind {
            K::Tanh => $then!($x => tanh($x)),
            // The second operand wins, so that NaN stays visible.
            K::Relu => $then!($x => $x.all(0.0).max($x)),
            K::Sigmoid => $then!($x => sigmoid($x)),
            K::Square => $then!($x => $x.mul($x)),
            K::Abs => $then!($x => $x.abs()),
            K::Exp => $then!($x => exp($x)),
            K::Sqrt => $then!($x => $x.sqrt()),
            K::LeakyRelu(slope) => $then!($x => V::select($x.all(0.0).less($x), $x, $x.all(slope).mul($x))),
            kind => $then!($x => by_lane!($x, lane => rare(kind, lane))),
        }
    };
}

/// As [`with_unary`], for the derivatives.
macro_rules! with_slope {
    ($kind:expr, $v:ident, $then:ident) => {
        match $kind {
            K::Tanh => $then!($v => $v.all(0.0).sub($v).fma($v, $v.all(1.0))),
            K::Relu => $then!($v => $v.all(1.0).keep($v.all(0.0).less($v))),
            K::Sigmoid => $then!($v => $v.mul($v.all(1.0).sub($v))),
            K::Square => $then!($v => $v.add($v)),
            K::Exp => $then!($v => $v),
            K::LeakyRelu(slope) => {
                $then!($v => V::select($v.all(0.0).less($v), $v.all(1.0), $v.all(slope)))
            }
            kind => $then!($v => by_lane!($v, lane => rare_slope(kind, lane))),
        }
    };
}

/// Goes on with the kind of a [`Function`](super::code::Function), a constant in each case.
macro_rules! with_kind {
    ($function:expr, $kind:ident => $then:expr) => {
        match $function {
            Function::Tanh => {
                let $kind = K::Tanh;
                $then
            }
            Function::Relu => {
                let $kind = K::Relu;
                $then
            }
            Function::Sigmoid => {
                let $kind = K::Sigmoid;
                $then
            }
            Function::LeakyRelu(slope) => {
                let $kind = K::LeakyRelu(slope);
                $then
            }
        }
    };
}

/// As [`with_unary`], for pairs.
macro_rules! with_binary {
    ($kind:expr, $a:ident, $b:ident, $then:ident) => {
        match $kind {
            BinaryKind::Add => $then!($a, $b => $a.add($b)),
            BinaryKind::Subtract => $then!($a, $b => $a.sub($b)),
            BinaryKind::Multiply => $then!($a, $b => $a.mul($b)),
            BinaryKind::Divide => $then!($a, $b => $a.div($b)),
            BinaryKind::Maximum => $then!($a, $b => $a.max($b)),
            BinaryKind::Minimum => $then!($a, $b => $a.min($b)),
            BinaryKind::AtLeast => {
                $then!($a, $b => {
                    let one = $a.all(1.0);
                    V::select($b.less($a), one, one.keep($a.equal($b)))
                })
            }
        }
    };
}

pub(super) use {by_lane, with_binary, with_kind, with_slope, with_unary};

/// What has no vector form.
#[inline(always)]
pub(super) fn rare(kind: UnaryKind, x: f32) -> f32 {
    match kind {
        K::Elu(alpha) => {
            if x > 0.0 {
                x
            } else {
                alpha * (exp1(x) - 1.0)
            }
        }
        K::Relu6 => x.clamp(0.0, 6.0),
        K::Gelu => 0.5 * x * (1.0 + erf(x * HALF_ROOT)),
        K::Silu => x * sigmoid1(x),
        K::Softplus => softplus(x),
        K::Log => ln(x),
        K::Power(p) => x.powf(p),
        _ => f32::NAN,
    }
}

/// The derivatives that have no vector form.
#[inline(always)]
pub(super) fn rare_slope(kind: UnaryKind, v: f32) -> f32 {
    match kind {
        K::Elu(alpha) => {
            if v > 0.0 {
                1.0
            } else {
                alpha * exp1(v)
            }
        }
        K::Relu6 => f32::from(u8::from(v > 0.0 && v < 6.0)),
        K::Gelu => 0.5 * (1.0 + erf(v * HALF_ROOT)) + v * exp1(-0.5 * v * v) * 0.398_942_3,
        K::Silu => {
            let s = sigmoid1(v);
            s * (1.0 + v * (1.0 - s))
        }
        K::Softplus => sigmoid1(v),
        K::Log => 1.0 / v,
        K::Sqrt => 0.5 / v,
        K::Abs => {
            if v == 0.0 {
                0.0
            } else {
                1f32.copysign(v)
            }
        }
        K::Power(p) => p * v.powf(p - 1.0),
        _ => f32::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::lanes::vector::Portable;

    fn sweep(from: f32, to: f32, f: impl Fn(Portable) -> Portable, exact: fn(f64) -> f64, relative: f64) {
        for i in 0..=200_000 {
            let x = from + (to - from) * i as f32 / 200_000.0;
            // SAFETY: portable vectors run everywhere.
            let got = f64::from(f(unsafe { Portable::splat(x) }).array()[3]);
            let want = exact(f64::from(x));
            assert!(
                (got - want).abs() <= relative * want.abs() + 1e-37,
                "f({x}) = {got}, exact {want}"
            );
        }
    }

    #[test]
    fn functions_are_exact_to_a_few_units_in_the_last_place() {
        sweep(-87.0, 88.5, exp, f64::exp, 3e-7);
        sweep(-40.0, 40.0, sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 4e-7);
        sweep(-12.0, 12.0, tanh, f64::tanh, 4e-7);
        sweep(-1e-3, 1e-3, tanh, f64::tanh, 4e-7);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn tanh_by_reciprocals_is_as_exact() {
        use crate::kernels::Isa;
        use crate::kernels::lanes::x86::Avx512;
        if Isa::detect() != Isa::Avx512 {
            return;
        }
        for k in -120_000..=120_000 {
            let x = k as f32 * 1e-4;
            // SAFETY: the processor was asked for the instruction set.
            let found = f64::from(tanh(unsafe { Avx512::splat(x) }).array()[7]);
            let exact = f64::from(x).tanh();
            assert!(
                (found - exact).abs() <= 4e-7 * exact.abs(),
                "tanh({x}) = {found}, exact {exact}"
            );
        }
        // SAFETY: as above.
        let of = |x: f32| tanh(unsafe { Avx512::splat(x) }).array()[0];
        assert!(of(f32::NAN).is_nan());
        assert_eq!([of(f32::INFINITY), of(-20.0), of(0.0)], [1.0, -1.0, 0.0]);
    }

    #[test]
    fn edges_behave() {
        // SAFETY: portable vectors run everywhere.
        let of = |f: fn(Portable) -> Portable, x: f32| f(unsafe { Portable::splat(x) }).array()[15];
        for f in [exp, sigmoid, tanh] {
            assert!(of(f, f32::NAN).is_nan());
        }
        assert_eq!(of(exp, -200.0), 0.0);
        assert_eq!(of(exp, 200.0), f32::INFINITY);
        assert_eq!(of(tanh, 100.0), 1.0);
        assert_eq!(of(tanh, f32::NEG_INFINITY), -1.0);
        assert_eq!(of(sigmoid, -200.0), 0.0);
    }
}
