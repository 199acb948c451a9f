//! Heat maps, and the colour field with its scale that other figures share.

use ndarray::{Array2, Array3, ArrayView2};

use super::{drawable, skipped_note, ticks};
use crate::colour::{self, ColourMap};
use crate::svg::{self, Anchor, Svg, shorten, text_width};
use crate::{Error, png};

/// What [`heatmap`] draws.
#[derive(Clone, Debug, Default)]
pub struct Heatmap {
    /// Title above the figure.
    pub title: String,
    /// Name of the horizontal direction.
    pub x_label: String,
    /// Name of the vertical direction.
    pub y_label: String,
    /// The field `[H, W]`, row 0 on top.
    pub values: Array2<f64>,
    /// Names of the rows; empty for none.
    pub row_names: Vec<String>,
    /// Names of the columns; empty for none.
    pub column_names: Vec<String>,
    /// Colours; with [`ColourMap::Diverging`] the middle is zero unless `range` is given.
    pub map: ColourMap,
    /// Values of the first and last colour; the smallest and largest value if `None`.
    pub range: Option<(f64, f64)>,
    /// Writes the value into each cell that is large enough.
    pub show_values: bool,
}

/// Draws a field of numbers as colours with a scale; cells that are not finite stay blank and are counted.
///
/// ```
/// use graticule_report::figures::{Heatmap, heatmap};
/// let map = Heatmap { values: ndarray::array![[0.0, 1.0], [2.0, 3.0]], show_values: true, ..Heatmap::default() };
/// assert!(heatmap(&map)?.contains(">3<"));
/// # Ok::<(), graticule_report::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] when names are given but not one per row or column.
pub fn heatmap(chart: &Heatmap) -> Result<String, Error> {
    let (rows, columns) = chart.values.dim();
    for (names, cells, what) in [
        (&chart.row_names, rows, "row"),
        (&chart.column_names, columns, "column"),
    ] {
        if !names.is_empty() && names.len() != cells {
            let found = format!("{} {what} names", names.len());
            return Err(Error::shape(
                "heat map",
                found,
                format!("{cells}, one per {what}, or none"),
            ));
        }
    }
    let blank = chart.values.iter().filter(|v| !drawable(**v)).count();
    let notes: Vec<String> = skipped_note(blank, "NaN or infinite").into_iter().collect();
    let Some((low, high)) = range_of(chart) else {
        return Ok(svg::no_data(&chart.title, &notes));
    };
    let cell = (440.0 / columns as f64).min(400.0 / rows as f64).clamp(1.0, 56.0);
    let (wide, high_px) = (cell * columns as f64, cell * rows as f64);
    let (left, head) = margins(chart, cell);
    let top = 38.0 + head;
    let right = left + wide + 84.0;
    let below = if chart.x_label.is_empty() { 10.0 } else { 30.0 };
    let height = (top + high_px).max(top + 90.0) + below + 15.0 * notes.len() as f64;
    let alt = format!(
        "{}: heat map of {rows} × {columns} values from {} to {}",
        chart.title,
        ticks::short(low),
        ticks::short(high)
    );
    let mut svg = Svg::new(right.max(300.0), height, &alt);
    svg.title(&chart.title);
    let area = [left, top, wide, high_px];
    svg.image(
        area,
        &field_picture(chart.values.view(), chart.map, (low, high))?,
        true,
        &chart.title,
    );
    draw_names(&mut svg, chart, area, cell);
    if chart.show_values {
        draw_values(&mut svg, chart, area, cell, (low, high));
    }
    colour_bar(
        &mut svg,
        [left + wide + 16.0, top, 12.0, high_px.max(90.0)],
        chart.map,
        (low, high),
    )?;
    svg.notes(&notes, 8.0, height - 15.0 * notes.len() as f64 + 10.0);
    Ok(svg.finish())
}

fn range_of(chart: &Heatmap) -> Option<(f64, f64)> {
    if let Some((low, high)) = chart
        .range
        .filter(|(low, high)| drawable(*low) && drawable(*high))
    {
        return (chart.values.iter().any(|v| drawable(*v))).then_some((low, high));
    }
    let (low, high) = finite_range(chart.values.iter().copied())?;
    let most = low.abs().max(high.abs());
    Some(if chart.map == ColourMap::Diverging {
        (-most, most)
    } else {
        (low, high)
    })
}

/// The smallest and largest value that can be drawn.
pub(super) fn finite_range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .filter(|&v| drawable(v))
        .fold(None, |range, v| match range {
            None => Some((v, v)),
            Some((low, high)) => Some((v.min(low), v.max(high))),
        })
}

/// Place of `value` in `range` as `[0, 1]`; the middle where the range is empty.
fn share((low, high): (f64, f64), value: f64) -> f64 {
    if high > low {
        (value - low) / (high - low)
    } else {
        0.5
    }
}

