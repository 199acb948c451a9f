//! Whom a network fails, whether its probabilities mean what they say, and which labels are in doubt (row S22).

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::Desk;

#[test]
fn s22_groups_calibration_and_doubts_are_told_and_reported() {
    let desk = Desk::new();
    desk.run(&["train", "digits", "--epochs", "2", "--no-report"])
        .done();
    let told = desk
        .run(&[
            "evaluate",
            "runs/digits-1",
            "--by",
            "class",
            "--json",
            "-o",
            "e.html",
        ])
        .json();
    let groups = told["groups"][0]["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 10);
    let scores: Vec<f64> = groups.iter().map(|g| g["score"].as_f64().unwrap()).collect();
    assert!(
        scores.windows(2).all(|pair| pair[0] <= pair[1]),
        "the worst first: {scores:?}"
    );
    let gap = told["groups"][0]["gap"].as_f64().unwrap();
    assert!((gap - (scores[9] - scores[0])).abs() < 1e-12);
    let interval = told["groups"][0]["interval"].as_array().unwrap();
    assert!(interval[0].as_f64().unwrap() <= gap && gap <= interval[1].as_f64().unwrap());
    let bins = told["calibration"]["bins"].as_array().unwrap();
    let samples: u64 = bins.iter().map(|bin| bin["samples"].as_u64().unwrap()).sum();
    assert_eq!(samples, told["samples"].as_u64().unwrap());
    assert!(told["calibration"]["expected_error"].as_f64().unwrap() < 0.3);
    let page = fs::read_to_string(desk.file("e.html")).unwrap();
    for text in [
        "Groups by class",
        "worst group",
        "Calibration",
        "Largest losses",
        "drawn anew",
    ] {
        assert!(page.contains(text), "the page lacks `{text}`");
    }
    let lines = desk.run(&["evaluate", "runs/digits-1", "--no-report", "--by", "class"]);
    assert!(
        lines.done().contains("worst group") && lines.stdout.contains("calibration error"),
        "{lines:?}"
    );
}

#[test]
fn s22_columns_and_folders_are_groups_and_others_are_refused() {
    let desk = Desk::new();
    desk.run(&["train", "spiral", "--epochs", "2", "--no-report"])
        .done();
    let lines = desk.run(&["evaluate", "runs/spiral-1", "--no-report", "--by", "x,class"]);
    assert!(lines.done().matches("worst group").count() == 2, "{lines:?}");
    let told = |by: &str| {
        desk.run(&["evaluate", "runs/spiral-1", "--no-report", "--by", by])
            .failed(2)
            .to_string()
    };
    assert!(told("folder").contains("no column `folder`"));
    assert!(told("z").contains("--by"));
    for (class, level) in [("dark", 40u8), ("light", 200)] {
        for site in ["north", "south"] {
            let folder = desk.file("photos").join(class).join(site);
            fs::create_dir_all(&folder).unwrap();
            for n in 0..8 {
                image::GrayImage::from_pixel(8, 8, image::Luma([level + n]))
                    .save(folder.join(format!("{n}.png")))
                    .unwrap();
            }
        }
    }
    desk.run(&[
        "train",
        "photos",
        "--layers",
        "flatten, dense classes",
        "--epochs",
        "3",
        "--no-report",
    ])
    .done();
    let args = [
        "evaluate",
        "runs/photos-1",
        "photos",
        "--no-report",
        "--by",
        "folder",
        "--json",
    ];
    let told = desk.run(&args).json();
    let names: Vec<&str> = told["groups"][0]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| g["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 4);
    assert!(names.iter().any(|name| name.ends_with("dark/north")), "{names:?}");
    let lines = desk.run(&[
        "evaluate",
        "runs/photos-1",
        "photos",
        "--no-report",
        "--by",
        "weather",
    ]);
    assert!(lines.failed(2).contains("take folder or class"), "{lines:?}");
}

#[test]
fn s21_wrong_labels_cost_accuracy() {
    let desk = Desk::new();
    let accuracy = |more: &[&str]| {
        let args = ["train", "digits", "--epochs", "4", "--no-report", "--json"];
        let told = desk.run(&[&args[..], more].concat()).json();
        told["metrics"]["accuracy"].as_f64().unwrap()
    };
    let (clean, poisoned) = (accuracy(&[]), accuracy(&["--poison", "0.8"]));
    assert!(clean > poisoned + 0.1, "{clean} {poisoned}");
    let settings = fs::read_to_string(desk.file("runs/digits-2/run.toml")).unwrap();
    assert!(settings.contains("poison = 0.8"), "{settings}");
    let told = desk.run(&["train", "digits", "--epochs", "2", "--poisons", "0,0.8"]);
    assert!(
        told.done().contains("wrong training labels") && told.stdout.contains("80.00 %"),
        "{told:?}"
    );
    let page = fs::read_to_string(desk.file("runs/digits-3/report.html")).unwrap();
    assert!(page.contains("Garbage in, garbage out"));
    assert!(
        desk.run(&["train", "plane", "--poison", "0.1"])
            .failed(1)
            .contains("--poison")
    );
    assert_eq!(desk.run(&["train", "digits", "--poison", "2"]).code, 2);
}
