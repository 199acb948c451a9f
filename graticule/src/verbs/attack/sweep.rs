//! Accuracy against the size of the change, for each kind of attack.

use data::{Loader, LoaderOptions};
use explain::attack::{Attack, Goal};
use serde::Serialize;
use train::argmax;

use super::{Args, Kind, Scene, share};
use crate::error::Outcome;
use crate::text::number;
use crate::verbs::explain::progress::Bar;

/// What was measured.
pub struct Sweep {
    /// Sizes, 0 first.
    pub strengths: Vec<f32>,
    /// One for each kind of attack.
    pub curves: Vec<Curve>,
}

/// One kind of attack.
#[derive(Debug, Clone, Serialize)]
pub struct Curve {
    /// Its name.
    pub method: &'static str,
    /// Share of right answers at each size.
    pub accuracy: Vec<f64>,
    /// With a target: share of the samples of other classes that the network takes for it.
    pub success: Option<Vec<f64>>,
}

/// Answers under one attack.
pub struct Answers {
    /// Class that the network says, in the order of the samples.
    pub said: Vec<usize>,
    /// True class.
    pub truth: Vec<usize>,
}

impl Answers {
    /// Share of right answers.
    pub fn accuracy(&self) -> f64 {
        let right = self.said.iter().zip(&self.truth).filter(|(s, t)| s == t).count();
        right as f64 / self.said.len().max(1) as f64
    }

    /// Share of the samples of other classes that are taken for `class`; NaN where there are none.
    pub fn taken_for(&self, class: usize) -> f64 {
        let others = || self.said.iter().zip(&self.truth).filter(|(_, t)| **t != class);
        others().filter(|(s, _)| **s == class).count() as f64 / others().count() as f64
    }
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Fgsm => "fgsm",
            Self::Pgd => "pgd",
        }
    }

    /// The attack of this kind.
    pub fn attack(self, args: &Args, size: f32) -> Attack {
        let norm = args.norm.norm();
        match self {
            Self::Noise => Attack::noise(norm, size),
            Self::Fgsm => Attack::fgsm(norm, size),
            Self::Pgd => Attack::pgd(norm, size, args.steps as usize),
        }
    }
}

/// Attacks all samples with every kind at every size.
pub fn measure(args: &Args, scene: &mut Scene, strengths: &[f32], bar: &Bar) -> Outcome<Sweep> {
    let clean = answers(scene, |_, _, _| Ok(()), |_| ())?;
    let (all, mut done) = (args.method.len() * (strengths.len() - 1) * scene.indices.len(), 0);
    let mut curves = Vec::new();
    for &kind in &args.method {
        let mut found = vec![(clean.accuracy(), scene.target.map(|class| clean.taken_for(class)))];
        bar.begin(format!("{} at {} sizes", kind.name(), strengths.len() - 1));
        for &size in &strengths[1..] {
            let attack = kind.attack(args, size);
            let under = answers(
                scene,
                |scene, batch, _| perturb(scene, batch, &attack, args.seed),
                |count| {
                    done += count;
                    bar.at(done, all);
                },
            )?;
            found.push((under.accuracy(), scene.target.map(|class| under.taken_for(class))));
        }
        curves.push(Curve {
            method: kind.name(),
            accuracy: found.iter().map(|f| f.0).collect(),
            success: found.iter().map(|f| f.1).collect(),
        });
    }
    Ok(Sweep {
        strengths: strengths.to_vec(),
        curves,
    })
}

/// Changes a batch by an attack: away from the truth, or towards the target.
pub fn perturb(scene: &mut Scene, batch: &mut data::Batch, attack: &Attack, seed: u64) -> Outcome {
    let (labels, goal) = match scene.target {
        Some(class) => (vec![class as f32; batch.size], Goal::Towards),
        None => (batch.targets.clone(), Goal::Away),
    };
    let indices = &batch.indices;
    scene.adversary.perturb(
        scene.network.parameters_mut(),
        &mut batch.inputs,
        &labels,
        (attack, goal),
        |k| [seed, indices[k] as u64, 0],
    )?;
    Ok(())
}

/// What the network says of all samples after `change`, which is told each batch and the place of its first sample.
pub fn answers(
    scene: &mut Scene,
    mut change: impl FnMut(&mut Scene, &mut data::Batch, usize) -> Outcome,
    mut told: impl FnMut(usize),
) -> Outcome<Answers> {
    let options = LoaderOptions {
        batch: scene.adversary.batch()?,
        ..LoaderOptions::default()
    };
    let loader = Loader::new(
        &scene.dataset,
        &scene.indices,
        scene.network.preprocess(),
        options,
    )?;
    let mut answers = Answers {
        said: Vec::new(),
        truth: Vec::new(),
    };
    for batch in loader.epoch(0) {
        let mut batch = batch?;
        change(scene, &mut batch, answers.said.len())?;
        let told_of = scene.network.infer(&batch.inputs, batch.size)?.predictions;
        answers
            .said
            .extend(told_of.chunks(scene.classes.len()).map(argmax));
        answers.truth.extend(batch.targets.iter().map(|&t| t as usize));
        told(batch.size);
    }
    Ok(answers)
}

impl Sweep {
    /// The table, its header first.
    pub fn rows(&self, scene: &Scene) -> Vec<Vec<String>> {
        let mut header = vec!["size".to_string()];
        header.extend(self.curves.iter().map(|curve| curve.method.to_string()));
        if let Some(class) = scene.target {
            let name = &scene.classes[class];
            header.extend(
                self.curves
                    .iter()
                    .map(|curve| format!("{} says {name}", curve.method)),
            );
        }
        let row = |(k, &size): (usize, &f32)| {
            let accuracy = self.curves.iter().map(|curve| share(curve.accuracy[k]));
            let success = self
                .curves
                .iter()
                .filter_map(|curve| curve.success.as_ref().map(|s| share(s[k])));
            std::iter::once(number(f64::from(size)))
                .chain(accuracy)
                .chain(success)
                .collect()
        };
        std::iter::once(header)
            .chain(self.strengths.iter().enumerate().map(row))
            .collect()
    }

    /// The size at which the last kind of attack first fools half of those that were right (or, with a target, half of
    /// the others), else the largest.
    pub fn telling(&self) -> f32 {
        let place = self.curves.last().and_then(|curve| match &curve.success {
            Some(success) => success.iter().position(|&s| s >= 0.5),
            None => curve.accuracy.iter().position(|&a| a <= 0.5 * curve.accuracy[0]),
        });
        let last = self.strengths.len() - 1;
        self.strengths[place.unwrap_or(last).clamp(1.min(last), last)]
    }
}
