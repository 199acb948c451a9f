//! The search for a picture: gradient ascent with what keeps pictures natural.

use graph::Symbol;
use ndarray::ArrayD;
use rand::RngExt;

use super::canvas::{Adam, Canvas};
use super::cosines::Cosines;
use super::penalty::total_variation;
use crate::attack::Pixels;
use crate::gradient::Slope;
use crate::random::{Purpose, rng};
use crate::{ExplainError, Subject};

/// How a picture is sought that a unit or a class answers to most.
///
/// From faint noise about the mean of the training pictures, Adam goes down the slope
/// −√n·∇a/‖∇a‖ + l2·x + tv·∇TV(x) for x as the network reads it (in deviations of the training pictures), with n numbers
/// in x. The slope of the unit a is used in its direction alone, so that one setting serves units of any size: the penalties say
/// how much a picture may deviate, not what the activation is worth. With `l2` alone the search ends where x is as large
/// as 1/l2 in root mean square: at the strongest picture of that contrast. After each step pixels are brought
/// back between black and white.
///
/// Sources: class pictures and L2 of Simonyan, Vedaldi & Zisserman 2013; blur of Yosinski et al. 2015; total variation of Mahendran &
/// Vedaldi 2014; jitter of Mordvintsev et al. 2015; waves of Olah, Mordvintsev & Schubert 2017.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// Steps.
    pub steps: usize,
    /// The length of Adam's first steps, in deviations; it falls linearly to a tenth.
    pub rate: f32,
    /// Whether waves are moved, low frequencies and grey most (1/f), in place of pixels.
    pub frequencies: bool,
    /// The network sees the picture shifted anew in each step, by up to this share of its shorter side each way.
    pub jitter: f32,
    /// Deviation of a Gaussian blur every eighth step, in pixels; 0 for none.
    pub blur: f32,
    /// Weight of the total variation.
    pub total_variation: f32,
    /// Weight of the square ‖x‖²/2.
    pub l2: f32,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            steps: 256,
            rate: 0.2,
            frequencies: true,
            jitter: 0.1,
            blur: 0.5,
            total_variation: 0.1,
            l2: 0.25,
        }
    }
}

/// Pictures that were found.
#[derive(Debug, Clone, PartialEq)]
pub struct Sought {
    /// `[N, H, W, C]`, encoded as the network reads them.
    pub pictures: ArrayD<f32>,
    /// What was to grow, at the start.
    pub before: Vec<f32>,
    /// What was to grow, at the end.
    pub after: Vec<f32>,
}

/// What is to grow: Σ weights · values of a node.
pub(super) struct Aim<'a> {
    pub method: &'static str,
    /// The node, lowered for inference.
    pub node: &'a Symbol,
    /// How many pictures.
    pub count: usize,
    /// Writes the weights of picture k.
    pub weights: &'a dyn Fn(usize, &mut [f32]),
}

/// Steps from one blur to the next.
const BLUR_EVERY: usize = 8;
/// Copies of a picture that the search holds.
const COPIES: usize = 8;

impl Search {
    fn check(&self) -> Result<(), ExplainError> {
        if self.steps == 0 || self.steps > 1_000_000 {
            return Err(ExplainError::setting("steps", self.steps, "1 to 1000000"));
        }
        let numbers = [
            ("rate", self.rate, f32::MIN_POSITIVE, 100.0),
            ("jitter", self.jitter, 0.0, 0.5),
            ("blur", self.blur, 0.0, 1000.0),
            ("total variation", self.total_variation, 0.0, 1e6),
            ("l2", self.l2, 0.0, 1e6),
        ];
        let bad = numbers
            .iter()
            .find(|(_, value, low, high)| !(low..=high).contains(&value));
        match bad {
            Some((name, value, _, high)) => Err(ExplainError::setting(
                name,
                value,
                format!("a number from 0 to {high}"),
            )),
            None => Ok(()),
        }
    }

