//! Times: whole steps, whole inferences, and each layer of both.

use std::time::{Duration, Instant};

use engine::{Program, Request};
use graph::{Binding, Mode, lower};
use serde::Serialize;
use train::{PartTime, Pass, StepProfile};

use super::subject::Subject;
use crate::error::Outcome;

/// Runs before the first one that counts.
const WARM_UP: usize = 2;
/// Fewest and most runs that count.
const RUNS: (usize, usize) = (5, 2000);
const LEARNING_RATE: f64 = 1e-4;

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
    pub training: Speed,
    /// Predictions.
    pub inference: Speed,
    /// Where the time of a training step goes.
    pub time: Shares,
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
    /// Arithmetic in a second.
    pub gflops: f64,
    /// The same as a share of the measured peak.
    pub share_of_peak: f64,
    /// Runs that the median is taken over.
    pub runs: usize,
}

/// Milliseconds of a training step by kind of work.
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
}

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Parameters and running statistics.
    pub parameters: usize,
    /// What the optimizer remembers.
    pub optimizer: usize,
    /// Activations, gradients and scratch of a training step.
    pub training: usize,
    /// Activations and scratch of inference.
    pub inference: usize,
}

/// One layer in one pass.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerTime {
    /// The layer.
    pub layer: String,
    /// Its ops in this pass.
    pub ops: Vec<&'static str>,
    /// The pass.
    pub pass: Pass,
    /// Milliseconds for the batch.
    pub milliseconds: f64,
    /// Share of the time of all kernels.
    pub share_of_time: f64,
    /// Arithmetic in a second.
    pub gflops: f64,
    /// The same as a share of the measured peak.
    pub share_of_peak: f64,
}

impl Measured {
    /// Sets what is told as a share of the peak.
    pub fn set_peak(&mut self, peak_gflops: f64) {
        let layers = self.layers.iter_mut().chain(&mut self.inference_layers);
        layers.for_each(|layer| layer.share_of_peak = layer.gflops / peak_gflops);
        self.training.share_of_peak = self.training.gflops / peak_gflops;
        self.inference.share_of_peak = self.inference.gflops / peak_gflops;
    }
}

/// Measures a network for about four times `seconds`.
pub fn measure(subject: &mut Subject, seconds: f64) -> Outcome<Measured> {
    let size = subject.batch.size;
    let training = repeat(seconds, || {
        Ok(subject
            .trainer
            .step_at(&subject.batch, 1, LEARNING_RATE)
            .map(|_| ())?)
    })?;
    let profiles = collect(seconds, || {
        Ok(subject.trainer.profile(&subject.batch, LEARNING_RATE)?)
    })?;
    let parts = median_parts(profiles.iter().map(|p| p.parts.as_slice()));
    let update = median(profiles.iter().map(|p| p.update_seconds).collect());
    let inference = infer(subject, seconds)?;
    let model = subject.trainer.network.model();
    let sum = |compute: bool| {
        let of_kind = parts.iter().filter(|p| (p.cost.macs > 0) == compute);
        of_kind.map(|p| p.seconds).sum::<f64>() * 1e3
    };
    let (compute, memory_moving, update) = (sum(true), sum(false), update * 1e3);
    let time = Shares {
        compute,
        memory_moving,
        update,
        rest: training.0 * 1e3 - compute - memory_moving - update,
    };
    Ok(Measured {
        name: subject.name.clone(),
        input: model.input().shape()[1..].to_vec(),
        batch: size,
        parameters: model.trainable_count(),
        training: speed(training, size, &parts),
        inference: speed(inference.time, size, &inference.parts),
        time,
        memory: memory(&profiles[0], inference.bytes),
        layers: layers(&parts),
        inference_layers: layers(&inference.parts),
    })
}

struct Inference {
    time: (f64, usize),
    parts: Vec<PartTime>,
    bytes: usize,
}

fn infer(subject: &mut Subject, seconds: f64) -> Outcome<Inference> {
    let network = &mut subject.trainer.network;
    let model = network.model().clone();
    let request = Request::outputs(&lower(model.outputs(), Mode::Infer)?.outputs);
    let binding = Binding::batch(subject.batch.size);
    let layout = network.parameters().layout().clone();
    let mut program = Program::compile(network.engine(), &request, &layout, &binding)?;
    let input = model
        .input()
        .as_input()
        .map(|i| i.name.clone())
        .unwrap_or_default();
    let parameters = network.parameters_mut();
    let time = repeat(seconds, || {
        program.set_input(&input, &subject.batch.inputs)?;
        Ok(program.run(parameters, 0)?)
    })?;
    let profiles = collect(seconds, || {
        let steps = program.profile(parameters, 0)?;
        let part = |step| PartTime::of(&model, step, Pass::Forward);
        Ok(steps.into_iter().map(part).collect::<Vec<_>>())
    })?;
    Ok(Inference {
        time,
        parts: median_parts(profiles.iter().map(Vec::as_slice)),
        bytes: program.memory(),
    })
}

