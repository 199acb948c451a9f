//! Histograms.

use super::axes::{Axis, Frame};
use super::line::{Mark, draw_marks};
use super::{drawable, skipped_note, thousands, ticks};
use crate::svg::{self, Svg};

const WIDTH: f64 = 520.0;

/// What [`histogram`] draws.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Title above the figure.
    pub title: String,
    /// Name (and unit) of the values.
    pub x_label: String,
    /// The values.
    pub values: Vec<f64>,
    /// Number of bins; 0 chooses by the rule of Freedman and Diaconis (1981), between 8 and 60.
    pub bins: usize,
    /// Vertical lines, such as the mean or a threshold.
    pub marks: Vec<Mark>,
}

/// Draws how often values fall into bins of equal width.
///
/// ```
/// use graticule_report::figures::{Histogram, histogram};
/// let svg = histogram(&Histogram { values: vec![1.0, 1.5, 9.0], bins: 4, ..Histogram::default() });
/// assert!(svg.contains("2 values from 1 to 3"));
/// ```
pub fn histogram(chart: &Histogram) -> String {
    let mut good: Vec<f64> = chart.values.iter().copied().filter(|&v| drawable(v)).collect();
    let notes: Vec<String> = skipped_note(chart.values.len() - good.len(), "NaN or infinite")
        .into_iter()
        .collect();
    good.sort_by(f64::total_cmp);
    let (Some(&low), Some(&high)) = (good.first(), good.last()) else {
        return svg::no_data(&chart.title, &notes);
    };
    let (low, high) = if high > low {
        (low, high)
    } else {
        (low - 0.5, high + 0.5)
    };
    let counts = count(&good, low, high, chart.bins);
    let most = counts.iter().max().copied().unwrap_or(0) as f64;
    let Some(x) = Axis::over(
        [low, high].into_iter().chain(chart.marks.iter().map(|m| m.x)),
        false,
        &chart.x_label,
    ) else {
        return svg::no_data(&chart.title, &notes);
    };
    let y = Axis::exact(0.0, most * 1.05, "count").whole();
    let bottom = 330.0;
    let points = thousands(good.len() as u64);
    let alt = format!(
        "{}: histogram of {points} values of {}",
        chart.title, chart.x_label
    );
    let mut svg = Svg::new(WIDTH, bottom + 15.0 * notes.len() as f64 + 6.0, &alt);
    svg.title(&chart.title);
    let frame = Frame::fit(x, y, [8.0, 38.0, WIDTH - 12.0, bottom]);
    frame.draw(&mut svg);
    let width = (high - low) / counts.len() as f64;
    for (bin, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (from, to) = (low + width * bin as f64, low + width * (bin + 1) as f64);
        let (left, top) = (frame.px(from), frame.py(count as f64));
        let area = [
            left + 0.4,
            top,
            frame.px(to) - left - 0.8,
            frame.top + frame.height - top,
        ];
        let tooltip = format!(
            "{} values from {} to {}",
            thousands(count as u64),
            ticks::short(from),
            ticks::short(to)
        );
        svg.rect(area, &svg::fill(0), Some(&tooltip));
    }
    draw_marks(&mut svg, &frame, &chart.marks);
    svg.notes(&notes, 8.0, bottom + 12.0);
    svg.finish()
}

/// Counts of the sorted `values` in bins of equal width over `[low, high]`.
fn count(values: &[f64], low: f64, high: f64, bins: usize) -> Vec<usize> {
    let quartile = |q: f64| values[((values.len() - 1) as f64 * q) as usize];
    let bins = match bins {
        0 => {
            let width = 2.0 * (quartile(0.75) - quartile(0.25)) / (values.len() as f64).cbrt();
            if width > 0.0 {
                ((high - low) / width).ceil().clamp(8.0, 60.0) as usize
            } else {
                20
            }
        }
        bins => bins.min(400),
    };
    let mut counts = vec![0; bins];
    for value in values {
        let bin = ((value - low) / (high - low) * bins as f64) as usize;
        counts[bin.min(bins - 1)] += 1;
    }
    counts
}
