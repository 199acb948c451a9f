//! A network with its numbers and its preprocessing: what predicts.

use std::collections::HashMap;
use std::path::Path;

use data::{Preprocess, Task};
use engine::{Engine, Parameters, Program, Request};
use graph::ops::{Softmax, UnaryKind};
use graph::{Binding, GraphError, Mode, Symbol, lower, replace};
use interchange::{ModelFile, Tensor};
use nn::Model;

use crate::TrainError;

/// Programs for this many batch sizes are kept ready.
const PROGRAMS: usize = 4;

/// A model, its parameters and the way from raw inputs to predictions: everything that a model file holds.
pub struct Network {
    engine: Engine,
    model: Model,
    parameters: Parameters,
    preprocess: Preprocess,
    /// What `infer` takes, and the scores that it makes of them: the model's own, or those of its last layers.
    input: Symbol,
    scores: Symbol,
    request: Request,
    programs: HashMap<usize, Program>,
}

impl Network {
    /// A network whose parameters are filled by their initialisers, keyed by `seed` and each
    /// parameter's place in the network.
    ///
    /// # Errors
    /// [`TrainError::Setting`] when the model does not fit the preprocessing; graph errors of inference.
    pub fn new(engine: &Engine, model: Model, preprocess: Preprocess, seed: u64) -> Result<Self, TrainError> {
        check_fit(&model, &preprocess)?;
        let named: Vec<(String, Symbol)> = model
            .parameters()
            .iter()
            .map(|p| (p.name.clone(), p.symbol.clone()))
            .collect();
        let mut parameters = Parameters::new(&named);
        for (ordinal, (name, symbol)) in named.iter().enumerate() {
            if let Some(parameter) = symbol.as_parameter() {
                parameters.set(
                    name,
                    &nn::fill(parameter.init, &parameter.shape, seed, ordinal as u64),
                )?;
            }
        }
        let (input, scores) = (model.input().clone(), model.output().clone());
        let request = inference(&scores, &preprocess.task)?;
        Ok(Self {
            engine: engine.clone(),
            model,
            parameters,
            preprocess,
            input,
            scores,
            request,
            programs: HashMap::new(),
        })
    }

    /// The network of a model file.
    ///
    /// # Errors
    /// What is wrong with the file, or [`TrainError::Setting`] when it has no preprocessing of ours.
    pub fn load(engine: &Engine, path: &Path) -> Result<Self, TrainError> {
        Self::from_file(engine, &ModelFile::read(path)?, path)
    }

    /// The network of a model file that was read already.
    ///
    /// # Errors
    /// As [`Network::load`].
    pub fn from_file(engine: &Engine, file: &ModelFile, path: &Path) -> Result<Self, TrainError> {
        let preprocess = serde_json::from_value(file.preprocessing.clone()).map_err(|e| {
            let path = path.display();
            TrainError::Setting(format!(
                "{path}: the file has no preprocessing that this version reads ({e})"
            ))
        })?;
        let mut network = Self::new(engine, file.model()?, preprocess, 0)?;
        for tensor in &file.tensors {
            if let Some(bad) = tensor.values.iter().find(|v| !v.is_finite()) {
                let (path, name) = (path.display(), &tensor.name);
                let message =
                    format!("{path}: `{name}` holds {bad}; expected finite numbers: use an older file");
                return Err(TrainError::Setting(message));
            }
            network.parameters.set(&tensor.name, &tensor.values)?;
        }
        Ok(network)
    }

    /// The same network, entered at `features`, a node of its model: [`Network::infer`] and training take numbers of
    /// that node's shape, and nothing before it is computed. Its file is still that of the whole network.
    ///
    /// # Errors
    /// Graph errors of what lies behind the node.
    pub fn entered_at(mut self, features: &Symbol) -> Result<Self, TrainError> {
        let input = Symbol::input("features", graph::Shape::new(&features.shape()[1..]));
        let scores = replace(self.model.outputs(), features, &input)?;
        self.scores = scores[0].clone();
        self.input = input;
        self.request = inference(&self.scores, &self.preprocess.task)?;
        self.programs.clear();
        Ok(self)
    }

