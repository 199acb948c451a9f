#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Network, Settings, Silent, training_loader_options};
use data::{Dataset, Fractions, Loader, LoaderOptions, OpenOptions, Preprocess, open};
use engine::Engine;
use nn::prelude::*;
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

fn logarithmic(low: f64, high: f64) -> Domain {
    Domain::Logarithmic { low, high }
}

fn space() -> Space {
    let widths = [4, 16, 64].map(Value::Count).to_vec();
    let rules = ["sgd", "adamw"].map(|w| Value::Word(w.into())).to_vec();
    Space(vec![
        Dimension::new("lr", logarithmic(1e-4, 1e-1), Value::Number(1e-2)),
        Dimension::new("width", Domain::Choice(widths), Value::Count(16)),
        Dimension::new("optimizer", Domain::Choice(rules), None),
    ])
}

fn circle() -> Dataset {
    let options = OpenOptions {
        samples: Some(200),
        noise: 0.1,
        ..OpenOptions::default()
    };
    open("circle", &options).unwrap()
}

fn build(dataset: &Dataset, trial: &Trial, epochs: usize) -> Result<(Trainer, Run), TrainError> {
    let width = trial.count("width").unwrap_or(16);
    let point = Symbol::input("point", [2]);
    let hidden = Dense::new(width).activation(Relu).on(&point)?;
    let model = nn::Model::new("net", &point, &Dense::new(2).on(&hidden)?)?;
    let settings = Settings {
        epochs,
        batch: 16,
        learning_rate: trial.number("lr").unwrap_or(1e-2),
        optimizer: trial.word("optimizer").unwrap_or("adamw").parse().unwrap(),
        loader_threads: 0,
        ..Settings::default()
    };
    let preprocess = Preprocess::fit(dataset)?;
    let samples = &dataset.splits.train;
    let shuffled = training_loader_options(&settings, samples.len());
    let train = Loader::new(dataset, samples, &preprocess, shuffled)?;
    let held_out = &dataset.splits.validation;
    let validation = Some(Loader::new(
        dataset,
        held_out,
        &preprocess,
        LoaderOptions::default(),
    )?);
    let network = Network::new(&Engine::new(1), model, preprocess, settings.seed)?;
    let trainer = Trainer::new(network, settings, train.target_kind(), train.batches())?;
    let files = None;
    Ok((
        trainer,
        Run {
            train,
            validation,
            files,
        },
    ))
}

fn options(trials: usize, epochs: usize) -> TuneOptions {
    TuneOptions {
        trials,
        epochs,
        ..TuneOptions::default()
    }
}

/// Results without the clock.
fn timeless(outcome: &TuneOutcome) -> Vec<TrialResult> {
    let still = |r: &TrialResult| TrialResult {
        seconds: 0.0,
        ..r.clone()
    };
    outcome.results.iter().map(still).collect()
}

#[test]
fn s7_hyper_parameters_are_chosen_on_the_validation_set() {
    let data = circle();
    let mut make = |trial: &Trial, epochs: usize| build(&data, trial, epochs);
    let outcome = tune(&space(), &options(9, 18), &mut make, &mut Silent).unwrap();
    assert_eq!(
        outcome.rungs,
        [(9, 2), (3, 6), (1, 18)].map(|(trials, epochs)| Rung { trials, epochs })
    );
    let reached: Vec<usize> = outcome.results.iter().map(|r| r.rung).collect();
    assert_eq!(reached, [2, 1, 1, 0, 0, 0, 0, 0, 0]);
    for pair in outcome.results.windows(2).filter(|p| p[0].rung == p[1].rung) {
        assert!(pair[0].score >= pair[1].score, "{pair:?}");
    }
    let best = outcome.best().unwrap();
    assert!(best.score.unwrap() > 0.85, "{best:?}");
    // The winner is what a plain run of the same settings is.
    let (mut trainer, run) = build(&data, &best.trial, 18).unwrap();
    let plain = fit(&mut trainer, &run, None, &mut Silent).unwrap();
    let record = &plain.history[plain.best_epoch - 1];
    assert_eq!(
        (record.validation_score, record.validation_loss),
        (best.score, best.loss)
    );
    let again = tune(&space(), &options(9, 18), &mut make, &mut Silent).unwrap();
    assert_eq!(timeless(&again), timeless(&outcome));
}

#[test]
fn l11_a_network_that_cannot_be_built_is_a_failed_trial() {
    let data = circle();
    let mut make = |trial: &Trial, epochs: usize| match trial.count("width") {
        Some(64) => Err(TrainError::Setting("too wide".into())),
        _ => build(&data, trial, epochs),
    };
    let outcome = tune(&space(), &options(8, 2), &mut make, &mut Silent).unwrap();
    let failed: Vec<&TrialResult> = outcome.results.iter().filter(|r| r.score.is_none()).collect();
    assert!(!failed.is_empty() && failed.iter().all(|r| r.trial.count("width") == Some(64)));
    assert_eq!(failed[0].failure.as_deref(), Some("too wide"));
    assert!(outcome.results.last().unwrap().score.is_none() && outcome.best().is_some());
    let mut never = |_: &Trial, _: usize| Err(TrainError::Setting("too wide".into()));
    let error = tune(&space(), &options(3, 2), &mut never, &mut Silent).unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("all 3 trials failed") && told.contains("too wide"),
        "{told}"
    );
}

