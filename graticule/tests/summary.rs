//! `graticule summary`, run as a person would run it.

#![allow(clippy::unwrap_used)]

mod common;

use common::Desk;

#[test]
fn lenet5_has_its_61706_parameters() {
    let run = Desk::new().run(&["summary", "lenet5"]);
    let told = run.done();
    assert!(
        told.contains("61,706 parameters, 61,706 trainable, 0 not"),
        "{told}"
    );
    let first = told.lines().find(|line| line.starts_with("conv2d ")).unwrap();
    let cells: Vec<&str> = first.split_whitespace().collect();
    assert_eq!(cells[..5], ["conv2d", "conv2d", "28×28×6", "156", "117,600"]);
    assert_eq!(cells[6], "5×5");
}

#[test]
fn json_is_one_object() {
    let run = Desk::new().run(&[
        "summary",
        "cnn-small",
        "--input",
        "64x64x3",
        "--classes",
        "10",
        "--json",
    ]);
    let table = run.json();
    assert_eq!(table["trainable"], 1_166_506);
    assert_eq!(
        table["layers"][1]["output_shape"],
        serde_json::json!([1, 64, 64, 32])
    );
}

#[test]
fn a_line_and_a_toml_file_are_models_too() {
    let desk = Desk::new();
    let line = "conv 6 5 same tanh, avgpool 2, flatten, dense classes";
    let run = desk.run(&["summary", "--layers", line, "--classes", "10"]);
    let told = run.done();
    assert!(told.contains("11,926 parameters"), "{told}");
    let toml = "input = [8]\n[[layer]]\ntype = \"dense\"\nunits = 3\n";
    std::fs::write(desk.file("tiny.toml"), toml).unwrap();
    assert!(
        desk.run(&["summary", "tiny.toml"])
            .done()
            .contains("27 parameters")
    );
}

#[test]
fn a_run_folder_shows_its_best_model() {
    let desk = Desk::new();
    let model = zoo::build("linear", &[3], 2).unwrap();
    let mut file = interchange::ModelFile::new(&model);
    for parameter in model.parameters() {
        file.tensors.push(interchange::Tensor {
            name: parameter.name.clone(),
            shape: parameter.shape().to_vec(),
            values: vec![0.0; parameter.count()],
        });
    }
    std::fs::create_dir(desk.file("run")).unwrap();
    file.write(&desk.file("run/best.safetensors")).unwrap();
    assert!(desk.run(&["summary", "run"]).done().contains("8 parameters"));
    assert!(
        desk.run(&["summary", "run/best.safetensors"])
            .done()
            .contains("8 parameters")
    );
}

#[test]
fn mistakes_are_told_with_what_is_known() {
    let desk = Desk::new();
    let told = |args: &[&str]| desk.run(args).failed(1).to_string();
    assert!(told(&["summary", "lennet5"]).contains("did you mean `lenet5`"));
    assert!(told(&["summary", "lenet5", "--input", "8x8x1"]).contains("at least 20×20 pixels"));
    assert!(told(&["summary", "--layers", "cnov 6 5"]).contains("^^^^"));
    assert!(told(&["summary", "no/such.toml"]).contains("no/such.toml"));
    std::fs::write(desk.file("broken.safetensors"), b"not a model").unwrap();
    assert!(told(&["summary", "broken.safetensors"]).contains("broken.safetensors"));
    std::fs::create_dir(desk.file("empty")).unwrap();
    assert!(told(&["summary", "empty"]).contains("neither best.safetensors nor last.safetensors"));
}
