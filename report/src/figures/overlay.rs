//! A field laid over the picture that it explains: as a figure for the report, and as a PNG of its own.

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, s};

use super::heatmap::{colour_bar, field_picture, finite_range};
use super::{digits, drawable};
use crate::colour::{ColourMap, mix};
use crate::svg::{Anchor, Svg, shorten};
use crate::{Error, png};

/// What [`overlay`] and [`overlay_png`] draw.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// Title above the figure.
    pub title: String,
    /// The picture `[H, W, C]`; `C` is 1 (grey) or 3 (RGB).
    pub picture: Array3<u8>,
    /// The field `[H, W]`, one value for each pixel.
    pub values: Array2<f64>,
    /// Whether the field has two sides, with 0 between them: orange below, blue above.
    pub signed: bool,
}

/// Longest side of the pictures in a figure, in pixels of the screen.
const SIDE: f64 = 200.0;
/// Pictures are averaged down to this before they are embedded.
const PIXELS: usize = 320;
/// Share of the largest magnitudes that take the last colour, so that a single pixel does not darken all others.
const CLIPPED: f64 = 0.005;
const GAP: f64 = 10.0;

impl Overlay {
    fn check(&self) -> Result<(), Error> {
        let (height, width, bands) = self.picture.dim();
        if self.values.dim() == (height, width) && matches!(bands, 1 | 3) && height * width > 0 {
            return Ok(());
        }
        let found = format!(
            "a field {:?} and a picture {:?}",
            self.values.shape(),
            self.picture.shape()
        );
        Err(Error::shape(
            "overlay",
            found,
            "[H, W] and [H, W, 1 or 3] of the same H and W",
        ))
    }

    fn map(&self) -> ColourMap {
        match self.signed {
            true => ColourMap::Diverging,
            false => ColourMap::Viridis,
        }
    }

    /// The values of the first and the last colour.
    fn range(&self) -> (f64, f64) {
        let (low, high) = finite_range(self.values.iter().copied()).unwrap_or((0.0, 0.0));
        let size = |v: f64| if self.signed { v.abs() } else { v };
        let mut sorted: Vec<f64> = self
            .values
            .iter()
            .filter(|v| drawable(**v))
            .map(|&v| size(v))
            .collect();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() as f64 * (1.0 - CLIPPED)) as usize;
        let most = sorted
            .get(rank.min(sorted.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0);
        match self.signed {
            true if most > 0.0 => (-most, most),
            true => (-1.0, 1.0),
            // A field that is flat but for a few pixels would vanish.
            false if most > low => (low, most),
            false if high > low => (low, high),
            false => (low, low + 1.0),
        }
    }

    /// The picture in grey with the field's colours on it, the stronger the further a value is from the field's rest.
    fn blended(&self) -> Array3<u8> {
        let (low, high) = self.range();
        let (height, width) = self.values.dim();
        let mut blended = Array3::zeros((height, width, 3));
        for ((y, x), &value) in self.values.indexed_iter() {
            let pixel = self.picture.slice(s![y, x, ..]);
            let grey = match pixel.len() {
                1 => f64::from(pixel[0]),
                _ => 0.299 * f64::from(pixel[0]) + 0.587 * f64::from(pixel[1]) + 0.114 * f64::from(pixel[2]),
            };
            let grey = [grey.round() as u8; 3];
            let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
            let strength = if self.signed { (2.0 * t - 1.0).abs() } else { t };
            let colour = match drawable(value) {
                true => mix(grey, self.map().at(t), 0.9 * strength.powf(0.6)),
                false => grey,
            };
            (0..3).for_each(|c| blended[[y, x, c]] = colour[c]);
        }
        blended
    }
}

/// Draws the picture with the field on it, and the field alone with its scale, side by side.
///
/// ```
/// use graticule_report::figures::{Overlay, overlay};
/// let over = Overlay { picture: ndarray::Array3::zeros((4, 4, 3)), values: ndarray::Array2::eye(4), ..Overlay::default() };
/// assert_eq!(overlay(&over)?.matches("data:image/png").count(), 3);
/// # Ok::<(), graticule_report::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] unless the field has one value for each pixel of a grey or RGB picture.
pub fn overlay(chart: &Overlay) -> Result<String, Error> {
    chart.check()?;
    let (height, width) = chart.values.dim();
    let scale = SIDE / height.max(width) as f64;
    let (wide, high) = (width as f64 * scale, height as f64 * scale);
    let top = 34.0;
    let mut svg = Svg::new(
        (2.0 * wide + GAP + 90.0).max(260.0),
        top + high.max(90.0) + 12.0,
        &chart.title,
    );
    let room = 2.0 * wide + GAP + 80.0;
    svg.text(
        (8.0, 20.0),
        14.0,
        Anchor::Start,
        r#"font-weight="600""#,
        &shorten(&chart.title, 14.0, room),
    );
    let small = png::shrink_to(chart.blended().view(), PIXELS);
    let over = png::data_uri(&png::encode(small.view())?);
    svg.image([8.0, top, wide, high], &over, true, "the field on the picture");
    let area = [8.0 + wide + GAP, top, wide, high];
    let field = field_picture(shrunk(chart.values.view()).view(), chart.map(), chart.range())?;
    svg.image(area, &field, true, "the field alone");
    colour_bar(
        &mut svg,
        [8.0 + 2.0 * wide + 2.0 * GAP, top, 12.0, high.max(90.0)],
        chart.map(),
        chart.range(),
    )?;
    Ok(svg.finish())
}

