//! RISE (Petsiuk, Das & Saenko 2018): random masks, weighted by what the network says of the masked picture.

use ndarray::ArrayD;
use rand::RngExt;

use crate::method::Question;
use crate::random::{Purpose, rng};
use crate::{ExplainError, Explanation, Fill, Subject};

/// E\[p(x ⊙ M) | pixel shown\], estimated as Σᵢ p(x ⊙ Mᵢ) Mᵢ / Σᵢ Mᵢ.
///
/// Each mask is a grid of `cells` × `cells` that are shown with probability `shown`, enlarged bilinearly and moved by a random
/// part of a cell. The map's level is the mean of p, not 0, so its mass spreads over the whole picture: what matters stands out
/// by its height alone (`explain/tests/known_square.rs` has the measure).
#[derive(Debug, Clone, PartialEq)]
pub struct Rise {
    /// How many masks.
    pub masks: usize,
    /// Cells of the grid, down and across.
    pub cells: usize,
    /// The share of cells that are shown.
    pub shown: f32,
    /// What stands where the picture is not shown.
    pub fill: Fill,
}

impl Default for Rise {
    /// 1,000 masks of 7×7 cells, half of them shown. The paper uses 4,000 to 8,000 masks.
    fn default() -> Self {
        Self {
            masks: 1000,
            cells: 7,
            shown: 0.5,
            fill: Fill::default(),
        }
    }
}

pub(crate) fn explain(
    subject: &mut Subject,
    question: &Question,
    settings: &Rise,
) -> Result<Explanation, ExplainError> {
    let [height, width, bands] = subject.picture("rise")?;
    check(settings, height.min(width))?;
    let fill = settings.fill.bands(bands)?;
    let (count, pixels, seed) = (question.count(), height * width, subject.key());
    let outputs = [subject.prediction().clone()];
    let make = |number: usize| mask(settings, seed, number, [height, width]);
    let mut said = vec![0.0f32; settings.masks * count];
    // Rows of one mask follow one another, so that it is made once.
    let mut current = (usize::MAX, Vec::new());
    subject.each(
        &outputs,
        &[],
        settings.masks * count,
        |row, parts| {
            if current.0 != row / count {
                current = (row / count, make(row / count));
            }
            let sample = question.sample(row % count).chunks(bands);
            for ((to, from), &m) in parts[0].chunks_mut(bands).zip(sample).zip(&current.1) {
                for ((to, &value), &fill) in to.iter_mut().zip(from).zip(&fill) {
                    *to = fill + m * (value - fill);
                }
            }
        },
        |row, found| said[row] = question.resolved.prediction(row % count, found[0]),
    )?;
    let mut sums = vec![0.0f64; count * pixels];
    let mut shown = vec![0.0f64; pixels];
    for (number, said) in said.chunks(count).enumerate() {
        let mask = make(number);
        shown
            .iter_mut()
            .zip(&mask)
            .for_each(|(sum, &m)| *sum += f64::from(m));
        for (&p, sums) in said.iter().zip(sums.chunks_mut(pixels)) {
            sums.iter_mut()
                .zip(&mask)
                .for_each(|(sum, &m)| *sum += f64::from(p * m));
        }
    }
    let map = sums
        .iter()
        .zip(shown.iter().cycle())
        .map(|(sum, shown)| (sum / shown.max(1e-9)) as f32);
    Ok(Explanation::of(
        ArrayD::from_shape_vec(vec![count, height, width], map.collect()).unwrap_or_default(),
    ))
}

fn check(settings: &Rise, side: usize) -> Result<(), ExplainError> {
    if !(1..=1_000_000).contains(&settings.masks) {
        return Err(ExplainError::setting("masks", settings.masks, "1 to 1000000"));
    }
    if !(1..=side).contains(&settings.cells) {
        let expected = format!("1 to {side} cells, the side of the picture");
        return Err(ExplainError::setting("cells", settings.cells, expected));
    }
    match settings.shown > 0.0 && settings.shown < 1.0 {
        true => Ok(()),
        false => Err(ExplainError::setting(
            "shown",
            settings.shown,
            "a share between 0 and 1",
        )),
    }
}

/// Mask `number`: values from 0, hidden, to 1, shown, `[H, W]`.
fn mask(settings: &Rise, seed: u64, number: usize, image: [usize; 2]) -> Vec<f32> {
    let mut random = rng(seed, number as u64, 0, Purpose::Mask);
    // One cell more than fits, so that the grid can be moved by up to a cell.
    let side = settings.cells + 1;
    let grid: Vec<f32> = (0..side * side)
        .map(|_| f32::from(random.random::<f32>() < settings.shown))
        .collect();
    let cell = image.map(|length| length.div_ceil(settings.cells));
    let offset: [usize; 2] = std::array::from_fn(|a| (random.random::<f32>() * cell[a] as f32) as usize);
    let large = cell.map(|length| length * side);
    let mut whole = vec![0.0; large[0] * large[1]];
    crate::grad_cam::enlarge(&grid, [side, side], &mut whole, large);
    let line = |y: usize| {
        let start = (y + offset[0]) * large[1] + offset[1];
        whole[start..start + image[1]].to_vec()
    };
    (0..image[0]).flat_map(line).collect()
}
