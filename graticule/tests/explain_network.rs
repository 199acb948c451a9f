//! `graticule explain --method network`: pictures of the network itself, as a person would ask for them.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::Desk;
use image::{Rgb, RgbImage};

/// Two classes of pictures: red on the left, or blue on the right.
fn with_run() -> Desk {
    let desk = Desk::new();
    for (class, channel) in [("blue", 2), ("red", 0)] {
        fs::create_dir_all(desk.file("halves").join(class)).unwrap();
        for n in 0..12u32 {
            let picture = RgbImage::from_fn(10, 10, |x, y| {
                let noise = ((x * 7 + y * 13 + n * 29) % 50) as u8;
                let mut pixel = [noise; 3];
                let side = if channel == 0 { x < 5 } else { x >= 5 };
                pixel[channel] += if side { 190 } else { 0 };
                Rgb(pixel)
            });
            picture
                .save(desk.file("halves").join(class).join(format!("{n}.png")))
                .unwrap();
        }
    }
    let layers = "conv 6 3 same relu, maxpool 2, conv 8 3 same relu, flatten, dense classes";
    let args = [
        "train",
        "halves",
        "--layers",
        layers,
        "--epochs",
        "12",
        "--lr",
        "0.01",
        "--augment",
        "none",
        "--no-report",
    ];
    desk.run(&args).done();
    desk
}

/// Rows E3, E4 and E5: one call draws all of them, with files, a page, and the same bits for any number of threads.
#[test]
fn e4_a_network_shows_what_it_looks_for() {
    let desk = with_run();
    let ask = |folder: &str, threads: &str| {
        let args = [
            "explain",
            "runs/halves-1",
            "halves/red/1.png",
            "--method",
            "network",
            "--rounds",
            "60",
            "--json",
            "-o",
            folder,
            "--threads",
            threads,
        ];
        desk.run(&args).json()
    };
    let told = ask("one", "1");
    let of = &told["network"];
    let features = of["features"]["layers"].as_array().unwrap();
    assert_eq!(features.len(), 2);
    for layer in features {
        let numbers = |name: &str| {
            layer[name]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_f64().unwrap())
                .collect::<Vec<_>>()
        };
        let (before, after) = (numbers("before"), numbers("after"));
        assert!(
            before.iter().zip(&after).all(|(before, after)| after > before),
            "{layer}"
        );
        let rise = after.iter().sum::<f64>() - before.iter().sum::<f64>();
        assert!(rise > 0.5 * before.len() as f64, "{layer}");
    }
    assert_eq!(
        fs::read(desk.file("one/features.conv2d_1.npy")).unwrap().len(),
        128 + 4 * 8 * 10 * 10 * 3
    );
    assert!(
        of["classes"]["said"]
            .as_array()
            .unwrap()
            .iter()
            .all(|p| p.as_f64().unwrap() > 0.9),
        "{of}"
    );
    // Colours stand where the classes have them.
    let sheet = image::open(desk.file("one/classes.png")).unwrap().into_rgb8();
    let (tile, factor) = (128 / 10 * 10 + 2, 128 / 10);
    let mean = |class: u32, left: u32, channel: usize| {
        let pixels = (0..10u32).flat_map(|y| (left..left + 4).map(move |x| (x, y)));
        pixels
            .map(|(x, y)| f64::from(sheet.get_pixel(class * tile + x * factor + 1, y * factor + 1)[channel]))
            .sum::<f64>()
            / 40.0
    };
    assert!(mean(1, 1, 0) > mean(1, 1, 2) + 20.0, "red on the left");
    assert!(mean(0, 5, 2) > mean(0, 5, 0) + 20.0, "blue on the right");
    let layers = of["inversion"]["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 3);
    let error = |k: usize| layers[k]["errors"][0].as_f64().unwrap();
    assert!((0..3).all(|k| error(k) < 0.6), "{of}");
    let distance = |k: usize| layers[k]["distances"][0].as_f64().unwrap();
    assert!(distance(0) < distance(2), "{of}");
    for file in [
        "filters.png",
        "features.conv2d.png",
        "classes.png",
        "inversion.png",
    ] {
        assert!(image::open(desk.file("one").join(file)).is_ok(), "{file}");
    }
    let page = fs::read_to_string(desk.file("one/explanation.html")).unwrap();
    for text in [
        "first layer",
        "What units look for",
        "What classes look like",
        "What layers still know",
        "unit 7",
        "red",
    ] {
        assert!(page.contains(text), "{text}");
    }
    ask("two", "2");
    for file in [
        "features.conv2d.npy",
        "features.conv2d_1.npy",
        "classes.npy",
        "inversion.dense.npy",
    ] {
        let of = |folder: &str| fs::read(desk.file(folder).join(file)).unwrap();
        assert!(of("one") == of("two"), "{file}");
    }
}

