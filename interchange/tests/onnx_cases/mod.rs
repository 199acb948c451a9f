//! A folder of exported networks, with inputs and the engine's answers, for `tests/onnx/check.py`.

use std::path::{Path, PathBuf};
use std::process::Command;

use engine::{Engine, Parameters, Program, Request};
use graph::ndarray::{ArrayD, IxDyn};
use graph::{Binding, Mode, Symbol, lower};
use graticule_interchange::Tensor;
use graticule_interchange::onnx::export::{self, Options};
use graticule_interchange::onnx::import;
use graticule_interchange::onnx::proto::ModelProto;
use nn::Model;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Numbers in (−1, 1) that repeat nowhere soon.
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

/// Parameters as before training, but no bias or statistic is 0 or 1.
pub fn tensors(model: &Model) -> Vec<Tensor> {
    let of = |(k, parameter): (usize, &nn::NamedParameter)| {
        let shape = parameter.symbol.shape();
        let described = parameter.symbol.as_parameter().unwrap();
        let mut values = nn::fill(described.init, shape, 7, k as u64);
        let noise = numbers(values.len(), k as u64 + 1);
        if shape.rank() == 1 || matches!(described.init, graph::Init::Constant(_)) {
            values.iter_mut().zip(noise).for_each(|(v, n)| *v += 0.3 * n);
        }
        // Statistics are not those of the data, so what passes a norm is held down: else the activations of
        // deep residual networks grow until gates are steps, and rounding decides.
        if shape.rank() == 1 && parameter.name.ends_with("weight") {
            values.iter_mut().for_each(|v| *v *= 0.3);
        }
        Tensor {
            name: parameter.name.clone(),
            shape: shape.to_vec(),
            values,
        }
    };
    model.parameters().iter().enumerate().map(of).collect()
}

/// `[N, H, W, C]` as `[N, C, H, W]`; other shapes as they are.
fn channels_first(shape: &[usize], values: &[f32]) -> (Vec<usize>, Vec<f32>) {
    let &[n, h, w, c] = shape else {
        return (shape.to_vec(), values.to_vec());
    };
    let mut to = Vec::with_capacity(values.len());
    for sample in values.chunks(h * w * c) {
        (0..c).for_each(|k| to.extend(sample.iter().skip(k).step_by(c)));
    }
    (vec![n, c, h, w], to)
}

/// A shape and its numbers.
type Array = (Vec<usize>, Vec<f32>);

/// `x` with axis k of the result its axis `order[k]`.
fn reordered((shape, values): &Array, order: &[usize]) -> Array {
    let x = ArrayD::from_shape_vec(IxDyn(shape), values.clone()).unwrap();
    let y = x.permuted_axes(IxDyn(order)).as_standard_layout().to_owned();
    (y.shape().to_vec(), y.iter().copied().collect())
}

/// What the engine says of these inputs.
fn run(model: &Model, tensors: &[Tensor], inputs: &[Array], binding: &Binding) -> Array {
    let name = |p: &nn::NamedParameter| (p.name.clone(), p.symbol.clone());
    let named: Vec<(String, Symbol)> = model.parameters().iter().map(name).collect();
    let mut parameters = Parameters::new(&named);
    for tensor in tensors {
        parameters.set(&tensor.name, &tensor.values).unwrap();
    }
    let request = Request::outputs(&lower(model.outputs(), Mode::Infer).unwrap().outputs);
    let mut program = Program::compile(&Engine::new(1), &request, parameters.layout(), binding).unwrap();
    for (input, (_, values)) in model.inputs().iter().zip(inputs) {
        program
            .set_input(&input.as_input().unwrap().name, values)
            .unwrap();
    }
    program.run(&mut parameters, 0).unwrap();
    (program.output_shape(0).to_vec(), program.output(0).to_vec())
}

pub struct Folder {
    folder: TempDir,
    cases: Vec<Value>,
}

impl Folder {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            cases: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, values: &[f32]) {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Exports `model`, to be run on one sample and on three.
    pub fn add(&mut self, name: &str, model: &Model) -> ModelProto {
        self.add_with(name, model, &Options::default(), model)
    }

    /// The same with these options, to do what `expected` does.
    pub fn add_with(&mut self, name: &str, model: &Model, options: &Options, expected: &Model) -> ModelProto {
        let written =
            export::export(model, &tensors(model), options).unwrap_or_else(|e| panic!("{name}: {e}"));
        export::write(written.clone(), &self.path(&format!("{name}.onnx"))).unwrap();
        self.case(&format!("{name}-1"), name, expected, Binding::batch(1));
        self.case(&format!("{name}-3"), name, expected, Binding::batch(3));
        self.round_trip(name, expected);
        written
    }

    /// The same on `batch` samples only.
    pub fn add_one_batch(&mut self, name: &str, model: &Model, batch: usize) {
        let written = export::export(model, &tensors(model), &Options::default());
        let written = written.unwrap_or_else(|e| panic!("{name}: {e}"));
        export::write(written, &self.path(&format!("{name}.onnx"))).unwrap();
        self.case(name, name, model, Binding::batch(batch));
    }

