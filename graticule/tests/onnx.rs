//! Networks written as ONNX from the command line.
#![allow(clippy::unwrap_used)]

mod common;

use common::Desk;
use graticule::interchange::onnx::proto::ModelProto;
use prost::Message;

/// A model of four classes for images of 20×20×3, as `import` makes it, under `model.safetensors`.
fn desk() -> Desk {
    let desk = Desk::new();
    let model = graticule::zoo::build("lenet5", &[20, 20, 3], 4).unwrap();
    let tensors: Vec<graticule::interchange::Tensor> = model
        .parameters()
        .iter()
        .map(|p| graticule::interchange::Tensor {
            name: p.name.clone(),
            shape: p.shape().to_vec(),
            values: (0..p.count()).map(|i| (i % 17) as f32 / 16.0 + 0.1).collect(),
        })
        .collect();
    graticule::interchange::foreign::write(&model, &tensors, &desk.file("theirs.safetensors")).unwrap();
    std::fs::write(desk.file("classes.txt"), "cat\ndog\ncow\nhen\n").unwrap();
    let line = "import theirs.safetensors --model lenet5 --input 20x20x3 --classes classes.txt --mean 0.5,0.25,0 --std 0.5,0.25,1 -o model.safetensors";
    desk.run(&line.split(' ').collect::<Vec<_>>()).done();
    desk
}

fn read(desk: &Desk, name: &str) -> ModelProto {
    ModelProto::decode(&std::fs::read(desk.file(name)).unwrap()[..]).unwrap()
}

fn entry<'a>(model: &'a ModelProto, key: &str) -> &'a str {
    let found = model.metadata_props.iter().find(|e| e.key == key);
    found.map_or("", |e| &e.value)
}

#[test]
fn a_network_and_what_to_know_of_it() {
    let desk = desk();
    let export = [
        "export",
        "model.safetensors",
        "--to",
        "onnx",
        "-o",
        "model.onnx",
        "--resolution",
        "50",
    ];
    let told = desk.run(&export);
    assert!(told.done().contains("opset 17, "), "{told:?}");
    assert!(
        told.stdout
            .contains("reads float32 [batch, 3, 20, 20], (pixel/255 - mean)/std"),
        "{told:?}"
    );
    let model = read(&desk, "model.onnx");
    assert_eq!(
        entry(&model, "class_names"),
        r#"{"0":"cat","1":"dog","2":"cow","3":"hen"}"#
    );
    assert_eq!(entry(&model, "standardization_mean"), "[0.5,0.25,0.0]");
    assert_eq!(entry(&model, "standardization_std"), "[0.5,0.25,1.0]");
    assert_eq!(
        (entry(&model, "tile_size"), entry(&model, "tiles_size")),
        ("20", "20")
    );
    assert_eq!(
        (entry(&model, "resolution"), entry(&model, "tiles_overlap")),
        ("50.0", "10")
    );
    assert!(entry(&model, "graticule_preprocessing").contains("pixel_max"));
    assert!(desk.run(&export).failed(1).contains("--force"));
}

#[test]
fn the_graph_may_normalise_pixels_itself() {
    let desk = desk();
    let export = "export model.safetensors --to onnx --with-preprocessing -o raw.onnx";
    let told = desk.run(&export.split(' ').collect::<Vec<_>>());
    assert!(told.done().contains("pixels from 0 to 255"), "{told:?}");
    let model = read(&desk, "raw.onnx");
    let kinds: Vec<&str> = model
        .graph
        .as_ref()
        .unwrap()
        .node
        .iter()
        .map(|n| n.op_type.as_str())
        .collect();
    assert_eq!(kinds[..3], ["Mul", "Add", "Conv"]);
    assert_eq!(entry(&model, "standardization_mean"), "[0.0,0.0,0.0]");
}

#[test]
fn what_cannot_be_written_is_told() {
    let desk = desk();
    std::fs::write(
        desk.file("cut.safetensors"),
        &std::fs::read(desk.file("model.safetensors")).unwrap()[..900],
    )
    .unwrap();
    for (run, output, part) in [
        ("none", "x.onnx", "none"),
        ("cut.safetensors", "x.onnx", "cut.safetensors"),
        ("theirs.safetensors", "x.onnx", "does not describe its network"),
        (
            "model.safetensors",
            "no/such/x.onnx",
            "cannot write no/such/x.onnx",
        ),
        ("model.safetensors", ".", "is a folder"),
    ] {
        let told = desk.run(&["export", run, "--to", "onnx", "-o", output]);
        assert!(told.failed(1).contains(part), "{told:?}");
    }
    assert_eq!(
        desk.run(&["export", "model.safetensors", "--to", "onxn", "-o", "x"])
            .code,
        2
    );
}

#[test]
fn a_network_comes_back_with_its_preprocessing_and_classes() {
    let desk = desk();
    let picture = |x: u32, y: u32| image::Rgb([(x * 12) as u8, (y * 12) as u8, ((x * y) % 256) as u8]);
    let picture = image::RgbImage::from_fn(20, 20, picture);
    picture.save(desk.file("picture.png")).unwrap();
    let predicted = |model: &str| -> (String, f64) {
        desk.run(&["predict", model, "picture.png", "-o", "labels.csv", "--force"])
            .done();
        let labels = std::fs::read_to_string(desk.file("labels.csv")).unwrap();
        let (label, probability) = labels.trim().rsplit_once(',').unwrap();
        (label.to_string(), probability.parse().unwrap())
    };
    let expected = predicted("model.safetensors");
    for (file, option) in [
        ("plain.onnx", None),
        ("prepared.onnx", Some("--with-preprocessing")),
    ] {
        let mut export = vec!["export", "model.safetensors", "--to", "onnx", "-o", file];
        export.extend(option);
        desk.run(&export).done();
        desk.run(&["import", file, "-o", "back.safetensors", "--force"])
            .done();
        let back = predicted("back.safetensors");
        assert_eq!(back.0, expected.0, "{file}");
        assert!(
            (back.1 - expected.1).abs() < 1e-4,
            "{file}: {back:?} {expected:?}"
        );
    }
}