/// A field `[H, W]` as the data URI of a PNG with one pixel per value; what is not finite is transparent.
pub(super) fn field_picture(
    values: ArrayView2<f64>,
    map: ColourMap,
    range: (f64, f64),
) -> Result<String, Error> {
    let (rows, columns) = values.dim();
    let mut picture = Array3::<u8>::zeros((rows, columns, 4));
    for ((y, x), &value) in values.indexed_iter() {
        if drawable(value) {
            let [r, g, b] = map.at(share(range, value));
            for (c, byte) in [r, g, b, 255].into_iter().enumerate() {
                picture[[y, x, c]] = byte;
            }
        }
    }
    Ok(png::data_uri(&png::encode(picture.view())?))
}

/// A vertical colour scale with ticks to its right; `range.0` is at the bottom.
pub(super) fn colour_bar(
    svg: &mut Svg,
    area: [f64; 4],
    map: ColourMap,
    range: (f64, f64),
) -> Result<(), Error> {
    let ramp = Array3::from_shape_fn((64, 1, 3), |(y, _, c)| map.at(1.0 - y as f64 / 63.0)[c]);
    svg.image(
        area,
        &png::data_uri(&png::encode(ramp.view())?),
        false,
        "colour scale",
    );
    let [x, y, w, h] = area;
    svg.rect(
        area,
        r#"fill="none" stroke="currentColor" stroke-opacity="0.25""#,
        None,
    );
    let most = ((h / 30.0) as usize).clamp(2, 7);
    let (at, step) = ticks::linear(range.0, range.1, most, false);
    for (value, name) in at.iter().zip(ticks::labels(&at, step)) {
        let place = y + (1.0 - share(range, *value)) * h;
        svg.line(
            (x + w, place),
            (x + w + 4.0, place),
            r#"stroke="currentColor" stroke-opacity="0.55""#,
        );
        svg.text(
            (x + w + 8.0, place + 4.0),
            11.5,
            Anchor::Start,
            r#"fill-opacity="0.8""#,
            &name,
        );
    }
    Ok(())
}

const NAME: f64 = 12.0;

/// Room left of and above the field.
fn margins(chart: &Heatmap, cell: f64) -> (f64, f64) {
    let widest = |names: &[String]| {
        names
            .iter()
            .map(|t| text_width(t, NAME))
            .fold(0.0, f64::max)
            .min(130.0)
    };
    let left = 10.0 + widest(&chart.row_names) + if chart.y_label.is_empty() { 0.0 } else { 22.0 };
    let names = widest(&chart.column_names);
    let head = match names {
        0.0 => 0.0,
        w if w > cell - 4.0 => w * 0.72 + 12.0,
        _ => 20.0,
    };
    (left + 6.0, head)
}

fn draw_names(svg: &mut Svg, chart: &Heatmap, [left, top, wide, high]: [f64; 4], cell: f64) {
    let soft = r#"fill-opacity="0.8""#;
    for (i, name) in chart.row_names.iter().enumerate() {
        let y = top + cell * (i as f64 + 0.5) + NAME * 0.35;
        svg.text(
            (left - 7.0, y),
            NAME,
            Anchor::End,
            soft,
            &shorten(name, NAME, 130.0),
        );
    }
    let tilted = chart
        .column_names
        .iter()
        .any(|t| text_width(t, NAME) > cell - 4.0);
    for (i, name) in chart.column_names.iter().enumerate() {
        let (x, y) = (left + cell * (i as f64 + 0.5), top - 7.0);
        let shown = shorten(name, NAME, 130.0);
        if tilted {
            let turn = format!(
                r#"{soft} transform="rotate(-45 {} {})""#,
                svg::n(x + 3.0),
                svg::n(y)
            );
            svg.text((x + 3.0, y), NAME, Anchor::Start, &turn, &shown);
        } else {
            svg.text((x, y), NAME, Anchor::Middle, soft, &shown);
        }
    }
    if !chart.x_label.is_empty() {
        svg.text(
            (left + wide / 2.0, top + high + 20.0),
            13.0,
            Anchor::Middle,
            soft,
            &chart.x_label,
        );
    }
    if !chart.y_label.is_empty() {
        let (x, y) = (18.0, top + high / 2.0);
        svg.text(
            (x, y),
            13.0,
            Anchor::Middle,
            &format!(r#"{soft} transform="rotate(-90 {x} {y})""#),
            &chart.y_label,
        );
    }
}

fn draw_values(svg: &mut Svg, chart: &Heatmap, [left, top, ..]: [f64; 4], cell: f64, range: (f64, f64)) {
    if cell < 20.0 {
        return;
    }
    for ((row, column), &value) in chart.values.indexed_iter().filter(|(_, v)| drawable(**v)) {
        let text = ticks::short((value * 1000.0).round() / 1000.0);
        let size = (cell * 0.9 / (text.chars().count().max(2) as f64 * 0.62)).clamp(6.0, 13.0);
        let ink = format!(r#"fill="{}""#, colour::ink_on(chart.map.at(share(range, value))));
        let at = (
            left + cell * (column as f64 + 0.5),
            top + cell * (row as f64 + 0.5) + size * 0.35,
        );
        svg.text(at, size, Anchor::Middle, &ink, &text);
    }
}
