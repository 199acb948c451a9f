//! The filters' side: G w Gᵀ, made once for each change of the weights.

use super::sums::TAPS;
use super::{FREQUENCIES, Isa, tiles};
use crate::kernels::amx::{BLOCK, SIDE};
use crate::kernels::pack::Pack;
use crate::kernels::simd::{Simd, on_vectors};
use crate::kernels::{Kernel, Task, Tiles, Work};

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
    /// The unit, if the products are its own: panels are then as it reads them.
    pub tiles: Option<Tiles>,
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
        self.pack.panels() * self.panel()
    }

    /// Elements of a panel.
    fn panel(&self) -> usize {
        match self.tiles {
            Some(_) => tiles::panel(self.channels()),
            None => FREQUENCIES * self.step(),
        }
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
            elements: self.panel(),
        }
    }

    fn run(&self, task: Task<'_>) {
        let from = task.input(0);
        let panels = task.output.chunks_exact_mut(self.panel());
        for (number, panel) in task.range.clone().zip(panels) {
            match self.tiles {
                Some(tiles) => self.fill_tiles(from, number, tiles, panel),
                None => {
                    for first in (0..self.channels()).step_by(ROWS) {
                        let to = &mut panel[first * self.pack.width..];
                        self.transform_rows(from, number, first, (to, self.step()));
                    }
                }
            }
        }
    }
}

impl Filters {
    /// Some channels of a panel, from `first` on, `step` elements from frequency to frequency.
    fn transform_rows(&self, from: &[f32], number: usize, first: usize, (to, step): (&mut [f32], usize)) {
        let mut plain = [0.0f32; TAPS * ROWS * WIDEST];
        let rows = first..(first + ROWS).min(self.channels());
        let size = rows.len() * self.pack.width;
        for (tap, to) in plain[..TAPS * size].chunks_exact_mut(size).enumerate() {
            self.pack.fill_tap(from, (number, TAPS, tap), rows.clone(), to);
        }
        transform(self.isa, &plain[..TAPS * size], to, step);
    }

    /// A panel as the tile unit reads it.
    fn fill_tiles(&self, from: &[f32], number: usize, tiles: Tiles, panel: &mut [f32]) {
        let mut made = [0.0f32; FREQUENCIES * BLOCK];
        let blocks = self.channels().div_ceil(SIDE);
        let mut largest = 0;
        for block in 0..blocks {
            let live = SIDE.min(self.channels() - block * SIDE);
            for first in (0..live).step_by(ROWS) {
                let to = &mut made[first * SIDE..];
                self.transform_rows(from, number, block * SIDE + first, (to, BLOCK));
            }
            largest = largest.max(tiles::write_filters(tiles, &made, (live, block, blocks), panel));
        }
        tiles::mark(panel, largest);
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
