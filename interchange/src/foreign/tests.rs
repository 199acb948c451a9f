use std::path::PathBuf;

use nn::prelude::*;

use super::*;

/// A convolution, its norm, and a dense layer on the flattened image.
fn small(classes: usize) -> Model {
    built(classes, false).expect("a model")
}

/// [`small`] with a head for training alone, of two layers, which reads the norm.
fn with_auxiliary(classes: usize) -> Model {
    built(classes, true).expect("a model")
}

fn built(classes: usize, auxiliary: bool) -> Result<Model, GraphError> {
    let image = Symbol::input("image", [4, 5, 2]);
    let x = Conv2d::new(3, 3).no_bias().name("conv1").on(&image)?;
    let x = Flatten.on(&BatchNorm::new().name("bn1").on(&x)?)?;
    let mut outputs = Vec::new();
    if auxiliary {
        let _head = graph::Scope::enter("head", Some("aux1"));
        let y = Dense::new(4).name("fc1").on(&x)?;
        outputs.push(Dense::new(classes).name("fc2").on(&y)?);
    }
    outputs.insert(0, Dense::new(classes).name("fc").on(&x)?);
    Model::with("small", &[image], &outputs)
}

fn numbers(model: &Model) -> Vec<Tensor> {
    let mut next = 0.0;
    let mut tensor = |p: &nn::NamedParameter| Tensor {
        name: p.name.clone(),
        shape: p.shape().to_vec(),
        values: (0..p.count())
            .map(|_| {
                next += 0.5;
                next
            })
            .collect(),
    };
    model.parameters().iter().map(&mut tensor).collect()
}

fn written(model: &Model) -> (tempfile::TempDir, PathBuf, Vec<Tensor>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("small.safetensors");
    let tensors = numbers(model);
    write(model, &tensors, &path).expect("written");
    (folder, path, tensors)
}

#[test]
fn what_is_written_comes_back() {
    let model = small(6);
    let (_folder, path, tensors) = written(&model);
    let weights = load(&model, &path).expect("loaded");
    assert_eq!(weights.tensors, tensors);
    assert!(weights.left_out.is_empty() && weights.ignored.is_empty());
}

#[test]
fn a_head_for_other_classes_is_told_or_left_out() {
    let (_folder, path, tensors) = written(&small(6));
    let other = small(4);
    let told = load(&other, &path).expect_err("another head").to_string();
    assert!(told.contains("5 of the 7 tensors of small are there"), "{told}");
    assert!(
        told.contains("`fc.weight` has shape [6, 18], expected [4, 18]"),
        "{told}"
    );
    assert!(
        told.contains("the head for 6 classes where 4 are wanted"),
        "{told}"
    );
    let body = load_body(&other, &path).expect("loaded");
    assert_eq!(body.left_out, ["fc.weight", "fc.bias"]);
    assert_eq!(body.tensors, tensors[..5]);
    assert!(load_body(&small(6), &path).expect("loaded").left_out.is_empty());
}

#[test]
fn heads_that_serve_training_alone_take_what_the_file_has() {
    let (_folder, path, tensors) = written(&with_auxiliary(6));
    // A network without the head leaves its numbers, one with it takes them.
    assert_eq!(load(&small(6), &path).expect("loaded").ignored.len(), 4);
    assert_eq!(load(&with_auxiliary(6), &path).expect("loaded").tensors, tensors);
    // Other classes: the layers before the last are taken.
    let body = load_body(&with_auxiliary(3), &path).expect("loaded");
    let left = ["fc.weight", "fc.bias", "aux1.fc2.weight", "aux1.fc2.bias"];
    assert!(
        left.iter().all(|name| body.left_out.iter().any(|n| n == name)),
        "{:?}",
        body.left_out
    );
    assert!(body.tensors.iter().any(|t| t.name == "aux1.fc1.weight"));
    // A file without the head.
    let (_folder, path, _) = written(&small(6));
    assert_eq!(
        load_body(&with_auxiliary(6), &path)
            .expect("loaded")
            .left_out
            .len(),
        4
    );
    assert!(load(&with_auxiliary(6), &path).is_err());
}

#[test]
fn missing_and_unknown_tensors_are_listed() {
    let (_folder, path, _) = written(&small(6));
    let x = Symbol::input("x", [18]);
    let fc = Model::new("fc", &x, &Dense::new(6).name("fc").on(&x).expect("dense")).expect("a model");
    let told = load(&fc, &path).expect_err("too much").to_string();
    assert!(
        told.contains("`conv1.weight` [3, 2, 3, 3] is not a parameter of the network"),
        "{told}"
    );
    assert!(told.contains("larger network"), "{told}");
    let other = Model::new("other", &x, &Dense::new(6).name("head").on(&x).expect("dense")).expect("a model");
    for load in [load, load_body] {
        let told = load(&other, &path).expect_err("another network").to_string();
        assert!(
            told.contains("`head.weight` is missing, expected shape [6, 18]"),
            "{told}"
        );
        assert!(told.contains("another network"), "{told}");
    }
}

#[test]
fn model_files_of_ours_keep_their_layout() {
    let model = small(6);
    let mut file = ModelFile::new(&model);
    file.tensors = numbers(&model);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ours.safetensors");
    file.write(&path).expect("written");
    assert_eq!(load(&model, &path).expect("loaded").tensors, file.tensors);
    assert_eq!(load_body(&small(2), &path).expect("loaded").left_out.len(), 2);
}

#[test]
fn a_broken_file_is_told() {
    let (folder, path, _) = written(&small(6));
    let whole = std::fs::read(&path).expect("bytes");
    let short = folder.path().join("short.safetensors");
    for length in [0, 7, 8, 60, whole.len() - 1] {
        std::fs::write(&short, &whole[..length]).expect("written");
        assert!(load(&small(6), &short).is_err(), "{length} bytes");
    }
    let mut huge = whole.clone();
    huge[..8].fill(0xff);
    std::fs::write(&short, &huge).expect("written");
    assert!(load(&small(6), &short).is_err());
}
