use super::*;
use crate::{OpenOptions, open};

/// Everything an epoch gives, as bits.
fn bits(loader: &Loader, epoch: u64, from: usize) -> Vec<(Vec<u32>, Vec<u32>, Vec<usize>)> {
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect();
    let batch = |batch: Result<Batch, DataError>| {
        let batch = batch.unwrap();
        assert_eq!(batch.size, batch.indices.len());
        (bits(&batch.inputs), bits(&batch.targets), batch.indices.clone())
    };
    loader.epoch(epoch).from_batch(from).map(batch).collect()
}

fn loader(source: &str, options: LoaderOptions) -> Loader {
    let data = open(source, &OpenOptions::default()).unwrap();
    let preprocess = Preprocess::fit(&data).unwrap();
    Loader::new(&data, &data.splits.train, &preprocess, options).unwrap()
}

fn shuffled(threads: usize) -> LoaderOptions {
    LoaderOptions {
        batch: 37,
        shuffle: true,
        seed: 9,
        threads,
        ..LoaderOptions::default()
    }
}

#[test]
fn order_and_bits_do_not_depend_on_the_number_of_threads() {
    for source in ["digits", "spiral"] {
        let expected = bits(&loader(source, shuffled(0)), 3, 0);
        for threads in [1, 2, 3, 8] {
            assert_eq!(
                bits(&loader(source, shuffled(threads)), 3, 0),
                expected,
                "{source}, {threads} threads"
            );
        }
    }
}

#[test]
fn a_resumed_epoch_goes_on_with_the_same_batches() {
    for threads in [0, 2] {
        let loader = loader("digits", shuffled(threads));
        let whole = bits(&loader, 5, 0);
        for from in [1, 7, whole.len() - 1, whole.len(), whole.len() + 5] {
            assert_eq!(bits(&loader, 5, from), whole[from.min(whole.len())..]);
        }
    }
}

#[test]
fn an_epoch_shows_every_sample_once_and_ends_with_a_short_batch() {
    let loader = loader("digits", shuffled(2));
    let batches = bits(&loader, 0, 0);
    assert_eq!(batches.len(), loader.batches());
    let sizes: Vec<usize> = batches.iter().map(|b| b.2.len()).collect();
    assert!(sizes[..sizes.len() - 1].iter().all(|&s| s == 37));
    assert_eq!(sizes.last(), Some(&(loader.len() % 37)));
    let mut seen: Vec<usize> = batches.into_iter().flat_map(|b| b.2).collect();
    assert_eq!(seen, loader.order(0));
    assert_ne!(seen, loader.order(1));
    seen.sort_unstable();
    let data = open("digits", &OpenOptions::default()).unwrap();
    assert_eq!(seen, data.splits.train);
    let dropped = LoaderOptions {
        drop_last: true,
        ..shuffled(0)
    };
    assert!(
        self::loader("digits", dropped)
            .epoch(0)
            .all(|b| b.unwrap().size == 37)
    );
}

#[test]
fn s9_soft_targets_are_one_hot() {
    let soft = loader(
        "digits",
        LoaderOptions {
            soft_targets: true,
            ..LoaderOptions::default()
        },
    );
    let hard = loader("digits", LoaderOptions::default());
    assert_eq!(
        (soft.target_width(), soft.target_kind()),
        (10, TargetKind::ClassProbabilities)
    );
    assert_eq!(
        (hard.target_width(), hard.target_kind()),
        (1, TargetKind::ClassIndex)
    );
    for (soft, hard) in soft.epoch(0).zip(hard.epoch(0)) {
        let (soft, hard) = (soft.unwrap(), hard.unwrap());
        for (row, &class) in soft.targets.chunks_exact(10).zip(&hard.targets) {
            assert_eq!(row.iter().sum::<f32>(), 1.0);
            assert_eq!(row[class as usize], 1.0);
        }
    }
}

