//! The report: one HTML file that opens offline, on paper, on a phone, by day and by night.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use crate::svg::escape;
use crate::table::table_html;
use crate::{Error, png};

const STYLE: &str = include_str!("report.css");

/// A key number at the head of the report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// What is counted or measured.
    pub label: String,
    /// Its value with its unit, as a person reads it.
    pub value: String,
    /// A short remark below, such as where the number comes from; may be empty.
    pub note: String,
}

impl Card {
    /// A card without a remark.
    pub fn new(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            value: value.into(),
            note: String::new(),
        }
    }

    /// The same card with a remark.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// A report that is put together from top to bottom and then written as one file.
///
/// Texts are escaped; figures are the SVG of [`crate::figures`], pictures are PNG bytes, both stand inside the file.
/// The page loads nothing from anywhere, and its content security policy forbids it.
///
/// ```
/// use graticule_report::html::{Card, Report};
/// let mut report = Report::new("digits-1");
/// report
///     .summary(&[Card::new("Test accuracy", "98.6 %").note("best of 30 epochs")])
///     .section("Settings")
///     .table(&["setting", "value"], &[vec!["optimizer", "adam"], vec!["batch", "32"]]);
/// let folder = tempfile::tempdir()?;
/// report.write(folder.path().join("report.html"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Report {
    title: String,
    subtitle: String,
    sections: Vec<String>,
    body: String,
    row_open: bool,
}

impl Report {
    /// An empty report.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// A line under the title, such as the task, the data and the date.
    pub fn subtitle(&mut self, text: impl Into<String>) -> &mut Self {
        self.subtitle = text.into();
        self
    }

    /// Key numbers side by side.
    pub fn summary(&mut self, cards: &[Card]) -> &mut Self {
        self.push("<div class=\"cards\">\n");
        for card in cards {
            let (label, value) = (escape(&card.label), escape(&card.value));
            let _ = write!(
                self.body,
                "<div class=\"card\"><p class=\"label\">{label}</p><p class=\"value\">{value}</p>"
            );
            if !card.note.is_empty() {
                let _ = write!(self.body, "<p class=\"note\">{}</p>", escape(&card.note));
            }
            self.body.push_str("</div>\n");
        }
        self.push("</div>\n")
    }

    /// Begins a section; it also becomes an entry of the contents list.
    pub fn section(&mut self, title: &str) -> &mut Self {
        self.sections.push(title.to_string());
        let number = self.sections.len();
        self.push(&format!("<h2 id=\"s{number}\">{}</h2>\n", escape(title)))
    }

    /// A paragraph; empty lines in `text` begin a new one.
    pub fn text(&mut self, text: &str) -> &mut Self {
        let paragraphs: String = paragraphs(text);
        self.push(&paragraphs)
    }

    /// A remark that must not be overlooked, such as a leak between training and test data.
    pub fn warning(&mut self, text: &str) -> &mut Self {
        let inner = paragraphs(text);
        self.push(&format!(
            "<aside class=\"warning\" role=\"note\">{inner}</aside>\n"
        ))
    }

    /// A figure of [`crate::figures`] with its caption; neighbouring figures stand side by side where they fit.
    ///
    /// `svg` is put into the page as it is, so it must come from a source that is trusted.
    pub fn figure(&mut self, svg: &str, caption: &str) -> &mut Self {
        let width = intrinsic_width(svg).unwrap_or(560.0);
        self.figure_box(svg, caption, width)
    }

    /// A PNG picture with its description for those who cannot see it, and its caption.
    pub fn png(&mut self, bytes: &[u8], alt: &str, caption: &str) -> &mut Self {
        let picture = format!("<img src=\"{}\" alt=\"{}\">", png::data_uri(bytes), escape(alt));
        self.figure_box(
            &picture,
            caption,
            png_width(bytes).unwrap_or(360.0).clamp(120.0, 1100.0),
        )
    }

