use super::*;
use ndarray::Array2;

const KEY: SampleKey = SampleKey {
    seed: 3,
    epoch: 5,
    sample: 7,
};

fn encoding(height: usize, width: usize, channels: usize) -> ImageEncoding {
    let (mean, std) = (vec![0.0; channels], vec![1.0 / 255.0; channels]);
    ImageEncoding {
        height,
        width,
        channels,
        pixel_max: 255,
        mean,
        std,
        resize: false,
    }
}

/// Moves an image whose encoded values are its bytes.
fn moved(geometry: &Geometry, pixels: &[u8], (h, w, c): (usize, usize, usize), border: Border) -> Vec<f32> {
    let mut out = vec![f32::NAN; pixels.len()];
    geometry.encode(pixels, c, &encoding(h, w, c).table(), border, &mut out);
    out.iter().map(|v| (v * 1e3).round() / 1e3).collect()
}

#[test]
fn s18_flips_and_turns_take_pixels_to_pixels() {
    let image = [1, 2, 3, 4];
    let after = |change: &dyn Fn(&mut Geometry)| {
        let mut geometry = Geometry::identity(2, 2);
        change(&mut geometry);
        moved(&geometry, &image, (2, 2, 1), Border::Mean)
    };
    assert_eq!(after(&|_| {}), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(after(&|g| g.flip(true, false)), [2.0, 1.0, 4.0, 3.0]);
    assert_eq!(after(&|g| g.flip(false, true)), [3.0, 4.0, 1.0, 2.0]);
    // As numpy.rot90, counter-clockwise.
    assert_eq!(after(&|g| g.quarter_turn(1)), [2.0, 4.0, 1.0, 3.0]);
    assert_eq!(after(&|g| g.quarter_turn(2)), [4.0, 3.0, 2.0, 1.0]);
    assert_eq!(after(&|g| g.quarter_turn(3)), [3.0, 1.0, 4.0, 2.0]);
    assert_eq!(
        after(&|g| g.turn_and_scale(std::f64::consts::FRAC_PI_2, 1.0)),
        [2.0, 4.0, 1.0, 3.0]
    );
}

#[test]
fn borders_fill_the_gap_of_a_shift() {
    let after = |border, right| {
        let mut geometry = Geometry::identity(1, 4);
        geometry.shift(0.0, right);
        moved(&geometry, &[10, 20, 30, 40], (1, 4, 1), border)
    };
    assert_eq!(after(Border::Mean, 2.0), [0.0, 0.0, 10.0, 20.0]);
    assert_eq!(after(Border::Edge, 2.0), [10.0, 10.0, 10.0, 20.0]);
    assert_eq!(after(Border::Reflect, 2.0), [20.0, 10.0, 10.0, 20.0]);
    assert_eq!(after(Border::Reflect, -2.0), [30.0, 40.0, 40.0, 30.0]);
    // Half a pixel: bilinear.
    assert_eq!(after(Border::Edge, 0.5), [10.0, 15.0, 25.0, 35.0]);
}

#[test]
fn channels_move_together() {
    let mut geometry = Geometry::identity(1, 2);
    geometry.flip(true, false);
    assert_eq!(
        moved(&geometry, &[1, 2, 3, 4, 5, 6], (1, 2, 3), Border::Mean),
        [4.0, 5.0, 6.0, 1.0, 2.0, 3.0]
    );
}

#[test]
fn r4_masks_and_boxes_follow_the_pixels() {
    let augment = Augment {
        flip_horizontal: true,
        flip_vertical: true,
        quarter_turns: true,
        rotation: 25.0,
        shift: 0.1,
        scale: 0.2,
        ..Augment::default()
    };
    let inside = |row: usize, column: usize| (24..34).contains(&row) && (28..44).contains(&column);
    let image: Vec<u8> = (0..64 * 64)
        .map(|p| if inside(p / 64, p % 64) { 200 } else { 0 })
        .collect();
    let mask = Array2::from_shape_fn((64, 64), |(r, c)| u8::from(inside(r, c)));
    for sample in 0..50 {
        let geometry = augment.geometry(SampleKey { sample, ..KEY }, 64, 64);
        let picture = moved(&geometry, &image, (64, 64, 1), Border::Black);
        let mask = geometry.move_mask(&mask, 0);
        let b = geometry
            .move_box(BoundingBox {
                top: 24.0,
                left: 28.0,
                bottom: 34.0,
                right: 44.0,
            })
            .unwrap();
        let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
        for ((row, column), &on) in mask.indexed_iter() {
            // Image and mask agree away from the blurred edge.
            let value = picture[row * 64 + column];
            assert!(
                if on == 1 { value > 40.0 } else { value < 160.0 },
                "sample {sample}: {value}"
            );
            if on == 1 {
                low = [low[0].min(row as f32), low[1].min(column as f32)];
                high = [high[0].max(row as f32 + 1.0), high[1].max(column as f32 + 1.0)];
            }
        }
        let gaps = [
            low[0] - b.top,
            low[1] - b.left,
            b.bottom - high[0],
            b.right - high[1],
        ];
        assert!(
            gaps.iter().all(|gap| (-0.75..1.5).contains(gap)),
            "sample {sample}: {gaps:?}"
        );
    }
}

#[test]
fn a_box_outside_of_the_image_is_gone() {
    let mut geometry = Geometry::identity(10, 10);
    geometry.shift(0.0, 9.0);
    let right = BoundingBox {
        top: 0.0,
        left: 5.0,
        bottom: 5.0,
        right: 8.0,
    };
    assert_eq!(geometry.move_box(right), None);
    let left = geometry.move_box(BoundingBox { left: 0.0, ..right }).unwrap();
    assert_eq!((left.left, left.right), (9.0, 10.0));
}

#[test]
fn draws_depend_on_seed_epoch_and_sample_only() {
    let augment = Augment {
        rotation: 30.0,
        flip_horizontal: true,
        ..Augment::default()
    };
    let draw = |key| augment.geometry(key, 8, 8);
    assert_eq!(draw(KEY), draw(KEY));
    for other in [
        SampleKey { seed: 4, ..KEY },
        SampleKey { epoch: 6, ..KEY },
        SampleKey { sample: 8, ..KEY },
    ] {
        assert_ne!(draw(KEY), draw(other));
    }
    let flips = (0..1000).filter(|&sample| {
        let only = Augment {
            flip_horizontal: true,
            ..Augment::default()
        };
        only.geometry(SampleKey { sample, ..KEY }, 8, 8) != Geometry::identity(8, 8)
    });
    // 500 expected, standard deviation 16.
    assert!((420..580).contains(&flips.count()));
}

#[test]
fn crop_padding_shifts_by_every_whole_number_of_pixels() {
    let augment = Augment {
        crop_padding: 2,
        ..Augment::default()
    };
    let shift = |sample| {
        augment
            .geometry(SampleKey { sample, ..KEY }, 8, 8)
            .move_point([0.0, 0.0])[0] as i32
    };
    let seen: std::collections::BTreeSet<i32> = (0..200).map(shift).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [-2, -1, 0, 1, 2]);
}

