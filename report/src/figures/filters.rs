//! The filters of a first convolution as small pictures (row E3).

use ndarray::{Array3, ArrayView4, Axis, array, s};

use super::drawable;
use crate::svg::{self, Svg};
use crate::{Error, png};

/// Most tiles one figure shows.
const MOST: usize = 256;
/// Longest side of a tile on the paper.
const LARGEST: f64 = 84.0;
/// Most filters of which every channel has a tile.
const IN_A_ROW: usize = 32;
/// Fewer than this only where there are no more.
const FEWEST: usize = 8;
/// Pixels between tiles.
const GAP: usize = 2;

/// Draws convolution filters `[KH, KW, C, O]` as `O` tiles: RGB for `C` = 3, grey otherwise.
///
/// Each filter is scaled by its own largest weight, so that zero is mid-grey, black and white are minus and plus
/// that weight. With a number of channels that is neither 1 nor 3 each channel has a row of its own, and each filter a
/// column: a grey tile scaled by itself. Weights that are not finite are left transparent.
///
/// ```
/// let weights = ndarray::Array4::<f32>::zeros((5, 5, 1, 6));
/// let svg = graticule_report::figures::filters_grid("First layer", weights.view())?;
/// assert!(svg.contains("6 filters of 5 × 5 × 1"));
/// # Ok::<(), graticule_report::Error>(())
/// ```
///
/// # Errors
/// [`Error::Png`] when the picture cannot be encoded.
pub fn filters_grid(title: &str, weights: ArrayView4<f32>) -> Result<String, Error> {
    let (kh, kw, ..) = weights.dim();
    if weights.is_empty() {
        return Ok(svg::no_data(title, &[]));
    }
    let grid = Grid::of(weights);
    // Small filters are painted in blocks, so that the gap between tiles is thinner than a weight.
    let block = match kh.max(kw) {
        0..=8 => 5,
        9..=32 => 2,
        _ => 1,
    };
    let picture = grid.paint(weights, block);
    let (high, wide, _) = picture.dim();
    let scale = (520.0 / wide as f64)
        .min(420.0 / high as f64)
        .min(LARGEST / (kh.max(kw) * block) as f64);
    let (wide, high) = (wide as f64 * scale, high as f64 * scale);
    let note = grid.note;
    let mut svg = Svg::new((wide + 16.0).max(280.0), high + 62.0, &format!("{title}: {note}"));
    svg.title(title);
    svg.notes(&[note], 8.0, 41.0);
    svg.image(
        [8.0, 52.0, wide, high],
        &png::data_uri(&png::encode(picture.view())?),
        true,
        title,
    );
    Ok(svg.finish())
}

/// The tiles of [`filters_grid`] as a PNG file, each about 64 pixels wide.
///
/// # Errors
/// [`Error::Shape`] for weights without any number; [`Error::Png`].
pub fn filters_png(weights: ArrayView4<f32>) -> Result<Vec<u8>, Error> {
    let (kh, kw, ..) = weights.dim();
    if weights.is_empty() {
        let found = format!("weights of shape {:?}", weights.shape());
        return Err(Error::shape("filters", found, "[KH, KW, C, O], none of them 0"));
    }
    let block = (64 / kh.max(kw)).max(1);
    png::encode(Grid::of(weights).paint(weights, block).view())
}

/// Which filter, and which of its channels where it has no colours, stands where.
struct Grid {
    /// (channel, filter), row by row.
    tiles: Vec<(Option<usize>, usize)>,
    columns: usize,
    note: String,
}

impl Grid {
    fn of(weights: ArrayView4<f32>) -> Self {
        let (kh, kw, channels, filters) = weights.dim();
        let size = format!("{filters} filters of {kh} × {kw} × {channels}");
        let one_tile = matches!(channels, 1 | 3);
        let (shown, bands) = match one_tile {
            true => (filters.min(MOST), 1),
            false => {
                let shown = filters.min(IN_A_ROW).min((MOST / channels).max(FEWEST));
                (shown, channels.min(MOST / shown))
            }
        };
        let tile = |k: usize| match channels {
            3 => (None, k),
            _ => (Some(k / shown), k % shown),
        };
        let mut note = size;
        if !one_tile {
            note.push_str("; a row for each channel");
        }
        if shown < filters {
            note.push_str(&format!("; the first {shown} of {filters} filters"));
        }
        if bands < channels && !one_tile {
            note.push_str(&format!("; the first {bands} of {channels} channels"));
        }
        Self {
            tiles: (0..shown * bands).map(tile).collect(),
            columns: if one_tile {
                columns_for(shown, kh, kw)
            } else {
                shown
            },
            note,
        }
    }

    /// `[H, W, 4]`, a weight as a block of pixels.
    fn paint(&self, weights: ArrayView4<f32>, block: usize) -> Array3<u8> {
        let (kh, kw, ..) = weights.dim();
        let rows = self.tiles.len().div_ceil(self.columns);
        let (step_y, step_x) = (kh * block + GAP, kw * block + GAP);
        let mut picture = Array3::<u8>::zeros((rows * step_y - GAP, self.columns * step_x - GAP, 4));
        for (k, &(channel, filter)) in self.tiles.iter().enumerate() {
            let corner = (k / self.columns * step_y, k % self.columns * step_x);
            paint(&mut picture, (corner, block), weights, filter, channel);
        }
        picture
    }
}

/// A grid about 1.6 times as wide as high.
fn columns_for(tiles: usize, kh: usize, kw: usize) -> usize {
    let shape = 1.6 * (kh + 1) as f64 / (kw + 1) as f64;
    ((tiles as f64 * shape).sqrt().round() as usize).clamp(1, tiles)
}

/// Paints one filter at `(y, x)` in blocks of pixels: all three channels, or one as grey.
fn paint(
    picture: &mut Array3<u8>,
    ((top, left), block): ((usize, usize), usize),
    weights: ArrayView4<f32>,
    filter: usize,
    channel: Option<usize>,
) {
    let (kh, kw, ..) = weights.dim();
    let colour =
        |y: usize, x: usize| [0, 1, 2].map(|c| f64::from(weights[[y, x, channel.unwrap_or(c), filter]]));
    let cells = || (0..kh).flat_map(|y| (0..kw).map(move |x| (y, x)));
    let largest = cells()
        .flat_map(|(y, x)| colour(y, x))
        .filter(|w| drawable(*w))
        .fold(0.0f64, |most, w| most.max(w.abs()));
    let byte = |w: f64| {
        if largest > 0.0 {
            ((w / largest * 0.5 + 0.5) * 255.0).round() as u8
        } else {
            128
        }
    };
    for (y, x) in cells().filter(|&(y, x)| colour(y, x).iter().all(|w| drawable(*w))) {
        let [r, g, b] = colour(y, x).map(byte);
        let (y, x) = (top + y * block, left + x * block);
        let mut pixels = picture.slice_mut(s![y..y + block, x..x + block, ..]);
        for mut pixel in pixels.lanes_mut(Axis(2)) {
            pixel.assign(&array![r, g, b, 255]);
        }
    }
}
