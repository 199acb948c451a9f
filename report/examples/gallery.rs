//! Builds a report with every figure on made-up numbers: `cargo run -p graticule-report --example gallery`.
//!
//! The file is written to the path given as the first argument, `gallery.html` without one.

use std::f64::consts::{PI, TAU};

use graticule_report::Error;
use graticule_report::figures::*;
use graticule_report::html::{Card, Report};
use ndarray::{Array2, Array3, Array4};

/// The classes of a made-up land-cover data set.
const LAND: [&str; 10] = [
    "annual crop",
    "forest",
    "herbaceous vegetation",
    "highway",
    "industrial",
    "pasture",
    "permanent crop",
    "residential",
    "river",
    "sea & lake",
];

fn main() -> Result<(), Error> {
    let path = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "gallery.html".to_string());
    let mut report = Report::new("land-cover-3");
    report
        .subtitle("Classification of 8 000 made-up satellite pictures into 10 classes · cnn-small · seed 1");
    report.summary(&[
        Card::new("Test accuracy", "95.4 %").note("spatial blocks, 1 600 pictures"),
        Card::new("Random split", "97.9 %").note("2.5 points of leakage"),
        Card::new("Macro F1", "0.951"),
        Card::new("Parameters", "394 k").note("1.5 MiB as f32"),
        Card::new("Training time", "13 min 42 s").note("2 threads, 247 images/s"),
    ]);
    training(&mut report);
    evaluation(&mut report)?;
    pictures(&mut report)?;
    planes(&mut report)?;
    fields(&mut report)?;
    report.section("Settings").details(
        "run.toml",
        "seed = 1\n\n[optimizer]\nname = \"adamw\"\nlearning_rate = 0.002\n",
    );
    report.details("Environment", "graticule 0.1.0\nAVX-512, 2 threads");
    report.write(&path)?;
    println!("wrote {path}");
    Ok(())
}

