//! The backend cases of the ONNX project: each case of a folder (or archive) is imported, run on the engine
//! and compared. What does not pass stands with its reason in `docs/onnx.csv`, which must be true.
//!
//! `GRATICULE_ONNX_CASES` names the folder, an archive (`.tar.gz`), or a folder that holds one; without it
//! `../shared/data/onnx-conformance` is used, and without that nothing is run.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use common::{excess, run};
use graticule_interchange::onnx::proto::{DataType, GraphProto, ModelProto, TensorProto, type_proto};
use graticule_interchange::onnx::{Batch, Host, OnnxError, Options, decode, import};
use prost::Message;

/// The tolerances of ONNX's own runner.
const RTOL: f64 = 1e-3;
const ATOL: f64 = 1e-7;

type Files = BTreeMap<String, Vec<u8>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

fn place() -> Option<PathBuf> {
    let place = match std::env::var_os("GRATICULE_ONNX_CASES") {
        Some(place) => PathBuf::from(place),
        None => root().join("../shared/data/onnx-conformance"),
    };
    place.exists().then_some(place)
}

/// Every file below a folder or in an archive, by its path from there.
fn files(place: &Path) -> Files {
    let mut files = Files::new();
    if place.is_file() {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(std::fs::File::open(place).unwrap())
            .read_to_end(&mut bytes)
            .unwrap();
        untar(&bytes, &mut files);
        return files;
    }
    let mut open = vec![place.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                open.push(path);
            } else if name.ends_with(".tar.gz") {
                files.extend(self::files(&path));
            } else if name.ends_with(".onnx") || name.ends_with(".pb") {
                let name = path.strip_prefix(place).unwrap().to_string_lossy().into_owned();
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// The files of a tar archive: a header of 512 bytes each, with name, size in octal and type.
fn untar(bytes: &[u8], files: &mut Files) {
    let text = |field: &[u8]| {
        String::from_utf8_lossy(field)
            .trim_end_matches(['\0', ' '])
            .to_string()
    };
    let (mut at, mut long) = (0, None);
    while at + 512 <= bytes.len() && bytes[at] != 0 {
        let header = &bytes[at..at + 512];
        let size = usize::from_str_radix(text(&header[124..136]).trim(), 8).unwrap();
        let prefix = text(&header[345..500]);
        let own = text(&header[..100]);
        let name = if prefix.is_empty() {
            own
        } else {
            format!("{prefix}/{own}")
        };
        let body = &bytes[at + 512..at + 512 + size];
        match header[156] {
            b'L' => long = Some(text(body)),
            // A longer name stands in a record `LENGTH path=NAME` before the file.
            b'x' => {
                long = text(body)
                    .lines()
                    .find_map(|l| Some(l.split_once(" path=")?.1.to_string()))
            }
            b'0' | 0 => {
                let name = long.take().unwrap_or(name);
                files.insert(name.trim_start_matches("./").to_string(), body.to_vec());
            }
            _ => long = None,
        }
        at += 512 + size.div_ceil(512) * 512;
    }
}

/// One case: its name, the model, inputs and outputs.
struct Case {
    name: String,
    model: Vec<u8>,
    inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<u8>>,
}

fn cases(files: &Files) -> Vec<Case> {
    let numbered = |start: &str| -> Vec<Vec<u8>> {
        (0..)
            .map_while(|k| files.get(&format!("{start}_{k}.pb")).cloned())
            .collect()
    };
    let mut cases = Vec::new();
    for (path, model) in files {
        if let Some(folder) = path.strip_suffix("/model.onnx") {
            cases.push(Case {
                name: folder.into(),
                model: model.clone(),
                inputs: numbered(&format!("{folder}/test_data_set_0/input")),
                outputs: numbered(&format!("{folder}/test_data_set_0/output")),
            });
        } else if let Some(name) = path.strip_suffix(".onnx") {
            cases.push(Case {
                name: name.into(),
                model: model.clone(),
                inputs: Vec::new(),
                outputs: numbered(&format!("{name}_output")),
            });
        }
    }
    cases
}

fn tensor(bytes: &[u8]) -> Result<Host, String> {
    let proto = TensorProto::decode(bytes)
        .map_err(|e| format!("lists and optional values are not supported ({e})"))?;
    decode(&proto, None).map_err(|e| e.to_string())
}

/// The inputs by name: those of the case, or `arange(n)/n` for a network without.
fn inputs(case: &Case, graph: &GraphProto) -> Result<BTreeMap<String, Host>, String> {
    let initial: BTreeSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let given: Vec<_> = graph
        .input
        .iter()
        .filter(|i| !initial.contains(i.name.as_str()))
        .collect();
    if case.inputs.is_empty() && case.name.starts_with("light/") {
        let count = 3 * 224 * 224;
        let values: Vec<f32> = (0..count).map(|i| i as f32 / count as f32).collect();
        return Ok(given
            .iter()
            .map(|i| (i.name.clone(), Host::floats(values.clone(), &[1, 3, 224, 224])))
            .collect());
    }
    let mut named = BTreeMap::new();
    for (input, bytes) in given.iter().zip(&case.inputs) {
        let tensors = matches!(
            input.r#type.as_ref().and_then(|t| t.value.as_ref()),
            Some(type_proto::Value::TensorType(_))
        );
        if !tensors {
            return Err(format!("unsupported: the input `{}` is no tensor", input.name));
        }
        named.insert(
            input.name.clone(),
            tensor(bytes).map_err(|e| format!("unsupported: {e}"))?,
        );
    }
    Ok(named)
}

/// Makes constants of what an op asks for; what it asks for may be computed of inputs of whole numbers.
fn made_constant(error: &OnnxError, named: &BTreeMap<String, Host>, options: &mut Options) -> bool {
    let Some(operand) = error.needs_numbers() else {
        return false;
    };
    let before = options.constants.len();
    let wanted = |name: &String, x: &Host| match named.contains_key(operand) {
        true => name == operand,
        false => !x.is_float(),
    };
    let wanted = named.iter().filter(|(name, x)| wanted(name, x));
    options
        .constants
        .extend(wanted.map(|(name, x)| (name.clone(), x.clone())));
    options.constants.len() > before
}

/// Imports with inputs made constants as long as an op asks for their numbers.
fn outputs(case: &Case) -> Result<Vec<(String, Host)>, String> {
    let model = ModelProto::decode(&case.model[..]).map_err(|e| format!("fail: {e}"))?;
    let graph = model.graph.unwrap_or_default();
    let named = inputs(case, &graph)?;
    let shapes = named.iter().map(|(name, x)| (name.clone(), x.shape.clone()));
    let mut options = Options {
        shapes: shapes.collect(),
        ..Options::default()
    };
    // An input without elements says something by its shape alone.
    let empty = named.iter().filter(|(_, x)| x.is_empty());
    options
        .constants
        .extend(empty.map(|(name, x)| (name.clone(), x.clone())));
    let leads: BTreeSet<Option<usize>> = named.values().map(|x| x.shape.first().copied()).collect();
    if leads != BTreeSet::from([Some(1)]) {
        options.batch = Some(Batch::Whole);
    }
    loop {
        let imported = match import(&case.model, &options) {
            Ok(imported) => imported,
            Err(OnnxError::Constant { outputs }) => return Ok(outputs),
            Err(error) if made_constant(&error, &named, &mut options) => continue,
            Err(error) if error.is_unsupported() => return Err(format!("unsupported: {error}")),
            Err(error) => return Err(format!("fail: {error}")),
        };
        let given: Option<Vec<Host>> = imported
            .inputs
            .iter()
            .map(|port| named.get(&port.name).cloned())
            .collect();
        let given = given.ok_or("fail: the case does not give all inputs")?;
        let mut results = imported.fixed.clone();
        let values = run(&imported, &given).map_err(|e| format!("fail: {e}"))?;
        results.extend(
            imported
                .outputs
                .iter()
                .zip(values)
                .map(|(port, value)| (port.name.clone(), value)),
        );
        let of = |name: &str| results.iter().find(|(n, _)| n == name).cloned();
        return Ok(graph.output.iter().filter_map(|o| of(&o.name)).collect());
    }
}

/// Empty for a pass, else `fail: …` or `unsupported: …`.
fn verdict(case: &Case) -> String {
    let found = match outputs(case) {
        Ok(found) => found,
        Err(reason) => return one_line(&reason),
    };
    for (k, bytes) in case.outputs.iter().enumerate() {
        let expected = match tensor(bytes) {
            Ok(expected) => expected,
            Err(reason) => return one_line(&format!("unsupported: the output: {reason}")),
        };
        let Some((name, value)) = found.get(k) else {
            return format!("fail: output {k} is missing");
        };
        if value.shape != expected.shape {
            return format!(
                "fail: `{name}` has shape {:?}, expected {:?}",
                value.shape, expected.shape
            );
        }
        // What is stored in 16 bits is as exact as that.
        let coarse = matches!(expected.kind, DataType::Float16 | DataType::Bfloat16);
        let rtol = if coarse { 1e-2 } else { RTOL };
        if excess(value, &expected, rtol, ATOL) > 0.0 {
            return format!("fail: `{name}` differs");
        }
    }
    String::new()
}

fn one_line(text: &str) -> String {
    let text = text.split("; known").next().unwrap_or(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Quoted as CSV wants it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "'"))
}

#[test]
fn the_backend_cases_pass_or_stand_in_the_table() {
    let Some(place) = place() else {
        println!("skipped: no cases; GRATICULE_ONNX_CASES names their folder");
        return;
    };
    let cases = cases(&files(&place));
    assert!(!cases.is_empty(), "{} holds no case", place.display());
    let (mut table, mut passed) = (vec!["case,status,reason".to_string()], 0);
    for case in &cases {
        let verdict = std::panic::catch_unwind(|| verdict(case)).unwrap_or_else(|_| "fail: PANIC".into());
        println!(
            "{} {}",
            case.name,
            if verdict.is_empty() { "pass" } else { &verdict }
        );
        match verdict.split_once(": ") {
            None => passed += 1,
            Some((status, reason)) => table.push(format!("{},{status},{}", case.name, quoted(reason))),
        }
    }
    println!("{passed} of {} cases pass", cases.len());
    let written = root().join("target/onnx-conformance.csv");
    std::fs::write(&written, table.join("\n") + "\n").unwrap();
    let committed = std::fs::read_to_string(root().join("docs/onnx.csv")).unwrap_or_default();
    let ran: BTreeSet<&str> = cases.iter().map(|c| c.name.as_str()).collect();
    let whole = cases.len() > 1000;
    let listed: BTreeSet<&str> = committed
        .lines()
        .skip(1)
        .filter(|l| whole || ran.contains(l.split(',').next().unwrap_or("")))
        .collect();
    let found: BTreeSet<&str> = table.iter().skip(1).map(String::as_str).collect();
    let untrue: Vec<&&str> = listed.symmetric_difference(&found).collect();
    assert!(
        untrue.is_empty(),
        "docs/onnx.csv is untrue in {} lines, the first: {:#?}; {} is what was found",
        untrue.len(),
        &untrue[..untrue.len().min(10)],
        written.display()
    );
}
