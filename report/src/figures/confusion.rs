//! The confusion matrix.

use ndarray::ArrayView2;

use super::{thousands, ticks};
use crate::Error;
use crate::colour;
use crate::svg::{self, Anchor, Svg, shorten, text_width};

const RIGHT: colour::Rgb = [0, 96, 160];
const WRONG: colour::Rgb = [190, 78, 0];

/// Draws how often each true class (row) was predicted as each class (column).
///
/// `counts` is `[K, K]`, row = true class, column = predicted class. A cell is the darker the larger its share of
/// its row: blue on the diagonal, vermillion for errors. The last column is the recall of each class. Rows of
/// classes without samples stay empty and have no recall.
///
/// ```
/// use ndarray::array;
/// let counts = array![[48u64, 2], [5, 45]];
/// let svg = graticule_report::figures::confusion_matrix("Test set", &["forest", "water"], counts.view())?;
/// assert!(svg.contains("forest") && svg.contains(">48<"));
/// # Ok::<(), graticule_report::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] when `counts` is not square with one row per class name.
pub fn confusion_matrix<S: AsRef<str>>(
    title: &str,
    classes: &[S],
    counts: ArrayView2<u64>,
) -> Result<String, Error> {
    let names: Vec<&str> = classes.iter().map(AsRef::as_ref).collect();
    let k = names.len();
    if counts.dim() != (k, k) {
        let expected = format!("[{k}, {k}], one row and one column per class name");
        return Err(Error::shape(
            "confusion matrix",
            format!("counts of shape {:?}", counts.shape()),
            expected,
        ));
    }
    let total: u64 = counts.iter().sum();
    if k == 0 || total == 0 {
        return Ok(svg::no_data(title, &[]));
    }
    let layout = Layout::new(&names, counts);
    let right: u64 = counts.diag().sum();
    let share = format!("{:.2} %", 100.0 * right as f64 / total as f64);
    let alt = format!("{title}: confusion matrix of {k} classes, {right} of {total} right ({share})");
    let mut svg = Svg::new(layout.width(), layout.height(), &alt);
    svg.title(title);
    let note = format!(
        "{} of {} right ({share}). Colour: share of the row.",
        thousands(right),
        thousands(total)
    );
    svg.text(
        (8.0, 42.0),
        12.5,
        Anchor::Start,
        r#"fill-opacity="0.8""#,
        &shorten(&note, 12.5, layout.width() - 12.0),
    );
    layout.draw_names(&mut svg, &names);
    for (row, &name) in names.iter().enumerate() {
        layout.draw_row(&mut svg, &names, counts, row, name);
    }
    Ok(svg.finish())
}

/// Sizes that follow from the number of classes, their names and the largest count.
struct Layout {
    k: usize,
    cell: f64,
    left: f64,
    top: f64,
    number: f64,
    name: f64,
    tilted: bool,
}

impl Layout {
    fn new(names: &[&str], counts: ArrayView2<u64>) -> Self {
        let k = names.len();
        let digits = counts.iter().max().map_or(1, |m| cell_text(*m).chars().count()) as f64;
        let cell = (440.0 / k as f64).clamp(24.0, 76.0);
        let number = (cell * 0.86 / (digits.max(2.0) * 0.61))
            .min(cell * 0.42)
            .clamp(5.5, 14.0);
        let name = (cell * 0.55).clamp(10.0, 13.0);
        let widest = names
            .iter()
            .map(|t| text_width(t, name))
            .fold(0.0, f64::max)
            .min(160.0);
        let tilted = widest > cell - 4.0;
        let head = if tilted { widest * 0.72 + 14.0 } else { name + 10.0 };
        Self {
            k,
            cell,
            left: widest + 40.0,
            top: 52.0 + 20.0 + head,
            number,
            name,
            tilted,
        }
    }

    fn side(&self) -> f64 {
        self.cell * self.k as f64
    }

    fn width(&self) -> f64 {
        let overhang = if self.tilted { 70.0 } else { 58.0 };
        (self.left + self.side() + overhang).max(420.0)
    }

