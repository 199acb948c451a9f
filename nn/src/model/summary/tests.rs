use graph::ops::{Conv2d, MatMul, Window};
use graph::{Binding, Scope, Shape, Symbol};

use crate::model::{Model, summary};

fn conv(x: &Symbol, filters: usize, kernel: usize, stride: usize) -> Symbol {
    let _layer = Scope::enter("conv2d", None);
    let w = Symbol::parameter(
        "weight",
        [kernel, kernel, x.shape()[3], filters],
        Default::default(),
    );
    let b = Symbol::parameter("bias", [filters], Default::default());
    let window = Window {
        stride: [stride; 2],
        ..Window::default()
    };
    let y = Symbol::apply(Conv2d { window, groups: 1 }, &[x, &w]).unwrap();
    let y = y.add(&b).unwrap();
    let _inner = Scope::enter("relu", None);
    y.unary(graph::ops::UnaryKind::Relu).unwrap()
}

fn dense(x: &Symbol, units: usize) -> Symbol {
    let _layer = Scope::enter("dense", None);
    let w = Symbol::parameter("weight", [x.shape()[1], units], Default::default());
    let b = Symbol::parameter("bias", [units], Default::default());
    let y = Symbol::apply(MatMul::default(), &[x, &w]).unwrap();
    y.add(&b).unwrap()
}

#[test]
fn x15_conv_layer_row() {
    let x = Symbol::input("image", [32, 32, 3]);
    let model = Model::new("one", &x, &conv(&x, 6, 5, 1)).unwrap();
    let table = summary(&model, &Binding::batch(1)).unwrap();
    let row = &table.layers[1];
    assert_eq!((row.name.as_str(), row.kind.as_str()), ("conv2d", "conv2d"));
    assert_eq!(row.output_shape, [1, 28, 28, 6]);
    assert_eq!(row.parameters, 456);
    assert_eq!(row.macs, 28 * 28 * 450 * 6 / 6);
    assert_eq!(row.flops, 2 * row.macs + 2 * 28 * 28 * 6);
    assert_eq!(row.receptive_field, Some([5, 5]));
}

#[test]
fn x22_two_dense_layers() {
    let x = Symbol::input("x", [28 * 28 * 3]);
    let model = Model::new("mlp", &x, &dense(&dense(&x, 1000), 1000)).unwrap();
    let table = summary(&model, &Binding::batch(1)).unwrap();
    assert_eq!(table.parameters, 3_354_000);
    assert_eq!(table.macs, 3_352_000);
    assert_eq!(table.layers[2].name, "dense_1");
    assert_eq!(table.layers[2].receptive_field, None);
}

#[test]
fn x21_macs_and_flops_stand_apart_and_scale_with_the_batch() {
    let x = Symbol::input("x", [10]);
    let model = Model::new("linear", &x, &dense(&x, 4)).unwrap();
    let one = summary(&model, &Binding::batch(1)).unwrap();
    let eight = summary(&model, &Binding::batch(8)).unwrap();
    assert_eq!((one.macs, one.flops), (40, 84));
    assert_eq!((eight.macs, eight.flops), (320, 672));
}

#[test]
fn l27_a_dense_layer_sees_the_whole_image() {
    let x = Symbol::input("image", [11, 9, 1]);
    let y = conv(&conv(&x, 4, 3, 2), 4, 3, 1);
    assert_eq!(y.shape(), &Shape::new(&[1, 3, 2, 4]));
    let flat = y
        .reshape(&[graph::ops::Axis::Keep(0), graph::ops::Axis::Rest])
        .unwrap();
    let model = Model::new("net", &x, &dense(&flat, 2)).unwrap();
    let table = summary(&model, &Binding::batch(1)).unwrap();
    let seen: Vec<_> = table
        .layers
        .iter()
        .map(|r| (r.kind.as_str(), r.receptive_field))
        .collect();
    assert_eq!(
        seen,
        [
            ("input", Some([1, 1])),
            ("conv2d", Some([3, 3])),
            ("conv2d", Some([7, 7])),
            ("reshape", Some([7, 7])),
            ("dense", Some([11, 9])),
        ]
    );
}

