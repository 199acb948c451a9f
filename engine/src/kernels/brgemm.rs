//! The batch-reduce matrix kernel: C = Σᵢ Aᵢ·Bᵢ (+ bias), one tile of C at a time, all of it in registers.
//!
//! Everything heavy is this kernel with other strides: a dense layer (rows of A are samples), a
//! convolution without an im2col buffer (rows of A are output pixels, the sum runs over kernel rows),
//! and both weight gradients (rows of A are weights' rows, the sum runs over samples or pixels).
//! After Georganas et al., "High-Performance Deep Learning via a Single Building Block" (2019).

use super::Isa;
use super::simd::{Portable, Simd};

/// The operands of a product. Strides count f32 elements.
#[derive(Debug, Clone, Copy)]
pub struct Operands<'a> {
    /// Storage of A.
    pub a: &'a [f32],
    /// From one row of A to the next.
    pub a_row: usize,
    /// From one column of A to the next.
    pub a_column: usize,
    /// Where each Aᵢ and Bᵢ begins.
    pub starts: &'a [Start],
    /// Columns of each Aᵢ, which are rows of Bᵢ.
    pub depth: usize,
    /// Storage of B.
    pub b: &'a [f32],
    /// From one row of B to the next.
    pub b_row: usize,
    /// Added to every row of C, if given: one number per column.
    pub bias: Option<&'a [f32]>,
    /// Added to C, if given: it lies as C does.
    pub residual: Option<&'a [f32]>,
}

/// Where one pair of matrices begins in the storage of A and of B.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Start {
    /// First element of Aᵢ.
    pub a: usize,
    /// First element of Bᵢ.
    pub b: usize,
}

impl Start {
    /// A single product: both begin where their storage does.
    pub const ONE: [Start; 1] = [Start { a: 0, b: 0 }];
}

/// What happens to C.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Finish {
    /// Add to what C holds instead of replacing it.
    pub accumulate: bool,
    /// max(0, ·) at the end.
    pub relu: bool,
}

/// Raw view of one tile's work.
#[derive(Clone, Copy)]
struct Tile {
    a: *const f32,
    a_row: usize,
    a_column: usize,
    starts: *const Start,
    batches: usize,
    depth: usize,
    b: *const f32,
    b_row: usize,
    bias: *const f32,
    residual: *const f32,
    c: *mut f32,
    c_row: usize,
    /// Columns in the last vector of the tile.
    tail: usize,
    finish: Finish,
}

/// Steps of a sum by which its operands are asked for ahead: from one to the next they are often farther apart than the
/// processor looks by itself.
const AHEAD: usize = 8;

/// Computes `rows × columns` of C; `c` begins at its first element and has row stride `c_row`.
///
/// # Panics
/// When a slice is too short for the sizes, which is an error of the caller.
pub fn brgemm(
    isa: Isa,
    rows: usize,
    columns: usize,
    x: &Operands,
    c: &mut [f32],
    c_row: usize,
    finish: Finish,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    check(rows, columns, x, c.len(), c_row);
    let shape = TileShape::of(isa);
    let width = shape.vectors * isa.lanes();
    let mut column = 0;
    while column < columns {
        let wide = (columns - column).min(width);
        let mut row = 0;
        while row < rows {
            let high = shape.height(rows - row);
            // SAFETY: `check` proved that every element the tile touches lies inside the slices.
            unsafe {
                let tile = Tile {
                    a: x.a.as_ptr().add(row * x.a_row),
                    a_row: x.a_row,
                    a_column: x.a_column,
                    starts: x.starts.as_ptr(),
                    batches: x.starts.len(),
                    depth: x.depth,
                    b: x.b.as_ptr().add(column),
                    b_row: x.b_row,
                    bias: x.bias.map_or(std::ptr::null(), |b| b.as_ptr().add(column)),
                    residual: x
                        .residual
                        .map_or(std::ptr::null(), |r| r.as_ptr().add(row * c_row + column)),
                    c: c.as_mut_ptr().add(row * c_row + column),
                    c_row,
                    tail: wide - (wide.div_ceil(isa.lanes()) - 1) * isa.lanes(),
                    finish,
                };
                run_tile(isa, high, wide.div_ceil(isa.lanes()), &tile);
            }
            row += high;
        }
        column += wide;
    }
}

