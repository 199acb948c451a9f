//! Exported networks say in ONNX Runtime what they say in the engine.
//!
//! The tests run `tests/onnx/check.py` with the Python of `GRATICULE_TEST_PYTHON`, else `python3`, and are skipped
//! where it has no onnxruntime.

#![allow(clippy::unwrap_used)]

mod onnx_cases;

use graph::ops::{ArgMax, Function, FunctionKind, PadMode, Select, Take, UnaryKind};
use graticule_interchange::onnx::export::{self, Normalisation, Options};
use nn::layers::Interpolation;
use nn::prelude::*;
use onnx_cases::{Folder, numbers, tensors};

const IMAGE: [usize; 3] = [9, 8, 4];

/// A model of one input with this sample shape.
fn model(sample: &[usize], layers: impl FnOnce(&Symbol) -> Result<Symbol, GraphError>) -> Model {
    let x = Symbol::input("input", sample.to_vec());
    Model::new("case", &x, &layers(&x).unwrap()).unwrap()
}

macro_rules! layers {
    ($folder:expr, $sample:expr, { $($name:literal => $layer:expr),* $(,)? }) => {
        $($folder.add($name, &model(&$sample, |x| $layer.on(x)));)*
    };
}

#[test]
fn layers_of_images() {
    let mut folder = Folder::new();
    layers!(folder, IMAGE, {
        "conv" => Conv2d::new(5, [3, 2]).activation(Relu),
        "conv_no_bias" => Conv2d::new(3, 3).no_bias().stride(2).round_down(),
        "conv_same_stride" => Conv2d::new(3, [4, 3]).stride([2, 3]).padding(Same),
        "conv_full" => Conv2d::new(3, [3, 2]).padding(Full),
        "conv_explicit" => Conv2d::new(3, 3).padding([1, 2, 0, 3]).dilation(2),
        "conv_groups" => Conv2d::new(6, 3).groups(2).padding(1),
        "conv_pad_symmetric" => Conv2d::new(2, [5, 4]).padding(Same).pad_value(PadValue::Symmetric),
        "conv_pad_constant" => Conv2d::new(2, 3).padding(Same).pad_value(PadValue::Constant(0.5)),
        "depthwise" => DepthwiseConv2d::new(3).multiplier(2).padding(1),
        "conv_transpose" => ConvTranspose2d::new(6, 3).stride([2, 3]).padding([1, 1, 0, 0]).output_padding([1, 0]),
        "conv_transpose_groups" => ConvTranspose2d::new(6, 3).dilation(2).groups(2).padding(1),
        "local" => LocallyConnected2d::new(3, [3, 2]).stride([2, 1]).padding(1).round_down(),
        "max_pool" => MaxPool2d::new(3).stride(2).padding(1).round_down(),
        "max_pool_round_up" => MaxPool2d::new(3).stride(2).round_up(),
        "max_pool_same" => MaxPool2d::new(3).stride(2).padding(Same),
        "min_pool" => MinPool2d::new(2).round_down(),
        "avg_pool" => AvgPool2d::new(3).stride(2).padding(1).round_down(),
        "avg_pool_round_up" => AvgPool2d::new(2).round_up(),
        "avg_pool_count_padding" => AvgPool2d::new(3).stride(2).padding(1).count_padding().round_down(),
        "l2_pool" => L2Pool2d::new(2).round_down(),
        "adaptive_avg_pool" => AdaptiveAvgPool2d::new([3, 5]),
        "global_avg_pool" => GlobalAvgPool2d,
        "global_max_pool" => GlobalMaxPool2d,
        "batch_norm" => BatchNorm::new(),
        "layer_norm" => LayerNorm::new(),
        "local_response" => LocalResponseNorm::new(3).alpha(0.5).k(2.0),
        "local_response_even" => LocalResponseNorm::new(4).alpha(0.5),
        "pad_reflect" => Pad2d::new([1, 2, 2, 1], PadMode::Reflect),
        "pad_edge" => Pad2d::new([1, 2, 2, 1], PadMode::Edge),
        "pad_symmetric" => Pad2d::new([1, 2, 3, 0], PadMode::Symmetric),
        "upsample" => Upsample::new([2, 3]),
        "upsample_bilinear" => Upsample::new([2, 3]).interpolation(Interpolation::Bilinear),
        "resize_nearest" => Resize2d::new([7, 13]),
        "resize_bilinear" => Resize2d::new([7, 13]).interpolation(Interpolation::Bilinear),
        "resize_corners" => Resize2d::new([7, 13]).interpolation(Interpolation::BilinearAlignCorners),
        "slice" => Slice::new(2, 1..7).step(2),
        "slice_channels" => Slice::new(3, 1..3),
        "dropout" => Dropout::new(0.5),
        "flatten" => Flatten,
        "reshape" => Reshape::new([6, 48]),
        "softmax" => Activation::Softmax,
        "prelu" => PRelu,
    });
    folder.check();
}

