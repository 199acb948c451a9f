//! Pictures side by side in one picture, for a PNG of its own or a tile of a gallery.

use ndarray::{Array3, s};

use crate::colour::Rgb;
use crate::png::upscale_nearest;

/// Pictures `[H, W, 1 or 3]` in rows of `columns`, in RGB on `paper`, with `gap` pixels between them; each enlarged by the same
/// whole factor so that the longest side of all is `side` or a little less.
///
/// A picture smaller than the largest stands in the middle of its place.
///
/// ```
/// let black = ndarray::Array3::<u8>::zeros((2, 3, 1));
/// let sheet = graticule_report::figures::tiles(&[black.clone(), black], 2, (6, 1), [255; 3]);
/// assert_eq!(sheet.dim(), (4, 13, 3));
/// ```
pub fn tiles(pictures: &[Array3<u8>], columns: usize, (side, gap): (usize, usize), paper: Rgb) -> Array3<u8> {
    let most = |axis: usize| pictures.iter().map(|p| p.shape()[axis]).max().unwrap_or(0).max(1);
    let (height, width) = (most(0), most(1));
    let factor = (side / height.max(width)).max(1);
    let columns = columns.clamp(1, pictures.len().max(1));
    let rows = pictures.len().div_ceil(columns).max(1);
    let (down, across) = (height * factor + gap, width * factor + gap);
    let mut sheet = Array3::from_shape_fn((rows * down - gap, columns * across - gap, 3), |(_, _, band)| {
        paper[band]
    });
    for (k, picture) in pictures.iter().enumerate() {
        let large = upscale_nearest(picture.view(), factor);
        let (high, wide, bands) = large.dim();
        let top = k / columns * down + (height * factor - high) / 2;
        let left = k % columns * across + (width * factor - wide) / 2;
        for band in 0..3 {
            let from = large.slice(s![.., .., band.min(bands.saturating_sub(1))]);
            sheet
                .slice_mut(s![top..top + high, left..left + wide, band])
                .assign(&from);
        }
    }
    sheet
}
