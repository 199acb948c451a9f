//! A universal adversarial patch (Brown et al. 2017): one small picture that makes a network say the same class wherever
//! it lies in whatever picture, like the sticker that turns everything into a toaster.

use engine::Parameters;
use ndarray::{Array3, s};
use rand::RngExt;

use super::{Adversary, Pixels};
use crate::ExplainError;
use crate::random::{Purpose, rng};

/// Smallest side of a pasted patch, as a share of its largest.
const SMALLEST: f64 = 0.8;

/// How a patch is learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchPlan {
    /// The class it is to be taken for.
    pub class: usize,
    /// The largest share of the picture's area that it covers.
    pub share: f64,
    /// Steps, each on one batch.
    pub steps: usize,
    /// How far a pixel moves in a step (Adam's learning rate).
    pub rate: f32,
    /// Keys its first pixels and the places where it is pasted.
    pub seed: u64,
}

/// Where a patch lies: its upper left corner and its side, in pixels of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Row of the upper edge.
    pub top: usize,
    /// Column of the left edge.
    pub left: usize,
    /// Rows and columns that it covers.
    pub side: usize,
}

/// A square picture of pixels between 0 and 1, `[S, S, C]`, at its largest size.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// The pixels.
    pub pixels: Array3<f32>,
}

impl Patch {
    /// The side of the largest square that covers at most `share` of a picture.
    pub fn side_for(share: f64, height: usize, width: usize) -> usize {
        let side = (share.clamp(0.0, 1.0) * (height * width) as f64).sqrt() as usize;
        side.min(height).min(width)
    }

    /// Pixels drawn at random: where learning begins, and what a learnt patch must beat.
    pub fn random(side: usize, channels: usize, seed: u64) -> Self {
        let mut rng = rng(seed, 0, 0, Purpose::Patch);
        Self {
            pixels: Array3::from_shape_simple_fn((side, side, channels), || rng.random::<f32>()),
        }
    }

    /// Its largest side.
    pub fn side(&self) -> usize {
        self.pixels.dim().0
    }

    /// A random place and size in a picture, named by `key`.
    pub fn place(&self, height: usize, width: usize, [seed, first, second]: [u64; 3]) -> Placement {
        let mut rng = rng(seed, first, second, Purpose::Place);
        let mut upto = |most: usize| (((most + 1) as f64 * rng.random::<f64>()) as usize).min(most);
        let smallest = ((self.side() as f64 * SMALLEST).ceil() as usize).max(1);
        let side = smallest + upto(self.side().saturating_sub(smallest));
        Placement {
            top: upto(height.saturating_sub(side)),
            left: upto(width.saturating_sub(side)),
            side,
        }
    }

    /// Pastes it onto a sample `[height, width, C]` as the network reads it.
    pub fn paste(&self, sample: &mut [f32], width: usize, placement: Placement, pixels: &Pixels) {
        let channels = self.pixels.dim().2;
        for (y, x) in cells(placement.side) {
            let place = ((placement.top + y) * width + placement.left + x) * channels;
            for c in 0..channels {
                let mixed: f32 = self
                    .reads(placement.side, y, x)
                    .map(|(at, w)| w * self.pixels[[at[0], at[1], c]])
                    .sum();
                sample[place + c] = pixels.encode(place + c, mixed);
            }
        }
    }

    /// The transpose of [`Patch::paste`]: adds the slope in every pixel of the patch to `sum`.
    fn collect(
        &self,
        slopes: &[f32],
        width: usize,
        placement: Placement,
        pixels: &Pixels,
        sum: &mut Array3<f32>,
    ) {
        let channels = self.pixels.dim().2;
        for (y, x) in cells(placement.side) {
            let place = ((placement.top + y) * width + placement.left + x) * channels;
            for (at, w) in self.reads(placement.side, y, x) {
                for c in 0..channels {
                    sum[[at[0], at[1], c]] += w * slopes[place + c] / pixels.std(place + c);
                }
            }
        }
    }

