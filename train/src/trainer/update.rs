//! The optimizer's pass: one call for the whole store of trainable parameters.

use engine::{Buffer, Clip, Engine, Layout, Span};
use nn::{GradientClipping, Optimizer, clip_scale};

use crate::TrainError;

/// An optimizer at work on a network's parameters.
pub(super) struct Update {
    engine: Engine,
    optimizer: Optimizer,
    clipping: Option<GradientClipping>,
    /// Runs of parameters: rule 0 moves those with weight decay, rule 1 those without.
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
            spans: spans(&optimizer, layout),
            memory: memory.collect(),
        }
    }

    /// Moves the parameters along the gradients. The gradients' norm if it was needed; where that is
    /// not finite nothing has changed.
    pub fn apply(
        &mut self,
        step: u64,
        learning_rate: f64,
        parameters: &mut [f32],
        gradients: &[f32],
    ) -> Result<Option<f64>, TrainError> {
        let (clip, norm) = match self.clipping {
            None => (Clip::default(), None),
            Some(GradientClipping::Value(most)) => {
                let most = most.abs() as f32;
                (Clip { scale: 1.0, most }, None)
            }
            Some(GradientClipping::Norm(most)) => {
                let norm = self.engine.norm(gradients);
                if !norm.is_finite() {
                    return Ok(Some(norm));
                }
                let scale = clip_scale(norm, most);
                let most = f32::INFINITY;
                (Clip { scale, most }, Some(norm))
            }
        };
        let decaying = self.optimizer.at(step, learning_rate);
        let rules = match self.optimizer.weight_decay {
            0.0 => [decaying; 2],
            _ => [decaying, self.optimizer.without_decay().at(step, learning_rate)],
        };
        let state = self.memory.iter_mut().map(|slot| &mut slot[..]);
        let parameters = &mut parameters[..gradients.len()];
        self.engine
            .descend(&rules, &self.spans, clip, parameters, gradients, state)?;
        Ok(norm)
    }
}

/// Neighbours that one rule moves make one span; the padding between them is 0 and stays so.
fn spans(optimizer: &Optimizer, layout: &Layout) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let trainable = layout.entries().iter().filter(|e| e.trainable);
    for entry in trainable {
        let decays = optimizer.decay_of(entry.shape.rank()) == optimizer.weight_decay;
        let rule = usize::from(!decays);
        let end = (entry.offset + entry.elements().next_multiple_of(16)).min(layout.trainable_length());
        match spans.last_mut() {
            Some(last) if last.rule == rule => last.range.end = end,
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
