//! Losses, batch normalisation, optimizers and schedules give PyTorch's numbers.

// The lint's allowance for tests does not reach the helpers of an integration test.
#![allow(clippy::unwrap_used)]

mod golden;

use golden::{Case, F32, F64, Given, Tensor, close, in_f32, in_f64, parameters, read};
use graph::ndarray::ArrayD;
use graph::{Lowered, Mode, differentiate, lower};
use graticule_nn::prelude::*;
use graticule_nn::{DecayScope, GradientClipping, Plateau, Progress, Rule, Scheduler};
use serde::Deserialize;

#[derive(Deserialize)]
struct LossCase {
    name: String,
    output: Tensor,
    target: Tensor,
    loss: f64,
    gradient: Tensor,
}

fn loss_named(name: &str) -> Loss {
    let weights = Some(vec![0.5, 1.0, 2.0, 0.25, 1.5]);
    Loss::CrossEntropy(match name {
        "squared_error" => return Loss::SquaredError,
        "absolute_error" => return Loss::AbsoluteError,
        "huber" => return Loss::Huber { delta: 0.75 },
        "binary_cross_entropy" => return Loss::BinaryCrossEntropy,
        "perceptron" => return Loss::Perceptron,
        "cross_entropy" => ClassLoss::default(),
        name => ClassLoss {
            class_weights: weights
                .filter(|_| ["_weights", "_all", "_pixels"].iter().any(|w| name.ends_with(w))),
            label_smoothing: if name.ends_with("_smoothing") || name.ends_with("_all") {
                0.25
            } else {
                0.0
            },
            ignore_index: match name {
                "cross_entropy_ignore" | "cross_entropy_all" => Some(2),
                "cross_entropy_pixels" => Some(255),
                _ => None,
            },
            soft_targets: name.contains("_soft_") || name.ends_with("_soft"),
        },
    })
}

#[test]
fn losses() {
    let cases: Vec<LossCase> = read("losses");
    assert_eq!(cases.len(), 13);
    for case in cases {
        let (y, t) = (case.output.input("y"), case.target.input("t"));
        let loss = loss_named(&case.name).on(&y, &t).unwrap();
        let slope = differentiate(&loss, std::slice::from_ref(&y)).unwrap().remove(0);
        let given: Given = vec![(y, case.output.array()), (t, case.target.array())];
        let expected = Tensor {
            shape: vec![],
            data: vec![case.loss],
        };
        let wanted = [loss, slope];
        for (found, tolerance, how) in [
            (in_f64(&wanted, &given, case.output.batch()), F64, "f64"),
            (in_f32(&wanted, &given, case.output.batch()), F32, "f32"),
        ] {
            close(
                &format!("{} in {how}", case.name),
                &found[0],
                &expected,
                tolerance,
            );
            close(
                &format!("{} in {how}, gradient", case.name),
                &found[1],
                &case.gradient,
                tolerance,
            );
        }
    }
}

type Evaluate = fn(&[Symbol], &Given, usize) -> Vec<ArrayD<f64>>;

#[derive(Deserialize)]
struct BatchNormRun {
    weight: Tensor,
    bias: Tensor,
    steps: Vec<BatchNormStep>,
    infer: Case,
}

#[derive(Deserialize)]
struct BatchNormStep {
    #[serde(flatten)]
    case: Case,
    running_mean: Tensor,
    running_var: Tensor,
}

#[test]
fn batch_norm_over_five_steps() {
    let run: BatchNormRun = read("batch_norm").remove(0);
    let x = run.infer.inputs["x"].input("x");
    let upstream = run.infer.upstream.input("upstream");
    let y = BatchNorm::new().momentum(0.25).on(&x).unwrap();
    let loss = y.mul(&upstream).unwrap().sum().unwrap();
    let p = parameters(std::slice::from_ref(&y));
    let Lowered { outputs, updates } = lower(&[y.clone(), loss], Mode::Train).unwrap();
    let about = [x.clone(), p["weight"].clone(), p["bias"].clone()];
    let mut wanted = vec![outputs[0].clone()];
    wanted.extend(differentiate(&outputs[1], &about).unwrap());
    for role in ["running_mean", "running_var"] {
        let update = updates.iter().find(|(state, _)| *state == p[role]);
        wanted.push(update.unwrap().1.clone());
    }
    for (evaluate, tolerance) in [(in_f64 as Evaluate, F64), (in_f32, F32)] {
        let mut mean = ArrayD::zeros(vec![3]);
        let mut variance = mean.clone() + 1.0;
        let given = |case: &Case, mean: &ArrayD<f64>, variance: &ArrayD<f64>| -> Given {
            vec![
                (x.clone(), case.inputs["x"].array()),
                (upstream.clone(), case.upstream.array()),
                (p["weight"].clone(), run.weight.array()),
                (p["bias"].clone(), run.bias.array()),
                (p["running_mean"].clone(), mean.clone()),
                (p["running_var"].clone(), variance.clone()),
            ]
        };
        for step in &run.steps {
            let mut found = evaluate(&wanted, &given(&step.case, &mean, &variance), 2);
            close("output", &found[0], &step.case.output, tolerance);
            for (role, found) in ["x", "weight", "bias"].iter().zip(&found[1..4]) {
                close(role, found, &step.case.gradients[*role], tolerance);
            }
            close("running mean", &found[4], &step.running_mean, tolerance);
            close("running variance", &found[5], &step.running_var, tolerance);
            variance = found.remove(5);
            mean = found.remove(4);
        }
        let infer = lower(std::slice::from_ref(&y), Mode::Infer).unwrap();
        assert!(infer.updates.is_empty());
        let found = evaluate(&infer.outputs, &given(&run.infer, &mean, &variance), 2);
        close("inference", &found[0], &run.infer.output, tolerance);
    }
}

