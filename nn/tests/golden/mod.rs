//! Reads the fixtures of `tests/golden` and compares graphs with them, twice: by the reference
//! interpreter in f64 and by compiled programs in f32.

// Each test binary uses its part.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::Path;

use engine::{Engine, Parameters, Program, Request};
use graph::interpret::evaluate;
use graph::ndarray::{ArrayD, IxDyn};
use graph::{Binding, Lowered, Mode, Symbol, differentiate, lower, topological};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What f64 arithmetic may differ by from PyTorch's, relative to the largest number of a tensor.
/// Fixed f32 numbers (slopes, ε) are the coarsest part.
pub const F64: f64 = 1e-6;
/// The same for f32 programs.
pub const F32: f64 = 1e-5;

#[derive(Debug, Clone, Deserialize)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

impl Tensor {
    pub fn array(&self) -> ArrayD<f64> {
        ArrayD::from_shape_vec(IxDyn(&self.shape), self.data.clone()).unwrap()
    }

    pub fn batch(&self) -> usize {
        self.shape[0]
    }

    pub fn input(&self, name: &str) -> Symbol {
        Symbol::input(name, self.shape[1..].to_vec())
    }
}

/// One layer: what went in, what came out, and the gradients of Σ output·upstream.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    pub name: String,
    pub inputs: BTreeMap<String, Tensor>,
    pub parameters: BTreeMap<String, Tensor>,
    pub output: Tensor,
    pub upstream: Tensor,
    pub gradients: BTreeMap<String, Tensor>,
}

pub fn read<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden")
        .join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The symbols of `symbols` and their values.
pub type Given = Vec<(Symbol, ArrayD<f64>)>;

pub fn in_f64(outputs: &[Symbol], given: &Given, batch: usize) -> Vec<ArrayD<f64>> {
    let given: Vec<_> = given.iter().map(|(s, v)| (s, v.clone())).collect();
    evaluate(outputs, &given, batch).unwrap()
}

/// The same by a compiled program on two threads.
pub fn in_f32(outputs: &[Symbol], given: &Given, batch: usize) -> Vec<ArrayD<f64>> {
    let as_f32 = |v: &ArrayD<f64>| v.iter().map(|&x| x as f32).collect::<Vec<_>>();
    let used: Vec<u64> = topological(outputs).iter().map(Symbol::id).collect();
    let named: Vec<(String, Symbol)> = given
        .iter()
        .filter_map(|(s, _)| s.as_parameter().map(|_| (format!("p{}", s.id()), s.clone())))
        .collect();
    let mut parameters = Parameters::new(&named);
    let engine = Engine::new(2);
    let request = Request::outputs(outputs);
    let mut program =
        Program::compile(&engine, &request, parameters.layout(), &Binding::batch(batch)).unwrap();
    for (symbol, value) in given {
        match (symbol.as_parameter(), symbol.as_input()) {
            (Some(_), _) => parameters
                .set(&format!("p{}", symbol.id()), &as_f32(value))
                .unwrap(),
            (_, Some(i)) if used.contains(&symbol.id()) => {
                program.set_input(&i.name, &as_f32(value)).unwrap()
            }
            _ => {}
        }
    }
    program.run(&mut parameters, 0).unwrap();
    let read = |i: usize| {
        let values = program.output(i).iter().map(|&x| f64::from(x)).collect();
        ArrayD::from_shape_vec(IxDyn(program.output_shape(i)), values).unwrap()
    };
    (0..outputs.len()).map(read).collect()
}

/// Fails, naming `what`, unless shapes are equal and no number is further off than `tolerance`
/// times the largest one expected.
pub fn close(what: &str, found: &ArrayD<f64>, expected: &Tensor, tolerance: f64) {
    assert_eq!(found.shape(), expected.shape, "{what}: shape");
    let scale = expected.data.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (f, e)) in found.iter().zip(&expected.data).enumerate() {
        assert!(
            (f - e).abs() <= tolerance * scale,
            "{what}: number {i} is {f}, PyTorch has {e}"
        );
    }
}

/// The parameters behind `outputs` by role; where a role occurs twice, by layer and role.
pub fn parameters(outputs: &[Symbol]) -> BTreeMap<String, Symbol> {
    let role = |s: &Symbol| s.as_parameter().map(|p| p.role.clone());
    let found: Vec<Symbol> = topological(outputs)
        .into_iter()
        .filter(|s| role(s).is_some())
        .collect();
    let name = |s: &Symbol| match found.iter().filter(|other| role(other) == role(s)).count() {
        1 => role(s).unwrap(),
        _ => format!(
            "{}.{}",
            s.scope().unwrap().name.clone().unwrap_or_default(),
            role(s).unwrap()
        ),
    };
    found.iter().map(|s| (name(s), s.clone())).collect()
}

/// Builds `layer` on the case's inputs and compares output and all gradients with PyTorch's.
pub fn check(case: &Case, layer: impl Fn(&[&Symbol]) -> Result<Symbol, graph::GraphError>) {
    let inputs: BTreeMap<&String, Symbol> = case.inputs.iter().map(|(n, t)| (n, t.input(n))).collect();
    let output = layer(&inputs.values().collect::<Vec<_>>()).unwrap();
    let upstream = case.upstream.input("upstream");
    let loss = output.mul(&upstream).unwrap().sum().unwrap();
    let Lowered { outputs, .. } = lower(&[output, loss], Mode::Train).unwrap();
    let made = parameters(&outputs);
    assert!(made.keys().eq(case.parameters.keys()), "{}: {made:?}", case.name);

    let mut given: Given = vec![(upstream, case.upstream.array())];
    given.extend(case.inputs.iter().map(|(n, t)| (inputs[n].clone(), t.array())));
    given.extend(case.parameters.iter().map(|(n, t)| (made[n].clone(), t.array())));
    let of = |name: &String| inputs.get(name).unwrap_or_else(|| &made[name]).clone();
    let slopes = differentiate(&outputs[1], &case.gradients.keys().map(of).collect::<Vec<_>>()).unwrap();

    let mut wanted = vec![outputs[0].clone()];
    wanted.extend(slopes);
    for (found, tolerance, how) in [
        (in_f64(&wanted, &given, case.output.batch()), F64, "f64"),
        (in_f32(&wanted, &given, case.output.batch()), F32, "f32"),
    ] {
        let name = format!("{} in {how}", case.name);
        close(&format!("{name}, output"), &found[0], &case.output, tolerance);
        for ((of, expected), found) in case.gradients.iter().zip(&found[1..]) {
            close(&format!("{name}, gradient of {of}"), found, expected, tolerance);
        }
    }
}
