//! An optimizer's pass over the parameters, and the norm of the gradients: loops for every instruction
//! set, split over threads. The order of operations is that of the plain definition, so that every set
//! and every split gives its bits.

mod loops;
mod norm;

use std::marker::PhantomData;
use std::ops::Range;

use graph::Movement;

use super::Isa;
use crate::Pool;
use loops::step;
pub(crate) use norm::norm;

/// Runs of numbers that a rule remembers for each parameter, at most.
pub const SLOTS: usize = 3;

/// Below this many elements one thread is faster than waking others.
const WORTH_SHARING: usize = 1 << 15;

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

/// One step of an optimizer: what moves, by which rules. What lies in no span stays as it is.
#[derive(Debug, Clone, Copy)]
pub struct Descent<'a> {
    /// The rules of this step.
    pub rules: &'a [Movement],
    /// Runs of parameters and which rule moves each.
    pub spans: &'a [Span],
    /// What is done to each gradient first.
    pub clip: Clip,
}

/// Moves what spans have of these runs of the store, which do not overlap. The caller has checked that the slots have the
/// parameters' length, or are empty where no rule needs them.
pub(crate) fn descend(
    (pool, isa): (&Pool, Isa),
    descent: Descent<'_>,
    store: &mut Store<'_>,
    runs: &[Range<usize>],
) {
    let length = runs.iter().map(Range::len).sum::<usize>();
    let threads = if length < WORTH_SHARING { 1 } else { pool.threads() };
    let moving = Moving::new(isa, descent, store);
    let work = |worker: usize| {
        for range in shares(runs, worker, threads) {
            // SAFETY: workers' shares do not overlap, and each is used by one worker.
            unsafe { moving.run(range, None) };
        }
    };
    match threads {
        1 => work(0),
        _ => pool.run(&work),
    }
}

/// What one of several workers takes of some runs: of each as large a part as of the others, so that it moves about those
/// weights whose gradient it has made, and which it packs for the next step.
pub(crate) fn shares(
    runs: &[Range<usize>],
    worker: usize,
    threads: usize,
) -> impl Iterator<Item = Range<usize>> {
    let own = move |run: &Range<usize>| {
        let at = |worker: usize| run.start + cut(run.len(), worker, threads);
        at(worker)..at(worker + 1)
    };
    runs.iter().map(own).filter(|range| !range.is_empty())
}

/// A step at work on a store, of which several workers move parts.
pub(crate) struct Moving<'a> {
    isa: Isa,
    descent: Descent<'a>,
    whole: Whole,
    store: PhantomData<&'a mut [f32]>,
}

impl<'a> Moving<'a> {
    /// A step on this store. Rules and slots have been checked as for [`descend`].
    pub fn new(isa: Isa, descent: Descent<'a>, store: &'a mut Store<'_>) -> Self {
        Self {
            isa,
            descent,
            whole: Whole::of(store),
            store: PhantomData,
        }
    }

    /// Moves what spans have of these elements; `gradients` takes the place of the store's, if given.
    ///
    /// # Safety
    /// Nobody else uses these elements meanwhile.
    pub unsafe fn run(&self, range: Range<usize>, gradients: Option<&[f32]>) {
        let Descent { rules, spans, clip } = self.descent;
        for span in spans {
            let own = span.range.start.max(range.start)..span.range.end.min(range.end);
            if own.is_empty() {
                continue;
            }
            // SAFETY: a part of `range`, which is the caller's alone.
            let mut part = unsafe { self.whole.part(own.clone()) };
            if let Some(gradients) = gradients {
                part.gradients = &gradients[own.start - range.start..own.end - range.start];
            }
            step(self.isa, &rules[span.rule], clip, &mut part);
        }
    }
}

/// Where a worker's share begins: at a cache line.
fn cut(length: usize, worker: usize, threads: usize) -> usize {
    if worker >= threads {
        length
    } else {
        length / 16 * worker / threads * 16
    }
}

/// Where a store's runs begin.
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
