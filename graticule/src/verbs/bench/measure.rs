//! Times: whole steps, whole inferences, each layer of both, and what the threads did meanwhile.

use std::time::{Duration, Instant};

use engine::{Pool, Program, Request};
use graph::{Binding, Mode, lower};
use serde::Serialize;
use train::{PartTime, Pass, StepProfile};

use super::layers::{LayerTime, layers, median, median_parts};
use super::subject::Subject;
use crate::error::Outcome;

/// Runs before the first one that counts.
const WARM_UP: usize = 3;
/// Fewest and most runs that count.
const RUNS: (usize, usize) = (5, 10_000);
const LEARNING_RATE: f64 = 1e-4;

/// What is to be measured, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Training steps.
    pub training: bool,
    /// Predictions.
    pub inference: bool,
    /// Seconds for each measurement.
    pub seconds: f64,
    /// Times that training and inference are measured in turn.
    pub rounds: usize,
    /// Whether layers are measured too.
    pub layers: bool,
}

/// One network's figures.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Shape of one sample.
    pub input: Vec<usize>,
    /// Samples in a batch.
    pub batch: usize,
    /// Trainable parameters.
    pub parameters: usize,
    /// Training steps.
    pub training: Option<Speed>,
    /// Predictions.
    pub inference: Option<Speed>,
    /// Where the time of a training step goes.
    pub time: Option<Shares>,
    /// What the threads did in a training step; nothing on one thread.
    pub threads: Option<ThreadTime>,
    /// Memory of training and inference.
    pub memory: Memory,
    /// Layers and passes of a training step in their order.
    pub layers: Vec<LayerTime>,
    /// Layers of inference in their order.
    pub inference_layers: Vec<LayerTime>,
}

/// How fast whole batches go.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Speed {
    /// Median milliseconds of one batch.
    pub milliseconds: f64,
    /// Batches in a second.
    pub steps_per_second: f64,
    /// Samples in a second.
    pub images_per_second: f64,
    /// Arithmetic in a second, where layers were measured.
    pub gflops: Option<f64>,
    /// The same as a share of the measured peak.
    pub share_of_peak: Option<f64>,
    /// Runs that the median is taken over.
    pub runs: usize,
    /// The milliseconds of each run.
    pub timings: Vec<f64>,
}

/// A training step by kind of work, its parts one by one: milliseconds, and the bytes that they move.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shares {
    /// Products with weights: convolutions, dense layers, their gradients.
    pub compute: f64,
    /// All other kernels, which mostly move memory: pooling, activations, normalisation, loss.
    pub memory_moving: f64,
    /// Clipping and the optimizer's pass.
    pub update: f64,
    /// What is left of the step: copying the batch in, starting and joining threads. Below 0 where
    /// kernels are faster in a stretch than one by one.
    pub rest: f64,
    /// Bytes of operands and results of the products.
    pub compute_bytes: usize,
    /// Bytes of operands and results of the other kernels.
    pub memory_moving_bytes: usize,
    /// Bytes of parameters, gradients and the optimizer's memory.
    pub update_bytes: usize,
    /// 10⁹ bytes a second of the other kernels.
    pub memory_moving_gigabytes_per_second: f64,
    /// 10⁹ bytes a second of the update.
    pub update_gigabytes_per_second: f64,
}

/// What the threads did in ordinary steps, in shares of (threads × time): the three add up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ThreadTime {
    /// They computed.
    pub busy: f64,
    /// They waited for one another: waking up, and the barrier at the end of each stretch of work.
    pub waiting: f64,
    /// All but one had nothing to do: small kernels, copies, what is not shared out.
    pub alone: f64,
}

/// Bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Parameters and running statistics.
    pub parameters: usize,
    /// What the optimizer remembers.
    pub optimizer: usize,
    /// Activations, gradients and scratch of a training step, where layers were measured.
    pub training: usize,
    /// Activations and scratch of inference.
    pub inference: usize,
}

impl Measured {
    /// Sets what is told as a share of the peak.
    pub fn set_peak(&mut self, peak_gflops: f64) {
        let layers = self.layers.iter_mut().chain(&mut self.inference_layers);
        layers.for_each(|layer| layer.share_of_peak = layer.gflops / peak_gflops);
        for speed in [&mut self.training, &mut self.inference].into_iter().flatten() {
            speed.share_of_peak = speed.gflops.map(|gflops| gflops / peak_gflops);
        }
    }
}

