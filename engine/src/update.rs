//! What an optimizer needs of the machine: one pass over the parameters, and the gradients' norm.

use crate::kernels::optimizer::{self, Clip, SLOTS, Span, Store};
use crate::{Engine, EngineError};
use graph::Movement;

impl Engine {
    /// Moves each span of the parameters by its rule, on as many threads as is worth it. Parameters,
    /// gradients and each run of `state` lie alike. The bits do not depend on the threads.
    ///
    /// ```
    /// use graticule_engine::{Clip, Engine, Span};
    /// use graph::Movement;
    /// let (mut p, g) = ([1.0, -2.0], [0.5, 3.0]);
    /// let rules = [Movement::Plain { rate: 0.1, decay: 0.0 }];
    /// let spans = [Span { range: 0..2, rule: 0 }];
    /// let clip = Clip { scale: 1.0, most: 1.0 };
    /// Engine::new(1).descend(&rules, &spans, clip, &mut p, &g, [])?;
    /// assert_eq!(p, [0.95, -2.1]);
    /// # Ok::<(), graticule_engine::EngineError>(())
    /// ```
    ///
    /// # Errors
    /// [`EngineError::Parameters`] when the runs do not belong together, a span lies outside of them or
    /// names a rule that there is not; nothing has changed then.
    pub fn descend<'a>(
        &self,
        rules: &[Movement],
        spans: &[Span],
        clip: Clip,
        parameters: &'a mut [f32],
        gradients: &'a [f32],
        state: impl IntoIterator<Item = &'a mut [f32]>,
    ) -> Result<(), EngineError> {
        let length = parameters.len();
        let mut slots: [&mut [f32]; SLOTS] = Default::default();
        let mut found = 0;
        for run in state {
            if run.len() != length || found == SLOTS {
                return Err(unfit("runs of state", run.len(), length));
            }
            slots[found] = run;
            found += 1;
        }
        if gradients.len() != length {
            return Err(unfit("gradients", gradients.len(), length));
        }
        for span in spans {
            let needs = rules.get(span.rule).map(Movement::slots);
            if span.range.start > span.range.end || span.range.end > length || needs.is_none_or(|n| n > found)
            {
                let message = format!(
                    "{span:?} of {length} parameters with {} rules and {found} runs of state; it must lie \
                     within them, and its rule's state must be there",
                    rules.len()
                );
                return Err(EngineError::Parameters(message));
            }
        }
        let mut store = Store {
            parameters,
            gradients,
            state: slots,
        };
        optimizer::descend((self.pool(), self.isa()), rules, spans, clip, &mut store);
        Ok(())
    }

    /// The Euclidean norm of all numbers, summed in f64; its bits do not depend on the threads.
    pub fn norm(&self, numbers: &[f32]) -> f64 {
        optimizer::norm(self.pool(), self.isa(), numbers)
    }
}

fn unfit(what: &str, found: usize, length: usize) -> EngineError {
    EngineError::Parameters(format!(
        "{length} parameters and {what} of {found} numbers; the lengths must be equal, of at most {SLOTS} runs"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_do_not_belong_together_are_refused_and_left_alone() {
        let engine = Engine::new(1);
        let momentum = Movement::Momentum {
            rate: 0.1,
            momentum: 0.9,
            share: 1.0,
            ahead: 0.0,
            along: 1.0,
            decay: 0.0,
        };
        let tries = [
            (4, 4, 4, 0),
            (4, 3, 4, 0),
            (4, 4, 3, 0),
            (5, 4, 4, 0),
            (4, 4, 4, 1),
        ];
        for (case, (end, gradients, state, rule)) in tries.into_iter().enumerate() {
            let (mut p, mut b) = ([1.0; 4], vec![0.0; state]);
            let spans = [Span { range: 0..end, rule }];
            let g = vec![1.0; gradients];
            let done = engine.descend(&[momentum], &spans, Clip::default(), &mut p, &g, [&mut b[..]]);
            assert_eq!(done.is_ok(), case == 0, "case {case}: {done:?}");
            assert_eq!(p == [1.0; 4], case != 0);
        }
        let mut p = [1.0; 4];
        let spans = [Span { range: 0..4, rule: 0 }];
        let missing = engine.descend(&[momentum], &spans, Clip::default(), &mut p, &[1.0; 4], []);
        assert!(missing.is_err() && p == [1.0; 4]);
    }
}