fn memory(profile: &StepProfile, inference: usize) -> Memory {
    Memory {
        parameters: profile.parameter_bytes,
        optimizer: profile.optimizer_bytes,
        training: profile.program_bytes,
        inference,
    }
}

fn speed((seconds, runs): (f64, usize), batch: usize, parts: &[PartTime]) -> Speed {
    let flops: u64 = parts.iter().map(|p| p.cost.flops).sum();
    Speed {
        milliseconds: seconds * 1e3,
        steps_per_second: 1.0 / seconds,
        images_per_second: batch as f64 / seconds,
        gflops: flops as f64 / seconds / 1e9,
        share_of_peak: 0.0,
        runs,
    }
}

/// Median seconds of `work` and how often it ran.
fn repeat(seconds: f64, mut work: impl FnMut() -> Outcome) -> Outcome<(f64, usize)> {
    let times = collect(seconds, || {
        let started = Instant::now();
        work()?;
        Ok(started.elapsed().as_secs_f64().max(1e-9))
    })?;
    let runs = times.len();
    Ok((median(times), runs))
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// The same parts with the median of their seconds.
fn median_parts<'a>(profiles: impl Iterator<Item = &'a [PartTime]> + Clone) -> Vec<PartTime> {
    let mut parts = profiles.clone().next().map_or(Vec::new(), <[PartTime]>::to_vec);
    for (k, part) in parts.iter_mut().enumerate() {
        part.seconds = median(profiles.clone().filter_map(|p| Some(p.get(k)?.seconds)).collect());
    }
    parts
}

/// The parts gathered by layer and pass, each layer where it first appears.
fn layers(parts: &[PartTime]) -> Vec<LayerTime> {
    let total: f64 = parts.iter().map(|p| p.seconds).sum::<f64>().max(1e-12);
    let mut order: Vec<(&str, Pass)> = Vec::new();
    for part in parts {
        if !order.contains(&(&part.layer, part.pass)) {
            order.push((&part.layer, part.pass));
        }
    }
    let gathered = |&(layer, pass): &(&str, Pass)| {
        let own: Vec<&PartTime> = parts
            .iter()
            .filter(|p| p.layer == layer && p.pass == pass)
            .collect();
        let seconds: f64 = own.iter().map(|p| p.seconds).sum();
        let flops: u64 = own.iter().map(|p| p.cost.flops).sum();
        let mut ops: Vec<&'static str> = Vec::new();
        for part in &own {
            if !ops.contains(&part.op) {
                ops.push(part.op);
            }
        }
        LayerTime {
            layer: layer.into(),
            ops,
            pass,
            milliseconds: seconds * 1e3,
            share_of_time: seconds / total,
            gflops: flops as f64 / seconds.max(1e-12) / 1e9,
            share_of_peak: 0.0,
        }
    };
    order.iter().map(gathered).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::Cost;

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn parts_are_gathered_by_layer_and_pass() {
        let part = |layer: &str, op, pass, seconds, flops| PartTime {
            layer: layer.into(),
            op,
            pass,
            cost: Cost {
                macs: flops / 2,
                flops,
            },
            bytes: 0,
            seconds,
        };
        let parts = [
            part("dense", "matmul", Pass::Forward, 1e-3, 2_000_000),
            part("loss", "cross_entropy", Pass::Forward, 1e-3, 0),
            part("dense", "matmul", Pass::Weights, 1e-3, 4_000_000),
            part("dense", "reduce_sum", Pass::Weights, 1e-3, 0),
        ];
        let found = layers(&parts);
        assert_eq!(found.len(), 3);
        assert_eq!(found[2].ops, ["matmul", "reduce_sum"]);
        assert!((found[2].milliseconds - 2.0).abs() < 1e-9 && (found[2].gflops - 2.0).abs() < 1e-9);
        assert!((found.iter().map(|l| l.share_of_time).sum::<f64>() - 1.0).abs() < 1e-9);
        let twice = median_parts([&parts[..], &parts[..]].into_iter());
        assert_eq!(twice, parts);
    }
}
