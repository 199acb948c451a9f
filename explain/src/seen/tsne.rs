//! t-SNE (van der Maaten & Hinton 2008): points in the plane so that near ones stay near.

use ndarray::{Array2, ArrayView2};
use rand_distr::{Distribution, StandardNormal};

use super::distances::{check, squared};
use super::pca::pca;
use crate::ExplainError;
use crate::random::{Purpose, rng};

/// Iterations with exaggerated affinities.
const EARLY: usize = 250;
/// Iterations between two looks at the divergence.
const LOOK: usize = 50;
/// Steps end where the gradient is shorter than this.
const LEAST_GRADIENT: f64 = 1e-7;
/// Lanes in which a row is summed.
const LANES: usize = 8;
/// Points below which threads cost more than they bring.
const ALONE: usize = 200;

/// Exact t-SNE: pᵢⱼ from Gaussians of the same perplexity around each point, qᵢⱼ ∝ 1/(1 + |yᵢ − yⱼ|²), and KL(P‖Q) made small
/// by steps with momentum and a gain for each coordinate, from the first two principal components.
///
/// Memory and time grow with n²: 2,000 points take 64 MiB and 4·10⁹ pairs. How to read it: neighbours are near each other;
/// distances between groups, their sizes and their shapes say nothing ([`crate::seen::pca`] keeps those).
#[derive(Debug, Clone, PartialEq)]
pub struct Tsne {
    /// About how many neighbours of a point count. At most (n − 1)/3.
    pub perplexity: f64,
    /// Steps in all; the first 250 with `exaggeration`.
    pub iterations: usize,
    /// Early factor of all pᵢⱼ, which lets groups find their place.
    pub exaggeration: f64,
    /// Threads that share the rows; the bits do not depend on it.
    pub threads: usize,
}

impl Default for Tsne {
    fn default() -> Self {
        Self {
            perplexity: 30.0,
            iterations: 1000,
            exaggeration: 12.0,
            threads: 1,
        }
    }
}

/// Where t-SNE put the points.
#[derive(Debug, Clone, PartialEq)]
pub struct TsneMap {
    /// `[n, 2]`.
    pub places: Array2<f64>,
    /// The perplexity that was used.
    pub perplexity: f64,
    /// KL(P‖Q) before each 50th step behind the exaggeration and at the end.
    pub divergences: Vec<(usize, f64)>,
}

impl TsneMap {
    /// KL(P‖Q) at the end.
    pub fn divergence(&self) -> f64 {
        self.divergences.last().map_or(f64::NAN, |&(_, kl)| kl)
    }
}

