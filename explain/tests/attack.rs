#![allow(clippy::unwrap_used)]
//! Attacks: exact answers on linear networks, bounds, bits, and what is refused.

mod common;

use common::{network, parameters, wave};
use engine::{Engine, Parameters};
use graph::Symbol;
use graticule_explain::ExplainError;
use graticule_explain::attack::{Adversary, Attack, Goal, Norm, Patch, PatchPlan, Pixels, learn_patch};
use nn::Model;
use nn::prelude::*;

const MEAN: [f32; 2] = [0.3, 0.6];
const STD: [f32; 2] = [0.25, 0.5];

fn pixels() -> Pixels {
    Pixels::new(MEAN.to_vec(), STD.to_vec()).unwrap()
}

/// Two classes of pictures 3×3×2; the difference of their scores is linear in the pixels.
fn linear() -> (Model, Parameters) {
    let image = Symbol::input("image", [3, 3, 2]);
    let w = Symbol::parameter("weight", [18, 2], Default::default());
    let scores = Flatten.on(&image).unwrap().matmul(&w).unwrap();
    let model = Model::new("linear", &image, &scores).unwrap();
    let mut parameters = Parameters::new(&[("weight".into(), w)]);
    parameters.set("weight", wave(&[36]).as_slice().unwrap()).unwrap();
    (model, parameters)
}

/// Pictures of grey with a ripple, far from black and white, encoded.
fn encoded(count: usize, sample: usize) -> Vec<f32> {
    let ripple = wave(&[count * sample]);
    let pixel = |(place, w): (usize, &f32)| (0.5 + 0.1 * w - MEAN[place % 2]) / STD[place % 2];
    ripple.iter().enumerate().map(pixel).collect()
}

/// score₀ − score₁ of a linear sample, and its slope in each pixel.
fn margin(parameters: &Parameters, x: &[f32]) -> (f64, Vec<f64>) {
    let w = parameters.get("weight").unwrap();
    let of = |k: usize| f64::from(w[2 * k]) - f64::from(w[2 * k + 1]);
    let margin = x.iter().enumerate().map(|(k, &x)| f64::from(x) * of(k)).sum();
    (
        margin,
        (0..x.len()).map(|k| of(k) / f64::from(STD[k % 2])).collect(),
    )
}

#[test]
fn e6_a_linear_network_falls_exactly_where_its_margin_ends() {
    let (model, mut parameters) = linear();
    let mut adversary = Adversary::new(&Engine::new(1), &model, pixels()).unwrap();
    let clean = encoded(1, 18);
    let (before, slope) = margin(&parameters, &clean);
    let label = if before > 0.0 { 0.0 } else { 1.0 };
    for norm in [Norm::Max, Norm::Euclidean] {
        let dual = match norm {
            Norm::Max => slope.iter().map(|s| s.abs()).sum::<f64>(),
            Norm::Euclidean => slope.iter().map(|s| s * s).sum::<f64>().sqrt(),
        };
        let edge = (before.abs() / dual) as f32;
        for (share, falls) in [(0.97f32, false), (1.03, true)] {
            for attack in [
                Attack::fgsm(norm, edge * share),
                Attack::pgd(norm, edge * share, 40),
            ] {
                let mut x = clean.clone();
                adversary
                    .perturb(&mut parameters, &mut x, &[label], (&attack, Goal::Away), |_| {
                        [1, 2, 3]
                    })
                    .unwrap();
                let (after, _) = margin(&parameters, &x);
                assert_eq!(
                    after * before < 0.0,
                    falls,
                    "{norm:?} {share} {attack:?}: {before} to {after}"
                );
            }
        }
    }
}

#[test]
fn towards_a_class_is_away_from_the_other_of_two() {
    let (model, mut parameters) = linear();
    let mut adversary = Adversary::new(&Engine::new(1), &model, pixels()).unwrap();
    let moved = |adversary: &mut Adversary, parameters: &mut Parameters, label, goal| {
        let mut x = encoded(1, 18);
        adversary
            .perturb(
                parameters,
                &mut x,
                &[label],
                (&Attack::fgsm(Norm::Max, 0.1), goal),
                |_| [0; 3],
            )
            .unwrap();
        x
    };
    let away = moved(&mut adversary, &mut parameters, 0.0, Goal::Away);
    let towards = moved(&mut adversary, &mut parameters, 1.0, Goal::Towards);
    assert_eq!(away, towards);
    assert_ne!(away, moved(&mut adversary, &mut parameters, 0.0, Goal::Towards));
}

