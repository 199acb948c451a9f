//! Networks that PyTorch exported: they give ONNX Runtime's numbers, are saved, trained further, and no
//! damage to their files does more than give an error.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use common::{excess, parameters, run};
use engine::{Engine, Program, Request};
use graph::{Binding, Mode, Symbol, differentiate, lower};
use graticule_interchange::ModelFile;
use graticule_interchange::onnx::proto::{
    AttributeProto, DataType, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, dimension, type_proto,
};
use graticule_interchange::onnx::{Batch, Host, Imported, OnnxError, Options, decode, import, read};
use proptest::prelude::*;
use prost::Message;

const NAMES: [&str; 4] = ["cnn", "lstm", "vit", "torchvision_vit"];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden/onnx")
        .join(name)
}

fn numbers(name: &str, file: &str) -> Host {
    let bytes = std::fs::read(folder(name).join("test_data_set_0").join(file)).unwrap();
    decode(&TensorProto::decode(&bytes[..]).unwrap(), None).unwrap()
}

fn imported(name: &str) -> Imported {
    read(&folder(name).join("model.onnx"), &Options::default()).unwrap()
}

#[test]
fn exported_networks_give_the_numbers_of_onnx_runtime() {
    for name in NAMES {
        let network = imported(name);
        assert_eq!(network.batch, Batch::Leading, "{name}");
        let y = run(&network, &[numbers(name, "input_0.pb")]).unwrap().remove(0);
        let expected = numbers(name, "output_0.pb");
        assert_eq!(y.shape, expected.shape, "{name}");
        assert!(
            excess(&y, &expected, 1e-4, 1e-4) <= 0.0,
            "{name}: {:?} against {:?}",
            y.to_f32(),
            expected.to_f32()
        );
    }
}

#[test]
fn a_convolutional_network_has_no_transposes_but_that_of_its_flattening() {
    let network = imported("cnn");
    let count = |op: &str| {
        network
            .model
            .nodes()
            .iter()
            .filter(|n| n.op().name() == op)
            .count()
    };
    assert_eq!(network.model.input().shape()[..], [1, 16, 16, 3]);
    assert_eq!(
        (count("transpose"), count("conv2d"), count("batch_norm")),
        (1, 7, 7)
    );
    let names: Vec<&str> = network
        .model
        .parameters()
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    assert!(
        names.contains(&"layer1.conv1.weight") && names.contains(&"layer2.bn2.running_mean"),
        "{names:?}"
    );
    assert_eq!(
        network.model.parameter("conv1.weight").unwrap().shape()[..],
        [5, 5, 3, 8]
    );
}

#[test]
fn saved_and_loaded_again_it_gives_the_same_numbers() {
    let place = tempfile::tempdir().unwrap();
    for name in NAMES {
        let network = imported(name);
        let mut file = ModelFile::new(&network.model);
        file.tensors = network.tensors.clone();
        let path = place.path().join("model.safetensors");
        file.write(&path).unwrap();
        let back = ModelFile::read(&path).unwrap();
        let again = Imported {
            model: back.model().unwrap(),
            tensors: back.tensors,
            ..network.clone()
        };
        let x = numbers(name, "input_0.pb");
        assert_eq!(
            run(&network, std::slice::from_ref(&x)),
            run(&again, &[x]),
            "{name}"
        );
    }
}

#[test]
fn trained_further_its_loss_falls() {
    for name in NAMES {
        let network = imported(name);
        let output = network.model.output();
        let target = Symbol::constant(0.7, [output.shape().last_axis()]);
        let difference = output.sub(&target).unwrap();
        let loss = difference.mul(&difference).unwrap().mean().unwrap();
        let lowered = lower(&[loss], Mode::Train).unwrap();
        let trained: Vec<_> = network
            .model
            .parameters()
            .iter()
            .filter(|p| p.trainable())
            .collect();
        let symbols: Vec<Symbol> = trained.iter().map(|p| p.symbol.clone()).collect();
        let gradients = differentiate(&lowered.outputs[0], &symbols).unwrap();
        let outputs = [&lowered.outputs[..], &gradients[..]].concat();
        let request = Request {
            updates: lowered.updates.clone(),
            ..Request::outputs(&outputs)
        };
        let mut parameters = parameters(&network);
        let x = numbers(name, "input_0.pb");
        let binding = Binding::batch(x.shape[0]);
        let mut program = Program::compile(&Engine::new(1), &request, parameters.layout(), &binding).unwrap();
        let mut losses = Vec::new();
        for step in 0..12 {
            program
                .set_input("x", &x.transposed(&network.inputs[0].order).to_f32())
                .unwrap();
            program.run(&mut parameters, step).unwrap();
            losses.push(program.output(0)[0]);
            for (k, parameter) in trained.iter().enumerate() {
                let slopes = program.output(k + 1).to_vec();
                assert!(slopes.iter().all(|g| g.is_finite()), "{name}: {}", parameter.name);
                let old = parameters.get(&parameter.name).unwrap();
                let new: Vec<f32> = old.iter().zip(slopes).map(|(v, g)| v - 0.02 * g).collect();
                parameters.set(&parameter.name, &new).unwrap();
            }
        }
        assert!(losses[11] < 0.8 * losses[0], "{name}: {losses:?}");
    }
}

fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dim = |&l: &i64| graticule_interchange::onnx::proto::Dimension {
        value: Some(dimension::Value::DimValue(l)),
        denotation: String::new(),
    };
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto {
            dim: shape.iter().map(dim).collect(),
        }),
    };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn node(op: &str, input: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        input: input.iter().map(ToString::to_string).collect(),
        output: vec![output.into()],
        ..Default::default()
    }
}

fn model(nodes: Vec<NodeProto>, initial: Vec<TensorProto>) -> ModelProto {
    let graph = GraphProto {
        node: nodes,
        initializer: initial,
        input: vec![value("x", &[1, 2])],
        output: vec![value("y", &[1, 2])],
        ..Default::default()
    };
    let opset = OperatorSetIdProto {
        domain: String::new(),
        version: 17,
    };
    ModelProto {
        ir_version: 8,
        opset_import: vec![opset],
        graph: Some(graph),
        ..Default::default()
    }
}

fn weight(dims: &[i64], bytes: usize) -> TensorProto {
    TensorProto {
        name: "w".into(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        raw_data: Some(vec![0; bytes]),
        ..Default::default()
    }
}

fn refusal(model: &ModelProto) -> String {
    import(&model.encode_to_vec(), &Options::default())
        .unwrap_err()
        .to_string()
}

fn refused(model: &ModelProto, words: &[&str]) {
    let message = refusal(model);
    assert!(
        words.iter().all(|w| message.contains(w)),
        "{words:?} in: {message}"
    );
}

/// Exporters of PyTorch write `Concat` of an empty list of sizes and the sizes themselves.
#[test]
fn a_shape_joined_with_an_empty_one_is_that_shape() {
    let sizes = |name: &str, of: &[i64]| TensorProto {
        name: name.into(),
        dims: vec![of.len() as i64],
        data_type: DataType::Int64 as i32,
        raw_data: Some(of.iter().flat_map(|size| size.to_le_bytes()).collect()),
        ..Default::default()
    };
    let mut join = node("Concat", &["none", "all"], "shape");
    join.attribute.push(AttributeProto {
        name: "axis".into(),
        i: Some(0),
        r#type: 2,
        ..Default::default()
    });
    let nodes = vec![join, node("Reshape", &["x", "shape"], "y")];
    let joined = model(nodes, vec![sizes("none", &[]), sizes("all", &[1, 2])]);
    let network = import(&joined.encode_to_vec(), &Options::default()).unwrap();
    assert_eq!(network.model.output().shape()[..], [1, 2]);
}

#[test]
fn what_does_not_hold_together_is_named() {
    let add = || vec![node("Add", &["x", "w"], "y")];
    refused(&model(add(), vec![weight(&[1, 2], 7)]), &["`w`", "7 bytes"]);
    refused(
        &model(add(), vec![weight(&[1, 2], 12)]),
        &["`w`", "2 numbers", "hold 3"],
    );
    refused(
        &model(add(), vec![weight(&[1 << 30, 1 << 30], 8)]),
        &["`w`", "more elements"],
    );
    refused(&model(add(), vec![weight(&[-1, 2], 8)]), &["`w`", "negative"]);
    refused(&model(add(), vec![]), &["`w`", "nothing before it makes"]);
    refused(
        &model(add(), vec![weight(&[1, 2], 8), weight(&[1, 2], 8)]),
        &["two initialisers", "`w`"],
    );
    refused(
        &model(vec![node("Relu", &["y"], "a"), node("Relu", &["a"], "y")], vec![]),
        &["`y`", "circle"],
    );
    refused(
        &model(vec![node("Relu", &["x"], "y"), node("Abs", &["x"], "y")], vec![]),
        &["`y`", "twice"],
    );
    refused(&model(vec![node("Relu", &["x"], "z")], vec![]), &["output `y`"]);
    refused(
        &model(vec![node("Loop", &["x"], "y")], vec![]),
        &["Loop", "not known"],
    );
    refused(
        &model(vec![node("ReduceFoo", &["x"], "y")], vec![]),
        &["ReduceFoo", "ReduceMean", "opset 17"],
    );
    let mut foreign = model(vec![node("FusedConv", &["x"], "y")], vec![]);
    foreign.graph.as_mut().unwrap().node[0].domain = "com.microsoft".into();
    refused(&foreign, &["FusedConv", "com.microsoft", "not known"]);
    let mut newer = model(add(), vec![weight(&[1, 2], 8)]);
    newer.opset_import[0].version = 99;
    refused(&newer, &["opset 99", "1 to"]);
    newer.opset_import.clear();
    refused(&newer, &["no operator set"]);
    refused(&ModelProto::default(), &["no operator set"]);
}

#[test]
fn what_would_take_all_memory_is_refused() {
    let mut fill = node("ConstantOfShape", &["s"], "y");
    fill.output = vec!["c".into()];
    let shape = TensorProto {
        name: "s".into(),
        dims: vec![3],
        data_type: DataType::Int64 as i32,
        int64_data: vec![1 << 20, 1 << 20, 1 << 20],
        ..Default::default()
    };
    refused(
        &model(vec![fill, node("Add", &["x", "c"], "y")], vec![shape.clone()]),
        &["ConstantOfShape"],
    );
    refused(
        &model(vec![node("Expand", &["x", "s"], "y")], vec![shape.clone()]),
        &["Expand"],
    );
    let tiles = TensorProto {
        dims: vec![2],
        int64_data: vec![1 << 25, 1 << 25],
        ..shape
    };
    refused(
        &model(vec![node("Tile", &["x", "s"], "y")], vec![tiles]),
        &["Tile"],
    );
    let mut pad = node("Pad", &["x"], "y");
    let ints = vec![1 << 26; 4];
    pad.attribute = vec![AttributeProto {
        name: "pads".into(),
        ints,
        ..Default::default()
    }];
    refused(&model(vec![pad], vec![]), &["Pad"]);
    let mut deep = GraphProto::default();
    for _ in 0..300 {
        let mut around = node("If", &["x"], "y");
        around.attribute = vec![AttributeProto {
            name: "then_branch".into(),
            g: Some(deep),
            ..Default::default()
        }];
        deep = GraphProto {
            node: vec![around],
            ..Default::default()
        };
    }
    refused(
        &ModelProto {
            graph: Some(deep),
            ..model(vec![], vec![])
        },
        &["not an ONNX file"],
    );
}

#[test]
fn data_outside_the_folder_are_not_read() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(place.path().join("secret"), [0; 8]).unwrap();
    std::fs::write(home.join("data"), [1; 8]).unwrap();
    let path = home.join("model.onnx");
    let with = |location: &str, length: &str| {
        let entry = |key: &str, value: &str| StringStringEntryProto {
            key: key.into(),
            value: value.into(),
        };
        let tensor = TensorProto {
            external_data: vec![entry("location", location), entry("length", length)],
            data_location: 1,
            raw_data: None,
            ..weight(&[1, 2], 0)
        };
        let model = model(vec![node("Add", &["x", "w"], "y")], vec![tensor]);
        std::fs::write(&path, model.encode_to_vec()).unwrap();
        read(&path, &Options::default()).map_err(|e| e.to_string())
    };
    assert!(with("data", "8").is_ok());
    let outside = place.path().join("secret").to_string_lossy().into_owned();
    for location in ["../secret", "../../etc/passwd", "a/../../secret", &outside] {
        let message = with(location, "8").unwrap_err();
        assert!(message.contains("outside the model's folder"), "{message}");
    }
    assert!(with("data", "9").unwrap_err().contains("asks for 8 bytes"));
    assert!(with("missing", "8").unwrap_err().contains("cannot be read"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(place.path().join("secret"), home.join("link")).unwrap();
        assert!(with("link", "8").unwrap_err().contains("link out of"));
    }
}

#[test]
fn a_file_cut_off_anywhere_is_no_network() {
    let bytes = std::fs::read(folder("lstm").join("model.onnx")).unwrap();
    for end in (0..bytes.len()).step_by(41) {
        // The graph's length is written before it, so no part of the file is a whole one.
        let error = import(&bytes[..end], &Options::default()).unwrap_err();
        assert!(
            matches!(
                error,
                OnnxError::Format(_) | OnnxError::OperatorSet(_) | OnnxError::Structure(_)
            ),
            "{error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_damage_does_more_than_give_an_error(
        which in 0usize..3, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        front: bool,
    ) {
        let mut bytes = std::fs::read(folder(NAMES[which]).join("model.onnx")).unwrap();
        for (place, byte) in changes {
            // Half of the time where nodes are described rather than weights.
            let length = if front { bytes.len().min(3000) } else { bytes.len() };
            bytes[place.index(length)] = byte;
        }
        let _ = import(&bytes, &Options::default());
    }
}
