use super::*;
use crate::{Task, TaskKind, open as open_source};

fn table(text: &str, change: impl Fn(&mut OpenOptions)) -> Result<Dataset, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("houses.csv");
    std::fs::write(&path, text).unwrap();
    let mut options = OpenOptions {
        target: Some("price".into()),
        ..OpenOptions::default()
    };
    change(&mut options);
    open_source(path.to_str().unwrap(), &options)
}

fn error(text: &str) -> DataError {
    table(text, |_| {}).expect_err("a bad table")
}

/// `n` rows of `rooms,kind,price` by a rule.
fn houses(n: usize, row: impl Fn(usize) -> String) -> String {
    let rows: Vec<String> = (0..n).map(row).collect();
    format!("rooms,kind,price\n{}\n", rows.join("\n"))
}

fn plain(i: usize) -> String {
    format!(
        "{},{},{}",
        i % 5 + 1,
        ["flat", "house"][i % 2],
        400 + 10 * (i % 9)
    )
}

#[test]
fn s2_numbers_and_texts_are_told_apart() {
    let data = table(&houses(40, plain), |_| {}).unwrap();
    assert_eq!(
        data.task,
        Task::Regression {
            targets: vec!["price".into()]
        }
    );
    let InputLayout::Table { columns } = data.layout() else {
        panic!("a table")
    };
    assert_eq!(columns[0].kind, ColumnKind::Numeric);
    assert_eq!(columns[1].kind, ColumnKind::Categorical);
    assert_eq!(
        data.source.raw(1).unwrap(),
        Raw::Row(vec![Cell::Number(2.0), Cell::Text("house".into())])
    );
    assert_eq!(data.source.target(1).unwrap(), Target::Values(vec![410.0]));
}

#[test]
fn s3_missing_cells_stay_missing_and_the_label_0_001_is_reported() {
    let text = houses(40, |i| match i {
        3 => "NA,unknown,480".into(),
        7 => ",?,0.001".into(),
        _ => plain(i),
    });
    let data = table(&text, |_| {}).unwrap();
    assert_eq!(
        data.source.raw(3).unwrap(),
        Raw::Row(vec![Cell::Missing, Cell::Missing])
    );
    assert!(
        data.notes.iter().any(|n| n.contains("0.001 in line 9")),
        "{:?}",
        data.notes
    );
}

#[test]
fn a_text_in_a_numeric_column_is_named_with_its_place() {
    let text = houses(40, |i| if i == 5 { "three,flat,450".into() } else { plain(i) });
    let error = error(&text);
    assert_eq!(error.kind, ErrorKind::Cell);
    let message = error.to_string();
    assert!(
        message.contains("line 7, column `rooms`") && message.contains("`three`"),
        "{message}"
    );
    let declared = table(&text, |o| o.categorical = vec!["rooms".into()]).unwrap();
    assert_eq!(declared.len(), 40);
    assert_eq!(
        table(&text, |o| o.missing = vec!["three".into()])
            .unwrap()
            .source
            .raw(5)
            .unwrap(),
        Raw::Row(vec![Cell::Missing, Cell::Text("flat".into())])
    );
}

#[test]
fn a_missing_target_lists_its_rows_or_is_skipped() {
    let text = houses(40, |i| {
        if i % 20 == 4 {
            "1,flat,NaN".into()
        } else {
            plain(i)
        }
    });
    let message = error(&text).to_string();
    assert!(
        message.contains("2 rows: line 6, 26") && message.contains("--skip-bad"),
        "{message}"
    );
    let skipped = table(&text, |o| o.skip_bad = true).unwrap();
    assert_eq!(skipped.len(), 38);
    assert!(skipped.notes[0].contains("line 6, 26"), "{:?}", skipped.notes);
    assert_eq!(skipped.source.target(4).unwrap(), Target::Values(vec![450.0]));
}

#[test]
fn targets_of_text_and_declared_ones_are_classes() {
    let by_kind = table(&houses(40, plain), |o| o.target = Some("kind".into())).unwrap();
    assert_eq!(by_kind.task.classes().unwrap(), ["flat", "house"]);
    let by_rooms = table(&houses(40, plain), |o| {
        o.target = Some("rooms".into());
        o.task = Some(TaskKind::Classification);
    });
    assert_eq!(
        by_rooms.unwrap().task.classes().unwrap(),
        ["1", "2", "3", "4", "5"]
    );
    let as_numbers = table(&houses(400, plain), |o| o.target = Some("rooms".into())).unwrap();
    assert!(
        as_numbers
            .notes
            .iter()
            .any(|n| n.contains("5 different whole numbers")),
        "{:?}",
        as_numbers.notes
    );
    let two = table(&houses(40, plain), |o| o.target = Some("rooms, price".into())).unwrap();
    assert_eq!(two.source.target(0).unwrap(), Target::Values(vec![1.0, 400.0]));
}