    fn height(&self) -> f64 {
        self.top + self.side() + 12.0
    }

    fn draw_names(&self, svg: &mut Svg, names: &[&str]) {
        let soft = r#"fill-opacity="0.75""#;
        svg.text(
            (self.left + self.side() / 2.0, 66.0),
            12.5,
            Anchor::Middle,
            soft,
            "predicted",
        );
        let (x, y) = (16.0, self.top + self.side() / 2.0);
        svg.text(
            (x, y),
            12.5,
            Anchor::Middle,
            &format!(r#"{soft} transform="rotate(-90 {x} {y})""#),
            "true",
        );
        for (column, name) in names.iter().enumerate() {
            let (x, y) = (self.left + self.cell * (column as f64 + 0.5), self.top - 7.0);
            let shown = shorten(name, self.name, 160.0);
            if self.tilted {
                let turn = format!(r#"transform="rotate(-45 {} {})""#, svg::n(x + 3.0), svg::n(y));
                svg.text((x + 3.0, y), self.name, Anchor::Start, &turn, &shown);
            } else {
                svg.text((x, y), self.name, Anchor::Middle, "", &shown);
            }
        }
        let at = (self.left + self.side() + 8.0, self.top + self.side() + 9.0);
        svg.text(at, 10.5, Anchor::Start, r#"fill-opacity="0.7""#, "recall");
    }

    fn draw_row(&self, svg: &mut Svg, names: &[&str], counts: ArrayView2<u64>, row: usize, name: &str) {
        let sum: u64 = counts.row(row).sum();
        let y = self.top + self.cell * row as f64;
        let middle = y + self.cell / 2.0;
        let shown = shorten(name, self.name, 160.0);
        svg.text(
            (self.left - 8.0, middle + self.name * 0.35),
            self.name,
            Anchor::End,
            "",
            &shown,
        );
        for (column, &count) in counts.row(row).iter().enumerate() {
            let share = if sum == 0 { 0.0 } else { count as f64 / sum as f64 };
            let tooltip = format!("{name} → {}: {count} ({:.1} %)", names[column], 100.0 * share);
            self.draw_cell(svg, (row, column), count, share, &tooltip);
        }
        let recall = match sum {
            0 => "–".to_string(),
            _ => format!("{:.1} %", 100.0 * counts[[row, row]] as f64 / sum as f64),
        };
        let size = self.name.min(12.0);
        let at = (self.left + self.side() + 8.0, middle + size * 0.35);
        svg.text(at, size, Anchor::Start, r#"fill-opacity="0.8""#, &recall);
    }

    fn draw_cell(&self, svg: &mut Svg, (row, column): (usize, usize), count: u64, share: f64, tooltip: &str) {
        let (x, y) = (
            self.left + self.cell * column as f64,
            self.top + self.cell * row as f64,
        );
        let gap = if self.cell > 30.0 { 1.0 } else { 0.5 };
        let area = [x + gap, y + gap, self.cell - 2.0 * gap, self.cell - 2.0 * gap];
        let (base, strength) = if row == column {
            (RIGHT, share)
        } else {
            (WRONG, share)
        };
        let attrs = match count {
            0 => r#"fill="currentColor" fill-opacity="0.045""#.to_string(),
            _ => format!(
                r#"fill="{}" fill-opacity="{:.3}""#,
                colour::css(base),
                0.18 + 0.82 * strength.powf(0.8)
            ),
        };
        svg.rect(area, &attrs, (count > 0).then_some(tooltip));
        if count == 0 {
            return;
        }
        let ink = if strength > 0.55 {
            r##"fill="#ffffff""##
        } else {
            ""
        };
        let at = (x + self.cell / 2.0, y + self.cell / 2.0 + self.number * 0.35);
        svg.text(at, self.number, Anchor::Middle, ink, &cell_text(count));
    }
}

/// The count as it stands in a cell: in full up to 99 999, then with an SI suffix.
fn cell_text(count: u64) -> String {
    if count < 100_000 {
        count.to_string()
    } else {
        ticks::short(count as f64)
    }
}
