//! Figures as SVG text: plain numbers in, one self-contained `<svg>` out.
//!
//! Every figure reads on light and dark paper, escapes its labels, skips numbers that are not finite and says so
//! below the picture, and shows "no data" where nothing is left to draw.

mod axes;
mod bars;
mod boundary;
mod cloud;
mod confusion;
mod contour;
mod digits;
mod filters;
mod gallery;
mod heatmap;
mod histogram;
mod line;
mod overlay;
mod scatter;
mod ticks;
mod tiles;
mod trace;

pub use bars::{BarChart, bar_chart};
pub use boundary::{DecisionBoundary, Field, Sample, decision_boundary, grid_points};
pub use cloud::{Cloud, Colouring, cloud};
pub use confusion::confusion_matrix;
pub use filters::{filters_grid, filters_png};
pub use gallery::{Tile, Verdict, gallery, gallery_of_side};
pub use heatmap::{Heatmap, heatmap};
pub use histogram::{Histogram, histogram};
pub use line::{LineChart, Mark, Series, Style, line_chart};
pub use overlay::{Overlay, overlay, overlay_png};
pub use scatter::{Scatter, predicted_against_true, scatter};
pub use tiles::tiles;

/// Whether a figure can place `value`: finite and far enough from overflow for axis arithmetic.
fn drawable(value: f64) -> bool {
    value.is_finite() && value.abs() <= 1e300
}

/// The remark for `count` points that could not be drawn.
fn skipped_note(count: usize, why: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 point is not drawn ({why}).")),
        _ => Some(format!(
            "{} points are not drawn ({why}).",
            thousands(count as u64)
        )),
    }
}

/// A count with thin spaces between its thousands.
fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{2009}');
        }
        out.push(c);
    }
    out
}
