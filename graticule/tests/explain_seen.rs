//! `graticule explain --method activations|patches|embedding`, run as a person would run it.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::Desk;

/// Bytes of an .npy file's numbers.
fn numbers(desk: &Desk, file: &str) -> Vec<f32> {
    let bytes = fs::read(desk.file(file)).unwrap();
    bytes[128..]
        .chunks(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

fn digits() -> Desk {
    let desk = Desk::new();
    let layers = "conv 6 3 relu, maxpool 2, conv 8 3 same relu, flatten, dense 20 relu, dense classes";
    desk.run(&[
        "train",
        "digits",
        "--layers",
        layers,
        "--epochs",
        "12",
        "--no-report",
    ])
    .done();
    desk
}

#[test]
fn what_a_network_sees_in_digits() {
    let desk = digits();
    let told = desk
        .run(&[
            "explain",
            "runs/digits-1",
            "--method",
            "activations,patches,embedding",
            "--samples",
            "150",
            "--json",
            "-o",
            "why",
        ])
        .json();
    let network = &told["network"];
    // Feature maps of all 150; their files are there, on the page as many as fit.
    let inputs = network["activations"]["inputs"].as_array().unwrap();
    assert_eq!(inputs.len(), 150);
    let layer = &inputs[0]["layers"][0];
    assert_eq!(
        (layer["layer"].as_str(), layer["shape"].as_array().unwrap().len()),
        (Some("conv2d"), 3)
    );
    assert!(image::open(desk.file(&format!("why/{}", layer["picture"].as_str().unwrap()))).is_ok());
    assert_eq!(
        numbers(&desk, &format!("why/{}", layer["maps"].as_str().unwrap())).len(),
        6 * 6 * 6
    );
    // The strongest patches of two convolutions: sizes of their fields, in the order of their answers, one of a sample.
    let layers = network["patches"]["layers"].as_array().unwrap();
    let sees: Vec<&serde_json::Value> = layers.iter().map(|l| &l["sees"]).collect();
    assert_eq!(sees, [&serde_json::json!([3, 3]), &serde_json::json!([8, 8])]);
    for unit in layers.iter().flat_map(|l| l["units"].as_array().unwrap()) {
        let patches = unit["patches"].as_array().unwrap();
        let answers: Vec<f64> = patches
            .iter()
            .map(|p| p["activation"].as_f64().unwrap())
            .collect();
        assert!(
            answers.len() == 9 && answers.windows(2).all(|pair| pair[0] >= pair[1]),
            "{unit}"
        );
        let names: std::collections::HashSet<&str> =
            patches.iter().map(|p| p["sample"].as_str().unwrap()).collect();
        assert_eq!(names.len(), 9);
        assert!(image::open(desk.file(&format!("why/{}", unit["picture"].as_str().unwrap()))).is_ok());
    }
    // The plane: digits lie together, far more than by chance.
    let plane = &network["embedding"];
    let purity = |of: &str| plane["neighbour_purity"][of].as_f64().unwrap();
    assert!(
        purity("features") > 0.6 && purity("tsne") > 0.6 && purity("chance") < 0.15,
        "{plane}"
    );
    assert!(plane["kl_divergence"].as_f64().unwrap() < 1.0);
    assert_eq!(numbers(&desk, "why/embedding.tsne.npy").len(), 2 * 150);
    assert_eq!(numbers(&desk, "why/embedding.features.npy").len(), 20 * 150);
    let table = fs::read_to_string(desk.file("why/embedding.csv")).unwrap();
    assert!(
        table.starts_with("sample,true,predicted,pca_1,pca_2,tsne_1,tsne_2\n")
            && table.lines().count() == 151
    );
    assert!(
        fs::read_to_string(desk.file("why/embedding.pca.svg"))
            .unwrap()
            .contains("of the variance")
    );
    let page = fs::read_to_string(desk.file("why/explanation.html")).unwrap();
    for text in [
        "Activation maps",
        "The strongest patches",
        "each position sees 3 × 3 pixels",
        "t-SNE",
        "of 9",
    ] {
        assert!(page.contains(text), "the page lacks `{text}`");
    }
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http") && !page.contains("NaN"));
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let desk = digits();
    let files = |threads: &str| {
        let folder = format!("why-{threads}");
        let args = [
            "explain",
            "runs/digits-1",
            "--method",
            "patches,embedding",
            "--samples",
            "220",
            "--threads",
            threads,
            "-o",
            &folder,
        ];
        desk.run(&args).done();
        let names = [
            "embedding.tsne.npy",
            "embedding.pca.npy",
            "embedding.csv",
            "patches.conv2d_1.npy",
            "explanation.html",
        ];
        names.map(|name| fs::read(desk.file(&format!("{folder}/{name}"))).unwrap())
    };
    let one = files("1");
    assert!(one == files("2") && one == files("3"));
}

#[test]
fn layers_and_units_can_be_chosen_and_must_exist() {
    let desk = digits();
    let ask =
        |more: &[&str]| desk.run(&[&["explain", "runs/digits-1", "--samples", "40"][..], more].concat());
    let told = ask(&[
        "--method", "patches", "--layer", "conv2d_1", "--units", "5,2", "--json", "-o", "why",
    ])
    .json();
    let units = told["network"]["patches"]["layers"][0]["units"]
        .as_array()
        .unwrap();
    assert_eq!(
        units
            .iter()
            .map(|u| u["unit"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [5, 2]
    );
    for method in ["patches", "activations"] {
        let told = ask(&["--method", method, "--layer", "conv2d_9"]);
        assert!(
            told.failed(1).contains("conv2d, max_pool2d, conv2d_1"),
            "{told:?}"
        );
        let told = ask(&["--method", method, "--layer", "conv2d", "--units", "6"]);
        assert!(
            told.failed(1).contains("0 to 5: layer conv2d has 6 units"),
            "{told:?}"
        );
    }
    assert!(
        ask(&["--method", "embedding", "--perplexity", "0"])
            .failed(1)
            .contains("perplexity")
    );
    assert!(
        ask(&["--method", "patchs"])
            .failed(2)
            .contains("did you mean patches?")
    );
    fs::copy(
        desk.file("runs/digits-1/best.safetensors"),
        desk.file("alone.safetensors"),
    )
    .unwrap();
    assert!(
        desk.run(&["explain", "alone.safetensors", "--method", "embedding"])
            .failed(2)
            .contains("INPUT")
    );
}

#[test]
fn few_samples_and_one_class_give_no_nan() {
    let desk = digits();
    for samples in ["2", "3", "5"] {
        let folder = format!("why-{samples}");
        let args = [
            "explain",
            "runs/digits-1",
            "--method",
            "patches,embedding",
            "--samples",
            samples,
            "--json",
            "-o",
            &folder,
        ];
        let told = desk.run(&args).json();
        let plane = &told["network"]["embedding"];
        assert_eq!(plane["tsne"].is_null(), samples != "5", "{plane}");
        let page = fs::read_to_string(desk.file(&format!("{folder}/explanation.html"))).unwrap();
        assert!(!page.contains("NaN") && (samples == "5" || page.contains("t-SNE is left out")));
    }
    let one = [
        "explain",
        "runs/digits-1",
        "--method",
        "embedding",
        "--samples",
        "1",
    ];
    assert!(desk.run(&one).failed(1).contains("2 at least"));
    // One picture over and over: its features are the same, and so is its class.
    fs::create_dir(desk.file("same")).unwrap();
    for k in 0..6 {
        image::GrayImage::from_pixel(8, 8, image::Luma([90]))
            .save(desk.file(&format!("same/{k}.png")))
            .unwrap();
    }
    let told = desk.run(&[
        "explain",
        "runs/digits-1",
        "same",
        "--method",
        "embedding",
        "-o",
        "why",
    ]);
    told.done();
    let page = fs::read_to_string(desk.file("why/explanation.html")).unwrap();
    for text in [
        "The features of all samples are the same",
        "All samples are of one class",
        "the true ones are not known",
    ] {
        assert!(page.contains(text), "the page lacks `{text}`");
    }
    assert!(!page.contains("NaN"));
}

#[test]
fn tables_have_a_plane_too() {
    let desk = Desk::new();
    let rows: String = (0..300)
        .map(|n| format!("{},{},{}\n", n % 17, n % 7, 5 * (n % 17) - 3 * (n % 7)))
        .collect();
    fs::write(desk.file("lines.csv"), format!("a,b,y\n{rows}")).unwrap();
    desk.run(&[
        "train",
        "lines.csv",
        "--target",
        "y",
        "--layers",
        "dense 16 tanh, dense 1",
        "--epochs",
        "20",
        "--no-report",
    ])
    .done();
    let told = desk
        .run(&[
            "explain",
            "runs/lines-1",
            "--method",
            "embedding",
            "--json",
            "-o",
            "why",
        ])
        .json();
    let plane = &told["network"]["embedding"];
    assert!(
        plane["neighbour_r2"]["features"].as_f64().unwrap() > 0.5,
        "{plane}"
    );
    assert!(
        fs::read_to_string(desk.file("why/embedding.tsne.svg"))
            .unwrap()
            .contains("colour scale")
    );
    let told = desk.run(&["explain", "runs/lines-1", "--method", "patches"]);
    assert!(told.failed(1).contains("pictures"), "{told:?}");
}
