//! Scatter plots: predicted against true values, and point clouds in general.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::axes::{Axis, Frame};
use super::{drawable, skipped_note, thousands, ticks};
use crate::Error;
use crate::svg::{self, Anchor, Svg, dots, n};

/// What [`scatter`] draws.
#[derive(Clone, Debug, Default)]
pub struct Scatter {
    /// Title above the figure.
    pub title: String,
    /// Name (and unit) of the horizontal axis.
    pub x_label: String,
    /// Name (and unit) of the vertical axis.
    pub y_label: String,
    /// The points `(x, y)`.
    pub points: Vec<(f64, f64)>,
    /// Draws both axes over the same range, with the line `y = x`.
    pub diagonal: bool,
    /// A line under the title, such as R².
    pub note: String,
}

/// From this many points on, dots on the same spot are drawn once and the darker the more they are.
const CROWD: usize = 1500;
/// Side of the spots that a crowd is gathered into, in user units.
const SPOT: f64 = 3.0;
/// Opacity of a spot with 1, 2–3, 4–9 and more points.
const LEVELS: [(usize, f64); 4] = [(1, 0.28), (2, 0.5), (4, 0.75), (10, 1.0)];

/// Draws a cloud of points; its size in bytes stays bounded for any number of points.
///
/// ```
/// use graticule_report::figures::{Scatter, scatter};
/// let svg = scatter(&Scatter { points: vec![(1.0, 2.0), (2.0, 1.0)], ..Scatter::default() });
/// assert!(svg.contains("<path"));
/// ```
pub fn scatter(chart: &Scatter) -> String {
    let good: Vec<(f64, f64)> = chart
        .points
        .iter()
        .copied()
        .filter(|&(x, y)| drawable(x) && drawable(y))
        .collect();
    let notes: Vec<String> = skipped_note(chart.points.len() - good.len(), "NaN or infinite")
        .into_iter()
        .collect();
    let both = || good.iter().flat_map(|&(x, y)| [x, y]);
    let axis = |own: usize, label: &str| match chart.diagonal {
        true => Axis::over(both(), false, label),
        false => Axis::over(good.iter().map(|p| [p.0, p.1][own]), false, label),
    };
    let (Some(x), Some(y)) = (axis(0, &chart.x_label), axis(1, &chart.y_label)) else {
        return svg::no_data(&chart.title, &notes);
    };
    let (width, top) = (480.0, if chart.note.is_empty() { 36.0 } else { 54.0 });
    let bottom = top + 400.0;
    let points = thousands(good.len() as u64);
    let alt = format!(
        "{}: {} against {}, {points} points. {}",
        chart.title, chart.y_label, chart.x_label, chart.note
    );
    let mut svg = Svg::new(width, bottom + 15.0 * notes.len() as f64 + 6.0, &alt);
    svg.title(&chart.title);
    svg.text(
        (8.0, 42.0),
        12.5,
        Anchor::Start,
        r#"fill-opacity="0.8""#,
        &chart.note,
    );
    let frame = Frame::fit(x, y, [8.0, top, width - 14.0, bottom]);
    frame.draw(&mut svg);
    draw_cloud(
        &mut svg,
        &good
            .iter()
            .map(|&(x, y)| (frame.px(x), frame.py(y)))
            .collect::<Vec<_>>(),
    );
    if chart.diagonal {
        let (from, to) = (frame.x.low.max(frame.y.low), frame.x.high.min(frame.y.high));
        let ends = ((frame.px(from), frame.py(from)), (frame.px(to), frame.py(to)));
        svg.line(
            ends.0,
            ends.1,
            r#"stroke="currentColor" stroke-opacity="0.75" stroke-dasharray="6 4""#,
        );
    }
    svg.notes(&notes, 8.0, bottom + 12.0);
    svg.finish()
}

/// Draws predicted over true values with the diagonal; the note gives R², RMSE and the number of pairs.
///
/// R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², over the pairs that are finite; it is left out where all true values are equal.
///
/// ```
/// let svg = graticule_report::figures::predicted_against_true("Test", "price", &[1.0, 2.0], &[1.0, 2.0])?;
/// assert!(svg.contains("R² = 1"));
/// # Ok::<(), graticule_report::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] when the two slices differ in length.
pub fn predicted_against_true(
    title: &str,
    unit: &str,
    truth: &[f64],
    predicted: &[f64],
) -> Result<String, Error> {
    if truth.len() != predicted.len() {
        let found = format!("{} true and {} predicted values", truth.len(), predicted.len());
        return Err(Error::shape(
            "predicted against true",
            found,
            "as many predicted as true values",
        ));
    }
    let points: Vec<(f64, f64)> = truth.iter().copied().zip(predicted.iter().copied()).collect();
    let note = fit_note(&points);
    let named = |kind: &str| {
        if unit.is_empty() {
            kind.to_string()
        } else {
            format!("{kind} {unit}")
        }
    };
    Ok(scatter(&Scatter {
        title: title.into(),
        x_label: named("true"),
        y_label: named("predicted"),
        points,
        diagonal: true,
        note,
    }))
}

fn fit_note(points: &[(f64, f64)]) -> String {
    let good = || points.iter().filter(|p| drawable(p.0) && drawable(p.1));
    let count = good().count();
    if count == 0 {
        return String::new();
    }
    let mean = good().map(|p| p.0).sum::<f64>() / count as f64;
    let residual: f64 = good().map(|p| (p.0 - p.1).powi(2)).sum();
    let spread: f64 = good().map(|p| (p.0 - mean).powi(2)).sum();
    let rmse = format!(
        "RMSE = {} · n = {}",
        ticks::short((residual / count as f64).sqrt()),
        thousands(count as u64)
    );
    if spread > 0.0 {
        format!("R² = {} · {rmse}", ticks::short(1.0 - residual / spread))
    } else {
        rmse
    }
}

/// Dots for few points, spots of graded opacity for many.
fn draw_cloud(svg: &mut Svg, points: &[(f64, f64)]) {
    if points.len() < CROWD {
        let attrs = r#"fill="none" stroke-linecap="round" stroke-width="5.5" stroke-opacity="0.55""#;
        // Dots of one path do not darken each other, so overlap shows only between chunks.
        for chunk in points.chunks(200) {
            svg.path(
                &dots(chunk.iter().copied()),
                &format!("{attrs} {}", svg::stroke(0)),
            );
        }
        return;
    }
    let mut spots: BTreeMap<(i64, i64), usize> = BTreeMap::new();
    for &(x, y) in points {
        let spot = ((x / SPOT).floor() as i64, (y / SPOT).floor() as i64);
        *spots.entry(spot).or_default() += 1;
    }
    for (level, &(least, opacity)) in LEVELS.iter().enumerate() {
        let below = LEVELS.get(level + 1).map_or(usize::MAX, |next| next.0);
        let chosen = spots.iter().filter(|(_, count)| (least..below).contains(*count));
        let squares = chosen.fold(String::new(), |mut data, ((x, y), _)| {
            let _ = write!(
                data,
                "M{} {}h{SPOT}v{SPOT}h-{SPOT}z",
                n(*x as f64 * SPOT),
                n(*y as f64 * SPOT)
            );
            data
        });
        svg.path(&squares, &format!(r#"fill-opacity="{opacity}" {}"#, svg::fill(0)));
    }
}
