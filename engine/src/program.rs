//! Compiled programs.

mod moving;
mod profile;

use std::ops::Range;
use std::sync::Arc;

use graph::ops::Cost;
use graph::{Binding, Shape, Symbol};

use crate::kernels::lanes::Memories;
use crate::kernels::{BuildContext, Isa, Level, Precision, Tiles};
use crate::lanes::{self, LaneProgram};
use crate::plan::{Plan, Region, Slot, Wanted, plan};
use crate::workers::{Memory, copy, execute};
use crate::{Buffer, EngineError, Layout, Parameters, Pool};
use moving::Left;
pub use profile::StepInfo;

/// Into how many partial results a sum over samples is split. It does not depend on the number of
/// threads, so neither do the results; more threads than this share no batch.
const CHUNKS: usize = 8;

/// The machine: worker threads, instruction set and precision. Cheap to clone; programs share its threads.
#[derive(Clone)]
pub struct Engine {
    pool: Arc<Pool>,
    level: Level,
    precision: Precision,
    lanes: bool,
}

impl Engine {
    /// An engine with this many threads and the best instruction set there is.
    pub fn new(threads: usize) -> Self {
        Self::with_isa(threads, Level::detect())
    }

    /// An engine that uses `level` and nothing above it, or the best there is if the processor lacks it.
    /// An [`Isa`] will do, and leaves a tile unit alone.
    pub fn with_isa(threads: usize, level: impl Into<Level>) -> Self {
        // The system is asked for the tile unit before there are threads.
        let level = level.into().or_best();
        Self {
            pool: Arc::new(Pool::new(threads)),
            level,
            precision: Precision::Highest,
            lanes: true,
        }
    }

    /// The same engine with matrix products of this precision, where it has a tile unit.
    ///
    /// ```
    /// use graticule_engine::{Engine, Isa, Precision};
    /// let engine = Engine::with_isa(1, Isa::Scalar).with_precision(Precision::High);
    /// assert_eq!((engine.precision(), engine.precision_used()), (Precision::High, Precision::Highest));
    /// ```
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// The precision that was asked for.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The precision that is used: `highest` where there is no tile unit.
    pub fn precision_used(&self) -> Precision {
        match self.level.unit() {
            Some(_) => self.precision,
            None => Precision::Highest,
        }
    }

    /// The instruction set and tile unit in use.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The same engine, which plans tiny requests like all others and makes no lane programs of them.
    pub fn without_lanes(mut self) -> Self {
        self.lanes = false;
        self
    }

    /// Number of worker threads, the caller's included.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// The instruction set of vectors in use.
    pub fn isa(&self) -> Isa {
        self.level.isa()
    }

    fn tiles(&self) -> Option<Tiles> {
        let (parts, isa) = (self.precision.parts(), self.isa());
        self.level.unit().map(|unit| Tiles { unit, parts, isa })
    }

    /// The worker threads, for work beside programs (an optimizer's pass over the parameters).
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl Default for Engine {
    /// One thread per processor that this process may use.
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

/// What a program shall compute.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Values that can be read after a run.
    pub outputs: Vec<Symbol>,
    /// Pairs (parameter, its gradient).
    pub gradients: Vec<(Symbol, Symbol)>,
    /// Pairs (state parameter, its value after the run).
    pub updates: Vec<(Symbol, Symbol)>,
    /// Whether gradients of many weights may be left to [`Program::descend`], which moves the weights while a part
    /// of their gradient is in a core's cache. Nothing else may need them, such as their norm.
    pub fuse_update: bool,
}

impl Request {
    /// A request for these values alone.
    pub fn outputs(outputs: &[Symbol]) -> Self {
        Self {
            outputs: outputs.to_vec(),
            ..Self::default()
        }
    }
}

/// A graph bound to sizes, planned, with its memory: ready to run any number of times.
///
/// ```
/// use graph::{Binding, Symbol};
/// use graticule_engine::{Engine, Parameters, Program, Request};
/// let x = Symbol::input("x", [2]);
/// let w = Symbol::parameter("weight", [2, 1], Default::default());
/// let y = x.matmul(&w)?;
/// let mut parameters = Parameters::new(&[("w".into(), w)]);
/// parameters.set("w", &[10.0, 1.0])?;
/// let engine = Engine::new(1);
/// let mut program = Program::compile(&engine, &Request::outputs(&[y]), parameters.layout(), &Binding::batch(2))?;
/// program.set_input("x", &[1.0, 2.0, 3.0, 4.0])?;
/// program.run(&mut parameters, 0)?;
/// assert_eq!(program.output(0), [12.0, 34.0]);
/// # Ok::<(), graticule_engine::EngineError>(())
/// ```
pub struct Program {
    plan: Plan,
    /// What runs in place of the plan's steps where the request is tiny.
    lanes: Option<LaneProgram>,
    layout: Arc<Layout>,
    engine: Engine,
    arena: Buffer,
    gradients: Buffer,
    workers: Buffer,
    /// The version of the parameters from which its constant stages ran.
    prepared: Option<u64>,
    /// What it was compiled from, for [`Program::profile`].
    source: (Request, Binding),
    /// The same program with every value in a place of its own.
    apart: Option<Box<Program>>,
    /// The parameters whose gradients the store has after a run; [`Program::descend`] makes the others.
    elsewhere: Vec<Range<usize>>,
    left: Left,
}

impl Program {
    /// Plans the request for these sizes.
    ///
    /// # Errors
    /// When a shape does not fit, or `layout` lacks a parameter of the graph.
    pub fn compile(
        engine: &Engine,
        request: &Request,
        layout: &Arc<Layout>,
        binding: &Binding,
    ) -> Result<Self, EngineError> {
        Self::planned(engine, request, layout, binding, true)
    }

