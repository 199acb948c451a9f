//! Rows X7 and L6: the perceptron learns AND and OR, and cannot learn XOR.

use super::*;

/// Corrections until a perceptron has all of `points` right, or `None` if `most` were not enough.
fn corrections(points: &[([f32; 2], f32)], most: usize) -> Option<usize> {
    let (x, t) = (Symbol::input("x", [2]), Symbol::input("t", [1]));
    let y = Dense::new(1).on(&x).unwrap();
    let loss = Loss::Perceptron.on(&y, &t).unwrap();
    let weights: Vec<Symbol> = Model::new("perceptron", &x, &y)
        .unwrap()
        .parameters()
        .iter()
        .map(|p| p.symbol.clone())
        .collect();
    let mut request = Request::outputs(&[y]);
    let gradients = differentiate(&loss, &weights).unwrap();
    request.gradients = weights.iter().cloned().zip(gradients).collect();
    let named: Vec<_> = ["weight", "bias"]
        .map(String::from)
        .into_iter()
        .zip(weights)
        .collect();
    let mut parameters = Parameters::new(&named);
    // At zero the loss has no slope: the first step must start beside it.
    parameters.set("bias", &[0.5]).unwrap();
    let binding = Binding::batch(1);
    let mut program = Program::compile(&Engine::new(1), &request, parameters.layout(), &binding).unwrap();

    let (mut made, mut right) = (0, 0);
    for (point, truth) in points.iter().cycle() {
        program.set_input("x", point).unwrap();
        program.set_input("t", &[*truth]).unwrap();
        program.run(&mut parameters, 0).unwrap();
        right = if (program.output(0)[0] > 0.0) == (*truth == 1.0) {
            right + 1
        } else {
            0
        };
        if right == points.len() {
            return Some(made);
        }
        if right == 0 {
            made += 1;
            if made > most {
                return None;
            }
            let step = made as u64;
            Optimizer::sgd()
                .update(step, 1.0, parameters.values_mut(), program.gradients(), &mut [])
                .unwrap();
        }
    }
    None
}

/// The rows of a truth table as the data wing makes it.
fn table(toy: Toy) -> Vec<([f32; 2], f32)> {
    let data = open(toy.name(), &OpenOptions::default()).unwrap();
    let labels = data.labels().unwrap().unwrap();
    let points = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
    points
        .into_iter()
        .zip(labels)
        .map(|(p, label)| (p, label as f32))
        .collect()
}

#[test]
fn x7_perceptron_learns_and_and_or_in_finite_steps() {
    let and = table(Toy::And);
    assert_eq!(
        and.iter().map(|(_, t)| *t).collect::<Vec<_>>(),
        [0.0, 0.0, 0.0, 1.0]
    );
    let or = table(Toy::Or);
    assert_eq!(
        or.iter().map(|(_, t)| *t).collect::<Vec<_>>(),
        [0.0, 1.0, 1.0, 1.0]
    );
    for rows in [and, or] {
        let steps = corrections(&rows, 100);
        assert!(steps.is_some_and(|steps| steps > 0), "{steps:?} corrections");
    }
}

#[test]
fn l6_perceptron_never_learns_xor() {
    let xor = [
        ([0.0, 0.0], 0.0),
        ([0.0, 1.0], 1.0),
        ([1.0, 0.0], 1.0),
        ([1.0, 1.0], 0.0),
    ];
    assert_eq!(corrections(&xor, 2000), None);
}
