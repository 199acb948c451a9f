//! Whether maps name what networks use, on pictures that people took: insertion minus deletion against a random order.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Desk, shared_text};
use serde_json::Value;

/// Trains as `train` says, explains some test samples by all methods, and holds each against the random order.
fn every_method_beats_a_random_order(train: &[&str], run: &str) {
    let desk = Desk::new();
    desk.run(&[&["train"][..], train, &["--no-report"]].concat())
        .done();
    let explain = [
        "explain",
        run,
        "--samples",
        "30",
        "--method",
        "all",
        "--masks",
        "500",
        "--json",
        "-o",
        "why",
    ];
    let told = desk.run(&explain).json();
    let inputs = told["inputs"].as_array().unwrap();
    let mean = |of: &dyn Fn(&Value) -> f64| inputs.iter().map(of).sum::<f64>() / inputs.len() as f64;
    let area = |which: &Value, area: &str| which[area].as_f64().unwrap();
    let random = mean(&|i| area(&i["random"], "insertion") - area(&i["random"], "deletion"));
    for method in inputs[0]["methods"].as_object().unwrap().keys() {
        let of = |name: &str| mean(&|i| area(&i["methods"][method.as_str()], name));
        let (deletion, insertion) = (of("deletion"), of("insertion"));
        println!("{method}: deletion {deletion:.3}, insertion {insertion:.3}");
        assert!(
            insertion - deletion > random,
            "{method}: {} and {random}",
            insertion - deletion
        );
    }
}

#[test]
fn maps_of_digits_are_faithful() {
    every_method_beats_a_random_order(
        &["digits", "--model", "cnn-small", "--epochs", "4"],
        "runs/digits-1",
    );
}

#[test]
#[ignore = "trains for a minute"]
fn maps_of_mnist_are_faithful() {
    if let Some(mnist) = shared_text("mnist") {
        every_method_beats_a_random_order(&[&mnist, "--model", "lenet5", "--epochs", "2"], "runs/mnist-1");
    }
}

#[test]
#[ignore = "trains for a minute"]
fn maps_of_eurosat_are_faithful() {
    let (zip, splits) = (
        shared_text("eurosat-rgb/eurosat-rgb-8000.zip"),
        shared_text("eurosat-rgb/splits.csv"),
    );
    if let (Some(zip), Some(splits)) = (zip, splits) {
        let layers = "conv 16 3 same relu, maxpool 4, conv 32 3 same relu, maxpool 4, flatten, dense classes";
        let train = [&zip[..], "--splits", &splits, "--layers", layers, "--epochs", "6"];
        every_method_beats_a_random_order(&train, "runs/eurosat-rgb-8000-1");
    }
}
