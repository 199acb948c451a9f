//! What is measured: a network with a trainer, and made-up samples for it.

use data::preprocess::{ColumnEncoding, ImageEncoding, TableEncoding, TargetEncoding};
use data::{Batch, InputEncoding, Preprocess, TargetKind, Task};
use engine::Engine;
use nn::Model;
use nn::model::text;
use train::{Network, Settings, Trainer};

use crate::error::{Failure, Outcome};
use crate::verbs::summary::{file_of, read_text};

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
    /// The network that `name` means, for samples of `shape`; a file's own input shape goes before the
    /// default, `given` before all.
    pub fn new(
        engine: &Engine,
        name: &str,
        (shape, given): (&[usize], Option<&[usize]>),
        classes: usize,
        batch: usize,
    ) -> Outcome<Self> {
        let model = build(name, shape, given, classes)?;
        let shape = model.input().shape()[1..].to_vec();
        let outputs = model.output().shape().elements();
        let preprocess = preprocess(&shape, outputs);
        let network = Network::new(engine, model, preprocess, 1)?;
        let settings = Settings {
            batch,
            ..Settings::default()
        };
        let trainer = Trainer::new(network, settings, TargetKind::ClassIndex, 1)?;
        let batch = noise(batch, shape.iter().product(), outputs);
        Ok(Self {
            name: name.into(),
            trainer,
            batch,
        })
    }
}

fn build(name: &str, shape: &[usize], given: Option<&[usize]>, classes: usize) -> Outcome<Model> {
    let Some(path) = file_of(name)? else {
        return Ok(zoo::build(name, shape, classes)?);
    };
    if path.extension().is_some_and(|e| e == "toml") {
        return Ok(text::from_toml(&read_text(&path)?, given, Some(classes))?);
    }
    Err(
        Failure::usage("only named networks and models in TOML are measured")
            .help("for example `graticule bench lenet5`"),
    )
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
    let classes = (0..outputs).map(|k| k.to_string()).collect();
    Preprocess {
        task: Task::Classification { classes },
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

/// Samples with numbers of mean 0 and standard deviation 1, always the same ones.
fn noise(size: usize, elements: usize, classes: usize) -> Batch {
    let mut state = 1u64;
    let mut next = || {
        // Any numbers without a pattern do: the speed does not depend on them.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 12f32.sqrt()
    };
    let mut batch = Batch::default();
    batch.inputs = (0..size * elements).map(|_| next()).collect();
    batch.targets = (0..size).map(|k| (k % classes.max(1)) as f32).collect();
    batch.indices = (0..size).collect();
    batch.size = size;
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_samples_are_scaled_like_real_ones() {
        let batch = noise(64, 100, 10);
        let mean = batch.inputs.iter().sum::<f32>() / 6400.0;
        let variance = batch.inputs.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 6400.0;
        assert!(
            mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05,
            "{mean} {variance}"
        );
        assert!(batch.targets.contains(&9.0) && !batch.targets.contains(&10.0));
    }

    #[test]
    fn images_tables_and_lines_are_subjects() {
        let engine = Engine::new(1);
        let of = |name, shape: &[usize]| Subject::new(&engine, name, (shape, Some(shape)), 3, 4);
        for (name, shape) in [
            ("lenet5", &[28, 28, 1][..]),
            ("mlp", &[7]),
            ("linear", &[4, 4, 2]),
        ] {
            let mut subject = of(name, shape).unwrap_or_else(|failure| panic!("{failure}"));
            assert!(subject.trainer.step_at(&subject.batch, 1, 1e-3).is_ok());
        }
        assert!(of("lenet5", &[7]).is_err());
    }
}