#[derive(Deserialize)]
struct OptimizerRun {
    name: String,
    start: Vec<f32>,
    gradients: Vec<Vec<f32>>,
    path: Vec<Vec<f64>>,
}

fn optimizer_named(name: &str) -> Optimizer {
    let mut optimizer = match name.split('_').next() {
        Some("sgd") => Optimizer::sgd(),
        Some("adagrad") => Optimizer::adagrad(),
        Some("adadelta") => Optimizer::adadelta().weight_decay(0.125),
        Some("rmsprop") => Optimizer::rms_prop(),
        Some("adam") => Optimizer::adam(),
        Some("adamw") => Optimizer::adamw().weight_decay(0.125),
        other => panic!("no optimizer {other:?}"),
    };
    if name.contains("momentum") || name.contains("nesterov") {
        optimizer = optimizer.momentum(0.9);
    }
    if name.ends_with("_decay") || name.starts_with("sgd_") || name == "rmsprop" {
        optimizer = optimizer.weight_decay(0.125);
    }
    match (&mut optimizer.rule, name) {
        (Rule::Sgd { dampening, .. }, "sgd_momentum") => *dampening = 0.25,
        (Rule::Sgd { nesterov, .. }, "sgd_nesterov") => *nesterov = true,
        (
            Rule::Adagrad {
                learning_rate_decay, ..
            },
            "adagrad_decay",
        ) => *learning_rate_decay = 0.1,
        (Rule::RmsProp { centered, alpha, .. }, name) if name.contains("centered") => {
            *centered = true;
            *alpha = if name.ends_with("momentum") { 0.9 } else { 0.99 };
        }
        (Rule::Adam { beta1, beta2, .. }, "adam_decay") => (*beta1, *beta2) = (0.8, 0.95),
        _ => {}
    }
    optimizer
}

#[test]
fn optimizers_over_ten_steps() {
    let runs: Vec<OptimizerRun> = read("optimizers");
    assert_eq!(runs.len(), 15);
    for run in runs.iter().filter(|r| r.name != "clip") {
        let optimizer = optimizer_named(&run.name);
        let rate = if run.name == "adadelta" { 0.5 } else { 0.05 };
        let mut p = run.start.clone();
        let mut memory = vec![vec![0.0; p.len()]; optimizer.state_slots()];
        for (step, (g, expected)) in run.gradients.iter().zip(&run.path).enumerate() {
            // Two chunks, as threads would take them.
            let (head, tail) = p.split_at_mut(3);
            for (p, at) in [(head, 0..3), (tail, 3..7)] {
                let mut slots: Vec<&mut [f32]> = memory.iter_mut().map(|s| &mut s[at.clone()]).collect();
                optimizer
                    .update(step as u64 + 1, rate, p, &g[at.clone()], &mut slots)
                    .unwrap();
            }
            for (found, expected) in p.iter().zip(expected) {
                let off = (f64::from(*found) - expected).abs();
                assert!(
                    off <= F32 * expected.abs().max(1.0),
                    "{} step {}: {found}, PyTorch has {expected}",
                    run.name,
                    step + 1
                );
            }
        }
    }
}

#[test]
fn gradient_clipping_by_norm() {
    let runs: Vec<OptimizerRun> = read("optimizers");
    let run = runs.iter().find(|r| r.name == "clip").unwrap();
    let mut gradients = run.start.clone();
    let norm = GradientClipping::Norm(1.5).apply(&mut gradients);
    assert!((norm - f64::from(run.gradients[0][0])).abs() < 1e-5);
    for (found, expected) in gradients.iter().zip(&run.path[0]) {
        assert!((f64::from(*found) - expected).abs() < 1e-6);
    }
}

#[test]
fn biases_do_not_decay_unless_asked() {
    let adamw = Optimizer::adamw();
    assert_eq!([adamw.decay_of(1), adamw.decay_of(2)], [0.0, 0.01]);
    assert_eq!(adamw.decay_scope(DecayScope::All).decay_of(1), 0.01);
}

#[derive(Deserialize)]
struct ScheduleRun {
    name: String,
    #[serde(default)]
    observed: Vec<f64>,
    rates: Vec<f64>,
}

#[test]
fn schedules_over_forty_steps() {
    let runs: Vec<ScheduleRun> = read("schedules");
    assert_eq!(runs.len(), 8);
    for run in runs.iter().filter(|r| r.name != "plateau") {
        let schedule: Schedule = run.name.parse().unwrap();
        for (step, expected) in run.rates.iter().enumerate() {
            let at = Progress {
                step: step as u64,
                total_steps: 40,
                steps_per_epoch: 4,
            };
            let found = schedule.rate(0.1, at);
            assert!(
                (found - expected).abs() < 1e-12,
                "{} step {step}: {found}, {expected}",
                run.name
            );
        }
    }
}

#[test]
fn plateau_falls_when_pytorch_falls() {
    let runs: Vec<ScheduleRun> = read("schedules");
    let run = runs.iter().find(|r| r.name == "plateau").unwrap();
    let rule = Plateau {
        factor: 0.5,
        patience: 2,
        cooldown: 1,
        ..Plateau::default()
    };
    let mut scheduler = Scheduler::new(0.1, Schedule::Plateau(rule));
    let now = Progress {
        step: 0,
        total_steps: 1,
        steps_per_epoch: 1,
    };
    for (epoch, (&loss, expected)) in run.observed.iter().zip(&run.rates).enumerate() {
        scheduler.observe(loss);
        let found = scheduler.rate(now);
        assert!(
            (found - expected).abs() < 1e-15,
            "epoch {epoch}: {found}, {expected}"
        );
    }
}
