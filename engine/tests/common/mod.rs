//! Runs a graph on every instruction set and several thread counts, and holds it against the f64
//! reference interpreter.

use std::cell::OnceCell;

use graph::ndarray::{ArrayD, IxDyn};
use graph::{Binding, Symbol, differentiate, interpret::evaluate, topological};
use graticule_engine::{Engine, Isa, Level, Parameters, Precision, Program, Request};

/// Numbers in (−1, 1) that depend on a seed and repeat nowhere soon.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Random numbers in (−1, 1) for every leaf, by its place in the graph, so that a run can be repeated.
pub fn random(output: &Symbol) -> impl Fn(&Symbol, usize) -> Vec<f32> + use<> {
    let nodes = topological(std::slice::from_ref(output));
    let ids: Vec<u64> = nodes.iter().map(Symbol::id).collect();
    move |leaf, count| {
        let place = ids.iter().position(|&id| id == leaf.id()).unwrap();
        numbers(count, place as u64 + 1)
    }
}

/// What a graph gives on one engine.
struct Run {
    outputs: Vec<Vec<f32>>,
    gradients: Vec<f32>,
    in_lanes: bool,
}

fn run(engine: &Engine, request: &Request, leaves: &[(Symbol, Vec<f32>)], batch: usize) -> Run {
    let named: Vec<(String, Symbol)> = leaves
        .iter()
        .filter(|(s, _)| s.as_parameter().is_some())
        .map(|(s, _)| (format!("p{}", s.id()), s.clone()))
        .collect();
    let mut parameters = Parameters::new(&named);
    for (symbol, values) in leaves.iter().filter(|(s, _)| s.as_parameter().is_some()) {
        parameters.set(&format!("p{}", symbol.id()), values).unwrap();
    }
    let mut program = Program::compile(engine, request, parameters.layout(), &Binding::batch(batch)).unwrap();
    for (symbol, values) in leaves {
        if let Some(input) = symbol.as_input() {
            program.set_input(&input.name, values).unwrap();
        }
    }
    // Twice, so that anything left over from the first run would show.
    program.run(&mut parameters, 0).unwrap();
    program.run(&mut parameters, 0).unwrap();
    let outputs = (0..request.outputs.len())
        .map(|k| program.output(k).to_vec())
        .collect();
    Run {
        outputs,
        gradients: program.gradients().to_vec(),
        in_lanes: program.in_lanes(),
    }
}

/// What a graph is run on, and how exact the result must be.
pub type Subject = (Level, Precision, f64);

/// Checks `output` and the gradient of a weighted sum of it with respect to every parameter and
/// input, for all instruction sets (within `tolerance`) and for 1, 2 and 3 threads (same bits).
/// `fill` gives a leaf's numbers; by default they are random in (−1, 1). Whether the graph was tiny enough
/// for a lane program; if so it was checked both ways.
#[allow(dead_code)]
pub fn check_with(
    output: &Symbol,
    batch: usize,
    tolerance: f64,
    fill: impl Fn(&Symbol, usize) -> Vec<f32>,
) -> bool {
    let vectors = Isa::available().into_iter().map(Level::Vectors);
    let subjects: Vec<Subject> = vectors
        .map(|level| (level, Precision::Highest, tolerance))
        .collect();
    check_on(&subjects, output, batch, fill)
}

/// [`check_with`] on random numbers at every precision, with the emulated tile unit and with the
/// processor's own where it has one.
#[allow(dead_code)]
pub fn check_precisions(output: &Symbol, batch: usize) {
    let mut subjects = Vec::new();
    let real = Level::available()
        .into_iter()
        .filter(|level| *level == Level::Amx);
    for level in real.chain([Level::AmxEmulated]) {
        // Relative to the largest number of a result: sums of a few hundred products in (−1, 1).
        let tolerances = [2e-5, 1e-4, 3e-2];
        subjects.extend(
            Precision::ALL
                .into_iter()
                .zip(tolerances)
                .map(|(p, t)| (level, p, t)),
        );
    }
    check_on(&subjects, output, batch, random(output));
}