    /// Runs a network that was added as `file` on images of another size.
    pub fn add_at(&mut self, name: &str, file: &str, model: &Model, sample: &[usize]) {
        let binding = Binding::batch(2).sample_shape("input", sample.to_vec());
        self.case(name, file, model, binding);
    }

    fn case(&mut self, name: &str, file: &str, model: &Model, binding: Binding) {
        let shapes = binding.shapes(model.nodes()).unwrap();
        let given = |(k, input): (usize, &Symbol)| {
            let shape = &shapes[&input.id()];
            (shape.to_vec(), numbers(shape.elements(), 100 + k as u64))
        };
        let given: Vec<Array> = model.inputs().iter().enumerate().map(given).collect();
        let answer = run(model, &tensors(model), &given, &binding);
        let mut inputs = Vec::new();
        for (input, (shape, values)) in model.inputs().iter().zip(&given) {
            let input_name = &input.as_input().unwrap().name;
            let (shape, values) = channels_first(shape, values);
            self.write(&format!("{name}.{input_name}.bin"), &values);
            inputs.push(json!([input_name, shape]));
        }
        let (shape, values) = channels_first(&answer.0, &answer.1);
        self.write(&format!("{name}.output.bin"), &values);
        self.cases
            .push(json!({ "name": name, "file": file, "inputs": inputs, "output": shape }));
    }

    /// Our own import of what was written answers like `expected`.
    pub fn round_trip(&self, name: &str, expected: &Model) {
        let path = self.path(&format!("{name}.onnx"));
        // Any size would do; the file leaves it open.
        let shape_of = |input: &Symbol| {
            let shape = channels_first(input.shape(), &vec![0.0; input.shape().elements()]).0;
            (input.as_input().unwrap().name.clone(), shape)
        };
        let options = import::Options {
            shapes: expected.inputs().iter().map(shape_of).collect(),
            ..import::Options::default()
        };
        let back = import::read(&path, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
        let binding = Binding::batch(2);
        let shapes = binding.shapes(expected.nodes()).unwrap();
        let mut given = Vec::new();
        let mut turned = Vec::new();
        for (k, (input, port)) in expected.inputs().iter().zip(&back.inputs).enumerate() {
            let shape = shapes[&input.id()].to_vec();
            let values = numbers(shape.iter().product(), 100 + k as u64);
            assert_eq!(port.name, input.as_input().unwrap().name, "{name}");
            turned.push(reordered(&channels_first(&shape, &values), &port.order));
            given.push((shape, values));
        }
        let wanted = run(expected, &tensors(expected), &given, &binding);
        let wanted = reordered(&channels_first(&wanted.0, &wanted.1), &back.outputs[0].order);
        let found = run(&back.model, &back.tensors, &turned, &binding);
        assert_eq!(found.0, wanted.0, "{name}");
        let largest = wanted.1.iter().fold(1e-6f32, |most, x| most.max(x.abs()));
        for (found, wanted) in found.1.iter().zip(&wanted.1) {
            assert!(
                (found - wanted).abs() <= 1e-5 * largest,
                "{name}: {found} after the round trip, {wanted} before"
            );
        }
    }

    /// Runs all cases in tract, where `GRATICULE_TEST_TRACT` names `benchmarks/peers/tract`, and prints how they differ.
    fn show_tract(&self) {
        let Ok(program) = std::env::var("GRATICULE_TEST_TRACT") else {
            return;
        };
        let run = Command::new(&program).arg(self.folder.path()).output();
        let run = run.unwrap_or_else(|e| panic!("GRATICULE_TEST_TRACT={program}: {e}"));
        println!("{}", String::from_utf8_lossy(&run.stdout));
    }

    /// Runs all cases in ONNX Runtime; all must agree.
    pub fn check(self) {
        let failed = self.failures();
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    }

    /// Runs all cases in ONNX Runtime, and says which do not agree.
    pub fn failures(self) -> Vec<String> {
        std::fs::write(self.path("cases.json"), json!(self.cases).to_string()).unwrap();
        self.show_tract();
        let Some(python) = python() else { return vec![] };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/onnx/check.py");
        let run = Command::new(python)
            .arg(script)
            .arg(self.folder.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&run.stdout);
        println!("{told}");
        let error = String::from_utf8_lossy(&run.stderr);
        assert_eq!(told.lines().count(), self.cases.len(), "{error}");
        let failed = told.lines().filter(|line| !line.starts_with("ok"));
        failed.map(String::from).collect()
    }
}

/// A Python that has onnx and onnxruntime.
fn python() -> Option<String> {
    let named = std::env::var("GRATICULE_TEST_PYTHON").ok();
    let python = named.clone().unwrap_or_else(|| "python3".into());
    let run = Command::new(&python)
        .args(["-c", "import onnx, onnxruntime"])
        .output();
    let works = run.is_ok_and(|run| run.status.success());
    assert!(
        works || named.is_none(),
        "GRATICULE_TEST_PYTHON={python} has no onnx and onnxruntime"
    );
    if !works {
        eprintln!("skipped: {python} has no onnxruntime (name one that has it in GRATICULE_TEST_PYTHON)");
    }
    works.then_some(python)
}
