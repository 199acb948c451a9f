//! Feature maps and the strongest patches: against the plain f64 reference, a brute-force search, and a square whose place is known.

#![allow(clippy::unwrap_used)]

mod common;

use common::{network, subject, wave};
use engine::{Engine, Parameters};
use graph::interpret::evaluate;
use graph::ndarray::{Array4, ArrayD, Axis, s};
use graph::{Mode, Symbol, lower};
use graticule_explain::seen::*;
use graticule_explain::*;
use nn::Model;
use nn::prelude::*;

/// The maps of a layer by the reference, `[N, H, W, C]`.
fn by_reference(model: &Model, layer: &str, inputs: &ArrayD<f32>) -> ArrayD<f64> {
    let (_, node) = spatial_layers(model)
        .into_iter()
        .find(|(name, _)| name == layer)
        .unwrap();
    let node = lower(&[node], Mode::Infer).unwrap().outputs.remove(0);
    let given = common::parameters(model, 3);
    let numbers: Vec<(Symbol, ArrayD<f64>)> = model
        .parameters()
        .iter()
        .map(|p| {
            let values = given
                .get(&p.name)
                .unwrap()
                .iter()
                .map(|&v| f64::from(v))
                .collect();
            (
                p.symbol.clone(),
                ArrayD::from_shape_vec(&p.shape()[..], values).unwrap(),
            )
        })
        .collect();
    let mut all: Vec<(&Symbol, ArrayD<f64>)> = numbers.iter().map(|(s, v)| (s, v.clone())).collect();
    all.push((model.input(), inputs.mapv(f64::from)));
    evaluate(&[node], &all, inputs.shape()[0]).unwrap().remove(0)
}

#[test]
fn activations_are_the_maps_of_each_layer() {
    let (model, inputs) = (network(), wave(&[3, 12, 12, 2]));
    let mut subject = subject(&model, 2);
    let found = activations(&mut subject, &inputs, None, &Channels::First(4)).unwrap();
    assert_eq!(found.len(), 3);
    let names: Vec<&str> = found[0].iter().map(|maps| maps.layer.as_str()).collect();
    assert_eq!(names, ["conv2d", "max_pool2d", "conv2d_1"]);
    for (sample, layers) in found.iter().enumerate() {
        for maps in layers {
            let expected = by_reference(&model, &maps.layer, &inputs);
            assert_eq!(
                (maps.channels.as_slice(), maps.maps.dim().0),
                (&[0, 1, 2, 3][..], 4)
            );
            for ((k, y, x), &value) in maps.maps.indexed_iter() {
                let expected = expected[[sample, y, x, maps.channels[k]]];
                assert!(
                    (f64::from(value) - expected).abs() < 1e-5,
                    "{}: {value} {expected}",
                    maps.layer
                );
            }
            for (k, &(low, high)) in maps.ranges.iter().enumerate() {
                let map = maps.maps.index_axis(Axis(0), k);
                assert!(map.iter().all(|v| (low..=high).contains(v)), "{}", maps.layer);
                assert!(map.iter().any(|v| *v == low) && map.iter().any(|v| *v == high));
            }
        }
    }
}

#[test]
fn the_most_active_channels_come_first_and_silent_ones_last() {
    let (model, inputs) = (network(), wave(&[1, 12, 12, 2]));
    let mut subject = subject(&model, 1);
    // Unit 2 of the first layer is silenced: its ReLU never opens.
    let mut bias = subject.parameters().get("conv2d.bias").unwrap().to_vec();
    bias[2] = -1000.0;
    subject.parameters_mut().set("conv2d.bias", &bias).unwrap();
    let found = activations(&mut subject, &inputs, Some("conv2d"), &Channels::MostActive(6)).unwrap();
    let maps = &found[0][0];
    assert_eq!((found[0].len(), maps.flat, maps.channels[5]), (1, 1, 2));
    assert_eq!(maps.ranges[5], (0.0, 0.0));
    let size = |k: usize| maps.maps.index_axis(Axis(0), k).mapv(f32::abs).sum();
    assert!((1..6).all(|k| size(k) <= size(k - 1)));
    let these = activations(
        &mut subject,
        &inputs,
        Some("conv2d"),
        &Channels::These(vec![4, 1]),
    )
    .unwrap();
    assert_eq!(these[0][0].channels, [4, 1]);
}

