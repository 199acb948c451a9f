use graph::interpret::evaluate;
use graph::ndarray::{ArrayD, IxDyn};
use proptest::prelude::*;

use super::*;

/// A value of this shape in this order, whose numbers count up in the file's order.
fn counting(shape: &[usize], order: &[usize]) -> (Live, ArrayD<f64>) {
    let count: usize = shape.iter().product();
    let plain = ArrayD::from_shape_vec(IxDyn(shape), (0..count).map(|i| i as f64).collect()).unwrap();
    let held: Vec<usize> = order.iter().map(|&a| shape[a]).collect();
    let symbol = Symbol::parameter("x", held, Default::default());
    let live = Live {
        order: order.to_vec(),
        ..Live::plain(symbol, DataType::Float)
    };
    (live, plain)
}

fn numbers(of: &Live, leaf: &Live, plain: &ArrayD<f64>) -> Vec<f64> {
    let held = plain
        .clone()
        .permuted_axes(IxDyn(&leaf.order))
        .as_standard_layout()
        .to_owned();
    let symbol = of.in_order().unwrap().symbol;
    let result = evaluate(&[symbol], &[(&leaf.symbol, held)], 1).unwrap().remove(0);
    assert_eq!(result.shape(), of.shape());
    result.iter().copied().collect()
}

fn factors() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    let shapes = prop::sample::select(vec![
        vec![24],
        vec![2, 12],
        vec![1, 24],
        vec![2, 3, 4],
        vec![4, 6, 1],
        vec![6, 1, 4],
        vec![2, 3, 1, 4],
        vec![1, 2, 12],
        vec![3, 8],
        vec![2, 2, 6],
        vec![24, 1, 1],
    ]);
    (shapes.clone(), shapes)
}

proptest! {
    #[test]
    fn any_reshape_of_any_order_keeps_the_elements_in_their_order((old, new) in factors(), seed in 0usize..24) {
        let mut order = identity(old.len());
        let turn = seed % order.len();
        order.rotate_left(turn);
        if seed % 2 == 1 { order.reverse(); }
        let (x, plain) = counting(&old, &order);
        let y = x.reshaped(&new).unwrap();
        prop_assert_eq!(numbers(&y, &x, &plain), plain.iter().copied().collect::<Vec<_>>());
    }
}

#[test]
fn a_shuffle_of_channels_moves_no_image_to_channels_first() {
    let (x, plain) = counting(&[1, 6, 2, 2], &channels_last(4));
    let shuffled = x
        .reshaped(&[1, 2, 3, 2, 2])
        .unwrap()
        .transposed(&[0, 2, 1, 3, 4])
        .reshaped(&[1, 6, 2, 2])
        .unwrap();
    let expected = [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
        .iter()
        .flat_map(|c| (0..4).map(move |p| c * 4.0 + f64::from(p)));
    assert_eq!(numbers(&shuffled, &x, &plain), expected.collect::<Vec<_>>());
}

#[test]
fn flattening_an_image_of_one_pixel_and_counting_axes_anew_moves_nothing() {
    let (x, _) = counting(&[1, 6, 1, 1], &channels_last(4));
    let flat = x.reshaped(&[1, 6]).unwrap();
    assert_eq!(flat.symbol.op().name(), "reshape");
    let turned = x.transposed(&[0, 2, 3, 1]);
    assert_eq!((turned.order, turned.symbol), (identity(4), x.symbol));
}
