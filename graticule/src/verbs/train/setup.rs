//! From flags and data to a trainer that is ready to start.

use std::path::Path;

use data::{Dataset, InputLayout, Loader, LoaderOptions, Preprocess, Role, Task};
use engine::Engine;
use nn::model::text;
use nn::{Loss, Model, Penalty};
use train::transfer::Features;
use train::{Adversarial, Network, Run, Settings, Trainer, training_loader_options};

use super::Args;
use super::defaults::{self, Defaults};
use super::flags::{Augmentation, Choices};
use super::transfer::{self, Pretrained, TransferArgs};
use crate::compute::choice;
use crate::error::{Context, Failure, Outcome};
use crate::run_file::{RunFile, Samples};
use crate::source::{SourceArgs, lasting_name};

/// Steps of the attacks in adversarial training.
const ADVERSARIAL_STEPS: usize = 7;

/// A run, worked out and checked, before anything is written.
pub struct Plan {
    /// The data.
    pub dataset: Dataset,
    /// Fitted on the training samples.
    pub preprocess: Preprocess,
    /// The network's graph.
    pub model: Model,
    /// Every setting.
    pub file: RunFile,
    /// What it runs on.
    pub engine: Engine,
    /// The pretrained network that it begins with.
    pub pretrained: Option<Pretrained>,
    /// What the trunk made of the samples, where the head learns from that.
    pub features: Option<Features>,
}

impl Plan {
    /// The plan of a new run.
    pub fn new(args: &Args, source: &str, engine: Engine) -> Outcome<Self> {
        let Some(pretrained) = Pretrained::open(&args.transfer, &args.choices)? else {
            let (dataset, preprocess) = open(&args.reading, source)?;
            let dataset = poisoned(dataset, args.choices.poison, args.reading.seed())?;
            return Self::of(args, source, dataset, preprocess, engine);
        };
        if !args.choices.poisons.is_empty() {
            return Err(
                Failure::usage("wrong labels are compared on networks that begin from scratch")
                    .at("--poisons")
                    .help("leave the pretrained network out, or take --poison with one share"),
            );
        }
        let reading = pretrained.reading(&args.reading);
        let (dataset, mut preprocess) = open(&reading, source)?;
        let dataset = poisoned(dataset, args.choices.poison, args.reading.seed())?;
        pretrained.prepare(&dataset, &mut preprocess)?;
        Self::with(
            args,
            (source, reading),
            dataset,
            preprocess,
            engine,
            Some(pretrained),
        )
    }

    /// The plan of a new run on data that are open already.
    pub fn of(
        args: &Args,
        source: &str,
        dataset: Dataset,
        preprocess: Preprocess,
        engine: Engine,
    ) -> Outcome<Self> {
        let reading = args.reading.clone();
        Self::with(args, (source, reading), dataset, preprocess, engine, None)
    }

    /// The plan of a run on the same data that begins from scratch: network, settings and size of images as fit the
    /// data where there is nothing else.
    pub fn from_scratch(args: &Args, source: &str, engine: Engine) -> Outcome<Self> {
        let given = &args.choices;
        let choices = Choices {
            loss: given.loss.clone(),
            label_smoothing: given.label_smoothing,
            augment: given.augment.clone(),
            poison: given.poison,
            ..Choices::default()
        };
        let args = Args {
            choices,
            transfer: TransferArgs::default(),
            reading: SourceArgs {
                image_size: None,
                ..args.reading.clone()
            },
            ..args.clone()
        };
        Self::new(&args, source, engine)
    }

