//! Each method on a small network: against the f64 reference, against its own definition, and the same bits for any
//! number of threads.

#![allow(clippy::unwrap_used)]

mod common;

use common::{network, subject, wave};
use engine::Engine;
use graph::interpret::evaluate;
use graph::ndarray::{ArrayD, Axis};
use graph::{Mode, Symbol, differentiate, lower};
use graticule_explain::*;
use nn::Model;
use nn::prelude::*;

fn bits(map: &ArrayD<f32>) -> Vec<u32> {
    map.iter().map(|v| v.to_bits()).collect()
}

/// The parameters of [`subject`], for the plain reference.
fn in_f64(model: &Model) -> Vec<(&Symbol, ArrayD<f64>)> {
    let given = common::parameters(model, 3);
    let number = |p: &nn::NamedParameter| {
        let values = given.get(&p.name).unwrap().iter().map(|&v| f64::from(v));
        ArrayD::from_shape_vec(p.shape().to_vec(), values.collect()).unwrap()
    };
    model
        .parameters()
        .iter()
        .map(|p| (&p.symbol, number(p)))
        .collect()
}

#[test]
fn every_method_gives_the_same_bits_for_any_number_of_threads() {
    let (model, inputs) = (network(), wave(&[3, 12, 12, 2]));
    for name in Method::NAMES {
        let method = match Method::named(name).unwrap() {
            Method::Rise(rise) => Method::Rise(Rise { masks: 40, ..rise }),
            Method::SmoothGrad(s) => Method::SmoothGrad(SmoothGrad { samples: 7, ..s }),
            other => other,
        };
        assert_eq!(method.name(), name);
        let told = |threads| {
            explain(
                &mut subject(&model, threads),
                &inputs,
                &Target::predicted(),
                &method,
            )
            .unwrap()
        };
        let one = told(1);
        assert_eq!(one.map.shape(), [3, 12, 12], "{name}");
        assert!(
            one.map.iter().all(|v| v.is_finite()) && one.map.iter().any(|&v| v != 0.0),
            "{name}"
        );
        for threads in [2, 3] {
            assert_eq!(
                bits(&one.map),
                bits(&told(threads).map),
                "{name}, {threads} threads"
            );
        }
    }
}

/// The largest magnitude of the bands of the gradient of the class's score, by finite differences in f64.
#[test]
fn e2_saliency_is_the_gradient_of_the_unnormalised_score() {
    let model = network();
    let mut subject = subject(&model, 2);
    let inputs = wave(&[2, 12, 12, 2]);
    let told = explain(
        &mut subject,
        &inputs,
        &Target::each(vec![2, 0]),
        &Method::Gradient,
    )
    .unwrap();
    assert_eq!(told.outputs, [2, 0]);
    let numbers = in_f64(&model);
    let scores = |x: ArrayD<f64>| {
        let mut all = numbers.clone();
        all.push((model.input(), x));
        evaluate(model.outputs(), &all, 2).unwrap().remove(0)
    };
    let exact = inputs.mapv(f64::from);
    for (sample, class) in [(0, 2), (1, 0)] {
        for (y, x) in [(0, 0), (5, 7), (11, 3), (6, 6)] {
            let slope = |band: usize| {
                let at = |by: f64| {
                    let mut moved = exact.clone();
                    moved[[sample, y, x, band]] += by;
                    scores(moved)[[sample, class]]
                };
                (at(1e-6) - at(-1e-6)) / 2e-6
            };
            let expected = slope(0).abs().max(slope(1).abs());
            let found = f64::from(told.map[[sample, y, x]]);
            assert!(
                (found - expected).abs() < 1e-5,
                "{sample} {y} {x}: {found}, expected {expected}"
            );
        }
    }
    assert!((f64::from(told.scores[0]) - scores(exact)[[0, 2]]).abs() < 1e-5);
}

/// A final softmax is looked through: its classes compete, and the gradient of a sure answer would vanish.
#[test]
fn e2_a_softmax_at_the_end_does_not_count() {
    let (plain, inputs) = (network(), wave(&[1, 12, 12, 2]));
    let ended = Model::new(
        "ended",
        plain.input(),
        &Activation::Softmax.on(plain.output()).unwrap(),
    )
    .unwrap();
    let [a, b] = [&plain, &ended].map(|model| {
        explain(
            &mut subject(model, 1),
            &inputs,
            &Target::output(1),
            &Method::Gradient,
        )
        .unwrap()
    });
    assert_eq!(bits(&a.map), bits(&b.map));
}

