//! Adversarial examples of whole batches.

use engine::{Engine, EngineError, Parameters, Program, Request};
use graph::{Binding, Mode, Shape, Symbol, differentiate, lower};
use nn::{Loss, Model};

use super::moves::{Spread, Way};
use super::{Attack, Goal};
use crate::ExplainError;
use crate::random::{Purpose, rng};
use crate::subject::{MEMORY, samples_within, unnormalised};

/// The name of the labels among the program's inputs.
const LABEL: &str = "attacked label";

/// How pixels between 0 and 1 become what the network reads: x = (p − mean)/std, with one mean and one std for each
/// channel, the last axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Pixels {
    /// The normalisation of each channel.
    ///
    /// # Errors
    /// [`ExplainError::Setting`] unless there is one finite mean and one positive deviation for each channel.
    pub fn new(mean: Vec<f32>, std: Vec<f32>) -> Result<Self, ExplainError> {
        let sound = mean.iter().all(|m| m.is_finite()) && std.iter().all(|&s| s.is_finite() && s > 0.0);
        if mean.len() == std.len() && !mean.is_empty() && sound {
            return Ok(Self { mean, std });
        }
        let found = format!("means {mean:?} and deviations {std:?}");
        Err(ExplainError::setting(
            "normalisation",
            found,
            "one finite mean and one positive deviation for each channel",
        ))
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    pub(super) fn std(&self, place: usize) -> f32 {
        self.std[place % self.std.len()]
    }

    /// What the network reads for a pixel of this value.
    pub fn encode(&self, place: usize, pixel: f32) -> f32 {
        (pixel - self.mean[place % self.mean.len()]) / self.std(place)
    }

    /// The pixel that the network reads as this number.
    pub fn decode(&self, place: usize, value: f32) -> f32 {
        value * self.std(place) + self.mean[place % self.mean.len()]
    }
}

/// A network under attack: the program that computes the slope of its loss in every pixel.
///
/// The network is taken as it predicts (running statistics, no dropout). All randomness is keyed, and the bits do not
/// depend on the number of threads.
pub struct Adversary {
    engine: Engine,
    input: String,
    sample: usize,
    classes: usize,
    pixels: Pixels,
    spread: Spread,
    gradient: Symbol,
    programs: Vec<Ready>,
}

/// The program for batches of one size, with room for what it works on.
struct Ready {
    size: usize,
    program: Program,
    input: usize,
    label: usize,
    moved: Vec<f32>,
}

/// Programs for this many batch sizes are kept.
const PROGRAMS: usize = 3;

impl Adversary {
    /// Prepares attacks on a classifier of pictures. A single output is the score of the second of two classes.
    ///
    /// # Errors
    /// [`ExplainError::Unsuited`] for a network that reads no pictures of so many channels, gives more than one number
    /// for each class, or has no gradient in its pixels; what the graph says.
    pub fn new(engine: &Engine, model: &Model, pixels: Pixels) -> Result<Self, ExplainError> {
        let input = model.input();
        let shape = input.shape()[1..].to_vec();
        if shape.len() != 3 || shape[2] != pixels.channels() {
            let found = format!("the network reads samples of shape {shape:?}");
            let expected = format!("pictures [H, W, {}]", pixels.channels());
            return Err(ExplainError::unsuited("attack", found, expected));
        }
        let scores = lower(&[unnormalised(model.output())], Mode::Infer)?
            .outputs
            .remove(0);
        let width = scores.shape().last_axis();
        if scores.shape().rank() != 2 {
            let found = format!(
                "the network gives {} for each sample",
                Shape::new(&scores.shape()[1..])
            );
            return Err(ExplainError::unsuited(
                "attack",
                found,
                "one score for each class",
            ));
        }
        let (loss, label) = match width {
            1 => (Loss::BinaryCrossEntropy, Symbol::input(LABEL, [1])),
            _ => (Loss::cross_entropy(), Symbol::input(LABEL, [])),
        };
        let loss = loss.on(&scores, &label)?;
        let gradient = differentiate(&loss, std::slice::from_ref(input))?.remove(0);
        // What does not depend on the label is no slope, but the zero of a way that does not exist.
        if !graph::topological(std::slice::from_ref(&gradient)).contains(&label) {
            return Err(ExplainError::unsuited(
                "attack",
                "no gradient gets from the scores back to the pixels (a threshold, or indices, lie between)",
                "a network that is differentiable all the way",
            ));
        }
        Ok(Self {
            engine: engine.clone(),
            input: input.as_input().map(|i| i.name.clone()).unwrap_or_default(),
            sample: shape.iter().product(),
            classes: width.max(2),
            spread: Spread::new(&pixels, shape.iter().product()),
            pixels,
            gradient,
            programs: Vec::new(),
        })
    }