/// Measures a network for about `plan.seconds` times what is measured.
pub fn measure(subject: &mut Subject, plan: &Plan) -> Outcome<Measured> {
    let mut inference = plan.inference.then(|| Inference::new(subject)).transpose()?;
    let (mut steps, mut predictions) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        if plan.training {
            steps.extend(collect(plan.seconds, || timed(|| step(subject)))?);
        }
        if let Some(inference) = &mut inference {
            predictions.extend(collect(plan.seconds, || timed(|| inference.run(subject)))?);
        }
    }
    let mut measured = figures(subject, &inference);
    measured.training = plan.training.then(|| speed(steps, subject.batch.size));
    measured.inference = plan.inference.then(|| speed(predictions, subject.batch.size));
    if plan.layers && plan.training {
        look_into_training(subject, plan.seconds, &mut measured)?;
    }
    if let (true, Some(inference)) = (plan.layers, &mut inference) {
        let parts = inference.parts(subject, plan.seconds)?;
        set_arithmetic(&mut measured.inference, &parts);
        measured.inference_layers = layers(&parts);
    }
    Ok(measured)
}

fn figures(subject: &Subject, inference: &Option<Inference>) -> Measured {
    let network = &subject.trainer.network;
    let slots = subject.trainer.memory().iter();
    Measured {
        name: subject.name.clone(),
        input: network.model().input().shape()[1..].to_vec(),
        batch: subject.batch.size,
        parameters: network.model().trainable_count(),
        training: None,
        inference: None,
        time: None,
        threads: None,
        memory: Memory {
            parameters: network.parameters().values().len() * 4,
            optimizer: slots.map(|slot| slot.len() * 4).sum(),
            training: 0,
            inference: inference.as_ref().map_or(0, |i| i.program.memory()),
        },
        layers: Vec::new(),
        inference_layers: Vec::new(),
    }
}

fn step(subject: &mut Subject) -> Outcome {
    subject.trainer.step_at(&subject.batch, 1, LEARNING_RATE)?;
    Ok(())
}

fn look_into_training(subject: &mut Subject, seconds: f64, measured: &mut Measured) -> Outcome {
    let engine = subject.trainer.network.engine().clone();
    if engine.threads() > 1 {
        measured.threads = Some(thread_time(engine.pool(), seconds / 2.0, || step(subject))?);
    }
    let profiles: Vec<StepProfile> = collect(seconds, || {
        Ok(subject.trainer.profile(&subject.batch, LEARNING_RATE)?)
    })?;
    let parts = median_parts(profiles.iter().map(|p| p.parts.as_slice()));
    let update = median(profiles.iter().map(|p| p.update_seconds).collect());
    set_arithmetic(&mut measured.training, &parts);
    let whole = measured.training.as_ref().map_or(0.0, |s| s.milliseconds);
    let trainable = subject.trainer.network.parameters().layout().trainable_length();
    measured.time = Some(shares(
        whole,
        &parts,
        update,
        update_bytes(trainable, subject.trainer.memory().len()),
    ));
    measured.memory.training = profiles.first().map_or(0, |p| p.program_bytes);
    measured.layers = layers(&parts);
    Ok(())
}

/// Parameters and slots are read and written, gradients are read.
fn update_bytes(trainable: usize, slots: usize) -> usize {
    4 * trainable * (3 + 2 * slots)
}

fn shares(whole: f64, parts: &[PartTime], update_seconds: f64, update_bytes: usize) -> Shares {
    let of_kind = |compute: bool| {
        let own = parts.iter().filter(move |p| (p.cost.macs > 0) == compute);
        own.fold((0.0, 0), |(ms, bytes), p| (ms + p.seconds * 1e3, bytes + p.bytes))
    };
    let ((compute, compute_bytes), (memory_moving, memory_moving_bytes)) = (of_kind(true), of_kind(false));
    let update = update_seconds * 1e3;
    let rate = |bytes: usize, ms: f64| bytes as f64 / 1e6 / ms.max(1e-9);
    Shares {
        compute,
        memory_moving,
        update,
        rest: whole - compute - memory_moving - update,
        compute_bytes,
        memory_moving_bytes,
        update_bytes,
        memory_moving_gigabytes_per_second: rate(memory_moving_bytes, memory_moving),
        update_gigabytes_per_second: rate(update_bytes, update),
    }
}

