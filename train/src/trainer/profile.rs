//! Where the time of a training step goes: layer by layer, pass by pass, and the update.

use std::collections::HashSet;
use std::time::Instant;

use data::Batch;
use engine::StepInfo;
use graph::{Cost, topological};
use nn::Model;
use serde::Serialize;

use super::{Trainer, mix};
use crate::TrainError;

/// Which part of a step a kernel works for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// From the inputs to the loss.
    Forward,
    /// The gradients of activations, handed on from layer to layer.
    Backward,
    /// The gradients of parameters.
    Weights,
}

/// One kernel call of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct PartTime {
    /// The layer it works for; the loss is called `loss`.
    pub layer: String,
    /// The op's name.
    pub op: &'static str,
    /// The part of the step.
    pub pass: Pass,
    /// Its arithmetic for the whole batch.
    pub cost: Cost,
    /// Bytes of its operands and of its result.
    pub bytes: usize,
    /// Seconds it took.
    pub seconds: f64,
}

/// One training step, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct StepProfile {
    /// The kernel calls in their order.
    pub parts: Vec<PartTime>,
    /// Seconds of clipping and the optimizer's pass over the parameters.
    pub update_seconds: f64,
    /// Bytes of activations, gradients and scratch that the step works in.
    pub program_bytes: usize,
    /// Bytes of the parameters.
    pub parameter_bytes: usize,
    /// Bytes of the optimizer's memory.
    pub optimizer_bytes: usize,
}

impl PartTime {
    /// The part that `step` of a program of `model` is.
    pub fn of(model: &Model, step: StepInfo, pass: Pass) -> Self {
        let layer = match model.layer_of(&step.symbol) {
            "" => step
                .symbol
                .scope()
                .map_or(step.op.to_string(), |scope| scope.kind.clone()),
            layer => layer.to_string(),
        };
        Self {
            layer,
            op: step.op,
            pass,
            cost: step.arithmetic,
            bytes: step.bytes,
            seconds: step.seconds,
        }
    }
}

impl Trainer {
    /// One real training step at `learning_rate` whose kernels run one by one over the whole batch, each
    /// with its time. The parts together may take longer than an ordinary step, which runs stretches of
    /// the network at a time while their numbers are still in the cache.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn profile(&mut self, batch: &Batch, learning_rate: f64) -> Result<StepProfile, TrainError> {
        let forward: HashSet<u64> = topological(&self.request.outputs)
            .iter()
            .map(|node| node.id())
            .collect();
        let weights: HashSet<u64> = self.request.gradients.iter().map(|(_, g)| g.id()).collect();
        self.prepare(batch)?;
        let program = &mut self.programs[self.current].program;
        let key = mix(self.settings.seed, self.step);
        let steps = program.profile(self.network.parameters_mut(), key)?;
        let (program_bytes, loss) = (program.memory(), program.output(0)[0]);
        if !loss.is_finite() {
            return Err(self.not_finite(batch, 1, loss));
        }
        let started = Instant::now();
        self.update(learning_rate)?;
        let update_seconds = started.elapsed().as_secs_f64();
        self.step += 1;
        let model = self.network.model();
        let part = |step: StepInfo| {
            let id = step.symbol.id();
            let pass = match (forward.contains(&id), weights.contains(&id)) {
                (true, _) => Pass::Forward,
                (false, true) => Pass::Weights,
                (false, false) => Pass::Backward,
            };
            PartTime::of(model, step, pass)
        };
        Ok(StepProfile {
            parts: steps.into_iter().map(part).collect(),
            update_seconds,
            program_bytes,
            parameter_bytes: self.network.parameters().values().len() * 4,
            optimizer_bytes: self.update.memory.iter().map(|slot| slot.len() * 4).sum(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Network, Settings, training_loader_options};
    use data::{Loader, OpenOptions, Preprocess, open};
    use engine::Engine;

    fn trainer() -> (Trainer, Loader) {
        let settings = Settings::default();
        let dataset = open("digits", &OpenOptions::default()).unwrap();
        let preprocess = Preprocess::fit(&dataset).unwrap();
        let options = training_loader_options(&settings, dataset.splits.train.len());
        let train = Loader::new(&dataset, &dataset.splits.train, &preprocess, options).unwrap();
        let model = zoo::build("cnn-small", &[8, 8, 1], 10).unwrap();
        let network = Network::new(&Engine::new(1), model, preprocess, 1).unwrap();
        let trainer = Trainer::new(network, settings, train.target_kind(), train.batches()).unwrap();
        (trainer, train)
    }

    #[test]
    fn every_layer_has_its_passes_and_their_arithmetic() {
        let (mut trainer, train) = trainer();
        let batch = train.epoch(0).next().unwrap().unwrap();
        let profile = trainer.profile(&batch, 1e-3).unwrap();
        let macs = |layer: &str, pass: Pass| -> u64 {
            let parts = profile.parts.iter();
            parts
                .filter(|p| p.layer == layer && p.pass == pass)
                .map(|p| p.cost.macs)
                .sum()
        };
        // 64 → 64 channels, 3×3, on the 4×4 image of each of 64 samples.
        let expected = 64 * 16 * 64 * 64 * 9;
        for pass in [Pass::Forward, Pass::Backward, Pass::Weights] {
            assert_eq!(macs("conv2d_2", pass), expected, "{pass:?}");
        }
        assert_eq!(macs("dense", Pass::Forward), 64 * 64 * 10);
        let convolution = |p: &&PartTime| p.layer == "conv2d_2" && p.pass == Pass::Forward && p.cost.macs > 0;
        // The images before and behind it; weights, as they are and transformed, and bias come on top.
        let images = 64 * 4 * 4 * (64 + 64) * 4;
        let moved = profile.parts.iter().find(convolution).unwrap().bytes;
        assert!(
            (images..images + 2 * 4 * (9 + 16) * 64 * 64).contains(&moved),
            "{moved}"
        );
        assert!(
            profile
                .parts
                .iter()
                .all(|p| p.seconds >= 0.0 && !p.layer.is_empty())
        );
        assert!(profile.parts.iter().any(|p| p.layer == "loss"));
        assert_eq!(profile.optimizer_bytes, {
            let layout = trainer.network.parameters().layout();
            2 * 4 * layout.trainable_length()
        });
    }

    #[test]
    fn a_profiled_step_is_a_step() {
        let ((mut plain, train), (mut profiled, _)) = (trainer(), trainer());
        for batch in train.epoch(0).take(3) {
            let batch = batch.unwrap();
            plain.step_at(&batch, 1, 1e-2).unwrap();
            profiled.profile(&batch, 1e-2).unwrap();
        }
        assert!(plain.network.parameters().values() == profiled.network.parameters().values());
        assert_eq!(plain.step_count(), profiled.step_count());
    }
}
