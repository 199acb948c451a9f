//! What a network looks for: known answers on linear networks, growth under every regulariser, bits, and what is refused.

#![allow(clippy::unwrap_used)]

mod common;

use common::{network, parameters, subject, wave};
use engine::Engine;
use graph::ndarray::{ArrayD, Axis};
use graticule_explain::attack::Pixels;
use graticule_explain::looks::{
    Inversion, Search, Spot, Units, class_pictures, features, first_filters, invert,
};
use graticule_explain::{Reading, Subject};
use nn::Model;
use nn::prelude::*;

/// Pixels that the network reads as −2 to 2.
fn pixels(channels: usize) -> Pixels {
    Pixels::new(vec![0.5; channels], vec![0.25; channels]).unwrap()
}

fn units(layer: &str, units: &[usize]) -> Units {
    Units {
        layer: layer.into(),
        units: units.to_vec(),
        ..Units::default()
    }
}

fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Scores that are weighted sums of the pixels: w₀ and w₁.
fn linear() -> (Model, Vec<f32>) {
    let image = Symbol::input("image", [6, 6, 1]);
    let scores = Dense::new(2).on(&Flatten.on(&image).unwrap()).unwrap();
    let weights = (0..72).map(|k| (k as f32 * 0.7).sin() + 0.3 * (k as f32 * 0.11).cos());
    (Model::new("linear", &image, &scores).unwrap(), weights.collect())
}

/// Row E4: a unit that is a weighted sum answers most, at a given contrast, to its own weights; with L2 alone the picture
/// is w/‖w‖ of root mean square 1/l2.
#[test]
fn e4_a_linear_unit_looks_for_its_weights() {
    let (model, weights) = linear();
    let mut numbers = parameters(&model, 3);
    numbers.set("dense.weight", &weights).unwrap();
    let mut subject = Subject::new(&Engine::new(1), &model, &numbers, Reading::Classes).unwrap();
    let search = Search {
        frequencies: false,
        jitter: 0.0,
        blur: 0.0,
        total_variation: 0.0,
        l2: 2.0,
        steps: 400,
        rate: 0.03,
    };
    let found = features(&mut subject, &pixels(1), &units("dense", &[0, 1]), &search).unwrap();
    for unit in 0..2 {
        let own: Vec<f32> = (0..36).map(|k| weights[2 * k + unit]).collect();
        let other: Vec<f32> = (0..36).map(|k| weights[2 * k + 1 - unit]).collect();
        let picture: Vec<f32> = found.pictures.index_axis(Axis(0), unit).iter().copied().collect();
        assert!(
            correlation(&picture, &own) > 0.995,
            "{}",
            correlation(&picture, &own)
        );
        assert!(correlation(&picture, &own) > correlation(&picture, &other) + 0.005);
        let size = (picture.iter().map(|v| v * v).sum::<f32>() / 36.0).sqrt();
        assert!((size - 0.5).abs() < 0.03, "{size}");
        let score: f32 = picture.iter().zip(&own).map(|(x, w)| x * w).sum();
        assert!((found.after[unit] - score).abs() < 1e-3 && found.after[unit] > 5.0 * found.before[unit]);
    }
    // The same for the class, and the weights are the network's filters.
    let classes = class_pictures(&mut subject, &pixels(1), &[1, 0], &search).unwrap();
    let one: Vec<f32> = classes.pictures.index_axis(Axis(0), 0).iter().copied().collect();
    let own: Vec<f32> = (0..36).map(|k| weights[2 * k + 1]).collect();
    assert!(correlation(&one, &own) > 0.995);
    let filters = first_filters(&model, &numbers).unwrap();
    assert_eq!(filters.weights[[2, 3, 0, 1]], weights[2 * 15 + 1]);
}

