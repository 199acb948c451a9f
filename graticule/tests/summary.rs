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
fn x20_alexnet_prints_the_courses_table() {
    let run = Desk::new().run(&["summary", "alexnet"]);
    let told = run.done();
    let rows: Vec<Vec<&str>> = told.lines().map(|l| l.split_whitespace().collect()).collect();
    let first = rows.iter().find(|r| r.first() == Some(&"conv2d")).unwrap();
    assert_eq!(first[2..5], ["55×55×96", "34,944", "105,415,200"]);
    assert_eq!(first[6..], ["11×11", "44,892,064,800"]);
    let last = rows.iter().find(|r| r.first() == Some(&"dense_2")).unwrap();
    assert_eq!(last[2..4], ["1000", "4,097,000"]);
    assert!(told.contains("62,378,344 parameters, 62,378,344 trainable, 0 not"));
    assert!(run.stderr.contains("input 227×227×3 assumed"), "{}", run.stderr);
}

#[test]
fn x21_networks_are_compared_with_macs_and_flops_apart() {
    let names = ["alexnet", "vgg16", "googlenet", "resnet152"];
    let run = Desk::new().run(&[&["summary", "--compare"], &names[..]].concat());
    let told = run.done();
    let expected = [
        ["alexnet", "227×227×3", "62,378,344", "1,135,256,096", "84.70"],
        ["vgg16", "224×224×3", "138,357,544", "15,470,264,320", "92.30"],
        ["googlenet", "224×224×3", "6,624,904", "1,498,376,192", "93.30"],
        ["resnet152", "224×224×3", "60,192,808", "11,513,626,624", "95.51"],
    ];
    for row in expected {
        let line = told.lines().find(|line| line.starts_with(row[0])).unwrap();
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert_eq!([cells[0], cells[1], cells[2], cells[3], cells[5]], row);
        let [macs, flops] = [3, 4].map(|c: usize| cells[c].replace(',', "").parse::<u64>().unwrap());
        assert!(flops > 2 * macs && flops < 2 * macs + macs / 20, "{line}");
    }
    let args = [
        "summary",
        "--compare",
        "vgg19",
        "mlp",
        "--input",
        "32x32x3",
        "--json",
    ];
    let compared = Desk::new().run(&args).json();
    assert_eq!(compared["networks"][0]["network"], "vgg19");
    assert_eq!(compared["networks"][1]["input"], serde_json::json!([32, 32, 3]));
    assert_eq!(Desk::new().run(&["summary", "--compare", "mlp"]).code, 2);
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

/// Written, edited and trained, as a person would do it.
#[test]
fn a_named_network_is_written_as_toml_edited_and_trained() {
    let desk = Desk::new();
    let write = ["summary", "lenet5", "--to-toml", "my.toml"];
    desk.run(&write).done();
    let text = std::fs::read_to_string(desk.file("my.toml")).unwrap();
    assert!(text.contains("filters = 6\n"), "{text}");
    let before = desk.run(&["summary", "my.toml", "--json"]).json()["trainable"].clone();
    assert_eq!(before, 61_706);
    let told = desk.run(&write).failed(1).to_string();
    assert!(told.contains("my.toml: exists already"), "{told}");
    let edited = text
        .replacen("input = [28, 28, 1]", "input = [8, 8, 1]", 1)
        .replacen("filters = 6\n", "filters = 9\n", 1)
        .replacen("filters = 16\nkernel = 5", "filters = 16\nkernel = 3", 1);
    std::fs::write(desk.file("my.toml"), edited).unwrap();
    let after = desk.run(&["summary", "my.toml", "--json"]).json()["trainable"].clone();
    let convolutions = (25 * 9 + 9) + (9 * 9 * 16 + 16);
    let dense = (16 * 120 + 120) + (120 * 84 + 84) + (84 * 10 + 10);
    assert_eq!(after, convolutions + dense);
    let run = desk.run(&[
        "train",
        "digits",
        "--model",
        "my.toml",
        "--epochs",
        "1",
        "--no-report",
    ]);
    assert_eq!(run.code, 0, "{run:?}");
    let kept = desk.run(&["summary", "runs/digits-1", "--to-toml", "again.toml"]);
    assert!(kept.stderr.contains("not its numbers"), "{kept:?}");
    let again = std::fs::read_to_string(desk.file("again.toml")).unwrap();
    assert!(again.contains("filters = 9\n"), "{again}");
}