    /// The pixels that cell (y, x) of a patch of this side is mixed of, with their weights (bilinear).
    fn reads(&self, side: usize, y: usize, x: usize) -> impl Iterator<Item = ([usize; 2], f32)> + use<> {
        let full = self.side();
        let along = move |k: usize| {
            let at = ((k as f32 + 0.5) * full as f32 / side as f32 - 0.5).clamp(0.0, (full - 1) as f32);
            let low = at as usize;
            [(low, 1.0 - at.fract()), ((low + 1).min(full - 1), at.fract())]
        };
        let (rows, columns) = (along(y), along(x));
        (0..4).map(move |k| {
            let ((row, a), (column, b)) = (rows[k / 2], columns[k % 2]);
            ([row, column], a * b)
        })
    }
}

fn cells(side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..side * side).map(move |k| (k / side, k % side))
}

/// Learns a patch on samples that `batch` gives: it is told the step and fills a vector with samples as the network
/// reads them. Adam goes down the loss of the wanted class, averaged over pictures, places and sizes. `told` hears after
/// each step how many are done.
///
/// # Errors
/// [`ExplainError::Setting`] for a patch of no pixel, [`ExplainError::Target`] for a class that does not exist; what
/// `batch` and the engine answer.
pub fn learn_patch<E: From<ExplainError>>(
    adversary: &mut Adversary,
    parameters: &mut Parameters,
    [height, width]: [usize; 2],
    plan: &PatchPlan,
    mut batch: impl FnMut(usize, &mut Vec<f32>) -> Result<(), E>,
    mut told: impl FnMut(usize),
) -> Result<Patch, E> {
    let pixels = adversary.pixels().clone();
    let side = Patch::side_for(plan.share, height, width);
    if side == 0 {
        let expected = format!(
            "a share of at least {:.4}, which is one pixel",
            1.0 / (height * width) as f64
        );
        return Err(ExplainError::setting("patch share", plan.share, expected).into());
    }
    let mut patch = Patch::random(side, pixels.channels(), plan.seed);
    let mut adam = Adam::new(&patch, plan.rate);
    let sample = height * width * pixels.channels();
    let mut samples = Vec::new();
    for step in 0..plan.steps {
        batch(step, &mut samples)?;
        let count = samples.len() / sample;
        let place =
            |patch: &Patch, k: usize| patch.place(height, width, [plan.seed, 1 + step as u64, k as u64]);
        for (k, picture) in samples.chunks_exact_mut(sample).enumerate() {
            patch.paste(picture, width, place(&patch, k), &pixels);
        }
        let labels = vec![plan.class as f32; count];
        let slopes = adversary.slopes(parameters, &samples, &labels)?;
        let mut sum = Array3::zeros(patch.pixels.raw_dim());
        for (k, slopes) in slopes.chunks_exact(sample).enumerate() {
            patch.collect(slopes, width, place(&patch, k), &pixels, &mut sum);
        }
        adam.step(&mut patch, &sum);
        told(step + 1);
    }
    Ok(patch)
}

/// Adam on pixels (Kingma & Ba 2014), which are clipped to 0 to 1.
struct Adam {
    rate: f32,
    steps: i32,
    mean: Array3<f32>,
    square: Array3<f32>,
}

impl Adam {
    fn new(patch: &Patch, rate: f32) -> Self {
        let zeros = Array3::zeros(patch.pixels.raw_dim());
        Self {
            rate,
            steps: 0,
            mean: zeros.clone(),
            square: zeros,
        }
    }

    fn step(&mut self, patch: &mut Patch, slope: &Array3<f32>) {
        self.steps += 1;
        let (a, b) = (0.9f32, 0.999f32);
        let (fresh_a, fresh_b) = (1.0 - a.powi(self.steps), 1.0 - b.powi(self.steps));
        self.mean.zip_mut_with(slope, |m, g| *m = a * *m + (1.0 - a) * g);
        self.square
            .zip_mut_with(slope, |v, g| *v = b * *v + (1.0 - b) * g * g);
        let moments = self.mean.iter().zip(&self.square);
        for (p, (m, v)) in patch.pixels.slice_mut(s![.., .., ..]).iter_mut().zip(moments) {
            let step = self.rate * (m / fresh_a) / ((v / fresh_b).sqrt() + 1e-12);
            *p = (*p - step).clamp(0.0, 1.0);
        }
    }
}
