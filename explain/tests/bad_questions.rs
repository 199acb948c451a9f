//! Questions that have no answer: one clear error each.

#![allow(clippy::unwrap_used)]

mod common;

use common::{network, subject, wave};
use engine::Engine;
use graph::ndarray::ArrayD;
use graticule_explain::*;
use nn::Model;
use nn::prelude::*;

fn refused(model: &Model, inputs: &ArrayD<f32>, target: Target, method: Method) -> String {
    explain(&mut subject(model, 1), inputs, &target, &method)
        .unwrap_err()
        .to_string()
}

#[test]
fn inputs_of_another_shape_are_refused() {
    for shape in [
        &[1, 11, 12, 2][..],
        &[1, 12, 12, 3],
        &[12, 12, 2],
        &[0, 12, 12, 2],
    ] {
        let told = refused(&network(), &wave(shape), Target::predicted(), Method::Gradient);
        assert!(
            told.contains(&format!("{shape:?}")) && told.contains("[samples, 12, 12, 2]"),
            "{told}"
        );
    }
}

#[test]
fn outputs_that_do_not_exist_are_refused() {
    let inputs = wave(&[2, 12, 12, 2]);
    for (target, said) in [
        (Target::output(3), "3 outputs, 0 to 2"),
        (Target::each(vec![0]), "1 outputs for 2 samples"),
        (
            Target::output(0).at(Place::Pixel { row: 0, column: 0 }),
            "leave the place out",
        ),
    ] {
        let told = refused(&network(), &inputs, target, Method::Gradient);
        assert!(told.contains(said), "{told}");
    }
    let of_another = common::parameters(&network(), 0);
    let told = Subject::new(&Engine::new(1), &network(), &of_another, Reading::Numbers)
        .err()
        .unwrap();
    assert!(told.to_string().contains("another network"), "{told}");
    let model = network();
    let numbers = common::parameters(&model, 0);
    let mut subject = Subject::new(&Engine::new(1), &model, &numbers, Reading::Numbers).unwrap();
    let told = explain(&mut subject, &inputs, &Target::predicted(), &Method::Gradient)
        .unwrap_err()
        .to_string();
    assert!(told.contains("3 numbers"), "{told}");
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let (model, inputs) = (network(), wave(&[1, 12, 12, 2]));
    let occlusion = |size, stride| {
        Method::Occlusion(Occlusion {
            size,
            stride,
            ..Occlusion::default()
        })
    };
    for (method, said) in [
        (occlusion(Some([0, 3]), None), "1 to 12 pixels"),
        (occlusion(Some([3, 13]), None), "1 to 12 pixels"),
        (occlusion(Some([3, 3]), Some([4, 3])), "no pixel is left out"),
        (
            Method::Occlusion(Occlusion {
                fill: Fill(vec![0.0; 3]),
                ..Default::default()
            }),
            "2 bands",
        ),
        (
            Method::Rise(Rise {
                masks: 0,
                ..Default::default()
            }),
            "masks",
        ),
        (
            Method::Rise(Rise {
                cells: 13,
                ..Default::default()
            }),
            "cells",
        ),
        (
            Method::Rise(Rise {
                shown: 1.0,
                ..Default::default()
            }),
            "between 0 and 1",
        ),
        (
            Method::SmoothGrad(SmoothGrad {
                samples: 0,
                noise: 0.1,
            }),
            "at least 1",
        ),
        (
            Method::SmoothGrad(SmoothGrad {
                samples: 1,
                noise: f32::NAN,
            }),
            "noise",
        ),
        (
            Method::IntegratedGradients(IntegratedGradients {
                steps: 0,
                ..Default::default()
            }),
            "steps",
        ),
        (
            Method::GradCam(GradCam {
                layer: Some("dense".into()),
            }),
            "conv2d, max_pool2d, conv2d_1",
        ),
    ] {
        let told = refused(&model, &inputs, Target::predicted(), method);
        assert!(told.contains(said), "{told}");
    }
}

#[test]
fn methods_for_pictures_refuse_rows() {
    let x = Symbol::input("x", [5]);
    let model = Model::new("rows", &x, &Dense::new(2).on(&x).unwrap()).unwrap();
    for name in ["occlusion", "rise", "grad-cam"] {
        let told = refused(
            &model,
            &wave(&[2, 5]),
            Target::predicted(),
            Method::named(name).unwrap(),
        );
        assert!(told.contains("[5]") && told.contains("permutation"), "{told}");
    }
    let image = Symbol::input("image", [4, 4, 1]);
    let model = Model::new(
        "flat",
        &image,
        &Dense::new(2).on(&Flatten.on(&image).unwrap()).unwrap(),
    )
    .unwrap();
    let told = refused(
        &model,
        &wave(&[1, 4, 4, 1]),
        Target::predicted(),
        Method::GradCam(GradCam::default()),
    );
    assert!(told.contains("a convolutional network"), "{told}");
}

#[test]
fn a_network_without_gradients_is_refused() {
    let image = Symbol::input("image", [4, 4, 1]);
    let x = Flatten.on(&image).unwrap();
    let hard = x.at_least(&Symbol::constant(0.0, [])).unwrap();
    let model = Model::new("threshold", &image, &Dense::new(2).on(&hard).unwrap()).unwrap();
    let told = refused(
        &model,
        &wave(&[1, 4, 4, 1]),
        Target::predicted(),
        Method::Gradient,
    );
    assert!(
        told.contains("no gradient gets from the scores back") && told.contains("occlusion"),
        "{told}"
    );
    explain(
        &mut subject(&model, 1),
        &wave(&[1, 4, 4, 1]),
        &Target::predicted(),
        &Method::named("occlusion").unwrap(),
    )
    .unwrap();
}
