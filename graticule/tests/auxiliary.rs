//! GoogLeNet with its auxiliary heads, from the command line (row N4): trained with them, kept without.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::Desk;
use image::{Rgb, RgbImage};

/// Two folders of ten pictures each: one is striped.
fn desk() -> Desk {
    let desk = Desk::new();
    for class in ["plain", "striped"] {
        fs::create_dir_all(desk.file("photos").join(class)).unwrap();
        for n in 0..10u8 {
            let striped = class == "striped";
            let pixel = |x: u32, y: u32| {
                let value = if striped && (x + y) % 4 < 2 { 200 } else { 20 * n };
                Rgb([value, 255 - value, 7 * n])
            };
            let picture = RgbImage::from_fn(32, 32, pixel);
            picture
                .save(desk.file("photos").join(class).join(format!("{n}.png")))
                .unwrap();
        }
    }
    desk
}

const TRAIN: [&str; 8] = [
    "train",
    "photos",
    "--model",
    "googlenet",
    "--epochs",
    "2",
    "--batch",
    "7",
];

#[test]
fn n4_googlenet_trains_with_auxiliary_heads_and_is_kept_without_them() {
    let desk = desk();
    let told = desk.run(&[&TRAIN[..], &["--name", "with"]].concat());
    told.done();
    let line = "googlenet: 5,601,954 parameters, and 4,334,084 ";
    assert!(told.stderr.contains(line), "{}", told.stderr);
    let line = "in 2 auxiliary heads for training alone, whose loss counts 0.3 times";
    assert!(told.stderr.contains(line), "{}", told.stderr);
    let settings = fs::read_to_string(desk.file("runs/with-1/run.toml")).unwrap();
    assert!(settings.contains("auxiliary = ["), "{settings}");
    let size = |file: &str| fs::metadata(desk.file("runs/with-1").join(file)).unwrap().len();
    assert!(size("best.safetensors") < 25_000_000 && size("last.safetensors") > 100_000_000);
    // What reads the best file knows nothing of the heads.
    let evaluated = desk.run(&["evaluate", "runs/with-1", "--json", "--no-report"]);
    evaluated.done();
    desk.run(&[
        "export",
        "runs/with-1",
        "--to",
        "safetensors",
        "-o",
        "out.safetensors",
    ])
    .done();
    let bytes = fs::read(desk.file("out.safetensors")).unwrap();
    let header = String::from_utf8_lossy(&bytes[..60_000]).into_owned();
    assert!(header.contains("inception5b.branch1") && !header.contains("aux1"));
    // From the epoch at hand on, a run that is begun again ends with the same bits: here it has ended.
    desk.run(&["train", "--resume", "runs/with-1"]).done();

    let told = desk.run(
        &[
            &TRAIN[..],
            &["--auxiliary", "0", "--no-report", "--json", "--name", "without"],
        ]
        .concat(),
    );
    assert_eq!(told.json()["parameters"], 5_601_954);
    let told = desk.run(&["train", "photos", "--auxiliary", "0.3"]);
    let error = told.failed(2);
    assert!(
        error.contains("`cnn-small` has no auxiliary heads here"),
        "{error}"
    );
}