    /// Looks for all pictures, in groups of bounded memory.
    pub(super) fn run(
        &self,
        subject: &mut Subject,
        pixels: &Pixels,
        aim: &Aim,
    ) -> Result<Sought, ExplainError> {
        self.check()?;
        let shape @ [height, width, channels] = pictures_of(subject, pixels, aim.method)?;
        let slope = Slope::new(
            aim.node,
            &subject.model().input().clone(),
            aim.method,
            &crate::gradient::plain,
        )?;
        let margin = (self.jitter * height.min(width) as f32).round() as usize;
        let sides = [height + 2 * margin, width + 2 * margin];
        let easel = Easel {
            search: self,
            shape,
            margin,
            seed: subject.key(),
            canvas: Canvas::new([sides[0], sides[1], channels], pixels, self.frequencies),
            cosines: Cosines::new(sides),
        };
        let most = (subject.room() / (4 * COPIES * easel.canvas.len())).max(1);
        let outputs = [slope.gradient, aim.node.clone()];
        let mut ready = subject.ready(&outputs, &[slope.weights], aim.count.min(most))?;
        let mut found = Sought {
            pictures: ArrayD::zeros(vec![aim.count, height, width, channels]),
            before: Vec::new(),
            after: Vec::new(),
        };
        let all = aim.count * (self.steps + 1);
        for first in (0..aim.count).step_by(ready.batch) {
            let count = ready.batch.min(aim.count - first);
            let mut works: Vec<Work> = (first..first + count).map(|k| easel.begin(k)).collect();
            for step in 0..=self.steps {
                in_parallel(subject.threads(), &mut works, |work| easel.show(work, step));
                let works = std::cell::RefCell::new(&mut works);
                let mut weights = vec![0.0; aim.node.shape().elements()];
                subject.run(
                    &mut ready,
                    0..count,
                    |k, parts| {
                        parts[0].copy_from_slice(&works.borrow()[k].view);
                        (aim.weights)(first + k, parts[1]);
                    },
                    |k, row| {
                        (aim.weights)(first + k, &mut weights);
                        works.borrow_mut()[k].seen(row, &weights);
                    },
                )?;
                let works = works.into_inner();
                if step < self.steps {
                    in_parallel(subject.threads(), works, |work| easel.advance(work, step));
                }
                subject.tell(first * (self.steps + 1) + count * (step + 1), all);
            }
            for work in &works {
                found.before.push(work.first);
                found.after.push(work.value);
            }
            let len = shape.iter().product::<usize>();
            let numbers = found.pictures.as_slice_mut().unwrap_or_default();
            for (to, work) in numbers[first * len..].chunks_mut(len).zip(&works) {
                to.copy_from_slice(&work.view);
            }
        }
        Ok(found)
    }
}

/// The shape of the pictures that a network reads, if the normalisation is one of them.
pub(super) fn pictures_of(
    subject: &Subject,
    pixels: &Pixels,
    method: &'static str,
) -> Result<[usize; 3], ExplainError> {
    let found = || format!("the network reads samples of shape {:?}", subject.sample_shape());
    match *subject.sample_shape() {
        [height, width, channels] if channels == pixels.channels() => Ok([height, width, channels]),
        [_, _, _] => {
            let expected = format!(
                "pictures of {} bands, as the normalisation has",
                pixels.channels()
            );
            Err(ExplainError::unsuited(method, found(), expected))
        }
        _ => Err(ExplainError::unsuited(
            method,
            found(),
            "pictures [H, W, C]; this kind of picture is of networks that read pictures",
        )),
    }
}

/// Does `job` for each piece of work on some threads; pieces know nothing of one another, so neither do the bits.
pub(super) fn in_parallel<T: Send>(threads: usize, works: &mut [T], job: impl Fn(&mut T) + Sync) {
    let each = works.len().div_ceil(threads.max(1)).max(1);
    if works.len() <= each {
        return works.iter_mut().for_each(job);
    }
    std::thread::scope(|scope| {
        for part in works.chunks_mut(each) {
            scope.spawn(|| part.iter_mut().for_each(&job));
        }
    });
}

/// What all pictures have in common.
struct Easel<'a> {
    search: &'a Search,
    shape: [usize; 3],
    margin: usize,
    seed: u64,
    /// The picture with its margin, out of which the network sees a part.
    canvas: Canvas,
    cosines: Cosines,
}

