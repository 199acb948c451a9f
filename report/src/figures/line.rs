//! Line charts: loss curves, learning-rate search, optimizer race, accuracy against data size.

use super::axes::{Axis, Frame};
use super::trace::{polyline, thin};
use super::{drawable, skipped_note, thousands};
use crate::svg::{self, Anchor, Svg, dots, shorten, text_width};

/// How a series is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// A solid line.
    #[default]
    Line,
    /// A dashed line, for example validation beside training.
    Dashed,
    /// A solid line with a dot at each point, for few measured points.
    LinePoints,
    /// Dots only.
    Points,
    /// A thin pale line, for example the raw values behind a smoothed curve.
    Faint,
}

/// One named curve.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Name in the legend; an empty name stays out of it and takes the colour of the series that follows.
    pub name: String,
    /// Points `(x, y)` in drawing order.
    pub points: Vec<(f64, f64)>,
    /// How it is drawn.
    pub style: Style,
}

impl Series {
    /// A solid line.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points,
            style: Style::Line,
        }
    }

    /// The same points in another style.
    pub fn styled(mut self, style: Style) -> Self {
        self.style = style;
        self
    }

    /// The same points dashed.
    pub fn dashed(self) -> Self {
        self.styled(Style::Dashed)
    }
}

/// A vertical line at a place worth naming, such as the best epoch or the learning rate chosen.
#[derive(Clone, Debug, Default)]
pub struct Mark {
    /// Where it stands on the horizontal axis.
    pub x: f64,
    /// What it says.
    pub label: String,
}

/// What [`line_chart`] draws.
#[derive(Clone, Debug, Default)]
pub struct LineChart {
    /// Title above the figure.
    pub title: String,
    /// Name (and unit) of the horizontal axis.
    pub x_label: String,
    /// Name (and unit) of the vertical axis.
    pub y_label: String,
    /// The curves.
    pub series: Vec<Series>,
    /// Logarithmic horizontal axis; points with `x ≤ 0` cannot be drawn on it.
    pub log_x: bool,
    /// Logarithmic vertical axis; points with `y ≤ 0` cannot be drawn on it.
    pub log_y: bool,
    /// Ends of the vertical axis, cutting off what lies beyond, such as a loss that explodes; from the points if `None`.
    pub y_range: Option<(f64, f64)>,
    /// Vertical lines.
    pub marks: Vec<Mark>,
}

const WIDTH: f64 = 530.0;
const PLOT_HEIGHT: f64 = 280.0;

/// Draws curves over common axes (rows S11, S12, O8 of the curriculum).
///
/// Long series are thinned to what the paper can show, keeping every peak. Points that are not finite, or not
/// positive on a logarithmic axis, are left out and counted below the figure.
///
/// ```
/// use graticule_report::figures::{LineChart, Series, line_chart};
/// let chart = LineChart {
///     title: "Loss".into(),
///     series: vec![Series::new("train", vec![(1.0, 0.7), (2.0, f64::NAN), (3.0, 0.2)])],
///     ..LineChart::default()
/// };
/// let svg = line_chart(&chart);
/// assert!(svg.contains("1 point is not drawn"));
/// ```
pub fn line_chart(chart: &LineChart) -> String {
    let points = || chart.series.iter().flat_map(|s| s.points.iter());
    let bad = points().filter(|p| !is_good(chart, p)).count();
    let notes: Vec<String> = skip_note(chart, bad).into_iter().collect();
    let Some((x, y)) = axes(chart) else {
        return svg::no_data(&chart.title, &notes);
    };
    let legend = legend_rows(&chart.series);
    let top = 38.0 + 20.0 * legend.len() as f64;
    let bottom = top + PLOT_HEIGHT;
    let mut svg = Svg::new(WIDTH, bottom + 15.0 * notes.len() as f64 + 6.0, &alt_text(chart));
    svg.title(&chart.title);
    let frame = Frame::fit(x, y, [8.0, top, WIDTH - 12.0, bottom]);
    draw_legend(&mut svg, &chart.series, &legend);
    frame.draw(&mut svg);
    draw_marks(&mut svg, &frame, &chart.marks);
    svg.open_clip([
        frame.left - 3.0,
        frame.top - 3.0,
        frame.width + 6.0,
        frame.height + 6.0,
    ]);
    for (slot, series) in slots(&chart.series) {
        draw_series(&mut svg, &frame, series, slot);
    }
    svg.close_clip();
    svg.notes(&notes, 8.0, bottom + 12.0);
    svg.finish()
}

fn is_good(chart: &LineChart, &(x, y): &(f64, f64)) -> bool {
    drawable(x) && drawable(y) && (!chart.log_x || x > 0.0) && (!chart.log_y || y > 0.0)
}

/// Both axes; `None` where no point can be drawn.
fn axes(chart: &LineChart) -> Option<(Axis, Axis)> {
    let good = || {
        chart
            .series
            .iter()
            .flat_map(|s| s.points.iter())
            .filter(|p| is_good(chart, p))
    };
    let y = Axis::over(good().map(|p| p.1), chart.log_y, &chart.y_label)?.zero_based();
    let marks = chart.marks.iter().map(|m| m.x);
    let x = Axis::over(good().map(|p| p.0).chain(marks), chart.log_x, &chart.x_label)?;
    Some((x, y.limited(chart.y_range)))
}

