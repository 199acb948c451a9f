//! The report as a file: self-contained, escaped, written in one step.

use graticule_report::figures::{LineChart, Series, line_chart};
use graticule_report::html::{Card, Report};
use graticule_report::png;
use ndarray::Array3;

fn full_report() -> Report {
    let chart = LineChart {
        series: vec![Series::new("a", vec![(0.0, 1.0), (1.0, 2.0)])],
        ..LineChart::default()
    };
    let picture = png::encode(Array3::<u8>::zeros((4, 4, 3)).view()).expect("a small picture");
    let mut report = Report::new("run <1>");
    report
        .subtitle("classification of digits")
        .summary(&[Card::new("Accuracy", "98 %").note("test")])
        .section("Curves & more")
        .text("One.\n\nTwo <b>.")
        .figure(&line_chart(&chart), "A caption.")
        .png(&picture, "a black square", "Black.")
        .section("Table")
        .warning("Take care.")
        .table(&["class", "F1"], &[vec!["<water>", "0.93"], vec!["forest", "–"]])
        .section("Settings")
        .details("run.toml", "seed = 1\n[model]");
    report
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let html = full_report()
        .to_html()
        .replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for forbidden in [
        "http://", "https://", "<script", "<link", "@import", "url(", "src=\"/",
    ] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn texts_are_escaped_and_in_place() {
    let html = full_report().to_html();
    for needle in [
        "<title>run &lt;1&gt;</title>",
        "<h2 id=\"s1\">Curves &amp; more</h2>",
        "<p>One.</p>",
        "<p>Two &lt;b&gt;.</p>",
        "alt=\"a black square\"",
        "<td>&lt;water&gt;</td><td class=\"number\">0.93</td>",
        "<a href=\"#s3\">Settings</a>",
        "seed = 1\n[model]",
        "<p class=\"value\">98 %</p>",
    ] {
        assert!(html.contains(needle), "{needle}");
    }
    assert_eq!(html.matches("<div").count(), html.matches("</div>").count());
    assert_eq!(
        html.matches("<div class=\"figures\">").count(),
        1,
        "neighbouring figures share a row"
    );
}

#[test]
fn writing_replaces_in_one_step_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    std::fs::write(&path, "old").unwrap();
    full_report().write(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), full_report().to_html());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_missing_folder_is_told_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let message = full_report()
        .write(folder.path().join("missing/report.html"))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("missing/report.html") && message.contains("folder"),
        "{message}"
    );
}
