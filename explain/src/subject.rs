//! What is explained: a network with its numbers, ready to answer many inputs in batches.

use engine::{Engine, EngineError, Parameters, Program, Request};
use graph::ops::{Op, Softmax, UnaryKind};
use graph::{Binding, Mode, Symbol, lower, topological};
use ndarray::ArrayD;
use nn::Model;

use crate::ExplainError;

/// What the network's outputs mean: how scores become what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Scores of classes of which one is right: softmax over the last axis. A single score is that of the second
    /// of two classes.
    Classes,
    /// Scores of labels that hold each for itself: sigmoid.
    Labels,
    /// Numbers as they are.
    Numbers,
}

/// Told after each batch: runs of a sample through the network that are done, and that there are in all.
pub type Progress = Box<dyn FnMut(usize, usize)>;

/// Memory for the values of one batch, if nothing else is said: 512 MiB.
pub const MEMORY: usize = 512 << 20;
/// Most samples of a batch; more make no kernel faster.
const MOST: usize = 64;

/// A network as [`crate::explain`] takes it: the model, its numbers, what its outputs mean.
///
/// All methods send samples through it in batches. A batch is at most 64 samples, and so few (but one at least) that all
/// values that the graph computes for it together stay below [`Subject::memory`]; what the engine really holds is
/// less, since values share places. Neither depends on the number of threads, so neither do the bits.
pub struct Subject {
    engine: Engine,
    model: Model,
    parameters: Parameters,
    reading: Reading,
    scores: Symbol,
    prediction: Symbol,
    memory: usize,
    seed: u64,
    progress: Option<Progress>,
}

impl Subject {
    /// Takes a copy of the numbers; the network itself stays as it is.
    ///
    /// # Errors
    /// [`ExplainError::Unsuited`] for a network with several inputs or outputs; [`ExplainError::Engine`] for numbers of
    /// another network; what lowering says.
    pub fn new(
        engine: &Engine,
        model: &Model,
        parameters: &Parameters,
        reading: Reading,
    ) -> Result<Self, ExplainError> {
        if model.inputs().len() != 1 || model.outputs().len() != 1 {
            let (inputs, outputs) = (model.inputs().len(), model.outputs().len());
            let found = format!("the network has {inputs} inputs and {outputs} outputs");
            return Err(ExplainError::unsuited("explain", found, "one of each"));
        }
        let known = |p: &&nn::model::NamedParameter| parameters.layout().entry(&p.symbol).is_none();
        if let Some(lacking) = model.parameters().iter().find(known) {
            let told = format!(
                "it was made for another network than `{}` (no `{}`)",
                model.name(),
                lacking.name
            );
            return Err(EngineError::Parameters(told).into());
        }
        let ends = [unnormalised(model.output()), model.output().clone()];
        let mut lowered = lower(&ends, Mode::Infer)?.outputs;
        let (said, scores) = (lowered.remove(1), lowered.remove(0));
        let prediction = match reading {
            Reading::Classes if said.shape().last_axis() > 1 => Symbol::apply(Softmax {}, &[&said])?,
            Reading::Classes | Reading::Labels => said.unary(UnaryKind::Sigmoid)?,
            Reading::Numbers => said,
        };
        Ok(Self {
            engine: engine.clone(),
            model: model.clone(),
            parameters: parameters.clone(),
            reading,
            scores,
            prediction,
            memory: MEMORY,
            seed: 0,
            progress: None,
        })
    }

