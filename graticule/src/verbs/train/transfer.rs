//! Beginning with a pretrained network: its trunk, its preprocessing, and what becomes of both (rows O18 to O21).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use data::{Augment, Dataset, InputEncoding, Preprocess};
use interchange::{ModelFile, Tensor, foreign};
use nn::Model;
use nn::model::{blocks, with_new_head};
use serde::{Deserialize, Serialize};
use train::transfer::{Features, Plan as Blocks, Start, Transfer, TransferMode};
use train::{Network, Settings};

use super::defaults::Defaults;
use super::flags::{Augmentation, Choices};
use super::setup::{Plan, without_auxiliaries};
use crate::error::{Context, Failure, Outcome};
use crate::output::Output;
use crate::published;
use crate::run_file::Found;
use crate::source::{ImageSize, SourceArgs, absolute};
use crate::text::{duration, thousands};

/// Time between two lines while the trunk runs.
const QUIET_FOR: Duration = Duration::from_secs(15);
/// The trunk's share of the learning rate, unless it is given.
const TRUNK_RATE: f64 = 0.1;

/// Flags of transfer learning.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
pub struct TransferArgs {
    /// Begin with the trunk of this network: a run or model file of Graticule, or published weights for --model
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// What becomes of the trunk [default: it trains like the rest]
    #[arg(long, value_enum, requires = "weights")]
    pub transfer: Option<Mode>,
    /// The trunk's share of the learning rate [default: 0.1]
    #[arg(long, value_name = "SHARE", requires = "transfer", value_parser = super::flags::positive)]
    pub trunk_lr_factor: Option<f64>,
    /// Block at which training starts: shallow (the first one), middle, deep (behind one or two thirds of them), or
    /// head; the blocks before it stay as they are [default: shallow]
    #[arg(long, value_name = "DEPTH", requires = "transfer")]
    pub train_from: Option<Start>,
}

/// What becomes of a pretrained trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// It runs once over every sample; a new head learns from what it gives
    Features,
    /// It trains with the new head, more slowly
    Finetune,
    /// Its blocks begin to train one after the other, from the head down
    Gradual,
    /// Fine-tuning from every depth, features and training from scratch, side by side
    Compare,
}

/// What `run.toml` says of a pretrained network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The file that the trunk came from.
    pub file: PathBuf,
    /// Blocks that were taken, and the numbers in them.
    pub blocks: usize,
    /// Numbers that were taken.
    pub numbers: usize,
}

impl TransferArgs {
    /// The settings that they mean.
    pub fn settings(&self, choices: &Choices) -> Outcome<Option<Transfer>> {
        let Some(mode) = self.transfer else {
            return Ok(None);
        };
        let start = self.train_from.unwrap_or_default();
        let with = |flag: &str, mode: &str| {
            Failure::usage(format!("it has no meaning with --transfer {mode}")).at(flag)
        };
        match mode {
            Mode::Features if self.train_from.is_some() || self.trunk_lr_factor.is_some() => {
                let flag = if self.train_from.is_some() {
                    "--train-from"
                } else {
                    "--trunk-lr-factor"
                };
                return Err(
                    with(flag, "features").help("with features the trunk does not train: leave it out")
                );
            }
            Mode::Features if matches!(&choices.augment, Some(Augmentation::These(a)) if a.is_active()) => {
                return Err(with("--augment", "features").help(
                    "features are made once of each sample; take --transfer finetune --train-from head",
                ));
            }
            Mode::Compare if self.train_from.is_some() => {
                return Err(with("--train-from", "compare").help("every depth is compared: leave it out"));
            }
            Mode::Finetune | Mode::Gradual | Mode::Compare
                if start == Start::Head && self.trunk_lr_factor.is_some() =>
            {
                return Err(
                    Failure::usage("the trunk does not train when training starts at the head")
                        .at("--trunk-lr-factor")
                        .help("leave it out, or start deeper with --train-from deep"),
                );
            }
            _ => {}
        }
        Ok(Some(Transfer {
            mode: match mode {
                Mode::Features => TransferMode::Features,
                Mode::Gradual => TransferMode::Gradual,
                Mode::Finetune | Mode::Compare => TransferMode::Finetune,
            },
            trunk_rate: self.trunk_lr_factor.unwrap_or(TRUNK_RATE),
            start: if mode == Mode::Features {
                Start::Head
            } else {
                start
            },
        }))
    }

