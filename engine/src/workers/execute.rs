//! Runs a plan: stage after stage, each split over the workers in a fixed way.

use std::ops::Range;

use super::Pool;
use crate::kernels::optimizer::{Moving, shares};
use crate::kernels::{Located, Task, Work};
use crate::plan::{Operand, Phase, Plan, Region, Slot, Stage, StageKind, Step, portion};

/// Below this many estimated nanoseconds a stage stays on the caller's thread: waking others costs more.
const WORTH_SHARING: f64 = 15_000.0;
/// Operands of a step whose places are kept on the stack.
const OPERANDS: usize = 40;

/// The memory that a run works in, borrowed exclusively.
pub(crate) struct Memory<'a> {
    pub parameters: &'a mut [f32],
    pub gradients: &'a mut [f32],
    pub arena: &'a mut [f32],
    /// All workers' own memory, `Plan::worker` elements each.
    pub workers: &'a mut [f32],
}

/// Where the regions begin.
#[derive(Clone, Copy)]
struct Bases {
    parameters: *mut f32,
    gradients: *mut f32,
    arena: *mut f32,
    workers: *mut f32,
    key: u64,
}

// SAFETY: the pointers are only followed by `execute`, whose split never gives two workers the same
// element to write.
unsafe impl Sync for Bases {}

impl Bases {
    /// # Panics
    /// When memory is smaller than the plan's, or values reach farther than it does.
    fn of(plan: &Plan, memory: Memory<'_>, reach: [usize; 3], key: u64, pool: &Pool) -> Self {
        assert!(
            memory.workers.len() >= plan.worker * pool.threads(),
            "the workers' memory is smaller than the plan's"
        );
        let lengths = [
            memory.parameters.len(),
            memory.gradients.len(),
            memory.arena.len(),
        ];
        assert!(
            reach.iter().zip(lengths).all(|(reach, length)| *reach <= length),
            "a value lies outside its memory"
        );
        Self {
            parameters: memory.parameters.as_mut_ptr(),
            gradients: memory.gradients.as_mut_ptr(),
            arena: memory.arena.as_mut_ptr(),
            workers: memory.workers.as_mut_ptr(),
            key,
        }
    }

    fn at(&self, slot: Slot) -> *mut f32 {
        let base = match slot.region {
            Region::Parameters => self.parameters,
            Region::Gradients => self.gradients,
            Region::Arena => self.arena,
            // Local values are only reached through `local`.
            Region::Local => self.workers,
        };
        base.wrapping_add(slot.offset)
    }

    /// Where a worker's memory begins.
    fn worker(&self, plan: &Plan, worker: usize) -> *mut f32 {
        self.workers.wrapping_add(worker * plan.worker)
    }

    /// Where sample `at`'s part of a value lies, `each` elements a sample, or the value's beginning
    /// where it is not taken by sample. A local value holds the samples from `begin` on.
    fn samples(
        &self,
        plan: &Plan,
        slot: Slot,
        (begin, at): (usize, usize),
        each: usize,
        worker: usize,
    ) -> *mut f32 {
        match slot.region {
            Region::Local => self
                .worker(plan, worker)
                .wrapping_add(plan.worker - plan.local + slot.offset + (at - begin) * each),
            _ => self.at(slot).wrapping_add(at * each),
        }
    }
}

/// Runs all stages and then the assignments; `key` selects the random numbers; with `prepared` those that
/// depend on parameters alone are left out, their values being there already. If `clock` is given it
/// is called after each step with the step's index; steps then run one by one over the whole batch.
///
/// # Panics
/// When the memory has not the sizes that the plan was made for.
pub(crate) fn execute(
    plan: &Plan,
    memory: Memory<'_>,
    (key, prepared): (u64, bool),
    pool: &Pool,
    mut clock: Option<&mut dyn FnMut(usize)>,
) {
    let bases = Bases::of(plan, memory, plan.reach, key, pool);
    let now = |stage: &&Stage| match stage.phase {
        Phase::Constant => !prepared,
        Phase::Run => true,
        Phase::Move => false,
    };
    for stage in plan.stages.iter().filter(now) {
        match &mut clock {
            None => run_stage(plan, stage, &bases, pool),
            Some(clock) => {
                for step in stage.steps.clone() {
                    let alone = Stage {
                        steps: step..step + 1,
                        bands: Vec::new(),
                        ..stage.clone()
                    };
                    run_stage(plan, &alone, &bases, pool);
                    clock(step);
                }
            }
        }
    }
    for (from, to) in &plan.assignments {
        // SAFETY: both slots lie in their regions; `copy` allows overlap.
        unsafe { std::ptr::copy(bases.at(*from), bases.at(*to), to.elements) };
    }
}

