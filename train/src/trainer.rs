//! One training step: forward, loss, backward, update.

mod adversary;
mod profile;
mod update;

use data::{Batch, Loader, TargetKind};
use engine::{Buffer, Program, Request};
use graph::{Binding, Mode, Symbol, differentiate, lower_each};
use interchange::ModelFile;
use nn::{GradientClipping, Loss, Progress, Scheduler};

use crate::diagnose::{self, LayerHealth};
use crate::evaluate::{Predictions, predict_changed};
use crate::{Network, Settings, TrainError, transfer};

pub use adversary::Adversarial;
use adversary::{Moment, Opponent};
pub use profile::{PartTime, Pass, StepProfile};
use update::{Group, Update};

/// The name of the targets among a training program's inputs.
const TARGET: &str = "target";

/// Layers and what they hand on.
type Layers = Vec<(String, Symbol)>;

/// A network in training.
pub struct Trainer {
    /// The network; its parameters change with every step.
    pub network: Network,
    settings: Settings,
    targets: TargetKind,
    /// What becomes of each block, where the network is a pretrained one.
    plan: Option<transfer::Plan>,
    /// The first of the plan's blocks that trains in the epoch at hand.
    first: usize,
    request: Request,
    /// Each layer's outputs in the training graph, for the debugging report.
    layers: Layers,
    /// One for each size of batch that there was.
    programs: Vec<Ready>,
    /// Which of them the last batch ran on.
    current: usize,
    update: Update,
    /// Changes the inputs of each step, in adversarial training.
    opponent: Option<Opponent>,
    pub(crate) scheduler: Scheduler,
    pub(crate) step: u64,
    steps_per_epoch: u64,
}

/// A program for batches of one size.
struct Ready {
    size: usize,
    program: Program,
    /// Which of the program's inputs take the batch's inputs and targets.
    input: usize,
    target: usize,
}

/// What one step found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepResult {
    /// Mean loss of the batch, before the update.
    pub loss: f32,
    /// Learning rate used.
    pub learning_rate: f64,
    /// L2 norm of all gradients, where clipping needed it.
    pub gradient_norm: Option<f64>,
}

impl Trainer {
    /// Prepares training of `network` with targets of this kind.
    ///
    /// # Errors
    /// When the loss does not fit the network's output, or an op on the way has no gradient.
    pub fn new(
        network: Network,
        settings: Settings,
        targets: TargetKind,
        steps_per_epoch: usize,
    ) -> Result<Self, TrainError> {
        let plan = settings
            .transfer
            .map(|transfer| transfer::Plan::new(network.model(), transfer, settings.epochs))
            .transpose()?;
        let network = match plan.as_ref().and_then(transfer::Plan::features) {
            Some(features) => network.entered_at(features)?,
            None => network,
        };
        let first = plan.as_ref().map_or(0, |plan| plan.first(0));
        let (request, layers) = request(&network, &settings, targets, plan.as_ref().map(|p| (p, first)))?;
        let opponent = settings.adversarial.map(|defence| {
            let (engine, model) = (network.engine(), network.model());
            Opponent::new(defence, engine, model, network.preprocess(), targets)
        });
        let opponent = opponent.transpose()?;
        let layout = network.parameters().layout();
        let mut update = Update::new(network.engine(), settings.optimizer, settings.clipping, layout);
        if let Some(plan) = &plan {
            let (groups, group_of) = groups(plan, first, steps_per_epoch);
            update.regroup(layout, groups, group_of);
        }
        let scheduler = Scheduler::new(settings.learning_rate, settings.schedule.clone());
        let steps_per_epoch = steps_per_epoch as u64;
        Ok(Self {
            network,
            settings,
            targets,
            plan,
            first,
            request,
            layers,
            programs: vec![],
            current: 0,
            update,
            opponent,
            scheduler,
            step: 0,
            steps_per_epoch,
        })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What becomes of each block, where the network is a pretrained one.
    pub fn plan(&self) -> Option<&transfer::Plan> {
        self.plan.as_ref()
    }

    /// Prepares `epoch`, counted from 1: blocks that begin to train in it get gradients, and their share of the
    /// learning rate. Whether there are any; [`Trainer::step`] does this by itself.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn begin_epoch(&mut self, epoch: usize) -> Result<bool, TrainError> {
        let Some(plan) = &self.plan else { return Ok(false) };
        let first = plan.first(epoch.saturating_sub(1));
        if first == self.first {
            return Ok(false);
        }
        let (request, layers) = request(&self.network, &self.settings, self.targets, Some((plan, first)))?;
        let (groups, group_of) = groups(plan, first, self.steps_per_epoch as usize);
        let layout = self.network.parameters().layout();
        self.update.regroup(layout, groups, group_of);
        (self.request, self.layers, self.first) = (request, layers, first);
        self.programs.clear();
        Ok(true)
    }

