use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn splits_never_overlap_and_keep_their_shares(
        classes in proptest::collection::vec(0usize..5, 1..400),
        validation in 0.0f64..0.4,
        test in 0.0f64..0.4,
        seed in 0u64..1000,
    ) {
        let fractions = Fractions { train: 1.0 - validation - test, validation, test };
        let splits = Splits::by_fraction(classes.len(), Some(&classes), fractions, seed).unwrap();
        splits.check(classes.len()).unwrap();
        let total = splits.train.len() + splits.validation.len() + splits.test.len();
        prop_assert_eq!(total, classes.len());
        for class in 0..5 {
            let of = |part: &[usize]| part.iter().filter(|&&i| classes[i] == class).count() as f64;
            let count = classes.iter().filter(|&&c| c == class).count() as f64;
            prop_assert!((of(&splits.test) - test * count).abs() <= 2.0);
            prop_assert!((of(&splits.validation) - validation * count).abs() <= 2.0);
        }
        let again = Splits::by_fraction(classes.len(), Some(&classes), fractions, seed).unwrap();
        prop_assert_eq!(splits, again);
    }
}

#[test]
fn s6_roles_come_out_at_the_default_shares() {
    let classes: Vec<usize> = (0..1000).map(|i| i % 10).collect();
    let splits = Splits::by_fraction(1000, Some(&classes), Fractions::default(), 3).unwrap();
    assert_eq!(
        (splits.train.len(), splits.validation.len(), splits.test.len()),
        (700, 150, 150)
    );
    assert!((0..10).all(|c| splits.test.iter().filter(|&&i| classes[i] == c).count() == 15));
}

#[test]
fn fractions_may_leave_samples_out() {
    let fractions = Fractions {
        train: 0.1,
        validation: 0.1,
        test: 0.1,
    };
    let splits = Splits::by_fraction(100, None, fractions, 0).unwrap();
    assert_eq!(
        (splits.train.len(), splits.validation.len(), splits.test.len()),
        (10, 10, 10)
    );
}

#[test]
fn overlaps_foreign_indices_and_bad_shares_are_told() {
    let overlapping = Splits {
        train: vec![0, 1],
        validation: vec![],
        test: vec![1],
    };
    let message = overlapping.check(3).unwrap_err().to_string();
    assert!(
        message.contains("sample 1") && message.contains("train") && message.contains("test"),
        "{message}"
    );
    let foreign = Splits {
        train: vec![9],
        ..Splits::default()
    };
    assert!(foreign.check(3).unwrap_err().to_string().contains("below 3"));
    let shares = Fractions {
        train: 0.9,
        validation: 0.2,
        test: 0.2,
    };
    assert_eq!(
        Splits::by_fraction(10, None, shares, 0).unwrap_err().kind,
        ErrorKind::Split
    );
}

#[test]
fn carving_takes_from_train_only() {
    let splits = Splits {
        train: (0..90).collect(),
        validation: vec![],
        test: (90..100).collect(),
    };
    let carved = splits.carve(None, 0.1, 0.0, 1).unwrap();
    carved.check(100).unwrap();
    assert_eq!(
        (carved.train.len(), carved.validation.len(), carved.test.len()),
        (81, 9, 10)
    );
}

#[test]
fn a_few_per_class_are_a_subset_and_fewer_are_among_more() {
    let classes: Vec<usize> = (0..100).map(|i| i % 3).collect();
    let splits = Splits::by_fraction(100, Some(&classes), Fractions::default(), 1).unwrap();
    let five = splits.clone().few_per_class(&classes, 5, 7);
    let two = splits.clone().few_per_class(&classes, 2, 7);
    assert_eq!((five.train.len(), two.train.len()), (15, 6));
    assert!((0..3).all(|c| five.train.iter().filter(|&&i| classes[i] == c).count() == 5));
    assert!(two.train.iter().all(|i| five.train.contains(i)));
    assert!(five.train.iter().all(|i| splits.train.contains(i)) && five.train.is_sorted());
    assert_eq!((&five.validation, &five.test), (&splits.validation, &splits.test));
    assert_eq!(splits.clone().few_per_class(&classes, 500, 7), splits);
    assert_ne!(splits.few_per_class(&classes, 5, 8), five);
}
