//! Broken lines of bounded size.

use std::fmt::Write;

use crate::svg::n;

/// Adds a broken line through `points` to path data.
pub(super) fn polyline(data: &mut String, points: &[(f64, f64)]) {
    for (i, &(x, y)) in points.iter().enumerate() {
        let _ = write!(data, "{}{} {}", if i == 0 { 'M' } else { 'L' }, n(x), n(y));
    }
}

/// At most four points per half pixel column: the first, lowest, highest and last of each neighbouring group.
pub(super) fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= 1000 {
        return points.to_vec();
    }
    let mut out = Vec::new();
    for group in points.chunk_by(|a, b| (a.0 * 2.0).floor() == (b.0 * 2.0).floor()) {
        let ends = |pick: fn(&f64, &f64) -> std::cmp::Ordering| {
            (0..group.len())
                .max_by(|&a, &b| pick(&group[a].1, &group[b].1))
                .unwrap_or(0)
        };
        let mut kept = vec![
            0,
            ends(f64::total_cmp),
            ends(|a, b| b.total_cmp(a)),
            group.len() - 1,
        ];
        kept.sort_unstable();
        kept.dedup();
        out.extend(kept.into_iter().map(|i| group[i]));
    }
    let stride = out.len().div_ceil(6000).max(1);
    out.into_iter().step_by(stride).collect()
}