#[test]
fn a_loss_that_is_no_number_is_a_failed_trial() {
    let data = circle();
    let sgd = Domain::Choice(vec![Value::Word("sgd".into())]);
    let space = Space(vec![
        Dimension::new("lr", logarithmic(1e-3, 1e-2), Value::Number(1e38)),
        Dimension::new("optimizer", sgd, None),
    ]);
    let mut make = |trial: &Trial, epochs: usize| build(&data, trial, epochs);
    let outcome = tune(&space, &options(3, 2), &mut make, &mut Silent).unwrap();
    let last = outcome.results.last().unwrap();
    assert_eq!((last.trial.index, last.score), (0, None));
    assert!(
        last.failure.as_ref().unwrap().contains("the loss became"),
        "{last:?}"
    );
}

#[test]
fn a_search_needs_validation_samples() {
    let fractions = Fractions {
        train: 0.8,
        validation: 0.0,
        test: 0.2,
    };
    let without = OpenOptions {
        fractions,
        ..OpenOptions::default()
    };
    let data = open("circle", &without).unwrap();
    let mut make = |trial: &Trial, epochs: usize| build(&data, trial, epochs);
    let error = tune(&space(), &options(3, 2), &mut make, &mut Silent).unwrap_err();
    assert!(matches!(error, TrainError::Data(_)), "{error}");
}

/// Stops after some epochs.
struct Stop(usize);

impl TuneObserver for Stop {
    fn epoch(&mut self, _trial: &Trial, _record: &EpochRecord) {
        self.0 = self.0.saturating_sub(1);
    }
    fn interrupted(&self) -> bool {
        self.0 == 0
    }
}

#[test]
fn an_interrupted_search_keeps_what_it_has() {
    let data = circle();
    let mut make = |trial: &Trial, epochs: usize| build(&data, trial, epochs);
    let options = TuneOptions {
        reduction: 1,
        ..options(6, 3)
    };
    let outcome = tune(&space(), &options, &mut make, &mut Stop(8)).unwrap();
    assert!(outcome.interrupted);
    assert_eq!((outcome.results.len(), outcome.rungs.len()), (2, 1));
}

#[test]
fn spaces_that_make_no_sense_are_refused() {
    let one = |domain| Space(vec![Dimension::new("lr", domain, None)]).sample(3, 1);
    let linear = |low, high| Domain::Linear { low, high };
    assert!(one(logarithmic(0.0, 1.0)).is_err());
    assert!(one(linear(2.0, 1.0)).is_err() && one(linear(0.0, f64::NAN)).is_err());
    assert!(one(Domain::Choice(vec![])).is_err());
    assert!(Space(vec![]).sample(3, 1).is_err());
    let mut twice = space();
    twice.0[1].name = "lr".into();
    assert!(
        twice
            .sample(3, 1)
            .unwrap_err()
            .to_string()
            .contains("named twice")
    );
}

#[test]
fn values_are_written_short_and_read_back() {
    let told = [0.0, 6.45e-5, 0.002, 1e20].map(|n| Value::Number(n).to_string());
    assert_eq!(told, ["0", "6.45e-5", "0.002", "1e20"]);
    assert_eq!(
        told.map(|t| t.parse::<f64>().unwrap()),
        [0.0, 6.45e-5, 0.002, 1e20]
    );
}

#[test]
fn a_small_space_gives_each_point_once() {
    let domain = Domain::Choice([1, 2, 3].map(Value::Count).to_vec());
    let space = Space(vec![Dimension::new("depth", domain, Value::Count(2))]);
    let trials = space.sample(10, 4).unwrap();
    let mut found: Vec<usize> = trials.iter().filter_map(|t| t.count("depth")).collect();
    assert_eq!(found[0], 2);
    found.sort_unstable();
    assert_eq!(found, [1, 2, 3]);
}

proptest! {
    #[test]
    fn trials_lie_in_their_space_and_a_longer_search_begins_like_a_shorter_one(seed: u64, count in 1usize..30) {
        let trials = space().sample(count, seed).unwrap();
        prop_assert_eq!(trials.len(), count);
        prop_assert_eq!(&space().sample(count + 7, seed).unwrap()[..count], &trials[..]);
        for (place, trial) in trials.iter().enumerate() {
            prop_assert_eq!(trial.index, place);
            prop_assert!((1e-4..=1e-1).contains(&trial.number("lr").unwrap()));
            prop_assert!([4, 16, 64].contains(&trial.count("width").unwrap()));
            prop_assert!(trials[..place].iter().all(|other| other.values != trial.values));
        }
    }

    #[test]
    fn rungs_end_with_all_epochs_and_never_grow_in_trials(
        trials in 1usize..200, epochs in 1usize..500, reduction in 1usize..6,
    ) {
        let rungs = rungs(&TuneOptions { trials, epochs, reduction, seed: 1 });
        prop_assert_eq!((rungs[0].trials, rungs[rungs.len() - 1].epochs), (trials, epochs));
        for pair in rungs.windows(2) {
            prop_assert!(pair[1].trials >= 1 && pair[1].trials < pair[0].trials);
            prop_assert!(pair[0].epochs >= 1 && pair[1].epochs > pair[0].epochs);
        }
    }
}
