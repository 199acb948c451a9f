//! Galleries of pictures: errors with their classes (row E8), test samples with the top guesses (row E7).

use ndarray::Array3;

use super::ticks;
use crate::svg::{self, Anchor, Svg, shorten, text_width};
use crate::{Error, png};

/// Whether a tile shows a right answer, a wrong one, or none at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was answered.
    #[default]
    None,
    /// The prediction is right.
    Right,
    /// The prediction is wrong.
    Wrong,
}

/// One picture with what is said about it.
#[derive(Clone, Debug, Default)]
pub struct Tile {
    /// The picture `[H, W, C]`, `C` = 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA).
    pub picture: Array3<u8>,
    /// Text below the picture, such as `4 → 9`; a line break starts another line.
    pub caption: String,
    /// Decides the colour of the frame.
    pub verdict: Verdict,
    /// Guesses `(class, probability)`, best first, drawn as bars.
    pub guesses: Vec<(String, f64)>,
    /// The true class; its bar among the guesses takes another colour.
    pub truth: String,
}

impl Tile {
    /// A picture with a caption.
    pub fn new(picture: Array3<u8>, caption: impl Into<String>) -> Self {
        Self {
            picture,
            caption: caption.into(),
            ..Self::default()
        }
    }

    /// A picture with its caption `true → predicted`, framed as right or wrong.
    ///
    /// ```
    /// use graticule_report::figures::{Tile, Verdict};
    /// let tile = Tile::judged(ndarray::Array3::zeros((8, 8, 1)), "4", "9");
    /// assert_eq!((tile.caption.as_str(), tile.verdict), ("4 → 9", Verdict::Wrong));
    /// ```
    pub fn judged(picture: Array3<u8>, truth: &str, predicted: &str) -> Self {
        let verdict = if truth == predicted {
            Verdict::Right
        } else {
            Verdict::Wrong
        };
        let caption = if truth == predicted {
            truth.to_string()
        } else {
            format!("{truth} → {predicted}")
        };
        Self {
            picture,
            caption,
            verdict,
            guesses: Vec::new(),
            truth: truth.to_string(),
        }
    }

    /// The same tile with its best guesses `(class, probability)`.
    pub fn guesses(mut self, guesses: Vec<(String, f64)>) -> Self {
        self.guesses = guesses;
        self
    }
}

/// Most tiles one gallery shows.
const MOST: usize = 200;
/// Pictures are averaged down to this many pixels a side before they are embedded.
const PIXELS: usize = 160;
const FULL_WIDTH: f64 = 1120.0;
const CAPTION: f64 = 12.5;
const LINE: f64 = 16.0;
const ROW: f64 = 17.0;
const GAP: f64 = 14.0;
/// How much wider bold text is.
const BOLD: f64 = 1.1;

/// Draws pictures in rows, enlarged without blur, each with its caption and its guesses.
///
/// At most 200 tiles are shown; a line below the title says how many there were.
///
/// ```
/// use graticule_report::figures::{Tile, gallery};
/// let svg = gallery("Errors", &[Tile::judged(ndarray::Array3::zeros((8, 8, 1)), "4", "9")])?;
/// assert!(svg.contains("4 → 9") && svg.contains("data:image/png;base64,"));
/// # Ok::<(), graticule_report::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] when a picture is empty or has another number of channels.
pub fn gallery(title: &str, tiles: &[Tile]) -> Result<String, Error> {
    gallery_of_side(title, tiles, None)
}

/// As [`gallery`], with pictures whose longer side is so many pixels of the screen, and which keep twice as many of their own.
///
/// # Errors
/// As [`gallery`].
pub fn gallery_of_side(title: &str, tiles: &[Tile], side: Option<f64>) -> Result<String, Error> {
    if tiles.is_empty() {
        return Ok(svg::no_data(title, &[]));
    }
    let shown = &tiles[..tiles.len().min(MOST)];
    let grid = Grid::new(shown, side);
    let more = tiles.len() > MOST;
    let top = if more { 52.0 } else { 36.0 };
    let alt = format!("{title}: {} pictures", shown.len());
    let mut svg = Svg::new(
        grid.width().max(260.0),
        top + grid.step.1 * grid.rows as f64,
        &alt,
    );
    svg.title(title);
    if more {
        svg.notes(&[format!("The first {MOST} of {}.", tiles.len())], 8.0, 41.0);
    }
    for (i, tile) in shown.iter().enumerate() {
        let x = 8.0 + grid.step.0 * (i % grid.columns) as f64;
        let y = top + grid.step.1 * (i / grid.columns) as f64;
        grid.draw(&mut svg, tile, x, y)?;
    }
    Ok(svg.finish())
}

struct Grid {
    side: f64,
    /// Height of the places for pictures.
    tall: f64,
    /// Pictures are averaged down to this many pixels a side before they are embedded.
    pixels: usize,
    /// Whether captions `a → b` take two lines.
    split: bool,
    /// Height of the captions.
    captions: f64,
    step: (f64, f64),
    columns: usize,
    rows: usize,
}