    fn with(
        args: &Args,
        (source, reading): (&str, SourceArgs),
        dataset: Dataset,
        preprocess: Preprocess,
        engine: Engine,
        mut pretrained: Option<Pretrained>,
    ) -> Outcome<Self> {
        let choices = &args.choices;
        let mut defaults = defaults::for_data(&dataset, choices.model.as_deref());
        let samples = dataset.splits.train.len();
        transfer::adapt(&mut defaults, args.transfer.settings(choices)?, samples);
        let seed = args.reading.seed();
        let mut file = RunFile {
            graticule: env!("CARGO_PKG_VERSION").into(),
            source: lasting_name(source),
            model: choices
                .layers
                .clone()
                .or(choices.model.clone())
                .unwrap_or(defaults.model.into()),
            poison: choices.poison,
            reading: SourceArgs {
                seed: Some(seed),
                ..reading
            }
            .absolute(),
            weights: None,
            samples: Samples::of(&dataset),
            augment: match &choices.augment {
                None | Some(Augmentation::Default) => defaults.augment.clone(),
                Some(Augmentation::These(augment)) => (**augment).clone(),
            },
            settings: settings(choices, &defaults, seed)?,
            engine: choice(&engine),
        };
        let outputs = check_loss(&file.settings.loss, &dataset.task)?;
        let input = preprocess.input_shape();
        let transfers = file.settings.transfer.is_some();
        let (mut model, mut shares) = match &mut pretrained {
            None => build(choices, defaults.model, &input, outputs)?,
            Some(pretrained) => {
                let (model, shares, origin) = pretrained.model(choices, &input, outputs, transfers)?;
                (file.model, file.weights) = (model.name().to_string(), Some(origin));
                (model, shares)
            }
        };
        match choices.auxiliary {
            None => {}
            Some(_) if shares.is_empty() => return Err(no_auxiliaries(&model, transfers)),
            // A head that counts nothing would cost time for nothing.
            Some(0.0) => (model, shares) = (without_auxiliaries(&model)?, Vec::new()),
            Some(share) => shares.fill(share),
        }
        file.settings.auxiliary = shares;
        file.augment.check(&preprocess.input_shape()).at("--augment")?;
        Ok(Self {
            dataset,
            preprocess,
            model,
            file,
            engine,
            pretrained,
            features: None,
        })
    }

    /// The plan of a run that goes on.
    pub fn again(file: RunFile, network: &Network) -> Outcome<Self> {
        let dataset = poisoned(file.reading.open(&file.source)?, file.poison, file.reading.seed())?;
        let found = Samples::of(&dataset);
        if found != file.samples {
            let count = |s: Samples| {
                format!(
                    "{} train, {} validation, {} test samples",
                    s.train, s.validation, s.test
                )
            };
            return Err(Failure::new(format!(
                "found {}; the run began with {}",
                count(found),
                count(file.samples)
            ))
            .at(&file.source)
            .help("put the data back as they were, or start a new run"));
        }
        let (model, preprocess) = (network.model().clone(), network.preprocess().clone());
        Ok(Self {
            dataset,
            preprocess,
            model,
            file,
            engine: network.engine().clone(),
            pretrained: None,
            features: None,
        })
    }

    /// The same run on labels of which a share is wrong.
    pub fn with_wrong_labels(&self, share: f64) -> Outcome<Self> {
        Ok(Self {
            dataset: poisoned(self.dataset.clone(), Some(share), self.file.settings.seed)?,
            preprocess: self.preprocess.clone(),
            model: self.model.clone(),
            file: self.file.clone(),
            engine: self.engine.clone(),
            pretrained: None,
            features: None,
        })
    }

    /// A network with fresh parameters, but for those of a pretrained trunk.
    pub fn network(&self) -> Outcome<Network> {
        let mut network = self.fresh_network()?;
        if let Some(pretrained) = &self.pretrained {
            pretrained.fill(&mut network)?;
        }
        Ok(network)
    }

    /// A network with fresh parameters.
    pub fn fresh_network(&self) -> Outcome<Network> {
        Ok(Network::new(
            &self.engine,
            self.model.clone(),
            self.preprocess.clone(),
            self.file.settings.seed,
        )?)
    }

    /// A trainer of `network` and the loaders of its run. Nothing is kept on disk unless files are added.
    pub fn start(&self, network: Network, settings: &Settings, indices: &[usize]) -> Outcome<(Trainer, Run)> {
        self.start_on(network, settings, indices, self.features.as_ref())
    }

