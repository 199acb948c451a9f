//! `graticule evaluate` and `graticule predict`, run as a person would run them, on runs that `train` made.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::Desk;
use image::{GrayImage, Luma};

/// Two classes of `count` noisy pictures each in `folder`.
fn picture_folder(desk: &Desk, folder: &str, count: u32) {
    desk.pictures(folder, ["dark", "light"], count, 8, |class, n, x, y| {
        let value = (130 * class + (x * 7 + y * 13 + n * 29) % 80) as u8;
        [value, value / 2, n as u8]
    });
}

/// A desk with the pictures `photos` and the run `runs/photos-1`.
fn with_photos() -> Desk {
    let desk = Desk::new();
    picture_folder(&desk, "photos", 16);
    let args = [
        "train",
        "photos",
        "--model",
        "linear",
        "--epochs",
        "40",
        "--augment",
        "none",
        "--lr",
        "0.01",
        "--no-report",
    ];
    desk.run(&args).done();
    desk
}

#[test]
fn the_run_is_evaluated_on_its_own_test_samples_again() {
    let desk = Desk::new();
    let trained = desk
        .run(&[
            "train",
            "gauss",
            "--samples",
            "200",
            "--noise",
            "0.3",
            "--epochs",
            "5",
            "--no-report",
            "--json",
        ])
        .json();
    let told = desk.run(&["evaluate", "runs/gauss-1", "--json"]).json();
    assert_eq!((&told["part"], &told["samples"]), (&"test".into(), &30.into()));
    assert_eq!(told["metrics"], trained["metrics"]);
    let report = fs::read_to_string(desk.file("runs/gauss-1/evaluation-1.html")).unwrap();
    assert!(report.contains("Confusion matrix") && report.contains("Decision boundary"));
    desk.run(&["evaluate", "runs/gauss-1", "--on", "all"]).done();
    assert!(desk.file("runs/gauss-1/evaluation-2.html").is_file());
    let told = desk
        .run(&[
            "evaluate",
            "runs/gauss-1",
            "gauss",
            "--on",
            "train",
            "--json",
            "--no-report",
        ])
        .json();
    assert_eq!((&told["part"], &told["samples"]), (&"train".into(), &140.into()));
}

#[test]
fn a_model_file_alone_is_evaluated_on_other_data() {
    let desk = with_photos();
    picture_folder(&desk, "others", 5);
    fs::copy(
        desk.file("runs/photos-1/best.safetensors"),
        desk.file("alone.safetensors"),
    )
    .unwrap();
    let told = desk
        .run(&[
            "evaluate",
            "alone.safetensors",
            "others",
            "-o",
            "told.html",
            "--json",
        ])
        .json();
    assert_eq!((&told["part"], &told["samples"]), (&"all".into(), &10.into()));
    assert_eq!(told["metrics"]["accuracy"], 1.0);
    assert!(
        fs::read_to_string(desk.file("told.html"))
            .unwrap()
            .contains("Every sample was classified right")
    );
    assert!(
        desk.run(&["evaluate", "alone.safetensors", "others", "-o", "told.html"])
            .failed(1)
            .contains("--force")
    );
    assert!(
        desk.run(&["evaluate", "alone.safetensors"])
            .failed(2)
            .contains("SOURCE")
    );
    fs::rename(desk.file("others/light"), desk.file("others/bright")).unwrap();
    assert!(
        desk.run(&["evaluate", "alone.safetensors", "others"])
            .failed(1)
            .contains("bright")
    );
    assert!(
        desk.run(&["evaluate", "nothing", "others"])
            .failed(1)
            .contains("nothing")
    );
}

