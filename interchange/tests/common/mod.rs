//! Running an imported network on the engine, with tensors in the file's order of axes.

#![allow(dead_code, clippy::unwrap_used)]

use engine::{Engine, Parameters, Program, Request};
use graph::{Binding, Mode, Symbol, lower};
use graticule_interchange::onnx::{Batch, Host, Imported, Port};

/// Parameters of a model with the numbers of an import.
pub fn parameters(imported: &Imported) -> Parameters {
    let named: Vec<(String, Symbol)> = imported
        .model
        .parameters()
        .iter()
        .map(|p| (p.name.clone(), p.symbol.clone()))
        .collect();
    let mut parameters = Parameters::new(&named);
    for tensor in &imported.tensors {
        parameters.set(&tensor.name, &tensor.values).unwrap();
    }
    parameters
}

/// How many samples the inputs hold: axis 0 of the file, or one.
fn samples(imported: &Imported, inputs: &[Host]) -> usize {
    match (imported.batch, inputs.first()) {
        (Batch::Leading, Some(x)) => x.shape.first().copied().unwrap_or(1),
        _ => 1,
    }
}

/// The outputs for inputs of the file's order, in the same order.
pub fn run(imported: &Imported, inputs: &[Host]) -> Result<Vec<Host>, String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let batch = samples(imported, inputs);
    let outputs = lower(imported.model.outputs(), Mode::Infer)
        .map_err(|e| text(&e))?
        .outputs;
    let mut parameters = parameters(imported);
    let binding = Binding::batch(batch);
    let request = Request::outputs(&outputs);
    let mut program =
        Program::compile(&Engine::new(1), &request, parameters.layout(), &binding).map_err(|e| text(&e))?;
    for (port, x) in imported.inputs.iter().zip(inputs) {
        let name = &imported.model.inputs()[imported.inputs.iter().position(|p| p == port).unwrap()];
        let name = &name.as_input().unwrap().name;
        program
            .set_input(name, &x.transposed(&port.order).to_f32())
            .map_err(|e| text(&e))?;
    }
    program.run(&mut parameters, 0).map_err(|e| text(&e))?;
    let ports = imported.outputs.iter().enumerate();
    Ok(ports
        .map(|(k, port)| back(port, program.output(k), batch, imported.batch))
        .collect())
}

/// Numbers of an output in the file's order.
fn back(port: &Port, values: &[f32], batch: usize, mode: Batch) -> Host {
    let mut held: Vec<usize> = port.order.iter().map(|&a| port.shape[a]).collect();
    if mode == Batch::Leading {
        held[0] *= batch;
    }
    let mut order = vec![0; held.len()];
    port.order.iter().enumerate().for_each(|(s, &a)| order[a] = s);
    Host::floats(values.to_vec(), &held).transposed(&order)
}

/// The largest |found − expected| − (atol + rtol·|expected|), NaN where one alone is no number.
pub fn excess(found: &Host, expected: &Host, rtol: f64, atol: f64) -> f64 {
    let pairs = found.to_f64().into_iter().zip(expected.to_f64());
    let of = |(a, b): (f64, f64)| match a == b || (a.is_nan() && b.is_nan()) {
        true => f64::NEG_INFINITY,
        false => match (a - b).abs() - (atol + rtol * b.abs()) {
            d if d.is_nan() => f64::INFINITY,
            d => d,
        },
    };
    pairs.map(of).fold(f64::NEG_INFINITY, f64::max)
}