/// Whatever keeps pictures natural, what was to grow grows, and pixels stay pixels.
#[test]
fn e4_every_setting_lets_the_unit_answer_more() {
    let model = network();
    let plain = Search {
        frequencies: false,
        jitter: 0.0,
        blur: 0.0,
        total_variation: 0.0,
        l2: 0.0,
        steps: 40,
        rate: 0.2,
    };
    let settings = [
        plain.clone(),
        Search {
            frequencies: true,
            ..plain.clone()
        },
        Search {
            jitter: 0.2,
            ..plain.clone()
        },
        Search {
            blur: 0.6,
            ..plain.clone()
        },
        Search {
            total_variation: 0.3,
            ..plain.clone()
        },
        Search {
            l2: 0.5,
            ..plain.clone()
        },
        Search {
            steps: 40,
            ..Search::default()
        },
    ];
    let variation = |found: &ArrayD<f32>| {
        let steps = found
            .windows(vec![1, 1, 2, 1])
            .into_iter()
            .map(|w| (w[[0, 0, 1, 0]] - w[[0, 0, 0, 0]]).abs());
        steps.sum::<f32>()
    };
    let mut variations = Vec::new();
    for search in &settings {
        let mut subject = subject(&model, 1).seed(5);
        for spot in [Spot::Mean, Spot::Centre] {
            let asked = Units {
                spot,
                ..units("conv2d_1", &[0, 3, 5])
            };
            let found = features(&mut subject, &pixels(2), &asked, search).unwrap();
            for (before, after) in found.before.iter().zip(&found.after) {
                assert!(*after > before + 0.3, "{search:?} {spot:?}: {before} {after}");
            }
            assert!(found.pictures.iter().all(|x| (-2.001..=2.001).contains(x)));
            if spot == Spot::Mean {
                variations.push(variation(&found.pictures));
            }
        }
        let found = class_pictures(&mut subject, &pixels(2), &[0, 1, 2], search).unwrap();
        assert!(
            found
                .before
                .iter()
                .zip(&found.after)
                .all(|(before, after)| *after > before + 0.05),
            "{search:?}"
        );
    }
    // Blur, total variation and L2 each calm the picture.
    for calm in [3, 4, 5] {
        assert!(variations[calm] < 0.9 * variations[0], "{calm}: {variations:?}");
    }
}

/// Row E5: the output of a layer that loses nothing gives the picture back; pooled and narrow layers do not.
#[test]
fn e5_what_a_layer_keeps_comes_back() {
    let image = Symbol::input("image", [8, 8, 2]);
    let same = Conv2d::new(2, 1).on(&image).unwrap();
    let pooled = AvgPool2d::new(4).on(&same).unwrap();
    let scores = Dense::new(2).on(&Flatten.on(&pooled).unwrap()).unwrap();
    let model = Model::new("mixer", &image, &scores).unwrap();
    let mut numbers = parameters(&model, 3);
    numbers.set("conv2d.weight", &[0.8, -0.6, 0.6, 0.8]).unwrap();
    let mut subject = Subject::new(&Engine::new(1), &model, &numbers, Reading::Classes).unwrap();
    let input = wave(&[2, 8, 8, 2]);
    for frequencies in [false, true] {
        let settings = Inversion {
            frequencies,
            variation_weight: 0.0,
            alpha_weight: 0.0,
            steps: 1000,
            ..Inversion::default()
        };
        let shallow = invert(&mut subject, &pixels(2), &input, "conv2d", &settings).unwrap();
        let deep = invert(&mut subject, &pixels(2), &input, "avg_pool2d", &settings).unwrap();
        for k in 0..2 {
            assert!(
                shallow.errors[k] < 0.01 && shallow.distances[k] < 0.01,
                "{shallow:?}"
            );
            assert!(deep.errors[k] < 0.02 && deep.distances[k] > 0.2, "{deep:?}");
        }
        let largest = shallow
            .pictures
            .iter()
            .zip(&input)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(largest < 0.03, "{largest}");
    }
    // Total variation makes what is free smooth.
    let smooth = Inversion {
        variation_weight: 1.0,
        ..Inversion::default()
    };
    let found = invert(&mut subject, &pixels(2), &input, "avg_pool2d", &smooth).unwrap();
    let free = invert(
        &mut subject,
        &pixels(2),
        &input,
        "avg_pool2d",
        &Inversion {
            variation_weight: 0.0,
            ..smooth
        },
    );
    let steps = |all: &ArrayD<f32>| {
        all.windows(vec![1, 1, 2, 1])
            .into_iter()
            .map(|w| (w[[0, 0, 1, 0]] - w[[0, 0, 0, 0]]).abs())
            .sum::<f32>()
    };
    assert!(steps(&found.pictures) < 0.7 * steps(&free.unwrap().pictures));
}

/// On a network as they are, errors grow with depth: what is deeper has forgotten more of the pixels.
#[test]
fn e5_deeper_layers_know_less_of_the_pixels() {
    let model = network();
    let mut subject = subject(&model, 1);
    let input = wave(&[1, 12, 12, 2]);
    let settings = Inversion {
        steps: 200,
        ..Inversion::default()
    };
    let distances = ["conv2d", "conv2d_1", "dense"].map(|layer| {
        let found = invert(&mut subject, &pixels(2), &input, layer, &settings).unwrap();
        assert_eq!(found.layer, layer);
        assert!(found.errors[0] < 0.3, "{layer}: {}", found.errors[0]);
        found.distances[0]
    });
    assert!(
        distances[0] < 0.7 * distances[1] && distances[1] < distances[2],
        "{distances:?}"
    );
}