/// The points (rows) in the plane; `progress` is told of steps done and to do.
///
/// # Errors
/// [`ExplainError::Unsuited`] for numbers that are not finite, fewer than four points, or points that are all the same;
/// [`ExplainError::Setting`] for a perplexity below 1.
pub fn tsne(
    points: ArrayView2<f64>,
    settings: &Tsne,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<TsneMap, ExplainError> {
    check(points, "t-SNE")?;
    let n = points.nrows();
    let unsuited = |found: String, expected| Err(ExplainError::unsuited("t-SNE", found, expected));
    if n < 4 {
        return unsuited(format!("{n} samples"), "four at least");
    }
    if settings.perplexity.is_nan() || settings.perplexity < 1.0 {
        return Err(ExplainError::setting(
            "perplexity",
            settings.perplexity,
            "1 or more",
        ));
    }
    let distances = squared(points);
    let spread = distances.iter().fold(0.0f64, |most, &v| most.max(v));
    if spread <= 0.0 {
        return unsuited(
            "the features of all samples are the same".into(),
            "samples that differ",
        );
    }
    let perplexity = settings.perplexity.min((n - 1) as f64 / 3.0);
    let affinities = joint(distances, perplexity);
    let mut work = Descent::new(affinities, start(points)?, settings);
    let early = EARLY.min(settings.iterations);
    work.steps(0..early, settings.exaggeration, 0.5, progress);
    work.rest();
    work.steps(early..settings.iterations, 1.0, 0.8, progress);
    work.look(settings.iterations);
    Ok(TsneMap {
        places: Array2::from_shape_fn((n, 2), |(i, axis)| work.places[axis][i]),
        perplexity,
        divergences: work.divergences,
    })
}

/// The first two principal components, the first with a deviation of 10⁻⁴. What has no second direction gets a random one, so
/// that it can leave its line.
fn start(points: ArrayView2<f64>) -> Result<[Vec<f64>; 2], ExplainError> {
    let found = pca(points, 2)?;
    let n = points.nrows();
    let deviation = (found.variances[0] * (n - 1) as f64 / n as f64).sqrt();
    let along = |axis: usize| {
        found
            .places
            .column(axis)
            .iter()
            .map(|v| v / deviation * 1e-4)
            .collect()
    };
    let second = match found.variances[1] > 1e-12 * found.variances[0] {
        true => along(1),
        false => {
            let mut random = rng(0, n as u64, 2, Purpose::Directions);
            (0..n)
                .map(|_| 1e-4 * Distribution::<f64>::sample(&StandardNormal, &mut random))
                .collect()
        }
    };
    Ok([along(0), second])
}

/// pᵢⱼ = (p(j|i) + p(i|j)) / 2n, of squared distances.
fn joint(mut distances: Array2<f64>, perplexity: f64) -> Array2<f64> {
    let n = distances.nrows();
    for i in 0..n {
        let mut row = distances.row_mut(i);
        conditional(row.as_slice_mut().unwrap_or_default(), i, perplexity.ln());
    }
    let all: f64 = distances.iter().sum();
    let least = f64::EPSILON;
    Array2::from_shape_fn((n, n), |(i, j)| match i == j {
        true => 0.0,
        false => ((distances[[i, j]] + distances[[j, i]]) / (2.0 * all)).max(least),
    })
}

/// Turns the squared distances of point `own` into p(j|i) ∝ exp(−β d²), β such that their entropy is the wanted one: by bisection.
fn conditional(row: &mut [f64], own: usize, entropy: f64) {
    let nearest = (0..row.len())
        .filter(|&j| j != own)
        .map(|j| row[j])
        .fold(f64::INFINITY, f64::min);
    let (mut low, mut high) = (0.0f64, f64::INFINITY);
    let mut beta = 1.0;
    let mut found = vec![0.0; row.len()];
    for _ in 0..200 {
        let (mut sum, mut weighted) = (0.0, 0.0);
        for (j, (p, &d)) in found.iter_mut().zip(row.iter()).enumerate() {
            // From the nearest on, so that the largest is 1 however far all are.
            *p = if j == own {
                0.0
            } else {
                (-(d - nearest) * beta).exp()
            };
            sum += *p;
            weighted += *p * (d - nearest);
        }
        let difference = sum.ln() + beta * weighted / sum - entropy;
        found.iter_mut().for_each(|p| *p /= sum);
        if difference.abs() <= 1e-5 {
            break;
        }
        match difference > 0.0 {
            true => low = beta,
            false => high = beta,
        }
        beta = match high.is_finite() {
            true => (low + high) / 2.0,
            false => beta * 2.0,
        };
    }
    row.copy_from_slice(&found);
}

/// The state of the descent; coordinates lie apart, so that rows are read in lanes.
struct Descent {
    affinities: Array2<f64>,
    places: [Vec<f64>; 2],
    moves: [Vec<f64>; 2],
    gains: [Vec<f64>; 2],
    rate: f64,
    threads: usize,
    divergences: Vec<(usize, f64)>,
    iterations: usize,
}

/// What a row gives: Σq̂ⱼ, Σpⱼq̂ⱼ(yᵢ − yⱼ), Σq̂ⱼ²(yᵢ − yⱼ) with q̂ = 1/(1 + d²).
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    mass: f64,
    pull: [f64; 2],
    push: [f64; 2],
}

impl Descent {
    fn new(affinities: Array2<f64>, places: [Vec<f64>; 2], settings: &Tsne) -> Self {
        let n = affinities.nrows();
        let flat = |value: f64| [vec![value; n], vec![value; n]];
        Self {
            affinities,
            places,
            moves: flat(0.0),
            gains: flat(1.0),
            rate: (n as f64 / settings.exaggeration / 4.0).max(50.0),
            threads: if n < ALONE { 1 } else { settings.threads.max(1) },
            divergences: Vec::new(),
            iterations: settings.iterations,
        }
    }

    /// Forgets momentum and gains.
    fn rest(&mut self) {
        self.moves.iter_mut().for_each(|moves| moves.fill(0.0));
        self.gains.iter_mut().for_each(|gains| gains.fill(1.0));
    }

