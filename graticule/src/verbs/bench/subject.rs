//! What is measured: a network with a trainer, and made-up samples for it.

use std::fmt;

use data::preprocess::{ColumnEncoding, ImageEncoding, TableEncoding, TargetEncoding};
use data::{Batch, InputEncoding, Preprocess, TargetKind, Task};
use engine::Engine;
use interchange::ModelFile;
use nn::model::text;
use nn::{Loss, Model, Optimizer};
use train::{Network, Settings, Trainer};

use crate::error::{Context, Outcome};
use crate::verbs::summary::{file_of, read_text};

/// Where a network comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// A named network, a model in TOML, a model file or a run folder.
    Named(&'a str),
    /// Layers in one line.
    Line(&'a str),
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Line(_) => f.write_str("--layers"),
        }
    }
}

/// What is wished of a subject.
pub struct Wish<'a> {
    /// The shape of samples where neither the wish nor a file says it.
    pub usual: &'a [usize],
    /// The shape asked for.
    pub shape: Option<&'a [usize]>,
    /// The outputs where neither the wish nor a file says their number.
    pub usual_outputs: usize,
    /// The outputs asked for.
    pub outputs: Option<usize>,
    /// The loss asked for.
    pub loss: Option<&'a Loss>,
    /// The rule of descent.
    pub optimizer: Optimizer,
    /// Samples in a batch.
    pub batch: usize,
}

/// A network that is ready to train.
pub struct Subject {
    /// Its name.
    pub name: String,
    /// The trainer.
    pub trainer: Trainer,
    /// The batch of every step.
    pub batch: Batch,
}

impl Subject {
    /// The network of this origin, with samples and targets that fit it.
    pub fn new(engine: &Engine, origin: Origin, wish: &Wish) -> Outcome<Self> {
        let model = build(origin, wish)?;
        let shape = model.input().shape()[1..].to_vec();
        let output = model.output().shape()[1..].to_vec();
        let loss = wish.loss.cloned().unwrap_or_else(|| usual_loss(&output));
        let kind = target_kind(&loss, &output);
        let batch = noise(wish.batch, shape.iter().product(), (kind, &output));
        let preprocess = preprocess(&shape, output.iter().product());
        let network = Network::new(engine, model, preprocess, 1)?;
        let settings = Settings {
            batch: wish.batch,
            optimizer: wish.optimizer,
            loss,
            ..Settings::default()
        };
        Ok(Self {
            name: match origin {
                Origin::Named(name) => name.into(),
                Origin::Line(_) => "layers".into(),
            },
            trainer: Trainer::new(network, settings, kind, 1)?,
            batch,
        })
    }
}

fn build(origin: Origin, wish: &Wish) -> Outcome<Model> {
    let shape = wish.shape.unwrap_or(wish.usual);
    // A text that does not need the word `classes` has outputs of its own.
    let text = |read: &dyn Fn(Option<usize>) -> Result<Model, text::TextError>| match wish.outputs {
        None => read(None).or_else(|_| read(Some(wish.usual_outputs))),
        outputs => read(outputs),
    };
    let name = match origin {
        Origin::Line(line) => return Ok(text(&|outputs| text::from_line(line, shape, outputs))?),
        Origin::Named(name) => name,
    };
    match file_of(name)? {
        None => Ok(zoo::build(
            name,
            shape,
            wish.outputs.unwrap_or(wish.usual_outputs),
        )?),
        Some(path) if path.extension().is_some_and(|e| e == "toml") => {
            let written = read_text(&path)?;
            Ok(text(&|outputs| text::from_toml(&written, wish.shape, outputs))?)
        }
        Some(path) => Ok(ModelFile::read(&path)?.model().at(path.display())?),
    }
}

fn usual_loss(output: &[usize]) -> Loss {
    match output {
        [1] => Loss::SquaredError,
        [_] => Loss::cross_entropy(),
        _ => Loss::BinaryCrossEntropy,
    }
}

fn target_kind(loss: &Loss, output: &[usize]) -> TargetKind {
    match loss {
        Loss::CrossEntropy(_) if output.len() == 1 => TargetKind::ClassIndex,
        Loss::CrossEntropy(_) => TargetKind::ClassProbabilities,
        Loss::BinaryCrossEntropy | Loss::Perceptron => TargetKind::MultiLabel,
        _ => TargetKind::Values,
    }
}

