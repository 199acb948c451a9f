use super::*;
use crate::{OpenOptions, Splits, open};

fn table(text: &str) -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("houses.csv");
    std::fs::write(&path, text).unwrap();
    let options = OpenOptions {
        target: Some("price".into()),
        ..OpenOptions::default()
    };
    open(path.to_str().unwrap(), &options).unwrap()
}

#[test]
fn s3_outliers_missing_cells_and_constants_are_reported() {
    let row = |i: usize| match i {
        4 => "5,,3,0.001".to_owned(),
        _ => format!("{},{},3,{}", i, i * i % 17, 400 + i),
    };
    let rows: Vec<String> = (0..30).map(row).collect();
    let report = health_check(&table(&format!("a,b,c,price\n{}\n", rows.join("\n"))));
    assert_eq!(report.samples, 30);
    assert_eq!(report.columns[1].missing, 1);
    assert_eq!(
        (report.columns[3].name.as_str(), report.columns[3].outliers),
        ("price", 1)
    );
    let worst = &report.outliers[0];
    assert_eq!((worst.column.as_str(), worst.sample.as_str()), ("price", "row 4"));
    assert!(
        report.findings.iter().any(|f| f.contains("`c` is constant")),
        "{:?}",
        report.findings
    );
}

#[test]
fn s6_leaks_between_roles_are_found() {
    let rows = "a,price\n1,10\n2,20\n1,10\n2,21\n3,30\n";
    let splits = Splits {
        train: vec![0, 1, 3],
        validation: vec![4],
        test: vec![2],
    };
    let report = health_check(&table(rows).with_splits(splits));
    assert_eq!((report.leaks, report.duplicates), (1, 1));
    let leak = &report.duplicate_examples[0];
    assert_eq!(
        (leak.first.1.as_str(), leak.second.1.as_str(), leak.same_target),
        ("train", "test", true)
    );
    assert!(!report.duplicate_examples[1].same_target);
    assert!(report.findings.iter().any(|f| f.contains("two roles")));
    assert!(report.findings.iter().any(|f| f.contains("different targets")));
}

#[test]
fn classes_are_counted_by_role() {
    let digits = open("digits", &OpenOptions::default()).unwrap();
    let report = health_check(&digits);
    let total: usize = report
        .classes
        .iter()
        .map(|c| c.train + c.validation + c.test)
        .sum();
    assert_eq!(total, 1797);
    assert_eq!(report.image_size, Some((8, 8, 1)));
    let splits = Splits {
        train: (0..5).collect(),
        ..Splits::default()
    };
    let report = health_check(&digits.with_splits(splits));
    assert_eq!(report.roles[3], ("none".to_owned(), 1792));
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.contains("Class `9` has no training sample")),
        "{:?}",
        report.findings
    );
}