    /// As [`Plan::start`]; a head that learns from features gets these.
    pub fn start_on(
        &self,
        network: Network,
        settings: &Settings,
        indices: &[usize],
        features: Option<&Features>,
    ) -> Outcome<(Trainer, Run)> {
        let train = self.training_loader(settings, indices, features)?;
        let held_out = &self.dataset.splits.validation;
        let validate = !held_out.is_empty() && !settings.overfit_one_batch;
        let options = LoaderOptions {
            batch: settings.batch.max(32),
            threads: settings.loader_threads,
            ..LoaderOptions::default()
        };
        let validation = match validate {
            true => Some(self.loader(held_out, options, features)?),
            false => None,
        };
        let trainer = Trainer::new(network, settings.clone(), train.target_kind(), train.batches())?;
        Ok((
            trainer,
            Run {
                train,
                validation,
                files: None,
            },
        ))
    }

    /// Shuffled, augmented batches of some samples.
    fn training_loader(
        &self,
        settings: &Settings,
        indices: &[usize],
        features: Option<&Features>,
    ) -> Outcome<Loader> {
        let mut options = training_loader_options(settings, indices.len());
        let augment = &self.file.augment;
        let changes = augment.is_active() && !settings.overfit_one_batch && features.is_none();
        options.augment = changes.then(|| augment.clone());
        let classes = self.dataset.task.classes().map_or(0, <[String]>::len);
        let one_vs_all = matches!(settings.loss, Loss::BinaryCrossEntropy | Loss::Perceptron) && classes > 2;
        let single = matches!(self.dataset.task, Task::Classification { .. });
        options.soft_targets = single && (one_vs_all || (options.augment.is_some() && augment.mixes()));
        self.loader(indices, options, features)
    }

    fn loader(
        &self,
        indices: &[usize],
        options: LoaderOptions,
        features: Option<&Features>,
    ) -> Outcome<Loader> {
        Ok(match features {
            Some(features) => features.loader(&self.dataset, indices, &self.preprocess, options)?,
            None => Loader::new(&self.dataset, indices, &self.preprocess, options)?,
        })
    }
}

/// The data with some wrong labels, if any are wanted.
fn poisoned(dataset: Dataset, share: Option<f64>, seed: u64) -> Outcome<Dataset> {
    match share {
        Some(share) => Ok(data::poison::poison(&dataset, share, seed).at("--poison")?),
        None => Ok(dataset),
    }
}

/// Opens a source, reads what training would read late, and fits the preprocessing on the training samples.
pub fn open(reading: &SourceArgs, source: &str) -> Outcome<(Dataset, Preprocess)> {
    let dataset = reading.open(source)?;
    read_held_out(&dataset)?;
    let preprocess = Preprocess::fit(&dataset)?;
    Ok((dataset, preprocess))
}

/// The settings: as chosen, else as fits the data.
fn settings(choices: &Choices, defaults: &Defaults, seed: u64) -> Outcome<Settings> {
    let mut settings = defaults.settings.clone();
    settings.seed = seed;
    if let Some(optimizer) = choices.optimizer {
        settings.optimizer = optimizer;
        settings.learning_rate = optimizer.default_learning_rate();
    }
    let given = |value: Option<u32>, default: usize| value.map_or(default, |v| v as usize);
    settings.epochs = given(choices.epochs, settings.epochs);
    settings.batch = given(choices.batch, settings.batch);
    settings.learning_rate = choices.lr.unwrap_or(settings.learning_rate);
    settings.schedule = choices.schedule.clone().unwrap_or(settings.schedule);
    settings.loss = choices.loss.clone().unwrap_or(settings.loss);
    if let Some(decay) = choices.weight_decay {
        settings.optimizer = settings.optimizer.weight_decay(decay);
    }
    settings.penalty = Penalty {
        l1: choices.l1.unwrap_or(0.0) as f32,
        l2: choices.l2.unwrap_or(0.0) as f32,
    };
    settings.clipping = choices.clip;
    settings.patience = choices.patience.map(|epochs| epochs as usize);
    settings.overfit_one_batch = choices.overfit_one_batch;
    settings.adversarial = choices.adversarial.map(|epsilon| Adversarial {
        epsilon: epsilon as f32,
        steps: given(choices.adversarial_steps, ADVERSARIAL_STEPS),
    });
    if let Some(share) = choices.label_smoothing {
        let Loss::CrossEntropy(details) = &mut settings.loss else {
            return Err(Failure::usage("only cross-entropy has label smoothing").at("--label-smoothing"));
        };
        details.label_smoothing = share as f32;
    }
    Ok(settings)
}

