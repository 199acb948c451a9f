//! Auxiliary heads (row N4): the loss is the weighted sum, gradients of the heads reach the stem, a killed run goes on to
//! the same bits, and what is kept at the end has lost them.

#![allow(clippy::unwrap_used)]

use data::{Batch, Dataset, Loader, LoaderOptions, OpenOptions, Preprocess, open};
use engine::Engine;
use graph::interpret;
use graph::ndarray::{ArrayD, IxDyn};
use graticule_train::{
    Ending, Network, Observer, Run, RunFiles, Settings, Silent, StepReport, TrainError, Trainer, fit,
};
use interchange::ModelFile;
use nn::prelude::*;
use nn::{Model, Optimizer, Schedule};

/// A stem, two heads on the way, the network's own head; none but `stem` and `own` has a name.
fn model(dropout: bool) -> Model {
    let image = Symbol::input("image", [8, 8, 1]);
    let stem = Conv2d::new(6, 3).padding(Same).activation(Tanh).name("stem");
    let x = MaxPool2d::new(2).on(&stem.on(&image).unwrap()).unwrap();
    let head = |x: &Symbol| {
        let x = Flatten.on(x).unwrap();
        let x = if dropout {
            Dropout::new(0.3).on(&x).unwrap()
        } else {
            x
        };
        Dense::new(10).on(&x).unwrap()
    };
    let first = head(&x);
    let x = Conv2d::new(6, 3).padding(Same).activation(Tanh).on(&x).unwrap();
    let x = if dropout {
        BatchNorm::new().on(&x).unwrap()
    } else {
        x
    };
    let second = head(&x);
    let x = Conv2d::new(4, 3).activation(Tanh).on(&x).unwrap();
    let own = Dense::new(10).name("own").on(&Flatten.on(&x).unwrap()).unwrap();
    Model::with("three heads", &[image], &[own, first, second]).unwrap()
}

fn settings(shares: &[f64]) -> Settings {
    Settings {
        epochs: 2,
        batch: 50,
        learning_rate: 0.1,
        optimizer: Optimizer::sgd(),
        schedule: Schedule::Constant,
        auxiliary: shares.to_vec(),
        checkpoint_seconds: 0.0,
        ..Settings::default()
    }
}

fn data() -> (Dataset, Preprocess) {
    let options = OpenOptions {
        per_class: Some(20),
        ..OpenOptions::default()
    };
    let dataset = open("digits", &options).unwrap();
    let preprocess = Preprocess::fit(&dataset).unwrap();
    (dataset, preprocess)
}

fn trainer(dropout: bool, settings: &Settings, files: Option<RunFiles>) -> (Trainer, Run) {
    let (dataset, preprocess) = data();
    let loader = |indices: &[usize]| {
        let options = LoaderOptions {
            batch: 50,
            ..LoaderOptions::default()
        };
        Loader::new(&dataset, indices, &preprocess, options).unwrap()
    };
    let (train, validation) = (loader(&dataset.splits.train), loader(&dataset.splits.validation));
    let network = Network::new(&Engine::new(2), model(dropout), preprocess.clone(), 3).unwrap();
    let trainer = Trainer::new(network, settings.clone(), train.target_kind(), train.batches()).unwrap();
    let validation = Some(validation);
    (
        trainer,
        Run {
            train,
            validation,
            files,
        },
    )
}

/// The mean cross-entropy of each head, in f64 by the ops' plain definitions.
fn losses(trainer: &Trainer, batch: &Batch) -> Vec<f64> {
    let model = trainer.network.model();
    let array = |shape: &[usize], values: &[f32]| {
        let values = values.iter().map(|&v| f64::from(v)).collect();
        ArrayD::from_shape_vec(IxDyn(shape), values).unwrap()
    };
    let shape = [batch.size, 8, 8, 1];
    let mut given = vec![(model.input(), array(&shape, &batch.inputs))];
    for parameter in model.parameters() {
        let values = trainer.network.parameters().get(&parameter.name).unwrap();
        given.push((&parameter.symbol, array(parameter.shape(), values)));
    }
    let lowered = graph::lower(model.outputs(), graph::Mode::Infer).unwrap().outputs;
    let heads = interpret::evaluate(&lowered, &given, batch.size).unwrap();
    let mean = |scores: &ArrayD<f64>| {
        let rows = scores.as_standard_layout().to_owned();
        let rows = rows.as_slice().unwrap().chunks(10).zip(&batch.targets);
        let of = |(row, &target): (&[f64], &f32)| {
            row.iter().map(|v| v.exp()).sum::<f64>().ln() - row[target as usize]
        };
        rows.map(of).sum::<f64>() / batch.size as f64
    };
    heads.iter().map(mean).collect()
}

