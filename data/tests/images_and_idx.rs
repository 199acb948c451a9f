//! Image folders, zips and IDX files, whole and damaged, through the front door.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use graticule_data::{
    DataError, Dataset, ErrorKind, InputLayout, Loader, LoaderOptions, OpenOptions, Preprocess, Raw, open,
};
use image::{ImageFormat, RgbImage};
use std::io::{Cursor, Write};
use std::path::Path;

fn picture(shade: u8, height: u32, width: u32, format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([shade, (x * 5) as u8, (y * 5) as u8])
    });
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Two classes of ten images of 8 x 8 pixels each.
fn small_set() -> Vec<(String, Vec<u8>)> {
    let one = |i: u32| {
        let class = ["Forest", "River"][(i % 2) as usize];
        (
            format!("{class}/{class}_{i}.png"),
            picture(i as u8 * 10, 8, 8, ImageFormat::Png),
        )
    };
    (0..20).map(one).collect()
}

fn write_all(folder: &Path, files: &[(String, Vec<u8>)]) {
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn zipped(path: &Path, files: &[(String, Vec<u8>)], method: zip::CompressionMethod) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in files {
        zip.start_file(name.as_str(), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

fn open_files(files: &[(String, Vec<u8>)], options: &OpenOptions) -> Result<Dataset, DataError> {
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path(), files);
    let data = open(folder.path().to_str().unwrap(), options)?;
    // Read everything while the folder exists.
    for index in 0..data.len() {
        data.source.raw(index)?;
    }
    Ok(data)
}

#[test]
fn a_folder_and_its_zips_hold_the_same_images() {
    let folder = tempfile::tempdir().unwrap();
    let files = small_set();
    write_all(&folder.path().join("set"), &files);
    let options = OpenOptions::default();
    let from_folder = open(folder.path().join("set").to_str().unwrap(), &options).unwrap();
    assert_eq!(from_folder.task.classes().unwrap(), ["Forest", "River"]);
    assert_eq!(
        from_folder.layout(),
        InputLayout::Image {
            height: 8,
            width: 8,
            channels: 3
        }
    );
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
        let path = folder.path().join("set.zip");
        zipped(&path, &files, method);
        let from_zip = open(path.to_str().unwrap(), &options).unwrap();
        assert_eq!(from_zip.splits, from_folder.splits);
        for index in 0..20 {
            assert_eq!(
                from_zip.source.raw(index).unwrap(),
                from_folder.source.raw(index).unwrap()
            );
            assert_eq!(from_zip.source.name_of(index), from_folder.source.name_of(index));
        }
    }
}

#[test]
fn threads_and_cache_do_not_change_the_bits() {
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path(), &small_set());
    let run = |threads, cache_bytes| {
        let options = OpenOptions {
            cache_bytes,
            ..OpenOptions::default()
        };
        let data = open(folder.path().to_str().unwrap(), &options).unwrap();
        let preprocess = Preprocess::fit(&data).unwrap();
        let options = LoaderOptions {
            batch: 3,
            shuffle: true,
            threads,
            ..LoaderOptions::default()
        };
        let loader = Loader::new(&data, &data.splits.train, &preprocess, options).unwrap();
        let bits = |b: Result<graticule_data::Batch, DataError>| {
            b.unwrap().inputs.iter().map(|v| v.to_bits()).collect()
        };
        loader.epoch(1).map(bits).collect::<Vec<Vec<u32>>>()
    };
    let expected = run(0, 1 << 20);
    for (threads, cache) in [(1, 0), (2, 500), (4, 1 << 20)] {
        assert_eq!(run(threads, cache), expected);
    }
}

#[test]
fn s6_a_list_gives_the_roles() {
    let folder = tempfile::tempdir().unwrap();
    write_all(&folder.path().join("set"), &small_set());
    let list = folder.path().join("splits.csv");
    let set = folder.path().join("set");
    let write = |text: &str| std::fs::write(&list, text).unwrap();
    let open_listed = || {
        open(
            set.to_str().unwrap(),
            &OpenOptions {
                splits: Some(list.clone()),
                ..OpenOptions::default()
            },
        )
    };
    write(
        "file,class,split\n2750/Forest/Forest_0.png,Forest,train\nRiver_1.png,River,val\nRiver/River_3.png,River,test\n",
    );
    let data = open_listed().unwrap();
    assert_eq!(
        (
            &data.splits.train[..],
            &data.splits.validation[..],
            &data.splits.test[..]
        ),
        (&[0][..], &[10][..], &[16][..])
    );
    assert!(data.notes[0].contains("17 samples"));
    graticule_data::splits::list::write(&list, &data).unwrap();
    assert_eq!(open_listed().unwrap().splits, data.splits);
    write("file,split\nRiver_1.png,train\nRiver_1.png,test\n");
    assert_eq!(open_listed().unwrap_err().kind, ErrorKind::Split);
    write("file,split\nSea_1.png,train\n");
    assert!(open_listed().unwrap_err().to_string().contains("line 2"));
    write("file,split\nRiver_1.png,tain\n");
    assert!(open_listed().unwrap_err().to_string().contains("`tain`"));
    write("a,b\n1,2\n");
    assert_eq!(open_listed().unwrap_err().kind, ErrorKind::MissingColumn);
}

