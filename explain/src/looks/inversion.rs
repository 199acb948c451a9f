//! What a layer still knows of a picture: natural pre-images (row E5).

use graph::ops::UnaryKind;
use graph::{Mode, Symbol, differentiate, lower, topological};
use ndarray::{ArrayD, Axis};

use super::canvas::{Adam, Canvas};
use super::penalty::{alpha_norm, total_variation};
use super::search::{in_parallel, pictures_of};
use crate::attack::Pixels;
use crate::layers::{layers, named};
use crate::{ExplainError, Subject};

/// How a picture is sought that a layer cannot tell from another.
///
/// argmin over x of ‖φ(x) − φ(x₀)‖²/‖φ(x₀)‖² + (λ_α·Σ|x/3|^α + λ_V·TV_β(x) + λ_R·Σd²)/n, with φ the layer's output, x as the
/// network reads it (deviations of the training pictures), n its numbers, TV_β(x) = Σ((∂x/∂right)² + (∂x/∂down)²)^(β/2)
/// (Mahendran & Vedaldi 2014, equations 2 to 4), and d by how much a pixel is darker than black or brighter
/// than white. Adam moves x from faint noise; its step falls to 0 along a quarter of a cosine. At the end pixels are brought
/// between black and white; done after every step, that held back waves, which reach all pixels (on digits with
/// their black ground the outputs of deep layers stayed two to four times as far off as with the penalty).
#[derive(Debug, Clone, PartialEq)]
pub struct Inversion {
    /// Steps.
    pub steps: usize,
    /// The length of Adam's first steps, in deviations.
    pub rate: f32,
    /// Whether waves are moved in place of pixels ([`super::Search::frequencies`]).
    pub frequencies: bool,
    /// α.
    pub alpha: f32,
    /// λ_α.
    pub alpha_weight: f32,
    /// β.
    pub beta: f32,
    /// λ_V.
    pub variation_weight: f32,
    /// λ_R.
    pub range_weight: f32,
}

impl Default for Inversion {
    fn default() -> Self {
        Self {
            steps: 400,
            rate: 0.1,
            frequencies: true,
            alpha: 6.0,
            alpha_weight: 1e-3,
            beta: 2.0,
            variation_weight: 0.02,
            range_weight: 10.0,
        }
    }
}

/// Pre-images of some pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct PreImages {
    /// The layer's path.
    pub layer: String,
    /// `[N, H, W, C]`, encoded as the network reads them.
    pub pictures: ArrayD<f32>,
    /// ‖φ(x) − φ(x₀)‖/‖φ(x₀)‖ of each.
    pub errors: Vec<f32>,
    /// Root mean square of x − x₀ of each, in deviations of the training pictures.
    pub distances: Vec<f32>,
}

/// Pictures that the layer cannot tell from `inputs` `[N, H, W, C]`, as natural as two penalties make them: what they lack of
/// the input the layer has forgotten.
///
/// # Errors
/// [`ExplainError::Layer`] for a layer that does not exist; [`ExplainError::Unsuited`] for networks that read no pictures, layers without a
/// gradient, and layers that answer with nothing but zeros; [`ExplainError::Inputs`]; [`ExplainError::Setting`].
pub fn invert(
    subject: &mut Subject,
    pixels: &Pixels,
    inputs: &ArrayD<f32>,
    layer: &str,
    settings: &Inversion,
) -> Result<PreImages, ExplainError> {
    settings.check()?;
    let shape = pictures_of(subject, pixels, "inversion")?;
    let count = subject.count(inputs)?;
    let (layer, node) = named(layers(subject.model()), layer, "")?;
    let features = lower(&[node], Mode::Infer)?.outputs.remove(0);
    let inputs = inputs.as_standard_layout().into_owned();
    let wanted = answers(subject, &features, &inputs)?;
    if wanted.iter().any(|of| !(of.1.is_finite() && of.1 > 0.0)) {
        let found = format!("layer `{layer}` answers with nothing but zeros");
        return Err(ExplainError::unsuited(
            "inversion",
            found,
            "a layer that is not silent for the input",
        ));
    }
    let target = Symbol::input("features wanted", features.shape()[1..].to_vec());
    let loss = features.sub(&target)?.unary(UnaryKind::Square)?.sum()?;
    let gradient = differentiate(&loss, std::slice::from_ref(subject.model().input()))?.remove(0);
    if !topological(std::slice::from_ref(&gradient)).contains(&target) {
        let found = format!("no gradient gets from layer `{layer}` back to the picture");
        return Err(ExplainError::unsuited(
            "inversion",
            found,
            "a layer that is differentiable all the way",
        ));
    }
    let canvas = Canvas::new(shape, pixels, settings.frequencies);
    let mut ready = subject.ready(&[gradient, features], &[target], count)?;
    let mut found = PreImages {
        layer,
        pictures: ArrayD::zeros(inputs.raw_dim()),
        errors: Vec::new(),
        distances: Vec::new(),
    };
    let len = canvas.len();
    for first in (0..count).step_by(ready.batch) {
        let here = ready.batch.min(count - first);
        let mut works: Vec<Work> = (first..first + here)
            .map(|k| Work::new(&canvas, subject.key(), k, wanted[k].1))
            .collect();
        for step in 0..=settings.steps {
            let cell = std::cell::RefCell::new(&mut works);
            subject.run(
                &mut ready,
                0..here,
                |k, parts| {
                    parts[0].copy_from_slice(&cell.borrow()[k].x);
                    parts[1].copy_from_slice(&wanted[first + k].0);
                },
                |k, row| cell.borrow_mut()[k].seen(row, &wanted[first + k].0),
            )?;
            if step < settings.steps {
                in_parallel(subject.threads(), &mut works, |work| {
                    settings.advance(work, &canvas, shape, step)
                });
            }
            subject.tell(
                first * (settings.steps + 1) + here * (step + 1),
                count * (settings.steps + 1),
            );
        }
        let numbers = found.pictures.as_slice_mut().unwrap_or_default();
        for (k, work) in works.iter().enumerate() {
            numbers[(first + k) * len..(first + k + 1) * len].copy_from_slice(&work.x);
            found.errors.push(work.error);
            found
                .distances
                .push(apart(&work.x, inputs.index_axis(Axis(0), first + k).iter()));
        }
    }
    Ok(found)
}

