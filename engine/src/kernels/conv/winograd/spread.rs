//! The images' side: Bᵀ d B of the tiles of a source and, for the weights' gradient, A g Aᵀ of the tiles of a gradient.

use super::{Isa, Planes};
use crate::kernels::simd::{Simd, on_vectors};

/// A row of tiles of one sample.
#[derive(Clone, Copy)]
pub(super) struct TileRow<'a> {
    /// The sample, `[rows, width, channels]`, as far as it is looked at.
    pub image: &'a [f32],
    pub width: usize,
    pub channels: usize,
    /// Rows of the image that count; the others, and all outside, are zeros.
    pub live: [isize; 2],
    /// The first tile's first pixel.
    pub first: [isize; 2],
    /// Tiles in the row.
    pub count: usize,
    /// At least `channels` zeros.
    pub zeros: &'a [f32],
}

/// Which of the sixteen frequencies are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// All.
    All,
    /// All, and it is told whether sums of products of two of them are finite.
    Checked,
    /// The four of a row, as planes 0 to 3.
    Row(usize),
}

impl Which {
    fn planes(self) -> usize {
        match self {
            Which::Row(_) => 4,
            _ => 16,
        }
    }
}

/// What is so many times smaller than the largest f32 has products whose sums are finite.
const HEADROOM: f32 = (1u128 << 70) as f32;

/// [`Which`] as a number below 4 (a row), or these.
const ALL: usize = 4;
const CHECKED: usize = 5;