    /// The first block that trains in the epoch at hand; empty where the network has no plan.
    pub fn first_block(&self) -> &str {
        let part = self.plan.as_ref().map(|plan| &plan.parts()[self.first]);
        part.map_or("", |part| &part.block.name)
    }

    /// Numbers that gradients change in the epoch at hand.
    pub fn training_count(&self) -> usize {
        self.request
            .gradients
            .iter()
            .map(|(p, _)| p.shape().elements())
            .sum()
    }

    /// Steps done.
    pub fn step_count(&self) -> u64 {
        self.step
    }

    /// Steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        self.steps_per_epoch * self.settings.epochs as u64
    }

    /// What the optimizer remembers: one run of numbers per slot, in the parameters' layout.
    pub fn memory(&self) -> &[Buffer] {
        &self.update.memory
    }

    pub(crate) fn memory_mut(&mut self) -> &mut [Buffer] {
        &mut self.update.memory
    }

    /// The outputs (logits) of the last step on a batch of this size.
    pub fn last_output(&self, size: usize) -> Option<&[f32]> {
        let ready = self.programs.iter().find(|ready| ready.size == size)?;
        Some(ready.program.output(1))
    }

    /// One step at the scheduled learning rate.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] when the loss is not a number (the parameters are as before the step).
    pub fn step(&mut self, batch: &Batch, epoch: usize) -> Result<StepResult, TrainError> {
        let at = Progress {
            step: self.step,
            total_steps: self.total_steps(),
            steps_per_epoch: self.steps_per_epoch,
        };
        let learning_rate = self.scheduler.rate(at);
        self.step_at(batch, epoch, learning_rate)
    }

    /// One step at a given learning rate.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn step_at(
        &mut self,
        batch: &Batch,
        epoch: usize,
        learning_rate: f64,
    ) -> Result<StepResult, TrainError> {
        self.begin_epoch(epoch)?;
        let key = mix(self.settings.seed, self.step);
        let loss = self.forward_backward(batch, key)?;
        if !loss.is_finite() {
            return Err(self.not_finite(batch, epoch, loss));
        }
        let gradient_norm = self.update(learning_rate)?;
        if gradient_norm.is_some_and(|n| !n.is_finite()) {
            return Err(self.not_finite(batch, epoch, loss));
        }
        self.step += 1;
        Ok(StepResult {
            loss,
            learning_rate,
            gradient_norm,
        })
    }

    fn forward_backward(&mut self, batch: &Batch, key: u64) -> Result<f32, TrainError> {
        self.prepare(batch)?;
        let parameters = self.network.parameters_mut();
        let program = &mut self.programs[self.current].program;
        program.run(parameters, key)?;
        Ok(program.output(0)[0])
    }

    /// Makes the program for batches of this size the current one, with the batch in it.
    fn prepare(&mut self, batch: &Batch) -> Result<(), TrainError> {
        if self
            .programs
            .get(self.current)
            .is_none_or(|r| r.size != batch.size)
        {
            self.current = self.ready(batch.size)?;
        }
        let moment = Moment {
            seed: self.settings.seed,
            step: self.step,
            total_steps: self.total_steps(),
        };
        let ready = &mut self.programs[self.current];
        let inputs = match &mut self.opponent {
            Some(opponent) => opponent.change(self.network.parameters_mut(), batch, &moment)?,
            None => &batch.inputs,
        };
        ready.program.set_input_at(ready.input, inputs)?;
        ready.program.set_input_at(ready.target, &batch.targets)?;
        Ok(())
    }

    /// Which program takes batches of this size; it is compiled when the first one comes.
    fn ready(&mut self, size: usize) -> Result<usize, TrainError> {
        if let Some(index) = self.programs.iter().position(|ready| ready.size == size) {
            return Ok(index);
        }
        let layout = self.network.parameters().layout().clone();
        let program = Program::compile(
            self.network.engine(),
            &self.request,
            &layout,
            &Binding::batch(size),
        )?;
        let name = self.network.input_name();
        self.programs.push(Ready {
            size,
            input: program.input_index(name)?,
            target: program.input_index(TARGET)?,
            program,
        });
        Ok(self.programs.len() - 1)
    }

    /// Moves the parameters along the gradients of the last run; the gradients' norm if it was needed.
    fn update(&mut self, learning_rate: f64) -> Result<Option<f64>, TrainError> {
        let program = &mut self.programs[self.current].program;
        let parameters = self.network.parameters_mut();
        self.update
            .apply(self.step + 1, learning_rate, parameters, program)
    }

    /// The loss of a batch and its gradients' size, layer by layer, without an update (row S23).
    ///
    /// # Errors
    /// When the graph cannot be compiled for the batch.
    pub fn diagnose(&mut self, batch: &Batch) -> Result<Vec<LayerHealth>, TrainError> {
        let state: Vec<f32> = self.network.parameters().values().to_vec();
        self.forward_backward(batch, 0)?;
        // Looking must not change running statistics.
        self.network.parameters_mut().values_mut().copy_from_slice(&state);
        let program = &mut self.programs[self.current].program;
        program.complete_gradients()?;
        let gradients = program.gradients().to_vec();
        let report = self.look(batch, &gradients)?;
        self.network.parameters_mut().values_mut().copy_from_slice(&state);
        Ok(report)
    }

    fn look(&mut self, batch: &Batch, gradients: &[f32]) -> Result<Vec<LayerHealth>, TrainError> {
        let model = self.network.model().clone();
        let input = self.network.input_name().to_string();
        let engine = self.network.engine().clone();
        let inputs = (input.as_str(), &batch.inputs[..], batch.size);
        diagnose::health(
            &engine,
            &model,
            &self.layers,
            self.network.parameters_mut(),
            inputs,
            gradients,
        )
    }

    fn not_finite(&mut self, batch: &Batch, epoch: usize, loss: f32) -> TrainError {
        let blame = match self.look(batch, &[]) {
            Ok(report) => diagnose::blame(&report),
            Err(error) => format!("and the layers could not be looked at ({error})"),
        };
        TrainError::NotFinite {
            loss,
            step: self.step + 1,
            epoch,
            blame,
        }
    }

    /// What the network says of everything that `loader` gives: in adversarial training of changed samples, so that the
    /// epoch that is kept is the one that withstands best.
    ///
    /// # Errors
    /// As [`crate::predict`].
    pub(crate) fn validate(&mut self, loader: &Loader) -> Result<Predictions, TrainError> {
        let (seed, opponent) = (self.settings.seed, &mut self.opponent);
        predict_changed(&mut self.network, loader, |network, batch| {
            if let Some(opponent) = opponent {
                let changed = opponent.change_for_validation(network.parameters_mut(), batch, seed)?;
                batch.inputs.copy_from_slice(changed);
            }
            Ok(())
        })
    }

    /// The model file of what predicts: without the auxiliary heads, which served training alone.
    ///
    /// # Errors
    /// As [`Network::to_file`].
    pub fn finished(&self) -> Result<ModelFile, TrainError> {
        match self.settings.auxiliary.is_empty() {
            true => self.network.to_file(),
            false => self.network.first_output_to_file(),
        }
    }

    /// Frees the compiled programs.
    pub fn into_network(self) -> Network {
        self.network
    }
}

