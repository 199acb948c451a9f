use super::*;
use crate::Cell;

fn options(noise: f64) -> ToyOptions {
    ToyOptions {
        samples: None,
        noise,
        fractions: Fractions::default(),
        seed: 4,
    }
}

fn points(toy: Toy, noise: f64) -> Vec<([f64; 2], f64)> {
    let set = dataset(toy, options(noise)).unwrap();
    (0..set.len())
        .map(|i| {
            let Raw::Row(cells) = set.source.raw(i).unwrap() else {
                panic!("a row")
            };
            let [Cell::Number(x), Cell::Number(y)] = cells[..] else {
                panic!("two numbers")
            };
            let value = match set.source.target(i).unwrap() {
                Target::Class(class) => class as f64,
                Target::Values(values) => f64::from(values[0]),
                Target::Classes(_) => panic!("one class"),
            };
            ([x, y], value)
        })
        .collect()
}

#[test]
fn without_noise_each_toy_obeys_its_rule() {
    for ([x, y], class) in points(Toy::Circle, 0.0) {
        assert_eq!(x.hypot(y) < 0.6 * RADIUS, class == 1.0);
    }
    for ([x, y], class) in points(Toy::Xor, 0.0) {
        assert_eq!(x * y < 0.0, class == 1.0);
    }
    for ([x, y], z) in points(Toy::Plane, 0.0) {
        assert!((z - (x + y) / 10.0).abs() < 1e-6);
    }
    let right = points(Toy::Gauss, 0.0)
        .iter()
        .filter(|([x, y], c)| (x + y > 0.0) == (*c == 1.0))
        .count();
    // The clouds' means lie 2.83 standard deviations from the line between them.
    assert!(right >= 490, "{right}");
}

#[test]
fn l6_and_or_are_their_truth_tables_and_all_train() {
    let rows = |toy| points(toy, 0.0).iter().map(|p| p.1).collect::<Vec<_>>();
    assert_eq!(rows(Toy::And), [0.0, 0.0, 0.0, 1.0]);
    assert_eq!(rows(Toy::Or), [0.0, 1.0, 1.0, 1.0]);
    assert_eq!(
        dataset(Toy::And, options(0.0)).unwrap().splits.train,
        [0, 1, 2, 3]
    );
}

#[test]
fn the_spiral_has_two_arms_opposite_each_other() {
    let spiral = points(Toy::Spiral, 0.0);
    for pair in spiral.chunks_exact(2) {
        assert!((pair[0].0[0] + pair[1].0[0]).abs() < 1e-9 && (pair[0].0[1] + pair[1].0[1]).abs() < 1e-9);
        assert_ne!(pair[0].1, pair[1].1);
    }
}

#[test]
fn noise_and_counts_out_of_range_are_refused() {
    assert_eq!(
        dataset(Toy::Xor, options(1.5)).unwrap_err().kind,
        ErrorKind::Option
    );
    assert!(dataset(Toy::Xor, options(f64::NAN)).is_err());
    assert!(
        dataset(
            Toy::Xor,
            ToyOptions {
                samples: Some(3),
                ..options(0.0)
            }
        )
        .is_err()
    );
}
