//! Adversarial training: each step learns from pictures that were changed against the network as it is then.

use data::{Batch, InputEncoding, Preprocess, TargetKind};
use engine::{Engine, Parameters};
use explain::attack::{Adversary, Attack, Goal, Norm, Pixels};
use nn::Model;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// Part of the run in which the changes grow to their full size. A small network that meets the full size at once may
/// learn to say the same of everything (Madry et al. 2017, on capacity).
const GROWING: f64 = 0.4;
/// Sets the starts of validation apart from those of steps.
const VALIDATION: u64 = u64::MAX;

/// The defence (Madry et al. 2017): minimise the loss of the worst picture within `epsilon` of each picture, as far as a
/// few steps find it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Adversarial {
    /// Largest change of a pixel, black being 0 and white 1.
    pub epsilon: f32,
    /// Steps that look for the worst picture. One alone begins at a random place and is 1.25 · ε long (Wong, Rice &
    /// Kolter 2020); more are PGD.
    pub steps: usize,
}

impl Adversarial {
    /// The attack that is trained against, with the size times `share`.
    pub fn attack(&self, share: f32) -> Attack {
        let epsilon = self.epsilon * share;
        match self.steps {
            1 => Attack {
                stride: 1.25,
                random_start: true,
                ..Attack::fgsm(Norm::Max, epsilon)
            },
            steps => Attack::pgd(Norm::Max, epsilon, steps),
        }
    }
}

/// Changes batches in training.
pub(super) struct Opponent {
    settings: Adversarial,
    adversary: Adversary,
    changed: Vec<f32>,
}

/// Where in a run a batch is met.
pub(super) struct Moment {
    pub seed: u64,
    pub step: u64,
    pub total_steps: u64,
}

impl Opponent {
    pub fn new(
        settings: Adversarial,
        engine: &Engine,
        model: &Model,
        preprocess: &Preprocess,
        targets: TargetKind,
    ) -> Result<Self, TrainError> {
        if targets != TargetKind::ClassIndex {
            let told = "adversarial training needs one class for each sample: leave out mixup, one-against-all losses, several \
                        labels and numbers";
            return Err(TrainError::Setting(told.into()));
        }
        let InputEncoding::Image(encoding) = &preprocess.input else {
            let told = "adversarial training changes pixels; these data are rows of a table";
            return Err(TrainError::Setting(told.into()));
        };
        let pixels = Pixels::new(encoding.mean.clone(), encoding.std.clone())?;
        settings.attack(1.0).check()?;
        Ok(Self {
            settings,
            adversary: Adversary::new(engine, model, pixels)?,
            changed: Vec::new(),
        })
    }

    /// The batch's inputs, changed against the network as it is at this step.
    pub fn change(
        &mut self,
        parameters: &mut Parameters,
        batch: &Batch,
        moment: &Moment,
    ) -> Result<&[f32], TrainError> {
        let grown = (moment.step + 1) as f64 / (GROWING * moment.total_steps.max(1) as f64);
        let attack = self.settings.attack(grown.min(1.0) as f32);
        self.by(&attack, parameters, batch, |k| {
            [moment.seed, moment.step, k as u64]
        })
    }

    /// The batch's inputs, changed at full size; a sample's start is the same whenever it is met.
    pub fn change_for_validation(
        &mut self,
        parameters: &mut Parameters,
        batch: &Batch,
        seed: u64,
    ) -> Result<&[f32], TrainError> {
        let attack = self.settings.attack(1.0);
        self.by(&attack, parameters, batch, |k| {
            [seed, VALIDATION, batch.indices[k] as u64]
        })
    }

    fn by(
        &mut self,
        attack: &Attack,
        parameters: &mut Parameters,
        batch: &Batch,
        key: impl Fn(usize) -> [u64; 3],
    ) -> Result<&[f32], TrainError> {
        self.changed.clear();
        self.changed.extend_from_slice(&batch.inputs);
        let goal = (attack, Goal::Away);
        self.adversary
            .perturb(parameters, &mut self.changed, &batch.targets, goal, key)?;
        Ok(&self.changed)
    }
}
