//! Runs the exported networks of a folder in tract and compares them with the engine, as `tests/onnx/check.py` does in
//! ONNX Runtime: `tract-peer FOLDER [TOLERANCE]`. The tests of exports call it where `GRATICULE_TEST_TRACT` names it:
//!
//! ```sh
//! cargo build --release --manifest-path benchmarks/peers/tract/Cargo.toml --target-dir benchmarks/peers/target
//! GRATICULE_TEST_TRACT=$PWD/benchmarks/peers/target/release/tract-peer \
//!     cargo test -p graticule-interchange --test onnx_export -- --nocapture --include-ignored | grep tract
//! ```

use std::error::Error;
use std::path::Path;

use serde_json::Value;
use tract_onnx::prelude::*;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: tract-peer FOLDER [TOLERANCE]")?;
    let tolerance: f32 = arguments.next().map_or(Ok(1e-4), |text| text.parse())?;
    let folder = Path::new(&folder);
    let cases: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("cases.json"))?)?;
    let mut failed = 0;
    for case in cases.as_array().ok_or("cases.json is no list")? {
        let name = case["name"].as_str().unwrap_or_default();
        // A case that brings tract to a panic is a failure like others.
        let run = std::panic::catch_unwind(|| difference(folder, case));
        let (good, told) = match run {
            Ok(Ok(error)) => (error <= tolerance, format!("{error:.1e}")),
            Ok(Err(problem)) => (false, reason(&*problem)),
            Err(_) => (false, "tract panicked".into()),
        };
        println!("{} tract {name}: {told}", if good { "ok  " } else { "FAIL" });
        failed += i32::from(!good);
    }
    std::process::exit(i32::from(failed > 0))
}

/// An error and its causes in one line.
fn reason(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        told += &format!(": {next}");
        cause = next.source();
    }
    told.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shape(value: &Value) -> Vec<usize> {
    let lengths = value.as_array().map(Vec::as_slice).unwrap_or_default();
    lengths.iter().filter_map(Value::as_u64).map(|l| l as usize).collect()
}

fn numbers(folder: &Path, case: &Value, what: &str) -> Outcome<Vec<f32>> {
    let name = case["name"].as_str().unwrap_or_default();
    let bytes = std::fs::read(folder.join(format!("{name}.{what}.bin")))?;
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

/// The largest difference, relative to the largest number expected.
fn difference(folder: &Path, case: &Value) -> Outcome<f32> {
    let file = case["file"].as_str().unwrap_or_default();
    let mut model = tract_onnx::onnx().model_for_path(folder.join(format!("{file}.onnx")))?;
    let mut inputs = tvec!();
    for (k, input) in case["inputs"].as_array().ok_or("a case without inputs")?.iter().enumerate() {
        let shape = shape(&input[1]);
        let values = numbers(folder, case, input[0].as_str().unwrap_or_default())?;
        model = model.with_input_fact(k, f32::fact(&shape).into())?;
        inputs.push(Tensor::from_shape(&shape, &values)?.into());
    }
    let found = model.into_optimized()?.into_runnable()?.run(inputs)?;
    let expected = numbers(folder, case, "output")?;
    if found[0].shape() != shape(&case["output"]) {
        return Err(format!("shape {:?}, expected {}", found[0].shape(), case["output"]).into());
    }
    let found = found[0].to_plain_array_view::<f32>()?;
    let largest = expected.iter().fold(1e-6f32, |most, x| most.max(x.abs()));
    let worst = |most: f32, (a, b): (&f32, &f32)| {
        let error = (a - b).abs();
        if error.is_nan() { f32::INFINITY } else { most.max(error) }
    };
    Ok(found.iter().zip(&expected).fold(0.0, worst) / largest)
}
