//! The order of the steps, and which of them run together.
//!
//! A *batch stage* is a stretch of steps that need nothing but their own samples of one another: it
//! runs depth first, a few samples through all of its steps at a time, so that values between
//! layers stay in a core's cache. Everything else is a stage of its own.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::bands::bands;
use super::draft::{Draft, NOT_READ, Value};
use crate::kernels::{BuildContext, Work};

/// Bytes of live values that a core should keep to itself.
const CACHE: usize = 512 * 1024;
/// Bytes of live values that are worth it when so many bytes of weights are read for each micro-batch.
const MOST: usize = 8 << 20;

/// Bytes of weights that are not read again from a cache for each sample.
const HEAVY: usize = 1 << 20;
/// Products of a sample with each weight that hide the reading of it.
const ENOUGH_REUSE: usize = 48;
/// Bytes of a sample's activations that make its micro-batch small.
const LARGE: usize = 64 * 1024;

/// How a stage's steps are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StageKind {
    /// All steps for `micro_batch` samples, then for the next ones.
    Batch { micro_batch: usize },
    /// Steps that need nothing of one another, piece by piece.
    Pieces,
}

/// In which part of a program a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// First; it depends on parameters alone and need not run again until they change.
    Constant,
    /// In every run.
    Run,
    /// When the parameters are moved: a gradient that is used as it is made.
    Move,
}

/// Steps between two barriers.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub steps: Range<usize>,
    pub kind: StageKind,
    /// Estimated nanoseconds on one thread.
    pub cost: f64,
    /// When it runs.
    pub phase: Phase,
    /// Of a batch stage that takes a sample in bands: how many rows of each step are done after each.
    pub bands: Vec<Vec<usize>>,
}

/// An order of the drafts and its stages: one phase after the other, each in stages of its own.
pub(crate) fn schedule(
    drafts: &[Draft],
    values: &[Value],
    context: &BuildContext,
    phases: &[Phase],
) -> (Vec<usize>, Vec<Stage>) {
    let mut done = HashSet::new();
    let (mut order, mut stages) = (Vec::new(), Vec::new());
    for wanted in [Phase::Constant, Phase::Run, Phase::Move] {
        let left = (0..drafts.len()).filter(|&d| phases[d] == wanted).collect();
        let before = stages.len();
        let parts = (&mut done, &mut order, &mut stages);
        schedule_part(drafts, values, context, left, parts);
        stages[before..].iter_mut().for_each(|stage| stage.phase = wanted);
    }
    (order, stages)
}

/// Finds the drafts that depend on parameters and constants alone; `leaf` says whether a value is one of those.
pub(crate) fn constant_drafts(drafts: &[Draft], leaf: impl Fn(usize) -> bool) -> Vec<Phase> {
    let mut known: HashSet<usize> = HashSet::new();
    let mut phases = Vec::new();
    for draft in drafts {
        let of_constants =
            |&(value, _): &(usize, bool)| value == NOT_READ || leaf(value) || known.contains(&value);
        // A mask reads no numbers, but each run has its own.
        let is_constant = draft.op != "dropout_mask" && draft.operands.iter().all(of_constants);
        if is_constant {
            known.insert(draft.value);
        }
        phases.push(if is_constant { Phase::Constant } else { Phase::Run });
    }
    phases
}

type Parts<'a> = (&'a mut HashSet<usize>, &'a mut Vec<usize>, &'a mut Vec<Stage>);