/// What a step computes, and each layer's outputs; with a plan, only for the blocks from the given one on: what lies
/// before them runs as at inference, and nothing of it changes.
fn request(
    network: &Network,
    settings: &Settings,
    targets: TargetKind,
    part: Option<(&transfer::Plan, usize)>,
) -> Result<(Request, Layers), TrainError> {
    let output = network.scores();
    let target = match targets {
        TargetKind::ClassIndex if matches!(settings.loss, Loss::CrossEntropy(_)) => Symbol::input(TARGET, []),
        _ => Symbol::input(TARGET, graph::Shape::new(&output.shape()[1..])),
    };
    let loss = whole_loss(network, settings, targets, &target)?;
    // A node has a larger number than all that it reads, and every way to the output passes through the cut.
    let cut = part.map_or(0, |(plan, first)| plan.parts()[first].block.input.id());
    let mode_of = |node: &Symbol| {
        if node.id() <= cut {
            Mode::Infer
        } else {
            Mode::Train
        }
    };
    let lowered = lower_each(&[loss, output.clone()], mode_of)?;
    let trains =
        |name: &str| part.is_none_or(|(plan, first)| plan.part_of(name).is_some_and(|(k, _)| k >= first));
    let parameters = network.model().parameters().iter();
    let trainable: Vec<Symbol> = parameters
        .filter(|p| p.trainable() && trains(&p.name))
        .map(|p| p.symbol.clone())
        .collect();
    let weights: Vec<Symbol> = trainable
        .iter()
        .filter(|p| p.shape().rank() > 1)
        .cloned()
        .collect();
    let loss = settings.penalty.on(&lowered.outputs[0], &weights)?;
    let gradients = differentiate(&loss, &trainable)?;
    let nodes = graph::topological(&lowered.outputs[1..]);
    let layers = diagnose::layer_outputs(network.model(), &nodes);
    let request = Request {
        outputs: vec![loss, lowered.outputs[1].clone()],
        gradients: trainable.into_iter().zip(gradients).collect(),
        updates: lowered.updates,
        fuse_update: !matches!(settings.clipping, Some(GradientClipping::Norm(_))),
    };
    Ok((request, layers))
}

