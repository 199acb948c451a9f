//! The ways that convolutions are computed in: straight from the image, gathered, by channels, with the
//! weights split between the threads. Each is chosen by shape, so each shape here is there for one of them.
#![allow(clippy::unwrap_used)]

mod common;

use common::check;
use graph::Symbol;
use graph::ops::{Conv2d, Conv2dTransposed, Fit, Padding, Window};
use proptest::prelude::*;

fn parameter(shape: &[usize]) -> Symbol {
    Symbol::parameter("p", shape.to_vec(), Default::default())
}

fn conv(stride: usize, dilation: usize, padding: usize, groups: usize) -> Conv2d {
    let window = Window {
        stride: [stride; 2],
        dilation: [dilation; 2],
        padding: Padding::Explicit([padding; 4]),
        fit: Fit::Floor,
    };
    Conv2d { window, groups }
}

/// Convolution with bias and ReLU, on every instruction set and number of threads, and its gradients.
fn check_conv(image: [usize; 3], kernel: usize, outputs: usize, op: Conv2d, batch: usize) {
    let x = Symbol::input("x", image.to_vec());
    let w = parameter(&[kernel, kernel, image[2] / op.groups, outputs]);
    let y = Symbol::apply(op, &[&x, &w]).unwrap();
    check(
        &y.add(&parameter(&[outputs]))
            .unwrap()
            .unary(graph::ops::UnaryKind::Relu)
            .unwrap(),
        batch,
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    /// Few columns and many channels: pixels of several samples are gathered.
    #[test]
    fn small_images_with_many_channels(
        h in 1usize..5, w in 1usize..9, c in 16usize..40, o in 48usize..70, kernel in 2usize..4, stride in 1usize..3,
        padding in 0usize..2, batch in 1usize..12,
    ) {
        prop_assume!(h + 2 * padding >= kernel && w + 2 * padding >= kernel);
        check_conv([h, w, c], kernel, o, conv(stride, 1, padding, 1), batch);
        check_conv([h, w, c], kernel, o, conv(stride, 1, padding, 1), batch + 12);
    }

    /// A filter for each channel.
    #[test]
    fn depthwise(
        h in 3usize..8, w in 3usize..12, c in 2usize..40, kernel in 1usize..4, stride in 1usize..3, dilation in 1usize..3,
        padding in 0usize..3, batch in 1usize..6,
    ) {
        prop_assume!(h.min(w) + 2 * padding > dilation * (kernel - 1));
        check_conv([h, w, c], kernel, c, conv(stride, dilation, padding, c), batch);
    }

    /// Padding wider than the kernel, strides wider than the kernel, lines longer and shorter than a tile.
    #[test]
    fn odd_windows(
        h in 1usize..20, w in 1usize..40, c in 1usize..20, o in 1usize..40, kernel in 1usize..5, stride in 1usize..5,
        dilation in 1usize..3, padding in 0usize..6, batch in 1usize..4,
    ) {
        prop_assume!(h.min(w) + 2 * padding > dilation * (kernel - 1));
        check_conv([h, w, c], kernel, o, conv(stride, dilation, padding, 1), batch);
    }

    /// What a decoder does: every pixel becomes stride² pixels.
    #[test]
    fn transposed_as_a_layer(h in 1usize..6, w in 1usize..12, c in 1usize..20, o in 1usize..20, kernel in 1usize..4, stride in 1usize..4, batch in 1usize..4) {
        let y = Symbol::input("y", [h, w, c]);
        let filter = parameter(&[kernel, kernel, o, c]);
        let op = Conv2dTransposed { conv: conv(stride, 1, 0, 1), output_padding: [0, 0] };
        check(&Symbol::apply(op, &[&y, &filter]).unwrap(), batch);
    }
}

/// More partial results than are worth having: pieces of the weights see all samples.
#[test]
fn many_weights_on_few_pixels() {
    check_conv([3, 3, 128], 3, 144, conv(1, 1, 1, 1), 9);
    check_conv([3, 3, 128], 3, 144, conv(2, 1, 1, 1), 7);
}

/// One sample alone is split by its rows.
#[test]
fn one_large_image() {
    check_conv([37, 29, 16], 3, 20, conv(1, 1, 1, 1), 1);
    check_conv([37, 29, 3], 5, 17, conv(2, 1, 2, 1), 1);
}

/// Rows that do not fit a core's cache are taken in blocks.
#[test]
fn an_image_larger_than_a_cache() {
    check_conv([40, 300, 24], 3, 8, conv(1, 1, 1, 1), 2);
    check_conv([41, 301, 24], 2, 8, conv(2, 1, 0, 1), 2);
}
