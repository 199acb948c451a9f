#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Network, Settings, training_loader_options};
use data::{OpenOptions, Preprocess, open};
use engine::Engine;
use nn::prelude::*;

fn digits(optimizer: nn::Optimizer) -> (Trainer, Loader) {
    let settings = Settings {
        optimizer,
        clipping: None,
        ..Settings::default()
    };
    let dataset = open("digits", &OpenOptions::default()).unwrap();
    let preprocess = Preprocess::fit(&dataset).unwrap();
    let options = training_loader_options(&settings, dataset.splits.train.len());
    let train = Loader::new(&dataset, &dataset.splits.train, &preprocess, options).unwrap();
    let image = Symbol::input("image", [8, 8, 1]);
    let x = Dense::new(32).on(&Flatten.on(&image).unwrap()).unwrap();
    let x = Activation::Relu.on(&BatchNorm::new().on(&x).unwrap()).unwrap();
    let model = nn::Model::new("small", &image, &Dense::new(10).on(&x).unwrap()).unwrap();
    let network = Network::new(&Engine::new(1), model, preprocess, 1).unwrap();
    let trainer = Trainer::new(network, settings, train.target_kind(), train.batches()).unwrap();
    (trainer, train)
}

/// Everything of a trainer that a step changes.
fn state(trainer: &Trainer) -> (Vec<u32>, Vec<u32>, u64) {
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let memory = trainer.memory().iter().flat_map(|slot| bits(slot)).collect();
    (
        bits(trainer.network.parameters().values()),
        memory,
        trainer.step_count(),
    )
}

#[test]
fn the_trainer_is_afterwards_what_it_was_before() {
    let (mut trainer, train) = digits(nn::Optimizer::adamw());
    // In the midst of a run, so that memory and running statistics are not zeros.
    for batch in train.epoch(0).take(5) {
        trainer.step(&batch.unwrap(), 1).unwrap();
    }
    let before = state(&trainer);
    find_learning_rate(&mut trainer, &train, &LrSearch::default()).unwrap();
    assert!(state(&trainer) == before, "the test left its traces");
}

#[test]
fn the_suggestion_learns_where_the_ends_of_the_range_do_not() {
    let (mut trainer, train) = digits(nn::Optimizer::sgd().momentum(0.9));
    let curve = find_learning_rate(&mut trainer, &train, &LrSearch::default()).unwrap();
    let suggestion = curve.suggestion.unwrap();
    assert!((1e-4..1.0).contains(&suggestion), "{suggestion}");
    assert!(suggestion <= curve.steepest.unwrap() && suggestion <= curve.lowest.unwrap() / 9.99);
    let after = |rate: f64| {
        let (mut trainer, _) = digits(nn::Optimizer::sgd().momentum(0.9));
        let steps = train
            .epoch(0)
            .map(|batch| trainer.step_at(&batch.unwrap(), 1, rate));
        steps.last().unwrap().map_or(f32::INFINITY, |step| step.loss)
    };
    let (suggested, low, high) = (after(suggestion), after(1e-7), after(10.0));
    assert!(
        suggested < 0.6 * low && suggested < 0.6 * high,
        "{suggested} {low} {high}"
    );
}

#[test]
fn rates_grow_by_one_factor_and_the_same_seed_gives_the_same_points() {
    let (mut trainer, train) = digits(nn::Optimizer::adamw());
    let search = LrSearch {
        lowest: 1e-5,
        highest: 1e-2,
        steps: 31,
        ..LrSearch::default()
    };
    let curve = find_learning_rate(&mut trainer, &train, &search).unwrap();
    assert_eq!((curve.points.len(), curve.exploded), (31, false));
    for pair in curve.points.windows(2) {
        let factor = pair[1].learning_rate / pair[0].learning_rate;
        assert!((factor - 10f64.powf(0.1)).abs() < 1e-9, "{factor}");
    }
    assert_eq!(curve, find_learning_rate(&mut trainer, &train, &search).unwrap());
}

#[test]
fn an_explosion_ends_the_test() {
    let (mut trainer, train) = digits(nn::Optimizer::sgd());
    let search = LrSearch {
        lowest: 1e-3,
        highest: 1e20,
        ..LrSearch::default()
    };
    let curve = find_learning_rate(&mut trainer, &train, &search).unwrap();
    assert!(curve.exploded && curve.points.len() < 100);
    assert!(
        curve
            .points
            .iter()
            .all(|p| p.loss.is_finite() && p.smoothed.is_finite())
    );
}

#[test]
fn curves_without_a_fall_suggest_nothing() {
    let point = |k: usize, smoothed: f64| LrPoint {
        learning_rate: 10f64.powi(k as i32 - 7),
        loss: smoothed,
        smoothed,
    };
    let flat = judge((0..8).map(|k| point(k, 2.3)).collect(), false);
    assert_eq!((flat.suggestion, flat.lowest, flat.steepest), (None, None, None));
    assert_eq!(judge(Vec::new(), true).suggestion, None);
    let valley = [2.3, 2.3, 2.2, 1.5, 0.8, 0.5, 0.9, 4.0];
    let found = judge(
        valley.iter().enumerate().map(|(k, &y)| point(k, y)).collect(),
        true,
    );
    assert_eq!(found.lowest, Some(10f64.powi(-2)));
    assert!(found.suggestion.unwrap() <= 1.001e-3);
}

#[test]
fn ranges_that_make_no_sense_are_refused() {
    let (mut trainer, train) = digits(nn::Optimizer::sgd());
    for (lowest, highest, steps) in [(0.0, 1.0, 9), (1.0, 0.1, 9), (1e-7, f64::NAN, 9), (1e-7, 1.0, 1)] {
        let search = LrSearch {
            lowest,
            highest,
            steps,
            ..LrSearch::default()
        };
        assert!(find_learning_rate(&mut trainer, &train, &search).is_err());
    }
}

#[test]
fn the_chance_of_the_first_batches_is_no_fall() {
    // A first batch above the others, then nothing, then the true fall at 1e-2.
    let point = |k: usize| {
        let noise = if k == 0 { 0.5 } else { 0.0 };
        let smoothed = 2.5 - 0.2 * (k.clamp(50, 58) - 50) as f64 / 8.0 + noise;
        LrPoint {
            learning_rate: 1e-7 * 10f64.powf(k as f64 / 10.0),
            loss: smoothed,
            smoothed,
        }
    };
    let curve = judge((0..60).map(point).collect(), false);
    let steepest = curve.steepest.unwrap();
    assert!((5e-3..1e-1).contains(&steepest), "{steepest}");
}