/// The deconvnet knows a picture by the switches of max-pooling.
#[test]
fn without_max_pooling_the_deconvnet_shows_a_class_not_a_picture() {
    let image = Symbol::input("image", [12, 12, 2]);
    let x = Conv2d::new(6, 3).activation(Relu).on(&image).unwrap();
    let logits = Dense::new(3).on(&GlobalAvgPool2d.on(&x).unwrap()).unwrap();
    let bare = Model::new("bare", &image, &logits).unwrap();
    for (model, alike) in [(bare, true), (network(), false)] {
        let told = explain(
            &mut subject(&model, 2),
            &wave(&[2, 12, 12, 2]),
            &Target::output(1),
            &Method::Deconvnet,
        )
        .unwrap();
        let map = |k| told.map.index_axis(Axis(0), k);
        assert_eq!(map(0) == map(1), alike);
        assert_eq!(told.note.is_some_and(|note| note.contains("max-pooling")), alike);
    }
}

/// Guided back-propagation and the deconvnet against graphs in which each ReLU was replaced by hand.
#[test]
fn e4_relus_let_positive_signals_back() {
    use graph::ops::{UnaryGradient, UnaryKind};
    let x = Symbol::input("x", [4]);
    let [w, v] = [[4, 5], [5, 2]].map(|s| Symbol::parameter("weight", s, graph::Init::Normal(1.0)));
    let hidden = x.matmul(&w).unwrap();
    let y = hidden.unary(UnaryKind::Relu).unwrap();
    let model = Model::new("relu", &x, &y.matmul(&v).unwrap()).unwrap();
    let mut subject = subject(&model, 1);
    let inputs = wave(&[3, 4]);
    let names: Vec<&str> = model.parameters().iter().map(|p| p.name.as_str()).collect();
    let numbers = common::parameters(&model, 3);
    let array = |name: &str, shape: &[usize]| {
        let values = numbers.get(name).unwrap().iter().map(|&v| f64::from(v)).collect();
        ArrayD::from_shape_vec(shape.to_vec(), values).unwrap()
    };
    let g = Symbol::input("g", [2]);
    let back = g.matmul(&v.clone()).err();
    assert!(back.is_some(), "the weights must be turned");
    let up = Symbol::apply(
        graph::ops::MatMul {
            transpose_b: true,
            ..Default::default()
        },
        &[&g, &v],
    )
    .unwrap();
    let positive = up.unary(UnaryKind::Relu).unwrap();
    let guided = Symbol::apply(
        UnaryGradient {
            kind: UnaryKind::Relu,
        },
        &[&positive, &y],
    )
    .unwrap();
    let down = |s: &Symbol| {
        Symbol::apply(
            graph::ops::MatMul {
                transpose_b: true,
                ..Default::default()
            },
            &[s, &w],
        )
        .unwrap()
    };
    let mut one_hot = ArrayD::zeros(vec![3, 2]);
    one_hot.index_axis_mut(Axis(1), 1).fill(1.0);
    let given = [
        (&x, inputs.mapv(f64::from)),
        (&g, one_hot),
        (&w, array(names[0], &[4, 5])),
        (&v, array(names[1], &[5, 2])),
    ];
    for (method, signal) in [(Method::GuidedBackprop, &guided), (Method::Deconvnet, &positive)] {
        let told = explain(&mut subject, &inputs, &Target::output(1), &method).unwrap();
        let expected = evaluate(&[down(signal)], &given, 3).unwrap().remove(0);
        for (a, b) in told.attributions.unwrap().iter().zip(&expected) {
            assert!((f64::from(*a) - b).abs() < 1e-5, "{method:?}: {a}, expected {b}");
        }
    }
    let plain = explain(&mut subject, &inputs, &Target::output(1), &Method::Gradient).unwrap();
    let guided = explain(&mut subject, &inputs, &Target::output(1), &Method::GuidedBackprop).unwrap();
    assert_ne!(plain.attributions, guided.attributions);
}

