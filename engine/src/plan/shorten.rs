//! Which values lie in memory as bf16 numbers, where that is how products take them.
//!
//! A value is stored so if a step makes it and if every kernel that makes or reads it can take it so (`Kernel::shorts`);
//! parameters, their gradients, inputs, and what is read after a run stay f32 numbers. A kernel that takes all of its
//! numbers alike settles the matter for all of them, so values are struck off until nothing changes. What meets an input
//! element by element stays f32 as well, and what is made of it so: the input may be a target, and a loss is f32 numbers.

use std::collections::HashSet;

use graph::ops::Op;

use super::draft::{Draft, NOT_READ, Value};
use crate::kernels::{BuildContext, Shorts, Work};

/// Halves the memory of the values that can be bf16 numbers but for those that are `kept`, and tells the kernels. How many
/// there are.
pub(super) fn shorten(
    drafts: &mut [Draft],
    values: &mut [Value],
    (kept, is_input): (&[usize], &dyn Fn(usize) -> bool),
    context: &BuildContext,
) -> usize {
    if context.tiles.is_none_or(|tiles| tiles.parts > 1) {
        return 0;
    }
    let losses = of_inputs(drafts, is_input);
    let can = |draft: &Draft| match losses.contains(&draft.value) {
        true => Shorts::default(),
        false => draft.kernel.shorts(),
    };
    let can: Vec<Shorts> = drafts.iter().map(can).collect();
    let mut short = candidates(drafts, values, kept, context);
    loop {
        let before = short.len();
        for (draft, can) in drafts.iter().zip(&can) {
            strike(draft, can, &mut short);
        }
        if short.len() == before {
            break;
        }
    }
    for &value in &short {
        values[value].elements /= 2;
    }
    for (draft, can) in drafts.iter_mut().zip(&can) {
        let taken = operands(draft, can).filter(|(_, value)| short.contains(value));
        let shorts = Shorts {
            alike: can.alike,
            ..Shorts::of(taken.map(|(k, _)| k), short.contains(&draft.value))
        };
        draft.kernel.shorten(shorts);
        draft.work = draft.kernel.work();
    }
    short.len()
}

/// What is made element by element of an input and another value, and element by element of that.
fn of_inputs(drafts: &[Draft], is_input: &dyn Fn(usize) -> bool) -> HashSet<usize> {
    let mut made = HashSet::new();
    for draft in drafts {
        // The symbol of a product is what its epilogue ends with, so both must say the same.
        let op = draft.symbol.op();
        let one = matches!(
            op,
            Op::Binary(_) | Op::Unary(_) | Op::UnaryGradient(_) | Op::Affine(_)
        );
        let by_element = one && op.name() == draft.op || matches!(draft.op, "sum" | "elementwise");
        let met = |value: usize| made.contains(&value) || draft.operands.len() > 1 && is_input(value);
        if by_element && draft.operands.iter().any(|(value, _)| met(*value)) {
            made.insert(draft.value);
        }
    }
    made
}

/// The values that one step makes, an even number of elements for each sample.
fn candidates(drafts: &[Draft], values: &[Value], kept: &[usize], context: &BuildContext) -> HashSet<usize> {
    let batch = context.batch.max(1);
    let made = drafts
        .iter()
        .filter(|draft| !matches!(draft.work, Work::Reduction { .. }));
    let made = made.map(|draft| draft.value);
    let even = |value: &usize| (values[*value].elements / batch).is_multiple_of(2);
    let free = |value: &usize| values[*value].fixed.is_none() && !kept.contains(value);
    made.filter(|value| even(value) && free(value)).collect()
}

/// Operands of a draft that its kernel reads and can take as bf16 numbers.
fn operands<'a>(draft: &'a Draft, can: &'a Shorts) -> impl Iterator<Item = (usize, usize)> + 'a {
    let all = draft.operands.iter().enumerate();
    all.filter(|(k, (value, _))| can.has(*k) && *value != NOT_READ)
        .map(|(k, (value, _))| (k, *value))
}

/// Takes away what a draft's kernel cannot take.
fn strike(draft: &Draft, can: &Shorts, short: &mut HashSet<usize>) {
    for (k, (value, _)) in draft.operands.iter().enumerate() {
        if !can.has(k) {
            short.remove(value);
        }
    }
    if !can.output {
        short.remove(&draft.value);
    }
    let read = draft.operands.iter().map(|(value, _)| *value);
    let all: Vec<usize> = read
        .filter(|value| *value != NOT_READ)
        .chain([draft.value])
        .collect();
    if can.alike && !all.iter().all(|value| short.contains(value)) {
        all.iter().for_each(|value| {
            short.remove(value);
        });
    }
}