#[test]
fn text_is_aligned() {
    let x = Symbol::input("image", [32, 32, 3]);
    let model = Model::new("one", &x, &conv(&x, 6, 5, 1)).unwrap();
    let text = summary(&model, &Binding::batch(1)).unwrap().to_string();
    let expected = "\
layer   kind    output   parameters     MACs    FLOPs  sees    as dense
───────────────────────────────────────────────────────────────────────
image   input   32×32×3           0        0        0   1×1
conv2d  conv2d  28×28×6         456  352,800  715,008   5×5  14,450,688
───────────────────────────────────────────────────────────────────────
total                           456  352,800  715,008
456 parameters, 456 trainable, 0 not";
    assert_eq!(text, expected);
}

/// Weights of the only layer that `line` describes.
fn weights(line: &str, input: &[usize]) -> usize {
    let model = crate::model::text::from_line(line, input, None).unwrap();
    model.parameters()[0].count()
}

#[test]
fn x23_a_dense_layer_on_a_large_image() {
    assert_eq!(224 * 224 * 3, 150_528);
    let x = Symbol::input("x", [224 * 224 * 3]);
    let model = Model::new("dense", &x, &dense(&x, 150_520)).unwrap();
    assert_eq!(model.parameters()[0].count(), 22_657_474_560);
}

#[test]
fn x24_one_filter_as_large_as_nearly_the_image() {
    assert_eq!(weights("flatten, dense 1000", &[1000, 1000, 1]), 1_000_000_000);
    assert_eq!(weights("conv 1 967", &[1000, 1000, 1]), 935_089);
}

#[test]
fn x25_dense_local_and_shared_weights() {
    let image = [200, 200, 1];
    assert_eq!(weights("flatten, dense 40000", &image), 1_600_000_000);
    // The deck has one unit for each pixel, so the window reaches over the border.
    assert_eq!(weights("local 1 10 same", &image), 4_000_000);
    assert_eq!(weights("conv 100 10", &image), 10_000);
}

#[test]
fn x26_parameter_formulas() {
    let count = |line: &str, input: &[usize]| {
        crate::model::text::from_line(line, input, None)
            .unwrap()
            .parameter_count()
    };
    let (previous, current) = (30, 20);
    assert_eq!(count("dense 20", &[previous]), current * previous + current);
    // A convolution's neuron: the numbers of its kernel and one bias, whatever the image's size.
    assert_eq!(count("conv 1 5", &[28, 28, 1]), 25 + 1);
    assert_eq!(count("conv 1 5", &[200, 200, 1]), 25 + 1);
    // K units on K numbers: K² weights as a dense layer, the size of the window as a convolution.
    assert_eq!(count("dense 50 nobias", &[50]), 50 * 50);
    assert_eq!(count("conv1d 1 3 same nobias", &[50, 1]), 3);
}