    /// The same network, entered at its input again.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn whole(mut self) -> Result<Self, TrainError> {
        (self.input, self.scores) = (self.model.input().clone(), self.model.output().clone());
        self.request = inference(&self.scores, &self.preprocess.task)?;
        self.programs.clear();
        Ok(self)
    }

    /// The node whose numbers it takes: the model's input, or where it is entered.
    pub fn input(&self) -> &Symbol {
        &self.input
    }

    /// The scores that it makes of them.
    pub(crate) fn scores(&self) -> &Symbol {
        &self.scores
    }

    /// The name of its input in a program.
    pub(crate) fn input_name(&self) -> &str {
        self.input.as_input().map_or("", |input| &input.name)
    }

    /// A model file of this network, without training state.
    ///
    /// # Errors
    /// When a parameter cannot be described, which a sound network excludes.
    pub fn to_file(&self) -> Result<ModelFile, TrainError> {
        self.file_of(&self.model)
    }

    /// The same of its first output alone, and what leads to it.
    pub(crate) fn first_output_to_file(&self) -> Result<ModelFile, TrainError> {
        let (name, inputs, outputs) = (self.model.name(), self.model.inputs(), self.model.outputs());
        self.file_of(&Model::with(name, inputs, &outputs[..1])?)
    }

    /// A file of `model`, whose parameters are among the network's.
    fn file_of(&self, model: &Model) -> Result<ModelFile, TrainError> {
        let mut file = ModelFile::new(model);
        let describe =
            |e: serde_json::Error| TrainError::Setting(format!("the preprocessing cannot be written: {e}"));
        file.preprocessing = serde_json::to_value(&self.preprocess).map_err(describe)?;
        file.task = serde_json::to_value(&self.preprocess.task).map_err(describe)?;
        // A layer without a name of its own may be numbered otherwise in a part of the network.
        let whole = self.model.parameters().iter();
        let known: HashMap<u64, &str> = whole.map(|p| (p.symbol.id(), p.name.as_str())).collect();
        for parameter in model.parameters() {
            let known = known.get(&parameter.symbol.id()).copied();
            file.tensors.push(Tensor {
                name: parameter.name.clone(),
                shape: parameter.shape().to_vec(),
                values: self.parameters.get(known.unwrap_or(&parameter.name))?.to_vec(),
            });
        }
        Ok(file)
    }

    /// The engine it runs on.
    pub fn engine(&self) -> &Engine {
        &self.engine
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

    /// The preprocessing.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// What the outputs mean.
    pub fn task(&self) -> &Task {
        &self.preprocess.task
    }

    /// Scores (logits, or scaled values) of encoded inputs `[size, …]`, and the predictions made of them:
    /// class probabilities `[size, K]`, or values in the units of the data `[size, targets]`.
    ///
    /// # Errors
    /// When the inputs are not `size` samples of the network's input shape.
    pub fn infer(&mut self, inputs: &[f32], size: usize) -> Result<Inference, TrainError> {
        if !self.programs.contains_key(&size) {
            if self.programs.len() >= PROGRAMS {
                self.programs.clear();
            }
            let binding = Binding::batch(size);
            let program = Program::compile(&self.engine, &self.request, self.parameters.layout(), &binding)?;
            self.programs.insert(size, program);
        }
        let Some(program) = self.programs.get_mut(&size) else {
            unreachable!("inserted above")
        };
        let name = self.input.as_input().map_or("", |input| &input.name);
        program.set_input(name, inputs)?;
        program.run(&mut self.parameters, 0)?;
        let prediction = self.preprocess.decode_target(program.output(1));
        Ok(Inference {
            scores: program.output(0).to_vec(),
            predictions: with_both_classes(prediction, &self.preprocess.task, size),
        })
    }

    /// Forgets compiled programs and their memory; they are made again when needed.
    pub fn release(&mut self) {
        self.programs.clear();
    }
}

/// What a network says of some samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Inference {
    /// The network's own outputs: logits, or scaled values.
    pub scores: Vec<f32>,
    /// Class probabilities `[size, K]`, or values in the units of the data `[size, targets]`.
    pub predictions: Vec<f32>,
}

/// Scores and predictions, as at inference.
fn inference(scores: &Symbol, task: &Task) -> Result<Request, GraphError> {
    let scores = lower(std::slice::from_ref(scores), Mode::Infer)?.outputs;
    let prediction = prediction(&scores[0], task)?;
    Ok(Request::outputs(&[scores[0].clone(), prediction]))
}

/// Probabilities where the task has classes.
fn prediction(scores: &Symbol, task: &Task) -> Result<Symbol, GraphError> {
    match task {
        Task::Classification { .. } if scores.shape().last_axis() > 1 => Symbol::apply(Softmax {}, &[scores]),
        Task::Classification { .. } | Task::MultiLabel { .. } => scores.unary(UnaryKind::Sigmoid),
        Task::Regression { .. } => Ok(scores.clone()),
    }
}

/// A single output for two classes is the probability of the second; both are wanted.
fn with_both_classes(prediction: Vec<f32>, task: &Task, size: usize) -> Vec<f32> {
    match task {
        Task::Classification { .. } if prediction.len() == size => {
            prediction.into_iter().flat_map(|p| [1.0 - p, p]).collect()
        }
        _ => prediction,
    }
}

/// Whether inputs and outputs of the model are those of the data.
fn check_fit(model: &Model, preprocess: &Preprocess) -> Result<(), TrainError> {
    let wanted = preprocess.input_shape();
    let found = &model.input().shape()[1..];
    if found != &wanted[..] {
        let message = format!("the model takes inputs of shape {found:?}, the data give {wanted:?}");
        return Err(TrainError::Setting(message));
    }
    let (outputs, names) = (model.output().shape().elements(), preprocess.task.outputs());
    let binary = outputs == 1 && names == 2 && matches!(preprocess.task, Task::Classification { .. });
    if outputs != names && !binary {
        let message = format!(
            "the model gives {outputs} numbers per sample, the task has {names} outputs ({})",
            preprocess.task.output_names().join(", ")
        );
        return Err(TrainError::Setting(message));
    }
    Ok(())
}