#[test]
fn pictures_and_folders_of_them_get_labels_with_probabilities() {
    let desk = with_photos();
    let told = desk.run(&[
        "predict",
        "runs/photos-1",
        "photos/dark/1.png",
        "photos/light",
        "--top",
        "2",
    ]);
    let lines: Vec<&str> = told.done().lines().collect();
    assert_eq!(lines.len(), 17);
    assert!(
        lines[0].starts_with("photos/dark/1.png  dark ") && lines[0].contains(", light "),
        "{}",
        lines[0]
    );
    desk.run(&["predict", "runs/photos-1", "photos", "-o", "labels.csv"])
        .done();
    let table = fs::read_to_string(desk.file("labels.csv")).unwrap();
    assert!(
        table.starts_with("file,predicted,probability\nphotos/dark/0.png,dark,"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 33);
    let objects = desk
        .run(&[
            "predict",
            "runs/photos-1/best.safetensors",
            "photos/light/3.png",
            "--json",
        ])
        .json();
    assert_eq!(objects[0]["predicted"], "light");
    let sum: f64 = objects[0]["probabilities"]
        .as_object()
        .unwrap()
        .values()
        .map(|p| p.as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-5);
}

#[test]
fn a_bad_picture_stops_prediction_unless_it_may_be_left_out() {
    let desk = with_photos();
    fs::create_dir(desk.file("new")).unwrap();
    let whole = fs::read(desk.file("photos/dark/0.png")).unwrap();
    fs::write(desk.file("new/a.png"), &whole).unwrap();
    fs::write(desk.file("new/b.png"), &whole[..40]).unwrap();
    GrayImage::from_pixel(9, 9, Luma([3]))
        .save(desk.file("new/c.png"))
        .unwrap();
    assert!(
        desk.run(&["predict", "runs/photos-1", "new", "-o", "out.csv"])
            .failed(1)
            .contains("b.png")
    );
    assert!(!desk.file("out.csv").exists());
    let told = desk.run(&["predict", "runs/photos-1", "new", "--skip-bad"]);
    assert_eq!(told.done().lines().count(), 1);
    assert!(
        told.stderr.contains("b.png") && told.stderr.contains("c.png"),
        "{told:?}"
    );
    fs::create_dir(desk.file("empty")).unwrap();
    desk.run(&["predict", "runs/photos-1", "empty"]).failed(1);
    assert!(
        desk.run(&["predict", "runs/photos-1", "new/a.png", "-o", "out.png"])
            .failed(2)
            .contains(".csv")
    );
}

#[test]
fn a_table_comes_back_with_predictions() {
    let desk = Desk::new();
    let rows: String = (0..90)
        .map(|n| {
            format!(
                "{n},{},k{},{}\n",
                n % 7,
                n % 2,
                3 * n + 2 * (n % 7) + 50 * (n % 2)
            )
        })
        .collect();
    fs::write(desk.file("lines.csv"), format!("a,b,kind,y\n{rows}")).unwrap();
    let args = [
        "train",
        "lines.csv",
        "--target",
        "y",
        "--model",
        "linear",
        "--epochs",
        "120",
        "--lr",
        "0.05",
        "--no-report",
    ];
    desk.run(&args).done();
    fs::write(
        desk.file("new.csv"),
        "id,kind,b,a\nfirst,k0,3,10\n\"se,cond\",k1,,20\n",
    )
    .unwrap();
    desk.run(&["predict", "runs/lines-1", "new.csv", "-o", "out.csv"])
        .done();
    let table = fs::read_to_string(desk.file("out.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "id,kind,b,a,predicted y");
    assert!(lines[2].starts_with("\"se,cond\",k1,,20,"), "{table}");
    let value: f64 = lines[1].rsplit(',').next().unwrap().parse().unwrap();
    assert!((value - 36.0).abs() < 6.0, "{value}");
    assert!(
        desk.run(&["predict", "runs/lines-1", "new.csv"])
            .done()
            .starts_with("id,kind,b,a,predicted y\n")
    );
    let objects = desk.run(&["predict", "runs/lines-1", "new.csv", "--json"]).json();
    assert_eq!(objects[0]["row"]["id"], "first");
    fs::write(desk.file("short.csv"), "a,b\n1,2\n").unwrap();
    assert!(
        desk.run(&["predict", "runs/lines-1", "short.csv"])
            .failed(1)
            .contains("kind")
    );
    desk.run(&["evaluate", "runs/lines-1", "lines.csv", "--no-report"])
        .done();
}