/// Two layers with strides and padding that add up what they see.
fn adding() -> (Model, Parameters) {
    let image = Symbol::input("image", [21, 25, 1]);
    let x = Conv2d::new(1, 5)
        .stride(2)
        .padding(2)
        .activation(Relu)
        .on(&image)
        .unwrap();
    let x = Conv2d::new(2, 3)
        .stride(2)
        .padding(1)
        .activation(Relu)
        .on(&x)
        .unwrap();
    let logits = Dense::new(2).on(&Flatten.on(&x).unwrap()).unwrap();
    let model = Model::new("adding", &image, &logits).unwrap();
    let mut parameters = common::parameters(&model, 3);
    parameters.set("conv2d.weight", &[1.0; 25]).unwrap();
    parameters.set("conv2d.bias", &[0.0]).unwrap();
    // Unit 0 adds, unit 1 is silent.
    let weights: Vec<f32> = (0..9).flat_map(|_| [1.0, -1.0]).collect();
    parameters.set("conv2d_1.weight", &weights).unwrap();
    parameters.set("conv2d_1.bias", &[0.0, 0.0]).unwrap();
    (model, parameters)
}

/// A position of the second layer sees 5 + 2·2 = 9 pixels each way, from 4·position − 4 on.
#[test]
fn e4_the_patch_of_a_unit_is_where_the_bright_square_is() {
    let (model, parameters) = adding();
    let mut subject = Subject::new(&Engine::new(2), &model, &parameters, Reading::Classes).unwrap();
    for (top, left) in [(8, 12), (0, 0), (18, 22), (9, 3)] {
        let mut inputs = Array4::<f32>::zeros((1, 21, 25, 1));
        inputs.slice_mut(s![0, top..top + 3, left..left + 3, 0]).fill(1.0);
        let mut strongest = Strongest::new(&subject, &["conv2d_1"], 9).unwrap();
        strongest.look(&mut subject, &inputs.clone().into_dyn()).unwrap();
        let layer = &strongest.layers()[0];
        assert_eq!(
            (layer.layer.as_str(), layer.shape, layer.field),
            ("conv2d_1", [6, 7, 2], [9, 9])
        );
        let [patch] = &layer.units[0].patches[..] else {
            panic!("{layer:?}")
        };
        for axis in 0..2 {
            let from = 4 * patch.position[axis] as i64 - 4;
            assert_eq!(patch.seen[axis], from..from + 9);
        }
        let [rows, columns] = patch.inside([21, 25]);
        let inside = |r: &std::ops::Range<usize>, from: usize, side: usize| {
            r.start <= from && from + 3 <= r.end.min(side)
        };
        assert!(
            inside(&rows, top, 21) && inside(&columns, left, 25),
            "{rows:?} {columns:?}"
        );
        // Nothing but the patch decides: its sum is the whole answer, of an empty picture but for it.
        let mut alone = Array4::<f32>::zeros((1, 21, 25, 1));
        let part = s![0, rows.start..rows.end, columns.start..columns.end, 0];
        alone.slice_mut(part).assign(&inputs.slice(part));
        let told = activations(
            &mut subject,
            &alone.into_dyn(),
            Some("conv2d_1"),
            &Channels::First(1),
        )
        .unwrap();
        assert_eq!(
            told[0][0].maps[[0, patch.position[0], patch.position[1]]],
            patch.activation
        );
        assert!(layer.units[1].is_flat() && strongest.particular(layer, 5).len() <= 1);
    }
}

/// The deconvnet's signal of a unit lies in its patch and nowhere else, and is all positive where weights are.
#[test]
fn e4_the_signal_of_a_unit_lies_in_its_patch() {
    let (model, parameters) = adding();
    let mut subject = Subject::new(&Engine::new(1), &model, &parameters, Reading::Classes).unwrap();
    let inputs = ArrayD::from_elem(&[1, 21, 25, 1][..], 1.0f32);
    let signal = unit_signals(&mut subject, "conv2d_1", &inputs, &[(0, [2, 3])]).unwrap();
    for ((_, y, x, _), &value) in signal
        .view()
        .into_dimensionality::<graph::ndarray::Ix4>()
        .unwrap()
        .indexed_iter()
    {
        let inside = (4..13).contains(&y) && (8..17).contains(&x);
        assert_eq!(value > 0.0, inside, "{y} {x}: {value}");
    }
    let told = unit_signals(&mut subject, "conv2d_1", &inputs, &[(2, [0, 0])])
        .unwrap_err()
        .to_string();
    assert!(told.contains("0 to 1"), "{told}");
    assert!(unit_signals(&mut subject, "conv2d_1", &inputs, &[(0, [6, 0])]).is_err());
    assert!(unit_signals(&mut subject, "conv2d_1", &inputs, &[]).is_err());
}

