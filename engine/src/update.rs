//! What an optimizer needs of the machine: one pass over the parameters, and the gradients' norm.

use crate::kernels::optimizer::{self, Descent, SLOTS, Store};
use crate::{Engine, EngineError};
use graph::Movement;

impl Engine {
    /// Moves each span of the parameters by its rule, on as many threads as is worth it. Parameters,
    /// gradients and each run of `state` lie alike. The bits do not depend on the threads.
    ///
    /// ```
    /// use graticule_engine::{Clip, Descent, Engine, Span};
    /// use graph::Movement;
    /// let (mut p, g) = ([1.0, -2.0], [0.5, 3.0]);
    /// let descent = Descent {
    ///     rules: &[Movement::Plain { rate: 0.1, decay: 0.0 }],
    ///     spans: &[Span { range: 0..2, rule: 0 }],
    ///     clip: Clip { scale: 1.0, most: 1.0 },
    /// };
    /// Engine::new(1).descend(descent, &mut p, &g, [])?;
    /// assert_eq!(p, [0.95, -2.1]);
    /// # Ok::<(), graticule_engine::EngineError>(())
    /// ```
    ///
    /// # Errors
    /// [`EngineError::Parameters`] when the runs do not belong together, a span lies outside of them or
    /// names a rule that there is not; nothing has changed then.
    pub fn descend<'a>(
        &self,
        descent: Descent<'_>,
        parameters: &mut [f32],
        gradients: &[f32],
        state: impl IntoIterator<Item = &'a mut [f32]>,
    ) -> Result<(), EngineError> {
        let mut store = store(&descent, parameters, gradients, state)?;
        let all = 0..store.parameters.len();
        let on = (self.pool(), self.isa());
        optimizer::descend(on, descent, &mut store, std::slice::from_ref(&all));
        Ok(())
    }

    /// The Euclidean norm of all numbers, summed in f64; its bits do not depend on the threads.
    pub fn norm(&self, numbers: &[f32]) -> f64 {
        optimizer::norm(self.pool(), self.isa(), numbers)
    }
}

/// Puts runs together, if they belong together and the step fits them.
pub(crate) fn store<'a, 'b: 'a>(
    descent: &Descent<'_>,
    parameters: &'a mut [f32],
    gradients: &'a [f32],
    state: impl IntoIterator<Item = &'b mut [f32]>,
) -> Result<Store<'a>, EngineError> {
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
    for span in descent.spans {
        let needs = descent.rules.get(span.rule).map(Movement::slots);
        if span.range.start > span.range.end || span.range.end > length || needs.is_none_or(|n| n > found) {
            let message = format!(
                "{span:?} of {length} parameters with {} rules and {found} runs of state; it must lie \
                 within them, and its rule's state must be there",
                descent.rules.len()
            );
            return Err(EngineError::Parameters(message));
        }
    }
    Ok(Store {
        parameters,
        gradients,
        state: slots,
    })
}

fn unfit(what: &str, found: usize, length: usize) -> EngineError {
    EngineError::Parameters(format!(
        "{length} parameters and {what} of {found} numbers; the lengths must be equal, of at most {SLOTS} runs"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clip, Isa, Span};

    fn by<'a>(rules: &'a [Movement], spans: &'a [Span]) -> Descent<'a> {
        let clip = Clip::default();
        Descent { rules, spans, clip }
    }

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
        let rules = [momentum];
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
            let done = engine.descend(by(&rules, &spans), &mut p, &g, [&mut b[..]]);
            assert_eq!(done.is_ok(), case == 0, "case {case}: {done:?}");
            assert_eq!(p == [1.0; 4], case != 0);
        }
        let mut p = [1.0; 4];
        let spans = [Span { range: 0..4, rule: 0 }];
        let missing = engine.descend(by(&rules, &spans), &mut p, &[1.0; 4], []);
        assert!(missing.is_err() && p == [1.0; 4]);
    }

    #[test]
    fn what_fades_becomes_nothing_and_is_never_denormal() {
        let (rate, decay, epsilon, share) = (0.1, 0.0, 1e-8, 0.1);
        let momentum = Movement::Momentum {
            rate,
            momentum: 0.9,
            share: 1.0,
            ahead: 0.0,
            along: 1.0,
            decay,
        };
        let adadelta = Movement::Adadelta {
            rate,
            rho: 0.9,
            share,
            epsilon,
            decay,
        };
        let adam = Movement::Adam {
            rate,
            share1: share,
            beta2: 0.9,
            share2: share,
            unbias: 1.0,
            epsilon,
            decay,
            shrink: 1.0,
        };
        let rms_prop = [(None, false), (None, true), (Some(0.9), false), (Some(0.9), true)];
        let rms_prop = rms_prop.map(|(momentum, centered)| Movement::RmsProp {
            rate,
            alpha: 0.9,
            share,
            epsilon,
            momentum,
            centered,
            decay,
        });
        for rule in [momentum, adadelta, adam].into_iter().chain(rms_prop) {
            for isa in Isa::available() {
                let spans = [Span {
                    range: 0..40,
                    rule: 0,
                }];
                let (mut p, mut memory) = ([1.0; 40], [[2e-38f32; 40]; 3]);
                for _ in 0..10 {
                    let state = memory[..rule.slots()].iter_mut().map(|slot| &mut slot[..]);
                    let done =
                        Engine::with_isa(1, isa).descend(by(&[rule], &spans), &mut p, &[0.0; 40], state);
                    assert!(done.is_ok(), "{done:?}");
                    let memory = memory[..rule.slots()].as_flattened();
                    assert!(
                        memory.iter().all(|x| *x == 0.0 || x.is_normal()),
                        "{rule:?} {isa}"
                    );
                }
                let all = memory[..rule.slots()].as_flattened();
                assert!(all.iter().all(|x| *x == 0.0), "{rule:?} {isa}");
            }
        }
    }
}
