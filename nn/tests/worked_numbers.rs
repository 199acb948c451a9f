//! Worked numbers of the lectures about layers, losses and parameter counts, by row id.

// The lint's allowance for tests does not reach the helpers of an integration test.
#![allow(clippy::unwrap_used)]

use graph::interpret::evaluate;
use graph::ndarray::{Array1, ArrayD, IxDyn, arr1, arr2};
use graph::topological;
use graticule_nn::layers::{banded_matrix, receptive_field};
use graticule_nn::prelude::*;
use proptest::prelude::{prop_assert_eq, proptest};

/// Trainable numbers behind `output`.
fn parameter_count(output: &Symbol) -> usize {
    topological(std::slice::from_ref(output))
        .iter()
        .filter_map(|s| s.as_parameter())
        .map(|p| p.shape.elements())
        .sum()
}

fn parameter(output: &Symbol, role: &str) -> Symbol {
    let is_it = |s: &Symbol| s.as_parameter().is_some_and(|p| p.role == role);
    topological(std::slice::from_ref(output))
        .into_iter()
        .find(is_it)
        .unwrap()
}

fn array(shape: &[usize], values: &[f64]) -> ArrayD<f64> {
    ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap()
}

fn value(output: &Symbol, given: &[(&Symbol, ArrayD<f64>)], batch: usize) -> ArrayD<f64> {
    evaluate(std::slice::from_ref(output), given, batch)
        .unwrap()
        .remove(0)
}

#[test]
fn x1_squared_and_absolute_costs() {
    let (y, t) = (Symbol::input("y", [1]), Symbol::input("t", [1]));
    let predictions = arr2(&[[2.7], [1.7], [-1.7], [4.3], [1.7]]).into_dyn();
    let targets = arr2(&[[3.0], [3.0], [-3.0], [3.0], [4.0]]).into_dyn();
    let of = |loss: Loss| {
        let given = [(&y, predictions.clone()), (&t, targets.clone())];
        value(&loss.on(&y, &t).unwrap(), &given, 5)[[]]
    };
    assert!((of(Loss::SquaredError) - 2.09).abs() < 1e-9);
    assert!((5.0 * of(Loss::SquaredError) - 10.45).abs() < 1e-9);
    assert!((of(Loss::AbsoluteError) - 1.3).abs() < 1e-9);
}

#[test]
fn x2_binary_cross_entropy_sum() {
    // (y, f): (1, .7) (1, .3) (0, .3) (1, 1) (0, .8). The loss reads logits ln(f/(1 − f)); for f = 1,
    // which no finite logit reaches, one so large that its cost is 0.
    let logit = |f: f64| (f / (1.0 - f)).ln();
    let (y, t) = (Symbol::input("y", [1]), Symbol::input("t", [1]));
    let loss = Loss::BinaryCrossEntropy.on(&y, &t).unwrap();
    let outputs = array(&[5, 1], &[logit(0.7), logit(0.3), logit(0.3), 800.0, logit(0.8)]);
    let targets = array(&[5, 1], &[1.0, 1.0, 0.0, 1.0, 0.0]);
    let mean = value(&loss, &[(&y, outputs), (&t, targets)], 5)[[]];
    assert!((5.0 * mean - 3.526_761).abs() < 1e-6, "{}", 5.0 * mean);
}

#[test]
fn x3_neuron() {
    let x = Symbol::input("x", [3]);
    let y = Dense::new(1).on(&x).unwrap();
    let (w, b) = (parameter(&y, "weight"), parameter(&y, "bias"));
    let given = [
        (&x, arr2(&[[1.0, 2.0, 3.0]]).into_dyn()),
        (&w, array(&[3, 1], &[0.01, 0.03, 0.04])),
        (&b, arr1(&[9.0]).into_dyn()),
    ];
    assert!((value(&y, &given, 1)[[0, 0]] - 9.19).abs() < 1e-12);
}