    fn steps(
        &mut self,
        range: std::ops::Range<usize>,
        exaggeration: f64,
        momentum: f64,
        progress: &mut dyn FnMut(usize, usize),
    ) {
        for step in range {
            if exaggeration == 1.0 && step % LOOK == 0 {
                self.look(step);
            }
            let rows = self.rows();
            let mass: f64 = rows.iter().map(|row| row.mass).sum();
            let mut length = 0.0;
            for (i, row) in rows.iter().enumerate() {
                for axis in 0..2 {
                    let slope = 4.0 * (exaggeration * row.pull[axis] - row.push[axis] / mass);
                    length += slope * slope;
                    self.turn(axis, i, slope, momentum);
                }
            }
            for (places, moves) in self.places.iter_mut().zip(&self.moves) {
                places.iter_mut().zip(moves).for_each(|(place, by)| *place += by);
            }
            progress(step + 1, self.iterations);
            if length.sqrt() <= LEAST_GRADIENT {
                break;
            }
        }
    }

    /// The next move of a coordinate: its gain grows while the slope keeps its side.
    fn turn(&mut self, axis: usize, i: usize, slope: f64, momentum: f64) {
        let (by, gain) = (&mut self.moves[axis][i], &mut self.gains[axis][i]);
        *gain = match *by * slope < 0.0 {
            true => *gain + 0.2,
            false => (*gain * 0.8).max(0.01),
        };
        *by = momentum * *by - self.rate * *gain * slope;
    }

    /// The sums of all rows. Each row is summed by itself, so no thread changes its bits.
    fn rows(&self) -> Vec<Row> {
        let n = self.affinities.nrows();
        let mut rows = vec![Row::default(); n];
        let part = n.div_ceil(self.threads).max(1);
        let fill = |first: usize, rows: &mut [Row]| {
            for (k, row) in rows.iter_mut().enumerate() {
                *row = self.row(first + k);
            }
        };
        if self.threads == 1 {
            fill(0, &mut rows);
            return rows;
        }
        std::thread::scope(|scope| {
            for (k, part_of) in rows.chunks_mut(part).enumerate() {
                scope.spawn(move || fill(k * part, part_of));
            }
        });
        rows
    }

    fn row(&self, i: usize) -> Row {
        let [xs, ys] = &self.places;
        let (x, y) = (xs[i], ys[i]);
        let affinities = self.affinities.row(i);
        let affinities = affinities.as_slice().unwrap_or_default();
        let mut sums = [[0.0f64; LANES]; 5];
        let mut add = |lane: usize, xj: f64, yj: f64, p: f64| {
            let (dx, dy) = (x - xj, y - yj);
            let q = 1.0 / (1.0 + dx * dx + dy * dy);
            let (pull, push) = (p * q, q * q);
            for (sum, value) in sums
                .iter_mut()
                .zip([q, pull * dx, pull * dy, push * dx, push * dy])
            {
                sum[lane] += value;
            }
        };
        let whole = xs.len() / LANES * LANES;
        for first in (0..whole).step_by(LANES) {
            let (a, b, p) = (
                &xs[first..first + LANES],
                &ys[first..first + LANES],
                &affinities[first..first + LANES],
            );
            for lane in 0..LANES {
                add(lane, a[lane], b[lane], p[lane]);
            }
        }
        for j in whole..xs.len() {
            add(j - whole, xs[j], ys[j], affinities[j]);
        }
        let [mass, px, py, rx, ry] = sums.map(|lanes| lanes.iter().sum::<f64>());
        Row {
            // The point itself is as near as can be, and does not count.
            mass: mass - 1.0,
            pull: [px, py],
            push: [rx, ry],
        }
    }

    /// Notes KL(P‖Q) = Σ pᵢⱼ ln(pᵢⱼ/qᵢⱼ).
    fn look(&mut self, step: usize) {
        let [xs, ys] = &self.places;
        let mass: f64 = self.rows().iter().map(|row| row.mass).sum();
        let of = |((i, j), &p): ((usize, usize), &f64)| {
            if i == j {
                return 0.0;
            }
            let (dx, dy) = (xs[i] - xs[j], ys[i] - ys[j]);
            let q = (1.0 / (1.0 + dx * dx + dy * dy) / mass).max(f64::EPSILON);
            p * (p / q).ln()
        };
        let divergence = self.affinities.indexed_iter().map(of).sum();
        self.divergences.push((step, divergence));
    }
}
