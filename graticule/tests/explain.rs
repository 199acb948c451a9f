//! `graticule explain`, run as a person would run it, on runs that `train` made.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::Desk;
use image::{GrayImage, Luma};

/// Two classes of pictures that differ in a bright square at the upper left, or at the lower right.
fn pictures(desk: &Desk, folder: &str, count: u32) {
    desk.pictures(folder, ["left", "right"], count, 12, |class, n, x, y| {
        let corner = 8 * class;
        let inside = (corner..corner + 4).contains(&x) && (corner..corner + 4).contains(&y);
        let noise = ((x * 7 + y * 13 + n * 29) % 60) as u8;
        [noise + if inside { 180 } else { 0 }, noise, 40]
    });
}

fn with_run() -> Desk {
    let desk = Desk::new();
    pictures(&desk, "squares", 20);
    let args = [
        "train",
        "squares",
        "--layers",
        "conv 6 3 same relu, maxpool 2, flatten, dense classes",
        "--epochs",
        "25",
        "--augment",
        "none",
        "--lr",
        "0.01",
        "--no-report",
    ];
    desk.run(&args).done();
    desk
}

#[test]
fn pictures_are_explained_by_every_method() {
    let desk = with_run();
    let args = [
        "explain",
        "runs/squares-1",
        "squares/left/3.png",
        "squares/right/3.png",
        "--method",
        "all",
        "--masks",
        "60",
        "-o",
        "why",
    ];
    let told = desk.run(&args);
    let lines: Vec<&str> = told.done().lines().collect();
    assert!(lines[0].starts_with("squares/left/3.png  left "), "{lines:?}");
    assert_eq!(lines.len(), 2 * 10 + 1);
    let page = fs::read_to_string(desk.file("why/explanation.html")).unwrap();
    for text in [
        "squares/left/3.png: left",
        "How faithful the maps are",
        "random order",
        "guided",
        "grad-cam",
        "said with the mask there",
    ] {
        assert!(page.contains(text), "the page lacks `{text}`");
    }
    // Nothing is fetched from anywhere.
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"));
    for method in ["occlusion", "gradient", "integrated", "rise", "grad-cam"] {
        let picture = image::open(desk.file(&format!("why/3.{method}.png"))).unwrap();
        assert!(picture.width() > 3 * picture.height(), "{method}");
        assert!(desk.file(&format!("why/3-2.{method}.png")).is_file(), "{method}");
        let array = fs::read(desk.file(&format!("why/3.{method}.npy"))).unwrap();
        assert_eq!(array.len(), 128 + 4 * 12 * 12, "{method}");
    }
    assert_eq!(
        fs::read(desk.file("why/3.gradient.bands.npy")).unwrap().len(),
        128 + 4 * 12 * 12 * 3
    );
    assert!(desk.run(&args).failed(1).contains("-o"));
}