#[test]
fn s14_training_inputs_have_mean_zero_and_deviation_one() {
    for source in ["digits", "gauss"] {
        let loader = loader(source, LoaderOptions::default());
        let mut moments = crate::statistics::Moments::default();
        for batch in loader.epoch(0) {
            batch
                .unwrap()
                .inputs
                .iter()
                .for_each(|&v| moments.add(v.into(), 1.0));
        }
        assert!(
            moments.mean().abs() < 1e-4 && (moments.std() - 1.0).abs() < 1e-3,
            "{source} {moments:?}"
        );
    }
}

#[test]
fn dropped_batches_give_their_buffers_back() {
    let loader = loader("digits", LoaderOptions::default());
    let mut addresses = std::collections::HashSet::new();
    for epoch in 0..3 {
        for batch in loader.epoch(epoch) {
            addresses.insert(batch.unwrap().inputs.as_ptr() as usize);
        }
    }
    assert_eq!(addresses.len(), 1);
}

#[test]
fn a_loader_dropped_in_the_middle_ends_its_threads() {
    let loader = loader("digits", shuffled(2));
    let mut epoch = loader.epoch(0);
    epoch.next().unwrap().unwrap();
    drop(epoch);
}

#[test]
fn senseless_options_and_foreign_samples_are_refused() {
    let data = open("digits", &OpenOptions::default()).unwrap();
    let preprocess = Preprocess::fit(&data).unwrap();
    let none = LoaderOptions {
        batch: 0,
        ..LoaderOptions::default()
    };
    assert_eq!(
        Loader::new(&data, &[0], &preprocess, none).err().unwrap().kind,
        ErrorKind::Option
    );
    let foreign = Loader::new(&data, &[5000], &preprocess, LoaderOptions::default());
    assert_eq!(foreign.err().unwrap().kind, ErrorKind::Split);
    let xor = open("xor", &OpenOptions::default()).unwrap();
    assert!(Loader::new(&xor, &[0], &preprocess, LoaderOptions::default()).is_err());
}

#[test]
fn r4_augmented_bits_do_not_depend_on_the_number_of_threads() {
    let augment = Augment {
        flip_horizontal: true,
        rotation: 10.0,
        crop_padding: 1,
        brightness: 0.2,
        noise: 0.1,
        cutout: 0.3,
        mixup: 0.2,
        ..Augment::default()
    };
    let augmented = |threads| LoaderOptions {
        augment: Some(augment.clone()),
        ..shuffled(threads)
    };
    let one = loader("digits", augmented(0));
    assert_eq!(
        (one.target_kind(), one.target_width()),
        (TargetKind::ClassProbabilities, 10)
    );
    let expected = bits(&one, 2, 0);
    assert_ne!(expected, bits(&one, 3, 0));
    for threads in [1, 2, 5] {
        assert_eq!(bits(&loader("digits", augmented(threads)), 2, 0), expected);
    }
    assert_eq!(bits(&one, 2, 4), expected[4..]);
}

#[test]
fn rows_that_are_given_take_the_place_of_inputs() {
    let data = open("digits", &OpenOptions::default()).unwrap();
    let preprocess = Preprocess::fit(&data).unwrap();
    let indices = &data.splits.train[..50];
    let rows: Vec<f32> = indices.iter().flat_map(|&i| [i as f32, 0.5]).collect();
    let of_rows = |options, rows| Loader::of_rows(&data, indices, &preprocess, options, rows);
    let loader = of_rows(shuffled(2), rows.clone()).unwrap();
    assert_eq!(loader.input_len(), 2);
    let plain = Loader::new(&data, indices, &preprocess, shuffled(0)).unwrap();
    for (batch, other) in loader.epoch(3).zip(plain.epoch(3)) {
        let (batch, other) = (batch.unwrap(), other.unwrap());
        assert_eq!((&batch.indices, &batch.targets), (&other.indices, &other.targets));
        let expected: Vec<f32> = batch.indices.iter().flat_map(|&i| [i as f32, 0.5]).collect();
        assert_eq!(batch.inputs, expected);
    }
    assert!(of_rows(shuffled(0), rows[1..].to_vec()).is_err());
    let augment = Some(Augment {
        noise: 0.1,
        ..Augment::default()
    });
    let options = LoaderOptions {
        augment,
        ..LoaderOptions::default()
    };
    assert!(of_rows(options, rows).is_err());
}
