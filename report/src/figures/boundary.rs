//! What a network says over a plane: decision boundaries and value fields (row L5).

use ndarray::{Array2, Array3};

use super::axes::{Axis, Frame};
use super::contour::{best, boundary, class_shares};
use super::heatmap::{colour_bar, field_picture, finite_range};
use super::{drawable, skipped_note};
use crate::colour::{CATEGORIES, ColourMap, Rgb, css};
use crate::svg::{Anchor, Svg, n, shorten, text_width};
use crate::{Error, png};

/// The network's answers on a regular grid of points, see [`grid_points`].
#[derive(Clone, Debug)]
pub enum Field {
    /// Probabilities `[H, W, K]` of `K` classes; `K` = 1 is the probability of the second of two classes.
    Classes(Array3<f32>),
    /// One value per point, `[H, W]`.
    Values(Array2<f32>),
}

/// A sample over the field.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Horizontal feature.
    pub x: f64,
    /// Vertical feature.
    pub y: f64,
    /// Index of its class, or its true value.
    pub target: f64,
    /// Whether it was kept from training; then it is drawn as a ring, on a value field as a diamond.
    pub held_out: bool,
}

/// What [`decision_boundary`] draws.
#[derive(Clone, Debug)]
pub struct DecisionBoundary {
    /// Title above the figure.
    pub title: String,
    /// Name of the horizontal feature.
    pub x_label: String,
    /// Name of the vertical feature.
    pub y_label: String,
    /// The answers; row 0 is the top, the largest `y`.
    pub field: Field,
    /// `[x from, x to, y from, y to]` of the field's outer edges.
    pub extent: [f64; 4],
    /// The samples drawn over it.
    pub samples: Vec<Sample>,
    /// Names of the classes; empty for a value field.
    pub classes: Vec<String>,
    /// Colours of the classes; empty for the crate's own.
    pub colours: Vec<Rgb>,
}

/// The points of a field of `height` × `width` over `extent`, row by row from the top: where to ask the network.
///
/// ```
/// let points = graticule_report::figures::grid_points([0.0, 2.0, 0.0, 2.0], 2, 2);
/// assert_eq!(points, [(0.5, 1.5), (1.5, 1.5), (0.5, 0.5), (1.5, 0.5)]);
/// ```
pub fn grid_points(extent: [f64; 4], height: usize, width: usize) -> Vec<(f64, f64)> {
    let [x0, x1, y0, y1] = extent;
    let x = |column: usize| x0 + (x1 - x0) * (column as f64 + 0.5) / width as f64;
    let y = |row: usize| y1 - (y1 - y0) * (row as f64 + 0.5) / height as f64;
    (0..height)
        .flat_map(|row| (0..width).map(move |column| (column, row)))
        .map(|(c, r)| (x(c), y(r)))
        .collect()
}

const MOST: usize = 2500;
const SIDE: f64 = 360.0;
/// Lines over a value field, which is as bright on dark pages as on light ones.
const RIM: &str = "#1a1f26";

