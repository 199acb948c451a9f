//! How exact each precision is, measured on Gaussian data against f64: single products, and the drift of a
//! network in training. `docs/precision.md` tells the numbers, which this prints:
//! `cargo test -p graticule-engine --test amx_accuracy -- --nocapture`

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;

use common::numbers;
use graph::ndarray::{ArrayD, IxDyn};
use graph::ops::{Axis, Conv2d, Conv2dTransposed, Conv2dWeightGradient, MatMul, Padding, UnaryKind, Window};
use graph::{Binding, Symbol, differentiate, interpret::evaluate};
use graticule_engine::{Engine, Isa, Level, Parameters, Precision, Program, Request};

/// Normally distributed numbers.
fn gaussian(count: usize, seed: u64) -> Vec<f32> {
    let uniform = numbers(2 * count, seed);
    let pair = |u: &[f32]| {
        let (a, b) = (f64::from(u[0]).abs().max(1e-9), f64::from(u[1]));
        ((-2.0 * a.ln()).sqrt() * (std::f64::consts::PI * b).cos()) as f32
    };
    uniform.chunks_exact(2).map(pair).collect()
}

/// An op, its operands with their numbers.
type Case = (&'static str, Symbol, Vec<(Symbol, Vec<f32>)>);

const BATCH: usize = 40;

/// Forward, back to the input and weight gradient of a dense layer 512 → 64 and of a convolution of
/// 12 × 12 pixels, 32 → 32 channels.
fn cases() -> Vec<Case> {
    let input = |name: &str, shape: &[usize], seed: u64| {
        let each: usize = shape.iter().product();
        let symbol = Symbol::input(name, graph::Shape::new(shape));
        (symbol, gaussian(BATCH * each, seed))
    };
    let weights = |shape: &[usize]| {
        let symbol = Symbol::parameter("w", graph::Shape::new(shape), Default::default());
        (symbol, gaussian(shape.iter().product(), 3))
    };
    let product = |transpose_a, transpose_b| MatMul {
        transpose_a,
        transpose_b,
    };
    let window = Window {
        padding: Padding::Same,
        ..Window::default()
    };
    let conv = Conv2d { window, groups: 1 };
    let back = Conv2dTransposed {
        conv,
        output_padding: [0, 0],
    };
    let (x, g, w) = (input("x", &[512], 1), input("g", &[64], 2), weights(&[512, 64]));
    let image = |name, seed| input(name, &[12, 12, 32], seed);
    let large = |name, seed| input(name, &[64, 64, 32], seed);
    let (lx, lg) = (large("x", 6), large("g", 7));
    let (ix, ig, iw) = (image("x", 4), image("g", 5), weights(&[3, 3, 32, 32]));
    let of =
        |op: Symbol, operands: &[&(Symbol, Vec<f32>)]| (op, operands.iter().map(|o| (*o).clone()).collect());
    let dense = [
        of(
            Symbol::apply(product(false, false), &[&x.0, &w.0]).unwrap(),
            &[&x, &w],
        ),
        of(
            Symbol::apply(product(false, true), &[&g.0, &w.0]).unwrap(),
            &[&g, &w],
        ),
        of(
            Symbol::apply(product(true, false), &[&x.0, &g.0]).unwrap(),
            &[&x, &g],
        ),
    ];
    let conv = [
        of(Symbol::apply(conv, &[&ix.0, &iw.0]).unwrap(), &[&ix, &iw]),
        of(
            Symbol::apply(back, &[&ig.0, &iw.0, &ix.0]).unwrap(),
            &[&ig, &iw, &ix],
        ),
        of(
            Symbol::apply(Conv2dWeightGradient { conv }, &[&ix.0, &ig.0, &iw.0]).unwrap(),
            &[&ix, &ig, &iw],
        ),
        of(
            Symbol::apply(Conv2dWeightGradient { conv }, &[&lx.0, &lg.0, &iw.0]).unwrap(),
            &[&lx, &lg, &iw],
        ),
    ];
    let names = [
        "dense, forward",
        "dense, back to the input",
        "dense, weight gradient",
        "convolution, forward",
        "convolution, back to the input",
        "convolution, weight gradient",
        "the same of 64×64 pixels",
    ];
    let cases = names.into_iter().zip(dense.into_iter().chain(conv));
    cases.map(|(name, (op, operands))| (name, op, operands)).collect()
}

fn array(symbol: &Symbol, values: &[f64], batch: usize) -> ArrayD<f64> {
    let mut shape = symbol.shape().to_vec();
    if symbol.as_input().is_some() {
        shape[0] = batch;
    }
    ArrayD::from_shape_vec(IxDyn(&shape), values.to_vec()).unwrap()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

fn run(engine: &Engine, y: &Symbol, operands: &[(Symbol, Vec<f32>)]) -> Vec<f32> {
    let named: Vec<(String, Symbol)> = operands
        .iter()
        .filter(|(s, _)| s.as_parameter().is_some())
        .map(|(s, _)| ("w".to_string(), s.clone()))
        .collect();
    let mut parameters = Parameters::new(&named);
    let request = Request::outputs(std::slice::from_ref(y));
    let binding = Binding::batch(BATCH);
    let mut program = Program::compile(engine, &request, parameters.layout(), &binding).unwrap();
    for (symbol, values) in operands {
        match symbol.as_input() {
            // An operand of which only the shape is read is no input of the program.
            Some(input) => drop(program.set_input(&input.name, values)),
            None => parameters.set("w", values).unwrap(),
        }
    }
    program.run(&mut parameters, 0).unwrap();
    program.output(0).to_vec()
}

/// Root mean square of the error, as a share of that of the result.
fn error(got: &[f32], want: &ArrayD<f64>) -> f64 {
    let square = |sum: f64, x: f64| sum + x * x;
    let errors = got.iter().zip(want).map(|(&g, &w)| f64::from(g) - w);
    (errors.fold(0.0, square) / want.iter().copied().fold(0.0, square)).sqrt()
}

#[test]
fn every_precision_is_as_exact_as_it_says() {
    println!("| | f32 FMA | highest | high | medium |\n|---|---|---|---|---|");
    for (name, y, operands) in cases() {
        let given: Vec<_> = operands
            .iter()
            .map(|(s, v)| (s, array(s, &wide(v), BATCH)))
            .collect();
        let exact = evaluate(std::slice::from_ref(&y), &given, BATCH)
            .unwrap()
            .remove(0);
        let of = |engine: &Engine| error(&run(engine, &y, &operands), &exact);
        let fma = of(&Engine::with_isa(1, Isa::detect()).without_lanes());
        let tiles = Precision::ALL.map(|p| {
            of(&Engine::with_isa(1, Level::AmxEmulated)
                .without_lanes()
                .with_precision(p))
        });
        let [highest, high, medium] = tiles;
        println!("| {name} | {fma:.1e} | {highest:.1e} | {high:.1e} | {medium:.1e} |");
        assert!(highest <= fma && fma < 2e-6, "{name}: {highest} against {fma}");
        // From below as well: fewer parts were really used.
        assert!((1e-6..1e-5).contains(&high), "{name}: {high}");
        assert!((5e-4..5e-3).contains(&medium), "{name}: {medium}");
    }
}

/// Two convolutions, the second with a stride, and a dense layer, fitted to random numbers.
struct Small {
    loss: Symbol,
    parameters: Vec<(String, Symbol)>,
    gradients: Vec<Symbol>,
    inputs: [(Symbol, Vec<f32>); 2],
    begin: Vec<Vec<f32>>,
}

const SAMPLES: usize = 4;
const RATE: f32 = 0.02;
const STEPS: usize = 100;
const SEEDS: [u64; 4] = [100, 200, 300, 400];

fn small(seed: u64) -> Small {
    let shapes: [&[usize]; 4] = [&[3, 3, 4, 8], &[8], &[3, 3, 8, 8], &[72, 3]];
    let parameters: Vec<(String, Symbol)> = shapes
        .iter()
        .enumerate()
        .map(|(k, shape)| {
            let symbol = Symbol::parameter("w", graph::Shape::new(shape), Default::default());
            (format!("w{k}"), symbol)
        })
        .collect();
    let w = |k: usize| &parameters[k].1;
    let conv = |stride| Conv2d {
        window: Window {
            stride: [stride; 2],
            padding: Padding::Same,
            ..Window::default()
        },
        groups: 1,
    };
    let (x, t) = (Symbol::input("x", [6, 6, 4]), Symbol::input("t", [3]));
    let h = Symbol::apply(conv(1), &[&x, w(0)]).unwrap();
    let h = h.add(w(1)).unwrap().unary(UnaryKind::Relu).unwrap();
    let h = Symbol::apply(conv(2), &[&h, w(2)]).unwrap();
    let h = h
        .unary(UnaryKind::Tanh)
        .unwrap()
        .reshape(&[Axis::Keep(0), Axis::Rest])
        .unwrap();
    let difference = h.matmul(w(3)).unwrap().sub(&t).unwrap();
    let loss = difference.unary(UnaryKind::Square).unwrap();
    let loss = loss
        .sum()
        .unwrap()
        .affine(1.0 / (3 * SAMPLES) as f32, 0.0)
        .unwrap();
    let symbols: Vec<Symbol> = parameters.iter().map(|(_, s)| s.clone()).collect();
    let scaled = |shape: &&[usize], seed: u64| -> Vec<f32> {
        let fan_in: usize = shape[..shape.len() - 1].iter().product();
        let scale = (2.0 / fan_in as f32).sqrt();
        gaussian(shape.iter().product(), seed)
            .iter()
            .map(|x| x * scale)
            .collect()
    };
    Small {
        gradients: differentiate(&loss, &symbols).unwrap(),
        begin: shapes
            .iter()
            .enumerate()
            .map(|(k, s)| scaled(s, seed + k as u64))
            .collect(),
        inputs: [
            (x, gaussian(SAMPLES * 144, seed + 50)),
            (t, gaussian(SAMPLES * 3, seed + 51)),
        ],
        loss,
        parameters,
    }
}

/// The parameters after all steps in f64, and the last loss.
fn train_exactly(net: &Small) -> (Vec<f64>, f64) {
    let mut values: Vec<Vec<f64>> = net.begin.iter().map(|v| wide(v)).collect();
    let mut wanted = vec![net.loss.clone()];
    wanted.extend(net.gradients.iter().cloned());
    let mut loss = f64::NAN;
    for _ in 0..STEPS {
        let inputs = net.inputs.iter().map(|(s, v)| (s, array(s, &wide(v), SAMPLES)));
        let leaves = net.parameters.iter().zip(&values);
        let leaves = leaves.map(|((_, s), v)| (s, array(s, v, SAMPLES)));
        let given: Vec<_> = inputs.chain(leaves).collect();
        let results = evaluate(&wanted, &given, SAMPLES).unwrap();
        loss = results[0].sum();
        for (value, gradient) in values.iter_mut().zip(&results[1..]) {
            for (v, g) in value.iter_mut().zip(gradient) {
                *v -= f64::from(RATE) * g;
            }
        }
    }
    (values.concat(), loss)
}

fn train_on(engine: &Engine, net: &Small) -> Vec<f32> {
    let mut parameters = Parameters::new(&net.parameters);
    let layout = parameters.layout().clone();
    let request = Request {
        outputs: vec![net.loss.clone()],
        gradients: net
            .parameters
            .iter()
            .map(|(_, s)| s.clone())
            .zip(net.gradients.clone())
            .collect(),
        ..Request::default()
    };
    let mut program = Program::compile(engine, &request, &layout, &Binding::batch(SAMPLES)).unwrap();
    for (symbol, values) in &net.inputs {
        program
            .set_input(&symbol.as_input().unwrap().name, values)
            .unwrap();
    }
    let mut values: HashMap<&str, Vec<f32>> = HashMap::new();
    for ((name, _), begin) in net.parameters.iter().zip(&net.begin) {
        values.insert(name, begin.clone());
    }
    for _ in 0..STEPS {
        for (name, value) in &values {
            parameters.set(name, value).unwrap();
        }
        program.run(&mut parameters, 0).unwrap();
        for (name, symbol) in &net.parameters {
            let gradient = &program.gradients()[layout.entry(symbol).unwrap().offset..];
            let value = values.get_mut(name.as_str()).unwrap();
            value.iter_mut().zip(gradient).for_each(|(v, g)| *v -= RATE * g);
        }
    }
    net.parameters
        .iter()
        .flat_map(|(name, _)| values[name.as_str()].clone())
        .collect()
}

/// How far each way of computing is from f64 after training, as a share of the way that the parameters went.
#[test]
fn training_drifts_no_more_than_with_f32() {
    let engines = [
        Engine::with_isa(1, Isa::detect()).without_lanes(),
        Engine::with_isa(1, Level::AmxEmulated).without_lanes(),
        Engine::with_isa(1, Level::AmxEmulated)
            .without_lanes()
            .with_precision(Precision::High),
        Engine::with_isa(1, Level::AmxEmulated)
            .without_lanes()
            .with_precision(Precision::Medium),
    ];
    let mut drifts = [0.0; 4];
    for seed in SEEDS {
        let net = small(seed);
        let (exact, loss) = train_exactly(&net);
        assert!(loss < 0.3, "the network learns: {loss}");
        let begin = wide(&net.begin.concat());
        let norm = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        let way = norm(&exact, &begin);
        for (drift, engine) in drifts.iter_mut().zip(&engines) {
            *drift += norm(&wide(&train_on(engine, &net)), &exact) / way / SEEDS.len() as f64;
        }
    }
    let [fma, highest, high, medium] = drifts;
    println!(
        "drift after {STEPS} steps: FMA {fma:.1e}, highest {highest:.1e}, high {high:.1e}, medium {medium:.1e}"
    );
    assert!(highest <= 1.1 * fma, "{highest} against {fma}");
    assert!(high < 1e-4 && medium < 5e-2 && high < medium, "{high}, {medium}");
}