#[test]
fn e4_the_strongest_patches_are_those_of_a_search_of_everything() {
    let (model, inputs) = (network(), wave(&[40, 12, 12, 2]));
    let mut subject = subject(&model, 2);
    let mut strongest = Strongest::new(&subject, &[], 9).unwrap();
    for part in [0..7, 7..8, 8..40] {
        let part = inputs.slice_axis(Axis(0), part.into()).to_owned();
        strongest.look(&mut subject, &part).unwrap();
    }
    assert_eq!(strongest.samples(), 40);
    for layer in strongest.layers() {
        let maps = by_reference(&model, &layer.layer, &inputs);
        for (unit, found) in layer.units.iter().enumerate() {
            let of = |sample: usize| {
                let map = maps.index_axis(Axis(0), sample);
                let map = map.index_axis(Axis(2), unit);
                map.indexed_iter()
                    .fold((f64::NEG_INFINITY, [0, 0]), |best, (at, &v)| {
                        if v > best.0 + 1e-9 {
                            (v, [at[0], at[1]])
                        } else {
                            best
                        }
                    })
            };
            let mut all: Vec<(usize, (f64, [usize; 2]))> =
                (0..40).map(|sample| (sample, of(sample))).collect();
            all.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
            assert_eq!(found.patches.len(), 9);
            for (patch, (sample, (value, at))) in found.patches.iter().zip(&all) {
                assert!(
                    (f64::from(patch.activation) - value).abs() < 1e-5,
                    "{}, unit {unit}",
                    layer.layer
                );
                assert_eq!(
                    (patch.sample, patch.position),
                    (*sample, *at),
                    "{}, unit {unit}",
                    layer.layer
                );
            }
            let samples: std::collections::HashSet<usize> = found.patches.iter().map(|p| p.sample).collect();
            assert_eq!(samples.len(), 9, "at most one patch of each sample");
        }
    }
}

#[test]
fn what_is_seen_does_not_depend_on_threads_or_memory() {
    let (model, inputs) = (network(), wave(&[30, 12, 12, 2]));
    let told = |threads, memory| {
        let mut subject = subject(&model, threads).memory(memory);
        let mut strongest = Strongest::new(&subject, &[], 3).unwrap();
        strongest.look(&mut subject, &inputs).unwrap();
        let patches: Vec<UnitPatches> = strongest.layers().iter().flat_map(|l| l.units.clone()).collect();
        let maps = activations(&mut subject, &inputs, None, &Channels::default()).unwrap();
        let answers: Vec<(usize, [usize; 2])> = (0..30).map(|k| (k % 8, [k % 6, 2])).collect();
        let signals = unit_signals(&mut subject, "conv2d_1", &inputs, &answers).unwrap();
        (patches, maps, signals)
    };
    let one = told(1, MEMORY);
    assert!(one == told(2, MEMORY) && one == told(3, MEMORY) && one == told(2, 1 << 16));
}

#[test]
fn what_the_network_does_not_have_is_said() {
    let (model, inputs) = (network(), wave(&[2, 12, 12, 2]));
    let mut subject = subject(&model, 1);
    let told = activations(&mut subject, &inputs, Some("conv"), &Channels::First(1))
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("`conv`") && told.contains("conv2d, max_pool2d, conv2d_1"),
        "{told}"
    );
    let told = activations(&mut subject, &inputs, None, &Channels::These(vec![7]))
        .unwrap_err()
        .to_string();
    assert!(told.contains("0 to 5: layer conv2d has 6 units"), "{told}");
    let last = Strongest::new(&subject, &["conv2d_1"], 9).unwrap();
    assert!(last.check_units(&[0, 7]).is_ok() && last.check_units(&[8]).is_err());
    let told = Strongest::new(&subject, &["conv2d", "conv3d"], 9)
        .unwrap_err()
        .to_string();
    assert!(told.contains("`conv3d`"), "{told}");
    let table = Symbol::input("x", [3]);
    let dense = Model::new("dense", &table, &Dense::new(2).on(&table).unwrap()).unwrap();
    let told = Strongest::new(&common::subject(&dense, 1), &[], 9)
        .unwrap_err()
        .to_string();
    assert!(told.contains("pictures"), "{told}");
    // NaN is never the strongest.
    let mut strongest = Strongest::new(&subject, &["conv2d"], 9).unwrap();
    let mut broken = inputs.clone();
    broken.index_axis_mut(Axis(0), 0).fill(f32::NAN);
    strongest.look(&mut subject, &broken).unwrap();
    let units = &strongest.layers()[0].units;
    assert!(units.iter().all(|unit| {
        unit.patches
            .iter()
            .all(|p| p.sample == 1 && p.activation.is_finite())
    }));
}