/// Draws the field as colour, the line where the decision changes, and the samples on top.
///
/// ```
/// use graticule_report::figures::{DecisionBoundary, Field, Sample, decision_boundary};
/// let svg = decision_boundary(&DecisionBoundary {
///     title: "xor".into(),
///     x_label: "x₁".into(),
///     y_label: "x₂".into(),
///     field: Field::Classes(ndarray::array![[[0.9f32], [0.1]], [[0.1], [0.9]]]),
///     extent: [-1.0, 1.0, -1.0, 1.0],
///     samples: vec![Sample { x: 0.5, y: 0.5, target: 0.0, held_out: false }],
///     classes: vec!["off".into(), "on".into()],
///     colours: vec![],
/// })?;
/// assert!(svg.contains("data:image/png;base64,"));
/// # Ok::<(), graticule_report::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] for an empty field or an extent without area.
pub fn decision_boundary(chart: &DecisionBoundary) -> Result<String, Error> {
    check(chart)?;
    let [x0, x1, y0, y1] = chart.extent;
    let good: Vec<Sample> = chart
        .samples
        .iter()
        .copied()
        .filter(|s| [s.x, s.y, s.target].iter().all(|v| drawable(*v)))
        .collect();
    let stride = good.len().div_ceil(MOST).max(1);
    let mut notes: Vec<String> = skipped_note(chart.samples.len() - good.len(), "NaN or infinite")
        .into_iter()
        .collect();
    if stride > 1 {
        notes.push(format!(
            "{} of {} samples are shown.",
            good.len().div_ceil(stride),
            good.len()
        ));
    }
    let painter = Painter::new(chart, &good);
    let top = 60.0;
    let bottom = top + SIDE + 42.0;
    let (x, y) = (
        Axis::exact(x0, x1, &chart.x_label),
        Axis::exact(y0, y1, &chart.y_label),
    );
    let mut frame = Frame::fit(x, y, [8.0, top, 1000.0, bottom]);
    frame.height = SIDE;
    frame.width = SIDE;
    let scale_room = if painter.range.is_some() { 76.0 } else { 14.0 };
    let alt = format!(
        "{}: what the model answers over {} and {}",
        chart.title, chart.x_label, chart.y_label
    );
    let mut svg = Svg::new(
        frame.left + SIDE + scale_room,
        bottom + 15.0 * notes.len() as f64 + 6.0,
        &alt,
    );
    svg.title(&chart.title);
    painter.legend(
        &mut svg,
        chart,
        good.iter().any(|s| s.held_out),
        frame.left + SIDE,
    );
    let area = [frame.left, frame.top, SIDE, SIDE];
    svg.image(area, &painter.background(&chart.field)?, false, &chart.title);
    svg.open_clip(area);
    let ink = if painter.range.is_some() {
        RIM
    } else {
        "currentColor"
    };
    let line = format!(r#"fill="none" stroke="{ink}" stroke-width="1.6" stroke-opacity="0.8""#);
    svg.path(&boundary(&chart.field, area), &line);
    for sample in good.iter().step_by(stride) {
        painter.sample(&mut svg, (frame.px(sample.x), frame.py(sample.y)), sample);
    }
    svg.close_clip();
    frame.draw(&mut svg);
    if let Some(range) = painter.range {
        colour_bar(
            &mut svg,
            [frame.left + SIDE + 14.0, top, 12.0, SIDE],
            painter.map,
            range,
        )?;
    }
    svg.notes(&notes, 8.0, bottom + 12.0);
    Ok(svg.finish())
}

fn check(chart: &DecisionBoundary) -> Result<(), Error> {
    let shape = match &chart.field {
        Field::Classes(p) => p.shape(),
        Field::Values(v) => v.shape(),
    };
    if shape.contains(&0) {
        return Err(Error::shape(
            "decision boundary",
            format!("a field of shape {shape:?}"),
            "at least one value",
        ));
    }
    let [x0, x1, y0, y1] = chart.extent;
    if !(chart.extent.iter().all(|v| drawable(*v)) && x0 < x1 && y0 < y1) {
        let found = format!("extent {:?}", chart.extent);
        return Err(Error::shape(
            "decision boundary",
            found,
            "[x from, x to, y from, y to], finite and rising",
        ));
    }
    Ok(())
}

/// Path data of a small square on its corner.
fn diamond((x, y): (f64, f64)) -> String {
    let [left, right, top, bottom] = [x - 5.0, x + 5.0, y - 5.0, y + 5.0].map(n);
    let (x, y) = (n(x), n(y));
    format!("M{left} {y}L{x} {top}L{right} {y}L{x} {bottom}Z")
}

/// Colours of field and samples.
struct Painter {
    colours: Vec<Rgb>,
    map: ColourMap,
    range: Option<(f64, f64)>,
}

impl Painter {
    fn new(chart: &DecisionBoundary, samples: &[Sample]) -> Self {
        let colours = if chart.colours.is_empty() {
            CATEGORIES.to_vec()
        } else {
            chart.colours.clone()
        };
        let Field::Values(values) = &chart.field else {
            return Self {
                colours,
                map: ColourMap::Viridis,
                range: None,
            };
        };
        let all = values
            .iter()
            .map(|v| f64::from(*v))
            .chain(samples.iter().map(|s| s.target));
        let (low, high) = finite_range(all).unwrap_or((0.0, 1.0));
        let most = low.abs().max(high.abs());
        let (map, range) = match low < 0.0 && high > 0.0 {
            true => (ColourMap::Diverging, (-most, most)),
            false => (ColourMap::Viridis, (low, high)),
        };
        Self {
            colours,
            map,
            range: Some(range),
        }
    }

    fn colour(&self, target: f64) -> Rgb {
        match self.range {
            Some((low, high)) => self.map.at(if high > low {
                (target - low) / (high - low)
            } else {
                0.5
            }),
            None => self.colours[target.max(0.0) as usize % self.colours.len()],
        }
    }

    fn background(&self, field: &Field) -> Result<String, Error> {
        let probabilities = match field {
            Field::Values(values) => {
                return field_picture(
                    values.mapv(f64::from).view(),
                    self.map,
                    self.range.unwrap_or((0.0, 1.0)),
                );
            }
            Field::Classes(p) => p,
        };
        let (height, width, _) = probabilities.dim();
        let mut picture = Array3::<u8>::zeros((height, width, 4));
        for row in 0..height {
            for column in 0..width {
                let shares = class_shares(probabilities, row, column);
                let Some((best, share)) = best(&shares) else {
                    continue;
                };
                let chance = 1.0 / shares.len() as f64;
                let sure = ((share - chance) / (1.0 - chance)).clamp(0.0, 1.0);
                let [r, g, b] = self.colour(best as f64);
                for (c, byte) in [r, g, b, (30.0 + 110.0 * sure) as u8].into_iter().enumerate() {
                    picture[[row, column, c]] = byte;
                }
            }
        }
        Ok(png::data_uri(&png::encode(picture.view())?))
    }

    fn sample(&self, svg: &mut Svg, at: (f64, f64), sample: &Sample) {
        let colour = css(self.colour(sample.target));
        let rim = if self.range.is_some() { RIM } else { "#ffffff" };
        match (sample.held_out, self.range) {
            (false, _) => {
                let attrs = format!(r#"fill="{colour}" stroke="{rim}" stroke-width="0.9""#);
                svg.circle(at, 3.8, &attrs);
            }
            (true, None) => {
                let attrs = format!(r##"fill="#ffffff" stroke="{colour}" stroke-width="2""##);
                svg.circle(at, 3.4, &attrs);
            }
            (true, Some(_)) => {
                let attrs = format!(r#"fill="{colour}" stroke="{rim}" stroke-width="0.9""#);
                svg.path(&diamond(at), &attrs);
            }
        }
    }

    fn legend(&self, svg: &mut Svg, chart: &DecisionBoundary, rings: bool, right: f64) {
        let mut x = 14.0;
        for (i, name) in chart.classes.iter().enumerate() {
            let wide = 30.0 + text_width(name, 12.5);
            if x + wide > right {
                svg.text((x - 4.0, 46.0), 12.5, Anchor::Start, "", "…");
                return;
            }
            svg.circle(
                (x, 42.0),
                4.5,
                &format!(r#"fill="{}""#, css(self.colour(i as f64))),
            );
            svg.text(
                (x + 9.0, 46.3),
                12.5,
                Anchor::Start,
                "",
                &shorten(name, 12.5, 200.0),
            );
            x += wide;
        }
        if rings && x + 90.0 < right {
            let attrs = r#"fill="none" stroke="currentColor" stroke-width="1.6""#;
            match self.range {
                None => svg.circle((x, 42.0), 4.0, attrs),
                Some(_) => svg.path(&diamond((x, 42.0)), attrs),
            }
            svg.text((x + 9.0, 46.3), 12.5, Anchor::Start, "", "held out");
        }
    }
}