fn schedule_part(
    drafts: &[Draft],
    values: &[Value],
    context: &BuildContext,
    mut left: Vec<usize>,
    (done, order, stages): Parts<'_>,
) {
    let producer: HashMap<usize, usize> = drafts
        .iter()
        .enumerate()
        .map(|(d, draft)| (draft.value, d))
        .collect();
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
        // Pieces first: they let longer batch stages form behind them. Those that are ready need nothing of
        // one another, so one stage holds them all.
        let none = HashSet::new();
        let pieces = |d: &usize| matches!(drafts[*d].work, Work::Pieces { .. });
        let together: Vec<usize> = left
            .iter()
            .copied()
            .filter(|d| pieces(d) && ready(d, &none))
            .collect();
        if !together.is_empty() {
            push_stage(&together, StageKind::Pieces, Vec::new(), drafts, (order, stages));
            done.extend(&together);
            left.retain(|d| !done.contains(d));
            continue;
        }
        let mut members = Vec::new();
        let mut samples_inside = HashSet::new();
        let mut appetite = Appetite::Small;
        for &d in left.iter().filter(|d| !pieces(d)) {
            let own = Appetite::of(&drafts[d], values, context);
            if ready(&d, &samples_inside) && appetite.goes_with(own) {
                appetite = appetite.max(own);
                members.push(d);
                if drafts[d].work == Work::Samples {
                    samples_inside.insert(d);
                }
            }
        }
        let micro_batch = micro_batch(&members, drafts, values, context);
        let bands = match micro_batch {
            1 => bands(&members, drafts, values, context),
            _ => Vec::new(),
        };
        let kind = StageKind::Batch { micro_batch };
        push_stage(&members, kind, bands, drafts, (order, stages));
        done.extend(&members);
        left.retain(|d| !done.contains(d));
    }
}

/// What a step would like its micro-batch to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Appetite {
    /// Any will do.
    Small,
    /// Few samples, which already fill a cache.
    Activations,
    /// Many samples for each reading of its weights.
    Weights,
}

impl Appetite {
    fn of(draft: &Draft, values: &[Value], context: &BuildContext) -> Self {
        let elements = |v: usize| values.get(v).map_or(0, |value| value.elements);
        let weights: usize = draft
            .operands
            .iter()
            .filter(|o| !o.1)
            .map(|o| elements(o.0))
            .sum();
        let batched = draft.operands.iter().filter(|o| o.1).map(|o| elements(o.0));
        let own = if draft.work == Work::Samples {
            elements(draft.value)
        } else {
            0
        };
        let each = (batched.sum::<usize>() + own) / context.batch.max(1);
        // How often one sample uses each weight.
        let reuse = draft.arithmetic.macs as usize / context.batch.max(1) / weights.max(1);
        if weights * 4 > HEAVY && reuse < ENOUGH_REUSE {
            Self::Weights
        } else if each * 4 > LARGE {
            Self::Activations
        } else {
            Self::Small
        }
    }

    fn goes_with(self, other: Self) -> bool {
        self == other || self == Self::Small || other == Self::Small
    }
}

fn push_stage(
    members: &[usize],
    kind: StageKind,
    bands: Vec<Vec<usize>>,
    drafts: &[Draft],
    (order, stages): (&mut Vec<usize>, &mut Vec<Stage>),
) {
    let start = order.len();
    order.extend_from_slice(members);
    let cost = members.iter().map(|&d| drafts[d].cost).sum();
    stages.push(Stage {
        steps: start..order.len(),
        kind,
        cost,
        phase: Phase::Run,
        bands,
    });
}

/// As many samples as keep the stage's values in cache, at least one; more where the weights that every
/// micro-batch reads are larger than they.
fn micro_batch(members: &[usize], drafts: &[Draft], values: &[Value], context: &BuildContext) -> usize {
    let batch = context.batch.max(1);
    let (mut touched, mut whole) = (HashSet::new(), HashSet::new());
    for &d in members {
        for &(value, by_sample) in &drafts[d].operands {
            if by_sample {
                touched.insert(value);
            } else {
                whole.insert(value);
            }
        }
        if drafts[d].work == Work::Samples {
            touched.insert(drafts[d].value);
        }
    }
    let elements = |of: &HashSet<usize>| -> usize {
        let known = of.iter().filter(|v| **v < values.len());
        known.map(|v| values[*v].elements).sum()
    };
    let each = elements(&touched) / batch * 4;
    let budget = (elements(&whole) * 4).clamp(CACHE, MOST);
    (budget / each.max(1)).clamp(1, batch)
}