fn skip_note(chart: &LineChart, count: usize) -> Option<String> {
    let why = match chart.log_x || chart.log_y {
        true => "NaN, infinite, or not positive on a logarithmic axis",
        false => "NaN or infinite",
    };
    skipped_note(count, why)
}

fn alt_text(chart: &LineChart) -> String {
    let names: Vec<String> = chart
        .series
        .iter()
        .filter(|s| !s.name.is_empty())
        .map(|s| format!("{} ({} points)", s.name, thousands(s.points.len() as u64)))
        .collect();
    format!(
        "{}: line chart of {} over {}; {}",
        chart.title,
        chart.y_label,
        chart.x_label,
        names.join(", ")
    )
}

/// Each series with the colour slot it takes: unnamed ones share the slot of the next named one.
fn slots(series: &[Series]) -> impl Iterator<Item = (usize, &Series)> {
    let mut named = 0;
    series.iter().map(move |s| {
        let slot = named;
        named += usize::from(!s.name.is_empty());
        (slot, s)
    })
}

/// Legend entries broken into rows: `(colour slot, series index, x)`.
fn legend_rows(series: &[Series]) -> Vec<Vec<(usize, usize, f64)>> {
    let mut rows: Vec<Vec<(usize, usize, f64)>> = Vec::new();
    let mut x = WIDTH;
    for (index, (slot, s)) in slots(series).enumerate().filter(|(_, (_, s))| !s.name.is_empty()) {
        let wide = 34.0 + text_width(&s.name, 12.5) + 18.0;
        if x + wide > WIDTH && x > 8.0 {
            rows.push(Vec::new());
            x = 8.0;
        }
        if let Some(row) = rows.last_mut() {
            row.push((slot, index, x));
        }
        x += wide;
    }
    rows
}

fn draw_legend(svg: &mut Svg, series: &[Series], rows: &[Vec<(usize, usize, f64)>]) {
    for (row, entries) in rows.iter().enumerate() {
        let y = 40.0 + 20.0 * row as f64;
        for &(slot, index, x) in entries {
            let s = &series[index];
            if s.style != Style::Points {
                svg.line((x, y), (x + 26.0, y), &stroke_of(s.style, slot));
            }
            if matches!(s.style, Style::Points | Style::LinePoints) {
                svg.circle((x + 13.0, y), 3.5, &svg::fill(slot));
            }
            svg.text(
                (x + 32.0, y + 4.3),
                12.5,
                Anchor::Start,
                "",
                &shorten(&s.name, 12.5, WIDTH - 60.0),
            );
        }
    }
}

fn stroke_of(style: Style, slot: usize) -> String {
    let colour = svg::stroke(slot);
    // A second cue beside the hue once the palette has been used up.
    let beyond = if slot >= crate::colour::CATEGORIES.len() {
        r#" stroke-dasharray="2 3""#
    } else {
        ""
    };
    match style {
        Style::Dashed => format!(r#"{colour} stroke-width="2" stroke-dasharray="6 4""#),
        Style::Faint => format!(r#"{colour} stroke-width="1" stroke-opacity="0.35"{beyond}"#),
        _ => format!(r#"{colour} stroke-width="2"{beyond}"#),
    }
}

fn draw_series(svg: &mut Svg, frame: &Frame, series: &Series, slot: usize) {
    if series.style != Style::Points {
        let mut data = String::new();
        let mut alone = Vec::new();
        for run in series
            .points
            .split(|&p| !frame.takes(p))
            .filter(|run| !run.is_empty())
        {
            let paper: Vec<(f64, f64)> = run.iter().map(|&p| frame.near(p)).collect();
            if let [single] = paper[..] {
                alone.push(single);
            }
            polyline(&mut data, &thin(&paper));
        }
        let attrs = format!(
            r#"fill="none" stroke-linejoin="round" stroke-linecap="round" {}"#,
            stroke_of(series.style, slot)
        );
        svg.path(&data, &attrs);
        svg.path(&dots(alone), &dot_attrs(slot));
    }
    if matches!(series.style, Style::Points | Style::LinePoints) {
        let paper: Vec<(f64, f64)> = series
            .points
            .iter()
            .filter(|&&p| frame.takes(p))
            .map(|&p| frame.near(p))
            .collect();
        svg.path(&dots(thin(&paper)), &dot_attrs(slot));
    }
}

fn dot_attrs(slot: usize) -> String {
    format!(
        r#"fill="none" stroke-width="6" stroke-linecap="round" {}"#,
        svg::stroke(slot)
    )
}

/// Dashed vertical lines with their names.
pub(super) fn draw_marks(svg: &mut Svg, frame: &Frame, marks: &[Mark]) {
    for (i, mark) in marks.iter().filter(|m| frame.x.takes(m.x)).enumerate() {
        let x = frame.px(mark.x);
        let base = frame.top + frame.height;
        svg.line(
            (x, frame.top),
            (x, base),
            r#"stroke="currentColor" stroke-opacity="0.6" stroke-dasharray="3 3""#,
        );
        let wide = text_width(&mark.label, 12.0);
        let left = x + 6.0 + wide > frame.left + frame.width;
        let (at, anchor) = if left {
            (x - 6.0, Anchor::End)
        } else {
            (x + 6.0, Anchor::Start)
        };
        let y = frame.top + 12.0 + 15.0 * (i % 8) as f64;
        svg.text((at, y), 12.0, anchor, r#"class="halo""#, &mark.label);
    }
}