/// The preprocessing that leaves samples of `shape` as they are.
fn preprocess(shape: &[usize], outputs: usize) -> Preprocess {
    let input = match *shape {
        [height, width, channels] => InputEncoding::Image(ImageEncoding {
            height,
            width,
            channels,
            pixel_max: 255,
            mean: vec![0.0; channels],
            std: vec![1.0; channels],
            resize: false,
        }),
        _ => InputEncoding::Table(TableEncoding {
            columns: (0..shape.iter().product()).map(column).collect(),
        }),
    };
    let targets = (0..outputs).map(|k| k.to_string()).collect();
    Preprocess {
        task: Task::Regression { targets },
        input,
        target: TargetEncoding::default(),
    }
}

fn column(k: usize) -> ColumnEncoding {
    ColumnEncoding::Numeric {
        name: format!("x{k}"),
        median: 0.0,
        centre: 0.0,
        scale: 1.0,
        clip: None,
        indicator: false,
    }
}

/// Samples with numbers of mean 0 and standard deviation 1 and targets of this kind, always the same ones.
fn noise(size: usize, elements: usize, (kind, output): (TargetKind, &[usize])) -> Batch {
    let mut state = 1u64;
    let mut next = || {
        // Any numbers without a pattern do: the speed does not depend on them.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 12f32.sqrt()
    };
    let (each, classes) = (output.iter().product::<usize>(), output.last().map_or(1, |&k| k));
    let mut batch = Batch::default();
    batch.inputs = (0..size * elements).map(|_| next()).collect();
    batch.targets = match kind {
        TargetKind::ClassIndex => (0..size).map(|k| (k % classes.max(1)) as f32).collect(),
        TargetKind::ClassProbabilities => (0..size * each)
            .map(|k| f32::from((k / classes) % classes == k % classes))
            .collect(),
        TargetKind::MultiLabel => (0..size * each).map(|_| f32::from(next() > 0.0)).collect(),
        TargetKind::Values => (0..size * each).map(|_| next()).collect(),
    };
    batch.indices = (0..size).collect();
    batch.size = size;
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_samples_are_scaled_like_real_ones() {
        let batch = noise(64, 100, (TargetKind::ClassIndex, &[10]));
        let mean = batch.inputs.iter().sum::<f32>() / 6400.0;
        let variance = batch.inputs.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 6400.0;
        assert!(
            mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05,
            "{mean} {variance}"
        );
        assert!(batch.targets.contains(&9.0) && !batch.targets.contains(&10.0));
        let pixels = noise(2, 4, (TargetKind::ClassProbabilities, &[2, 2, 3]));
        assert!(
            pixels
                .targets
                .chunks(3)
                .all(|pixel| pixel.iter().sum::<f32>() == 1.0)
        );
    }

    fn subject(origin: Origin, shape: &[usize], loss: Option<&str>) -> Outcome<Subject> {
        let loss: Option<Loss> = loss.and_then(|name| name.parse().ok());
        let wish = Wish {
            usual: &[1],
            shape: Some(shape),
            usual_outputs: 10,
            outputs: None,
            loss: loss.as_ref(),
            optimizer: Optimizer::adamw(),
            batch: 4,
        };
        Subject::new(&Engine::new(1), origin, &wish)
    }

    #[test]
    fn images_tables_and_lines_are_subjects() {
        let named = Origin::Named;
        for (origin, shape, loss) in [
            (named("lenet5"), &[28, 28, 1][..], None),
            (named("mlp"), &[7], Some("binary_cross_entropy")),
            (named("linear"), &[4, 4, 2], Some("squared_error")),
            (Origin::Line("dense 3 tanh, dense 1"), &[2], None),
            (Origin::Line("conv 2 3 same"), &[6, 6, 1], None),
            (Origin::Line("conv 2 3 same"), &[6, 6, 1], Some("cross_entropy")),
        ] {
            let mut subject = subject(origin, shape, loss).unwrap_or_else(|failure| panic!("{failure}"));
            let step = subject.trainer.step_at(&subject.batch, 1, 1e-3);
            assert!(
                step.is_ok_and(|step| step.loss > 0.0),
                "{origin} {shape:?} {loss:?}"
            );
        }
        assert!(subject(named("lenet5"), &[7], None).is_err());
    }
}
