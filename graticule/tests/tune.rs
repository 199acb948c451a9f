//! `graticule tune`, run as a person would run it.

#![allow(clippy::unwrap_used)]

mod common;

use common::Desk;
use serde_json::Value;

const QUICK: [&str; 8] = [
    "--trials",
    "6",
    "--epochs",
    "6",
    "--samples",
    "120",
    "--threads",
    "1",
];

fn search(desk: &Desk, more: &[&str]) -> Value {
    let mut args = vec!["tune", "circle", "--json", "--quiet"];
    args.extend(QUICK);
    args.extend(more);
    desk.run(&args).json()
}

#[test]
fn s7_the_best_trial_is_repeated_by_the_command_that_is_printed() {
    let desk = Desk::new();
    let told = search(&desk, &["--over", "lr,width,depth=1..2,optimizer=sgd:0.9|adamw"]);
    let results = told["results"].as_array().unwrap();
    assert_eq!((results.len(), told["interrupted"].as_bool()), (6, Some(false)));
    let best = &told["best"];
    assert_eq!(
        (best["epochs"].as_u64(), best["rung"].as_u64()),
        (Some(6), Some(1))
    );
    for pair in results.windows(2).filter(|p| p[0]["rung"] == p[1]["rung"]) {
        assert!(pair[0]["score"].as_f64() >= pair[1]["score"].as_f64());
    }
    let command = told["command"].as_str().unwrap();
    for part in [
        "graticule train circle",
        "--samples 120",
        "--lr",
        "--optimizer",
        "--layers \"dense",
        "--epochs 6",
    ] {
        assert!(command.contains(part), "`{part}` is missing in {command}");
    }
    // What is printed is run, word by word, and gives the same score.
    let words = shell_words(command);
    let mut args: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    args.extend(["--quiet", "--no-report"]);
    desk.run(&args).done();
    let metrics = std::fs::read_to_string(desk.file("runs/circle-1/metrics.csv")).unwrap();
    let header: Vec<&str> = metrics.lines().next().unwrap().split(',').collect();
    let column = header
        .iter()
        .position(|name| *name == "validation_accuracy")
        .unwrap();
    let epoch = best["best_epoch"].as_u64().unwrap() as usize;
    let row: Vec<&str> = metrics.lines().nth(epoch).unwrap().split(',').collect();
    let (again, score) = (
        row[column].parse::<f64>().unwrap(),
        best["score"].as_f64().unwrap(),
    );
    assert!((again - score).abs() < 1e-6, "{again} is not {score}");
}

fn shell_words(line: &str) -> Vec<String> {
    let parts: Vec<&str> = line.split('"').collect();
    let mut words = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        match place % 2 {
            0 => words.extend(part.split_whitespace().map(String::from)),
            _ => words.push((*part).to_string()),
        }
    }
    words
}

#[test]
fn a_search_leaves_its_folder_and_never_writes_over_another() {
    let desk = Desk::new();
    let first = search(&desk, &["--over", "lr,batch"]);
    let second = search(&desk, &["--over", "lr,batch"]);
    assert_eq!(
        (first["run"].as_str(), second["run"].as_str()),
        (Some("runs/circle-tune-1"), Some("runs/circle-tune-2"))
    );
    let read = |name: &str| std::fs::read_to_string(desk.file(name)).unwrap();
    let (one, two) = (
        read("runs/circle-tune-1/trials.csv"),
        read("runs/circle-tune-2/trials.csv"),
    );
    assert_eq!(one, two, "the same seed gives other trials");
    assert_eq!(one.lines().count(), 7);
    let report = read("runs/circle-tune-1/report.html");
    for part in [
        "<svg",
        "Score against lr",
        "Score against batch",
        "graticule train circle",
        "All trials",
    ] {
        assert!(report.contains(part), "`{part}` is missing in the report");
    }
    assert!(read("runs/circle-tune-1/log.txt").contains("1/6  2 epochs  trial 1: lr 0.01"));
    let kept: Value = serde_json::from_str(&read("runs/circle-tune-1/tune.json")).unwrap();
    assert_eq!(kept["command"], first["command"]);
}

#[test]
fn l11_the_shape_of_a_convolutional_network_is_searched_too() {
    let desk = Desk::new();
    let args = [
        "tune",
        "digits",
        "--trials",
        "2",
        "--epochs",
        "1",
        "--over",
        "width=4|8,depth=1|2",
        "--seed",
        "3",
    ];
    let run = desk.run(&args);
    let told = run.done();
    assert!(told.contains("conv") && told.contains("accuracy %"), "{told}");
    assert!(
        run.stderr.contains("searching width, depth") && run.stderr.contains("2/2  1 epoch  trial 2"),
        "{}",
        run.stderr
    );
}

#[test]
fn mistakes_are_told_before_anything_is_written() {
    let desk = Desk::new();
    let wrong = |more: &[&str], code: i32| {
        let mut args = vec!["tune", "circle", "--trials", "2", "--epochs", "1"];
        args.extend(more);
        let told = desk.run(&args).failed(code).to_string();
        assert!(!desk.file("runs").exists(), "a folder is left by {more:?}");
        told
    };
    assert!(wrong(&["--over", "widht"], 2).contains("did you mean `width`"));
    assert!(wrong(&["--over", "lr=1..0.1"], 2).contains("lower"));
    assert!(wrong(&["--over", "optimizer=adam|best"], 2).contains("best"));
    assert!(wrong(&["--model", "linear", "--over", "width"], 2).contains("network is given"));
    assert!(wrong(&["--find-lr"], 2).contains("--find-lr"));
    assert!(wrong(&["--val", "0"], 1).contains("validation"));
    assert_eq!(desk.run(&["tune", "circle", "--trials", "0"]).code, 2);
    assert!(
        desk.run(&["tune", "no-such-source"])
            .failed(1)
            .contains("no-such-source")
    );
}

#[test]
fn interrupting_keeps_the_trials_that_are_done() {
    use std::process::Stdio;
    let desk = Desk::new();
    let args = [
        "tune",
        "circle",
        "--trials",
        "500",
        "--epochs",
        "30",
        "--reduction",
        "1",
        "--over",
        "lr",
    ];
    let mut child = desk
        .command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let log = desk.file("runs/circle-tune-1/log.txt");
    let done = || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("  2/500  "));
    for _ in 0..600 {
        if done() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(done(), "two trials took more than half a minute");
    let pid = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let kept = std::fs::read_to_string(desk.file("runs/circle-tune-1/trials.csv")).unwrap();
    assert!(kept.lines().count() >= 3, "{kept}");
    assert!(desk.file("runs/circle-tune-1/report.html").is_file());
}