#[test]
fn a_layer_its_units_and_a_class_can_be_named() {
    let desk = with_run();
    let ask = |more: &[&str]| {
        desk.run(&[&["explain", "runs/halves-1", "--rounds", "5", "--json"][..], more].concat())
    };
    let told = ask(&["--method", "features", "--layer", "dense", "--units", "1"]).json();
    assert_eq!(
        told["network"]["features"]["layers"][0]["units"].to_string(),
        "[1]"
    );
    let told = ask(&["--method", "classes", "--target", "red"]).json();
    assert_eq!(told["network"]["classes"]["classes"].to_string(), "[\"red\"]");
    let told = ask(&["--method", "inversion", "--layer", "max_pool2d", "--samples", "2"]).json();
    assert_eq!(
        told["network"]["inversion"]["layers"][0]["errors"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let missing = ask(&["--method", "features", "--layer", "conv2d_9"]);
    assert!(
        missing
            .failed(1)
            .contains("it has conv2d, max_pool2d, conv2d_1, flatten, dense")
    );
    assert!(
        ask(&["--method", "features", "--layer", "conv2d", "--units", "0,6"])
            .failed(1)
            .contains("6 units, 0 to 5")
    );
    assert!(
        ask(&["--method", "classes", "--target", "green"])
            .failed(2)
            .contains("blue, red")
    );
    assert!(
        desk.run(&[
            "explain",
            "runs/halves-1",
            "--method",
            "inversion",
            "--rounds",
            "0"
        ])
        .failed(1)
        .contains("steps")
    );
    assert!(ask(&["--method", "featurez"]).failed(2).contains("features"));
}

/// Without the run there are no samples for the layers to forget: that kind alone is left out of the group.
#[test]
fn a_model_file_alone_shows_what_needs_no_input() {
    let desk = with_run();
    fs::copy(
        desk.file("runs/halves-1/best.safetensors"),
        desk.file("alone.safetensors"),
    )
    .unwrap();
    let ask = |kind: &str| {
        desk.run(&[
            "explain",
            "alone.safetensors",
            "--method",
            kind,
            "--rounds",
            "5",
            "--json",
        ])
    };
    let told = ask("network");
    let network = &told.json()["network"];
    assert!(
        network["classes"].is_object() && network["inversion"].is_null(),
        "{network}"
    );
    assert!(told.stderr.contains("inversion is left out"), "{told:?}");
    assert!(ask("inversion").failed(2).contains("INPUT"));
}

#[test]
fn tables_have_no_such_pictures() {
    let desk = Desk::new();
    let rows: String = (0..60)
        .map(|n| format!("{},{},{}\n", n % 7, n % 5, 3 * (n % 7)))
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
        "2",
        "--no-report",
    ];
    desk.run(&args).done();
    for kind in ["filters", "features", "classes", "inversion"] {
        let told = desk.run(&["explain", "runs/lines-1", "--method", kind]);
        let told = format!("{told:?}");
        assert!(
            told.contains("read") && told.contains("pictures"),
            "{kind}: {told}"
        );
    }
    assert!(!desk.file("runs/lines-1/explain-1").exists());
    let told = desk.run(&["explain", "runs/lines-1", "--method", "network,permutation"]);
    assert!(
        told.done().contains("permutation") && told.stderr.contains("features is left out"),
        "{told:?}"
    );
}