    /// Whether starts at several depths are to be compared.
    pub fn compares(&self) -> bool {
        self.transfer == Some(Mode::Compare)
    }
}

/// A network that was trained on other data.
pub struct Pretrained {
    path: PathBuf,
    /// Its own network, where the file has one.
    model: Option<Model>,
    /// How it wants its inputs.
    input: InputEncoding,
    /// The numbers of its trunk, once a model was built for them.
    trunk: Vec<Tensor>,
}

impl Pretrained {
    /// Reads what the flags name; the weights themselves are read when there is a model for them.
    pub fn open(args: &TransferArgs, choices: &Choices) -> Outcome<Option<Self>> {
        let Some(given) = &args.weights else {
            return Ok(None);
        };
        let path = Found::at_weights(given)?;
        if let Some(layers) = &choices.layers {
            return Err(
                Failure::usage("weights belong to a network that has a name, or to their own")
                    .at(format!("--layers \"{layers}\""))
                    .help("name the network with --model, or leave both out for a model file of Graticule"),
            );
        }
        let ours = path.extension().is_some_and(|e| e == "safetensors");
        let own = match ours.then(|| ModelFile::read(&path)) {
            Some(Ok(file)) => Some(file),
            Some(Err(error)) if choices.model.is_none() => {
                return Err(Failure::from(error).at("--weights").help(
                    "give a model file of Graticule, or name the network of published weights with --model",
                ));
            }
            _ => None,
        };
        let (model, input) = match own {
            Some(file) => {
                let preprocess: Preprocess = serde_json::from_value(file.preprocessing.clone())
                    .at(path.display())
                    .help("the file has no preprocessing that this version reads")?;
                (Some(file.model()?), preprocess.input)
            }
            None => (None, published_input(&path, choices)?),
        };
        Ok(Some(Self {
            path,
            model,
            input,
            trunk: Vec::new(),
        }))
    }

    /// Reads the source as the network wants it: images in its size and with its bands.
    pub fn reading(&self, reading: &SourceArgs) -> SourceArgs {
        let mut reading = reading.clone();
        if let InputEncoding::Image(image) = &self.input {
            reading.image_size = reading.image_size.or(Some(ImageSize(image.height, image.width)));
            reading.channels = Some(image.channels);
        }
        reading
    }

    /// Prepares inputs as the network knows them.
    pub fn prepare(&self, dataset: &Dataset, preprocess: &mut Preprocess) -> Outcome {
        match (&self.input, &mut preprocess.input) {
            (InputEncoding::Image(theirs), InputEncoding::Image(ours)) => {
                if theirs.channels != ours.channels {
                    return Err(Failure::new(format!(
                        "found images of {} bands; the network knows {}",
                        ours.channels, theirs.channels
                    ))
                    .at(&dataset.name)
                    .help("give the images as files: grey files are widened to colour"));
                }
                (ours.mean, ours.std) = (theirs.mean.clone(), theirs.std.clone());
                Ok(())
            }
            (theirs, ours) => {
                *ours = theirs.clone();
                Ok(preprocess
                    .check(dataset)
                    .at(self.path.display())
                    .help("a network can only be transferred to inputs of its own kind")?)
            }
        }
    }

