//! Charts on made-up numbers: what they must say and survive.

mod wellformed;

use graticule_report::figures::*;
use ndarray::{Array2, array};
use wellformed::assert_well_formed;

fn loss_chart() -> LineChart {
    LineChart {
        title: "Loss <train & test>".into(),
        x_label: "epoch".into(),
        y_label: "loss".into(),
        series: vec![
            Series::new(
                "train",
                (1..=20).map(|e| (f64::from(e), 2.0 / f64::from(e))).collect(),
            ),
            Series::new(
                "validation",
                (1..=20).map(|e| (f64::from(e), 2.2 / f64::from(e))).collect(),
            )
            .dashed(),
        ],
        marks: vec![Mark {
            x: 17.0,
            label: "best epoch 17".into(),
        }],
        ..LineChart::default()
    }
}

#[test]
fn s11_training_and_validation_curves() {
    let svg = line_chart(&loss_chart());
    assert_well_formed(&svg);
    for needle in [
        "Loss &lt;train &amp; test&gt;",
        ">train<",
        ">validation<",
        "best epoch 17",
        "stroke-dasharray=\"6 4\"",
    ] {
        assert!(svg.contains(needle), "{needle}");
    }
}

#[test]
fn points_that_cannot_be_drawn_are_counted() {
    let mut chart = loss_chart();
    chart.series[0].points[3].1 = f64::NAN;
    chart.series[1].points[4].1 = f64::INFINITY;
    chart.series[1].points[5].1 = f64::MAX;
    let svg = line_chart(&chart);
    assert_well_formed(&svg);
    assert!(svg.contains("3 points are not drawn (NaN or infinite)"));
    chart.log_y = true;
    chart.series[0].points[0].1 = 0.0;
    let svg = line_chart(&chart);
    assert_well_formed(&svg);
    assert!(svg.contains("4 points are not drawn"));
}

#[test]
fn an_empty_chart_says_so() {
    for points in [vec![], vec![(f64::NAN, 1.0)]] {
        let chart = LineChart {
            title: "Loss".into(),
            series: vec![Series::new("train", points)],
            ..LineChart::default()
        };
        let svg = line_chart(&chart);
        assert_well_formed(&svg);
        assert!(svg.contains("no data"));
    }
}

#[test]
fn a_million_points_stay_small_and_keep_the_peak() {
    let mut points: Vec<(f64, f64)> = (0..1_000_000).map(|i| (f64::from(i), 1.0)).collect();
    points[123_456].1 = 9.0;
    let chart = LineChart {
        series: vec![Series::new("loss", points)],
        ..LineChart::default()
    };
    let svg = line_chart(&chart);
    assert!(svg.len() < 100_000, "{}", svg.len());
    let flat = LineChart {
        series: vec![Series::new("loss", vec![(0.0, 1.0), (1e6, 9.0)])],
        ..LineChart::default()
    };
    let top = |svg: &str| {
        let path = svg
            .split("<path d=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_string();
        path.split(['M', 'L'])
            .filter_map(|p| p.split(' ').nth(1)?.parse::<f64>().ok())
            .fold(f64::MAX, f64::min)
    };
    assert!((top(&svg) - top(&line_chart(&flat))).abs() < 0.1);
}

#[test]
fn one_point_and_equal_values_are_drawn() {
    for value in [0.0, 5.0, -1e12] {
        let chart = LineChart {
            series: vec![Series::new("a", vec![(1.0, value)])],
            ..LineChart::default()
        };
        let svg = line_chart(&chart);
        assert_well_formed(&svg);
        assert!(svg.contains("h0"), "a lone point is a dot");
    }
}

#[test]
fn confusion_matrix_holds_counts_names_and_recall() {
    let counts = array![[48u64, 2, 0], [5, 45, 0], [0, 0, 0]];
    let svg = confusion_matrix("Test", &["A&B", "water", "none"], counts.view()).unwrap();
    assert_well_formed(&svg);
    for needle in [
        "A&amp;B",
        ">48<",
        ">5<",
        "96.0 %",
        "90.0 %",
        "93 of 100 right",
        "A&amp;B → water: 2 (4.0 %)",
    ] {
        assert!(svg.contains(needle), "{needle}");
    }
    assert!(svg.contains(">–<"), "a class without samples has no recall");
}

#[test]
fn confusion_matrix_from_two_to_forty_classes() {
    for k in [2, 10, 40] {
        let names: Vec<String> = (0..k).map(|i| format!("a rather long class name {i}")).collect();
        let counts = Array2::from_shape_fn((k, k), |(r, c)| if r == c { 1234 } else { (r * c % 3) as u64 });
        let svg = confusion_matrix("Test", &names, counts.view()).unwrap();
        assert_well_formed(&svg);
        assert_eq!(svg.matches(">1234<").count(), k);
    }
}

#[test]
fn confusion_matrix_refuses_other_shapes_and_shows_no_data() {
    let error = confusion_matrix("Test", &["a", "b"], Array2::zeros((2, 3)).view())
        .unwrap_err()
        .to_string();
    assert!(error.contains("[2, 3]") && error.contains("[2, 2]"), "{error}");
    assert!(
        confusion_matrix("Test", &["a", "b"], Array2::zeros((2, 2)).view())
            .unwrap()
            .contains("no data")
    );
}

#[test]
fn a_regression_that_fits_has_r_squared_one_and_bounded_size() {
    let truth: Vec<f64> = (0..200_000).map(|i| f64::from(i % 997)).collect();
    let mut predicted = truth.clone();
    predicted[0] = f64::NAN;
    let svg = predicted_against_true("Test set", "price", &truth, &predicted).unwrap();
    assert_well_formed(&svg);
    assert!(
        svg.contains("R² = 1 · RMSE = 0 · n = 199\u{2009}999"),
        "{svg:.1500}"
    );
    assert!(svg.contains("1 point is not drawn") && svg.len() < 120_000);
    assert!(predicted_against_true("Test set", "", &truth, &[1.0]).is_err());
    assert!(
        predicted_against_true("Test set", "", &[], &[])
            .unwrap()
            .contains("no data")
    );
}

#[test]
fn heatmap_writes_values_and_leaves_nan_blank() {
    let chart = Heatmap {
        title: "Weights".into(),
        values: array![[1.5, f64::NAN], [-2.0, 0.25]],
        row_names: vec!["a<b".into(), "c".into()],
        column_names: vec!["x".into(), "y".into()],
        show_values: true,
        ..Heatmap::default()
    };
    let svg = heatmap(&chart).unwrap();
    assert_well_formed(&svg);
    for needle in [">1.5<", ">−2<", ">0.25<", "a&lt;b", "1 point is not drawn"] {
        assert!(svg.contains(needle), "{needle}");
    }
    assert!(
        heatmap(&Heatmap {
            row_names: vec!["a".into()],
            ..chart.clone()
        })
        .is_err()
    );
    assert!(heatmap(&Heatmap::default()).unwrap().contains("no data"));
    assert_well_formed(
        &heatmap(&Heatmap {
            values: Array2::zeros((3, 3)),
            ..Heatmap::default()
        })
        .unwrap(),
    );
}

#[test]
fn a_loss_that_explodes_is_cut_at_the_range_given() {
    let points = vec![(1e-4, 2.3), (1e-3, 1.0), (1e-2, 1e290)];
    let chart = LineChart {
        series: vec![Series::new("loss", points)],
        log_x: true,
        y_range: Some((0.0, 4.0)),
        ..LineChart::default()
    };
    let svg = line_chart(&chart);
    assert_well_formed(&svg);
    assert!(svg.len() < 8000 && svg.contains(">4<"));
}
