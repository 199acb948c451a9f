//! Adversarial training: the same bits for any number of threads and after any interruption, and what it refuses.

#![allow(clippy::unwrap_used)]

use data::{Loader, LoaderOptions, OpenOptions, Preprocess, open};
use engine::Engine;
use graticule_train::{
    Adversarial, Ending, Network, Observer, Run, RunFiles, Settings, Silent, StepReport, Trainer, fit,
    training_loader_options,
};
use nn::prelude::*;

fn settings(steps: usize) -> Settings {
    Settings {
        epochs: 2,
        batch: 100,
        learning_rate: 1e-2,
        checkpoint_seconds: 0.0,
        adversarial: Some(Adversarial { epsilon: 0.1, steps }),
        ..Settings::default()
    }
}

fn trainer(threads: usize, settings: &Settings, files: Option<RunFiles>) -> (Trainer, Run) {
    let dataset = open("digits", &OpenOptions::default()).unwrap();
    let preprocess = Preprocess::fit(&dataset).unwrap();
    let image = Symbol::input("image", [8, 8, 1]);
    let x = Conv2d::new(6, 3).padding(Same).on(&image).unwrap();
    let x = BatchNorm::new().on(&x).unwrap();
    let x = MaxPool2d::new(2).on(&Activation::Relu.on(&x).unwrap()).unwrap();
    let x = Dropout::new(0.2).on(&Flatten.on(&x).unwrap()).unwrap();
    let model = Model::new("tiny", &image, &Dense::new(10).on(&x).unwrap()).unwrap();
    let samples = &dataset.splits.train;
    let train = Loader::new(
        &dataset,
        samples,
        &preprocess,
        training_loader_options(settings, samples.len()),
    )
    .unwrap();
    let validation = Some(
        Loader::new(
            &dataset,
            &dataset.splits.validation,
            &preprocess,
            LoaderOptions::default(),
        )
        .unwrap(),
    );
    let network = Network::new(&Engine::new(threads), model, preprocess, settings.seed).unwrap();
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

fn bits(trainer: &Trainer) -> Vec<u32> {
    trainer
        .network
        .parameters()
        .values()
        .iter()
        .map(|v| v.to_bits())
        .collect()
}

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
fn threads_and_interruptions_leave_the_bits_as_they_are() {
    let settings = settings(2);
    let (mut whole, run) = trainer(1, &settings, None);
    let expected = fit(&mut whole, &run, None, &mut Silent).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for stop in [3, 15] {
        let files = RunFiles {
            best: folder.path().join("best"),
            last: folder.path().join("last"),
        };
        let (mut first, run) = trainer(2, &settings, Some(files.clone()));
        assert_eq!(
            fit(&mut first, &run, None, &mut StopAfter(stop, 0))
                .unwrap()
                .ending,
            Ending::Interrupted
        );
        let (mut second, run) = trainer(3, &settings, Some(files.clone()));
        let file = interchange::ModelFile::read(&files.last).unwrap();
        let resumed = fit(&mut second, &run, Some(&file), &mut Silent).unwrap();
        assert!(bits(&second) == bits(&whole), "stopped after {stop}");
        let scores = |outcome: &graticule_train::Outcome| {
            outcome
                .history
                .iter()
                .map(|r| (r.train_loss, r.validation_score))
                .collect::<Vec<_>>()
        };
        assert_eq!(scores(&resumed), scores(&expected));
    }
}

#[test]
fn a_step_sees_changed_pictures() {
    let plain = Settings {
        adversarial: None,
        ..settings(1)
    };
    let ((mut defended, run), (mut open, _)) = (trainer(1, &settings(1), None), trainer(1, &plain, None));
    let mut losses = [0.0, 0.0];
    for batch in run.train.epoch(0) {
        let batch = batch.unwrap();
        losses[0] += defended.step(&batch, 1).unwrap().loss;
        losses[1] += open.step(&batch, 1).unwrap().loss;
    }
    assert!(losses[0] > losses[1] + 0.5, "{losses:?}");
}

#[test]
fn a_size_that_is_none_and_data_that_are_no_pictures_are_refused() {
    let dataset = open("spiral", &OpenOptions::default()).unwrap();
    let preprocess = Preprocess::fit(&dataset).unwrap();
    let x = Symbol::input("x", [2]);
    let model = Model::new("m", &x, &Dense::new(2).on(&x).unwrap()).unwrap();
    let refused = |epsilon: f32| {
        let network = Network::new(&Engine::new(1), model.clone(), preprocess.clone(), 1).unwrap();
        let settings = Settings {
            adversarial: Some(Adversarial { epsilon, steps: 1 }),
            ..Settings::default()
        };
        Trainer::new(network, settings, data::TargetKind::ClassIndex, 10)
            .err()
            .unwrap()
            .to_string()
    };
    assert!(refused(0.1).contains("rows of a table"));
}