#[test]
fn x4_softmax_and_cross_entropy() {
    let z = Symbol::input("z", [3]);
    let p = Activation::Softmax.on(&z).unwrap();
    let logits = || arr2(&[[1.0, 3.0, 2.0]]).into_dyn();
    let probabilities = value(&p, &[(&z, logits())], 1);
    for (found, expected) in probabilities.iter().zip([0.09003057, 0.66524096, 0.24472847]) {
        assert!((found - expected).abs() < 1e-8);
    }
    // The deck writes [1, 2, 3], which gives the same values in another order.
    let ordered = value(&p, &[(&z, arr2(&[[1.0, 2.0, 3.0]]).into_dyn())], 1);
    assert!((ordered[[0, 1]] - 0.24472847).abs() < 1e-8);

    let t = Symbol::input("t", [3]);
    let soft = ClassLoss {
        soft_targets: true,
        ..ClassLoss::default()
    };
    let loss = Loss::CrossEntropy(soft).on(&z, &t).unwrap();
    for (one_hot, expected) in [([1.0, 0.0, 0.0], 2.407_606), ([0.0, 1.0, 0.0], 0.407_606)] {
        let found = value(&loss, &[(&z, logits()), (&t, arr2(&[one_hot]).into_dyn())], 1)[[]];
        assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
    }
    let class = Symbol::input("class", [1]);
    let by_index = Loss::cross_entropy().on(&z, &class).unwrap();
    let found = value(
        &by_index,
        &[(&z, logits()), (&class, arr2(&[[0.0]]).into_dyn())],
        1,
    )[[]];
    assert!((found - 2.407_606).abs() < 1e-6);
}

#[test]
fn m3_perceptron_loss_counts_wrong_signs_only() {
    let (y, t) = (Symbol::input("y", [1]), Symbol::input("t", [1]));
    let loss = Loss::Perceptron.on(&y, &t).unwrap();
    let outputs = array(&[4, 1], &[2.0, -3.0, 0.5, -1.0]);
    let targets = array(&[4, 1], &[1.0, 1.0, 0.0, 0.0]);
    // Wrong are the second by 3 and the third by 0.5.
    assert_eq!(value(&loss, &[(&y, outputs), (&t, targets)], 4)[[]], 3.5 / 4.0);
}

#[test]
fn x6_mlp_parameter_count() {
    for (d, d1) in [(2, 3), (10, 4), (784, 256)] {
        let x = Symbol::input("x", [d]);
        let hidden = Dense::new(d1).activation(Tanh).on(&x).unwrap();
        let y = Dense::new(1).on(&hidden).unwrap();
        assert_eq!(parameter_count(&y), d1 * d + 2 * d1 + 1);
        // The deck's d₁·d + d₁ + 2 has one bias per layer that all its neurons share: d₁ − 1 fewer in
        // the hidden layer, none fewer in the output layer of one neuron.
        assert_eq!(parameter_count(&y) - (d1 - 1), d1 * d + d1 + 2);
    }
}

#[test]
fn x15_conv_parameters() {
    let image = Symbol::input("image", [32, 32, 3]);
    let with_bias = Conv2d::new(6, 5).on(&image).unwrap();
    assert_eq!(with_bias.shape()[..], [1, 28, 28, 6]);
    assert_eq!(parameter_count(&with_bias), 456);
    assert_eq!(
        parameter_count(&Conv2d::new(6, 5).no_bias().on(&image).unwrap()),
        450
    );
}

#[test]
fn x22_two_dense_layers_of_1000() {
    let image = Symbol::input("image", [28, 28, 3]);
    let hidden = Dense::new(1000).on(&Flatten.on(&image).unwrap()).unwrap();
    let y = Dense::new(1000).on(&hidden).unwrap();
    assert_eq!(parameter_count(&y), 3_354_000);
    // The deck's 4.7 million is two layers side by side on the image, not one after the other.
    assert_eq!(2 * parameter_count(&hidden), 2352 * 2 * 1000 + 2000);
}

#[test]
fn x23_dense_on_an_image_of_224() {
    let image = Flatten.on(&Symbol::input("image", [224, 224, 3])).unwrap();
    assert_eq!(image.shape().last_axis(), 150_528);
    let hidden = Dense::new(150_520).no_bias().on(&image).unwrap();
    assert_eq!(parameter_count(&hidden), 22_657_474_560);
}

#[test]
fn x24_dense_against_one_large_filter() {
    let image = Symbol::input("image", [1000, 1000, 1]);
    let dense = Dense::new(1000)
        .no_bias()
        .on(&Flatten.on(&image).unwrap())
        .unwrap();
    assert_eq!(parameter_count(&dense), 1_000_000_000);
    let filter = Conv2d::new(1, 967).no_bias().on(&image).unwrap();
    assert_eq!(parameter_count(&filter), 935_089);
    // The deck says 33×33.
    assert_eq!(filter.shape()[..], [1, 34, 34, 1]);
}

