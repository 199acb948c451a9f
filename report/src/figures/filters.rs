//! The filters of a first convolution as small pictures (row E3).

use ndarray::{Array3, ArrayView4, Axis, array, s};

use super::drawable;
use crate::svg::{self, Svg};
use crate::{Error, png};

/// Most tiles one figure shows.
const MOST: usize = 256;
/// Longest side of a tile on the paper.
const LARGEST: f64 = 84.0;
/// Pixels between tiles.
const GAP: usize = 2;

/// Draws convolution filters `[KH, KW, C, O]` as `O` tiles: RGB for `C` = 3, grey otherwise.
///
/// Each filter is scaled by its own largest weight, so that zero is mid-grey, black and white are minus and plus
/// that weight. With a number of channels that is neither 1 nor 3 every channel of every filter has its own tile.
/// Weights that are not finite are left transparent.
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
    let (kh, kw, channels, filters) = weights.dim();
    if weights.is_empty() {
        return Ok(svg::no_data(title, &[]));
    }
    let colour = channels == 3;
    let all = if colour { filters } else { channels * filters };
    let tiles = all.min(MOST);
    let columns = columns_for(tiles, kh, kw);
    let rows = tiles.div_ceil(columns);
    // Small filters are painted in blocks, so that the gap between tiles is thinner than a weight.
    let block = if kh.max(kw) <= 8 { 5 } else { 2 };
    let (step_y, step_x) = (kh * block + GAP, kw * block + GAP);
    let mut picture = Array3::<u8>::zeros((rows * step_y - GAP, columns * step_x - GAP, 4));
    for tile in 0..tiles {
        let corner = (tile / columns * step_y, tile % columns * step_x);
        let (channel, filter) = if colour {
            (None, tile)
        } else {
            (Some(tile % channels), tile / channels)
        };
        paint(&mut picture, (corner, block), weights, filter, channel);
    }
    let (high, wide, _) = picture.dim();
    let scale = (520.0 / wide as f64)
        .min(420.0 / high as f64)
        .min(LARGEST / (kh.max(kw) * block) as f64);
    let (wide, high) = (wide as f64 * scale, high as f64 * scale);
    let size = format!("{filters} filters of {kh} × {kw} × {channels}");
    let note = if all > tiles {
        format!("{size}; the first {tiles} of {all} tiles")
    } else {
        size
    };
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
