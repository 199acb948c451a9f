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
