//! Transfer learning on tiny data (rows O18, O19, O20): what is frozen keeps its bits, what trains does so at its rate
//! and in its epoch, and a run that was killed goes on to the same bits.

#![allow(clippy::unwrap_used)]

use data::{Dataset, Loader, LoaderOptions, OpenOptions, Preprocess, open};
use engine::Engine;
use graticule_train::transfer::{Features, Plan, Start, Transfer, TransferMode};
use graticule_train::{
    Ending, EpochRecord, Network, Observer, Pass, Run, RunFiles, Settings, Silent, StepReport, Trainer, fit,
    predict, score,
};
use interchange::ModelFile;
use nn::Model;
use nn::prelude::*;

/// Three blocks and a head, with all that has state: batch norm below, dropout before the head.
fn model(dropout: f32) -> Model {
    let image = Symbol::input("image", [8, 8, 1]);
    let mut x = image.clone();
    for name in ["first", "second"] {
        x = Conv2d::new(8, 3).padding(Same).name(name).on(&x).unwrap();
        x = Relu.on(&BatchNorm::new().on(&x).unwrap()).unwrap();
        x = MaxPool2d::new(2).on(&x).unwrap();
    }
    x = Dense::new(24)
        .activation(Relu)
        .name("third")
        .on(&Flatten.on(&x).unwrap())
        .unwrap();
    if dropout > 0.0 {
        x = Dropout::new(dropout).on(&x).unwrap();
    }
    let logits = Dense::new(10).name("head").on(&x).unwrap();
    Model::new("tiny", &image, &logits).unwrap()
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

fn settings(mode: TransferMode, start: Start, epochs: usize) -> Settings {
    Settings {
        epochs,
        batch: 40,
        learning_rate: 1e-2,
        checkpoint_seconds: 0.0,
        transfer: Some(Transfer {
            mode,
            trunk_rate: 0.1,
            start,
        }),
        ..Settings::default()
    }
}

/// A trainer of a network whose numbers are given by its seed, and its run. With [`TransferMode::Features`] the
/// loaders give what the trunk makes of the samples.
fn trainer_on(engine: &Engine, dropout: f32, settings: &Settings, files: Option<RunFiles>) -> (Trainer, Run) {
    let (dataset, preprocess) = data();
    let network = Network::new(engine, model(dropout), preprocess.clone(), 5).unwrap();
    let plan = settings
        .transfer
        .map(|t| Plan::new(network.model(), t, settings.epochs).unwrap());
    let splits = &dataset.splits;
    let kept = plan.as_ref().and_then(|p| p.features()).map(|features| {
        let all = [&splits.train[..], &splits.validation].concat();
        let found = Features::of(&network, features, &dataset, &all, 0, &mut |_| true);
        found.unwrap().unwrap()
    });
    let loader = |indices: &[usize], shuffle: bool| {
        let options = LoaderOptions {
            batch: if shuffle { settings.batch } else { 100 },
            shuffle,
            seed: settings.seed,
            ..LoaderOptions::default()
        };
        match &kept {
            Some(kept) => kept.loader(&dataset, indices, &preprocess, options).unwrap(),
            None => Loader::new(&dataset, indices, &preprocess, options).unwrap(),
        }
    };
    let (train, validation) = (loader(&splits.train, true), loader(&splits.validation, false));
    let trainer = Trainer::new(network, settings.clone(), train.target_kind(), train.batches()).unwrap();
    let validation = Some(validation);
    let run = Run {
        train,
        validation,
        files,
    };
    (trainer, run)
}

fn trainer(settings: &Settings) -> (Trainer, Run) {
    trainer_on(&Engine::new(2), 0.0, settings, None)
}

/// The numbers of each layer, running statistics included, as bits.
fn layers(trainer: &Trainer) -> Vec<(String, Vec<u32>)> {
    let parameters = trainer.network.parameters();
    let named = trainer.network.model().parameters().iter();
    named
        .map(|p| {
            let values = parameters.get(&p.name).unwrap();
            (p.name.clone(), values.iter().map(|v| v.to_bits()).collect())
        })
        .collect()
}

/// The names of the parameters that differ.
fn changed(before: &[(String, Vec<u32>)], after: &[(String, Vec<u32>)]) -> Vec<String> {
    let pairs = before.iter().zip(after);
    pairs.filter(|(b, a)| b != a).map(|(b, _)| b.0.clone()).collect()
}

#[test]
fn o19_frozen_blocks_keep_their_bits_and_batch_statistics_and_get_no_gradient() {
    let mut settings = settings(TransferMode::Finetune, Start::Deep, 12);
    settings.transfer.as_mut().unwrap().trunk_rate = 1.0;
    let (mut trainer, run) = trainer(&settings);
    let before = layers(&trainer);
    let batch = run.train.epoch(0).next().unwrap().unwrap();
    let parts = trainer.profile(&batch, 0.0).unwrap().parts;
    let frozen_work = parts
        .iter()
        .filter(|p| p.pass != Pass::Forward && (p.layer == "first" || p.layer.starts_with("batch_norm")));
    assert_eq!(frozen_work.count(), 0, "{parts:?}");
    assert!(
        parts
            .iter()
            .any(|p| p.pass == Pass::Weights && p.layer == "third")
    );
    let outcome = fit(&mut trainer, &run, None, &mut Silent).unwrap();
    let names = changed(&before, &layers(&trainer));
    assert_eq!(names, ["third.weight", "third.bias", "head.weight", "head.bias"]);
    let losses: Vec<f64> = outcome.history.iter().map(|r| r.train_loss).collect();
    assert!(losses[11] < losses[0], "{losses:?}");
}

#[test]
fn o19_fine_tuning_moves_everything_and_the_statistics() {
    let settings = settings(TransferMode::Finetune, Start::Shallow, 1);
    let (mut trainer, run) = trainer(&settings);
    let before = layers(&trainer);
    fit(&mut trainer, &run, None, &mut Silent).unwrap();
    assert_eq!(changed(&before, &layers(&trainer)).len(), before.len());
}

#[test]
fn o20_the_trunk_moves_at_its_share_of_the_learning_rate() {
    let moved = |trunk_rate: f64| {
        let mut settings = settings(TransferMode::Finetune, Start::Shallow, 1);
        settings.transfer.as_mut().unwrap().trunk_rate = trunk_rate;
        settings.optimizer = nn::Optimizer::sgd();
        let (mut trainer, run) = trainer(&settings);
        let before = trainer.network.parameters().clone();
        let batch = run.train.epoch(0).next().unwrap().unwrap();
        trainer.step_at(&batch, 1, 0.5).unwrap();
        let after = trainer.network.parameters();
        ["first.weight", "third.weight", "head.weight"].map(|name| {
            let pairs = before.get(name).unwrap().iter().zip(after.get(name).unwrap());
            pairs.map(|(b, a)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
        })
    };
    let (whole, tenth) = (moved(1.0), moved(0.1));
    assert!(whole.iter().all(|&d| d > 0.0), "{whole:?}");
    for trunk in [0, 1] {
        assert!(
            (tenth[trunk] / whole[trunk] - 0.1).abs() < 1e-3,
            "{tenth:?} {whole:?}"
        );
    }
    assert_eq!(tenth[2], whole[2]);
}

#[test]
fn o18_features_that_are_kept_teach_as_the_trunk_run_each_time_does() {
    let run_with = |mode| {
        let (mut trainer, run) = trainer(&settings(mode, Start::Head, 4));
        let before = layers(&trainer);
        let outcome = fit(&mut trainer, &run, None, &mut Silent).unwrap();
        let names = changed(&before, &layers(&trainer));
        assert_eq!(names, ["head.weight", "head.bias"], "{mode:?}");
        (trainer, outcome.history)
    };
    let (kept, kept_history) = run_with(TransferMode::Features);
    let (each, each_history) = run_with(TransferMode::Finetune);
    let head = |t: &Trainer| t.network.parameters().get("head.weight").unwrap().to_vec();
    let far = head(&kept)
        .iter()
        .zip(head(&each))
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(far < 1e-4, "the heads differ by {far}");
    for (a, b) in kept_history.iter().zip(&each_history) {
        assert!((a.train_loss - b.train_loss).abs() < 1e-5);
        assert_eq!(a.validation_score, b.validation_score);
    }
    assert!(kept_history[3].train_loss < kept_history[0].train_loss);
}

#[test]
fn o18_the_file_of_a_head_on_features_is_the_whole_network() {
    let engine = Engine::new(1);
    let folder = tempfile::tempdir().unwrap();
    let files = files_in(folder.path());
    let mut settings = settings(TransferMode::Features, Start::Head, 20);
    settings.learning_rate = 0.1;
    let (mut trainer, run) = trainer_on(&engine, 0.2, &settings, Some(files.clone()));
    let outcome = fit(&mut trainer, &run, None, &mut Silent).unwrap();
    let mut network = Network::load(&engine, &files.best).unwrap();
    let (dataset, _) = data();
    let options = LoaderOptions {
        batch: 100,
        ..LoaderOptions::default()
    };
    let loader = Loader::new(
        &dataset,
        &dataset.splits.validation,
        network.preprocess(),
        options,
    )
    .unwrap();
    let found = score(&predict(&mut network, &loader).unwrap(), network.task());
    let best = &outcome.history[outcome.best_epoch - 1];
    assert_eq!(Some(found.score), best.validation_score);
    assert!(found.score > 0.6, "{found:?}");
    // The debugging report looks at the layers that learn.
    let batch = run.train.epoch(0).next().unwrap().unwrap();
    assert!(
        trainer
            .diagnose(&batch)
            .unwrap()
            .iter()
            .any(|h| h.layer == "head" && h.gradient.is_some())
    );
}

#[test]
fn o19_blocks_begin_to_train_from_the_head_down() {
    let epochs = 6;
    let settings = settings(TransferMode::Gradual, Start::Shallow, epochs);
    let (mut trainer, run) = trainer(&settings);
    let plan = trainer.plan().unwrap().clone();
    let begins: Vec<Option<usize>> = plan.parts().iter().map(|p| p.from).collect();
    assert_eq!(begins, [Some(3), Some(2), Some(1), Some(0)]);
    let mut counts = Vec::new();
    for epoch in 1..=epochs {
        let before = layers(&trainer);
        for batch in run.train.epoch(epoch as u64) {
            trainer.step(&batch.unwrap(), epoch).unwrap();
        }
        let names = changed(&before, &layers(&trainer));
        for (name, _) in &before {
            let (_, part) = plan.part_of(name).unwrap();
            let trains = part.from.unwrap() < epoch;
            assert_eq!(names.contains(name), trains, "{name} in epoch {epoch}");
        }
        counts.push(trainer.training_count());
    }
    assert!(counts.is_sorted() && counts[0] == 24 * 10 + 10, "{counts:?}");
    assert_eq!(counts[5], trainer.network.model().trainable_count());
}

#[test]
fn settings_that_contradict_are_refused() {
    let network = model(0.0);
    let refused = |mode, start, trunk_rate, epochs| {
        let transfer = Transfer {
            mode,
            trunk_rate,
            start,
        };
        Plan::new(&network, transfer, epochs).err().unwrap().to_string()
    };
    assert!(refused(TransferMode::Gradual, Start::Shallow, 0.1, 1).contains("at least 2 epochs"));
    assert!(refused(TransferMode::Gradual, Start::Head, 0.1, 9).contains("before the head"));
    assert!(refused(TransferMode::Finetune, Start::Shallow, 0.0, 9).contains("above 0"));
    let x = Symbol::input("x", [3]);
    let lone = Model::new("lone", &x, &Dense::new(2).on(&x).unwrap()).unwrap();
    let transfer = settings(TransferMode::Finetune, Start::Shallow, 1)
        .transfer
        .unwrap();
    let message = Plan::new(&lone, transfer, 3).err().unwrap().to_string();
    assert!(message.contains("a trunk before the head"), "{message}");
}

fn files_in(folder: &std::path::Path) -> RunFiles {
    RunFiles {
        best: folder.join("best"),
        last: folder.join("last"),
    }
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

fn timeless(history: &[EpochRecord]) -> Vec<EpochRecord> {
    let without = |r: &EpochRecord| EpochRecord {
        seconds: 0.0,
        ..r.clone()
    };
    history.iter().map(without).collect()
}

#[test]
fn an_interrupted_transfer_goes_on_to_the_same_bits_in_every_mode() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [
        TransferMode::Features,
        TransferMode::Finetune,
        TransferMode::Gradual,
    ] {
        let start = Start::Middle;
        let settings = settings(mode, start, 4);
        let (mut whole, run) = trainer_on(&Engine::new(1), 0.2, &settings, None);
        let expected = fit(&mut whole, &run, None, &mut Silent).unwrap();
        // In the first epoch, at the end of one, and after blocks began to train.
        for stop in [2, 5, 13] {
            let files = files_in(folder.path());
            let engine = Engine::new(3);
            let (mut first, run) = trainer_on(&engine, 0.2, &settings, Some(files.clone()));
            let stopped = fit(&mut first, &run, None, &mut StopAfter { steps: stop, seen: 0 }).unwrap();
            assert_eq!(stopped.ending, Ending::Interrupted, "{mode:?} after {stop}");
            let (mut second, run) = trainer_on(&engine, 0.2, &settings, Some(files.clone()));
            let file = ModelFile::read(&files.last).unwrap();
            let resumed = fit(&mut second, &run, Some(&file), &mut Silent).unwrap();
            assert_eq!(
                timeless(&resumed.history),
                timeless(&expected.history),
                "{mode:?} after {stop}"
            );
            assert!(layers(&second) == layers(&whole), "{mode:?} after {stop}");
        }
    }
}
