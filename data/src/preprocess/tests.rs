use super::*;
use crate::{Cell, OpenOptions, open};

fn numeric(indicator: bool, clip: Option<f64>) -> ColumnEncoding {
    ColumnEncoding::Numeric {
        name: "rooms".into(),
        median: 4.0,
        centre: 5.0,
        scale: 2.0,
        clip,
        indicator,
    }
}

fn table(columns: Vec<ColumnEncoding>) -> Preprocess {
    Preprocess {
        task: Task::Regression {
            targets: vec!["price".into()],
        },
        input: InputEncoding::Table(TableEncoding { columns }),
        target: TargetEncoding {
            mean: vec![100.0],
            std: vec![50.0],
        },
    }
}

#[test]
fn s3_missing_cells_take_the_median_and_say_so() {
    let preprocess = table(vec![numeric(true, None)]);
    assert_eq!(preprocess.feature_names(), ["rooms", "rooms missing"]);
    assert_eq!(
        preprocess.encode(&Raw::Row(vec![Cell::Missing])).unwrap(),
        [-0.5, 1.0]
    );
    assert_eq!(
        preprocess.encode(&Raw::Row(vec![Cell::Number(9.0)])).unwrap(),
        [2.0, 0.0]
    );
}

#[test]
fn robust_scaling_clips() {
    let preprocess = table(vec![numeric(false, Some(8.0))]);
    assert_eq!(
        preprocess.encode(&Raw::Row(vec![Cell::Number(1e12)])).unwrap(),
        [8.0]
    );
}

#[test]
fn far_values_stay_finite() {
    let preprocess = table(vec![numeric(false, None)]);
    for (far, expected) in [(1e308, f32::MAX), (-1e308, f32::MIN)] {
        let encoded = preprocess.encode(&Raw::Row(vec![Cell::Number(far)]));
        assert_eq!(encoded.unwrap(), [expected]);
    }
}

#[test]
fn s2_s9_categories_are_one_hot_with_other_and_missing() {
    let levels = vec!["flat".to_owned(), "house".to_owned()];
    let column = ColumnEncoding::Categorical {
        name: "kind".into(),
        levels,
        other: true,
        missing: true,
    };
    let preprocess = table(vec![column]);
    assert_eq!(
        preprocess.feature_names(),
        ["kind = flat", "kind = house", "kind = other", "kind = missing"]
    );
    let encode = |cell| preprocess.encode(&Raw::Row(vec![cell])).unwrap();
    assert_eq!(encode(Cell::Text("house".into())), [0.0, 1.0, 0.0, 0.0]);
    assert_eq!(encode(Cell::Text("boat".into())), [0.0, 0.0, 1.0, 0.0]);
    assert_eq!(encode(Cell::Missing), [0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn regression_targets_go_there_and_back() {
    let preprocess = table(vec![numeric(false, None)]);
    let mut out = [0.0];
    preprocess
        .encode_target(&Target::Values(vec![200.0]), &mut out)
        .unwrap();
    assert_eq!(out, [2.0]);
    assert_eq!(preprocess.decode_target(&[2.0, -1.0]), [200.0, 50.0]);
    assert!(preprocess.encode_target(&Target::Class(0), &mut out).is_err());
}

#[test]
fn wrong_inputs_are_named() {
    let preprocess = table(vec![numeric(false, None)]);
    let text = preprocess
        .encode(&Raw::Row(vec![Cell::Text("many".into())]))
        .unwrap_err()
        .to_string();
    assert!(text.contains("rooms") && text.contains("many"), "{text}");
    assert!(preprocess.encode(&Raw::Row(vec![])).is_err());
    let image = Raw::Image(ndarray::Array3::zeros((1, 1, 1)));
    assert!(
        preprocess
            .encode(&image)
            .unwrap_err()
            .to_string()
            .contains("table row")
    );
}

#[test]
fn s14_it_is_fitted_on_train_only_and_survives_storage() {
    let data = open("digits", &OpenOptions::default()).unwrap();
    let preprocess = Preprocess::fit(&data).unwrap();
    let mut splits = data.splits.clone();
    splits.test.clear();
    splits.validation.clear();
    assert_eq!(
        preprocess,
        Preprocess::fit(&data.clone().with_splits(splits)).unwrap()
    );
    let stored = serde_json::to_string(&preprocess).unwrap();
    assert_eq!(serde_json::from_str::<Preprocess>(&stored).unwrap(), preprocess);
}

#[test]
fn s15_s16_images_normalise_by_channel_and_come_back() {
    let encoding = ImageEncoding {
        height: 1,
        width: 1,
        channels: 3,
        pixel_max: 255,
        mean: vec![0.0, 0.5, 1.0],
        std: vec![1.0, 0.5, 0.25],
        resize: false,
    };
    let image = ndarray::Array3::from_shape_vec((1, 1, 3), vec![255, 255, 255]).unwrap();
    let mut out = [0.0; 3];
    encoding.encode(&image, &mut out).unwrap();
    assert_eq!(out, [1.0, 1.0, 0.0]);
    assert_eq!(encoding.decode(&out), [255, 255, 255]);
}

#[test]
fn an_image_file_must_fit_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scene.png");
    let bytes = crate::images::decode::tests::encoded(8, 8, ::image::ImageFormat::Png);
    std::fs::write(&path, bytes).unwrap();
    let digits = open("digits", &OpenOptions::default()).unwrap();
    let preprocess = Preprocess::fit(&digits).unwrap();
    let error = preprocess.raw_from_image_file(&path).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Channels, "{error}");
    let grey = ::image::open(&path).unwrap().to_luma8();
    grey.save(&path).unwrap();
    let Raw::Image(read) = preprocess.raw_from_image_file(&path).unwrap() else {
        panic!("an image")
    };
    assert!(read.iter().all(|&p| p <= 16));
    ::image::imageops::resize(&grey, 9, 8, ::image::imageops::FilterType::Nearest)
        .save(&path)
        .unwrap();
    assert_eq!(
        preprocess.raw_from_image_file(&path).unwrap_err().kind,
        ErrorKind::ImageSize
    );
}