    /// Bounds the memory of a batch, in bytes.
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Keys all randomness (SmoothGrad's noise, RISE's masks, permutations); 0 if nothing is said.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Is told how far the work is.
    pub fn on_progress(&mut self, progress: Progress) {
        self.progress = Some(progress);
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The numbers.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The numbers, to be changed.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    /// What the outputs mean.
    pub fn reading(&self) -> Reading {
        self.reading
    }

    /// The shape of one sample.
    pub fn sample_shape(&self) -> &[usize] {
        &self.model.input().shape()[1..]
    }

    pub(crate) fn key(&self) -> u64 {
        self.seed
    }

    /// The unnormalised scores, for inference.
    pub(crate) fn scores(&self) -> &Symbol {
        &self.scores
    }

    /// What the network says, for inference.
    pub(crate) fn prediction(&self) -> &Symbol {
        &self.prediction
    }

    /// How many samples there are, if they are samples of this network.
    pub(crate) fn count(&self, inputs: &ArrayD<f32>) -> Result<usize, ExplainError> {
        let fits =
            inputs.ndim() == self.sample_shape().len() + 1 && inputs.shape()[1..] == *self.sample_shape();
        if !fits || inputs.shape()[0] == 0 {
            let axes: Vec<String> = self.sample_shape().iter().map(usize::to_string).collect();
            return Err(ExplainError::Inputs {
                found: format!("{:?}", inputs.shape()),
                expected: format!("[samples, {}]", axes.join(", ")),
            });
        }
        Ok(inputs.shape()[0])
    }

    /// Height, width and channels, where the network reads pictures.
    pub(crate) fn picture(&self, method: &'static str) -> Result<[usize; 3], ExplainError> {
        <[usize; 3]>::try_from(self.sample_shape()).map_err(|_| {
            let found = format!("the network reads samples of shape {:?}", self.sample_shape());
            let expected = "pictures [H, W, C]; for others use gradient, gradient-x-input, smoothgrad, integrated or permutation";
            ExplainError::unsuited(method, found, expected)
        })
    }

    /// Sends `rows` inputs through the network: `fill` writes those of a row (the sample, then what else the outputs
    /// read, in the order of `extra`), `take` gets the outputs of the row. Rows come in order.
    pub(crate) fn each(
        &mut self,
        outputs: &[Symbol],
        extra: &[Symbol],
        rows: usize,
        mut fill: impl FnMut(usize, &mut [&mut [f32]]),
        mut take: impl FnMut(usize, &[&[f32]]),
    ) -> Result<(), ExplainError> {
        let mut ready = self.ready(outputs, extra, rows)?;
        for first in (0..rows).step_by(ready.batch) {
            let these = first..rows.min(first + ready.batch);
            self.run(&mut ready, these.clone(), &mut fill, &mut take)?;
            self.tell(these.end, rows);
        }
        Ok(())
    }

    /// A program for what [`Subject::each`] does, to be run many times by [`Subject::run`] in batches of `batch` rows.
    pub(crate) fn ready(
        &self,
        outputs: &[Symbol],
        extra: &[Symbol],
        rows: usize,
    ) -> Result<Ready, ExplainError> {
        let batch = samples_within(self.memory, outputs)?.min(rows.max(1));
        let request = Request::outputs(outputs);
        let layout = self.parameters.layout();
        let program = Program::compile(&self.engine, &request, layout, &Binding::batch(batch))?;
        let inputs: Vec<&Symbol> = std::iter::once(self.model.input()).chain(extra).collect();
        let names = inputs
            .iter()
            .map(|s| s.as_input().map(|i| i.name.clone()).unwrap_or_default());
        let places = names
            .map(|name| program.input_index(&name))
            .collect::<Result<Vec<_>, _>>()?;
        let sizes: Vec<usize> = inputs.iter().map(|s| s.shape().elements()).collect();
        Ok(Ready {
            program,
            places,
            buffers: sizes.iter().map(|size| vec![0.0; size * batch]).collect(),
            sizes,
            outputs: outputs.len(),
            batch,
        })
    }

    /// Sends the rows of one batch through a program: at most as many as it was made for.
    pub(crate) fn run(
        &mut self,
        ready: &mut Ready,
        rows: std::ops::Range<usize>,
        mut fill: impl FnMut(usize, &mut [&mut [f32]]),
        mut take: impl FnMut(usize, &[&[f32]]),
    ) -> Result<(), ExplainError> {
        let Ready {
            program,
            places,
            sizes,
            buffers,
            outputs,
            batch,
        } = ready;
        for (k, row) in rows.clone().enumerate() {
            let parts = buffers.iter_mut().zip(sizes.iter());
            let mut parts: Vec<&mut [f32]> = parts.map(|(b, s)| &mut b[k * s..(k + 1) * s]).collect();
            fill(row, &mut parts);
        }
        for (&place, values) in places.iter().zip(buffers) {
            program.set_input_at(place, values)?;
        }
        program.run(&mut self.parameters, 0)?;
        for (k, row) in rows.enumerate() {
            let of = |o: usize| {
                let values = program.output(o);
                let size = values.len() / *batch;
                &values[k * size..(k + 1) * size]
            };
            let found: Vec<&[f32]> = (0..*outputs).map(of).collect();
            take(row, &found);
        }
        Ok(())
    }

    /// Tells how far the work is.
    pub(crate) fn tell(&mut self, done: usize, all: usize) {
        if let Some(progress) = &mut self.progress {
            progress(done, all);
        }
    }

    /// Worker threads.
    pub(crate) fn threads(&self) -> usize {
        self.engine.threads()
    }

    /// Bytes that a batch may take.
    pub(crate) fn room(&self) -> usize {
        self.memory
    }
}

/// A compiled program with its buffers.
pub(crate) struct Ready {
    program: Program,
    places: Vec<usize>,
    /// Numbers of a row of each input, and all rows of each.
    sizes: Vec<usize>,
    buffers: Vec<Vec<f32>>,
    outputs: usize,
    /// Rows of a batch.
    pub batch: usize,
}

/// Samples of a batch whose values for `outputs` together stay within `memory` bytes: one at least, 64 at most.
pub(crate) fn samples_within(memory: usize, outputs: &[Symbol]) -> Result<usize, ExplainError> {
    let nodes = topological(outputs);
    let shapes = Binding::batch(1).shapes(&nodes)?;
    let mut moving: std::collections::HashSet<u64> = std::collections::HashSet::new();
    let mut bytes = 0;
    for node in &nodes {
        if matches!(node.op(), Op::Input(_)) || node.inputs().iter().any(|i| moving.contains(&i.id())) {
            moving.insert(node.id());
            bytes += 4 * shapes[&node.id()].elements();
        }
    }
    Ok((memory / bytes.max(1)).clamp(1, MOST))
}

/// What a final softmax reads: scores that do not compete (row E2).
pub(crate) fn unnormalised(output: &Symbol) -> Symbol {
    match output.op() {
        Op::Softmax(_) | Op::LogSoftmax(_) => output.inputs()[0].clone(),
        _ => output.clone(),
    }
}
