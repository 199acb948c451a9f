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
    image::open(desk.file("step.png"))
        .unwrap()
        .save(desk.file("whole.jpg"))
        .unwrap();
    let whole = std::fs::read(desk.file("whole.jpg")).unwrap();
    std::fs::write(desk.file("cut.jpg"), &whole[..whole.len() - 9]).unwrap();
    std::fs::remove_file(desk.file("whole.jpg")).unwrap();
    let fails = |args: &[&str], code: i32, part: &str| {
        let run = desk.run(&[&["filter"], args].concat());
        let told = run.failed(code);
        assert!(told.contains(part), "{args:?} → {told}");
    };
    fails(&["none.png", "-k", "edge"], 1, "none.png: there is no such file");
    fails(
        &["words.png", "-k", "edge"],
        1,
        "words.png: found an image that cannot be decoded",
    );
    fails(
        &["cut.jpg", "-k", "edge"],
        1,
        "cut.jpg: found a JPEG that ends after",
    );
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
    assert_eq!(left, ["cut.jpg", "cut.png", "step.png", "words.png"]);
}

/// A grey picture of 12 × 12 pixels with a bright square, one wild pixel in it and one beside it.
fn spotted_picture(desk: &Desk) {
    let inside = |x| (3..9).contains(&x);
    let mut picture = GrayImage::from_fn(12, 12, |x, y| {
        Luma([if inside(x) && inside(y) { 180 } else { 60 }])
    });
    picture.put_pixel(5, 5, Luma([0]));
    picture.put_pixel(1, 10, Luma([255]));
    picture.save(desk.file("spots.png")).unwrap();
}

#[test]
fn median_removes_the_wild_pixels() {
    let desk = Desk::new();
    spotted_picture(&desk);
    desk.run(&["filter", "spots.png", "-k", "median", "-o", "m.png"])
        .done();
    let clean = grey(&desk, "m.png");
    assert_eq!(
        (
            clean.get_pixel(5, 5)[0],
            clean.get_pixel(1, 10)[0],
            clean.get_pixel(4, 7)[0]
        ),
        (180, 60, 180)
    );
}

#[test]
fn steps_run_in_the_told_order_and_name_the_output() {
    let desk = Desk::new();
    step_picture(&desk);
    let args = [
        "filter",
        "step.png",
        "-k",
        "box",
        "-k",
        "identity",
        "--add",
        "10",
        "--multiply",
        "0.5",
        "--pool",
        "max",
        "2",
        "2",
        "--json",
    ];
    let told = desk.run(&args).json();
    let steps = [
        "multiply 0.5",
        "add 10",
        "box 3 × 3",
        "identity 3 × 3 (correlation)",
        "pool max 2 × 2, stride 2",
    ];
    assert_eq!(told["steps"], serde_json::json!(steps));
    assert_eq!(told["output_size"], serde_json::json!([3, 4, 1]));
    let pooled = grey(&desk, "step-multiply-add-box-identity-pool.png");
    // Columns 3 and 4 of the blurred step are 10 + 100/3 and 10 + 200/3.
    assert_eq!(pooled.as_raw()[..4], [10, 43, 110, 110]);
}

#[test]
fn noise_returns_with_its_seed() {
    let desk = Desk::new();
    step_picture(&desk);
    let noisy = |seed: &str, name: &str| {
        desk.run(&["filter", "step.png", "--noise", "20", "--seed", seed, "-o", name])
            .done();
        grey(&desk, name)
    };
    assert_eq!(noisy("1", "a.png"), noisy("1", "b.png"));
    assert_ne!(noisy("1", "c.png"), noisy("2", "d.png"));
}

#[test]
fn translate_equalize_and_integral_write_what_they_say() {
    let desk = Desk::new();
    step_picture(&desk);
    desk.run(&[
        "filter",
        "step.png",
        "--translate",
        "-2,0",
        "--pad-value",
        "77",
        "-o",
        "t.png",
    ])
    .done();
    assert_eq!(
        grey(&desk, "t.png").as_raw()[..8],
        [0, 0, 200, 200, 200, 200, 77, 77]
    );
    desk.run(&["filter", "step.png", "-k", "equalize", "-o", "e.png"])
        .done();
    assert_eq!(
        grey(&desk, "e.png").as_raw()[..8],
        [0, 0, 0, 0, 255, 255, 255, 255]
    );
    let told = desk
        .run(&["filter", "step.png", "-k", "integral", "-o", "i.png", "--json"])
        .json();
    assert_eq!(told["range"], serde_json::json!([0.0, 4.0 * 6.0 * 200.0]));
    let integral = grey(&desk, "i.png");
    assert_eq!(integral.dimensions(), (9, 7));
    assert_eq!(integral.as_raw()[54..], [0, 0, 0, 0, 0, 64, 128, 191, 255]);
}

#[test]
fn sharpening_makes_edges_steeper() {
    let desk = Desk::new();
    spotted_picture(&desk);
    for kernel in ["sharpen", "unsharp", "emphasis"] {
        let told = desk.run(&["filter", "spots.png", "-k", kernel, "--json"]).json();
        let range = [
            told["range"][0].as_f64().unwrap(),
            told["range"][1].as_f64().unwrap(),
        ];
        assert!(range[0] < 0.0 && range[1] > 255.0, "{kernel}: {range:?}");
    }
}

#[test]
fn a_setting_that_no_step_hears_is_wrong_usage() {
    let desk = Desk::new();
    step_picture(&desk);
    let refused = |args: &[&str], part: &str| {
        let run = desk.run(&[&["filter", "step.png"], args].concat());
        assert!(run.failed(2).contains(part), "{args:?} → {run:?}");
    };
    refused(&["-k", "sobel", "--size", "5"], "--size means nothing to sobel");
    refused(&["-k", "box", "--sigma", "5"], "--sigma means nothing to box");
    refused(
        &["-k", "equalize", "--padding", "full"],
        "--padding means nothing to equalize",
    );
    refused(
        &["--pool", "max", "2", "2", "--stride", "2"],
        "--stride means nothing to pool",
    );
    refused(&["-k", "box", "--seed", "2"], "--noise");
    refused(&["--pool", "most", "2", "2"], "`most` is no kind of pooling");
    refused(&["--pool", "max", "0", "2"], "the size is `0`");
    refused(&["--translate", "3"], "expected two whole numbers");
    refused(&["--add", "nan"], "not a finite number");
}

#[cfg(unix)]
#[test]
fn a_folder_without_write_permission_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    step_picture(&desk);
    let locked = desk.file("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(locked.join("probe"), "").is_ok() {
        println!("skipped: this user may write everywhere");
        return;
    }
    let run = desk.run(&["filter", "step.png", "-k", "edge", "-o", "locked/out.png"]);
    assert!(run.failed(1).contains("cannot write"), "{run:?}");
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_is_not_an_error() {
    let desk = Desk::new();
    step_picture(&desk);
    let mut command = desk.command(&["filter", "step.png", "-k", "edge"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!(
        (done.status.code(), done.stderr.as_slice()),
        (Some(0), [].as_slice())
    );
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