impl Grid {
    fn new(tiles: &[Tile], wanted: Option<f64>) -> Self {
        let guesses = tiles.iter().map(|t| t.guesses.len()).max().unwrap_or(0);
        let pixels = tiles
            .iter()
            .map(|t| t.picture.dim().0.max(t.picture.dim().1))
            .max()
            .unwrap_or(0);
        let usual: f64 = match pixels {
            _ if guesses > 0 => 150.0,
            0..=32 => 72.0,
            33..=80 => 100.0,
            _ => 150.0,
        };
        let side = wanted.unwrap_or(usual);
        // Wide pictures of one kind need no square places.
        let shape = |t: &Tile| t.picture.dim().0 as f64 / t.picture.dim().1.max(1) as f64;
        let tall = match wanted {
            Some(side) => side * tiles.iter().map(shape).fold(0.0, f64::max).min(1.0),
            None => side,
        };
        let widest = |lines: &dyn Fn(&Tile) -> Vec<String>| {
            let all = tiles.iter().flat_map(lines);
            all.map(|line| BOLD * text_width(&line, CAPTION))
                .fold(0.0, f64::max)
        };
        let split = widest(&|t| caption_lines(&t.caption, false)) > 1.2 * side && guesses == 0;
        let wide = side.max(widest(&|t| caption_lines(&t.caption, split)).min(side * 1.5));
        let lines = tiles.iter().map(|t| caption_lines(&t.caption, split).len()).max();
        let captions = match lines.unwrap_or(0) {
            0 => 0.0,
            lines => 5.0 + LINE * lines as f64,
        };
        let below = captions + guesses as f64 * ROW + 12.0;
        let step = (wide + GAP, tall + below);
        let columns = (((FULL_WIDTH - 8.0) / step.0) as usize).clamp(1, tiles.len());
        Self {
            side,
            tall,
            pixels: wanted.map_or(PIXELS, |side| 2 * side as usize),
            split,
            captions,
            step,
            columns,
            rows: tiles.len().div_ceil(columns),
        }
    }

    fn width(&self) -> f64 {
        8.0 + self.step.0 * self.columns as f64
    }

    fn draw(&self, svg: &mut Svg, tile: &Tile, x: f64, y: f64) -> Result<(), Error> {
        let wide = self.step.0 - GAP;
        let (h, w, _) = tile.picture.dim();
        let scale = self.side / h.max(w).max(1) as f64;
        let (high, broad) = (h as f64 * scale, w as f64 * scale);
        let area = [
            x + (wide - broad) / 2.0,
            y + (self.tall - high) / 2.0,
            broad,
            high,
        ];
        let small = png::shrink_to(tile.picture.view(), self.pixels);
        let alt = if tile.caption.is_empty() {
            "picture"
        } else {
            &tile.caption
        };
        svg.image(area, &png::data_uri(&png::encode(small.view())?), true, alt);
        let (frame, ink) = match tile.verdict {
            Verdict::None => (
                r#"stroke="currentColor" stroke-opacity="0.25""#.to_string(),
                String::new(),
            ),
            Verdict::Right => (format!(r#"stroke-width="2" {}"#, svg::stroke(0)), String::new()),
            Verdict::Wrong => (format!(r#"stroke-width="2" {}"#, svg::stroke(1)), svg::fill(1)),
        };
        let [fx, fy, fw, fh] = area;
        svg.rect(
            [fx - 1.0, fy - 1.0, fw + 2.0, fh + 2.0],
            &format!(r#"fill="none" {frame}"#),
            None,
        );
        for (i, line) in caption_lines(&tile.caption, self.split).iter().enumerate() {
            let at = (x + wide / 2.0, y + self.tall + 16.0 + LINE * i as f64);
            let attrs = format!(r#"font-weight="600" {ink}"#);
            let line = shorten(line, CAPTION, (wide + 4.0) / BOLD);
            svg.text(at, CAPTION, Anchor::Middle, &attrs, &line);
        }
        let below = y + self.tall + self.captions + 5.0;
        for (rank, (name, share)) in tile.guesses.iter().enumerate() {
            draw_guess(
                svg,
                [x, below + ROW * rank as f64, wide],
                name,
                *share,
                *name == tile.truth,
            );
        }
        Ok(())
    }
}

/// A caption's own lines, or one, or before and after its arrow in two.
fn caption_lines(caption: &str, split: bool) -> Vec<String> {
    match caption.split_once(" → ") {
        Some((truth, predicted)) if split => vec![truth.to_string(), format!("→ {predicted}")],
        _ => caption.lines().map(String::from).collect(),
    }
}

/// One guess: a bar as long as its probability, the class on it, the number at its end.
fn draw_guess(svg: &mut Svg, [x, y, wide]: [f64; 3], name: &str, share: f64, right: bool) {
    let length = if share.is_finite() {
        share.clamp(0.0, 1.0) * wide
    } else {
        0.0
    };
    svg.rect(
        [x, y, wide, ROW - 3.0],
        r#"rx="2" fill="currentColor" fill-opacity="0.06""#,
        None,
    );
    let colour = svg::fill(if right { 0 } else { 1 });
    svg.rect(
        [x, y, length, ROW - 3.0],
        &format!(r#"rx="2" fill-opacity="0.45" {colour}"#),
        None,
    );
    let number = if share.is_finite() {
        format!("{:.1} %", 100.0 * share)
    } else {
        ticks::short(share)
    };
    let weight = if right { r#"font-weight="600""# } else { "" };
    let room = (wide - text_width(&number, 10.5) - 14.0) / if right { BOLD } else { 1.0 };
    svg.text(
        (x + 4.0, y + 10.7),
        10.5,
        Anchor::Start,
        weight,
        &shorten(name, 10.5, room),
    );
    svg.text(
        (x + wide - 4.0, y + 10.7),
        10.5,
        Anchor::End,
        r#"fill-opacity="0.85""#,
        &number,
    );
}
