//! Arbitrary and damaged bytes end in data or in an error with a message, never in a panic.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use graticule_data::{OpenOptions, Preprocess, TaskKind, images::decode, open};
use image::{ImageFormat, RgbImage};
use proptest::prelude::*;
use std::io::Cursor;

fn opened(name: &str, bytes: &[u8], options: &OpenOptions) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    match open(path.to_str().unwrap(), options) {
        Ok(data) => {
            data.splits.check(data.len()).unwrap();
            let preprocess = Preprocess::fit(&data).unwrap();
            for index in 0..data.len() {
                let input = preprocess.encode(&data.source.raw(index).unwrap()).unwrap();
                assert!(input.iter().all(|v| v.is_finite()), "{input:?}");
            }
        }
        Err(error) => assert!(!error.remedy.is_empty() && !error.place.is_empty(), "{error}"),
    }
}

fn options(task: Option<TaskKind>) -> OpenOptions {
    OpenOptions {
        target: Some("t".into()),
        task,
        ..OpenOptions::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tables_of_any_text(body in "(a|b|[0-9,;\"\n. -]|NA|e9|1e308|-1e308|\r\n|,1\n,2\n){0,80}", classify: bool) {
        let task = classify.then_some(TaskKind::Classification);
        opened("t.csv", format!("x,t\n{body}").as_bytes(), &options(task));
    }

    #[test]
    fn tables_of_any_bytes(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        opened("t.csv", &body, &options(None));
        opened("t.zip", &body, &options(None));
    }

    #[test]
    fn images_with_any_damage(at in 0usize..4000, byte: u8, cut in 0usize..4000) {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Tiff] {
            let mut bytes = Cursor::new(Vec::new());
            RgbImage::from_fn(16, 16, |x, y| image::Rgb([x as u8, y as u8, 7])).write_to(&mut bytes, format).unwrap();
            let mut bytes = bytes.into_inner();
            let length = bytes.len();
            bytes[at % length] = byte;
            let _ = decode::decode(&bytes, "damaged", 3, None);
            bytes.truncate(cut % length);
            let _ = decode::decode(&bytes, "damaged", 1, Some((4, 4)));
        }
    }
}
