//! The filters' side: G w Gᵀ, made once for each change of the weights.

use super::sums::TAPS;
use super::{FREQUENCIES, Isa};
use crate::kernels::pack::Pack;
use crate::kernels::simd::{Simd, on_vectors};
use crate::kernels::{Kernel, Task, Work};

/// Channels that are transformed together.
const ROWS: usize = 16;
/// Columns of the widest panel.
const WIDEST: usize = 32;

/// Panels of transformed filters, `[16][channels][width]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filters {
    /// The panels of the filters as they are.
    pub pack: Pack,
    /// Whose vectors transform them.
    pub isa: Isa,
}

impl Filters {
    fn channels(&self) -> usize {
        self.pack.rows / TAPS
    }

    /// Elements of one panel's frequency.
    fn step(&self) -> usize {
        self.channels() * self.pack.width
    }

    /// Elements of the packed form.
    pub fn elements(&self) -> usize {
        self.pack.panels() * FREQUENCIES * self.step()
    }

    /// A panel of one frequency, `[channels][width]`.
    pub(super) fn frequency<'a>(&self, packed: &'a [f32], panel: usize, frequency: usize) -> &'a [f32] {
        &packed[(panel * FREQUENCIES + frequency) * self.step()..][..self.step()]
    }
}

impl Kernel for Filters {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.pack.panels(),
            elements: FREQUENCIES * self.step(),
        }
    }

    fn run(&self, task: Task<'_>) {
        let from = task.input(0);
        let mut plain = [0.0f32; TAPS * ROWS * WIDEST];
        let panels = task.output.chunks_exact_mut(FREQUENCIES * self.step());
        for (number, panel) in task.range.clone().zip(panels) {
            for first in (0..self.channels()).step_by(ROWS) {
                let rows = first..(first + ROWS).min(self.channels());
                let size = rows.len() * self.pack.width;
                for (tap, to) in plain[..TAPS * size].chunks_exact_mut(size).enumerate() {
                    self.pack.fill_tap(from, (number, TAPS, tap), rows.clone(), to);
                }
                let to = &mut panel[first * self.pack.width..];
                transform(self.isa, &plain[..TAPS * size], to, self.step());
            }
        }
    }
}

/// Filters as they are, `[9][each]`, to `[16][each]`, `step` apart.
fn transform(isa: Isa, from: &[f32], to: &mut [f32], step: usize) {
    let each = from.len() / TAPS;
    assert!(to.len() >= (FREQUENCIES - 1) * step + each && each.is_multiple_of(isa.lanes()));
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    on_vectors!(isa, all(from: *const f32, each: usize, to: *mut f32, step: usize));
}

/// # Safety
/// `from` has 9·each elements, and `to` so many in each of 16 planes; `each` is a multiple of the lanes.
#[inline(always)]
unsafe fn all<S: Simd>(from: *const f32, each: usize, to: *mut f32, step: usize) {
    // SAFETY: by contract.
    unsafe {
        for at in (0..each).step_by(S::LANES) {
            let tap = |u: usize, v: usize| S::load(from.add((3 * u + v) * each + at));
            let mut rows = [[S::zero(); 3]; 4];
            for v in 0..3 {
                let column = filter([tap(0, v), tap(1, v), tap(2, v)]);
                for u in 0..4 {
                    rows[u][v] = column[u];
                }
            }
            for u in 0..4 {
                let row = filter(rows[u]);
                for v in 0..4 {
                    row[v].store(to.add((4 * u + v) * step + at));
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