    fn planned(
        engine: &Engine,
        request: &Request,
        layout: &Arc<Layout>,
        binding: &Binding,
        resident: bool,
    ) -> Result<Self, EngineError> {
        let batch = binding.batch.max(1);
        let context = BuildContext {
            isa: engine.isa(),
            tiles: engine.tiles(),
            batch,
            chunks: batch.min(CHUNKS),
            trains: !request.gradients.is_empty(),
        };
        let wanted = Wanted {
            outputs: &request.outputs,
            gradients: &request.gradients,
            updates: &request.updates,
            fuse_update: request.fuse_update && resident,
        };
        let tiny = if engine.lanes {
            lanes::compile(&wanted, layout, binding)?
        } else {
            None
        };
        let (lanes, plan) = match tiny {
            Some((lanes, plan)) => (Some(lanes), plan),
            None => (None, plan(&wanted, layout, binding, &context, resident)?),
        };
        let mut program = Self {
            lanes,
            arena: Buffer::new(plan.arena),
            gradients: Buffer::new(if request.gradients.is_empty() {
                0
            } else {
                layout.trainable_length()
            }),
            workers: Buffer::new(plan.worker * engine.threads()),
            source: (request.clone(), binding.clone()),
            apart: None,
            elsewhere: plan.elsewhere(layout),
            left: Left::Nothing,
            prepared: None,
            layout: layout.clone(),
            engine: engine.clone(),
            plan,
        };
        for (slot, values) in std::mem::take(&mut program.plan.constants) {
            program.arena[slot.offset..slot.offset + slot.elements].copy_from_slice(&values);
        }
        Ok(program)
    }

    /// Samples in a batch.
    pub fn batch(&self) -> usize {
        self.plan.batch
    }

    /// Names and bound shapes of the inputs.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &Shape)> {
        self.plan.inputs.iter().map(|i| (i.name.as_str(), &i.shape))
    }

    /// Copies an input's numbers in; they stay until they are set again.
    ///
    /// # Errors
    /// [`EngineError::Unknown`], [`EngineError::InputSize`].
    pub fn set_input(&mut self, name: &str, values: &[f32]) -> Result<(), EngineError> {
        self.set_input_at(self.input_index(name)?, values)
    }

    /// As [`Program::set_input`], for an input that was looked up before.
    ///
    /// # Errors
    /// [`EngineError::Unknown`], [`EngineError::InputSize`].
    pub fn set_input_at(&mut self, index: usize, values: &[f32]) -> Result<(), EngineError> {
        let Some(input) = self.plan.inputs.get(index) else {
            return Err(self.unknown_input(&format!("number {index}")));
        };
        let expected = input.shape.elements();
        if values.len() != expected {
            let (name, shape) = (input.name.clone(), input.shape.to_string());
            return Err(EngineError::InputSize {
                name,
                expected,
                found: values.len(),
                shape,
            });
        }
        let slot = input.slot;
        if slot.elements > 0 {
            let place = &mut self.arena[slot.offset..slot.offset + slot.elements];
            match &self.lanes {
                Some(lanes) => lanes.set_input(values, place),
                None => copy(self.engine.pool(), values, place),
            }
        }
        Ok(())
    }

    /// The place of an input among [`Program::inputs`], for [`Program::set_input_at`].
    ///
    /// # Errors
    /// [`EngineError::Unknown`] with the names there are.
    pub fn input_index(&self, name: &str) -> Result<usize, EngineError> {
        let found = self.plan.inputs.iter().position(|i| i.name == name);
        found.ok_or_else(|| self.unknown_input(name))
    }