#[test]
fn a_label_out_of_range_and_a_single_class_are_errors() {
    let classify = |text: &str| {
        table(text, |o| {
            o.target = Some("rooms".into());
            o.task = Some(TaskKind::Classification);
        })
        .unwrap_err()
    };
    let stray = classify(&houses(
        40,
        |i| if i == 8 { "99,flat,450".into() } else { plain(i) },
    ));
    assert_eq!(stray.kind, ErrorKind::LabelRange);
    assert!(
        stray.to_string().contains("line 10") && stray.to_string().contains("99"),
        "{stray}"
    );
    assert_eq!(
        classify(&houses(40, |_| "1,flat,450".into())).kind,
        ErrorKind::OneClass
    );
}

#[test]
fn empty_ragged_and_foreign_tables_are_told_apart() {
    assert_eq!(error("").kind, ErrorKind::Empty);
    assert_eq!(error("rooms,kind,price\n").kind, ErrorKind::Empty);
    assert!(error("rooms,price\n1,2\n3\n").to_string().contains("line 3"));
    assert!(error("1,2\n3,4\n").to_string().contains("only numbers"));
    assert!(error("price,price\n3,4\n").to_string().contains("twice"));
    let latin = std::env::temp_dir().join(format!("graticule-latin-{}.csv", std::process::id()));
    std::fs::write(&latin, b"price,kind\n1,caf\xe9\n").unwrap();
    let options = OpenOptions {
        target: Some("price".into()),
        ..OpenOptions::default()
    };
    assert!(
        open_source(latin.to_str().unwrap(), &options)
            .unwrap_err()
            .to_string()
            .contains("UTF-8")
    );
    std::fs::remove_file(latin).unwrap();
}

#[test]
fn a_missing_target_column_lists_the_columns() {
    for target in [None, Some("prize".to_owned())] {
        let error = table(&houses(10, plain), |o| o.target.clone_from(&target)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::MissingColumn);
        assert!(error.to_string().contains("rooms, kind, price"), "{error}");
    }
    let excluded = table(&houses(10, plain), |o| o.exclude = vec!["room".into()]).unwrap_err();
    assert!(excluded.to_string().contains("`room`"), "{excluded}");
}

#[test]
fn identifiers_and_empty_columns_are_left_out_with_a_note() {
    let rows: Vec<String> = (0..40).map(|i| format!("E{i},,{},{}", i % 7, i)).collect();
    let data = table(&format!("code,void,rooms,price\n{}\n", rows.join("\n")), |_| {}).unwrap();
    let InputLayout::Table { columns } = data.layout() else {
        panic!("a table")
    };
    assert_eq!(columns.len(), 1);
    assert!(
        data.notes[0].contains("`code`") && data.notes[1].contains("`void`"),
        "{:?}",
        data.notes
    );
}

#[test]
fn delimiters_are_found_and_gzip_is_unpacked() {
    use std::io::Write;
    let text = houses(20, plain).replace(',', ";");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("houses.csv.gz");
    let mut packed =
        flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap();
    let options = OpenOptions {
        target: Some("price".into()),
        ..OpenOptions::default()
    };
    let data = open_source(path.to_str().unwrap(), &options).unwrap();
    assert_eq!((data.name.as_str(), data.len()), ("houses", 20));
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 12]).unwrap();
    assert_eq!(
        open_source(path.to_str().unwrap(), &options).unwrap_err().kind,
        ErrorKind::Unreadable
    );
}

#[test]
fn a_written_toy_reads_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (toy, target) in [("spiral", "class"), ("plane", "z")] {
        let path = folder.path().join("toy.csv");
        let made = open_source(
            toy,
            &OpenOptions {
                noise: 0.1,
                ..OpenOptions::default()
            },
        )
        .unwrap();
        write_csv(&made, &path).unwrap();
        let options = OpenOptions {
            target: Some(target.into()),
            ..OpenOptions::default()
        };
        let read = open_source(path.to_str().unwrap(), &options).unwrap();
        for index in 0..made.len() {
            assert_eq!(made.source.raw(index).unwrap(), read.source.raw(index).unwrap());
            assert_eq!(
                made.source.target(index).unwrap(),
                read.source.target(index).unwrap()
            );
        }
    }
}

#[test]
fn new_rows_need_the_columns_but_not_the_target() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.csv");
    let columns = [
        Column {
            name: "kind".into(),
            kind: ColumnKind::Categorical,
        },
        Column {
            name: "rooms".into(),
            kind: ColumnKind::Numeric,
        },
    ];
    std::fs::write(&path, "id,rooms,kind\n7,3,flat\n8,many,1.0\n").unwrap();
    let mut rows = TableReader::open(&path, &columns).unwrap();
    assert_eq!(rows.headers(), ["id", "rooms", "kind"]);
    let first = rows.next().unwrap().unwrap();
    assert_eq!(
        first.raw,
        Raw::Row(vec![Cell::Text("flat".into()), Cell::Number(3.0)])
    );
    assert!(
        rows.next()
            .unwrap()
            .unwrap_err()
            .to_string()
            .contains("line 3, column `rooms`")
    );
    std::fs::write(&path, "id\n7\n").unwrap();
    let error = TableReader::open(&path, &columns).err().unwrap().to_string();
    assert!(error.contains("no column kind, rooms"), "{error}");
}
