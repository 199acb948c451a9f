//! Cases of element-wise ops, reductions, products and movements.

use graticule_graph::Symbol;
use graticule_graph::ops::{
    ArgMax, Axis, BinaryKind, BroadcastLike, ConcatGradient, Function, FunctionKind as F, MatMul, Reduce,
    ReduceKind, Select, Slice, SliceGradient, Take, TakeGradient, Transpose, UnaryKind as U,
};

use super::Table;

pub fn add(table: &mut Table) {
    binary(table);
    unary(table);
    reductions(table);
    products(table);
    movements(table);
    functions(table);
    choices(table);
}

fn binary(t: &mut Table) {
    for kind in [
        BinaryKind::Add,
        BinaryKind::Subtract,
        BinaryKind::Multiply,
        BinaryKind::Maximum,
        BinaryKind::Minimum,
    ] {
        t.case("binary of equal shapes", |l| {
            let (a, b) = (l.x(&[5]), l.x(&[5]));
            Symbol::apply(graticule_graph::ops::Binary { kind }, &[&a, &b])
        });
        t.case("binary that broadcasts", |l| {
            let (a, b) = (l.x(&[5, 1, 2]), l.p(&[3, 2]));
            Symbol::apply(graticule_graph::ops::Binary { kind }, &[&b, &a])
        });
    }
    t.case("divide", |l| l.x(&[5]).div(&l.p_in(&[5], 0.5, 2.0)));
    t.case("the same operand twice", |l| {
        let x = l.x(&[4]);
        x.mul(&x)?.add(&x)
    });
}

fn unary(t: &mut Table) {
    let everywhere = [
        U::Relu,
        U::LeakyRelu(0.1),
        U::Elu(1.3),
        U::Sigmoid,
        U::Tanh,
        U::Gelu,
        U::Silu,
        U::Softplus,
        U::Exp,
        U::Square,
        U::Abs,
    ];
    for kind in everywhere {
        t.case("unary", |l| l.x(&[7]).unary(kind));
    }
    for kind in [U::Log, U::Sqrt, U::Power(1.7), U::Power(-0.5)] {
        t.case("unary of positive numbers", |l| {
            l.x_in(&[7], 0.4, 3.0).unary(kind)
        });
    }
    t.case("relu6", |l| l.x_in(&[21], -4.0, 10.0).unary(U::Relu6));
    t.case("affine", |l| l.x(&[7]).affine(-1.5, 0.25));
}

fn reductions(t: &mut Table) {
    for kind in [ReduceKind::Sum, ReduceKind::Mean, ReduceKind::Max] {
        for axes in [vec![], vec![1, 2], vec![3], vec![0]] {
            t.case("reduce", |l| {
                Symbol::apply(Reduce { kind, axes }, &[&l.x(&[3, 5, 2])])
            });
        }
    }
    t.case("broadcast_like", |l| {
        let (small, like) = (l.p(&[4, 1]), l.fixed(&[4, 3], |_| 0.0));
        Symbol::apply(BroadcastLike { divided: false }, &[&small, &like])
    });
    t.case("sum_like", |l| {
        let (x, like) = (l.x(&[4, 3]), l.p(&[1, 3]));
        x.sum_like(&like)
    });
}

fn products(t: &mut Table) {
    for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
        let product = MatMul {
            transpose_a,
            transpose_b,
        };
        t.case("matmul", |l| {
            let a = l.p(if transpose_a { &[5, 4] } else { &[4, 5] });
            let b = l.p(if transpose_b { &[3, 5] } else { &[5, 3] });
            Symbol::apply(product, &[&a, &b])
        });
        t.case("batched matmul", |l| {
            let a = l.x(if transpose_a { &[5, 4] } else { &[4, 5] });
            let b = l.x(if transpose_b { &[3, 5] } else { &[5, 3] });
            Symbol::apply(product, &[&a, &b])
        });
    }
    t.case("dense layer", |l| l.x(&[5]).matmul(&l.p(&[5, 3])));
}

fn movements(t: &mut Table) {
    t.case("reshape", |l| l.x(&[4, 3]).reshape(&[Axis::Keep(0), Axis::Rest]));
    t.case("transpose", |l| {
        let order = vec![2, 0, 3, 1];
        Symbol::apply(Transpose { order }, &[&l.x(&[2, 4, 3])])
    });
    t.case("concat", |l| {
        Symbol::concat(&[&l.x(&[2, 3]), &l.x(&[2, 1]), &l.x(&[2, 2])], 2)
    });
    t.case("concat_gradient", |l| {
        let (g, a, b) = (l.x(&[5]), l.fixed(&[3], |_| 0.0), l.fixed(&[2], |_| 0.0));
        let part = ConcatGradient { axis: 1, position: 1 };
        Symbol::apply(part, &[&g, &a, &b])
    });
    let slice = Slice {
        axis: 1,
        start: 1,
        length: 3,
        step: 2,
    };
    t.case("slice", |l| Symbol::apply(slice, &[&l.x(&[7, 2])]));
    t.case("slice_gradient", |l| {
        let (g, like) = (l.x(&[3, 2]), l.fixed(&[7, 2], |_| 0.0));
        Symbol::apply(SliceGradient { slice }, &[&g, &like])
    });
}

fn functions(t: &mut Table) {
    for kind in [
        F::Sin,
        F::Cos,
        F::Tan,
        F::Atan,
        F::Sinh,
        F::Cosh,
        F::Asinh,
        F::Erf,
    ] {
        t.case("function", |l| {
            Symbol::apply(Function { kind }, &[&l.x_in(&[7], -1.2, 1.2)])
        });
    }
    for kind in [F::Asin, F::Acos, F::Atanh] {
        t.case("function", |l| {
            Symbol::apply(Function { kind }, &[&l.x_in(&[7], -0.9, 0.9)])
        });
    }
    t.case("function", |l| {
        Symbol::apply(Function { kind: F::Acosh }, &[&l.x_in(&[7], 1.1, 3.0)])
    });
    for kind in [F::Floor, F::Ceil, F::Round, F::Truncate, F::Sign, F::IsNan] {
        t.case("a function of steps", |l| {
            let x = l.x(&[7]);
            Symbol::apply(Function { kind }, &[&x])?.mul(&x)
        });
    }
}

fn choices(t: &mut Table) {
    t.case("select", |l| {
        let (x, y) = (l.x(&[4, 3]), l.p(&[3]));
        let condition = x.at_least(&Symbol::constant(0.1, [4, 1]))?;
        Symbol::apply(Select {}, &[&condition, &x.mul(&x)?, &y])
    });
    t.case("arg_max", |l| {
        let x = l.x(&[4, 3]);
        Symbol::apply(ArgMax { axis: 1, last: false }, &[&x])?.mul(&x)
    });
    for (axis, sample) in [(1, &[5][..]), (2, &[2, 5, 3])] {
        t.case("take", |l| {
            let places = Symbol::constants(vec![4.0, 0.0, -1.0, 4.0, 1.0, 9.0], [6]);
            let x = l.x(sample);
            let twice = Symbol::apply(Take { axis }, &[&x.mul(&x)?, &places])?;
            Symbol::apply(TakeGradient { axis }, &[&twice, &places, &x])
        });
    }
}