#[test]
fn the_shares_of_integrated_gradients_add_up() {
    let (model, inputs) = (network(), wave(&[2, 12, 12, 2]));
    let method = Method::IntegratedGradients(IntegratedGradients {
        steps: 200,
        baseline: Fill(vec![-0.5, 0.25]),
    });
    let told = explain(&mut subject(&model, 2), &inputs, &Target::predicted(), &method).unwrap();
    for (k, complete) in told.completeness.unwrap().iter().enumerate() {
        let sum: f64 = told
            .map
            .index_axis(Axis(0), k)
            .iter()
            .map(|&v| f64::from(v))
            .sum();
        assert!((sum - complete.sum).abs() < 1e-4);
        assert!(complete.error() < 2e-3, "{complete:?}");
    }
}

/// For a linear network all shares are exact: gradient × input and integrated gradients from 0 are wᵢxᵢ.
#[test]
fn a_linear_network_is_explained_exactly() {
    let x = Symbol::input("x", [5]);
    let model = Model::new("linear", &x, &Dense::new(2).on(&x).unwrap()).unwrap();
    let inputs = wave(&[4, 5]);
    let numbers = common::parameters(&model, 3);
    let weights = numbers.get(&model.parameters()[0].name).unwrap().to_vec();
    for method in [Method::GradientTimesInput, Method::named("integrated").unwrap()] {
        let told = explain(&mut subject(&model, 1), &inputs, &Target::output(1), &method).unwrap();
        for ((row, feature), share) in told
            .map
            .view()
            .into_dimensionality::<graph::ndarray::Ix2>()
            .unwrap()
            .indexed_iter()
        {
            let expected = weights[feature * 2 + 1] * inputs[[row, feature]];
            assert!((share - expected).abs() < 1e-6, "{method:?} {share} {expected}");
        }
    }
}

/// Row X36 in small: the class's probability falls where the mask hides what it is seen by, and the map says by how much.
#[test]
fn x36_occlusion_tells_the_fall_of_the_probability() {
    // A network that says "elephant" by the sum of the four pixels of one corner.
    let image = Symbol::input("image", [4, 4, 1]);
    let flat = Flatten.on(&image).unwrap();
    let w = Symbol::parameter("weight", [16, 1], Default::default());
    let model = Model::new("corner", &image, &flat.matmul(&w).unwrap()).unwrap();
    let mut numbers = common::parameters(&model, 0);
    let mut weights = [0.0; 16];
    // logit 0.95 ↔ ln 19; with one half of the corner hidden logit 0.75 ↔ ln 3.
    let (sure, less) = (19f32.ln(), 3f32.ln());
    [(0, less), (4, sure - less)]
        .into_iter()
        .for_each(|(place, v)| weights[place] = v);
    numbers.set(&model.parameters()[0].name, &weights).unwrap();
    let mut subject = Subject::new(&Engine::new(1), &model, &numbers, Reading::Classes).unwrap();
    let method = Method::Occlusion(Occlusion {
        size: Some([1, 4]),
        stride: Some([1, 4]),
        ..Occlusion::default()
    });
    let told = explain(
        &mut subject,
        &ArrayD::ones(vec![1, 4, 4, 1]),
        &Target::output(1),
        &method,
    )
    .unwrap();
    assert!((told.predictions[0] - 0.95).abs() < 1e-6);
    let hidden = told.hidden.unwrap();
    assert_eq!(hidden.dim(), (1, 4, 1));
    assert!((hidden[[0, 1, 0]] - 0.75).abs() < 1e-6 && (hidden[[0, 2, 0]] - 0.95).abs() < 1e-6);
    assert!((told.map[[0, 1, 3]] - 0.20).abs() < 1e-6 && told.map[[0, 3, 0]].abs() < 1e-6);
}