#[test]
fn images_become_rows_without_a_transpose() {
    let mut folder = Folder::new();
    let network = model(&IMAGE, |x| {
        let x = Conv2d::new(5, 3).activation(Relu).on(x)?;
        let x = BatchNorm::new()
            .on(&Dropout::new(0.5).on(&Flatten.on(&MaxPool2d::new(2).round_down().on(&x)?)?)?)?;
        let x = Dense::new(7).activation(Tanh).on(&PRelu.on(&x)?)?;
        Dense::new(3).on(&x)
    });
    let written = folder.add("flattened", &network);
    let kinds: Vec<&str> = written
        .graph
        .as_ref()
        .unwrap()
        .node
        .iter()
        .map(|n| n.op_type.as_str())
        .collect();
    assert!(!kinds.contains(&"Transpose"), "{kinds:?}");
    assert_eq!(
        kinds.iter().filter(|k| **k == "Gemm" || **k == "Conv").count(),
        3,
        "{kinds:?}"
    );
    let back = model(&IMAGE, |x| {
        Conv2d::new(2, 3).on(&Reshape::new(IMAGE).on(&Flatten.on(x)?)?)
    });
    let written = folder.add("back", &back);
    assert!(
        written
            .graph
            .unwrap()
            .node
            .iter()
            .all(|n| n.op_type != "Transpose")
    );
    let rows = model(&IMAGE, |x| Slice::new(1, 3..90).on(&Flatten.on(x)?));
    folder.add("rows", &rows);
    folder.check();
}

#[test]
fn layers_of_rows_and_sequences() {
    let mut folder = Folder::new();
    layers!(folder, [6], {
        "dense" => Dense::new(4).activation(Gelu),
        "maxout" => Maxout::new(4, 3),
        "batch_norm_rows" => BatchNorm::new(),
        "log_softmax" => Activation::Softmax,
    });
    layers!(folder, [7, 6], {
        "dense_sequence" => Dense::new(4).activation(Silu),
        "conv1d" => Conv1d::new(4, 3).stride(2).padding(1).round_down(),
        "max_pool1d" => MaxPool1d::new(3).stride(2),
        "mean_over_steps" => GlobalAvgPool1d,
        "batch_norm_sequence" => BatchNorm::new(),
        "layer_norm_sequence" => LayerNorm::new(),
        "rnn" => Rnn::new(5),
        "rnn_relu_reversed" => Rnn::new(5).relu().reversed().sequence(),
        "lstm" => Lstm::new(5),
        "lstm_stacked" => Lstm::new(5).layers(2).bidirectional().sequence(),
        "gru" => Gru::new(5),
        "gru_reset_before" => Gru::new(5).reset_before().bidirectional(),
        "attention" => MultiHeadAttention::new(3),
        "attention_causal" => MultiHeadAttention::new(2).causal(),
        "transformer" => TransformerEncoder::new(3).hidden(9),
        "transformer_pre_norm" => TransformerEncoder::new(3).pre_norm().dropout(0.1),
        "positions" => PositionalEncoding::new(),
        "positions_learned" => PositionalEncoding::new().learned(),
    });
    folder.add(
        "graph_conv",
        &model(&[4, 6], |x| {
            GraphConv::new(5).on(x, &adjacency(4, &[(0, 1), (1, 2)])?)
        }),
    );
    folder.check();
}

