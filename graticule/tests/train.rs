//! `graticule train`, run as a person would run it.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::Desk;

/// Two classes of `count` noisy pictures each, in `photos`.
fn picture_folder(desk: &Desk, count: u32) {
    desk.pictures("photos", ["dark", "light"], count, 8, |class, n, x, y| {
        let value = (120 * class + (x * 7 + y * 13 + n * 29) % 90) as u8;
        [value, value / 2, n as u8]
    });
}

/// No run, and no folder made for one.
#[track_caller]
fn nothing_left(desk: &Desk) {
    assert!(
        !desk.file("runs").exists(),
        "{:?}",
        fs::read_dir(desk.file("runs")).unwrap().collect::<Vec<_>>()
    );
}

#[test]
fn a_run_leaves_model_metrics_events_settings_and_log() {
    let desk = Desk::new();
    let told = desk
        .run(&[
            "train",
            "gauss",
            "--samples",
            "120",
            "--epochs",
            "6",
            "--json",
            "--threads",
            "1",
        ])
        .json();
    assert_eq!(
        (&told["run"], &told["role"], &told["epochs"]),
        (&"runs/gauss-1".into(), &"test".into(), &6.into())
    );
    assert!(told["metrics"]["accuracy"].as_f64().unwrap() > 0.9, "{told}");
    for name in [
        "run.toml",
        "metrics.csv",
        "best.safetensors",
        "last.safetensors",
        "log.txt",
        "report.html",
    ] {
        assert!(
            desk.file("runs/gauss-1").join(name).is_file(),
            "{name} is missing"
        );
    }
    let metrics = fs::read_to_string(desk.file("runs/gauss-1/metrics.csv")).unwrap();
    assert_eq!(metrics.lines().count(), 7);
    assert!(metrics.starts_with(
        "epoch,step,learning_rate,train_loss,train_accuracy,validation_loss,validation_accuracy\n"
    ));
    let names = fs::read_dir(desk.file("runs/gauss-1"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap());
    assert_eq!(
        names
            .filter(|name| name.starts_with("events.out.tfevents."))
            .count(),
        1
    );
    desk.run(&[
        "train",
        "gauss",
        "--samples",
        "60",
        "--epochs",
        "1",
        "--quiet",
        "--no-report",
    ])
    .done();
    assert!(desk.file("runs/gauss-2").is_dir() && !desk.file("runs/gauss-2/report.html").exists());
}

#[test]
fn the_bits_do_not_depend_on_the_threads() {
    let desk = Desk::new();
    let train = |threads: &str, name: &str| {
        let args = [
            "train",
            "spiral",
            "--samples",
            "90",
            "--epochs",
            "3",
            "--noise",
            "0.1",
            "--threads",
            threads,
            "--name",
            name,
            "--no-report",
        ];
        desk.run(&args).done();
        fs::read(
            desk.file("runs")
                .join(format!("{name}-1"))
                .join("best.safetensors"),
        )
        .unwrap()
    };
    assert!(train("1", "one") == train("3", "three"));
}

#[test]
fn x7_the_perceptron_learns_and_and_or_but_not_xor() {
    let desk = Desk::new();
    let accuracy = |name: &str| {
        let args = [
            "train",
            name,
            "--model",
            "perceptron",
            "--samples",
            "4",
            "--json",
            "--no-report",
        ];
        desk.run(&args).json()["metrics"]["accuracy"].as_f64().unwrap()
    };
    assert_eq!((accuracy("and"), accuracy("or")), (1.0, 1.0));
    let args = [
        "train",
        "xor",
        "--model",
        "perceptron",
        "--samples",
        "200",
        "--json",
        "--no-report",
    ];
    assert!(desk.run(&args).json()["metrics"]["accuracy"].as_f64().unwrap() < 0.8);
}

#[test]
fn a_folder_of_pictures_and_a_table_train_alike() {
    let desk = Desk::new();
    picture_folder(&desk, 12);
    let told = desk
        .run(&["train", "photos", "--epochs", "4", "--batch", "8", "--json"])
        .json();
    assert_eq!(told["run"], "runs/photos-1");
    let rows: String = (0..80)
        .map(|n| format!("{},{},{}\n", n, n % 7, 3 * n + 2 * (n % 7)))
        .collect();
    fs::write(desk.file("lines.csv"), format!("a,b,y\n{rows}")).unwrap();
    let args = [
        "train",
        "lines.csv",
        "--target",
        "y",
        "--model",
        "linear",
        "--epochs",
        "60",
        "--lr",
        "0.05",
        "--json",
    ];
    let told = desk.run(&args).json();
    assert!(
        told["metrics"]["targets"][0][1]["r_squared"].as_f64().unwrap() > 0.99,
        "{told}"
    );
}

#[test]
fn bad_input_gets_one_message_and_leaves_no_run() {
    let desk = Desk::new();
    picture_folder(&desk, 12);
    fs::create_dir(desk.file("empty")).unwrap();
    fs::create_dir_all(desk.file("single/only")).unwrap();
    fs::copy(desk.file("photos/dark/0.png"), desk.file("single/only/0.png")).unwrap();
    fs::write(
        desk.file("text.csv"),
        "a,y\n1,2\n2,3\nmany,4\n5,6\n7,8\n9,10\n11,12\n13,14\n15,16\n",
    )
    .unwrap();
    fs::write(desk.file("nan.csv"), "a,y\n1,2\n2,NaN\n3,4\n5,6\n7,8\n").unwrap();
    let cases: [(&[&str], i32, &str); 12] = [
        (&["nowhere"], 1, "nowhere"),
        (&["empty"], 1, "empty"),
        (&["single"], 1, "class"),
        (&["nan.csv", "--target", "y"], 1, "nan.csv"),
        (&["text.csv", "--target", "price"], 1, "price"),
        (&["digits", "--model", "alexnot"], 2, "alexnot"),
        (&["digits", "--model", "missing.toml"], 1, "missing.toml"),
        (
            &["digits", "--layers", "conv 6 99 valid, dense classes"],
            2,
            "--layers",
        ),
        (&["digits", "--layers", "convolve 6"], 2, "convolve"),
        (&["digits", "--loss", "squared_error"], 2, "--loss"),
        (&["digits", "--val", "0.7", "--test", "0.7"], 2, "--val"),
        (&["digits", "--optimizer", "magic"], 2, "magic"),
    ];
    for (args, code, word) in cases {
        let told = desk.run(&[&["train"], args].concat());
        assert!(told.failed(code).contains(word), "{args:?}: {told:?}");
        nothing_left(&desk);
    }
}

#[test]
fn a_damaged_picture_is_told_before_a_run_begins_wherever_it_stands() {
    let desk = Desk::new();
    picture_folder(&desk, 12);
    for n in 0..12 {
        let path = desk.file("photos/light").join(format!("{n}.png"));
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let told = desk.run(&["train", "photos", "--epochs", "1"]);
        assert!(told.failed(1).contains(&format!("{n}.png")), "{told:?}");
        nothing_left(&desk);
        fs::write(&path, whole).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn no_permission_to_write_leaves_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    fs::create_dir(desk.file("locked")).unwrap();
    fs::set_permissions(desk.file("locked"), fs::Permissions::from_mode(0o555)).unwrap();
    // The superuser may write anywhere.
    if fs::write(desk.file("locked/probe"), "").is_err() {
        let told = desk.run(&["train", "xor", "--epochs", "1", "--runs", "locked/runs"]);
        assert!(told.failed(1).contains("locked"), "{told:?}");
    }
    fs::set_permissions(desk.file("locked"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(desk.file("file"), "").unwrap();
    assert!(
        desk.run(&["train", "xor", "--epochs", "1", "--runs", "file"])
            .failed(1)
            .contains("file")
    );
}

const LONG: [&str; 12] = [
    "train",
    "spiral",
    "--samples",
    "400",
    "--epochs",
    "40",
    "--noise",
    "0.1",
    "--no-report",
    "--threads",
    "1",
    "--quiet",
];

/// Starts a long run under `name`, sends it `signal` once it has finished some epochs, and waits for its end.
#[cfg(unix)]
fn stopped(desk: &Desk, name: &str, signal: &str) -> (Option<i32>, String) {
    let mut child = desk
        .command(&[&LONG[..], &["--name", name]].concat())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let metrics = desk.file("runs").join(format!("{name}-1")).join("metrics.csv");
    let started = Instant::now();
    while fs::read_to_string(&metrics).unwrap_or_default().lines().count() < 4 {
        assert!(started.elapsed() < Duration::from_secs(120), "no progress");
        std::thread::sleep(Duration::from_millis(2));
    }
    let kill = std::process::Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    (child.wait().unwrap().code(), told)
}

fn bytes(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).unwrap()
}

#[cfg(unix)]
#[test]
fn an_interrupted_or_killed_run_resumes_to_the_same_bits() {
    let desk = Desk::new();
    desk.run(&[&LONG[..], &["--name", "whole"]].concat()).done();
    let whole = desk.file("runs/whole-1");
    for (name, signal) in [("interrupted", "-INT"), ("killed", "-KILL")] {
        let (code, told) = stopped(&desk, name, signal);
        let run = format!("runs/{name}-1");
        if signal == "-INT" {
            assert_eq!(code, Some(130), "{told}");
            assert!(
                told.contains(&format!("graticule train --resume {run}")),
                "{told}"
            );
        }
        desk.run(&["train", "--resume", &run]).done();
        let run = desk.file(&run);
        assert!(
            bytes(&run, "metrics.csv") == bytes(&whole, "metrics.csv"),
            "{name}: other metrics"
        );
        assert!(
            bytes(&run, "best.safetensors") == bytes(&whole, "best.safetensors"),
            "{name}: another model"
        );
    }
    assert!(
        desk.run(&["train", "--resume", "runs/whole-1", "--epochs", "50"])
            .failed(2)
            .contains("--resume")
    );
    assert!(
        desk.run(&["train", "--resume", "runs/none-1"])
            .failed(1)
            .contains("none-1")
    );
}

#[test]
fn r3_a_run_that_stopped_early_has_ended() {
    let desk = Desk::new();
    let args = [
        "train",
        "gauss",
        "--samples",
        "80",
        "--epochs",
        "200",
        "--lr",
        "1e-9",
        "--patience",
        "3",
        "--no-report",
        "--json",
    ];
    let told = desk.run(&args).json();
    assert_eq!(told["ending"], "stopped_early");
    assert!(told["epochs"].as_u64().unwrap() < 200);
    let before = bytes(&desk.file("runs/gauss-1"), "last.safetensors");
    assert!(
        desk.run(&["train", "--resume", "runs/gauss-1"])
            .failed(1)
            .contains("stopped early")
    );
    assert!(bytes(&desk.file("runs/gauss-1"), "last.safetensors") == before);
}

#[test]
fn what_is_asked_for_stands_in_the_report() {
    let desk = Desk::new();
    let args = [
        "train",
        "circle",
        "--samples",
        "120",
        "--epochs",
        "4",
        "--find-lr",
        "--race",
        "sgd,adam",
        "--data-sizes",
    ];
    desk.run(&args).done();
    let report = fs::read_to_string(desk.file("runs/circle-1/report.html")).unwrap();
    for section in [
        "Learning-rate search",
        "Optimizers side by side",
        "Score and data size",
        "Decision boundary",
        "Debugging",
    ] {
        assert!(report.contains(section), "{section} is missing");
    }
    assert!(
        desk.run(&["train", "circle", "--race", "--no-report"])
            .failed(2)
            .contains("--no-report")
    );
}

#[test]
fn one_batch_is_learnt_by_heart() {
    let desk = Desk::new();
    let args = [
        "train",
        "digits",
        "--model",
        "mlp",
        "--overfit-one-batch",
        "--label-smoothing",
        "0",
        "--epochs",
        "5",
        "--lr",
        "0.01",
        "--schedule",
        "constant",
        "--no-report",
    ];
    desk.run(&args).done();
    let metrics = fs::read_to_string(desk.file("runs/digits-1/metrics.csv")).unwrap();
    let last: Vec<&str> = metrics.lines().last().unwrap().split(',').collect();
    assert!(
        last[3].parse::<f64>().unwrap() < 0.05 && last[4] == "1.0",
        "{metrics}"
    );
}

#[test]
fn a_precision_without_a_tile_unit_is_the_highest_and_says_so_once() {
    let desk = Desk::new();
    let base = [
        "train",
        "gauss",
        "--samples",
        "60",
        "--epochs",
        "2",
        "--threads",
        "1",
        "--isa",
        "scalar",
    ];
    let run = desk.run(&[&base[..], &["--precision", "high", "--json"]].concat());
    let engine = &run.json()["engine"];
    let used = (&engine["isa"], &engine["precision"], &engine["precision_used"]);
    assert_eq!(used, (&"scalar".into(), &"high".into(), &"highest".into()));
    let notes = run.stderr.matches("--precision high is computed as highest: ");
    assert_eq!(notes.count(), 1, "{}", run.stderr);
    let file = fs::read_to_string(desk.file("runs/gauss-1/run.toml")).unwrap();
    assert!(
        file.contains("precision = \"high\"") && file.contains("precision_used = \"highest\""),
        "{file}"
    );
    // Nothing else changes, nobody is told of what was not asked for, and a run that goes on keeps its precision.
    let plain = desk.run(&base);
    plain.done();
    assert!(!plain.stderr.contains("precision"), "{}", plain.stderr);
    let metrics = |run: &str| fs::read_to_string(desk.file(run).join("metrics.csv")).unwrap();
    assert_eq!(metrics("runs/gauss-1"), metrics("runs/gauss-2"));
    let resumed = desk.run(&["train", "--resume", "runs/gauss-1", "--isa", "scalar"]);
    assert!(
        resumed.stderr.contains("--precision high is computed as highest"),
        "{resumed:?}"
    );
    desk.run(&["train", "gauss", "--precision", "low"]).failed(2);
}