/// Grad-CAM by hand, from the layer's features and their gradient in f64.
#[test]
fn grad_cam_weighs_feature_maps_by_their_mean_gradient() {
    let model = network();
    let layers = spatial_layers(&model);
    let names: Vec<&str> = layers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["conv2d", "max_pool2d", "conv2d_1"]);
    let inputs = wave(&[1, 12, 12, 2]);
    let told = explain(
        &mut subject(&model, 2),
        &inputs,
        &Target::output(0),
        &Method::named("grad-cam").unwrap(),
    )
    .unwrap();
    assert_eq!(told.layer.as_deref(), Some("conv2d_1"));
    let lowered = lower(&[model.output().clone(), layers[2].1.clone()], Mode::Infer)
        .unwrap()
        .outputs;
    let mut given = in_f64(&model);
    let pick = Symbol::constants(vec![1.0, 0.0, 0.0], [3]);
    let score = lowered[0].mul(&pick).unwrap().sum().unwrap();
    let gradient = differentiate(&score, &[lowered[1].clone()]).unwrap().remove(0);
    given.push((model.input(), inputs.mapv(f64::from)));
    let both = evaluate(&[lowered[1].clone(), gradient], &given, 1).unwrap();
    let alpha: Vec<f64> = (0..8)
        .map(|c| both[1].index_axis(Axis(3), c).mean().unwrap())
        .collect();
    let cam = |y: usize, x: usize| {
        (0..8)
            .map(|c| alpha[c] * both[0][[0, y, x, c]])
            .sum::<f64>()
            .max(0.0)
    };
    // The corner of the enlarged map is the corner of the small one.
    assert!((f64::from(told.map[[0, 0, 0]]) - cam(0, 0)).abs() < 1e-6);
    assert!((f64::from(told.map[[0, 11, 11]]) - cam(5, 5)).abs() < 1e-6);
    let middle = 0.75 * (0.75 * cam(2, 2) + 0.25 * cam(2, 3)) + 0.25 * (0.75 * cam(3, 2) + 0.25 * cam(3, 3));
    assert!((f64::from(told.map[[0, 5, 5]]) - middle).abs() < 1e-6);
}

/// Layers whose activation stands outside of them are offered with it and without it.
#[test]
fn grad_cam_looks_behind_the_last_activation() {
    let image = Symbol::input("image", [6, 6, 1]);
    let x = BatchNorm::new()
        .on(&Conv2d::new(2, 3).padding(Same).on(&image).unwrap())
        .unwrap();
    let x = GlobalAvgPool2d.on(&Relu.on(&x).unwrap()).unwrap();
    let model = Model::new("bn", &image, &Dense::new(2).on(&x).unwrap()).unwrap();
    let names: Vec<String> = spatial_layers(&model).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["conv2d", "batch_norm", "batch_norm+relu"]);
    let told = explain(
        &mut subject(&model, 1),
        &wave(&[1, 6, 6, 1]),
        &Target::output(0),
        &Method::named("grad-cam").unwrap(),
    );
    assert_eq!(told.unwrap().layer.as_deref(), Some("batch_norm+relu"));
}

/// A segmenter's pixel is explained by its surroundings alone.
#[test]
fn a_segmenters_pixel_has_its_own_explanation() {
    let image = Symbol::input("image", [9, 9, 1]);
    let x = Conv2d::new(4, 3)
        .padding(Same)
        .activation(Relu)
        .on(&image)
        .unwrap();
    let scores = Conv2d::new(3, 1).on(&x).unwrap();
    let model = Model::new("segmenter", &image, &scores).unwrap();
    let mut subject = subject(&model, 1);
    let inputs = wave(&[1, 9, 9, 1]);
    let here = Target::output(2).at(Place::Pixel { row: 4, column: 6 });
    let told = explain(&mut subject, &inputs, &here, &Method::Gradient).unwrap();
    let map = told
        .map
        .index_axis(Axis(0), 0)
        .into_dimensionality::<graph::ndarray::Ix2>()
        .unwrap();
    for ((y, x), &v) in map.indexed_iter() {
        let seen = (3..=5).contains(&y) && (5..=7).contains(&x);
        assert!(seen || v == 0.0, "{y} {x}: {v}");
    }
    assert!(map[[4, 6]] != 0.0 || map[[3, 6]] != 0.0);
    let beyond = Target::output(2).at(Place::Pixel { row: 9, column: 0 });
    let error = explain(&mut subject, &inputs, &beyond, &Method::Gradient)
        .unwrap_err()
        .to_string();
    assert!(error.contains("9 rows and 9 columns"), "{error}");
    let region = Target::predicted().at(Place::Region(vec![(0, 0), (8, 8)]));
    let told = explain(&mut subject, &inputs, &region, &Method::Gradient).unwrap();
    assert_eq!(told.map[[0, 4, 4]], 0.0);
}

