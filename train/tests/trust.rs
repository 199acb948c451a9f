//! What a user may rely on: same seed, same bits, whatever the threads and however often it was killed.

#![allow(clippy::unwrap_used)]

use data::{Dataset, Loader, LoaderOptions, OpenOptions, Preprocess, open};
use engine::Engine;
use graticule_train::{
    Ending, EpochRecord, Network, Observer, Run, RunFiles, Settings, Silent, StepReport, TrainError, Trainer,
    fit, predict, score, training_loader_options,
};
use nn::Model;
use nn::prelude::*;

fn digits() -> (Dataset, Preprocess) {
    let dataset = open("digits", &OpenOptions::default()).unwrap();
    let preprocess = Preprocess::fit(&dataset).unwrap();
    (dataset, preprocess)
}

/// Convolution, batch norm and dropout: everything that has state or chance in it.
fn network() -> Model {
    let image = Symbol::input("image", [8, 8, 1]);
    let x = Conv2d::new(8, 3).padding(Same).on(&image).unwrap();
    let x = BatchNorm::new().on(&x).unwrap();
    let x = Activation::Relu.on(&x).unwrap();
    let x = MaxPool2d::new(2).on(&x).unwrap();
    let x = Dropout::new(0.2).on(&Flatten.on(&x).unwrap()).unwrap();
    let logits = Dense::new(10).on(&x).unwrap();
    Model::new("tiny", &image, &logits).unwrap()
}

fn settings(epochs: usize) -> Settings {
    Settings {
        epochs,
        batch: 50,
        learning_rate: 1e-2,
        checkpoint_seconds: 0.0,
        ..Settings::default()
    }
}

fn trainer(engine: &Engine, settings: &Settings, files: Option<RunFiles>) -> (Trainer, Run) {
    trainer_of(network(), engine, settings, files)
}

