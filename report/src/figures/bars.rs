//! Bar charts.

use super::axes::{Axis, Frame};
use super::{drawable, skipped_note, ticks};
use crate::svg::{self, Anchor, Svg, shorten, text_width};

/// What [`bar_chart`] draws.
#[derive(Clone, Debug, Default)]
pub struct BarChart {
    /// Title above the figure.
    pub title: String,
    /// Name (and unit) of the values.
    pub value_label: String,
    /// One name per row, for example a class or a layer.
    pub names: Vec<String>,
    /// Groups of bars, `(name, one value per row)`; one group needs no name.
    pub groups: Vec<(String, Vec<f64>)>,
    /// Logarithmic values, drawn as dots: a bar would need a zero to start from.
    pub log: bool,
    /// Ends of the value axis, such as `(0.0, 1.0)` for scores; from the values if `None`.
    pub range: Option<(f64, f64)>,
}

const WIDTH: f64 = 520.0;
const NAME: f64 = 12.5;
/// Names are cut at this width.
const LONGEST: f64 = 240.0;

/// Draws lying bars, one row per name (F1 per class, gradient norm per layer).
///
/// Values that are missing or not finite leave their place empty and are counted below the figure.
///
/// ```
/// use graticule_report::figures::{BarChart, bar_chart};
/// let svg = bar_chart(&BarChart {
///     names: vec!["forest".into(), "water".into()],
///     groups: vec![("F1".into(), vec![0.91, 0.98])],
///     range: Some((0.0, 1.0)),
///     ..BarChart::default()
/// });
/// assert!(svg.contains(">0.91<"));
/// ```
pub fn bar_chart(chart: &BarChart) -> String {
    let rows = chart.names.len();
    let takes = |v: f64| drawable(v) && (!chart.log || v > 0.0);
    let value = |group: &[f64], row: usize| group.get(row).copied().filter(|&v| takes(v));
    let drawn = || {
        chart
            .groups
            .iter()
            .flat_map(|(_, g)| (0..rows).filter_map(move |row| value(g, row)))
    };
    let missing = rows * chart.groups.len() - drawn().count();
    let why = if chart.log {
        "missing, not finite, or not positive"
    } else {
        "missing or not finite"
    };
    let notes: Vec<String> = skipped_note(missing, why).into_iter().collect();
    let Some(axis) = value_axis(chart, drawn()) else {
        return svg::no_data(&chart.title, &notes);
    };
    let thick = if chart.groups.len() > 1 { 10.0 } else { 15.0 };
    let step = thick * chart.groups.len() as f64 + 9.0;
    let legend = chart.groups.len() > 1;
    let top = if legend { 58.0 } else { 36.0 };
    let widest = chart
        .names
        .iter()
        .map(|t| text_width(t, NAME))
        .fold(0.0, f64::max)
        .min(LONGEST);
    let left = 14.0 + widest + 8.0;
    let frame = Frame {
        x: axis,
        y: Axis::rows(),
        left,
        top,
        width: WIDTH - left - 58.0,
        height: step * rows as f64 + 4.0,
    };
    let bottom = top + frame.height + if chart.value_label.is_empty() { 26.0 } else { 46.0 };
    let alt = format!(
        "{}: bar chart of {} for {rows} rows",
        chart.title, chart.value_label
    );
    let mut svg = Svg::new(WIDTH, bottom + 15.0 * notes.len() as f64, &alt);
    svg.title(&chart.title);
    if legend {
        draw_legend(&mut svg, &chart.groups);
    }
    frame.draw_columns(&mut svg, true);
    frame.draw_labels(&mut svg);
    for (row, name) in chart.names.iter().enumerate() {
        let y = top + 4.0 + step * row as f64;
        let middle = y + (step - 9.0) / 2.0;
        svg.text(
            (left - 8.0, middle + NAME * 0.35),
            NAME,
            Anchor::End,
            "",
            &shorten(name, NAME, LONGEST),
        );
        for (slot, (group, values)) in chart.groups.iter().enumerate() {
            if let Some(v) = value(values, row) {
                let tooltip = format!("{name} {group}: {}", ticks::rounded(v, 3));
                draw_bar(
                    &mut svg,
                    &frame,
                    v,
                    [y + thick * slot as f64, thick],
                    slot,
                    &tooltip,
                );
            }
        }
    }
    zero_line(&mut svg, &frame);
    svg.notes(&notes, 8.0, bottom + 6.0);
    svg.finish()
}

fn value_axis(chart: &BarChart, values: impl Iterator<Item = f64> + Clone) -> Option<Axis> {
    let (low, high) = chart.range.filter(|(low, high)| low < high && !chart.log).unzip();
    values.clone().next()?;
    match (low, high) {
        (Some(low), Some(high)) => Some(Axis::exact(low, high, &chart.value_label)),
        _ if chart.log => Axis::over(values, true, &chart.value_label),
        _ => Axis::over(values.chain([0.0]), false, &chart.value_label).map(Axis::resting_on_zero),
    }
}

fn draw_legend(svg: &mut Svg, groups: &[(String, Vec<f64>)]) {
    let mut x = 8.0;
    for (slot, (name, _)) in groups.iter().enumerate() {
        svg.rect(
            [x, 36.0, 11.0, 11.0],
            &format!(r#"rx="2" {}"#, svg::fill(slot)),
            None,
        );
        svg.text((x + 16.0, 46.0), NAME, Anchor::Start, "", name);
        x += 34.0 + text_width(name, NAME);
    }
}

fn draw_bar(svg: &mut Svg, frame: &Frame, value: f64, [y, thick]: [f64; 2], slot: usize, tooltip: &str) {
    let x = frame.px(value).clamp(frame.left, frame.left + frame.width);
    let middle = y + thick / 2.0;
    let mut after = x;
    if frame.x.log {
        svg.line(
            (frame.left, middle),
            (x, middle),
            r#"stroke="currentColor" stroke-opacity="0.18""#,
        );
        svg.circle((x, middle), 4.5, &svg::fill(slot));
    } else {
        let zero = frame.px(0.0).clamp(frame.left, frame.left + frame.width);
        let attrs = format!(r#"rx="1.5" {}"#, svg::fill(slot));
        svg.rect(
            [x.min(zero), y + 0.5, (x - zero).abs(), thick - 1.0],
            &attrs,
            Some(tooltip),
        );
        after = x.max(zero);
    }
    let size = if thick > 12.0 { 11.5 } else { 9.5 };
    let at = (after + 6.0, middle + size * 0.36);
    svg.text(
        at,
        size,
        Anchor::Start,
        r#"fill-opacity="0.85""#,
        &ticks::rounded(value, 3),
    );
}

fn zero_line(svg: &mut Svg, frame: &Frame) {
    let zero = if frame.x.log {
        frame.left
    } else {
        frame.px(0.0).max(frame.left)
    };
    let axis = r#"stroke="currentColor" stroke-opacity="0.55""#;
    svg.line((zero, frame.top), (zero, frame.top + frame.height), axis);
}
