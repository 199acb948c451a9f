//! `docs/networks.md` is what the named networks are: sizes, what they were compared with, what goes in and out.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use graticule::interchange::foreign;
use graticule::nn::model::summary::thousands;
use graticule::prelude::*;
use graticule::zoo::{self, NAMES, Network as Named};
use serde_json::Value;

const START: &str = "<!-- networks -->\n";
const END: &str = "<!-- end of networks -->";

/// Networks whose published weights give the published answers (`pretrained.rs`), and whose names those are.
const PUBLISHED: [(&str, &str); 3] = [
    (
        "efficientnet-lite0",
        "torchvision's way, timm, the published file",
    ),
    ("resnet20", "the published file"),
    ("resnet56", "the published file"),
];

fn root(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)
}

fn golden(file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(root("tests/golden").join(file)).unwrap()).unwrap()
}

fn build(network: &Named) -> Model {
    zoo::build(network.name, network.input, network.outputs).unwrap()
}

/// As `tests/golden/names.py` has it.
fn digest(model: &Model) -> (usize, String) {
    let mut lines: Vec<String> = foreign::names_and_shapes(model)
        .iter()
        .map(|(name, shape)| {
            let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
            format!("{name} {}\n", shape.join("×"))
        })
        .collect();
    lines.sort_unstable();
    let hash = lines
        .concat()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    (lines.len(), format!("{hash:016x}"))
}

#[test]
fn parameters_have_the_names_and_shapes_of_torchvision_and_timm() {
    let golden = golden("names.json");
    let known = golden.as_object().unwrap();
    assert!(known.len() >= 36);
    for (name, expected) in known {
        let network = NAMES.iter().find(|n| n.name == name).unwrap();
        let (tensors, hash) = digest(&build(network));
        assert_eq!(
            (&expected["tensors"], &expected["hash"]),
            (&tensors.into(), &hash.into()),
            "{name}"
        );
    }
}

fn compared(name: &str, sizes: &Value, source: Option<&str>) -> String {
    let Some(entry) = sizes.as_array().unwrap().iter().find(|e| e["name"] == name) else {
        return "–".into();
    };
    let source = source.unwrap_or(if name == "efficientnet-lite0" {
        "timm"
    } else {
        "PyTorch code"
    });
    let mut what = vec!["size"];
    if entry["answer"]["values"].is_array() {
        what.push("answer");
    }
    if entry["answer"]["gradients"].is_array() {
        what.push("gradients");
    }
    format!("{source}: {}", what.join(", "))
}

fn table() -> String {
    let (sizes, names) = (golden("networks.json"), golden("names.json"));
    let mut text = String::from(
        "| network | parameters | MACs | compared with | names of weights that are read | written |\n|---|---|---|---|---|---|\n",
    );
    for network in NAMES {
        let table = summary(&build(network), &Binding::batch(1)).unwrap();
        let source = names[network.name]["source"].as_str();
        let published = PUBLISHED
            .iter()
            .find(|(name, _)| *name == network.name)
            .map(|(_, names)| *names);
        text += &format!(
            "| `{}` | {} | {} | {} | {} | safetensors, ONNX |\n",
            network.name,
            thousands(table.trainable as u64),
            thousands(table.macs),
            compared(network.name, &sizes, source),
            published.or(source).unwrap_or("its own"),
        );
    }
    text
}

/// With the environment variable `UPDATE_README` set, the table is written anew instead of compared.
#[test]
fn the_page_of_networks_is_true() {
    let path = root("docs/networks.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(START).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let expected = format!("\n{}\n", table());
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(path, format!("{before}{START}{expected}{END}{after}")).unwrap();
        return;
    }
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

/// Out in PyTorch's layout and in again, number for number.
#[test]
fn networks_come_back_from_what_they_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let mut checked = 0;
    for network in NAMES {
        let model = build(network);
        if model.parameter_count() > 2_000_000 {
            continue;
        }
        let mut next = 0u32;
        let mut number = || {
            next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (next >> 8) as f32 / 65_536.0
        };
        let tensor = |p: &graticule::nn::model::NamedParameter| graticule::interchange::Tensor {
            name: p.name.clone(),
            shape: p.shape().to_vec(),
            values: (0..p.count()).map(|_| number()).collect(),
        };
        let tensors: Vec<_> = model.parameters().iter().map(tensor).collect();
        foreign::write(&model, &tensors, &path).unwrap();
        let back = foreign::load(&model, &path).unwrap();
        assert!(back.tensors == tensors, "{}", network.name);
        checked += 1;
    }
    assert!(checked >= 20, "{checked} networks");
}