/// The picture, the picture with the field on it, the field alone, and its scale with the numbers of both ends, as PNG bytes.
///
/// # Errors
/// As [`overlay`].
pub fn overlay_png(chart: &Overlay) -> Result<Vec<u8>, Error> {
    chart.check()?;
    let (height, width) = chart.values.dim();
    let factor = 160usize.div_ceil(height.max(width)).max(1);
    let (tall, wide) = (height * factor, width * factor);
    let (low, high) = chart.range();
    let labels = [high, low].map(digits::number);
    let text = labels.iter().map(|l| digits::width(l)).max().unwrap_or(0);
    let (gap, bar) = (8, 12);
    let mut page = Array3::from_elem((tall.max(40), 3 * (wide + gap) + bar + 6 + text, 3), 255u8);
    let mut paste = |left: usize, picture: ArrayView3<u8>| {
        let large = png::upscale_nearest(picture, factor);
        for ((y, x, c), &byte) in large.indexed_iter() {
            page[[y, left + x, c]] = byte;
        }
    };
    let colour = Array3::from_shape_fn((height, width, 3), |(y, x, c)| {
        chart.picture[[y, x, c.min(chart.picture.dim().2 - 1)]]
    });
    paste(0, colour.view());
    paste(wide + gap, chart.blended().view());
    let field = Array3::from_shape_fn((height, width, 3), |(y, x, c)| match chart.values[[y, x]] {
        value if drawable(value) => chart.map().at((value - low) / (high - low))[c],
        _ => 255,
    });
    paste(2 * (wide + gap), field.view());
    let left = 3 * (wide + gap);
    let rows = page.dim().0;
    for y in 0..rows {
        let rgb = chart.map().at(1.0 - y as f64 / (rows - 1) as f64);
        page.slice_mut(s![y, left..left + bar, ..])
            .rows_mut()
            .into_iter()
            .for_each(|mut pixel| {
                (0..3).for_each(|c| pixel[c] = rgb[c]);
            });
    }
    digits::write(&mut page, [0, left + bar + 6], &labels[0]);
    digits::write(&mut page, [rows - digits::HEIGHT, left + bar + 6], &labels[1]);
    png::encode(page.view())
}

/// Every n-th value in each direction, so that no side is longer than a picture in the page.
fn shrunk(values: ArrayView2<f64>) -> Array2<f64> {
    let step = values.dim().0.max(values.dim().1).div_ceil(PIXELS);
    values.slice(s![..;step, ..;step]).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: Array2<f64>, signed: bool) -> Overlay {
        let (height, width) = values.dim();
        Overlay {
            title: "t".into(),
            picture: Array3::from_elem((height, width, 3), 100),
            values,
            signed,
        }
    }

    #[test]
    fn nothing_that_matters_leaves_the_picture_grey() {
        let mut values = Array2::zeros((20, 20));
        values[[3, 4]] = 1.0;
        for signed in [false, true] {
            let blended = chart(values.clone(), signed).blended();
            assert_eq!(blended.slice(s![0, 0, ..]).to_vec(), [100, 100, 100]);
            assert_ne!(blended.slice(s![3, 4, ..]).to_vec(), [100, 100, 100]);
        }
    }

    #[test]
    fn one_outlier_does_not_decide_the_scale() {
        let mut values = Array2::from_elem((40, 40), 1.0);
        values[[0, 0]] = 0.0;
        values[[1, 1]] = 1e6;
        assert_eq!(chart(values.clone(), false).range(), (0.0, 1.0));
        assert_eq!(chart(values, true).range(), (-1.0, 1.0));
        assert_eq!(chart(Array2::zeros((3, 3)), false).range(), (0.0, 1.0));
    }

    #[test]
    fn the_png_has_all_three_pictures_and_the_scale() {
        let bytes = overlay_png(&chart(Array2::eye(16), false)).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap().into_rgb8();
        assert!(picture.width() > 3 * 160 && picture.height() == 160);
        assert_eq!(picture.get_pixel(0, 0).0, [100, 100, 100]);
        assert_eq!(picture.get_pixel(2 * 168, 0).0, [253, 231, 37]);
        assert_eq!(picture.get_pixel(2 * 168 + 159, 0).0, [68, 1, 84]);
    }

    #[test]
    fn a_field_of_another_size_is_refused() {
        let mut wrong = chart(Array2::eye(4), false);
        wrong.picture = Array3::zeros((4, 5, 3));
        let told = overlay(&wrong).unwrap_err().to_string();
        assert!(told.contains("[4, 4]") && told.contains("[4, 5, 3]"), "{told}");
        assert!(overlay_png(&wrong).is_err());
    }
}
