//! The learning-rate range test (Smith 2017, "Cyclical Learning Rates for Training Neural Networks"):
//! a short run whose learning rate grows exponentially shows where learning begins and where it breaks.

use data::{Batch, Loader};
use serde::{Deserialize, Serialize};

use crate::{TrainError, Trainer};

/// How the test is run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LrSearch {
    /// Learning rate of the first step.
    pub lowest: f64,
    /// Learning rate of the last step.
    pub highest: f64,
    /// Steps from one to the other.
    pub steps: usize,
    /// Weight of the past in the running mean of the losses, 0 to below 1.
    pub smoothing: f64,
    /// The test stops when the smoothed loss is this many times the lowest one so far.
    pub explosion: f64,
}

impl Default for LrSearch {
    fn default() -> Self {
        Self {
            lowest: 1e-7,
            highest: 10.0,
            steps: 100,
            smoothing: 0.85,
            explosion: 4.0,
        }
    }
}

/// One step of the test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LrPoint {
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Loss of its batch, before the update.
    pub loss: f64,
    /// Running mean of the losses up to here, without the bias of its start.
    pub smoothed: f64,
}

/// What the test found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LrCurve {
    /// The steps in order: a line over a logarithmic axis.
    pub points: Vec<LrPoint>,
    /// Where the smoothed loss falls fastest, per factor of learning rate.
    pub steepest: Option<f64>,
    /// Where the smoothed loss is lowest.
    pub lowest: Option<f64>,
    /// The smaller of `steepest` and a tenth of `lowest`: fast, and well below where learning breaks.
    /// `None` when no learning rate made the loss fall.
    pub suggestion: Option<f64>,
    /// Whether the loss exploded before the highest learning rate.
    pub exploded: bool,
}

/// Points on either side over which a slope is taken.
const REACH: usize = 3;
/// Share of the first loss by which it must fall to count as learning.
const FALL: f64 = 0.02;
/// Steps whose mean loss is the start.
const START: usize = 10;

/// Runs the test with `trainer`'s network, loss and optimizer on the batches of `train`, going through
/// them again where they are few. Afterwards the trainer is as it was: parameters, running statistics,
/// the optimizer's memory, step count.
///
/// # Errors
/// [`TrainError::Setting`] when the range makes no sense or there is no batch; what reading the data or
/// running the graph ran into. A loss that is not a number ends the test and is no error.
pub fn find_learning_rate(
    trainer: &mut Trainer,
    train: &Loader,
    search: &LrSearch,
) -> Result<LrCurve, TrainError> {
    check(train, search)?;
    let parameters = trainer.network.parameters().values().to_vec();
    let memory: Vec<Vec<f32>> = trainer.memory().iter().map(|slot| slot.to_vec()).collect();
    let step = trainer.step;
    let run = climb(trainer, train, search);
    trainer.step = step;
    trainer
        .network
        .parameters_mut()
        .values_mut()
        .copy_from_slice(&parameters);
    for (slot, before) in trainer.memory_mut().iter_mut().zip(&memory) {
        slot.copy_from_slice(before);
    }
    run.map(|(points, exploded)| judge(points, exploded))
}

fn check(train: &Loader, search: &LrSearch) -> Result<(), TrainError> {
    let rising = search.lowest > 0.0 && search.highest > search.lowest && search.highest.is_finite();
    let smooth = (0.0..1.0).contains(&search.smoothing) && search.explosion > 1.0;
    if !rising || !smooth || search.steps < 2 {
        return Err(TrainError::Setting(format!(
            "a learning-rate test from {} to {} in {} steps (smoothing {}, explosion {}) cannot be run; it needs \
             0 < lowest < highest, at least 2 steps, smoothing from 0 to below 1, explosion above 1",
            search.lowest, search.highest, search.steps, search.smoothing, search.explosion
        )));
    }
    match train.batches() {
        0 => Err(TrainError::Setting(
            "the learning-rate test found no training batch; it needs at least one: give more samples or a \
             smaller batch"
                .into(),
        )),
        _ => Ok(()),
    }
}

/// The steps, and whether they ended because the loss exploded.
fn climb(
    trainer: &mut Trainer,
    train: &Loader,
    search: &LrSearch,
) -> Result<(Vec<LrPoint>, bool), TrainError> {
    let mut points: Vec<LrPoint> = Vec::with_capacity(search.steps);
    let (mut mean, mut best) = (0.0, f64::INFINITY);
    let mut batches = (0..).flat_map(|epoch| train.epoch(epoch));
    for k in 0..search.steps {
        let Some(batch) = batches.next().transpose()? else {
            break;
        };
        let along = k as f64 / (search.steps - 1) as f64;
        let learning_rate = search.lowest * (search.highest / search.lowest).powf(along);
        let Some(loss) = step(trainer, &batch, learning_rate)? else {
            return Ok((points, true));
        };
        mean = search.smoothing * mean + (1.0 - search.smoothing) * loss;
        let smoothed = mean / (1.0 - search.smoothing.powi(k as i32 + 1));
        points.push(LrPoint {
            learning_rate,
            loss,
            smoothed,
        });
        best = smoothed.min(best);
        if smoothed > search.explosion * best && k > REACH {
            return Ok((points, true));
        }
    }
    Ok((points, false))
}

/// The loss of one step, or `None` where it is no number.
fn step(trainer: &mut Trainer, batch: &Batch, learning_rate: f64) -> Result<Option<f64>, TrainError> {
    match trainer.step_at(batch, 1, learning_rate) {
        Ok(result) => Ok(Some(f64::from(result.loss))),
        Err(TrainError::NotFinite { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn judge(points: Vec<LrPoint>, exploded: bool) -> LrCurve {
    let bottom = (0..points.len()).min_by(|&a, &b| points[a].smoothed.total_cmp(&points[b].smoothed));
    let fell = bottom.filter(|&at| points[at].smoothed < points[0].smoothed * (1.0 - FALL));
    let lowest = fell.map(|at| points[at].learning_rate);
    let steepest = fell
        .and_then(|at| steepest(&points[..=at]))
        .map(|at| points[at].learning_rate);
    let suggestion = lowest.map(|lowest| steepest.unwrap_or(f64::INFINITY).min(lowest / 10.0));
    LrCurve {
        points,
        steepest,
        lowest,
        suggestion,
        exploded,
    }
}

/// The point around which the smoothed loss falls most; learning rates grow by one factor from point to
/// point, so the index stands for their logarithm.
fn steepest(points: &[LrPoint]) -> Option<usize> {
    let slope = |at: usize| {
        let (from, to) = (at.saturating_sub(REACH), (at + REACH).min(points.len() - 1));
        (points[to].smoothed - points[from].smoothed) / (to - from).max(1) as f64
    };
    // Before the loss is lastingly below its start, its slope is the chance of a few batches.
    let first = &points[..points.len().min(START)];
    let start = first.iter().map(|p| p.loss).sum::<f64>() / first.len().max(1) as f64;
    let above = points.iter().rposition(|p| p.smoothed > start * (1.0 - FALL));
    let begun = above.map_or(0, |at| at + 1);
    (begun..points.len())
        .min_by(|&a, &b| slope(a).total_cmp(&slope(b)))
        .filter(|&at| slope(at) < 0.0)
}

#[cfg(test)]
mod tests;