/// [`check_with`] on these engines.
pub fn check_on(
    subjects: &[Subject],
    output: &Symbol,
    batch: usize,
    fill: impl Fn(&Symbol, usize) -> Vec<f32>,
) -> bool {
    let nodes = topological(std::slice::from_ref(output));
    let shapes = Binding::batch(batch).shapes(&nodes).unwrap();
    let is_leaf = |s: &&Symbol| s.as_parameter().is_some() || s.as_input().is_some();
    let leaves: Vec<(Symbol, Vec<f32>)> = nodes
        .iter()
        .filter(is_leaf)
        .map(|s| (s.clone(), fill(s, shapes[&s.id()].elements())))
        .collect();
    let weights = numbers(shapes[&output.id()].elements(), 77);
    // Weights that vary over everything but the batch, so that they fit any batch size.
    let sample = output.shape().elements();
    let weights = Symbol::constants(weights[..sample].to_vec(), output.shape().clone());
    let loss = output.mul(&weights).unwrap().sum().unwrap();
    let trainable: Vec<Symbol> = leaves
        .iter()
        .map(|(s, _)| s)
        .filter(|s| s.as_parameter().is_some_and(|p| p.trainable))
        .cloned()
        .collect();
    let inputs: Vec<Symbol> = leaves
        .iter()
        .map(|(s, _)| s)
        .filter(|s| s.as_input().is_some())
        .cloned()
        .collect();
    let gradients = differentiate(&loss, &trainable).unwrap();
    let mut outputs = vec![output.clone(), loss.clone()];
    outputs.extend(differentiate(&loss, &inputs).unwrap());
    let request = Request {
        outputs: outputs.clone(),
        gradients: trainable.iter().cloned().zip(gradients.clone()).collect(),
        ..Request::default()
    };
    outputs.extend(gradients);
    let array = |s: &Symbol, v: &[f32]| {
        ArrayD::from_shape_vec(IxDyn(&shapes[&s.id()]), v.iter().map(|&x| f64::from(x)).collect()).unwrap()
    };
    let given: Vec<(&Symbol, ArrayD<f64>)> = leaves.iter().map(|(s, v)| (s, array(s, v))).collect();
    let exact = Reference::new(&outputs, given, batch);
    let tiny = run(&Engine::new(1), &request, &leaves, batch).in_lanes;
    // What is tiny enough for a lane program must also run by the ordinary plan.
    for (&(level, precision, tolerance), lanes) in subjects.iter().flat_map(|s| [(s, false), (s, true)]) {
        if lanes && !(tiny && matches!(level, Level::Vectors(_))) {
            continue;
        }
        let engine = |threads| {
            let engine = Engine::with_isa(threads, level).with_precision(precision);
            if lanes { engine } else { engine.without_lanes() }
        };
        let isa = format!("{level} {precision}{}", if lanes { " in lanes" } else { "" });
        let first = run(&engine(1), &request, &leaves, batch);
        for threads in [2, 3] {
            let other = run(&engine(threads), &request, &leaves, batch);
            assert!(
                first.outputs == other.outputs,
                "{isa}: {threads} threads give other outputs"
            );
            assert!(
                first.gradients == other.gradients,
                "{isa}: {threads} threads give other gradients"
            );
        }
        for (k, got) in first.outputs.iter().enumerate() {
            // A sum is as exact as its terms are large, however small it comes out.
            let terms: f64 = if k == 1 {
                exact.results[0].iter().map(|x| x.abs()).sum()
            } else {
                1.0
            };
            let what = format!("{isa} output {k} of {output:?}");
            exact.holds(k, got, tolerance * terms.max(1.0), &what);
        }
        let mut at = 0;
        for (k, parameter) in trainable.iter().enumerate() {
            let elements = parameter.shape().elements();
            let what = format!("{isa} gradient of {parameter:?} in {output:?}");
            let got = &first.gradients[at..at + elements];
            exact.holds(first.outputs.len() + k, got, tolerance, &what);
            at += elements.next_multiple_of(16);
        }
    }
    tiny
}

/// [`check_with`] on random numbers.
#[allow(dead_code)]
pub fn check(output: &Symbol, batch: usize) -> bool {
    check_with(output, batch, 2e-5, random(output))
}

/// What the f64 interpreter gives.
struct Reference<'a> {
    outputs: &'a [Symbol],
    given: Vec<(&'a Symbol, ArrayD<f64>)>,
    batch: usize,
    results: Vec<ArrayD<f64>>,
    /// The results for leaves that were moved a little, made when they are first asked for.
    moved: OnceCell<Vec<Vec<ArrayD<f64>>>>,
}

impl<'a> Reference<'a> {
    fn new(outputs: &'a [Symbol], given: Vec<(&'a Symbol, ArrayD<f64>)>, batch: usize) -> Self {
        let results = evaluate(outputs, &given, batch).unwrap();
        Self {
            outputs,
            given,
            batch,
            results,
            moved: OnceCell::new(),
        }
    }

    /// Checks that `got` is result `k` within `tolerance`, relative to its largest number. Where a ReLU's input is
    /// zero but for rounding, or two pixels of a maximum are equal but for it, the gradient goes one way or the
    /// other: an element may be off by what the exact one moves when the leaves move by a twentieth of `tolerance`.
    fn holds(&self, k: usize, got: &[f32], tolerance: f64, what: &str) {
        let want = &self.results[k];
        assert_eq!(got.len(), want.len(), "{what}");
        let scale = want.iter().fold(1.0f64, |m, x| m.max(x.abs()));
        for (i, (&g, &w)) in got.iter().zip(want.iter()).enumerate() {
            let error = (f64::from(g) - w).abs();
            assert!(
                error <= tolerance * scale || error <= tolerance * scale + self.moves(k, i, tolerance / 20.0),
                "{what}: element {i} is {g}, should be {w}"
            );
        }
    }

    /// How far element `i` of result `k` moves when every leaf moves by `relative` of itself, up or down.
    fn moves(&self, k: usize, i: usize, relative: f64) -> f64 {
        let moved = self.moved.get_or_init(|| {
            let steps = [(1, 1.0), (1, -1.0), (2, 1.0), (2, -1.0)];
            steps
                .map(|(seed, sign)| self.shifted(seed, sign * relative))
                .into()
        });
        let at = |results: &[ArrayD<f64>]| results[k].iter().nth(i).copied().unwrap();
        let exact = at(&self.results);
        moved
            .iter()
            .fold(0.0, |m, results| m.max((at(results) - exact).abs()))
    }

    fn shifted(&self, seed: u64, relative: f64) -> Vec<ArrayD<f64>> {
        let shift = |(place, (symbol, values)): (usize, &(&'a Symbol, ArrayD<f64>))| {
            let directions = numbers(values.len(), seed * 1_000 + place as u64);
            let mut values = values.clone();
            for (value, direction) in values.iter_mut().zip(directions) {
                *value *= 1.0 + relative * f64::from(direction).signum();
            }
            (*symbol, values)
        };
        let given: Vec<_> = self.given.iter().enumerate().map(shift).collect();
        evaluate(self.outputs, &given, self.batch).unwrap()
    }
}
