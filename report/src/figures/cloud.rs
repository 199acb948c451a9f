//! Samples in the plane: a cloud of points, coloured by class or by value, some of them marked.

use super::axes::{Axis, Frame};
use super::heatmap::{colour_bar, finite_range};
use super::{drawable, skipped_note, thousands};
use crate::Error;
use crate::colour::{CATEGORIES, ColourMap, css};
use crate::svg::{self, Anchor, Svg, dots, n, shorten, text_width};

/// What the colours of a [`Cloud`] tell.
#[derive(Clone, Debug)]
pub enum Colouring {
    /// Names of classes, and the class of each point.
    Classes(Vec<String>, Vec<usize>),
    /// The name of a value, and the value of each point.
    Values(String, Vec<f64>),
}

impl Default for Colouring {
    fn default() -> Self {
        Self::Classes(Vec::new(), Vec::new())
    }
}

/// What [`cloud`] draws.
#[derive(Clone, Debug, Default)]
pub struct Cloud {
    /// Title above the figure.
    pub title: String,
    /// A line under the title, such as the share of the variance.
    pub note: String,
    /// Name of the horizontal axis.
    pub x_label: String,
    /// Name of the vertical axis.
    pub y_label: String,
    /// The points `(x, y)`.
    pub points: Vec<(f64, f64)>,
    /// The colour of each.
    pub colouring: Colouring,
    /// Whether each has a ring around it; empty for none.
    pub marked: Vec<bool>,
    /// What a ring says, for the legend.
    pub mark_label: String,
}

/// Most classes in the legend.
const MOST_NAMES: usize = 24;
/// Most classes whose names stand in the plane.
const MOST_LABELS: usize = 12;
/// Side of the plane.
const SIDE: f64 = 440.0;
/// Radius of a point.
const RADIUS: f64 = 3.4;

/// Draws the points with a legend. Up to eight classes differ by colour alone; of more, shapes differ too, so that each
/// pair of colour and shape stands for one of up to 24.
///
/// ```
/// use graticule_report::figures::{Cloud, Colouring, cloud};
/// let colouring = Colouring::Classes(vec!["forest".into(), "river".into()], vec![0, 1]);
/// let chart = Cloud { points: vec![(0.0, 1.0), (1.0, 0.0)], colouring, marked: vec![false, true], ..Cloud::default() };
/// assert!(cloud(&chart)?.contains("river"));
/// # Ok::<(), graticule_report::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] unless there are as many colours (and marks, if any) as points, and names for all classes.
pub fn cloud(chart: &Cloud) -> Result<String, Error> {
    check(chart)?;
    let fits = |&k: &usize| {
        let (x, y) = chart.points[k];
        let coloured = match &chart.colouring {
            Colouring::Values(_, values) => drawable(values[k]),
            Colouring::Classes(..) => true,
        };
        drawable(x) && drawable(y) && coloured
    };
    let shown: Vec<usize> = (0..chart.points.len()).filter(fits).collect();
    let notes: Vec<String> = skipped_note(chart.points.len() - shown.len(), "NaN or infinite")
        .into_iter()
        .collect();
    let axis = |along: fn(&(f64, f64)) -> f64, label: &str| {
        Axis::over(shown.iter().map(|&k| along(&chart.points[k])), false, label)
    };
    let (Some(x), Some(y)) = (axis(|p| p.0, &chart.x_label), axis(|p| p.1, &chart.y_label)) else {
        return Ok(svg::no_data(&chart.title, &notes));
    };
    let top = if chart.note.is_empty() { 36.0 } else { 54.0 };
    let bottom = top + SIDE + 42.0;
    let mut frame = Frame::fit(x, y, [8.0, top, 1000.0, bottom]);
    (frame.width, frame.height) = (SIDE, SIDE);
    let legend = Legend::of(chart, &shown);
    let alt = format!(
        "{}: {} points in the plane. {}",
        chart.title,
        thousands(shown.len() as u64),
        chart.note
    );
    let width = frame.left + SIDE + 18.0 + legend.width;
    let mut svg = Svg::new(width, bottom + 15.0 * notes.len() as f64 + 6.0, &alt);
    svg.title(&chart.title);
    let room = width - 16.0;
    svg.text(
        (8.0, 42.0),
        12.5,
        Anchor::Start,
        r#"fill-opacity="0.8""#,
        &shorten(&chart.note, 12.5, room),
    );
    frame.draw(&mut svg);
    let place = |&k: &usize| (frame.px(chart.points[k].0), frame.py(chart.points[k].1));
    match &chart.colouring {
        Colouring::Classes(names, classes) => draw_classes(&mut svg, (names, classes), &shown, place),
        Colouring::Values(_, values) => draw_values(&mut svg, values, &shown, place),
    }
    let marked: Vec<usize> = shown
        .iter()
        .copied()
        .filter(|&k| chart.marked.get(k) == Some(&true))
        .collect();
    svg.path(&marked.iter().map(place).map(ring).collect::<String>(), RING);
    if let Colouring::Classes(names, classes) = &chart.colouring {
        draw_names(&mut svg, (names, classes), &shown, place, &frame);
    }
    legend.draw(&mut svg, chart, (frame.left + SIDE + 18.0, top))?;
    svg.notes(&notes, 8.0, bottom + 12.0);
    Ok(svg.finish())
}