    /// The network for `outputs` outputs and inputs of this shape, with the shares of its auxiliary heads in the loss if
    /// nothing is frozen; its trunk's numbers are kept for [`Pretrained::fill`].
    pub fn model(
        &mut self,
        choices: &Choices,
        input: &[usize],
        outputs: usize,
        transfers: bool,
    ) -> Outcome<(Model, Vec<f64>, Origin)> {
        let mut shares = Vec::new();
        let model = match (&choices.model, &self.model) {
            (Some(name), _) => {
                let built = match transfers {
                    true => zoo::build(name, input, outputs).map(|model| (model, Vec::new())),
                    false => zoo::build_for_training(name, input, outputs),
                };
                let (model, found) = built.map_err(|e| Failure::usage(e.to_string()).at("--model"))?;
                shares = found;
                model
            }
            (None, Some(own)) => {
                let theirs = &own.input().shape()[1..];
                if theirs != input {
                    return Err(Failure::usage(format!(
                        "the network reads samples of shape {theirs:?}, the data give {input:?}"
                    ))
                    .at(self.path.display())
                    .help("leave --image-size out, or name the network with --model, if any size will do for it"));
                }
                with_new_head(own, outputs)?
            }
            (None, None) => return Err(no_model(&self.path)),
        };
        // Auxiliary heads lead around the blocks.
        let blocks = blocks(&without_auxiliaries(&model)?);
        let head = blocks.last().map_or(&[][..], |head| &head.parameters);
        let mut weights = foreign::load_body(&model, &self.path).map_err(|e| Failure::new(e.to_string()))?;
        weights.tensors.retain(|t| head.iter().all(|p| p.name != t.name));
        if weights.tensors.is_empty() {
            return Err(
                Failure::new(format!("found no numbers for a trunk of `{}`", model.name()))
                    .at(self.path.display())
                    .help("give the weights of a network with layers before its head"),
            );
        }
        if let Some(bad) = weights
            .tensors
            .iter()
            .find(|t| t.values.iter().any(|v| !v.is_finite()))
        {
            return Err(
                Failure::new(format!("`{}` holds numbers that are not finite", bad.name))
                    .at(self.path.display())
                    .help("use an older file"),
            );
        }
        self.trunk = weights.tensors;
        let origin = Origin {
            file: absolute(&self.path),
            blocks: blocks.len() - 1,
            numbers: self.trunk.iter().map(|t| t.values.len()).sum(),
        };
        Ok((model, shares, origin))
    }

    /// Puts the trunk's numbers into a network of the model.
    pub fn fill(&self, network: &mut Network) -> Outcome {
        for tensor in &self.trunk {
            network.parameters_mut().set(&tensor.name, &tensor.values)?;
        }
        Ok(())
    }
}

fn no_model(path: &Path) -> Failure {
    Failure::usage("the file holds weights alone, not what network they are of")
        .at(path.display())
        .help("name the network with --model, for example --model efficientnet-lite0")
}

/// How the published weights of the named network want their images.
fn published_input(path: &Path, choices: &Choices) -> Outcome<InputEncoding> {
    let name = choices.model.as_deref().ok_or_else(|| no_model(path))?;
    let known = zoo::NAMES.iter().find(|n| n.name == name);
    let encoding = known.and_then(|network| {
        let &[height, width, channels] = network.input else {
            return None;
        };
        published::encoding(name, [height, width, channels])
    });
    encoding.map(InputEncoding::Image).ok_or_else(|| {
        Failure::usage(format!(
            "how published weights of `{name}` want their inputs is not known"
        ))
        .at("--model")
        .help("bring them in first: graticule import FILE --model NAME -o model.safetensors")
    })
}