/// The rows and columns of the image that change what stands at `position` of `node`, found by changing each pixel.
fn found_by_trying(model: &Model, node: &Symbol, position: [usize; 2]) -> [std::ops::Range<i64>; 2] {
    use graph::interpret::evaluate;
    use ndarray::ArrayD;
    let shape: Vec<usize> = model.input().shape().to_vec();
    let given = |image: ArrayD<f64>| {
        let ones = |p: &crate::model::NamedParameter| (p.symbol.clone(), ArrayD::ones(&p.shape()[..]));
        let mut all: Vec<(Symbol, ArrayD<f64>)> = model.parameters().iter().map(ones).collect();
        all.push((model.input().clone(), image));
        all
    };
    let answer = |image| {
        let all = given(image);
        let given: Vec<(&Symbol, ArrayD<f64>)> = all.iter().map(|(s, v)| (s, v.clone())).collect();
        evaluate(std::slice::from_ref(node), &given, 1).unwrap().remove(0)[[0, position[0], position[1], 0]]
    };
    let image = ArrayD::from_shape_fn(&shape[..], |at| 1.0 + 0.01 * (at[1] * 7 + at[2] * 3) as f64);
    let before = answer(image.clone());
    let mut seen: [Option<std::ops::Range<i64>>; 2] = [None, None];
    for (row, column) in (0..shape[1]).flat_map(|y| (0..shape[2]).map(move |x| (y, x))) {
        let mut other = image.clone();
        other[[0, row, column, 0]] += 1000.0;
        if answer(other) != before {
            for (range, place) in seen.iter_mut().zip([row as i64, column as i64]) {
                *range = Some(match range.take() {
                    Some(so_far) => so_far.start.min(place)..so_far.end.max(place + 1),
                    None => place..place + 1,
                });
            }
        }
    }
    seen.map(Option::unwrap)
}

fn inside(seen: [std::ops::Range<i64>; 2], [height, width]: [usize; 2]) -> [std::ops::Range<i64>; 2] {
    let [rows, columns] = seen;
    let clip = |r: std::ops::Range<i64>, most: usize| r.start.max(0)..r.end.min(most as i64);
    [clip(rows, height), clip(columns, width)]
}

#[test]
fn l25_what_a_position_sees_lies_where_changing_pixels_finds_it() {
    use crate::model::receptive_fields;
    use crate::prelude::*;
    let image = Symbol::input("image", [13, 11, 1]);
    let strided = Conv2d::new(2, 3).stride(2).padding(1).on(&image).unwrap();
    let same = Conv2d::new(2, 4).stride(2).padding(Same).on(&strided).unwrap();
    let dilated = Conv2d::new(2, 3).dilation(2).padding(2).on(&image).unwrap();
    let pooled = MaxPool2d::new(3).stride(2).on(&dilated).unwrap();
    let plain = Conv2d::new(2, 1).stride(2).on(&image).unwrap();
    let joined = strided.add(&plain).unwrap();
    for (node, positions) in [
        (&strided, [[0, 0], [3, 5]]),
        (&same, [[0, 0], [3, 1]]),
        (&dilated, [[2, 0], [6, 10]]),
        (&pooled, [[0, 2], [5, 4]]),
        (&joined, [[0, 0], [2, 3]]),
    ] {
        let model = Model::new("net", &image, node).unwrap();
        let fields = receptive_fields(&model, &Binding::batch(1)).unwrap();
        for position in positions {
            let told = inside(fields[&node.id()].pixels(position), [13, 11]);
            assert_eq!(
                told,
                found_by_trying(&model, node, position),
                "{node:?} at {position:?}"
            );
        }
    }
}

#[test]
fn what_a_position_behind_a_transposed_convolution_sees_is_within_what_is_told() {
    use crate::model::receptive_fields;
    use crate::prelude::*;
    let image = Symbol::input("image", [8, 8, 1]);
    let small = Conv2d::new(2, 3).padding(1).on(&image).unwrap();
    let large = ConvTranspose2d::new(1, 2).stride(2).on(&small).unwrap();
    let model = Model::new("net", &image, &large).unwrap();
    let fields = receptive_fields(&model, &Binding::batch(1)).unwrap();
    for position in [[0, 0], [5, 6], [9, 9], [15, 8]] {
        let (told, found) = (
            inside(fields[&large.id()].pixels(position), [8, 8]),
            found_by_trying(&model, &large, position),
        );
        for (told, found) in told.iter().zip(&found) {
            assert!(
                told.start <= found.start && told.end >= found.end,
                "{position:?}: {told:?} {found:?}"
            );
            assert!(
                told.end - told.start <= found.end - found.start + 2,
                "{position:?}: {told:?} {found:?}"
            );
        }
    }
}