fn check(chart: &Cloud) -> Result<(), Error> {
    let points = chart.points.len();
    let wrong = |what: &str, found: usize| {
        let told = format!("{found} {what} for {points} points");
        Err(Error::shape("cloud", told, "one for each point"))
    };
    match &chart.colouring {
        Colouring::Values(_, values) if values.len() != points => return wrong("values", values.len()),
        Colouring::Classes(_, classes) if classes.len() != points => return wrong("classes", classes.len()),
        Colouring::Classes(names, classes) => {
            if let Some(class) = classes.iter().find(|&&class| class >= names.len()) {
                let told = format!("class {class} and {} names", names.len());
                return Err(Error::shape("cloud", told, "a name for each class"));
            }
        }
        Colouring::Values(..) => {}
    }
    match chart.marked.len() {
        0 => Ok(()),
        marks if marks == points => Ok(()),
        marks => wrong("marks", marks),
    }
}

const RING: &str = r#"fill="none" stroke="currentColor" stroke-width="1.3""#;

/// Path data of a ring around a point.
fn ring((x, y): (f64, f64)) -> String {
    let r = RADIUS + 2.4;
    format!(
        "M{} {}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0",
        n(x - r),
        n(y),
        d = 2.0 * r
    )
}

/// Path data of a point of a class, and how the path is painted: a circle, a square or a triangle.
fn shape(class: usize, classes: usize, (x, y): (f64, f64)) -> String {
    let r = RADIUS;
    match (classes > CATEGORIES.len(), class % 3) {
        (true, 1) => {
            let side = 1.8 * r;
            format!(
                "M{} {}h{s}v{s}h-{s}z",
                n(x - side / 2.0),
                n(y - side / 2.0),
                s = n(side)
            )
        }
        (true, 2) => format!(
            "M{} {}l{} {}h-{}z",
            n(x),
            n(y - 1.3 * r),
            n(1.25 * r),
            n(2.2 * r),
            n(2.5 * r)
        ),
        _ => dots([(x, y)]),
    }
}

