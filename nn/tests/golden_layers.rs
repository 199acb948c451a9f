//! Layers and activations give PyTorch's outputs and gradients.

// The lint's allowance for tests does not reach the helpers of an integration test.
#![allow(clippy::unwrap_used)]

mod golden;

use std::collections::BTreeMap;

use golden::{Case, check, read};
use graph::ops::PadMode;
use graticule_nn::layers::Interpolation;
use graticule_nn::prelude::*;

type Build = Box<dyn Fn(&[&Symbol]) -> Result<Symbol, GraphError>>;

/// A layer that reads one symbol, with its fixture's name.
macro_rules! table {
    ($($name:literal => $layer:expr),* $(,)?) => {
        BTreeMap::from([$(($name, Box::new(|x: &[&Symbol]| $layer.on(x[0])) as Build)),*])
    };
}

fn compare(fixture: &str, layers: BTreeMap<&str, Build>) {
    let cases: Vec<Case> = read(fixture);
    let named = cases.iter().filter(|c| layers.contains_key(c.name.as_str()));
    let mut checked = 0;
    for case in named {
        check(case, &layers[case.name.as_str()]);
        checked += 1;
    }
    assert_eq!(checked, layers.len(), "a layer has no fixture");
}

#[test]
fn dense_and_embedding() {
    compare(
        "layers",
        table! {
            "dense" => Dense::new(4),
            "dense_no_bias" => Dense::new(1).no_bias(),
            "dense_rows" => Dense::new(4),
            "maxout" => Maxout::new(4, 3),
            "embedding" => Embedding::new(7, 5),
        },
    );
}

#[test]
fn convolutions() {
    compare(
        "layers",
        table! {
            "conv2d_valid" => Conv2d::new(5, [3, 2]),
            "conv2d_stride" => Conv2d::new(3, [3, 4]).stride([2, 1]),
            "conv2d_explicit" => Conv2d::new(3, 3).padding([1, 2, 0, 3]),
            "conv2d_dilation" => Conv2d::new(3, 3).dilation([2, 3]).padding(1),
            "conv2d_groups" => Conv2d::new(9, 3).groups(3).padding(1),
            "conv2d_same_stride" => Conv2d::new(3, [4, 3]).stride([2, 3]).padding(Same),
            "conv2d_full" => Conv2d::new(3, [3, 2]).padding(Full).no_bias(),
            "conv2d_round_down" => Conv2d::new(2, 3).stride([3, 4]).round_down(),
            "conv2d_1x1" => Conv2d::new(7, 1),
            "conv2d_pad_constant" => Conv2d::new(2, 3).padding(Same).pad_value(PadValue::Constant(0.5)),
            "conv2d_pad_symmetric" => Conv2d::new(2, [5, 4]).padding(Same).pad_value(PadValue::Symmetric),
            "depthwise_conv2d" => DepthwiseConv2d::new(3).multiplier(2).padding(1),
            "conv1d" => Conv1d::new(4, 3).stride(2).dilation(2).padding(1),
            "conv_transpose2d" =>
                ConvTranspose2d::new(6, 3).stride([2, 3]).padding([1, 1, 0, 0]).output_padding([1, 0]),
            "conv_transpose2d_groups" => ConvTranspose2d::new(6, 3).dilation(2).groups(2).padding(1),
            "locally_connected2d" => LocallyConnected2d::new(3, [3, 2]).stride([2, 1]),
        },
    );
}

#[test]
fn rounded_pools() {
    compare(
        "rounded_pools",
        table! {
            "max_pool2d_round_up" => MaxPool2d::new(3).stride(2).round_up(),
            "max_pool2d_round_up_padded" => MaxPool2d::new(3).stride(2).padding(1).round_up(),
            "avg_pool2d_round_up" => AvgPool2d::new(2).round_up(),
            "adaptive_avg_pool2d" => AdaptiveAvgPool2d::new([3, 5]),
            "adaptive_avg_pool2d_even" => AdaptiveAvgPool2d::new([7, 4]),
            "adaptive_avg_pool2d_larger" => AdaptiveAvgPool2d::new(7),
            "adaptive_avg_pool2d_same" => AdaptiveAvgPool2d::new([7, 8]),
        },
    );
}

#[test]
fn attention() {
    compare(
        "attention",
        table! { "multi_head_attention" => MultiHeadAttention::new(3) },
    );
}