#[test]
fn x25_dense_local_and_shared_weights() {
    let image = Symbol::input("image", [200, 200, 1]);
    let dense = Dense::new(40_000)
        .no_bias()
        .on(&Flatten.on(&image).unwrap())
        .unwrap();
    assert_eq!(parameter_count(&dense), 1_600_000_000);
    let local = LocallyConnected2d::new(1, 10)
        .padding(Same)
        .no_bias()
        .on(&image)
        .unwrap();
    assert_eq!(local.shape()[..], [1, 200, 200, 1]);
    assert_eq!(parameter_count(&local), 4_000_000);
    let shared = Conv2d::new(100, 10).no_bias().on(&image).unwrap();
    assert_eq!(parameter_count(&shared), 10_000);
}

#[test]
fn x26_parameter_formulas() {
    let x = Symbol::input("x", [7]);
    let dense = Dense::new(5).on(&x).unwrap();
    assert_eq!(parameter_count(&dense), 5 * 7 + 5, "current × previous + current");
    let square = Dense::new(7).no_bias().on(&x).unwrap();
    assert_eq!(parameter_count(&square), 7 * 7, "K² for K units on K");
    let image = Symbol::input("image", [9, 9, 1]);
    let neuron = Conv2d::new(1, 3).on(&image).unwrap();
    assert_eq!(parameter_count(&neuron), 3 * 3 + 1, "kernel size + 1");
}

#[test]
fn x37_sentiment_of_three_sentences() {
    // A bag of words is a linear layer on word counts: an embedding of width 1, summed.
    let lexicon = [
        ("", 0.0),
        ("great", 2.0),
        ("love", 2.0),
        ("boring", -2.0),
        ("fine", 1.0),
        ("bad", -2.0),
    ];
    let index = |word: &str| lexicon.iter().position(|(w, _)| *w == word).unwrap_or(0) as f64;
    let sentences = [
        "a great film I love",
        "fine acting boring story",
        "boring plot fine great cast",
    ];
    let expected = [4.0, -1.0, 1.0];

    let words = Symbol::input("words", [5]);
    let scores = Embedding::new(lexicon.len(), 1).on(&words).unwrap();
    let sentiment = scores.reduce(graph::ops::ReduceKind::Sum, &[1]).unwrap();
    let table = parameter(&sentiment, "weight");
    let mut indices: Vec<f64> = Vec::new();
    for sentence in sentences {
        let mut row: Vec<f64> = sentence.split(' ').map(index).collect();
        row.resize(5, 0.0);
        indices.extend(row);
    }
    let weights: Vec<f64> = lexicon.iter().map(|(_, score)| *score).collect();
    let given = [
        (&words, array(&[3, 5], &indices)),
        (&table, array(&[6, 1], &weights)),
    ];
    let found = value(&sentiment, &given, 3);
    assert_eq!(found.iter().copied().collect::<Vec<_>>(), expected);
}

#[test]
fn x38_receptive_field_of_pooling() {
    // A P×P pooling (stride 1) on a K×K convolution sees (P + K − 1)².
    for (p, k) in [(2, 3), (3, 5), (2, 11)] {
        assert_eq!(receptive_field(&[(k, 1, 1), (p, 1, 1)]), p + k - 1);
    }
    // Stride counts for all that follows; dilation spreads the taps.
    assert_eq!(receptive_field(&[(3, 2, 1), (3, 1, 1)]), 7);
    assert_eq!(receptive_field(&[(3, 1, 2)]), 5);
    assert_eq!(receptive_field(&[(11, 4, 1), (3, 2, 1), (5, 1, 1)]), 51);
}

#[test]
fn l23_kernel_sizes_give_their_fields() {
    for size in [1, 3, 5, 7, 11] {
        assert_eq!(receptive_field(&[(size, 1, 1)]), size);
    }
}

