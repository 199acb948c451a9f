//! Networks that others trained answer here as they did there, from the library and from the command line.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Desk, shared};
use graticule::prelude::*;
use graticule::{interchange::foreign, zoo};

/// The numbers of a NumPy file, as bytes.
fn npy(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[10 + header..].to_vec()
}

fn floats(path: &Path) -> Vec<f32> {
    let bytes = npy(path);
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect()
}

/// The logits of a named network with the weights of `file`.
fn logits(name: &str, file: &Path, inputs: &[f32], batch: usize) -> Vec<f32> {
    let network = zoo::NAMES.iter().find(|n| n.name == name).unwrap();
    let model = zoo::build(name, network.input, network.outputs).unwrap();
    let named: Vec<_> = model
        .parameters()
        .iter()
        .map(|p| (p.name.clone(), p.symbol.clone()))
        .collect();
    let mut parameters = Parameters::new(&named);
    let weights = foreign::load(&model, file).unwrap();
    assert_eq!(weights.tensors.len(), named.len());
    for tensor in &weights.tensors {
        parameters.set(&tensor.name, &tensor.values).unwrap();
    }
    let outputs = graticule::graph::lower(model.outputs(), Mode::Infer)
        .unwrap()
        .outputs;
    let request = Request::outputs(&outputs);
    let binding = Binding::batch(batch);
    let mut program = Program::compile(&Engine::new(2), &request, parameters.layout(), &binding).unwrap();
    program.set_input("input", inputs).unwrap();
    program.run(&mut parameters, 0).unwrap();
    program.output(0).to_vec()
}

/// Within a thousandth of the largest.
fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let off = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    eprintln!("{what}: {} of the largest logit", off / largest);
    assert!(
        off <= 1e-3 * largest,
        "{what}: off by {off}, the largest being {largest}"
    );
}

#[test]
fn small_residual_networks_give_the_published_logits() {
    let Some(folder) = shared("pretrained/resnet-cifar10") else {
        return;
    };
    let pixels = npy(&folder.join("images16_u8_nhwc.npy"));
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let value = |(i, byte): (usize, &u8)| (f32::from(*byte) / 255.0 - mean[i % 3]) / std[i % 3];
    let inputs: Vec<f32> = pixels.iter().enumerate().map(value).collect();
    for (name, file) in [
        ("resnet20", "resnet20-12fca82f.th"),
        ("resnet56", "resnet56-4bfd9763.th"),
    ] {
        let expected = floats(&folder.join(format!("{name}_logits16.npy")));
        assert_close(&logits(name, &folder.join(file), &inputs, 16), &expected, name);
    }
}

const LITE0: &str = "efficientnet-lite0-57934424.pth";
/// Picture, class, name of the class.
const PICTURES: [(&str, usize, &str); 2] = [("china", 698, "palace"), ("flower", 985, "daisy")];

#[test]
fn efficientnet_lite0_gives_the_published_logits() {
    let Some(folder) = shared("pretrained/efficientnet-lite0") else {
        return;
    };
    for (picture, class, _) in PICTURES {
        let image = data_image(&folder.join(format!("{picture}_224.png")));
        let inputs: Vec<f32> = image
            .iter()
            .map(|&byte| (f32::from(byte) - 127.0) / 128.0)
            .collect();
        let expected = floats(&folder.join(format!("{picture}_224_logits.npy")));
        let found = logits("efficientnet-lite0", &folder.join(LITE0), &inputs, 1);
        assert_close(&found, &expected, picture);
        let top = (0..1000).max_by(|&a, &b| found[a].total_cmp(&found[b])).unwrap();
        assert_eq!(top, class, "{picture}");
    }
}

fn data_image(path: &Path) -> Vec<u8> {
    image::open(path).unwrap().to_rgb8().into_raw()
}

#[test]
fn published_weights_predict_from_the_command_line() {
    let Some(folder) = shared("pretrained/efficientnet-lite0") else {
        return;
    };
    let desk = Desk::new();
    let path = |name: &str| folder.join(name).display().to_string();
    let (weights, classes) = (path(LITE0), path("imagenet_classes.txt"));
    let import = [
        "import",
        &weights,
        "--model",
        "efficientnet-lite0",
        "--classes",
        &classes,
        "-o",
        "lite0.safetensors",
    ];
    let told = desk.run(&import);
    assert!(
        told.done()
            .starts_with("efficientnet-lite0: 247 tensors, 4,694,024"),
        "{told:?}"
    );
    assert!(told.stderr.contains("num_batches_tracked"), "{told:?}");
    for (picture, _, class) in PICTURES {
        let told = desk.run(&[
            "predict",
            "lite0.safetensors",
            &path(&format!("{picture}_224.png")),
            "--json",
        ]);
        assert_eq!(told.json()[0]["predicted"], class, "{picture}");
    }
    assert!(
        desk.run(&["summary", "lite0.safetensors"])
            .done()
            .contains("4,652,008")
    );
    assert!(desk.run(&import).failed(1).contains("--force"));
    let wrong = desk.run(&[
        "import",
        &weights,
        "--model",
        "resnet18",
        "-o",
        "wrong.safetensors",
    ]);
    let told = wrong.failed(1);
    assert!(
        told.contains("0 of the 102 tensors of resnet18") && told.contains("another network"),
        "{told}"
    );
    assert!(!desk.file("wrong.safetensors").exists());
}