    /// A table; columns that hold only numbers are set right, so that their digits line up.
    ///
    /// Rows shorter than `headers` are filled with empty cells.
    pub fn table<H: AsRef<str>, C: AsRef<str>>(&mut self, headers: &[H], rows: &[Vec<C>]) -> &mut Self {
        let html = table_html(headers, rows);
        self.push(&html)
    }

    /// A folded block of plain text (settings, a log); it keeps its line breaks and opens with a click.
    pub fn details(&mut self, title: &str, body: &str) -> &mut Self {
        let (title, body) = (escape(title), escape(body));
        self.push(&format!(
            "<details><summary>{title}</summary><pre>{body}</pre></details>\n"
        ))
    }

    /// The whole page.
    pub fn to_html(&self) -> String {
        let title = escape(&self.title);
        let subtitle = match self.subtitle.as_str() {
            "" => String::new(),
            text => format!("<p class=\"subtitle\">{}</p>\n", escape(text)),
        };
        let end = if self.row_open { "</div>\n" } else { "" };
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
             <meta name=\"generator\" content=\"graticule\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <header>\n<h1>{title}</h1>\n{subtitle}</header>\n{}{}{end}</main>\n</body>\n</html>\n",
            self.contents(),
            self.body
        )
    }

    /// Writes the page to `path` in one step: to a temporary name beside it, then renamed.
    ///
    /// # Errors
    /// [`Error::Write`] when the folder does not exist, is full or may not be written to; `path` is then unchanged.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let told = |source| Error::Write {
            path: path.to_path_buf(),
            source,
        };
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);
        let written = write_through(&temporary, self.to_html().as_bytes())
            .and_then(|()| std::fs::rename(&temporary, path));
        if written.is_err() {
            // The first error is the one worth telling; the leftover may not even exist.
            let _ = std::fs::remove_file(&temporary);
        }
        written.map_err(told)
    }

    fn contents(&self) -> String {
        if self.sections.len() < 3 {
            return String::new();
        }
        let mut nav = String::from("<nav aria-label=\"Contents\">");
        for (i, section) in self.sections.iter().enumerate() {
            let _ = write!(nav, "<a href=\"#s{}\">{}</a>", i + 1, escape(section));
        }
        nav + "</nav>\n"
    }

    fn push(&mut self, html: &str) -> &mut Self {
        if std::mem::take(&mut self.row_open) {
            self.body.push_str("</div>\n");
        }
        self.body.push_str(html);
        self
    }

    fn figure_box(&mut self, inner: &str, caption: &str, width: f64) -> &mut Self {
        if !std::mem::replace(&mut self.row_open, true) {
            self.body.push_str("<div class=\"figures\">\n");
        }
        let _ = write!(
            self.body,
            "<figure style=\"--w:{width}px\">\n{}",
            inner.trim_end()
        );
        if !caption.is_empty() {
            let _ = write!(self.body, "\n<figcaption>{}</figcaption>", escape(caption));
        }
        self.body.push_str("\n</figure>\n");
        self
    }
}

fn write_through(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn paragraphs(text: &str) -> String {
    text.split("\n\n")
        .map(str::trim)
        .filter(|p| !p.is_empty())
        // A percent sign must not stand alone at the start of a line.
        .map(|p| format!("<p>{}</p>\n", escape(p).replace(" %", "\u{a0}%")))
        .collect()
}

/// The `width` attribute of an SVG's first tag.
fn intrinsic_width(svg: &str) -> Option<f64> {
    let head = svg.split_once('>')?.0;
    head.split_once(" width=\"")?.1.split_once('"')?.0.parse().ok()
}

/// The width a PNG's header gives.
fn png_width(bytes: &[u8]) -> Option<f64> {
    let field: [u8; 4] = bytes.get(16..20)?.try_into().ok()?;
    Some(f64::from(u32::from_be_bytes(field)))
}