fn check(rows: usize, columns: usize, x: &Operands, c: usize, c_row: usize) {
    assert!(
        c > (rows - 1) * c_row + columns - 1,
        "brgemm: C has {c} elements for {rows}×{columns} rows of {c_row}"
    );
    if let Some(bias) = x.bias {
        assert!(
            bias.len() >= columns,
            "brgemm: {} biases for {columns} columns",
            bias.len()
        );
    }
    if let Some(residual) = x.residual {
        assert!(
            residual.len() > (rows - 1) * c_row + columns - 1,
            "brgemm: the residual has {} elements, C has {c}",
            residual.len()
        );
    }
    if x.depth == 0 || x.starts.is_empty() {
        return;
    }
    let (a, b) = x
        .starts
        .iter()
        .fold((0, 0), |(a, b), start| (start.a.max(a), start.b.max(b)));
    let a = a + (rows - 1) * x.a_row + (x.depth - 1) * x.a_column + 1;
    assert!(a <= x.a.len(), "brgemm: A has {} elements, needs {a}", x.a.len());
    let b = b + (x.depth - 1) * x.b_row + columns;
    assert!(b <= x.b.len(), "brgemm: B has {} elements, needs {b}", x.b.len());
}

/// How many rows and vectors of C an instruction set keeps in registers.
struct TileShape {
    rows: usize,
    vectors: usize,
}

impl TileShape {
    fn of(isa: Isa) -> Self {
        match isa {
            Isa::Scalar => Self { rows: 4, vectors: 1 },
            Isa::Avx2 => Self { rows: 6, vectors: 2 },
            Isa::Avx512 => Self { rows: 14, vectors: 2 },
        }
    }

    /// Rows of the next tile: remainders are cut into halves rather than a full tile and a sliver.
    fn height(&self, left: usize) -> usize {
        if left >= 2 * self.rows || left == self.rows {
            self.rows
        } else if left > self.rows {
            left.div_ceil(2)
        } else {
            left
        }
    }
}