    fn unknown_input(&self, name: &str) -> EngineError {
        let known: Vec<&str> = self.plan.inputs.iter().map(|i| i.name.as_str()).collect();
        EngineError::Unknown {
            what: "input",
            name: name.into(),
            known: known.join(", "),
        }
    }

    /// Runs all steps. `key` selects the random numbers of this run (dropout).
    ///
    /// # Errors
    /// [`EngineError::Parameters`] when the store has another layout than the program was compiled for.
    pub fn run(&mut self, parameters: &mut Parameters, key: u64) -> Result<(), EngineError> {
        self.run_with_clock(parameters, key, None)
    }

    fn run_with_clock(
        &mut self,
        parameters: &mut Parameters,
        key: u64,
        clock: Option<&mut dyn FnMut(usize)>,
    ) -> Result<(), EngineError> {
        self.check_layout(parameters)?;
        if let Some(lanes) = &self.lanes {
            let memories = Memories {
                parameters: parameters.values_unchanged(),
                gradients: &mut self.gradients,
                arena: &mut self.arena,
            };
            lanes.run(self.engine.isa(), memories, clock);
            return Ok(());
        }
        let prepared = self.prepared == Some(parameters.version());
        if !self.plan.assignments.is_empty() {
            parameters.values_mut();
        }
        self.prepared = Some(parameters.version());
        let memory = Memory {
            parameters: parameters.values_unchanged(),
            gradients: &mut self.gradients,
            arena: &mut self.arena,
            workers: &mut self.workers,
        };
        execute(&self.plan, memory, (key, prepared), self.engine.pool(), clock);
        self.left = match self.leaves_gradients() {
            true => Left::Key(key),
            false => Left::Nothing,
        };
        Ok(())
    }

    fn check_layout(&self, parameters: &Parameters) -> Result<(), EngineError> {
        match Arc::ptr_eq(parameters.layout(), &self.layout) {
            true => Ok(()),
            false => Err(EngineError::Parameters(
                "it was laid out for another network".into(),
            )),
        }
    }

    /// The numbers of output `index` after a run, row-major.
    ///
    /// # Panics
    /// When the request had no such output.
    pub fn output(&self, index: usize) -> &[f32] {
        let Slot {
            region,
            offset,
            elements,
        } = self.plan.outputs[index].0;
        match region {
            Region::Gradients => &self.gradients[offset..offset + elements],
            // An output that is a parameter itself is read from the store, not from here.
            Region::Parameters => &[],
            // Outputs are kept for the whole batch, so none is local.
            Region::Arena | Region::Local => &self.arena[offset..offset + elements],
        }
    }

    /// The bound shape of output `index`.
    ///
    /// # Panics
    /// When the request had no such output.
    pub fn output_shape(&self, index: usize) -> &Shape {
        &self.plan.outputs[index].1
    }

    /// Gradients after a run, in the layout of the trainable parameters (padding is 0). Those that
    /// [`Request::fuse_update`] leaves for later are there after [`Program::complete_gradients`].
    pub fn gradients(&self) -> &[f32] {
        &self.gradients
    }

    /// Gradients after a run, for a host that changes them before the update (clipping).
    pub fn gradients_mut(&mut self) -> &mut [f32] {
        &mut self.gradients
    }

    /// Bytes of the arena, gradients and workers' memory.
    pub fn memory(&self) -> usize {
        (self.arena.len() + self.gradients.len() + self.workers.len()) * 4
    }

    /// Number of kernel calls and of stages (stretches without a barrier); a tiny request's instructions
    /// are one stage.
    pub fn size(&self) -> (usize, usize) {
        match &self.lanes {
            Some(lanes) => (lanes.parts.len(), 1),
            None => (self.plan.steps.len(), self.plan.stages.len()),
        }
    }

    /// Whether the request was tiny enough for a lane program: instructions for one thread, with samples
    /// in the lanes of vectors.
    pub fn in_lanes(&self) -> bool {
        self.lanes.is_some()
    }

    /// Whether samples are so large that some layers take them in bands of rows.
    pub fn in_bands(&self) -> bool {
        self.plan.stages.iter().any(|stage| !stage.bands.is_empty())
    }

    /// How many values between steps lie in memory as bf16 numbers, which is how the products of
    /// [`Precision::Medium`](crate::Precision::Medium) take them.
    pub fn short_values(&self) -> usize {
        self.plan.shorts
    }

    /// The arithmetic of one run.
    pub fn cost(&self) -> Cost {
        let steps = self.plan.steps.iter().map(|s| s.arithmetic);
        let parts = self.lanes.iter().flat_map(|l| &l.parts).map(|p| p.arithmetic);
        steps.chain(parts).fold(Cost::default(), |sum, cost| Cost {
            macs: sum.macs + cost.macs,
            flops: sum.flops + cost.flops,
        })
    }
}