/// The stages that wait for the parameters to move. Their steps read the arena alone.
fn moved(plan: &Plan) -> impl Iterator<Item = &Stage> {
    plan.stages.iter().filter(|stage| stage.phase == Phase::Move)
}

/// Computes the gradients that wait for the parameters to move into the gradients' memory instead.
///
/// # Panics
/// As [`execute`].
pub(crate) fn complete(plan: &Plan, memory: Memory<'_>, key: u64, pool: &Pool) {
    let [_, gradients, arena] = plan.reach;
    let bases = Bases::of(plan, memory, [0, gradients, arena], key, pool);
    moved(plan).for_each(|stage| run_stage(plan, stage, &bases, pool));
}

/// Moves the parameters. A worker makes a portion of a gradient that waited for this, and moves what it belongs
/// to while it is in its cache; what lies `elsewhere` moves by gradients that are there.
///
/// # Panics
/// As [`execute`].
pub(crate) fn descend(
    plan: &Plan,
    memory: Memory<'_>,
    key: u64,
    pool: &Pool,
    (moving, elsewhere): (&Moving<'_>, &[Range<usize>]),
) {
    let bases = Bases::of(plan, memory, [0, 0, plan.reach[2]], key, pool);
    let threads = pool.threads();
    pool.run(&|worker| {
        for step in moved(plan).flat_map(|stage| &plan.steps[stage.steps.clone()]) {
            move_along(plan, step, &bases, (worker, threads), moving);
        }
        for run in shares(elsewhere, worker, threads) {
            // SAFETY: workers' shares do not overlap, and no step's gradient belongs to what lies elsewhere.
            unsafe { moving.run(run, None) };
        }
    });
}

/// Makes one worker's share of a gradient, portion by portion, and moves the parameters by it.
fn move_along(
    plan: &Plan,
    step: &Step,
    bases: &Bases,
    (worker, threads): (usize, usize),
    moving: &Moving<'_>,
) {
    let Work::Pieces { elements, .. } = step.work else {
        return;
    };
    let (together, most) = portion(step.work);
    // SAFETY: the plan gave each worker room for a portion behind its scratch; nothing else is local now.
    let buffer = unsafe {
        let begin = bases.worker(plan, worker).wrapping_add(plan.worker - plan.local);
        std::slice::from_raw_parts_mut(begin, most.min(plan.local))
    };
    let own = share_of(step, 0, worker, threads);
    for first in own.clone().step_by(together) {
        let pieces = first..(first + together).min(own.end);
        let range = pieces.start * elements..(pieces.end * elements).min(step.output.elements);
        let gradients = &mut buffer[..range.len()];
        let part = Part {
            begin: pieces.start,
            range: pieces,
            rows: None,
            fresh: true,
        };
        call(plan, step, part, gradients, bases, worker);
        let place = step.output.offset + range.start..step.output.offset + range.end;
        // SAFETY: pieces do not overlap, each is one worker's, and each step has a parameter of its own.
        unsafe { moving.run(place, Some(gradients)) };
    }
}

fn run_stage(plan: &Plan, stage: &Stage, bases: &Bases, pool: &Pool) {
    let threads = if stage.cost < WORTH_SHARING {
        1
    } else {
        pool.threads()
    };
    let steps = &plan.steps[stage.steps.clone()];
    match stage.kind {
        StageKind::Batch { micro_batch } => {
            share(pool, threads, plan.chunks, &|worker, chunks| {
                run_chunks(plan, (steps, &stage.bands), chunks, micro_batch, bases, worker);
            });
            let reductions = steps.iter().filter(|s| s.partials.is_some()).count();
            if reductions > 0 {
                share(pool, threads.min(reductions), reductions, &|_, which| {
                    for step in steps
                        .iter()
                        .filter(|s| s.partials.is_some())
                        .skip(which.start)
                        .take(which.len())
                    {
                        finish(step, bases);
                    }
                });
            }
        }
        StageKind::Pieces => {
            let threads = if steps.iter().all(|s| pieces(s) < 2) && steps.len() < 2 {
                1
            } else {
                threads
            };
            share(pool, threads, threads, &|_, parts| {
                for part in parts {
                    for (number, step) in steps.iter().enumerate() {
                        run_pieces(plan, step, share_of(step, number, part, threads), bases, part);
                    }
                }
            });
        }
    }
}

fn pieces(step: &Step) -> usize {
    match step.work {
        Work::Pieces { count, .. } => count,
        _ => 0,
    }
}

/// The pieces of a step that one of `threads` parts does. Steps of few pieces take turns.
fn share_of(step: &Step, number: usize, part: usize, threads: usize) -> Range<usize> {
    let count = pieces(step);
    let turn = if count < threads {
        (part + number) % threads
    } else {
        part
    };
    turn * count / threads..(turn + 1) * count / threads
}

fn run_pieces(plan: &Plan, step: &Step, pieces: Range<usize>, bases: &Bases, worker: usize) {
    let Work::Pieces { elements, .. } = step.work else {
        return;
    };
    if !pieces.is_empty() {
        let start = pieces.start * elements;
        let end = (pieces.end * elements).min(step.output.elements);
        let at = bases.at(step.output).wrapping_add(start);
        let part = Part {
            begin: pieces.start,
            range: pieces,
            rows: None,
            fresh: true,
        };
        run_step(plan, step, part, (at, end - start), bases, worker);
    }
}

/// Splits `count` parts over the workers in contiguous runs.
fn share(pool: &Pool, threads: usize, count: usize, work: &(dyn Fn(usize, Range<usize>) + Sync)) {
    if threads <= 1 || count <= 1 {
        return work(0, 0..count);
    }
    pool.run(&|worker| {
        if worker < threads {
            work(worker, worker * count / threads..(worker + 1) * count / threads);
        }
    });
}

/// Runs the chunks depth first: micro-batches of a chunk, or several whole chunks at a time. How chunks are
/// put together depends on the threads, so a reduction always sees whole chunks or fixed parts of one.
fn run_chunks(
    plan: &Plan,
    (steps, bands): (&[Step], &[Vec<usize>]),
    chunks: Range<usize>,
    micro_batch: usize,
    bases: &Bases,
    worker: usize,
) {
    let first = |chunk: usize| chunk * plan.batch / plan.chunks;
    let together = micro_batch / plan.batch.div_ceil(plan.chunks).max(1);
    if together < 2 {
        for chunk in chunks {
            for start in (first(chunk)..first(chunk + 1)).step_by(micro_batch) {
                let range = start..(start + micro_batch).min(first(chunk + 1));
                run_bands(plan, (steps, bands), chunk, range, bases, worker);
            }
        }
        return;
    }
    for chunk in chunks.clone().step_by(together) {
        let end = (chunk + together).min(chunks.end);
        run_range(plan, steps, chunk..end, first(chunk)..first(end), bases, worker);
    }
}

/// Runs all steps on some samples of one chunk, in bands of rows if there are any: one sample then.
fn run_bands(
    plan: &Plan,
    (steps, bands): (&[Step], &[Vec<usize>]),
    chunk: usize,
    range: Range<usize>,
    bases: &Bases,
    worker: usize,
) {
    let Some(count) = bands.first().map(Vec::len) else {
        return run_range(plan, steps, chunk..chunk + 1, range, bases, worker);
    };
    for band in 0..count {
        for (step, done) in steps.iter().zip(bands) {
            let before = band.checked_sub(1).map_or(0, |last| done[last]);
            let rows = before..done[band];
            // Everything at once is for steps that cannot be cut, too.
            let everything = rows.start == 0 && rows.end == done[count - 1];
            let part = Part {
                begin: range.start,
                range: range.clone(),
                rows: (!everything).then(|| rows.clone()),
                fresh: true,
            };
            if !rows.is_empty() {
                run_samples(plan, step, chunk..chunk + 1, part, bases, worker);
            }
        }
    }
}

/// Runs all steps on some samples: a part of one chunk, or all of several.
fn run_range(
    plan: &Plan,
    steps: &[Step],
    chunks: Range<usize>,
    range: Range<usize>,
    bases: &Bases,
    worker: usize,
) {
    for step in steps {
        let part = Part {
            begin: range.start,
            range: range.clone(),
            rows: None,
            fresh: true,
        };
        run_samples(plan, step, chunks.clone(), part, bases, worker);
    }
}

/// What a kernel is to do.
struct Part {
    /// The sample with which local values begin.
    begin: usize,
    /// Samples or pieces.
    range: Range<usize>,
    /// Of one sample.
    rows: Option<Range<usize>>,
    fresh: bool,
}

/// Runs one step on some samples, chunk by chunk where it sums over them.
fn run_samples(plan: &Plan, step: &Step, chunks: Range<usize>, part: Part, bases: &Bases, worker: usize) {
    let (Work::Reduction { partial }, Some(slot)) = (step.work, step.partials) else {
        let each = step.output.elements / plan.batch;
        let at = bases.samples(plan, step.output, (part.begin, part.range.start), each, worker);
        let elements = part.range.len() * each;
        return run_step(plan, step, part, (at, elements), bases, worker);
    };
    for chunk in chunks {
        let first = chunk * plan.batch / plan.chunks;
        let end = (chunk + 1) * plan.batch / plan.chunks;
        let own = part.range.start.max(first)..part.range.end.min(end);
        let at = bases.at(slot).wrapping_add(chunk * partial);
        // SAFETY: each chunk has its own partial result and is run by one worker.
        let output = unsafe { std::slice::from_raw_parts_mut(at, partial) };
        let begun = part.rows.as_ref().is_some_and(|rows| rows.start > 0);
        let own = Part {
            fresh: own.start == first && !begun,
            range: own,
            rows: part.rows.clone(),
            ..part
        };
        call(plan, step, own, output, bases, worker);
    }
}

fn run_step(
    plan: &Plan,
    step: &Step,
    part: Part,
    (at, elements): (*mut f32, usize),
    bases: &Bases,
    worker: usize,
) {
    // SAFETY: the ranges that `share` hands out do not overlap, and the plan gave the result storage
    // that no live value shares; a local result lies in the worker's own memory.
    let output = unsafe { std::slice::from_raw_parts_mut(at, elements) };
    call(plan, step, part, output, bases, worker);
}

/// Calls a kernel.
fn call(plan: &Plan, step: &Step, part: Part, output: &mut [f32], bases: &Bases, worker: usize) {
    // SAFETY: each worker has its own memory, and scratch stands before the local values in it.
    let scratch =
        unsafe { std::slice::from_raw_parts_mut(bases.worker(plan, worker), step.kernel.scratch()) };
    let at = (part.begin, part.range.start);
    let locate = |k: usize| {
        let Operand { slot, per_sample } = step.operands[k];
        Located {
            base: bases.samples(plan, slot, at, per_sample, worker),
            per_sample,
            elements: slot.elements,
        }
    };
    let nowhere = Located {
        base: bases.arena,
        per_sample: 0,
        elements: 0,
    };
    let run = |operands: &[Located]| {
        step.kernel.run(Task {
            operands,
            output,
            scratch,
            range: part.range,
            rows: part.rows,
            fresh: part.fresh,
            key: bases.key,
        });
    };
    if step.operands.len() <= OPERANDS {
        let mut operands = [nowhere; OPERANDS];
        for (k, operand) in operands.iter_mut().take(step.operands.len()).enumerate() {
            *operand = locate(k);
        }
        run(&operands[..step.operands.len()]);
    } else {
        let operands: Vec<Located> = (0..step.operands.len()).map(locate).collect();
        run(&operands);
    }
}

fn finish(step: &Step, bases: &Bases) {
    let Some(slot) = step.partials else { return };
    // SAFETY: all chunks are done; one worker finishes each step; the slots do not overlap.
    let (partials, output) = unsafe {
        (
            std::slice::from_raw_parts(bases.at(slot), slot.elements),
            std::slice::from_raw_parts_mut(bases.at(step.output), step.output.elements),
        )
    };
    step.kernel.finish(partials, output);
}
