//! `graticule train --transfer`, run as a person would run it (rows O18 to O21, K7).

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{Desk, shared};

/// A desk with a network that has learnt the digits, in `runs/digits-1`.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.run(&["train", "digits", "--epochs", "2", "--no-report", "--quiet"])
        .done();
    desk
}

fn transfer<'a>(mode: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let begin = [
        "train",
        "digits",
        "--per-class",
        "5",
        "--weights",
        "runs/digits-1",
        "--transfer",
        mode,
    ];
    [&begin, more].concat()
}

#[test]
fn k7_every_mode_leaves_a_whole_network_and_says_what_it_did() {
    let desk = desk();
    for (mode, number) in [("features", 2), ("finetune", 3), ("gradual", 4)] {
        let told = desk.run(&transfer(mode, &["--json"]));
        let json = told.json();
        let run = format!("runs/digits-{number}");
        assert_eq!(json["run"], run.as_str());
        assert!(
            json["metrics"]["accuracy"].as_f64().unwrap() > 0.8,
            "{mode}: {json}"
        );
        let settings = fs::read_to_string(desk.file(&run).join("run.toml")).unwrap();
        for line in [
            &format!("mode = \"{mode}\""),
            "per_class = 5",
            "train = 50",
            "runs/digits-1/best.safetensors",
        ] {
            assert!(settings.contains(line), "{line} is missing in {settings}");
        }
        let again = desk.run(&["evaluate", &run, "--json", "--no-report"]).json();
        assert_eq!(
            again["metrics"]["accuracy"], json["metrics"]["accuracy"],
            "{mode}"
        );
    }
    let log = fs::read_to_string(desk.file("runs/digits-4/log.txt")).unwrap();
    assert!(log.contains("training begins at `conv2d` now"), "{log}");
}

