//! A program step by step, with the time of each.

use std::time::Instant;

use graph::Symbol;
use graph::ops::Cost;

use super::Program;
use super::moving::Left;
use crate::plan::Region;
use crate::{EngineError, Parameters};

/// One step of a program, for benchmarks and reports.
#[derive(Debug, Clone)]
pub struct StepInfo {
    /// The op's name.
    pub op: &'static str,
    /// The graph node it computes.
    pub symbol: Symbol,
    /// Its arithmetic.
    pub arithmetic: Cost,
    /// Bytes of its operands and of its result: what it must at least move to and fro.
    pub bytes: usize,
    /// Seconds it took.
    pub seconds: f64,
}

impl Program {
    /// Runs step by step over the whole batch and says how long each took. Outputs and gradients are
    /// there afterwards as after [`Program::run`].
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn profile(&mut self, parameters: &mut Parameters, key: u64) -> Result<Vec<StepInfo>, EngineError> {
        if self.lanes.is_some() {
            return self.timed(parameters, key);
        }
        // Steps that run apart need values that outlive a micro-batch.
        let mut apart = match self.apart.take() {
            Some(apart) => apart,
            None => {
                let (request, binding) = &self.source;
                Box::new(Self::planned(
                    &self.engine,
                    request,
                    &self.layout,
                    binding,
                    false,
                )?)
            }
        };
        for (from, to) in self.plan.inputs.iter().zip(&apart.plan.inputs) {
            let (from, to) = (from.slot, to.slot);
            let values = &self.arena[from.offset..from.offset + from.elements];
            apart.arena[to.offset..to.offset + to.elements].copy_from_slice(values);
        }
        let times = apart.timed(parameters, key);
        self.gradients.copy_from_slice(&apart.gradients);
        self.left = Left::Nothing;
        for ((to, _), (from, _)) in self.plan.outputs.iter().zip(&apart.plan.outputs) {
            if let (Region::Arena, Region::Arena) = (to.region, from.region) {
                let values = &apart.arena[from.offset..from.offset + from.elements];
                self.arena[to.offset..to.offset + to.elements].copy_from_slice(values);
            }
        }
        self.apart = Some(apart);
        times
    }

    fn timed(&mut self, parameters: &mut Parameters, key: u64) -> Result<Vec<StepInfo>, EngineError> {
        let mut times = Vec::with_capacity(self.size().0);
        let mut last = Instant::now();
        let mut clock = |step: usize| {
            let now = Instant::now();
            times.push((step, (now - last).as_secs_f64()));
            last = now;
        };
        self.run_with_clock(parameters, key, Some(&mut clock))?;
        let info = |(step, seconds): (usize, f64)| {
            if let Some(lanes) = &self.lanes {
                return lanes.parts[step].info(seconds);
            }
            let step = &self.plan.steps[step];
            StepInfo {
                op: step.op,
                symbol: step.symbol.clone(),
                arithmetic: step.arithmetic,
                bytes: 4
                    * (step.output.elements + step.operands.iter().map(|o| o.slot.elements).sum::<usize>()),
                seconds,
            }
        };
        Ok(times.into_iter().map(info).collect())
    }
}