/// Lays Bᵀ d B of each tile of a row, 4×4 pixels two apart, into `to`, which begins with the first tile. Whether
/// what was asked to be checked is small enough.
pub(super) fn spread(isa: Isa, row: TileRow<'_>, which: Which, to: &mut [f32], planes: Planes) -> bool {
    let to = checked(isa, &row, which, to, planes);
    let mut finite = true;
    let flag = &mut finite;
    on_vectors!(
        isa,
        spread_row(row: TileRow<'_>, which: Which, to: *mut f32, planes: Planes, flag: &mut bool)
    );
    finite
}

/// The same of A g Aᵀ, of tiles of 2×2 pixels.
pub(super) fn spread_gradient(
    isa: Isa,
    row: TileRow<'_>,
    which: Which,
    to: &mut [f32],
    planes: Planes,
) -> bool {
    let to = checked(isa, &row, which, to, planes);
    let mut finite = true;
    let flag = &mut finite;
    on_vectors!(
        isa,
        spread_gradient_row(row: TileRow<'_>, which: Which, to: *mut f32, planes: Planes, flag: &mut bool)
    );
    finite
}

fn checked(isa: Isa, row: &TileRow<'_>, which: Which, to: &mut [f32], planes: Planes) -> *mut f32 {
    let there = row.live[1].max(0) as usize * row.width * row.channels;
    assert!(row.live[0] >= 0 && row.image.len() >= there && row.zeros.len() >= row.channels);
    assert!(planes.row >= row.channels.next_multiple_of(isa.lanes()));
    assert!(to.len() >= (which.planes() - 1) * planes.plane + row.count * planes.row);
    to.as_mut_ptr()
}

/// # Safety
/// As `checked` checks.
#[inline(always)]
unsafe fn spread_row<S: Simd>(
    row: TileRow<'_>,
    which: Which,
    to: *mut f32,
    planes: Planes,
    finite: &mut bool,
) {
    // SAFETY: by contract.
    unsafe { transform::<S, Source, 4>(row, which, to, planes, finite) }
}

/// # Safety
/// As `checked` checks.
#[inline(always)]
unsafe fn spread_gradient_row<S: Simd>(
    row: TileRow<'_>,
    which: Which,
    to: *mut f32,
    planes: Planes,
    finite: &mut bool,
) {
    // SAFETY: by contract.
    unsafe { transform::<S, Gradient, 2>(row, which, to, planes, finite) }
}

/// # Safety
/// As `checked` checks.
#[inline(always)]
unsafe fn transform<S: Simd, T: Transform<SIDE>, const SIDE: usize>(
    row: TileRow<'_>,
    which: Which,
    to: *mut f32,
    planes: Planes,
    finite: &mut bool,
) {
    // SAFETY: by contract.
    unsafe {
        match which {
            Which::All => each::<S, T, SIDE, ALL>(row, to, planes, finite),
            Which::Checked => each::<S, T, SIDE, CHECKED>(row, to, planes, finite),
            Which::Row(0) => each::<S, T, SIDE, 0>(row, to, planes, finite),
            Which::Row(1) => each::<S, T, SIDE, 1>(row, to, planes, finite),
            Which::Row(2) => each::<S, T, SIDE, 2>(row, to, planes, finite),
            Which::Row(_) => each::<S, T, SIDE, 3>(row, to, planes, finite),
        }
    }
}

/// From the pixels of a tile to its frequencies.
trait Transform<const SIDE: usize> {
    unsafe fn apply<S: Simd>(pixels: [[S; SIDE]; SIDE]) -> [[S; 4]; 4];
}

/// Bᵀ d B
struct Source;

impl Transform<4> for Source {
    #[inline(always)]
    unsafe fn apply<S: Simd>(d: [[S; 4]; 4]) -> [[S; 4]; 4] {
        // SAFETY: the caller's vectors.
        unsafe {
            let mut rows = [[S::zero(); 4]; 4];
            for j in 0..4 {
                let column = difference([d[0][j], d[1][j], d[2][j], d[3][j]]);
                for i in 0..4 {
                    rows[i][j] = column[i];
                }
            }
            for row in &mut rows {
                *row = difference(*row);
            }
            rows
        }
    }
}

/// A g Aᵀ
struct Gradient;

impl Transform<2> for Gradient {
    #[inline(always)]
    unsafe fn apply<S: Simd>(g: [[S; 2]; 2]) -> [[S; 4]; 4] {
        // SAFETY: the caller's vectors.
        unsafe {
            let left = widen([g[0][0], g[1][0]]);
            let right = widen([g[0][1], g[1][1]]);
            let mut rows = [[S::zero(); 4]; 4];
            for i in 0..4 {
                rows[i] = widen([left[i], right[i]]);
            }
            rows
        }
    }
}

/// Where the pixels of a tile begin, row by row; those outside the image are zeros.
#[inline(always)]
fn pixels<const SIDE: usize>(row: &TileRow<'_>, tile: usize) -> [[*const f32; SIDE]; SIDE] {
    let [top, left] = [row.first[0], row.first[1] + 2 * tile as isize];
    let mut from = [[row.zeros.as_ptr(); SIDE]; SIDE];
    for (i, line) in from.iter_mut().enumerate() {
        let r = top + i as isize;
        if r < row.live[0] || r >= row.live[1] {
            continue;
        }
        for (j, pixel) in line.iter_mut().enumerate() {
            let c = left + j as isize;
            if (0..row.width as isize).contains(&c) {
                let at = (r as usize * row.width + c as usize) * row.channels;
                *pixel = row.image.as_ptr().wrapping_add(at);
            }
        }
    }
    from
}

/// All tiles of a row, vector by vector.
#[inline(always)]
unsafe fn each<S: Simd, T: Transform<SIDE>, const SIDE: usize, const WHICH: usize>(
    row: TileRow<'_>,
    to: *mut f32,
    planes: Planes,
    finite: &mut bool,
) {
    // SAFETY: each pixel lies in the image or is zeros; each tile has its place in `to`, to whole vectors.
    unsafe {
        let mut odd = S::zero();
        for tile in 0..row.count {
            let from = pixels::<SIDE>(&row, tile);
            let to = to.add(tile * planes.row);
            for c in (0..row.channels).step_by(S::LANES) {
                let mut values = [[S::zero(); SIDE]; SIDE];
                for i in 0..SIDE {
                    for j in 0..SIDE {
                        values[i][j] = first_of::<S>(from[i][j].add(c), row.channels - c);
                    }
                }
                let made = T::apply(values);
                for i in 0..4 {
                    for j in 0..4 {
                        let value = made[i][j];
                        if WHICH >= ALL {
                            value.store(to.add((4 * i + j) * planes.plane + c));
                        } else if i == WHICH {
                            value.store(to.add(j * planes.plane + c));
                        }
                        // The diagonals see every pixel. 0 times what is not finite is NaN, which stays.
                        if WHICH == CHECKED && (i == j || i + j == 3) {
                            odd = odd.fma(S::zero().fma(value, S::splat(HEADROOM)), S::zero());
                        }
                    }
                }
            }
        }
        if WHICH == CHECKED {
            *finite = all_zero(odd);
        }
    }
}

/// Whether all lanes are zeros.
#[inline(always)]
pub(super) unsafe fn all_zero<S: Simd>(vector: S) -> bool {
    let mut lanes = [0.0f32; 16];
    // SAFETY: no vector has more lanes.
    unsafe { vector.store(lanes.as_mut_ptr()) };
    lanes.iter().all(|lane| *lane == 0.0)
}

/// A vector, or what is left of one.
#[inline(always)]
pub(super) unsafe fn first_of<S: Simd>(from: *const f32, left: usize) -> S {
    // SAFETY: the caller's pointer has `left` elements.
    unsafe {
        match left >= S::LANES {
            true => S::load(from),
            false => S::load_first(from, left),
        }
    }
}

/// Bᵀ d
#[inline(always)]
unsafe fn difference<S: Simd>([a, b, c, d]: [S; 4]) -> [S; 4] {
    // SAFETY: the caller's vectors.
    unsafe { [a.sub(c), b.add(c), c.sub(b), d.sub(b)] }
}

/// A g
#[inline(always)]
unsafe fn widen<S: Simd>([a, b]: [S; 2]) -> [S; 4] {
    // SAFETY: the caller's vectors.
    unsafe { [a, a.add(b), a.sub(b), b] }
}