#[test]
fn o20_one_command_compares_the_depths_at_which_training_starts() {
    let desk = desk();
    let told = desk
        .run(&transfer("compare", &["--epochs", "2", "--json"]))
        .json();
    let rows = told["starts"]["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|r| r["name"].as_str().unwrap()).collect();
    let expected = [
        "shallow start",
        "middle start",
        "deep start",
        "gradual",
        "features",
        "cnn-small from scratch, same epochs",
        "cnn-small from scratch",
    ];
    let (last, others) = names.split_last().unwrap();
    assert_eq!(others, expected);
    assert!(last.starts_with("cnn-small, time of "), "{last}");
    let trained: Vec<u64> = rows.iter().map(|r| r["trained"].as_u64().unwrap()).collect();
    let depths = [trained[0], trained[1], trained[2], trained[4]];
    assert!(depths.is_sorted_by(|a, b| a > b), "{trained:?}");
    assert!(
        [trained[3], trained[5]].iter().all(|&n| n == trained[0]),
        "{trained:?}"
    );
    assert!(rows.iter().all(|row| row["seconds"].as_f64().unwrap() > 0.0));
    assert_eq!(rows.iter().filter(|row| row["pretrained"] == true).count(), 5);
    assert!(!desk.file("runs/digits-2/comparison").exists());
    let report = fs::read_to_string(desk.file("runs/digits-2/report.html")).unwrap();
    assert!(report.contains("Transfer, and training from scratch") && report.contains("middle start"));
    assert!(
        report.contains("test accuracy by way of training")
            && report.contains("chosen by validation accuracy: ")
    );
}

#[test]
fn o18_a_head_on_features_goes_on_after_an_interruption_to_the_same_bits() {
    let desk = desk();
    let begin = |name: &str| {
        transfer("features", &["--epochs", "400", "--no-report", "--name"])
            .into_iter()
            .chain([name])
            .map(String::from)
            .collect::<Vec<_>>()
    };
    let words = begin("whole");
    desk.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
        .done();
    let words = begin("cut");
    let mut child = desk
        .command(&words.iter().map(String::as_str).collect::<Vec<_>>())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let metrics = desk.file("runs/cut-1/metrics.csv");
    let begun = |path: &Path| fs::read_to_string(path).is_ok_and(|text| text.lines().count() > 3);
    while !begun(&metrics) && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    desk.run(&["train", "--resume", "runs/cut-1", "--threads", "3"])
        .done();
    let bytes = |run: &str| fs::read(desk.file(run).join("best.safetensors")).unwrap();
    assert!(bytes("runs/whole-1") == bytes("runs/cut-1"));
}

#[test]
fn grey_sets_in_memory_suit_a_trunk_that_learnt_colours() {
    let desk = Desk::new();
    for (class, red) in [("red", 250), ("blue", 5)] {
        fs::create_dir_all(desk.file("photos").join(class)).unwrap();
        for n in 0..8u8 {
            let picture = image::RgbImage::from_pixel(12, 12, image::Rgb([red, 10 * n, 255 - red]));
            picture
                .save(desk.file("photos").join(class).join(format!("{n}.png")))
                .unwrap();
        }
    }
    desk.run(&["train", "photos", "--epochs", "1", "--no-report", "--quiet"])
        .done();
    let words =
        "train digits --per-class 2 --weights runs/photos-1 --transfer features --epochs 2 --no-report";
    let told = desk.run(&words.split(' ').collect::<Vec<_>>());
    told.done();
    for note in [
        "Grey images are given as three equal bands",
        "8×8 pixels are brought to 12×12",
    ] {
        assert!(told.stderr.contains(note), "{}", told.stderr);
    }
    desk.run(&["evaluate", "runs/digits-1", "--no-report"]).done();
}

#[test]
fn flags_that_contradict_get_one_message_and_leave_no_run() {
    let desk = desk();
    fs::write(desk.file("half.safetensors"), {
        let whole = fs::read(desk.file("runs/digits-1/best.safetensors")).unwrap();
        whole[..whole.len() / 2].to_vec()
    })
    .unwrap();
    fs::write(desk.file("empty.pth"), "").unwrap();
    let cases: [(&[&str], i32, &str); 12] = [
        (&["--transfer", "features"], 2, "--weights"),
        (
            &["--trunk-lr-factor", "0.1", "--weights", "runs/digits-1"],
            2,
            "--transfer",
        ),
        (&["--weights", "nowhere", "--transfer", "finetune"], 1, "nowhere"),
        (
            &["--weights", "half.safetensors", "--transfer", "finetune"],
            1,
            "half.safetensors",
        ),
        (
            &[
                "--weights",
                "half.safetensors",
                "--model",
                "resnet20",
                "--transfer",
                "finetune",
            ],
            1,
            "cannot be read",
        ),
        (
            &["--weights", "empty.pth", "--transfer", "finetune"],
            2,
            "--model",
        ),
        (
            &[
                "--weights",
                "runs/digits-1",
                "--transfer",
                "gradual",
                "--epochs",
                "1",
            ],
            1,
            "at least 2 epochs",
        ),
        (
            &[
                "--weights",
                "runs/digits-1",
                "--transfer",
                "features",
                "--train-from",
                "deep",
            ],
            2,
            "--train-from",
        ),
        (
            &[
                "--weights",
                "runs/digits-1",
                "--transfer",
                "features",
                "--augment",
                "photo",
            ],
            2,
            "--augment",
        ),
        (
            &[
                "--weights",
                "runs/digits-1",
                "--transfer",
                "finetune",
                "--train-from",
                "low",
            ],
            2,
            "shallow",
        ),
        (
            &["--weights", "runs/digits-1", "--layers", "dense classes"],
            2,
            "--layers",
        ),
        (&["--weights", "runs/digits-1", "--model", "mlp"], 1, "mlp"),
    ];
    for (args, code, word) in cases {
        let told = desk.run(&[&["train", "digits"], args].concat());
        assert!(told.failed(code).contains(word), "{args:?}: {told:?}");
    }
    assert_eq!(fs::read_dir(desk.file("runs")).unwrap().count(), 1);
    let told = desk.run(&["train", "plane", "--per-class", "3"]);
    assert!(told.failed(1).contains("each class"), "{told:?}");
}

#[test]
#[ignore = "takes minutes: cargo test --release -p graticule --test transfer -- --ignored"]
fn o18_with_twenty_images_a_class_a_pretrained_trunk_beats_training_from_scratch() {
    let (Some(eurosat), Some(weights)) = (shared("eurosat-rgb"), shared("pretrained/efficientnet-lite0"))
    else {
        return;
    };
    let desk = Desk::new();
    let text = |path: std::path::PathBuf| path.display().to_string();
    let zip = text(eurosat.join("eurosat-rgb-8000.zip"));
    let (splits, weights) = (
        text(eurosat.join("splits.csv")),
        text(weights.join("efficientnet-lite0-57934424.pth")),
    );
    let accuracy = |more: &[&str]| {
        let begin = [
            "train",
            &zip,
            "--splits",
            &splits,
            "--per-class",
            "20",
            "--no-report",
            "--json",
        ];
        let started = std::time::Instant::now();
        let told = desk.run(&[&begin, more].concat()).json();
        let accuracy = told["metrics"]["accuracy"].as_f64().unwrap();
        eprintln!(
            "{accuracy:.4} in {:.0} s: {more:?}",
            started.elapsed().as_secs_f64()
        );
        accuracy
    };
    let scratch = accuracy(&[]);
    let features = [
        "--model",
        "efficientnet-lite0",
        "--weights",
        &weights,
        "--transfer",
        "features",
    ];
    let transferred = accuracy(&features);
    assert!(transferred > scratch + 0.08, "{transferred} against {scratch}");
}