    /// The normalisation.
    pub fn pixels(&self) -> &Pixels {
        &self.pixels
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Samples that may be attacked together when the values of a batch are to take no more than 512 MiB; 64 at most.
    ///
    /// # Errors
    /// When a shape does not fit, which a sound network excludes.
    pub fn batch(&self) -> Result<usize, ExplainError> {
        samples_within(MEMORY, std::slice::from_ref(&self.gradient))
    }

    /// Changes `inputs` (`labels.len()` samples, encoded as the network reads them) by the attack. `labels` are class
    /// indices: the right ones, or those wanted ([`Goal::Towards`]). `key` names the random start of each sample.
    ///
    /// # Errors
    /// [`ExplainError::Setting`], [`ExplainError::Inputs`], [`ExplainError::Target`]; what the engine refuses.
    pub fn perturb(
        &mut self,
        parameters: &mut Parameters,
        inputs: &mut [f32],
        labels: &[f32],
        (attack, goal): (&Attack, Goal),
        key: impl Fn(usize) -> [u64; 3],
    ) -> Result<(), ExplainError> {
        attack.check()?;
        let place = self.ready(parameters, inputs.len(), labels)?;
        let (sample, spread) = (self.sample, &self.spread);
        let ready = &mut self.programs[place];
        let way = |from| Way { attack, spread, from };
        let samples = ready
            .moved
            .chunks_exact_mut(sample)
            .zip(inputs.chunks_exact(sample));
        for (k, (moved, from)) in samples.enumerate() {
            let [seed, first, second] = key(k);
            way(from).start(moved, &mut rng(seed, first, second, Purpose::Start));
        }
        for _ in 0..attack.steps {
            ready.slopes(parameters, labels)?;
            let slopes = ready.program.output(0).chunks_exact(sample);
            let samples = ready
                .moved
                .chunks_exact_mut(sample)
                .zip(inputs.chunks_exact(sample));
            for ((moved, from), slope) in samples.zip(slopes) {
                way(from).step(moved, slope, goal == Goal::Away);
            }
        }
        inputs.copy_from_slice(&ready.moved);
        Ok(())
    }

    /// The slope of the mean loss of `labels` in every number of `inputs`.
    ///
    /// # Errors
    /// As [`Adversary::perturb`].
    pub fn slopes(
        &mut self,
        parameters: &mut Parameters,
        inputs: &[f32],
        labels: &[f32],
    ) -> Result<&[f32], ExplainError> {
        let place = self.ready(parameters, inputs.len(), labels)?;
        let ready = &mut self.programs[place];
        ready.moved.copy_from_slice(inputs);
        ready.slopes(parameters, labels)?;
        Ok(ready.program.output(0))
    }

    /// The place of the program for so many samples; it is compiled when the first such batch comes.
    fn ready(
        &mut self,
        parameters: &Parameters,
        values: usize,
        labels: &[f32],
    ) -> Result<usize, ExplainError> {
        let size = labels.len();
        if size == 0 || values != size * self.sample {
            return Err(ExplainError::Inputs {
                found: format!("{values} numbers for {size} labels"),
                expected: format!("{} numbers for each sample, one label each", self.sample),
            });
        }
        if let Some(bad) = labels.iter().find(|&&l| !(l >= 0.0 && l < self.classes as f32)) {
            let told = format!(
                "found the label {bad}; the network has the classes 0 to {}",
                self.classes - 1
            );
            return Err(ExplainError::Target(told));
        }
        if let Some(place) = self.programs.iter().position(|ready| ready.size == size) {
            return Ok(place);
        }
        if self.programs.len() >= PROGRAMS {
            self.programs.remove(0);
        }
        let request = Request::outputs(std::slice::from_ref(&self.gradient));
        let program = Program::compile(&self.engine, &request, parameters.layout(), &Binding::batch(size))?;
        self.programs.push(Ready {
            size,
            input: program.input_index(&self.input)?,
            label: program.input_index(LABEL)?,
            program,
            moved: vec![0.0; values],
        });
        Ok(self.programs.len() - 1)
    }
}

impl Ready {
    fn slopes(&mut self, parameters: &mut Parameters, labels: &[f32]) -> Result<(), EngineError> {
        self.program.set_input_at(self.input, &self.moved)?;
        self.program.set_input_at(self.label, labels)?;
        self.program.run(parameters, 0)
    }
}