#[test]
fn an_unreadable_image_is_named_or_skipped() {
    let mut files = small_set();
    let jpeg = picture(9, 8, 8, ImageFormat::Jpeg);
    files.push(("River/cut.jpg".into(), jpeg[..jpeg.len() - 2].to_vec()));
    files.push(("River/text.png".into(), b"no image at all".to_vec()));
    let error = open_files(&files, &OpenOptions::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreadable);
    assert!(
        error.to_string().contains("River/text.png") && error.to_string().contains("--skip-bad"),
        "{error}"
    );
    files.pop();
    let error = open_files(&files, &OpenOptions::default()).unwrap_err();
    assert!(error.to_string().contains("River/cut.jpg"), "{error}");
    files.push(("River/text.png".into(), b"no image at all".to_vec()));
    let data = open_files(
        &files,
        &OpenOptions {
            skip_bad: true,
            ..OpenOptions::default()
        },
    )
    .unwrap();
    assert_eq!(data.len(), 20);
    assert!(
        data.notes[0].contains("cut.jpg") && data.notes[0].contains("text.png"),
        "{:?}",
        data.notes
    );
}

#[test]
fn a_loader_names_the_file_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path(), &small_set());
    let options = OpenOptions {
        cache_bytes: 0,
        ..OpenOptions::default()
    };
    let data = open(folder.path().to_str().unwrap(), &options).unwrap();
    let preprocess = Preprocess::fit(&data).unwrap();
    let broken = data.splits.train[5];
    std::fs::write(folder.path().join(data.source.name_of(broken)), b"gone").unwrap();
    for threads in [0, 2] {
        let options = LoaderOptions {
            batch: 2,
            threads,
            ..LoaderOptions::default()
        };
        let loader = Loader::new(&data, &data.splits.train, &preprocess, options).unwrap();
        let made: Vec<_> = loader.epoch(0).collect();
        assert_eq!(made.len(), 3, "two whole batches, then the error, then the end");
        let message = made[2].as_ref().unwrap_err().to_string();
        assert!(message.contains(&data.source.name_of(broken)), "{message}");
    }
}

#[test]
fn sizes_that_differ_are_an_error_unless_a_size_is_given() {
    let mut files = small_set();
    files.push(("River/wide.png".into(), picture(1, 8, 12, ImageFormat::Png)));
    let error = open_files(&files, &OpenOptions::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::ImageSize);
    assert!(
        error.to_string().contains("wide.png") && error.to_string().contains("8 x 12"),
        "{error}"
    );
    let data = open_files(
        &files,
        &OpenOptions {
            image_size: Some((6, 6)),
            ..OpenOptions::default()
        },
    )
    .unwrap();
    assert_eq!(
        data.layout(),
        InputLayout::Image {
            height: 6,
            width: 6,
            channels: 3
        }
    );
}

#[test]
fn empty_folders_and_single_classes_are_errors() {
    assert_eq!(
        open_files(&[], &OpenOptions::default()).unwrap_err().kind,
        ErrorKind::Empty
    );
    let one: Vec<_> = small_set()
        .into_iter()
        .filter(|f| f.0.starts_with("River"))
        .collect();
    assert_eq!(
        open_files(&one, &OpenOptions::default()).unwrap_err().kind,
        ErrorKind::OneClass
    );
    assert_eq!(
        open("no/such/folder", &OpenOptions::default()).unwrap_err().kind,
        ErrorKind::NotFound
    );
}

#[test]
fn role_folders_are_kept_and_validation_comes_from_train() {
    let files: Vec<_> = small_set()
        .into_iter()
        .enumerate()
        .map(|(i, (name, bytes))| (format!("{}/{name}", if i < 14 { "train" } else { "test" }), bytes))
        .collect();
    let data = open_files(&files, &OpenOptions::default()).unwrap();
    data.splits.check(20).unwrap();
    assert_eq!(data.splits.test.len(), 6);
    assert!(
        data.splits
            .test
            .iter()
            .all(|&i| data.source.name_of(i).starts_with("test/"))
    );
    assert_eq!(data.splits.train.len() + data.splits.validation.len(), 14);
    assert!(!data.splits.validation.is_empty());
}