#[test]
fn bits_do_not_depend_on_threads_or_on_what_else_is_sought() {
    let model = network();
    let input = wave(&[3, 12, 12, 2]);
    let search = Search {
        steps: 12,
        ..Search::default()
    };
    let inversion = Inversion {
        steps: 12,
        ..Inversion::default()
    };
    let of = |threads: usize, memory: usize| {
        let mut subject = subject(&model, threads).seed(7).memory(memory);
        let sought = features(
            &mut subject,
            &pixels(2),
            &units("conv2d_1", &[0, 1, 2, 3, 4, 5, 6]),
            &search,
        )
        .unwrap();
        let classes = class_pictures(&mut subject, &pixels(2), &[2, 0], &search).unwrap();
        let back = invert(&mut subject, &pixels(2), &input, "max_pool2d", &inversion).unwrap();
        (sought, classes, back)
    };
    let one = of(1, 1 << 29);
    assert_eq!(one, of(2, 1 << 29));
    assert_eq!(one, of(3, 1 << 29));
    // Little memory makes small groups; the pictures stay what they are.
    let small = of(1, 1);
    let apart =
        |a: &ArrayD<f32>, b: &ArrayD<f32>| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart(&one.0.pictures, &small.0.pictures) < 0.1);
    let other = features(
        &mut subject(&model, 1).seed(8),
        &pixels(2),
        &units("conv2d_1", &[0]),
        &search,
    )
    .unwrap();
    assert!(other.pictures.index_axis(Axis(0), 0) != one.0.pictures.index_axis(Axis(0), 0));
}

#[test]
fn what_cannot_be_sought_is_one_clear_error() {
    let model = network();
    let mut subject = subject(&model, 1);
    let search = Search::default();
    let of = |subject: &mut Subject, layer: &str, unit: usize| {
        features(subject, &pixels(2), &units(layer, &[unit]), &Search::default())
            .unwrap_err()
            .to_string()
    };
    assert!(of(&mut subject, "conv2d_7", 0).contains("it has conv2d, max_pool2d, conv2d_1"));
    assert!(of(&mut subject, "conv2d_1", 8).contains("has 8 units, 0 to 7"));
    let told = class_pictures(&mut subject, &pixels(2), &[3], &search)
        .unwrap_err()
        .to_string();
    assert!(told.contains("3 outputs, 0 to 2"), "{told}");
    let told = class_pictures(&mut subject, &pixels(3), &[0], &search)
        .unwrap_err()
        .to_string();
    assert!(told.contains("pictures of 3 bands"), "{told}");
    for bad in [
        Search {
            steps: 0,
            ..Search::default()
        },
        Search {
            rate: f32::NAN,
            ..Search::default()
        },
        Search {
            jitter: 0.9,
            ..Search::default()
        },
    ] {
        assert!(
            class_pictures(&mut subject, &pixels(2), &[0], &bad).is_err(),
            "{bad:?}"
        );
    }
    let input = wave(&[1, 12, 12, 2]);
    let bad = Inversion {
        beta: 0.5,
        ..Inversion::default()
    };
    assert!(
        invert(&mut subject, &pixels(2), &input, "conv2d", &bad)
            .unwrap_err()
            .to_string()
            .contains("beta")
    );
    let told = invert(
        &mut subject,
        &pixels(2),
        &wave(&[1, 9, 9, 2]),
        "conv2d",
        &Inversion::default(),
    );
    assert!(told.unwrap_err().to_string().contains("[samples, 12, 12, 2]"));
    // A network of tables.
    let row = Symbol::input("row", [4]);
    let model = Model::new("table", &row, &Dense::new(2).on(&row).unwrap()).unwrap();
    let mut table = Subject::new(&Engine::new(1), &model, &parameters(&model, 1), Reading::Classes).unwrap();
    let told = of(&mut table, "dense", 0);
    assert!(
        told.starts_with("features: ") && told.contains("pictures [H, W, C]"),
        "{told}"
    );
    assert!(
        first_filters(&model, &parameters(&model, 1))
            .unwrap_err()
            .to_string()
            .contains("pictures")
    );
}
