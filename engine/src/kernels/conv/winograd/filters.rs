//! The filters' side: G w Gᵀ, made once for each change of the weights.

use super::{FREQUENCIES, Isa, on_vectors};
use crate::kernels::pack::Pack;
use crate::kernels::simd::Simd;
use crate::kernels::{Kernel, Task, Work};

/// Taps of a filter.
const TAPS: usize = 9;

/// Panels of filters: first as they are, `[9][channels][width]`, then transformed, `[16][channels][width]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filters {
    /// The panels of filters as they are.
    pub pack: Pack,
    /// Whose vectors transform them.
    pub isa: Isa,
}

impl Filters {
    /// Elements of one channel of one panel's tap, times channels.
    fn step(&self) -> usize {
        self.pack.rows / TAPS * self.pack.width
    }

    /// Elements from one panel to the next.
    pub(super) fn between(&self) -> usize {
        (TAPS + FREQUENCIES) * self.step()
    }

    /// Elements of the packed form.
    pub fn elements(&self) -> usize {
        self.pack.panels() * self.between()
    }

    /// A panel of one frequency, `[channels][width]`.
    pub(super) fn frequency<'a>(&self, packed: &'a [f32], panel: usize, frequency: usize) -> &'a [f32] {
        &packed[panel * self.between() + (TAPS + frequency) * self.step()..][..self.step()]
    }
}

impl Kernel for Filters {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.pack.panels(),
            elements: self.between(),
        }
    }

    fn run(&self, task: Task<'_>) {
        let from = task.input(0);
        let panels = task.output.chunks_exact_mut(self.between());
        for (number, panel) in task.range.clone().zip(panels) {
            let (plain, transformed) = panel.split_at_mut(TAPS * self.step());
            self.pack.fill_panel(from, number, plain);
            transform(self.isa, plain, transformed);
        }
    }
}

/// All filters of a panel.
fn transform(isa: Isa, from: &[f32], to: &mut [f32]) {
    let step = from.len() / TAPS;
    assert!(to.len() == FREQUENCIES * step && step.is_multiple_of(isa.lanes()));
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    on_vectors!(isa, each(from: *const f32, to: *mut f32, step: usize));
}

/// # Safety
/// `from` has 9·step elements and `to` 16·step, `step` a multiple of the lanes.
#[inline(always)]
unsafe fn each<S: Simd>(from: *const f32, to: *mut f32, step: usize) {
    // SAFETY: by contract.
    unsafe {
        for at in (0..step).step_by(S::LANES) {
            let tap = |u: usize, v: usize| S::load(from.add((3 * u + v) * step + at));
            let mut rows = [[S::zero(); 3]; 4];
            for v in 0..3 {
                let column = filter([tap(0, v), tap(1, v), tap(2, v)]);
                (0..4).for_each(|u| rows[u][v] = column[u]);
            }
            for (u, row) in rows.into_iter().enumerate() {
                for (v, value) in filter(row).into_iter().enumerate() {
                    value.store(to.add((4 * u + v) * step + at));
                }
            }
        }
    }
}

/// G w
#[inline(always)]
unsafe fn filter<S: Simd>([a, b, c]: [S; 3]) -> [S; 4] {
    // SAFETY: the caller's vectors.
    unsafe {
        let half = S::splat(0.5);
        let outer = S::zero().fma(half, a.add(c));
        let inner = S::zero().fma(half, b);
        [a, outer.add(inner), outer.sub(inner), c]
    }
}