#[test]
fn a_column_that_is_not_used_has_no_importance() {
    let x = Symbol::input("x", [3]);
    let w = Symbol::parameter("weight", [3, 1], Default::default());
    let model = Model::new("two", &x, &x.matmul(&w).unwrap()).unwrap();
    let mut numbers = common::parameters(&model, 0);
    numbers
        .set(&model.parameters()[0].name, &[2.0, 0.0, 0.5])
        .unwrap();
    let mut subject = Subject::new(&Engine::new(1), &model, &numbers, Reading::Numbers).unwrap();
    let found = permutation_importance(
        &mut subject,
        &wave(&[200, 3]),
        &Target::predicted(),
        &[0..1, 1..2, 2..3, 0..3],
        &Permutation::default(),
    )
    .unwrap();
    assert_eq!(found[1].change, 0.0);
    assert!(
        found[0].change > 3.0 * found[2].change && found[2].change > 0.0,
        "{found:?}"
    );
    assert!(found[3].change > found[2].change, "{found:?}");
}

#[test]
fn the_right_map_is_more_faithful_than_a_random_one() {
    let image = Symbol::input("image", [8, 8, 1]);
    let model = Model::new(
        "linear",
        &image,
        &Dense::new(2).on(&Flatten.on(&image).unwrap()).unwrap(),
    )
    .unwrap();
    let mut subject = subject(&model, 1);
    let inputs = wave(&[5, 8, 8, 1]);
    let target = Target::predicted();
    let told = explain(&mut subject, &inputs, &target, &Method::GradientTimesInput).unwrap();
    let areas = |maps: &ArrayD<f32>, subject: &mut Subject| {
        let curves = faithfulness(subject, &inputs, &target, maps, &Faithfulness::default()).unwrap();
        assert!((curves[0].deletion[0] - told.predictions[0]).abs() < 1e-6);
        assert_eq!(curves[0].insertion[20], curves[0].deletion[0]);
        let sum = |f: fn(&Curves) -> f64| curves.iter().map(f).sum::<f64>();
        (sum(Curves::deletion_area), sum(Curves::insertion_area))
    };
    let right = areas(&told.map, &mut subject);
    let random = areas(&random_map(&told.map, 1), &mut subject);
    assert!(right.0 < random.0 && right.1 > random.1, "{right:?} {random:?}");
}

/// The network is the features that it found and a linear model on them; two of its classes lie apart in their plane.
#[test]
fn l15_scores_are_a_linear_model_of_the_features() {
    let (model, inputs) = (network(), wave(&[6, 12, 12, 2]));
    let mut subject = subject(&model, 2);
    let space = feature_space(&mut subject, &inputs).unwrap();
    assert_eq!((space.features.dim(), space.weights.dim()), ((6, 8), (8, 3)));
    let told = explain(&mut subject, &inputs, &Target::output(1), &Method::Gradient).unwrap();
    for sample in 0..6 {
        let score = space.shares(sample, 1).sum() + space.bias[1];
        assert!(
            (score - told.scores[sample]).abs() < 1e-5,
            "{score}, expected {}",
            told.scores[sample]
        );
    }
    // A cloud on a line: one direction has all of its variance.
    let line = FeatureSpace {
        features: graph::ndarray::arr2(&[[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]),
        weights: space.weights,
        bias: space.bias,
    };
    let (plane, share) = line.plane().unwrap();
    assert!(
        (share - 1.0).abs() < 1e-12 && plane.column(1).iter().all(|v| v.abs() < 1e-9),
        "{plane}"
    );
    assert!((plane[[0, 0]] + plane[[2, 0]]).abs() < 1e-9 && (plane[[2, 0]].abs() - 5.0).abs() < 1e-9);
    let image = Symbol::input("image", [4, 4, 1]);
    let ends_in_convolution = Model::new("end", &image, &Conv2d::new(2, 3).on(&image).unwrap()).unwrap();
    let told = feature_space(&mut self::subject(&ends_in_convolution, 1), &wave(&[1, 4, 4, 1])).unwrap_err();
    assert!(told.to_string().contains("dense layer"), "{told}");
}
