//! The optimizer's pass: one call for the whole store of trainable parameters.

use engine::{Buffer, Clip, Descent, Engine, Layout, Parameters, Program, Span};
use graph::Movement;
use nn::{GradientClipping, Optimizer, clip_scale};

use crate::TrainError;

/// Parameters that learn alike: at a share of the learning rate, and since a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Group {
    /// The share.
    pub rate: f64,
    /// The steps that were done before they began to learn: the rule counts its steps from there.
    pub since: u64,
}

impl Group {
    /// At the learning rate itself, from the beginning.
    pub const WHOLE: Self = Self { rate: 1.0, since: 0 };
}

/// An optimizer at work on a network's parameters.
pub(super) struct Update {
    engine: Engine,
    optimizer: Optimizer,
    clipping: Option<GradientClipping>,
    groups: Vec<Group>,
    /// Two for each group: with weight decay, and without.
    rules: Vec<Movement>,
    /// Runs of parameters and their rules; what lies in none stays as it is.
    spans: Vec<Span>,
    /// One run of numbers per slot, in the parameters' layout.
    pub memory: Vec<Buffer>,
}

impl Update {
    pub fn new(
        engine: &Engine,
        optimizer: Optimizer,
        clipping: Option<GradientClipping>,
        layout: &Layout,
    ) -> Self {
        let length = layout.trainable_length();
        let memory = (0..optimizer.state_slots()).map(|_| Buffer::new(length));
        Self {
            engine: engine.clone(),
            optimizer,
            clipping,
            groups: vec![Group::WHOLE],
            rules: Vec::with_capacity(2),
            spans: spans(&optimizer, layout, |_| Some(0)),
            memory: memory.collect(),
        }
    }

    /// Puts each parameter into the group that `group_of` gives for its name; one without a group no longer moves.
    pub fn regroup(&mut self, layout: &Layout, groups: Vec<Group>, group_of: impl Fn(&str) -> Option<usize>) {
        self.spans = spans(&self.optimizer, layout, group_of);
        self.rules = Vec::with_capacity(2 * groups.len());
        self.groups = groups;
    }

    /// Moves the parameters along the gradients of the program's last run. The gradients' norm if it was needed;
    /// where that is not finite nothing has changed.
    pub fn apply(
        &mut self,
        step: u64,
        learning_rate: f64,
        parameters: &mut Parameters,
        program: &mut Program,
    ) -> Result<Option<f64>, TrainError> {
        let (clip, norm) = self.clip(program.gradients());
        if norm.is_none_or(f64::is_finite) {
            let (descent, state) = self.descent(step, learning_rate, clip);
            program.descend(descent, parameters, state)?;
        }
        Ok(norm)
    }

    /// What is done to each gradient, and the gradients' norm where that needs it.
    fn clip(&self, gradients: &[f32]) -> (Clip, Option<f64>) {
        match self.clipping {
            None => (Clip::default(), None),
            Some(GradientClipping::Value(most)) => {
                let most = most.abs() as f32;
                (Clip { scale: 1.0, most }, None)
            }
            Some(GradientClipping::Norm(most)) => {
                let norm = self.engine.norm(gradients);
                let scale = clip_scale(norm, most);
                let most = f32::INFINITY;
                (Clip { scale, most }, Some(norm))
            }
        }
    }

    /// The numbers of a step, and the runs of what the optimizer remembers.
    fn descent(
        &mut self,
        step: u64,
        learning_rate: f64,
        clip: Clip,
    ) -> (Descent<'_>, impl Iterator<Item = &mut [f32]>) {
        self.rules.clear();
        for group in &self.groups {
            let (step, rate) = (step.saturating_sub(group.since), learning_rate * group.rate);
            let decaying = self.optimizer.at(step, rate);
            let other = match self.optimizer.weight_decay {
                0.0 => decaying,
                _ => self.optimizer.without_decay().at(step, rate),
            };
            self.rules.extend([decaying, other]);
        }
        let descent = Descent {
            rules: &self.rules,
            spans: &self.spans,
            clip,
        };
        (descent, self.memory.iter_mut().map(|slot| &mut slot[..]))
    }
}

/// Neighbours that one rule moves make one span; the padding between them is 0 and stays so.
fn spans(optimizer: &Optimizer, layout: &Layout, group_of: impl Fn(&str) -> Option<usize>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for entry in layout.entries().iter().filter(|e| e.trainable) {
        let Some(group) = group_of(&entry.name) else {
            continue;
        };
        let decays = optimizer.decay_of(entry.shape.rank()) == optimizer.weight_decay;
        let rule = 2 * group + usize::from(!decays);
        let end = (entry.offset + entry.elements().next_multiple_of(16)).min(layout.trainable_length());
        match spans.last_mut() {
            Some(last) if last.rule == rule && last.range.end == entry.offset => last.range.end = end,
            _ => spans.push(Span {
                range: entry.offset..end,
                rule,
            }),
        }
    }
    spans
}

#[cfg(test)]
#[path = "update/tests.rs"]
mod tests;
