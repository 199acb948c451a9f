#![allow(clippy::unwrap_used)]

use super::*;
use engine::{Isa, Parameters};
use graph::Symbol;
use nn::{DecayScope, Rule, clip_by_value, global_norm};

/// Every rule with every combination of its switches.
fn optimizers() -> Vec<Optimizer> {
    let texts = [
        "sgd",
        "sgd:0.9",
        "nesterov:0.8",
        "adagrad",
        "adadelta",
        "rmsprop",
        "rmsprop:0.9",
        "adam",
        "adamw:0.1",
    ];
    let mut all: Vec<Optimizer> = texts.map(|t| t.parse().unwrap()).to_vec();
    for momentum in [0.0, 0.7] {
        let mut centered = Optimizer::rms_prop().momentum(momentum);
        if let Rule::RmsProp { centered, .. } = &mut centered.rule {
            *centered = true;
        }
        all.push(centered);
    }
    let decaying = all.clone().into_iter().map(|o| o.weight_decay(0.05));
    let everywhere = decaying.clone().map(|o| o.decay_scope(DecayScope::All));
    all.clone()
        .into_iter()
        .chain(decaying)
        .chain(everywhere)
        .collect()
}

fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Weights and biases in turn, of sizes that leave padding; enough of them for several threads.
fn store() -> Parameters {
    let shapes: [&[usize]; 6] = [&[7, 5], &[5], &[3, 3], &[], &[300, 133], &[133]];
    let named: Vec<(String, Symbol)> = shapes
        .iter()
        .enumerate()
        .map(|(k, s)| {
            let shape = graph::Shape::new(s);
            (
                format!("p{k}"),
                Symbol::parameter("weight", shape, Default::default()),
            )
        })
        .collect();
    let mut parameters = Parameters::new(&named);
    for (k, s) in shapes.iter().enumerate() {
        let values = numbers(s.iter().product(), 1 + k as u64);
        parameters.set(&format!("p{k}"), &values).unwrap();
    }
    parameters
}

/// Gradients in the layout, 0 in the padding.
fn gradients(layout: &Layout, seed: u64) -> Vec<f32> {
    let mut g = vec![0.0; layout.trainable_length()];
    for entry in layout.entries() {
        let values = numbers(entry.elements(), seed + entry.offset as u64);
        g[entry.offset..entry.offset + entry.elements()].copy_from_slice(&values);
    }
    g
}

/// The definition: parameter after parameter, clipping first, by the rules' plain loops.
fn plain(
    optimizer: &Optimizer,
    clipping: Option<GradientClipping>,
    start: &Parameters,
    steps: u64,
) -> Vec<f32> {
    let mut parameters = start.clone();
    let layout = parameters.layout().clone();
    let mut memory = vec![vec![0.0f32; layout.trainable_length()]; optimizer.state_slots()];
    for step in 1..=steps {
        let mut g = gradients(&layout, step);
        match clipping {
            Some(GradientClipping::Value(most)) => clip_by_value(&mut g, most as f32),
            Some(GradientClipping::Norm(most)) => {
                let scale = clip_scale(global_norm(&g), most);
                g.iter_mut().for_each(|g| *g *= scale);
            }
            None => {}
        }
        for entry in layout.entries() {
            let range = entry.offset..entry.offset + entry.elements();
            let rule = optimizer.weight_decay(optimizer.decay_of(entry.shape.rank()));
            let mut state: Vec<&mut [f32]> = memory.iter_mut().map(|m| &mut m[range.clone()]).collect();
            let p = &mut parameters.values_mut()[range.clone()];
            rule.update(step, 0.05, p, &g[range], &mut state).unwrap();
        }
    }
    parameters.values().to_vec()
}

fn in_one_pass(
    engine: &Engine,
    optimizer: &Optimizer,
    clipping: Option<GradientClipping>,
    start: &Parameters,
    steps: u64,
) -> Vec<f32> {
    let mut parameters = start.clone();
    let layout = parameters.layout().clone();
    let mut update = Update::new(engine, *optimizer, clipping, &layout);
    for step in 1..=steps {
        let g = gradients(&layout, step);
        update.apply(step, 0.05, parameters.values_mut(), &g).unwrap();
    }
    parameters.values().to_vec()
}