fn trainer_of(model: Model, engine: &Engine, settings: &Settings, files: Option<RunFiles>) -> (Trainer, Run) {
    let (dataset, preprocess) = digits();
    let samples = &dataset.splits.train;
    let options = training_loader_options(settings, samples.len());
    let train = Loader::new(&dataset, samples, &preprocess, options).unwrap();
    let options = LoaderOptions {
        batch: 100,
        ..LoaderOptions::default()
    };
    let validation = Some(Loader::new(&dataset, &dataset.splits.validation, &preprocess, options).unwrap());
    let network = Network::new(engine, model, preprocess, settings.seed).unwrap();
    let trainer = Trainer::new(network, settings.clone(), train.target_kind(), train.batches()).unwrap();
    (
        trainer,
        Run {
            train,
            validation,
            files,
        },
    )
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// The history without the clock.
fn timeless(history: &[EpochRecord]) -> Vec<EpochRecord> {
    history
        .iter()
        .map(|r| EpochRecord {
            seconds: 0.0,
            ..r.clone()
        })
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_bits_for_any_number_of_threads() {
    let mut results = Vec::new();
    for (threads, loader_threads) in [(1, 0), (2, 1), (3, 2)] {
        let settings = Settings {
            loader_threads,
            ..settings(2)
        };
        let (mut trainer, run) = trainer(&Engine::new(threads), &settings, None);
        let outcome = fit(&mut trainer, &run, None, &mut Silent).unwrap();
        results.push((
            bits(trainer.network.parameters().values()),
            timeless(&outcome.history),
        ));
    }
    assert!(results[0] == results[1], "2 threads give other bits than 1");
    assert!(results[0] == results[2], "3 threads give other bits than 1");
}

/// Interrupts after some steps.
struct StopAfter {
    steps: u64,
    seen: u64,
}

impl Observer for StopAfter {
    fn step(&mut self, report: &StepReport) {
        self.seen = report.step;
    }
    fn interrupted(&self) -> bool {
        self.seen >= self.steps
    }
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bits() {
    let engine = Engine::new(2);
    let (mut whole, run) = trainer(&engine, &settings(2), None);
    let expected = fit(&mut whole, &run, None, &mut Silent).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for stop in [1, 7, 29, 40] {
        let files = RunFiles {
            best: folder.path().join("best"),
            last: folder.path().join("last"),
        };
        let (mut first, run) = trainer(&engine, &settings(2), Some(files.clone()));
        let stopped = fit(&mut first, &run, None, &mut StopAfter { steps: stop, seen: 0 }).unwrap();
        assert_eq!(stopped.ending, Ending::Interrupted);
        let (mut second, run) = trainer(&engine, &settings(2), Some(files.clone()));
        let file = interchange::ModelFile::read(&files.last).unwrap();
        let resumed = fit(&mut second, &run, Some(&file), &mut Silent).unwrap();
        assert_eq!(
            timeless(&resumed.history),
            timeless(&expected.history),
            "stopped after {stop}"
        );
        assert!(bits(second.network.parameters().values()) == bits(whole.network.parameters().values()));
    }
}

#[test]
fn training_learns_and_the_best_model_file_predicts_alone() {
    let engine = Engine::new(2);
    let folder = tempfile::tempdir().unwrap();
    let files = RunFiles {
        best: folder.path().join("best"),
        last: folder.path().join("last"),
    };
    let (mut trainer, run) = trainer(&engine, &settings(6), Some(files.clone()));
    let outcome = fit(&mut trainer, &run, None, &mut Silent).unwrap();
    assert!(outcome.history.last().unwrap().train_loss < outcome.history[0].train_loss / 2.0);
    let mut network = Network::load(&engine, &files.best).unwrap();
    let (dataset, _) = digits();
    let options = LoaderOptions {
        batch: 64,
        ..LoaderOptions::default()
    };
    let test = Loader::new(&dataset, &dataset.splits.test, network.preprocess(), options).unwrap();
    let accuracy = score(&predict(&mut network, &test).unwrap(), network.task()).score;
    assert!(accuracy > 0.93, "test accuracy {accuracy}");
}

#[test]
fn one_batch_is_learned_by_heart() {
    let settings = Settings {
        overfit_one_batch: true,
        ..settings(6)
    };
    let (mut trainer, run) = trainer(&Engine::new(1), &settings, None);
    let outcome = fit(&mut trainer, &run, None, &mut Silent).unwrap();
    assert!(outcome.history[5].train_accuracy.unwrap() > 0.99);
}

#[test]
fn a_loss_that_explodes_stops_the_run_and_names_the_layer() {
    let settings = Settings {
        learning_rate: 1e37,
        optimizer: nn::Optimizer::sgd(),
        ..settings(2)
    };
    let folder = tempfile::tempdir().unwrap();
    let files = RunFiles {
        best: folder.path().join("best"),
        last: folder.path().join("last"),
    };
    // Without normalisation, so that a huge step shows.
    let image = Symbol::input("image", [8, 8, 1]);
    let x = Dense::new(20)
        .activation(Relu)
        .on(&Flatten.on(&image).unwrap())
        .unwrap();
    let logits = Dense::new(10).on(&Dense::new(20).on(&x).unwrap()).unwrap();
    let model = Model::new("plain", &image, &logits).unwrap();
    let (mut trainer, run) = trainer_of(model, &Engine::new(1), &settings, Some(files.clone()));
    let error = fit(&mut trainer, &run, None, &mut Silent).unwrap_err();
    let TrainError::NotFinite { blame, .. } = &error else {
        panic!("{error}")
    };
    assert!(blame.contains("layer"), "{blame}");
    let kept = Network::load(&Engine::new(1), &files.last).unwrap();
    assert!(
        kept.parameters().values().iter().all(|v| v.is_finite()),
        "the last checkpoint is not good"
    );
}

#[test]
fn a_checkpoint_of_other_settings_is_refused() {
    let engine = Engine::new(1);
    let folder = tempfile::tempdir().unwrap();
    let files = RunFiles {
        best: folder.path().join("best"),
        last: folder.path().join("last"),
    };
    let (mut first, run) = trainer(&engine, &settings(1), Some(files.clone()));
    fit(&mut first, &run, None, &mut Silent).unwrap();
    let file = interchange::ModelFile::read(&files.last).unwrap();
    let (mut other, run) = trainer(
        &engine,
        &Settings {
            seed: 9,
            ..settings(1)
        },
        Some(files),
    );
    let error = fit(&mut other, &run, Some(&file), &mut Silent).unwrap_err();
    assert!(error.to_string().contains("other settings"), "{error}");
}

#[test]
fn s23_the_debugging_report_covers_every_layer() {
    let (mut trainer, run) = trainer(&Engine::new(1), &settings(1), None);
    let batch = run.train.epoch(0).next().unwrap().unwrap();
    let before = bits(trainer.network.parameters().values());
    let report = trainer.diagnose(&batch).unwrap();
    assert!(
        report
            .iter()
            .any(|h| h.layer.starts_with("conv2d") && h.gradient.is_some_and(|g| g > 0.0))
    );
    assert!(report.iter().any(|h| h.layer.starts_with("dense")));
    assert!(report.iter().all(|h| h.largest.is_finite()));
    assert!(
        before == bits(trainer.network.parameters().values()),
        "looking changed the network"
    );
}

#[test]
fn a_model_file_with_a_nan_in_it_is_refused_by_name() {
    let engine = Engine::new(1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (trainer, _) = trainer(&engine, &settings(1), None);
    let mut file = trainer.network.to_file().unwrap();
    file.tensors[0].values[3] = f32::NAN;
    file.write(&path).unwrap();
    let message = Network::load(&engine, &path).err().unwrap().to_string();
    assert!(
        message.contains(&file.tensors[0].name) && message.contains("NaN"),
        "{message}"
    );
}

#[test]
fn a_loss_that_is_not_a_number_leaves_wide_layers_as_they_were() {
    // So many weights that they move while their gradient is made.
    let image = Symbol::input("image", [8, 8, 1]);
    let x = Dense::new(512).on(&Flatten.on(&image).unwrap()).unwrap();
    let x = Dense::new(520).activation(Relu).on(&x).unwrap();
    let logits = Dense::new(10).on(&x).unwrap();
    let model = Model::new("wide", &image, &logits).unwrap();
    let settings = settings(1);
    let (mut trainer, run) = trainer_of(model.clone(), &Engine::new(2), &settings, None);
    let (mut other, _) = trainer_of(model, &Engine::new(2), &settings, None);
    let mut batches: Vec<_> = run.train.epoch(0).take(2).map(Result::unwrap).collect();
    for trainer in [&mut trainer, &mut other] {
        trainer.step(&batches[0], 1).unwrap();
    }
    let state = |trainer: &Trainer| {
        let memory = trainer.memory().iter().map(|slot| bits(slot));
        let all = memory.chain([bits(trainer.network.parameters().values())]);
        all.collect::<Vec<_>>()
    };
    let before = state(&trainer);
    let pixel = std::mem::replace(&mut batches[1].inputs[7], f32::NAN);
    let error = trainer.step(&batches[1], 1).unwrap_err();
    batches[1].inputs[7] = pixel;
    assert!(matches!(error, TrainError::NotFinite { .. }), "{error}");
    assert!(state(&trainer) == before);
    // Looking at gradients makes them all, and changes nothing.
    let report = trainer.diagnose(&batches[1]).unwrap();
    let gradients: Vec<f32> = report.iter().filter_map(|layer| layer.gradient).collect();
    assert!(
        gradients.len() == 3 && gradients.iter().all(|&g| g > 0.0),
        "{gradients:?}"
    );
    assert!(state(&trainer) == before);
    for trainer in [&mut trainer, &mut other] {
        trainer.step(&batches[1], 1).unwrap();
    }
    assert!(state(&trainer) == state(&other) && state(&trainer) != before);
}
