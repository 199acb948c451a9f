//! The model file there and back, and every way in which it can be damaged.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;

use graph::{Scope, Symbol};
use graticule_interchange::{ModelFile, ModelFileError, Tensor, TensorProblem};
use nn::Model;
use proptest::prelude::*;
use serde_json::json;

fn dense(x: &Symbol, units: usize) -> Symbol {
    let _layer = Scope::enter("dense", None);
    let w = Symbol::parameter("weight", [x.shape()[1], units], Default::default());
    let b = Symbol::parameter("bias", [units], Default::default());
    x.matmul(&w).unwrap().add(&b).unwrap()
}

fn example() -> ModelFile {
    let x = Symbol::input("x", [3]);
    let model = Model::new("two layers", &x, &dense(&dense(&x, 4), 2)).unwrap();
    let mut file = ModelFile::new(&model);
    file.preprocessing = json!({"mean": [0.1, 0.30000000000000004, 1e-300], "scale": 1.0 / 3.0});
    file.task = json!({"classes": ["Wald", "Gewässer", "\"quoted\""]});
    file.state = json!({"step": u64::MAX, "learning_rate": 0.1f64.powi(3)});
    file.metadata.insert("source".into(), "a test".into());
    file.metadata.insert("another".into(), "line\nbreak".into());
    for (k, parameter) in model.parameters().iter().enumerate() {
        let values = (0..parameter.count()).map(|i| (i as f32 + 0.1) / (k as f32 - 1.7));
        file.tensors.push(Tensor {
            name: parameter.name.clone(),
            shape: parameter.shape().to_vec(),
            values: values.collect(),
        });
    }
    file.tensors[0].values[..3].copy_from_slice(&[f32::NAN, f32::NEG_INFINITY, -0.0]);
    file.extras.push(Tensor {
        name: "adam.m".into(),
        shape: vec![],
        values: vec![7.0],
    });
    file
}

fn bits(tensors: &[Tensor]) -> Vec<(String, Vec<usize>, Vec<u32>)> {
    let each = |t: &Tensor| {
        (
            t.name.clone(),
            t.shape.clone(),
            t.values.iter().map(|v| v.to_bits()).collect(),
        )
    };
    tensors.iter().map(each).collect()
}

fn bytes() -> Vec<u8> {
    example().to_bytes(Path::new("example.safetensors")).unwrap()
}

fn read(bytes: &[u8]) -> Result<ModelFile, ModelFileError> {
    ModelFile::from_bytes(bytes, Path::new("example.safetensors"))
}

#[test]
fn everything_comes_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let file = example();
    file.write(&path).unwrap();
    let again = ModelFile::read(&path).unwrap();
    assert_eq!(bits(&again.tensors), bits(&file.tensors));
    assert_eq!(bits(&again.extras), bits(&file.extras));
    assert_eq!(again.architecture, file.architecture);
    assert_eq!(
        (&again.preprocessing, &again.task),
        (&file.preprocessing, &file.task)
    );
    assert_eq!((&again.state, &again.metadata), (&file.state, &file.metadata));
    assert_eq!(again.model().unwrap().parameters()[3].name, "dense_1.bias");
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
    assert_eq!(left.len(), 1, "only the file itself is left");
}

#[test]
fn the_same_contents_give_the_same_bytes() {
    let first = bytes();
    assert!((0..20).all(|_| bytes() == first));
}

#[test]
fn any_safetensors_reader_finds_the_tensors() {
    let bytes = bytes();
    let plain = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(plain.tensor("dense.weight").unwrap().shape(), [3, 4]);
    assert_eq!(plain.tensor("state:adam.m").unwrap().data(), 7f32.to_le_bytes());
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut file = example();
    file.write(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    file.tensors[1].values.push(1.0);
    assert!(file.write(&path).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let nowhere = folder.path().join("no such folder").join("model.safetensors");
    let error = example().write(&nowhere).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot write") && error.contains("no such folder"),
        "{error}"
    );
}

#[test]
fn misfits_are_listed_with_what_was_expected() {
    let mut file = example();
    file.tensors[0].shape = vec![4, 3];
    file.tensors[1].name = "dense.offset".into();
    let Err(ModelFileError::Tensors { problems, .. }) = file.to_bytes(Path::new("x")) else {
        panic!("the tensors do not fit");
    };
    let shape = |s: &[usize]| s.to_vec();
    let expected = [
        TensorProblem::Shape {
            name: "dense.weight".into(),
            found: shape(&[4, 3]),
            expected: shape(&[3, 4]),
        },
        TensorProblem::Missing {
            name: "dense.bias".into(),
            expected: shape(&[4]),
        },
        TensorProblem::Unexpected {
            name: "dense.offset".into(),
            found: shape(&[4]),
        },
    ];
    assert_eq!(problems, expected);
    let mut twice = example();
    twice.extras.push(twice.extras[0].clone());
    assert!(
        twice
            .to_bytes(Path::new("x"))
            .unwrap_err()
            .to_string()
            .contains("`adam.m` stands twice")
    );
}

#[test]
fn other_files_are_named_for_what_they_are() {
    let message = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert!(message(b"").contains("cut short"));
    assert!(message(b"GIF89a, surely not a model file, but long enough").contains("example.safetensors"));
    let foreign = safetensors::serialize(Vec::<(String, &Tensor)>::new(), None).unwrap();
    assert!(message(&foreign).contains("does not describe its network"));
    let metadata =
        std::collections::HashMap::from([("graticule".to_string(), r#"{"format":9}"#.to_string())]);
    let later = safetensors::serialize(Vec::<(String, &Tensor)>::new(), Some(metadata)).unwrap();
    assert!(message(&later).contains("format 9; this program reads format 1"));
    let error = ModelFile::read(Path::new("/no/such/file.safetensors"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot read /no/such/file.safetensors"),
        "{error}"
    );
}

#[test]
fn every_truncation_is_an_error() {
    let whole = bytes();
    for length in 0..whole.len() {
        assert!(
            read(&whole[..length]).is_err(),
            "{length} of {} bytes",
            whole.len()
        );
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert!(matches!(read(&longer), Err(ModelFileError::Truncated { .. })));
    assert!(read(&whole).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_never_panics(at in 0usize..1_000_000, value: u8, more in proptest::collection::vec(any::<u8>(), 0..4)) {
        let mut damaged = bytes();
        let at = at % damaged.len();
        damaged[at] = value;
        for (k, byte) in more.into_iter().enumerate() {
            let next = (at + k + 1) % damaged.len();
            damaged[next] = byte;
        }
        let _ = read(&damaged);
    }

    #[test]
    fn digits_in_the_description_never_panic(at in 0usize..1_000_000, digits in "[0-9]{1,19}") {
        let whole = bytes();
        let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
        let text = String::from_utf8(whole[8..8 + header].to_vec()).unwrap();
        let places: Vec<usize> = text.char_indices().filter(|(_, c)| c.is_ascii_digit()).map(|(i, _)| i).collect();
        let place = places[at % places.len()];
        let text = format!("{}{digits}{}", &text[..place], &text[place + 1..]);
        let mut damaged = (text.len() as u64).to_le_bytes().to_vec();
        damaged.extend(text.as_bytes());
        damaged.extend(&whole[8 + header..]);
        let _ = read(&damaged);
    }
}