/// A repeatable number in `[0, 1)` for index `i`.
fn noise(i: usize) -> f64 {
    let mut z = (i as u64)
        .wrapping_add(0x9e37_79b9_7f4a_7c15)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// A roughly normal number for index `i`.
fn normal(i: usize) -> f64 {
    (-2.0 * (noise(2 * i) + 1e-12).ln()).sqrt() * (TAU * noise(2 * i + 1)).cos()
}

fn training(report: &mut Report) {
    report.section("Training").text(
        "The validation loss is lowest after epoch 19; the weights of that epoch are the ones evaluated below. \
         The gap between the curves is the overfitting that remains.",
    );
    let curve = |floor: f64, wobble: f64, salt: usize| -> Vec<(f64, f64)> {
        (1..=25)
            .map(|e| {
                (
                    e as f64,
                    floor + 2.0 * (-0.28 * e as f64).exp() + wobble * normal(salt + e),
                )
            })
            .collect()
    };
    let mut validation = curve(0.21, 0.012, 90);
    validation[6].1 = f64::NAN;
    report.figure(
        &line_chart(&LineChart {
            title: "Loss".into(),
            x_label: "epoch".into(),
            y_label: "cross-entropy".into(),
            series: vec![
                Series::new("training", curve(0.08, 0.006, 10)),
                Series::new("validation", validation).dashed(),
            ],
            marks: vec![Mark {
                x: 19.0,
                label: "best epoch 19".into(),
            }],
            ..LineChart::default()
        }),
        "Loss after each epoch on training and validation data.",
    );
    let raw: Vec<(f64, f64)> = (0..400)
        .map(|i| {
            let lr = 10f64.powf(-7.0 + 8.0 * i as f64 / 400.0);
            let loss =
                2.3 - 1.5 / (1.0 + (1e-3 / lr).powf(1.4)) + if lr > 0.1 { (lr - 0.1) * 2.0 } else { 0.0 };
            (lr, loss + 0.05 * normal(700 + i))
        })
        .collect();
    let smooth = (10..390)
        .map(|i| {
            (
                raw[i].0,
                raw[i - 10..i + 10].iter().map(|p| p.1).sum::<f64>() / 20.0,
            )
        })
        .collect();
    report.figure(
        &line_chart(&LineChart {
            title: "Learning-rate search".into(),
            x_label: "learning rate".into(),
            y_label: "loss".into(),
            series: vec![
                Series::new("", raw).styled(Style::Faint),
                Series::new("smoothed loss", smooth),
            ],
            log_x: true,
            y_range: Some((0.0, 4.0)),
            marks: vec![Mark {
                x: 2e-3,
                label: "chosen: 0.002".into(),
            }],
            ..LineChart::default()
        }),
        "The learning rate grows with every batch; the one chosen lies where the loss falls fastest.",
    );
    let names = [
        "SGD", "momentum", "Nesterov", "Adagrad", "Adadelta", "RMSprop", "Adam", "AdamW",
    ];
    let race = names.iter().enumerate().map(|(k, name)| {
        let rate = 0.004 * (1.0 + k as f64 * 0.8);
        Series::new(
            *name,
            (0..300)
                .map(|s| {
                    (
                        s as f64 * 10.0,
                        2.3 * (-rate * s as f64).exp() + 0.01 + 0.002 * normal(k * 400 + s).abs(),
                    )
                })
                .collect(),
        )
    });
    report.figure(
        &line_chart(&LineChart {
            title: "Optimizer race".into(),
            x_label: "step".into(),
            y_label: "training loss".into(),
            series: race.collect(),
            log_y: true,
            ..LineChart::default()
        }),
        "The same network and batches, eight update rules.",
    );
    let sizes = [100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0, 60_000.0];
    let accuracy = |offset: f64| {
        sizes
            .iter()
            .map(|n: &f64| (*n, 100.0 - offset / n.powf(0.45)))
            .collect::<Vec<_>>()
    };
    report.figure(
        &line_chart(&LineChart {
            title: "Accuracy against data size".into(),
            x_label: "training pictures".into(),
            y_label: "test accuracy (%)".into(),
            series: vec![
                Series::new("LeNet-5", accuracy(160.0)).styled(Style::LinePoints),
                Series::new("logistic regression", accuracy(230.0)).styled(Style::LinePoints),
            ],
            log_x: true,
            ..LineChart::default()
        }),
        "Each point is one training with that many pictures.",
    );
}

fn evaluation(report: &mut Report) -> Result<(), Error> {
    report
        .section("Evaluation")
        .warning("Neighbouring pictures overlap: a random split would have shown 97.9 % instead of 95.4 %.");
    let counts = Array2::from_shape_fn((10, 10), |(r, c)| {
        let spread = (noise(r * 31 + c * 7) * 9.0) as u64;
        if r == c {
            150 + spread
        } else {
            spread.saturating_sub(6) * (1 + (r + c == 11) as u64 * 4)
        }
    });
    report.figure(
        &confusion_matrix("Confusion matrix", &LAND, counts.view())?,
        "Rows are the true classes, columns the predictions, on test data.",
    );
    let f1: Vec<f64> = (0..10).map(|i| 0.86 + 0.13 * noise(i + 5)).collect();
    let recall: Vec<f64> = (0..10).map(|i| 0.84 + 0.15 * noise(i + 25)).collect();
    report.figure(
        &bar_chart(&BarChart {
            title: "Scores per class".into(),
            value_label: "score".into(),
            names: LAND.iter().map(|s| s.to_string()).collect(),
            groups: vec![("F1".into(), f1), ("recall".into(), recall)],
            range: Some((0.0, 1.0)),
            ..BarChart::default()
        }),
        "F1 is the harmonic mean of precision and recall.",
    );
    let truth: Vec<f64> = (0..20_640)
        .map(|i| 60_000.0 + 440_000.0 * noise(i + 3).powi(2))
        .collect();
    let predicted: Vec<f64> = truth
        .iter()
        .enumerate()
        .map(|(i, t)| t * (1.0 + 0.17 * normal(i + 9)) + 9000.0)
        .collect();
    report.figure(
        &predicted_against_true("Predicted against true", "house value (USD)", &truth, &predicted)?,
        "Every test sample once; on the dashed line the prediction is exact.",
    );
    report.figure(
        &histogram(&Histogram {
            title: "Residuals".into(),
            x_label: "predicted − true (USD)".into(),
            values: truth.iter().zip(&predicted).map(|(t, p)| p - t).collect(),
            marks: vec![Mark {
                x: 0.0,
                label: "zero".into(),
            }],
            ..Histogram::default()
        }),
        "A centre right of zero means that the model answers too high.",
    );
    let few: Vec<(f64, f64)> = (0..300)
        .map(|i| (noise(i), noise(i) * 2.0 + 0.2 * normal(i + 77)))
        .collect();
    report.figure(
        &scatter(&Scatter {
            title: "Two features".into(),
            x_label: "NDVI".into(),
            y_label: "biomass (kg/m²)".into(),
            points: few,
            ..Scatter::default()
        }),
        "",
    );
    report.figure(
        &bar_chart(&BarChart {
            title: "Gradient norm per layer".into(),
            value_label: "‖∂L/∂W‖₂, median over steps".into(),
            names: (1..=8).map(|i| format!("conv {i}")).collect(),
            groups: vec![(
                String::new(),
                (0..8).map(|i| 10f64.powf(-0.55 * (7 - i) as f64)).collect(),
            )],
            log: true,
            ..BarChart::default()
        }),
        "Gradients vanish towards the input: try batch norm or skip connections.",
    );
    report.table(
        &["class", "precision", "recall", "F1", "samples"],
        &LAND
            .iter()
            .enumerate()
            .map(|(i, c)| {
                vec![
                    c.to_string(),
                    format!("{:.3}", 0.9 + 0.01 * i as f64),
                    "0.951".into(),
                    "0.944".into(),
                    "160".into(),
                ]
            })
            .collect::<Vec<_>>(),
    );
    Ok(())
}

/// A made-up digit-like picture.
fn blob(seed: usize, side: usize, channels: usize) -> Array3<u8> {
    let (cx, cy) = (0.3 + 0.4 * noise(seed), 0.3 + 0.4 * noise(seed + 1));
    Array3::from_shape_fn((side, side, channels), |(y, x, c)| {
        let (u, v) = (x as f64 / side as f64 - cx, y as f64 / side as f64 - cy);
        let ring = ((u * u + v * v).sqrt() * 9.0 - 1.5 + noise(seed + 2) * (3.0 * v.atan2(u)).sin()).abs();
        (255.0 * (-ring * ring * (2.0 + c as f64)).exp()) as u8
    })
}

fn pictures(report: &mut Report) -> Result<(), Error> {
    report.section("Pictures");
    let errors: Vec<Tile> = (0..30)
        .map(|i| {
            Tile::judged(
                blob(i * 11, 28, 1),
                &(i % 10).to_string(),
                &((i * 7 + 3) % 10).to_string(),
            )
        })
        .collect();
    report.figure(
        &gallery("Errors, surest first", &errors)?,
        "Each caption is true → predicted.",
    );
    let scenes: Vec<Tile> = (0..9)
        .map(|i| Tile::judged(blob(i * 17 + 2, 64, 3), LAND[i], LAND[(i + 3) % 10]))
        .collect();
    report.figure(&gallery("Errors with long names", &scenes)?, "");
    let guesses = |i: usize| {
        let top = 0.4 + 0.5 * noise(i);
        (0..5)
            .map(|k| (LAND[(i * 3 + k) % 10].to_string(), top * 0.35f64.powi(k as i32)))
            .collect::<Vec<_>>()
    };
    let samples: Vec<Tile> = (0..12)
        .map(|i| {
            let truth = LAND[(i * 3 + usize::from(i % 4 == 1)) % 10];
            Tile::judged(blob(i * 13 + 5, 64, 3), truth, LAND[i * 3 % 10]).guesses(guesses(i))
        })
        .collect();
    report.figure(
        &gallery("Test pictures with the five best guesses", &samples)?,
        "Blue marks the true class.",
    );
    let gabor = |kh: usize, channels: usize, filters: usize| {
        Array4::from_shape_fn((kh, kh, channels, filters), |(y, x, c, o)| {
            let (u, v) = (x as f64 - kh as f64 / 2.0, y as f64 - kh as f64 / 2.0);
            let (angle, wave) = (o as f64 * PI / 12.0, 0.6 + 0.5 * noise(o));
            let phase = c as f64 * if o > filters / 2 { 1.2 } else { 0.0 };
            ((-(u * u + v * v) / (kh * kh) as f64 * 6.0).exp()
                * ((u * angle.cos() + v * angle.sin()) * wave + phase).cos()) as f32
        })
    };
    report.figure(
        &filters_grid("First-layer filters", gabor(11, 3, 96).view())?,
        "Grey is zero.",
    );
    report.figure(&filters_grid("LeNet-5, first layer", gabor(5, 1, 6).view())?, "");
    Ok(())
}

fn planes(report: &mut Report) -> Result<(), Error> {
    report.section("Decision boundaries");
    let extent = [-6.0, 6.0, -6.0, 6.0];
    let points = grid_points(extent, 80, 80);
    let spiral = |(x, y): (f64, f64)| (x.hypot(y) * 1.1 - y.atan2(x)).sin();
    let grid = |f: &dyn Fn((f64, f64)) -> f64| {
        Array2::from_shape_fn((80, 80), |(r, c)| f(points[r * 80 + c]) as f32)
    };
    let probability = grid(&|p| 1.0 / (1.0 + (-4.0 * spiral(p)).exp()));
    let sample = |i: usize, target: &dyn Fn((f64, f64)) -> f64| {
        let p = (10.0 * noise(i * 2) - 5.0, 10.0 * noise(i * 2 + 1) - 5.0);
        Sample {
            x: p.0,
            y: p.1,
            target: target(p),
            held_out: i % 2 == 1,
        }
    };
    let mut chart = DecisionBoundary {
        title: "Spiral".into(),
        x_label: "x₁".into(),
        y_label: "x₂".into(),
        field: Field::Classes(probability.insert_axis(ndarray::Axis(2))),
        extent,
        samples: (0..240)
            .map(|i| sample(i, &|p| f64::from(u8::from(spiral(p) > 0.0))))
            .collect(),
        classes: vec!["inner".into(), "outer".into()],
        colours: vec![],
    };
    report.figure(&decision_boundary(&chart)?, "The line is P = 0.5.");
    let three = Array3::from_shape_fn((80, 80, 3), |(r, c, k)| {
        let p = points[r * 80 + c];
        let score = |k: usize| {
            (1.2 * (p.0 * (k as f64 * TAU / 3.0).cos() + p.1 * (k as f64 * TAU / 3.0).sin())).exp()
        };
        (score(k) / (score(0) + score(1) + score(2))) as f32
    });
    chart.title = "Three classes".into();
    chart.field = Field::Classes(three);
    chart.classes = vec!["forest".into(), "water".into(), "built-up".into()];
    chart.samples = (0..200)
        .map(|i| {
            sample(i, &|(x, y)| {
                ((y.atan2(x) + TAU + PI / 3.0) % TAU / (TAU / 3.0)).floor()
            })
        })
        .collect();
    report.figure(&decision_boundary(&chart)?, "");
    let wave = |(x, y): (f64, f64)| (x * 0.6).sin() + (y * 0.6).cos() * 0.8;
    chart.title = "A value over the plane".into();
    chart.field = Field::Values(grid(&wave));
    chart.classes = vec![];
    chart.samples = (0..150).map(|i| sample(i, &wave)).collect();
    report.figure(
        &decision_boundary(&chart)?,
        "Regression: samples have the colour of their true value.",
    );
    Ok(())
}

fn fields(report: &mut Report) -> Result<(), Error> {
    report.section("Fields");
    let correlation = Array2::from_shape_fn((6, 6), |(r, c)| {
        if r == c {
            1.0
        } else {
            ((r * 5 + c * 5) as f64).cos() * 0.9
        }
    });
    let names: Vec<String> = ["rooms", "age", "income", "latitude", "longitude", "value"]
        .map(String::from)
        .to_vec();
    report.figure(
        &heatmap(&Heatmap {
            title: "Correlation".into(),
            values: correlation,
            row_names: names.clone(),
            column_names: names,
            map: graticule_report::colour::ColourMap::Diverging,
            range: Some((-1.0, 1.0)),
            show_values: true,
            ..Heatmap::default()
        })?,
        "Pearson's r between the columns of a table.",
    );
    let terrain = Array2::from_shape_fn((90, 120), |(y, x)| {
        let (u, v) = (x as f64 / 20.0, y as f64 / 20.0);
        if (u - 5.0).hypot(v - 1.0) < 0.5 {
            f64::NAN
        } else {
            400.0 * (u.sin() * v.cos() + 0.5 * (2.0 * u + v).sin()) + 900.0
        }
    });
    report.figure(
        &heatmap(&Heatmap {
            title: "Terrain height (m)".into(),
            x_label: "east".into(),
            y_label: "north".into(),
            values: terrain,
            ..Heatmap::default()
        })?,
        "Blank cells have no data.",
    );
    report.figure(
        &line_chart(&LineChart {
            title: "Nothing yet".into(),
            ..LineChart::default()
        }),
        "A figure without data says so.",
    );
    Ok(())
}