#[test]
fn zips_that_lie_or_climb_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.zip");
    let mut files = small_set();
    files.push(("../escape/1.png".into(), picture(1, 8, 8, ImageFormat::Png)));
    zipped(&path, &files, zip::CompressionMethod::Stored);
    let error = open(path.to_str().unwrap(), &OpenOptions::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::UnsafeArchive);
    assert!(error.to_string().contains("../escape/1.png"), "{error}");
    // 300 MB of zeros in a few hundred kilobytes.
    let mut files = small_set();
    files.push(("River/bomb.png".into(), vec![0; 300 << 20]));
    zipped(&path, &files, zip::CompressionMethod::Deflated);
    let error = open(path.to_str().unwrap(), &OpenOptions::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(error.to_string().contains("bomb.png"), "{error}");
    std::fs::write(&path, b"PK no zip").unwrap();
    assert_eq!(
        open(path.to_str().unwrap(), &OpenOptions::default())
            .unwrap_err()
            .kind,
        ErrorKind::Unreadable
    );
}

/// IDX bytes of unsigned bytes with these sizes.
fn idx(sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    sizes.iter().for_each(|s| bytes.extend(s.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn idx_folder(train_labels: &[u8], test_labels: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (part, labels) in [("train", train_labels), ("t10k", test_labels)] {
        let n = labels.len() as u32;
        let pixels: Vec<u8> = (0..n * 6).map(|p| p as u8).collect();
        std::fs::write(
            folder.path().join(format!("{part}-images-idx3-ubyte")),
            idx(&[n, 2, 3], &pixels),
        )
        .unwrap();
        std::fs::write(
            folder.path().join(format!("{part}-labels-idx1-ubyte")),
            idx(&[n], labels),
        )
        .unwrap();
    }
    folder
}

fn open_idx(folder: &tempfile::TempDir) -> Result<Dataset, DataError> {
    open(folder.path().to_str().unwrap(), &OpenOptions::default())
}

#[test]
fn idx_keeps_the_official_test_part() {
    let train: Vec<u8> = (0..40).map(|i| i % 4).collect();
    let data = open_idx(&idx_folder(&train, &[0, 1, 2, 3])).unwrap();
    assert_eq!(data.splits.test, [40, 41, 42, 43]);
    assert_eq!(data.splits.train.len() + data.splits.validation.len(), 40);
    let Raw::Image(image) = data.source.raw(41).unwrap() else {
        panic!("an image")
    };
    assert_eq!(image.as_slice().unwrap(), [6, 7, 8, 9, 10, 11]);
    assert_eq!(data.task.outputs(), 4);
}

#[test]
fn damaged_idx_files_are_told() {
    let train: Vec<u8> = (0..40).map(|i| i % 4).collect();
    let folder = idx_folder(&train, &[0, 1, 2, 3]);
    let images = folder.path().join("train-images-idx3-ubyte");
    let whole = std::fs::read(&images).unwrap();
    for (bytes, expected) in [
        (whole[..whole.len() - 1].to_vec(), "truncated"),
        (whole[..6].to_vec(), "ends too early"),
        ([&whole[..], &[0]].concat(), "more data"),
        ([&[0, 0, 9, 3][..], &whole[4..]].concat(), "magic"),
        (idx(&[u32::MAX, u32::MAX, u32::MAX], &[0]), "header that speaks"),
        (idx(&[39, 2, 3], &[0; 39 * 6]), "39 images"),
    ] {
        std::fs::write(&images, bytes).unwrap();
        let error = open_idx(&folder).unwrap_err();
        assert!(
            error.kind == ErrorKind::Unreadable && error.to_string().contains(expected),
            "{error}"
        );
        assert!(error.to_string().contains("train-images-idx3-ubyte"), "{error}");
    }
    std::fs::remove_file(&images).unwrap();
    assert_eq!(open_idx(&folder).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn idx_labels_out_of_range_are_told() {
    let mut train: Vec<u8> = (0..40).map(|i| i % 4).collect();
    train[17] = 200;
    let error = open_idx(&idx_folder(&train, &[0])).unwrap_err();
    assert_eq!(error.kind, ErrorKind::LabelRange);
    assert!(
        error.to_string().contains("label 17") && error.to_string().contains("200"),
        "{error}"
    );
    train[17] = 1;
    let error = open_idx(&idx_folder(&train, &[0, 7])).unwrap_err();
    assert!(
        error.to_string().contains("t10k-labels") && error.to_string().contains("label 1)")
            || error.to_string().contains("label 1:"),
        "{error}"
    );
    assert_eq!(
        open_idx(&idx_folder(&[0; 40], &[0])).unwrap_err().kind,
        ErrorKind::OneClass
    );
}