#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const V: usize, const UNIT_ROWS: bool>(t: &Tile) {
    // SAFETY: `brgemm` checked the reach of every pointer; the instruction set was detected.
    unsafe {
        let mut sums = [[S::zero(); V]; R];
        let partial = t.tail < S::LANES;
        if !t.bias.is_null() {
            let bias = load_row::<S, V>(t.bias, partial, t.tail);
            sums = [bias; R];
        }
        if partial {
            multiply::<S, R, V, UNIT_ROWS, true>(t, &mut sums);
        } else {
            multiply::<S, R, V, UNIT_ROWS, false>(t, &mut sums);
        }
        // What is added comes last: a long sum made in parts then keeps more of its small terms.
        if t.finish.accumulate {
            add_rows::<S, R, V>(t.c, t, partial, &mut sums);
        }
        if !t.residual.is_null() {
            add_rows::<S, R, V>(t.residual, t, partial, &mut sums);
        }
        for (r, sum) in sums.iter().enumerate() {
            for (v, &value) in sum.iter().enumerate() {
                let value = if t.finish.relu {
                    S::zero().max(value)
                } else {
                    value
                };
                let to = t.c.add(r * t.c_row + v * S::LANES);
                if partial && v == V - 1 {
                    value.store_first(to, t.tail)
                } else {
                    value.store(to)
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn add_rows<S: Simd, const R: usize, const V: usize>(
    from: *const f32,
    t: &Tile,
    partial: bool,
    sums: &mut [[S; V]; R],
) {
    // SAFETY: `from` lies as C does, whose reach `brgemm` checked.
    unsafe {
        for (r, sum) in sums.iter_mut().enumerate() {
            let row = load_row::<S, V>(from.add(r * t.c_row), partial, t.tail);
            for (sum, &x) in sum.iter_mut().zip(&row) {
                *sum = sum.add(x);
            }
        }
    }
}

#[inline(always)]
unsafe fn load_row<S: Simd, const V: usize>(from: *const f32, partial: bool, tail: usize) -> [S; V] {
    // SAFETY: the caller's row has V − 1 whole vectors and `tail` more lanes.
    unsafe {
        let mut row = [S::zero(); V];
        for (v, vector) in row.iter_mut().enumerate() {
            let at = from.add(v * S::LANES);
            *vector = if partial && v == V - 1 {
                S::load_first(at, tail)
            } else {
                S::load(at)
            };
        }
        row
    }
}

#[inline(always)]
unsafe fn multiply<S: Simd, const R: usize, const V: usize, const UNIT_ROWS: bool, const PARTIAL: bool>(
    t: &Tile,
    result: &mut [[S; V]; R],
) {
    // SAFETY: as in `tile`. The sums live in a local so that they stay in registers.
    unsafe {
        let mut sums = *result;
        let a_row = if UNIT_ROWS { 1 } else { t.a_row };
        for batch in 0..t.batches {
            let start = *t.starts.add(batch);
            let (mut a, mut b) = (t.a.add(start.a), t.b.add(start.b));
            for _ in 0..t.depth {
                let row = load_row::<S, V>(b, PARTIAL, t.tail);
                S::ask(a.wrapping_add(AHEAD * t.a_column));
                for v in 0..V {
                    S::ask(b.wrapping_add(AHEAD * t.b_row + v * S::LANES));
                }
                for (r, sum) in sums.iter_mut().enumerate() {
                    let x = S::splat(*a.add(r * a_row));
                    for (total, &b) in sum.iter_mut().zip(&row) {
                        *total = total.fma(x, b);
                    }
                }
                // The last step may leave the storage by one stride, so the address wraps instead.
                b = b.wrapping_add(t.b_row);
                a = a.wrapping_add(t.a_column);
            }
        }
        *result = sums;
    }
}

macro_rules! tiles {
    ($name:ident, $simd:ty, [$($feature:literal)?], $vectors:literal, [$($rows:literal)*]) => {
        unsafe fn $name(rows: usize, vectors: usize, t: &Tile) {
            $(#[target_feature(enable = $feature)])?
            unsafe fn one<const R: usize, const V: usize, const U: bool>(t: &Tile) {
                // SAFETY: handed on from `brgemm`.
                unsafe { tile::<$simd, R, V, U>(t) }
            }
            // SAFETY: handed on from `brgemm`.
            unsafe {
                match (rows, vectors == 1, t.a_row == 1) {
                    $(($rows, true, true) => one::<$rows, 1, true>(t),
                    ($rows, true, false) => one::<$rows, 1, false>(t),
                    ($rows, false, true) => one::<$rows, $vectors, true>(t),
                    ($rows, false, false) => one::<$rows, $vectors, false>(t),)*
                    _ => unreachable!("tiles have at most the rows of their TileShape"),
                }
            }
        }
    };
}

tiles!(scalar_tiles, Portable, [], 1, [1 2 3 4]);
#[cfg(target_arch = "x86_64")]
tiles!(avx2_tiles, super::simd::x86::Avx2, ["avx2,fma"], 2, [1 2 3 4 5 6]);
#[cfg(target_arch = "x86_64")]
tiles!(avx512_tiles, super::simd::x86::Avx512, ["avx512f"], 2, [1 2 3 4 5 6 7 8 9 10 11 12 13 14]);

unsafe fn run_tile(isa: Isa, rows: usize, vectors: usize, t: &Tile) {
    // SAFETY: `isa` was detected; pointers are checked by `brgemm`.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512_tiles(rows, vectors, t),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2_tiles(rows, vectors, t),
            _ => scalar_tiles(rows, vectors, t),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 2_654_435_761 + seed * 97) % 1000) as f32 / 500.0 - 1.0)
            .collect()
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_triple_loop(
            rows in 1usize..32, columns in 1usize..40, depth in 1usize..20, batches in 1usize..4,
            unit_rows: bool, accumulate: bool, relu: bool, with_bias: bool, with_residual: bool,
        ) {
            let b_row = columns + 3;
            let starts: Vec<Start> =
                (0..batches).map(|i| Start { a: 3 + 5 * (batches - i), b: (batches - 1 - i) * depth * b_row }).collect();
            let (a_row, a_column) = if unit_rows { (1, rows + 2) } else { (depth + 1, 1) };
            let a = numbers(3 + 5 * batches + (rows - 1) * a_row + (depth - 1) * a_column + 1, 1);
            let b = numbers((batches * depth - 1) * b_row + columns, 2);
            let bias = numbers(columns, 3);
            let c_row = columns + 1;
            let residual = numbers((rows - 1) * c_row + columns, 5);
            let before = numbers((rows - 1) * c_row + columns, 4);
            let x = Operands { a: &a, a_row, a_column, starts: &starts, depth, b: &b, b_row,
                bias: with_bias.then_some(&bias[..]), residual: with_residual.then_some(&residual[..]) };
            for isa in Isa::available() {
                let mut c = before.clone();
                brgemm(isa, rows, columns, &x, &mut c, c_row, Finish { accumulate, relu });
                let mut expected = before.clone();
                for r in 0..rows { for j in 0..columns {
                    let mut sum = if accumulate { f64::from(before[r * c_row + j]) } else { 0.0 };
                    if with_bias { sum += f64::from(bias[j]); }
                    if with_residual { sum += f64::from(residual[r * c_row + j]); }
                    for start in &starts { for k in 0..depth {
                        sum += f64::from(a[start.a + r * a_row + k * a_column]) * f64::from(b[start.b + k * b_row + j]);
                    } }
                    expected[r * c_row + j] = if relu { sum.max(0.0) } else { sum } as f32;
                } }
                for (got, want) in c.iter().zip(&expected) {
                    prop_assert!((got - want).abs() < 1e-4, "{isa}: {got} is not {want}");
                }
            }
        }
    }
}