#[test]
fn l37_recurrent_layers() {
    let mut layers = table! {
        "rnn" => Rnn::new(4),
        "rnn_relu_reversed" => Rnn::new(3).relu().reversed().sequence(),
        "lstm" => Lstm::new(4),
        "lstm_sequence" => Lstm::new(3).sequence(),
        "lstm_stacked" => Lstm::new(3).layers(2).bidirectional(),
        "gru" => Gru::new(4),
        "gru_stacked" => Gru::new(3).layers(2).bidirectional().sequence(),
        "gru_reset_before" => Gru::new(3).reset_before().sequence(),
    };
    let from = |x: &[&Symbol]| Lstm::new(3).sequence().on_from(x[1], &[x[0]]);
    layers.insert("lstm_first_state", Box::new(from));
    compare("sequences", layers);
}

#[test]
fn l37_transformer_and_graph_convolution() {
    let mut layers = table! {
        "transformer" => TransformerEncoder::new(2).hidden(5),
        "transformer_pre_norm" => TransformerEncoder::new(3).hidden(8).activation(Gelu).pre_norm().causal(),
        "positions" => PositionalEncoding::new(),
    };
    let masked = |x: &[&Symbol]| TransformerEncoder::new(2).hidden(5).on_masked(x[1], x[0]);
    layers.insert("transformer_masked", Box::new(masked));
    let ring = |x: &[&Symbol]| {
        let edges = [(0, 1), (1, 2), (2, 3), (3, 0), (1, 3)];
        GraphConv::new(4)
            .activation(Relu)
            .on(x[0], &adjacency(5, &edges)?)
    };
    layers.insert("graph_conv_constant", Box::new(ring));
    let given = |x: &[&Symbol]| GraphConv::new(4).no_bias().on(x[1], x[0]);
    layers.insert("graph_conv_input", Box::new(given));
    compare("sequences", layers);
}

#[test]
fn pools() {
    compare(
        "layers",
        table! {
            "max_pool2d" => MaxPool2d::new(2).round_down(),
            "max_pool2d_overlapping" => MaxPool2d::new([3, 2]).overlapping(),
            "max_pool2d_padded" => MaxPool2d::new(3).stride(2).padding(1).round_down(),
            "max_pool2d_same" => MaxPool2d::new(3).stride(2).padding(Same),
            "min_pool2d" => MinPool2d::new(2).round_down(),
            "avg_pool2d" => AvgPool2d::new(2).round_down(),
            "avg_pool2d_padded" => AvgPool2d::new(3).stride(2).padding(1).round_down(),
            "avg_pool2d_count_padding" =>
                AvgPool2d::new(3).stride(2).padding(1).count_padding().round_down(),
            "l2_pool2d" => L2Pool2d::new(2).round_down(),
            "max_pool1d" => MaxPool1d::new(3).stride(2),
            "avg_pool1d" => AvgPool1d::new(3).stride(2),
            "global_avg_pool2d" => GlobalAvgPool2d,
            "global_max_pool2d" => GlobalMaxPool2d,
        },
    );
}

#[test]
fn shaping() {
    let mut layers = table! {
        "flatten" => Flatten,
        "reshape" => Reshape::new([2, 6]),
        "slice" => Slice::new(1, 1..8).step(3),
        "zero_pad2d" => ZeroPad2d::new([1, 3, 2, 0]),
        "pad2d_reflect" => Pad2d::new([1, 2, 2, 1], PadMode::Reflect),
        "pad2d_edge" => Pad2d::new([1, 2, 2, 1], PadMode::Edge),
        "pad2d_symmetric" => Pad2d::new([1, 2, 3, 0], PadMode::Symmetric),
        "upsample_nearest" => Upsample::new([2, 3]),
        "resize_nearest" => Resize2d::new([7, 3]),
        "resize_bilinear" => Resize2d::new([9, 3]).interpolation(Interpolation::Bilinear),
        "resize_bilinear_corners" =>
            Resize2d::new([7, 8]).interpolation(Interpolation::BilinearAlignCorners),
    };
    layers.insert("concat", Box::new(|parts| Concat::new().on(parts)));
    layers.insert("add", Box::new(|parts| Add.on(parts)));
    compare("layers", layers);
}

#[test]
fn norms() {
    compare(
        "layers",
        table! {
            "layer_norm" => LayerNorm::new(),
            "local_response_norm" => LocalResponseNorm::new(5).alpha(0.5).k(2.0),
            "local_response_norm_even" => LocalResponseNorm::new(4).alpha(0.5),
        },
    );
}

#[test]
fn activations() {
    compare(
        "activations",
        table! {
            "linear" => Linear,
            "relu" => Relu,
            "leaky_relu" => LeakyRelu(0.125),
            "elu" => Elu(1.5),
            "prelu" => PRelu,
            "relu6" => Relu6,
            "sigmoid" => Sigmoid,
            "tanh" => Tanh,
            "scaled_tanh" => ScaledTanh,
            "softmax" => Activation::Softmax,
            "gelu" => Gelu,
            "silu" => Silu,
            "softplus" => Softplus,
        },
    );
}