/// The paint of a class's points; a circle is a stroke without length.
fn paint(class: usize, classes: usize) -> String {
    match classes > CATEGORIES.len() && !class.is_multiple_of(3) {
        true => format!(r#"fill-opacity="0.7" {}"#, svg::fill(class)),
        false => format!(
            r#"fill="none" stroke-linecap="round" stroke-width="{}" stroke-opacity="0.7" {}"#,
            n(2.0 * RADIUS),
            svg::stroke(class)
        ),
    }
}

fn draw_classes(
    svg: &mut Svg,
    (names, classes): (&[String], &[usize]),
    shown: &[usize],
    place: impl Fn(&usize) -> (f64, f64),
) {
    // In runs, so that no class lies over all others.
    for run in shown.chunks(100) {
        for class in 0..names.len() {
            let of = run.iter().filter(|&&k| classes[k] == class);
            let data: String = of.map(|k| shape(class, names.len(), place(k))).collect();
            svg.path(&data, &paint(class, names.len()));
        }
    }
}

fn draw_values(svg: &mut Svg, values: &[f64], shown: &[usize], place: impl Fn(&usize) -> (f64, f64)) {
    let (low, high) = range(values);
    for k in shown {
        let (x, y) = place(k);
        let colour = css(ColourMap::Viridis.at((values[*k] - low) / (high - low)));
        svg.circle((x, y), RADIUS, &format!(r#"fill="{colour}" fill-opacity="0.8""#));
    }
}

/// The values of the first and the last colour.
fn range(values: &[f64]) -> (f64, f64) {
    match finite_range(values.iter().copied()) {
        Some((low, high)) if high > low => (low, high),
        Some((low, _)) => (low - 0.5, low + 0.5),
        None => (0.0, 1.0),
    }
}

/// The name of each class where half of its points lie on either side.
fn draw_names(
    svg: &mut Svg,
    (names, classes): (&[String], &[usize]),
    shown: &[usize],
    place: impl Fn(&usize) -> (f64, f64),
    frame: &Frame,
) {
    let mut taken: Vec<[f64; 4]> = Vec::new();
    for (class, name) in names.iter().enumerate() {
        let of: Vec<(f64, f64)> = shown
            .iter()
            .filter(|&&k| classes[k] == class)
            .map(&place)
            .collect();
        if of.is_empty() || names.len() > MOST_LABELS {
            continue;
        }
        let middle = |along: fn(&(f64, f64)) -> f64| {
            let mut all: Vec<f64> = of.iter().map(along).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        let name = shorten(name, 12.5, 130.0);
        let wide = 1.1 * text_width(&name, 12.5);
        let x = middle(|p| p.0).clamp(frame.left + wide / 2.0, frame.left + frame.width - wide / 2.0);
        let mut y = middle(|p| p.1);
        // A name that would lie on another moves below it.
        while let Some(other) = taken
            .iter()
            .find(|o| (o[0] - x).abs() < (o[2] + wide) / 2.0 && (o[1] - y).abs() < 14.0)
        {
            y = other[1] + 14.5;
        }
        taken.push([x, y, wide, 0.0]);
        svg.text(
            (x, y + 4.0),
            12.5,
            Anchor::Middle,
            r#"font-weight="700" class="halo""#,
            &name,
        );
    }
}

/// The colours and what they mean, to the right of the plane.
struct Legend {
    width: f64,
    /// Lines: the class, and its words.
    lines: Vec<(usize, String)>,
    more: usize,
    marks: usize,
}

impl Legend {
    fn of(chart: &Cloud, shown: &[usize]) -> Self {
        let marks = shown
            .iter()
            .filter(|&&k| chart.marked.get(k) == Some(&true))
            .count();
        let mut legend = Self {
            width: 84.0,
            lines: Vec::new(),
            more: 0,
            marks,
        };
        if let Colouring::Classes(names, classes) = &chart.colouring {
            for (class, name) in names.iter().enumerate() {
                let count = shown.iter().filter(|&&k| classes[k] == class).count();
                if count > 0 {
                    legend.lines.push((
                        class,
                        format!("{} ({})", shorten(name, 12.5, 150.0), thousands(count as u64)),
                    ));
                }
            }
            legend.more = legend.lines.len().saturating_sub(MOST_NAMES);
            legend.lines.truncate(MOST_NAMES);
        }
        if let Colouring::Values(label, _) = &chart.colouring {
            legend.width = legend.width.max(text_width(label, 12.5).min(220.0));
        }
        let words = legend
            .lines
            .iter()
            .map(|(_, line)| text_width(line, 12.5))
            .fold(0.0, f64::max);
        let mark = match (marks, &chart.colouring) {
            (0, _) => 0.0,
            _ => text_width(&legend.mark(chart), 12.5),
        };
        legend.width = legend.width.max(words.max(mark) + 30.0);
        legend
    }

    fn mark(&self, chart: &Cloud) -> String {
        format!("{} ({})", chart.mark_label, thousands(self.marks as u64))
    }

    fn draw(&self, svg: &mut Svg, chart: &Cloud, (left, top): (f64, f64)) -> Result<(), Error> {
        let step = 18.5;
        let mut y = top + 10.0;
        let text = |svg: &mut Svg, y: f64, line: &str| {
            svg.text((left + 16.0, y + 4.3), 12.5, Anchor::Start, "", line);
        };
        match &chart.colouring {
            Colouring::Classes(names, _) => {
                for (class, line) in &self.lines {
                    svg.path(
                        &shape(*class, names.len(), (left + 5.0, y)),
                        &paint(*class, names.len()),
                    );
                    text(svg, y, line);
                    y += step;
                }
                if self.more > 0 {
                    text(svg, y, &format!("and {} more", self.more));
                    y += step;
                }
            }
            Colouring::Values(label, values) => {
                let shown = shorten(label, 12.5, self.width.max(80.0));
                svg.text((left, y), 12.5, Anchor::Start, "", &shown);
                colour_bar(
                    svg,
                    [left, y + 12.0, 12.0, 180.0],
                    ColourMap::Viridis,
                    range(values),
                )?;
                y += 216.0;
            }
        }
        if self.marks > 0 {
            svg.path(&ring((left + 5.0, y + 4.0)), RING);
            text(svg, y + 4.0, &self.mark(chart));
        }
        Ok(())
    }
}