#[test]
fn several_inputs() {
    let mut folder = Folder::new();
    let (x, present) = (Symbol::input("x", [5, 4]), Symbol::input("present", [5]));
    let y = TransformerEncoder::new(2).on_masked(&x, &present).unwrap();
    folder.add("masked", &Model::with("masked", &[x, present], &[y]).unwrap());
    let (x, first) = (Symbol::input("x", [5, 4]), Symbol::input("first", [6]));
    let y = Lstm::new(3).on_from(&x, &[&first]).unwrap();
    folder.add("first_state", &Model::with("first", &[x, first], &[y]).unwrap());
    let (x, near) = (Symbol::input("x", [5, 4]), Symbol::input("near", [5, 5]));
    let near_positive = near.mul(&near).unwrap();
    let y = GraphConv::new(3).on(&x, &near_positive).unwrap();
    folder.add("graph", &Model::with("graph", &[x, near], &[y]).unwrap());
    let (a, b) = (Symbol::input("a", [6, 5, 2]), Symbol::input("b", [6, 5, 3]));
    let y = Conv2d::new(2, 3)
        .on(&Concat::new().on(&[&a, &b]).unwrap())
        .unwrap();
    folder.add("joined", &Model::with("joined", &[a, b], &[y]).unwrap());
    folder.check();
}

#[test]
fn activations_and_arithmetic() {
    let mut folder = Folder::new();
    layers!(folder, [3, 4, 5], {
        "relu" => Relu, "leaky_relu" => LeakyRelu(0.125), "elu" => Elu(1.5), "relu6" => Relu6, "sigmoid" => Sigmoid,
        "tanh" => Tanh, "scaled_tanh" => ScaledTanh, "gelu" => Gelu, "silu" => Silu, "softplus" => Softplus,
    });
    for (name, kind) in [
        ("exp", UnaryKind::Exp),
        ("square", UnaryKind::Square),
        ("abs", UnaryKind::Abs),
        ("power", UnaryKind::Power(3.0)),
    ] {
        folder.add(name, &model(&[3, 4, 5], |x| x.unary(kind)));
    }
    let positive = |x: &Symbol| x.mul(x)?.affine(1.0, 0.5);
    folder.add("sqrt", &model(&[4], |x| positive(x)?.unary(UnaryKind::Sqrt)));
    folder.add("log", &model(&[4], |x| positive(x)?.unary(UnaryKind::Log)));
    folder.add(
        "arithmetic",
        &model(&[3, 4, 5], |x| {
            let vector = Symbol::parameter("v", [5], graph::Init::Uniform(1.0));
            let plane = Symbol::parameter("p", [3, 4, 5], graph::Init::Uniform(1.0));
            let y = x.sub(&vector)?.maximum(&plane)?.minimum(&x.neg()?)?;
            y.add(&x.at_least(&vector)?)?.div(&positive(x)?)
        }),
    );
    for kind in [
        FunctionKind::Sin,
        FunctionKind::Atan,
        FunctionKind::Erf,
        FunctionKind::Truncate,
        FunctionKind::IsNan,
    ] {
        let function = |x: &Symbol| Symbol::apply(Function { kind }, &[&x.affine(3.0, 0.0)?]);
        folder.add(&format!("{kind:?}"), &model(&[3, 4, 5], function));
    }
    folder.add(
        "select",
        &model(&[3, 4, 5], |x| {
            let positive = x.at_least(&Symbol::constant(0.0, []))?;
            Symbol::apply(
                Select {},
                &[
                    &positive,
                    x,
                    &Symbol::parameter("p", [5], graph::Init::Uniform(1.0)),
                ],
            )
        }),
    );
    let places = || Symbol::constants(vec![2.0, 0.0], [2]);
    folder.add(
        "take",
        &model(&[3, 4, 5], |x| Symbol::apply(Take { axis: 3 }, &[x, &places()])),
    );
    let most = ArgMax { axis: 3, last: false };
    folder.add("arg_max", &model(&[3, 4, 5], |x| Symbol::apply(most, &[x])));
    folder.add(
        "sums",
        &model(&[3, 4, 5], |x| {
            let rows = x.reduce(graph::ops::ReduceKind::Sum, &[2])?;
            x.mul(&rows)?
                .add(&x.reduce(graph::ops::ReduceKind::Max, &[1, 3])?)
        }),
    );
    folder.check();
}

#[test]
fn small_networks_of_the_zoo() {
    let mut folder = Folder::new();
    for (name, sample, outputs) in [
        ("lenet1", [28, 28, 1], 10),
        ("lenet5", [28, 28, 1], 10),
        ("cnn-small", [28, 28, 1], 10),
        ("local", [28, 28, 1], 10),
        ("maxout", [28, 28, 1], 10),
        ("capsnet-small", [28, 28, 1], 10),
        ("resnet20", [32, 32, 3], 10),
        ("squeezenet", [64, 64, 3], 10),
        ("unet", [32, 32, 3], 4),
    ] {
        match zoo::build(name, &sample, outputs) {
            Ok(model) => drop(folder.add(name, &model)),
            Err(error) => panic!("{error}"),
        }
    }
    folder.check();
}

