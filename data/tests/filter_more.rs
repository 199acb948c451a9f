//! Pooling, integral image, blur, sharpening and pointwise operations (curriculum X12, X13, X28–X30, rows I2–I20).

#![allow(clippy::unwrap_used)]

use graticule_data::filter::*;
use ndarray::{Array2, Array3, Axis, array};
use proptest::prelude::*;

fn image(cells: Array2<f32>) -> Array3<f32> {
    cells.insert_axis(Axis(2))
}

fn close(a: &Array3<f32>, b: &Array3<f32>, tolerance: f32) -> bool {
    a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

#[test]
fn x12_pooling_of_four_by_four() {
    let picture = image(array![
        [1., 1., 2., 4.],
        [5., 6., 7., 8.],
        [3., 2., 1., 0.],
        [1., 2., 3., 4.]
    ]);
    let by = |kind, stride| pool(picture.view(), kind, [2, 2], Padding::Valid, stride).unwrap();
    assert_eq!(by(Pool::Max, 2), image(array![[6., 8.], [3., 4.]]));
    assert_eq!(by(Pool::Average, 2), image(array![[3.25, 5.25], [2., 2.]]));
    assert_eq!(by(Pool::Min, 2), image(array![[1., 2.], [1., 0.]]));
    assert_eq!(by(Pool::Sum, 2), image(array![[13., 21.], [8., 8.]]));
    assert!(close(
        &by(Pool::L2, 2),
        &image(array![[7.937, 11.533], [4.243, 5.099]]),
        5e-4
    ));
    assert_eq!(
        by(Pool::Max, 1),
        image(array![[6., 7., 8.], [6., 7., 8.], [3., 3., 4.]])
    );
}

#[test]
fn x13_two_by_two_pooling_halves_ten_by_ten() {
    // The deck's row prints largest, smallest and mean of each block; two cells of a block may be chosen freely.
    let largest = [561., 617., 610., 608., 577.];
    let smallest = [544., 570., 600., 562., 545.];
    let mean = [551.5, 591.75, 604.5, 586.5, 560.75];
    let picture = Array3::from_shape_fn((10, 10, 1), |(y, x, _)| {
        let block = x / 2;
        let rest: f32 = 4.0 * mean[block] - largest[block] - smallest[block];
        let cells = [
            [smallest[block], (rest / 2.0).floor()],
            [(rest / 2.0).ceil(), largest[block]],
        ];
        cells[y % 2][x % 2]
    });
    let first = |kind| {
        let pooled = pool(picture.view(), kind, [2, 2], Padding::Valid, 2).unwrap();
        assert_eq!(pooled.dim(), (5, 5, 1));
        pooled
            .index_axis(Axis(0), 0)
            .iter()
            .copied()
            .collect::<Vec<f32>>()
    };
    assert_eq!(first(Pool::Max), largest);
    assert_eq!(first(Pool::Min), smallest);
    assert_eq!(first(Pool::Average), mean);
}

#[test]
fn i18_pooling_counts_only_cells_of_the_image_at_the_border() {
    let ones = Array3::from_elem((3, 3, 2), -1.0);
    for kind in [Pool::Average, Pool::Max, Pool::Min] {
        let pooled = pool(ones.view(), kind, [3, 3], Padding::Same, 1).unwrap();
        assert_eq!(pooled, ones, "{kind:?}");
    }
    let told = pool(ones.view(), Pool::Max, [2, 2], Padding::explicit(2), 1)
        .unwrap_err()
        .to_string();
    assert!(told.contains("less than the window"), "{told}");
}

/// The deck's 10 × 10 picture: a block of 90s with a hole, and one 90 alone.
fn moving_average_picture() -> Array3<f32> {
    let mut picture = Array3::zeros((10, 10, 1));
    picture.slice_mut(ndarray::s![2..7, 3..8, ..]).fill(90.0);
    picture[[5, 4, 0]] = 0.0;
    picture[[8, 2, 0]] = 90.0;
    picture
}

#[test]
fn x28_moving_average() {
    let means = box_blur(moving_average_picture().view(), 3, &Window::valid()).unwrap();
    let expected = array![
        [0., 10., 20., 30., 30., 30., 20., 10.],
        [0., 20., 40., 60., 60., 60., 40., 20.],
        [0., 30., 60., 90., 90., 90., 60., 30.],
        [0., 30., 50., 80., 80., 90., 60., 30.],
        [0., 30., 50., 80., 80., 90., 60., 30.],
        [0., 20., 30., 50., 50., 60., 40., 20.],
        [10., 20., 30., 30., 30., 30., 20., 10.],
        [10., 10., 10., 0., 0., 0., 0., 0.]
    ];
    assert_eq!(means, image(expected));
}

#[test]
fn x29_integral_image() {
    let picture = array![
        [1., 2., 2., 4., 1.],
        [3., 4., 1., 5., 2.],
        [2., 3., 3., 2., 4.],
        [4., 1., 5., 4., 6.],
        [6., 3., 2., 1., 3.]
    ];
    let integral = Integral::of(image(picture).view());
    let sums = integral.sums();
    assert_eq!(sums.dim(), (6, 6, 1));
    assert_eq!(
        sums.slice(ndarray::s![5, .., 0]).to_vec(),
        [0., 16., 29., 42., 58., 74.]
    );
    assert_eq!(
        sums.slice(ndarray::s![.., 5, 0]).to_vec(),
        [0., 10., 25., 39., 59., 74.]
    );
    assert_eq!(integral.sum([1, 1], [4, 4], 0), 28.0);
}

#[test]
fn x30_gaussian_thirty_by_thirty() {
    let [narrow, wide] = [2.0, 5.0].map(|sigma| gaussian_kernel(sigma, 30).unwrap());
    for (kernel, sigma) in [(&narrow, 2.0_f32), (&wide, 5.0)] {
        assert_eq!(kernel.dim(), (30, 30));
        assert!((kernel.sum() - 1.0).abs() < 1e-5);
        assert_eq!(kernel, &kernel.t());
        assert!((kernel[[14, 14]] - kernel[[15, 15]]).abs() < 1e-9);
        // One step from 0.5 to 1.5 cells off the centre: exp(−(2.25 − 0.25)/2σ²).
        let step = kernel[[14, 16]] / kernel[[14, 15]];
        assert!((step - (-1.0 / (sigma * sigma)).exp()).abs() < 1e-5, "{step}");
    }
    assert!(narrow[[15, 15]] > 5.0 * wide[[15, 15]]);
}

#[test]
fn x30_the_box_rings_and_the_gaussian_does_not() {
    // A grating of 6 columns a period: a box of 9 turns light into dark, a Gaussian never does.
    let wave = |x: usize| (std::f32::consts::TAU * x as f32 / 6.0).cos();
    let grating = Array3::from_shape_fn((60, 60, 1), |(_, x, _)| wave(x));
    let boxed = box_blur(grating.view(), 9, &Window::default()).unwrap();
    let smooth = gaussian_blur(grating.view(), 2.0, 9, &Window::default()).unwrap();
    assert!((boxed[[30, 30, 0]] - -2.0 / 9.0 * wave(30)).abs() < 1e-5);
    assert!(smooth[[30, 30, 0]] > 0.0);
}

#[test]
fn i1_convolution_turns_the_kernel() {
    let mut impulse = Array3::zeros((5, 5, 1));
    impulse[[2, 2, 0]] = 1.0;
    let kernel = array![[1., 2., 3.], [4., 5., 6.], [7., 8., 9.]];
    let same = Window::default();
    let convolved = convolve(impulse.view(), kernel.view(), &same).unwrap();
    let correlated = correlate(impulse.view(), kernel.view(), &same).unwrap();
    let inner = ndarray::s![1..4, 1..4, 0];
    assert_eq!(convolved.slice(inner), kernel);
    assert_eq!(correlated.slice(inner), kernel.slice(ndarray::s![..;-1, ..;-1]));
}

#[test]
fn i2_multiply_add_translate() {
    let picture = image(array![[1., 2., 3.], [4., 5., 6.]]);
    assert_eq!(multiply(picture.view(), 2.0)[[1, 2, 0]], 12.0);
    assert_eq!(add(picture.view(), -1.0)[[0, 0, 0]], 0.0);
    let moved = |right, down, value| translate(picture.view(), right, down, value).unwrap();
    assert_eq!(
        moved(1, 0, PadValue::Zero),
        image(array![[0., 1., 2.], [0., 4., 5.]])
    );
    assert_eq!(
        moved(-2, 1, PadValue::Constant(9.)),
        image(array![[9., 9., 9.], [3., 9., 9.]])
    );
    assert_eq!(
        moved(1, 0, PadValue::Symmetric),
        image(array![[1., 1., 2.], [4., 4., 5.]])
    );
    assert_eq!(
        moved(isize::MAX, isize::MIN, PadValue::Zero),
        Array3::<f32>::zeros((2, 3, 1))
    );
}

#[test]
fn i5_both_forms_of_unsharp_masking_are_equal() {
    let picture = moving_average_picture();
    let value = PadValue::Symmetric;
    let masked = unsharp(picture.view(), 3, value).unwrap();
    let kernel = unsharp_kernel(3).unwrap();
    let by_kernel = correlate(picture.view(), kernel.view(), &Window::default().pad_value(value)).unwrap();
    assert!(close(&masked, &by_kernel, 1e-4));
    assert_eq!(masked[[5, 4, 0]], -80.0);
    assert!(unsharp(picture.view(), 4, value).is_err());
}

#[test]
fn i9_emphasis_keeps_flat_ground_and_lifts_edges() {
    let flat = Array3::from_elem((9, 9, 1), 100.0);
    let kept = emphasis(flat.view(), 1.0, [0.5, 2.0], PadValue::Symmetric).unwrap();
    assert!(close(&kept, &Array3::from_elem((9, 9, 1), 50.0), 1e-3));
    let edge = Array3::from_shape_fn((9, 10, 1), |(_, x, _)| if x < 5 { 0.0 } else { 100.0 });
    let lifted = emphasis(edge.view(), 1.0, [0.5, 2.0], PadValue::Symmetric).unwrap();
    assert!(lifted[[4, 5, 0]] > 80.0 && lifted[[4, 4, 0]] < -30.0);
}

#[test]
fn i9_histogram_equalisation() {
    let dull = image(array![[50., 50., 51.], [51., 52., 53.]]);
    // Counts 2, 2, 1, 1: the cumulative counts 2, 4, 5, 6 go to 255 · (cdf − 2)/4.
    assert_eq!(
        equalize(dull.view()).unwrap(),
        image(array![[0., 0., 128.], [128., 191., 255.]])
    );
    let flat = Array3::from_elem((3, 3, 3), 77.0);
    assert_eq!(equalize(flat.view()).unwrap(), flat);
    let tinted = Array3::from_shape_fn((1, 2, 3), |(_, x, c)| 100.0 + 10.0 * x as f32 + c as f32);
    let spread = equalize(tinted.view()).unwrap();
    assert!(spread[[0, 0, 0]] < 1.0 && spread[[0, 1, 0]] > 250.0);
    assert!(spread.iter().all(|value| (0.0..=255.0).contains(value)));
}

#[test]
fn i10_median_removes_single_wild_pixels_and_keeps_edges() {
    let step = Array3::from_shape_fn((7, 8, 1), |(_, x, _)| if x < 4 { 10.0 } else { 200.0 });
    let mut wild = step.clone();
    wild[[1, 1, 0]] = 255.0;
    wild[[5, 6, 0]] = 0.0;
    let window = Window::default().pad_value(PadValue::Symmetric);
    assert_eq!(median(wild.view(), 3, &window).unwrap(), step);
    let even = median(image(array![[1., 2.], [3., 10.]]).view(), 2, &Window::valid()).unwrap();
    assert_eq!(even, image(array![[2.5]]));
}

#[test]
fn i11_a_window_anchored_at_its_corner_loses_bottom_and_right() {
    let picture = Array3::from_shape_fn((5, 5, 1), |(y, x, _)| (5 * y + x) as f32);
    let kernel = Array2::from_elem((3, 3), 1.0);
    let inside = correlate(picture.view(), kernel.view(), &Window::valid()).unwrap();
    let corner = Window::default().padding(Padding::top_left(3, 3));
    let anchored = correlate(picture.view(), kernel.view(), &corner).unwrap();
    assert_eq!(anchored.dim(), (5, 5, 1));
    assert_eq!(anchored.slice(ndarray::s![..3, ..3, ..]), inside);
    let centred = correlate(picture.view(), kernel.view(), &Window::default()).unwrap();
    assert_eq!(centred.slice(ndarray::s![1..4, 1..4, ..]), inside);
}

#[test]
fn i12_the_pad_value_is_a_parameter() {
    let picture = image(array![[1., 2., 3.]]);
    let sides = Sides {
        left: 4,
        right: 2,
        ..Sides::default()
    };
    let row = |value| {
        pad(picture.view(), sides, value)
            .unwrap()
            .into_raw_vec_and_offset()
            .0
    };
    assert_eq!(row(PadValue::Zero), [0., 0., 0., 0., 1., 2., 3., 0., 0.]);
    assert_eq!(row(PadValue::Constant(7.)), [7., 7., 7., 7., 1., 2., 3., 7., 7.]);
    assert_eq!(row(PadValue::Symmetric), [3., 3., 2., 1., 1., 2., 3., 3., 2.]);
}

#[test]
fn s17_noise_has_its_mean_and_width_and_returns_with_its_seed() {
    let flat = Array3::from_elem((100, 100, 1), 50.0);
    let noisy = gaussian_noise(flat.view(), 10.0, 7).unwrap();
    assert_eq!(noisy, gaussian_noise(flat.view(), 10.0, 7).unwrap());
    assert_ne!(noisy, gaussian_noise(flat.view(), 10.0, 8).unwrap());
    assert!((noisy.mean().unwrap() - 50.0).abs() < 0.5);
    assert!((noisy.std(0.0) - 10.0).abs() < 0.3);
    assert!(gaussian_noise(flat.view(), f32::NAN, 7).is_err());
}

#[test]
fn an_empty_image_is_an_error_everywhere() {
    let empty = Array3::zeros((0, 4, 3));
    let told = [
        box_blur(empty.view(), 3, &Window::default()).err(),
        median(empty.view(), 3, &Window::default()).err(),
        equalize(empty.view()).err(),
        pool(empty.view(), Pool::Max, [2, 2], Padding::Same, 1).err(),
        translate(empty.view(), 1, 1, PadValue::Symmetric).err(),
    ];
    for error in told {
        assert!(
            matches!(error, Some(FilterError::Empty { height: 0, .. })),
            "{error:?}"
        );
    }
}

#[test]
fn absurd_sizes_are_errors_and_take_no_memory() {
    let small = Array3::zeros((4, 4, 1));
    let window = Window::default();
    for size in [0, usize::MAX, 1 << 40] {
        assert!(box_kernel(size).is_err() && gaussian_kernel(1.0, size).is_err());
        assert!(box_blur(small.view(), size, &window).is_err());
        assert!(median(small.view(), size, &window).is_err());
        assert!(pool(small.view(), Pool::Max, [size, 2], Padding::Valid, 1).is_err());
    }
    assert!(emphasis(small.view(), f32::MAX, [0.5, 2.0], PadValue::Zero).is_err());
    let far = Window::default().padding(Padding::explicit(usize::MAX));
    let told = correlate(small.view(), Named::Edge1.weights().view(), &far).unwrap_err();
    assert!(matches!(told, FilterError::TooLarge { .. }), "{told}");
}

fn any_window() -> impl Strategy<Value = Window> {
    let padding = prop_oneof![
        Just(Padding::Same),
        Just(Padding::Full),
        Just(Padding::Valid),
        (0_usize..4).prop_map(Padding::explicit)
    ];
    let value = prop_oneof![
        Just(PadValue::Zero),
        Just(PadValue::Symmetric),
        (-9.0_f32..9.0).prop_map(PadValue::Constant)
    ];
    (padding, value, 1_usize..4).prop_map(|(padding, pad_value, stride)| Window {
        padding,
        pad_value,
        stride,
    })
}

proptest! {
    #[test]
    fn i20_box_through_the_integral_image_equals_correlation(
        (height, width, size) in (1_usize..12, 1_usize..12, 1_usize..6), window in any_window()
    ) {
        let picture = Array3::from_shape_fn((height, width, 2), |(y, x, c)| ((7 * y + 3 * x * x + 5 * c) % 11) as f32);
        let kernel = box_kernel(size).unwrap();
        match (box_blur(picture.view(), size, &window), correlate(picture.view(), kernel.view(), &window)) {
            (Ok(fast), Ok(plain)) => prop_assert!(close(&fast, &plain, 1e-4)),
            (fast, plain) => prop_assert_eq!(fast, plain),
        }
    }

    #[test]
    fn i7_gaussian_in_two_passes_equals_its_kernel(
        (height, width, size) in (1_usize..12, 1_usize..12, 1_usize..6), sigma in 0.3_f32..4.0, window in any_window()
    ) {
        let picture = Array3::from_shape_fn((height, width, 2), |(y, x, c)| ((7 * y + 3 * x * x + 5 * c) % 11) as f32);
        let kernel = gaussian_kernel(sigma, size).unwrap();
        match (gaussian_blur(picture.view(), sigma, size, &window), correlate(picture.view(), kernel.view(), &window)) {
            (Ok(fast), Ok(plain)) => prop_assert!(close(&fast, &plain, 1e-4)),
            (fast, plain) => prop_assert_eq!(fast, plain),
        }
    }
}
