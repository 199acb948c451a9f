//! Weights in and out from the command line, with networks small enough to need no data.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::Desk;
use graticule::interchange::{Tensor, foreign};
use graticule::prelude::*;
use graticule::zoo;

/// Writes weights of the network for images of 20×20×3 and these classes, as PyTorch has them.
fn published(path: &Path, name: &str, classes: usize) -> Model {
    let model = zoo::build(name, &[20, 20, 3], classes).unwrap();
    let tensor = |p: &graticule::nn::model::NamedParameter| Tensor {
        name: p.name.clone(),
        shape: p.shape().to_vec(),
        values: (0..p.count()).map(|i| (i % 17) as f32 / 16.0 + 0.1).collect(),
    };
    let tensors: Vec<Tensor> = model.parameters().iter().map(tensor).collect();
    foreign::write(&model, &tensors, path).unwrap();
    model
}

#[test]
fn what_is_imported_is_exported_as_it_came() {
    let desk = Desk::new();
    published(&desk.file("theirs.safetensors"), "lenet5", 4);
    std::fs::write(desk.file("classes.txt"), "cat\ndog\ncow\nhen\n").unwrap();
    let told = desk.run(&[
        "import",
        "theirs.safetensors",
        "--model",
        "lenet5",
        "--input",
        "20x20x3",
        "--classes",
        "classes.txt",
        "-o",
        "ours.safetensors",
    ]);
    assert!(
        told.done().contains("4 outputs; written to ours.safetensors"),
        "{told:?}"
    );
    assert!(told.stderr.contains("pixels go from 0 to 1"), "{told:?}");
    let file = ModelFile::read(&desk.file("ours.safetensors")).unwrap();
    assert_eq!(file.task["classification"]["classes"][3], "hen");
    let export = [
        "export",
        "ours.safetensors",
        "--to",
        "safetensors",
        "-o",
        "again.safetensors",
    ];
    desk.run(&export).done();
    let read = |name: &str| std::fs::read(desk.file(name)).unwrap();
    assert_eq!(read("again.safetensors"), read("theirs.safetensors"));
    assert!(desk.run(&export).failed(1).contains("--force"));
    let raw = desk.run(&["summary", "theirs.safetensors"]);
    assert!(raw.failed(1).contains("does not describe its network"), "{raw:?}");
}

#[test]
fn misfits_are_listed_line_by_line() {
    let desk = Desk::new();
    published(&desk.file("theirs.safetensors"), "resnet20", 10);
    let import = |more: &[&str]| {
        let first = [
            "import",
            "theirs.safetensors",
            "--input",
            "20x20x3",
            "-o",
            "ours.safetensors",
            "--model",
        ];
        desk.run(&[&first[..], more].concat())
    };
    let head = import(&["resnet20", "--outputs", "7"]);
    assert!(
        head.failed(1)
            .contains("\n  `linear.weight` has shape [10, 64], expected [7, 64]\n"),
        "{head:?}"
    );
    assert!(
        head.stderr.contains("the head for 10 classes where 7 are wanted"),
        "{head:?}"
    );
    let deeper = import(&["resnet32"]);
    assert!(
        deeper.failed(1).contains("looks like a smaller network"),
        "{deeper:?}"
    );
    assert!(deeper.stderr.contains("and 48 more"), "{deeper:?}");
    assert!(import(&["resnet21"]).failed(2).contains("did you mean"));
    assert!(
        import(&["resnet20", "--mean", "0.5", "--std", "0.5"])
            .failed(2)
            .contains("expected 3")
    );
    assert!(
        import(&["resnet20", "--mean", "0,0,0", "--std", "1,0,1"])
            .failed(2)
            .contains("above 0")
    );
    assert!(import(&["unet", "--input", "32x32x3"]).code == 2);
    assert!(!desk.file("ours.safetensors").exists());
    import(&["resnet20"]).done();
    for (file, part) in [("none.pth", "cannot read"), (".", "cannot read")] {
        let told = desk.run(&["import", file, "--model", "resnet20", "-o", "new.safetensors"]);
        assert!(told.failed(1).contains(part), "{told:?}");
    }
}