/// Root mean square of a difference.
fn apart<'a>(x: &[f32], of: impl Iterator<Item = &'a f32>) -> f32 {
    let squares = x.iter().zip(of).map(|(a, b)| f64::from(a - b).powi(2));
    (squares.sum::<f64>() / x.len().max(1) as f64).sqrt() as f32
}

/// What the layer says of each input, and the square of its length.
fn answers(
    subject: &mut Subject,
    features: &Symbol,
    inputs: &ArrayD<f32>,
) -> Result<Vec<(Vec<f32>, f64)>, ExplainError> {
    let count = inputs.shape()[0];
    let len = inputs.len() / count;
    let flat = inputs.as_slice().unwrap_or_default();
    let mut wanted = Vec::with_capacity(count);
    subject.each(
        std::slice::from_ref(features),
        &[],
        count,
        |k, parts| parts[0].copy_from_slice(&flat[k * len..(k + 1) * len]),
        |_, row| {
            let square = row[0].iter().map(|&v| f64::from(v).powi(2)).sum();
            wanted.push((row[0].to_vec(), square));
        },
    )?;
    Ok(wanted)
}

/// One picture on its way.
struct Work {
    z: Vec<f32>,
    x: Vec<f32>,
    slope: Vec<f32>,
    adam: Adam,
    /// ‖φ(x₀)‖².
    length: f64,
    error: f32,
}

impl Work {
    fn new(canvas: &Canvas, seed: u64, number: usize, length: f64) -> Self {
        let z = canvas.start(seed, number as u64);
        let mut x = vec![0.0; z.len()];
        canvas.paint(&z, &mut x);
        Self {
            slope: vec![0.0; z.len()],
            adam: Adam::new(z.len()),
            z,
            x,
            length,
            error: f32::NAN,
        }
    }

    /// What the network gave: the slope of ‖φ(x) − φ(x₀)‖², and φ(x).
    fn seen(&mut self, row: &[&[f32]], wanted: &[f32]) {
        let share = (1.0 / self.length) as f32;
        self.slope
            .iter_mut()
            .zip(row[0])
            .for_each(|(slope, g)| *slope = g * share);
        let squares = row[1].iter().zip(wanted).map(|(a, b)| f64::from(a - b).powi(2));
        self.error = (squares.sum::<f64>() / self.length).sqrt() as f32;
    }
}

impl Inversion {
    fn check(&self) -> Result<(), ExplainError> {
        if self.steps == 0 || self.steps > 1_000_000 {
            return Err(ExplainError::setting("steps", self.steps, "1 to 1000000"));
        }
        let numbers = [
            ("rate", self.rate, f32::MIN_POSITIVE, 100.0),
            ("alpha", self.alpha, 1.0, 100.0),
            ("weight of the alpha norm", self.alpha_weight, 0.0, 1e6),
            ("beta", self.beta, 1.0, 4.0),
            ("weight of the total variation", self.variation_weight, 0.0, 1e6),
            ("weight of the range", self.range_weight, 0.0, 1e6),
        ];
        let bad = numbers
            .iter()
            .find(|(_, value, low, high)| !(low..=high).contains(&value));
        match bad {
            Some((name, value, low, high)) => Err(ExplainError::setting(
                name,
                value,
                format!("a number from {low} to {high}"),
            )),
            None => Ok(()),
        }
    }

    /// One step of the search.
    fn advance(&self, work: &mut Work, canvas: &Canvas, shape: [usize; 3], step: usize) {
        const BOUND: f32 = 3.0;
        let n = work.x.len() as f32;
        total_variation(
            &work.x,
            shape,
            self.beta,
            self.variation_weight / n,
            &mut work.slope,
        );
        alpha_norm(&work.x, self.alpha, BOUND, self.alpha_weight / n, &mut work.slope);
        canvas.stay(&work.x, self.range_weight / n, &mut work.slope);
        canvas.pull(&mut work.slope);
        let left = (std::f32::consts::FRAC_PI_2 * step as f32 / self.steps as f32).cos();
        work.adam.step(&mut work.z, &work.slope, self.rate * left);
        if step + 1 == self.steps {
            canvas.keep_valid(&mut work.z);
        }
        canvas.paint(&work.z, &mut work.x);
    }
}
