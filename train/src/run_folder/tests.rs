use super::*;

fn text(metrics: &MetricsCsv) -> String {
    fs::read_to_string(metrics.path()).unwrap_or_default()
}

#[test]
fn a_folder_is_never_used_twice_and_a_gap_is_filled() {
    let runs = tempfile::tempdir().unwrap();
    let root = runs.path().join("deep").join("runs");
    let made: Vec<RunFolder> = (0..3)
        .map(|_| RunFolder::create(&root, "spiral").unwrap())
        .collect();
    assert_eq!(
        made.iter().map(RunFolder::name).collect::<Vec<_>>(),
        ["spiral-1", "spiral-2", "spiral-3"]
    );
    made[1].clone().discard();
    assert!(!made[1].path().exists() && made[2].path().exists());
    assert_eq!(RunFolder::create(&root, "spiral").unwrap().name(), "spiral-2");
    // A plain file of that name is not overwritten either.
    fs::write(root.join("other-1"), "mine").unwrap();
    assert_eq!(RunFolder::create(&root, "other").unwrap().name(), "other-2");
}

#[test]
fn a_discarded_run_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a").join("runs");
    let run = RunFolder::create(&root, "digits").unwrap();
    run.log("about to fail").unwrap();
    run.discard();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    // What was there before stays, and so does a parent that another run uses.
    fs::create_dir(folder.path().join("kept")).unwrap();
    let first = RunFolder::create(&folder.path().join("kept"), "x").unwrap();
    RunFolder::create(&folder.path().join("kept"), "x")
        .unwrap()
        .discard();
    first.discard();
    assert!(folder.path().join("kept").is_dir());
}

#[test]
fn bad_names_and_places_are_told_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["", " ", "..", "a/b", "a:b", &"x".repeat(101)] {
        let error = RunFolder::create(folder.path(), name).unwrap_err();
        assert!(matches!(error, RunFolderError::Name { .. }), "{name}: {error}");
    }
    fs::write(folder.path().join("file"), "").unwrap();
    let error = RunFolder::create(&folder.path().join("file"), "x").unwrap_err();
    assert!(
        error.to_string().contains("file") && error.to_string().contains("choose"),
        "{error}"
    );
    assert!(RunFolder::create(&folder.path().join("file").join("deeper"), "x").is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn only_a_folder_with_settings_opens_as_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "x").unwrap();
    let told = |path: &Path| RunFolder::open(path).unwrap_err().to_string();
    assert!(told(run.path()).contains("without run.toml"));
    assert!(told(&folder.path().join("none")).contains("found nothing"));
    fs::write(run.settings_path(), "seed = 1\n").unwrap();
    assert!(told(&run.settings_path()).contains("found a file"));
    assert_eq!(RunFolder::open(run.path()).unwrap().name(), "x-1");
}

#[test]
fn log_lines_stay_one_line_each() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "x").unwrap();
    run.log("one\ntwo\n").unwrap();
    run.log("three").unwrap();
    assert_eq!(fs::read_to_string(run.log_path()).unwrap(), "one two\nthree\n");
}

/// Epochs 1 to `last` of a made-up run: a name that comes late, one that comes now and then, odd numbers.
fn record(metrics: &MetricsCsv, from: u64, last: u64) {
    for epoch in from..=last {
        let loss = 1.0 / (epoch as f64 * 3.0);
        let mut values = vec![("train_loss", loss), ("learning rate, base", 1e-7 * loss)];
        if epoch >= 3 {
            values.push(("validation_loss", if epoch == 4 { f64::NAN } else { loss * 2.0 }));
        }
        if epoch % 2 == 0 {
            values.push(("accuracy", 1.0));
        }
        metrics.append(epoch, &values).unwrap();
    }
}

#[test]
fn a_resumed_table_has_the_bytes_of_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let whole = MetricsCsv::at(folder.path().join("whole.csv"));
    record(&whole, 1, 6);
    let resumed = MetricsCsv::at(folder.path().join("resumed.csv"));
    for cut in 0..=6 {
        fs::write(resumed.path(), text(&whole)).unwrap();
        resumed.truncate_after(cut).unwrap();
        record(&resumed, cut + 1, 6);
        assert_eq!(text(&resumed), text(&whole), "cut after epoch {cut}");
    }
    assert!(text(&whole).starts_with("epoch,train_loss,\"learning rate, base\",accuracy,validation_loss\n"));
}

#[test]
fn a_line_cut_off_while_it_was_written_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = MetricsCsv::at(folder.path().join("m.csv"));
    record(&metrics, 1, 4);
    let whole = text(&metrics);
    for length in whole.rfind("\n4,").unwrap() + 1..whole.len() {
        fs::write(metrics.path(), &whole[..length]).unwrap();
        assert_eq!(metrics.read().unwrap().len(), 3);
        record(&metrics, 4, 4);
        assert_eq!(text(&metrics), whole, "cut at byte {length}");
    }
}

#[test]
fn rows_read_back_as_they_were_given() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = MetricsCsv::at(folder.path().join("m.csv"));
    assert!(metrics.read().unwrap().is_empty());
    let values = [("a", 0.1 + 0.2), ("b", f64::MIN_POSITIVE), ("c", f64::INFINITY)];
    metrics.append(7, &values).unwrap();
    let rows = metrics.read().unwrap();
    assert_eq!(rows[0].epoch, 7);
    for (name, value) in values {
        assert_eq!(rows[0].get(name), Some(value));
    }
    assert_eq!(rows[0].get("d"), None);
    fs::write(metrics.path(), "epoch,a\n1,many\n").unwrap();
    let told = metrics.read().unwrap_err().to_string();
    assert!(told.contains("line 2") && told.contains("`many`"), "{told}");
    fs::write(metrics.path(), "epoch,a\n1,2,3\n").unwrap();
    assert!(metrics.read().unwrap_err().to_string().contains("line 2"));
}