#[test]
fn colours_change_as_their_names_say() {
    let encoding = ImageEncoding {
        mean: vec![0.5; 3],
        std: vec![0.25; 3],
        ..encoding(1, 2, 3)
    };
    let neutral = Colour {
        brightness: 1.0,
        contrast: 1.0,
        saturation: 1.0,
    };
    let apply = |colour: Colour| {
        let mut image: Vec<f32> = [0.2, 0.4, 0.6, 0.4, 0.4, 0.4]
            .iter()
            .map(|v| (v - 0.5) / 0.25)
            .collect();
        colour.apply(&encoding, &mut image);
        image
            .iter()
            .map(|v| ((v * 0.25 + 0.5) * 1e4).round() / 1e4)
            .collect::<Vec<f32>>()
    };
    assert_eq!(apply(neutral), [0.2, 0.4, 0.6, 0.4, 0.4, 0.4]);
    assert_eq!(
        apply(Colour {
            brightness: 0.5,
            ..neutral
        }),
        [0.1, 0.2, 0.3, 0.2, 0.2, 0.2]
    );
    let grey = 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6;
    let dull = apply(Colour {
        saturation: 0.0,
        ..neutral
    });
    assert!(dull[..3].iter().all(|v| (v - grey).abs() < 1e-3), "{dull:?}");
    let flat = apply(Colour {
        contrast: 0.0,
        ..neutral
    });
    assert!(
        flat.iter().all(|v| (v - (grey + 0.4) / 2.0).abs() < 1e-3),
        "{flat:?}"
    );
    assert_eq!(
        apply(Colour {
            brightness: 10.0,
            ..neutral
        })[2],
        1.0
    );
}

