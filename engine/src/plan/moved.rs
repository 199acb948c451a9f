//! Gradients that are made when the parameters move: a run of them is used while it lies in a worker's cache,
//! instead of going to memory and coming back.

use std::collections::HashSet;

use super::draft::{Draft, Value};
use super::schedule::Phase;
use super::{Region, Slot};
use crate::kernels::Work;

/// Fewest elements of a gradient that is worth it: a core's cache holds smaller ones anyway.
const LEAST: usize = 1 << 18;
/// Elements that are made at a time, about: with as many parameters and numbers of an optimizer they stay near.
const NEAR: usize = 64 * 1024;
/// Most elements of one piece.
const MOST: usize = 4 * NEAR;
/// How often a gradient must be larger than what it is made of, since every piece reads all of that.
const LARGER: usize = 4;

/// How many pieces are made at a time, and their elements.
pub(crate) fn portion(work: Work) -> (usize, usize) {
    match work {
        Work::Pieces { elements, .. } => {
            let pieces = (NEAR / elements.max(1)).max(1);
            (pieces, pieces * elements)
        }
        _ => (1, 0),
    }
}

/// Sets the phase of gradients that nothing but the movement of the parameters reads, by pieces; `others` are
/// values that are copied when all is done.
pub(super) fn set_phases(drafts: &[Draft], values: &[Value], others: &[(usize, Slot)], phases: &mut [Phase]) {
    let mut read: HashSet<usize> = others.iter().map(|(value, _)| *value).collect();
    read.extend(drafts.iter().flat_map(|d| &d.operands).map(|(value, _)| *value));
    // Should two gradients be of one parameter, only one of them may move it.
    let mut places = HashSet::new();
    for (draft, phase) in drafts.iter().zip(phases) {
        let (Work::Pieces { elements, .. }, value) = (draft.work, &values[draft.value]) else {
            continue;
        };
        let gradient = value.fixed.is_some_and(|slot| slot.region == Region::Gradients);
        let operands = draft.operands.iter().filter_map(|(value, _)| values.get(*value));
        // Parameters move meanwhile.
        let of_others = operands.clone().all(|operand| operand.fixed.is_none());
        let made_of: usize = operands.map(|operand| operand.elements).sum();
        let suits = value.elements >= LEAST.max(LARGER * made_of) && elements <= MOST;
        let alone = !read.contains(&draft.value);
        if gradient && of_others && suits && alone && places.insert(value.fixed) {
            *phase = Phase::Move;
        }
    }
}
