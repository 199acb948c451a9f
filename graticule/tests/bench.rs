//! `graticule bench`, run as a person would run it. Only what must be true on any machine is checked.

#![allow(clippy::unwrap_used)]

mod common;

use common::Desk;

#[test]
fn the_figures_belong_together() {
    let args = [
        "bench",
        "lenet5",
        "--batch",
        "8",
        "--seconds",
        "0.02",
        "--threads",
        "1",
        "--json",
        "--quiet",
    ];
    let bench = Desk::new().run(&args).json();
    let number = |pointer: &str| bench.pointer(pointer).and_then(|v| v.as_f64()).unwrap();
    assert_eq!(
        (number("/machine/threads"), number("/networks/0/batch")),
        (1.0, 8.0)
    );
    assert_eq!(number("/networks/0/parameters"), 61_706.0);
    assert!(number("/machine/peak_gflops") > 0.0);
    for what in ["training", "inference"] {
        let of = |field: &str| number(&format!("/networks/0/{what}/{field}"));
        let rate = of("images_per_second") / (8.0 * of("steps_per_second"));
        assert!((rate - 1.0).abs() < 1e-9 && of("runs") >= 5.0);
        assert!((of("steps_per_second") * of("milliseconds") - 1000.0).abs() < 1e-6);
        assert!(of("gflops") > 0.0 && of("share_of_peak") > 0.0);
        let timings = bench.pointer(&format!("/networks/0/{what}/timings")).unwrap();
        assert_eq!(timings.as_array().unwrap().len() as f64, of("runs"));
    }
    let layers = bench["networks"][0]["layers"].as_array().unwrap();
    for (layer, pass) in [
        ("conv2d", "forward"),
        ("conv2d_1", "backward"),
        ("dense", "weights"),
    ] {
        let found = layers.iter().find(|l| l["layer"] == layer && l["pass"] == pass);
        assert!(
            found.is_some_and(|l| l["gflops"].as_f64().unwrap() > 0.0),
            "{layer} {pass}: {layers:?}"
        );
    }
    let shares: f64 = layers.iter().map(|l| l["share_of_time"].as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 1e-6, "{shares}");
    assert!(number("/networks/0/memory/training") > number("/networks/0/memory/inference"));
    let time = |part: &str| number(&format!("/networks/0/time/{part}"));
    let sum = time("compute") + time("memory_moving") + time("update") + time("rest");
    assert!((sum - number("/networks/0/training/milliseconds")).abs() < 1e-6);
    // AdamW reads a gradient, reads and writes a parameter and two slots, 64 bytes of room at most for each.
    let bytes = time("update_bytes") / (7.0 * 4.0);
    assert!((61_706.0..61_706.0 + 10.0 * 16.0).contains(&bytes), "{bytes}");
    let rate = time("memory_moving_bytes") / time("memory_moving") / 1e6;
    assert!((rate / time("memory_moving_gigabytes_per_second") - 1.0).abs() < 1e-6);
    // One thread waits for nobody.
    assert!(bench["networks"][0]["threads"].is_null());
}

#[test]
fn what_threads_do_adds_up() {
    let bench = Desk::new()
        .run(&[
            "bench",
            "mlp",
            "--threads",
            "2",
            "--seconds",
            "0.02",
            "--mode",
            "training",
            "--json",
            "--quiet",
        ])
        .json();
    let network = &bench["networks"][0];
    assert!(network["inference"].is_null());
    let share = |what: &str| network["threads"][what].as_f64().unwrap();
    let (busy, waiting, alone) = (share("busy"), share("waiting"), share("alone"));
    assert!((busy + waiting + alone - 1.0).abs() < 1e-6);
    assert!(busy > 0.0 && waiting > 0.0 && alone > 0.0);
}

#[test]
fn lines_batches_losses_and_rounds_can_be_asked_for() {
    let desk = Desk::new();
    let line = "conv 3 3 same relu, conv 1 1";
    let args = [
        "bench",
        "--layers",
        line,
        "--input",
        "6x6x1",
        "--loss",
        "bce",
        "--optimizer",
        "momentum:0.9",
        "--batch",
        "2,3",
        "--mode",
        "training",
        "--rounds",
        "2",
        "--seconds",
        "0.001",
        "--brief",
        "--threads",
        "1",
        "--json",
        "--quiet",
    ];
    let bench = desk.run(&args).json();
    let networks = bench["networks"].as_array().unwrap();
    let batches: Vec<u64> = networks.iter().map(|n| n["batch"].as_u64().unwrap()).collect();
    assert_eq!(batches, [2, 3]);
    for network in networks {
        // At least five in each of two rounds.
        assert!(network["training"]["runs"].as_u64().unwrap() >= 10);
        assert!(network["training"]["gflops"].is_null() && network["layers"].as_array().unwrap().is_empty());
        // SGD with momentum remembers one number for each of the 30 + 4 parameters.
        assert!(network["memory"]["optimizer"].as_u64().unwrap() < 2 * 4 * 4 * 16 + 4 * 34);
    }
    assert!(bench["machine"]["peak_gflops"].is_null());
    assert_eq!(bench["machine"]["precision"], "highest");
    let both = desk.run(&["bench", "mlp", "--layers", "dense 1"]);
    assert_eq!(both.code, 2);
}

#[test]
fn a_trained_network_is_a_subject() {
    let desk = Desk::new();
    desk.run(&["train", "xor", "--epochs", "1", "--no-report", "--quiet"])
        .done();
    let bench = [
        "bench",
        "runs/xor-1",
        "--seconds",
        "0.001",
        "--mode",
        "inference",
        "--batch",
        "1",
    ];
    let told = desk.run(&bench).done().to_string();
    assert!(
        told.contains("runs/xor-1: inference") && !told.contains("training"),
        "{told}"
    );
}

#[test]
fn the_table_names_networks_layers_and_the_peak() {
    let desk = Desk::new();
    let toml = "input = [6]\n[[layer]]\ntype = \"dense\"\nunits = 5\nactivation = \"relu\"\n[[layer]]\ntype = \"dense\"\nunits = \"classes\"\n";
    std::fs::write(desk.file("tiny.toml"), toml).unwrap();
    let run = desk.run(&["bench", "mlp", "tiny.toml", "--batch", "4", "--seconds", "0.01"]);
    let told = run.done();
    for expected in [
        "measured peak",
        "images/s",
        "inference",
        "mlp: a training step",
        "tiny.toml",
        "dense_1",
        "weights",
    ] {
        assert!(told.contains(expected), "`{expected}` is missing in\n{told}");
    }
    assert!(run.stderr.contains("measuring mlp"));
}

#[test]
fn mistakes_show_before_anything_is_measured() {
    let desk = Desk::new();
    let told = desk.run(&["bench", "mlp", "lennet5"]).failed(1).to_string();
    assert!(told.contains("did you mean `lenet5`"), "{told}");
    assert!(
        desk.run(&["bench", "lenet5", "--input", "7"])
            .failed(1)
            .contains("images")
    );
    assert_eq!(desk.run(&["bench", "--seconds", "0"]).code, 2);
    assert_eq!(desk.run(&["bench", "--isa", "mmx"]).code, 2);
}