proptest! {
    #[test]
    fn x41_size_preserving(
        setting in 0usize..3, height in 3usize..40, width in 3usize..40, channels in 1usize..5, power in 0u32..7
    ) {
        let (size, padding) = [(3, 1), (5, 2), (1, 0)][setting];
        let filters = 2usize.pow(power);
        let image = Symbol::input("image", [height, width, channels]);
        let y = Conv2d::new(filters, size).padding(padding).on(&image).unwrap();
        prop_assert_eq!(&y.shape()[..], &[1, height, width, filters]);
        let conv = size * size * channels * filters;
        prop_assert_eq!(parameter_count(&y), conv + filters);
        // Dense weights to the same output would be I·I·d·O·O·K.
        let dense = height * width * channels * height * width * filters;
        prop_assert_eq!(dense / conv, (height * width).pow(2) / (size * size));
    }
}

#[test]
fn a5_leaky_slope_is_a_parameter() {
    let x = Symbol::input("x", [2]);
    for slope in [0.1f32, 0.01, 0.3] {
        let y = LeakyRelu(slope).on(&x).unwrap();
        let found = value(&y, &[(&x, arr2(&[[-2.0, 3.0]]).into_dyn())], 1);
        assert_eq!(found, arr2(&[[-2.0 * f64::from(slope), 3.0]]).into_dyn());
    }
}

#[test]
fn l16_all_linear_collapses() {
    let x = Symbol::input("x", [3]);
    let h1 = Dense::new(4).on(&x).unwrap();
    let h2 = Dense::new(5).on(&h1).unwrap();
    let y = Dense::new(2).on(&h2).unwrap();
    let parameters: Vec<Symbol> = topological(std::slice::from_ref(&y))
        .into_iter()
        .filter(|s| s.as_parameter().is_some())
        .collect();
    let numbers = |seed: usize, shape: &[usize]| {
        let count: usize = shape.iter().product();
        let values: Vec<f64> = (0..count)
            .map(|i| ((i * 7 + seed * 13) % 11) as f64 / 4.0 - 1.0)
            .collect();
        array(shape, &values)
    };
    let given: Vec<(&Symbol, ArrayD<f64>)> = parameters
        .iter()
        .enumerate()
        .map(|(i, p)| (p, numbers(i, p.shape())))
        .collect();
    let network = |points: ArrayD<f64>| {
        let mut all = given.clone();
        let batch = points.shape()[0];
        all.push((&x, points));
        value(&y, &all, batch)
    };
    // One affine map, read off at the origin and the unit vectors, is the whole network.
    let at = network(array(&[4, 3], &[0., 0., 0., 1., 0., 0., 0., 1., 0., 0., 0., 1.]));
    let bias: Vec<f64> = (0..2).map(|o| at[[0, o]]).collect();
    let point = [0.7, -1.3, 2.1];
    let found = network(array(&[1, 3], &point));
    for o in 0..2 {
        let linear: f64 = (0..3).map(|i| point[i] * (at[[i + 1, o]] - bias[o])).sum();
        assert!((found[[0, o]] - (linear + bias[o])).abs() < 1e-10);
    }
}

#[test]
fn l21_conv1d_is_banded_matrix() {
    let signal = Array1::from_iter((0..9).map(|i| f64::from(i * i % 7) - 2.0));
    let kernel = arr1(&[0.5, -1.0, 2.0]);
    let matrix = banded_matrix(kernel.view(), 9);
    assert_eq!(matrix.shape(), [7, 9]);
    let x = Symbol::input("x", [9, 1]);
    let y = Conv1d::new(1, 3).no_bias().on(&x).unwrap();
    let w = parameter(&y, "weight");
    let given = [
        (
            &x,
            signal.clone().into_shape_with_order(IxDyn(&[1, 9, 1])).unwrap(),
        ),
        (&w, array(&[1, 3, 1, 1], &[0.5, -1.0, 2.0])),
    ];
    let found = value(&y, &given, 1);
    for (found, expected) in found.iter().zip(matrix.dot(&signal)) {
        assert!((found - expected).abs() < 1e-12);
    }
    // Weights are shared along the diagonals, and all else is zero.
    assert_eq!(matrix.iter().filter(|v| **v != 0.0).count(), 7 * 3);
    assert_eq!(matrix[[0, 2]], matrix[[6, 8]]);
}