/// loss(scores) + Σ share · loss(auxiliary head's scores).
fn whole_loss(
    network: &Network,
    settings: &Settings,
    targets: TargetKind,
    target: &Symbol,
) -> Result<Symbol, TrainError> {
    let (loss, shares) = (loss_for(&settings.loss, targets), &settings.auxiliary);
    let heads = network.model().outputs().get(1..).unwrap_or_default();
    if shares.len() > heads.len() || shares.iter().any(|share| !(*share >= 0.0 && share.is_finite())) {
        return Err(TrainError::Setting(format!(
            "the auxiliary heads' shares of the loss are {shares:?}; expected a number from 0 on for each of the {} \
             outputs that `{}` has behind its first",
            heads.len(),
            network.model().name()
        )));
    }
    let mut whole = loss.on(network.scores(), target)?;
    for (head, &share) in heads.iter().zip(shares) {
        whole = whole.add(&loss.on(head, target)?.affine(share as f32, 0.0)?)?;
    }
    Ok(whole)
}

/// The groups of parameters from the block `first` on, one for each share of the learning rate and each epoch of
/// beginning, and which of them a parameter belongs to.
fn groups(
    plan: &transfer::Plan,
    first: usize,
    steps_per_epoch: usize,
) -> (Vec<Group>, impl Fn(&str) -> Option<usize> + '_) {
    let group = |part: &transfer::Part| Group {
        rate: part.rate,
        since: (part.from.unwrap_or(0) * steps_per_epoch) as u64,
    };
    let mut groups: Vec<Group> = Vec::new();
    let of_part: Vec<Option<usize>> = plan
        .parts()
        .iter()
        .enumerate()
        .map(|(k, part)| {
            let own = group(part);
            (k >= first).then(|| match groups.iter().position(|g| *g == own) {
                Some(found) => found,
                None => {
                    groups.push(own);
                    groups.len() - 1
                }
            })
        })
        .collect();
    let group_of = move |name: &str| plan.part_of(name).and_then(|(k, _)| of_part[k]);
    (groups, group_of)
}

/// Class targets given as probabilities change how cross-entropy reads them.
fn loss_for(loss: &Loss, targets: TargetKind) -> Loss {
    match (loss, targets) {
        (Loss::CrossEntropy(details), TargetKind::ClassProbabilities) => {
            let mut details = details.clone();
            details.soft_targets = true;
            Loss::CrossEntropy(details)
        }
        _ => loss.clone(),
    }
}

/// The key of a step's random numbers (SplitMix64's finaliser).
fn mix(seed: u64, step: u64) -> u64 {
    let mut z = seed ^ step.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
