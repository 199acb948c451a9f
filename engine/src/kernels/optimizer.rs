//! An optimizer's pass over the parameters, and the norm of the gradients: loops for every instruction
//! set, split over threads. The order of operations is that of the plain definition, so that every set
//! and every split gives its bits.

mod loops;
mod norm;

use std::ops::Range;

use super::Isa;
use crate::Pool;
use loops::step;
pub(crate) use norm::norm;

/// Runs of numbers that a rule remembers for each parameter, at most.
pub const SLOTS: usize = 3;

/// Below this many elements one thread is faster than waking others.
const WORTH_SHARING: usize = 1 << 15;

/// One step of an optimizer's rule, as numbers. g is the gradient after clipping, plus `decay`·p.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub enum Descent {
    /// p ← p − rate·g
    Plain { rate: f32, decay: f32 },
    /// b ← momentum·b + share·g; p ← p − rate·(ahead·g + along·b)
    Momentum {
        rate: f32,
        momentum: f32,
        share: f32,
        ahead: f32,
        along: f32,
        decay: f32,
    },
    /// s ← s + g²; p ← p − rate·g/(√s + epsilon)
    Adagrad { rate: f32, epsilon: f32, decay: f32 },
    /// s ← rho·s + share·g²; Δ = g·√(u + epsilon)/√(s + epsilon); u ← rho·u + share·Δ²; p ← p − rate·Δ
    Adadelta {
        rate: f32,
        rho: f32,
        share: f32,
        epsilon: f32,
        decay: f32,
    },
    /// s ← alpha·s + share·g²; where `centered` a ← a + share·(g − a) and s − a² takes the place of s
    /// below; with momentum b ← momentum·b + g/(√s + epsilon); p ← p − rate·b, else
    /// p ← p − rate·g/(√s + epsilon). The slots are s, a, b, those that there are.
    RmsProp {
        rate: f32,
        alpha: f32,
        share: f32,
        epsilon: f32,
        momentum: Option<f32>,
        centered: bool,
        decay: f32,
    },
    /// m ← m + share1·(g − m); v ← beta2·v + share2·g²; p ← shrink·p − rate·m/(√v·unbias + epsilon)
    Adam {
        rate: f32,
        share1: f32,
        beta2: f32,
        share2: f32,
        unbias: f32,
        epsilon: f32,
        decay: f32,
        shrink: f32,
    },
}

impl Descent {
    /// Numbers that it remembers for each parameter.
    pub fn slots(&self) -> usize {
        match self {
            Descent::Plain { .. } => 0,
            Descent::Momentum { .. } | Descent::Adagrad { .. } => 1,
            Descent::Adadelta { .. } | Descent::Adam { .. } => 2,
            Descent::RmsProp {
                momentum, centered, ..
            } => 1 + usize::from(momentum.is_some()) + usize::from(*centered),
        }
    }
}

/// What is done to a gradient before it is used: g·`scale`, cut to ±`most`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clip {
    /// The factor.
    pub scale: f32,
    /// The limit.
    pub most: f32,
}

impl Default for Clip {
    /// Nothing.
    fn default() -> Self {
        Self {
            scale: 1.0,
            most: f32::INFINITY,
        }
    }
}

impl Clip {
    #[inline(always)]
    fn of(self, g: f32) -> f32 {
        let g = g * self.scale;
        // Comparisons that are false for NaN, so that NaN stays visible.
        let g = if g > self.most { self.most } else { g };
        if g < -self.most { -self.most } else { g }
    }
}

/// A run of parameters that one rule moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The elements.
    pub range: Range<usize>,
    /// Which of the step's rules.
    pub rule: usize,
}

/// Parameters, gradients and memory that lie alike.
pub(crate) struct Store<'a> {
    pub parameters: &'a mut [f32],
    pub gradients: &'a [f32],
    pub state: [&'a mut [f32]; SLOTS],
}

impl Store<'_> {
    /// The same elements of all; an absent slot stays empty.
    fn part(&mut self, range: Range<usize>) -> Store<'_> {
        Store {
            parameters: &mut self.parameters[range.clone()],
            gradients: &self.gradients[range.clone()],
            state: self.state.each_mut().map(|slot| {
                if slot.is_empty() {
                    &mut slot[..]
                } else {
                    &mut slot[range.clone()]
                }
            }),
        }
    }
}

/// Moves all spans of the store. The caller has checked that the slots have the parameters' length, or
/// are empty where no rule needs them.
pub(crate) fn descend(
    (pool, isa): (&Pool, Isa),
    rules: &[Descent],
    spans: &[Span],
    clip: Clip,
    store: &mut Store<'_>,
) {
    let length = store.parameters.len();
    let threads = if length < WORTH_SHARING { 1 } else { pool.threads() };
    if threads == 1 {
        for span in spans {
            step(isa, &rules[span.rule], clip, &mut store.part(span.range.clone()));
        }
        return;
    }
    let whole = Whole::of(store);
    pool.run(&|worker| {
        let own = cut(length, worker, threads)..cut(length, worker + 1, threads);
        for span in spans {
            let range = span.range.start.max(own.start)..span.range.end.min(own.end);
            if !range.is_empty() {
                // SAFETY: workers' ranges do not overlap, and each is used by one worker.
                let mut part = unsafe { whole.part(range) };
                step(isa, &rules[span.rule], clip, &mut part);
            }
        }
    });
}

/// Where a worker's share begins: at a cache line.
fn cut(length: usize, worker: usize, threads: usize) -> usize {
    if worker == threads {
        length
    } else {
        length / 16 * worker / threads * 16
    }
}

/// A store that several workers take parts of.
struct Whole {
    parameters: *mut f32,
    gradients: *const f32,
    state: [(*mut f32, bool); SLOTS],
    length: usize,
}

// SAFETY: the pointers are only followed by `part`, whose callers share no element.
unsafe impl Sync for Whole {}

impl Whole {
    fn of(store: &mut Store<'_>) -> Self {
        let length = store.parameters.len();
        assert!(store.gradients.len() == length);
        Self {
            parameters: store.parameters.as_mut_ptr(),
            gradients: store.gradients.as_ptr(),
            state: store.state.each_mut().map(|slot| {
                assert!(slot.is_empty() || slot.len() == length);
                (slot.as_mut_ptr(), !slot.is_empty())
            }),
            length,
        }
    }

    /// # Safety
    /// Nobody else may use these elements while the part lives.
    unsafe fn part<'a>(&self, range: Range<usize>) -> Store<'a> {
        assert!(range.start <= range.end && range.end <= self.length);
        let (at, count) = (range.start, range.len());
        // SAFETY: the range lies within all runs (`of` compared their lengths) and is the caller's alone.
        unsafe {
            Store {
                parameters: std::slice::from_raw_parts_mut(self.parameters.add(at), count),
                gradients: std::slice::from_raw_parts(self.gradients.add(at), count),
                state: self.state.map(|(slot, there)| match there {
                    true => std::slice::from_raw_parts_mut(slot.add(at), count),
                    false => Default::default(),
                }),
            }
        }
    }
}