#[test]
fn l31_residual_blocks_unrolled() {
    // x₃ = H(G(F(x₀) + x₀) + F(x₀) + x₀) + G(F(x₀) + x₀) + F(x₀) + x₀, with the same layers.
    let x0 = Symbol::input("x", [3]);
    let block = |x: &Symbol, k: f64| {
        let y = Dense::new(3).activation(Tanh).on(x).unwrap();
        let w: Vec<f64> = (0..9).map(|i| (k + i as f64).sin()).collect();
        (
            y.clone(),
            (parameter_of_last(&y, "weight"), array(&[3, 3], &w)),
            (parameter_of_last(&y, "bias"), array(&[3], &[k, -k, 0.1])),
        )
    };
    let (f, fw, fb) = block(&x0, 0.3);
    let x1 = Add.on(&[&f, &x0]).unwrap();
    let (g, gw, gb) = block(&x1, 0.8);
    let x2 = Add.on(&[&g, &x1]).unwrap();
    let (h, hw, hb) = block(&x2, 1.7);
    let stepwise = Add.on(&[&h, &x2]).unwrap();
    let unrolled = Add.on(&[&h, &g, &f, &x0]).unwrap();
    let all = [fw, fb, gw, gb, hw, hb];
    let mut given: Vec<(&Symbol, ArrayD<f64>)> = all.iter().map(|(s, v)| (s, v.clone())).collect();
    given.push((&x0, arr2(&[[0.2, -0.4, 0.9]]).into_dyn()));
    let (a, b) = (value(&stepwise, &given, 1), value(&unrolled, &given, 1));
    for (a, b) in a.iter().zip(&b) {
        assert!((a - b).abs() < 1e-12);
    }
}

/// The parameter of the layer made last.
fn parameter_of_last(output: &Symbol, role: &str) -> Symbol {
    let is_it = |s: &Symbol| s.as_parameter().is_some_and(|p| p.role == role);
    topological(std::slice::from_ref(output))
        .into_iter()
        .rfind(is_it)
        .unwrap()
}

#[test]
fn l36_dropout_acts_in_training_only() {
    use graph::{Mode, lower};
    let x = Symbol::input("x", [10_000]);
    let y = Dropout::new(0.25).on(&x).unwrap();
    let ones = ArrayD::from_elem(IxDyn(&[1, 10_000]), 1.0);
    let infer = lower(std::slice::from_ref(&y), Mode::Infer).unwrap();
    assert_eq!(value(&infer.outputs[0], &[(&x, ones.clone())], 1), ones);
    let train = lower(&[y], Mode::Train).unwrap();
    let dropped = value(&train.outputs[0], &[(&x, ones)], 1);
    let kept = dropped.iter().filter(|v| **v != 0.0).count() as f64 / 1e4;
    assert!((kept - 0.75).abs() < 0.02, "{kept}");
    assert!(dropped.iter().all(|v| *v == 0.0 || (v - 1.0 / 0.75).abs() < 1e-6));
}

#[test]
fn i15_a_window_that_does_not_fit_says_the_formula() {
    let image = Symbol::input("image", [7, 7, 1]);
    let message = Conv2d::new(1, 3).stride(3).on(&image).unwrap_err().to_string();
    assert!(message.contains("(7 − 3 + 2·0)/3 + 1 = 2.33"), "{message}");
}

#[test]
fn rules_are_read_from_text_and_survive_json() {
    for (text, json) in [("sgd:0.9", "sgd"), ("adamw", "adamw"), ("rmsprop", "rmsprop")] {
        let optimizer: Optimizer = text.parse().unwrap();
        let written = serde_json::to_string(&optimizer).unwrap();
        assert!(written.contains(json), "{written}");
        assert_eq!(serde_json::from_str::<Optimizer>(&written).unwrap(), optimizer);
    }
    for text in [
        "onecycle",
        "cosine:0.1",
        "step:10:0.1",
        "warmup:2:step:5:0.5",
        "plateau",
    ] {
        let schedule: Schedule = text.parse().unwrap();
        let written = serde_json::to_string(&schedule).unwrap();
        assert_eq!(serde_json::from_str::<Schedule>(&written).unwrap(), schedule);
    }
    let message = "stepp".parse::<Schedule>().unwrap_err().to_string();
    assert!(
        message.contains("stepp") && message.contains("cosine"),
        "{message}"
    );
    assert!("step:0".parse::<Schedule>().is_err() && "adam:0.1:3".parse::<Optimizer>().is_err());
    assert_eq!("huber:0.5".parse::<Loss>().unwrap(), Loss::Huber { delta: 0.5 });
    assert_eq!("leaky_relu:0.1".parse::<Activation>().unwrap(), LeakyRelu(0.1));
}
