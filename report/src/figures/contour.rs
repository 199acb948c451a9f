//! The lines where a network's decision changes, by marching squares.

use std::fmt::Write;

use ndarray::{Array2, Array3, ArrayView2};

use super::boundary::Field;
use crate::svg::n;

/// Probabilities of all classes at one point.
pub(super) fn class_shares(probabilities: &Array3<f32>, row: usize, column: usize) -> Vec<f64> {
    let classes = probabilities.dim().2;
    let share = |c: usize| f64::from(probabilities[[row, column, c]]);
    if classes == 1 {
        vec![1.0 - share(0), share(0)]
    } else {
        (0..classes).map(share).collect()
    }
}

/// The largest share and whose it is; `None` where any is not finite.
pub(super) fn best(shares: &[f64]) -> Option<(usize, f64)> {
    let finite = shares.iter().all(|s| s.is_finite());
    shares
        .iter()
        .copied()
        .enumerate()
        .filter(|_| finite)
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

/// Path data of the lines where the decision changes, or where a value field crosses zero.
pub(super) fn boundary(field: &Field, area: [f64; 4]) -> String {
    let mut data = String::new();
    match field {
        Field::Values(values) => contour(&mut data, values.mapv(f64::from).view(), area),
        Field::Classes(p) => {
            let (height, width, classes) = p.dim();
            // With two classes the second line would repeat the first.
            for class in 0..if classes <= 2 { 1 } else { classes } {
                let margin = Array2::from_shape_fn((height, width), |(row, column)| {
                    let shares = class_shares(p, row, column);
                    let others = shares
                        .iter()
                        .enumerate()
                        .filter(|(c, _)| *c != class)
                        .map(|(_, s)| *s);
                    shares[class] - others.fold(f64::NEG_INFINITY, f64::max)
                });
                contour(&mut data, margin.view(), area);
            }
        }
    }
    data
}

/// Adds the zero line of a grid by marching squares, each cell's crossings joined by straight pieces.
fn contour(data: &mut String, values: ArrayView2<f64>, [left, top, wide, high]: [f64; 4]) {
    let (height, width) = values.dim();
    let place = |y: f64, x: f64| {
        (
            left + (x + 0.5) * wide / width as f64,
            top + (y + 0.5) * high / height as f64,
        )
    };
    for row in 0..height.saturating_sub(1) {
        for column in 0..width.saturating_sub(1) {
            let corners = [(0, 0), (0, 1), (1, 1), (1, 0)].map(|(dy, dx)| (row + dy, column + dx));
            let crossings: Vec<(f64, f64)> = (0..4)
                .filter_map(|i| {
                    let ((ay, ax), (by, bx)) = (corners[i], corners[(i + 1) % 4]);
                    let (a, b) = (values[[ay, ax]], values[[by, bx]]);
                    let t = ((a < 0.0) != (b < 0.0) && (a - b).is_finite()).then(|| a / (a - b))?;
                    let between = |from: usize, to: usize| from as f64 + (to as f64 - from as f64) * t;
                    Some(place(between(ay, by), between(ax, bx)))
                })
                .collect();
            for pair in crossings.chunks_exact(2) {
                let _ = write!(
                    data,
                    "M{} {}L{} {}",
                    n(pair[0].0),
                    n(pair[0].1),
                    n(pair[1].0),
                    n(pair[1].1)
                );
            }
        }
    }
}
