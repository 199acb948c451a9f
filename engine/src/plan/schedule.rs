//! The order of the steps, and which of them run together.
//!
//! A *batch stage* is a stretch of steps that need nothing but their own samples of one another: it
//! runs depth first, a few samples through all of its steps at a time, so that values between
//! layers stay in a core's cache. Everything else is a stage of its own.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::draft::{Draft, Value};
use crate::kernels::{BuildContext, Work};

/// Bytes of live values that a core should keep to itself.
const CACHE: usize = 512 * 1024;

/// How a stage's steps are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StageKind {
    /// All steps for `micro_batch` samples, then for the next ones.
    Batch { micro_batch: usize },
    /// One step, piece by piece.
    Pieces,
}

/// Steps between two barriers.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub steps: Range<usize>,
    pub kind: StageKind,
    /// Estimated nanoseconds on one thread.
    pub cost: f64,
}

/// An order of the drafts and its stages.
pub(crate) fn schedule(
    drafts: &[Draft],
    values: &[Value],
    context: &BuildContext,
) -> (Vec<usize>, Vec<Stage>) {
    let producer: HashMap<usize, usize> = drafts
        .iter()
        .enumerate()
        .map(|(d, draft)| (draft.value, d))
        .collect();
    let mut done: HashSet<usize> = HashSet::new();
    let mut left: Vec<usize> = (0..drafts.len()).collect();
    let mut order = Vec::new();
    let mut stages = Vec::new();
    while !left.is_empty() {
        let ready = |d: &usize, inside: &HashSet<usize>| {
            drafts[*d]
                .operands
                .iter()
                .all(|(value, by_sample)| match producer.get(value) {
                    None => true,
                    Some(p) if done.contains(p) => true,
                    Some(p) => *by_sample && inside.contains(p),
                })
        };
        // Pieces first: they are small and let longer batch stages form behind them.
        let none = HashSet::new();
        let pieces = |d: &usize| matches!(drafts[*d].work, Work::Pieces { .. });
        if let Some(&next) = left.iter().find(|d| pieces(d) && ready(d, &none)) {
            push_stage(&[next], StageKind::Pieces, drafts, &mut order, &mut stages);
            done.insert(next);
            left.retain(|d| *d != next);
            continue;
        }
        let mut members = Vec::new();
        let mut samples_inside = HashSet::new();
        for &d in left.iter().filter(|d| !pieces(d)) {
            if ready(&d, &samples_inside) {
                members.push(d);
                if drafts[d].work == Work::Samples {
                    samples_inside.insert(d);
                }
            }
        }
        let kind = StageKind::Batch {
            micro_batch: micro_batch(&members, drafts, values, context),
        };
        push_stage(&members, kind, drafts, &mut order, &mut stages);
        done.extend(&members);
        left.retain(|d| !done.contains(d));
    }
    (order, stages)
}

fn push_stage(
    members: &[usize],
    kind: StageKind,
    drafts: &[Draft],
    order: &mut Vec<usize>,
    stages: &mut Vec<Stage>,
) {
    let start = order.len();
    order.extend_from_slice(members);
    let cost = members.iter().map(|&d| drafts[d].cost).sum();
    stages.push(Stage {
        steps: start..order.len(),
        kind,
        cost,
    });
}

/// As many samples as keep the stage's values in cache, at least one.
fn micro_batch(members: &[usize], drafts: &[Draft], values: &[Value], context: &BuildContext) -> usize {
    let batch = context.batch.max(1);
    let touched: HashSet<usize> = members
        .iter()
        .flat_map(|&d| {
            drafts[d]
                .operands
                .iter()
                .filter(|(_, by_sample)| *by_sample)
                .map(|(v, _)| *v)
                .chain([drafts[d].value])
        })
        .filter(|v| *v < values.len())
        .collect();
    let bytes: usize = touched.iter().map(|v| values[*v].elements / batch * 4).sum();
    (CACHE / bytes.max(1)).clamp(1, batch.div_ceil(context.chunks.max(1)))
}