/// One picture on its way.
struct Work {
    number: u64,
    z: Vec<f32>,
    adam: Adam,
    x: Vec<f32>,
    slope: Vec<f32>,
    /// What the network sees, and the slope there.
    view: Vec<f32>,
    gradient: Vec<f32>,
    corner: [usize; 2],
    first: f32,
    value: f32,
}

impl Work {
    /// What the network gave: slope and values.
    fn seen(&mut self, row: &[&[f32]], weights: &[f32]) {
        self.gradient.copy_from_slice(row[0]);
        self.value = row[1].iter().zip(weights).map(|(v, w)| v * w).sum();
    }
}

impl Easel<'_> {
    fn begin(&self, number: usize) -> Work {
        let (len, view) = (self.canvas.len(), self.shape.iter().product());
        Work {
            number: number as u64,
            z: self.canvas.start(self.seed, number as u64),
            adam: Adam::new(len),
            x: vec![0.0; len],
            slope: vec![0.0; len],
            view: vec![0.0; view],
            gradient: vec![0.0; view],
            corner: [self.margin; 2],
            first: 0.0,
            value: 0.0,
        }
    }

    /// Paints the picture and cuts out what the network sees of it: the middle at the start and at the end.
    fn show(&self, work: &mut Work, step: usize) {
        work.corner = match step {
            0 => [self.margin; 2],
            step if step == self.search.steps => [self.margin; 2],
            step => {
                let mut rng = rng(self.seed, work.number, step as u64, Purpose::Jitter);
                [0, 1].map(|_| rng.random_range(0..=2 * self.margin))
            }
        };
        self.canvas.paint(&work.z, &mut work.x);
        let Work { x, view, corner, .. } = work;
        self.rows(*corner, |outer, inner| view[inner].copy_from_slice(&x[outer]));
    }

    /// Calls `visit` for each row of the view: where it lies on the canvas, and in the view.
    fn rows(
        &self,
        corner: [usize; 2],
        mut visit: impl FnMut(std::ops::Range<usize>, std::ops::Range<usize>),
    ) {
        let [height, width, channels] = self.shape;
        let (row, line) = (width * channels, (width + 2 * self.margin) * channels);
        for y in 0..height {
            let start = (corner[0] + y) * line + corner[1] * channels;
            visit(start..start + row, y * row..(y + 1) * row);
        }
    }

    /// One step of the search.
    fn advance(&self, work: &mut Work, step: usize) {
        if step == 0 {
            work.first = work.value;
        }
        let (search, [height, width, channels]) = (self.search, self.shape);
        let size = work
            .gradient
            .iter()
            .map(|&g| f64::from(g).powi(2))
            .sum::<f64>()
            .sqrt();
        let scale = match size.is_finite() && size > 0.0 {
            true => ((work.gradient.len() as f64).sqrt() / size) as f32,
            false => 0.0,
        };
        let Work {
            slope,
            gradient,
            x,
            corner,
            ..
        } = &mut *work;
        slope
            .iter_mut()
            .zip(x.iter())
            .for_each(|(slope, x)| *slope = search.l2 * x);
        if scale > 0.0 {
            self.rows(*corner, |outer, inner| {
                slope[outer]
                    .iter_mut()
                    .zip(&gradient[inner])
                    .for_each(|(slope, g)| *slope -= scale * g);
            });
        }
        if search.total_variation > 0.0 {
            let sides = [height + 2 * self.margin, width + 2 * self.margin, channels];
            total_variation(x, sides, 1.0, search.total_variation, slope);
        }
        self.canvas.pull(slope);
        let left = 1.0 - 0.9 * step as f32 / search.steps as f32;
        work.adam.step(&mut work.z, &work.slope, search.rate * left);
        if search.blur > 0.0 && step % BLUR_EVERY == BLUR_EVERY - 1 {
            self.canvas.blur(&mut work.z, &self.cosines, search.blur);
        }
        self.canvas.keep_valid(&mut work.z);
    }
}