#[test]
fn every_rule_moves_as_its_definition_says_to_the_bit() {
    let start = store();
    for (k, optimizer) in optimizers().iter().enumerate() {
        let clippings = [
            None,
            Some(GradientClipping::Norm(2.0)),
            Some(GradientClipping::Norm(1e6)),
            Some(GradientClipping::Value(0.3)),
        ];
        let clipping = clippings[k % 4];
        let expected = plain(optimizer, clipping, &start, 3);
        assert!(expected.iter().all(|v| v.is_finite()), "{optimizer:?}");
        for isa in Isa::available() {
            for threads in [1, 2, 3] {
                let engine = Engine::with_isa(threads, isa);
                let found = in_one_pass(&engine, optimizer, clipping, &start, 3);
                assert!(
                    found == expected,
                    "{optimizer:?} {clipping:?}: {isa} on {threads} threads"
                );
            }
        }
    }
}

#[test]
fn neighbours_with_one_rule_are_one_span() {
    let start = store();
    let count = |optimizer: Optimizer| spans(&optimizer, start.layout(), |_| Some(0)).len();
    assert_eq!(count(Optimizer::sgd()), 1);
    assert_eq!(count(Optimizer::adamw().decay_scope(DecayScope::All)), 1);
    assert_eq!(count(Optimizer::adamw()), 6);
    let covered: usize = spans(&Optimizer::adamw(), start.layout(), |_| Some(0))
        .iter()
        .map(|s| s.range.len())
        .sum();
    assert_eq!(covered, start.layout().trainable_length());
}

#[test]
fn gradients_without_a_norm_change_nothing() {
    let start = store();
    let layout = start.layout().clone();
    let engine = Engine::new(1);
    let mut update = Update::new(
        &engine,
        Optimizer::adam(),
        Some(GradientClipping::Norm(1.0)),
        &layout,
    );
    let mut g = gradients(&layout, 1);
    g[3] = f32::NAN;
    let mut parameters = start.clone();
    let norm = update.apply(1, 0.1, parameters.values_mut(), &g).unwrap();
    assert!(norm.is_some_and(f64::is_nan));
    assert!(parameters.values() == start.values());
    assert!(update.memory.iter().all(|slot| slot.iter().all(|&v| v == 0.0)));
}

#[test]
fn the_norm_is_exact_and_has_the_same_bits_for_any_number_of_threads() {
    for count in [0, 1, 15, 16, 1023, 1025, 100_000] {
        let g = numbers(count, 3);
        let exact = g.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        for isa in Isa::available() {
            let one = Engine::with_isa(1, isa).norm(&g);
            assert!((one - exact).abs() <= 1e-12 * exact, "{count}: {one}, {exact}");
            for threads in [2, 3] {
                assert_eq!(Engine::with_isa(threads, isa).norm(&g), one);
            }
        }
    }
}

#[test]
fn o20_groups_move_at_their_own_rates_and_what_is_in_none_stays_to_the_bit() {
    let start = store();
    let layout = start.layout().clone();
    let groups = [Group { rate: 0.1, since: 0 }, Group { rate: 1.0, since: 2 }];
    let group_of = |name: &str| match name {
        "p0" | "p3" => None,
        "p1" | "p4" => Some(0),
        _ => Some(1),
    };
    for optimizer in optimizers() {
        let mut expected = start.clone();
        let mut memory = vec![vec![0.0f32; layout.trainable_length()]; optimizer.state_slots()];
        for step in 3..=5 {
            let g = gradients(&layout, step);
            for entry in layout.entries() {
                let Some(group) = group_of(&entry.name).map(|k| groups[k]) else {
                    continue;
                };
                let range = entry.offset..entry.offset + entry.elements();
                let rule = optimizer.weight_decay(optimizer.decay_of(entry.shape.rank()));
                let mut state: Vec<&mut [f32]> = memory.iter_mut().map(|m| &mut m[range.clone()]).collect();
                let p = &mut expected.values_mut()[range.clone()];
                let rate = 0.05 * group.rate;
                rule.update(step - group.since, rate, p, &g[range], &mut state)
                    .unwrap();
            }
        }
        for threads in [1, 3] {
            let mut found = start.clone();
            let mut update = Update::new(&Engine::new(threads), optimizer, None, &layout);
            update.regroup(&layout, groups.to_vec(), group_of);
            for step in 3..=5 {
                let g = gradients(&layout, step);
                update.apply(step, 0.05, found.values_mut(), &g).unwrap();
            }
            assert!(
                found.values() == expected.values(),
                "{optimizer:?} on {threads} threads"
            );
            assert_eq!(found.get("p0").unwrap(), start.get("p0").unwrap());
        }
    }
}