#[test]
fn s17_noise_has_the_stated_deviation() {
    let augment = Augment {
        noise: 0.3,
        ..Augment::default()
    };
    let mut values = vec![1.0; 20_000];
    augment.values(KEY, &mut values);
    let mut moments = crate::statistics::Moments::default();
    values.iter().for_each(|&v| moments.add(v.into(), 1.0));
    assert!(
        (moments.mean() - 1.0).abs() < 0.01 && (moments.std() - 0.3).abs() < 0.01,
        "{moments:?}"
    );
}

#[test]
fn cutout_clears_one_square() {
    let augment = Augment {
        cutout: 0.5,
        ..Augment::default()
    };
    let encoding = encoding(8, 8, 1);
    let mut out = vec![0.0; 64];
    augment.image(&[255; 64], &encoding, &encoding.table(), KEY, &mut out);
    let cleared = out.iter().filter(|&&v| v == 0.0).count();
    assert!((4..=16).contains(&cleared), "{cleared}");
}

#[test]
fn mixup_mixes_inputs_and_targets_with_the_same_weights() {
    let indices: Vec<usize> = (0..16).collect();
    // Input and target of a sample are both its one-hot row, so they must stay equal.
    let one_hot: Vec<f32> = (0..16 * 16)
        .map(|p| f32::from(u8::from(p / 16 == p % 16)))
        .collect();
    let (mut inputs, mut targets) = (one_hot.clone(), one_hot.clone());
    mix_batch(0.4, (1, 2), &indices, &mut inputs, &mut targets);
    assert_eq!(inputs, targets);
    assert_ne!(inputs, one_hot);
    for row in targets.chunks_exact(16) {
        assert!(
            (row.iter().sum::<f32>() - 1.0).abs() < 1e-6 && row.iter().all(|&v| (0.0..=1.0).contains(&v))
        );
    }
}

#[test]
fn senseless_settings_are_refused() {
    let check = |augment: Augment, shape: &[usize]| augment.check(shape).unwrap_err().to_string();
    assert!(
        check(
            Augment {
                quarter_turns: true,
                ..Augment::default()
            },
            &[4, 6, 3]
        )
        .contains("square")
    );
    assert!(
        check(
            Augment {
                rotation: 200.0,
                ..Augment::default()
            },
            &[4, 4, 3]
        )
        .contains("0 to 180")
    );
    assert!(
        check(
            Augment {
                noise: f32::NAN,
                ..Augment::default()
            },
            &[4]
        )
        .contains("noise")
    );
    assert!(
        check(
            Augment {
                flip_vertical: true,
                ..Augment::default()
            },
            &[4]
        )
        .contains("rows")
    );
    assert!(
        check(
            Augment {
                saturation: 0.5,
                ..Augment::default()
            },
            &[4, 4, 1]
        )
        .contains("colour")
    );
    assert!(
        check(
            Augment {
                crop_padding: 4,
                ..Augment::default()
            },
            &[4, 4, 1]
        )
        .contains("less than")
    );
    assert!(
        Augment {
            noise: 0.1,
            mixup: 0.2,
            ..Augment::default()
        }
        .check(&[4])
        .is_ok()
    );
}
