//! `graticule filter`, run as a person would run it.

#![allow(clippy::unwrap_used)]

mod common;

use common::Desk;
use image::{GrayImage, Luma, Rgb, RgbImage};

/// A grey picture of 8 × 6 pixels: black on the left half, 200 on the right.
fn step_picture(desk: &Desk) {
    let picture = GrayImage::from_fn(8, 6, |x, _| Luma([if x < 4 { 0 } else { 200 }]));
    picture.save(desk.file("step.png")).unwrap();
}

fn grey(desk: &Desk, name: &str) -> GrayImage {
    image::open(desk.file(name)).unwrap().into_luma8()
}

#[test]
fn an_edge_kernel_finds_the_edge_and_tells_sizes_and_range() {
    let desk = Desk::new();
    step_picture(&desk);
    let run = desk.run(&["filter", "step.png", "--kernel", "prewitt", "--padding", "valid"]);
    let told = run.done();
    assert!(told.contains("6 × 8 × 1") && told.contains("4 × 6 × 1"), "{told}");
    assert!(told.contains("0 to 600"), "{told}");
    let edges = grey(&desk, "step-prewitt.png");
    assert_eq!(edges.dimensions(), (6, 4));
    assert_eq!(edges.as_raw()[..6], [0, 0, 255, 255, 0, 0]);
}

#[test]
fn convolution_turns_the_kernel_and_signed_shows_negative_values() {
    let desk = Desk::new();
    step_picture(&desk);
    let args = [
        "filter",
        "step.png",
        "-k",
        "prewitt",
        "--convolve",
        "--padding",
        "valid",
        "--signed",
        "-o",
        "c.png",
    ];
    assert!(desk.run(&args).done().contains("-600 to 0"));
    assert_eq!(grey(&desk, "c.png").as_raw()[..6], [128, 128, 1, 1, 128, 128]);
}

#[test]
fn json_is_one_object_with_sizes_range_and_output() {
    let desk = Desk::new();
    RgbImage::from_pixel(5, 4, Rgb([10, 20, 30]))
        .save(desk.file("flat.png"))
        .unwrap();
    let args = [
        "filter",
        "flat.png",
        "--matrix",
        "0 0 0; 0 2 0; 0 0 0",
        "--json",
        "-o",
        "out.tif",
    ];
    let told = desk.run(&args).json();
    assert_eq!(told["input_size"], serde_json::json!([4, 5, 3]));
    assert_eq!(told["output_size"], serde_json::json!([4, 5, 3]));
    assert_eq!(told["range"], serde_json::json!([20.0, 60.0]));
    let doubled = image::open(desk.file("out.tif")).unwrap().into_rgb8();
    assert_eq!(doubled.get_pixel(2, 2), &Rgb([20, 40, 60]));
}

#[test]
fn an_output_is_never_overwritten_without_force() {
    let desk = Desk::new();
    step_picture(&desk);
    let before = std::fs::read(desk.file("step.png")).unwrap();
    let told = desk.run(&["filter", "step.png", "-k", "edge", "-o", "step.png"]);
    assert!(
        told.failed(1)
            .contains("step.png: the file exists already\n  help: "),
        "{told:?}"
    );
    assert_eq!(std::fs::read(desk.file("step.png")).unwrap(), before);
    desk.run(&["filter", "step.png", "-k", "edge", "-o", "step.png", "--force"])
        .done();
    assert_ne!(std::fs::read(desk.file("step.png")).unwrap(), before);
}

#[test]
fn bad_inputs_get_one_clear_message_and_leave_nothing() {
    let desk = Desk::new();
    step_picture(&desk);
    std::fs::write(desk.file("words.png"), "these are words").unwrap();
    let whole = std::fs::read(desk.file("step.png")).unwrap();
    std::fs::write(desk.file("cut.png"), &whole[..whole.len() / 2]).unwrap();
    let fails = |args: &[&str], code: i32, part: &str| {
        let run = desk.run(&[&["filter"], args].concat());
        let told = run.failed(code);
        assert!(told.contains(part), "{args:?} → {told}");
    };
    fails(&["none.png", "-k", "edge"], 1, "none.png: there is no such file");
    fails(&["words.png", "-k", "edge"], 1, "words.png: not a picture");
    fails(&["cut.png", "-k", "edge"], 1, "cut.png: ");
    fails(&[".", "-k", "edge", "-o", "x.png"], 1, "this is a folder");
    fails(&["step.png"], 2, "no operation was asked for");
    fails(
        &["step.png", "--matrix", "1 2; 3"],
        2,
        "row 2 has 1 weights, row 1 has 2",
    );
    fails(
        &["step.png", "-k", "edge", "--padding", "half"],
        2,
        "expected valid, same, full",
    );
    fails(
        &["step.png", "-k", "edge", "-o", "out.doc"],
        2,
        "no ending of a picture format",
    );
    fails(
        &["step.png", "-k", "edge", "-o", "no/such/out.png"],
        1,
        "cannot write",
    );
    fails(
        &["step.png", "-k", "gaussian", "--size", "9", "--padding", "valid"],
        1,
        "height: (6 − 9 + 2·0)/1 + 1 = -2",
    );
    fails(
        &["step.png", "-k", "edge", "--stride", "2", "--padding", "valid"],
        1,
        "(6 − 3 + 2·0)/2 + 1 = 2.50 does not fit",
    );
    fails(
        &["step.png", "-k", "edge", "--padding", "999999999"],
        1,
        "the limit is",
    );
    fails(
        &["step.png", "-k", "gaussian", "--sigma", "-1"],
        1,
        "expected a number above 0",
    );
    let mut left: Vec<_> = std::fs::read_dir(desk.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["cut.png", "step.png", "words.png"]);
}

#[test]
fn the_binary_explains_itself() {
    let desk = Desk::new();
    assert!(desk.run(&["--help"]).done().contains("filter"));
    assert!(
        desk.run(&["filter", "--help"])
            .done()
            .contains("graticule filter photo.jpg")
    );
    desk.run(&["--version"]).done();
    desk.run(&["no-such-verb"]).failed(2);
}
