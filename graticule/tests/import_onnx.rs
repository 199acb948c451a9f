//! A network out of an ONNX file, from the command line.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::Desk;

fn golden(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden/onnx")
        .join(name);
    path.join("model.onnx").display().to_string()
}

fn picture() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/spiral.png").into()
}

#[test]
fn an_exported_network_is_imported_shown_and_predicts() {
    let desk = Desk::new();
    std::fs::write(desk.file("classes.txt"), "a\nb\nc\nd\ne\n").unwrap();
    let import = [
        "import",
        &golden("cnn"),
        "--classes",
        "classes.txt",
        "-o",
        "cnn.safetensors",
    ];
    let told = desk.run(&import);
    assert!(
        told.done().contains("input [1, 16, 16, 3], output [1, 5]"),
        "{told:?}"
    );
    assert!(told.stderr.contains("pixels go from 0 to 1"), "{told:?}");
    assert!(
        desk.run(&["summary", "cnn.safetensors"])
            .done()
            .contains("layer1.conv1")
    );
    let told = desk
        .run(&["predict", "cnn.safetensors", &picture(), "--json"])
        .json();
    assert!("abcde".contains(told[0]["predicted"].as_str().unwrap()), "{told}");
    assert!(desk.run(&import).failed(1).contains("--force"));
}

#[test]
fn a_network_over_sequences_is_kept_for_the_library() {
    let desk = Desk::new();
    let told = desk.run(&["import", &golden("lstm"), "-o", "lstm.safetensors"]);
    assert!(
        told.done().contains("output [1, 3]") && told.stderr.contains("`predict`"),
        "{told:?}"
    );
    assert!(desk.run(&["summary", "lstm.safetensors"]).done().contains("lstm"));
}

#[test]
fn what_cannot_be_imported_is_told() {
    let desk = Desk::new();
    let out = ["-o", "x.safetensors"];
    let whole = std::fs::read(golden("cnn")).unwrap();
    std::fs::write(desk.file("cut.onnx"), &whole[..5000]).unwrap();
    std::fs::write(desk.file("empty.onnx"), []).unwrap();
    let run = |args: &[&str]| desk.run(&[&["import"], args, &out].concat());
    assert!(run(&["cut.onnx"]).failed(1).contains("is it whole"));
    assert!(run(&["empty.onnx"]).failed(1).contains("no operator set"));
    assert!(run(&["missing.onnx"]).failed(1).contains("missing.onnx"));
    assert!(
        run(&[&golden("cnn"), "--model", "resnet18"])
            .failed(2)
            .contains("leave --model out")
    );
    assert!(run(&["weights.pth"]).failed(2).contains("--model"));
    std::fs::write(desk.file("two.txt"), "a\nb\n").unwrap();
    assert!(
        run(&[&golden("cnn"), "--classes", "two.txt"])
            .failed(2)
            .contains("5 outputs")
    );
    assert!(!desk.file("x.safetensors").exists());
}