#[test]
fn changes_stay_in_the_ball_and_pictures_stay_pictures() {
    let model = network();
    let mut parameters = parameters(&model, 3);
    let mut adversary = Adversary::new(&Engine::new(2), &model, pixels()).unwrap();
    let pixels = pixels();
    // From black to white, so that both ends of the range bind.
    let sample = 12 * 12 * 2;
    let clean: Vec<f32> = wave(&[4 * sample])
        .iter()
        .enumerate()
        .map(|(k, w)| pixels.encode(k, 0.5 + 0.5 * w))
        .collect();
    for norm in [Norm::Max, Norm::Euclidean] {
        for attack in [
            Attack::noise(norm, 0.2),
            Attack::fgsm(norm, 0.2),
            Attack::pgd(norm, 0.2, 5),
        ] {
            let mut x = clean.clone();
            let labels = [0.0, 1.0, 2.0, 0.0];
            adversary
                .perturb(&mut parameters, &mut x, &labels, (&attack, Goal::Away), |k| {
                    [9, 0, k as u64]
                })
                .unwrap();
            for (x, from) in x.chunks(sample).zip(clean.chunks(sample)) {
                let decoded = |(k, &v): (usize, &f32)| pixels.decode(k, v);
                assert!(
                    x.iter()
                        .enumerate()
                        .map(decoded)
                        .all(|p| (-1e-5..=1.00001).contains(&p))
                );
                let change: Vec<f64> = x
                    .iter()
                    .zip(from)
                    .enumerate()
                    .map(|(k, (a, b))| f64::from((a - b) * STD[k % 2]))
                    .collect();
                let size = match norm {
                    Norm::Max => change.iter().fold(0.0f64, |m, c| m.max(c.abs())),
                    Norm::Euclidean => change.iter().map(|c| c * c).sum::<f64>().sqrt(),
                };
                assert!(size <= 0.2 + 1e-5 && size > 0.1, "{attack:?}: {size}");
            }
        }
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads_and_another_start_for_another_key() {
    let model = network();
    let run = |threads: usize, seed: u64| {
        let mut parameters = parameters(&model, 3);
        let mut adversary = Adversary::new(&Engine::new(threads), &model, pixels()).unwrap();
        let mut x = encoded(9, 12 * 12 * 2);
        let labels: Vec<f32> = (0..9).map(|k| (k % 3) as f32).collect();
        let attack = Attack::pgd(Norm::Max, 0.1, 4);
        adversary
            .perturb(&mut parameters, &mut x, &labels, (&attack, Goal::Away), |k| {
                [seed, 0, k as u64]
            })
            .unwrap();
        x.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(run(1, 5), run(2, 5));
    assert_eq!(run(1, 5), run(3, 5));
    assert_ne!(run(1, 5), run(1, 6));
}

#[test]
fn a_patch_learns_what_a_class_likes_and_pasting_is_bilinear() {
    // Class 1 likes white everywhere, so the patch becomes white.
    let image = Symbol::input("image", [10, 10, 2]);
    let w = Symbol::parameter("weight", [200, 2], Default::default());
    let scores = Flatten.on(&image).unwrap().matmul(&w).unwrap();
    let model = Model::new("bright", &image, &scores).unwrap();
    let mut parameters = Parameters::new(&[("weight".into(), w)]);
    let weights: Vec<f32> = (0..400).map(|k| if k % 2 == 1 { 0.01 } else { 0.0 }).collect();
    parameters.set("weight", &weights).unwrap();
    let mut adversary = Adversary::new(&Engine::new(1), &model, pixels()).unwrap();
    let plan = PatchPlan {
        class: 1,
        share: 0.17,
        steps: 60,
        rate: 0.05,
        seed: 3,
    };
    let fill = |_: usize, samples: &mut Vec<f32>| {
        *samples = encoded(4, 200);
        Ok::<(), ExplainError>(())
    };
    let patch = learn_patch(&mut adversary, &mut parameters, [10, 10], &plan, fill, |_| {}).unwrap();
    assert_eq!(
        patch.pixels.dim(),
        (4, 4, 2),
        "the largest square of 17 of 100 pixels"
    );
    assert!(patch.pixels.iter().all(|&p| p > 0.99), "{:?}", patch.pixels);
    assert_ne!(patch, Patch::random(4, 2, 3));
    let mut seen = std::collections::HashSet::new();
    for k in 0..200 {
        let place = patch.place(10, 10, [1, 0, k]);
        assert!(place.top + place.side <= 10 && place.left + place.side <= 10 && place.side <= 4);
        let mut sample = encoded(1, 200);
        let clean = sample.clone();
        patch.paste(&mut sample, 10, place, &pixels());
        let changed = (0..200).filter(|&k| sample[k] != clean[k]).count();
        assert_eq!(changed, 2 * place.side * place.side);
        seen.insert((place.top, place.left));
    }
    assert!(seen.len() > 40, "{} places", seen.len());
}

#[test]
fn what_cannot_be_attacked_is_refused_in_words() {
    let (model, mut parameters) = linear();
    let engine = Engine::new(1);
    let mut adversary = Adversary::new(&engine, &model, pixels()).unwrap();
    let mut x = encoded(1, 18);
    let mut told = |attack: &Attack, x: &mut [f32], label: f32| {
        adversary
            .perturb(&mut parameters, x, &[label], (attack, Goal::Away), |_| [0; 3])
            .unwrap_err()
            .to_string()
    };
    assert!(told(&Attack::fgsm(Norm::Max, -0.1), &mut x, 0.0).contains("epsilon: found -0.1"));
    assert!(told(&Attack::fgsm(Norm::Max, f32::NAN), &mut x, 0.0).contains("epsilon"));
    assert!(told(&Attack::fgsm(Norm::Max, 0.1), &mut x, 2.0).contains("classes 0 to 1"));
    assert!(told(&Attack::fgsm(Norm::Max, 0.1), &mut x[..17], 0.0).contains("18 numbers"));
    let grey = Pixels::new(vec![0.5], vec![1.0]).unwrap();
    let refused = Adversary::new(&engine, &model, grey).err().unwrap().to_string();
    assert!(refused.contains("[H, W, 1]"), "{refused}");
    assert!(Pixels::new(vec![0.5], vec![0.0]).is_err());
}
