//! The real data sets, where they are at hand; each test says so when they are not.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use graticule_data::{Dataset, InputLayout, OpenOptions, Preprocess, Role, TaskKind, open};
use std::path::PathBuf;

/// The data set, or `None` with a message where it is absent.
fn real(name: &str, change: impl Fn(&mut OpenOptions, &dyn Fn(&str) -> PathBuf)) -> Option<Dataset> {
    let root = std::env::var_os("GRATICULE_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let path = root.join(name);
    if !path.exists() {
        eprintln!("skipped: {} is absent (set GRATICULE_DATA)", path.display());
        return None;
    }
    let mut options = OpenOptions::default();
    change(&mut options, &|name| root.join(name));
    Some(open(path.to_str().unwrap(), &options).unwrap())
}

fn sizes(data: &Dataset) -> [usize; 3] {
    data.splits.check(data.len()).unwrap();
    Role::ALL.map(|role| data.splits.of(role).len())
}

#[test]
fn mnist_has_its_official_split_and_the_known_mean() {
    let Some(data) = real("mnist", |_, _| {}) else {
        return;
    };
    assert_eq!(sizes(&data), [55_000, 5_000, 10_000]);
    let preprocess = Preprocess::fit(&data).unwrap();
    let graticule_data::InputEncoding::Image(encoding) = &preprocess.input else {
        panic!("images")
    };
    // 0.1307 and 0.3081 are the figures in every tutorial, over all 60,000.
    assert!(
        (encoding.mean[0] - 0.1307).abs() < 3e-4 && (encoding.std[0] - 0.3081).abs() < 3e-4,
        "{encoding:?}"
    );
}

#[test]
fn eurosat_is_read_from_its_zip_by_its_list() {
    let list =
        |o: &mut OpenOptions, at: &dyn Fn(&str) -> PathBuf| o.splits = Some(at("eurosat-rgb/splits.csv"));
    let Some(data) = real("eurosat-rgb/eurosat-rgb-8000.zip", list) else {
        return;
    };
    assert_eq!(sizes(&data), [6_000, 1_000, 1_000]);
    assert_eq!(
        data.layout(),
        InputLayout::Image {
            height: 64,
            width: 64,
            channels: 3
        }
    );
    assert_eq!(data.task.outputs(), 10);
    let labels = data.labels().unwrap().unwrap();
    assert!((0..10).all(|c| data.splits.test.iter().filter(|&&i| labels[i] == c).count() == 100));
}

#[test]
fn s3_california_has_missing_rooms_and_a_category() {
    let target =
        |o: &mut OpenOptions, _: &dyn Fn(&str) -> PathBuf| o.target = Some("median_house_value".into());
    let Some(data) = real("california-housing/housing.csv", target) else {
        return;
    };
    assert_eq!(data.len(), 20_640);
    let preprocess = Preprocess::fit(&data).unwrap();
    let names = preprocess.feature_names();
    assert!(names.contains(&"total_bedrooms missing".to_owned()), "{names:?}");
    assert!(
        names.contains(&"ocean_proximity = INLAND".to_owned()),
        "{names:?}"
    );
    assert!(!names.contains(&"households missing".to_owned()), "{names:?}");
}

#[test]
fn the_other_tables_open() {
    let london = |o: &mut OpenOptions, _: &dyn Fn(&str) -> PathBuf| o.target = Some("PURCHASE".into());
    if let Some(data) = real("london-house-prices/londonhp.csv", london) {
        assert_eq!(data.len(), 316);
    }
    let decile = |o: &mut OpenOptions, _: &dyn Fn(&str) -> PathBuf| {
        o.target = Some("IMD_decile".into());
        o.task = Some(TaskKind::Classification);
        o.exclude = vec!["IMD_rank".into()];
    };
    if let Some(data) = real("imd2019/imd2019_england_lsoa.csv.gz", decile) {
        assert_eq!((data.len(), data.task.outputs()), (32_844, 10));
        assert!(
            data.notes.iter().any(|n| n.contains("lsoa11_code")),
            "{:?}",
            data.notes
        );
    }
    let nitrogen = |o: &mut OpenOptions, _: &dyn Fn(&str) -> PathBuf| o.target = Some("bcmean".into());
    if let Some(data) = real("stream-nitrogen/US_TN_season_1_proc.csv", nitrogen) {
        assert_eq!(data.len(), 1_118);
    }
}