/// Whether the loss fits the task; how many outputs the network needs then.
fn check_loss(loss: &Loss, task: &Task) -> Outcome<usize> {
    let for_classes = matches!(
        loss,
        Loss::CrossEntropy(_) | Loss::BinaryCrossEntropy | Loss::Perceptron
    );
    let numbers = matches!(task, Task::Regression { .. });
    if for_classes == numbers {
        let (kind, remedy) = match numbers {
            true => (
                "numbers",
                "squared_error, absolute_error or huber; or set --task classification",
            ),
            false => (
                "classes",
                "cross_entropy, binary_cross_entropy or perceptron; or set --task regression",
            ),
        };
        return Err(
            Failure::usage(format!("this loss does not fit targets that are {kind}"))
                .at("--loss")
                .help(format!("take {remedy}")),
        );
    }
    let labels = matches!(task, Task::MultiLabel { .. });
    if labels && matches!(loss, Loss::CrossEntropy(_)) {
        return Err(
            Failure::usage("samples with several labels need a loss for each label")
                .at("--loss")
                .help("take binary_cross_entropy"),
        );
    }
    let one_unit =
        !labels && task.outputs() == 2 && matches!(loss, Loss::BinaryCrossEntropy | Loss::Perceptron);
    Ok(if one_unit { 1 } else { task.outputs() })
}

/// The network of the first output alone.
pub(super) fn without_auxiliaries(model: &Model) -> Outcome<Model> {
    Ok(Model::with(model.name(), model.inputs(), &model.outputs()[..1])?)
}

fn no_auxiliaries(model: &Model, transfers: bool) -> Failure {
    let cause = match transfers {
        true => {
            "auxiliary heads help networks that begin from scratch; with --transfer there are none".into()
        }
        false => format!("`{}` has no auxiliary heads here", model.name()),
    };
    Failure::usage(cause).at("--auxiliary").help(
        "googlenet has two, googlenet-2014 too for images from 80×80 on, and inception-v3 one from 299×299 on",
    )
}

/// The network that is to be trained, and the shares of its auxiliary heads in the loss.
fn build(choices: &Choices, default: &str, input: &[usize], outputs: usize) -> Outcome<(Model, Vec<f64>)> {
    let alone = |model: Model| (model, Vec::new());
    let wrong = |flag: &'static str| move |cause: String| Failure::usage(cause).at(flag);
    if let Some(line) = &choices.layers {
        return text::from_line(line, input, Some(outputs))
            .map(alone)
            .map_err(|e| wrong("--layers")(e.to_string()));
    }
    let name = choices.model.as_deref().unwrap_or(default);
    let path = Path::new(name);
    if path.extension().is_some_and(|e| e == "toml") || path.is_file() {
        let size = std::fs::metadata(path).at(path.display()).at("--model")?.len();
        if size > text::MAX_TEXT as u64 {
            let cause = format!(
                "{} has {size} bytes; a model in TOML has at most {}",
                path.display(),
                text::MAX_TEXT
            );
            return Err(wrong("--model")(cause));
        }
        let written = std::fs::read_to_string(path).at(path.display())?;
        return text::from_toml(&written, Some(input), Some(outputs))
            .map(alone)
            .map_err(|e| wrong("--model")(e.to_string()).at(path.display()));
    }
    zoo::build_for_training(name, input, outputs).map_err(|e| wrong("--model")(e.to_string()))
}

/// Reads every image that training itself would read late, so that a bad one is told before a run begins.
fn read_held_out(dataset: &Dataset) -> Outcome {
    if !matches!(dataset.layout(), InputLayout::Image { .. }) {
        return Ok(());
    }
    for role in [Role::Validation, Role::Test] {
        for &index in dataset.splits.of(role) {
            dataset.source.with_pixels(index, &mut |_| {})?;
        }
    }
    Ok(())
}
