//! Worked numbers of the curriculum that need whole networks, each test named after its row, and the
//! check that no row lacks its test.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use graticule::data::toys::Toy;
use graticule::data::{Fractions, TargetKind};
use graticule::graph::interpret::evaluate;
use graticule::graph::ops::Softmax;
use graticule::prelude::*;
use ndarray::{ArrayD, IxDyn};

#[path = "curriculum/perceptron.rs"]
mod perceptron;
#[path = "curriculum/playground.rs"]
mod playground;

/// The rows with worked numbers that this version answers for.
const ROWS: &[std::ops::RangeInclusive<u32>] = &[1..=31, 36..=41];

#[test]
fn every_worked_row_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = BTreeSet::new();
    for wing in fs::read_dir(&root).unwrap() {
        let wing = wing.unwrap().path();
        if wing.join("Cargo.toml").is_file() {
            collect(&wing.join("src"), &mut found);
            collect(&wing.join("tests"), &mut found);
        }
    }
    let missing: Vec<u32> = ROWS
        .iter()
        .cloned()
        .flatten()
        .filter(|row| !found.contains(row))
        .collect();
    assert!(missing.is_empty(), "no test `fn xN_…` for the rows X{missing:?}");
}

/// Adds the row of every `#[test] fn xN_…` in the Rust files under `folder`.
fn collect(folder: &Path, rows: &mut BTreeSet<u32>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|e| e.unwrap().path()) {
        if path.is_dir() {
            collect(&path, rows);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            for (at, _) in lines.iter().enumerate().filter(|(_, line)| **line == "#[test]") {
                let function = lines[at..].iter().find(|line| !line.starts_with("#["));
                let name = function.and_then(|line| line.strip_prefix("fn x")?.split_once('_'));
                rows.extend(name.and_then(|(row, _)| row.parse::<u32>().ok()));
            }
        }
    }
}

/// `outputs` on the engine for `batch` samples, the inputs and parameters being `given`.
fn run(outputs: &[Symbol], given: &[(&str, &Symbol, &[f32])], batch: usize) -> Vec<Vec<f32>> {
    let named: Vec<_> = given
        .iter()
        .filter(|(_, s, _)| s.as_parameter().is_some())
        .map(|(name, s, _)| (name.to_string(), (*s).clone()))
        .collect();
    let mut parameters = Parameters::new(&named);
    let binding = Binding::batch(batch);
    let request = Request::outputs(outputs);
    let mut program = Program::compile(&Engine::new(2), &request, parameters.layout(), &binding).unwrap();
    for (name, symbol, values) in given {
        match symbol.as_parameter() {
            Some(_) => parameters.set(name, values).unwrap(),
            None => program.set_input(name, values).unwrap(),
        }
    }
    program.run(&mut parameters, 0).unwrap();
    (0..outputs.len()).map(|k| program.output(k).to_vec()).collect()
}

fn assert_close(found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (f, e) in found.iter().zip(expected) {
        assert!(
            (f64::from(*f) - e).abs() <= tolerance,
            "found {found:?}, expected {expected:?}"
        );
    }
}

/// A two-layer net of sigmoid and softmax: what the engine computes backwards is ŷ − y at the top, and
/// the interpreter's gradients, themselves equal to finite differences, below.
#[test]
fn x39_backprop_on_the_engine() {
    let (x, truth) = (Symbol::input("x", [3]), Symbol::input("y", [2]));
    let weights = [[3, 4], [4, 2]].map(|s| Symbol::parameter("weight", s, Default::default()));
    let hidden = Activation::Sigmoid.on(&x.matmul(&weights[0]).unwrap()).unwrap();
    let logits = hidden.matmul(&weights[1]).unwrap();
    let details = ClassLoss {
        soft_targets: true,
        ..ClassLoss::default()
    };
    let loss = Loss::CrossEntropy(details).on(&logits, &truth).unwrap();
    let mut outputs =
        differentiate(&loss, &[logits.clone(), weights[0].clone(), weights[1].clone()]).unwrap();
    outputs.push(Symbol::apply(Softmax {}, &[&logits]).unwrap());
    outputs.push(loss);
    let wave = |n: usize, s: f32| (0..n).map(|i| (s * (i as f32 + 1.0)).sin()).collect::<Vec<f32>>();
    let values = [
        wave(6, 0.9),
        vec![0.0, 1.0, 1.0, 0.0],
        wave(12, 1.7),
        wave(8, 2.3),
    ];
    let symbols = [("x", &x), ("y", &truth), ("w0", &weights[0]), ("w1", &weights[1])];
    let given: Vec<(&str, &Symbol, &[f32])> = symbols
        .iter()
        .zip(&values)
        .map(|((n, s), v)| (*n, *s, &v[..]))
        .collect();
    let found = run(&outputs, &given, 2);

    let batch = 2.0;
    let expected: Vec<f64> = found[3]
        .iter()
        .zip(&values[1])
        .map(|(yhat, y)| f64::from((yhat - y) / batch))
        .collect();
    assert_close(&found[0], &expected, 1e-6);

    let exact = |changed: &[Vec<f32>]| {
        let shapes: [&[usize]; 4] = [&[2, 3], &[2, 2], &[3, 4], &[4, 2]];
        let arrays = changed.iter().zip(shapes).map(|(v, shape)| {
            ArrayD::from_shape_vec(IxDyn(shape), v.iter().map(|&v| f64::from(v)).collect()).unwrap()
        });
        let given: Vec<_> = symbols.iter().zip(arrays).map(|((_, s), a)| (*s, a)).collect();
        evaluate(&outputs, &given, 2).unwrap()
    };
    let reference = exact(&values);
    for k in 0..outputs.len() {
        assert_close(&found[k], reference[k].as_slice().unwrap(), 1e-6);
    }
    for (k, weight) in [(1, 2), (2, 3)] {
        for element in 0..values[weight].len() {
            let mut both = [values.clone(), values.clone()];
            both[0][weight][element] += 1e-3;
            both[1][weight][element] -= 1e-3;
            let width = f64::from(both[0][weight][element] - both[1][weight][element]);
            let [above, below] = both.map(|v| exact(&v)[4][[]]);
            assert_close(&found[k][element..=element], &[(above - below) / width], 1e-5);
        }
    }
}