#[test]
fn n4_the_loss_is_the_weighted_sum() {
    for shares in [&[][..], &[0.3], &[0.3, 0.5]] {
        let (mut trainer, run) = trainer(false, &settings(shares), None);
        let batch = run.train.epoch(0).next().unwrap().unwrap();
        let heads = losses(&trainer, &batch);
        let expected = heads[0] + heads[1..].iter().zip(shares).map(|(l, s)| l * s).sum::<f64>();
        let found = f64::from(trainer.step(&batch, 1).unwrap().loss);
        assert!(
            (found - expected).abs() < 1e-5 * expected,
            "{shares:?}: {found} for {expected}"
        );
    }
}

/// How the stem moves in one step when the network's own head is all zeros and passes no gradient on.
fn stem_moves(shares: &[f64]) -> Vec<f64> {
    let (mut trainer, run) = trainer(false, &settings(shares), None);
    let zeros = vec![0.0; trainer.network.parameters().get("own.weight").unwrap().len()];
    trainer
        .network
        .parameters_mut()
        .set("own.weight", &zeros)
        .unwrap();
    let stem = |trainer: &Trainer| trainer.network.parameters().get("stem.weight").unwrap().to_vec();
    let before = stem(&trainer);
    let batch = run.train.epoch(0).next().unwrap().unwrap();
    trainer.step(&batch, 1).unwrap();
    let moved = stem(&trainer).into_iter().zip(before);
    moved
        .map(|(after, before)| f64::from(after) - f64::from(before))
        .collect()
}

#[test]
fn the_stem_learns_from_the_auxiliary_heads() {
    assert!(stem_moves(&[]).iter().all(|&d| d == 0.0));
    let (first, second, both) = (
        stem_moves(&[0.3]),
        stem_moves(&[0.0, 0.3]),
        stem_moves(&[0.3, 0.3]),
    );
    assert!(first.iter().chain(&second).all(|&d| d != 0.0));
    let largest = both.iter().fold(0.0f64, |most, d| most.max(d.abs()));
    for ((a, b), sum) in first.iter().zip(&second).zip(&both) {
        assert!((a + b - sum).abs() < 1e-4 * largest, "{a} and {b} make {sum}");
    }
}

/// Interrupts after some steps.
struct StopAfter(u64, u64);

impl Observer for StopAfter {
    fn step(&mut self, report: &StepReport) {
        self.1 = report.step;
    }
    fn interrupted(&self) -> bool {
        self.1 >= self.0
    }
}

#[test]
fn a_killed_run_goes_on_with_its_heads_and_the_best_file_has_none() {
    let settings = settings(&[0.3, 0.3]);
    let bits = |trainer: &Trainer| -> Vec<u32> {
        let values = trainer.network.parameters().values();
        values.iter().map(|v| v.to_bits()).collect()
    };
    let (mut whole, run) = trainer(true, &settings, None);
    fit(&mut whole, &run, None, &mut Silent).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = RunFiles {
        best: folder.path().join("best"),
        last: folder.path().join("last"),
    };
    let (mut first, run) = trainer(true, &settings, Some(files.clone()));
    let stopped = fit(&mut first, &run, None, &mut StopAfter(3, 0)).unwrap();
    assert_eq!(stopped.ending, Ending::Interrupted);
    // As the binary goes on: with the network out of the file.
    let last = ModelFile::read(&files.last).unwrap();
    let network = Network::from_file(&Engine::new(1), &last, &files.last).unwrap();
    let (kind, batches) = (run.train.target_kind(), run.train.batches());
    let mut second = Trainer::new(network, settings.clone(), kind, batches).unwrap();
    fit(&mut second, &run, Some(&last), &mut Silent).unwrap();
    assert!(bits(&second) == bits(&whole));

    let best = ModelFile::read(&files.best).unwrap();
    let names: Vec<&str> = best.tensors.iter().map(|t| t.name.as_str()).collect();
    assert!(names.contains(&"stem.weight") && names.contains(&"own.weight"));
    assert!(names.iter().all(|name| !name.starts_with("dense")), "{names:?}");
    assert_eq!(best.model().unwrap().outputs().len(), 1);
    // The last epoch is the best one here, or the file says something else.
    let mut kept = Network::load(&Engine::new(1), &files.best).unwrap();
    let batch = run.train.epoch(0).next().unwrap().unwrap();
    let theirs = second.network.infer(&batch.inputs, batch.size).unwrap();
    let ours = kept.infer(&batch.inputs, batch.size).unwrap();
    assert_eq!(ours.predictions, theirs.predictions);
}

#[test]
fn shares_without_heads_are_refused() {
    let (trainer, run) = trainer(false, &settings(&[]), None);
    let (kind, batches) = (run.train.target_kind(), run.train.batches());
    for shares in [&[0.3, 0.3, 0.3][..], &[-1.0], &[f64::NAN]] {
        let network = Network::new(
            &Engine::new(1),
            model(false),
            trainer.network.preprocess().clone(),
            1,
        );
        let told = Trainer::new(network.unwrap(), settings(shares), kind, batches)
            .err()
            .unwrap();
        assert!(
            matches!(&told, TrainError::Setting(text) if text.contains("2 outputs")),
            "{told}"
        );
    }
}
