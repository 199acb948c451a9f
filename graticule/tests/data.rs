//! `graticule data`, run as a person would run it.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::Desk;

/// Two classes of `count` plain pictures each, in `photos`.
fn picture_folder(desk: &Desk, count: u32) {
    desk.pictures("photos", ["dark", "light"], count, 6, |class, n, _, _| {
        let value = (200 * class + n) as u8;
        [value, value, n as u8]
    });
}

#[test]
fn the_list_names_source_and_licence_of_every_set() {
    let desk = Desk::new();
    let told = desk.run(&["data", "list"]);
    assert!(
        told.done().contains("digits") && told.stdout.contains("CC BY 4.0"),
        "{told:?}"
    );
    let sets = desk.run(&["data", "list", "--json"]).json();
    let sets = sets.as_array().unwrap();
    assert!(
        sets.iter()
            .any(|set| set["name"] == "mnist" && set["access"] == "download")
    );
    assert!(
        sets.iter()
            .all(|set| !set["licence"].as_str().unwrap().is_empty())
    );
}

#[test]
fn get_says_how_to_fetch_and_verify_and_opens_nothing() {
    let desk = Desk::new();
    let told = desk.run(&["data", "get", "mnist"]);
    assert!(
        told.done().contains("curl") && told.stdout.contains("sha256sum"),
        "{told:?}"
    );
    assert!(told.stdout.contains("does not download"));
    assert!(
        desk.run(&["data", "get", "digits"])
            .done()
            .contains("graticule train digits")
    );
    assert!(
        desk.run(&["data", "get", "imagenet"])
            .failed(1)
            .contains("digits")
    );
    assert_eq!(fs::read_dir(desk.path()).unwrap().count(), 0);
}

#[test]
fn a_made_table_is_written_once_and_reads_back() {
    let desk = Desk::new();
    let made = desk
        .run(&[
            "data",
            "make",
            "spiral",
            "--samples",
            "60",
            "--noise",
            "0.1",
            "--json",
        ])
        .json();
    assert_eq!(
        (&made["samples"], &made["output"]),
        (&60.into(), &"spiral.csv".into())
    );
    let text = fs::read_to_string(desk.file("spiral.csv")).unwrap();
    assert_eq!(
        (text.lines().next(), text.lines().count()),
        (Some("x,y,class"), 61)
    );
    assert!(
        desk.run(&["data", "make", "spiral"])
            .failed(1)
            .contains("--force")
    );
    assert_eq!(fs::read_to_string(desk.file("spiral.csv")).unwrap(), text);
    let seen = desk
        .run(&["data", "inspect", "spiral.csv", "--target", "class", "--json"])
        .json();
    assert_eq!(
        (&seen["samples"], seen["classes"].as_array().unwrap().len()),
        (&60.into(), 2)
    );
    desk.run(&["data", "make", "moons"]).failed(2);
    assert!(
        desk.run(&["data", "make", "xor", "--noise", "7"])
            .failed(1)
            .contains("noise")
    );
    assert!(!desk.file("xor.csv").exists());
}

#[test]
fn a_split_list_gives_every_sample_one_role_and_can_be_used_again() {
    let desk = Desk::new();
    picture_folder(&desk, 10);
    let args = [
        "data",
        "split",
        "photos",
        "--val",
        "0.2",
        "--test",
        "0.3",
        "-o",
        "roles.csv",
        "--json",
    ];
    let counts = desk.run(&args).json();
    assert_eq!(
        (&counts["train"], &counts["validation"], &counts["test"]),
        (&10.into(), &4.into(), &6.into())
    );
    let list = fs::read_to_string(desk.file("roles.csv")).unwrap();
    assert_eq!(list.lines().count(), 21);
    assert!(desk.run(&args).failed(1).contains("--force"));
    let seen = desk
        .run(&["data", "inspect", "photos", "--splits", "roles.csv", "--json"])
        .json();
    assert_eq!(seen["roles"][2], serde_json::json!(["test", 6]));
    assert!(
        desk.run(&["data", "split", "photos", "--val", "0.6", "--test", "0.6"])
            .failed(2)
            .contains("--val")
    );
}

#[test]
fn inspect_finds_leaks_constant_columns_and_missing_cells() {
    let desk = Desk::new();
    picture_folder(&desk, 10);
    let photo = |class: &str, name: &str| desk.file("photos").join(class).join(name);
    fs::copy(photo("dark", "1.png"), photo("light", "copy.png")).unwrap();
    let told = desk.run(&["data", "inspect", "photos"]);
    assert!(told.done().contains("with different targets"), "{told:?}");
    let table =
        "size,colour,empty,price\n1,red,,10\n2,red,,20\n3,red,,30\n4,red,1,40\n5,red,,50\n6,red,,60\n";
    fs::write(desk.file("houses.csv"), table).unwrap();
    let told = desk.run(&[
        "data",
        "inspect",
        "houses.csv",
        "--target",
        "price",
        "--task",
        "regression",
    ]);
    assert!(
        told.done().contains("`colour` is constant") && told.stdout.contains("regression of price"),
        "{told:?}"
    );
}

#[test]
fn what_cannot_be_read_gets_one_clear_message() {
    let desk = Desk::new();
    fs::create_dir(desk.file("empty")).unwrap();
    for source in ["empty", "nowhere"] {
        let told = desk.run(&["data", "inspect", source]);
        assert!(told.failed(1).contains(source), "{told:?}");
    }
    assert!(
        desk.run(&["data", "split", "nowhere"])
            .failed(1)
            .contains("nowhere")
    );
    assert!(!desk.file("splits.csv").exists());
}
