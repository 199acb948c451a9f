//! Occlusion (row E1; Zeiler & Fergus 2013): hides parts of the picture and sees what the network says then.

use ndarray::{Array3, ArrayD};

use crate::method::Question;
use crate::{ExplainError, Explanation, Fill, Subject};

/// A rectangle is moved over the picture in strides from the upper left, so that it comes over every pixel; at the right and lower
/// edge it may reach beyond the picture.
///
/// [`Explanation::hidden`] is what the network says of the target at each place of the rectangle (in row E1: P(elephant)
/// 0.95 → 0.75 with the rectangle before the head). The map is the drop: for each pixel, p(x) − p(x hidden), averaged
/// over the places that hide it. Positive where hiding costs, negative where hiding helps.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Occlusion {
    /// Height and width of the rectangle, in pixels; a fifth of the picture (two pixels at least) if `None`.
    pub size: Option<[usize; 2]>,
    /// Rows and columns from one place to the next; half the rectangle if `None`.
    pub stride: Option<[usize; 2]>,
    /// What stands in the rectangle.
    pub fill: Fill,
}

/// Places of the rectangle in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    image: [usize; 2],
    size: [usize; 2],
    stride: [usize; 2],
    /// How many, down and across.
    pub count: [usize; 2],
}

impl Places {
    fn new(settings: &Occlusion, image: [usize; 2]) -> Result<Self, ExplainError> {
        let size = settings
            .size
            .unwrap_or(image.map(|side| (side / 5).max(2).min(side)));
        let stride = settings.stride.unwrap_or(size.map(|side| (side / 2).max(1)));
        for axis in 0..2 {
            if !(1..=image[axis]).contains(&size[axis]) {
                let expected = format!("1 to {} pixels, the side of the picture", image[axis]);
                return Err(ExplainError::setting("mask size", size[axis], expected));
            }
            if !(1..=size[axis]).contains(&stride[axis]) {
                let expected = format!(
                    "1 to {}, the side of the mask, so that no pixel is left out",
                    size[axis]
                );
                return Err(ExplainError::setting("mask stride", stride[axis], expected));
            }
        }
        let count = std::array::from_fn(|a| 1 + (image[a] - size[a]).div_ceil(stride[a]));
        Ok(Self {
            image,
            size,
            stride,
            count,
        })
    }

    fn len(&self) -> usize {
        self.count[0] * self.count[1]
    }

    /// The pixels under the rectangle at `place`, as y·W + x.
    fn pixels(&self, place: usize) -> impl Iterator<Item = usize> + use<> {
        let [height, width] = self.image;
        let at = [place / self.count[1], place % self.count[1]];
        let [top, left] = [at[0] * self.stride[0], at[1] * self.stride[1]];
        let (rows, columns) = (
            top..(top + self.size[0]).min(height),
            left..(left + self.size[1]).min(width),
        );
        rows.flat_map(move |y| columns.clone().map(move |x| y * width + x))
    }
}

pub(crate) fn explain(
    subject: &mut Subject,
    question: &Question,
    settings: &Occlusion,
) -> Result<Explanation, ExplainError> {
    let [height, width, bands] = subject.picture("occlusion")?;
    let places = Places::new(settings, [height, width])?;
    let fill = settings.fill.bands(bands)?;
    let (count, each) = (question.count(), places.len());
    let mut hidden = vec![0.0f32; count * each];
    let outputs = [subject.prediction().clone()];
    subject.each(
        &outputs,
        &[],
        count * each,
        |row, parts| {
            parts[0].copy_from_slice(question.sample(row / each));
            for pixel in places.pixels(row % each) {
                parts[0][pixel * bands..(pixel + 1) * bands].copy_from_slice(&fill);
            }
        },
        |row, found| hidden[row] = question.resolved.prediction(row / each, found[0]),
    )?;
    let mut map = vec![0.0f32; count * height * width];
    for (k, map) in map.chunks_mut(height * width).enumerate() {
        drops(
            &places,
            question.answers.predictions[k],
            &hidden[k * each..(k + 1) * each],
            map,
        );
    }
    Ok(Explanation {
        hidden: Array3::from_shape_vec((count, places.count[0], places.count[1]), hidden).ok(),
        ..Explanation::of(ArrayD::from_shape_vec(vec![count, height, width], map).unwrap_or_default())
    })
}

/// For each pixel the mean of p − hidden over the places that hide it.
fn drops(places: &Places, p: f32, hidden: &[f32], map: &mut [f32]) {
    let mut covers = vec![0u32; map.len()];
    for (place, said) in hidden.iter().enumerate() {
        for pixel in places.pixels(place) {
            map[pixel] += p - said;
            covers[pixel] += 1;
        }
    }
    map.iter_mut()
        .zip(covers)
        .for_each(|(drop, n)| *drop /= n.max(1) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rectangle_comes_over_every_pixel() {
        for (image, size, stride) in [
            ([7, 5], [3, 2], [2, 2]),
            ([8, 8], [8, 8], [1, 1]),
            ([9, 4], [2, 3], [2, 1]),
        ] {
            let settings = Occlusion {
                size: Some(size),
                stride: Some(stride),
                ..Occlusion::default()
            };
            let places = Places::new(&settings, image).unwrap_or_else(|e| panic!("{e}"));
            let mut seen = vec![0; image[0] * image[1]];
            (0..places.len())
                .flat_map(|p| places.pixels(p))
                .for_each(|pixel| seen[pixel] += 1);
            assert!(seen.iter().all(|&n| n > 0), "{places:?}: {seen:?}");
        }
    }
}