/// Settings that suit a pretrained network.
pub fn adapt(defaults: &mut Defaults, transfer: Option<Transfer>, samples: usize) {
    let settings = &mut defaults.settings;
    settings.transfer = transfer;
    let Some(transfer) = transfer else { return };
    let passes = |shown: usize, least: usize, most: usize| shown.div_ceil(samples.max(1)).clamp(least, most);
    match transfer.mode {
        TransferMode::Features => {
            (settings.learning_rate, settings.batch) = (4e-3, 32);
            settings.epochs = passes(12_000, 15, 60);
            defaults.augment = Augment::default();
        }
        TransferMode::Finetune | TransferMode::Gradual => {
            settings.learning_rate = 3e-3;
            settings.batch = if samples < 1000 { 16 } else { 32 };
            settings.epochs = passes(24_000, 4, 20);
        }
    }
}

/// One line on what a run began with and what trains of it.
pub fn told(origin: &Origin, settings: &Settings, model: &Model) -> String {
    let blocks_of = settings
        .transfer
        .and_then(|transfer| Blocks::new(model, transfer, settings.epochs).ok());
    let what = match (settings.transfer, blocks_of) {
        (Some(transfer), Some(blocks)) => {
            let first = blocks.parts().iter().position(|part| part.from.is_some());
            let first = &blocks.parts()[first.unwrap_or(origin.blocks)].block.name;
            let rate = transfer.trunk_rate;
            match transfer.mode {
                TransferMode::Features => {
                    format!("they stay as they are; the new head `{first}` learns from features")
                }
                TransferMode::Finetune if transfer.start == Start::Head => {
                    format!("they stay as they are; the new head `{first}` trains")
                }
                TransferMode::Finetune => {
                    format!(
                        "from `{first}` on they train at {rate} times the learning rate, the new head at all of it"
                    )
                }
                TransferMode::Gradual => format!(
                    "down to `{first}` they begin to train one after the other, at {rate} times the learning rate"
                ),
            }
        }
        _ => "all train at the learning rate".into(),
    };
    format!(
        "{} blocks with {} numbers come from {}; {what}",
        origin.blocks,
        thousands(origin.numbers),
        origin.file.display()
    )
}

impl Plan {
    /// Makes the features that the head shall learn from, where a run does so.
    pub fn make_features(&mut self, going: &dyn Fn() -> bool, out: &Output) -> Outcome {
        match self.file.settings.transfer {
            Some(transfer) if transfer.mode == TransferMode::Features => {
                self.keep_features_of(&self.network()?, going, out)
            }
            _ => Ok(()),
        }
    }

    /// The same with the trunk of this network.
    pub fn keep_features_of(&mut self, network: &Network, going: &dyn Fn() -> bool, out: &Output) -> Outcome {
        if let Some(transfer) = self
            .file
            .settings
            .transfer
            .filter(|t| t.mode == TransferMode::Features)
        {
            let splits = &self.dataset.splits;
            let all = [&splits.train[..], &splits.validation].concat();
            self.features = Some(self.features_of(network, transfer, &all, going, out)?);
        }
        Ok(())
    }

    /// What the trunk of `network` gives for these samples.
    pub fn features_of(
        &self,
        network: &Network,
        transfer: Transfer,
        indices: &[usize],
        going: &dyn Fn() -> bool,
        out: &Output,
    ) -> Outcome<Features> {
        let blocks = Blocks::new(network.model(), transfer, self.file.settings.epochs)?;
        let node = &blocks.head().block.input;
        let (count, started) = (thousands(indices.len()), Instant::now());
        out.note(format!("running the trunk over {count} samples …"));
        let mut told = started;
        let mut watch = |done: usize| {
            if told.elapsed() >= QUIET_FOR {
                out.note(format!("{} of {count} samples", thousands(done)));
                told = Instant::now();
            }
            going()
        };
        let threads = self.file.settings.loader_threads;
        let found = Features::of(network, node, &self.dataset, indices, threads, &mut watch)?
            .ok_or_else(|| Failure::interrupted("interrupted while the trunk ran; nothing is kept"))?;
        out.note(format!(
            "features: {} numbers of each sample, in {}",
            thousands(found.width()),
            duration(started.elapsed().as_secs_f64())
        ));
        Ok(found)
    }
}
