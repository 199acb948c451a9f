//! The decks' worked numbers on image operations (curriculum X9–X16, X24, X28–X31).

#![allow(clippy::unwrap_used)]

use graticule_data::filter::{Named, Padding, Window, correlate, output_shape, output_size};
use ndarray::{Array2, Array3, Axis, array};

fn image(cells: Array2<f32>) -> Array3<f32> {
    cells.insert_axis(Axis(2))
}

fn deck_002() -> (Array3<f32>, Array2<f32>) {
    let picture = array![
        [3., 3., 2., 1., 0.],
        [0., 0., 1., 3., 1.],
        [3., 1., 2., 2., 3.],
        [2., 0., 0., 2., 2.],
        [2., 0., 0., 0., 1.]
    ];
    (image(picture), array![[0., 1., 2.], [2., 2., 0.], [0., 1., 2.]])
}

#[test]
fn x9_valid_convolution_of_a_binary_image() {
    let picture = array![
        [1., 1., 1., 0., 0.],
        [0., 1., 1., 1., 0.],
        [0., 0., 1., 1., 1.],
        [0., 0., 1., 1., 0.],
        [0., 1., 1., 0., 0.]
    ];
    let kernel = array![[1., 0., 1.], [0., 1., 0.], [1., 0., 1.]];
    let found = correlate(image(picture).view(), kernel.view(), &Window::valid()).unwrap();
    assert_eq!(found, image(array![[4., 3., 4.], [2., 4., 3.], [2., 3., 4.]]));
}

#[test]
fn x10_valid_correlation() {
    let (picture, kernel) = deck_002();
    let found = correlate(picture.view(), kernel.view(), &Window::valid()).unwrap();
    assert_eq!(
        found,
        image(array![[12., 12., 17.], [10., 17., 19.], [9., 6., 14.]])
    );
}

#[test]
fn x11_padding_one_stride_two() {
    let (picture, kernel) = deck_002();
    let window = Window::valid().padding(Padding::explicit(1)).stride(2);
    let found = correlate(picture.view(), kernel.view(), &window).unwrap();
    assert_eq!(found, image(array![[6., 17., 3.], [8., 17., 13.], [6., 4., 4.]]));
}

#[test]
fn x14_sizes_of_a_seven_by_seven_input() {
    assert_eq!(output_size(7, 3, 0, 1), Ok(5));
    assert_eq!(output_size(7, 3, 0, 2), Ok(3));
    assert_eq!(output_size(7, 3, 1, 3), Ok(3));
    let told = output_size(7, 3, 0, 3).unwrap_err().to_string();
    assert!(told.contains("(7 − 3 + 2·0)/3 + 1 = 2.33 does not fit"), "{told}");
}

#[test]
fn x15_size_of_one_feature_map() {
    assert_eq!(output_shape([32, 32], [5, 5], &Window::valid()), Ok([28, 28]));
}

#[test]
fn x16_padding_families() {
    assert_eq!(output_size(4, 3, 0, 1), Ok(2));
    assert_eq!(output_size(5, 4, 2, 1), Ok(6));
    let family = |size, padding| output_shape([5, 5], [size, size], &Window::default().padding(padding));
    assert_eq!(family(3, Padding::explicit(1)), Ok([5, 5]));
    assert_eq!(family(3, Padding::Same), Ok([5, 5]));
    assert_eq!(family(3, Padding::Full), Ok([7, 7]));
}

#[test]
fn x24_valid_output_of_a_large_filter() {
    // The deck says 33 × 33, which is off by one.
    assert_eq!(
        output_shape([1000, 1000], [967, 967], &Window::valid()),
        Ok([34, 34])
    );
}

#[test]
fn x31_kernels_as_the_deck_prints_them() {
    assert_eq!(
        Named::Edge1.weights(),
        array![[1., 0., -1.], [0., 0., 0.], [-1., 0., 1.]]
    );
    assert_eq!(
        Named::Edge2.weights(),
        array![[0., 1., 0.], [1., -4., 1.], [0., 1., 0.]]
    );
    assert_eq!(
        Named::Edge3.weights(),
        array![[-1., -1., -1.], [-1., 8., -1.], [-1., -1., -1.]]
    );
    assert_eq!(
        Named::Sharpen.weights(),
        array![[0., -1., 0.], [-1., 5., -1.], [0., -1., 0.]]
    );
    assert_eq!(
        Named::Gaussian3.weights() * 16.0,
        array![[1., 2., 1.], [2., 4., 2.], [1., 2., 1.]]
    );
}
