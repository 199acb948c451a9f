//! Grad-CAM (Selvaraju et al. 2016): feature maps of a layer, weighted by the mean gradient of each.

use graph::{Mode, lower};
use ndarray::ArrayD;

use crate::gradient::{Slope, plain};
use crate::layers::{named, spatial_layers};
use crate::method::Question;
use crate::{ExplainError, Explanation, Subject};

/// max(0, Σₖ αₖ Aₖ) with Aₖ the layer's k-th feature map and αₖ the mean of ∂score/∂Aₖ over it; the map is
/// enlarged to the picture, bilinearly.
///
/// The map is as coarse as the layer, and where the layer's fields of view are large its mass lies around what matters as
/// well as on it: on pictures whose label depends on a square of 8×8 alone, a network with 12×12 feature maps
/// put about half of it there (`explain/tests/known_square.rs` measures it), since the mean of a gradient knows of no place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GradCam {
    /// The path of the layer, as the layer table names it; the last one with a picture as its output if `None`.
    pub layer: Option<String>,
}

pub(crate) fn explain(
    subject: &mut Subject,
    question: &Question,
    settings: &GradCam,
) -> Result<Explanation, ExplainError> {
    let [height, width, _] = subject.picture("grad-cam")?;
    let mut layers = spatial_layers(subject.model());
    let (name, node) = match &settings.layer {
        Some(wanted) => named(layers, wanted, "with a picture as its output")?,
        None => layers.pop().ok_or_else(|| {
            let found = "the network has no layer with a picture as its output";
            let expected = "a convolutional network; use occlusion or integrated";
            ExplainError::unsuited("grad-cam", found, expected)
        })?,
    };
    // The layer is an output too, so that nothing of it is moved into other layers.
    let mut lowered = lower(&[subject.model().output().clone(), node], Mode::Infer)?.outputs;
    let (features, scores) = (lowered.remove(1), lowered.remove(0));
    let scores = crate::subject::unnormalised(&scores);
    let slope = Slope::new(&scores, &features, "grad-cam", &plain)?;
    let (rows, columns) = (features.shape()[1], features.shape()[2]);
    let pixels = height * width;
    let mut map = vec![0.0f32; question.count() * pixels];
    subject.each(
        &[features, slope.gradient],
        &[slope.weights],
        question.count(),
        |k, parts| {
            parts[0].copy_from_slice(question.sample(k));
            question.resolved.weights(k, parts[1]);
        },
        |k, found| {
            let cam = weighted(found[0], found[1], rows * columns);
            enlarge(
                &cam,
                [rows, columns],
                &mut map[k * pixels..(k + 1) * pixels],
                [height, width],
            );
        },
    )?;
    let map = ArrayD::from_shape_vec(vec![question.count(), height, width], map).unwrap_or_default();
    Ok(Explanation {
        layer: Some(name),
        ..Explanation::of(map)
    })
}

/// max(0, Σₖ αₖ Aₖ) of features `[pixels, K]` and their gradient.
fn weighted(features: &[f32], gradient: &[f32], pixels: usize) -> Vec<f32> {
    let channels = features.len() / pixels;
    let mut alpha = vec![0.0f64; channels];
    for pixel in gradient.chunks(channels) {
        alpha
            .iter_mut()
            .zip(pixel)
            .for_each(|(a, &g)| *a += f64::from(g) / pixels as f64);
    }
    let value = |pixel: &[f32]| {
        pixel
            .iter()
            .zip(&alpha)
            .map(|(&f, a)| f64::from(f) * a)
            .sum::<f64>()
    };
    features
        .chunks(channels)
        .map(|pixel| value(pixel).max(0.0) as f32)
        .collect()
}

/// Bilinear, pixel centres at halves, edges repeated.
pub(crate) fn enlarge(
    from: &[f32],
    [rows, columns]: [usize; 2],
    to: &mut [f32],
    [height, width]: [usize; 2],
) {
    let taps = |at: usize, small: usize, large: usize| {
        let place = ((at as f32 + 0.5) * small as f32 / large as f32 - 0.5).clamp(0.0, (small - 1) as f32);
        let below = place as usize;
        (below, (below + 1).min(small - 1), place - below as f32)
    };
    let across: Vec<_> = (0..width).map(|x| taps(x, columns, width)).collect();
    for (y, line) in to.chunks_mut(width).enumerate() {
        let (top, bottom, down) = taps(y, rows, height);
        for (value, &(left, right, along)) in line.iter_mut().zip(&across) {
            let row = |y: usize| {
                let (a, b) = (from[y * columns + left], from[y * columns + right]);
                a + (b - a) * along
            };
            *value = row(top) + (row(bottom) - row(top)) * down;
        }
    }
}