/// What a team's threads did while `work` ran again and again.
fn thread_time(pool: &Pool, seconds: f64, mut work: impl FnMut() -> Outcome) -> Outcome<ThreadTime> {
    let started = Instant::now();
    let (runs, times) = pool.metered(|| collect(seconds, &mut work));
    let (all, threads) = (started.elapsed().as_secs_f64(), pool.threads() as f64);
    runs?;
    let whole = (threads * all).max(1e-12);
    let shared = threads * times.wall;
    let computed: f64 = times.busy.iter().sum();
    let outside = (all - times.wall).max(0.0);
    Ok(ThreadTime {
        busy: (computed + outside) / whole,
        waiting: (shared - computed) / whole,
        alone: (threads - 1.0) * outside / whole,
    })
}

/// A program that predicts and no more.
struct Inference {
    program: Program,
    input: String,
    output: Vec<f32>,
}

impl Inference {
    fn new(subject: &Subject) -> Outcome<Self> {
        let network = &subject.trainer.network;
        let model = network.model();
        let request = Request::outputs(&lower(model.outputs(), Mode::Infer)?.outputs);
        let binding = Binding::batch(subject.batch.size);
        let layout = network.parameters().layout();
        let input = model.input().as_input().map(|i| i.name.clone());
        Ok(Self {
            program: Program::compile(network.engine(), &request, layout, &binding)?,
            input: input.unwrap_or_default(),
            output: Vec::new(),
        })
    }

    /// From inputs in memory to outputs in memory.
    fn run(&mut self, subject: &mut Subject) -> Outcome {
        self.program.set_input(&self.input, &subject.batch.inputs)?;
        self.program.run(subject.trainer.network.parameters_mut(), 0)?;
        self.output.clear();
        self.output.extend_from_slice(self.program.output(0));
        Ok(())
    }

    fn parts(&mut self, subject: &mut Subject, seconds: f64) -> Outcome<Vec<PartTime>> {
        let network = &mut subject.trainer.network;
        let model = network.model().clone();
        self.program.set_input(&self.input, &subject.batch.inputs)?;
        let profiles = collect(seconds, || {
            let steps = self.program.profile(network.parameters_mut(), 0)?;
            let part = |step| PartTime::of(&model, step, Pass::Forward);
            Ok(steps.into_iter().map(part).collect::<Vec<_>>())
        })?;
        Ok(median_parts(profiles.iter().map(Vec::as_slice)))
    }
}

fn speed(timings: Vec<f64>, batch: usize) -> Speed {
    let seconds = median(timings.clone());
    Speed {
        milliseconds: seconds * 1e3,
        steps_per_second: 1.0 / seconds,
        images_per_second: batch as f64 / seconds,
        gflops: None,
        share_of_peak: None,
        runs: timings.len(),
        timings: timings.iter().map(|seconds| seconds * 1e3).collect(),
    }
}

fn set_arithmetic(speed: &mut Option<Speed>, parts: &[PartTime]) {
    let flops: u64 = parts.iter().map(|p| p.cost.flops).sum();
    if let Some(speed) = speed {
        speed.gflops = Some(flops as f64 / speed.milliseconds / 1e6);
    }
}

/// The seconds that `work` takes.
fn timed(work: impl FnOnce() -> Outcome) -> Outcome<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().as_secs_f64().max(1e-9))
}

/// What `work` gives, again and again for about `seconds`, the warm-up left out.
fn collect<T>(seconds: f64, mut work: impl FnMut() -> Outcome<T>) -> Outcome<Vec<T>> {
    for _ in 0..WARM_UP {
        work()?;
    }
    let (started, budget) = (Instant::now(), Duration::from_secs_f64(seconds));
    let mut results = Vec::new();
    while results.len() < RUNS.0 || (started.elapsed() < budget && results.len() < RUNS.1) {
        results.push(work()?);
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_idle_are_seen() {
        let pool = Pool::new(2);
        let pause = |ms| std::thread::sleep(Duration::from_millis(ms));
        // 8 ms together of which one waits 6, then 8 ms of one alone.
        let work = || {
            pool.run(&|worker| pause(if worker == 0 { 8 } else { 2 }));
            pause(8);
            Ok(())
        };
        let Ok(time) = thread_time(&pool, 0.01, work) else {
            panic!("the work does not fail")
        };
        assert!(
            (time.busy + time.waiting + time.alone - 1.0).abs() < 1e-6,
            "{time:?}"
        );
        // Sleep may last longer on a machine with other work, so only the sides are told apart.
        assert!(
            time.busy > 0.3 && time.waiting > 0.02 && time.alone > 0.05,
            "{time:?}"
        );
    }
}
