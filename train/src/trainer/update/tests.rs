#![allow(clippy::unwrap_used)]

use super::*;
use engine::{Isa, Request};
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

/// As [`Update::apply`], along gradients that are there.
fn along(update: &mut Update, step: u64, parameters: &mut Parameters, gradients: &[f32]) -> Option<f64> {
    let (clip, norm) = update.clip(gradients);
    if norm.is_none_or(f64::is_finite) {
        let engine = update.engine.clone();
        let (descent, state) = update.descent(step, 0.05, clip);
        let values = parameters.values_mut();
        engine.descend(descent, values, gradients, state).unwrap();
    }
    norm
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
        along(&mut update, step, &mut parameters, &g);
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
    let norm = along(&mut update, 1, &mut parameters, &g);
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
                along(&mut update, step, &mut found, &g);
            }
            assert!(
                found.values() == expected.values(),
                "{optimizer:?} on {threads} threads"
            );
            assert_eq!(found.get("p0").unwrap(), start.get("p0").unwrap());
        }
    }
}

/// A program of a wide dense layer and a small one on 12 samples, and its parameters.
fn wide(engine: &Engine, fuse_update: bool) -> (Parameters, Program) {
    let (x, shapes): (_, [&[usize]; 3]) = (Symbol::input("x", [600]), [&[600, 512], &[512], &[512, 3]]);
    let p = shapes.map(|s| Symbol::parameter("weight", graph::Shape::new(s), Default::default()));
    let hidden = x.matmul(&p[0]).unwrap().add(&p[1]).unwrap();
    let hidden = hidden.unary(graph::ops::UnaryKind::Relu).unwrap();
    let y = hidden.matmul(&p[2]).unwrap();
    let loss = y.mul(&y).unwrap().mean().unwrap();
    let gradients = graph::differentiate(&loss, &p).unwrap();
    let named: Vec<(String, Symbol)> = (0..3).map(|k| (format!("p{k}"), p[k].clone())).collect();
    let mut parameters = Parameters::new(&named);
    for (k, shape) in shapes.iter().enumerate() {
        let values = numbers(shape.iter().product(), 5 + k as u64).into_iter();
        let small: Vec<f32> = values.map(|v| 0.1 * v).collect();
        parameters.set(&format!("p{k}"), &small).unwrap();
    }
    let request = Request {
        outputs: vec![loss],
        gradients: p.into_iter().zip(gradients).collect(),
        fuse_update,
        ..Request::default()
    };
    let batch = graph::Binding::batch(12);
    let mut program = Program::compile(engine, &request, parameters.layout(), &batch).unwrap();
    program.set_input("x", &numbers(12 * 600, 8)).unwrap();
    (parameters, program)
}

/// Parameters and memory after two steps; one bias is frozen, and the weights learn slowly.
fn after_steps(engine: &Engine, optimizer: &Optimizer, limit: Option<f64>, fuse: bool) -> Vec<Vec<f32>> {
    let (mut parameters, mut program) = wide(engine, fuse);
    let layout = parameters.layout().clone();
    let clipping = limit.map(GradientClipping::Value);
    let mut update = Update::new(engine, *optimizer, clipping, &layout);
    let group = Group { rate: 0.5, since: 0 };
    update.regroup(&layout, vec![group], |name| (name != "p1").then_some(0));
    for step in 1..=2 {
        program.run(&mut parameters, step).unwrap();
        update.apply(step, 0.01, &mut parameters, &mut program).unwrap();
    }
    let memory = update.memory.iter().map(|slot| slot.to_vec());
    memory.chain([parameters.values().to_vec()]).collect()
}

#[test]
fn every_rule_moves_to_the_same_bits_whether_wide_gradients_are_stored_or_not() {
    let start = wide(&Engine::new(1), false).0;
    for (k, optimizer) in optimizers().iter().enumerate() {
        let limit = (k % 2 == 0).then_some(1e-3);
        let stored = after_steps(&Engine::new(1), optimizer, limit, false);
        assert!(stored.iter().flatten().all(|v| v.is_finite()), "{optimizer:?}");
        assert!(stored.last().is_some_and(|p| p != start.values()));
        for threads in [1, 2, 3] {
            let fused = after_steps(&Engine::new(threads), optimizer, limit, true);
            assert!(fused == stored, "{optimizer:?} {limit:?} on {threads} threads");
        }
    }
}