/// Row E1 on a network that was trained: the probability falls with the square hidden, and not with another place hidden.
#[test]
fn e1_hiding_what_matters_lowers_the_probability() {
    let desk = with_run();
    let args = [
        "explain",
        "runs/squares-1",
        "squares/left/1.png",
        "--method",
        "occlusion",
        "--mask",
        "4",
        "--stride",
        "4",
        "--json",
        "-o",
        "why",
    ];
    let told = desk.run(&args).json();
    let input = &told["inputs"][0];
    assert_eq!(input["explained"], "left");
    let said = input["said"].as_f64().unwrap();
    let bytes = fs::read(
        desk.file("why")
            .join(input["methods"]["occlusion"]["hidden"].as_str().unwrap()),
    )
    .unwrap();
    let hidden: Vec<f32> = bytes[128..]
        .chunks(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    assert_eq!(hidden.len(), 9);
    let least = (0..9).min_by(|&a, &b| hidden[a].total_cmp(&hidden[b])).unwrap();
    assert_eq!(least, 0, "{hidden:?}");
    assert!(
        said > 0.8 && f64::from(hidden[0]) < said - 0.1,
        "{said} {hidden:?}"
    );
    let (deletion, random) = (
        &input["methods"]["occlusion"]["deletion"],
        &input["random"]["deletion"],
    );
    assert!(deletion.as_f64().unwrap() < random.as_f64().unwrap(), "{told}");
}

#[test]
fn another_class_can_be_asked_about() {
    let desk = with_run();
    let ask = |target: &str| {
        desk.run(&[
            "explain",
            "runs/squares-1",
            "squares/left/1.png",
            "--target",
            target,
            "--method",
            "gradient",
            "--json",
            "--no-curves",
        ])
    };
    let (by_name, by_number) = (ask("right").json(), ask("1").json());
    assert_eq!(by_name["inputs"], by_number["inputs"]);
    assert_eq!(by_name["inputs"][0]["explained"], "right");
    assert!(
        by_name["page"]
            .as_str()
            .unwrap()
            .ends_with("runs/squares-1/explain-1/explanation.html")
    );
    assert!(
        by_number["page"]
            .as_str()
            .unwrap()
            .ends_with("explain-2/explanation.html")
    );
    assert!(ask("rihgt").failed(2).contains("did you mean right?"));
    assert!(ask("2").failed(2).contains("it has left, right"));
}

#[test]
fn without_inputs_test_samples_are_explained() {
    let desk = Desk::new();
    desk.run(&[
        "train",
        "digits",
        "--model",
        "mlp",
        "--epochs",
        "1",
        "--no-report",
    ])
    .done();
    let told = desk.run(&[
        "explain",
        "runs/digits-1",
        "--samples",
        "3",
        "--method",
        "all",
        "--masks",
        "50",
        "--json",
    ]);
    let object = told.json();
    assert_eq!(object["inputs"].as_array().unwrap().len(), 3);
    assert!(
        object["inputs"][0]["methods"]["rise"].is_object()
            && object["inputs"][0]["methods"]["grad-cam"].is_null()
    );
    assert!(told.stderr.contains("grad-cam is left out"), "{told:?}");
    fs::copy(
        desk.file("runs/digits-1/best.safetensors"),
        desk.file("alone.safetensors"),
    )
    .unwrap();
    assert!(
        desk.run(&["explain", "alone.safetensors"])
            .failed(2)
            .contains("INPUT")
    );
    assert!(
        desk.run(&["explain", "runs/digits-1", "--method", "grad-cam"])
            .failed(1)
            .contains("a convolutional network")
    );
}

#[test]
fn tables_are_explained_by_column() {
    let desk = Desk::new();
    let rows: String = (0..200)
        .map(|n| {
            format!(
                "{},{},k{},{}\n",
                n % 17,
                n % 7,
                n % 2,
                5 * (n % 17) + 30 * (n % 2)
            )
        })
        .collect();
    fs::write(desk.file("lines.csv"), format!("a,useless,kind,y\n{rows}")).unwrap();
    let args = [
        "train",
        "lines.csv",
        "--target",
        "y",
        "--model",
        "linear",
        "--epochs",
        "80",
        "--lr",
        "0.05",
        "--no-report",
    ];
    desk.run(&args).done();
    let told = desk
        .run(&[
            "explain",
            "runs/lines-1",
            "lines.csv",
            "--method",
            "all",
            "--json",
            "-o",
            "why",
        ])
        .json();
    assert_eq!(told["rows"], 200);
    for method in told["methods"].as_array().unwrap() {
        let of = |column: &str| method["columns"][column].as_f64().unwrap();
        assert!(
            of("a") > 5.0 * of("useless") && of("kind") > 3.0 * of("useless"),
            "{method}"
        );
    }
    let page = fs::read_to_string(desk.file("why/explanation.html")).unwrap();
    assert!(page.contains("permutation") && page.contains("lines.csv, line 2"));
    assert_eq!(
        fs::read(desk.file("why/integrated.npy")).unwrap().len(),
        128 + 4 * 200 * 3
    );
    let own = desk.run(&["explain", "runs/lines-1"]);
    assert!(own.done().contains("useless"));
    assert!(
        desk.run(&["explain", "runs/lines-1", "lines.csv", "--method", "rise"])
            .failed(2)
            .contains("for tables there are")
    );
}

#[test]
fn what_cannot_be_explained_is_one_clear_error() {
    let desk = with_run();
    GrayImage::from_pixel(9, 9, Luma([3]))
        .save(desk.file("small.png"))
        .unwrap();
    let whole = fs::read(desk.file("squares/left/0.png")).unwrap();
    fs::write(desk.file("half.png"), &whole[..60]).unwrap();
    fs::create_dir(desk.file("empty")).unwrap();
    let ask = |more: &[&str]| desk.run(&[&["explain", "runs/squares-1"][..], more].concat());
    assert!(ask(&["small.png"]).failed(1).contains("9 x 9"));
    assert!(ask(&["half.png"]).failed(1).contains("half.png"));
    assert!(ask(&["empty"]).failed(1).contains("no PNG, JPEG or TIFF"));
    assert!(ask(&["missing.png"]).failed(1).contains("missing.png"));
    let fine = "squares/left/0.png";
    assert!(
        ask(&[fine, "--method", "oclusion"])
            .failed(2)
            .contains("did you mean occlusion?")
    );
    assert!(
        ask(&[fine, "--method", "grad-cam", "--layer", "dense"])
            .failed(1)
            .contains("conv2d, max_pool2d")
    );
    assert!(
        ask(&[fine, "--method", "occlusion", "--mask", "13"])
            .failed(1)
            .contains("1 to 12 pixels")
    );
    assert!(ask(&[fine, "--fill", "blue"]).failed(2).contains("#808080"));
    assert!(
        ask(&[fine, "--method", "permutation"])
            .failed(2)
            .contains("occlusion")
    );
    let told = ask(&["half.png", fine, "--skip-bad", "--method", "gradient"]);
    assert!(
        told.done().contains("left ") && told.stderr.contains("left out"),
        "{told:?}"
    );
    // A failed call leaves no folder behind that looks like a result.
    assert!(!desk.file("runs/squares-1/explain-2").exists());
}

/// Row E3 from the command line: one grid of all first-layer filters, and their numbers.
#[test]
fn e3_filters_need_no_input_and_go_beside_maps() {
    let desk = with_run();
    fs::copy(
        desk.file("runs/squares-1/best.safetensors"),
        desk.file("alone.safetensors"),
    )
    .unwrap();
    let told = desk.run(&[
        "explain",
        "alone.safetensors",
        "--method",
        "filters",
        "-o",
        "seen",
    ]);
    assert!(told.done().starts_with("filters "), "{told:?}");
    let picture = image::open(desk.file("seen/filters.png")).unwrap();
    assert!(picture.width() > 3 * 60 && picture.height() > 60);
    assert_eq!(
        fs::read(desk.file("seen/filters.npy")).unwrap().len(),
        128 + 4 * 3 * 3 * 3 * 6
    );
    let page = fs::read_to_string(desk.file("seen/explanation.html")).unwrap();
    assert!(page.contains("6 filters of 3 × 3 × 3"));

    let mixed = [
        "explain",
        "runs/squares-1",
        "squares/left/3.png",
        "--method",
        "gradient,filters",
        "--json",
    ];
    let told = desk.run(&mixed).json();
    assert_eq!(told["network"]["filters"]["shape"].to_string(), "[3,3,3,6]");
    assert!(told["inputs"][0]["methods"]["gradient"].is_object());
    assert!(told["inputs"][0]["methods"]["occlusion"].is_null());
}