/// Minutes, and 10 GB of memory for the largest.
#[test]
#[ignore = "every named network at its own size: minutes and gigabytes"]
fn every_network_of_the_zoo() {
    let mut failed = Vec::new();
    for network in zoo::NAMES {
        let mut folder = Folder::new();
        let model = zoo::build(network.name, network.input, network.outputs).unwrap();
        folder.add_one_batch(network.name, &model, 1);
        failed.extend(folder.failures());
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn batch_norm_may_be_folded_and_normalisation_baked_in() {
    let network = model(&[6, 5, 3], |x| {
        BatchNorm::new().on(&Conv2d::new(4, 3).no_bias().on(x)?)
    });
    let mut folder = Folder::new();
    let folded = Options {
        fold_batch_norm: true,
        ..Options::default()
    };
    let written = folder.add_with("folded", &network, &folded, &network);
    let kinds: Vec<String> = written
        .graph
        .unwrap()
        .node
        .iter()
        .map(|n| n.op_type.clone())
        .collect();
    assert_eq!(kinds, ["Conv"]);
    // What the file is told to do with pixels, done in the graph.
    let normalisation = Normalisation {
        scale: vec![0.5, 2.0, -1.0],
        shift: vec![0.1, 0.2, 0.3],
    };
    let same = model(&[6, 5, 3], |x| {
        let x = x.mul(&Symbol::constants(normalisation.scale.clone(), [3]))?;
        let x = x.add(&Symbol::constants(normalisation.shift.clone(), [3]))?;
        BatchNorm::new().on(&Conv2d::new(4, 3).no_bias().on(&x)?)
    });
    let options = Options {
        normalisation: Some(normalisation),
        ..Options::default()
    };
    folder.add_with("normalised", &network, &options, &same);
    folder.check();
    let wrong = Options {
        normalisation: Some(Normalisation {
            scale: vec![1.0],
            shift: vec![0.0],
        }),
        ..Options::default()
    };
    let message = export::export(&network, &tensors(&network), &wrong)
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "the normalisation is for 1 channels, but the network reads 3"
    );
}

#[test]
fn a_fully_convolutional_network_takes_images_of_any_size() {
    let mut folder = Folder::new();
    let network = model(&[8, 8, 3], |x| {
        let y = Conv2d::new(4, 3).padding(Same).stride(2).activation(Relu).on(x)?;
        let y = Upsample::new(2).on(&BatchNorm::new().on(&MaxPool2d::new(2).on(&y)?)?)?;
        Upsample::new(2)
            .interpolation(Interpolation::Bilinear)
            .on(&Conv2d::new(2, 1).on(&y)?)
    });
    folder.add("own_size", &network);
    folder.add_at("other_size", "own_size", &network, &[12, 20, 3]);
    let classes = model(&[8, 8, 3], |x| {
        Dense::new(3).on(&GlobalAvgPool2d.on(&Conv2d::new(4, 3).stride(2).padding(Same).on(x)?)?)
    });
    folder.add("classes", &classes);
    folder.add_at("other_classes", "classes", &classes, &[13, 7, 3]);
    folder.check();
}

#[test]
fn what_onnx_cannot_say_is_refused_by_name() {
    let network = model(&[5, 5, 2], |x| {
        let pool = graph::ops::Pool2d {
            kind: graph::ops::PoolKind::Average { count_padding: false },
            size: [2, 2],
            window: graph::ops::Window {
                dilation: [2, 2],
                ..Default::default()
            },
        };
        let _layer = graph::Scope::enter("pool", Some("thin"));
        Symbol::apply(pool, &[x])
    });
    let message = export::export(&network, &[], &Options::default())
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "ONNX has no operator for `average_pool2d` in layer `thin`: means have no dilation before opset 19"
    );
    let loss = model(&[5], |x| {
        Symbol::apply(graph::ops::SumLike {}, &[x, &Symbol::constant(0.0, [])])
    });
    let message = export::export(&loss, &[], &Options::default())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("`sum_like`: it belongs to training"),
        "{message}"
    );
    let dense = model(&[5], |x| Dense::new(2).on(x));
    let message = export::export(&dense, &[], &Options::default())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("`dense.weight` has 0 numbers, expected 10"),
        "{message}"
    );
    assert!(numbers(3, 1).iter().all(|x| x.abs() <= 1.0));
}
