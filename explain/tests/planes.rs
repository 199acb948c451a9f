//! Features in the plane: principal components and t-SNE against scikit-learn's (`tests/golden/planes.py`), and what a
//! cloud without any order, spread or samples gives.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use graph::ndarray::{Array2, Axis, s};
use graticule_explain::seen::*;
use serde_json::Value;

fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/planes.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let all = value["data"].as_array().unwrap().iter();
    all.map(|v| v.as_f64().unwrap()).collect()
}

fn matrix(value: &Value) -> Array2<f64> {
    let side = |axis: usize| value["shape"][axis].as_u64().unwrap() as usize;
    Array2::from_shape_vec((side(0), side(1)), numbers(value)).unwrap()
}

fn near(found: impl IntoIterator<Item = f64>, expected: impl IntoIterator<Item = f64>, what: &str) {
    let (found, expected): (Vec<f64>, Vec<f64>) =
        (found.into_iter().collect(), expected.into_iter().collect());
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            (found - expected).abs() < 1e-9 * (1.0 + expected.abs()),
            "{what}: {found}, expected {expected}"
        );
    }
}

#[test]
fn principal_components_are_those_of_scikit_learn() {
    for cloud in ["tall", "wide"] {
        let golden = &golden()[cloud];
        let found = pca(matrix(&golden["points"]).view(), 3).unwrap();
        near(found.axes.iter().copied(), numbers(&golden["axes"]), cloud);
        near(
            found.variances.iter().copied(),
            numbers(&golden["variances"]),
            cloud,
        );
        near(found.shares(), numbers(&golden["shares"]), cloud);
        near(found.places.iter().copied(), numbers(&golden["places"]), cloud);
    }
}

/// Directions that barely differ in variance, more of them than are followed at once.
#[test]
fn principal_components_of_a_round_cloud_still_vary_most() {
    let mut state = 7u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
    };
    let cloud = Array2::from_shape_simple_fn((300, 60), || (0..6).map(|_| draw()).sum::<f64>());
    let found = pca(cloud.view(), 2).unwrap();
    let axes = found.axes.dot(&found.axes.t());
    assert!(
        (axes[[0, 0]] - 1.0).abs() < 1e-12 && axes[[0, 1]].abs() < 1e-9,
        "{axes}"
    );
    // An axis of the largest variance: the products with the covariance point along it.
    let centred = &cloud - &cloud.mean_axis(Axis(0)).unwrap();
    for (axis, &variance) in found.axes.rows().into_iter().zip(&found.variances) {
        let turned = centred.t().dot(&centred.dot(&axis)) / 299.0;
        let away = (&turned - &(&axis * variance)).mapv(f64::abs).sum();
        assert!(away < 1e-5 * variance, "{away}");
    }
    assert_eq!(found, pca(cloud.view(), 2).unwrap());
}

#[test]
fn what_does_not_vary_has_no_directions_and_no_nan() {
    for (n, d) in [(1, 4), (2, 4), (5, 1), (3, 3)] {
        let same = pca(Array2::from_elem((n, d), 0.3).view(), 2).unwrap();
        assert!(
            same.places
                .iter()
                .chain(&same.axes)
                .chain(&same.variances)
                .all(|v| *v == 0.0),
            "{same:?}"
        );
        assert_eq!(same.shares(), [0.0, 0.0]);
    }
    let two = pca(
        graph::ndarray::arr2(&[[0.0, 1.0, 5.0], [2.0, 1.0, 5.0]]).view(),
        2,
    )
    .unwrap();
    near(two.places.iter().copied(), [-1.0, 0.0, 1.0, 0.0], "two points");
    let told = pca(Array2::from_elem((3, 2), f64::NAN).view(), 2)
        .unwrap_err()
        .to_string();
    assert!(told.contains("NaN") && told.contains("learning rate"), "{told}");
}

#[test]
fn tsne_parts_blobs_and_comes_as_near_as_scikit_learn() {
    let golden = &golden()["blobs"];
    let points = matrix(&golden["points"]);
    let classes: Vec<usize> = (0..180).map(|i| i / 60).collect();
    for (perplexity, expected) in golden["divergences"].as_object().unwrap() {
        let settings = Tsne {
            perplexity: perplexity.parse().unwrap(),
            ..Tsne::default()
        };
        let (mut told, mut last) = (0, (0, 0));
        let found = tsne(points.view(), &settings, &mut |done, all| {
            told += 1;
            last = (done, all);
        })
        .unwrap();
        assert_eq!((told, last), (1000, (1000, 1000)));
        let divergence = found.divergence();
        let expected = expected.as_f64().unwrap();
        assert!(
            divergence < 1.02 * expected,
            "perplexity {perplexity}: {divergence}, scikit-learn's {expected}"
        );
        let first = found.divergences[0];
        assert!(first.0 == 250 && first.1 > divergence, "{:?}", found.divergences);
        assert!(purity(found.places.view(), &classes, 10) > 0.99);
        // The groups lie apart: the gaps between their middles are wider than the groups.
        let middle = |class: usize| {
            found
                .places
                .slice(s![60 * class..60 * (class + 1), ..])
                .mean_axis(Axis(0))
                .unwrap()
        };
        for class in 0..3 {
            let own = middle(class);
            let reach = |i: usize| (&found.places.row(i) - &own).mapv(|v| v * v).sum().sqrt();
            let widest = (60 * class..60 * (class + 1)).map(reach).fold(0.0, f64::max);
            let gap = (&middle((class + 1) % 3) - &own).mapv(|v| v * v).sum().sqrt();
            assert!(gap > widest, "{class}: {gap} {widest}");
        }
    }
}

#[test]
fn tsne_gives_the_same_bits_for_any_number_of_threads() {
    let points = matrix(&golden()["blobs"]["points"]);
    let twice = graph::ndarray::concatenate(Axis(0), &[points.view(), (&points + 0.05).view()]).unwrap();
    let told = |threads| {
        let settings = Tsne {
            threads,
            iterations: 300,
            ..Tsne::default()
        };
        tsne(twice.view(), &settings, &mut |_, _| {}).unwrap()
    };
    let one = told(1);
    assert!(one.places.iter().all(|v| v.is_finite()));
    assert!(one == told(2) && one == told(3));
}

#[test]
fn tsne_refuses_what_has_no_neighbours() {
    let ask = |points: Array2<f64>| tsne(points.view(), &Tsne::default(), &mut |_, _| {});
    assert!(
        ask(Array2::zeros((3, 2)))
            .unwrap_err()
            .to_string()
            .contains("four")
    );
    assert!(
        ask(Array2::ones((9, 2)))
            .unwrap_err()
            .to_string()
            .contains("the same")
    );
    assert!(ask(Array2::from_elem((9, 2), f64::INFINITY)).is_err());
    let wrong = Tsne {
        perplexity: 0.5,
        ..Tsne::default()
    };
    assert!(tsne(Array2::eye(9).view(), &wrong, &mut |_, _| {}).is_err());
    // Few points, points on a line, points in one place: all have places.
    for points in [
        Array2::from_shape_fn((4, 1), |(i, _)| i as f64),
        Array2::from_shape_fn((30, 3), |(i, j)| (i * (j + 1)) as f64 * 1e4),
        Array2::from_shape_fn((12, 2), |(i, _)| if i < 11 { 1.0 } else { 2.0 }),
    ] {
        let found = ask(points).unwrap();
        assert!(found.places.iter().all(|v| v.is_finite()) && found.divergence().is_finite());
        assert!(found.perplexity < 10.0);
    }
}
