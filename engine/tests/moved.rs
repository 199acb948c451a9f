//! Gradients that are made when the parameters move: the same bits as gradients that are stored first, on any
//! number of threads.

#![allow(clippy::unwrap_used)]

mod common;

use common::numbers;
use graph::ops::UnaryKind;
use graph::{Binding, Movement, Symbol, differentiate};
use graticule_engine::{Clip, Descent, Engine, EngineError, Isa, Parameters, Program, Request, Span};

/// Weights of the first layer, which are many; of the second, which are few.
const WIDE: [usize; 2] = [600, 512];
const BATCH: usize = 12;

struct Net {
    request: Request,
    parameters: Parameters,
}

/// Two dense layers, and the loss Σy² of what they give.
fn net() -> Net {
    let x = Symbol::input("x", [WIDE[0]]);
    let shapes: [&[usize]; 4] = [&WIDE, &[WIDE[1]], &[WIDE[1], 3], &[3]];
    let p = shapes.map(|s| Symbol::parameter("weight", graph::Shape::new(s), Default::default()));
    let hidden = x.matmul(&p[0]).unwrap().add(&p[1]).unwrap();
    let hidden = hidden.unary(UnaryKind::Relu).unwrap();
    let y = hidden.matmul(&p[2]).unwrap().add(&p[3]).unwrap();
    let loss = y.mul(&y).unwrap().sum().unwrap();
    let gradients = differentiate(&loss, &p).unwrap();
    let named: Vec<(String, Symbol)> = (0..4).map(|k| (format!("p{k}"), p[k].clone())).collect();
    let mut parameters = Parameters::new(&named);
    for (k, shape) in shapes.iter().enumerate() {
        let values: Vec<f32> = numbers(shape.iter().product(), k as u64 + 1);
        let small: Vec<f32> = values.iter().map(|v| v * 0.05).collect();
        parameters.set(&format!("p{k}"), &small).unwrap();
    }
    let request = Request {
        outputs: vec![loss],
        gradients: p.into_iter().zip(gradients).collect(),
        ..Request::default()
    };
    Net { request, parameters }
}

fn program(net: &Net, engine: &Engine, fuse_update: bool) -> Program {
    let request = Request {
        fuse_update,
        ..net.request.clone()
    };
    let layout = net.parameters.layout();
    let mut program = Program::compile(engine, &request, layout, &Binding::batch(BATCH)).unwrap();
    program.set_input("x", &numbers(BATCH * WIDE[0], 9)).unwrap();
    program
}

const RULES: [Movement; 2] = [
    Movement::Momentum {
        rate: 1e-4,
        momentum: 0.9,
        share: 1.0,
        ahead: 0.0,
        along: 1.0,
        decay: 0.01,
    },
    Movement::Plain {
        rate: 1e-3,
        decay: 0.0,
    },
];

/// Parameters, momentum and loss after three steps in which some of the wide layer's weights stay as they are.
fn descended(engine: &Engine, fuse_update: bool) -> (Vec<f32>, Vec<f32>, f32) {
    let mut net = net();
    let mut program = program(&net, engine, fuse_update);
    let length = program.gradients().len();
    let mut momentum = vec![0.0; length];
    let spans = [(0..5_000, 0), (5_000..100_016, 1), (150_000..length, 0)];
    let spans = spans.map(|(range, rule)| Span { range, rule });
    let descent = Descent {
        rules: &RULES,
        spans: &spans,
        clip: Clip {
            scale: 1.0,
            most: 0.5,
        },
    };
    for key in 0..3 {
        program.run(&mut net.parameters, key).unwrap();
        let state = [&mut momentum[..]];
        program.descend(descent, &mut net.parameters, state).unwrap();
    }
    let loss = program.output(0)[0];
    (net.parameters.values().to_vec(), momentum, loss)
}

#[test]
fn parameters_move_to_the_same_bits_whether_gradients_are_stored_or_not() {
    for isa in Isa::available() {
        let stored = descended(&Engine::with_isa(1, isa), false);
        assert!(stored.2.is_finite() && stored.0 != net().parameters.values());
        for threads in [1, 2, 3] {
            let fused = descended(&Engine::with_isa(threads, isa), true);
            assert!(fused == stored, "{isa} on {threads} threads");
        }
    }
}

#[test]
fn gradients_that_were_left_are_made_on_demand_and_used_once() {
    let mut net = net();
    let engine = Engine::new(2);
    let mut stored = program(&net, &engine, false);
    stored.run(&mut net.parameters, 0).unwrap();
    let mut fused = program(&net, &engine, true);
    fused.run(&mut net.parameters, 0).unwrap();
    let wide = WIDE[0] * WIDE[1];
    // Otherwise nothing is tested here.
    assert!(fused.gradients()[..wide].iter().all(|&g| g == 0.0));
    assert!(fused.gradients()[wide..] == stored.gradients()[wide..]);
    fused.complete_gradients().unwrap();
    assert!(fused.gradients() == stored.gradients());

    let descent = Descent {
        rules: &RULES[1..],
        spans: &[Span {
            range: 0..wide,
            rule: 0,
        }],
        clip: Clip::default(),
    };
    fused.run(&mut net.parameters, 0).unwrap();
    fused.descend(descent, &mut net.parameters, []).unwrap();
    let moved = net.parameters.values().to_vec();
    let again = fused.descend(descent, &mut net.parameters, []);
    assert!(matches!(again, Err(EngineError::Parameters(_))), "{again:?}");
    assert!(fused.complete_gradients().is_err() && net.parameters.values() == moved);

    // A step that does not fit changes nothing, and what was left is still there.
    fused.run(&mut net.parameters, 0).unwrap();
    let beyond = Descent {
        spans: &[Span {
            range: 0..moved.len() + 1,
            rule: 0,
        }],
        ..descent
    };
    assert!(fused.descend(beyond, &mut net.parameters, []).is_err() && net.parameters.values() == moved);
    fused.descend(descent, &mut net.parameters, []).unwrap();
    assert!(net.parameters.values() != moved);
}

#[test]
fn what_is_profiled_has_all_gradients() {
    let mut net = net();
    let engine = Engine::new(2);
    let mut stored = program(&net, &engine, false);
    stored.run(&mut net.parameters, 0).unwrap();
    let mut fused = program(&net, &engine, true);
    let steps = fused.profile(&mut net.parameters, 0).unwrap();
    assert!(
        steps
            .iter()
            .any(|s| s.op == "matmul" && s.symbol.shape()[0] == WIDE[0])
    );
    assert!(fused.gradients() == stored.gradients());
}
